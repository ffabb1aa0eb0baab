//! What is due from time to time: the rollback counter, prekeys, what is old.

mod maintain;
mod prune;

pub use maintain::{MaintainError, Maintained};
pub use prune::{PruneFrom, Pruned};
