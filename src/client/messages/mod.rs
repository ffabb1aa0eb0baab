//! Messages: sent and received, framed and not, one at a time and many.

mod adopt;
mod changed;
mod fan_out;
mod framed;
mod front;
mod judge;
mod outgoing;
mod place;
mod receive;
mod receive_many;
mod received;
mod recipient;
mod send;

pub use framed::FramedSent;
pub use outgoing::{Lane, Outgoing};
pub use receive_many::{MAX_BULK, MAX_BULK_BYTES};
pub use received::{
    BlockedMessage, Disposition, ForkedMessage, FramedMessage, ReceiveError, Received, ReceivedMessage, RepairRequest,
    ResendDeclined, RosterMessage, UnlistedMessage, Unreadable,
};
pub use recipient::Recipient;
pub use send::{SendError, Sent};

pub(in crate::client) use judge::News;
pub(in crate::client) use outgoing::Way;
pub(in crate::client) use place::Place;
pub(in crate::client) use received::is_changed;
pub(in crate::client) use send::MAX_LEN;
