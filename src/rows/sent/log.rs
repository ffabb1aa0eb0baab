//! The sent log of one device, as far as its own row holds it: the newest messages whole, and of older ones which segment to
//! look into. So a message is sent without another row being read or written, but for every eighth.

use alloc::vec::Vec;

use super::entry::{Entry, mark};
use crate::ident::MessageId;
use crate::wire::{FieldReader, FieldWriter, RecordError};

/// Messages of a segment, and most of those in the device's own row.
pub(crate) const SEGMENT: usize = 8;

/// Segments that a device has at most: with what its own row holds, 392 messages.
const MAX_SEGMENTS: u8 = 48;

/// Numbers of segments: they begin anew where the segments of before are long gone.
const NUMBERS: u8 = 64;

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
    /// How many they are.
    count: usize,
    /// The number of the next segment.
    next: u8,
    /// What of each segment stands in the device's own row, the oldest first.
    segments: Vec<[u8; HEAD_LEN]>,
}

/// Number; when the newest message was sent, u32 seconds since 1970; two bytes for each id, zeros where there are fewer.
const HEAD_LEN: usize = 1 + 4 + 2 * SEGMENT;

fn head(number: u8, entries: &[Entry]) -> [u8; HEAD_LEN] {
    let newest = entries.iter().map(Entry::at).max().unwrap_or_default();
    let marks = entries.iter().flat_map(|entry| mark(entry.id()));
    let bytes = core::iter::once(number).chain(newest.to_be_bytes()).chain(marks);
    let mut head = [0; HEAD_LEN];
    head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    head
}

const fn number_of(head: &[u8; HEAD_LEN]) -> u8 {
    let [number, ..] = *head;
    number
}

/// When the newest message of a segment was sent.
const fn at(head: &[u8; HEAD_LEN]) -> u32 {
    let [_, a, b, c, d, ..] = *head;
    u32::from_be_bytes([a, b, c, d])
}

/// Whether a message may be in a segment.
fn may_hold(head: &[u8; HEAD_LEN], mark: [u8; 2]) -> bool {
    let [_, _, _, _, _, marks @ ..] = head;
    marks.as_chunks().0.contains(&mark)
}

/// How many segments ago one was made, where `next` is the next one.
const fn age(head: &[u8; HEAD_LEN], next: u8) -> u8 {
    next.wrapping_sub(number_of(head)) % NUMBERS
}

impl SentLog {
    pub(crate) fn read(fields: Option<FieldReader<'_>>) -> Result<Self, RecordError> {
        let Some(mut fields) = fields else { return Ok(Self::default()) };
        let (newest, next, segments) = (fields.bytes(1)?, fields.small(2)?, fields.bytes(3)?);
        fields.end()?;
        let count = Entry::count(newest).filter(|count| *count <= SEGMENT).ok_or(RecordError::Corrupt)?;
        let (segments, rest) = segments.as_chunks();
        let ages = || segments.iter().map(|head| age(head, next));
        // The oldest first, and none of a number that is to be given out before it goes.
        let is_bounded = ages().all(|age| (1..=MAX_SEGMENTS).contains(&age));
        let is_sorted = ages().is_sorted_by(|older, newer| older > newer);
        let are_numbers = segments.iter().map(number_of).chain([next]).all(|number| number < NUMBERS);
        let is_none = count == 0 && next == 0 && segments.is_empty();
        if is_none || !(rest.is_empty() && is_bounded && is_sorted && are_numbers) {
            return Err(RecordError::Corrupt);
        }
        Ok(Self { newest: newest.to_vec(), count, next, segments: segments.to_vec() })
    }

    /// Puts nothing if there is nothing.
    pub(crate) fn write(&self, out: &mut FieldWriter) {
        out.bytes(1, &self.newest);
        out.number(2, self.next);
        out.bytes(3, self.segments.as_flattened());
    }

    /// Bytes that it takes, and no more.
    pub(crate) const fn room(&self) -> usize {
        16 + self.newest.len() + self.segments.len() * HEAD_LEN
    }

    /// The segment that a message of now will lie in.
    pub(crate) const fn number(&self) -> u8 {
        self.next
    }

    /// The numbers of the segments that there are, the newest first.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u8> + Clone {
        self.segments.iter().rev().map(number_of)
    }

    /// Those that a message of this id may be in, the newest first: one of 65,536 others passes for it.
    pub(crate) fn numbers_with(&self, id: MessageId) -> impl Iterator<Item = u8> + Clone {
        let mark = mark(id);
        self.segments.iter().rev().filter(move |head| may_hold(head, mark)).map(number_of)
    }

    /// The messages that the row holds, the oldest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = Entry> {
        Entry::each(&self.newest)
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.count >= SEGMENT
    }

    /// Enters a message, for which there is room.
    pub(crate) fn enter(&mut self, entry: &Entry) {
        entry.write(&mut self.newest);
        self.count += 1;
    }

    /// Makes room: number and messages of the next segment, and the number of the one that goes, if one does.
    pub(crate) fn begin_segment(&mut self) -> (u8, Vec<Entry>, Option<u8>) {
        let (entries, number): (Vec<_>, _) = (self.newest().collect(), self.next);
        (self.newest, self.count) = (Vec::new(), 0);
        self.segments.push(head(number, &entries));
        self.next = (number + 1) % NUMBERS;
        let old = self.segments.first().filter(|head| age(head, self.next) > MAX_SEGMENTS).map(number_of);
        if old.is_some() {
            self.segments.remove(0);
        }
        (number, entries, old)
    }

    /// Says what a segment holds now.
    pub(crate) fn changed(&mut self, number: u8, entries: &[Entry]) {
        if entries.is_empty() {
            self.segments.retain(|head| number_of(head) != number);
        } else if let Some(place) = self.segments.iter_mut().find(|head| number_of(head) == number) {
            *place = head(number, entries);
        }
    }

    /// Changes messages of the row, or drops them where `keep` says no.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut Entry) -> bool) {
        let (before, mut count) = (core::mem::take(&mut self.newest), 0);
        for mut entry in Entry::each(&before) {
            if keep(&mut entry) {
                entry.write(&mut self.newest);
                count += 1;
            }
        }
        self.count = count;
    }

    /// The segments whose newest message was sent before this moment, in seconds since 1970.
    pub(crate) fn older_than(&self, oldest: u32) -> Vec<u8> {
        self.segments.iter().filter(|head| at(head) < oldest).map(number_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;
    use std::vec;

    fn fill(log: &mut SentLog, at: u32) -> Option<u8> {
        let gone = log.is_full().then(|| log.begin_segment().2).flatten();
        (0..u8::try_from(SEGMENT - log.count).unwrap()).for_each(|number| log.enter(&entry(number, at)));
        gone
    }

    fn written(log: &SentLog) -> Vec<u8> {
        let mut out = FieldWriter::with_capacity(log.room());
        log.write(&mut out);
        out.into_public()
    }

    fn read(bytes: &[u8]) -> Result<SentLog, RecordError> {
        SentLog::read(Some(FieldReader::new(bytes)))
    }

    /// For ever: at most 48, each of another number, none of which is given out again before its segment is gone.
    #[test]
    fn segments_are_bounded_and_their_numbers_begin_anew() {
        let mut log = SentLog::default();
        assert_eq!(SentLog::read(None), Ok(SentLog::default()));
        assert!(written(&log).is_empty());
        for round in 0..300_u32 {
            let oldest = log.numbers().last();
            let gone = fill(&mut log, round);
            assert_eq!(gone, oldest.filter(|_| round > 48));
            let numbers: Vec<u8> = log.numbers().collect();
            let expected = (1..=round.min(48)).map(|back| u8::try_from((round - back) % 64).unwrap());
            assert_eq!(numbers, expected.collect::<Vec<_>>());
            assert!(!numbers.contains(&log.number()));
            let bytes = written(&log);
            assert!(bytes.len() <= log.room() && log.room() < 1_700);
            assert_eq!(read(&bytes).as_ref(), Ok(&log));
        }
    }

    #[test]
    fn a_segment_that_is_gone_in_between_holds_nothing_up() {
        let mut log = SentLog::default();
        for round in 0..4 {
            fill(&mut log, round);
        }
        log.changed(1, &[]);
        assert_eq!(log.numbers().collect::<Vec<_>>(), [2, 0]);
        assert_eq!(log.older_than(1), [0]);
        for round in 4..200 {
            fill(&mut log, round);
            assert_eq!(read(&written(&log)).as_ref(), Ok(&log));
        }
        assert_eq!(log.numbers().count(), 48);
    }

    #[test]
    fn an_id_leads_to_where_it_may_be() {
        let mut log = SentLog::default();
        for round in 0..3 {
            fill(&mut log, round);
        }
        let id = |number| MessageId::new([number; 16]);
        let numbers = |log: &SentLog, id| log.numbers_with(id).collect::<Vec<u8>>();
        assert_eq!(numbers(&log, id(5)), [1, 0]);
        assert!(numbers(&log, id(8)).is_empty());
        log.changed(0, &[entry(8, 9)]);
        assert_eq!((numbers(&log, id(5)), numbers(&log, id(8))), (vec![1], vec![0]));
        log.retain(|entry| entry.id() != id(5));
        assert_eq!((log.count, log.newest().count()), (7, 7));
    }

    #[test]
    fn refused_by_name() {
        let mut log = SentLog::default();
        for round in 0..4 {
            fill(&mut log, round);
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
            ("a segment of the next number", with(|log| log.next = 2)),
            ("a segment of a number that there is not", with(|log| log.segments[0][0] = 64)),
            ("a segment twice", with(|log| log.segments[1][0] = 0)),
            ("segments in another order", with(|log| log.segments.reverse())),
            ("a segment that is too old", with(|log| log.next = 49)),
            ("half a segment", [&with(|log| log.segments.clear())[..], &[0x1a, 1, 0]].concat()),
        ] {
            assert_eq!(read(&bytes), Err(RecordError::Corrupt), "{what}");
        }
    }
}
