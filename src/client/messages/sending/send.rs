use alloc::sync::Arc;

use rand_core::Rng;

use super::fan_out::{Dispatch, Parcel};
use super::place::Place;
use super::recipient::Recipient;
use super::sent::{SendError, Sent};
use crate::client::Client;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, MessageId, MessageName};
use crate::report::Commitment;
use crate::rows::{Core, Digest, Peer, first};
use crate::session::EncryptError;
use crate::staging::{Operation, Stop, StoredError, Workspace, stored};
use crate::suite::Suite;
use crate::suite::v1::Text;
use crate::wire::{Envelope, Outward, RecordKind};

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
        let operation = Operation::new("send", move |work| core.send_unframed(work, &dispatch, message.as_ref()));
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

impl Core {
    /// Sends what has no frame to each device that it is for; `None` if it is too long.
    pub(super) fn send_unframed(
        &self,
        work: &mut Workspace<'_>,
        dispatch: &Dispatch,
        message: Option<&Arc<Outward>>,
    ) -> Result<Sent, Stop<SendError>> {
        let message = message.ok_or(SendError::TooLong)?;
        let digest = Digest { content: first(message.digest()), parts: [0; 16], number: message.number() };
        let (sent, ()) = self.fan_out(work, dispatch, &|entered| *entered == digest, |_, _| {
            Ok((Parcel { message: message.clone(), commitment: None, digest }, ()))
        })?;
        Ok(sent)
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
