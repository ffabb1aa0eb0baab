//! The chunk code: a systematic Reed-Solomon-like code over GF(2^16).
//!
//! A message of 32·N bytes is N nodes of 16 lanes each (big-endian words). For each lane, a polynomial of degree
//! below N takes the lane's words as its values at 0, 1, …, N − 1; chunk c is the 16 values at c. So the first N
//! chunks are the message itself, and any N chunks give it back. There is no error correction: a wrong chunk makes
//! a wrong message, whose MAC or hash fails.
//!
//! Chunks travel in the clear, so nothing here hides timing; it is free of secret-dependent branches all the same.

use alloc::vec::Vec;

use crate::wire::{CHUNK_LEN, Chunk};

/// GF(2^16) modulo x^16 + x^12 + x^3 + x + 1, without the top bit.
const REDUCTION: u16 = 0x100b;

const LANES: usize = CHUNK_LEN / 2;
type Lanes = [u16; LANES];

/// a·x.
const fn times_x(a: u16) -> u16 {
    (a << 1) ^ ((a >> 15) * REDUCTION)
}

/// Carry-less product modulo the field polynomial, bit by bit.
const fn mul(a: u16, b: u16) -> u16 {
    let mut product = 0;
    let mut bit = 16;
    while bit > 0 {
        bit -= 1;
        product = times_x(product) ^ (a * ((b >> bit) & 1));
    }
    product
}

/// 1/a, as a^(2^16 − 2); 0 for 0.
const fn invert(a: u16) -> u16 {
    let (mut square, mut product, mut step) = (a, 1, 0);
    while step < 15 {
        square = mul(square, square);
        product = mul(product, square);
        step += 1;
    }
    product
}

/// For nodes 0..N: the inverse of ∏ (j − i) over i ≠ j, for each j. Known at compile time for the four lengths.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time, where an index out of bounds fails the build; N is at most 36"
)]
const fn systematic_inverses<const N: usize>() -> [u16; N] {
    let mut out = [0; N];
    let mut j = 0;
    while j < N {
        let (mut product, mut i) = (1, 0);
        while i < N {
            if i != j {
                product = mul(product, (i ^ j) as u16);
            }
            i += 1;
        }
        out[j] = invert(product);
        j += 1;
    }
    out
}

static INVERSES_3: [u16; 3] = systematic_inverses();
static INVERSES_5: [u16; 5] = systematic_inverses();
static INVERSES_30: [u16; 30] = systematic_inverses();
static INVERSES_36: [u16; 36] = systematic_inverses();

/// Σ weight·lanes over the nodes, Horner's way: one reduction for each of the 16 bits, whatever the number of nodes.
fn combine<'a>(nodes: impl Iterator<Item = (u16, &'a Lanes)> + Clone) -> Lanes {
    let mut sum = [0; LANES];
    for bit in (0..16).rev() {
        for lane in &mut sum {
            *lane = times_x(*lane);
        }
        for (weight, lanes) in nodes.clone() {
            let mask = ((weight >> bit) & 1).wrapping_neg();
            for (to, from) in sum.iter_mut().zip(lanes) {
                *to ^= from & mask;
            }
        }
    }
    sum
}

/// Lagrange weights at `at`, given the inverse of each node's denominator. `at` is none of the nodes.
fn weights(nodes: &[u16], inverses: &[u16], at: u16) -> Vec<u16> {
    // ∏ over i ≠ j of (at − i): what stands before j times what stands behind it.
    let mut out: Vec<u16> = inverses.to_vec();
    let mut before = 1;
    for (weight, node) in out.iter_mut().zip(nodes) {
        *weight = mul(*weight, before);
        before = mul(before, at ^ node);
    }
    let mut behind = 1;
    for (weight, node) in out.iter_mut().zip(nodes).rev() {
        *weight = mul(*weight, behind);
        behind = mul(behind, at ^ node);
    }
    out
}

fn to_lanes(chunk: &[u8; CHUNK_LEN]) -> Lanes {
    let mut words = chunk.chunks_exact(2);
    core::array::from_fn(|_| match words.next() {
        Some([high, low]) => u16::from_be_bytes([*high, *low]),
        _ => 0,
    })
}

fn from_lanes(lanes: &Lanes) -> [u8; CHUNK_LEN] {
    let mut out = [0; CHUNK_LEN];
    for (to, lane) in out.chunks_exact_mut(2).zip(lanes) {
        to.copy_from_slice(&lane.to_be_bytes());
    }
    out
}

/// Chunk `index` of a message whose length is a multiple of 32.
pub(super) fn encode(message: &[u8], index: u16) -> Chunk {
    let (nodes, _) = message.as_chunks::<CHUNK_LEN>();
    if let Some(data) = nodes.get(usize::from(index)) {
        return Chunk { index, data: *data };
    }
    let positions: Vec<u16> = (0..).take(nodes.len()).collect();
    let computed;
    let inverses: &[u16] = match nodes.len() {
        3 => &INVERSES_3,
        5 => &INVERSES_5,
        30 => &INVERSES_30,
        36 => &INVERSES_36,
        _ => {
            computed = node_inverses(&positions);
            &computed
        }
    };
    let weights = weights(&positions, inverses, index);
    let lanes: Vec<Lanes> = nodes.iter().map(to_lanes).collect();
    Chunk { index, data: from_lanes(&combine(weights.iter().copied().zip(&lanes))) }
}

/// The inverse of ∏ (node − other) for each node.
fn node_inverses(nodes: &[u16]) -> Vec<u16> {
    nodes
        .iter()
        .map(|node| {
            invert(nodes.iter().filter(|other| *other != node).fold(1, |product, other| mul(product, node ^ other)))
        })
        .collect()
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

    /// Holds a chunk for which [`Self::peek`] said [`Progress::More`].
    pub(super) fn hold(&mut self, chunk: Chunk) {
        self.chunks.push(chunk);
    }

    /// With one more chunk held.
    pub(super) fn with(mut self, chunk: Chunk) -> Self {
        self.hold(chunk);
        self
    }

    fn decode(&self, last: &Chunk) -> [u8; N] {
        let chunks = || self.chunks.iter().chain(core::iter::once(last));
        let mut out = [0; N];
        let (slots, _) = out.as_chunks_mut::<CHUNK_LEN>();
        let mut missing = Vec::new();
        for (index, slot) in (0..).zip(&mut *slots) {
            match chunks().find(|chunk| chunk.index == index) {
                Some(chunk) => *slot = chunk.data,
                None => missing.push(index),
            }
        }
        if !missing.is_empty() {
            let nodes: Vec<u16> = chunks().map(|chunk| chunk.index).collect();
            let lanes: Vec<Lanes> = chunks().map(|chunk| to_lanes(&chunk.data)).collect();
            let inverses = node_inverses(&nodes);
            for index in missing {
                let weights = weights(&nodes, &inverses, index);
                if let Some(slot) = slots.get_mut(usize::from(index)) {
                    *slot = from_lanes(&combine(weights.iter().copied().zip(&lanes)));
                }
            }
        }
        out
    }

    /// The chunks held, for the record.
    pub(super) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Takes chunks back from a record: fewer than needed, of distinct indices.
    pub(super) fn from_chunks(chunks: Vec<Chunk>) -> Option<Self> {
        let distinct = chunks
            .iter()
            .enumerate()
            .all(|(at, chunk)| chunks.iter().skip(at + 1).all(|other| other.index != chunk.index));
        (chunks.len() < Self::NEEDED && distinct).then_some(Self { chunks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn check_case<const N: usize>(message: &[u8], chunks: &[Chunk]) {
        for chunk in chunks {
            assert_eq!(encode(message, chunk.index), *chunk);
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
        let word = |value: &serde_json::Value| u16::try_from(value.as_u64().unwrap()).unwrap();
        for row in vectors["gfProducts"].as_array().unwrap() {
            assert_eq!(mul(word(&row[0]), word(&row[1])), word(&row[2]));
        }
        for row in vectors["gfInverses"].as_array().unwrap() {
            assert_eq!(invert(word(&row[0])), word(&row[1]));
        }
    }

    #[test]
    fn two_generates_the_multiplicative_group() {
        let mut power = 1;
        for step in 1..=65_535u32 {
            power = times_x(power);
            assert_eq!(power == 1, step == 65_535, "order {step}");
        }
    }

    #[test]
    fn a_second_chunk_of_an_index_is_ignored() {
        let message = [7u8; 96];
        let mut lie = encode(&message, 1);
        lie.data[0] ^= 1;
        let chunks = vec![encode(&message, 1), lie, encode(&message, 9), encode(&message, 4)];
        assert_eq!(decode::<96>(&chunks).unwrap(), message);
    }

    proptest! {
        #[test]
        fn any_enough_chunks_give_the_message(
            message in proptest::collection::vec(any::<u8>(), 960),
            indices in proptest::collection::hash_set(any::<u16>(), 30..40),
        ) {
            let chunks: Vec<Chunk> = indices.iter().map(|index| encode(&message, *index)).collect();
            prop_assert_eq!(&decode::<960>(&chunks).unwrap()[..], &message[..]);
            prop_assert!(decode::<960>(&chunks[..29]).is_none());
        }

        #[test]
        fn products_and_inverses_agree(a in 1..=u16::MAX, b in any::<u16>()) {
            prop_assert_eq!(mul(mul(a, b), invert(a)), b);
            prop_assert_eq!(mul(a, b), mul(b, a));
        }
    }
}
