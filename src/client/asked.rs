//! What a peer device was asked for again. It may forget that: it goes back in time between being asked and answering, or
//! has no key any more for the request. So the question is kept, and put again with every new session.

use alloc::vec;
use alloc::vec::Vec;

use super::wants::{MAX_UNREAD, wanted_from_record, wanted_to_record};
use super::workspace::{Stop, Workspace};
use super::{Core, StoredError};
use crate::ident::{Address, Timestamp};
use crate::persist::RecordKey;
use crate::wire::{RecordError, RecordKind, decode_record, encode_row, record};

/// For so long a question is put again, and a host has to remember which ones it has answered: 30 days.
const MAX_AGE_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// The record of what one device was asked for: it has the form of a single wish.
///
/// Nothing says when an answer has come, since it is a message like any other; who was asked twice answers once. It stays
/// until it is 30 days old, as many newer ones have come, the device is forgotten, or another identity key is accepted.
pub(super) struct Asked {
    address: Address,
    hashes: Vec<[u8; 32]>,
    /// When it was asked for the newest.
    at: Timestamp,
}

impl Asked {
    pub(super) fn key(core: &Core, address: &Address) -> RecordKey {
        core.peer_key(RecordKind::Wants, address)
    }

    pub(super) fn load(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<Self, Stop<StoredError>> {
        let read = work.read(&core.keys, RecordKind::Wants, Self::key(core, address));
        let stored = match read {
            Ok(Some(bytes)) => Self::from_bytes(bytes),
            Ok(None) => Ok((Vec::new(), work.now)),
            Err(Stop::Fail(StoredError { error, .. })) => Err(error),
            Err(Stop::Need) => return Err(Stop::Need),
        };
        let (hashes, at) = match stored {
            Ok((hashes, at)) if work.now.since(at) <= MAX_AGE_MS => (hashes, at),
            // What is damaged is as good as too old: it is written over when something is asked for.
            Ok(_) | Err(RecordError::Corrupt) => (Vec::new(), work.now),
            Err(error) => return Err(Stop::Fail(StoredError { kind: RecordKind::Wants, error })),
        };
        Ok(Self { address: address.clone(), hashes, at })
    }

    fn from_bytes(bytes: &[u8]) -> Result<(Vec<[u8; 32]>, Timestamp), RecordError> {
        let stored: record::Wants = decode_record(RecordKind::Wants, bytes)?;
        let [wish] = stored.bundles.as_slice() else { return Err(RecordError::Corrupt) };
        let (_, hashes) = wanted_from_record(wish)?;
        if stored.count == 1 { Ok((hashes, Timestamp::new(wish.asked))) } else { Err(RecordError::Corrupt) }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// All that is to be asked for, oldest first.
    pub(super) fn hashes(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    /// Adds what could not be read since; the oldest goes.
    pub(super) fn extend(&mut self, unread: Vec<[u8; 32]>, now: Timestamp) {
        if !unread.is_empty() {
            self.at = now;
        }
        self.hashes.retain(|hash| !unread.contains(hash));
        self.hashes.extend(unread);
        self.hashes.drain(..self.hashes.len().saturating_sub(MAX_UNREAD));
    }

    /// Writes the record, which was read.
    pub(super) fn save(&self, core: &Core, work: &mut Workspace<'_>) {
        let wish = wanted_to_record(&self.address, &self.hashes, self.at.get());
        let stored = record::Wants { bundles: vec![wish], count: 1 };
        work.put(&core.keys, Self::key(core, &self.address), encode_row(RecordKind::Wants, &stored));
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
