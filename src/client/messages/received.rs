use alloc::vec::Vec;

use super::outgoing::Outgoing;
use crate::client::contacts::IdentityStatus;
use crate::crypto::PublicKey;
use crate::ident::{Address, MessageId, MessageName};
use crate::report::{self, AcceptedFrame, ForkedFrame};
use crate::rows::OldRow;
use crate::session::AcceptError;
use crate::staging::StoredError;
use crate::suite::Suite;
use crate::wire::{Content, RecordError, WireError};

/// What was received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// A message.
    Message(ReceivedMessage),
    /// A message that cannot be read, for want of a session or of a key. What is staged is what
    /// [`Client::todo`](crate::client::Client::todo) then tells. Acknowledge it to the transport.
    ///
    /// A host drops the staging, and acknowledges, where its table knows a message of this
    /// [name](Unreadable::name): it was read before, and comes again.
    Unreadable(Unreadable),
    /// The peer device could not read messages from here, and asks for them. Nothing to be shown: what is to be sent again
    /// [`Client::todo`](crate::client::Client::todo) tells.
    RepairRequest(RepairRequest),
    /// What was asked for is not to be had any more: the host shows where it is missing.
    ResendDeclined(ResendDeclined),
    /// A framed message: it can be reported.
    Framed(FramedMessage),
    /// A framed message that contradicts an earlier one: its author tells two stories, or went on with an older state.
    /// Not to be shown; both can be reported.
    Forked(ForkedMessage),
}

impl Received {
    /// What both sides know it by, if it was read: for the host's table of names. What comes again when its key is long gone
    /// is [unreadable](Self::Unreadable) under this name; a table that has the names of all that was read, of questions too,
    /// drops it.
    #[must_use]
    pub const fn name(&self) -> Option<MessageName> {
        match self {
            Self::Message(message) => Some(message.name),
            Self::Framed(framed) => Some(framed.name),
            Self::Forked(forked) => Some(forked.name),
            Self::RepairRequest(request) => Some(request.name),
            Self::ResendDeclined(gone) => Some(gone.name),
            Self::Unreadable(_) => None,
        }
    }

    /// From which device it is.
    #[must_use]
    pub const fn sender(&self) -> &Address {
        match self {
            Self::Message(message) => &message.from,
            Self::Framed(framed) => &framed.from,
            Self::Forked(forked) => &forked.from,
            Self::RepairRequest(request) => &request.from,
            Self::ResendDeclined(gone) => &gone.from,
            Self::Unreadable(unreadable) => &unreadable.from,
        }
    }
}

/// A message that was decrypted, its sender authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    pub(in crate::client) from: Address,
    pub(in crate::client) identity: IdentityStatus,
    pub(in crate::client) content: Content,
    pub(in crate::client) suite: Suite,
    pub(in crate::client) lacks_frame: bool,
    pub(in crate::client) name: MessageName,
    pub(in crate::client) answers: Option<MessageName>,
}

impl ReceivedMessage {
    /// The device that sent it.
    #[must_use]
    pub const fn sender(&self) -> &Address {
        &self.from
    }

    /// What is to be thought of the sender's identity key. A message under a changed one is shown as such: it may be from
    /// the person, with a new device, or from somebody between.
    #[must_use]
    pub const fn identity(&self) -> &IdentityStatus {
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

    /// What both sides know it by: a column of the host's table, for [late duplicates](Received::Unreadable).
    #[must_use]
    pub const fn name(&self) -> MessageName {
        self.name
    }

    /// The message of this content that could not be read here, and was asked for: it belongs in that one's place. A host
    /// stores both names, and shows nothing where one of them is known as read.
    #[must_use]
    pub const fn answers(&self) -> Option<MessageName> {
        self.answers
    }
}

/// A framed message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FramedMessage {
    /// The device that sent it.
    pub from: Address,
    /// What is to be thought of its identity key.
    pub identity: IdentityStatus,
    /// What it says, and what proves it: [`Evidence::to_bytes`](crate::report::Evidence::to_bytes) is stored beside the
    /// message, in the same transaction.
    pub accepted: AcceptedFrame,
    /// If a row of this device's was found to be an older one.
    pub old_row: Option<OldRow>,
    /// What both sides know it by, see [`ReceivedMessage::name`].
    pub name: MessageName,
    /// What it answers, see [`ReceivedMessage::answers`].
    pub answers: Option<MessageName>,
}

/// A framed message that contradicts an earlier one of its author's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForkedMessage {
    /// The device that sent it.
    pub from: Address,
    /// What is to be thought of its identity key.
    pub identity: IdentityStatus,
    /// What it says, what proves it, and what it contradicts.
    pub forked: ForkedFrame,
    /// What both sides know it by, see [`ReceivedMessage::name`].
    pub name: MessageName,
    /// If a row of this device's was found to be an older one.
    pub old_row: Option<OldRow>,
}

/// A message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// Who says to have sent it.
    pub from: Address,
    /// What its sender knows it by, too.
    pub name: MessageName,
    /// Why.
    pub reason: AcceptError,
    /// Whether anything is known of the device.
    pub known: bool,
    /// Whether it is being asked for, as far as that goes. If not,
    /// [`Client::ask_again`](crate::client::Client::ask_again) is there for a host that knows better: nothing is asked for
    /// where a message repeats a start that is [long past](AcceptError::LongPast), or where enough strangers are waited for.
    pub asked: bool,
    /// How many messages of the device were given up, since it had too many that could not be read: more than 512. They are
    /// the oldest.
    pub dropped: u64,
}

/// A peer device asks for messages again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairRequest {
    /// The device.
    pub from: Address,
    /// What is to be thought of its identity key. Nothing is answered under one that nobody has accepted.
    pub identity: IdentityStatus,
    /// What both sides know the question by, see [`ReceivedMessage::name`]: into the table of names, like all that was read.
    pub name: MessageName,
    /// What of it the host is to [send again](crate::client::Task::Resend).
    pub messages: Vec<MessageId>,
    /// For the host's outbox: word that others are not to be had any more.
    pub reply: Option<Outgoing>,
}

/// Messages that a peer device was asked for and does not have any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResendDeclined {
    /// The device.
    pub from: Address,
    /// What both sides know this word by, see [`ReceivedMessage::name`]: into the table of names, like all that was read.
    pub name: MessageName,
    /// Which.
    pub names: Vec<MessageName>,
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
    /// framing](crate::client::Client::with_framing).
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
    Frame(report::FrameError),
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
                report::FrameError::SealedMode
                | report::FrameError::MissingStamp
                | report::FrameError::GarbledStamp
                | report::FrameError::StampContext,
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

impl IdentityStatus {
    /// The key that is to be accepted or refused.
    #[must_use]
    pub const fn changed_key(&self) -> Option<&PublicKey> {
        match self {
            Self::Changed(key) => Some(key),
            Self::Known | Self::First => None,
        }
    }
}
