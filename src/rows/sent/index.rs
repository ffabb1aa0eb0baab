//! What is known of the segments of a sent log: which there are, how old they are, and what may be in them. It changes with
//! every eighth message, and is looked into for few others: a row of its own.

use alloc::vec::Vec;

use super::dates::Dates;
use super::entry::{Entry, id_hash};
use crate::ident::MessageId;
use crate::wire::{FieldReader, FieldWriter, Record, RecordError, RecordKind};

/// Messages of a segment, and most of those in the device's own row.
pub(super) const SEGMENT: usize = 8;

/// Segments that a device has at most: with what its own row holds, 392 messages.
pub(super) const MAX_SEGMENTS: u8 = 48;

/// Numbers of segments: they begin anew where the segments of before are long gone.
pub(super) const NUMBERS: u8 = 64;

/// With so many segments the filter is made anew.
const ANEW: u8 = 8;

/// What is known of one segment.
type Head = [u8; HEAD_LEN];

/// Number; when the newest message was sent, u32 seconds since 1970; two bytes for each id, zeros where there are fewer.
const HEAD_LEN: usize = 1 + 4 + 2 * SEGMENT;

fn head(number: u8, entries: &[Entry]) -> Head {
    let newest = entries.iter().map(Entry::at).max().unwrap_or_default();
    let hashes = entries.iter().flat_map(|entry| id_hash(entry.id()));
    let bytes = core::iter::once(number).chain(newest.to_be_bytes()).chain(hashes);
    let mut head = [0; HEAD_LEN];
    head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    head
}

const fn number_of(head: &Head) -> u8 {
    let [number, ..] = *head;
    number
}

/// When the newest message of a segment was sent.
const fn at(head: &Head) -> u32 {
    let [_, a, b, c, d, ..] = *head;
    u32::from_be_bytes([a, b, c, d])
}

/// Says when. Whether that is another time.
fn set_at(head: &mut Head, date: u32) -> bool {
    let before = at(head);
    let [_, bytes @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = head;
    *bytes = date.to_be_bytes();
    before != date
}

/// Whether a message may be in a segment.
fn may_hold(head: &Head, id_hash: [u8; 2]) -> bool {
    let [_, _, _, _, _, hashes @ ..] = head;
    hashes.as_chunks().0.contains(&id_hash)
}

/// How many segments ago one was made, where `next` is the next one.
const fn age(head: &Head, next: u8) -> u8 {
    next.wrapping_sub(number_of(head)) % NUMBERS
}

/// Three bits for each id that is in a segment (a Bloom filter): of others one in ten passes, and the rest is looked for
/// nowhere. It is half as long where there are half as many segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    bytes: [u8; LONG],
    is_long: bool,
}

const LONG: usize = 256;
const SHORT: usize = LONG / 2;

/// The three places of an id: byte and bit.
fn places(id_hash: [u8; 2], len: usize) -> [(usize, u8); 3] {
    let (id_hash, shift) = (u16::from_be_bytes(id_hash), if len == LONG { 5 } else { 6 });
    [1, 0x9e37, 0x85eb].map(|factor: u16| {
        let bit = id_hash.wrapping_mul(factor) >> shift;
        (usize::from(bit / 8), 1 << (bit % 8))
    })
}

impl Filter {
    /// Whether it is of the longer kind for so many segments.
    fn is_long_for(segments: usize) -> bool {
        segments * 2 > usize::from(MAX_SEGMENTS)
    }

    const fn len(&self) -> usize {
        if self.is_long { LONG } else { SHORT }
    }

    fn of(heads: &[Head]) -> Self {
        let mut filter = Self { bytes: [0; LONG], is_long: Self::is_long_for(heads.len()) };
        heads.iter().for_each(|head| filter.enter(head));
        filter
    }

    fn enter(&mut self, [_, _, _, _, _, hashes @ ..]: &Head) {
        let len = self.len();
        for (byte, bit) in hashes.as_chunks().0.iter().flat_map(|id_hash| places(*id_hash, len)) {
            if let Some(byte) = self.bytes.get_mut(byte) {
                *byte |= bit;
            }
        }
    }

    /// Takes its bytes; `None` if they are none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut filter = Self { bytes: [0; LONG], is_long: bytes.len() == LONG };
        filter.bytes.get_mut(..bytes.len()).filter(|place| matches!(place.len(), SHORT | LONG))?.copy_from_slice(bytes);
        Some(filter)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }

    /// Whether a message of this id may be in a segment.
    pub(super) fn passes(&self, id_hash: [u8; 2]) -> bool {
        places(id_hash, self.len()).iter().all(|(byte, bit)| self.bytes.get(*byte).is_some_and(|byte| byte & bit != 0))
    }
}

/// What is known of each segment, the oldest first.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Index(Vec<Head>);

impl Index {
    /// From its row, where `next` is the number of the next segment. What an older row says of segments that cannot be any more
    /// does not count.
    pub(super) fn read(record: &[u8], next: u8) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::SentIndex, record)?;
        let (heads, rest) = fields.some_bytes(1)?.as_chunks();
        fields.end()?;
        if !rest.is_empty()
            || heads.len() > usize::from(MAX_SEGMENTS)
            || heads.iter().any(|head| number_of(head) >= NUMBERS)
        {
            return Err(RecordError::Corrupt);
        }
        let mut index = Self(Vec::with_capacity(heads.len() + 1));
        for head in heads {
            // The oldest first, and none of a number that is to be given out before it goes.
            let after = index.0.last().map_or(NUMBERS, |older| age(older, next));
            if (1..=MAX_SEGMENTS.min(after - 1)).contains(&age(head, next)) {
                index.0.push(*head);
            }
        }
        Ok(index)
    }

    /// Its row; none if there are no segments.
    pub(super) fn to_record(&self) -> Option<Record> {
        let heads = self.0.as_flattened();
        (!heads.is_empty()).then(|| {
            let mut out = FieldWriter::row(RecordKind::SentIndex, heads.len() + 4);
            out.bytes(1, heads);
            out.into_record()
        })
    }

    /// The numbers of the segments that there are, the newest first.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u8> + Clone {
        self.0.iter().rev().map(number_of)
    }

    /// Those that a message of this id may be in, the newest first: one of 65,536 others passes for it.
    pub(super) fn numbers_with(&self, id: MessageId) -> impl Iterator<Item = u8> {
        let id_hash = id_hash(id);
        self.0.iter().rev().filter(move |head| may_hold(head, id_hash)).map(number_of)
    }

    /// Corrects dates; gives the numbers of the segments that are old.
    pub(super) fn old(&mut self, dates: &mut Dates) -> Vec<u8> {
        let mut old = Vec::new();
        for head in &mut self.0 {
            match dates.next(at(head)) {
                Some(date) => _ = set_at(head, date),
                None => old.push(number_of(head)),
            }
        }
        old
    }

    /// Enters a segment; gives the number of the one that goes, if one does.
    pub(super) fn begin(&mut self, number: u8, entries: &[Entry]) -> Option<u8> {
        self.0.push(head(number, entries));
        let old = self.0.first().filter(|head| age(head, (number + 1) % NUMBERS) > MAX_SEGMENTS).map(number_of);
        if old.is_some() {
            self.0.remove(0);
        }
        old
    }

    /// Says what a segment holds now.
    pub(super) fn changed(&mut self, number: u8, entries: &[Entry]) {
        if entries.is_empty() {
            self.0.retain(|head| number_of(head) != number);
        } else if let Some(place) = self.0.iter_mut().find(|head| number_of(head) == number) {
            *place = head(number, entries);
        }
    }

    pub(super) fn filter(&self) -> Option<Filter> {
        (!self.0.is_empty()).then(|| Filter::of(&self.0))
    }

    /// The filter once the newest segment has begun: what was in it stays, and of segments that have gone since too, until it
    /// is made anew with every eighth. Making it costs as much as sealing a message.
    pub(super) fn filter_on(&self, before: Option<Filter>) -> Option<Filter> {
        let (mut filter, newest) = before.zip(self.0.last())?;
        let goes_on = filter.is_long == Filter::is_long_for(self.0.len()) && !number_of(newest).is_multiple_of(ANEW);
        goes_on.then(|| {
            filter.enter(newest);
            filter
        })
    }

    /// Seconds since 1970 when the newest message of each segment was sent.
    pub(super) fn dates(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(at)
    }

    /// Seconds since 1970 when the newest message of the oldest segment was sent.
    pub(super) fn oldest(&self) -> u32 {
        self.dates().min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;
    use std::vec;

    fn entries(at: u32) -> Vec<Entry> {
        (0..8).map(|number| entry(number, at)).collect()
    }

    fn index(count: u8) -> Index {
        let mut index = Index::default();
        (0..count).for_each(|number| assert_eq!(index.begin(number, &entries(number.into())), None));
        index
    }

    #[test]
    fn it_comes_back() {
        assert!(index(0).to_record().is_none());
        for count in 1..=48 {
            let index = index(count);
            assert_eq!(Index::read(&index.to_record().unwrap(), count), Ok(index));
        }
    }

    #[test]
    fn a_segment_that_is_gone_in_between_holds_nothing_up() {
        let mut index = index(3);
        index.changed(1, &[]);
        assert_eq!(index.numbers().collect::<Vec<_>>(), [2, 0]);
        assert_eq!(index.oldest(), 0);
        for number in (3..64).chain(0..64) {
            index.begin(number, &entries(7));
            assert_eq!(Index::read(&index.to_record().unwrap(), (number + 1) % 64).as_ref(), Ok(&index));
        }
        assert_eq!(index.numbers().count(), 48);
    }

    #[test]
    fn an_id_leads_to_where_it_may_be() {
        let mut index = index(2);
        let id = |number| MessageId::new([number; 16]);
        let numbers = |index: &Index, id| index.numbers_with(id).collect::<Vec<u8>>();
        assert_eq!(numbers(&index, id(5)), [1, 0]);
        assert!(numbers(&index, id(8)).is_empty());
        index.changed(0, &[entry(8, 9)]);
        assert_eq!((numbers(&index, id(5)), numbers(&index, id(8))), (vec![1], vec![0]));
    }

    /// For most ids that are in no segment nothing is read.
    #[test]
    fn the_filter_lets_all_pass_that_are_there_and_few_others() {
        let hash_of = |number: u32| {
            let [a, b, ..] = crate::crypto::sha256(&[&number.to_be_bytes()]);
            [a, b]
        };
        for (segments, len) in [(1, 128), (24, 128), (25, 256), (48, 256)] {
            let mut index = Index::default();
            for number in 0..segments {
                let mut head = [0; HEAD_LEN];
                let hashes = (0..8).flat_map(|at| hash_of(number * 8 + at));
                head[5..].iter_mut().zip(hashes).for_each(|(to, from)| *to = from);
                index.0.push(head);
            }
            let filter = index.filter().unwrap();
            assert_eq!(Filter::read(filter.as_bytes()).as_ref(), Some(&filter));
            assert_eq!(filter.as_bytes().len(), len);
            assert!((0..segments * 8).all(|number| filter.passes(hash_of(number))));
            let passing = (0..=u16::MAX).filter(|id_hash| filter.passes(id_hash.to_be_bytes())).count();
            assert!(passing * 10 < 1 << 16, "{passing} of 65,536");
        }
        assert_eq!(Index::default().filter(), None);
        for len in [0, 1, 127, 129, 255, 257] {
            assert_eq!(Filter::read(&vec![0; len]), None, "{len}");
        }
    }

    /// An older row than the device's own, put back by somebody, holds nothing up: what cannot be is not there.
    #[test]
    fn an_older_index_says_what_may_still_be() {
        let old = index(48).to_record().unwrap();
        let next = |next| Index::read(&old, next).unwrap().numbers().collect::<Vec<_>>();
        assert_eq!(next(50), (2..48).rev().collect::<Vec<u8>>());
        assert_eq!(next(32), (0..32).rev().collect::<Vec<u8>>(), "those of later have the ages of others");
    }

    #[test]
    fn refused_by_name() {
        let record = index(3).to_record().unwrap();
        let with = |heads: &[u8]| {
            let mut out = FieldWriter::row(RecordKind::SentIndex, 0);
            out.bytes(1, heads);
            Index::read(&out.into_record(), 3)
        };
        assert!(with(index(3).0.as_flattened()).is_ok());
        for (what, heads) in [
            ("nothing", vec![]),
            ("half a segment", vec![0; HEAD_LEN + 1]),
            ("49 segments", vec![0; 49 * HEAD_LEN]),
            ("a number that there is not", vec![64; HEAD_LEN]),
        ] {
            assert_eq!(with(&heads), Err(RecordError::Corrupt), "{what}");
        }
        for len in 0..record.len() {
            assert!(Index::read(&record[..len], 3).is_err(), "cut to {len}");
        }
    }
}
