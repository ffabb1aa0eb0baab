//! Which messages were promised, and what excuses those that are missing.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::testing::{Host, Tables};

/// Why a message may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Excuse {
    /// The relay said that it had it, and lost it, or kept it for too long.
    LostByRelay,
    /// Its sender has restored a backup that it is not in.
    WrittenAfterBackup,
    /// Its recipient has restored a backup, and had not been heard again when it was sent.
    RolledBack,
    /// Its sender or recipient has made a new account, or the sender's new identity key was refused.
    OtherAccount,
    /// A host without a place for its anchor has restored a backup.
    Unnoticed,
}

/// One message that a user wrote.
struct Promise {
    id: [u8; 16],
    by: usize,
    /// The step at which it was written.
    written: u64,
    sent: bool,
    /// The step at which its recipient could not read it.
    unread: Option<u64>,
    excuse: Option<Excuse>,
}

/// An envelope that was made.
struct Made {
    /// Of a message; of none if it asks for messages.
    promise: Option<usize>,
    by: usize,
    at: u64,
    /// Whether its recipient has read it, and knows.
    read: bool,
}

/// In suite `Signal`: until the side that has restored a backup is heard, and answered.
const UNANSWERED: (u64, Excuse) = (u64::MAX, Excuse::RolledBack);

#[derive(Default)]
pub(super) struct Ledger {
    promises: Vec<Promise>,
    envelopes: BTreeMap<[u8; 16], Made>,
    /// Since when what is sent to a side is excused, and why: until the other side has heard of it again.
    deaf: [Option<(u64, Excuse)>; 2],
    /// When a side has restored a backup the last time.
    forgot: [Option<u64>; 2],
    /// For good: nothing is promised any more but that it ends well.
    unnoticed: bool,
}

impl Ledger {
    pub(super) fn wrote(&mut self, id: [u8; 16], by: usize, now: u64) {
        self.promises.push(Promise { id, by, written: now, sent: false, unread: None, excuse: None });
    }

    /// Takes down what has come into an outbox.
    pub(super) fn look_at(&mut self, side: usize, host: &Host, now: u64) {
        let tables = host.tables();
        for outgoing in &tables.outbox {
            if self.envelopes.contains_key(outgoing.id()) {
                continue;
            }
            let draft = tables.made.get(outgoing.id()).and_then(|message| tables.sent.get(message));
            let promise = draft.and_then(|draft| self.promises.iter().position(|promise| promise.id == draft.id));
            let to = 1 - side;
            let excuse = self.deaf.get(to).copied().flatten().map(|(_, excuse)| excuse);
            if let Some(promise) = promise.and_then(|at| self.promises.get_mut(at)) {
                promise.sent = true;
                promise.excuse = promise.excuse.or(excuse);
            }
            self.envelopes.insert(*outgoing.id(), Made { promise, by: side, at: now, read: false });
        }
    }

    /// The relay has lost an envelope.
    pub(super) fn lost(&mut self, envelope: &[u8; 16]) {
        let Some(Made { promise, by, at, .. }) = self.envelopes.get(envelope) else { return };
        match promise {
            Some(promise) => {
                if let Some(promise) = self.promises.get_mut(*promise) {
                    promise.excuse.get_or_insert(Excuse::LostByRelay);
                }
            }
            // It asked for messages that could not be read: only with a new session they are asked for again.
            None => {
                let asked_for =
                    |promise: &Promise| promise.by != *by && promise.unread.is_some_and(|since| since <= *at);
                for promise in self.promises.iter_mut().filter(|promise| asked_for(promise)) {
                    promise.excuse.get_or_insert(Excuse::LostByRelay);
                }
            }
        }
    }

    /// An envelope could not be read: its recipient will ask for it.
    pub(super) fn unreadable(&mut self, envelope: &[u8; 16], now: u64) {
        let promise = self.envelopes.get(envelope).and_then(|made| made.promise);
        if let Some(promise) = promise.and_then(|at| self.promises.get_mut(at)) {
            promise.unread.get_or_insert(now);
        }
    }

    /// A side has read an envelope: its sender is heard. Once; whoever calls need not know whether it was told before.
    ///
    /// In suite `Signal` one that was under way since before a restored backup takes its reader back into a session that
    /// one of the two has no more, and there nobody asks for what is lost.
    pub(super) fn read(&mut self, envelope: &[u8; 16], under_known_key: bool, signal: bool, now: u64) {
        let Some(made) = self.envelopes.get_mut(envelope).filter(|made| !made.read) else { return };
        made.read = true;
        let (by, at) = (made.by, made.at);
        let Some(deaf) = self.deaf.get_mut(by).filter(|_| under_known_key) else { return };
        let forgot = self.forgot.iter().flatten().max().copied();
        if let Some((_, excuse)) = deaf.take_if(|(since, _)| at > *since) {
            // The other direction is sound when an answer to this has been read.
            if let Some(other) = self.deaf.get_mut(1 - by).filter(|other| signal && **other == Some(UNANSWERED)) {
                *other = Some((now, excuse));
            }
        } else if let Some(since) = forgot.filter(|since| signal && at <= *since && deaf.is_none()) {
            *deaf = Some((since, Excuse::RolledBack));
        }
    }

    /// A side has restored a backup that was made at a step.
    pub(super) fn restored(&mut self, side: usize, backup: u64, now: u64, tables: &Tables, signal: bool) {
        for promise in &mut self.promises {
            if promise.by == side && promise.written > backup {
                promise.excuse.get_or_insert(Excuse::WrittenAfterBackup);
            }
            if promise.by != side && promise.sent && !tables.inbox.contains_key(&promise.id) {
                promise.excuse.get_or_insert(Excuse::RolledBack);
            }
        }
        self.has_read(side, tables);
        // What it has sent since it knows nothing of.
        let made_since = self.envelopes.values().filter(|made| made.by == side && made.at > backup);
        for promise in made_since.filter_map(|made| made.promise) {
            if let Some(promise) = self.promises.get_mut(promise) {
                promise.excuse.get_or_insert(Excuse::WrittenAfterBackup);
            }
        }
        self.deafen(side, now, Excuse::RolledBack);
        if let Some(other) = self.deaf.get_mut(1 - side).filter(|_| signal) {
            *other = Some(UNANSWERED);
        }
        if let Some(forgot) = self.forgot.get_mut(side) {
            *forgot = Some(now);
        }
    }

    /// A side has restored a backup, and does not know.
    pub(super) const fn unnoticed(&mut self) {
        self.unnoticed = true;
    }

    /// A side has made a new account.
    pub(super) fn new_account(&mut self, side: usize, now: u64, other: &Tables) {
        for promise in &mut self.promises {
            if promise.by != side && promise.sent || promise.by == side && !other.inbox.contains_key(&promise.id) {
                promise.excuse.get_or_insert(Excuse::OtherAccount);
            }
        }
        self.has_read(side, &Tables::default());
        self.deafen(side, now, Excuse::OtherAccount);
        if let Some(other) = self.deaf.get_mut(1 - side) {
            *other = None;
        }
    }

    /// A side has read what is in its tables, and nothing else.
    fn has_read(&mut self, side: usize, tables: &Tables) {
        for (id, made) in self.envelopes.iter_mut().filter(|(_, made)| made.by != side) {
            made.read = tables.opened.contains(id);
        }
    }

    /// A side has refused the other's new identity key.
    pub(super) fn refused(&mut self, side: usize, now: u64, tables: &Tables) {
        for promise in &mut self.promises {
            if promise.by != side && promise.sent && !tables.inbox.contains_key(&promise.id) {
                promise.excuse.get_or_insert(Excuse::OtherAccount);
            }
        }
        self.deafen(side, now, Excuse::OtherAccount);
    }

    fn deafen(&mut self, side: usize, now: u64, excuse: Excuse) {
        if let Some(deaf) = self.deaf.get_mut(side) {
            *deaf = Some((now, excuse));
        }
    }

    /// How many were written.
    pub(super) const fn written(&self) -> usize {
        self.promises.len()
    }

    /// What is missing without an excuse, and how much is missing with one.
    pub(super) fn settle(&self, tables: [&Tables; 2]) -> (Vec<[u8; 16]>, BTreeMap<Excuse, usize>) {
        let (mut missing, mut excused) = (Vec::new(), BTreeMap::new());
        for promise in &self.promises {
            let [alice, bob] = tables;
            let inbox = if promise.by == 0 { &bob.inbox } else { &alice.inbox };
            if !inbox.contains_key(&promise.id) {
                match promise.excuse.or_else(|| self.unnoticed.then_some(Excuse::Unnoticed)) {
                    Some(excuse) => *excused.entry(excuse).or_default() += 1,
                    None => missing.push(promise.id),
                }
            }
        }
        (missing, excused)
    }
}

impl Ledger {
    /// Which messages these were, in the order in which they were written.
    pub(super) fn numbers(&self, ids: &[[u8; 16]]) -> Vec<usize> {
        let positions = self.promises.iter().enumerate();
        positions.filter(|(_, promise)| ids.contains(&promise.id)).map(|(at, _)| at).collect()
    }

    /// What a trace calls an envelope: the number of its message, and the step at which it was made.
    pub(super) fn named(&self, envelope: &[u8; 16]) -> String {
        let Some(made) = self.envelopes.get(envelope) else { return "?".into() };
        made.promise.map_or_else(|| format!("repair@{}", made.at), |promise| format!("{promise}@{}", made.at))
    }
}
