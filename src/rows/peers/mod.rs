//! Peer devices: of each a record that changes with every message, and what lies beside it.

mod archive;
mod kept;
mod marked;
mod page;
mod parked;
mod peer;
mod pin;
mod rows;

pub(crate) use archive::Archive;
pub(crate) use kept::erase_kept;
pub(crate) use peer::Peer;
pub(crate) use rows::erase;
