//! What could not be read and what is asked for: of each device a row, and an index of them.

mod limits;
mod wish_index;
mod wishes;

pub(crate) use limits::{DAY_MS, HOUR_MS, MAX_QUESTIONS, MAX_STARTS, MINUTE_MS, QUESTION, elapsed};
pub(crate) use wishes::{Asked, MAX_UNREAD, RESEND_MS, UnreadMessage, Wishes};
