//! What comes in: opened, its sender judged, shown to the host.

mod adopt;
mod changed;
mod copied;
mod framed;
mod judge;
mod receive;
mod receive_many;
mod received;
mod refusal;
mod taken;

pub use receive_many::{MAX_BULK, MAX_BULK_BYTES};
pub use received::{
    BlockedMessage, Disposition, ForkedMessage, FramedMessage, ReceiveError, Received, ReceivedMessage, RepairRequest,
    ResendDeclined, RosterMessage, UnlistedMessage, Unreadable,
};

pub(in crate::client) use judge::News;
pub(in crate::client) use received::is_changed;
