//! What could not be read and what is asked for: of each device a row, an index of them, and the table that says when
//! something is to be done about it.

mod table;
mod wish_index;
mod wishes;

pub(crate) use table::{Action, QUESTION, Sending, Unread, action};
pub(crate) use wishes::{Asked, MAX_UNREAD, RESEND_MS, Stand, Wishes};
