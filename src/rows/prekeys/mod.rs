//! One's own prekeys: which there are, and the row of each.

mod inventory;
mod rows;

pub(crate) use inventory::{Plan, Set};
pub(crate) use rows::SEEN_SHARDS;
