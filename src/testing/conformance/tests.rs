//! Stores with one defect each, as they are found in the wild: every one has to be named.

use core::cell::RefCell;
use core::convert::Infallible;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::*;
use crate::staging::Write;
use crate::testing::MemoryStore;

/// What is wrong with a store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// `INSERT OR REPLACE`, without a look at the version.
    NoCompare,
    /// A change that writes nothing is taken for one that has nothing to do.
    LostCheck,
    /// Each change for itself, without a transaction around.
    HalfABatch,
    /// The version is one of the content, as an entity tag is: the same bytes have the same one.
    ReusedVersions,
    /// The rows as the database gives them, not as they were asked for.
    Unordered,
    /// Written when the app has time.
    Lazy,
    /// A column of 64 KiB.
    Cut,
    /// Text columns: what is empty is absent.
    EmptyIsAbsent,
    /// Refuses everything.
    Shut,
    /// Deletes are only marks.
    Undead,
    /// `DELETE WHERE key = ?`.
    BlindDelete,
    /// Its transaction holds a thousand changes.
    Few,
}

struct Faulty {
    defect: Defect,
    rows: RefCell<BTreeMap<RecordKey, Row>>,
    on_disk: RefCell<BTreeMap<RecordKey, Row>>,
    tags: RefCell<BTreeMap<Vec<u8>, Version>>,
}

impl Store for Faulty {
    type Error = Infallible;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> {
        let mut keys = keys.to_vec();
        if self.defect == Defect::Unordered {
            keys.sort_unstable();
        }
        let rows = self.rows.borrow();
        let found = |key: &RecordKey| {
            rows.get(key).filter(|row| self.defect != Defect::EmptyIsAbsent || !row.bytes.is_empty()).cloned()
        };
        Ok(keys.iter().map(found).collect())
    }
}

impl Faulty {
    fn apply(&self, rows: &mut BTreeMap<RecordKey, Row>, change: &Change) -> bool {
        let as_expected = rows.get(change.key()).map(|row| row.version) == change.expected();
        let passed_over = matches!(
            (self.defect, change.write()),
            (Defect::NoCompare, _) | (Defect::LostCheck, Write::Keep) | (Defect::BlindDelete, Write::Delete)
        );
        if !as_expected && !passed_over {
            return false;
        }
        match change.write() {
            Write::Put(row) => {
                let mut row = row.clone();
                if self.defect == Defect::ReusedVersions {
                    row.version = *self.tags.borrow_mut().entry(row.bytes.clone()).or_insert(row.version);
                }
                if self.defect == Defect::Cut {
                    row.bytes.truncate(65_535);
                }
                rows.insert(*change.key(), row);
            }
            Write::Delete if self.defect == Defect::Undead => {}
            Write::Delete => {
                rows.remove(change.key());
            }
            Write::Keep => {}
        }
        true
    }
}

impl Database for Faulty {
    type Transaction<'a> = ();

    fn transact(
        &self,
        batch: &Batch,
        own: impl FnOnce(&mut ()) -> Result<(), Infallible>,
    ) -> Result<(), ApplyError<Infallible>> {
        if self.defect == Defect::Shut {
            return Err(ApplyError::Conflict);
        }
        let mut rows = self.rows.borrow().clone();
        let mut left = if self.defect == Defect::Few { 1_000 } else { usize::MAX };
        let applied = batch.apply(|change| {
            left = left.saturating_sub(1);
            Ok::<_, Infallible>(left > 0 && self.apply(&mut rows, change))
        });
        if applied.is_ok() || self.defect == Defect::HalfABatch {
            if self.defect == Defect::Lazy {
                self.on_disk.replace(self.rows.borrow().clone());
            }
            self.rows.replace(rows);
        }
        applied?;
        own(&mut ())?;
        Ok(())
    }
}

impl Reopen for Faulty {
    fn reopen(self) -> Result<Self, Infallible> {
        if self.defect == Defect::Lazy {
            self.rows.replace(self.on_disk.borrow().clone());
        }
        Ok(self)
    }
}

fn verdict(defect: Defect) -> Result<(), Nonconformance<Infallible>> {
    run(|| Ok(Faulty { defect, rows: RefCell::default(), on_disk: RefCell::default(), tags: RefCell::default() }))
}

#[test]
fn a_sound_store_passes() {
    assert_eq!(verdict(Defect::None), Ok(()));
}

#[test]
fn each_defect_is_named() {
    for (defect, rule) in [
        (Defect::NoCompare, Rule::ComparePut),
        (Defect::LostCheck, Rule::CompareCheck),
        (Defect::HalfABatch, Rule::AllOrNothing),
        (Defect::ReusedVersions, Rule::Versions),
        (Defect::Unordered, Rule::Order),
        (Defect::Lazy, Rule::Reopened),
        (Defect::Cut, Rule::LargeRow),
        (Defect::EmptyIsAbsent, Rule::Exactness),
        (Defect::Shut, Rule::Applies),
        (Defect::Undead, Rule::Applies),
        (Defect::BlindDelete, Rule::CompareDelete),
        (Defect::Few, Rule::ManyRows),
    ] {
        assert_eq!(verdict(defect), Err(Nonconformance::Breaks(rule)));
    }
}

impl Reopen for MemoryStore {
    fn reopen(self) -> Result<Self, Infallible> {
        Ok(self)
    }
}

#[test]
fn the_store_in_memory_passes() {
    assert_eq!(run(|| Ok(MemoryStore::new())), Ok(()));
}
