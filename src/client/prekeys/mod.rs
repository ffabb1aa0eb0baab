//! One's own prekeys: made, uploaded, confirmed, deleted when they are old.

mod make;
mod publish;

pub use publish::{Publication, PublishError};
