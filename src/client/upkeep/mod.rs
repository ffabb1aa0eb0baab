//! What is due from time to time: the anchor, prekeys, what is old.

mod maintain;
mod tidy;

pub use maintain::{MaintainError, Maintained};
pub use tidy::{Tidied, TidyFrom};
