//! The chunk code as it is defined, one bit and one node at a time: what the fast one has to agree with.

use std::vec::Vec;

use crate::wire::CHUNK_LEN;

/// Carry-less product modulo the field polynomial.
pub(super) fn mul(a: u16, b: u16) -> u16 {
    (0..16).rev().fold(0, |product, bit| (product << 1) ^ ((product >> 15) * 0x100b) ^ (a * ((b >> bit) & 1)))
}

/// 1/a, as a^(2^16 − 2); 0 for 0.
fn invert(a: u16) -> u16 {
    let (mut square, mut product) = (a, 1);
    for _ in 0..15 {
        square = mul(square, square);
        product = mul(product, square);
    }
    product
}

/// Lagrange's weight of each node at `at`.
pub(super) fn weights(nodes: &[u16], at: u16) -> Vec<u16> {
    let weight = |node: &u16| {
        let others = || nodes.iter().filter(|other| *other != node);
        let above = others().fold(1, |product, other| mul(product, at ^ other));
        mul(above, invert(others().fold(1, |product, other| mul(product, node ^ other))))
    };
    nodes.iter().map(weight).collect()
}

/// Chunk `index` of a message.
pub(super) fn encode(message: &[u8], index: u16) -> [u8; CHUNK_LEN] {
    let (chunks, _) = message.as_chunks::<CHUNK_LEN>();
    let nodes: Vec<u16> = (0..).take(chunks.len()).collect();
    let mut out = [0; CHUNK_LEN];
    for (weight, chunk) in weights(&nodes, index).into_iter().zip(chunks) {
        for (to, from) in out.chunks_exact_mut(2).zip(chunk.chunks_exact(2)) {
            let term = mul(weight, u16::from_be_bytes([from[0], from[1]]));
            to.copy_from_slice(&(u16::from_be_bytes([to[0], to[1]]) ^ term).to_be_bytes());
        }
    }
    out
}
