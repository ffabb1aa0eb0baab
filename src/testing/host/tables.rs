use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::client::{AddError, Message, Outgoing, Received, Sent};
use crate::crypto::{PublicKey, sha256};
use crate::ident::{Address, MessageId};
use crate::wire::Envelope;

/// What the host keeps beside the library's rows, in the same database and in the same transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// What the user has written and what is not sent yet.
    pub(in crate::testing) drafts: Vec<Draft>,
    /// What was sent: by the SHA-256 of the ciphertext, which is how a peer asks for it again.
    pub(in crate::testing) sent: BTreeMap<[u8; 32], Draft>,
    /// What is to be posted, in order.
    pub(in crate::testing) outbox: Vec<Outgoing>,
    /// What the user reads, by the id that its sender gave it.
    pub(in crate::testing) inbox: BTreeMap<[u8; 16], Entry>,
    /// The envelopes that were opened.
    pub(in crate::testing) opened: BTreeSet<[u8; 16]>,
    /// How often an envelope was opened that is among them already: never.
    pub(in crate::testing) opened_twice: u64,
    /// How often a text came that is in the inbox already: its sender wrote it again.
    pub(in crate::testing) came_again: Vec<[u8; 16]>,
    /// Other identity keys that the user has to be asked about.
    pub(in crate::testing) changed: BTreeMap<Address, PublicKey>,
    /// What was read, by the SHA-256 of the message: for late duplicates.
    pub(in crate::testing) read: BTreeSet<[u8; 32]>,
    /// What could not be read: the user sees a gap.
    pub(in crate::testing) unreadable: BTreeSet<[u8; 32]>,
    /// Of these, what will not come: its sender does not have it any more.
    pub(in crate::testing) gone: BTreeSet<[u8; 32]>,
    /// Which draft each envelope was made of, and the identity key that it was sealed to.
    pub(in crate::testing) made: BTreeMap<[u8; 16], ([u8; 16], PublicKey)>,
    /// Why a draft cannot be sent for the time being: the user sees it beside the draft.
    pub(in crate::testing) told: BTreeMap<[u8; 16], AddError>,
}

/// A message that the user has written.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// Names it for as long as it lives, however often it is sent: the peer's app knows a text that comes again by it.
    pub id: [u8; 16],
    /// Names one sending of it.
    pub message_id: MessageId,
    /// For whom.
    pub to: Address,
    /// What it says.
    pub text: Vec<u8>,
}

impl core::fmt::Debug for Draft {
    // What people write does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Draft").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Draft {
    /// What is encrypted: the id, then the text.
    pub(super) fn plaintext(&self) -> Vec<u8> {
        [&self.id, self.text.as_slice()].concat()
    }
}

/// A message that was received.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// What its sender named it.
    pub id: [u8; 16],
    /// From whom.
    pub from: Address,
    /// What it says.
    pub text: Vec<u8>,
    /// Whether it came under an identity key that nobody has accepted.
    pub changed: bool,
}

impl core::fmt::Debug for Entry {
    // What people write does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).field("changed", &self.changed).finish_non_exhaustive()
    }
}

impl Tables {
    /// What the user reads.
    pub fn inbox(&self) -> impl Iterator<Item = &Entry> {
        self.inbox.values()
    }

    /// What is written and not sent.
    #[must_use]
    pub fn drafts(&self) -> &[Draft] {
        &self.drafts
    }

    /// Whose identity key the user has to be asked about.
    pub fn changed(&self) -> impl Iterator<Item = (&Address, &PublicKey)> {
        self.changed.iter()
    }

    /// How often an envelope was opened that had been opened before: the library promises never.
    #[must_use]
    pub const fn opened_twice(&self) -> u64 {
        self.opened_twice
    }

    /// How often a text came that was in the inbox already.
    #[must_use]
    pub const fn came_again(&self) -> usize {
        self.came_again.len()
    }

    /// A draft was sent.
    pub(super) fn sent(&mut self, draft: &Draft, sent: &Sent) {
        self.drafts.retain(|held| held.message_id != draft.message_id);
        self.told.remove(&draft.id);
        self.made.insert(*sent.outgoing().id(), (draft.id, *sent.identity_key()));
        self.sent.insert(sha256(&[&sent.outgoing().envelope().body]), draft.clone());
        self.post(sent.outgoing());
    }

    /// Something is to be posted; not twice, when its transaction runs again.
    pub(super) fn post(&mut self, outgoing: &Outgoing) {
        if !self.outbox.iter().any(|held| held.id() == outgoing.id()) {
            self.outbox.push(outgoing.clone());
        }
    }

    /// A message was received.
    pub(super) fn received(&mut self, envelope: &Envelope, message: &Message) {
        let changed = message.identity().changed_key();
        if let Some(key) = changed {
            self.ask_about(message.sender(), key);
        }
        self.opened_twice += u64::from(!self.opened.insert(envelope.id));
        self.read.insert(sha256(&[&envelope.body]));
        let Some((id, text)) = message.plaintext().and_then(<[u8]>::split_first_chunk::<16>) else { return };
        let entry = Entry { id: *id, from: message.sender().clone(), text: text.to_vec(), changed: changed.is_some() };
        if self.inbox.insert(*id, entry).is_some() {
            self.came_again.push(*id);
        }
    }

    /// Whether this cannot be read because it was read before: its chain is long gone.
    pub(super) fn is_late(&self, received: &Received) -> bool {
        matches!(received, Received::Unreadable(unreadable) if self.read.contains(&unreadable.hash))
    }

    /// Why a draft was not sent, if a bundle was refused.
    pub(super) fn told_of(&mut self, draft: &Draft, why: Option<AddError>) {
        match why {
            Some(why) => self.told.insert(draft.id, why),
            None => self.told.remove(&draft.id),
        };
    }

    /// Whether the user was told that a message which could not be read will not come.
    pub(in crate::testing) fn is_gone(&self, name: &[u8; 32]) -> bool {
        self.gone.contains(name)
    }

    /// The user has to be asked about another identity key.
    pub(super) fn ask_about(&mut self, peer: &Address, key: &PublicKey) {
        self.changed.insert(peer.clone(), *key);
    }

    /// A peer could not read these: they are sent again, as drafts under the same ids. `fresh` names the sendings.
    ///
    /// Each is answered once, however often it is asked for: what is sent now has another hash.
    pub(super) fn repair(&mut self, from: &Address, messages: &[[u8; 32]], fresh: &[u8; 16]) {
        for hash in messages {
            if self.sent.get(hash).is_none_or(|draft| draft.to != *from) {
                continue;
            }
            let Some(draft) = self.sent.remove(hash) else { continue };
            let [a, b, c, d, e, f, g, h, ..] = sha256(&[fresh, hash]);
            let [i, j, k, l, m, n, o, p] = [a, b, c, d, e, f, g, h].map(|byte| byte ^ 0xff);
            let message_id = MessageId::new([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]);
            if !self.drafts.iter().any(|held| held.id == draft.id) {
                self.drafts.push(Draft { message_id, ..draft });
            }
        }
    }
}
