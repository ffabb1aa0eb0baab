//! What a client keeps, one file for each kind of row: its key, how it is read and written, and how much it may become.
//!
//! Owns: which record holds what (docs/records.md), and what damage of it means.
//!
//! **Not its concern:** when a row is read or written, and what an operation makes of it.

mod archive;
mod chains;
mod clock;
mod core;
mod inventory;
mod kept;
mod marked;
mod parked;
mod peer;
mod pin;
mod prekey_set;
mod repair;
mod segment;
mod sent;
mod sent_log;
mod wish_index;
mod wishes;

pub use self::chains::OldRow;

pub(crate) use self::archive::Archive;
pub(crate) use self::core::Core;
pub(crate) use self::inventory::{Plan, Set};
pub(crate) use self::kept::erase_kept;
pub(crate) use self::peer::{Peer, erase};
pub(crate) use self::prekey_set::SEEN_SHARDS;
pub(crate) use self::repair::{Action, Sending, Unread, action};
pub(crate) use self::segment::{Segment, segment_key};
pub(crate) use self::sent::{Digest, Entry, SENT_LOG_MS, first, seconds};
pub(crate) use self::sent_log::all_numbers;
pub(crate) use self::wishes::{Asked, MAX_UNREAD, RESEND_MS, Stand, Wishes};
