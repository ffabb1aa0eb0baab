use alloc::boxed::Box;
use alloc::vec::Vec;

use super::asked::Asked;
use super::framed::Framed;
use super::peer::Peer;
use super::received::{Message, ReceiveError, Received, RepairRequest, Unreadable};
use super::wants::Wants;
use super::workspace::{Stop, Workspace};
use super::{Client, Core, Identity, Operation, StoredError};
use crate::crypto::sha256;
use crate::ident::Address;
use crate::persist::RecordKey;
use crate::prekey::Device;
use crate::report::{Commitment, FramingPolicy, Unframed, refuse_unframed};
use crate::session::{self, AcceptError, DecryptError, FirstMessage, Session};
use crate::suite::Suite;
use crate::wire::{Content, Envelope, EnvelopeKind, EnvelopeSuite, Payload, RecordKind, RosterView, WireError};

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
        let (core, envelope, framing) = (self.core.clone(), envelope.clone(), self.framing);
        let arrival = arrival(&core, &envelope);
        Operation::new(move |work| core.receive(work, &envelope, &arrival, framing.as_ref()))
    }
}

type Halt = Stop<ReceiveError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(ReceiveError::from)
}

/// Bytes that were decrypted, before they are taken apart.
pub(super) struct Opened {
    pub(super) plaintext: Vec<u8>,
    pub(super) identity: Identity,
}

impl Core {
    /// What an envelope most likely needs.
    pub(super) fn announce_envelope(&self, work: &mut Workspace<'_>, envelope: &Envelope) {
        let Some(from) = &envelope.from else { return };
        work.announce([self.peer_key(RecordKind::Peer, from)]);
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
    Next(session::Message),
}

/// What is in an envelope, from whom, and where that device's record lies.
pub(super) struct Arrived {
    from: Address,
    peer: RecordKey,
    message: Arrival,
}

/// Reads an envelope, whatever the rows hold.
pub(super) fn arrival(core: &Core, envelope: &Envelope) -> Result<Arrived, ReceiveError> {
    if envelope.to != core.address {
        return Err(ReceiveError::NotForUs);
    }
    let (Some(from), EnvelopeKind::First | EnvelopeKind::Message) = (&envelope.from, envelope.kind) else {
        return Err(ReceiveError::Unsupported);
    };
    if *from == core.address {
        return Err(ReceiveError::NotAuthentic);
    }
    // Framed content opens only together with its commitment.
    let bound = envelope.commitment.map(|commitment| Commitment::new(commitment).external_ad());
    let bound = bound.as_ref().map_or(&[][..], |bound| &bound[..]);
    let (suite, message) = if envelope.kind == EnvelopeKind::First {
        let first = FirstMessage::parse(&envelope.body)?.bound_to(bound);
        (first.suite(), Arrival::First(first))
    } else {
        let message = session::Message::parse(&envelope.body)?.bound_to(bound);
        (message.suite(), Arrival::Next(message))
    };
    let claimed = match envelope.suite {
        EnvelopeSuite::Signal => Suite::Signal,
        EnvelopeSuite::V1 => Suite::V1,
    };
    if suite != claimed {
        return Err(WireError::Field.into());
    }
    Ok(Arrived { from: from.clone(), peer: core.peer_key(RecordKind::Peer, from), message })
}

impl Core {
    pub(super) fn receive(
        &self,
        work: &mut Workspace<'_>,
        envelope: &Envelope,
        arrival: &Result<Arrived, ReceiveError>,
        framing: Option<&FramingPolicy>,
    ) -> Result<Received, Halt> {
        if envelope.commitment.is_some() && framing.is_none() {
            return Err(ReceiveError::Unsupported.into());
        }
        let Arrived { from, peer, message } = arrival.as_ref().map_err(Clone::clone)?;
        if envelope.commitment.is_some() {
            work.announce([self.chains_key(from.user())]);
        }
        let (suite, opened) = match message {
            Arrival::First(first) => (first.suite(), self.receive_first(work, from, first)),
            Arrival::Next(message) => (message.suite(), self.receive_next(work, (from, *peer), message)),
        };
        match opened {
            Ok((peer, opened)) => {
                let received = self.content(work, (envelope, from), suite, opened, framing)?;
                peer.save(self, work).map_err(from_stored)?;
                Ok(received)
            }
            Err(Refusal::Stop(stop)) => Err(stop),
            Err(Refusal::Unreadable(reason)) => self.unreadable(work, from, &envelope.body, reason),
        }
    }

    /// Has the host bring what a new session needs, if the peer is known: a stranger who sends rubbish causes nothing.
    fn unreadable(
        &self,
        work: &mut Workspace<'_>,
        from: &Address,
        message: &[u8],
        reason: AcceptError,
    ) -> Result<Received, Halt> {
        let hash = sha256(&[message]);
        if self.load_peer(work, from).map_err(from_stored)?.is_some() {
            let mut wants = Wants::load(self, work).map_err(from_stored)?;
            if wants.unread(from, hash) {
                wants.save(self, work).map_err(from_stored)?;
            }
        }
        Ok(Received::Unreadable(Unreadable { from: from.clone(), hash, reason }))
    }

    fn receive_next(
        &self,
        work: &mut Workspace<'_>,
        (from, place): (&Address, RecordKey),
        message: &session::Message,
    ) -> Result<(Saving, Opened), Refusal> {
        if message.session_name().is_none() {
            work.announce([self.peer_key(RecordKind::Archive, from)]);
        }
        let mut peer = self.load_peer_at(work, from, place)?.ok_or(DecryptError::NoSession)?;
        if !peer.session.has_current() {
            work.announce([super::wants::key(self)]);
        }
        let found = match message.session_name() {
            Some(name) => {
                if peer.has_archived() && peer.session.current_name() != Some(name) {
                    // Together with that session: what it keeps for late messages, and the list that it leaves.
                    work.announce([self.peer_key(RecordKind::Archive, from)]);
                    work.announce([self.session_key(RecordKind::Kept, from, name)]);
                }
                peer.bring(self, work, name)?
            }
            None => {
                peer.bring_marked(self, work, message)?;
                true
            }
        };
        if !found && peer.parked {
            return self.receive_parked(work, peer, message);
        }
        let sender = message.session_name().or_else(|| peer.session.sender_of(message));
        let mut names = sender.map_or_else(|| peer.session.names(), |name| [name].into());
        names.retain(|name| peer.session.wants_kept(*name, message));
        if sender.is_none() && !names.is_empty() {
            peer.announce_unnamed(self, work)?;
        }
        peer.bring_kept(self, work, &names, |session, name| session.touched(name, message))?;
        let plaintext = match peer.session.decrypt(message, work.now, &mut work.rng) {
            Ok(plaintext) => plaintext,
            // A ratchet key that no session is known to know: most likely the current one's next, else any other's.
            Err(error) if sender.is_none() => {
                if !peer.bring_unnamed(self, work, message)? {
                    return Err(error.into());
                }
                peer.session.decrypt(message, work.now, &mut work.rng)?
            }
            Err(error) => return Err(error.into()),
        };
        // Nothing can be sent back: it is time for a new session.
        let wants_session = !peer.session.has_current();
        Ok((Saving { peer, parked: None, wants_session }, Opened { plaintext, identity: Identity::Known }))
    }

    fn receive_first(
        &self,
        work: &mut Workspace<'_>,
        from: &Address,
        first: &FirstMessage,
    ) -> Result<(Saving, Opened), Refusal> {
        self.announce_first(work, from, first);
        let Some(mut peer) = self.load_peer(work, from)? else {
            let device = self.device(work)?;
            let (session, plaintext) = self.adopt(work, first, |work, prekeys| {
                let accepted = Session::accept(&device, from, first, prekeys, work.now, &mut work.rng)?;
                Ok((accepted.0, accepted.1))
            })?;
            let saving = Saving { peer: Peer::new(self, session), parked: None, wants_session: false };
            return Ok((saving, Opened { plaintext, identity: Identity::First }));
        };
        if first.identity_key() != peer.session.remote_identity() {
            return self.receive_first_changed(work, peer, first);
        }
        let device = self.device(work)?;
        let name = first.session_name();
        // It may be an archived one, or a new one before which the current one is archived.
        work.announce([name].map(|name| self.session_key(RecordKind::Archived, from, name)));
        peer.announce_places(self, work, peer.session.current_name());
        if peer.bring(self, work, name)? && peer.session.first_wants_kept(name, first) {
            peer.bring_kept(self, work, &[name], |session, name| session.first_touched(name, first))?;
        }
        let mut asks_again = false;
        let plaintext = if peer.session.recognizes(first) {
            peer.session.accept_next(&device, first, None, work.now, &mut work.rng)?.plaintext
        } else {
            // The peer has begun anew: perhaps it does not know any more what it was asked for.
            asks_again = !Asked::load(self, work, from)?.is_empty();
            if asks_again {
                work.announce([super::wants::key(self)]);
                work.ready::<ReceiveError>()?;
            }
            let ((), plaintext) = self.adopt(work, first, |work, prekeys| {
                Ok(((), peer.session.accept_next(&device, first, Some(prekeys), work.now, &mut work.rng)?))
            })?;
            plaintext
        };
        let wants_session = asks_again || !peer.session.has_current();
        Ok((Saving { peer, parked: None, wants_session }, Opened { plaintext, identity: Identity::Known }))
    }

    pub(super) fn device(&self, work: &mut Workspace<'_>) -> Result<Device, Refusal> {
        Ok(self.load_device(work)?.ok_or(Stop::Fail(ReceiveError::NoAccount))?)
    }
}

/// What is to be written for an opened message.
pub(super) struct Saving {
    pub(super) peer: Box<Peer>,
    pub(super) parked: Option<Session>,
    /// Whether the device's bundle is to be brought: for a new session, or to ask it again.
    pub(super) wants_session: bool,
}

impl Saving {
    fn save(self, core: &Core, work: &mut Workspace<'_>) -> Result<(), Stop<StoredError>> {
        let Self { peer, parked, wants_session } = self;
        let address = peer.address.clone();
        if wants_session {
            work.announce([super::wants::key(core)]);
        }
        peer.save(core, work)?;
        if let Some(parked) = parked {
            core.save_parked(work, &address, &parked)?;
        }
        if wants_session {
            let mut wants = Wants::load(core, work)?;
            if wants.bundle(&address) {
                wants.save(core, work)?;
            }
        }
        Ok(())
    }
}

/// Why a message gave nothing.
pub(super) enum Refusal {
    Stop(Halt),
    /// Only for want of a session or of a key.
    Unreadable(AcceptError),
}

impl From<Halt> for Refusal {
    fn from(stop: Halt) -> Self {
        Self::Stop(stop)
    }
}

impl From<Stop<StoredError>> for Refusal {
    fn from(stop: Stop<StoredError>) -> Self {
        Self::Stop(from_stored(stop))
    }
}

impl From<DecryptError> for Refusal {
    fn from(error: DecryptError) -> Self {
        AcceptError::Message(error).into()
    }
}

impl From<AcceptError> for Refusal {
    fn from(error: AcceptError) -> Self {
        if error.asks_for_repair() {
            return Self::Unreadable(error);
        }
        Self::Stop(Stop::Fail(match error {
            AcceptError::Message(DecryptError::Duplicate | DecryptError::ReadBefore) => ReceiveError::Duplicate,
            AcceptError::SuiteDowngrade => ReceiveError::SuiteDowngrade,
            AcceptError::SuiteNotEnabled => ReceiveError::SuiteNotEnabled,
            _ => ReceiveError::NotAuthentic,
        }))
    }
}

impl Core {
    /// Takes a plaintext apart.
    fn content(
        &self,
        work: &mut Workspace<'_>,
        (envelope, from): (&Envelope, &Address),
        suite: Suite,
        opened: Opened,
        framing: Option<&FramingPolicy>,
    ) -> Result<Received, Halt> {
        let Opened { plaintext, identity } = opened;
        let content = match suite {
            Suite::Signal => Content::App(plaintext),
            Suite::V1 => {
                let payload = Payload::parse(&plaintext).map_err(ReceiveError::from)?;
                let Payload { own: RosterView { .. }, peer: RosterView { .. }, content } = payload;
                content
            }
        };
        match (&content, &envelope.commitment, framing) {
            (Content::Framed(inner), Some(commitment), Some(policy)) => {
                let framed =
                    Framed { from, commitment: &Commitment::new(*commitment), stamp: envelope.stamp.as_deref() };
                return self.accept_framed(work, &framed, inner, identity, policy);
            }
            // A frame without its commitment, or the other way round.
            (Content::Framed(_), ..) | (_, Some(_), _) => return Err(ReceiveError::from(WireError::Field).into()),
            (_, None, Some(_)) => refuse_unframed(&content).map_err(|Unframed| ReceiveError::Unframed)?,
            (_, None, None) => {}
        }
        let from = from.clone();
        if let Content::RepairRequest(hashes) = &content {
            let (messages, rest) = hashes.as_chunks::<32>();
            if !rest.is_empty() || messages.len() > super::wants::MAX_UNREAD {
                return Err(ReceiveError::from(WireError::Field).into());
            }
            // Under a key that nobody accepted nothing can have been sent.
            let messages = if matches!(identity, Identity::Changed(_)) { Vec::new() } else { messages.to_vec() };
            return Ok(Received::RepairRequest(RepairRequest { from, identity, messages }));
        }
        Ok(Received::Message(Message { from, identity, content, suite }))
    }
}
