//! A session in parts, for a store that keeps what changes with every message apart from what seldom does: the current
//! state, each archived one, and of each the keys kept for late messages.
//!
//! Whoever takes a session apart brings a part back before anything touches it: [`Session::wants_kept`] and
//! [`Session::sending_wants_kept`] say when.

use alloc::vec::Vec;

use super::message::Wire;
use super::state::{Ends, State};
use super::{FirstMessage, Message, Session};
use crate::crypto::{PublicKey, sha256};
use crate::ident::{Address, Timestamp};
use crate::prekey::Device;
use crate::ratchet::{Form, Header};
use crate::suite::Suite;
use crate::wire::{RecordError, SpqrMessage, address_from_record, address_to_record, record};

const CORRUPT: RecordError = RecordError::Corrupt;

/// Names one session among those with a peer device.
pub(crate) type Name = [u8; 8];

/// An archived session apart from the others.
pub(crate) struct ArchivedPart {
    pub(crate) name: Name,
    pub(crate) suite: Suite,
    pub(crate) retired: bool,
    pub(crate) record: record::SessionState,
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

    /// The part that changes with every message.
    pub(crate) fn to_hot_record(&self) -> record::Session {
        let Self { ends, current, archived: _, seen_v1 } = self;
        record::Session {
            local: Some(address_to_record(&ends.local)),
            remote: Some(address_to_record(&ends.remote)),
            local_identity: ends.local_identity.to_bytes().to_vec(),
            remote_identity: ends.remote_identity.to_bytes().to_vec(),
            has_current: current.is_some(),
            states: current.iter().map(|state| state.to_record(Form::Hot)).collect(),
            seen_v1: *seen_v1,
        }
    }

    /// Takes that part.
    pub(crate) fn from_hot_record(stored: &record::Session) -> Result<Self, RecordError> {
        let current = match stored.states.as_slice() {
            [] if !stored.has_current => None,
            [state] if stored.has_current => Some(State::from_record(Form::Hot, state)?),
            _ => return Err(CORRUPT),
        };
        let key = |bytes: &[u8]| PublicKey::parse(bytes).map_err(|_| CORRUPT);
        let ends = Ends {
            local: address_from_record(stored.local.as_ref())?,
            remote: address_from_record(stored.remote.as_ref())?,
            local_identity: key(&stored.local_identity)?,
            remote_identity: key(&stored.remote_identity)?,
        };
        Ok(Self { ends, current, archived: alloc::collections::VecDeque::new(), seen_v1: stored.seen_v1 })
    }

    /// The archived sessions that are here, newest first.
    pub(crate) fn archived_to_records(&self) -> Vec<ArchivedPart> {
        let part = |state: &State| ArchivedPart {
            name: state.name(),
            suite: state.ratchet.suite(),
            retired: state.retired,
            record: state.to_record(Form::Hot),
        };
        self.archived.iter().map(part).collect()
    }

    /// Brings an archived session back, behind those that are here. A retired one reads and is never current again; of
    /// suite `Signal` none is retired, it is gone: see [`Self::rolled_back`].
    pub(crate) fn attach_archived(
        &mut self,
        name: Name,
        stored: &record::SessionState,
        retired: bool,
    ) -> Result<(), RecordError> {
        let state = State::from_record(Form::Hot, stored)?;
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

    /// Whether a message of suite `Signal` is surely of the current session.
    pub(crate) fn current_knows(&self, message: &Message) -> bool {
        match (message.inner(), &self.current) {
            (Wire::Signal(message), Some(current)) => current.ratchet.knows(&message.ratchet_key),
            _ => false,
        }
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

    /// The keys that this session keeps for late messages, if there are any.
    pub(crate) fn kept_to_record(&self, name: Name) -> Option<record::Kept> {
        self.named(name).and_then(|state| state.ratchet.kept_to_record())
    }

    /// Brings the keys that this session keeps for late messages.
    pub(crate) fn attach_kept(&mut self, name: Name, stored: &record::Kept) -> Result<(), RecordError> {
        let mut states = self.current.iter_mut().chain(&mut self.archived);
        states.find(|state| state.name() == name).ok_or(CORRUPT)?.ratchet.attach_kept(stored)
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
