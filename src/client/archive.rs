//! The lists that are not in the way of messages: archived sessions of a peer device, and peer devices.

use alloc::vec::Vec;

use super::workspace::{Stop, Workspace, stored};
use super::{Core, StoredError};
use crate::ident::{Address, Timestamp};
use crate::session::{MAX_ARCHIVED, Name};
use crate::suite::Suite;
use crate::wire::{
    RecordError, RecordKind, address_from_record, address_to_record, decode_record, encode_record, record,
};

type Halt = Stop<StoredError>;

/// Which sessions with a peer device are archived: suite, name, since when; newest first.
#[derive(Default)]
pub(super) struct Archive(Vec<(Suite, Name, Timestamp)>);

impl Archive {
    pub(super) fn load(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<Self, Halt> {
        let key = core.peer_key(RecordKind::Archive, address);
        let Some(bytes) = work.read(&core.keys, RecordKind::Archive, key)? else { return Ok(Self(Vec::new())) };
        Ok(Self::from_bytes(&bytes).map_err(stored(RecordKind::Archive))?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let stored: record::Archive = decode_record(RecordKind::Archive, bytes)?;
        let (entries, rest) = stored.entries.as_chunks::<17>();
        let whole = rest.is_empty() && u32::try_from(entries.len()) == Ok(stored.count);
        if !whole || entries.len() > MAX_ARCHIVED {
            return Err(RecordError::Corrupt);
        }
        let entry = |entry: &[u8; 17]| {
            let ([suite], rest) = entry.split_first_chunk::<1>()?;
            let (name, at) = rest.split_first_chunk::<8>()?;
            let at = Timestamp::new(u64::from_be_bytes(*at.first_chunk()?));
            Some((Suite::from_number((*suite).into())?, *name, at))
        };
        entries.iter().map(entry).collect::<Option<_>>().map(Self).ok_or(RecordError::Corrupt)
    }

    pub(super) fn save(&self, core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<(), Halt> {
        let key = core.peer_key(RecordKind::Archive, address);
        work.row(key)?;
        if self.0.is_empty() {
            work.delete(key);
            return Ok(());
        }
        let mut entries = Vec::with_capacity(self.0.len() * 17);
        for (suite, name, at) in &self.0 {
            entries.push(u8::try_from(suite.number()).unwrap_or(0));
            entries.extend_from_slice(name);
            entries.extend_from_slice(&at.get().to_be_bytes());
        }
        let stored = record::Archive { entries, count: self.len() };
        work.put(&core.keys, key, encode_record(RecordKind::Archive, &stored));
        Ok(())
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The sessions that messages do not name.
    pub(super) fn unnamed(&self) -> Vec<Name> {
        self.0.iter().filter(|(suite, ..)| *suite == Suite::Signal).map(|(_, name, _)| *name).collect()
    }

    /// All of them.
    pub(super) fn names(&self) -> Vec<Name> {
        self.0.iter().map(|(_, name, _)| *name).collect()
    }

    pub(super) fn enter(&mut self, suite: Suite, name: Name, now: Timestamp) {
        self.remove(name);
        self.0.insert(0, (suite, name, now));
    }

    pub(super) fn remove(&mut self, name: Name) {
        self.0.retain(|(_, held, _)| *held != name);
    }

    /// Drops what is too many: the oldest.
    pub(super) fn evict(&mut self) -> Vec<Name> {
        let kept = self.0.len().min(MAX_ARCHIVED);
        self.0.drain(kept..).map(|(_, name, _)| name).collect()
    }

    /// Those that were archived so long ago.
    pub(super) fn older_than(&self, age_ms: u64, now: Timestamp) -> Vec<Name> {
        self.0.iter().filter(|(.., at)| now.since(*at) > age_ms).map(|(_, name, _)| *name).collect()
    }
}

impl Core {
    /// The peer devices of one part of the index, ascending.
    pub(super) fn load_page(&self, work: &mut Workspace<'_>, page: u8) -> Result<Vec<Address>, Halt> {
        let Some(bytes) = work.read(&self.keys, RecordKind::PeerPage, self.page_key(page))? else {
            return Ok(Vec::new());
        };
        let addresses = decode_record::<record::PeerPage>(RecordKind::PeerPage, &bytes).and_then(|stored| {
            let addresses: Result<Vec<_>, _> =
                stored.addresses.iter().map(|address| address_from_record(Some(address))).collect();
            let addresses = addresses?;
            let whole = u32::try_from(addresses.len()) == Ok(stored.count) && addresses.is_sorted_by(|a, b| a < b);
            if whole { Ok(addresses) } else { Err(RecordError::Corrupt) }
        });
        Ok(addresses.map_err(stored(RecordKind::PeerPage))?)
    }

    pub(super) fn save_page(&self, work: &mut Workspace<'_>, page: u8, addresses: &[Address]) -> Result<(), Halt> {
        let key = self.page_key(page);
        work.row(key)?;
        let stored = record::PeerPage {
            addresses: addresses.iter().map(address_to_record).collect(),
            count: u32::try_from(addresses.len()).unwrap_or(u32::MAX),
        };
        work.put(&self.keys, key, encode_record(RecordKind::PeerPage, &stored));
        Ok(())
    }
}
