use alloc::vec::Vec;

use crate::crypto::PublicKey;
use crate::ident::{PrekeyId, RegistrationId};
use crate::wire::{PreKeySignalMessage, SignalMessage, WireError};

/// An encrypted message, to be sent with its kind.
///
/// # Examples
///
/// ```
/// use subrosa::session::Ciphertext;
/// let ciphertext = Ciphertext::Message(vec![1, 2, 3]);
/// assert!(!ciphertext.is_first());
/// assert_eq!(ciphertext.bytes(), [1, 2, 3]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ciphertext {
    /// It starts a session, or repeats the start until the peer has answered: read it with
    /// [`FirstMessage::parse`]. Signal's services call it type 3.
    First(Vec<u8>),
    /// It goes on with a session: read it with [`Message::parse`]. Signal's services call it type 2.
    Message(Vec<u8>),
}

impl Ciphertext {
    /// The bytes to send.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::First(bytes) | Self::Message(bytes) => bytes,
        }
    }

    /// The bytes to send, by value.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::First(bytes) | Self::Message(bytes) => bytes,
        }
    }

    /// Whether it is a first message.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        matches!(self, Self::First(_))
    }
}

/// The prekeys that a first message was made with: what to look up before it can be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The signed prekey.
    pub signed: PrekeyId,
    /// The KEM prekey.
    pub kem: PrekeyId,
    /// The one-time prekey, if one was used.
    pub one_time: Option<PrekeyId>,
}

/// A received first message: well-formed, and no more than that.
///
/// # Examples
///
/// ```
/// use subrosa::{session::FirstMessage, wire::WireError};
/// assert_eq!(FirstMessage::parse(b"").unwrap_err(), WireError::Truncated);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstMessage(PreKeySignalMessage);

impl FirstMessage {
    /// Reads the bytes.
    ///
    /// # Errors
    ///
    /// [`WireError`]: the bytes are not a first message.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        PreKeySignalMessage::parse(bytes).map(Self)
    }

    /// Which prekeys it was made with.
    #[must_use]
    pub const fn needs(&self) -> Needs {
        Needs { signed: self.0.signed_prekey, kem: self.0.kem_prekey, one_time: self.0.one_time_prekey }
    }

    /// The identity key that its sender claims. It is authentic once the message was accepted.
    #[must_use]
    pub const fn identity_key(&self) -> &PublicKey {
        &self.0.identity_key
    }

    /// The registration id that its sender claims. Suite `Signal` never authenticates it.
    #[must_use]
    pub const fn registration_id(&self) -> RegistrationId {
        self.0.registration_id
    }

    pub(super) const fn wire(&self) -> &PreKeySignalMessage {
        &self.0
    }
}

/// A received message of a session: well-formed, and no more than that.
///
/// # Examples
///
/// ```
/// use subrosa::{session::Message, wire::WireError};
/// assert_eq!(Message::parse(&[0x44; 5]).unwrap_err(), WireError::Truncated);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(SignalMessage);

impl Message {
    /// Reads the bytes.
    ///
    /// # Errors
    ///
    /// [`WireError`]: the bytes are not a message.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        SignalMessage::parse(bytes).map(Self)
    }

    pub(super) const fn wire(&self) -> &SignalMessage {
        &self.0
    }
}
