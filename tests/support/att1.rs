//! A second writer of `att1`, from docs/attachments.md and bare primitives: an oracle for the first, and the tool of a
//! sender who does not keep to it.

#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs of this")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop where something is wrong")]

use aes_gcm::aead::{Aead, KeyInit};
use sha2::{Digest, Sha256};

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Padmé, as its paper writes it.
pub fn padme(len: u64) -> u64 {
    if len < 2 {
        return len;
    }
    let e = 63 - u64::from(len.leading_zeros());
    let s = 64 - e.leading_zeros();
    let mask = (1u64 << (u32::try_from(e).unwrap() - s)) - 1;
    (len + mask) & !mask
}

/// Key, salt and chunk size of an object.
#[derive(Clone)]
pub struct Att1 {
    pub key: [u8; 32],
    pub salt: [u8; 16],
    pub log2: u8,
}

impl Att1 {
    fn okm(&self) -> [u8; 64] {
        let info = [b"\x04att1ATT1\x01", &[self.log2, 0, 0][..]].concat();
        let mut okm = [0; 64];
        hkdf::Hkdf::<Sha256>::new(Some(&self.salt), &self.key).expand(&info, &mut okm).unwrap();
        okm
    }

    pub fn header(&self) -> Vec<u8> {
        [b"ATT1\x01", &[self.log2, 0, 0][..], &self.salt, &self.okm()[..32]].concat()
    }

    pub fn chunk_key(&self) -> [u8; 32] {
        self.okm()[32..].try_into().unwrap()
    }

    pub fn nonce(chunk: u64, last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[0] = u8::from(last);
        nonce[4..].copy_from_slice(&chunk.to_be_bytes());
        nonce
    }

    pub fn seal(&self, chunk: u64, last: bool, text: &[u8]) -> Vec<u8> {
        let cipher = aes_gcm::Aes256Gcm::new(&self.chunk_key().into());
        cipher.encrypt(&Self::nonce(chunk, last).into(), text).unwrap()
    }

    /// The stored chunks of a file, padded.
    pub fn chunks(&self, plain: &[u8]) -> Vec<Vec<u8>> {
        let mut padded = plain.to_vec();
        padded.resize(usize::try_from(padme(u64::try_from(plain.len()).unwrap())).unwrap(), 0);
        let mut texts: Vec<&[u8]> = padded.chunks(1 << self.log2).collect();
        if texts.is_empty() {
            texts.push(&[]);
        }
        let last = texts.len() - 1;
        let seal = |(chunk, text): (usize, &&[u8])| self.seal(u64::try_from(chunk).unwrap(), chunk == last, text);
        texts.iter().enumerate().map(seal).collect()
    }

    /// Header, these chunks, their hashes.
    pub fn object(&self, chunks: &[Vec<u8>]) -> Vec<u8> {
        let list: Vec<u8> = chunks.iter().flat_map(|chunk| sha256(chunk)).collect();
        [self.header(), chunks.concat(), list].concat()
    }

    pub fn root(&self, chunks: &[Vec<u8>]) -> [u8; 32] {
        let list: Vec<u8> = chunks.iter().flat_map(|chunk| sha256(chunk)).collect();
        sha256(&[b"\x09att1/root", &self.header()[..], &list].concat())
    }

    /// A reference's bytes that commit to these chunks, without type and name.
    pub fn reference(&self, plain_len: u64, chunks: &[Vec<u8>]) -> Vec<u8> {
        let object_len = u64::try_from(self.object(chunks).len()).unwrap();
        self.reference_with(plain_len, object_len, self.root(chunks))
    }

    pub fn reference_with(&self, plain_len: u64, object_len: u64, root: [u8; 32]) -> Vec<u8> {
        let lengths = [plain_len.to_be_bytes(), object_len.to_be_bytes()].concat();
        [&[1][..], &self.key, &self.salt, &lengths, &root, &[0; 8]].concat()
    }
}
