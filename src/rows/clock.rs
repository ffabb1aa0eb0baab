//! By which time what is old is deleted.
//!
//! Clocks are wrong now and then: a phone without its battery is in 1970, one with a mistyped year is in the next. What is
//! deleted by such a clock is gone for good, so deletions do not go by the time of day. They go by a time that the clock has
//! said and *gone on from for a day*: the candidate. A clock that is ahead for an hour makes a candidate, and takes it back
//! when it is right, since it then says less. One that is behind for an hour settles nothing either: going back is believed
//! at once, and can only keep what is old for longer. So deletion is late by a day or two, and there is one round a day.

use super::core::Core;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::Timestamp;
use crate::persist::RecordKey;
use crate::staging::{Stop, StoredError, Workspace};
use crate::wire::{FieldReader, FieldWriter, Record, RecordError, RecordKind};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The times of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// What the clock has said, at least a day after the candidate before.
    candidate: Timestamp,
    /// What it has said and gone on from for a day.
    settled: Timestamp,
    /// When the account was maintained, to the day: when it is due again.
    maintained: Option<Timestamp>,
}

/// What a look at the clock gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Round {
    /// The time for deletions, never later than now.
    pub(crate) settled: Timestamp,
    /// Whether the clock has gone on for a day: once a day.
    pub(crate) is_new: bool,
}

impl Clock {
    const fn starting(now: Timestamp) -> Self {
        Self { candidate: now, settled: Timestamp::new(0), maintained: None }
    }

    fn turn(&mut self, now: Timestamp) -> Round {
        let is_new = now.since(self.candidate) >= DAY_MS;
        if is_new {
            self.settled = self.candidate;
        }
        if is_new || now < self.candidate {
            self.candidate = now;
        }
        self.settled = self.settled.min(now);
        Round { settled: self.settled, is_new }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.maintained.is_none_or(|last| now.since(last) >= DAY_MS || now < last)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::Clock, bytes)?;
        let candidate = Timestamp::new(fields.some_number(1)?);
        let settled = Timestamp::new(fields.some_number(2)?);
        let maintained = fields.optional(3)?.map(Timestamp::new);
        fields.end()?;
        Ok(Self { candidate, settled, maintained })
    }

    fn to_record(self) -> Record {
        let mut row = FieldWriter::row(RecordKind::Clock, 36);
        row.optional(1, Some(self.candidate.get()));
        row.optional(2, Some(self.settled.get()));
        row.optional(3, self.maintained.map(Timestamp::get));
        row.into_record()
    }
}

impl Core {
    pub(crate) fn clock_key(&self) -> RecordKey {
        self.keys.record_key(RecordKind::Clock, &[])
    }

    /// The time for deletions, as it is.
    pub(crate) fn settled(&self, work: &mut Workspace<'_>) -> Result<Timestamp, Stop<StoredError>> {
        #[cfg(test)]
        if planted::is(Defect::TimeOfDay) {
            return Ok(work.now);
        }
        Ok(self.load_clock(work)?.map_or(Timestamp::new(0), |clock| clock.settled.min(work.now)))
    }

    /// Looks at the clock.
    pub(crate) fn turn_clock(&self, work: &mut Workspace<'_>) -> Result<Round, Stop<StoredError>> {
        let before = self.load_clock(work)?;
        let mut clock = before.unwrap_or_else(|| Clock::starting(work.now));
        let round = clock.turn(work.now);
        if before != Some(clock) {
            work.put(&self.keys, self.clock_key(), clock.to_record());
        }
        Ok(round)
    }

    /// Whether the account has not been maintained for a day.
    pub(crate) fn is_maintenance_due(&self, work: &mut Workspace<'_>) -> Result<bool, Stop<StoredError>> {
        Ok(self.load_clock(work)?.is_none_or(|clock| clock.is_due(work.now)))
    }

    /// Notes that the account was maintained, once a day.
    pub(crate) fn note_maintained(&self, work: &mut Workspace<'_>) -> Result<(), Stop<StoredError>> {
        let mut clock = self.load_clock(work)?.unwrap_or_else(|| Clock::starting(work.now));
        if clock.is_due(work.now) {
            clock.maintained = Some(work.now);
            work.put(&self.keys, self.clock_key(), clock.to_record());
        }
        Ok(())
    }

    /// A damaged one starts anew: then nothing is deleted for a day.
    fn load_clock(&self, work: &mut Workspace<'_>) -> Result<Option<Clock>, Stop<StoredError>> {
        match self.read(work, RecordKind::Clock, self.clock_key(), Clock::from_bytes) {
            Err(Stop::Fail(StoredError { error: RecordError::Corrupt, .. })) => Ok(None),
            read => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const START: u64 = 1_800_000_000_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::new(START.saturating_add_signed(hours * 3_600_000))
    }

    /// What is settled after each of these looks.
    fn settled(looks: &[Timestamp]) -> Vec<u64> {
        let mut clock = Clock::starting(looks[0]);
        looks.iter().map(|now| clock.turn(*now).settled.get()).collect()
    }

    #[test]
    fn what_the_clock_has_gone_on_from_for_a_day() {
        let looks = [at(0), at(12), at(24), at(36), at(48), at(1440), at(1452), at(1464)];
        let expected = [0, 0, at(0).get(), at(0).get(), at(24).get(), at(48).get(), at(48).get(), at(1440).get()];
        assert_eq!(settled(&looks), expected);
    }

    /// For an hour, between right ones: nothing is settled that has not come yet.
    #[test]
    fn an_hour_of_a_wrong_clock_settles_nothing() {
        for wrong in [at(17_520), at(29), at(-8_760), at(-72), Timestamp::new(0), Timestamp::new(u64::MAX)] {
            let half_an_hour_later = Timestamp::new(wrong.get().saturating_add(1_800_000));
            let looks = [at(-48), at(-24), at(0), wrong, half_an_hour_later, at(1), at(26), at(53), at(79)];
            let right = [at(-48), at(-24), at(0), at(0), at(1), at(1), at(26), at(53), at(79)];
            for (settled, right) in settled(&looks).into_iter().zip(right) {
                assert!(settled <= right.get(), "{wrong:?}: {settled} > {right:?}");
            }
            assert_eq!(settled(&looks).last(), Some(&at(53).get()), "and it goes on");
        }
    }

    #[test]
    fn one_round_a_day_and_never_later_than_now() {
        let (mut clock, mut rounds) = (Clock::starting(at(0)), 0);
        for look in 0..240 {
            let now = at(look);
            let round = clock.turn(now);
            rounds += usize::from(round.is_new);
            assert!(round.settled <= now);
        }
        assert_eq!(rounds, 9);
    }

    #[test]
    fn maintenance_is_due_once_a_day() {
        let mut clock = Clock::starting(at(0));
        assert!(clock.is_due(at(0)), "never yet");
        clock.maintained = Some(at(0));
        assert!(!clock.is_due(at(23)) && clock.is_due(at(24)));
        assert!(clock.is_due(at(-1)), "the clock was ahead, for nobody knows how long");
        let record = clock.to_record();
        assert_eq!(Clock::from_bytes(&record), Ok(clock));
    }

    #[test]
    fn the_record_has_one_form() {
        let mut row = FieldWriter::record(RecordKind::Clock, 24);
        row.optional(1, Some(3u64));
        row.optional(2, Some(0u64));
        let bytes = row.finish();
        assert_eq!(
            Clock::from_bytes(&bytes),
            Ok(Clock { candidate: Timestamp::new(3), settled: Timestamp::new(0), maintained: None })
        );
        for len in 0..bytes.len() {
            assert_eq!(Clock::from_bytes(&bytes[..len]), Err(RecordError::Corrupt), "{len}");
        }
    }
}
