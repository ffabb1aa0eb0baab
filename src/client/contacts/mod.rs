//! Devices of others: sessions that are started with them, identity keys that are accepted, and what is forgotten.

mod add_session;
mod forget;
mod identity;
mod reset;

pub use add_session::{AddError, Added};
pub use identity::{IdentityError, IdentityStatus};
pub use reset::ResetError;
