//! The only room that names a cryptography crate.
//!
//! Owns: secrets ([`Secret`]), X25519 ([`KeyPair`]), XEdDSA signatures ([`Signature`]), the
//! key-encapsulation mechanisms of the handshake ([`KemKeyPair`]); inside the crate also Ed25519, HKDF, HMAC, SHA-2, AES and
//! the split ML-KEM-768 of the post-quantum ratchet. What is public are the keys that a host stores and shows.
//!
//! **Not its concern:** labels, message formats, key schedules, what a key is for. Every function here is a
//! pure function of its arguments; randomness is an argument.
//!
//! Sources: RFC 7748 (X25519), RFC 5869 (HKDF), RFC 2104 (HMAC), FIPS 203 (ML-KEM), FIPS 197 and SP 800-38A/D
//! (AES), RFC 8032 (Ed25519), Signal's XEdDSA specification.

mod aes_cbc;
mod aes_gcm;
mod apart;
pub(crate) mod braid_kem;
mod committing;
mod curve;
mod expander;
#[cfg_attr(not(all(feature = "fast", any(target_arch = "x86_64", target_arch = "aarch64"))), path = "fast/none.rs")]
mod fast;
mod kdf;
mod kem;
mod placed;
#[cfg(test)]
pub(crate) mod planted;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod seals;
mod secret;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod steps;
#[cfg(test)]
mod wycheproof;

pub use curve::{
    BadSignature, KeyPair, NotContributory, PUBLIC_KEY_LEN, PrivateKey, PublicKey, PublicKeyError, SIGNATURE_LEN,
    Signature,
};
pub use kem::{KemAlgorithm, KemCiphertext, KemKeyPair, KemPublicKey, KemSecretKey, MalformedKemKey};
pub use secret::Secret;

/// The traits of randomness, in the version that this crate takes.
pub use rand_core;

/// The operating system's generator, see [`system_rng`].
#[cfg(feature = "getrandom")]
pub type SystemRng = rand_core::UnwrapErr<getrandom::SysRng>;

/// The operating system's generator, for hosts that have no other: on Linux, Windows, Apple's systems and Android. Feature
/// `getrandom`.
///
/// # Panics
///
/// Where it is used, should the system fail to give randomness: nothing safe can be done without.
///
/// # Examples
///
/// ```
/// use subrosa::{crypto::system_rng, ident::MessageId};
/// let mut rng = system_rng();
/// assert_ne!(MessageId::random(&mut rng), MessageId::random(&mut rng));
/// ```
#[cfg(feature = "getrandom")]
#[must_use]
pub const fn system_rng() -> SystemRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

pub(crate) use aes_cbc::{cbc_open, cbc_seal};
#[cfg(test)]
pub(crate) use aes_gcm::gcm_seal;
pub(crate) use aes_gcm::{GcmCipher, gcm_open, gcm_open_in_place, gcm_open_to, gcm_seal_in_place, gcm_seal_tail};
pub(crate) use apart::Apart;
pub(crate) use committing::{CommittingError, committing_open, committing_seal};
pub(crate) use curve::{EdKeyPair, EdPublicKey, PeerKey, Verifier, xeddsa_sign};
#[cfg(test)]
pub(crate) use curve::{count, xeddsa_verify};
pub(crate) use expander::Expander;
pub(crate) use kdf::{MacKey, Unsalted, hkdf, hmac, sha256, sha512};
#[cfg(test)]
pub(crate) use kem::kyber_message_door;
pub(crate) use placed::PlacedKey;
pub(crate) use secret::{SecretBytes, constant_time_eq, last_nonzero_if};

/// Length of the tag at the end of a ciphertext of AES-GCM.
pub(crate) const GCM_TAG_LEN: usize = 16;
