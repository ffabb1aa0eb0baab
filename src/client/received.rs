use alloc::vec::Vec;

use super::framed::{ForkedMessage, FramedMessage};
use super::{Identity, StoredError};
use crate::crypto::PublicKey;
use crate::ident::Address;
use crate::report;
use crate::session::AcceptError;
use crate::suite::Suite;
use crate::wire::{Content, RecordError, WireError};

/// What was received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// A message.
    Message(Message),
    /// A message that cannot be read, for want of a session or of a key. What is staged is what
    /// [`Client::wants`](super::Client::wants) then tells. Acknowledge it to the transport.
    Unreadable(Unreadable),
    /// The peer device could not read messages from here, and asks for them: in a new session, or once more.
    RepairRequest(RepairRequest),
    /// A framed message: it can be reported.
    Framed(FramedMessage),
    /// A framed message that contradicts an earlier one: its author tells two stories, or went on with an older state.
    /// Not to be shown; both can be reported.
    Forked(ForkedMessage),
}

/// A message that was decrypted, its sender authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub(super) from: Address,
    pub(super) identity: Identity,
    pub(super) content: Content,
    pub(super) suite: Suite,
    pub(super) lacks_frame: bool,
}

impl Message {
    /// The device that sent it.
    #[must_use]
    pub const fn sender(&self) -> &Address {
        &self.from
    }

    /// What is to be thought of the sender's identity key. A message under a changed one is shown as such: it may be from
    /// the person, with a new device, or from somebody between.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// The application's own bytes, if it says nothing else.
    #[must_use]
    pub fn plaintext(&self) -> Option<&[u8]> {
        match &self.content {
            Content::App(plaintext) => Some(plaintext),
            _ => None,
        }
    }

    /// The suite that it was protected with.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Whether it came without a frame in a conversation where what is shown is framed, and was handed over because
    /// [`FramingPolicy::unframed`](report::FramingPolicy::unframed) says so: show that it cannot be reported.
    #[must_use]
    pub const fn lacks_frame(&self) -> bool {
        self.lacks_frame
    }
}

/// A message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// Who says to have sent it.
    pub from: Address,
    /// SHA-256 of the message as it was received: what a repair request names it by.
    pub hash: [u8; 32],
    /// Why.
    pub reason: AcceptError,
}

/// A peer device asks for messages again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairRequest {
    /// The device.
    pub from: Address,
    /// What is to be thought of its identity key.
    pub identity: Identity,
    /// SHA-256 of the bodies of the envelopes that it could not read. It does not know which of its questions have arrived,
    /// and puts them again with a new session: answer each once.
    ///
    /// # Security
    ///
    /// A host that sends something again sends exactly what it sent before, to the device and the identity key that it was
    /// sent to before ([`Sent::identity_key`](super::Sent::identity_key)), and to no other: a server that has put itself
    /// in the device's place asks for what it withheld.
    pub messages: Vec<[u8; 32]>,
}

/// Why nothing was received. Nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The bytes are not a message, or not what the envelope says of them.
    #[error("malformed: {0}")]
    Malformed(#[from] WireError),
    /// It is for another device.
    #[error("envelope is for another device")]
    NotForUs,
    /// A kind of message that this version does not know, or framed content for a client [without
    /// framing](super::Client::with_framing).
    #[error("this kind of message is not supported")]
    Unsupported,
    /// It was received before.
    #[error("message was received before")]
    Duplicate,
    /// It is not authentic, or replayed.
    #[error("message is not authentic")]
    NotAuthentic,
    /// It takes away the better suite that its sender speaks: somebody is between.
    #[error("message is of a weaker suite than its sender speaks")]
    SuiteDowngrade,
    /// One's own device does not speak its suite.
    #[error("suite is not enabled")]
    SuiteNotEnabled,
    /// What a user would see came without a frame, in a conversation where all that is seen is framed: somebody takes
    /// away the means to report it. The transport keeps it; limit how long.
    #[error("content is not framed")]
    Unframed,
    /// Framed content that could not be reported as it is shown, or that has no stamp.
    #[error(transparent)]
    Frame(report::AcceptError),
    /// The account was wiped.
    #[error("there is no account")]
    NoAccount,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// What to tell a transport that delivers at least once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// Acknowledge it: it will never be received.
    Ack,
    /// Keep it, or ask for another copy: a newer version of the app may receive it, or one with the platform's stamp.
    Later,
    /// Open the client again, then receive it again.
    Retry,
}

impl ReceiveError {
    /// What to tell the transport.
    #[must_use]
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Malformed(WireError::UnsupportedVersion(_) | WireError::UnknownKind(_)) => Disposition::Later,
            Self::Malformed(_)
            | Self::NotForUs
            | Self::Duplicate
            | Self::NotAuthentic
            | Self::SuiteDowngrade
            | Self::SuiteNotEnabled => Disposition::Ack,
            // A copy with its genuine stamp may be had, or a newer version reads this one.
            Self::Frame(
                report::AcceptError::SealedMode
                | report::AcceptError::MissingStamp
                | report::AcceptError::GarbledStamp
                | report::AcceptError::StampContext,
            )
            | Self::Unsupported
            | Self::Unframed => Disposition::Later,
            Self::Frame(_) => Disposition::Ack,
            Self::NoAccount | Self::Stored(StoredError { error: RecordError::OtherGeneration, .. }) => {
                Disposition::Retry
            }
            // Mended, or updated, the same envelope can be received.
            Self::Stored(_) => Disposition::Later,
        }
    }
}

impl Identity {
    /// The key that is to be accepted or refused.
    #[must_use]
    pub const fn changed_key(&self) -> Option<&PublicKey> {
        match self {
            Self::Changed(key) => Some(key),
            Self::Known | Self::First => None,
        }
    }
}
