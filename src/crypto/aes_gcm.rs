use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use alloc::vec::Vec;

/// Length of the tag at the end of a ciphertext.
pub(crate) const GCM_TAG_LEN: usize = 16;

/// The ciphertext was not made with this key, nonce and associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ciphertext does not authenticate")]
pub(crate) struct GcmError;

/// AES-256-GCM with a 96-bit nonce: ciphertext, then the tag of 16 bytes. Plaintexts are far below GCM's limit.
///
/// # Security
///
/// One (key, nonce) for one plaintext, ever: a repetition gives away both texts and the authentication key.
#[must_use]
pub(crate) fn gcm_seal(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    #[cfg(any(test, feature = "testing"))]
    super::seals::note(key, nonce, ad, plaintext);
    #[expect(clippy::expect_used, reason = "the only failure is a text of 64 GiB, which no caller can hold")]
    Aes256Gcm::new(key.into())
        .encrypt(nonce.into(), Payload { msg: plaintext, aad: ad })
        .expect("the plaintext is shorter than 64 GiB")
}

/// Opens what [`gcm_seal`] made.
///
/// # Errors
///
/// [`GcmError`] if key, nonce, associated data or any bit of the ciphertext is another.
pub(crate) fn gcm_open(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, GcmError> {
    Aes256Gcm::new(key.into()).decrypt(nonce.into(), Payload { msg: ciphertext, aad: ad }).map_err(|_| GcmError)
}
