//! Devices of others: sessions that are started with them, identity keys that are accepted, what is forgotten, and
//! questions about what is known.

mod add_session;
mod forget;
mod identity;
mod peer_device;
mod reset;

pub use add_session::{AddError, Added};
pub use identity::{IdentityError, IdentityStatus};
pub use peer_device::PeerDevice;
pub use reset::ResetError;
