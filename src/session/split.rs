//! A session in parts, for a store that keeps what changes with every message apart from what seldom does: the current
//! state, each archived one, and of each the skipped message keys, as a list of pages and the pages.
//!
//! Whoever takes a session apart brings a part back before anything touches it: [`Session::wants_skipped`] and
//! [`Session::sending_wants_skipped`] say when the list is wanted, [`Session::touched`] and its like then which pages are.

use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::message::Wire;
use super::state::{Ends, State, Transcript};
use super::{FirstMessage, KeyPrefix, Name, Session, SessionMessage};
use crate::crypto::{PublicKey, sha256};
use crate::ident::{Address, Timestamp};
use crate::prekey::Device;
use crate::ratchet::{Form, Header, PageName, SkippedRecords, Touched};
use crate::suite::Suite;
use crate::wire::{FieldReader, FieldWriter, RecordError, SpqrMessage};

const CORRUPT: RecordError = RecordError::Corrupt;

fn prefix_of(ratchet_key: &PublicKey) -> KeyPrefix {
    let [a, b, c, d, ..] = *ratchet_key.coordinate();
    [a, b, c, d]
}

/// An archived session apart from the others.
pub(crate) struct ArchivedPart<'a>(&'a State);

impl ArchivedPart<'_> {
    pub(crate) fn name(&self) -> Name {
        self.0.name()
    }

    pub(crate) const fn suite(&self) -> Suite {
        self.0.ratchet.suite()
    }

    pub(crate) const fn is_retired(&self) -> bool {
        self.0.retired
    }

    /// Prefixes of the ratchet keys that it knows. In suite V1 messages name their session, and none are needed.
    pub(crate) fn prefixes(&self) -> Vec<KeyPrefix> {
        match self.suite() {
            Suite::Signal => self.0.ratchet.known_keys().map(prefix_of).collect(),
            Suite::V1 => Vec::new(),
        }
    }

    /// What lies apart of it, for behind its record.
    pub(crate) fn tail(&self) -> impl Iterator<Item = &[u8]> {
        self.0.ratchet.tail()
    }

    /// Writes it, without skipped message keys.
    pub(crate) fn write(&self, out: &mut FieldWriter) {
        self.0.write(Form::Hot, out);
    }
}

fn name_of_base_key(base_key: &PublicKey) -> Name {
    let [a, b, c, d, e, f, g, h, ..] = sha256(&[&base_key.to_bytes()]);
    [a, b, c, d, e, f, g, h]
}

/// Does something with what a message says of its place; `None` if that is malformed.
fn with_header<T>(message: Wire<'_>, act: impl FnOnce(&Header<'_>) -> T) -> Option<T> {
    let (ratchet, counter, parsed);
    let pq = match message {
        Wire::Signal(message) => {
            (ratchet, counter) = (&message.ratchet_key, message.counter);
            parsed = SpqrMessage::parse(&message.pq_ratchet).ok()?;
            &parsed
        }
        Wire::V1(message) => {
            (ratchet, counter) = (&message.ratchet_key, message.counter);
            &message.pq
        }
    };
    Some(act(&Header { ratchet, counter, pq, salt: None }))
}

impl State {
    /// In suite V1 the tag that its messages carry.
    pub(super) fn name_of(base_key: &PublicKey, transcript: Option<&Transcript>) -> Name {
        transcript.map_or_else(|| name_of_base_key(base_key), |transcript| transcript.tag)
    }

    pub(super) const fn name(&self) -> Name {
        self.name
    }

    fn wants_skipped(&self, message: Wire<'_>) -> bool {
        with_header(message, |header| self.ratchet.receiving_wants_skipped(header)).unwrap_or_default()
    }

    fn touched(&self, message: Wire<'_>) -> Touched {
        with_header(message, |header| self.ratchet.receiving_touches(header)).unwrap_or_default()
    }
}

impl FirstMessage {
    /// The session that it says to be of. In suite V1 only its acceptance shows whether it is.
    pub(crate) fn session_name(&self) -> Name {
        match self.inner() {
            Wire::Signal(_) => name_of_base_key(self.base_key()),
            Wire::V1(message) => message.session,
        }
    }
}

impl SessionMessage {
    /// The session that it names; messages of suite `Signal` name none.
    pub(crate) const fn session_name(&self) -> Option<Name> {
        match self.inner() {
            Wire::Signal(_) => None,
            Wire::V1(message) => Some(message.session),
        }
    }

    /// In suite `Signal` the prefix of its ratchet key.
    pub(crate) fn prefix(&self) -> Option<KeyPrefix> {
        match self.inner() {
            Wire::Signal(message) => Some(prefix_of(&message.ratchet_key)),
            Wire::V1(_) => None,
        }
    }
}

impl Session {
    /// A peer device whose identity key is known and with which there is no session.
    pub(crate) fn without_state(device: &Device, remote: &Address, remote_identity: &PublicKey, seen_v1: bool) -> Self {
        let ends = Ends {
            local: device.address().clone(),
            remote: remote.clone(),
            local_identity: *device.identity_key(),
            remote_identity: *remote_identity,
        };
        Self { ends, current: None, archived: alloc::collections::VecDeque::new(), seen_v1, ranks: 0 }
    }

    /// Writes the part that changes with every message.
    pub(crate) fn write_hot(&self, out: &mut FieldWriter) {
        self.write(Form::Hot, out);
    }

    /// What lies apart of it, for behind the record.
    pub(crate) fn tail(&self) -> impl Iterator<Item = &[u8]> {
        self.current.iter().flat_map(|state| state.ratchet.tail())
    }

    /// Reads that part, and what was behind the record. For whoever only sends, receiving chains stay the bytes that they
    /// are: whatever else is done with them, [`Self::bring_chains`] comes before.
    pub(crate) fn read_hot(fields: FieldReader<'_>, tail: &[u8], only_sends: bool) -> Result<Self, RecordError> {
        Self::read(if only_sends { Form::Sending } else { Form::Hot }, fields, tail)
    }

    /// Reads the receiving chains, if they were left.
    pub(crate) fn bring_chains(&mut self) -> Result<(), RecordError> {
        self.current.as_mut().map_or(Ok(()), |state| state.ratchet.bring_chains())
    }

    /// Lays apart what is long and stays as it is, before any part is written.
    pub(crate) fn lay_apart(&mut self) {
        self.current.iter_mut().chain(&mut self.archived).for_each(|state| state.ratchet.lay_apart());
    }

    /// Makes what the current session sends next, of what lies apart.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if that is damaged.
    pub(crate) fn prepare(&mut self) -> Result<(), RecordError> {
        self.current.as_mut().map_or(Ok(()), |state| state.ratchet.prepare())
    }

    /// Brings back what the sessions that are here need of what lies apart, before this message is decrypted.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if that is damaged.
    pub(crate) fn bring_whole(&mut self, message: &SessionMessage) -> Result<(), RecordError> {
        self.bring_for(message.inner())
    }

    /// The same before a first message is accepted.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if that is damaged.
    pub(crate) fn bring_whole_for_first(&mut self, first: &FirstMessage) -> Result<(), RecordError> {
        self.bring_for(first.inner())
    }

    fn bring_for(&mut self, wire: Wire<'_>) -> Result<(), RecordError> {
        for state in self.current.iter_mut().chain(&mut self.archived) {
            if with_header(wire, |header| state.ratchet.wants_whole(header)).unwrap_or_default() {
                state.ratchet.bring()?;
            }
        }
        Ok(())
    }

    /// The archived sessions that are here, newest first.
    pub(crate) fn archived_parts(&self) -> Vec<ArchivedPart<'_>> {
        self.archived.iter().map(ArchivedPart).collect()
    }

    /// Brings an archived session back, behind those that are here. A retired one reads and is never current again; of
    /// suite `Signal` none is retired, it is gone: see [`Self::rolled_back`].
    pub(crate) fn attach_archived(
        &mut self,
        name: Name,
        stored: FieldReader<'_>,
        tail: &[u8],
        retired: bool,
    ) -> Result<(), RecordError> {
        let state = State::read(Form::Hot, stored, tail)?;
        if state.name() != name {
            return Err(CORRUPT);
        }
        if !retired || state.ratchet.suite() == Suite::V1 {
            self.archived.push_back(State { retired, ..state });
        }
        Ok(())
    }

    /// The current session's name.
    pub(crate) fn current_name(&self) -> Option<Name> {
        self.current.as_ref().map(State::name)
    }

    /// The names of all sessions that are here.
    pub(crate) fn names(&self) -> Vec<Name> {
        self.current.iter().chain(&self.archived).map(State::name).collect()
    }

    /// The session that is here and alone can have sent this message: no other is tried with it.
    pub(crate) fn sender_of(&self, message: &SessionMessage) -> Option<Name> {
        let wire = message.inner();
        let sent = |state: &&State| match wire {
            Wire::Signal(message) => state.knows(message),
            Wire::V1(message) => state.tag() == Some(message.session),
        };
        self.states().find(sent).map(State::name)
    }

    /// Whether the list of the keys that this session keeps for late messages has to be brought before this message is
    /// decrypted.
    pub(crate) fn wants_skipped(&self, name: Name, message: &SessionMessage) -> bool {
        self.named(name).is_some_and(|state| state.wants_skipped(message.inner()))
    }

    /// The same for a first message that repeats the start of this session.
    pub(crate) fn first_wants_skipped(&self, name: Name, first: &FirstMessage) -> bool {
        self.named(name).is_some_and(|state| state.wants_skipped(first.inner()))
    }

    /// The same before the current session encrypts.
    pub(crate) fn sending_wants_skipped(&self) -> bool {
        self.current.as_ref().is_some_and(|state| state.ratchet.sending_wants_skipped())
    }

    /// Whether keys that this session keeps for late messages are to be deleted: the list is brought, the pages that are
    /// touched, then they are [`Session::expire`]d.
    pub(crate) fn skipped_is_due(&self, name: Name, now: Timestamp) -> bool {
        self.named(name).is_some_and(|state| state.ratchet.skipped_is_due(now))
    }

    /// Which pages decrypting this message touches, once the list is here.
    pub(crate) fn touched(&self, name: Name, message: &SessionMessage) -> Touched {
        self.named(name).map(|state| state.touched(message.inner())).unwrap_or_default()
    }

    /// The same of a first message.
    pub(crate) fn first_touched(&self, name: Name, first: &FirstMessage) -> Touched {
        self.named(name).map(|state| state.touched(first.inner())).unwrap_or_default()
    }

    /// The same of encrypting.
    pub(crate) fn sending_touched(&self) -> Touched {
        self.current.as_ref().map(|state| state.ratchet.sending_touches()).unwrap_or_default()
    }

    /// The same of [`Session::expire`].
    pub(crate) fn expiring_touched(&self, name: Name, now: Timestamp) -> Touched {
        self.named(name).map(|state| state.ratchet.expiring_touches(now)).unwrap_or_default()
    }

    /// Whether this session has skipped message keys whose list is not here.
    pub(crate) fn skipped_is_away(&self, name: Name) -> bool {
        self.named(name).is_some_and(|state| state.ratchet.skipped_is_away())
    }

    /// Whether this session keeps keys for late messages, and has their list here.
    pub(crate) fn has_skipped(&self, name: Name) -> bool {
        self.named(name).is_some_and(|state| !state.ratchet.skipped_is_away() && state.ratchet.has_skipped())
    }

    /// The pages with a record that the list names now.
    pub(crate) fn skipped_pages(&self, name: Name) -> Vec<PageName> {
        self.named(name).map(|state| state.ratchet.skipped_pages()).unwrap_or_default()
    }

    /// What is to be written of the keys that this session keeps for late messages. Gives names to new pages.
    pub(crate) fn skipped_records(
        &mut self,
        name: Name,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Option<SkippedRecords> {
        self.named_mut(name).map(|state| state.ratchet.skipped_records(rng))
    }

    /// Brings the list of the keys that this session keeps for late messages.
    pub(crate) fn attach_skipped(&mut self, name: Name, list: &[u8]) -> Result<(), RecordError> {
        self.named_mut(name).ok_or(CORRUPT)?.ratchet.attach_skipped(list)
    }

    /// Brings a page of them; if its record is lost its keys are given up.
    pub(crate) fn attach_page(&mut self, name: Name, page: PageName, record: Option<&[u8]>) -> Result<(), RecordError> {
        self.named_mut(name).ok_or(CORRUPT)?.ratchet.attach_page(page, record)
    }

    /// Gives up the keys that this session keeps for late messages: the record of their list is lost.
    pub(crate) fn lose_skipped(&mut self, name: Name) {
        if let Some(state) = self.named_mut(name) {
            state.ratchet.lose_skipped();
        }
    }

    /// Drops what must not be used after the store went back in time: of a session of suite `Signal` nothing is used
    /// again, since its keys would repeat; one of suite V1 still reads, and sends no more.
    pub(crate) fn rolled_back(&mut self) {
        if self.suite() == Some(Suite::Signal) {
            self.current = None;
        }
        self.archive();
        for state in &mut self.archived {
            state.retired = true;
        }
    }

    /// Keeps the current session and the newest archived ones.
    pub(crate) fn keep_archived(&mut self, count: usize) {
        self.archived.truncate(count);
    }

    fn named(&self, name: Name) -> Option<&State> {
        self.current.iter().chain(&self.archived).find(|state| state.name() == name)
    }

    fn named_mut(&mut self, name: Name) -> Option<&mut State> {
        self.current.iter_mut().chain(&mut self.archived).find(|state| state.name() == name)
    }
}
