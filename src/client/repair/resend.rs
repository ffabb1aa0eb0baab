use super::stand::Stand;
use crate::client::Client;
use crate::client::messages::{MAX_LEN, Outgoing, Place, SendError, Sent};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, MessageId};
use crate::report::{AccountTag, Destination};
use crate::rows::{Asked, Core, Digest, Entry, Peer, RESEND_MS, Wishes, first};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::wire::Outward;

use alloc::boxed::Box;

/// Why a message was not sent again. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResendError {
    /// Nothing is known of the device.
    #[error("device is unknown")]
    UnknownDevice,
    /// The device has not asked for it, or it was answered, or what it asked for was sealed to another identity key.
    #[error("the device has not asked for this message")]
    NotAsked,
    /// It was asked for more than 30 days ago. The device waits no longer.
    #[error("the message was asked for too long ago")]
    TooLate,
    /// The device shows another identity key, and the user has not decided. Nothing is sent to it.
    #[error("the device's identity key has changed")]
    IdentityChanged,
    /// These are not the bytes that were sent under this id. Nothing else is sent in their place.
    #[error("it is not what was sent before")]
    OtherContent,
    /// The device was answered 64 times within an hour. [`Client::todo`] says when to go on.
    #[error("the device was answered too often")]
    TooMany,
    /// It cannot be sent now: as [`SendError`] says.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

type Halt = Stop<ResendError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(ResendError::from)
}

impl Client {
    /// Sends again what a device could not read and asks for, see [`Task::Resend`](super::Task::Resend): the bytes that were
    /// given to [`Client::send`] under this id, or what [`FramedSent::inner`](crate::client::FramedSent::inner) was of a
    /// framed one.
    ///
    /// # Errors
    ///
    /// [`ResendError`], when it is staged.
    ///
    /// # Security
    ///
    /// Nothing goes out but what was sent to this device before, sealed to the identity key that it had then and has now,
    /// and once for each question: a server that puts itself in the device's place gets nothing by asking.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::client::ResendError;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// # let mut table = std::collections::BTreeMap::<MessageId, Vec<u8>>::new();
    /// for task in alice.todo().run(&db, now, &mut rng, |_, _| Ok(()))? {
    ///     let Task::Resend { address, message_id } = task else { continue };
    ///     match table.get(&message_id) {
    ///         Some(text) => alice.resend(message_id, &address, text).run(&db, now, &mut rng, |tx, sent| {
    ///             tx.outbox.extend(sent.outgoing().iter().map(Outgoing::bytes));
    ///             Ok(())
    ///         })?,
    ///         None => continue, // `Client::gone`
    ///     };
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn resend(&self, message_id: MessageId, address: &Address, content: &[u8]) -> Operation<Sent, ResendError> {
        let (core, place) = (self.core.clone(), Place::new(&self.core, message_id, address));
        // Nothing longer was ever sent: it is neither kept nor hashed.
        let content = (content.len() <= MAX_LEN).then(|| content.to_vec());
        Operation::new("resend", move |work| core.send_again(work, &place, content.as_deref()))
    }

    /// Tells a device that what it asks for is not there any more, see [`Task::Resend`](super::Task::Resend): what it has of it
    /// is a gap, and it can show one. What is given goes into the outbox; `None` if there is no session to say it in.
    ///
    /// # Errors
    ///
    /// [`ResendError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::client::ResendError;
    /// # use subrosa::staging::StageError;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// let never_asked = alice.decline_resend(MessageId::new([1; 16]), bob.address()).stage(&db, now, &mut rng);
    /// assert!(matches!(never_asked, Err(StageError::Operation(ResendError::NotAsked))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn decline_resend(&self, message_id: MessageId, address: &Address) -> Operation<Option<Outgoing>, ResendError> {
        let (core, place) = (self.core.clone(), Place::new(&self.core, message_id, address));
        Operation::new("decline_resend", move |work| core.tell_gone(work, &place))
    }

    /// Answers a device that could not read a message and asks for it, as [`Task::Resend`](super::Task::Resend) says:
    /// with the message, if `content` is what was sent under this id, and else with word that it is gone. `content` is what the
    /// host's own table has under the id, see [`Self::resend`]; `None` if it has nothing any more. What is given goes into the
    /// outbox.
    ///
    /// # Errors
    ///
    /// [`ResendError`], when it is run; never [`ResendError::OtherContent`]. Nothing is lost by any of them: what is to be
    /// answered still is among the tasks.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// # let table = BTreeMap::<MessageId, Vec<u8>>::new();
    /// for task in alice.todo().run(&db, now, &mut rng, |_, _| Ok(()))? {
    ///     let Task::Resend { address, message_id } = task else { continue };
    ///     let text = table.get(&message_id).map(Vec::as_slice);
    ///     alice.answer(message_id, &address, text).run(&db, now, &mut rng, |tx, answer| {
    ///         tx.outbox.extend(answer.as_ref().map(Outgoing::bytes));
    ///         Ok(())
    ///     })?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn answer(
        &self,
        message_id: MessageId,
        address: &Address,
        content: Option<&[u8]>,
    ) -> Operation<Option<Outgoing>, ResendError> {
        let (core, place) = (self.core.clone(), Place::new(&self.core, message_id, address));
        let content = content.filter(|content| content.len() <= MAX_LEN).map(<[u8]>::to_vec);
        Operation::new("answer", move |work| match core.send_again(work, &place, content.as_deref()) {
            Err(Stop::Fail(ResendError::OtherContent)) => core.tell_gone(work, &place),
            sent => Ok(sent?.outgoing().first().cloned()),
        })
    }
}

/// What the device asked for, if it still waits.
fn is_open(wishes: &Wishes, place: &Place, work: &Workspace<'_>) -> Result<Asked, ResendError> {
    let asked = wishes.asked_for(place.id).ok_or(ResendError::NotAsked)?;
    if work.now.since(asked.at) > RESEND_MS { Err(ResendError::TooLate) } else { Ok(asked) }
}

impl Core {
    fn send_again(&self, work: &mut Workspace<'_>, place: &Place, content: Option<&[u8]>) -> Result<Sent, Halt> {
        let (mut peer, mut wishes) = self.load_asked(work, place)?;
        let asked = is_open(&wishes, place, work)?;
        let entry = peer.sent_as(self, work, place.id).map_err(from_stored)?;
        #[cfg(test)]
        let entry = entry.map(|mut entry| {
            entry.answered &= !planted::is(Defect::AnswersTwice);
            entry
        });
        let entry = entry.filter(|entry| !entry.answered).ok_or(ResendError::NotAsked)?;
        let Digest { content: digest, parts, number } = entry.digest;
        let content = content.ok_or(ResendError::OtherContent)?;
        let message = Outward::again(&asked.name, number, content);
        if first(message.digest()) != digest {
            return Err(ResendError::OtherContent.into());
        }
        if wishes.answers_left(work.now) == 0 {
            return Err(ResendError::TooMany.into());
        }
        let commitment = if message.is_framed() {
            let (me, dest) = (AccountTag::of(self.address.user()), AccountTag::of(place.to.user()));
            Some(
                crate::report::commitment_of(content, &me, &Destination::Direct(dest))
                    .ok_or(ResendError::OtherContent)?,
            )
        } else {
            None
        };
        peer.answered(self, work, place.id).map_err(from_stored)?;
        peer.make_room(self, work).map_err(from_stored)?;
        let encrypted = peer.encrypt(self, work, &message, commitment.as_ref(), Some(place));
        let sealed = encrypted.map_err(|stop| stop.map(ResendError::from))?;
        let digest = Digest { content: digest, parts, number };
        peer.sent.enter(&Entry::new(place.id, &sealed.1, digest, work.now));
        wishes.resent(place.id);
        wishes.answer(1, work.now);
        self.save_asked(work, peer, &wishes)?;
        Ok(Sent::of(place.id, place.way.outgoing(sealed)))
    }

    fn tell_gone(&self, work: &mut Workspace<'_>, place: &Place) -> Result<Option<Outgoing>, Halt> {
        let (mut peer, mut wishes) = self.load_asked(work, place)?;
        let asked = is_open(&wishes, place, work)?;
        let said = self.say_gone(work, &mut peer, &[asked.name]).map_err(from_stored)?;
        wishes.resent(place.id);
        self.save_asked(work, peer, &wishes)?;
        Ok(said)
    }

    /// A device that has asked for a message, and what waits with it.
    fn load_asked(&self, work: &mut Workspace<'_>, place: &Place) -> Result<(Box<Peer>, Wishes), Halt> {
        work.announce(self.wish_keys(&place.to));
        let peer = self.load_peer_at(work, &place.to, place.peer).map_err(from_stored)?;
        let wishes = Wishes::load(self, work, &place.to).map_err(from_stored)?;
        let peer = peer.ok_or(ResendError::UnknownDevice)?;
        if peer.untrusted { Err(ResendError::IdentityChanged.into()) } else { Ok((peer, wishes)) }
    }

    fn save_asked(&self, work: &mut Workspace<'_>, peer: Box<Peer>, wishes: &Wishes) -> Result<(), Halt> {
        let stand = Stand::of(Some(&peer), work.now);
        peer.save(self, work).map_err(from_stored)?;
        wishes.save(self, work, stand).map_err(from_stored)
    }
}
