use crate::wire::{RecordError, RecordKind};

/// A stored record does not open.
///
/// Damage is not repaired by going on with an older copy of the row: delete what is damaged and start anew, as the
/// kind's line in docs/records.md says. What is newer needs a newer version of the library: do not overwrite it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?} record: {error}")]
#[non_exhaustive]
pub struct StoredError {
    /// Which kind of record.
    pub kind: RecordKind,
    /// What is the matter with it.
    pub error: RecordError,
}

/// A record is damaged or newer than this build: which kind, and which of the two.
pub(crate) fn stored(kind: RecordKind) -> impl Fn(RecordError) -> StoredError {
    move |error| StoredError { kind, error }
}
