use alloc::vec::Vec;

use crate::client::contacts::{AccountStatus, IdentityStatus, UserStatus};
use crate::client::messages::Outgoing;
use crate::crypto::PublicKey;
use crate::ident::{Address, MessageId, MessageName, Timestamp, UserId};
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
    /// A roster, and nothing else. Nothing to be shown but what it [changes](UserStatus::changes).
    Roster(RosterMessage),
    /// The primary has handed the account's key over: this device signs from now on, and has a roster to be published.
    HandedOver(RosterMessage),
    /// Something of a user who is [blocked](crate::client::Client::block): it is wiped, and not shown.
    Blocked(BlockedMessage),
    /// A message of a device that no roster lists which is known here. Nothing was read of it: the transport keeps it
    /// ([`Self::disposition`]), and what [`Client::todo`](crate::client::Client::todo) then tells brings the roster.
    NotListed(UnlistedMessage),
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
            Self::Roster(message) | Self::HandedOver(message) => Some(message.name),
            Self::Blocked(message) => Some(message.name),
            Self::Unreadable(_) | Self::NotListed(_) => None,
        }
    }

    /// What to tell the transport, after the commit.
    #[must_use]
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::NotListed(_) => Disposition::Later,
            _ => Disposition::Ack,
        }
    }

    /// What is to be thought of the user that it is from, if it was read.
    #[must_use]
    pub const fn user(&self) -> Option<&UserStatus> {
        match self {
            Self::Message(message) => Some(&message.user),
            Self::Framed(framed) => Some(&framed.user),
            Self::Forked(forked) => Some(&forked.user),
            Self::RepairRequest(request) => Some(&request.user),
            Self::ResendDeclined(gone) => Some(&gone.user),
            Self::Roster(message) | Self::HandedOver(message) => Some(&message.user),
            Self::Blocked(message) => Some(&message.user),
            Self::Unreadable(_) | Self::NotListed(_) => None,
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
            Self::Roster(message) | Self::HandedOver(message) => &message.from,
            Self::Blocked(message) => &message.from,
            Self::NotListed(message) => &message.from,
        }
    }
}

/// A message that was decrypted, its sender authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    pub(in crate::client) from: Address,
    pub(in crate::client) identity: IdentityStatus,
    pub(in crate::client) user: UserStatus,
    pub(in crate::client) message_id: Option<MessageId>,
    pub(in crate::client) sent: Option<Timestamp>,
    pub(in crate::client) sent_to: Option<UserId>,
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

    /// What is to be thought of the user.
    #[must_use]
    pub const fn user(&self) -> &UserStatus {
        &self.user
    }

    /// Whom it was sent to, if it is a [copy](crate::client::Client::copy) of what another of one's own devices has sent: it is
    /// shown in that conversation, as one's own. `None` if it was sent to oneself.
    #[must_use]
    pub const fn sent_to(&self) -> Option<&UserId> {
        self.sent_to.as_ref()
    }

    /// Whether it is under a key that nobody has accepted: of the device, or of the account.
    pub(in crate::client) const fn is_changed(&self) -> bool {
        is_changed(&self.identity, &self.user)
    }

    /// The sender's id of it: the same on all devices that it went to, and when it is sent again. Unique for the user who sent
    /// it and the conversation, if the sender is honest.
    #[must_use]
    pub const fn message_id(&self) -> Option<MessageId> {
        self.message_id
    }

    /// When it was sent, as its sender says.
    #[must_use]
    pub const fn sent(&self) -> Option<Timestamp> {
        self.sent
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

/// Whether the key of a device, or of its account, is one that nobody has accepted.
pub(in crate::client) const fn is_changed(identity: &IdentityStatus, user: &UserStatus) -> bool {
    matches!(identity, IdentityStatus::Changed(_)) || matches!(user.account, AccountStatus::Changed(_))
}

/// A framed message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FramedMessage {
    /// The device that sent it.
    pub from: Address,
    /// What is to be thought of its identity key.
    pub identity: IdentityStatus,
    /// What is to be thought of the user.
    pub user: UserStatus,
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
    /// What is to be thought of the user.
    pub user: UserStatus,
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
    /// What is to be thought of the user.
    pub user: UserStatus,
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
    /// What is to be thought of the user.
    pub user: UserStatus,
    /// What both sides know this word by, see [`ReceivedMessage::name`]: into the table of names, like all that was read.
    pub name: MessageName,
    /// Which.
    pub names: Vec<MessageName>,
}

/// A roster came by itself, or the key that signs rosters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RosterMessage {
    /// The device that sent it.
    pub from: Address,
    /// What is to be thought of its user now.
    pub user: UserStatus,
    /// What both sides know the message by, see [`ReceivedMessage::name`].
    pub name: MessageName,
}

/// Something came of a user who is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockedMessage {
    /// The device that sent it.
    pub from: Address,
    /// What is to be thought of its user.
    pub user: UserStatus,
    /// What both sides know the message by, see [`ReceivedMessage::name`].
    pub name: MessageName,
}

/// A message of a device that no roster lists which is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnlistedMessage {
    /// Who says to have sent it.
    pub from: Address,
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
    /// It is from a device that its user does not list: the roster that is held says so, or the directory, or it was
    /// [waited for](Received::NotListed) for 7 days.
    #[error("the device is not one of its user's")]
    NotListed,
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

impl Disposition {
    /// What to tell the transport, whatever came of an envelope: after the commit.
    #[must_use]
    pub const fn of(outcome: &Result<Received, ReceiveError>) -> Self {
        match outcome {
            Ok(received) => received.disposition(),
            Err(error) => error.disposition(),
        }
    }
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
            | Self::SuiteNotEnabled
            | Self::NotListed => Disposition::Ack,
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
