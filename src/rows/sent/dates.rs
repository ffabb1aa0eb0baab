//! When what was sent was sent, as far as a clock can be believed.

use super::entry::{SENT_LOG, seconds};
use crate::ident::Timestamp;

/// Tells of what was sent, in order, what is old and when the rest was sent; in seconds since 1970. So a clock that was
/// behind makes nothing old, and what one that was ahead has sent says nothing of what follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dates {
    settled: u32,
    now: u32,
    latest: u32,
}

impl Dates {
    /// `settled` is the time for deletions, `now` what the clock says.
    pub(crate) fn new(settled: Timestamp, now: Timestamp) -> Self {
        Self { settled: seconds(settled), now: seconds(now), latest: 0 }
    }

    /// Whether that looks old which says `at`: if it does not, it is not.
    pub(super) const fn looks_old(&self, at: u32) -> bool {
        self.settled.saturating_sub(at) > SENT_LOG
    }

    /// When that was sent which says `at`; `None` if it is old.
    pub(super) fn next(&mut self, at: u32) -> Option<u32> {
        // Nothing was sent before what stands in front of it: the clock was wrong then, and nobody knows how long ago that
        // was. Nor was that there which looks as if it should have been deleted a month ago, or nobody has pruned. Either
        // counts as sent now: it stays for 30 days too long at most.
        let unknown = at < self.latest || self.settled.saturating_sub(at) > 2 * SENT_LOG;
        let date = if unknown { self.settled.max(self.latest) } else { at };
        if date <= self.now {
            self.latest = date;
        }
        (self.settled.saturating_sub(date) <= SENT_LOG).then_some(date)
    }
}
