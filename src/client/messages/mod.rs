//! Messages: sent and received, framed and not, one at a time and many, to people and to devices.

mod receiving;
mod sending;

pub use receiving::{
    BlockedMessage, Disposition, ForkedMessage, FramedMessage, MAX_BULK, MAX_BULK_BYTES, ReceiveError, Received,
    ReceivedMessage, RepairRequest, ResendDeclined, RosterMessage, UnlistedMessage, Unreadable,
};
pub use sending::{FramedSent, Lane, Outgoing, Recipient, SendError, Sent};

pub(in crate::client) use receiving::{News, is_changed};
pub(in crate::client) use sending::{MAX_LEN, Place, Way};
