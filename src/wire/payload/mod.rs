//! What stands inside a ciphertext of suite V1.

mod content;
mod outward;
#[cfg(test)]
mod tests;
mod view;
mod whole;

pub(crate) use content::FRAMED;
pub use content::{Content, UnknownPayload};
pub(crate) use outward::{Front, Outward};
pub use view::{GroupView, RosterView};
pub use whole::Payload;
