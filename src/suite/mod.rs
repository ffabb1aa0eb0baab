//! What differs between the cipher suites, in one place: labels, encodings, the message cipher.
//!
//! Owns: [`Suite`] and, for each suite, how a message body is sealed and opened.
//!
//! **Not its concern:** where keys come from. The ratchets and the handshake ask a suite for its labels and know no
//! more of it. The post-quantum ratchet is one component, alike in every suite, and asks for nothing.

mod padding;
mod secrets;
pub(crate) mod signal;
pub(crate) mod v1;

pub(crate) use padding::padme;
pub(crate) use secrets::{InitialKeys, MessageSecret, Undecryptable};

use crate::crypto::KemAlgorithm;
use crate::wire::MAX_PLAINTEXT_LEN;

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
    ///
    /// For peers that speak nothing else. A device that was once seen with [`Suite::V1`] is not given, and not
    /// accepted, a session in this suite.
    Signal,
    /// This library's own, the default: AES-256-GCM with full tags, ML-KEM-1024 in the handshake, everything bound to
    /// the transcript, and message keys that do not repeat when a sender's state is rolled back.
    V1,
}

impl Suite {
    /// The key-encapsulation mechanism of its handshake.
    #[must_use]
    pub const fn kem(self) -> KemAlgorithm {
        match self {
            Self::Signal => KemAlgorithm::Kyber1024,
            Self::V1 => KemAlgorithm::MlKem1024,
        }
    }

    /// Longest plaintext of one message, in bytes: what is longer is neither sent nor accepted, and travels as an
    /// attachment.
    #[must_use]
    pub const fn max_plaintext_len(self) -> usize {
        match self {
            Self::Signal | Self::V1 => MAX_PLAINTEXT_LEN,
        }
    }

    /// Its number in stored records and bundles.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Signal => 1,
            Self::V1 => 2,
        }
    }

    pub(crate) const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Signal),
            2 => Some(Self::V1),
            _ => None,
        }
    }

    /// Label of the handshake's derivation.
    pub(crate) const fn handshake_label(self) -> &'static [u8] {
        match self {
            Self::Signal => b"WhisperText_X25519_SHA-256_CRYSTALS-KYBER-1024",
            Self::V1 => v1::LABEL_PQXDH,
        }
    }

    /// Label of a root step.
    pub(crate) const fn root_label(self) -> &'static [u8] {
        match self {
            Self::Signal => b"WhisperRatchet",
            Self::V1 => v1::LABEL_ROOT,
        }
    }
}

/// The suites that a device speaks; signed into its prekeys, so that a server cannot take the better one away.
///
/// # Examples
///
/// ```
/// use subrosa::suite::{Suite, Suites};
/// assert!(Suites::BOTH.contains(Suite::Signal) && !Suites::V1.contains(Suite::Signal));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suites(u8);

impl Suites {
    /// Suite `Signal` only: a device that talks to other libraries' peers and nobody else.
    pub const SIGNAL: Self = Self(1);
    /// Suite V1 only, the default.
    pub const V1: Self = Self(2);
    /// Both.
    pub const BOTH: Self = Self(3);

    /// Whether a suite is among them.
    #[must_use]
    pub const fn contains(self, suite: Suite) -> bool {
        let bit = match suite {
            Suite::Signal => 1,
            Suite::V1 => 2,
        };
        self.0 & bit != 0
    }

    /// Bit 0 Signal, bit 1 V1.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        u8::try_from(bits).ok().filter(|bits| (1..=3).contains(bits)).map(Self)
    }
}
