//! What a client keeps, one file for each kind of row: its key, how it is read and written, and how much it may become.
//!
//! Owns: which record holds what (docs/records.md), and what damage of it means.
//!
//! **Not its concern:** when a row is read or written, and what an operation makes of it.

mod chains;
mod clock;
mod core;
mod mark;
mod peers;
mod prekeys;
mod repair;
mod sent;
mod users;

pub use self::chains::OldRow;
pub use self::users::Verified;

pub(crate) use self::clock::Round;
pub(crate) use self::core::Core;
pub(crate) use self::mark::Mark;
pub(crate) use self::peers::{Archive, Peer, erase, erase_skipped};
pub(crate) use self::prekeys::{Plan, SEEN_SHARDS, Set};
pub(crate) use self::repair::{
    Asked, DAY_MS, HOUR_MS, MAX_QUESTIONS, MAX_STARTS, MAX_UNREAD, MINUTE_MS, QUESTION, RESEND_MS, UnreadMessage,
    Wishes, elapsed,
};
pub(crate) use self::sent::{Dates, Digest, Entry, Segment, SentLog, all_numbers, first, segment_key};
pub(crate) use self::users::{OwnAccount, Published, Standing, User, Views};
