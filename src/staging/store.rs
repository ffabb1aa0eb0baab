use alloc::vec::Vec;

use super::batch::{ApplyError, Batch, Change, Write};
use super::row::Row;
use crate::persist::RecordKey;

/// What the library asks of a host's database while an operation is staged: to load. [`Database`] is what it asks besides.
///
/// The rows of one call are of one moment: a snapshot, a read transaction. Those of different calls need not be: what
/// changed between loading and writing is a conflict. A guide to what the database must promise is docs/storage.md;
/// `subrosa::testing` has a suite that tries it.
///
/// # Examples
///
/// ```
/// use std::{cell::RefCell, collections::BTreeMap, convert::Infallible};
/// use subrosa::{staging::{Row, Store}, persist::RecordKey};
///
/// struct Memory(RefCell<BTreeMap<RecordKey, Row>>);
///
/// impl Store for Memory {
///     type Error = Infallible;
///     fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> {
///         let rows = self.0.borrow();
///         Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
///     }
/// }
/// ```
pub trait Store {
    /// Why loading failed.
    type Error;

    /// Loads these rows: one answer for each key, in their order, `None` where there is no such row.
    ///
    /// # Errors
    ///
    /// The host's own.
    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Self::Error>;
}

/// A host's database: the library's rows, beside the host's own ones and in the same transactions. A host implements it once;
/// [`Operation::run`](super::Operation::run) is how every operation is done over it. `subrosa::sqlite` is one.
///
/// # Examples
///
/// In memory, with an outbox; of a transaction that fails nothing remains.
///
/// ```
/// use std::{cell::RefCell, collections::BTreeMap, convert::Infallible};
/// use subrosa::{staging::{ApplyError, Batch, Database, Row, Store}, persist::RecordKey};
///
/// #[derive(Clone, Default)]
/// struct Tables {
///     rows: BTreeMap<RecordKey, Row>,
///     outbox: Vec<Vec<u8>>,
/// }
///
/// struct Memory(RefCell<Tables>);
///
/// impl Store for Memory {
///     type Error = Infallible;
///     fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> {
///         let tables = self.0.borrow();
///         Ok(keys.iter().map(|key| tables.rows.get(key).cloned()).collect())
///     }
/// }
///
/// impl Database for Memory {
///     type Transaction<'a> = Tables;
///     fn transact(
///         &self,
///         batch: &Batch,
///         own: impl FnOnce(&mut Tables) -> Result<(), Infallible>,
///     ) -> Result<(), ApplyError<Infallible>> {
///         let mut tables = self.0.borrow().clone();
///         batch.apply_to(&mut tables.rows)?;
///         own(&mut tables)?;
///         *self.0.borrow_mut() = tables; // the commit
///         Ok(())
///     }
/// }
/// ```
pub trait Database: Store {
    /// What the host writes its own rows with, inside a transaction.
    type Transaction<'a>;

    /// Applies a batch, and writes the host's own rows with it: both, durably, or neither.
    ///
    /// In one transaction: [`Batch::apply`], then `own`, then the commit. It returns once the commit is durable. Where a change
    /// is refused or anything fails, it rolls back.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]. Nothing has happened; of an error of the commit itself that may not be known, and then the operation is
    /// run again: docs/storage.md, "When something breaks".
    ///
    /// # Security
    ///
    /// What is compared must stay true until the commit: a transaction that locks for writing at its start, or one that is
    /// serializable. A commit that is answered before it is on the disk takes the ratchet back when the power fails.
    fn transact(
        &self,
        batch: &Batch,
        own: impl FnOnce(&mut Self::Transaction<'_>) -> Result<(), Self::Error>,
    ) -> Result<(), ApplyError<Self::Error>>;

    /// How often an operation is staged, where somebody else is faster again and again: 100 times.
    fn attempts(&self) -> u32 {
        100
    }
}

impl<S: Store + ?Sized> Store for &S {
    type Error = S::Error;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Self::Error> {
        (**self).load(keys)
    }
}

/// A store as it will be once a batch is applied, see [`Staged::over`](super::Staged::over).
#[derive(Debug)]
#[must_use = "it is a store to stage the next operation on"]
pub struct Overlay<'a, S> {
    pub(crate) batch: &'a Batch,
    pub(crate) store: S,
}

impl<S: Store> Store for Overlay<'_, S> {
    type Error = S::Error;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Self::Error> {
        let mut rows = self.store.load(keys)?;
        for (row, key) in rows.iter_mut().zip(keys) {
            match self.batch.changes().iter().find(|change| change.key() == key).map(Change::write) {
                Some(Write::Put(written)) => *row = Some(written.clone()),
                Some(Write::Delete) => *row = None,
                Some(Write::Keep) | None => {}
            }
        }
        Ok(rows)
    }
}
