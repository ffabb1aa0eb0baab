use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use super::{ChunkHash, ChunkSize, HEADER_LEN};
use crate::crypto::{GcmCipher, Secret, hkdf, sha256};

pub(super) const SALT_LEN: usize = 16;

/// Label, version, two reserved bytes.
const MAGIC: [u8; 5] = *b"ATT1\x01";

/// What opens a file, for as long as its reference exists: 32 secret bytes, drawn for this file alone.
///
/// # Security
///
/// Whoever has it and the object reads the file. It travels only inside an [`AttachmentRef`](super::AttachmentRef).
#[derive(Clone, PartialEq, Eq)]
pub struct AttachmentKey(Secret<32>);

impl AttachmentKey {
    /// Draws a key.
    #[must_use]
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes 32 bytes as a key.
    #[must_use]
    pub const fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn secret(&self) -> &Secret<32> {
        &self.0
    }
}

impl fmt::Debug for AttachmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttachmentKey(..)")
    }
}

/// Why a header is not the one of a key and a salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// No header of this version.
    Malformed,
    /// Of another salt.
    Salt,
    /// Commits to another key.
    Key,
}

/// The key of one object's chunks with the header that commits to it. Wiped on drop.
#[derive(Debug)]
pub(super) struct ChunkCipher {
    header: [u8; HEADER_LEN],
    cipher: GcmCipher,
}

impl ChunkCipher {
    pub(super) fn derive(key: &AttachmentKey, salt: &[u8; SALT_LEN], chunk_size: ChunkSize) -> Self {
        let [m0, m1, m2, m3, version] = MAGIC;
        let front = [m0, m1, m2, m3, version, chunk_size.log2(), 0, 0];
        // One derivation gives the key and the commitment to it. AES-GCM alone opens under as many keys as its maker
        // likes; two keys that give the same 32 bytes here would be a collision of HKDF.
        let okm: Secret<64> = hkdf(salt, key.0.expose(), &[b"\x04att1", &front]);
        let [commitment, chunk_key] = okm.split2();
        let mut header = [0; HEADER_LEN];
        for (to, from) in header.iter_mut().zip(front.iter().chain(salt).chain(commitment.expose())) {
            *to = *from;
        }
        Self { header, cipher: GcmCipher::new(&chunk_key) }
    }

    /// The cipher of the object that begins with this header, and its chunk size.
    pub(super) fn of_header(
        key: &AttachmentKey,
        salt: &[u8; SALT_LEN],
        header: &[u8],
    ) -> Result<(Self, ChunkSize), HeaderFault> {
        let header: &[u8; HEADER_LEN] = header.try_into().map_err(|_| HeaderFault::Malformed)?;
        let (front, rest) = header.split_first_chunk::<8>().ok_or(HeaderFault::Malformed)?;
        let [m0, m1, m2, m3, version, log2, 0, 0] = *front else { return Err(HeaderFault::Malformed) };
        if [m0, m1, m2, m3, version] != MAGIC {
            return Err(HeaderFault::Malformed);
        }
        let chunk_size = ChunkSize::new(log2).ok_or(HeaderFault::Malformed)?;
        if !rest.starts_with(salt) {
            return Err(HeaderFault::Salt);
        }
        // Before anything is opened: what does not commit to this key is not tried under it.
        let derived = Self::derive(key, salt, chunk_size);
        if derived.header != *header {
            return Err(HeaderFault::Key);
        }
        Ok((derived, chunk_size))
    }

    pub(super) const fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// Seals a chunk into `out`, which then holds nothing else, and gives the hash of what is stored.
    pub(super) fn seal_to(&self, chunk: u64, last: bool, text: &[u8], out: &mut Vec<u8>) -> ChunkHash {
        self.cipher.seal_to(&nonce(chunk, last), text, out);
        sha256(&[out])
    }

    /// Opens a chunk into `out`, which then holds nothing else; nothing at all if it does not open.
    pub(super) fn open_to(&self, chunk: u64, last: bool, stored: &[u8], out: &mut Vec<u8>) -> bool {
        self.cipher.open_to(&nonce(chunk, last), stored, out).is_ok()
    }

    pub(super) fn open_in_place<'a>(&self, chunk: u64, last: bool, stored: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.cipher.open_in_place(&nonce(chunk, last), stored).ok()
    }

    /// What a reference commits to.
    pub(super) fn root(&self, list: &[ChunkHash]) -> [u8; 32] {
        sha256(&[b"\x09att1/root", &self.header, list.as_flattened()])
    }
}

/// `u8 is_final ‖ 0,0,0 ‖ u64 i`: a chunk opens at its place only, and what was the end stays the end.
fn nonce(chunk: u64, last: bool) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = chunk.to_be_bytes();
    [u8::from(last), 0, 0, 0, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::string::String;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/vectors/reports/more_vectors.json")).unwrap()
    }

    fn cipher(log2: u8) -> ChunkCipher {
        let key = AttachmentKey::new(Secret::new(core::array::from_fn(|at| u8::try_from(at).unwrap())));
        ChunkCipher::derive(&key, &[0; 16], ChunkSize::new(log2).unwrap())
    }

    fn hex(bytes: &[u8]) -> Value {
        Value::String(hex::encode(bytes))
    }

    /// Header and chunks of a stream, without padding and without the list.
    fn stream(cipher: &ChunkCipher, size: usize, text: &[u8]) -> Vec<u8> {
        let (mut object, mut sealed) = (cipher.header().to_vec(), Vec::new());
        let chunks = text.len().div_ceil(size).max(1);
        for chunk in 0..chunks {
            let text = &text[chunk * size..text.len().min((chunk + 1) * size)];
            cipher.seal_to(u64::try_from(chunk).unwrap(), chunk + 1 == chunks, text, &mut sealed);
            object.extend_from_slice(&sealed);
        }
        object
    }

    #[test]
    fn the_vectors() {
        let vectors = vectors();
        assert_eq!(vectors["att1_header"], hex(cipher(12).header()));
        assert_eq!(vectors["att1_empty"], hex(&stream(&cipher(16), 1 << 16, b"")));
        // The plaintext is the bytes 00 01 .. ff again and again; the hash is of header and chunks without the list.
        let text: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let object = stream(&cipher(12), 1 << 12, &text);
        assert_eq!(vectors["att1_log2_12_10000B_sha256"], hex(&sha256(&[&object])));
    }

    #[test]
    fn no_bit_of_the_header_can_change() {
        let key = AttachmentKey::new(Secret::new([3; 32]));
        let header = *ChunkCipher::derive(&key, &[5; 16], ChunkSize::DEFAULT).header();
        assert!(ChunkCipher::of_header(&key, &[5; 16], &header).is_ok());
        for bit in 0..header.len() * 8 {
            let mut altered = header;
            altered[bit / 8] ^= 1 << (bit % 8);
            let fault = ChunkCipher::of_header(&key, &[5; 16], &altered).unwrap_err();
            let expected = match bit / 8 {
                // Another size of chunks that exists gives another commitment.
                5 if (12..=20).contains(&altered[5]) => HeaderFault::Key,
                0..8 => HeaderFault::Malformed,
                8..24 => HeaderFault::Salt,
                _ => HeaderFault::Key,
            };
            assert_eq!(fault, expected, "bit {bit}");
        }
        for len in (0..56).chain([57, 100]) {
            let mut cut = header.to_vec();
            cut.resize(len, 0);
            assert_eq!(ChunkCipher::of_header(&key, &[5; 16], &cut).unwrap_err(), HeaderFault::Malformed);
        }
    }

    #[test]
    fn the_key_does_not_print() {
        let printed: String = std::format!("{:?}", (cipher(12), AttachmentKey::new(Secret::new([0xab; 32]))));
        assert!(printed.contains("AttachmentKey(..)") && printed.contains("GcmCipher(..)"), "{printed}");
    }
}
