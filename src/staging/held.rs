//! Rows as an operation holds them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::row::Row;
use crate::persist::{Keys, RecordKey, Version};
use crate::wire::{Record, RecordError};

/// The rows that an operation was given, and those that are not there.
pub(crate) type Rows = BTreeMap<RecordKey, Option<Held>>;

/// A row that an operation was given: opened where it stands, and once, however often the operation begins anew.
pub(crate) struct Held {
    pub(crate) version: Version,
    /// Empty once it is opened where it stands.
    sealed: Vec<u8>,
    opened: Option<Record>,
}

impl Held {
    /// As the host stores it, for what is sealed in a way of its own.
    pub(crate) fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// What it holds.
    pub(crate) fn open(&mut self, keys: &Keys, key: &RecordKey) -> Result<&Record, RecordError> {
        let record = match self.opened.take() {
            Some(record) => record,
            None => keys.open(key, &self.version, &mut self.sealed)?,
        };
        Ok(self.opened.insert(record))
    }
}

impl From<Row> for Held {
    fn from(row: Row) -> Self {
        let Row { version, bytes } = row;
        Self { version, sealed: bytes, opened: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Secret, SecretBytes};
    use crate::support::rng;
    use crate::wire::RecordKind;

    /// An operation of three passes would decrypt its largest row three times.
    #[test]
    fn a_row_is_opened_where_it_stands_and_once() {
        let keys = Keys::new(&Secret::new([1; 32]), [2; 16]);
        let (key, version) = (keys.record_key(RecordKind::Peer, &[]), Version::random(&mut rng(1)));
        let bytes = keys.seal(&key, &version, SecretBytes::new(b"record".to_vec()).into());
        let (row, other) = (bytes.as_ptr_range(), keys.record_key(RecordKind::Sent, &[]));
        let mut held = Held::from(Row { version, bytes });
        assert!(held.open(&keys, &other).is_err());
        assert_eq!(held.sealed().as_ptr(), row.start, "left as it was");
        for _ in 0..2 {
            let opened = held.open(&keys, &key).unwrap();
            assert_eq!(**opened, *b"record");
            assert!(row.contains(&opened.as_ptr()));
            // What is left of it would not open again.
            assert!(held.sealed().is_empty());
        }
    }
}
