//! What became of every message. There are no excuses: for one that was not read the ledger asks where it is, and who was
//! told.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::accounts::START;
use super::ends::{End, Loss};
use super::monitor::{Kind, Monitor};
use super::starts::Starts;
use super::world::name_of;
use crate::client::ReceiveError;
use crate::crypto::PublicKey;
use crate::ident::{Address, MessageName, Timestamp};
use crate::testing::{Answer, Entry, Host, Tables};
use crate::wire::Envelope;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// So many newer messages push none out of the sent log, wherever it puts them.
const FEW: usize = 64;

/// Counts what happens: later is more.
pub(super) type Moment = u64;

struct Promise {
    id: [u8; 16],
    by: usize,
    to: usize,
    text: Vec<u8>,
    written: Moment,
    read: Option<Moment>,
    envelopes: Vec<[u8; 16]>,
}

/// An envelope that was made.
pub(super) struct Made {
    /// Of a message; of none if it is about messages.
    promise: Option<usize>,
    by: usize,
    to: usize,
    at: Moment,
    step: u64,
    /// How many came before it, from the same device to the same one.
    before: usize,
    /// What it was sealed to.
    identity: Option<PublicKey>,
    /// By what both sides know it.
    name: Option<MessageName>,
    /// When it was made, by the world's clock.
    time: Timestamp,
    fates: Vec<(Moment, Timestamp, Fate)>,
}

impl Made {
    /// Whether it, or a copy of it, could not be read.
    fn is_asked_for(&self) -> bool {
        self.fates.iter().any(|(_, _, fate)| matches!(fate, Fate::Unreadable | Fate::Asked))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Dropped,
    Expired,
    Read,
    Unreadable,
    Refused,
    /// A copy that somebody had changed or wrapped anew could not be read, and is asked for under the same name.
    Asked,
}

/// A device has gone back in time: it does not know what was between the two moments.
#[derive(Debug, Clone, Copy)]
struct Back {
    to: Moment,
    at: Moment,
}

pub(super) struct Ledger {
    now: Moment,
    promises: Vec<Promise>,
    by_id: BTreeMap<[u8; 16], usize>,
    envelopes: BTreeMap<[u8; 16], Made>,
    /// How many there are from one device to another.
    counts: BTreeMap<(usize, usize), usize>,
    backs: BTreeMap<usize, Vec<Back>>,
    /// When a user's device has forgotten another one the last time, and with it what it had sent there.
    forgets: BTreeMap<(usize, usize), Moment>,
    users: BTreeMap<Address, usize>,
    /// Users in whose database somebody has put back a row.
    put_back: BTreeSet<usize>,
    /// First messages of suite `Signal` that were passed on under another name, and under which.
    passed_off: BTreeSet<([u8; 16], Address)>,
    /// Whether a message was sent again to another identity key than before.
    other_key: bool,
    /// How often each message was sent again.
    answers: BTreeMap<usize, usize>,
    pub(super) monitor: Monitor,
    pub(super) starts: Starts,
    /// The names of all that was sent, and of what somebody has made of it.
    names: BTreeSet<MessageName>,
    /// The world's clock.
    pub(super) time: Timestamp,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            now: 0,
            promises: Vec::new(),
            by_id: BTreeMap::new(),
            envelopes: BTreeMap::new(),
            counts: BTreeMap::new(),
            backs: BTreeMap::new(),
            forgets: BTreeMap::new(),
            users: BTreeMap::new(),
            put_back: BTreeSet::new(),
            passed_off: BTreeSet::new(),
            other_key: false,
            answers: BTreeMap::new(),
            monitor: Monitor::default(),
            starts: Starts::default(),
            names: BTreeSet::new(),
            time: START,
        }
    }
}

impl Ledger {
    /// A moment later.
    pub(super) const fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    pub(super) fn is_at(&mut self, user: usize, address: Address) {
        self.users.insert(address, user);
    }

    /// How many were written.
    pub(super) const fn written(&self) -> usize {
        self.promises.len()
    }

    pub(super) fn wrote(&mut self, id: [u8; 16], by: usize, to: usize, text: &[u8]) {
        let written = self.tick();
        self.by_id.insert(id, self.promises.len());
        let (text, envelopes) = (text.to_vec(), Vec::new());
        self.promises.push(Promise { id, by, to, text, written, read: None, envelopes });
    }

    /// Takes down what has come into an outbox of a device whose clock is wrong by so much, and tells of what no user wrote now.
    pub(super) fn look_at(
        &mut self,
        by: usize,
        host: &Host,
        step: u64,
        (time, clock): (Timestamp, i64),
    ) -> Vec<String> {
        let (at, mut told) = (self.tick(), Vec::new());
        let tables = host.tables();
        for outgoing in &tables.outbox {
            if self.envelopes.contains_key(outgoing.id()) {
                continue;
            }
            let Some(to) = self.users.get(outgoing.to()).copied() else { continue };
            let sealed = tables.made.get(outgoing.id());
            let promise = sealed.and_then(|made| self.by_id.get(&made.draft)).copied();
            let again = promise.and_then(|at| self.promises.get(at)).is_some_and(|promise| {
                let earlier = promise.envelopes.iter().filter_map(|id| self.envelopes.get(id));
                earlier.filter(|made| made.by == by).any(|made| !self.forgot(by, made.at))
            });
            let kind = match promise {
                Some(_) if again => Kind::Again,
                Some(_) => Kind::Message,
                None if tables.replies.contains(outgoing.id()) => Kind::Gone,
                None => Kind::Question,
            };
            self.monitor.made(by, to, time.get() / DAY_MS, kind);
            self.starts.made((by, to), outgoing.envelope(), promise.is_none(), (time, clock));
            self.names.extend(name_of(outgoing.envelope()));
            let (name, identity) = (sealed.map(|made| made.name), sealed.and_then(|made| made.identity));
            if let Some(promise) = promise.filter(|_| again) {
                *self.answers.entry(promise).or_default() += 1;
                let earlier = self.promises.get(promise).into_iter().flat_map(|promise| &promise.envelopes);
                self.other_key |= earlier.filter_map(|id| self.envelopes.get(id)).all(|made| made.identity != identity);
            }
            let count = self.counts.entry((by, to)).or_default();
            let (before, fates) = (*count, Vec::new());
            *count += 1;
            let made = Made { promise, by, to, at, step, before, time, identity, name, fates };
            self.envelopes.insert(*outgoing.id(), made);
            if kind != Kind::Message {
                told.push(format!("{by} sends {to} {}: {kind:?}", self.named(outgoing.id())));
            }
            if let Some(promise) = promise.and_then(|at| self.promises.get_mut(at)) {
                promise.envelopes.push(*outgoing.id());
            }
        }
        told
    }

    fn fate(&mut self, envelope: &[u8; 16], fate: Fate) {
        let at = self.tick();
        if let Some(made) = self.envelopes.get_mut(envelope) {
            made.fates.push((at, self.time, fate));
        }
    }

    /// The server has dropped an envelope, or passed on another one in its place.
    pub(super) fn dropped(&mut self, envelope: &[u8; 16]) {
        self.fate(envelope, Fate::Dropped);
    }

    /// The server has kept it for long enough.
    pub(super) fn expired(&mut self, envelope: &[u8; 16]) {
        self.fate(envelope, Fate::Expired);
    }

    /// A copy of an envelope that somebody had changed could not be read.
    pub(super) fn unreadable_copy(&mut self, envelope: &[u8; 16]) {
        self.fate(envelope, Fate::Asked);
    }

    /// A first message of suite `Signal` is passed on under another name. Nothing in it says whose it is but the identity
    /// key, which nobody knows yet: its text is shown under that name, and a second time it is a duplicate.
    pub(super) fn passes_off(&mut self, envelope: &Envelope) {
        let promise = self.envelopes.get(&envelope.id).and_then(|made| self.promises.get(made.promise?));
        if let (Some(promise), Some(name)) = (promise, &envelope.from) {
            self.passed_off.insert((promise.id, name.clone()));
        }
    }

    /// Somebody has made this of an envelope.
    pub(super) fn changed(&mut self, envelope: &Envelope) {
        self.names.extend(name_of(envelope));
    }

    /// Whether a host knows something as unreadable that nobody has sent.
    pub(super) fn is_misnamed(&self, tables: &Tables) -> bool {
        !tables.unreadable.is_subset(&self.names)
    }

    /// Whether nothing has happened to a user's device but what happens to all.
    pub(super) fn is_unspoilt(&self, user: usize) -> bool {
        !self.backs.contains_key(&user) && !self.put_back.contains(&user)
    }

    /// What was said of an envelope, which came as it was sent, and is acknowledged.
    pub(super) fn answered(&mut self, envelope: &Envelope, answer: &Answer) {
        if let (Some(from), Some(to)) =
            (envelope.from.as_ref().and_then(|from| self.user(from)), self.user(&envelope.to))
        {
            match answer {
                Answer::Read => self.starts.heard(to, from, envelope),
                Answer::Refused(ReceiveError::Duplicate) => self.starts.may_have_heard(to, from),
                _ => {}
            }
        }
        let fate = match answer {
            Answer::Read => Fate::Read,
            Answer::Unreadable(_) => Fate::Unreadable,
            // It was there before.
            Answer::Refused(ReceiveError::Duplicate) if self.was_acknowledged(&envelope.id) => return,
            _ => Fate::Refused,
        };
        self.fate(&envelope.id, fate);
        if fate == Fate::Unreadable {
            self.monitor.unreadable(&envelope.id);
        }
    }

    fn was_acknowledged(&self, envelope: &[u8; 16]) -> bool {
        self.envelopes.get(envelope).is_some_and(|made| {
            let known = |(at, _, fate): &(Moment, Timestamp, Fate)| {
                matches!(fate, Fate::Read | Fate::Unreadable) && !self.forgot(made.to, *at)
            };
            made.fates.iter().any(known)
        })
    }

    /// Looks whether the message of an envelope is with its recipient by now, or is asked for: a host that comes to its end
    /// after its transaction says nothing.
    pub(super) fn look_for(&mut self, envelope: &[u8; 16], tables: &Tables) {
        let made = self.envelopes.get(envelope);
        if made
            .is_some_and(|made| made.name.is_some_and(|name| tables.unreadable.contains(&name)) && !made.is_asked_for())
        {
            self.fate(envelope, Fate::Asked);
            self.monitor.unreadable(envelope);
        }
        let promise = self.envelopes.get(envelope).and_then(|made| made.promise);
        if let Some(promise) = promise.and_then(|at| self.promises.get_mut(at))
            && promise.read.is_none()
            && tables.inbox.contains_key(&promise.id)
        {
            promise.read = Some(self.now);
        }
    }

    /// A user's device has gone back to a moment; 0 for a new account.
    pub(super) fn goes_back(&mut self, user: usize, to: Moment) {
        let at = self.tick();
        self.backs.entry(user).or_default().push(Back { to, at });
        self.starts.forget(user);
        self.monitor.mishap();
    }

    /// Somebody has put back a row of a user's device.
    pub(super) fn row_put_back(&mut self, user: usize) {
        self.monitor.mishap();
        self.put_back.insert(user);
        self.starts.forget(user);
    }

    /// A user's device forgets another one.
    pub(super) fn forgets(&mut self, user: usize, other: &Address) {
        let at = self.tick();
        self.monitor.mishap();
        self.starts.forget(user);
        if let Some(other) = self.users.get(other) {
            self.forgets.insert((user, *other), at);
        }
    }

    /// Whether a user's device does not know any more what it knew at a moment.
    fn forgot(&self, user: usize, moment: Moment) -> bool {
        self.backs.get(&user).is_some_and(|backs| backs.iter().any(|back| back.to < moment && moment < back.at))
    }

    /// Whether the sender's library can still know an envelope: for 30 days, of many only the newest. `now` is the world's.
    fn is_in_log(&self, made: &Made) -> bool {
        let count = self.counts.get(&(made.by, made.to)).copied().unwrap_or_default();
        self.time.since(made.time) < 29 * DAY_MS && (self.time.since(made.time) < DAY_MS || count - made.before <= FEW)
    }

    /// Whether a message was sent again to another identity key than it was sealed to.
    pub(super) const fn went_to_another_key(&self) -> bool {
        self.other_key
    }

    /// A message that was sent again more often than its recipient found it unreadable.
    pub(super) fn answered_too_often(&self) -> Option<usize> {
        let too_often = |(promise, answers): &(&usize, &usize)| {
            let Some(promise) = self.promises.get(**promise) else { return false };
            let made = || promise.envelopes.iter().filter_map(|id| self.envelopes.get(id));
            let back = [promise.by, promise.to]
                .iter()
                .any(|user| self.backs.contains_key(user) || self.put_back.contains(user));
            **answers > made().filter(|made| made.is_asked_for()).count() && !back
        };
        self.answers.iter().find(too_often).map(|(promise, _)| *promise)
    }

    /// Whether a text may come twice: its sender went back to before it was sent, and wrote it again; or an answer had to be
    /// sent again.
    pub(super) fn may_come_again(&self, id: &[u8; 16]) -> bool {
        let promise = self.by_id.get(id).and_then(|at| self.promises.get(*at));
        promise.is_some_and(|promise| {
            let made = promise.envelopes.iter().filter_map(|id| self.envelopes.get(id));
            // What answers to an answer that could not be read does not say what that had answered to.
            let answers = promise.envelopes.iter().skip(1).filter_map(|id| self.envelopes.get(id));
            let unread = |made: &Made| made.fates.iter().any(|(_, _, fate)| *fate == Fate::Unreadable);
            made.into_iter().any(|made| self.forgot(promise.by, made.at)) || answers.into_iter().any(unread)
        })
    }

    /// What a user reads that was not written to that user, or by somebody else than it says, or is not what was written.
    pub(super) fn misplaced(&self, user: usize, tables: &Tables) -> Option<String> {
        let misplaced = |entry: &&Entry| {
            let promise = self.by_id.get(&entry.id).and_then(|at| self.promises.get(*at));
            let by = self.users.get(&entry.from).copied();
            let is_by = |promise: &Promise| {
                by == Some(promise.by) || self.passed_off.contains(&(promise.id, entry.from.clone()))
            };
            promise.is_none_or(|promise| promise.to != user || !is_by(promise) || promise.text != entry.text)
        };
        let entry = tables.inbox.values().find(misplaced)?;
        let (number, by) = (self.number(&entry.id), self.users.get(&entry.from));
        Some(format!("{user} reads message {number:?}, by {by:?}: {:?}", String::from_utf8_lossy(&entry.text)))
    }

    /// What became of each message. `identities` are the identity keys that the devices have now.
    pub(super) fn settle(
        &self,
        hosts: &[&Host],
        identities: &[Option<PublicKey>],
        signal: bool,
    ) -> (BTreeMap<End, usize>, BTreeMap<Loss, Vec<usize>>) {
        let (mut ends, mut losses) = (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new());
        for (number, promise) in self.promises.iter().enumerate() {
            match self.end_of(promise, hosts, identities, signal) {
                Ok(end) => *ends.entry(end).or_default() += 1,
                Err(loss) => losses.entry(loss).or_default().push(number),
            }
        }
        (ends, losses)
    }

    fn end_of(
        &self,
        promise: &Promise,
        hosts: &[&Host],
        identities: &[Option<PublicKey>],
        signal: bool,
    ) -> Result<End, Loss> {
        if promise.read.is_some() {
            return Ok(End::Read);
        }
        let (Some(sender), Some(reader)) = (hosts.get(promise.by), hosts.get(promise.to)) else {
            return Err(Loss::Vanished);
        };
        let undecided = sender.tables().changed.contains_key(reader.address())
            || reader.tables().changed.contains_key(sender.address());
        if sender.tables().drafts.iter().any(|draft| draft.id == promise.id) {
            return if undecided { Ok(End::Undecided) } else { Err(Loss::Unsent) };
        }
        // The text is in its sender's table as long as that does not go back to before it was written.
        let lost_by_sender = self.forgot(promise.by, promise.written);
        let (mut unreadable, mut refused, mut told, mut kept, mut outlived) = (false, false, true, false, false);
        let mut end = lost_by_sender.then_some(End::NeverLeft);
        let put_back = |user| self.put_back.contains(user);
        let mut answer_withheld = None;
        for (number, made) in promise.envelopes.iter().filter_map(|id| self.envelopes.get(id)).enumerate() {
            let identity = identities.get(promise.to).copied().flatten();
            let forgotten = self.forgets.get(&(made.by, made.to)).is_some_and(|at| *at > made.at);
            let in_log = !forgotten && !put_back(&made.by) && self.is_in_log(made);
            // An answer that nobody has seen is not asked for: nobody knows its name.
            kept |= !lost_by_sender && made.identity == identity && in_log && made.is_asked_for();
            if self.forgot(made.by, made.at) {
                end.get_or_insert(End::NeverLeft);
            }
            for (at, time, fate) in &made.fates {
                let known = !self.forgot(made.to, *at);
                // A message is answered for once.
                if number > 0 {
                    answer_withheld = match fate {
                        Fate::Dropped => Some(End::Withheld),
                        Fate::Expired => Some(End::Expired),
                        _ => answer_withheld,
                    };
                }
                match fate {
                    Fate::Dropped => end = Some(End::Withheld),
                    Fate::Expired => end = Some(End::Expired),
                    Fate::Asked => {}
                    _ if !known => end = Some(End::Forgotten),
                    Fate::Unreadable => {
                        unreadable = true;
                        outlived |= self.time.since(*time) > 29 * DAY_MS;
                        told &= made.name.is_some_and(|name| reader.tables().is_gone(&name));
                    }
                    Fate::Refused | Fate::Read => refused = true,
                }
            }
        }
        let put_back = put_back(&promise.by) || put_back(&promise.to);
        match (unreadable, refused) {
            (true, _) | (_, true) if signal => Ok(End::NoRepair),
            (true, _) if undecided => Ok(End::Undecided),
            (true, _) if told => {
                if kept {
                    Err(Loss::GivenUp)
                } else {
                    Ok(End::Gone)
                }
            }
            (true, _) if outlived => Ok(End::Outlived),
            (true, _) if answer_withheld.is_some() => Ok(answer_withheld.unwrap_or(End::Withheld)),
            (true, _) | (_, true) if put_back => Ok(End::PutBack),
            (true, _) => Err(if kept { Loss::Unanswered } else { Loss::Untold }),
            (_, true) => Err(Loss::Refused),
            (false, false) => end.ok_or(Loss::Vanished),
        }
    }

    pub(super) fn user(&self, address: &Address) -> Option<usize> {
        self.users.get(address).copied()
    }

    /// Which message this is, in the order in which they were written.
    pub(super) fn number(&self, id: &[u8; 16]) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// What a trace calls an envelope: the number of its message, and the step at which it was made.
    pub(super) fn named(&self, envelope: &[u8; 16]) -> String {
        let Some(made) = self.envelopes.get(envelope) else { return "?".into() };
        made.promise.map_or_else(|| format!("repair@{}", made.step), |promise| format!("{promise}@{}", made.step))
    }
}
