//! The log of what was sent to a device: the newest messages in its own row, the others in segments.

mod dates;
mod entry;
mod index;
mod log;
mod segment;

pub(crate) use dates::Dates;
pub(crate) use entry::{Digest, Entry, first};
pub(crate) use log::{SentLog, all_numbers};
pub(crate) use segment::{Segment, segment_key};
