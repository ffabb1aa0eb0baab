//! A host's database in a SQLite file, feature `sqlite`: the library's rows and the host's own tables, changed together.
//!
//! Owns: [`Sqlite`], a [`Database`](crate::client::Database) whose commits are on the disk when they return, whose deleted keys
//! are gone from it, and which several processes share; the table of [names](note_read) of what was read; the
//! [outbox](Sqlite::post); [`RollbackCounterFile`], the counter that finds out an older copy of the file. So it keeps what
//! docs/storage.md asks of a host, but for what only the host can: its messages, where the storage key is kept, and what is
//! left out of backups.
//!
//! **Not its concern:** transport, and what the host's own tables look like.
//!
//! With the feature `sqlite` it is the system's SQLite, with `sqlite-bundled` one that is built with the crate. `rusqlite` is
//! part of the interface ([`Connection`]) and is re-exported.
//!
//! # Examples
//!
//! Alice sends a message: the ratchet and her outbox in one transaction.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("subrosa-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
//! # let (now, key) = (subrosa::ident::Timestamp::new(1_800_000_000_000), subrosa::persist::StorageKey::new([7; 32]));
//! use subrosa::{client::*, ident::*, sqlite::*, suite::Suites};
//!
//! let tables = "CREATE TABLE IF NOT EXISTS message (id BLOB UNIQUE, text TEXT)"; // the host's own
//! let db = Sqlite::open(&folder.join("alice.sqlite"), tables)?;
//! let rollback_counter = RollbackCounterFile::at(&folder.join("alice.counter"));
//! let address = Address::new(UserId::new("alice")?, DeviceId::new(1));
//! let alice = db.account(&rollback_counter, &key, &address, Suites::V1, now, &mut rng)?.client;
//!
//! let bob = Address::new(UserId::new("bob")?, DeviceId::new(1));
//! let (id, text) = (MessageId::new([1; 16]), "Hello");
//! let sent = alice.send(id, &bob, text.as_bytes()).run(&db, now, &mut rng, |tx, sent| {
//!     tx.execute("INSERT OR IGNORE INTO message VALUES (?1, ?2)", (id.as_bytes(), text))?;
//!     queue(tx, sent.outgoing()) // nothing, if it was sent before
//! });
//! // Nobody has fetched his prekeys yet.
//! assert!(matches!(sent, Err(RunError::Operation(SendError::NoSession))));
//! # drop(db);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

mod account;
mod file;
mod names;
mod outbox;
mod post;
mod receive;
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rollback counter is a file: this room is part of a host"
)]
mod rollback_counter;

pub use rusqlite::{self, Connection, Transaction};

pub use account::AccountError;
pub use file::Sqlite;
pub use names::{note_read, was_read};
pub use outbox::queue;
pub use receive::Arrival;
pub use rollback_counter::RollbackCounterFile;
