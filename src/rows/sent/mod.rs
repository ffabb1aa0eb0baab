//! The log of what was sent to a device: the newest messages in its own row, the others in segments.

mod entry;
mod log;
mod segment;

pub(crate) use entry::{Digest, Entry, SENT_LOG_MS, first, seconds};
pub(crate) use log::{SentLog, all_numbers};
pub(crate) use segment::{Segment, segment_key};
