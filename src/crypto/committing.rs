//! `cgcm1`: AES-256-GCM that commits to key, salt and associated data. For what is sealed once and kept for long.

use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::{GCM_TAG_LEN, Secret, SecretBytes, gcm_open, gcm_seal_tail, hkdf, sha256};

const SALT_LEN: usize = 32;
const COMMITMENT_LEN: usize = 32;

/// What sealing adds to a plaintext: salt 32, commitment 32, tag 16.
const COMMITTING_OVERHEAD: usize = SALT_LEN + COMMITMENT_LEN + GCM_TAG_LEN;

/// Why a sealed text does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommittingError {
    /// Another key or other associated data than it was sealed with, or an altered head.
    #[error("sealed with another key or for another place")]
    Commitment,
    /// The commitment holds and the rest is damaged.
    #[error("sealed text is damaged")]
    Damaged,
}

/// Appends to `out`: `salt 32 ‖ commitment 32 ‖ ciphertext ‖ tag 16`.
///
/// # Security
///
/// AES-GCM alone opens under as many keys as an attacker likes ("invisible salamanders"). The commitment, a second
/// output of the derivation that gave the key, lets it open under one.
pub(crate) fn committing_seal(
    out: &mut Vec<u8>,
    key: &Secret<32>,
    ad: &[u8],
    plaintext: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) {
    let mut salt = [0; SALT_LEN];
    rng.fill_bytes(&mut salt);
    seal_with(out, key, &salt, ad, plaintext);
}

/// Opens what [`committing_seal`] made.
///
/// # Errors
///
/// [`CommittingError`].
pub(crate) fn committing_open(key: &Secret<32>, ad: &[u8], sealed: &[u8]) -> Result<SecretBytes, CommittingError> {
    let (salt, inner) = sealed.split_first_chunk::<SALT_LEN>().ok_or(CommittingError::Damaged)?;
    open_with(key, salt, ad, inner)
}

fn seal_with(out: &mut Vec<u8>, key: &Secret<32>, salt: &[u8], ad: &[u8], plaintext: &[u8]) {
    let derived = derive(key, salt, ad);
    // One growth: a buffer that moves leaves the plaintext behind.
    out.reserve_exact(COMMITTING_OVERHEAD + plaintext.len());
    out.extend_from_slice(salt);
    out.extend_from_slice(derived.commitment.expose());
    let start = out.len();
    out.extend_from_slice(plaintext);
    gcm_seal_tail(derived.key.expose(), derived.nonce.expose(), &[], out, start);
}

fn open_with(key: &Secret<32>, salt: &[u8], ad: &[u8], inner: &[u8]) -> Result<SecretBytes, CommittingError> {
    let (claimed, ciphertext) = inner.split_first_chunk::<COMMITMENT_LEN>().ok_or(CommittingError::Damaged)?;
    let derived = derive(key, salt, ad);
    // Before anything is decrypted: what does not commit to this key is not tried under it.
    if derived.commitment != Secret::new(*claimed) {
        return Err(CommittingError::Commitment);
    }
    let opened = gcm_open(derived.key.expose(), derived.nonce.expose(), &[], ciphertext);
    opened.map(SecretBytes::new).map_err(|_| CommittingError::Damaged)
}

struct Derived {
    commitment: Secret<COMMITMENT_LEN>,
    key: Secret<32>,
    nonce: Secret<12>,
}

fn derive(key: &Secret<32>, salt: &[u8], ad: &[u8]) -> Derived {
    let derived: Secret<76> = hkdf(salt, key.expose(), &[b"\x05cgcm1", &sha256(&[ad])]);
    Derived { commitment: derived.part::<0, 32>(), key: derived.part::<32, 32>(), nonce: derived.part::<64, 12>() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::rng;

    fn sealed(ad: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut out = Vec::new();
        committing_seal(&mut out, &key(), ad, plaintext, rng);
        out
    }

    fn key() -> Secret<32> {
        Secret::new(core::array::from_fn(|at| u8::try_from(at).unwrap()))
    }

    /// The published vector is of the inner function, with an empty salt.
    #[test]
    fn the_vector() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/reports/more_vectors.json")).unwrap();
        let expected = hex::decode(vectors["cgcm1"].as_str().unwrap()).unwrap();
        assert_eq!(*open_with(&key(), &[], b"ad", &expected).unwrap(), *b"hello");
        let mut sealed = Vec::new();
        seal_with(&mut sealed, &key(), &[], b"ad", b"hello");
        assert_eq!(sealed, expected);
    }

    #[test]
    fn every_altered_bit_is_refused() {
        let sealed = sealed(b"place", b"secret", &mut rng(1));
        assert_eq!(sealed.len(), 6 + COMMITTING_OVERHEAD);
        assert_eq!(*committing_open(&key(), b"place", &sealed).unwrap(), *b"secret");
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 64 * 8 { CommittingError::Commitment } else { CommittingError::Damaged };
            assert_eq!(committing_open(&key(), b"place", &altered), Err(expected), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(committing_open(&key(), b"place", &sealed[..len]).is_err(), "cut to {len}");
        }
        let other = Secret::new([1; 32]);
        assert_eq!(committing_open(&other, b"place", &sealed), Err(CommittingError::Commitment));
        assert_eq!(committing_open(&key(), b"other place", &sealed), Err(CommittingError::Commitment));
    }

    #[test]
    fn the_same_text_is_never_sealed_alike() {
        let mut rng = rng(2);
        let seals: std::collections::BTreeSet<_> = (0..100).map(|_| sealed(b"", b"same", &mut rng)).collect();
        assert_eq!(seals.len(), 100);
    }
}
