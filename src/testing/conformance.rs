//! A suite that any host runs on its own store, before it trusts it with ratchets: whether the database, and the code
//! between, keep what the library relies on.
//!
//! **Not its concern:** durability through a power failure, and deletion that leaves no traces: no program can see these
//! from inside. See docs/storage.md.
//!
//! # Examples
//!
//! ```
//! use core::convert::Infallible;
//! use subrosa::client::Database;
//! use subrosa::staging::{ApplyError, Batch, Row, Store};
//! use subrosa::{persist::RecordKey, testing::{MemoryStore, conformance::{self, Reopen}}};
//!
//! struct Mine(MemoryStore);
//!
//! impl Store for Mine {
//!     type Error = Infallible;
//!     fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> { self.0.load(keys) }
//! }
//!
//! impl Database for Mine {
//!     type Transaction<'a> = ();
//!     fn transact(
//!         &self,
//!         batch: &Batch,
//!         own: impl FnOnce(&mut ()) -> Result<(), Infallible>,
//!     ) -> Result<(), ApplyError<Infallible>> {
//!         self.0.transact(batch, own)
//!     }
//! }
//!
//! impl Reopen for Mine {
//!     // A database on disk is closed here, and opened again.
//!     fn reopen(self) -> Result<Self, Infallible> { Ok(self) }
//! }
//!
//! conformance::run(|| Ok(Mine(MemoryStore::new()))).unwrap();
//! ```

use alloc::vec;
use alloc::vec::Vec;

use crate::client::Database;
use crate::persist::{RecordKey, Version};
use crate::staging::{ApplyError, Batch, Change, Row, Store};

/// A host's database that can be closed and opened again, as the suite does.
pub trait Reopen: Database + Sized {
    /// Closes the store and opens it again, as when the app starts anew.
    ///
    /// # Errors
    ///
    /// The host's own.
    fn reopen(self) -> Result<Self, Self::Error>;
}

/// What a store must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A row that was never written, or was deleted, is absent.
    Absence,
    /// One answer for each key, in the order of the keys, also where a key comes twice.
    Order,
    /// Bytes and version come back exactly as they were put, whatever they are, empty ones too.
    Exactness,
    /// A [`Put`](crate::staging::Write::Put) that expects no row is refused where there is one; one that expects a version,
    /// where there is none or another.
    ComparePut,
    /// A [`Delete`](crate::staging::Write::Delete) is refused where there is no row, or another version.
    CompareDelete,
    /// A [`Keep`](crate::staging::Write::Keep) is refused where the row is another, is absent and should be there, or is
    /// there and should be absent.
    CompareCheck,
    /// What is as expected is applied: a store that refuses everything is of no use.
    Applies,
    /// Of a batch that is refused nothing is written.
    AllOrNothing,
    /// A row has the version that it was put with and no other: a row that changed, and changed back to the same bytes,
    /// is another (no ABA).
    Versions,
    /// What was written last is there after the store was opened again.
    Reopened,
    /// A row of 600,000 bytes, which the library writes, comes back whole.
    LargeRow,
    /// A batch of 2,000 rows is applied, and all are loaded at once.
    ManyRows,
}

/// A store breaks a rule, or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Nonconformance<E> {
    /// It does not keep this rule.
    #[error("the store breaks the rule {0:?}")]
    Breaks(Rule),
    /// It failed with an error of its own while this rule was tried.
    #[error("the store failed while the rule {0:?} was tried")]
    Failed(Rule, E),
}

/// Tries every [`Rule`], each on an empty database that `make_store` gives.
///
/// # Errors
///
/// The first rule that the store breaks.
///
/// # Examples
///
/// See the [module](self).
pub fn run<S: Reopen>(mut make_store: impl FnMut() -> Result<S, S::Error>) -> Result<(), Nonconformance<S::Error>> {
    let rules: [(Rule, Attempt<S>); 12] = [
        (Rule::Applies, applies),
        (Rule::Absence, absence),
        (Rule::Order, order),
        (Rule::Exactness, exactness),
        (Rule::ComparePut, compare_put),
        (Rule::CompareDelete, compare_delete),
        (Rule::CompareCheck, compare_check),
        (Rule::AllOrNothing, all_or_nothing),
        (Rule::Versions, versions),
        (Rule::Reopened, reopened),
        (Rule::LargeRow, large_row),
        (Rule::ManyRows, many_rows),
    ];
    for (rule, attempt) in rules {
        let store = make_store().map_err(|error| Nonconformance::Failed(rule, error))?;
        match attempt(&mut Trial(Some(store))) {
            Ok(true) => {}
            Ok(false) => return Err(Nonconformance::Breaks(rule)),
            Err(error) => return Err(Nonconformance::Failed(rule, error)),
        }
    }
    Ok(())
}

/// Whether the rule was kept.
type Outcome<S> = Result<bool, <S as Store>::Error>;

/// Tries one rule.
type Attempt<S> = fn(&mut Trial<S>) -> Outcome<S>;

/// The store under trial; nothing while it is closed.
struct Trial<S>(Option<S>);

impl<S: Reopen> Trial<S> {
    /// Whether a batch was applied.
    fn write(&self, changes: Vec<Change>) -> Outcome<S> {
        let Some(store) = &self.0 else { return Ok(false) };
        match store.transact(&Batch::new(changes), |_| Ok(())) {
            Ok(()) => Ok(true),
            Err(ApplyError::Conflict) => Ok(false),
            Err(ApplyError::Store(error)) => Err(error),
        }
    }

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, S::Error> {
        self.0.as_ref().map_or_else(|| Ok(Vec::new()), |store| store.load(keys))
    }

    /// Whether a row is this one.
    fn holds(&self, number: u32, row: Option<&Row>) -> Outcome<S> {
        Ok(matches!(self.load(&[key(number)])?.as_slice(), [found] if found.as_ref() == row))
    }

    /// Whether all of these batches are refused, and the rows 1 and 2 remain as they were: row 1, and no row 2.
    fn refuses(&mut self, batches: Vec<Vec<Change>>) -> Outcome<S> {
        if !self.write(vec![put(1, None, &row(1))])? {
            return Ok(false);
        }
        for batch in batches {
            if self.write(batch)? || !self.holds(1, Some(&row(1)))? || !self.holds(2, None)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Keys that differ in few bits, in any of their bytes.
fn key(number: u32) -> RecordKey {
    let mut bytes = [0; RecordKey::LEN];
    let [a, b, c, d] = number.to_be_bytes();
    let [first, .., third, second, last, least] = &mut bytes;
    (*first, *third, *second, *last, *least) = (17, a, b, c, d);
    RecordKey::from_bytes(bytes)
}

/// Versions that are no text and no number of a database's.
fn version(number: u8) -> Version {
    let mut bytes = [0xff; Version::LEN];
    let [first, .., last] = &mut bytes;
    (*first, *last) = (0, number);
    Version::from_bytes(bytes)
}

fn row(number: u8) -> Row {
    Row { version: version(number), bytes: vec![number; usize::from(number)] }
}

fn put(number: u32, expected: Option<Version>, row: &Row) -> Change {
    Change::put(key(number), expected, row.clone())
}

fn delete(number: u32, expected: Version) -> Change {
    Change::delete(key(number), expected)
}

fn check(number: u32, expected: Option<Version>) -> Change {
    Change::keep(key(number), expected)
}

fn applies<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    Ok(store.write(Vec::new())?
        && store.write(vec![put(1, None, &row(1)), check(2, None)])?
        && store.write(vec![put(1, Some(version(1)), &row(2))])?
        && store.write(vec![check(1, Some(version(2))), put(2, None, &row(3))])?
        && store.write(vec![delete(1, version(2)), delete(2, version(3))])?
        && store.write(vec![check(1, None), put(2, None, &row(4))])?)
}

fn absence<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    let never = store.holds(1, None)?;
    store.write(vec![put(1, None, &row(1)), put(2, None, &row(2))])?;
    store.write(vec![delete(1, version(1))])?;
    Ok(never && store.holds(1, None)? && store.holds(2, Some(&row(2)))? && store.load(&[])?.is_empty())
}

fn order<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    store.write(vec![put(1, None, &row(1)), put(3, None, &row(3)), put(5, None, &row(5))])?;
    let rows = store.load(&[5, 2, 1, 5, 4, 3].map(key))?;
    Ok(rows == [Some(row(5)), None, Some(row(1)), Some(row(5)), None, Some(row(3))])
}

fn exactness<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    let zeros = Version::from_bytes([0; Version::LEN]);
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let rows = [
        Row { version: zeros, bytes: every_byte },
        Row { version: version(1), bytes: Vec::new() },
        Row { version: version(2), bytes: vec![0] },
        Row { version: version(3), bytes: b"x' OR ''='\0\r\n\xff\xfe".to_vec() },
    ];
    let numbered = || (1..).zip(&rows);
    store.write(numbered().map(|(number, row)| put(number, None, row)).collect())?;
    for (number, row) in numbered() {
        if !store.holds(number, Some(row))? {
            return Ok(false);
        }
    }
    // The whole of a version is compared, and the whole of a key.
    let other_key = RecordKey::from_bytes([17; RecordKey::LEN]);
    Ok(store.load(&[other_key])? == [None] && store.write(vec![check(1, Some(zeros))])?)
}

/// The same bytes come back under another version: whoever relied on the first finds it gone.
fn versions<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    let (first, between) = (row(1), row(2));
    let again = Row { version: version(3), bytes: first.bytes.clone() };
    let written = store.write(vec![put(1, None, &first)])?
        && store.write(vec![put(1, Some(version(1)), &between)])?
        && store.write(vec![put(1, Some(version(2)), &again)])?;
    let seen = store.holds(1, Some(&again))?
        && !store.write(vec![check(1, Some(version(1)))])?
        && !store.write(vec![put(1, Some(version(1)), &row(4))])?
        && store.write(vec![check(1, Some(version(3)))])?;
    // Deleted and written anew it is another row as well.
    let anew = Row { version: version(5), bytes: first.bytes };
    Ok(written
        && seen
        && store.write(vec![delete(1, version(3))])?
        && store.write(vec![put(1, None, &anew)])?
        && store.holds(1, Some(&anew))?
        && !store.write(vec![delete(1, version(3))])?)
}

fn compare_put<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    store.refuses(vec![
        vec![put(1, None, &row(2))],
        vec![put(1, Some(version(9)), &row(2))],
        vec![put(2, Some(version(1)), &row(2))],
    ])
}

fn compare_delete<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    store.refuses(vec![vec![delete(1, version(9))], vec![delete(2, version(1))]])
}

fn compare_check<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    store.refuses(vec![vec![check(1, None)], vec![check(1, Some(version(9)))], vec![check(2, Some(version(1)))]])
}

/// The refusal comes after changes of every kind, and with each kind.
fn all_or_nothing<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    store.write(vec![put(5, None, &row(5))])?;
    let refused = [check(9, Some(version(9))), put(9, Some(version(9)), &row(9)), delete(9, version(9))];
    let batches = refused.into_iter().flat_map(|last| {
        [
            vec![put(1, Some(version(1)), &row(2)), last.clone()],
            vec![put(2, None, &row(2)), last.clone()],
            vec![delete(1, version(1)), last],
        ]
    });
    Ok(store.refuses(batches.collect())? && store.holds(5, Some(&row(5)))?)
}

fn reopened<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    store.write(vec![put(1, None, &row(1)), put(2, None, &row(2))])?;
    store.write(vec![put(1, Some(version(1)), &row(3)), delete(2, version(2))])?;
    store.0 = store.0.take().map(S::reopen).transpose()?;
    Ok(store.holds(1, Some(&row(3)))?
        && store.holds(2, None)?
        && !store.write(vec![put(1, Some(version(1)), &row(4))])?
        && store.write(vec![put(1, Some(version(3)), &row(4))])?)
}

fn large_row<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    let bytes: Vec<u8> = (0..=250).cycle().take(600_000).collect();
    let large = Row { version: version(1), bytes };
    Ok(store.write(vec![put(1, None, &large)])? && store.holds(1, Some(&large))?)
}

fn many_rows<S: Reopen>(store: &mut Trial<S>) -> Outcome<S> {
    const MANY: u32 = 2_000;
    let rows: Vec<_> = (0..=250).cycle().map(row).zip(0..MANY).collect();
    let written = store.write(rows.iter().map(|(row, number)| put(*number, None, row)).collect())?;
    let keys: Vec<_> = (0..MANY).map(key).collect();
    let loaded = store.load(&keys)?;
    Ok(written
        && loaded.len() == rows.len()
        && loaded.iter().zip(&rows).all(|(found, (row, _))| found.as_ref() == Some(row)))
}

#[cfg(test)]
mod tests;
