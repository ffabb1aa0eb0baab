//! Messages that could not be read: asked for, sent again, or said to be gone.

mod answer;
mod ask;
mod resend;
mod stand;
mod table;
mod todo;

pub use ask::AskError;
pub use resend::ResendError;
pub use todo::Task;

pub(in crate::client) use answer::{gone, is_gone};
pub(in crate::client) use stand::Stand;
pub(in crate::client) use table::{Action, Sending, Unread, action};
