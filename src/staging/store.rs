use alloc::vec::Vec;

use super::batch::{Batch, Change};
use crate::persist::{RecordKey, Version};

/// A row as the host stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its version, stored beside the bytes.
    pub version: Version,
    /// The sealed record.
    pub bytes: Vec<u8>,
}

/// What the library asks of a host's database while an operation is staged: to load. Writing is [`Batch::apply`], in a
/// transaction of the host's.
///
/// The rows of one call are of one moment: a snapshot, a read transaction. Those of different calls need not be: what
/// changed between loading and writing is a conflict. A guide to what the database
/// must promise is docs/storage.md; `subrosa::testing` has a suite that tries it.
///
/// # Examples
///
/// ```
/// use std::{cell::RefCell, collections::BTreeMap, convert::Infallible};
/// use subrosa::{client::{Row, Store}, persist::RecordKey};
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

impl<S: Store + ?Sized> Store for &S {
    type Error = S::Error;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Self::Error> {
        (**self).load(keys)
    }
}

/// A store as it will be once a batch is applied, see [`Staged::over`](super::Staged::over).
#[derive(Debug)]
pub struct Over<'a, S> {
    pub(crate) batch: &'a Batch,
    pub(crate) store: S,
}

impl<S: Store> Store for Over<'_, S> {
    type Error = S::Error;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Self::Error> {
        let mut rows = self.store.load(keys)?;
        for (row, key) in rows.iter_mut().zip(keys) {
            match self.batch.changes().iter().find(|change| change.key() == key) {
                Some(Change::Put { bytes, version, .. }) => {
                    *row = Some(Row { version: *version, bytes: bytes.clone() });
                }
                Some(Change::Delete { .. }) => *row = None,
                Some(Change::Check { .. }) | None => {}
            }
        }
        Ok(rows)
    }
}
