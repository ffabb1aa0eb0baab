//! The sent log: which message ids were sent to a peer device, and as what. A hash table of records, so that sending
//! finds its record without a list that grows.

use alloc::vec::Vec;

use super::peer::Peer;
use super::sent_index::number_of;
use super::workspace::{Stop, Workspace, stored};
use super::{Core, StoredError};
use crate::crypto::{PublicKey, sha256};
use crate::ident::{Address, MessageId, Timestamp};
use crate::persist::RecordKey;
use crate::suite::v1::encode_address;
use crate::wire::{Envelope, FieldReader, FieldWriter, RecordError, RecordKind, read_public_key};

/// How long a message id is remembered: 24 hours.
pub(super) const SENT_LOG_MS: u64 = 24 * 60 * 60 * 1000;

/// Most messages in one record of the log; the oldest goes. Of a thousand messages in a day one in five finds another in
/// its record.
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
    /// The identity key that it was sealed to.
    identity: PublicKey,
}

impl Entry {
    pub(super) fn new(
        (id, digest): (MessageId, [u8; 32]),
        at: Timestamp,
        envelope: &Envelope,
        identity: PublicKey,
    ) -> Self {
        Self { id, at, digest, envelope: envelope.to_bytes(), identity }
    }

    fn write(&self, out: &mut FieldWriter) {
        let Self { id, at, digest, envelope, identity } = self;
        out.bytes(1, id.as_bytes());
        out.number(2, at.get());
        out.bytes(3, digest);
        out.bytes(4, envelope);
        out.bytes(5, &identity.to_bytes());
    }

    fn read(mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let entry = Self {
            id: MessageId::new(*fields.array(1)?),
            at: Timestamp::new(fields.number(2)?),
            digest: *fields.array(3)?,
            envelope: fields.bytes(4)?.to_vec(),
            identity: read_public_key(&mut fields, 5)?,
        };
        fields.end()?;
        Ok(entry)
    }

    pub(super) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) const fn identity(&self) -> &PublicKey {
        &self.identity
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

/// A message to a peer device, and where it is entered: computed once for an operation, however often it is stepped.
pub(super) struct Place {
    pub(super) to: Address,
    pub(super) id: MessageId,
    pub(super) peer: RecordKey,
    /// Number and row of the log's record.
    pub(super) slot: (u16, RecordKey),
}

impl Place {
    pub(super) fn new(core: &Core, id: MessageId, to: &Address) -> Self {
        let slot = slot_of(id);
        let peer = core.peer_key(RecordKind::Peer, to);
        Self { to: to.clone(), id, peer, slot: (slot, Slot::key(core, to, slot)) }
    }
}

/// One record of the log.
pub(super) struct Slot {
    number: u16,
    key: RecordKey,
    entries: Vec<Entry>,
}

/// The record that a message id belongs in.
fn slot_of(id: MessageId) -> u16 {
    let [high, low, ..] = sha256(&[id.as_bytes()]);
    number_of(u16::from_be_bytes([high, low]))
}

impl Slot {
    pub(super) fn key(core: &Core, address: &Address, number: u16) -> RecordKey {
        core.keys.record_key(RecordKind::Sent, &[&encode_address(address), &number.to_be_bytes()])
    }

    /// The record of the earlier layout that may hold a message, if there is one.
    pub(super) fn load_early(
        core: &Core,
        work: &mut Workspace<'_>,
        place: &Place,
        peer: &Peer,
    ) -> Result<Option<Self>, Stop<StoredError>> {
        let Some(number) = peer.sent.early(place.slot.0) else { return Ok(None) };
        Self::load(core, work, (number, Self::key(core, &place.to, number))).map(Some)
    }

    pub(super) fn load(
        core: &Core,
        work: &mut Workspace<'_>,
        (number, key): (u16, RecordKey),
    ) -> Result<Self, Stop<StoredError>> {
        let Some(bytes) = work.read(&core.keys, RecordKind::Sent, key)? else {
            return Ok(Self { number, key, entries: Vec::new() });
        };
        let entries = entries(bytes).map_err(stored(RecordKind::Sent))?;
        Ok(Self { number, key, entries })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
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

    /// Writes the record, which was read, and notes in the peer that it is there.
    pub(super) fn save(self, core: &Core, work: &mut Workspace<'_>, peer: &mut Peer) {
        let key = self.key;
        if self.entries.is_empty() {
            work.delete(key);
            return;
        }
        peer.sent.enter(self.number);
        let bytes: usize = self.entries.iter().map(|entry| 128 + entry.envelope.len()).sum();
        let mut record = FieldWriter::row(RecordKind::Sent, bytes);
        for entry in &self.entries {
            record.message(1, |out| entry.write(out));
        }
        record.number(2, u64::try_from(self.entries.len()).unwrap_or(u64::MAX));
        work.put(&core.keys, key, record.into_record());
    }
}

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, RecordError> {
    let mut fields = FieldReader::record(RecordKind::Sent, bytes)?;
    let mut entries = Vec::new();
    while let Some(entry) = fields.message(1)? {
        if entries.len() == MAX_ENTRIES {
            return Err(RecordError::Corrupt);
        }
        entries.push(Entry::read(entry)?);
    }
    let whole = u64::try_from(entries.len()) == Ok(fields.number(2)?);
    fields.end()?;
    if whole { Ok(entries) } else { Err(RecordError::Corrupt) }
}
