use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Row;
use crate::persist::{Keys, RecordKey, Version};
use crate::wire::{Record, RecordError};

/// The rows that an operation was given, and those that are not there.
pub(super) type Rows = BTreeMap<RecordKey, Option<Held>>;

/// A row that an operation was given: opened where it stands, and once, however often the operation begins anew.
pub(super) struct Held {
    pub(super) version: Version,
    /// Empty once it is opened where it stands.
    sealed: Vec<u8>,
    opened: Option<Record>,
}

impl Held {
    /// As the host stores it, for what is sealed in a way of its own.
    pub(super) fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// What it holds.
    pub(super) fn open(&mut self, keys: &Keys, key: &RecordKey) -> Result<&Record, RecordError> {
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
