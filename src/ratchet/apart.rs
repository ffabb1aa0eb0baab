//! Skipped message keys that are taken apart after every step, list and pages, and brought only as far as they are said to be
//! touched: they stay what a plain map of all keys is.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::num::NonZeroU32;
use std::vec::Vec;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::page::{PAGE_LEN, PageName};
use super::skipped_keys::{Away, SkippedKeys, Touched};
use super::skipped_record::split_entries;
use super::skipped_seeds::{SkippedSeeds, max_skipped};
use super::{MAX_SKIPPED_AGE_MS, Refused};
use crate::crypto::Secret;
use crate::ident::Timestamp;
use crate::wire::{FieldWriter, Record};

const DAY: u64 = 24 * 60 * 60 * 1000;

/// The records of one chain's keys.
pub(super) struct Rows {
    list: Vec<u8>,
    pages: BTreeMap<PageName, Record>,
    rng: ChaCha20Rng,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { list: Vec::new(), pages: BTreeMap::new(), rng: ChaCha20Rng::seed_from_u64(1) }
    }

    /// Writes what has changed, deletes what has gone, and leaves of the keys what is known without their list.
    pub(super) fn put(&mut self, skipped: &mut SkippedKeys) {
        for page in skipped.page_records(&mut self.rng) {
            assert_eq!(page.is_new, !self.pages.contains_key(&page.name));
            self.pages.insert(page.name, page.bytes);
        }
        let names: BTreeSet<_> = skipped.pages().iter().map(|page| page.name().unwrap()).collect();
        self.pages.retain(|name, _| names.contains(name));
        assert_eq!(names.len(), self.pages.len());
        let mut out = FieldWriter::with_capacity(0);
        skipped.write_list(&mut out, 3);
        self.list = out.into_public();
        *skipped = skipped
            .summary()
            .map_or_else(SkippedKeys::new, |away| SkippedKeys::from_away(away.count.get(), away.first));
    }

    /// Brings the list.
    pub(super) fn bring(&self, skipped: &mut SkippedKeys) {
        if skipped.away().is_some() {
            let entries = crate::wire::FieldReader::new(&self.list).bytes(3).unwrap();
            skipped.attach(split_entries(entries).unwrap(), u32::MAX).unwrap();
        }
    }

    /// Brings the pages. How many.
    pub(super) fn open(&self, skipped: &mut SkippedKeys, touched: &Touched) -> usize {
        for name in &touched.opened {
            skipped.attach_page(*name, Some(&self.pages[name])).unwrap();
        }
        touched.opened.len()
    }
}

/// As it was before there were pages.
#[derive(Default)]
struct Plain {
    seeds: BTreeMap<u32, u8>,
    floor: u32,
    times: VecDeque<(u32, Timestamp)>,
}

impl Plain {
    fn find(&self, index: u32) -> Result<u8, Refused> {
        if index < self.floor {
            return Err(Refused::TooOld);
        }
        self.seeds.get(&index).copied().ok_or(Refused::Duplicate)
    }

    fn keep(&mut self, passed: core::ops::Range<u32>, now: Timestamp) {
        let Some(upto) = passed.clone().last() else { return };
        match self.times.back_mut() {
            Some((last, at)) if now.since(*at) < DAY => *last = upto,
            _ => self.times.push_back((upto, now)),
        }
        if passed.len() >= max_skipped() {
            self.floor = self.floor.max(passed.start);
        }
        self.seeds.extend(passed.map(|index| (index, seed(index))));
        while self.seeds.len() > max_skipped() {
            self.drop_first();
        }
        while self.seeds.keys().next().zip(self.times.front()).is_some_and(|(first, (upto, _))| upto < first) {
            self.times.pop_front();
        }
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((upto, _)) = self.times.front().copied().filter(|(_, at)| now.since(*at) > MAX_SKIPPED_AGE_MS) {
            while self.seeds.keys().next().is_some_and(|index| *index <= upto) {
                self.drop_first();
            }
            self.times.pop_front();
        }
    }

    fn drop_first(&mut self) {
        let (index, _) = self.seeds.pop_first().unwrap();
        self.floor = self.floor.max(index + 1);
    }
}

fn seed(index: u32) -> u8 {
    u8::try_from(index % 251).unwrap()
}

fn keys(indices: core::ops::Range<u32>) -> Vec<(u32, Secret<32>)> {
    indices.map(|index| (index, Secret::new([seed(index); 32]))).collect()
}

/// What was found, by the seed's first byte.
fn found(skipped: &SkippedSeeds, index: u32) -> Result<u8, Refused> {
    skipped.find(index).map(|seed| seed.expose()[0])
}

#[derive(Debug, Clone)]
enum Step {
    /// A message that skips so many.
    Jump(u32),
    /// Late ones: from so far back, so many, one in so many.
    Late(u32, u32, u32),
    /// Days go by.
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12u32).prop_map(Step::Jump),
        3 => (0..300u32).prop_map(Step::Jump),
        1 => (1_500..2_600u32).prop_map(Step::Jump),
        6 => (1..2_400u32, 1..150u32, 1..5u32).prop_map(|(back, count, step)| Step::Late(back, count, step)),
        1 => (1..20u64).prop_map(Step::Wait),
    ]
}

/// One chain three times.
struct Chains {
    plain: Plain,
    whole: SkippedSeeds,
    apart: SkippedSeeds,
    rows: Rows,
    next: u32,
    now: Timestamp,
}

impl Chains {
    /// Does what a message does, on a list that is here, with the pages that it touches.
    fn message(&mut self, touch: impl Fn(&SkippedSeeds, &mut Touched), act: impl Fn(&mut SkippedSeeds, Timestamp)) {
        let now = self.now;
        self.rows.bring(&mut self.apart.seeds);
        let mut touched = Touched::default();
        touch(&self.apart, &mut touched);
        self.apart.touch_expiring(now, &mut touched);
        let opened = self.rows.open(&mut self.apart.seeds, &touched);
        // What is taken with its neighbour, the pages at the ends of a full window, one that expires in part.
        assert!(opened <= 3, "{opened}");
        for chain in [&mut self.whole, &mut self.apart] {
            act(chain, now);
            chain.expire(now);
        }
        let (count, pages) = (self.whole.seeds.len(), self.apart.seeds.pages().len());
        assert!(pages <= 3 + 2 * count / (PAGE_LEN / 2), "{count} in {pages} pages");
        self.rows.put(&mut self.apart.seeds);
        self.plain.expire(now);
        for chain in [&self.whole, &self.apart] {
            assert_eq!((chain.floor, &chain.times), (self.plain.floor, &self.plain.times));
            let first = self.plain.seeds.first_key_value().map(|(first, _)| *first);
            let count = u32::try_from(self.plain.seeds.len()).unwrap();
            assert_eq!(
                chain.seeds.summary(),
                first.and_then(|first| Some(Away { count: NonZeroU32::new(count)?, first }))
            );
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait(days) => self.now = Timestamp::new(self.now.get() + days * DAY),
            Step::Jump(over) => {
                let end = self.next + over;
                let passed = self.next.max(end.saturating_sub(2_000))..end;
                self.plain.keep(passed.clone(), self.now);
                self.message(
                    |chain, touched| chain.touch_keeping(passed.len(), touched),
                    |chain, now| chain.keep(keys(passed.clone()), now),
                );
                self.next = end + 1;
            }
            Step::Late(back, count, step) => {
                let start = self.next.saturating_sub(back);
                for index in
                    (start..self.next).step_by(usize::try_from(step).unwrap()).take(usize::try_from(count).unwrap())
                {
                    self.late(index);
                }
            }
        }
    }

    fn late(&mut self, index: u32) {
        let expected = self.plain.find(index);
        if expected.is_ok() {
            self.plain.seeds.remove(&index);
        }
        self.message(
            |chain, touched| chain.seeds.touch_taking(index, touched),
            |chain, _| {
                assert_eq!(found(chain, index), expected);
                if expected.is_ok() {
                    chain.remove(index);
                }
            },
        );
    }
}

proptest! {
    #[test]
    fn pages_are_a_map(steps in proptest::collection::vec(any_step(), 1..40)) {
        let mut chains = Chains {
            plain: Plain::default(),
            whole: SkippedSeeds::new(),
            apart: SkippedSeeds::new(),
            rows: Rows::new(),
            next: 0,
            now: Timestamp::new(0),
        };
        steps.iter().for_each(|step| chains.step(step));
        for index in 0..chains.next {
            prop_assert_eq!(found(&chains.whole, index), chains.plain.find(index));
        }
    }
}
