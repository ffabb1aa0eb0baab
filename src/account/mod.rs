//! People, not devices: account keys, the rosters that they sign, and how people know each other.
//!
//! Owns: the key that a user is known by ([`AccountKeyPair`], [`AccountKey`]); the signed list of the user's devices
//! ([`Roster`]), who may make the next one ([`NextRoster`]) and whether it is taken ([`HeldRoster`]); how a user comes to another
//! account key ([`Succession`]); how a device comes into an account ([`LinkOffer`], [`ScannedOffer`]); what people compare
//! ([`SafetyNumber`], [`SasInitiator`]). All of it is values: nothing is stored and nothing is sent here.
//!
//! **Not its concern:** who is believed at first sight, what is shown, what is kept: the client's. Sessions, prekeys, contacts.
//! Time and randomness are arguments.
//!
//! # From the outside
//!
//! What comes of a user is a [`CarriedRoster`]. At first sight its roster is [verified](UnverifiedRoster::verify) and becomes a
//! [`HeldRoster`]; from then on [`HeldRoster::take`] judges all that comes, and gives the next one to hold. The primary makes
//! rosters with [`Roster::first`] and [`Roster::next`]. `docs/protocol.md` has every byte, section 17.

mod device;
mod emoji;
mod follows;
mod fork;
mod held;
mod keys;
mod link;
mod next;
mod roster;
mod safety;
mod sas;
mod succession;
#[cfg(test)]
mod tests;

pub use device::RosterDevice;
pub use emoji::SasEmoji;
pub use follows::{FollowsError, RosterChanges};
pub use fork::RosterFork;
pub use held::{HeldRoster, TakeError, Taken};
pub use keys::{AccountKey, AccountKeyPair, RecoveryKey, RecoveryKeyPair};
pub use link::{LinkDigits, LinkError, LinkOffer, PendingLink, Provisioned, ScannedOffer};
pub use next::{NextRoster, NextRosterError};
pub use roster::{Recovery, Roster, RosterError, UnverifiedRoster};
pub use safety::{SafetyNumber, ScanError};
pub use sas::{SasCode, SasError, SasInitiator, SasParty, SasResponder};
pub use succession::{CarriedRoster, Step, Succession, SuccessionError};
