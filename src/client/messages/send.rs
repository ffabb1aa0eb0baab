use rand_core::Rng;

use super::outgoing::{Outgoing, Way};
use super::place::Place;
use crate::client::Client;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, MessageId, MessageName};
use crate::report::{Commitment, FrameSealError};
use crate::rows::{Core, Digest, Entry, Peer, first};
use crate::session::EncryptError;
use crate::staging::{Operation, Stop, StoredError, Workspace, stored};
use crate::suite::Suite;
use crate::suite::v1::Text;
use crate::suite::v1::encode_address;
use crate::wire::{Envelope, Outward, RecordKind};

/// A message that was encrypted, or that was before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The host's id of it.
    pub message_id: MessageId,
    /// Whether it was sent before: then nothing goes out now, since its envelope was put into the outbox in the transaction
    /// that sent it.
    pub repeated: bool,
    outgoing: Option<(Outgoing, MessageName)>,
}

impl Sent {
    pub(in crate::client) const fn new(message_id: MessageId, outgoing: Outgoing, name: MessageName) -> Self {
        Self { message_id, repeated: false, outgoing: Some((outgoing, name)) }
    }

    /// The envelope for the host's outbox; `None` if it was sent before.
    #[must_use]
    pub fn outgoing(&self) -> Option<&Outgoing> {
        self.outgoing.as_ref().map(|(outgoing, _)| outgoing)
    }

    /// What both sides know it by; `None` if it was sent before. See [`ReceivedMessage::name`](crate::client::ReceivedMessage::name).
    #[must_use]
    pub fn name(&self) -> Option<MessageName> {
        self.outgoing.as_ref().map(|(_, name)| *name)
    }
}

/// Why a message was not sent. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no session to send with: there never was one, it was reset, it has been unanswered for 30 days, or the
    /// database went back in time. Fetch the device's bundle, [add the session](Client::add_session), send again.
    #[error("there is no session with the device")]
    NoSession,
    /// The device's identity key has changed. Ask the user, then [`Client::accept_identity`] or
    /// [`Client::refuse_identity`]. Where the host does not know which key it is, since its own rows went back in time,
    /// [`Client::peer`] says so.
    #[error("the device's identity key has changed")]
    IdentityChanged,
    /// This id was used for another message to the device. Ids are random: draw another one.
    #[error("message id was used for another message")]
    IdReused,
    /// Longer than 65,000 bytes. Send it as a file.
    #[error("message is too long")]
    TooLong,
    /// The session has no keys left: 2^32 messages were sent in one direction without an answer. [Reset](Client::reset) it.
    #[error("session is exhausted")]
    Exhausted,
    /// The session is of suite `Signal`, which cannot frame. Use [`Client::send`], where the conversation allows it.
    #[error("the session's suite cannot frame")]
    NoFraming,
    /// The parts make no message, or the chain of framed messages is exhausted.
    #[error(transparent)]
    Frame(#[from] FrameSealError),
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// Longest message of the host's: the payload around it takes the rest of 65,536 bytes.
pub(in crate::client) const MAX_LEN: usize = 65_000;

impl Client {
    /// Sends a message to a peer device.
    ///
    /// It is idempotent: a `message_id` that is one of the last 385 to the device, and was sent within 30 days, is
    /// [`repeated`](Sent::repeated) and sends nothing, so a commit whose outcome is unknown is answered by sending again: if
    /// it was durable, the outbox holds the envelope. What a peer could not read, and asks for, is sent again with
    /// [`Client::resend`], as far back.
    ///
    /// # Errors
    ///
    /// [`SendError`], when it is staged.
    ///
    /// # Security
    ///
    /// In suite V1 lengths are padded; in suite `Signal` the plaintext is the host's own, and its length shows.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// let id = MessageId::new([1; 16]);
    /// let sent = alice.send(id, bob.address(), b"hi").run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// // Was the commit durable? Whoever does not know sends again.
    /// let again = alice.send(id, bob.address(), b"hi").run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(!sent.repeated && again.repeated && again.outgoing().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(&self, message_id: MessageId, to: &Address, plaintext: &[u8]) -> Operation<Sent, SendError> {
        let (core, place) = (self.core.clone(), Place::new(&self.core, message_id, to));
        // A longer one is not sent: it is neither kept nor hashed.
        let message = (plaintext.len() <= MAX_LEN).then(|| Outward::app(plaintext));
        let operation = Operation::new("send", move |work| {
            let message = message.as_ref().ok_or(SendError::TooLong)?;
            let digest = Digest { content: first(message.digest()), parts: [0; 16], number: message.number() };
            let (sent, ()) = core.send_once(work, &place, &|entered| *entered == digest, |work, peer| {
                let (envelope, name) = peer.encrypt(&core, work, message, None, Some(&place.way))?;
                Ok((envelope, name, digest, ()))
            })?;
            Ok(sent)
        });
        operation.asked(&[message_id.as_bytes(), &encode_address(to)])
    }

    /// Forgets that a message was sent, when it is deleted: an entry of the sent log dies with its message. Otherwise it
    /// dies after 30 days, or when there are newer ones enough.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// let id = MessageId::new([1; 16]);
    /// alice.send(id, bob.address(), b"hi").run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// alice.forget_message(id, bob.address()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn forget_message(&self, message_id: MessageId, to: &Address) -> Operation<(), StoredError> {
        let (core, place) = (self.core.clone(), Place::new(&self.core, message_id, to));
        Operation::new("forget", move |work| {
            let Some(mut peer) = core.load_peer_at(work, &place.to, place.peer)? else { return Ok(()) };
            if peer.drop_sent(&core, work, place.id)? { peer.save(&core, work) } else { Ok(()) }
        })
    }
}

impl Core {
    /// Encrypts with `encrypt` and enters the sent log, unless the log holds the message, which `is_same` says: then nothing
    /// goes out.
    pub(in crate::client) fn send_once<T: Default>(
        &self,
        work: &mut Workspace<'_>,
        place: &Place,
        is_same: &dyn Fn(&Digest) -> bool,
        encrypt: impl FnOnce(&mut Workspace<'_>, &mut Peer) -> Result<(Envelope, MessageName, Digest, T), Stop<SendError>>,
    ) -> Result<(Sent, T), Stop<SendError>> {
        let message_id = place.id;
        let peer = self.load_peer_to_send(work, &place.to, place.peer).map_err(from_stored)?;
        work.ready()?;
        let mut peer = peer.ok_or(SendError::NoSession)?;
        if let Some(entry) = peer.sent_as(self, work, message_id).map_err(from_stored)? {
            if !is_same(&entry.digest) {
                return Err(SendError::IdReused.into());
            }
            return Ok((Sent { message_id, repeated: true, outgoing: None }, T::default()));
        }
        peer.make_room(self, work).map_err(from_stored)?;
        let (envelope, name, digest, output) = encrypt(work, &mut peer)?;
        peer.sent.enter(&Entry::new(message_id, &name, digest, work.now));
        peer.save(self, work).map_err(from_stored)?;
        Ok((Sent::new(message_id, place.way.outgoing(envelope), name), output))
    }
}

fn from_stored(stop: Stop<StoredError>) -> Stop<SendError> {
    stop.map(SendError::from)
}

impl Peer {
    /// Encrypts a message with the current session: what travels, and what it is known by. With the way to the device where
    /// it is to be entered in the sent log, which has room.
    pub(in crate::client) fn encrypt(
        &mut self,
        core: &Core,
        work: &mut Workspace<'_>,
        message: &Outward,
        commitment: Option<&Commitment>,
        entered: Option<&Way>,
    ) -> Result<(Envelope, MessageName), Stop<SendError>> {
        let untrusted = self.untrusted;
        #[cfg(test)]
        let untrusted = untrusted && !planted::is(Defect::AsksUndecided);
        if untrusted {
            return Err(SendError::IdentityChanged.into());
        }
        let suite = self.session.suite().ok_or(SendError::NoSession)?;
        let text = match suite {
            // There the plaintext is the host's own.
            Suite::Signal => message.plaintext().unwrap_or_default().into(),
            Suite::V1 => Text { bytes: message.payload(), hash: Some(message.hash()) },
        };
        if let Some(name) = self.session.current_name().filter(|_| self.session.sending_wants_skipped()) {
            self.bring_skipped(core, work, &[name], |session, _| session.sending_touched()).map_err(from_stored)?;
        }
        self.session.prepare().map_err(stored(RecordKind::Peer)).map_err(SendError::from)?;
        let (now, mut id) = (work.now, [0; 16]);
        let bound = commitment.map(Commitment::external_ad);
        let bound = bound.as_ref().map_or(&[][..], |bound| &bound[..]);
        let encrypted = self.session.encrypt_text(text, bound, now, &mut work.rng);
        let ciphertext = encrypted.map_err(|error| match error {
            EncryptError::TooLong => SendError::TooLong,
            EncryptError::Exhausted => SendError::Exhausted,
            EncryptError::NoExternalAd => SendError::NoFraming,
            EncryptError::NoSession | EncryptError::Unanswered => SendError::NoSession,
        })?;
        work.public.fill_bytes(&mut id);
        if let Some(way) = entered {
            id = way.envelope_id(self.sent.number(), id);
        }
        // What was just encrypted is a message.
        let name = ciphertext.name().ok_or(SendError::TooLong)?;
        let mut envelope = core.envelope(&self.address, suite, id, ciphertext);
        envelope.commitment = commitment.map(|commitment| *commitment.as_bytes());
        Ok((envelope, name))
    }
}
