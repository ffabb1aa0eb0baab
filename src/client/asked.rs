//! What a peer device was asked for again. It may forget that: it goes back in time between being asked and answering, or
//! has no key any more for the request. So the question is kept, and put again with every new session.

use alloc::vec;
use alloc::vec::Vec;

use super::wants::{MAX_UNREAD, Wants};
use super::workspace::{Stop, Workspace, stored};
use super::{Core, StoredError};
use crate::ident::Address;
use crate::persist::RecordKey;
use crate::wire::RecordKind;

/// The record of what one device was asked for: it has the form of a single wish.
///
/// Nothing says when an answer has come, since it is a message like any other; who was asked twice answers once. It stays
/// until as many newer ones have come, the device is forgotten, or another identity key is accepted.
pub(super) struct Asked {
    address: Address,
    hashes: Vec<[u8; 32]>,
}

impl Asked {
    pub(super) fn key(core: &Core, address: &Address) -> RecordKey {
        core.peer_key(RecordKind::Wants, address)
    }

    pub(super) fn load(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<Self, Stop<StoredError>> {
        let mut hashes = Vec::new();
        if let Some(bytes) = work.read(&core.keys, RecordKind::Wants, Self::key(core, address))? {
            let mut wish = Wants::from_bytes(&bytes).map_err(stored(RecordKind::Wants))?;
            hashes = wish.take(address).unwrap_or_default();
        }
        Ok(Self { address: address.clone(), hashes })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// All that is to be asked for, oldest first.
    pub(super) fn hashes(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    /// Adds what could not be read since; the oldest goes.
    pub(super) fn extend(&mut self, unread: Vec<[u8; 32]>) {
        self.hashes.retain(|hash| !unread.contains(hash));
        self.hashes.extend(unread);
        self.hashes.drain(..self.hashes.len().saturating_sub(MAX_UNREAD));
    }

    /// Writes the record, which was read.
    pub(super) fn save(self, core: &Core, work: &mut Workspace<'_>) {
        let Self { address, hashes } = self;
        let key = Self::key(core, &address);
        work.put(&core.keys, key, Wants::new(vec![(address, hashes)]).to_bytes());
    }

    /// Deletes the record, whether it opens or not.
    pub(super) fn erase<E>(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<(), Stop<E>> {
        let key = Self::key(core, address);
        if work.row::<E>(key)?.is_some() {
            work.delete(key);
        }
        Ok(())
    }
}
