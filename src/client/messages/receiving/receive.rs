use alloc::boxed::Box;
use alloc::vec::Vec;

use super::copied::copied;
use super::framed::Framed;
use super::judge::{Refused, Sender};
use super::received::{
    BlockedMessage, ReceiveError, Received, ReceivedMessage, RosterMessage, UnlistedMessage, Unreadable, is_changed,
};
use super::refusal::Refusal;
use super::taken::{Taken, is_wiped};
use crate::client::Client;
use crate::client::contacts::{AccountStatus, IdentityStatus};
use crate::client::repair::{self, Stand};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, DeviceId, MessageName};
use crate::persist::RecordKey;
use crate::prekey::Device;
use crate::report::{Commitment, FramingPolicy, Unframed, UnframedContent, refuse_unframed};
use crate::rows::{Core, Peer, Wishes};
use crate::session::{self, AcceptError, DecryptError, FirstMessage, Session};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::suite::Suite;
use crate::wire::{ContactState, Content, Envelope, EnvelopeKind, EnvelopeSuite, RecordKind, WireError};

impl Client {
    /// Receives one envelope.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`], when it is staged; [`ReceiveError::disposition`] says what to tell the transport. Nothing has
    /// happened.
    ///
    /// # Security
    ///
    /// Acknowledge to the transport after the commit. Work and memory are bounded whatever the envelope holds.
    ///
    /// The transport authenticates `from`, as a platform does that its users log in to: whoever may write any name there
    /// can have a contact shown with a changed identity key, and nothing is sent to that one until the user has decided.
    ///
    /// # Examples
    ///
    /// See [`Client`].
    pub fn receive(&self, envelope: &Envelope) -> Operation<Received, ReceiveError> {
        let (core, delivered, framing) = (self.core.clone(), envelope.clone(), self.framing);
        let arrival = arrival(&core, envelope);
        let operation =
            Operation::new("receive", move |work| core.receive(work, &delivered, &arrival, framing.as_ref()));
        operation.asked(&[&envelope.id, &envelope.body])
    }
}

type Halt = Stop<ReceiveError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(ReceiveError::from)
}

/// Bytes that were decrypted, before they are taken apart.
pub(in crate::client) struct Opened {
    pub(in crate::client) plaintext: Vec<u8>,
    pub(in crate::client) identity: IdentityStatus,
}

impl Core {
    /// What an envelope most likely needs.
    pub(in crate::client) fn announce_envelope(&self, work: &mut Workspace<'_>, envelope: &Envelope) {
        let Some(from) = &envelope.from else { return };
        work.announce([self.peer_key(RecordKind::Peer, from)]);
        self.announce_people(work, from.user());
        if envelope.commitment.is_some() {
            work.announce([self.chains_key(from.user())]);
        }
        if envelope.kind == EnvelopeKind::First
            && let Ok(first) = FirstMessage::parse(&envelope.body)
        {
            self.announce_first(work, from, &first);
        } else if envelope.suite == EnvelopeSuite::Signal {
            work.announce([self.peer_key(RecordKind::Archive, from)]);
        }
    }
}

/// A message that fits its envelope.
enum Arrival {
    First(FirstMessage),
    Next(session::SessionMessage),
}

/// What is in an envelope, from whom, and where that device's record lies.
pub(in crate::client) struct Arrived {
    from: Address,
    peer: RecordKey,
    /// What the message is known by.
    name: MessageName,
    message: Arrival,
}

/// Reads an envelope, whatever the rows hold.
pub(in crate::client) fn arrival(core: &Core, envelope: &Envelope) -> Result<Arrived, ReceiveError> {
    if envelope.to != core.address {
        return Err(ReceiveError::NotForUs);
    }
    let (Some(from), EnvelopeKind::First | EnvelopeKind::Message) = (&envelope.from, envelope.kind) else {
        return Err(ReceiveError::Unsupported);
    };
    if *from == core.address {
        return Err(ReceiveError::NotAuthentic);
    }
    // No device has this number: where users are entered beside devices, it stands for all of them.
    if from.device() == DeviceId::new(0) {
        return Err(WireError::Field.into());
    }
    // Framed content opens only together with its commitment.
    let bound = envelope.commitment.map(|commitment| Commitment::new(commitment).external_ad());
    let bound = bound.as_ref().map_or(&[][..], |bound| &bound[..]);
    let (suite, name, message) = if envelope.kind == EnvelopeKind::First {
        let first = FirstMessage::parse(&envelope.body)?.bound_to(bound);
        (first.suite(), first.name(), Arrival::First(first))
    } else {
        let message = session::SessionMessage::parse(&envelope.body)?.bound_to(bound);
        (message.suite(), message.name(), Arrival::Next(message))
    };
    let claimed = match envelope.suite {
        EnvelopeSuite::Signal => Suite::Signal,
        EnvelopeSuite::V1 => Suite::V1,
    };
    if suite != claimed {
        return Err(WireError::Field.into());
    }
    Ok(Arrived { from: from.clone(), peer: core.peer_key(RecordKind::Peer, from), name, message })
}

impl Core {
    pub(in crate::client) fn receive(
        &self,
        work: &mut Workspace<'_>,
        envelope: &Envelope,
        arrival: &Result<Arrived, ReceiveError>,
        framing: Option<&FramingPolicy>,
    ) -> Result<Received, Halt> {
        if envelope.commitment.is_some() && framing.is_none() {
            return Err(ReceiveError::Unsupported.into());
        }
        let Arrived { from, peer, name, message } = arrival.as_ref().map_err(Clone::clone)?;
        // Whoever acknowledges what changed nothing relies on what was read.
        work.insist();
        if framing.is_some() {
            work.announce([self.chains_key(from.user())]);
        }
        self.announce_people(work, from.user());
        // Of a message whose sender no roster lists nothing stays: neither its session, nor what it would have used up.
        let taken = work.attempt(|work| {
            let (suite, opened) = match message {
                Arrival::First(first) => (first.suite(), self.receive_first(work, from, first)),
                Arrival::Next(message) => (message.suite(), self.receive_next(work, (from, *peer), message)),
            };
            match opened {
                Ok((saving, opened)) => self.take(work, (envelope, from, name), suite, (saving, opened), framing),
                Err(Refusal::Stop(stop)) => Err(stop.into()),
                Err(Refusal::Unreadable(reason)) => Ok(self.unreadable(work, (envelope, from, name), reason)?),
            }
        });
        match taken {
            Ok(received) => Ok(received),
            Err(Refused::Stop(stop)) => Err(stop),
            Err(Refused::NotListed { again: false }) => Err(ReceiveError::NotListed.into()),
            Err(Refused::NotListed { again: true }) => {
                self.want_roster(work, from.user())?;
                Ok(Received::NotListed(UnlistedMessage { from: from.clone() }))
            }
        }
    }

    /// Takes a plaintext apart, answers what asks for something, and writes what is to be written.
    fn take(
        &self,
        work: &mut Workspace<'_>,
        (envelope, from, name): (&Envelope, &Address, &MessageName),
        suite: Suite,
        (mut saving, opened): (Saving, Opened),
        framing: Option<&FramingPolicy>,
    ) -> Result<Received, Refused> {
        let Opened { plaintext, identity } = opened;
        let taken = Taken::apart(suite, plaintext).map_err(|error| Stop::Fail(ReceiveError::from(error)))?;
        let Taken { mut payload, claims, is_shown } = taken;
        let peer_identity = saving.untrusted.as_ref().unwrap_or(&saving.peer.session).remote_identity();
        let sender = Sender {
            address: from,
            identity: peer_identity,
            is_known: identity == IdentityStatus::Known,
            needs_roster: suite == Suite::V1,
        };
        let user = self.judge(work, sender, &claims, is_shown)?;
        let is_device_only = user.account == AccountStatus::DeviceOnly;
        let is_changed = is_changed(&identity, &user);
        // What it says of one's own rosters counts from who is known.
        if !is_device_only && !is_changed {
            saving.peer.views.get_or_insert_default().hear(claims.peer, work.now);
        }
        // Under a key that nobody accepted nothing is answered: else whoever is in the device's place keeps the genuine answer
        // out.
        let answers = payload.answers.take().filter(|_| !is_changed);
        let content = payload.content;
        if matches!(content, Content::Sync(_) | Content::Transcript(_) | Content::Provisioning(_))
            && from.user() != self.address.user()
        {
            return Err(Stop::Fail(ReceiveError::NotAuthentic).into());
        }
        let mut wishes = None;
        if answers.is_some() || saving.look || matches!(content, Content::RepairRequest(_) | Content::Receipt(_)) {
            work.announce(self.wish_keys(from));
            if matches!(content, Content::RepairRequest(_)) {
                saving.peer.announce_index(self, work);
            }
            wishes = Some(Wishes::load(self, work, from)?);
        }
        let mut changed = saving.look;
        if let (Some(wishes), false) = (&mut wishes, is_changed) {
            changed |= answers.is_some_and(|answered| wishes.settle(|unread| *unread == answered).is_some());
        }
        let received = match (content, &mut wishes) {
            (content, _) if user.contact == ContactState::Blocked && is_wiped(&content) => {
                Received::Blocked(BlockedMessage { from: from.clone(), user, name: *name })
            }
            (Content::Roster(_), _) => Received::Roster(RosterMessage { from: from.clone(), user, name: *name }),
            (Content::Provisioning(handed), _) => {
                if is_changed || !self.take_over(work, from, &handed)? {
                    return Err(Stop::Fail(ReceiveError::NotAuthentic).into());
                }
                Received::HandedOver(RosterMessage { from: from.clone(), user, name: *name })
            }
            (Content::RepairRequest(request), Some(wishes)) => {
                changed = true;
                self.answer(work, &mut saving.peer, wishes, (&request, *name), (identity, user))?
            }
            (Content::Receipt(receipt), Some(wishes)) if repair::is_gone(&receipt) && !is_changed => {
                changed = true;
                Received::ResendDeclined(repair::gone((from, *name, user), wishes, &receipt).map_err(Stop::Fail)?)
            }
            (Content::Transcript(transcript), _) => {
                let message = copied(&transcript, from, *name, user).map_err(Stop::Fail)?;
                self.accept_by_copy(work, &message)?;
                Received::Message(message)
            }
            (content, _) => {
                let (from, name, lacks_frame) = (from.clone(), *name, false);
                let (message_id, sent) = (payload.message_id, payload.sent);
                let message = ReceivedMessage {
                    from,
                    identity,
                    user,
                    message_id,
                    sent,
                    sent_to: None,
                    content,
                    suite,
                    name,
                    answers,
                    lacks_frame,
                };
                self.content(work, &mut saving.peer, envelope, message, framing)?
            }
        };
        if let Some(mut wishes) = wishes {
            if !is_changed {
                changed |= wishes.heard();
                // A copy without its wrapping came first, and could not be read.
                changed |= wishes.settle(|unread| unread == name).is_some();
                changed |= !saving.peer.session.has_current() && !core::mem::replace(&mut wishes.bundle, true);
            }
            if changed {
                let stand = Stand::of(Some(&saving.peer), work.now);
                wishes.save(self, work, stand)?;
            }
        }
        if suite == Suite::V1 && saving.peer.is_new() && is_device_only {
            self.note_met(work)?;
        }
        saving.save(self, work)?;
        Ok(received)
    }

    /// Remembers what could not be read, so that the device is asked for it.
    fn unreadable(
        &self,
        work: &mut Workspace<'_>,
        (envelope, from, name): (&Envelope, &Address, &MessageName),
        reason: AcceptError,
    ) -> Result<Received, Halt> {
        let peer = self.load_peer(work, from).map_err(from_stored)?;
        let mut unreadable =
            Unreadable { from: from.clone(), name: *name, reason, known: peer.is_some(), asked: false, dropped: 0 };
        if reason == AcceptError::LongPast {
            return Ok(Received::Unreadable(unreadable));
        }
        work.announce(self.wish_keys(from));
        let mut wishes = Wishes::load(self, work, from).map_err(from_stored)?;
        let is_let_in = wishes.has_unread() || self.takes_stranger(work).map_err(from_stored)?;
        if peer.is_none() && !is_let_in {
            return Ok(Received::Unreadable(unreadable));
        }
        if wishes.note_unread(*name, envelope.id, work.now) {
            let stand = Stand::of(peer.as_deref(), work.now);
            wishes.save(self, work, stand).map_err(from_stored)?;
        }
        (unreadable.asked, unreadable.dropped) = (true, wishes.dropped);
        Ok(Received::Unreadable(unreadable))
    }

    fn receive_next(
        &self,
        work: &mut Workspace<'_>,
        (from, place): (&Address, RecordKey),
        message: &session::SessionMessage,
    ) -> Result<(Saving, Opened), Refusal> {
        if message.session_name().is_none() {
            work.announce([self.peer_key(RecordKind::Archive, from)]);
        }
        let mut peer = self.load_peer_at(work, from, place)?.ok_or(DecryptError::NoSession)?;
        let unanswered = peer.session.is_unanswered();
        if unanswered || !peer.session.has_current() {
            work.announce(self.wish_keys(from));
        }
        let found = match message.session_name() {
            Some(name) => {
                if peer.has_archived() && peer.session.current_name() != Some(name) {
                    // Together with that session: what it keeps for late messages, and the list that it leaves.
                    work.announce([self.peer_key(RecordKind::Archive, from)]);
                    work.announce([self.session_key(RecordKind::SkippedKeys, from, name)]);
                }
                peer.bring(self, work, name)?
            }
            None => {
                peer.bring_by_prefix(self, work, message)?;
                true
            }
        };
        if !found && peer.untrusted {
            return self.receive_untrusted(work, peer, message);
        }
        let sender = message.session_name().or_else(|| peer.session.sender_of(message));
        let mut names = sender.map_or_else(|| peer.session.names(), |name| [name].into());
        names.retain(|name| peer.session.wants_skipped(*name, message));
        if sender.is_none() && !names.is_empty() {
            peer.announce_unnamed(self, work)?;
        }
        peer.bring_skipped(self, work, &names, |session, name| session.touched(name, message))?;
        peer.bring_whole(message)?;
        let plaintext = match peer.session.decrypt(message, work.now, &mut work.rng) {
            Ok(plaintext) => plaintext,
            // A ratchet key that no session is known to know: most likely the current one's next, else any other's.
            Err(error) if sender.is_none() => {
                if !peer.bring_unnamed(self, work, message)? {
                    return Err(error.into());
                }
                peer.bring_whole(message)?;
                peer.session.decrypt(message, work.now, &mut work.rng)?
            }
            Err(error) => return Err(error.into()),
        };
        // The device is heard for the first time in a session, or nothing can be sent back.
        let look = unanswered && !peer.session.is_unanswered() || !peer.session.has_current();
        Ok((Saving { peer, untrusted: None, look }, Opened { plaintext, identity: IdentityStatus::Known }))
    }

    fn receive_first(
        &self,
        work: &mut Workspace<'_>,
        from: &Address,
        first: &FirstMessage,
    ) -> Result<(Saving, Opened), Refusal> {
        self.announce_first(work, from, first);
        let Some(mut peer) = self.load_pinned(work, from)? else {
            let device = self.device(work)?;
            let (session, plaintext) = self.adopt(work, first, |work, prekeys| {
                let accepted = Session::accept(&device, from, first, prekeys, work.now, &mut work.rng)?;
                Ok((accepted.0, accepted.1))
            })?;
            // What of a stranger could not be read can be asked for now.
            let saving = Saving { peer: Peer::new(self, session), untrusted: None, look: true };
            return Ok((saving, Opened { plaintext, identity: IdentityStatus::First }));
        };
        if first.identity_key() != peer.session.remote_identity() {
            return self.receive_first_changed(work, peer, first);
        }
        let device = self.device(work)?;
        let name = first.session_name();
        // It may be an archived one, or a new one before which the current one is archived.
        work.announce([name].map(|name| self.session_key(RecordKind::Archived, from, name)));
        peer.announce_places(self, work, peer.session.current_name());
        if peer.bring(self, work, name)? && peer.session.first_wants_skipped(name, first) {
            peer.bring_skipped(self, work, &[name], |session, name| session.first_touched(name, first))?;
        }
        peer.bring_whole_for_first(first)?;
        let unanswered = peer.session.is_unanswered();
        let mut look = false;
        let plaintext = if peer.session.recognizes(first) {
            peer.session.accept_next(&device, first, None, work.now, &mut work.rng)?.plaintext
        } else {
            // The peer has begun anew: perhaps it does not know any more what it was asked for.
            look = true;
            let ((), plaintext) = self.adopt(work, first, |work, prekeys| {
                Ok(((), peer.session.accept_next(&device, first, Some(prekeys), work.now, &mut work.rng)?))
            })?;
            plaintext
        };
        look |= unanswered && !peer.session.is_unanswered() || !peer.session.has_current();
        Ok((Saving { peer, untrusted: None, look }, Opened { plaintext, identity: IdentityStatus::Known }))
    }

    pub(in crate::client) fn device(&self, work: &mut Workspace<'_>) -> Result<Device, Refusal> {
        Ok(self.load_device(work)?.ok_or(Stop::Fail(ReceiveError::NoAccount))?)
    }
}

/// What is to be written for an opened message.
pub(in crate::client) struct Saving {
    pub(in crate::client) peer: Box<Peer>,
    pub(in crate::client) untrusted: Option<Session>,
    /// Whether what waits with the device may be due now.
    pub(in crate::client) look: bool,
}

impl Saving {
    fn save(self, core: &Core, work: &mut Workspace<'_>) -> Result<(), Stop<StoredError>> {
        let Self { peer, untrusted, look: _ } = self;
        let address = peer.address.clone();
        peer.save(core, work)?;
        match untrusted {
            Some(untrusted) => core.save_untrusted(work, &address, &untrusted),
            None => Ok(()),
        }
    }
}

impl Core {
    /// What the host is shown of a content.
    fn content(
        &self,
        work: &mut Workspace<'_>,
        peer: &mut Peer,
        envelope: &Envelope,
        mut message: ReceivedMessage,
        framing: Option<&FramingPolicy>,
    ) -> Result<Received, Halt> {
        match (&message.content, &envelope.commitment, framing) {
            (Content::Framed(inner), Some(commitment), Some(policy)) => {
                let commitment = &Commitment::new(*commitment);
                let framed = Framed { commitment, stamp: envelope.stamp.as_deref(), policy };
                return self.accept_framed(work, peer, &framed, inner, &message);
            }
            // A frame without its commitment, or the other way round.
            (Content::Framed(_), ..) | (_, Some(_), _) => return Err(ReceiveError::from(WireError::Field).into()),
            (_, None, Some(policy)) if refuse_unframed(&message.content) == Err(Unframed) => {
                message.lacks_frame = self.is_framed(work, peer).map_err(from_stored)?;
                #[cfg(test)]
                if message.lacks_frame && planted::is(Defect::UnframedIsDropped) {
                    return Err(ReceiveError::NotAuthentic.into());
                }
                if message.lacks_frame && policy.unframed == UnframedContent::Withhold {
                    return Err(ReceiveError::Unframed.into());
                }
            }
            (_, None, _) => {}
        }
        Ok(Received::Message(message))
    }
}
