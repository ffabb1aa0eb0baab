//! Sessions that are started to ask for something: what a peer's device may be put to.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::world::tag_of;
use crate::ident::Timestamp;
use crate::wire::{Envelope, EnvelopeKind};

const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Most of them with a device that is not heard, in a day.
const MOST: usize = 3;

type Tag = [u8; 8];

/// What one device knows of its sessions with another one, as far as it is seen from outside. Only what is certain is held
/// against it.
#[derive(Debug, Clone, Default)]
struct Between {
    /// In which session it last sent.
    current: Option<Tag>,
    /// Those that it has sent in.
    known: BTreeSet<Tag>,
    /// Those in which it has heard the other one.
    heard: BTreeSet<Tag>,
    /// Of these, in which since it last sent: it may go on in one of them.
    lately: BTreeSet<Tag>,
    /// When it first asked for something in a session.
    asked: BTreeMap<Tag, Timestamp>,
    /// When it has started sessions since the other one was heard.
    started: Vec<Timestamp>,
    /// By how much its clock was wrong.
    clock: i64,
}

/// All devices'.
#[derive(Debug, Clone, Default)]
pub(super) struct Starts {
    between: BTreeMap<(usize, usize), Between>,
    /// Devices that have lost something, or whose users have begun something anew.
    stirred: BTreeSet<usize>,
    needless: Option<(usize, usize)>,
}

impl Between {
    /// Nothing is certain any more that could be held against it.
    fn begin_anew(&mut self) {
        (self.current, self.heard, self.lately) = (None, BTreeSet::new(), BTreeSet::new());
        self.started.clear();
    }
}

impl Starts {
    /// A device has lost what it knew, or begins anew because somebody said so.
    pub(super) fn forget(&mut self, user: usize) {
        self.stirred.insert(user);
        let of_user = self.between.iter_mut().filter(|((by, _), _)| *by == user);
        of_user.for_each(|(_, between)| between.begin_anew());
    }

    /// A device has read something.
    pub(super) fn heard(&mut self, user: usize, from: usize, envelope: &Envelope) {
        let between = self.between.entry((user, from)).or_default();
        between.started.clear();
        between.heard.extend(tag_of(envelope));
        between.lately.extend(tag_of(envelope));
    }

    /// A device was given something that it may have read just before, in one batch with others.
    pub(super) fn may_have_heard(&mut self, user: usize, from: usize) {
        self.between.entry((user, from)).or_default().started.clear();
    }

    /// A device has made an envelope; a question, if it is `automatic`.
    pub(super) fn made(&mut self, pair: (usize, usize), envelope: &Envelope, automatic: bool, at: (Timestamp, i64)) {
        let (Some(tag), (now, clock)) = (tag_of(envelope), at) else { return };
        let between = self.between.entry(pair).or_default();
        if between.clock != clock {
            between.begin_anew();
            between.clock = clock;
        }
        let is_new = between.known.insert(tag) && envelope.kind == EnvelopeKind::First;
        if is_new && automatic {
            let waited = |tag: &Tag| between.asked.get(tag).is_some_and(|asked| now.since(*asked) >= HOUR_MS);
            // The other one is there, and was not given the time to answer.
            let is_hasty =
                |tag: &Tag| between.heard.contains(tag) && !waited(tag) && !between.lately.iter().any(waited);
            let hasty = between.current.as_ref().is_some_and(is_hasty);
            between.started.retain(|at| now.since(*at) < DAY_MS);
            if hasty || between.started.len() >= MOST {
                self.needless = Some(pair);
            }
            between.started.push(now);
        }
        if automatic {
            between.asked.entry(tag).or_insert(now);
        }
        between.current = Some(tag);
        between.lately.clear();
    }

    /// Whether nothing has happened to a device for which it would want another session.
    pub(super) fn is_at_rest(&self, user: usize) -> bool {
        !self.stirred.contains(&user)
    }

    /// Who has started a session without need, and with whom.
    pub(super) const fn needless(&self) -> Option<(usize, usize)> {
        self.needless
    }
}
