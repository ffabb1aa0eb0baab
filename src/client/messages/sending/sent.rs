use alloc::vec::Vec;

use super::outgoing::Outgoing;
use crate::ident::{Address, MessageId};
use crate::report::FrameSealError;
use crate::staging::StoredError;

/// A message that was encrypted, or that was before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The host's id of it.
    pub message_id: MessageId,
    /// Whether it was sent to all before: then nothing goes out now, since its envelopes were put into the outbox in the
    /// transactions that sent them.
    pub repeated: bool,
    /// Devices of the user that there is no session with: their bundles are [wanted](crate::client::Task::FetchBundle). When
    /// they are added, the same call sends to them what is missing.
    pub missing: Vec<Address>,
    /// Devices that the user has removed: what is in the outbox for them is not posted.
    pub outdated: Vec<Address>,
    /// Whether nothing is known of the user yet: the roster is [wanted](crate::client::Task::FetchRoster), and then the same
    /// call sends.
    pub roster_wanted: bool,
    pub(super) outgoing: Vec<Outgoing>,
}

impl Sent {
    pub(in crate::client) const fn new(message_id: MessageId) -> Self {
        Self {
            message_id,
            repeated: false,
            missing: Vec::new(),
            outdated: Vec::new(),
            roster_wanted: false,
            outgoing: Vec::new(),
        }
    }

    pub(in crate::client) fn of(message_id: MessageId, outgoing: Outgoing) -> Self {
        Self { outgoing: Vec::from([outgoing]), ..Self::new(message_id) }
    }

    /// The envelopes for the host's outbox, one a device; none if it was sent before.
    #[must_use]
    pub fn outgoing(&self) -> &[Outgoing] {
        &self.outgoing
    }
}

/// Why a message was not sent. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is no session to send with: there never was one, it was reset, it has been unanswered for 30 days, or the
    /// database went back in time. Fetch the device's bundle, [add the session](crate::client::Client::add_session), send again.
    #[error("there is no session with the device")]
    NoSession,
    /// The user's account key has changed, or the device's identity key. Ask the user, then
    /// [`Client::accept_account_key`](crate::client::Client::accept_account_key) or [`Client::refuse_account_key`](crate::client::Client::refuse_account_key); of a device that has no account
    /// [`Client::accept_identity`](crate::client::Client::accept_identity) or [`Client::refuse_identity`](crate::client::Client::refuse_identity). Where the host does not know which key it is, since its own rows went back in time,
    /// [`Client::peer`](crate::client::Client::peer) says so.
    #[error("the account key or identity key has changed")]
    IdentityChanged,
    /// This id was used for another message to the device. Ids are random: draw another one.
    #[error("message id was used for another message")]
    IdReused,
    /// Longer than 60,000 bytes. Send it as a file.
    #[error("message is too long")]
    TooLong,
    /// The session has no keys left: 2^32 messages were sent in one direction without an answer. [Reset](crate::client::Client::reset) it.
    #[error("session is exhausted")]
    Exhausted,
    /// The session is of suite `Signal`, which cannot frame. Use [`Client::send`](crate::client::Client::send), where the conversation allows it.
    #[error("the session's suite cannot frame")]
    NoFraming,
    /// The parts make no message, or the chain of framed messages is exhausted.
    #[error(transparent)]
    Frame(#[from] FrameSealError),
    /// One's own roster is not published, or the device has no account: people cannot be written to, devices can. Publish
    /// it ([`Task::PublishRoster`](crate::client::Task::PublishRoster)).
    #[error("one's own roster is not published")]
    RosterUnpublished,
    /// This device was linked, and no roster lists it yet. Wait for the primary to publish one.
    #[error("this device is not listed yet")]
    NotListedYet,
    /// This device was removed from its account. [Wipe](crate::client::Client::wipe) it.
    #[error("this device was removed from its account")]
    Removed,
    /// The device is not one of its user's: the newest roster does not list it.
    #[error("the device is not one of its user's")]
    NotListed,
    /// The user is [blocked](crate::client::Client::block).
    #[error("the user is blocked")]
    Blocked,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}
