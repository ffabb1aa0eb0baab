//! Messages that could not be read: asked for, sent again, or said to be gone.

mod answer;
mod resend;
mod wants;

pub use resend::ResendError;
pub use wants::{AskError, Want};

pub(in crate::client) use answer::{gone, is_gone};
