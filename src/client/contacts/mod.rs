//! Devices of others: sessions that are started with them, identity keys that are accepted, what is forgotten, and
//! questions about what is known.

mod account_key;
mod add_session;
mod add_user;
mod contact;
mod forget;
mod identity;
mod peer_device;
mod reset;
mod user_status;

pub use account_key::AccountKeyError;
pub use add_session::{AddError, Added};
pub use add_user::{AddUserError, AddedUser};
pub use contact::KnownUser;
pub use identity::{IdentityError, IdentityStatus};
pub use peer_device::PeerDevice;
pub use reset::ResetError;
pub use user_status::{AccountStatus, UserStatus};
