//! Segments of the sent log: rows of eight messages each, that the device's own row has no room for any more; and what is
//! done with the log of a device, in its own row and in these.

use alloc::vec::Vec;

use super::dates::Dates;
use super::entry::{ENTRY_LEN, Entry};
use super::index::{Index, SEGMENT};
use super::log::SentLog;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::crypto::{PUBLIC_KEY_LEN, PublicKey};
use crate::ident::{Address, MessageId};
use crate::persist::RecordKey;
use crate::rows::{Core, Peer};
use crate::staging::{Stop, StoredError, Workspace, stored};
use crate::suite::v1::encode_address;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind, read_public_key};

type Halt = Stop<StoredError>;

/// The row of a segment.
pub(crate) fn segment_key(core: &Core, address: &Address, number: u8) -> RecordKey {
    core.keys.record_key(RecordKind::Sent, &[&encode_address(address), &[number]])
}

/// One segment, the oldest message first.
pub(crate) struct Segment {
    number: u8,
    key: RecordKey,
    entries: Vec<Entry>,
}

impl Segment {
    /// What was sealed to this identity key. What was sealed to another one is as good as gone: whoever has put such a row
    /// back gets nothing of it for the key that the device has now.
    fn load(
        core: &Core,
        work: &mut Workspace<'_>,
        (number, key): (u8, RecordKey),
        identity: &PublicKey,
    ) -> Result<Self, Halt> {
        let none = Self { number, key, entries: Vec::new() };
        let Some(bytes) = work.read(&core.keys, RecordKind::Sent, key)? else { return Ok(none) };
        let (sealed_to, entries) = read(bytes).map_err(stored(RecordKind::Sent))?;
        #[cfg(test)]
        let sealed_to = if planted::is(Defect::AnyKey) { *identity } else { sealed_to };
        Ok(if sealed_to == *identity { Self { entries, ..none } } else { none })
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Writes it, whose row was asked for.
    fn save(&self, core: &Core, work: &mut Workspace<'_>, identity: &PublicKey) {
        if self.entries.is_empty() {
            work.delete(self.key);
            return;
        }
        let mut entries = Vec::with_capacity(self.entries.len() * ENTRY_LEN);
        self.entries.iter().for_each(|entry| entry.write(&mut entries));
        let mut record = FieldWriter::row(RecordKind::Sent, PUBLIC_KEY_LEN + 16 + entries.len());
        record.bytes(1, &identity.to_bytes());
        record.bytes(2, &entries);
        work.put(&core.keys, self.key, record.into_record());
    }
}

fn read(bytes: &[u8]) -> Result<(PublicKey, Vec<Entry>), RecordError> {
    let mut fields = FieldReader::record(RecordKind::Sent, bytes)?;
    let identity = read_public_key(&mut fields, 1)?;
    let entries = fields.some_bytes(2)?;
    fields.end()?;
    let is_whole = Entry::count(entries).is_some_and(|count| (1..=SEGMENT).contains(&count));
    if is_whole { Ok((identity, Entry::each(entries).collect())) } else { Err(RecordError::Corrupt) }
}

impl Peer {
    fn index_key(&self, core: &Core) -> RecordKey {
        core.peer_key(RecordKind::SentIndex, &self.address)
    }

    /// Says that it will be looked into.
    pub(crate) fn announce_index(&self, core: &Core, work: &mut Workspace<'_>) {
        if self.sent.has_segments() {
            work.announce([self.index_key(core)]);
        }
    }

    /// Which segments there are. Nothing is read if there are none.
    fn load_index(&self, core: &Core, work: &mut Workspace<'_>) -> Result<Index, Halt> {
        if !self.sent.has_segments() {
            return Ok(Index::default());
        }
        let read = work.read(&core.keys, RecordKind::SentIndex, self.index_key(core))?;
        let index = read.map(|record| Index::read(record, self.sent.number())).transpose();
        Ok(index.map_err(stored(RecordKind::SentIndex))?.unwrap_or_default())
    }

    /// Writes it, whose row was asked for, and takes note of it.
    fn save_index(&mut self, core: &Core, work: &mut Workspace<'_>, index: &Index) {
        self.sent.note(index);
        self.write_index(core, work, index);
    }

    fn write_index(&self, core: &Core, work: &mut Workspace<'_>, index: &Index) {
        let key = self.index_key(core);
        match index.to_record() {
            Some(record) => work.put(&core.keys, key, record),
            None => work.delete(key),
        }
    }

    /// The numbers of its segments, the newest first.
    pub(crate) fn segment_numbers(&self, core: &Core, work: &mut Workspace<'_>) -> Result<Vec<u8>, Halt> {
        Ok(self.load_index(core, work)?.numbers().collect())
    }

    /// Segments of the log with the device, in this order.
    pub(crate) fn load_segments(
        &self,
        core: &Core,
        work: &mut Workspace<'_>,
        numbers: impl IntoIterator<Item = u8>,
    ) -> Result<Vec<Segment>, Halt> {
        let places = numbers.into_iter().map(|number| (number, segment_key(core, &self.address, number)));
        let places: Vec<_> = places.collect();
        work.announce(places.iter().map(|(_, key)| *key));
        work.ready()?;
        let identity = self.session.remote_identity();
        places.into_iter().map(|place| Segment::load(core, work, place, identity)).collect()
    }

    /// What was sent to the device under an id, the newest. Most of the time no segment is looked into.
    pub(crate) fn sent_as(&self, core: &Core, work: &mut Workspace<'_>, id: MessageId) -> Result<Option<Entry>, Halt> {
        if let Some(entry) = self.sent.newest().filter(|entry| entry.id() == id).last() {
            return Ok(Some(entry));
        }
        if !self.sent.may_be_in_a_segment(id) {
            return Ok(None);
        }
        let index = self.load_index(core, work)?;
        let segments = self.load_segments(core, work, index.numbers_with(id))?;
        let newest_first = segments.into_iter().flat_map(|segment| segment.entries.into_iter().rev());
        Ok(newest_first.into_iter().find(|entry| entry.id() == id))
    }

    /// Makes room for one message more: where its own row holds eight, they become a segment, and the oldest one goes.
    pub(crate) fn make_room(&mut self, core: &Core, work: &mut Workspace<'_>) -> Result<(), Halt> {
        if !self.sent.is_full() {
            return Ok(());
        }
        // In one round: the index, the segment that is to be, and the one that goes if none was dropped before its time.
        let number = self.sent.number();
        let keys = [number, SentLog::number_that_goes(number)].map(|number| segment_key(core, &self.address, number));
        work.announce(keys.into_iter().chain([self.index_key(core)]));
        work.ready()?;
        let mut index = self.load_index(core, work)?;
        work.row(self.index_key(core))?;
        let (number, entries, old) = self.sent.begin_segment(&mut index);
        self.write_index(core, work, &index);
        let segment = Segment { number, key: segment_key(core, &self.address, number), entries };
        let old = old.map(|number| segment_key(core, &self.address, number));
        // One may be there, where the device's own row is an older one that was put back: it is written over.
        work.row(segment.key)?;
        segment.save(core, work, self.session.remote_identity());
        old.map_or(Ok(()), |key| work.remove(key))
    }

    /// Notes that what was sent under an id is sent again, because it was asked for.
    pub(crate) fn answered(&mut self, core: &Core, work: &mut Workspace<'_>, id: MessageId) -> Result<(), Halt> {
        let note = |entry: &mut Entry| {
            let is_new = entry.id() == id && !entry.answered;
            entry.answered |= is_new;
            is_new
        };
        let index = self.load_index(core, work)?;
        for mut segment in self.load_segments(core, work, index.numbers_with(id))? {
            if segment.entries.iter_mut().map(note).fold(false, |any, new| any | new) {
                segment.save(core, work, self.session.remote_identity());
            }
        }
        self.sent.retain(|entry| {
            note(entry);
            true
        });
        Ok(())
    }

    /// Drops all messages of an id from the log. Whether there were any.
    pub(crate) fn drop_sent(&mut self, core: &Core, work: &mut Workspace<'_>, id: MessageId) -> Result<bool, Halt> {
        let mut index = self.load_index(core, work)?;
        let segments = self.load_segments(core, work, index.numbers_with(id))?;
        let mut changed = self.sent.newest().any(|entry| entry.id() == id);
        self.sent.retain(|entry| entry.id() != id);
        for mut segment in segments {
            let before = segment.entries.len();
            segment.entries.retain(|entry| entry.id() != id);
            if segment.entries.len() != before {
                segment.save(core, work, self.session.remote_identity());
                index.changed(segment.number, &segment.entries);
                self.save_index(core, work, &index);
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Drops what is old: of the segments those of which all is. Whether anything has changed. The rows are to be asked for
    /// before.
    pub(crate) fn drop_old_sent(&mut self, core: &Core, work: &mut Workspace<'_>, dates: Dates) -> Result<bool, Halt> {
        if !self.sent.looks_old(dates) {
            return Ok(false);
        }
        let mut index = self.load_index(core, work)?;
        let before = index.clone();
        let (mut changed, old) = self.sent.drop_old(&mut index, dates);
        for number in old {
            work.remove(segment_key(core, &self.address, number))?;
            index.changed(number, &[]);
        }
        // Where the row is gone, too, nothing is waited for any more.
        if index != before || index.filter().is_some() != self.sent.has_segments() {
            work.row(self.index_key(core))?;
            self.save_index(core, work, &index);
            changed = true;
        }
        Ok(changed)
    }

    /// The rows of the log: of the index, and of the segments.
    pub(crate) fn log_keys(&self, core: &Core, work: &mut Workspace<'_>) -> Result<Vec<RecordKey>, Halt> {
        let numbers = self.load_index(core, work)?;
        let keys = numbers.numbers().map(|number| segment_key(core, &self.address, number));
        Ok(keys.chain(self.sent.has_segments().then(|| self.index_key(core))).collect())
    }

    /// The rows of those segments of which all is old.
    pub(crate) fn old_segment_keys(
        &self,
        core: &Core,
        work: &mut Workspace<'_>,
        mut dates: Dates,
    ) -> Result<Vec<RecordKey>, Halt> {
        if !self.sent.looks_old(dates) {
            return Ok(Vec::new());
        }
        let numbers = self.load_index(core, work)?.old(&mut dates);
        Ok(numbers.into_iter().map(|number| segment_key(core, &self.address, number)).collect())
    }

    /// The log goes with the identity key that it is of.
    pub(crate) fn drop_log(&mut self, core: &Core, work: &mut Workspace<'_>) -> Result<(), Halt> {
        #[cfg(test)]
        if planted::is(Defect::AnyKey) {
            return Ok(());
        }
        let keys = self.log_keys(core, work)?;
        work.announce(keys.iter().copied());
        work.ready()?;
        self.sent = SentLog::default();
        keys.into_iter().try_for_each(|key| work.remove(key))
    }
}
