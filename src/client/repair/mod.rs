//! Messages that could not be read: asked for, sent again, or said to be gone.

mod answer;
mod resend;
mod stand;
mod table;
mod wants;

pub use resend::ResendError;
pub use wants::{AskError, Want};

pub(in crate::client) use answer::{gone, is_gone};
pub(in crate::client) use stand::Stand;
pub(in crate::client) use table::{Action, Sending, Unread, action};
