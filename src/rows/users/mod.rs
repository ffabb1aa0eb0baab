//! Users: one's own account, and what is known of each other one.

mod own;
mod user;
mod views;

pub(crate) use own::{OwnAccount, Published, Standing};
pub(crate) use user::User;
pub use user::Verified;
pub(crate) use views::Views;
