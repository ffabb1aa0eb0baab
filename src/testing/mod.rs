//! For a host's own tests: a store in memory, a seeded generator, a suite that tries the host's store, and a simulator
//! that drives two devices through a bad network, crashes and restored backups. Feature `testing`; not for an app.
//!
//! Owns: [`MemoryStore`], [`SeededRng`], [`conformance`], the reference host [`Host`], [`Forge`], [`simulator`].
//!
//! **Not its concern:** anything that an app ships. Nothing here protects anybody.

pub mod conformance;
mod forge;
mod host;
mod relay;
mod rng;
pub mod simulator;
mod store;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod streams;

pub use forge::Forge;
pub use host::{Answer, Audit, Crash, Crashed, Directory, Draft, Entry, Host, Tables};
pub use relay::{Posted, Relay};
pub use rng::SeededRng;
pub use store::{Counters, MemoryStore, Snapshot};
