use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::convert::Infallible;

use super::row::Row;
use crate::persist::{RecordKey, Version};

/// One change of one row: which version it must have, and what becomes of it. The host compares and writes, and needs to
/// understand nothing else of it.
///
/// # Examples
///
/// See [`Batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    key: RecordKey,
    expected: Option<Version>,
    write: Write,
}

/// What becomes of a row that has the expected version.
///
/// There will be no other kinds: a store that passes one over would lose keys, or keep them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// It stays as it is, or absent: what the operation relied on and did not write. Without this comparison a send would race
    /// the removal of its recipient.
    Keep,
    /// It becomes this one, whether there was one or not.
    Put(Row),
    /// It is deleted.
    Delete,
}

impl Change {
    pub(crate) const fn keep(key: RecordKey, expected: Option<Version>) -> Self {
        Self { key, expected, write: Write::Keep }
    }

    pub(crate) const fn put(key: RecordKey, expected: Option<Version>, row: Row) -> Self {
        Self { key, expected, write: Write::Put(row) }
    }

    pub(crate) const fn delete(key: RecordKey, expected: Version) -> Self {
        Self { key, expected: Some(expected), write: Write::Delete }
    }

    /// Which row.
    #[must_use]
    pub const fn key(&self) -> &RecordKey {
        &self.key
    }

    /// The version that the row must have; `None` where there must be no row.
    #[must_use]
    pub const fn expected(&self) -> Option<Version> {
        self.expected
    }

    /// What becomes of it.
    #[must_use]
    pub const fn write(&self) -> &Write {
        &self.write
    }

    /// The row that is written, if one is.
    #[must_use]
    pub const fn row(&self) -> Option<&Row> {
        match &self.write {
            Write::Put(row) => Some(row),
            Write::Keep | Write::Delete => None,
        }
    }

    /// Two changes of one row, one after the other. The outer `None`: they do not follow each other.
    fn then(self, later: Self) -> Option<Self> {
        let Self { key, expected, write } = self;
        let between = match &write {
            Write::Keep => expected,
            Write::Put(row) => Some(row.version),
            Write::Delete => None,
        };
        if later.expected != between {
            return None;
        }
        let write = match (later.write, expected) {
            (Write::Keep, _) => write,
            // Written and deleted before it was ever there: what remains is that it must not be there.
            (Write::Delete, None) => Write::Keep,
            (later, _) => later,
        };
        Some(Self { key, expected, write })
    }
}

/// All changes of one operation: in one durable transaction, or none of them.
///
/// # Examples
///
/// In a transaction of the host's, here without one: a table of a key, a version and bytes. Hosts on a map have
/// [`Self::apply_to`].
///
/// ```
/// # use std::{collections::BTreeMap, convert::Infallible};
/// use subrosa::staging::{ApplyError, Batch, Row, Write};
/// # use subrosa::persist::RecordKey;
/// fn commit(table: &mut BTreeMap<RecordKey, Row>, batch: &Batch) -> Result<(), ApplyError<Infallible>> {
///     batch.apply(|change| {
///         if table.get(change.key()).map(|row| row.version) != change.expected() {
///             return Ok(false); // somebody else was faster: a database rolls back
///         }
///         match change.write() {
///             Write::Put(row) => drop(table.insert(*change.key(), row.clone())),
///             Write::Delete => drop(table.remove(change.key())),
///             Write::Keep => {}
///         }
///         Ok(true)
///     })
/// }
/// # commit(&mut BTreeMap::new(), &Batch::default()).unwrap();
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "nothing has happened before it is applied"]
pub struct Batch(Vec<Change>);

/// Why a batch was not applied. The host's transaction is rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError<E> {
    /// Somebody else changed a row in the meantime. Stage the operation again, as [`Operation::run`](super::Operation::run) does.
    #[error("a row was changed in the meantime")]
    Conflict,
    /// The host's store failed. Nothing happened; stage again when it works.
    #[error(transparent)]
    Store(#[from] E),
}

impl Batch {
    pub(crate) const fn new(changes: Vec<Change>) -> Self {
        Self(changes)
    }

    /// The changes, ascending by key, at most one for each.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.0
    }

    /// Whether there is nothing to do: an operation that changes nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a row is deleted: most likely a key that must be gone for good. A host whose database keeps deleted rows
    /// in a log empties it now (`PRAGMA wal_checkpoint(TRUNCATE)`).
    #[must_use]
    pub fn erases(&self) -> bool {
        self.0.iter().any(|change| matches!(change.write, Write::Delete))
    }

    /// Gives every change to `apply`, inside the host's transaction. `apply` answers whether the row had the expected
    /// version.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Conflict`] at the first `false`, [`ApplyError::Store`] at the first error: roll the transaction
    /// back.
    pub fn apply<E>(&self, mut apply: impl FnMut(&Change) -> Result<bool, E>) -> Result<(), ApplyError<E>> {
        for change in &self.0 {
            if !apply(change)? {
                return Err(ApplyError::Conflict);
            }
        }
        Ok(())
    }

    /// Applies all changes to rows in memory, or none of them.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Conflict`] if a row has not the version that a change expects.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use subrosa::staging::{ApplyError, Batch};
    /// # fn main() -> Result<(), ApplyError<std::convert::Infallible>> {
    /// # let (mut rows, batch) = (BTreeMap::new(), Batch::default());
    /// batch.apply_to(&mut rows)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply_to(&self, rows: &mut BTreeMap<RecordKey, Row>) -> Result<(), ApplyError<Infallible>> {
        self.apply(|change| Ok::<_, Infallible>(rows.get(&change.key).map(|row| row.version) == change.expected))?;
        for Change { key, write, .. } in &self.0 {
            match write {
                Write::Keep => {}
                Write::Put(row) => drop(rows.insert(*key, row.clone())),
                Write::Delete => drop(rows.remove(key)),
            }
        }
        Ok(())
    }

    /// This one, then another that was staged over it, as one.
    ///
    /// # Errors
    ///
    /// `None` if the other was not staged over this one and both change the same row.
    pub(super) fn then(self, later: Self) -> Option<Self> {
        let mut merged: BTreeMap<RecordKey, Change> = self.0.into_iter().map(|change| (change.key, change)).collect();
        for change in later.0 {
            let key = change.key;
            let joined = match merged.remove(&key) {
                None => change,
                Some(earlier) => earlier.then(change)?,
            };
            merged.insert(key, joined);
        }
        Some(Self(merged.into_values().collect()))
    }
}
