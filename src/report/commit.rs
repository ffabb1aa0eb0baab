//! The commitment: HMACs under a random key that never leaves the conversation, joined by a hash.

use rand_core::CryptoRng;

use super::tags::length;
use super::{Commitment, Part};
use crate::crypto::{Secret, hmac, sha256};

/// HMAC-SHA-256 with a key of 32 bytes, the only length there is: HMAC fills shorter ones up with zeros, and then two
/// keys give one MAC.
pub(crate) fn mac(key: &Secret<32>, parts: &[&[u8]]) -> [u8; 32] {
    *hmac(key.expose(), parts).expose()
}

/// The key of one message's commitment. Who has it opens all of it, so it never goes to a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FramingKey(pub(crate) Secret<32>);

impl FramingKey {
    pub(crate) fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(Secret::random(rng))
    }

    /// Opens the header.
    pub(crate) fn header_key(&self) -> Secret<32> {
        hmac(self.0.expose(), &[b"\x0efrank1/hdr-key"])
    }

    /// Opens one part.
    pub(crate) fn part_key(&self, index: u16) -> Secret<32> {
        hmac(self.0.expose(), &[b"\x0ffrank1/part-key", &index.to_be_bytes()])
    }

    /// What stands for the parts in the commitment.
    pub(crate) fn digests(&self, parts: &[Part]) -> alloc::vec::Vec<[u8; 32]> {
        let numbered = (0..=u16::MAX).zip(parts);
        numbered.map(|(at, part)| part_digest(&self.part_key(at), at, part.kind().get(), part.body())).collect()
    }
}

/// What stands for the header in the commitment.
pub(crate) fn header_digest(key: &Secret<32>, header: &[u8]) -> [u8; 32] {
    mac(key, &[b"\x0afrank1/hdr", header])
}

/// What stands for a part in the commitment. Index, kind and length go into it: parts cannot be moved, split or joined.
pub(crate) fn part_digest(key: &Secret<32>, index: u16, kind: u16, body: &[u8]) -> [u8; 32] {
    mac(key, &[b"\x0bfrank1/part", &index.to_be_bytes(), &kind.to_be_bytes(), &length(body), body])
}

/// The commitment itself.
pub(crate) fn root(header: &[u8; 32], parts: &[[u8; 32]]) -> Commitment {
    let count = u16::try_from(parts.len()).unwrap_or(u16::MAX).to_be_bytes();
    Commitment::new(sha256(&[b"\x0bfrank1/root", header, &count, parts.as_flattened()]))
}
