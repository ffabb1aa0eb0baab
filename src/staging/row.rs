use alloc::vec::Vec;

use crate::persist::Version;

/// A row as the host stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its version, stored beside the bytes.
    pub version: Version,
    /// The sealed record.
    pub bytes: Vec<u8>,
}
