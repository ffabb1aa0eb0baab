//! Which ids were taken, for good and in bounded space.

use alloc::vec::Vec;

use crate::ident::PrekeyId;
use crate::wire::RecordError;

/// Most ranges. A device draws its ids one after the other, from another place only after a rollback or as a new account.
const MAX_RANGES: usize = 16;

/// Ids that were taken. Never forgets one; where there are too many gaps the smallest one counts as taken as well, which in
/// the ids of one device were given to prekeys of other kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Taken(Vec<Range>);

/// The first and the last.
type Range = (u32, u32);

impl Taken {
    pub(super) fn contains(&self, id: PrekeyId) -> bool {
        let id = id.get();
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&id))
    }

    pub(super) fn insert(&mut self, id: PrekeyId) {
        if self.contains(id) {
            return;
        }
        let id = id.get();
        let at = self.0.partition_point(|(first, _)| *first < id);
        self.0.insert(at, (id, id));
        let mut merged: Vec<Range> = Vec::with_capacity(self.0.len());
        for (first, last) in self.0.drain(..) {
            match merged.last_mut() {
                Some((_, before)) if first - 1 == *before => *before = last,
                _ => merged.push((first, last)),
            }
        }
        self.0 = merged;
        if self.0.len() > MAX_RANGES {
            self.close_smallest_gap();
        }
    }

    fn close_smallest_gap(&mut self) {
        let gaps = self.0.iter().zip(self.0.iter().skip(1)).map(|((_, last), (first, _))| first - last);
        let Some((at, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) else { return };
        if at + 1 < self.0.len() {
            let (_, last) = self.0.remove(at + 1);
            if let Some(range) = self.0.get_mut(at) {
                range.1 = last;
            }
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(first, last)| [first.to_be_bytes(), last.to_be_bytes()]).flatten().collect()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let (ranges, rest) = bytes.as_chunks::<8>();
        let ranges: Vec<Range> = ranges
            .iter()
            .map(|[a, b, c, d, e, f, g, h]| {
                (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]))
            })
            .collect();
        let ascend = ranges.iter().all(|(first, last)| first <= last)
            && ranges
                .iter()
                .zip(ranges.iter().skip(1))
                .all(|((_, last), (first, _))| last.checked_add(1).is_some_and(|next| next < *first));
        if rest.is_empty() && ranges.len() <= MAX_RANGES && ascend {
            Ok(Self(ranges))
        } else {
            Err(RecordError::Corrupt)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn taken(ids: impl IntoIterator<Item = u32>) -> Taken {
        let mut taken = Taken::default();
        ids.into_iter().for_each(|id| taken.insert(PrekeyId::new(id)));
        taken
    }

    #[test]
    fn ids_in_a_row_are_one_range() {
        assert_eq!(taken([5, 7, 6, 8, 5]).0, [(5, 8)]);
        assert_eq!(taken([u32::MAX, 0, 1, u32::MAX - 1]).0, [(0, 1), (u32::MAX - 1, u32::MAX)]);
    }

    /// Lots of a hundred with other kinds' between them, from two places: a few ranges, and the places stay apart.
    #[test]
    fn many_lots_take_no_more_space() {
        let lots = (0..500).flat_map(|lot| (0..100).map(move |id| 1_000 + lot * 202 + id));
        let elsewhere = (0..500).flat_map(|lot| (0..100).map(move |id| 900_000_000 + lot * 202 + id));
        let taken = taken(lots.chain(elsewhere));
        assert!(taken.0.len() <= MAX_RANGES && taken.to_bytes().len() <= MAX_RANGES * 8);
        assert!(!taken.contains(PrekeyId::new(999)) && !taken.contains(PrekeyId::new(500_000_000)));
    }

    #[test]
    fn other_bytes_are_refused() {
        for ranges in [vec![(2, 1)], vec![(1, 2), (3, 4)], vec![(5, 6), (1, 2)], vec![(1, 3), (2, 5)], vec![(0, 1); 2]]
        {
            let bytes = Taken(ranges).to_bytes();
            assert_eq!(Taken::from_bytes(&bytes), Err(RecordError::Corrupt));
        }
        let many = Taken((0..17).map(|at| (at * 10, at * 10 + 1)).collect()).to_bytes();
        assert_eq!(Taken::from_bytes(&many), Err(RecordError::Corrupt));
        assert_eq!(Taken::from_bytes(&many[..7]), Err(RecordError::Corrupt));
        assert!(Taken::from_bytes(&many[8..]).is_ok());
    }

    proptest! {
        #[test]
        fn none_is_forgotten(ids in prop::collection::vec(prop_oneof![0..200u32, any::<u32>()], 0..200)) {
            let taken = taken(ids.clone());
            prop_assert!(ids.iter().all(|id| taken.contains(PrekeyId::new(*id))));
            prop_assert!(taken.0.len() <= MAX_RANGES);
            prop_assert_eq!(Taken::from_bytes(&taken.to_bytes()), Ok(taken));
        }
    }
}
