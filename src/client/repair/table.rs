//! When a session is started anew, and when a question is put: one table, for whoever brings a bundle and for what is said
//! to be wanted.
//!
//! | there is to send with | and unread | then |
//! |---|---|---|
//! | nothing | whatever | start |
//! | a session of another bundle that was never answered | nothing | start |
//! | | something | start, within the limits |
//! | one of the same bundle that was never answered, younger than an hour | whatever | nothing: the question was put |
//! | the same, an hour old or older | nothing | nothing |
//! | | something | start, within the limits |
//! | one that was answered | nothing | nothing |
//! | | something that was asked for in it an hour ago or longer | start, within the limits; else as below |
//! | | something that was not asked for in it | ask in it, within the limits |
//! | | only what was asked for in it less than an hour ago | nothing |
//!
//! A session that was started carries the question. The limits: three sessions a device and day, with waits of 1 and 10
//! minutes between them, and 16 envelopes with questions; the peer's being heard lifts the first. A message is asked for
//! three times at most. So two honest devices that have each been given a wrong bundle talk after three exchanges at most,
//! and silence costs nothing.
//!
//! Source: docs/protocol.md, "Repair".

#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::Timestamp;
use crate::rows::{DAY_MS, HOUR_MS, MAX_QUESTIONS, MAX_STARTS, MINUTE_MS, elapsed};

/// How long after the first, and after the second session of a day the next one may be started.
const WAITS_MS: [u64; MAX_STARTS - 1] = [MINUTE_MS, 10 * MINUTE_MS];

/// What there is to send with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Sending {
    /// No session, or none that can be gone on with.
    Nothing,
    /// A session that was started here and never answered.
    Pending {
        /// Whether it is of the bundle that was brought.
        same_bundle: bool,
        since: Timestamp,
    },
    /// A session in which the peer device was heard.
    Answered,
}

/// What could not be read, of that which may still be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Unread {
    Nothing,
    Something {
        /// Whether there is something that was not asked for in the session that is there to send with.
        unasked: bool,
        /// When something of it was asked for there that is still waited for, the oldest.
        asked: Option<Timestamp>,
    },
}

/// What is to be done when a bundle has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Action {
    Nothing,
    /// Put the question in the session that is there.
    Ask,
    /// Start a session, and put the question in it, if there is one.
    Start,
}

/// Sessions and questions of the last day, oldest first.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Spent<'a> {
    pub(in crate::client) started: &'a [Timestamp],
    pub(in crate::client) questions: &'a [Timestamp],
}

impl Spent<'_> {
    /// How long the next session has to wait; `None`: not at all.
    fn start_waits(&self, now: Timestamp) -> Option<u64> {
        #[cfg(test)]
        if planted::is(Defect::NoLimits) {
            return None;
        }
        let today = self.started.iter().filter(|at| elapsed(now, **at) < DAY_MS);
        let (count, newest) = (today.clone().count(), elapsed(now, *self.started.last()?));
        let oldest = today.map(|at| elapsed(now, *at)).max()?;
        let wait = match count.checked_sub(1).and_then(|before| WAITS_MS.get(before)) {
            Some(wait) => wait.saturating_sub(newest),
            None => DAY_MS.saturating_sub(oldest),
        };
        (wait > 0).then_some(wait)
    }

    /// The same of the next question.
    fn question_waits(&self, now: Timestamp) -> Option<u64> {
        #[cfg(test)]
        if planted::is(Defect::NoLimits) {
            return None;
        }
        let today = self.questions.iter().map(|at| elapsed(now, *at)).filter(|elapsed| *elapsed < DAY_MS);
        if today.clone().count() < MAX_QUESTIONS { None } else { today.max().map(|oldest| DAY_MS - oldest) }
    }

    /// How many questions may be put now.
    pub(in crate::client) fn questions_left(&self, now: Timestamp) -> usize {
        #[cfg(test)]
        if planted::is(Defect::NoLimits) {
            return MAX_QUESTIONS;
        }
        let today = self.questions.iter().filter(|at| elapsed(now, **at) < DAY_MS).count();
        MAX_QUESTIONS.saturating_sub(today)
    }
}

/// What is to be done, now that a bundle has come.
pub(in crate::client) fn action(sending: Sending, unread: Unread, spent: Spent<'_>, now: Timestamp) -> Action {
    let (may_start, may_ask) = (spent.start_waits(now).is_none(), spent.question_waits(now).is_none());
    let is_old = |at| elapsed(now, at) >= HOUR_MS;
    #[cfg(test)]
    if let Some(action) = planted_action(sending, unread) {
        return action;
    }
    match (sending, unread) {
        (Sending::Nothing, _) | (Sending::Pending { same_bundle: false, .. }, Unread::Nothing) => Action::Start,
        (Sending::Pending { same_bundle: false, .. }, _) if may_start => Action::Start,
        (Sending::Pending { since, .. }, Unread::Something { .. }) if may_start && is_old(since) => Action::Start,
        (Sending::Answered, Unread::Something { asked: Some(at), .. }) if may_start && is_old(at) => Action::Start,
        (Sending::Answered, Unread::Something { unasked: true, .. }) if may_ask => Action::Ask,
        _ => Action::Nothing,
    }
}

/// What a table with a defect says instead.
#[cfg(test)]
fn planted_action(sending: Sending, unread: Unread) -> Option<Action> {
    let something = unread != Unread::Nothing;
    match sending {
        Sending::Nothing if planted::is(Defect::NothingStartsNothing) => Some(Action::Nothing),
        Sending::Pending { same_bundle: false, .. } if planted::is(Defect::AnyBundle) => Some(Action::Nothing),
        Sending::Pending { same_bundle: true, .. } if planted::is(Defect::Impatient) && something => {
            Some(Action::Start)
        }
        Sending::Pending { same_bundle: true, .. } if planted::is(Defect::WaitsForEver) => Some(Action::Nothing),
        Sending::Answered if planted::is(Defect::NeverAsks) => Some(Action::Nothing),
        Sending::Answered if planted::is(Defect::NeverGivesUp) && something => Some(Action::Ask),
        _ if planted::is(Defect::AlwaysStarts) => Some(Action::Start),
        _ => None,
    }
}

/// In how long a bundle brings something: 0 for now; `None` if nothing waits for one.
pub(in crate::client) fn wanted_in(sending: Sending, unread: Unread, spent: Spent<'_>, now: Timestamp) -> Option<u64> {
    let Unread::Something { unasked, asked } = unread else { return None };
    let started = |at| spent.start_waits(now).unwrap_or_default().max(HOUR_MS.saturating_sub(elapsed(now, at)));
    match sending {
        Sending::Nothing => Some(0),
        #[cfg(test)]
        Sending::Pending { .. } if planted::is(Defect::Impatient) => Some(0),
        Sending::Pending { since, .. } => Some(started(since)),
        Sending::Answered => {
            let asks = unasked.then(|| spent.question_waits(now).unwrap_or_default());
            asks.into_iter().chain(asked.map(started)).min()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

    fn ago(ms: u64) -> Timestamp {
        Timestamp::new(NOW.get() - ms)
    }

    const AGES: [u64; 6] = [0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 29 * DAY_MS];

    /// What the table at the head of this file says, written out once more: which of its rows a case falls into.
    fn expected(sending: Sending, unread: Unread, may_start: bool, may_ask: bool) -> Action {
        let start = if may_start { Action::Start } else { Action::Nothing };
        let ask = if may_ask { Action::Ask } else { Action::Nothing };
        let is_something = unread != Unread::Nothing;
        match sending {
            Sending::Nothing => Action::Start,
            Sending::Pending { same_bundle: false, .. } if is_something => start,
            Sending::Pending { same_bundle: false, .. } => Action::Start,
            Sending::Pending { since, .. } if NOW.get() - since.get() < HOUR_MS => Action::Nothing,
            Sending::Pending { .. } if is_something => start,
            Sending::Pending { .. } => Action::Nothing,
            Sending::Answered => match unread {
                Unread::Nothing => Action::Nothing,
                Unread::Something { unasked, asked } => {
                    let long_ago = asked.is_some_and(|at| NOW.get() - at.get() >= HOUR_MS);
                    let ask = if unasked { ask } else { Action::Nothing };
                    if long_ago && may_start { Action::Start } else { ask }
                }
            },
        }
    }

    /// All combinations of what there is to send with, what is unread and was asked for when, and what the limits leave.
    #[test]
    fn the_table() {
        let pending = |same_bundle| AGES.map(|age| Sending::Pending { same_bundle, since: ago(age) });
        let sendings = [Sending::Nothing, Sending::Answered].into_iter().chain(pending(true)).chain(pending(false));
        let times = || AGES.into_iter().map(|age| Some(ago(age))).chain([None]);
        let some = |unasked| times().map(move |asked| Unread::Something { unasked, asked });
        let unreads = || {
            some(true)
                .chain(some(false))
                .chain([Unread::Nothing])
                .filter(|unread| *unread != Unread::Something { unasked: false, asked: None })
        };
        let mut seen = 0;
        for sending in sendings {
            for unread in unreads() {
                for (may_start, may_ask) in [(true, true), (true, false), (false, true), (false, false)] {
                    let started: &[_] = if may_start { &[] } else { &[ago(9); 3] };
                    let questions: &[_] = if may_ask { &[] } else { &[ago(9); 16] };
                    let (spent, case) = (Spent { started, questions }, (sending, unread, may_start, may_ask));
                    let found = action(sending, unread, spent, NOW);
                    assert_eq!(found, expected(sending, unread, may_start, may_ask), "{case:?}");
                    // What is said to be wanted now is of use, with a fresh bundle and with the same one.
                    if wanted_in(sending, unread, spent, NOW) == Some(0) {
                        assert_ne!(found, Action::Nothing, "{case:?}");
                    }
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, (2 + 2 * AGES.len()) * (2 * (AGES.len() + 1)) * 4);
    }

    /// Whatever waits is due at some time, and then a bundle is of use.
    #[test]
    fn waiting_ends() {
        for sending in [Sending::Nothing, Sending::Answered, Sending::Pending { same_bundle: true, since: NOW }] {
            for (unasked, asked) in [(true, None), (true, Some(NOW)), (false, Some(NOW))] {
                let unread = Unread::Something { unasked, asked };
                for started in 0..=3usize {
                    for questions in [0, 15, 16] {
                        let (started, questions) = (std::vec![NOW; started], std::vec![NOW; questions]);
                        let spent = Spent { started: &started, questions: &questions };
                        let wait = wanted_in(sending, unread, spent, NOW).unwrap();
                        assert!(wait <= DAY_MS);
                        let then = Timestamp::new(NOW.get() + wait);
                        assert_eq!(wanted_in(sending, unread, spent, then), Some(0), "{sending:?} {unread:?}");
                        assert_ne!(action(sending, unread, spent, then), Action::Nothing);
                    }
                }
            }
        }
    }

    #[test]
    fn three_sessions_a_day_with_longer_waits() {
        let (mut started, mut at): (Vec<Timestamp>, _) = (Vec::new(), NOW);
        let end = NOW.get() + DAY_MS;
        while at.get() < end {
            let spent = Spent { started: &started, questions: &[] };
            if spent.start_waits(at).is_none() {
                started.push(at);
            }
            at = Timestamp::new(at.get() + 1000);
        }
        let after: Vec<_> = started.iter().map(|at| at.since(NOW)).collect();
        assert_eq!(after, [0, MINUTE_MS, 11 * MINUTE_MS]);
        assert_eq!(started.len(), MAX_STARTS);
        assert_eq!(Spent { started: &started, questions: &[] }.start_waits(Timestamp::new(end)), None);
    }

    #[test]
    fn a_clock_that_was_wrong_holds_nothing_up() {
        let future = Timestamp::new(NOW.get() + 365 * DAY_MS);
        let spent = Spent { started: &[future; 3], questions: &[future; 16] };
        let pending = Sending::Pending { same_bundle: true, since: future };
        let unasked = Unread::Something { unasked: true, asked: None };
        let asked = Unread::Something { unasked: false, asked: Some(future) };
        assert_eq!(action(pending, unasked, spent, NOW), Action::Start);
        assert_eq!(action(Sending::Answered, asked, spent, NOW), Action::Start);
        assert_eq!(action(Sending::Answered, unasked, spent, NOW), Action::Ask);
        assert_eq!(spent.questions_left(NOW), MAX_QUESTIONS);
        // Clocks of two processes may differ by a little.
        assert_eq!(elapsed(NOW, Timestamp::new(NOW.get() + 5_000)), 0);
    }
}
