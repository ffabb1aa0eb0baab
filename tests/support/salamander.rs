//! Invisible salamanders: one AES-256-GCM ciphertext that opens under two keys (Dodis, Grubbs, Ristenpart and Woodage,
//! "Fast message franking", CRYPTO 2018).
//!
//! The tag is linear in the ciphertext's blocks, so that one block, chosen last, makes the tags under both keys equal.

#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs of this")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop where something is wrong")]

use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// What a block of the ciphertext is to say.
#[derive(Clone, Copy)]
pub enum Block {
    /// This, under the first key; under the second it is noise.
    First([u8; 16]),
    /// This, under the second key; under the first it is noise.
    Second([u8; 16]),
    /// Noise under both: exactly one, the block that makes the tags equal.
    Free,
}

/// Ciphertext and tag that open under both keys, with this nonce and associated data.
pub fn salamander(keys: [&[u8; 32]; 2], nonce: &[u8; 12], ad: &[u8], blocks: &[Block]) -> Vec<u8> {
    let [first, second] = keys.map(|key| Gcm::new(key, nonce));
    let free = blocks.iter().position(|block| matches!(block, Block::Free)).unwrap();
    let mut ciphertext: Vec<u128> = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        let counter = u32::try_from(at).unwrap() + 2;
        ciphertext.push(match block {
            Block::First(text) => u128::from_be_bytes(*text) ^ first.block(counter),
            Block::Second(text) => u128::from_be_bytes(*text) ^ second.block(counter),
            Block::Free => 0,
        });
    }
    // GHASH of a ciphertext is the sum of its blocks, each times a power of H that its place determines.
    let wanted = first.tag(ad, &ciphertext) ^ second.tag(ad, &ciphertext);
    let exponent = u32::try_from(ciphertext.len() - free + 1).unwrap();
    let factor = power(first.h, exponent) ^ power(second.h, exponent);
    ciphertext[free] = multiply(wanted, inverse(factor));
    let tag = first.tag(ad, &ciphertext);
    assert_eq!(tag, second.tag(ad, &ciphertext), "the construction is wrong");
    ciphertext.iter().chain([&tag]).flat_map(|block| block.to_be_bytes()).collect()
}

struct Gcm {
    cipher: aes::Aes256,
    nonce: [u8; 12],
    h: u128,
}

impl Gcm {
    fn new(key: &[u8; 32], nonce: &[u8; 12]) -> Self {
        let cipher = aes::Aes256::new(key.into());
        let mut gcm = Self { cipher, nonce: *nonce, h: 0 };
        gcm.h = gcm.encrypt([0; 16]);
        gcm
    }

    fn encrypt(&self, block: [u8; 16]) -> u128 {
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }

    /// A block of the key stream; that of counter 1 masks the tag.
    fn block(&self, counter: u32) -> u128 {
        let mut block = [0; 16];
        block[..12].copy_from_slice(&self.nonce);
        block[12..].copy_from_slice(&counter.to_be_bytes());
        self.encrypt(block)
    }

    fn tag(&self, ad: &[u8], ciphertext: &[u128]) -> u128 {
        let padded = |bytes: &[u8]| {
            let mut block = [0; 16];
            block[..bytes.len()].copy_from_slice(bytes);
            u128::from_be_bytes(block)
        };
        let bits = |bytes: usize| u128::try_from(bytes).unwrap() * 8;
        let lengths = bits(ad.len()) << 64 | bits(ciphertext.len() * 16);
        let blocks = ad.chunks(16).map(padded).chain(ciphertext.iter().copied()).chain([lengths]);
        self.block(1) ^ blocks.fold(0, |sum, block| multiply(sum ^ block, self.h))
    }
}

/// In GF(2^128) with GCM's bit order: the top bit is x^0.
fn multiply(a: u128, mut b: u128) -> u128 {
    let mut product = 0;
    for bit in (0..128).rev() {
        if a >> bit & 1 == 1 {
            product ^= b;
        }
        let carry = b & 1;
        b >>= 1;
        b ^= carry * (0xe1 << 120);
    }
    product
}

/// Bit by bit from the top; 1 is the top bit alone.
fn power(base: u128, exponent: u32) -> u128 {
    (0..32).rev().fold(1 << 127, |power, bit| {
        let square = multiply(power, power);
        if exponent >> bit & 1 == 1 { multiply(square, base) } else { square }
    })
}

/// a^(2^128 − 2).
fn inverse(a: u128) -> u128 {
    let inverse = (1..128).fold((1 << 127, a), |(product, power), _| {
        let square = multiply(power, power);
        (multiply(product, square), square)
    });
    assert_eq!(multiply(inverse.0, a), 1 << 127, "0 has no inverse");
    inverse.0
}
