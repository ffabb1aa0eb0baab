//! The sent log of one device, as far as its own row holds it: the newest messages whole, and of older ones which segment to
//! look into. So a message is sent without another row being read or written, but for every eighth.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::entry::{ENTRY_LEN, Entry, mark};
use super::index::{Filter, HEAD_LEN, Head, NUMBERS, SEGMENT, age, at, filter, head, may_hold, number_of, passes};
use crate::crypto::{Apart, Secret};
use crate::ident::MessageId;
use crate::wire::{FieldReader, FieldWriter, RecordError};

/// Segments that a device has at most: with what its own row holds, 392 messages.
const MAX_SEGMENTS: u8 = 48;

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
    /// What is known of each segment, the oldest first.
    segments: Segments,
}

/// What is known of each segment: it changes with every eighth message, and lies apart.
#[derive(Debug, PartialEq, Eq)]
enum Segments {
    Here(Vec<Head>),
    Apart(Filter, Index),
}

impl Default for Segments {
    fn default() -> Self {
        Self::Here(Vec::new())
    }
}

/// Heads of segments, sealed.
struct Index(Apart);

impl core::fmt::Debug for Index {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Index(..)")
    }
}

impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        self.0.sealed() == other.0.sealed()
    }
}

impl Eq for Index {}

impl SentLog {
    /// From its fields, and what is behind the record: what is left of that is given back.
    pub(crate) fn read<'a>(fields: Option<FieldReader<'_>>, tail: &'a [u8]) -> Result<(Self, &'a [u8]), RecordError> {
        let Some(mut fields) = fields else { return Ok((Self::default(), tail)) };
        let (newest, next, filter, key) = (fields.bytes(1)?, fields.small(2)?, fields.bytes(3)?, fields.bytes(4)?);
        let segments: usize = fields.small(5)?;
        fields.end()?;
        let count = Entry::count(newest).filter(|count| *count <= SEGMENT).ok_or(RecordError::Corrupt)?;
        let is_none = count == 0 && next == 0 && segments == 0;
        if is_none || segments > usize::from(MAX_SEGMENTS) || next >= NUMBERS {
            return Err(RecordError::Corrupt);
        }
        // With room for one more, which most are read for.
        let mut held = Vec::with_capacity(newest.len() + ENTRY_LEN);
        held.extend_from_slice(newest);
        let log = Self { newest: held, count, next, segments: Segments::default() };
        if segments == 0 {
            return if filter.is_empty() && key.is_empty() { Ok((log, tail)) } else { Err(RecordError::Corrupt) };
        }
        let at = tail.len().checked_sub(segments * HEAD_LEN + Apart::BACK).ok_or(RecordError::Corrupt)?;
        let (rest, index) = tail.split_at_checked(at).ok_or(RecordError::Corrupt)?;
        let filter = filter.try_into().map_err(|_| RecordError::Corrupt)?;
        let key = key.try_into().map_err(|_| RecordError::Corrupt)?;
        Ok((Self { segments: Segments::Apart(filter, Index(Apart::new(key, index))), ..log }, rest))
    }

    /// Lays apart what changes seldom, before it is written.
    pub(crate) fn lay_apart(&mut self, rng: &mut (impl CryptoRng + ?Sized)) {
        if let Segments::Here(heads) = &self.segments
            && !heads.is_empty()
        {
            let index = Index(Apart::seal(Secret::random(rng), heads.as_flattened()));
            self.segments = Segments::Apart(filter(heads), index);
        }
    }

    /// Puts nothing if there is nothing.
    pub(crate) fn write(&self, out: &mut FieldWriter) {
        out.bytes(1, &self.newest);
        out.number(2, self.next);
        if let Segments::Apart(filter, Index(index)) = &self.segments {
            out.bytes(3, filter);
            out.bytes(4, index.key().expose());
            out.number(
                5,
                u64::try_from(index.sealed().len().saturating_sub(Apart::BACK) / HEAD_LEN).unwrap_or_default(),
            );
        }
    }

    /// What lies apart, for behind the record.
    pub(crate) fn tail(&self) -> &[u8] {
        match &self.segments {
            Segments::Apart(_, Index(index)) => index.sealed(),
            Segments::Here(_) => &[],
        }
    }

    /// What is known of each segment, the oldest first.
    fn heads(&self) -> Result<Cow<'_, [Head]>, RecordError> {
        let Index(index) = match &self.segments {
            Segments::Here(heads) => return Ok(Cow::Borrowed(heads)),
            Segments::Apart(_, index) => index,
        };
        let heads = index.open().map_err(|_| RecordError::Corrupt)?;
        let (heads, rest) = heads.as_chunks();
        let ages = || heads.iter().map(|head| age(head, self.next));
        // The oldest first, and none of a number that is to be given out before it goes.
        let is_bounded = ages().all(|age| (1..=MAX_SEGMENTS).contains(&age));
        let is_sorted = ages().is_sorted_by(|older, newer| older > newer);
        let are_numbers = heads.iter().map(number_of).all(|number| number < NUMBERS);
        if rest.is_empty() && is_bounded && is_sorted && are_numbers {
            Ok(Cow::Owned(heads.to_vec()))
        } else {
            Err(RecordError::Corrupt)
        }
    }

    /// The same, to be changed.
    fn heads_mut(&mut self) -> Result<&mut Vec<Head>, RecordError> {
        if let Cow::Owned(heads) = self.heads()? {
            self.segments = Segments::Here(heads);
        }
        match &mut self.segments {
            Segments::Here(heads) => Ok(heads),
            // Just brought.
            Segments::Apart(..) => Err(RecordError::Corrupt),
        }
    }

    /// The segment that a message of now will lie in.
    pub(crate) const fn number(&self) -> u8 {
        self.next
    }

    /// The numbers of the segments that there are, the newest first.
    pub(crate) fn numbers(&self) -> Result<Vec<u8>, RecordError> {
        Ok(self.heads()?.iter().rev().map(number_of).collect())
    }

    /// Those that a message of this id may be in, the newest first: one of 65,536 others passes for it.
    pub(crate) fn numbers_with(&self, id: MessageId) -> Result<Vec<u8>, RecordError> {
        let mark = mark(id);
        if let Segments::Apart(filter, _) = &self.segments
            && !passes(filter, mark)
        {
            return Ok(Vec::new());
        }
        Ok(self.heads()?.iter().rev().filter(|head| may_hold(head, mark)).map(number_of).collect())
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
    pub(crate) fn begin_segment(&mut self) -> Result<(u8, Vec<Entry>, Option<u8>), RecordError> {
        let (entries, number): (Vec<_>, _) = (self.newest().collect(), self.next);
        let next = (number + 1) % NUMBERS;
        let heads = self.heads_mut()?;
        heads.push(head(number, &entries));
        let old = heads.first().filter(|head| age(head, next) > MAX_SEGMENTS).map(number_of);
        if old.is_some() {
            heads.remove(0);
        }
        (self.newest, self.count, self.next) = (Vec::new(), 0, next);
        Ok((number, entries, old))
    }

    /// Says what a segment holds now.
    pub(crate) fn changed(&mut self, number: u8, entries: &[Entry]) -> Result<(), RecordError> {
        let heads = self.heads_mut()?;
        if entries.is_empty() {
            heads.retain(|head| number_of(head) != number);
        } else if let Some(place) = heads.iter_mut().find(|head| number_of(head) == number) {
            *place = head(number, entries);
        }
        Ok(())
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
    pub(crate) fn older_than(&self, oldest: u32) -> Result<Vec<u8>, RecordError> {
        Ok(self.heads()?.iter().filter(|head| at(head) < oldest).map(number_of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Digest;
    use super::super::entry::tests::entry;
    use super::*;
    use crate::ident::{MessageName, Timestamp};
    use crate::support::rng;
    use std::vec;

    fn fill(log: &mut SentLog, at: u32) -> Option<u8> {
        let gone = log.is_full().then(|| log.begin_segment().unwrap().2).flatten();
        (0..u8::try_from(SEGMENT - log.count).unwrap()).for_each(|number| log.enter(&entry(number, at)));
        gone
    }

    /// Fields and tail.
    type Written = (Vec<u8>, Vec<u8>);

    fn written(log: &mut SentLog) -> Written {
        log.lay_apart(&mut rng(1));
        let mut out = FieldWriter::with_capacity(0);
        log.write(&mut out);
        (out.into_public(), log.tail().to_vec())
    }

    /// As an operation does it that looks into all of it. What belongs to the session comes first in the tail.
    fn read((fields, tail): &Written) -> Result<SentLog, RecordError> {
        let tail = [b"session", &tail[..]].concat();
        let (mut log, rest) = SentLog::read(Some(FieldReader::new(fields)), &tail)?;
        assert_eq!(rest, b"session");
        let _ = log.heads_mut()?;
        Ok(log)
    }

    /// For ever: at most 48, each of another number, none of which is given out again before its segment is gone.
    #[test]
    fn segments_are_bounded_and_their_numbers_begin_anew() {
        let mut log = SentLog::default();
        assert_eq!(SentLog::read(None, b"tail"), Ok((SentLog::default(), &b"tail"[..])));
        assert_eq!(written(&mut log), Written::default());
        for round in 0..300_u32 {
            let oldest = log.numbers().unwrap().last().copied();
            let gone = fill(&mut log, round);
            assert_eq!(gone, oldest.filter(|_| round > 48));
            let numbers = log.numbers().unwrap();
            let expected = (1..=round.min(48)).map(|back| u8::try_from((round - back) % 64).unwrap());
            assert_eq!(numbers, expected.collect::<Vec<_>>());
            assert!(!numbers.contains(&log.number()));
            let bytes = written(&mut log);
            let _ = log.heads_mut().unwrap();
            assert_eq!(read(&bytes).as_ref(), Ok(&log));
            assert!(bytes.0.len() < 860 && bytes.1.len() < 1_040);
        }
    }

    #[test]
    fn a_segment_that_is_gone_in_between_holds_nothing_up() {
        let mut log = SentLog::default();
        for round in 0..4 {
            fill(&mut log, round);
        }
        log.changed(1, &[]).unwrap();
        assert_eq!(log.numbers().unwrap(), [2, 0]);
        assert_eq!(log.older_than(1).unwrap(), [0]);
        for round in 4..200 {
            fill(&mut log, round);
            let bytes = written(&mut log);
            let _ = log.heads_mut().unwrap();
            assert_eq!(read(&bytes).as_ref(), Ok(&log));
        }
        assert_eq!(log.numbers().unwrap().len(), 48);
    }

    #[test]
    fn an_id_leads_to_where_it_may_be() {
        let mut log = SentLog::default();
        for round in 0..3 {
            fill(&mut log, round);
        }
        let id = |number| MessageId::new([number; 16]);
        for apart in [false, true] {
            let numbers = |log: &mut SentLog, id| {
                if apart {
                    log.lay_apart(&mut rng(1));
                }
                log.numbers_with(id).unwrap()
            };
            assert_eq!(numbers(&mut log, id(5)), [1, 0]);
            assert!(numbers(&mut log, id(8)).is_empty());
            log.changed(0, &[entry(8, 9)]).unwrap();
            assert_eq!((numbers(&mut log, id(5)), numbers(&mut log, id(8))), (vec![1], vec![0]));
            let entries: Vec<Entry> = (0..8).map(|number| entry(number, 0)).collect();
            log.changed(0, &entries).unwrap();
        }
        log.retain(|entry| entry.id() != id(5));
        assert_eq!((log.count, log.newest().count()), (7, 7));
    }

    /// Most ids that are in no segment are looked for nowhere: nothing is opened for them.
    #[test]
    fn the_filter_lets_all_pass_that_are_there_and_few_others() {
        let mut log = SentLog::default();
        let id = |number: u32| MessageId::new(*crate::crypto::sha256(&[&number.to_be_bytes()]).first_chunk().unwrap());
        for number in 0..48 * 8 {
            if log.is_full() {
                log.begin_segment().unwrap();
            }
            let digest = Digest { content: [0; 16], parts: [0; 16], number: 16 };
            log.enter(&Entry::new(id(number), &MessageName::new([0; 32]), digest, Timestamp::new(0)));
        }
        log.begin_segment().unwrap();
        log.lay_apart(&mut rng(1));
        assert!((0..384).all(|number| !log.numbers_with(id(number)).unwrap().is_empty()));
        let Segments::Apart(filter, _) = &log.segments else { panic!("laid apart") };
        let passing = (0..1_u16 << 15).filter(|mark| passes(filter, mark.to_be_bytes())).count();
        assert!(passing * 10 < 1 << 15, "{passing} of 32,768");
    }

    #[test]
    fn refused_by_name() {
        let mut log = SentLog::default();
        for round in 0..4 {
            fill(&mut log, round);
        }
        let whole = written(&mut log);
        let with = |change: fn(&mut SentLog)| {
            let mut log = read(&whole).unwrap();
            change(&mut log);
            written(&mut log)
        };
        fn heads(log: &mut SentLog) -> &mut Vec<Head> {
            log.heads_mut().unwrap()
        }
        assert!(read(&with(|_| {})).is_ok());
        let half = |keep: usize| (whole.0.clone(), whole.1[whole.1.len() - keep..].to_vec());
        for (what, bytes) in [
            ("nothing", Written::default()),
            ("nine messages", with(|log| log.enter(&entry(9, 9)))),
            ("a number that there is not", with(|log| log.next = 64)),
            ("a segment of the next number", with(|log| log.next = 2)),
            ("a segment of a number that there is not", with(|log| heads(log)[0][0] = 64)),
            ("a segment twice", with(|log| heads(log)[1][0] = 0)),
            ("segments in another order", with(|log| heads(log).reverse())),
            ("a segment that is too old", with(|log| log.next = 49)),
            ("49 segments", with(|log| *heads(log) = vec![[0; HEAD_LEN]; 49])),
            ("a filter of nothing", ([&with(|log| heads(log).clear()).0[..], &[0x1a, 1, 0]].concat(), Vec::new())),
        ] {
            assert_eq!(read(&bytes), Err(RecordError::Corrupt), "{what}");
        }
        // Half of it: what is before it is not the session's then.
        for keep in 0..whole.1.len() {
            let (fields, tail) = half(keep);
            assert!(SentLog::read(Some(FieldReader::new(&fields)), &tail).is_err(), "{keep} bytes");
        }
        let mut altered = whole.clone();
        altered.1[5] ^= 1;
        assert_eq!(read(&altered), Err(RecordError::Corrupt), "a bit of what lies apart");
    }
}
