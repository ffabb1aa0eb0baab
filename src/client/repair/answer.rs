//! What a peer device asks for, and what it says is gone.

use alloc::vec::Vec;

use crate::client::contacts::{IdentityStatus, UserStatus};
use crate::client::messages::{Outgoing, ReceiveError, Received, RepairRequest, ResendDeclined, Way, is_changed};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, MessageName};
use crate::rows::{Core, Entry, Peer, QUESTION, Segment, Wishes, first};
use crate::staging::{Stop, StoredError, Workspace};
use crate::suite::Suite;
use crate::wire::{Outward, WireError};

type Halt = Stop<ReceiveError>;

/// The kind of a receipt that says what is gone: behind it the first 16 bytes of each name.
const GONE: u8 = 4;

/// One message of a question: the id of its envelope, and its name.
type Item = [u8; 16 + 32];

impl Core {
    /// Notes what a device asks for and was sent, and says what is gone.
    ///
    /// Only what was sealed to the identity key that the device has now is found: else this is how a server that has put
    /// itself in the device's place gets at what it withheld.
    pub(in crate::client) fn answer(
        &self,
        work: &mut Workspace<'_>,
        peer: &mut Peer,
        wishes: &mut Wishes,
        (request, name): (&[u8], MessageName),
        (identity, user): (IdentityStatus, UserStatus),
    ) -> Result<Received, Halt> {
        let (items, rest) = request.as_chunks::<48>();
        if !rest.is_empty() || items.is_empty() || items.len() > QUESTION {
            return Err(ReceiveError::from(WireError::Field).into());
        }
        let (from, messages) = (peer.address.clone(), Vec::new());
        let mut outcome = RepairRequest { from, identity, user, name, messages, reply: None };
        if is_changed(&outcome.identity, &outcome.user) {
            // Under a key that nobody has accepted nothing was sent. That is said when it is accepted.
            wishes.overhear(items.iter().filter_map(parts).map(|(_, name)| name));
            return Ok(Received::RepairRequest(outcome));
        }
        let mut gone = Vec::new();
        for (name, entry) in self.find_sent(work, peer, items).map_err(|stop| stop.map(ReceiveError::from))? {
            match entry {
                // Each is answered once: what is sent then has another name.
                #[cfg(test)]
                Some(entry) if entry.answered && planted::is(Defect::AnswersTwice) => {
                    wishes.note_asked(entry.id(), name, work.now);
                }
                Some(entry) if entry.answered => {}
                Some(entry) if wishes.note_asked(entry.id(), name, work.now) => outcome.messages.push(entry.id()),
                Some(_) => {}
                None => gone.push(name),
            }
        }
        // What is asked for is noted however much was answered lately, and waits: whoever has asked does not ask for it
        // again today.
        if wishes.answers_left(work.now) == 0 {
            return Ok(Received::RepairRequest(outcome));
        }
        outcome.reply = self.say_gone(work, peer, &gone).map_err(|stop| stop.map(ReceiveError::from))?;
        if outcome.reply.is_some() {
            wishes.answer(1, work.now);
        }
        Ok(Received::RepairRequest(outcome))
    }

    /// Looks for messages in the log by their names. An envelope's id only says where to look first: nothing authenticates
    /// it, so what is not found where it leads is looked for in all segments, 48 at most. Whatever a server makes of it, a
    /// name leads to nothing but what was sent to this very device, under the identity key that it has now.
    fn find_sent(
        &self,
        work: &mut Workspace<'_>,
        peer: &Peer,
        items: &[Item],
    ) -> Result<Vec<(MessageName, Option<Entry>)>, Stop<StoredError>> {
        let items: Vec<([u8; 16], MessageName)> = items.iter().filter_map(parts).collect();
        let way = Way::to(self, &peer.address);
        let led: Vec<u8> = items.iter().map(|(envelope, _)| way.number(envelope)).collect();
        let numbers = peer.segment_numbers(self, work)?;
        let (near, far): (Vec<u8>, Vec<u8>) = numbers.into_iter().partition(|number| led.contains(number));
        let mut segments = peer.load_segments(self, work, near)?;
        let find = |segments: &[Segment], is_it: &dyn Fn(&Entry) -> bool| {
            let entries = segments.iter().flat_map(Segment::entries).cloned();
            peer.sent.newest().chain(entries).find(|entry| is_it(entry))
        };
        if !items.iter().all(|(_, name)| find(&segments, &|entry| entry.is_named(name)).is_some()) {
            segments.extend(peer.load_segments(self, work, far)?);
        }
        // Not by the envelope's id as well, where a header was garbled on the way: the message itself may have come too, and
        // nobody would know that what is sent again is the same.
        Ok(items.iter().map(|(_, name)| (*name, find(&segments, &|entry| entry.is_named(name)))).collect())
    }

    /// Word that messages are not to be had any more, if there is a session to say it in.
    pub(in crate::client) fn say_gone(
        &self,
        work: &mut Workspace<'_>,
        peer: &mut Peer,
        names: &[MessageName],
    ) -> Result<Option<Outgoing>, Stop<StoredError>> {
        let can_say = peer.session.can_send(work.now) && peer.session.suite() == Some(Suite::V1);
        #[cfg(test)]
        let can_say = can_say && !planted::is(Defect::TellsNothing);
        if names.is_empty() || !can_say {
            return Ok(None);
        }
        let names = names.iter().flat_map(|name| first::<16>(name.as_bytes()));
        let receipt: Vec<u8> = core::iter::once(GONE).chain(names).collect();
        match peer.encrypt(self, work, &Outward::receipt(&receipt), None, None) {
            Ok(sealed) => Ok(Some(Way::to(self, &peer.address).outgoing(sealed))),
            Err(Stop::Need) => Err(Stop::Need),
            Err(Stop::Fail(crate::client::SendError::Stored(error))) => Err(Stop::Fail(error)),
            // It is exhausted, or not one of its user's any more: nothing can be said.
            Err(Stop::Fail(_)) => Ok(None),
        }
    }
}

fn parts(item: &Item) -> Option<([u8; 16], MessageName)> {
    let (envelope, name) = item.split_first_chunk()?;
    Some((*envelope, MessageName::new(name.try_into().ok()?)))
}

/// Whether a receipt says what is gone.
pub(in crate::client) fn is_gone(receipt: &[u8]) -> bool {
    receipt.first() == Some(&GONE)
}

/// What a device says is gone, of what it was asked for.
pub(in crate::client) fn gone(
    (from, name, user): (&Address, MessageName, UserStatus),
    wishes: &mut Wishes,
    receipt: &[u8],
) -> Result<ResendDeclined, ReceiveError> {
    let (items, rest) = receipt.get(1..).unwrap_or_default().as_chunks::<16>();
    if !rest.is_empty() || items.is_empty() || items.len() > 256 {
        return Err(WireError::Field.into());
    }
    let names = items.iter().filter_map(|item| wishes.settle(|name| first(name.as_bytes()) == *item));
    Ok(ResendDeclined { from: from.clone(), user, name, names: names.collect() })
}
