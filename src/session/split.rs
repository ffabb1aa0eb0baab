//! A session in parts, for a store that keeps what changes with every message apart from what seldom does: the current
//! state, each archived one, and of each the keys kept for late messages.
//!
//! Whoever takes a session apart brings a part back before anything touches it: [`Session::wants_kept`] and
//! [`Session::sending_wants_kept`] say when.

use alloc::vec::Vec;

use super::message::Wire;
use super::state::{Ends, State};
use super::{FirstMessage, Message, Session};
use crate::crypto::{PublicKey, SecretBytes, sha256};
use crate::ident::{Address, Timestamp};
use crate::prekey::Device;
use crate::ratchet::{Form, Header};
use crate::suite::Suite;
use crate::wire::{FieldReader, FieldWriter, RecordError, SpqrMessage};

const CORRUPT: RecordError = RecordError::Corrupt;

/// Names one session among those with a peer device.
pub(crate) type Name = [u8; 8];

/// What a ratchet key begins with: enough to find the session that it is of among 40, whose chains are at most 200.
pub(crate) type Mark = [u8; 4];

fn mark_of(ratchet_key: &PublicKey) -> Mark {
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

    /// Marks of the ratchet keys that it knows. In suite V1 messages name their session, and none are needed.
    pub(crate) fn marks(&self) -> Vec<Mark> {
        match self.suite() {
            Suite::Signal => self.0.ratchet.known_keys().map(mark_of).collect(),
            Suite::V1 => Vec::new(),
        }
    }

    /// Writes it, without keys kept for late messages.
    pub(crate) fn write(&self, out: &mut FieldWriter) {
        self.0.write(Form::Hot, out);
    }
}

fn name_of_base_key(base_key: &PublicKey) -> Name {
    let [a, b, c, d, e, f, g, h, ..] = sha256(&[&base_key.to_bytes()]);
    [a, b, c, d, e, f, g, h]
}

impl State {
    /// In suite V1 the tag that its messages carry.
    pub(super) fn name(&self) -> Name {
        self.tag().unwrap_or_else(|| name_of_base_key(&self.base_key))
    }

    fn wants_kept(&self, message: Wire<'_>, now: Timestamp) -> bool {
        match message {
            Wire::Signal(message) => SpqrMessage::parse(&message.pq_ratchet).is_ok_and(|pq| {
                let header = Header { ratchet: &message.ratchet_key, counter: message.counter, pq: &pq, salt: None };
                self.ratchet.receiving_wants_kept(&header, now)
            }),
            Wire::V1(message) => {
                let header =
                    Header { ratchet: &message.ratchet_key, counter: message.counter, pq: &message.pq, salt: None };
                self.ratchet.receiving_wants_kept(&header, now)
            }
        }
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

impl Message {
    /// The session that it names; messages of suite `Signal` name none.
    pub(crate) const fn session_name(&self) -> Option<Name> {
        match self.inner() {
            Wire::Signal(_) => None,
            Wire::V1(message) => Some(message.session),
        }
    }

    /// In suite `Signal` the mark of its ratchet key.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match self.inner() {
            Wire::Signal(message) => Some(mark_of(&message.ratchet_key)),
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
        Self { ends, current: None, archived: alloc::collections::VecDeque::new(), seen_v1 }
    }

    /// Writes the part that changes with every message.
    pub(crate) fn write_hot(&self, out: &mut FieldWriter) {
        self.write(Form::Hot, out);
    }

    /// Reads that part.
    pub(crate) fn read_hot(fields: FieldReader<'_>) -> Result<Self, RecordError> {
        Self::read(Form::Hot, fields)
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
        retired: bool,
    ) -> Result<(), RecordError> {
        let state = State::read(Form::Hot, stored)?;
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
    pub(crate) fn sender_of(&self, message: &Message) -> Option<Name> {
        let wire = message.inner();
        let sent = |state: &&State| match wire {
            Wire::Signal(message) => state.knows(message),
            Wire::V1(message) => state.tag() == Some(message.session),
        };
        self.states().find(sent).map(State::name)
    }

    /// Whether keys kept in this session for late messages have to be brought before this message is decrypted.
    pub(crate) fn wants_kept(&self, name: Name, message: &Message, now: Timestamp) -> bool {
        self.named(name).is_some_and(|state| state.wants_kept(message.inner(), now))
    }

    /// The same for a first message that repeats the start of this session.
    pub(crate) fn first_wants_kept(&self, name: Name, first: &FirstMessage, now: Timestamp) -> bool {
        self.named(name).is_some_and(|state| state.wants_kept(first.inner(), now))
    }

    /// The same before the current session encrypts.
    pub(crate) fn sending_wants_kept(&self) -> bool {
        self.current.as_ref().is_some_and(|state| state.ratchet.sending_wants_kept())
    }

    /// Whether keys that this session keeps for late messages are to be deleted: they are brought, then
    /// [`Session::expire`]d.
    pub(crate) fn kept_is_due(&self, name: Name, now: Timestamp) -> bool {
        self.named(name).is_some_and(|state| state.ratchet.kept_is_due(now))
    }

    /// Whether this session has keys kept for late messages that are not here.
    pub(crate) fn kept_is_away(&self, name: Name) -> bool {
        self.named(name).is_some_and(|state| state.ratchet.kept_is_away())
    }

    /// Whether this session has keys kept for late messages here.
    pub(crate) fn has_kept(&self, name: Name) -> bool {
        self.named(name).is_some_and(|state| !state.ratchet.kept_is_away() && state.ratchet.has_kept())
    }

    /// The record of the keys that this session keeps for late messages, if there are any.
    pub(crate) fn kept_record(&self, name: Name) -> Option<SecretBytes> {
        self.named(name).and_then(|state| state.ratchet.kept_record())
    }

    /// Brings the keys that this session keeps for late messages.
    pub(crate) fn attach_kept(&mut self, name: Name, record: &[u8]) -> Result<(), RecordError> {
        let mut states = self.current.iter_mut().chain(&mut self.archived);
        states.find(|state| state.name() == name).ok_or(CORRUPT)?.ratchet.attach_kept(record)
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

    /// Gives up the keys that this session keeps for late messages: their record is lost.
    pub(crate) fn lose_kept(&mut self, name: Name) {
        let mut states = self.current.iter_mut().chain(&mut self.archived);
        if let Some(state) = states.find(|state| state.name() == name) {
            state.ratchet.lose_kept();
        }
    }

    /// Keeps the current session and the newest archived ones.
    pub(crate) fn keep_archived(&mut self, count: usize) {
        self.archived.truncate(count);
    }

    fn named(&self, name: Name) -> Option<&State> {
        self.current.iter().chain(&self.archived).find(|state| state.name() == name)
    }
}
