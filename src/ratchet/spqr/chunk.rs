//! The chunk code: a systematic Reed-Solomon-like code over GF(2^16).
//!
//! A message of 32·N bytes is N nodes of 16 lanes each (big-endian words). For each lane, a polynomial of degree
//! below N takes the lane's words as its values at 0, 1, …, N − 1; chunk c is the 16 values at c. So the first N
//! chunks are the message itself, and any N chunks give it back. There is no error correction: a wrong chunk makes
//! a wrong message, whose MAC or hash fails.
//!
//! Chunks travel in the clear, so branches and look-ups here may depend on them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::field::{invert, mul, times};
use super::sums::{Data, Sums, added, scaled};
use super::weights::{LANES, Nodes, Row};
use crate::wire::{CHUNK_LEN, Chunk};

/// Chunk `index` of a message of `N` bytes. It comes in parts of whole chunks, so that no part is copied to encode it.
pub(super) fn encode<const N: usize>(parts: &[&[u8]], index: u16) -> Chunk {
    let chunks = || parts.iter().flat_map(|part| part.as_chunks::<CHUNK_LEN>().0);
    let data = match chunks().nth(usize::from(index)) {
        Some(data) => *data,
        None => Sums::of(N / CHUNK_LEN, chunks()).weigh(&Decoder::<N>::NODES.weights(index)),
    };
    Chunk { index, data }
}

/// `count` chunks of a message from `first` on, at the cost of little more than one where they are parity.
pub(super) fn encode_some<const N: usize>(message: &[u8; N], first: u16, count: usize) -> VecDeque<Data> {
    let (chunks, _) = message.as_chunks::<CHUNK_LEN>();
    let mut sums = None;
    let chunk = |at: u16| match chunks.get(usize::from(at)) {
        Some(data) => *data,
        None => {
            let sums = sums.get_or_insert_with(|| Sums::of(chunks.len(), chunks.iter()));
            sums.weigh(&Decoder::<N>::NODES.weights(at))
        }
    };
    (0..=u16::MAX).take(count).map(|at| first.wrapping_add(at)).map(chunk).collect()
}

/// Collects the chunks of one message of `N` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoder<const N: usize> {
    /// Distinct indices, in order of arrival; fewer than N / 32.
    chunks: Vec<Chunk>,
}

/// What one more chunk does to a [`Decoder`].
pub(super) enum Progress<const N: usize> {
    /// A chunk of this index is held already; the first one stands.
    Known,
    /// One more is held, and more are needed.
    More,
    /// The message.
    Complete([u8; N]),
}

impl<const N: usize> Decoder<N> {
    const NEEDED: usize = {
        assert!(N.is_multiple_of(CHUNK_LEN) && N / CHUNK_LEN >= 2, "whole chunks, and never complete on the first");
        N / CHUNK_LEN
    };

    const NODES: &Nodes = &Nodes::new(Self::NEEDED);

    pub(super) const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    /// What `chunk` would do; changes nothing.
    pub(super) fn peek(&self, chunk: &Chunk) -> Progress<N> {
        if self.chunks.iter().any(|held| held.index == chunk.index) {
            Progress::Known
        } else if self.chunks.len() + 1 < Self::NEEDED {
            Progress::More
        } else {
            Progress::Complete(self.decode(chunk))
        }
    }

    /// Whether one more chunk may give the message.
    pub(super) const fn is_nearly_complete(&self) -> bool {
        self.chunks.len() + 1 >= Self::NEEDED
    }

    /// Holds a chunk for which [`Self::peek`] said [`Progress::More`].
    pub(super) fn hold(&mut self, chunk: Chunk) {
        // All that it will ever hold, at once.
        self.chunks.reserve_exact((Self::NEEDED - 1).saturating_sub(self.chunks.len()));
        self.chunks.push(chunk);
    }

    /// With one more chunk held.
    pub(super) fn with(mut self, chunk: Chunk) -> Self {
        self.hold(chunk);
        self
    }

    fn decode(&self, last: &Chunk) -> [u8; N] {
        let mut out = [0; N];
        let (slots, _) = out.as_chunks_mut::<CHUNK_LEN>();
        let (mut parity, mut missing) = (Vec::new(), (1u64 << Self::NEEDED) - 1);
        for chunk in self.chunks.iter().chain(core::iter::once(last)) {
            match slots.get_mut(usize::from(chunk.index)) {
                Some(slot) => {
                    *slot = chunk.data;
                    missing ^= 1 << chunk.index;
                }
                None => parity.push(chunk),
            }
        }
        if !parity.is_empty() {
            let missing: Vec<u16> = (0..64).filter(|node| (missing >> node) & 1 == 1).collect();
            Self::fill(slots, &missing, &parity);
        }
        out
    }

    /// Fills the missing chunks in, by as many parity chunks, with zeros in their places so far.
    ///
    /// What a parity chunk differs by from the one that the zeros would give is a sum of the missing chunks with their
    /// weights at its index. Those weights are a Cauchy matrix between two diagonal ones, whose inverse is known: the
    /// same entries again, transposed, between two other diagonals.
    fn fill(slots: &mut [Data], missing: &[u16], parity: &[&Chunk]) {
        let Some(first) = missing.first().copied() else { return };
        let indices: Vec<u16> = parity.iter().map(|chunk| chunk.index).collect();
        let rows: Vec<Row> = indices.iter().map(|index| Self::NODES.weights(*index)).collect();
        let present = Sums::of(slots.len(), slots.iter());
        let above = products(&indices, missing);
        let below = products(&indices, &indices);
        let mut differences = Vec::with_capacity(parity.len());
        for ((chunk, row), (above, below)) in parity.iter().zip(&rows).zip(above.iter().zip(&below)) {
            // ∏ (index − node) over all nodes, but for a factor that every row has.
            let all = mul(entry(row, first), chunk.index ^ first);
            let factor = mul(*above, invert(mul(*below, mul(all, all))));
            differences.push(scaled(&added(&present.weigh(row), &chunk.data), factor));
        }
        let differences = Sums::of(differences.len(), differences.iter());
        let above = products(missing, &indices);
        let below = products(missing, missing);
        // That factor of every row is the inverse of the first span.
        let unit = invert(entry(&Self::NODES.spans, first));
        for (node, (above, below)) in missing.iter().zip(above.iter().zip(&below)) {
            let mut column = [0; LANES];
            for (weight, row) in column.iter_mut().zip(&rows) {
                *weight = entry(row, *node);
            }
            let ratio = mul(entry(&Self::NODES.spans, *node), unit);
            let factor = mul(mul(*above, invert(*below)), mul(ratio, ratio));
            if let Some(slot) = slots.get_mut(usize::from(*node)) {
                *slot = scaled(&differences.weigh(&column), factor);
            }
        }
    }

    /// The chunks held, for the record.
    pub(super) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Takes chunks back from a record: fewer than needed, of distinct indices.
    pub(super) fn from_chunks(chunks: Vec<Chunk>) -> Option<Self> {
        // A bit for each index up to 63, which is all of them where little is lost.
        let (mut seen, mut late) = (0u64, Vec::new());
        let distinct = chunks.iter().all(|chunk| match 1u64.checked_shl(chunk.index.into()) {
            Some(bit) => {
                let known = seen & bit != 0;
                seen |= bit;
                !known
            }
            None => {
                let known = late.contains(&chunk.index);
                late.push(chunk.index);
                !known
            }
        });
        (chunks.len() < Self::NEEDED && distinct).then_some(Self { chunks })
    }
}

/// For each of `at`, the product of its differences from the nodes, but for itself.
fn products(at: &[u16], nodes: &[u16]) -> Row {
    let mut out = [1; LANES];
    // Eight at a time: where little is lost, most lanes of a row would be empty.
    for (out, at) in out.as_chunks_mut().0.iter_mut().zip(at.chunks(8)) {
        let mut lanes: [u16; 8] = [0; 8];
        for (lane, at) in lanes.iter_mut().zip(at) {
            *lane = *at;
        }
        for node in nodes {
            *out = times(out, &lanes.map(|at| (at ^ node).max(1)));
        }
    }
    out
}

fn entry(row: &Row, node: u16) -> u16 {
    row.get(usize::from(node)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratchet::spqr::bitwise;
    use proptest::prelude::*;
    use std::vec;

    fn decode<const N: usize>(chunks: &[Chunk]) -> Option<[u8; N]> {
        let mut decoder = Decoder::<N>::new();
        for chunk in chunks {
            match decoder.peek(chunk) {
                Progress::Known => {}
                Progress::More => decoder.hold(*chunk),
                Progress::Complete(message) => return Some(message),
            }
        }
        None
    }

    /// In one part, and in two.
    fn encode<const N: usize>(message: &[u8], index: u16) -> Chunk {
        let whole = super::encode::<N>(&[message], index);
        let (front, back) = message.split_at(message.len() / 64 * 32);
        assert_eq!(super::encode::<N>(&[front, back], index), whole);
        whole
    }

    fn check_case<const N: usize>(message: &[u8], chunks: &[Chunk]) {
        for chunk in chunks {
            assert_eq!(encode::<N>(message, chunk.index), *chunk);
        }
        // From the last chunks alone, and from every third.
        let tail: Vec<Chunk> = chunks.iter().rev().copied().collect();
        assert_eq!(decode::<N>(&tail).unwrap(), message);
        let spread: Vec<Chunk> = chunks.iter().step_by(3).chain(chunks).copied().collect();
        assert_eq!(decode::<N>(&spread).unwrap(), message);
    }

    #[test]
    fn recorded_chunks_are_reproduced_and_decode() {
        let vectors = crate::vectors::load("erasure.json");
        for case in vectors["cases"].as_array().unwrap() {
            let message = crate::vectors::bytes(&case["message"]);
            let chunks: Vec<Chunk> = case["chunks"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(key, value)| match value.as_array() {
                    None => Chunk { index: key.parse().unwrap(), data: crate::vectors::array(value) },
                    // Sent more than 65,536 times: the key counts on, the index wraps.
                    Some(pair) => {
                        let index = u16::try_from(crate::vectors::number(&pair[0])).unwrap();
                        assert_eq!(u32::from(index), key.parse::<u32>().unwrap() % 65_536);
                        Chunk { index, data: crate::vectors::array(&pair[1]) }
                    }
                })
                .collect();
            assert_eq!(message.len() / CHUNK_LEN, usize::try_from(case["chunksNeeded"].as_u64().unwrap()).unwrap());
            match message.len() {
                96 => check_case::<96>(&message, &chunks),
                160 => check_case::<160>(&message, &chunks),
                960 => check_case::<960>(&message, &chunks),
                1152 => check_case::<1152>(&message, &chunks),
                other => panic!("a message of {other} bytes"),
            }
        }
    }

    #[test]
    fn a_second_chunk_of_an_index_is_ignored() {
        let message = [7u8; 96];
        let mut lie = encode::<96>(&message, 1);
        lie.data[0] ^= 1;
        let chunks = vec![encode::<96>(&message, 1), lie, encode::<96>(&message, 9), encode::<96>(&message, 4)];
        assert_eq!(decode::<96>(&chunks).unwrap(), message);
    }

    /// Agrees with the definition, and comes back from chunks of any indices, whatever number of them is parity.
    fn check_any<const N: usize>(message: &[u8], indices: &[u16]) -> Result<(), TestCaseError> {
        let (message, needed) = (message.first_chunk::<N>().unwrap(), N / CHUNK_LEN);
        let mut chunks = Vec::new();
        for index in indices {
            let chunk = encode::<N>(message, *index);
            prop_assert_eq!(chunk.data, bitwise::encode(message, *index));
            let some: Vec<Data> = encode_some(message, *index, 3).into();
            let one_by_one = (0..3).map(|after| encode::<N>(message, index.wrapping_add(after)).data);
            prop_assert_eq!(some, one_by_one.collect::<Vec<_>>());
            chunks.push(chunk);
        }
        prop_assert_eq!(&decode::<N>(&chunks).unwrap(), message);
        prop_assert!(decode::<N>(&chunks[..needed - 1]).is_none());
        Ok(())
    }

    proptest! {
        #[test]
        fn any_enough_chunks_give_the_message(
            message in proptest::collection::vec(any::<u8>(), 1152),
            indices in proptest::collection::hash_set(prop_oneof![any::<u16>(), 0..40u16, 0..100u16], 36..40),
        ) {
            let indices: Vec<u16> = indices.into_iter().collect();
            check_any::<96>(&message, &indices[..4])?;
            check_any::<160>(&message, &indices[..6])?;
            check_any::<960>(&message, &indices[..31])?;
            check_any::<1152>(&message, &indices)?;
        }
    }

    #[test]
    fn a_record_holds_distinct_chunks_and_too_few() {
        let chunks = |indices: &[u16]| indices.iter().map(|index| Chunk { index: *index, data: [0; 32] }).collect();
        assert!(Decoder::<160>::from_chunks(chunks(&[0, 63, 64, 65_535])).is_some());
        for refused in [&[7, 7][..], &[63, 0, 63], &[64, 64], &[65_535, 0, 65_535], &[0, 1, 2, 3, 4]] {
            assert!(Decoder::<160>::from_chunks(chunks(refused)).is_none(), "{refused:?}");
        }
    }
}
