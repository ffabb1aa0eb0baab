//! How often, and for how long: of what could not be read and what is asked for.

use crate::ident::Timestamp;

pub(crate) const MINUTE_MS: u64 = 60 * 1000;
/// How long an answer is waited for before another session is started.
pub(crate) const HOUR_MS: u64 = 60 * MINUTE_MS;
/// How long sessions and questions are counted.
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

/// Most sessions that are started for repair with one device in a day.
pub(crate) const MAX_STARTS: usize = 3;

/// Most envelopes with questions to one device in a day.
pub(crate) const MAX_QUESTIONS: usize = 16;

/// Messages that one question names.
pub(crate) const QUESTION: usize = 16;

/// So often a message is asked for.
pub(crate) const MAX_ASKED: u8 = 3;

/// How much time has passed. A moment that lies in the future was noted by a clock that was wrong: it is long ago.
pub(crate) const fn elapsed(now: Timestamp, then: Timestamp) -> u64 {
    if then.since(now) > MINUTE_MS { u64::MAX } else { now.since(then) }
}
