//! What differs between the cipher suites, in one place: labels, encodings, the message cipher.
//!
//! Owns: [`Suite`] and, for each suite, how a message body is sealed and opened.
//!
//! **Not its concern:** where keys come from. The ratchets and the handshake ask a suite for its labels and know no
//! more of it. The post-quantum ratchet is one component, alike in every suite, and asks for nothing.

pub(crate) mod signal;

use crate::crypto::{KemAlgorithm, Secret};

/// A cipher suite. It is fixed for a session's life.
///
/// # Examples
///
/// ```
/// use subrosa::{crypto::KemAlgorithm, suite::Suite};
/// assert_eq!(Suite::Signal.kem(), KemAlgorithm::Kyber1024);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// Byte-compatible with Signal's own client library, session version 4: AES-256-CBC with an 8-byte MAC,
    /// Kyber-1024 in the handshake.
    Signal,
}

impl Suite {
    /// The key-encapsulation mechanism of its handshake.
    #[must_use]
    pub const fn kem(self) -> KemAlgorithm {
        match self {
            Self::Signal => KemAlgorithm::Kyber1024,
        }
    }

    /// Its number in stored records and bundles.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Signal => 1,
        }
    }

    pub(crate) const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Signal),
            _ => None,
        }
    }

    /// Label of the handshake's derivation.
    pub(crate) const fn handshake_label(self) -> &'static [u8] {
        match self {
            Self::Signal => b"WhisperText_X25519_SHA-256_CRYSTALS-KYBER-1024",
        }
    }

    /// Label of a root step.
    pub(crate) const fn root_label(self) -> &'static [u8] {
        match self {
            Self::Signal => b"WhisperRatchet",
        }
    }
}

/// What both ratchets give for one message: the suite derives its message keys from it.
pub(crate) struct MessageSecret {
    /// From the Double Ratchet's chain.
    pub(crate) seed: Secret<32>,
    /// From the post-quantum ratchet's chain.
    pub(crate) pq: Secret<32>,
}

/// What a handshake agrees on, and a triple ratchet starts from.
pub(crate) struct InitialKeys {
    /// Root key of the Double Ratchet.
    pub(crate) root: Secret<32>,
    /// Key of its first chain.
    pub(crate) chain: Secret<32>,
    /// Key of the post-quantum ratchet.
    pub(crate) pq: Secret<32>,
}
