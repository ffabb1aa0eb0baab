use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::proof::{Proof, content};
use crate::client::{FramedMessage, IdentityStatus, Outgoing, Received, ReceivedMessage, Sent};
use crate::crypto::PublicKey;
use crate::ident::{Address, MessageId, MessageName};
use crate::session::FirstMessage;
use crate::wire::Envelope;

/// What the host keeps beside the library's rows, in the same database and in the same transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// What the user has written and what is not sent yet.
    pub(in crate::testing) drafts: Vec<Draft>,
    /// What was sent, by the id that it was sent under: where it is looked for when a peer asks for it.
    pub(in crate::testing) sent: BTreeMap<MessageId, Draft>,
    /// What of it was framed, as it was sealed, by the same id.
    pub(in crate::testing) inner: BTreeMap<MessageId, Vec<u8>>,
    /// What proves framed messages, by their commitments.
    pub(in crate::testing) proofs: BTreeMap<[u8; 32], Proof>,
    /// Who is said to tell two stories.
    pub(in crate::testing) blamed: BTreeSet<Address>,
    /// How often a row was said to be an older one.
    pub(in crate::testing) old_rows: u64,
    /// How often a device was taken for one that was never seen, under another identity key than before: never.
    pub(in crate::testing) mistaken: u64,
    /// What is to be posted, in order.
    pub(in crate::testing) outbox: Vec<Outgoing>,
    /// What the user reads, by the id that its sender gave it.
    pub(in crate::testing) inbox: BTreeMap<[u8; 16], Entry>,
    /// The messages that were opened.
    pub(in crate::testing) opened: BTreeSet<MessageName>,
    /// How often a message was opened that had been read: never.
    pub(in crate::testing) opened_twice: u64,
    /// How often a text came that is in the inbox already: its sender wrote it again.
    pub(in crate::testing) came_again: Vec<[u8; 16]>,
    /// Other identity keys that the user has to be asked about.
    pub(in crate::testing) changed: BTreeMap<Address, PublicKey>,
    /// What was read, by what both sides know it by, and what that answers: for late duplicates.
    pub(in crate::testing) read: BTreeSet<MessageName>,
    /// Whether the names of some time were lost: then nothing is asked for because its name is not here.
    pub(in crate::testing) names_lost: bool,
    /// What could not be read: the user sees a gap.
    pub(in crate::testing) unreadable: BTreeSet<MessageName>,
    /// Of these, what will not come: its sender does not have it any more.
    pub(in crate::testing) gone: BTreeSet<MessageName>,
    /// Of the envelopes that were made, those that say what is gone to whoever asked.
    pub(in crate::testing) replies: BTreeSet<[u8; 16]>,
    /// What the envelopes that were made are of.
    pub(in crate::testing) made: BTreeMap<[u8; 16], Made>,
    /// The identity keys of others, as they came and were accepted.
    pub(in crate::testing) known: BTreeMap<Address, PublicKey>,
    /// Devices that have come under another identity key that the user has not decided about.
    pub(in crate::testing) undecided: BTreeSet<Address>,
    /// How often something was asked for of such a device: never.
    pub(in crate::testing) asked_undecided: u64,
    /// How often a bundle was wanted though nothing could not be read.
    pub(in crate::testing) idle_wants: u64,
    /// How often a device was said not to be known that was: never.
    pub(in crate::testing) untrue: u64,
    /// Why a draft cannot be sent for the time being: the user sees it beside the draft.
    pub(in crate::testing) told: BTreeMap<[u8; 16], String>,
}

/// What an envelope is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) struct Made {
    /// The draft.
    pub(in crate::testing) draft: [u8; 16],
    /// What both sides know the message by.
    pub(in crate::testing) name: MessageName,
    /// What it was sealed to.
    pub(in crate::testing) identity: Option<PublicKey>,
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

/// What came of an envelope with content.
struct News<'a> {
    from: &'a Address,
    identity: &'a IdentityStatus,
    /// What both sides know it by, and what it answers.
    names: [Option<MessageName>; 2],
    content: Option<([u8; 16], Vec<u8>)>,
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

    /// A draft was sent, or sent again.
    pub(super) fn sent(&mut self, draft: &Draft, sent: &Sent) {
        self.drafts.retain(|held| held.message_id != draft.message_id);
        self.told.remove(&draft.id);
        self.sent.insert(draft.message_id, draft.clone());
        for outgoing in sent.outgoing() {
            let name = outgoing.name();
            let identity = self.known.get(&draft.to).copied();
            self.made.insert(*outgoing.id(), Made { draft: draft.id, name, identity });
            self.post(outgoing);
        }
    }

    /// Something is to be posted; not twice, when its transaction runs again.
    pub(super) fn post(&mut self, outgoing: &Outgoing) {
        if !self.outbox.iter().any(|held| held.id() == outgoing.id()) {
            self.outbox.push(outgoing.clone());
        }
    }

    /// The same of what says that messages are gone.
    pub(super) fn reply(&mut self, outgoing: &Outgoing) {
        self.replies.insert(*outgoing.id());
        self.post(outgoing);
    }

    /// A message was received.
    pub(super) fn received(&mut self, envelope: &Envelope, message: &ReceivedMessage) {
        let text = message.plaintext().and_then(<[u8]>::split_first_chunk::<16>);
        let news = News {
            from: message.sender(),
            identity: message.identity(),
            names: [Some(message.name()), message.answers()],
            content: text.map(|(id, text)| (*id, text.to_vec())),
        };
        self.arrives(envelope, news);
    }

    /// A framed message was received.
    pub(super) fn received_frame(&mut self, envelope: &Envelope, message: &FramedMessage) {
        self.received_framed(message);
        let names = [Some(message.name), message.answers];
        let (from, identity, content) = (&message.from, &message.identity, content(&message.accepted.parts));
        self.arrives(envelope, News { from, identity, names, content });
    }

    fn arrives(&mut self, envelope: &Envelope, news: News<'_>) {
        let News { from, identity, names, content } = news;
        let changed = identity.changed_key();
        if let Some(key) = changed {
            self.ask_about(from, key);
            self.undecided.insert(from.clone());
        }
        self.meets(envelope, identity);
        let [name, _] = names;
        self.opened_twice += u64::from(name.is_some_and(|name| !self.opened.insert(name)));
        // Read before, and sent again because nobody knew.
        let was_read = names.iter().flatten().any(|name| self.read.contains(name));
        self.read.extend(names.into_iter().flatten());
        let Some((id, text)) = content.filter(|_| !was_read) else { return };
        let entry = Entry { id, from: from.clone(), text, changed: changed.is_some() };
        if self.inbox.insert(id, entry).is_some() {
            self.came_again.push(id);
        }
    }

    /// A device is seen for the first time.
    pub(super) fn meets(&mut self, envelope: &Envelope, identity: &IdentityStatus) {
        if *identity == IdentityStatus::First
            && let (Some(from), Ok(first)) = (&envelope.from, FirstMessage::parse(&envelope.body))
        {
            self.is_now(from, first.identity_key());
        }
    }

    /// A device is known by this key from now on, and nobody was asked: so it is no other one than before.
    pub(super) fn is_now(&mut self, device: &Address, key: &PublicKey) {
        let before = self.known.insert(device.clone(), *key);
        self.mistaken += u64::from(before.is_some_and(|before| before != *key));
    }

    /// Whether this cannot be read because it was read before: its chain is long gone.
    pub(super) fn is_late(&self, received: &Received) -> bool {
        matches!(received, Received::Unreadable(unreadable) if self.read.contains(&unreadable.name))
    }

    /// Why a draft was not sent.
    pub(super) fn told_of(&mut self, draft: &Draft, why: &impl core::fmt::Display) {
        self.told.insert(draft.id, format!("{why}"));
    }

    /// Whether the user was told that a message which could not be read will not come.
    pub(in crate::testing) fn is_gone(&self, name: &MessageName) -> bool {
        self.gone.contains(name)
    }

    /// The user has to be asked about another identity key.
    pub(super) fn ask_about(&mut self, peer: &Address, key: &PublicKey) {
        self.changed.insert(peer.clone(), *key);
    }
}
