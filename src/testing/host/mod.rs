//! A host, as small as one can be that does everything right: what the simulator drives, and what an example can copy.
//!
//! Owns: [`Host`] and the tables that it keeps beside the library's rows.
//!
//! **Not its concern:** the network. Whoever drives it posts what is in its outbox and brings what it wants.

mod account;
mod audit;
mod directory;
mod framed;
mod proof;

mod mail;
mod search;
mod tables;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::{Debug, Display};

use crate::client::{Client, Operation, StoredError};
use crate::ident::{Address, Timestamp};
use crate::persist::StorageKey;
use crate::staging::{ApplyError, Batch, Staged, Step, Store as _};
use crate::testing::{MemoryStore, SeededRng, Snapshot};

pub use audit::Audit;
pub use directory::Directory;
pub use mail::Answer;
pub use tables::{Draft, Entry, Tables};

/// One device's app: a client, its database, and a place outside of it for the rollback counter.
///
/// Everything that has to hold together is written in one transaction: the batch, the message that the user reads, the
/// envelope in the outbox. A crash loses what is in memory, and nothing is in memory.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use subrosa::{ident::*, persist::StorageKey, suite::Suites, wire::Envelope};
/// use subrosa::testing::{Host, Relay, SeededRng};
/// let (now, mut relay) = (Timestamp::new(1_800_000_000_000), Relay::new());
/// let mut rng = SeededRng::new(0);
/// let mut hosts = Vec::new();
/// for (seed, name) in [(1, "alice"), (2, "bob")] {
///     let address = Address::new(UserId::new(name)?, DeviceId::new(1));
///     let mut host = Host::create(&address, Suites::V1, StorageKey::new([7; 32]), seed, now);
///     host.attend(&mut relay, now)?; // uploads its prekeys
///     hosts.push(host);
/// }
/// let (alice, mut bob) = (hosts.remove(0), hosts.remove(0));
/// # let mut alice = alice;
/// alice.write_draft(bob.address(), b"Hello, Bob");
/// alice.send_drafts(&mut relay, now)?; // finds that it has no session, fetches Bob's bundle, sends
/// for outgoing in alice.outbox() {
///     relay.post(outgoing.envelope(), &mut rng, 0, 0);
///     alice.posted(outgoing.id());
/// }
/// let envelope = Envelope::parse(&relay.take(bob.address(), &mut rng, 0).unwrap())?;
/// bob.receive(&envelope, now)?;
/// assert_eq!(bob.tables().inbox().next().unwrap().text, b"Hello, Bob");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Host {
    address: Address,
    storage_key: StorageKey,
    /// Where no backup reaches; `None` for a host that has no such place.
    keychain: Option<u64>,
    client: Client,
    /// For how many devices the client keeps sessions in memory.
    cached: usize,
    /// Whether framed messages are read, and whether what is written is framed.
    framing: bool,
    frames: bool,
    store: MemoryStore,
    tables: Tables,
    rng: SeededRng,
    crash: Option<Crash>,
    audit: Audit,
    /// Devices of which rows do not open or do not fit each other: see docs/storage.md.
    pub(super) damaged: BTreeMap<Address, StoredError>,
    /// Writes without a comparison: a defect for the simulator to find.
    pub(super) blind: bool,
}

/// The host came to its end. Nothing that was in memory is left: [`Host::open`] it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has crashed")]
pub struct Crashed;

/// Where the next commit goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Crash {
    /// The host ends before its transaction is durable.
    Before,
    /// The host ends when its transaction is durable, before it knows.
    After,
    /// The transaction is durable, and the database reports an error: the host stages again.
    Unknown,
}

/// Why a transaction came to nothing, as far as the host knows.
enum Failure {
    Again,
    Crashed,
}

impl From<Crashed> for Failure {
    fn from(_: Crashed) -> Self {
        Self::Crashed
    }
}

/// How often an operation is staged again before the host gives up: it does not happen.
const ATTEMPTS: usize = 8;

impl Host {
    /// One's own address.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The client, for what the host has no method for.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Its database: the library's rows.
    #[must_use]
    pub const fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// Its database: the host's own tables.
    #[must_use]
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// What was measured of its operations.
    #[must_use]
    pub const fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Lets the next commit go wrong.
    pub const fn crash_next(&mut self, crash: Option<Crash>) {
        self.crash = crash;
    }

    /// A backup of the database: the library's rows and the host's. The rollback counter is not in it.
    #[must_use]
    pub fn back_up(&self) -> (Snapshot, Tables) {
        (self.store.snapshot(), self.tables.clone())
    }

    /// Restores a backup. To be [opened](Self::open) next.
    pub fn restore(&mut self, backup: &(Snapshot, Tables)) {
        self.store.restore(&backup.0);
        self.tables = backup.1.clone();
    }

    /// Stages and commits an operation, again where a row was changed in the meantime. `rows` writes what the host keeps
    /// of the outcome, in the same transaction; it may run twice, so it writes the same the second time.
    ///
    /// # Errors
    ///
    /// [`Crashed`]; inside, the operation's own.
    pub fn run<T: Debug, E: Debug + Display>(
        &mut self,
        now: Timestamp,
        make: impl Fn(&Client) -> Operation<T, E>,
        rows: impl Fn(&mut Tables, &T),
    ) -> Result<Result<T, E>, Crashed> {
        self.run_unless(now, make, |_, _| false, rows)
    }

    /// The same, and what is `superfluous` is not committed.
    fn run_unless<T: Debug, E: Debug + Display>(
        &mut self,
        now: Timestamp,
        make: impl Fn(&Client) -> Operation<T, E>,
        superfluous: impl Fn(&Tables, &T) -> bool,
        rows: impl Fn(&mut Tables, &T),
    ) -> Result<Result<T, E>, Crashed> {
        let mut left = ATTEMPTS;
        loop {
            let operation = make(&self.client);
            let staged = match self.stage(operation, now) {
                Ok(staged) => staged,
                Err(error) => return Ok(Err(error)),
            };
            if superfluous(&self.tables, staged.output()) {
                return Ok(Ok(staged.committed()));
            }
            left -= 1;
            match self.commit(staged.batch(), |tables| rows(tables, staged.output())) {
                Ok(()) => return Ok(Ok(staged.committed())),
                Err(Failure::Again) if left > 0 => {}
                Err(Failure::Again) => {
                    self.audit.gave_up(core::any::type_name::<T>());
                    return Err(Crashed);
                }
                Err(Failure::Crashed) => return Err(Crashed),
            }
        }
    }

    /// Steps an operation to its end.
    pub(super) fn stage<T: Debug, E: Debug + Display>(
        &mut self,
        operation: Operation<T, E>,
        now: Timestamp,
    ) -> Result<Staged<T>, E> {
        self.stage_amid(operation, now, |_| {})
    }

    /// The same, while something else happens after the first rows were loaded.
    pub(super) fn stage_amid<T: Debug, E: Debug + Display>(
        &mut self,
        mut operation: Operation<T, E>,
        now: Timestamp,
        meanwhile: impl FnOnce(&mut Self),
    ) -> Result<Staged<T>, E> {
        let (mut rounds, mut meanwhile) = (Vec::new(), Some(meanwhile));
        loop {
            match operation.step(now, &mut self.rng) {
                Ok(Step::Need(keys)) => {
                    let Ok(rows) = self.store.load(&keys);
                    rounds.push(keys);
                    operation.supply(rows);
                    if let Some(meanwhile) = meanwhile.take() {
                        meanwhile(self);
                    }
                }
                Ok(Step::Ready(staged)) => {
                    self.audit.staged(&rounds, staged.batch(), &staged);
                    self.audit.printed(staged.output());
                    return Ok(staged);
                }
                Err(error) => {
                    self.audit.refused(&rounds, &error);
                    return Err(error);
                }
            }
        }
    }

    /// The host's transaction: the batch and rows of its own, both or neither.
    fn commit(&mut self, batch: &Batch, rows: impl FnOnce(&mut Tables)) -> Result<(), Failure> {
        let crash = self.crash.take();
        if crash == Some(Crash::Before) {
            return Err(Failure::Crashed);
        }
        if self.blind {
            self.store.write_blindly(batch);
        } else if let Err(ApplyError::Conflict | ApplyError::Store(_)) = self.store.write(batch) {
            self.audit.conflicted(batch, &self.store);
            return Err(Failure::Again);
        }
        rows(&mut self.tables);
        match crash {
            None | Some(Crash::Before) => Ok(()),
            Some(Crash::After) => Err(Failure::Crashed),
            Some(Crash::Unknown) => Err(Failure::Again),
        }
    }

    /// A number for a message.
    fn draw(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        rand_core::Rng::fill_bytes(&mut self.rng, &mut id);
        id
    }
}

#[cfg(test)]
mod tests;
