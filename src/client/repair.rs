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
//! | | something that was not asked for in it | ask in it, within the limits |
//! | | only what was asked for in it, less than an hour ago | nothing |
//! | | the same, an hour ago or longer | start, within the limits |
//!
//! A session that was started carries the question. The limits: three sessions a device and day, with waits of 1 and 10
//! minutes between them, and 16 envelopes with questions; the peer's being heard lifts the first. A message is asked for
//! three times at most. So two honest devices that have each been given a wrong bundle talk after three exchanges at most,
//! and silence costs nothing.
//!
//! Source: docs/protocol.md, "Repair".

use crate::ident::Timestamp;

const MINUTE_MS: u64 = 60 * 1000;
/// How long an answer is waited for before another session is started.
pub(super) const HOUR_MS: u64 = 60 * MINUTE_MS;
/// How long sessions and questions are counted.
pub(super) const DAY_MS: u64 = 24 * HOUR_MS;

/// How long after the first, and after the second session of a day the next one may be started.
const WAITS_MS: [u64; 2] = [MINUTE_MS, 10 * MINUTE_MS];

/// Most sessions that are started for repair with one device in a day.
pub(super) const MAX_STARTS: usize = WAITS_MS.len() + 1;

/// Most envelopes with questions to one device in a day.
pub(super) const MAX_QUESTIONS: usize = 16;

/// So often a message is asked for.
pub(super) const MAX_ASKED: u8 = 3;

/// How much time has passed. A moment that lies in the future was noted by a clock that was wrong: it is long ago.
pub(super) const fn elapsed(now: Timestamp, then: Timestamp) -> u64 {
    if then.since(now) > MINUTE_MS { u64::MAX } else { now.since(then) }
}

/// What there is to send with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
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
pub(super) enum Unread {
    Nothing,
    /// There is something that was not asked for in the session that is there to send with.
    Unasked,
    /// All of it was asked for in that session, last at this time.
    Asked(Timestamp),
}

/// What is to be done when a bundle has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// Put the question in the session that is there.
    Ask,
    /// Start a session, and put the question in it, if there is one.
    Start,
}

/// Sessions and questions of the last day, oldest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent<'a> {
    pub(super) started: &'a [Timestamp],
    pub(super) questions: &'a [Timestamp],
}

impl Spent<'_> {
    /// How long the next session has to wait; `None`: not at all.
    fn start_waits(&self, now: Timestamp) -> Option<u64> {
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
        let today = self.questions.iter().map(|at| elapsed(now, *at)).filter(|elapsed| *elapsed < DAY_MS);
        if today.clone().count() < MAX_QUESTIONS { None } else { today.max().map(|oldest| DAY_MS - oldest) }
    }

    /// How many questions may be put now.
    pub(super) fn questions_left(&self, now: Timestamp) -> usize {
        let today = self.questions.iter().filter(|at| elapsed(now, **at) < DAY_MS).count();
        MAX_QUESTIONS.saturating_sub(today)
    }
}

/// What is to be done, now that a bundle has come.
pub(super) fn action(sending: Sending, unread: Unread, spent: Spent<'_>, now: Timestamp) -> Action {
    let start = if spent.start_waits(now).is_none() { Action::Start } else { Action::Nothing };
    let ask = if spent.question_waits(now).is_none() { Action::Ask } else { Action::Nothing };
    match (sending, unread) {
        (Sending::Nothing, _) | (Sending::Pending { same_bundle: false, .. }, Unread::Nothing) => Action::Start,
        (Sending::Pending { same_bundle: false, .. }, _) => start,
        (_, Unread::Nothing) => Action::Nothing,
        (Sending::Pending { since, .. }, _) if elapsed(now, since) < HOUR_MS => Action::Nothing,
        (Sending::Pending { .. }, _) => start,
        (Sending::Answered, Unread::Unasked) => ask,
        (Sending::Answered, Unread::Asked(at)) if elapsed(now, at) < HOUR_MS => Action::Nothing,
        (Sending::Answered, Unread::Asked(_)) => start,
    }
}

/// In how long a bundle brings something: 0 for now; `None` if nothing waits for one.
pub(super) fn wanted_in(sending: Sending, unread: Unread, spent: Spent<'_>, now: Timestamp) -> Option<u64> {
    let start = spent.start_waits(now).unwrap_or_default();
    let rest_of_hour = |at| HOUR_MS.saturating_sub(elapsed(now, at));
    match (sending, unread) {
        (_, Unread::Nothing) => None,
        (Sending::Nothing, _) => Some(0),
        (Sending::Pending { since, .. }, _) => Some(start.max(rest_of_hour(since))),
        (Sending::Answered, Unread::Unasked) => Some(spent.question_waits(now).unwrap_or_default()),
        (Sending::Answered, Unread::Asked(at)) => Some(start.max(rest_of_hour(at))),
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

    /// All combinations, written out once more by hand: which row of the table they fall into.
    #[test]
    fn the_table() {
        let ages = [0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 29 * DAY_MS];
        let mut seen = 0;
        for can_send in [false, true] {
            for answered in [false, true] {
                for same_bundle in [false, true] {
                    for age in ages {
                        for asked_in_it in [None, Some(0), Some(HOUR_MS - 1), Some(HOUR_MS), Some(20 * DAY_MS)] {
                            for anything_unread in [false, true] {
                                for limits in ["none", "started", "asked"] {
                                    let sending = match (can_send, answered) {
                                        (false, _) => Sending::Nothing,
                                        (true, true) => Sending::Answered,
                                        (true, false) => Sending::Pending { same_bundle, since: ago(age) },
                                    };
                                    let unread = match (anything_unread, asked_in_it) {
                                        (false, _) => Unread::Nothing,
                                        (true, None) => Unread::Unasked,
                                        (true, Some(age)) => Unread::Asked(ago(age)),
                                    };
                                    let started: &[_] = if limits == "started" { &[ago(9); 3] } else { &[] };
                                    let questions: &[_] = if limits == "asked" { &[ago(9); 16] } else { &[] };
                                    let young = age < HOUR_MS;
                                    let expected = if !can_send {
                                        "start"
                                    } else if !answered && !same_bundle {
                                        if anything_unread { "start within limits" } else { "start" }
                                    } else if !anything_unread || !answered && young {
                                        "nothing"
                                    } else if !answered {
                                        "start within limits"
                                    } else {
                                        match asked_in_it {
                                            None => "ask within limits",
                                            Some(age) if age < HOUR_MS => "nothing",
                                            Some(_) => "start within limits",
                                        }
                                    };
                                    let expected = match expected {
                                        "start" => Action::Start,
                                        "start within limits" if limits != "started" => Action::Start,
                                        "ask within limits" if limits != "asked" => Action::Ask,
                                        _ => Action::Nothing,
                                    };
                                    let spent = Spent { started, questions };
                                    let case = (sending, unread, limits);
                                    assert_eq!(action(sending, unread, spent, NOW), expected, "{case:?}");
                                    // What is said to be wanted now is of use, with a fresh bundle and with the same one.
                                    if anything_unread && wanted_in(sending, unread, spent, NOW) == Some(0) {
                                        assert_ne!(expected, Action::Nothing, "{case:?}");
                                    }
                                    seen += 1;
                                }
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(seen, 2 * 2 * 2 * 6 * 5 * 2 * 3);
    }

    /// Whatever waits is due at some time, and then a bundle is of use.
    #[test]
    fn waiting_ends() {
        for sending in [Sending::Nothing, Sending::Answered, Sending::Pending { same_bundle: true, since: NOW }] {
            for unread in [Unread::Unasked, Unread::Asked(NOW)] {
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
        assert_eq!(action(pending, Unread::Unasked, spent, NOW), Action::Start);
        assert_eq!(action(Sending::Answered, Unread::Asked(future), spent, NOW), Action::Start);
        assert_eq!(action(Sending::Answered, Unread::Unasked, spent, NOW), Action::Ask);
        assert_eq!(spent.questions_left(NOW), MAX_QUESTIONS);
        // Clocks of two processes may differ by a little.
        assert_eq!(elapsed(NOW, Timestamp::new(NOW.get() + 5_000)), 0);
    }
}
