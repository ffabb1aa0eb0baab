//! Records as they lie in the host's database: under keys that say nothing, sealed, bound to their place and version.
//!
//! Owns: the host's [`StorageKey`] and what is derived from it, the [`RecordKey`] and the [`Version`] of a row, sealing
//! and opening, and telling a wrong storage key, damage and a newer schema apart.
//!
//! **Not its concern:** what a record holds, when it is read or written, where rows lie.
//!
//! The vault is one row under a fixed key: the storage key opens it, and it holds the data key that all other rows are
//! keyed and sealed with. So deleting one row makes all others unreadable, and another storage key costs one row.
//!
//! # Security
//!
//! Whoever can write the database can put a single old row back unnoticed (its version is old with it): only a rollback
//! of the whole store is found, by the rollback counter that the host gives when it opens its client.

mod keys;
mod record_key;
mod row;
mod vault;

pub use keys::StorageKey;
pub use record_key::{RecordKey, Version};

pub(crate) use keys::Keys;
pub(crate) use vault::{VaultError, open_vault, seal_vault};
