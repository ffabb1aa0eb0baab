//! SHA-256 on the bare compression function: without the buffers that a general hash carries about, whose copies cost as much
//! as a block where most inputs are one or two.

use sha2::block_api::compress256;
use zeroize::Zeroize;

const BLOCK_LEN: usize = 64;

/// Bytes of a block's end that the length takes.
const LENGTH_LEN: usize = 8;

/// What is left of whole blocks: a hash goes on from there. Wiped on drop.
#[derive(Clone)]
pub(in crate::crypto) struct Midstate([u32; 8]);

impl Midstate {
    /// Before the first block (FIPS 180-4, section 5.3.3).
    pub(in crate::crypto) const START: Self =
        Self([0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19]);

    pub(in crate::crypto) const fn new(words: [u32; 8]) -> Self {
        Self(words)
    }

    /// After a first block, which is wiped.
    pub(in crate::crypto) fn after(mut block: [u8; BLOCK_LEN]) -> Self {
        let mut state = Self::START;
        compress256(&mut state.0, &[block]);
        block.as_mut_slice().zeroize();
        state
    }
}

impl Drop for Midstate {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

/// A hash while it is fed. Wiped on drop.
pub(in crate::crypto) struct Hasher {
    state: Midstate,
    /// Zeros behind what is used of it.
    block: [u8; BLOCK_LEN],
    /// How much of the block is full: never all of it.
    used: usize,
    blocks: u64,
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.block.as_mut_slice().zeroize();
    }
}

impl Hasher {
    pub(in crate::crypto) fn new() -> Self {
        Self { state: Midstate::START, block: [0; BLOCK_LEN], used: 0, blocks: 0 }
    }

    /// Goes on after one block.
    pub(in crate::crypto) fn after(state: &Midstate) -> Self {
        Self { state: state.clone(), block: [0; BLOCK_LEN], used: 0, blocks: 1 }
    }

    #[inline]
    pub(in crate::crypto) fn put(&mut self, bytes: &[u8]) {
        match self.block.get_mut(self.used..self.used + bytes.len()) {
            Some(place) if place.len() < BLOCK_LEN - self.used => {
                place.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            _ => self.put_blocks(bytes),
        }
    }

    /// Bytes that fill the block.
    fn put_blocks(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        if self.used > 0 {
            let room = self.block.get_mut(self.used..).unwrap_or_default();
            let (now, later) = left.split_at_checked(room.len()).unwrap_or_default();
            room.copy_from_slice(now);
            self.compress();
            left = later;
        }
        let (blocks, rest) = left.as_chunks();
        compress256(&mut self.state.0, blocks);
        self.blocks += u64::try_from(blocks.len()).unwrap_or_default();
        self.used = rest.len();
        self.block.get_mut(..rest.len()).unwrap_or_default().copy_from_slice(rest);
    }

    fn compress(&mut self) {
        compress256(&mut self.state.0, core::slice::from_ref(&self.block));
        self.blocks += 1;
        self.block = [0; BLOCK_LEN];
    }

    pub(in crate::crypto) fn finish(mut self) -> [u8; 32] {
        let bits = (self.blocks * 64 + u64::try_from(self.used).unwrap_or_default()) * 8;
        if let Some(end) = self.block.get_mut(self.used) {
            *end = 0x80;
        }
        if self.used >= BLOCK_LEN - LENGTH_LEN {
            self.compress();
        }
        if let Some(length) = self.block.last_chunk_mut::<LENGTH_LEN>() {
            *length = bits.to_be_bytes();
        }
        compress256(&mut self.state.0, core::slice::from_ref(&self.block));
        let mut out = [0; 32];
        for (to, word) in out.as_chunks_mut().0.iter_mut().zip(self.state.0) {
            *to = word.to_be_bytes();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};
    use std::vec::Vec;

    proptest! {
        /// However it is cut, it is the hash.
        #[test]
        fn it_is_sha_256(
            text in proptest::collection::vec(any::<u8>(), 0..400),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut hash = Hasher::new();
            cuts.windows(2).for_each(|cut| hash.put(&text[cut[0]..cut[1]]));
            prop_assert_eq!(hash.finish(), <[u8; 32]>::from(Sha256::digest(&text)));
            let mut hash = Hasher::after(&Midstate::after([7; 64]));
            cuts.windows(2).for_each(|cut| hash.put(&text[cut[0]..cut[1]]));
            prop_assert_eq!(hash.finish(), <[u8; 32]>::from(Sha256::digest([&[7; 64][..], &text].concat())));
        }
    }

    /// At every length around the ends of blocks.
    #[test]
    fn every_length_is_padded() {
        for len in 0..200 {
            let text = std::vec![3; len];
            let mut hash = Hasher::new();
            hash.put(&text);
            assert_eq!(hash.finish(), <[u8; 32]>::from(Sha256::digest(&text)), "{len}");
        }
    }
}
