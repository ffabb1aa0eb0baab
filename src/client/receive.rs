use alloc::vec::Vec;

use super::framed::{ForkedMessage, Framed, FramedMessage};
use super::peer::Peer;
use super::wants::Wants;
use super::workspace::{Stop, Workspace};
use super::{Client, Core, Identity, Operation, StoredError};
use crate::crypto::{PublicKey, sha256};
use crate::ident::Address;
use crate::prekey::Device;
use crate::report::{self, Commitment, FramingPolicy, Unframed, refuse_unframed};
use crate::session::{self, AcceptError, DecryptError, FirstMessage, Session};
use crate::suite::Suite;
use crate::wire::{Content, Envelope, EnvelopeKind, EnvelopeSuite, Payload, RosterView, WireError};

/// What was received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// A message.
    Message(Message),
    /// A message that cannot be read, for want of a session or of a key. What is staged is what
    /// [`Client::wants`] then tells. Acknowledge it to the transport.
    Unreadable(Unreadable),
    /// The peer device could not read messages from here, and has started a new session.
    RepairRequest(RepairRequest),
    /// A framed message: it can be reported.
    Framed(FramedMessage),
    /// A framed message that contradicts an earlier one: its author tells two stories, or went on with an older state.
    /// Not to be shown; both can be reported.
    Forked(ForkedMessage),
}

/// A message that was decrypted, its sender authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    from: Address,
    identity: Identity,
    content: Content,
    suite: Suite,
}

impl Message {
    /// The device that sent it.
    #[must_use]
    pub const fn sender(&self) -> &Address {
        &self.from
    }

    /// What is to be thought of the sender's identity key. A message under a changed one is shown as such: it may be from
    /// the person, with a new device, or from somebody between.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// The application's own bytes, if it says nothing else.
    #[must_use]
    pub fn plaintext(&self) -> Option<&[u8]> {
        match &self.content {
            Content::App(plaintext) => Some(plaintext),
            _ => None,
        }
    }

    /// The suite that it was protected with.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }
}

/// A message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// Who says to have sent it.
    pub from: Address,
    /// SHA-256 of the message as it was received: what a repair request names it by.
    pub hash: [u8; 32],
    /// Why.
    pub reason: AcceptError,
}

/// A peer device asks for messages again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairRequest {
    /// The device.
    pub from: Address,
    /// What is to be thought of its identity key.
    pub identity: Identity,
    /// SHA-256 of the messages that it could not read.
    pub messages: Vec<[u8; 32]>,
}

/// Why nothing was received. Nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The bytes are not a message, or not what the envelope says of them.
    #[error("malformed: {0}")]
    Malformed(#[from] WireError),
    /// It is for another device.
    #[error("envelope is for another device")]
    NotForUs,
    /// A kind of message that this version does not know, or framed content for a client [without
    /// framing](Client::with_framing).
    #[error("this kind of message is not supported")]
    Unsupported,
    /// It was received before.
    #[error("message was received before")]
    Duplicate,
    /// It is not authentic, or replayed.
    #[error("message is not authentic")]
    NotAuthentic,
    /// It takes away the better suite that its sender speaks: somebody is between.
    #[error("message is of a weaker suite than its sender speaks")]
    SuiteDowngrade,
    /// One's own device does not speak its suite.
    #[error("suite is not enabled")]
    SuiteNotEnabled,
    /// What a user would see came without a frame, in a conversation where all that is seen is framed: somebody takes
    /// away the means to report it.
    #[error("content is not framed")]
    Unframed,
    /// Framed content that could not be reported as it is shown, or that has no stamp.
    #[error(transparent)]
    Frame(report::AcceptError),
    /// The account was wiped.
    #[error("there is no account")]
    NoAccount,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// What to tell a transport that delivers at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// Acknowledge it: it will never be received.
    Ack,
    /// Keep it, or ask for another copy: a newer version of the app may receive it, or one with the platform's stamp.
    Later,
    /// Try again when the store works.
    Retry,
}

impl ReceiveError {
    /// What to tell the transport.
    #[must_use]
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Malformed(_)
            | Self::NotForUs
            | Self::Duplicate
            | Self::NotAuthentic
            | Self::SuiteDowngrade
            | Self::SuiteNotEnabled
            | Self::Unframed => Disposition::Ack,
            // A copy with its genuine stamp may be had, or a newer version reads this one.
            Self::Frame(
                report::AcceptError::SealedMode
                | report::AcceptError::MissingStamp
                | report::AcceptError::GarbledStamp
                | report::AcceptError::StampContext,
            )
            | Self::Unsupported => Disposition::Later,
            Self::Frame(_) => Disposition::Ack,
            Self::NoAccount | Self::Stored(_) => Disposition::Retry,
        }
    }
}

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
    /// # Examples
    ///
    /// See [`Client`].
    pub fn receive(&self, envelope: &Envelope) -> Operation<Received, ReceiveError> {
        let (core, envelope, framing) = (self.core.clone(), envelope.clone(), self.framing);
        Operation::new(move |work| core.receive(work, &envelope, framing.as_ref()))
    }
}

type Halt = Stop<ReceiveError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(ReceiveError::from)
}

/// Bytes that were decrypted, before they are taken apart.
struct Opened {
    plaintext: Vec<u8>,
    identity: Identity,
}

/// An envelope that fits together.
enum Arrival {
    First(FirstMessage),
    Next(session::Message),
}

fn arrival(core: &Core, envelope: &Envelope) -> Result<(Address, Arrival), ReceiveError> {
    if envelope.to != core.address {
        return Err(ReceiveError::NotForUs);
    }
    let (Some(from), EnvelopeKind::First | EnvelopeKind::Message) = (&envelope.from, envelope.kind) else {
        return Err(ReceiveError::Unsupported);
    };
    // Framed content opens only together with its commitment.
    let bound = envelope.commitment.map(|commitment| Commitment::new(commitment).external_ad());
    let bound = bound.as_ref().map_or(&[][..], |bound| &bound[..]);
    let (suite, arrival) = if envelope.kind == EnvelopeKind::First {
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
    if suite == claimed { Ok((from.clone(), arrival)) } else { Err(WireError::Field.into()) }
}

impl Core {
    pub(super) fn receive(
        &self,
        work: &mut Workspace<'_>,
        envelope: &Envelope,
        framing: Option<&FramingPolicy>,
    ) -> Result<Received, Halt> {
        if envelope.commitment.is_some() && framing.is_none() {
            return Err(ReceiveError::Unsupported.into());
        }
        let (from, arrival) = arrival(self, envelope)?;
        let (suite, opened) = match &arrival {
            Arrival::First(first) => (first.suite(), self.receive_first(work, &from, first)),
            Arrival::Next(message) => (message.suite(), self.receive_next(work, &from, message)),
        };
        match opened {
            Ok((peer, opened)) => {
                let received = self.content(work, (envelope, &from), suite, opened, framing)?;
                peer.save(self, work).map_err(from_stored)?;
                Ok(received)
            }
            Err(Refusal::Stop(stop)) => Err(stop),
            Err(Refusal::Unreadable(reason)) => self.unreadable(work, &from, &envelope.body, reason),
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
        from: &Address,
        message: &session::Message,
    ) -> Result<(Saving, Opened), Refusal> {
        let mut peer = self.load_peer(work, from)?.ok_or(DecryptError::NoSession)?;
        let found = match message.session_name() {
            Some(name) => peer.bring(self, work, name)?,
            None => {
                if !peer.session.current_knows(message) {
                    peer.bring_unnamed(self, work)?;
                }
                true
            }
        };
        if !found && peer.parked {
            return self.receive_parked(work, peer, message);
        }
        let names = message.session_name().map_or_else(|| peer.session.names(), |name| [name].into());
        for name in names {
            if peer.session.wants_kept(name, message, work.now) {
                peer.bring_kept(self, work, name)?;
            }
        }
        let plaintext = peer.session.decrypt(message, work.now, &mut work.rng)?;
        // Nothing can be sent back: it is time for a new session.
        let wants_session = !peer.session.has_current();
        Ok((Saving { peer, parked: None, wants_session }, Opened { plaintext, identity: Identity::Known }))
    }

    /// A message in the session under an identity key that is not accepted.
    fn receive_parked(
        &self,
        work: &mut Workspace<'_>,
        peer: Peer,
        message: &session::Message,
    ) -> Result<(Saving, Opened), Refusal> {
        let mut parked = self.load_parked(work, &peer.address)?.ok_or(DecryptError::NoSession)?;
        let plaintext = parked.decrypt(message, work.now, &mut work.rng)?;
        let identity = Identity::Changed(*parked.remote_identity());
        Ok((Saving { peer, parked: Some(parked), wants_session: false }, Opened { plaintext, identity }))
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
        if peer.bring(self, work, name)? && peer.session.first_wants_kept(name, first, work.now) {
            peer.bring_kept(self, work, name)?;
        }
        let plaintext = if peer.session.recognizes(first) {
            peer.session.accept_next(&device, first, None, work.now, &mut work.rng)?.plaintext
        } else {
            let ((), plaintext) = self.adopt(work, first, |work, prekeys| {
                Ok(((), peer.session.accept_next(&device, first, Some(prekeys), work.now, &mut work.rng)?))
            })?;
            plaintext
        };
        let wants_session = !peer.session.has_current();
        Ok((Saving { peer, parked: None, wants_session }, Opened { plaintext, identity: Identity::Known }))
    }

    /// A first message under another identity key: its session is parked beside the known one, until the host decides.
    fn receive_first_changed(
        &self,
        work: &mut Workspace<'_>,
        mut peer: Peer,
        first: &FirstMessage,
    ) -> Result<(Saving, Opened), Refusal> {
        let device = self.device(work)?;
        // What was seen with the better suite is not believed with the weaker one, under whichever key.
        if peer.session.has_seen_v1() && first.suite() == Suite::Signal {
            return Err(AcceptError::SuiteDowngrade.into());
        }
        let parked = self.load_parked(work, &peer.address)?;
        let same = parked.filter(|parked| parked.remote_identity() == first.identity_key());
        let (mut session, plaintext) = match same {
            Some(mut session) if session.recognizes(first) => {
                let plaintext = session.accept_next(&device, first, None, work.now, &mut work.rng)?.plaintext;
                (session, plaintext)
            }
            same => self.adopt(work, first, |work, prekeys| match same.clone() {
                Some(mut session) => {
                    let accepted = session.accept_next(&device, first, Some(prekeys), work.now, &mut work.rng)?;
                    Ok((session, accepted))
                }
                None => Session::accept(&device, &peer.address, first, prekeys, work.now, &mut work.rng),
            })?,
        };
        // Whoever makes sessions under a key that nobody accepted gets one, not forty.
        session.keep_archived(1);
        peer.parked = true;
        let identity = Identity::Changed(*session.remote_identity());
        Ok((Saving { peer, parked: Some(session), wants_session: false }, Opened { plaintext, identity }))
    }

    fn device(&self, work: &mut Workspace<'_>) -> Result<Device, Refusal> {
        Ok(self.load_device(work)?.ok_or(Stop::Fail(ReceiveError::NoAccount))?)
    }
}

/// What is to be written for an opened message.
struct Saving {
    peer: Peer,
    parked: Option<Session>,
    wants_session: bool,
}

impl Saving {
    fn save(self, core: &Core, work: &mut Workspace<'_>) -> Result<(), Stop<StoredError>> {
        let Self { peer, parked, wants_session } = self;
        if wants_session {
            let mut wants = Wants::load(core, work)?;
            if wants.bundle(&peer.address) {
                wants.save(core, work)?;
            }
        }
        if let Some(parked) = parked {
            core.save_parked(work, &peer.address, &parked)?;
        }
        peer.save(core, work)
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
            AcceptError::Message(DecryptError::Duplicate) => ReceiveError::Duplicate,
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
            return Ok(Received::RepairRequest(RepairRequest { from, identity, messages: messages.to_vec() }));
        }
        Ok(Received::Message(Message { from, identity, content, suite }))
    }
}

impl Core {
    pub(super) fn load_parked(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
    ) -> Result<Option<Session>, Stop<StoredError>> {
        let key = self.peer_key(crate::wire::RecordKind::Parked, address);
        let kind = crate::wire::RecordKind::Parked;
        let Some(bytes) = work.read(&self.keys, kind, key)? else { return Ok(None) };
        let session = Session::from_bytes(&bytes).map_err(|error| StoredError { kind, error })?;
        Ok(Some(session))
    }

    pub(super) fn save_parked(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
        parked: &Session,
    ) -> Result<(), Stop<StoredError>> {
        let key = self.peer_key(crate::wire::RecordKind::Parked, address);
        work.row(key)?;
        work.put(&self.keys, key, parked.to_bytes());
        Ok(())
    }
}

impl Identity {
    /// The key that is to be accepted or refused.
    #[must_use]
    pub const fn changed_key(&self) -> Option<&PublicKey> {
        match self {
            Self::Changed(key) => Some(key),
            Self::Known | Self::First => None,
        }
    }
}
