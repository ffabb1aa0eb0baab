//! The sent log: which messages were sent to a peer device, and as what, so that none is sent twice and the device can ask
//! for one that it could not read. Neither text nor envelope is in it: these are the host's.
//!
//! A hash table of 128 records a device, so that sending finds its record without a list that grows. The first two bytes of
//! an envelope's id tell the device's own log which record that is, and nobody else anything.

use alloc::vec::Vec;

use super::peer::Peer;
use super::workspace::{Stop, Workspace, stored};
use super::{Core, StoredError};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::crypto::{PUBLIC_KEY_LEN, PublicKey, sha256};
use crate::ident::{Address, MessageId, MessageName, Timestamp};
use crate::persist::RecordKey;
use crate::suite::v1::encode_address;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind, read_public_key};

/// How long a message can be asked for: 30 days.
pub(super) const SENT_LOG_MS: u64 = 30 * DAY_MS;

/// All messages of a day are remembered, as far as there is room; of those before, the newest.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Records of one device.
const RECORDS: u16 = 128;

/// Most messages in one record: 2,048 of one device. The oldest goes.
const MAX_ENTRIES: usize = 16;

/// Most messages of one device that are older than a day.
const MAX_OLD: usize = 384;

/// What a message says, as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    /// First 16 bytes of the digest of its content.
    pub(super) content: [u8; 16],
    /// The same of the parts of a framed message, whose content is another one each time that it is framed.
    pub(super) parts: [u8; 16],
    /// The content's number.
    pub(super) number: u8,
}

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    id: MessageId,
    name: [u8; 16],
    pub(super) digest: Digest,
    /// Seconds since 1970.
    at: u32,
    /// Whether it was asked for and sent again, as a message of another name.
    pub(super) answered: bool,
}

const ENTRY_LEN: usize = 16 + 16 + 16 + 16 + 4 + 1 + 1;

impl Entry {
    pub(super) fn new(id: MessageId, name: &MessageName, digest: Digest, at: Timestamp) -> Self {
        let at = u32::try_from(at.get() / 1000).unwrap_or(u32::MAX);
        Self { id, name: first(name.as_bytes()), digest, at, answered: false }
    }

    pub(super) const fn id(&self) -> MessageId {
        self.id
    }

    fn sent(&self) -> Timestamp {
        Timestamp::new(u64::from(self.at) * 1000)
    }

    fn write(&self, out: &mut FieldWriter) {
        let Self { id, name, digest: Digest { content, parts, number }, at, answered } = self;
        out.put(id.as_bytes());
        out.put(name);
        out.put(content);
        out.put(parts);
        out.put(&at.to_be_bytes());
        out.put(&[*number, u8::from(*answered)]);
    }

    fn read(bytes: &[u8; ENTRY_LEN]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk()?;
        let (content, rest) = rest.split_first_chunk()?;
        let (parts, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let [number, answered @ (0 | 1)] = *rest else { return None };
        let digest = Digest { content: *content, parts: *parts, number };
        let (id, at) = (MessageId::new(*id), u32::from_be_bytes(*at));
        Some(Self { id, name: *name, digest, at, answered: answered == 1 })
    }
}

/// The first half of 32 bytes.
pub(super) fn first(bytes: &[u8; 32]) -> [u8; 16] {
    core::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())
}

/// Which records of the log with one device there are, a bit for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SentIndex(u128);

impl SentIndex {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        const { assert!(RECORDS == 128, "a bit for each") };
        match bytes.try_into().map(u128::from_be_bytes) {
            Ok(bits @ 1..) => Ok(Self(bits)),
            Err(_) if bytes.is_empty() => Ok(Self(0)),
            _ => Err(RecordError::Corrupt),
        }
    }

    pub(super) fn write(self, out: &mut FieldWriter) {
        if self.0 != 0 {
            out.put(&self.0.to_be_bytes());
        }
    }

    /// The numbers of the records that there may be.
    pub(super) fn present(self) -> impl Iterator<Item = u16> {
        (0..RECORDS).filter(move |number| self.0 >> number & 1 != 0)
    }

    const fn set(&mut self, number: u16, present: bool) {
        let bit = 1 << (number % RECORDS);
        if present { self.0 |= bit } else { self.0 &= !bit }
    }
}

/// The numbers of all records that there can be.
pub(super) const fn all_numbers() -> core::ops::Range<u16> {
    0..RECORDS
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
        let [high, low, ..] = sha256(&[id.as_bytes()]);
        let slot = u16::from_be_bytes([high, low]) % RECORDS;
        let peer = core.peer_key(RecordKind::Peer, to);
        Self { to: to.clone(), id, peer, slot: (slot, Slot::key(core, to, slot)) }
    }
}

impl Core {
    /// An envelope's id that leads back to the record: the number stands in the lowest bits of its first two bytes, under a
    /// mask that nobody else can derive. The numbers of messages are evenly spread, so that neither these bits nor the
    /// others say anything, nor that two envelopes are of one sender.
    pub(super) fn envelope_id(&self, to: &Address, number: u16, random: [u8; 16]) -> [u8; 16] {
        let [high, low, rest @ ..] = random;
        let masked = (u16::from_be_bytes([high, low]) & !(RECORDS - 1)) | ((number ^ self.slot_mask(to)) % RECORDS);
        let mut id = [0; 16];
        let bytes = masked.to_be_bytes().into_iter().chain(rest);
        id.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        id
    }

    /// The record that an envelope's id leads to.
    pub(super) fn slot_of(&self, to: &Address, envelope: &[u8; 16]) -> u16 {
        let [high, low, ..] = *envelope;
        (u16::from_be_bytes([high, low]) ^ self.slot_mask(to)) % RECORDS
    }

    fn slot_mask(&self, to: &Address) -> u16 {
        let [high, low, ..] = *self.keys.pseudonym(&[b"sent", &encode_address(to)]).expose();
        u16::from_be_bytes([high, low])
    }
}

/// One record of the log.
pub(super) struct Slot {
    number: u16,
    key: RecordKey,
    entries: Vec<Entry>,
}

impl Slot {
    pub(super) fn key(core: &Core, address: &Address, number: u16) -> RecordKey {
        core.keys.record_key(RecordKind::Sent, &[&encode_address(address), &number.to_be_bytes()])
    }

    /// What was sealed to this identity key; what was sealed to another one is as good as gone.
    pub(super) fn load(
        core: &Core,
        work: &mut Workspace<'_>,
        (number, key): (u16, RecordKey),
        identity: &PublicKey,
    ) -> Result<Self, Stop<StoredError>> {
        let Some(bytes) = work.read(&core.keys, RecordKind::Sent, key)? else {
            return Ok(Self { number, key, entries: Vec::new() });
        };
        let (sealed_to, mut entries) = entries(bytes).map_err(stored(RecordKind::Sent))?;
        #[cfg(test)]
        let sealed_to = if planted::is(Defect::AnyKey) { *identity } else { sealed_to };
        if sealed_to != *identity {
            entries.clear();
        }
        Ok(Self { number, key, entries })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// What was sent under an id, the newest.
    pub(super) fn find(&self, id: MessageId) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.id == id)
    }

    /// A log that forgets what was answered: a defect.
    #[cfg(test)]
    pub(super) fn never_answered(mut self) -> Self {
        self.entries.iter_mut().for_each(|entry| entry.answered = false);
        self
    }

    /// The message of a name.
    pub(super) fn find_name(&self, name: &[u8; 32]) -> Option<&Entry> {
        let name = first(name);
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The message of an id that was sent last was sent again, because it was asked for.
    pub(super) fn answered(&mut self, id: MessageId) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.id == id) {
            entry.answered = true;
        }
    }

    pub(super) fn enter(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.entries.drain(..self.entries.len().saturating_sub(MAX_ENTRIES));
    }

    pub(super) fn remove(&mut self, id: MessageId) {
        self.entries.retain(|entry| entry.id != id);
    }

    /// Drops what was sent before this moment.
    fn drop_before(&mut self, oldest: Timestamp) {
        self.entries.retain(|entry| entry.sent() >= oldest);
    }

    /// Writes the record, which was read, and notes in the peer whether it is there.
    pub(super) fn save(self, core: &Core, work: &mut Workspace<'_>, peer: &mut Peer) {
        let key = self.key;
        peer.sent.set(self.number, !self.entries.is_empty());
        if self.entries.is_empty() {
            work.delete(key);
            return;
        }
        let len = self.entries.len();
        let mut record = FieldWriter::row(RecordKind::Sent, PUBLIC_KEY_LEN + 16 + len * ENTRY_LEN);
        record.bytes(1, &peer.session.remote_identity().to_bytes());
        record.begin_bytes(2, len * ENTRY_LEN);
        for entry in &self.entries {
            entry.write(&mut record);
        }
        record.number(3, u64::try_from(len).unwrap_or(u64::MAX));
        work.put(&core.keys, key, record.into_record());
    }
}

/// Drops of the log with one device, all of whose records are here, what is older than 30 days, and of what is older than a
/// day all but the newest, by a clock that is surely not ahead.
pub(super) fn expire(slots: &mut [Slot], now: Timestamp) {
    let sent = slots.iter().flat_map(|slot| &slot.entries).map(Entry::sent);
    let mut old: Vec<Timestamp> = sent.filter(|at| now.since(*at) > DAY_MS).collect();
    old.sort_unstable();
    let newest = old.len().checked_sub(MAX_OLD).and_then(|at| old.get(at));
    let oldest =
        Timestamp::new(now.get().saturating_sub(SENT_LOG_MS)).max(newest.copied().unwrap_or(Timestamp::new(0)));
    slots.iter_mut().for_each(|slot| slot.drop_before(oldest));
}

fn entries(bytes: &[u8]) -> Result<(PublicKey, Vec<Entry>), RecordError> {
    let mut fields = FieldReader::record(RecordKind::Sent, bytes)?;
    let identity = read_public_key(&mut fields, 1)?;
    let (stored, rest) = fields.bytes(2)?.as_chunks::<ENTRY_LEN>();
    let count = fields.number(3)?;
    fields.end()?;
    let whole = rest.is_empty() && u64::try_from(stored.len()) == Ok(count) && stored.len() <= MAX_ENTRIES;
    // Room for the one that is likely to come.
    let mut entries = Vec::with_capacity(stored.len() + 1);
    for entry in stored.iter().filter(|_| whole) {
        entries.push(Entry::read(entry).ok_or(RecordError::Corrupt)?);
    }
    if whole && !entries.is_empty() { Ok((identity, entries)) } else { Err(RecordError::Corrupt) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const START: u64 = 1_800_000_000_000;

    fn entry(number: u8, days: u64) -> Entry {
        let digest = Digest { content: [number; 16], parts: [0; 16], number: 16 };
        let at = Timestamp::new(START + days * DAY_MS);
        Entry::new(MessageId::new([number; 16]), &MessageName::new([number; 32]), digest, at)
    }

    fn slot(entries: Vec<Entry>) -> Slot {
        let key = RecordKey::VAULT;
        Slot { number: 0, key, entries }
    }

    fn ids(slot: &Slot) -> Vec<u8> {
        slot.entries.iter().map(|entry| entry.id.as_bytes()[0]).collect()
    }

    #[test]
    fn a_bit_for_each_record() {
        let mut index = SentIndex::default();
        for number in [0, 127, 5] {
            index.set(number, true);
        }
        assert_eq!(index.present().collect::<Vec<_>>(), [0, 5, 127]);
        index.set(5, false);
        let mut out = FieldWriter::with_capacity(16);
        index.write(&mut out);
        let bytes = out.finish();
        assert_eq!(SentIndex::read(&bytes), Ok(index));
        assert_eq!(SentIndex::read(&[]), Ok(SentIndex::default()));
        for bytes in [vec![0; 16], vec![1; 15], vec![1; 17]] {
            assert_eq!(SentIndex::read(&bytes), Err(RecordError::Corrupt));
        }
    }

    #[test]
    fn the_oldest_goes_and_of_the_old_ones_the_newest_stay() {
        let mut full = slot(Vec::new());
        (0..40).for_each(|number| full.enter(entry(number, 0)));
        assert_eq!(ids(&full), (24..40).collect::<Vec<_>>());
        // 16 on each of 25 days, and one of later.
        let of = |day: u8| slot((0..16).map(|number| entry(number, day.into())).collect());
        let mut slots: Vec<_> = (0..25).map(of).collect();
        slots.push(slot(vec![entry(250, 40)]));
        expire(&mut slots, Timestamp::new(START + 27 * DAY_MS));
        let left: Vec<usize> = slots.iter().map(Slot::len).collect();
        assert_eq!(left.iter().sum::<usize>(), MAX_OLD + 1);
        assert_eq!(left[..2], [0, 16]);
        expire(&mut slots, Timestamp::new(START + 62 * DAY_MS));
        assert_eq!(slots.iter().map(Slot::len).sum::<usize>(), 1);
        // A clock of before deletes nothing.
        expire(&mut slots, Timestamp::new(0));
        assert_eq!(slots.iter().map(Slot::len).sum::<usize>(), 1);
    }

    #[test]
    fn what_was_sent_again_has_two_names() {
        let mut slot = slot(vec![entry(1, 0)]);
        slot.answered(MessageId::new([1; 16]));
        let again = Entry { name: [9; 16], ..entry(1, 0) };
        slot.enter(again);
        assert!(slot.find_name(&[1; 32]).unwrap().answered);
        assert!(!slot.find_name(&[9; 32]).unwrap().answered);
        assert!(!slot.find(MessageId::new([1; 16])).unwrap().answered);
        slot.remove(MessageId::new([1; 16]));
        assert!(slot.is_empty());
    }
}
