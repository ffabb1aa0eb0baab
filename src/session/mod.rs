//! Everything shared with one device of a peer: a current session, the archived ones, and which of them a message
//! belongs to.
//!
//! Owns: [`Session`] (start, answer, encrypt, decrypt, store), the messages as they travel ([`FirstMessage`],
//! [`SessionMessage`], [`Ciphertext`]), and the order of things: authenticate first, change afterwards.
//!
//! **Not its concern:** transport, storage, whether an identity key is to be trusted, several devices of one user.
//!
//! A failed call leaves the [`Session`] exactly as it was, to the byte of [`Session::to_bytes`].
//!
//! Sources: The Double Ratchet Algorithm (revision 3); The Sesame Algorithm (revision 2), for archived sessions.
//!
//! # Examples
//!
#![doc = "```"]
#![doc = include_str!("../../examples/two_parties.rs")]
#![doc = "```"]

mod accept;
mod decrypt;
mod encrypt;
mod error;
mod message;
mod name;
mod peer;
mod preference;
mod record;
mod split;
mod state;

pub use accept::{Accepted, ConsumedPrekeys};
pub use error::{AcceptError, DecryptError, EncryptError, InitiateError, PrekeyKind};
pub use message::{Ciphertext, CiphertextKind, FirstMessage, NeededPrekeys, SessionMessage};
pub(crate) use name::{KeyPrefix, Name};
pub use peer::Session;
pub(crate) use record::RECORD_CAPACITY;
pub(crate) use split::ArchivedPart;

/// Archived sessions kept with one peer device, besides the current one.
pub const MAX_ARCHIVED: usize = 40;

/// A session that has had no answer for so long is not used for sending any more: 30 days.
pub const MAX_UNANSWERED_MS: u64 = 30 * 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests;
