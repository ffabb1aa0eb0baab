use alloc::vec::Vec;

#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::crypto::{KemCiphertext, PublicKey, sha256};
use crate::ident::{MessageName, PrekeyId, RegistrationId};
use crate::suite::Suite;
use crate::wire::{PreKeySignalMessage, SignalMessage, V1FirstMessage, V1Message, WireError, is_v1};

/// What names are hashed with.
const LABEL_NAME: &[u8] = b"\x16subrosa/1/message-name";

/// The name of a message: of suite V1 from its header, of suite `Signal` from its bytes.
///
/// A header of suite V1 names one message of a session, as the salt in it is drawn for this one and hangs on what it says. So
/// a ciphertext that was garbled on the way keeps its name, and can be asked for by it. A header of suite `Signal` has no
/// salt: a sender that went back in time writes one twice, over other messages.
fn name_of(named_by: &[u8], rest: &[u8]) -> MessageName {
    MessageName::new(sha256(&[LABEL_NAME, named_by, rest]))
}

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
    /// It goes on with a session: read it with [`SessionMessage::parse`]. Signal's services call it type 2.
    Message(Vec<u8>),
}

/// What [`Session::encrypt_into`](super::Session::encrypt_into) has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CiphertextKind {
    /// See [`Ciphertext::First`].
    First,
    /// See [`Ciphertext::Message`].
    Message,
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

    /// What both sides know the message by: see [`SessionMessage::name`]. `None` if the bytes are no message.
    #[must_use]
    pub fn name(&self) -> Option<MessageName> {
        match self {
            Self::First(bytes) => FirstMessage::parse(bytes).ok().map(|first| first.name()),
            Self::Message(bytes) if is_v1(bytes) => V1Message::header_of(bytes).map(|header| name_of(header, &[])),
            Self::Message(bytes) => Some(name_of(bytes, &[])),
        }
    }
}

/// The prekeys that a first message was made with: what to look up before it can be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeededPrekeys {
    /// The suite that they are of.
    pub suite: Suite,
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
pub struct FirstMessage {
    wire: FirstWire,
    external_ad: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FirstWire {
    Signal(PreKeySignalMessage),
    V1(V1FirstMessage),
}

impl FirstMessage {
    /// Reads the bytes; the first one tells the suite.
    ///
    /// # Errors
    ///
    /// [`WireError`]: the bytes are not a first message.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let wire = if is_v1(bytes) {
            FirstWire::V1(V1FirstMessage::parse(bytes)?)
        } else {
            FirstWire::Signal(PreKeySignalMessage::parse(bytes)?)
        };
        Ok(Self { wire, external_ad: Vec::new() })
    }

    /// Says what the message is bound to, see [`Session::encrypt_bound`](super::Session::encrypt_bound).
    #[must_use]
    pub fn bound_to(mut self, external_ad: &[u8]) -> Self {
        self.external_ad = external_ad.to_vec();
        self
    }

    /// The suite of the session that it starts.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        match self.wire {
            FirstWire::Signal(_) => Suite::Signal,
            FirstWire::V1(_) => Suite::V1,
        }
    }

    /// Which prekeys it was made with.
    #[must_use]
    pub const fn needs(&self) -> NeededPrekeys {
        let (signed, kem, one_time) = match &self.wire {
            FirstWire::Signal(first) => (first.signed_prekey, first.kem_prekey, first.one_time_prekey),
            FirstWire::V1(first) => (first.signed_prekey, first.kem_prekey, first.one_time_prekey),
        };
        NeededPrekeys { suite: self.suite(), signed, kem, one_time }
    }

    /// The identity key that its sender claims. It is authentic once the message was accepted.
    #[must_use]
    pub const fn identity_key(&self) -> &PublicKey {
        match &self.wire {
            FirstWire::Signal(first) => &first.identity_key,
            FirstWire::V1(first) => &first.identity_key,
        }
    }

    /// The name of the message inside it, see [`SessionMessage::name`]: the same, whichever first message it travels in.
    #[must_use]
    pub fn name(&self) -> MessageName {
        #[cfg(test)]
        if planted::is(Defect::NamedByWrapping) {
            return name_of(self.inner().name().as_bytes(), &self.registration_id().get().to_be_bytes());
        }
        self.inner().name()
    }

    /// The registration id that its sender claims. Neither suite
    /// authenticates it.
    #[must_use]
    pub const fn registration_id(&self) -> RegistrationId {
        match &self.wire {
            FirstWire::Signal(first) => first.registration_id,
            FirstWire::V1(first) => first.registration_id,
        }
    }

    pub(crate) const fn base_key(&self) -> &PublicKey {
        match &self.wire {
            FirstWire::Signal(first) => &first.base_key,
            FirstWire::V1(first) => &first.base_key,
        }
    }

    pub(super) const fn kem_ciphertext(&self) -> &KemCiphertext {
        match &self.wire {
            FirstWire::Signal(first) => &first.kem_ciphertext,
            FirstWire::V1(first) => &first.kem_ciphertext,
        }
    }

    /// Hash of everything that went into the handshake: what its repetitions repeat. Registration id, the version's
    /// low nibble and unknown fields are not among it: nothing authenticates them.
    pub(super) fn initiation_hash(&self) -> [u8; 32] {
        let NeededPrekeys { suite: _, signed, kem, one_time } = self.needs();
        let ids = [signed.get(), kem.get(), u32::from(one_time.is_some()), one_time.map_or(0, PrekeyId::get)];
        let ids = ids.map(u32::to_be_bytes);
        let (base_key, identity_key) = (self.base_key().to_bytes(), self.identity_key().to_bytes());
        sha256(&[ids.as_flattened(), &base_key, &identity_key, &self.kem_ciphertext().to_bytes()])
    }

    pub(super) fn external_ad(&self) -> &[u8] {
        &self.external_ad
    }

    /// The message inside.
    pub(super) const fn inner(&self) -> Wire<'_> {
        match &self.wire {
            FirstWire::Signal(first) => Wire::Signal(&first.message),
            FirstWire::V1(first) => Wire::V1(&first.message),
        }
    }
}

/// A received message of a session: well-formed, and no more than that.
///
/// # Examples
///
/// ```
/// use subrosa::{session::SessionMessage, wire::WireError};
/// assert_eq!(SessionMessage::parse(&[0x44; 5]).unwrap_err(), WireError::Truncated);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionMessage {
    wire: MessageWire,
    external_ad: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum MessageWire {
    Signal(SignalMessage),
    V1(V1Message),
}

/// The message to be opened, plain or from inside a first message.
#[derive(Clone, Copy)]
pub(super) enum Wire<'a> {
    Signal(&'a SignalMessage),
    V1(&'a V1Message),
}

impl Wire<'_> {
    pub(super) const fn ratchet_key(&self) -> &PublicKey {
        match self {
            Wire::Signal(message) => &message.ratchet_key,
            Wire::V1(message) => &message.ratchet_key,
        }
    }

    fn name(self) -> MessageName {
        match self {
            Wire::Signal(message) => name_of(message.authenticated(), message.mac()),
            Wire::V1(message) => name_of(message.header(), &[]),
        }
    }
}

impl SessionMessage {
    /// Reads the bytes; the first one tells the suite.
    ///
    /// # Errors
    ///
    /// [`WireError`]: the bytes are not a message.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let wire = if is_v1(bytes) {
            MessageWire::V1(V1Message::parse(bytes)?)
        } else {
            MessageWire::Signal(SignalMessage::parse(bytes)?)
        };
        Ok(Self { wire, external_ad: Vec::new() })
    }

    /// Says what the message is bound to, see [`Session::encrypt_bound`](super::Session::encrypt_bound).
    #[must_use]
    pub fn bound_to(mut self, external_ad: &[u8]) -> Self {
        self.external_ad = external_ad.to_vec();
        self
    }

    /// The suite of its session.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        match self.wire {
            MessageWire::Signal(_) => Suite::Signal,
            MessageWire::V1(_) => Suite::V1,
        }
    }

    /// What both sides know the message by: SHA-256 over its header in suite V1, over the whole message in suite `Signal`,
    /// and over nothing that stands around it.
    ///
    /// # Security
    ///
    /// A server can put a message into the first message of its session, take it out again, and change what of that
    /// nobody authenticates. A name over those bytes would be another one each time, and a message that was read would
    /// pass for one that was not.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (to_bob, mut to_alice, now, mut rng) = talking();
    /// let sent = to_alice.encrypt(b"Hello, Alice", now, &mut rng)?;
    /// assert_eq!(sent.name(), Some(SessionMessage::parse(sent.bytes())?.name()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn name(&self) -> MessageName {
        self.inner().name()
    }

    /// No plaintext of it is longer, nor any step on the way to it.
    #[must_use]
    pub const fn max_plaintext_len(&self) -> usize {
        match &self.wire {
            MessageWire::Signal(message) => message.ciphertext.len(),
            MessageWire::V1(message) => message.ciphertext.len(),
        }
    }

    pub(super) fn external_ad(&self) -> &[u8] {
        &self.external_ad
    }

    pub(super) const fn inner(&self) -> Wire<'_> {
        match &self.wire {
            MessageWire::Signal(message) => Wire::Signal(message),
            MessageWire::V1(message) => Wire::V1(message),
        }
    }
}
