//! The directory of rosters: what a server asks before it stores one.

mod check;

pub use check::{RosterRefusal, check_roster, check_succession};
