//! The account of a database: made, opened, sealed with another storage key, wiped.

mod devices;
mod hand_over;
mod open;
mod recovery;
mod roster;
mod wipe;

pub use devices::{AnsweredLink, LinkDeviceError, Linked};
pub use hand_over::HandOverError;
pub use open::{CreateError, OpenError, Opened, RollbackCounter};
pub use recovery::RenewError;
pub use roster::{DeviceStanding, OwnRoster, OwnRosterError, OwnRosterUpdate};
