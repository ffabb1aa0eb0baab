//! The sent log: which message ids were sent to a peer device, and as what. A hash table of records, so that sending
//! finds its record without a list that grows.

use alloc::vec::Vec;

use super::peer::Peer;
use super::workspace::{Stop, Workspace, stored};
use super::{Core, StoredError};
use crate::crypto::sha256;
use crate::ident::{Address, MessageId, Timestamp};
use crate::persist::RecordKey;
use crate::suite::v1::encode_address;
use crate::wire::{Envelope, RecordError, RecordKind, decode_record, encode_record, record};

/// How long a message id is remembered: 24 hours.
pub(super) const SENT_LOG_MS: u64 = 24 * 60 * 60 * 1000;

/// Most messages in one record of the log; the oldest goes. A thousand messages in a day fill the records with one on
/// average, more than four in one of 270.
const MAX_ENTRIES: usize = 16;

/// Most messages of one record whose envelope is kept; of the others only the id is remembered.
const MAX_ENVELOPES: usize = 4;

/// Most bytes of envelopes in one record, besides the newest.
const MAX_BYTES: usize = 128 * 1024;

/// One message.
pub(super) struct Entry {
    id: MessageId,
    at: Timestamp,
    digest: [u8; 32],
    /// Empty if only the id is remembered.
    envelope: Vec<u8>,
}

impl Entry {
    pub(super) fn new(id: MessageId, at: Timestamp, digest: [u8; 32], envelope: &Envelope) -> Self {
        Self { id, at, digest, envelope: envelope.to_bytes() }
    }

    pub(super) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// What was sent, if it is remembered.
    pub(super) fn envelope(&self) -> Result<Option<Envelope>, StoredError> {
        if self.envelope.is_empty() {
            return Ok(None);
        }
        let corrupt = StoredError { kind: RecordKind::Sent, error: RecordError::Corrupt };
        Envelope::parse(&self.envelope).map(Some).map_err(|_| corrupt)
    }
}

/// One record of the log.
pub(super) struct Slot {
    number: u16,
    key: RecordKey,
    entries: Vec<Entry>,
}

/// The record that a message id belongs in.
pub(super) fn slot_of(id: MessageId) -> u16 {
    let [high, low, ..] = sha256(&[id.as_bytes()]);
    u16::from_be_bytes([high, low]) % 1024
}

impl Slot {
    pub(super) fn key(core: &Core, address: &Address, number: u16) -> RecordKey {
        core.keys.record_key(RecordKind::Sent, &[&encode_address(address), &number.to_be_bytes()])
    }

    pub(super) fn load(
        core: &Core,
        work: &mut Workspace<'_>,
        (number, key): (u16, RecordKey),
    ) -> Result<Self, Stop<StoredError>> {
        let Some(bytes) = work.read(&core.keys, RecordKind::Sent, key)? else {
            return Ok(Self { number, key, entries: Vec::new() });
        };
        let entries = entries(&bytes).map_err(stored(RecordKind::Sent))?;
        Ok(Self { number, key, entries })
    }

    pub(super) fn find(&self, id: MessageId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    pub(super) fn enter(&mut self, entry: Entry) {
        self.entries.push(entry);
        while self.entries.len() > MAX_ENTRIES {
            self.entries.remove(0);
        }
        let mut bytes = 0;
        for (age, entry) in self.entries.iter_mut().rev().enumerate() {
            bytes += entry.envelope.len();
            if age > 0 && (age >= MAX_ENVELOPES || bytes > MAX_BYTES) {
                entry.envelope = Vec::new();
            }
        }
    }

    pub(super) fn remove(&mut self, id: MessageId) {
        self.entries.retain(|entry| entry.id != id);
    }

    /// Drops what is older than 24 hours.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.entries.retain(|entry| now.since(entry.at) <= SENT_LOG_MS);
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Writes the record, which was read, and notes in the peer whether it is there.
    pub(super) fn save(self, core: &Core, work: &mut Workspace<'_>, peer: &mut Peer) {
        let key = self.key;
        peer.set_sent_slot(self.number, !self.entries.is_empty());
        if self.entries.is_empty() {
            work.delete(key);
            return;
        }
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let entries = self.entries.into_iter().map(|entry| record::SentEntry {
            id: entry.id.as_bytes().to_vec(),
            at: entry.at.get(),
            digest: entry.digest.to_vec(),
            envelope: entry.envelope,
        });
        let stored = record::Sent { entries: entries.collect(), count };
        work.put(&core.keys, key, encode_record(RecordKind::Sent, &stored));
    }
}

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, RecordError> {
    let mut stored: record::Sent = decode_record(RecordKind::Sent, bytes)?;
    if stored.entries.len() > MAX_ENTRIES || u32::try_from(stored.entries.len()) != Ok(stored.count) {
        return Err(RecordError::Corrupt);
    }
    let entry = |entry: &mut record::SentEntry| {
        Some(Entry {
            id: MessageId::new(entry.id.as_slice().try_into().ok()?),
            at: Timestamp::new(entry.at),
            digest: entry.digest.as_slice().try_into().ok()?,
            envelope: core::mem::take(&mut entry.envelope),
        })
    };
    stored.entries.iter_mut().map(entry).collect::<Option<_>>().ok_or(RecordError::Corrupt)
}
