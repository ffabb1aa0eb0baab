//! Weighted sums of chunks.

use alloc::vec::Vec;

use super::field::{times, times_x};
use super::weights::Row;
use crate::wire::CHUNK_LEN;

/// The data of a chunk.
pub(super) type Data = [u8; CHUNK_LEN];

const WORDS: usize = CHUNK_LEN / 2;
/// Chunks that are looked up together.
const GROUP: usize = 4;

/// Chunks, made ready for sums with any weights: for every four of them the sixteen sums of some. Then a weighted sum
/// takes, for each of the 16 bits, one look-up for four chunks, and one reduction whatever their number.
pub(super) struct Sums {
    groups: Vec<[Data; 1 << GROUP]>,
}

impl Sums {
    pub(super) fn of<'a>(mut chunks: impl Iterator<Item = &'a Data>) -> Self {
        let mut groups = Vec::with_capacity(9);
        while let Some(first) = chunks.next() {
            let mut sums = [[0; CHUNK_LEN]; 1 << GROUP];
            for (place, chunk) in core::iter::once(first).chain(chunks.by_ref()).take(GROUP).enumerate() {
                let (without, with) = sums.split_at_mut(1 << place);
                for (with, without) in with.iter_mut().zip(without) {
                    *with = added(without, chunk);
                }
            }
            groups.push(sums);
        }
        Self { groups }
    }

    /// Σ weight·chunk. Weights behind the last chunk do not count.
    pub(super) fn weigh(&self, weights: &Row) -> Data {
        let (weights, _) = weights.as_chunks::<GROUP>();
        let mut sum = [0; WORDS];
        for bit in (0..16).rev() {
            let mut term = [0; CHUNK_LEN];
            for (sums, weights) in self.groups.iter().zip(weights) {
                if let Some(chosen) = sums.get(nibble(weights, bit)) {
                    term = added(&term, chosen);
                }
            }
            for (sum, term) in sum.iter_mut().zip(words(&term)) {
                *sum = times_x(*sum) ^ term;
            }
        }
        data(&sum)
    }
}

/// Bit `bit` of four weights.
fn nibble(weights: &[u16; GROUP], bit: u32) -> usize {
    weights.iter().rev().fold(0, |bits, weight| (bits << 1) | usize::from((weight >> bit) & 1))
}

/// factor·chunk.
pub(super) fn scaled(chunk: &Data, factor: u16) -> Data {
    data(&times(&words(chunk), &[factor; WORDS]))
}

pub(super) fn added(a: &Data, b: &Data) -> Data {
    let mut out = *a;
    for (out, b) in out.iter_mut().zip(b) {
        *out ^= b;
    }
    out
}

/// Big-endian.
fn words(data: &Data) -> [u16; WORDS] {
    let mut words = data.as_chunks().0.iter();
    core::array::from_fn(|_| words.next().map_or(0, |word| u16::from_be_bytes(*word)))
}

fn data(words: &[u16; WORDS]) -> Data {
    let mut out = [0; CHUNK_LEN];
    for (to, word) in out.as_chunks_mut().0.iter_mut().zip(words) {
        *to = word.to_be_bytes();
    }
    out
}
