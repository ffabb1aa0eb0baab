//! Live conversations with Signal's own library, npm `@signalapp/libsignal-client` 0.103.0, in a process of its own.
//!
//! - `LIBSIGNAL_NODE_MODULES`: the `node_modules` folder that holds the package. Without it, or without `node`, every
//!   test says so and passes.
//! - `SUBROSA_REQUIRE_INTEROP`: set and not empty, absence is a failure instead.
//! - `SUBROSA_SEED`: repeats the network, our keys and the alterations of an earlier run; the other side's keys are
//!   fresh in any case.
//! - `SUBROSA_INTEROP_MESSAGES`: messages each way in the long conversations, 2,000 by default.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test is a host"
)]

#[path = "interop/chance.rs"]
mod chance;
#[path = "interop/network.rs"]
mod network;
#[path = "interop/ours.rs"]
mod ours;
#[path = "interop/peer.rs"]
mod peer;
#[path = "interop/protobuf.rs"]
mod protobuf;
#[path = "interop/theirs.rs"]
mod theirs;

#[path = "interop/altered.rs"]
mod altered;
#[path = "interop/conversation.rs"]
mod conversation;
#[path = "interop/crossing.rs"]
mod crossing;
#[path = "interop/names.rs"]
mod names;
#[path = "interop/restart.rs"]
mod restart;
#[path = "interop/signatures.rs"]
mod signatures;
