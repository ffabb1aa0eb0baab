//! The account of a database: made, opened, sealed with another storage key, wiped.

mod open;
mod wipe;

pub use open::{CreateError, OpenError, Opened, RollbackCounter};
