//! What lies sealed beside a record that changes more often: sealed once, under a key that is in the record, and opened when
//! it is wanted.

use alloc::vec::Vec;

use super::aes_gcm::GcmError;
use super::{GCM_TAG_LEN, Secret, gcm_open, gcm_seal_tail};

/// The key seals one text, so any nonce will do.
const NONCE: [u8; 12] = [0; 12];

/// AES-256-GCM under a key of its own: what is sealed, and the key.
#[derive(Clone)]
pub(crate) struct Apart {
    key: Secret<32>,
    sealed: Vec<u8>,
}

impl Apart {
    /// Bytes that sealing adds: the tag.
    pub(crate) const BACK: usize = GCM_TAG_LEN;

    /// Seals.
    ///
    /// # Security
    ///
    /// The key is of this text alone: drawn for it, or a hash that covers it and a secret.
    pub(crate) fn seal(key: Secret<32>, text: &[u8]) -> Self {
        let mut sealed = Vec::with_capacity(text.len() + Self::BACK);
        sealed.extend_from_slice(text);
        gcm_seal_tail(key.expose(), &NONCE, &[], &mut sealed, 0);
        Self { key, sealed }
    }

    /// Takes it from where it is stored.
    pub(crate) fn new(key: &[u8; 32], sealed: &[u8]) -> Self {
        Self { key: Secret::new(*key), sealed: sealed.to_vec() }
    }

    pub(crate) const fn key(&self) -> &Secret<32> {
        &self.key
    }

    pub(crate) fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// The text.
    ///
    /// # Errors
    ///
    /// [`GcmError`] if it is not what was sealed under the key.
    pub(crate) fn open(&self) -> Result<Vec<u8>, GcmError> {
        gcm_open(self.key.expose(), &NONCE, &[], &self.sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_as_what_it_was() {
        let apart = Apart::seal(Secret::new([7; 32]), b"text");
        assert_eq!(apart.sealed().len(), 4 + Apart::BACK);
        assert_eq!(Apart::new(&[7; 32], apart.sealed()).open().unwrap(), b"text");
        assert!(Apart::new(&[8; 32], apart.sealed()).open().is_err());
        for bit in 0..apart.sealed().len() * 8 {
            let mut altered = apart.sealed().to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(Apart::new(&[7; 32], &altered).open().is_err(), "bit {bit}");
        }
    }
}
