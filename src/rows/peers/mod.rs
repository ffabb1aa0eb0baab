//! Peer devices: of each a record that changes with every message, and what lies beside it.

mod archive;
mod by_prefix;
mod page;
mod peer;
mod pin;
mod rows;
mod skipped_keys;
mod untrusted;

pub(crate) use archive::Archive;
pub(crate) use peer::Peer;
pub(crate) use rows::erase;
pub(crate) use skipped_keys::erase_skipped;
