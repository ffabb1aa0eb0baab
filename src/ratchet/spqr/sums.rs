//! Weighted sums of chunks.

use alloc::vec;
use alloc::vec::Vec;

use super::field::{times, times_x};
use super::weights::{LANES, Row};
use crate::wire::CHUNK_LEN;

/// The data of a chunk.
pub(super) type Data = [u8; CHUNK_LEN];

const WORDS: usize = CHUNK_LEN / 2;
/// The same as field elements.
type Words = [u16; WORDS];
/// Chunks that are looked up together.
const GROUP: usize = 4;

/// Chunks, made ready for sums with any weights: for every four of them the sixteen sums of some. Then a weighted sum
/// takes, for each of the 16 bits, one look-up for four chunks, and one reduction whatever their number.
pub(super) struct Sums {
    groups: Vec<[Words; 1 << GROUP]>,
}

impl Sums {
    /// Of `count` chunks.
    pub(super) fn of<'a>(count: usize, mut chunks: impl Iterator<Item = &'a Data>) -> Self {
        let mut groups = vec![[[0; WORDS]; 1 << GROUP]; count.div_ceil(GROUP)];
        for sums in &mut groups {
            for (place, chunk) in chunks.by_ref().take(GROUP).enumerate() {
                let (without, with) = sums.split_at_mut(1 << place);
                let chunk = words(chunk);
                for (with, without) in with.iter_mut().zip(without) {
                    *with = *without;
                    add(with, &chunk);
                }
            }
        }
        Self { groups }
    }

    /// Σ weight·chunk. Weights behind the last chunk do not count.
    pub(super) fn weigh(&self, weights: &Row) -> Data {
        let mut packed = [0; LANES / GROUP];
        for (packed, weights) in packed.iter_mut().zip(weights.as_chunks::<GROUP>().0) {
            *packed = weights.iter().rev().fold(0, |packed, weight| (packed << 16) | u64::from(*weight));
        }
        let mut sum = [0; WORDS];
        for bit in (0..16).rev() {
            sum = sum.map(times_x);
            for (sums, packed) in self.groups.iter().zip(packed) {
                if let Some(chosen) = sums.get(nibble(packed >> bit)) {
                    add(&mut sum, chosen);
                }
            }
        }
        data(&sum)
    }
}

/// The lowest bits of four words, side by side: no two of the products that the multiplication adds up meet.
fn nibble(words: u64) -> usize {
    let gathered = (words & 0x0001_0001_0001_0001).wrapping_mul(1 << 48 | 1 << 33 | 1 << 18 | 1 << 3) >> 48;
    usize::try_from(gathered & 15).unwrap_or_default()
}

/// factor·chunk.
pub(super) fn scaled(chunk: &Data, factor: u16) -> Data {
    data(&times(&words(chunk), &[factor; WORDS]))
}

/// chunk + other.
pub(super) fn added(chunk: &Data, other: &Data) -> Data {
    let mut out = *chunk;
    for (to, from) in out.iter_mut().zip(other) {
        *to ^= from;
    }
    out
}

fn add(to: &mut Words, from: &Words) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
    }
}

/// Big-endian.
fn words(data: &Data) -> Words {
    let mut words = [0; WORDS];
    for (to, from) in words.iter_mut().zip(data.as_chunks().0) {
        *to = u16::from_be_bytes(*from);
    }
    words
}

fn data(words: &Words) -> Data {
    let mut out = [0; CHUNK_LEN];
    for (to, word) in out.as_chunks_mut().0.iter_mut().zip(words) {
        *to = word.to_be_bytes();
    }
    out
}
