//! What was last accepted, and what was not, of one chain.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::report::Commitment;

/// Newest messages of a chain whose commitments are kept. Few, since they are written with every message: what comes twice,
/// or contradicts what came, does so within the next messages; an older place is refused as well, as too old, and a report
/// shows a contradiction however old it is.
pub(super) const MAX_RECENT: usize = 6;

/// Missing messages of a chain that can still come late.
pub(super) const MAX_MISSING: u64 = 2000;

/// Commitment, and the stamp's time in milliseconds, 0 for none.
pub(super) type SkippedKeys = (Commitment, u64);

/// Times are kept in 6 bytes: a later one, in the year 10,889, is kept as that.
const MAX_TIME: u64 = (1 << 48) - 1;

/// Length of a commitment with its time.
const ENTRY: usize = 38;

/// The newest accepted messages of a chain, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recent(pub(super) BTreeMap<u64, SkippedKeys>);

impl Recent {
    pub(super) fn insert(&mut self, seq: u64, (commitment, time): SkippedKeys) {
        self.0.insert(seq, (commitment, time.min(MAX_TIME)));
        if self.0.len() > MAX_RECENT {
            self.0.pop_first();
        }
    }

    /// A message of one's own was stamped.
    pub(super) fn stamp(&mut self, seq: u64, commitment: &Commitment, at: u64) -> bool {
        match self.0.get_mut(&seq) {
            Some((known, time)) if known == commitment && *time == 0 => {
                *time = at.min(MAX_TIME);
                true
            }
            _ => false,
        }
    }

    pub(super) fn get(&self, seq: u64) -> Option<&SkippedKeys> {
        self.0.get(&seq)
    }

    pub(super) fn newest(&self) -> Option<(u64, &SkippedKeys)> {
        self.0.last_key_value().map(|(seq, kept)| (*seq, kept))
    }

    /// Runs of `u64 first ‖ u8 count ‖ count × (commitment ‖ u48 time)`.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(9 + ENTRY * self.0.len());
        let mut rest = self.0.iter().peekable();
        while let Some((first, kept)) = rest.next() {
            let (mut run, mut last) = (alloc::vec![kept], *first);
            while let Some((seq, kept)) = rest.next_if(|(seq, _)| last.checked_add(1) == Some(**seq)) {
                (last, _) = (*seq, run.push(kept));
            }
            out.extend_from_slice(&first.to_be_bytes());
            out.push(u8::try_from(run.len()).unwrap_or(u8::MAX));
            for (commitment, time) in run {
                out.extend_from_slice(commitment.as_bytes());
                let [_, _, time @ ..] = time.to_be_bytes();
                out.extend_from_slice(&time);
            }
        }
        out
    }

    /// `None`: damaged.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut kept = BTreeMap::new();
        let mut next = Some(0);
        while let Some((first, rest)) = bytes.split_first_chunk::<8>() {
            let (count, rest) = rest.split_first()?;
            let (first, count) = (u64::from_be_bytes(*first), usize::from(*count));
            // Ascending, and no two runs that were one.
            if first < next? || (first == next? && !kept.is_empty()) || !(1..=MAX_RECENT).contains(&count) {
                return None;
            }
            let (entries, rest) = rest.split_at_checked(count.checked_mul(ENTRY)?)?;
            let mut seq = Some(first);
            for entry in entries.as_chunks::<ENTRY>().0 {
                let (commitment, time) = entry.split_first_chunk::<32>()?;
                let [a, b, c, d, e, f] = *time.first_chunk()?;
                let time = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
                kept.insert(seq?, (Commitment::new(*commitment), time));
                seq = seq?.checked_add(1);
            }
            (bytes, next) = (rest, seq);
        }
        (bytes.is_empty() && kept.len() <= MAX_RECENT).then_some(Self(kept))
    }
}

/// Numbers of a chain that were passed over, at most [`MAX_MISSING`] of them, as ranges by their last number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Missing(pub(super) BTreeMap<u64, Range>);

/// From which number, and what the message after the range names as its last one, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: u64,
    pub(super) named: Option<Commitment>,
}

impl Missing {
    /// Passes over `from..=to`; the message after them names the last one.
    pub(super) fn add(&mut self, from: u64, to: u64, named: Option<Commitment>) {
        if from <= to {
            self.0.insert(to, Range { from: from.max(to.saturating_sub(MAX_MISSING - 1)), named });
            self.shrink();
        }
    }

    /// What is known of a missing number; `None` if it is not among the missing.
    pub(super) fn find(&self, seq: u64) -> Option<Option<Commitment>> {
        let (to, range) = self.0.range(seq..).next()?;
        (range.from <= seq).then_some(if *to == seq { range.named } else { None })
    }

    /// A missing message came, and names the one before it.
    pub(super) fn fill(&mut self, seq: u64, prev: Option<Commitment>) {
        let Some((to, range)) = self.0.range(seq..).next().map(|(to, range)| (*to, *range)) else { return };
        if range.from > seq {
            return;
        }
        self.0.remove(&to);
        if seq < to {
            self.0.insert(to, Range { from: seq.saturating_add(1), named: range.named });
        }
        if range.from < seq {
            self.0.insert(seq.saturating_sub(1), Range { from: range.from, named: prev });
        }
    }

    fn count(&self) -> u64 {
        let lengths = self.0.iter().map(|(to, range)| to.saturating_sub(range.from).saturating_add(1));
        lengths.fold(0, u64::saturating_add)
    }

    /// Gives the oldest up.
    fn shrink(&mut self) {
        let mut over = self.count().saturating_sub(MAX_MISSING);
        while over > 0 {
            let Some((to, mut range)) = self.0.pop_first() else { return };
            let len = to.saturating_sub(range.from).saturating_add(1);
            if len > over {
                range.from = range.from.saturating_add(over);
                self.0.insert(to, range);
            }
            over = over.saturating_sub(len);
        }
    }

    /// (u64 from ‖ u64 to ‖ u8 named ‖ commitment)*.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(49 * self.0.len());
        for (to, Range { from, named }) in &self.0 {
            out.extend_from_slice(&from.to_be_bytes());
            out.extend_from_slice(&to.to_be_bytes());
            out.push(u8::from(named.is_some()));
            out.extend_from_slice(named.map_or([0; 32], |named| *named.as_bytes()).as_slice());
        }
        out
    }

    /// `None`: damaged.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (entries, rest) = bytes.as_chunks::<49>();
        let (mut missing, mut next) = (Self::default(), Some(0));
        for entry in entries {
            let (from, rest) = entry.split_first_chunk::<8>()?;
            let (to, rest) = rest.split_first_chunk::<8>()?;
            let (named, commitment) = rest.split_first()?;
            let (from, to) = (u64::from_be_bytes(*from), u64::from_be_bytes(*to));
            let commitment: [u8; 32] = commitment.try_into().ok()?;
            let named = match named {
                0 if commitment == [0; 32] => None,
                1 => Some(Commitment::new(commitment)),
                _ => return None,
            };
            if from < next? || to < from {
                return None;
            }
            missing.0.insert(to, Range { from, named });
            next = to.checked_add(1);
        }
        (rest.is_empty() && missing.count() <= MAX_MISSING).then_some(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commitment(byte: u8) -> Commitment {
        Commitment::new([byte; 32])
    }

    #[test]
    fn ranges_split_and_the_oldest_go() {
        let mut missing = Missing::default();
        missing.add(10, 19, Some(commitment(19)));
        assert_eq!(missing.find(19), Some(Some(commitment(19))));
        assert_eq!((missing.find(15), missing.find(9), missing.find(20)), (Some(None), None, None));
        missing.fill(15, Some(commitment(14)));
        assert_eq!((missing.find(14), missing.find(15)), (Some(Some(commitment(14))), None));
        assert_eq!(missing.find(19), Some(Some(commitment(19))));
        missing.fill(10, None);
        missing.fill(19, Some(commitment(18)));
        assert_eq!(missing.find(18), Some(Some(commitment(18))));
        assert_eq!(missing.count(), 7);
        missing.add(100, 100 + 1_995, None);
        assert_eq!(missing.count(), MAX_MISSING);
        assert_eq!(
            (missing.find(11), missing.find(14), missing.find(18)),
            (None, Some(Some(commitment(14))), Some(Some(commitment(18))))
        );
        assert_eq!(Missing::from_bytes(&missing.to_bytes()), Some(missing.clone()));
        missing.add(10_000, u64::MAX - 1, None);
        assert_eq!((missing.count(), missing.0.len()), (MAX_MISSING, 1));
    }

    #[test]
    fn runs_are_stored_as_they_are() {
        let mut recent = Recent::default();
        for seq in (0..400).filter(|seq| seq % 3 != 0) {
            recent.insert(seq, (commitment(u8::try_from(seq % 256).unwrap()), seq));
        }
        recent.insert(400, (commitment(1), u64::MAX));
        assert_eq!((recent.0.len(), recent.newest().unwrap().0), (MAX_RECENT, 400));
        assert_eq!(recent.newest().unwrap().1.1, MAX_TIME);
        let bytes = recent.to_bytes();
        assert_eq!(Recent::from_bytes(&bytes), Some(recent));
        assert_eq!(Recent::from_bytes(&bytes[..bytes.len() - 1]), None);
        let mut end = Recent::default();
        end.insert(u64::MAX, (commitment(1), 0));
        assert_eq!(Recent::from_bytes(&end.to_bytes()), Some(end));
    }
}
