//! What says how messages fare: receipts, and whether somebody is writing. It is in no log, and never sent again.

use alloc::vec::Vec;

use super::outgoing::Outgoing;
use super::sent::SendError;
use crate::client::Client;
use crate::ident::{MessageId, UserId};
use crate::rows::Core;
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::suite::Suite;
use crate::wire::{ContactState, Outward, Receipt, ReceiptKind, Typing};

impl Client {
    /// Tells a user that messages of theirs were delivered, read or viewed: by the ids that
    /// [`ReceivedMessage::message_id`](crate::client::ReceivedMessage::message_id) gives. Into the outbox go envelopes for those of the
    /// user's devices that there is a session with.
    ///
    /// Only to who is [accepted](ContactState::Accepted): a stranger does not learn whether he was heard, and nothing goes out. At
    /// most [`Receipt::MAX_ITEMS`] ids; of more the rest is left out.
    ///
    /// # Errors
    ///
    /// [`SendError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::wire::ReceiptKind;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), now, mut rng) = (person("alice"), NOW, rng());
    /// let (bob, ids) = (UserId::new("bob")?, [MessageId::new([7; 16])]);
    /// let receipts = alice.send_receipt(&bob, ReceiptKind::Read, &ids).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(receipts.is_empty(), "he is a stranger");
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_receipt(
        &self,
        to: &UserId,
        kind: ReceiptKind,
        messages: &[MessageId],
    ) -> Operation<Vec<Outgoing>, SendError> {
        let (core, to) = (self.core.clone(), to.clone());
        let items = messages.iter().take(Receipt::MAX_ITEMS).map(|id| *id.as_bytes()).collect();
        let receipt = Receipt::new(kind, items).map(|receipt| Outward::receipt(&receipt.to_bytes()));
        Operation::new("send_receipt", move |work| match &receipt {
            Some(receipt) => core.tell(work, &to, receipt),
            None => Ok(Vec::new()),
        })
    }

    /// Tells a user that somebody begins, or ends, to write. As [`Self::send_receipt`].
    ///
    /// # Errors
    ///
    /// [`SendError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::wire::Typing;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), now, mut rng) = (person("alice"), NOW, rng());
    /// let bob = UserId::new("bob")?;
    /// let typing = alice.send_typing(&bob, Typing::Begins).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(typing.is_empty(), "he is a stranger");
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_typing(&self, to: &UserId, typing: Typing) -> Operation<Vec<Outgoing>, SendError> {
        let (core, to) = (self.core.clone(), to.clone());
        let message = Outward::typing(&typing.to_bytes());
        Operation::new("send_typing", move |work| core.tell(work, &to, &message))
    }
}

impl Core {
    /// Sends to those devices of an accepted user that there is a session of suite V1 with, and notes nothing.
    fn tell(&self, work: &mut Workspace<'_>, to: &UserId, message: &Outward) -> Result<Vec<Outgoing>, Stop<SendError>> {
        let from_stored = |stop: Stop<StoredError>| stop.map(SendError::from);
        self.announce_people(work, to);
        let account = self.load_published(work).map_err(from_stored)?.ok_or(SendError::RosterUnpublished)?;
        account.may_send(work.now)?;
        let user = self.load_user(work, to).map_err(from_stored)?;
        let Some(user) = user.filter(|user| user.contact == ContactState::Accepted) else { return Ok(Vec::new()) };
        user.may_be_sent_to()?;
        let places = self.places_of(MessageId::new([0; 16]), to, user.roster());
        work.announce(places.iter().map(|place| place.peer));
        let mut outgoing = Vec::new();
        for place in &places {
            let peer = match self.load_peer_at(work, &place.to, place.peer) {
                Ok(peer) => peer,
                // What others need is asked for in the same round.
                Err(Stop::Need) => continue,
                Err(stop) => return Err(from_stored(stop)),
            };
            let can_hear = peer.filter(|peer| peer.session.can_send(work.now) && !peer.untrusted);
            let Some(mut peer) = can_hear.filter(|peer| peer.session.suite() == Some(Suite::V1)) else { continue };
            match peer.encrypt(self, work, message, None, None) {
                Ok(sealed) => {
                    outgoing.push(place.way.outgoing(sealed));
                    peer.save(self, work).map_err(from_stored)?;
                }
                Err(Stop::Need) => {}
                Err(stop) => return Err(stop),
            }
        }
        work.ready()?;
        Ok(outgoing)
    }
}
