use alloc::vec::Vec;

use crate::persist::{RecordKey, Version};

/// One change of one row. The host compares and swaps; it needs to understand nothing else of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Write these bytes and this version, if the row's version is `expect`; where `expect` is `None`, if there is no
    /// such row.
    Put {
        /// Where.
        key: RecordKey,
        /// What: sealed.
        bytes: Vec<u8>,
        /// The version that is to be replaced.
        expect: Option<Version>,
        /// The version that these bytes have.
        version: Version,
    },
    /// Delete the row, if its version is `expect`.
    Delete {
        /// Where.
        key: RecordKey,
        /// The version that is to be deleted.
        expect: Version,
    },
    /// Do nothing, if the row's version is `expect`; where it is `None`, if there is no such row. What the operation
    /// relied on and did not write: without this check a send would race the removal of its recipient.
    Check {
        /// Where.
        key: RecordKey,
        /// The version that was relied on.
        expect: Option<Version>,
    },
}

impl Change {
    /// The row.
    #[must_use]
    pub const fn key(&self) -> &RecordKey {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } | Self::Check { key, .. } => key,
        }
    }

    /// The version that the row must have; `None` where there must be no row.
    #[must_use]
    pub const fn expect(&self) -> Option<Version> {
        match self {
            Self::Put { expect, .. } | Self::Check { expect, .. } => *expect,
            Self::Delete { expect, .. } => Some(*expect),
        }
    }
}

/// All changes of one operation: in one durable transaction, or none of them.
///
/// # Examples
///
/// A host on a map, without the transaction that a database gives:
///
/// ```
/// # use std::{collections::BTreeMap, convert::Infallible};
/// use subrosa::client::{ApplyError, Batch, Change, Row};
/// # use subrosa::persist::RecordKey;
/// fn commit(rows: &mut BTreeMap<RecordKey, Row>, batch: &Batch) -> Result<(), ApplyError<Infallible>> {
///     let mut next = rows.clone();
///     batch.apply(|change| {
///         if rows.get(change.key()).map(|row| row.version) != change.expect() {
///             return Ok(false);
///         }
///         match change {
///             Change::Put { key, bytes, version, .. } => {
///                 next.insert(*key, Row { version: *version, bytes: bytes.clone() });
///             }
///             Change::Delete { key, .. } => { next.remove(key); }
///             _ => {}
///         }
///         Ok(true)
///     })?;
///     *rows = next;
///     Ok(())
/// }
/// # let mut rows = BTreeMap::new();
/// # commit(&mut rows, &Batch::default()).unwrap();
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch(Vec<Change>);

/// Why a batch was not applied. The host's transaction is rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError<E> {
    /// Somebody else changed a row in the meantime. Stage the operation again, see [`retry`](super::retry).
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
        self.0.iter().any(|change| matches!(change, Change::Delete { .. }))
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

    /// This one, then another that was staged over it, as one.
    ///
    /// # Errors
    ///
    /// `None` if the other was not staged over this one and both change the same row.
    pub(crate) fn then(self, later: Self) -> Option<Self> {
        let mut merged: alloc::collections::BTreeMap<RecordKey, Change> =
            self.0.into_iter().map(|change| (*change.key(), change)).collect();
        for change in later.0 {
            let key = *change.key();
            let joined = match merged.remove(&key) {
                None => Some(change),
                Some(earlier) => join(earlier, change)?,
            };
            if let Some(joined) = joined {
                merged.insert(key, joined);
            }
        }
        Some(Self(merged.into_values().collect()))
    }
}

/// Two changes of one row, one after the other. The outer `None`: they do not follow each other.
fn join(earlier: Change, later: Change) -> Option<Option<Change>> {
    let (before, after) = match &earlier {
        Change::Put { expect, version, .. } => (*expect, Some(*version)),
        Change::Delete { expect, .. } => (Some(*expect), None),
        Change::Check { expect, .. } => (*expect, *expect),
    };
    if later.expect() != after {
        return None;
    }
    Some(match (later, before) {
        (Change::Put { key, bytes, version, .. }, expect) => Some(Change::Put { key, bytes, expect, version }),
        (Change::Delete { key, .. }, Some(expect)) => Some(Change::Delete { key, expect }),
        // Written and deleted before it was ever there: what remains is that it must not be there.
        (Change::Delete { key, .. }, None) => Some(Change::Check { key, expect: None }),
        (Change::Check { .. }, _) => Some(earlier),
    })
}
