use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::skipped_keys::{SkippedKeys, Touched};
use super::{MAX_SKIPPED, MAX_SKIPPED_AGE_MS, Refused};
use crate::crypto::Secret;
use crate::ident::Timestamp;

/// Times of skipping are kept to the day, so that there are at most as many as days in 30 days.
const TIME_STEP_MS: u64 = 24 * 60 * 60 * 1000;

/// More times than that there never are.
pub(super) const MAX_TIMES: usize = 31;

/// Seeds of the messages that a receiving chain passed over: the newest 2,000, for 30 days, less up to one.
#[derive(Clone)]
pub(super) struct SkippedSeeds {
    pub(super) seeds: SkippedKeys,
    /// Below this index seeds were dropped: whether a message below it was read or is lost is no longer known.
    pub(super) floor: u32,
    /// What was skipped up to an index was skipped at that time, or up to a day after it. Both ascend.
    pub(super) times: VecDeque<(u32, Timestamp)>,
}

impl SkippedSeeds {
    pub(super) const fn new() -> Self {
        Self { seeds: SkippedKeys::new(), floor: 0, times: VecDeque::new() }
    }

    /// The seed of a message that the chain has passed. Changes nothing.
    ///
    /// One that is older than 30 days is given as long as it is there: the clock that would refuse it may be wrong, and the
    /// message would be lost for good.
    pub(super) fn find(&self, index: u32) -> Result<Secret<32>, Refused> {
        if index < self.floor {
            return Err(Refused::TooOld);
        }
        self.seeds.get(index).cloned().ok_or(Refused::Duplicate)
    }

    pub(super) fn remove(&mut self, index: u32) {
        self.seeds.remove(index);
    }

    /// Keeps what a jump passed over, given in ascending order: the newest [`MAX_SKIPPED`] stay.
    pub(super) fn keep(&mut self, passed: Vec<(u32, Secret<32>)>, now: Timestamp) {
        let Some((upto, _)) = passed.last() else { return };
        match self.times.back_mut() {
            Some((last, at)) if now.since(*at) < TIME_STEP_MS => *last = *upto,
            _ => self.times.push_back((*upto, now)),
        }
        // A jump derives only what can stay, so what lies between the chain and its first seed is lost as well.
        if let (Some((first, _)), true) = (passed.first(), passed.len() >= max_skipped()) {
            self.floor = self.floor.max(*first);
        }
        // Room first, so that the oldest keys go before the newest come.
        let last = self.seeds.trim(max_skipped().saturating_sub(passed.len()));
        self.dropped(last);
        self.seeds.extend(&passed);
        while let (Some(floor), Some((upto, _))) = (self.seeds.first(), self.times.front()) {
            if *upto >= floor {
                break;
            }
            self.times.pop_front();
        }
    }

    /// Deletes what is older than 30 days. Nothing else does: a clock that is wrong while messages come deletes nothing.
    pub(super) fn expire(&mut self, now: Timestamp) {
        debug_assert!(!self.is_due(now), "keys expire while they are away");
        if self.seeds.away().is_some() {
            return;
        }
        // At once, whatever the times are: a page of which all expires need not be here.
        let Some(upto) = self.expired_upto(now) else { return };
        let last = self.seeds.drop_below(upto.saturating_add(1));
        self.dropped(last);
        if self.seeds.first().is_some_and(|first| first <= upto) {
            debug_assert!(false, "keys expire while their page is away");
            return;
        }
        self.times.retain(|(last, _)| *last > upto);
    }

    /// Up to where keys are older than 30 days, if any are.
    fn expired_upto(&self, now: Timestamp) -> Option<u32> {
        self.times.iter().map_while(|(upto, at)| expired(*at, now).then_some(*upto)).last()
    }

    /// Whether the list of the keys, which is away, has to be here before `expire`.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.seeds.away().is_some() && self.times.front().is_some_and(|(_, at)| expired(*at, now))
    }

    /// What `keep` touches if a jump passes over so many.
    pub(super) fn touch_keeping(&self, passed: usize, touched: &mut Touched) {
        if passed > 0 {
            self.seeds.touch_trimming(max_skipped().saturating_sub(passed), touched);
            self.seeds.touch_adding(passed, touched);
        }
    }

    /// What `expire` touches.
    pub(super) fn touch_expiring(&self, now: Timestamp, touched: &mut Touched) {
        if let Some(upto) = self.expired_upto(now) {
            self.seeds.touch_dropping(upto.saturating_add(1), touched);
        }
    }

    /// Remembers up to where keys went unused.
    fn dropped(&mut self, last: Option<u32>) {
        self.floor = last.map_or(self.floor, |index| self.floor.max(index.saturating_add(1)));
    }
}

const fn expired(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) > MAX_SKIPPED_AGE_MS
}

/// [`MAX_SKIPPED`] as a length.
#[expect(clippy::as_conversions, reason = "u32 to usize on targets of 32 bits and more")]
pub(super) const fn max_skipped() -> usize {
    MAX_SKIPPED as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn seeds(indices: core::ops::Range<u32>) -> Vec<(u32, Secret<32>)> {
        indices.map(|index| (index, Secret::new([u8::try_from(index % 251).unwrap(); 32]))).collect()
    }

    #[test]
    fn the_newest_two_thousand_stay() {
        let mut skipped = SkippedSeeds::new();
        skipped.keep(seeds(0..1_500), Timestamp::new(0));
        skipped.keep(seeds(1_501..2_600), Timestamp::new(1));
        assert_eq!(skipped.seeds.len(), 2_000);
        assert_eq!(skipped.floor, 599);
        assert_eq!(skipped.find(598), Err(Refused::TooOld));
        assert_eq!(skipped.find(1_500), Err(Refused::Duplicate), "never skipped");
        assert!(skipped.find(600).is_ok());
    }

    #[test]
    fn thirty_days_and_no_longer() {
        let mut skipped = SkippedSeeds::new();
        skipped.keep(seeds(0..3), Timestamp::new(0));
        skipped.keep(seeds(5..8), Timestamp::new(20 * DAY));
        let later = Timestamp::new(30 * DAY + 1);
        skipped.expire(Timestamp::new(30 * DAY));
        assert!(skipped.find(1).is_ok());
        skipped.expire(later);
        assert_eq!(skipped.seeds.len(), 3);
        assert_eq!(skipped.find(1), Err(Refused::TooOld));
        assert!(skipped.find(6).is_ok());
    }

    #[test]
    fn marks_are_bounded_whatever_the_clock_does() {
        let mut skipped = SkippedSeeds::new();
        for step in 0..10_000u32 {
            let now = Timestamp::new(u64::from(step % 7) * DAY + u64::from(step) * 60_000);
            skipped.keep(seeds(step * 2..step * 2 + 1), now);
            if step % 3 == 0 {
                skipped.expire(now);
            }
        }
        assert!(skipped.times.len() <= MAX_TIMES, "{}", skipped.times.len());
        assert!(skipped.seeds.len() <= 2_000);
    }
}
