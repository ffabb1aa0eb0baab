//! The sent log of one device, as far as its own row holds it: the newest messages whole, and of older ones which segment to
//! look into. So a message is sent without another row being read or written, but for every eighth.

use alloc::vec::Vec;

use super::dates::Dates;
use super::entry::{ENTRY_LEN, Entry, id_hash};
use super::index::{Filter, Index, MAX_SEGMENTS, NUMBERS, SEGMENT};
use crate::ident::MessageId;
use crate::wire::{FieldReader, FieldWriter, RecordError};

/// All numbers that a segment can have.
pub(crate) const fn all_numbers() -> core::ops::Range<u8> {
    0..NUMBERS
}

/// What was sent to one device, under the identity key that it has now. Most operations only carry it along: it stays the
/// bytes that it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SentLog {
    /// The newest messages, the oldest of them first: the next segment, while it grows.
    newest: Vec<u8>,
    /// The number of the next segment.
    next: u8,
    /// Which ids may be in a segment; none if there are no segments.
    filter: Option<Filter>,
    /// Seconds since 1970 when the newest message of the oldest segment was sent.
    oldest: u32,
}

impl SentLog {
    pub(crate) fn read(fields: Option<FieldReader<'_>>) -> Result<Self, RecordError> {
        let Some(mut fields) = fields else { return Ok(Self::default()) };
        let (newest, next, filter, oldest) = (fields.bytes(1)?, fields.small(2)?, fields.bytes(3)?, fields.small(4)?);
        fields.end()?;
        let count = Entry::count(newest).filter(|count| *count <= SEGMENT).ok_or(RecordError::Corrupt)?;
        let filter = match filter {
            [] => None,
            filter => Some(Filter::read(filter).ok_or(RecordError::Corrupt)?),
        };
        let is_none = count == 0 && next == 0 && filter.is_none();
        if is_none || next >= NUMBERS || (oldest > 0 && filter.is_none()) {
            return Err(RecordError::Corrupt);
        }
        // With room for one more, which most are read for.
        let mut held = Vec::with_capacity(newest.len() + ENTRY_LEN);
        held.extend_from_slice(newest);
        Ok(Self { newest: held, next, filter, oldest })
    }

    /// Puts nothing if there is nothing.
    pub(crate) fn write(&self, out: &mut FieldWriter) {
        out.bytes(1, &self.newest);
        out.number(2, self.next);
        out.bytes(3, self.filter.as_ref().map_or(&[], Filter::as_bytes));
        out.number(4, self.oldest);
    }

    /// Whether there are segments, which the index leads to.
    pub(crate) const fn has_segments(&self) -> bool {
        self.filter.is_some()
    }

    /// Whether a message of this id may be in a segment.
    pub(crate) fn may_be_in_a_segment(&self, id: MessageId) -> bool {
        self.filter.as_ref().is_some_and(|filter| filter.passes(id_hash(id)))
    }

    /// Whether anything in it looks old.
    pub(crate) fn looks_old(&self, dates: Dates) -> bool {
        let segments = self.has_segments().then_some(self.oldest);
        self.newest().map(|entry| entry.at()).chain(segments).any(|at| dates.looks_old(at))
    }

    /// Drops the messages of the row that are old, and corrects dates. Whether that changed anything in the row; and the
    /// segments that are old.
    pub(super) fn drop_old(&mut self, index: &mut Index, mut dates: Dates) -> (bool, Vec<u8>) {
        let (mut changed, old) = (false, index.old(&mut dates));
        self.retain(|entry| {
            let (before, date) = (entry.at(), dates.next(entry.at()));
            entry.set_at(date.unwrap_or(before));
            changed |= date != Some(before);
            date.is_some()
        });
        (changed, old)
    }

    /// Takes note of which segments there are.
    pub(super) fn note(&mut self, index: &Index) {
        (self.filter, self.oldest) = (index.filter(), index.oldest());
    }

    /// The segment that a message of now will lie in.
    pub(crate) const fn number(&self) -> u8 {
        self.next
    }

    /// The number of the segment that goes when another one is made with this number, if none was dropped before its time.
    pub(super) const fn number_that_goes(number: u8) -> u8 {
        (number + NUMBERS - MAX_SEGMENTS) % NUMBERS
    }

    /// The messages that the row holds, the oldest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = Entry> {
        Entry::each(&self.newest)
    }

    /// How many they are.
    fn count(&self) -> usize {
        Entry::count(&self.newest).unwrap_or_default()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count() >= SEGMENT
    }

    /// Enters a message, for which there is room.
    pub(crate) fn enter(&mut self, entry: &Entry) {
        entry.write(&mut self.newest);
    }

    /// Makes room: number and messages of the next segment, and the number of the one that goes, if one does.
    pub(super) fn begin_segment(&mut self, index: &mut Index) -> (u8, Vec<Entry>, Option<u8>) {
        let (entries, number): (Vec<_>, _) = (self.newest().collect(), self.next);
        (self.newest, self.next) = (Vec::new(), (number + 1) % NUMBERS);
        let old = index.begin(number, &entries);
        let filter = index.filter_on(self.filter.take());
        (self.filter, self.oldest) = (filter.or_else(|| index.filter()), index.oldest());
        (number, entries, old)
    }

    /// Changes messages of the row, or drops them where `keep` says no.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut Entry) -> bool) {
        let before = core::mem::take(&mut self.newest);
        for mut entry in Entry::each(&before) {
            if keep(&mut entry) {
                entry.write(&mut self.newest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;
    use crate::ident::Timestamp;
    use std::vec;

    fn fill(log: &mut SentLog, index: &mut Index, at: u32) -> Option<u8> {
        let gone = log.is_full().then(|| log.begin_segment(index).2).flatten();
        (0..u8::try_from(SEGMENT - log.count()).unwrap()).for_each(|number| log.enter(&entry(number, at)));
        gone
    }

    fn written(log: &SentLog) -> Vec<u8> {
        let mut out = FieldWriter::with_capacity(0);
        log.write(&mut out);
        out.into_public()
    }

    fn read(bytes: &[u8]) -> Result<SentLog, RecordError> {
        SentLog::read(Some(FieldReader::new(bytes)))
    }

    /// For ever: at most 48, each of another number, none of which is given out again before its segment is gone.
    #[test]
    fn segments_are_bounded_and_their_numbers_begin_anew() {
        let (mut log, mut index) = (SentLog::default(), Index::default());
        assert_eq!(SentLog::read(None), Ok(SentLog::default()));
        assert!(written(&log).is_empty());
        for round in 0..300_u32 {
            let oldest = index.numbers().last();
            let gone = fill(&mut log, &mut index, round);
            assert_eq!(gone, oldest.filter(|_| round > 48));
            let numbers: Vec<u8> = index.numbers().collect();
            let expected = (1..=round.min(48)).map(|back| u8::try_from((round - back) % 64).unwrap());
            assert_eq!(numbers, expected.collect::<Vec<_>>());
            assert!(!numbers.contains(&log.number()));
            assert_eq!(log.has_segments(), round > 0);
            assert_eq!(log.oldest, round.saturating_sub(48));
            let bytes = written(&log);
            assert!(bytes.len() < 256 + 8 * ENTRY_LEN + 20);
            assert_eq!(read(&bytes).as_ref(), Ok(&log));
        }
    }

    /// Days, each of eight messages, the last of which are in the row; what is old on day 100; and which days remain.
    #[test]
    fn what_a_wrong_clock_has_sent_stays_for_long_enough() {
        const DAY: u64 = 24 * 60 * 60;
        for (days, settled, old, left) in [
            ([65, 75, 85, 95], 98, vec![0], vec![75, 85, 95]),
            ([55, 60, 65, 67], 98, vec![0, 1, 2], vec![]),
            // Behind, for a while, by a month or longer: nobody knows when that was.
            ([75, 50, 50, 50], 98, vec![], vec![75, 98, 98, 98]),
            ([65, 3, 85, 3], 98, vec![0], vec![98; 3]),
            ([35, 3, 3, 3], 66, vec![0], vec![66; 3]),
            ([3, 3, 3, 3], 98, vec![], vec![98; 4]),
            // Ahead.
            ([65, 465, 75, 85], 98, vec![0], vec![465, 75, 85]),
            ([65, 465, 66, 67], 98, vec![0, 2], vec![465]),
            // The time for deletions is not known.
            ([65, 75, 85, 95], 0, vec![], vec![65, 75, 85, 95]),
        ] {
            let seconds = |days: u64| u32::try_from(days * DAY).unwrap();
            let (mut log, mut index) = (SentLog::default(), Index::default());
            days.iter().for_each(|day| _ = fill(&mut log, &mut index, seconds(*day)));
            let [settled, now] = [settled, 100].map(|day| Timestamp::new(day * DAY * 1000));
            let dates = Dates::new(settled, now);
            let before = read(&written(&log)).unwrap();
            let looks_old = log.looks_old(dates);
            let (changed, dropped) = log.drop_old(&mut index, dates);
            assert_eq!(changed, log != before, "{days:?}");
            assert!(looks_old || (!changed && dropped.is_empty()), "{days:?}");
            dropped.iter().for_each(|number| index.changed(*number, &[]));
            assert_eq!(dropped, old, "{days:?}");
            let row = log.newest().map(|entry| entry.at());
            let mut dates: Vec<u32> = index.dates().chain(row).collect();
            dates.dedup();
            let mut expected: Vec<u32> = left.iter().map(|day| seconds(*day)).collect();
            expected.dedup();
            assert_eq!(dates, expected, "{days:?}");
        }
    }

    #[test]
    fn messages_of_the_row_are_changed_and_dropped() {
        let (mut log, mut index) = (SentLog::default(), Index::default());
        fill(&mut log, &mut index, 1);
        let id = |number| MessageId::new([number; 16]);
        assert!(!log.may_be_in_a_segment(id(5)));
        log.retain(|entry| entry.id() != id(5));
        assert_eq!((log.count(), log.newest().count()), (7, 7));
        assert_eq!(read(&written(&log)).as_ref(), Ok(&log));
    }

    #[test]
    fn refused_by_name() {
        let (mut log, mut index) = (SentLog::default(), Index::default());
        for round in 0..4 {
            fill(&mut log, &mut index, round);
        }
        let with = |change: fn(&mut SentLog)| {
            let mut log = read(&written(&log)).unwrap();
            change(&mut log);
            written(&log)
        };
        assert!(read(&with(|_| {})).is_ok());
        for (what, bytes) in [
            ("nothing", vec![]),
            ("nine messages", with(|log| log.enter(&entry(9, 9)))),
            ("a number that there is not", with(|log| log.next = 64)),
            ("an age without segments", with(|log| (log.filter, log.oldest) = (None, 7))),
            ("half a filter", [&with(|log| (log.filter, log.oldest) = (None, 0))[..], &[0x1a, 1, 0]].concat()),
        ] {
            assert_eq!(read(&bytes), Err(RecordError::Corrupt), "{what}");
        }
    }
}
