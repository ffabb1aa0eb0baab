use rand_core::Rng;

use super::peer::Peer;
use super::sent::{Entry, Place, Slot};
use super::workspace::{Stop, Workspace};
use super::{Client, Core, Operation, Outgoing, StoredError};
use crate::crypto::{PublicKey, sha256};
use crate::ident::{Address, MessageId};
use crate::report::{Commitment, SealError};
use crate::session::EncryptError;
use crate::suite::Suite;
use crate::suite::v1::Text;
use crate::wire::{Envelope, Outward};

/// A message that was encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The host's id of it.
    pub message_id: MessageId,
    /// Whether it was sent before, and this is the same envelope once more.
    pub repeated: bool,
    outgoing: Outgoing,
    identity: PublicKey,
}

impl Sent {
    /// The envelope for the host's outbox.
    #[must_use]
    pub const fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// The identity key that it was sealed to: stored beside the message by a host that answers
    /// [`RepairRequest`](super::RepairRequest)s.
    #[must_use]
    pub const fn identity_key(&self) -> &PublicKey {
        &self.identity
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
    /// [`Client::refuse_identity`].
    #[error("the device's identity key has changed")]
    IdentityChanged,
    /// This id was used for another message to the device. Ids are random: draw another one.
    #[error("message id was used for another message")]
    IdReused,
    /// The message was sent before, and so much was sent since that its envelope is not kept. Nothing is to be done.
    #[error("message was sent before")]
    SentBefore,
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
    Frame(#[from] SealError),
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// Longest message of the host's: the payload around it takes the rest of 65,536 bytes.
pub(super) const MAX_LEN: usize = 65_000;

impl Client {
    /// Sends a message to a peer device.
    ///
    /// It is idempotent: a `message_id` that was sent within the last 24 hours gives the same envelope, so a commit whose
    /// outcome is unknown is answered by sending again. What a peer could not read, and asks for in a
    /// [`RepairRequest`](super::RepairRequest), is sent again under another id.
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
    /// let sent = alice.send(id, bob.address(), b"hi").stage(&db, now, &mut rng)?.commit(|batch, _| db.write(batch))?;
    /// // Was the commit durable? Whoever does not know sends again.
    /// let again = alice.send(id, bob.address(), b"hi").stage(&db, now, &mut rng)?.commit(|batch, _| db.write(batch))?;
    /// assert_eq!(sent.outgoing(), again.outgoing());
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(&self, message_id: MessageId, to: &Address, plaintext: &[u8]) -> Operation<Sent, SendError> {
        let (core, place) = (self.core.clone(), Place::new(&self.core, message_id, to));
        // A longer one is not sent: it is neither kept nor hashed.
        let message = (plaintext.len() <= MAX_LEN).then(|| Outward::app(plaintext));
        Operation::new(move |work| {
            let message = message.as_ref().ok_or(SendError::TooLong)?;
            // One hash for the log and for the message's salt. The log held that of the plaintext once.
            let is_same = |digest: &[u8; 32]| {
                digest == message.hash() || message.plaintext().is_some_and(|plaintext| *digest == sha256(&[plaintext]))
            };
            let (sent, ()) = core.send_once(work, &place, (*message.hash(), &is_same), |work, peer| {
                Ok((peer.encrypt(&core, work, message, None)?, ()))
            })?;
            Ok(sent)
        })
    }

    /// Forgets that a message was sent, when it is deleted: an entry of the sent log dies with its message. Otherwise it
    /// dies after 24 hours.
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
    /// alice.send(id, bob.address(), b"hi").stage(&db, now, &mut rng)?.commit(|batch, _| db.write(batch))?;
    /// alice.forget(id, bob.address()).stage(&db, now, &mut rng)?.commit(|batch, ()| db.write(batch))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn forget(&self, message_id: MessageId, to: &Address) -> Operation<(), StoredError> {
        let (core, place) = (self.core.clone(), Place::new(&self.core, message_id, to));
        Operation::new(move |work| {
            work.announce([place.slot.1]);
            let Some(mut peer) = core.load_peer_at(work, &place.to, place.peer)? else { return Ok(()) };
            let slot = Slot::load(&core, work, place.slot)?;
            let early = Slot::load_early(&core, work, &place, &peer)?;
            for mut slot in [Some(slot), early].into_iter().flatten() {
                if slot.find(message_id).is_some() {
                    slot.remove(message_id);
                    slot.save(&core, work, &mut peer);
                }
            }
            Ok(())
        })
    }
}

type Digest = [u8; 32];

impl Core {
    /// Encrypts with `encrypt` and enters the sent log, unless the log holds the message: then gives its envelope again,
    /// and nothing besides. A message is known by a digest; which entered ones are of the same message, `is_same` says.
    pub(super) fn send_once<T: Default>(
        &self,
        work: &mut Workspace<'_>,
        place: &Place,
        (digest, is_same): (Digest, &dyn Fn(&Digest) -> bool),
        encrypt: impl FnOnce(&mut Workspace<'_>, &mut Peer) -> Result<(Envelope, T), Stop<SendError>>,
    ) -> Result<(Sent, T), Stop<SendError>> {
        let message_id = place.id;
        work.announce([place.slot.1]);
        let peer = self.load_peer_at(work, &place.to, place.peer).map_err(from_stored)?;
        let mut slot = Slot::load(self, work, place.slot).map_err(from_stored)?;
        slot.expire(work.now);
        let mut peer = peer.ok_or(SendError::NoSession)?;
        let identity = *peer.session.remote_identity();
        let mut early = Slot::load_early(self, work, place, &peer).map_err(from_stored)?;
        early.iter_mut().for_each(|early| early.expire(work.now));
        let entry = slot.find(message_id).or_else(|| early.as_ref()?.find(message_id));
        // What was sealed to a key that is not the device's any more is sealed anew.
        if let Some(entry) = entry.filter(|entry| *entry.identity() == identity) {
            if !is_same(entry.digest()) {
                return Err(SendError::IdReused.into());
            }
            let envelope = entry.envelope().map_err(SendError::from)?.ok_or(SendError::SentBefore)?;
            let outgoing = self.outgoing(envelope);
            return Ok((Sent { message_id, repeated: true, outgoing, identity }, T::default()));
        }
        let (envelope, output) = encrypt(work, &mut peer)?;
        slot.remove(message_id);
        slot.enter(Entry::new((message_id, digest), work.now, &envelope, identity));
        slot.save(self, work, &mut peer);
        peer.save(self, work).map_err(from_stored)?;
        Ok((Sent { message_id, repeated: false, outgoing: self.outgoing(envelope), identity }, output))
    }
}

fn from_stored(stop: Stop<StoredError>) -> Stop<SendError> {
    stop.map(SendError::from)
}

impl Peer {
    /// Encrypts a message with the current session.
    pub(super) fn encrypt(
        &mut self,
        core: &Core,
        work: &mut Workspace<'_>,
        message: &Outward,
        commitment: Option<&Commitment>,
    ) -> Result<Envelope, Stop<SendError>> {
        if self.parked {
            return Err(SendError::IdentityChanged.into());
        }
        let suite = self.session.suite().ok_or(SendError::NoSession)?;
        let text = match suite {
            // There the plaintext is the host's own.
            Suite::Signal => message.plaintext().unwrap_or_default().into(),
            Suite::V1 => Text { bytes: message.payload(), hash: Some(message.hash()) },
        };
        if let Some(name) = self.session.current_name().filter(|_| self.session.sending_wants_kept()) {
            self.bring_kept(core, work, &[name], |session, _| session.sending_touched()).map_err(from_stored)?;
        }
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
        let mut envelope = core.envelope(&self.address, suite, id, ciphertext);
        envelope.commitment = commitment.map(|commitment| *commitment.as_bytes());
        Ok(envelope)
    }
}
