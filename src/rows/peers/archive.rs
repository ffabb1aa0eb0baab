//! The lists that are not in the way of messages: archived sessions of a peer device, and peer devices.

use alloc::vec::Vec;

use crate::ident::{Address, Timestamp};
use crate::ratchet::MAX_RECEIVING_CHAINS;
use crate::rows::Core;
use crate::session::{KeyPrefix, MAX_ARCHIVED, Name};
use crate::staging::{Stop, StoredError, Workspace, stored};
use crate::suite::Suite;
use crate::wire::{Record, RecordError, RecordKind, decode_record, encode_row, record};

type Halt = Stop<StoredError>;

/// An archived session may be the one of a message if one of its prefixes is the message's: so many such sessions are
/// brought for a trial at most. Of the keys that honest peers' messages carry hardly two begin alike.
const MAX_PREFIXED: usize = 4;

/// How exactly the list knows when a session was last read in: the list is not written with each message.
const READ_MS: u64 = 24 * 60 * 60 * 1000;

/// An archived session, as the list has it.
#[derive(Clone, PartialEq, Eq)]
struct Entry {
    suite: Suite,
    name: Name,
    /// When it was archived, or read in, to the day.
    since: Timestamp,
    /// Of suite `Signal`: what the ratchet keys of its receiving chains begin with. None: not known.
    prefixes: Vec<KeyPrefix>,
}

/// Which sessions with a peer device are archived, newest first, and which messages of suite `Signal` they know.
#[derive(Default, Clone, PartialEq, Eq)]
pub(crate) struct Archive(Vec<Entry>);

impl Archive {
    pub(crate) fn load(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<Self, Halt> {
        Self::opened(work.read(&core.keys, RecordKind::Archive, core.peer_key(RecordKind::Archive, address)))
    }

    /// The same, for a hint.
    pub(crate) fn peek(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<Self, Halt> {
        Self::opened(work.peek(&core.keys, RecordKind::Archive, core.peer_key(RecordKind::Archive, address)))
    }

    fn opened(record: Result<Option<&Record>, Halt>) -> Result<Self, Halt> {
        let Some(bytes) = record? else { return Ok(Self::default()) };
        let stored = decode_record(RecordKind::Archive, bytes);
        let archive = stored.and_then(|stored| Self::from_record(&stored).ok_or(RecordError::Corrupt));
        Ok(archive.map_err(self::stored(RecordKind::Archive))?)
    }

    fn from_record(stored: &record::Archive) -> Option<Self> {
        let (entries, rest) = stored.entries.as_chunks::<17>();
        // Whichever field is the last counts the entries: a record cut short has no count.
        let (count, other) = if stored.prefixes.is_empty() {
            (stored.count, stored.with_prefix)
        } else {
            (stored.with_prefix, stored.count)
        };
        let whole = rest.is_empty() && u32::try_from(entries.len()) == Ok(count) && other == 0;
        // Without entries there is no record.
        if !whole || entries.is_empty() || entries.len() > MAX_ARCHIVED {
            return None;
        }
        let entry = |entry: &[u8; 17]| {
            let ([suite], rest) = entry.split_first_chunk::<1>()?;
            let (name, at) = rest.split_first_chunk::<8>()?;
            let since = Timestamp::new(u64::from_be_bytes(*at.first_chunk()?));
            Some(Entry { suite: Suite::from_number((*suite).into())?, name: *name, since, prefixes: Vec::new() })
        };
        let mut archive = Self(entries.iter().map(entry).collect::<Option<_>>()?);
        if !stored.prefixes.is_empty() {
            archive.take_prefixes(&stored.prefixes)?;
        }
        Some(archive)
    }

    fn take_prefixes(&mut self, mut bytes: &[u8]) -> Option<()> {
        for entry in self.0.iter_mut().filter(|entry| entry.suite == Suite::Signal) {
            let (count, rest) = bytes.split_first()?;
            let count = usize::from(*count);
            if count > MAX_RECEIVING_CHAINS {
                return None;
            }
            let (prefixes, rest) = rest.split_at_checked(count * size_of::<KeyPrefix>())?;
            entry.prefixes = prefixes.as_chunks().0.to_vec();
            bytes = rest;
        }
        // Without any, they are not written.
        (bytes.is_empty() && self.has_prefixes()).then_some(())
    }

    fn has_prefixes(&self) -> bool {
        self.0.iter().any(|entry| !entry.prefixes.is_empty())
    }

    fn to_record(&self) -> record::Archive {
        let (mut entries, mut prefixes) = (Vec::with_capacity(self.0.len() * 17), Vec::new());
        for entry in &self.0 {
            entries.push(u8::try_from(entry.suite.number()).unwrap_or(0));
            entries.extend_from_slice(&entry.name);
            entries.extend_from_slice(&entry.since.get().to_be_bytes());
            if entry.suite == Suite::Signal && self.has_prefixes() {
                prefixes.push(u8::try_from(entry.prefixes.len()).unwrap_or(u8::MAX));
                prefixes.extend_from_slice(entry.prefixes.as_flattened());
            }
        }
        let (count, with_prefix) = if prefixes.is_empty() { (self.len(), 0) } else { (0, self.len()) };
        record::Archive { entries, count, prefixes, with_prefix }
    }

    pub(crate) fn save(&self, core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<(), Halt> {
        let key = core.peer_key(RecordKind::Archive, address);
        work.row(key)?;
        if self.0.is_empty() {
            work.delete(key);
            return Ok(());
        }
        work.put(&core.keys, key, encode_row(RecordKind::Archive, &self.to_record()));
        Ok(())
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The sessions that messages do not name.
    pub(crate) fn unnamed(&self) -> Vec<Name> {
        self.0.iter().filter(|entry| entry.suite == Suite::Signal).map(|entry| entry.name).collect()
    }

    /// Those of them that have this prefix, newest first.
    pub(crate) fn with_prefix(&self, prefix: KeyPrefix) -> Vec<Name> {
        self.0
            .iter()
            .filter(|entry| entry.prefixes.contains(&prefix))
            .map(|entry| entry.name)
            .take(MAX_PREFIXED)
            .collect()
    }

    /// All of them.
    pub(crate) fn names(&self) -> Vec<Name> {
        self.0.iter().map(|entry| entry.name).collect()
    }

    pub(crate) fn enter(&mut self, suite: Suite, name: Name, now: Timestamp) {
        self.remove(name);
        self.0.insert(0, Entry { suite, name, since: now, prefixes: Vec::new() });
    }

    /// Which messages a session knows now.
    pub(crate) fn prefix(&mut self, name: Name, prefixes: Vec<KeyPrefix>) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.name == name) {
            entry.prefixes = prefixes;
        }
    }

    /// A message was read in a session, which stays where it is.
    pub(super) fn read_in(&mut self, name: Name, now: Timestamp) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.name == name && now.since(entry.since) >= READ_MS) {
            entry.since = now;
        }
    }

    pub(crate) fn remove(&mut self, name: Name) {
        self.0.retain(|entry| entry.name != name);
    }

    /// Drops what is too many: the oldest.
    pub(crate) fn evict(&mut self) -> Vec<Name> {
        let kept = self.0.len().min(MAX_ARCHIVED);
        self.0.drain(kept..).map(|entry| entry.name).collect()
    }

    /// Those in which nothing was read for so long.
    pub(crate) fn older_than(&self, age_ms: u64, now: Timestamp) -> Vec<Name> {
        self.0.iter().filter(|entry| now.since(entry.since) > age_ms).map(|entry| entry.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn entry(suite: Suite, name: u8, prefixes: &[KeyPrefix]) -> Entry {
        Entry { suite, name: [name; 8], since: Timestamp::new(name.into()), prefixes: prefixes.to_vec() }
    }

    fn archive() -> Archive {
        let (a, b) = (entry(Suite::Signal, 1, &[[1; 4], [2; 4]]), entry(Suite::V1, 2, &[]));
        Archive(vec![a, b, entry(Suite::Signal, 3, &[]), entry(Suite::Signal, 4, &[[5; 4]; MAX_RECEIVING_CHAINS])])
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let without = Archive(vec![entry(Suite::Signal, 1, &[]), entry(Suite::V1, 2, &[])]);
        for archive in [archive(), without, Archive(vec![entry(Suite::V1, 2, &[])])] {
            assert!(Archive::from_record(&archive.to_record()).unwrap() == archive);
        }
        let stored = archive().to_record();
        assert_eq!((stored.count, stored.with_prefix), (0, 4));
        assert_eq!(stored.prefixes, [&[2, 1, 1, 1, 1, 2, 2, 2, 2, 0, 5][..], &[5; 20]].concat());
    }

    #[test]
    fn a_prefix_finds_the_newest() {
        let mut archive = archive();
        assert_eq!(archive.with_prefix([2; 4]), [[1; 8]]);
        assert!(archive.with_prefix([3; 4]).is_empty());
        for name in 10..20 {
            archive.enter(Suite::Signal, [name; 8], Timestamp::new(0));
            archive.prefix([name; 8], vec![[2; 4]]);
        }
        assert_eq!(archive.with_prefix([2; 4]), [19, 18, 17, 16].map(|name| [name; 8]));
        archive.remove([19; 8]);
        archive.prefix([18; 8], Vec::new());
        assert_eq!(archive.with_prefix([2; 4])[..2], [17, 16].map(|name| [name; 8]));
    }

    #[test]
    fn the_longest_list_is_within_its_bound() {
        let longest =
            Archive((0..40).map(|name| entry(Suite::Signal, name, &[[9; 4]; MAX_RECEIVING_CHAINS])).collect());
        assert!(encode_row(RecordKind::Archive, &longest.to_record()).len() < 1_600);
    }

    /// Each of these says nothing that can be believed.
    #[test]
    fn what_is_not_a_list_is_refused() {
        let changed = |name: &str, change: fn(&mut record::Archive)| {
            let mut stored = archive().to_record();
            change(&mut stored);
            assert!(Archive::from_record(&stored).is_none(), "{name}");
        };
        changed("no count", |stored| stored.with_prefix = 0);
        changed("another count", |stored| stored.with_prefix = 3);
        changed("the count where there are no prefixes", |stored| (stored.count, stored.with_prefix) = (4, 0));
        changed("both counts", |stored| stored.count = 4);
        changed("prefixes cut off", |stored| stored.prefixes = Vec::new());
        changed("prefixes of fewer", |stored| stored.prefixes.truncate(10));
        changed("a prefix cut short", |stored| stored.prefixes.truncate(30));
        changed("prefixes of more", |stored| stored.prefixes.push(0));
        changed("more prefixes than chains", |stored| {
            stored.prefixes[10] = 6;
            stored.prefixes.extend_from_slice(&[5; 4]);
        });
        changed("marks, and none", |stored| stored.prefixes = vec![0; 3]);
        changed("nothing", |stored| *stored = record::Archive::default());
        changed("an entry cut short", |stored| stored.entries.truncate(67));
        changed("an unknown suite", |stored| stored.entries[0] = 9);
        changed("too many", |stored| {
            stored.entries = [&[1; 17][..]; 41].concat();
            (stored.prefixes, stored.with_prefix) = (Vec::new(), 0);
            stored.count = 41;
        });
    }

    /// At the boundary of every field.
    #[test]
    fn a_record_cut_short_is_refused() {
        use prost::Message as _;
        let stored = archive().to_record();
        let whole = stored.encode_to_vec();
        let entries = 2 + stored.entries.len();
        for cut in [0, entries, whole.len() - 2] {
            let stored = record::Archive::decode(&whole[..cut]).unwrap();
            assert!(Archive::from_record(&stored).is_none(), "{cut}");
        }
    }
}
