//! What goes out: to whom, whether at all, and in which envelopes.

mod copy;
mod fan_out;
mod framed;
mod front;
mod outgoing;
mod place;
mod recipient;
mod send;
mod sent;
mod tell;

pub use framed::FramedSent;
pub use outgoing::{Lane, Outgoing};
pub use recipient::Recipient;
pub use sent::{SendError, Sent};

pub(in crate::client) use outgoing::Way;
pub(in crate::client) use place::Place;
pub(in crate::client) use send::MAX_LEN;
