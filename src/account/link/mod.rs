//! How a new device comes into an account: an offer on its screen, two sealed messages, six digits that a person types.
//!
//! The new device shows a [`LinkOffer`] as a QR code. The primary scans it ([`ScannedOffer`]) and answers through a mailbox. The
//! new device opens the answer ([`Provisioned`]), shows whose account it is and six digits, and consents. The person types the
//! digits into the primary, whose [`PendingLink`] gives the entry for the next roster.

mod answer;
mod keys;
mod offer;

pub use answer::{PendingLink, ScannedOffer};
pub use keys::{LinkDigits, LinkError};
pub use offer::{LinkOffer, Provisioned};
