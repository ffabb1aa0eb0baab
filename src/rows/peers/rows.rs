//! The rows of a peer device: what changes with every message in one record, everything else apart.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::archive::Archive;
use super::peer::Peer;
use super::skipped_keys::erase_skipped;
use crate::ident::Address;
use crate::persist::RecordKey;
use crate::rows::Core;
use crate::session::{ArchivedPart, FirstMessage, Name, RECORD_CAPACITY, Session, SessionMessage};
use crate::staging::{Stop, StoredError, Workspace, stored};
use crate::suite::Suite;
use crate::suite::v1::encode_address;
use crate::wire::{FieldReader, FieldWriter, Record, RecordError, RecordKind};

type Halt = Stop<StoredError>;

impl Core {
    pub(crate) fn peer_key(&self, kind: RecordKind, address: &Address) -> RecordKey {
        self.keys.record_key(kind, &[&encode_address(address)])
    }

    pub(crate) fn session_key(&self, kind: RecordKind, address: &Address, name: Name) -> RecordKey {
        self.keys.record_key(kind, &[&encode_address(address), &name])
    }

    /// What is known of a peer device, if anything is.
    pub(crate) fn load_peer(&self, work: &mut Workspace<'_>, address: &Address) -> Result<Option<Box<Peer>>, Halt> {
        self.load_peer_at(work, address, self.peer_key(RecordKind::Peer, address))
    }

    /// The same; of a device that was forgotten, what it was known by: a device without a session. It is written with what
    /// comes of it.
    pub(crate) fn load_pinned(&self, work: &mut Workspace<'_>, address: &Address) -> Result<Option<Box<Peer>>, Halt> {
        if let Some(peer) = self.load_peer(work, address)? {
            return Ok(Some(peer));
        }
        let Some(identity) = self.load_pin(work, address)? else { return Ok(None) };
        let Some(device) = self.load_device(work)? else { return Ok(None) };
        Ok(Some(Peer::new(self, Session::without_state(&device, address, &identity, false))))
    }

    /// The same, where its place is known.
    pub(crate) fn load_peer_at(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
        key: RecordKey,
    ) -> Result<Option<Box<Peer>>, Halt> {
        if let Some(peer) = self.cache.as_ref().and_then(|cache| work.cached(cache, key)) {
            return Ok(Some(peer));
        }
        self.read_peer(work, address, key)
    }

    /// The same for whoever only sends, and saves it.
    pub(crate) fn load_peer_to_send(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
        key: RecordKey,
    ) -> Result<Option<Box<Peer>>, Halt> {
        match self.cache {
            // There it is for the next message, whoever sends that.
            Some(_) => self.load_peer_at(work, address, key),
            None => self.read_peer_for(work, address, key, true),
        }
    }

    /// The same, past the memory of opened rows: whoever only looks takes nothing out of it.
    pub(crate) fn read_peer(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
        key: RecordKey,
    ) -> Result<Option<Box<Peer>>, Halt> {
        self.read_peer_for(work, address, key, false)
    }

    fn read_peer_for(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
        key: RecordKey,
        only_sends: bool,
    ) -> Result<Option<Box<Peer>>, Halt> {
        let Some(bytes) = work.read(&self.keys, RecordKind::Peer, key)? else { return Ok(None) };
        let peer = Peer::from_bytes(bytes, key, self.generation, only_sends).map_err(stored(RecordKind::Peer))?;
        if peer.address == *address { Ok(Some(peer)) } else { Err(corrupt(RecordKind::Peer)) }
    }
}

fn corrupt(kind: RecordKind) -> Halt {
    Stop::Fail(StoredError { kind, error: RecordError::Corrupt })
}

impl Peer {
    /// A peer device that was unknown.
    pub(crate) fn new(core: &Core, session: Session) -> Box<Self> {
        Self::unknown(core.peer_key(RecordKind::Peer, session.remote_address()), session)
    }

    /// The same device with another session, and nothing else of the former one but what there is of the log.
    pub(crate) fn with_session(mut self: Box<Self>, core: &Core, session: Session) -> Box<Self> {
        let mut other = Self::new(core, session);
        (other.sent, other.framing, other.is_new) = (core::mem::take(&mut self.sent), self.framing, false);
        other
    }

    /// Brings an archived session, if it is there.
    pub(crate) fn bring(&mut self, core: &Core, work: &mut Workspace<'_>, name: Name) -> Result<bool, Halt> {
        if self.session.names().contains(&name) {
            return Ok(true);
        }
        if self.archived == 0 {
            return Ok(false);
        }
        let key = core.session_key(RecordKind::Archived, &self.address, name);
        let Some(bytes) = work.read(&core.keys, RecordKind::Archived, key)? else { return Ok(false) };
        self.attach(core, bytes, name).map_err(stored(RecordKind::Archived))?;
        Ok(self.session.names().contains(&name))
    }

    fn attach(&mut self, core: &Core, bytes: &Record, name: Name) -> Result<(), RecordError> {
        let mut fields = FieldReader::record(RecordKind::Archived, bytes)?;
        let (generation, identity, state) = (fields.number(1)?, fields.bytes(2)?, fields.some_message(3)?);
        fields.end()?;
        if identity != self.session.remote_identity().to_bytes() {
            // Left behind by a record of the device that was deleted: of another key, it is not this device's.
            return Ok(());
        }
        self.session.attach_archived(name, state, bytes.tail(), generation != core.generation)?;
        self.brought.insert(name, bytes.clone());
        Ok(())
    }

    /// Brings all archived sessions of suite `Signal`, newest first, with the keys that this message wants of them: its
    /// ratchet key is of no session, so that it may be the next one of each. Whether there are any.
    ///
    /// Each costs an agreement, dearer than its row. Those in which nothing was sent since their last turn are not spared,
    /// though no peer can have answered: how all of them fail decides the error, as with sessions held in memory.
    pub(crate) fn bring_unnamed(
        &mut self,
        core: &Core,
        work: &mut Workspace<'_>,
        message: &SessionMessage,
    ) -> Result<bool, Halt> {
        if self.archived == 0 {
            return Ok(false);
        }
        // If one of them opens the message, the current session takes its place; if none does, it is noted as unread.
        work.announce(core.wish_keys(&self.address));
        self.announce_places(core, work, self.session.current_name());
        let names = Archive::load(core, work, &self.address)?.unnamed();
        work.announce(names.iter().map(|name| core.session_key(RecordKind::Archived, &self.address, *name)));
        work.ready()?;
        for name in &names {
            self.bring(core, work, *name)?;
        }
        self.announce_places(core, work, names.iter().copied());
        let wanting: Vec<Name> = names.into_iter().filter(|name| self.session.wants_skipped(*name, message)).collect();
        self.bring_skipped(core, work, &wanting, |session, name| session.touched(name, message))?;
        Ok(!self.session.names().is_empty())
    }

    /// Brings back what lies apart in the row and this message needs.
    pub(crate) fn bring_whole(&mut self, message: &SessionMessage) -> Result<(), Halt> {
        Ok(self.session.bring_whole(message).map_err(stored(RecordKind::Peer))?)
    }

    /// The same for a first message.
    pub(crate) fn bring_whole_for_first(&mut self, first: &FirstMessage) -> Result<(), Halt> {
        Ok(self.session.bring_whole_for_first(first).map_err(stored(RecordKind::Peer))?)
    }

    /// Says that sessions that are here may be written apart for the first time: archived, or with keys kept for late
    /// messages. Such rows are absent and cost nothing, but for a round if they are asked for one after the other.
    pub(crate) fn announce_places(&self, core: &Core, work: &mut Workspace<'_>, names: impl IntoIterator<Item = Name>) {
        for name in names {
            work.announce([core.session_key(RecordKind::Archived, &self.address, name)]);
            if !self.session.skipped_is_away(name) {
                work.announce([core.session_key(RecordKind::SkippedKeys, &self.address, name)]);
            }
        }
    }

    /// Writes what has changed.
    pub(crate) fn save(mut self: Box<Self>, core: &Core, work: &mut Workspace<'_>) -> Result<(), Halt> {
        self.session.lay_apart();
        let current = self.session.current_name();
        if self.is_new || self.current != current || !self.is_alone() {
            self.save_parts(core, work, current)?;
        }
        let key = self.key;
        work.put(&core.keys, key, self.to_record(core.generation));
        if let Some(cache) = core.cache.as_ref().filter(|_| self.is_alone()) {
            // As it would be read.
            (self.is_new, self.current) = (false, current);
            work.keep(cache, key, self);
        }
        Ok(())
    }

    /// Writes what has changed of the rows beside its own.
    fn save_parts(&mut self, core: &Core, work: &mut Workspace<'_>, current: Option<Name>) -> Result<(), Halt> {
        self.session.bring_chains().map_err(stored(RecordKind::Peer))?;
        let now = self.session.names();
        let before: Vec<Name> = self.current.iter().chain(self.brought.keys()).copied().collect();
        let gone: Vec<Name> = before.iter().filter(|name| !now.contains(name)).copied().collect();
        // Asked for together with what the archive needs.
        let pages = now.iter().map(|name| Ok((*name, self.announce_skipped(core, work, *name)?)));
        let pages = pages.collect::<Result<Vec<_>, Halt>>()?;
        let evicted = self.save_archived(core, work, current, &gone)?;
        for (name, gone) in pages.into_iter().filter(|(name, _)| !evicted.contains(name)) {
            self.save_skipped(core, work, name, gone)?;
        }
        if self.is_new {
            work.row(self.key)?;
            self.enter_index(core, work)?;
            core.pin(work, &self.address, self.session.remote_identity())?;
        }
        Ok(())
    }

    /// Writes archived sessions that came or changed, and deletes the records of those that went or became current. Those
    /// that went because there are too many.
    fn save_archived(
        &mut self,
        core: &Core,
        work: &mut Workspace<'_>,
        current: Option<Name>,
        gone: &[Name],
    ) -> Result<Vec<Name>, Halt> {
        let parts = self.session.archived_parts();
        let promoted = current.filter(|name| self.brought.contains_key(name));
        let came = parts.iter().filter(|part| !self.brought.contains_key(&part.name())).count();
        let changed: Vec<_> = parts.iter().filter_map(|part| Some((part.name(), self.changed(core, part)?))).collect();
        let read_in = || changed.iter().map(|(name, _)| *name).filter(|name| self.brought.contains_key(name));
        let mut evicted = Vec::new();
        // A session that its messages do not name may have other prefixes than before.
        let with_prefix = || parts.iter().filter(|part| part.suite() == Suite::Signal);
        let is_other = came > 0 || promoted.is_some() || !gone.is_empty() || with_prefix().next().is_some();
        if is_other || read_in().next().is_some() {
            // In one round: the list, and the places of those that come.
            let places = parts.iter().map(|part| core.session_key(RecordKind::Archived, &self.address, part.name()));
            work.announce(places.chain([core.peer_key(RecordKind::Archive, &self.address)]));
            let before = Archive::load(core, work, &self.address)?;
            let mut archive = if self.is_new { Archive::default() } else { before.clone() };
            read_in().for_each(|name| archive.read_in(name, work.now));
            // The newest is entered last: it stands first.
            for part in parts.iter().rev().filter(|part| !self.brought.contains_key(&part.name())) {
                archive.enter(part.suite(), part.name(), work.now);
            }
            for name in promoted.iter().chain(gone) {
                archive.remove(*name);
            }
            for part in with_prefix() {
                archive.prefix(part.name(), part.prefixes());
            }
            evicted = archive.evict();
            let left = promoted.iter().chain(gone).chain(&evicted);
            work.announce(left.clone().map(|name| core.session_key(RecordKind::Archived, &self.address, *name)));
            let dead: Vec<Name> = gone.iter().chain(&evicted).copied().collect();
            erase_skipped(core, work, &self.address, &dead)?;
            for name in left {
                erase(core, work, RecordKind::Archived, &self.address, *name)?;
            }
            self.archived = archive.len();
            if archive != before {
                archive.save(core, work, &self.address)?;
            }
        }
        for (name, record) in changed.into_iter().filter(|(name, _)| !evicted.contains(name)) {
            let key = core.session_key(RecordKind::Archived, &self.address, name);
            work.row(key)?;
            work.put(&core.keys, key, record);
        }
        Ok(evicted)
    }

    /// The record of an archived session, if it is another one than was brought.
    fn changed(&self, core: &Core, part: &ArchivedPart<'_>) -> Option<Record> {
        let mut record = FieldWriter::row(RecordKind::Archived, RECORD_CAPACITY);
        record.number(1, if part.is_retired() { 0 } else { core.generation });
        record.bytes(2, &self.session.remote_identity().to_bytes());
        record.message(3, |out| part.write(out));
        let record = record.with_tail(part.tail());
        // The keys of the tail are in the record, and each of one text.
        self.brought.get(&part.name()).is_none_or(|before| **before != *record).then_some(record)
    }
}

/// Deletes a record of one session, if it is there.
pub(crate) fn erase(
    core: &Core,
    work: &mut Workspace<'_>,
    kind: RecordKind,
    address: &Address,
    name: Name,
) -> Result<(), Halt> {
    let key = core.session_key(kind, address, name);
    if work.read(&core.keys, kind, key)?.is_some() {
        work.delete(key);
    }
    Ok(())
}
