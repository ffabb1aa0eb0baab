//! The sent log of one device, as far as its own row holds it: the newest messages whole, and of older ones which segment to
//! look into. So a message is sent without another row being read or written, but for every eighth.

use alloc::vec::Vec;

use super::sent::{ENTRY_LEN, Entry, mark};
use crate::ident::MessageId;
use crate::wire::{FieldReader, FieldWriter, RecordError};

/// Messages of a segment, and most of those in the device's own row.
pub(super) const SEGMENT: usize = 8;

/// Segments that a device has at most: with what its own row holds, 392 messages.
const MAX_SEGMENTS: u8 = 48;

/// Numbers of segments: they begin anew where the segments of before are long gone.
const NUMBERS: u8 = 64;

/// All numbers that a segment can have.
pub(super) const fn all_numbers() -> core::ops::Range<u8> {
    0..NUMBERS
}

/// What was sent to one device, under the identity key that it has now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SentLog {
    /// The newest, the oldest of them first: the next segment, while it grows.
    newest: Vec<Entry>,
    /// The number of the next segment.
    next: u8,
    /// The oldest first.
    segments: Vec<Head>,
}

/// What of a segment stands in the device's own row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    number: u8,
    /// When the newest of its messages was sent, in seconds since 1970.
    newest: u32,
    /// Two bytes of a hash for each message: whoever has none of them is surely not in it. Zeros where there are fewer.
    marks: [[u8; 2]; SEGMENT],
}

const HEAD_LEN: usize = 1 + 4 + 2 * SEGMENT;

impl Head {
    fn of(number: u8, entries: &[Entry]) -> Self {
        let mut marks = [[0; 2]; SEGMENT];
        marks.iter_mut().zip(entries).for_each(|(to, entry)| *to = mark(entry.id()));
        Self { number, newest: entries.iter().map(Entry::at).max().unwrap_or_default(), marks }
    }

    fn read(bytes: &[u8; HEAD_LEN]) -> Option<Self> {
        let (number, rest) = bytes.split_first()?;
        let (newest, rest) = rest.split_first_chunk()?;
        let marks = rest.as_chunks().0.try_into().ok()?;
        Some(Self { number: *number, newest: u32::from_be_bytes(*newest), marks })
    }

    /// How many segments ago it was made, where `next` is the next one.
    const fn age(&self, next: u8) -> u8 {
        next.wrapping_sub(self.number) % NUMBERS
    }
}

impl SentLog {
    pub(super) fn read(fields: Option<FieldReader<'_>>) -> Result<Self, RecordError> {
        let Some(mut fields) = fields else { return Ok(Self::default()) };
        let newest = Entry::read_all(fields.bytes(1)?, SEGMENT).ok_or(RecordError::Corrupt)?;
        let next = fields.small(2)?;
        let (heads, rest) = fields.bytes(3)?.as_chunks();
        fields.end()?;
        let segments = heads.iter().map(Head::read).collect::<Option<Vec<_>>>().ok_or(RecordError::Corrupt)?;
        let ages = || segments.iter().map(|head| head.age(next));
        // The oldest first, and none of a number that is to be given out before it goes.
        let is_whole = ages().is_sorted_by(|older, newer| older > newer) && ages().all(|age| (1..=MAX_SEGMENTS).contains(&age));
        let numbers = segments.iter().map(|head| head.number).chain([next]);
        let log = Self { newest, next, segments: Vec::new() };
        if !rest.is_empty() || !is_whole || numbers.into_iter().any(|number| number >= NUMBERS) {
            return Err(RecordError::Corrupt);
        }
        let log = Self { segments, ..log };
        if log == Self::default() { Err(RecordError::Corrupt) } else { Ok(log) }
    }

    /// Puts nothing if there is nothing.
    pub(super) fn write(&self, out: &mut FieldWriter) {
        out.joined(1, |out| self.newest.iter().for_each(|entry| entry.write(out)));
        out.number(2, self.next);
        if !self.segments.is_empty() {
            out.begin_bytes(3, self.segments.len() * HEAD_LEN);
        }
        for Head { number, newest, marks } in &self.segments {
            out.put(&[*number]);
            out.put(&newest.to_be_bytes());
            out.put(marks.as_flattened());
        }
    }

    /// Bytes that it takes, and no more.
    pub(super) fn room(&self) -> usize {
        16 + self.newest.len() * ENTRY_LEN + self.segments.len() * HEAD_LEN
    }

    /// The segment that a message of now will lie in.
    pub(super) const fn number(&self) -> u8 {
        self.next
    }

    /// The numbers of the segments that there are, the newest first.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u8> + Clone {
        self.segments.iter().rev().map(|head| head.number)
    }

    /// Those that a message of this id may be in, the newest first: one of 65,536 others passes for it.
    pub(super) fn numbers_with(&self, id: MessageId) -> Vec<u8> {
        if self.segments.is_empty() {
            return Vec::new();
        }
        let mark = mark(id);
        self.segments.iter().rev().filter(|head| head.marks.contains(&mark)).map(|head| head.number).collect()
    }

    /// The messages that the row holds, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.newest.iter().rev()
    }

    /// The newest message of an id that the row holds.
    pub(super) fn find_mut(&mut self, id: MessageId) -> Option<&mut Entry> {
        self.newest.iter_mut().rev().find(|entry| entry.id() == id)
    }

    pub(super) const fn is_full(&self) -> bool {
        self.newest.len() >= SEGMENT
    }

    /// Enters a message, for which there is room.
    pub(super) fn enter(&mut self, entry: Entry) {
        self.newest.push(entry);
    }

    /// Makes room: number and messages of the next segment, and the number of the one that goes, if one does.
    pub(super) fn begin_segment(&mut self) -> (u8, Vec<Entry>, Option<u8>) {
        let entries = core::mem::replace(&mut self.newest, Vec::with_capacity(SEGMENT));
        let number = self.next;
        self.segments.push(Head::of(number, &entries));
        self.next = (number + 1) % NUMBERS;
        let old = self.segments.first().filter(|head| head.age(self.next) > MAX_SEGMENTS).map(|head| head.number);
        if old.is_some() {
            self.segments.remove(0);
        }
        (number, entries, old)
    }

    /// Says what a segment holds now.
    pub(super) fn changed(&mut self, number: u8, entries: &[Entry]) {
        if entries.is_empty() {
            self.segments.retain(|head| head.number != number);
        } else if let Some(head) = self.segments.iter_mut().find(|head| head.number == number) {
            *head = Head::of(number, entries);
        }
    }

    /// Drops messages of the row. Whether there were any.
    pub(super) fn drop_newest(&mut self, goes: impl Fn(&Entry) -> bool) -> bool {
        let before = self.newest.len();
        self.newest.retain(|entry| !goes(entry));
        self.newest.len() != before
    }

    /// The segments whose newest message was sent before this moment, in seconds since 1970.
    pub(super) fn older_than(&self, oldest: u32) -> Vec<u8> {
        self.segments.iter().filter(|head| head.newest < oldest).map(|head| head.number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sent::tests::entry;
    use super::*;
    use std::vec;

    fn fill(log: &mut SentLog, at: u32) -> Option<u8> {
        let gone = log.is_full().then(|| log.begin_segment().2).flatten();
        (0..u8::try_from(SEGMENT - log.newest.len()).unwrap()).for_each(|number| log.enter(entry(number, at)));
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
        assert_eq!(log.numbers_with(id(5)), [1, 0]);
        assert!(log.numbers_with(id(8)).is_empty());
        log.changed(0, &[entry(8, 9)]);
        assert_eq!((log.numbers_with(id(5)), log.numbers_with(id(8))), (vec![1], vec![0]));
        assert!(log.find_mut(id(5)).is_some() && log.find_mut(id(8)).is_none());
        assert!(log.drop_newest(|entry| entry.id() == id(5)) && !log.drop_newest(|entry| entry.id() == id(5)));
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
            ("nine messages", with(|log| log.enter(entry(9, 9)))),
            ("a number that there is not", with(|log| log.next = 64)),
            ("a segment of the next number", with(|log| log.next = 2)),
            ("a segment of a number that there is not", with(|log| log.segments[0].number = 64)),
            ("a segment twice", with(|log| log.segments[1].number = 0)),
            ("segments in another order", with(|log| log.segments.reverse())),
            ("a segment that is too old", with(|log| log.next = 49)),
            ("half a segment", [&with(|log| log.segments.clear())[..], &[0x1a, 1, 0]].concat()),
        ] {
            assert_eq!(read(&bytes), Err(RecordError::Corrupt), "{what}");
        }
    }
}
