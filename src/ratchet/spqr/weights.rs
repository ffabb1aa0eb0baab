//! Lagrange's weights of the nodes 0, 1, …, N − 1 at any other point.
//!
//! N = M·2^k with M odd, so the nodes are M blocks of 2^k. A block is a coset of the subspace 0..2^k, on which one
//! additive polynomial is constant: the block's *height*. The weight of a node is that of its block, from Lagrange's
//! formula over the M heights, times that within the block, which halves k times: the halves' shares are r and 1 + r,
//! with r additive again. So 36 nodes cost a formula over 9, and two products for each node.

use super::field::{invert, mul, others, times};

/// Room for the largest message of the braid: 36 nodes in 9 blocks.
const MAX_NODES: usize = 36;
const MAX_BLOCKS: usize = 16;
const MAX_DEPTH: usize = 2;
/// Whole vectors, on every machine.
pub(super) const LANES: usize = 40;
const HALF: usize = 24;

/// A number for each node; what is behind the last one says nothing.
pub(super) type Row = [u16; LANES];

/// What is known of the nodes 0..N before any point is.
pub(super) struct Nodes {
    /// k.
    depth: usize,
    /// The height of each block.
    heights: [u16; MAX_BLOCKS],
    /// M.
    blocks: usize,
    /// The inverse of ∏ (height − other height), for each block.
    scales: [u16; MAX_BLOCKS],
    /// ∏ (node − other node), for each node.
    pub(super) spans: Row,
}

/// The additive polynomial that is 0 on 0..2^level and 1 at 2^level.
struct Level {
    /// Its values at 1, 2, 4, …: those of all others are sums of them.
    basis: [u16; 16],
    /// Its values at 0, 2·2^level, 4·2^level, …: where each pair of halves begins.
    offsets: [u16; HALF],
}

static LEVELS: [Level; MAX_DEPTH + 1] = [Level::new(0), Level::new(1), Level::new(2)];

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time, where an index out of bounds fails the build; no number here exceeds 16 bits"
)]
impl Level {
    const fn new(level: usize) -> Self {
        let (mut basis, mut offsets, mut at) = ([0; 16], [0; HALF], 0);
        while at < 16 {
            basis[at] = Self::value(level, 1 << at);
            at += 1;
        }
        at = 0;
        while at < HALF {
            offsets[at] = Self::value(level, (at << (level + 1)) as u16);
            at += 1;
        }
        Self { basis, offsets }
    }

    /// The next level's polynomial is p·(p + 1), scaled.
    const fn value(level: usize, at: u16) -> u16 {
        if level == 0 {
            return at;
        }
        let value = Self::value(level - 1, at);
        let top = Self::value(level - 1, 1 << level);
        mul(mul(value, value ^ 1), invert(mul(top, top ^ 1)))
    }
}

impl Level {
    fn at(&self, at: u16) -> u16 {
        self.basis.iter().zip(0..).fold(0, |sum, (value, bit)| sum ^ (value & ((at >> bit) & 1).wrapping_neg()))
    }
}

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time, where an index out of bounds fails the build; no number here exceeds 16 bits"
)]
impl Nodes {
    /// The nodes 0..`count`.
    pub(super) const fn new(count: usize) -> Self {
        let depth = count.trailing_zeros() as usize;
        let blocks = count >> depth;
        assert!(count <= MAX_NODES && blocks <= MAX_BLOCKS && depth <= MAX_DEPTH, "one of the braid's lengths");
        let (mut heights, mut at) = ([0; MAX_BLOCKS], 0);
        while at < blocks {
            heights[at] = Level::value(depth, (at << depth) as u16);
            at += 1;
        }
        let (mut scales, mut at) = ([0; MAX_BLOCKS], 0);
        while at < blocks {
            scales[at] = invert(span(&heights, blocks, heights[at]));
            at += 1;
        }
        let (mut nodes, mut at) = ([0; LANES], 0);
        while at < count {
            nodes[at] = at as u16;
            at += 1;
        }
        let (mut spans, mut at) = ([0; LANES], 0);
        while at < count {
            spans[at] = span(&nodes, count, at as u16);
            at += 1;
        }
        Self { depth, heights, blocks, scales, spans }
    }
}

/// ∏ (node − other) over the first `count` others.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where an index out of bounds fails the build")]
const fn span<const W: usize>(others: &[u16; W], count: usize, node: u16) -> u16 {
    let (mut product, mut at) = (1, 0);
    while at < count {
        if others[at] != node {
            product = mul(product, node ^ others[at]);
        }
        at += 1;
    }
    product
}

impl Nodes {
    /// The weights at a point that is none of the nodes.
    pub(super) fn weights(&self, at: u16) -> Row {
        let height = LEVELS.get(self.depth).map_or(0, |level| level.at(at));
        let mut factors = [1; MAX_BLOCKS];
        for (factor, node) in factors.iter_mut().zip(&self.heights).take(self.blocks) {
            *factor = height ^ node;
        }
        let mut row = [0; LANES];
        copy(&mut row, &times(&others(&factors), &self.scales));
        for level in LEVELS.iter().take(self.depth).rev() {
            let (mut whole, base) = ([0; HALF], level.at(at));
            copy(&mut whole, &row);
            let upper = times(&whole, &level.offsets.map(|offset| offset ^ base));
            for (pair, (whole, upper)) in row.as_chunks_mut().0.iter_mut().zip(whole.iter().zip(&upper)) {
                *pair = [whole ^ upper, *upper];
            }
        }
        row
    }
}

/// As much as there is room for.
fn copy(to: &mut [u16], from: &[u16]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratchet::spqr::bitwise;
    use std::vec::Vec;

    #[test]
    fn weights_are_those_by_definition() {
        for count in [3, 5, 30, 36] {
            let nodes: Vec<u16> = (0..).take(count).collect();
            let known = Nodes::new(count);
            for at in (0..100).chain((100..u16::MAX).step_by(997)).chain([u16::MAX]).skip(count) {
                assert_eq!(known.weights(at)[..count], bitwise::weights(&nodes, at), "{count} nodes at {at}");
            }
        }
    }
}
