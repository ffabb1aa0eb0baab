use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_core::Rng;

use super::fan_out::{Dispatch, Parcel};
use super::outgoing::Outgoing;
use super::place::Place;
use super::recipient::Recipient;
use crate::client::Client;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, MessageId, MessageName};
use crate::report::{Commitment, FrameSealError};
use crate::rows::{Core, Digest, Peer, first};
use crate::session::EncryptError;
use crate::staging::{Operation, Stop, StoredError, Workspace, stored};
use crate::suite::Suite;
use crate::suite::v1::Text;
use crate::wire::{Envelope, Outward, RecordKind};

/// A message that was encrypted, or that was before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The host's id of it.
    pub message_id: MessageId,
    /// Whether it was sent to all before: then nothing goes out now, since its envelopes were put into the outbox in the
    /// transactions that sent them.
    pub repeated: bool,
    /// Devices of the user that there is no session with: their bundles are [wanted](crate::client::Task::FetchBundle). When
    /// they are added, the same call sends to them what is missing.
    pub missing: Vec<Address>,
    /// Devices that the user has removed: what is in the outbox for them is not posted.
    pub outdated: Vec<Address>,
    /// Whether nothing is known of the user yet: the roster is [wanted](crate::client::Task::FetchRoster), and then the same
    /// call sends.
    pub roster_wanted: bool,
    pub(super) outgoing: Vec<Outgoing>,
}

impl Sent {
    pub(in crate::client) const fn new(message_id: MessageId) -> Self {
        Self {
            message_id,
            repeated: false,
            missing: Vec::new(),
            outdated: Vec::new(),
            roster_wanted: false,
            outgoing: Vec::new(),
        }
    }

    pub(in crate::client) fn of(message_id: MessageId, outgoing: Outgoing) -> Self {
        Self { outgoing: Vec::from([outgoing]), ..Self::new(message_id) }
    }

    /// The envelopes for the host's outbox, one a device; none if it was sent before.
    #[must_use]
    pub fn outgoing(&self) -> &[Outgoing] {
        &self.outgoing
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
    /// The user's account key has changed, or the device's identity key. Ask the user, then
    /// [`Client::accept_account_key`] or [`Client::refuse_account_key`]; of a device that has no account
    /// [`Client::accept_identity`] or [`Client::refuse_identity`]. Where the host does not know which key it is, since its own rows went back in time,
    /// [`Client::peer`] says so.
    #[error("the account key or identity key has changed")]
    IdentityChanged,
    /// This id was used for another message to the device. Ids are random: draw another one.
    #[error("message id was used for another message")]
    IdReused,
    /// Longer than 60,000 bytes. Send it as a file.
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
    /// One's own roster is not published, or the device has no account: people cannot be written to, devices can. Publish
    /// it ([`Task::PublishRoster`](crate::client::Task::PublishRoster)).
    #[error("one's own roster is not published")]
    RosterUnpublished,
    /// This device was linked, and no roster lists it yet. Wait for the primary to publish one.
    #[error("this device is not listed yet")]
    NotListedYet,
    /// This device was removed from its account. [Wipe](Client::wipe) it.
    #[error("this device was removed from its account")]
    Removed,
    /// The device is not one of its user's: the newest roster does not list it.
    #[error("the device is not one of its user's")]
    NotListed,
    /// The user is [blocked](Client::block).
    #[error("the user is blocked")]
    Blocked,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// Longest message of the host's: the payload around it takes the rest of 65,536 bytes.
pub(in crate::client) const MAX_LEN: usize = 60_000;

impl Client {
    /// Sends a message: to a user's devices, all that the newest roster lists, or to one device. To write to a user is to
    /// [accept](Client::accept) him.
    ///
    /// It is idempotent: a `message_id` that is one of the last 385 to a device, and was sent within 30 days, is not sent to it
    /// again, so a commit whose outcome is unknown is answered by sending again: if it was durable, the outbox holds the
    /// envelopes. Devices that had no session then, or came since, get it by the same call. What a peer could not read, and
    /// asks for, is sent again with [`Client::resend`], as far back.
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
    /// assert!(sent.outgoing().len() == 1 && again.repeated && again.outgoing().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(
        &self,
        message_id: MessageId,
        to: impl Into<Recipient>,
        plaintext: &[u8],
    ) -> Operation<Sent, SendError> {
        let (core, to) = (self.core.clone(), to.into());
        let (asked, dispatch) = (to.asked(), Dispatch::new(&core, message_id, &to));
        // A longer one is not sent: it is neither kept nor hashed.
        let message = (plaintext.len() <= MAX_LEN).then(|| Arc::new(Outward::app(plaintext)));
        let operation = Operation::new("send", move |work| {
            let message = message.as_ref().ok_or(SendError::TooLong)?;
            let digest = Digest { content: first(message.digest()), parts: [0; 16], number: message.number() };
            let (sent, ()) = core.fan_out(work, &dispatch, &|entered| *entered == digest, |_, _| {
                Ok((Parcel { message: message.clone(), commitment: None, digest }, ()))
            })?;
            Ok(sent)
        });
        operation.asked(&[message_id.as_bytes(), &asked])
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

fn from_stored(stop: Stop<StoredError>) -> Stop<SendError> {
    stop.map(SendError::from)
}

impl Peer {
    /// Encrypts a message with the current session: what travels, and what it is known by. With its place where it is to
    /// be entered in the sent log, which has room.
    pub(in crate::client) fn encrypt(
        &mut self,
        core: &Core,
        work: &mut Workspace<'_>,
        message: &Outward,
        commitment: Option<&Commitment>,
        entered: Option<&Place>,
    ) -> Result<(Envelope, MessageName), Stop<SendError>> {
        let untrusted = self.untrusted;
        #[cfg(test)]
        let untrusted = untrusted && !planted::is(Defect::AsksUndecided);
        if untrusted {
            return Err(SendError::IdentityChanged.into());
        }
        let suite = self.session.suite().ok_or(SendError::NoSession)?;
        let front = core.front(work, self, entered)?;
        let head = message.head(&front);
        let text = match suite {
            // There the plaintext is the host's own.
            Suite::Signal => message.plaintext().unwrap_or_default().into(),
            Suite::V1 => Text { head: &head, bytes: message.content(), hash: Some(message.hash(&head)) },
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
        if let Some(place) = entered {
            id = place.way.envelope_id(self.sent.number(), id);
        }
        // What was just encrypted is a message.
        let name = ciphertext.name().ok_or(SendError::TooLong)?;
        let mut envelope = core.envelope(&self.address, suite, id, ciphertext);
        envelope.commitment = commitment.map(|commitment| *commitment.as_bytes());
        Ok((envelope, name))
    }
}
