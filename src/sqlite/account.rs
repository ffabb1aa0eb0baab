use std::io;

use rand_core::CryptoRng;

use super::file::Sqlite;
use super::rollback_counter::RollbackCounterFile;
use crate::client::{Client, MaintainError, Maintained, OpenError, Opened, RunError, StoredError};
use crate::ident::{Address, Timestamp};
use crate::persist::StorageKey;
use crate::suite::Suites;

/// Why the account was not opened or not maintained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError<E> {
    /// The operation, or the database.
    #[error(transparent)]
    Run(#[from] RunError<E, rusqlite::Error>),
    /// The file of the rollback counter. What was committed before stays: the rollback counter is one behind, which is no
    /// rollback.
    #[error("the rollback counter could not be read or stored")]
    RollbackCounter(#[from] io::Error),
}

impl Sqlite {
    /// Opens the account in the file, or makes it: [`Client::open_or_create`], with the rollback counter.
    ///
    /// # Errors
    ///
    /// [`AccountError`].
    ///
    /// # Examples
    ///
    /// See the [module](super).
    pub fn account(
        &self,
        rollback_counter: &RollbackCounterFile,
        storage_key: &StorageKey,
        address: &Address,
        suites: Suites,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Opened, AccountError<OpenError>> {
        rollback_counter.advance(|counter| {
            let open = Client::open_or_create(storage_key, counter, address, suites);
            let opened = open.run(self, now, rng, |_, _| Ok(()))?;
            let rollback_counter = opened.rollback_counter;
            Ok((opened, rollback_counter))
        })
    }

    /// Does what [`Task::Maintain`](crate::client::Task::Maintain) asks for: maintains the account, with the rollback
    /// counter, prunes every page of peer devices, and empties the log.
    ///
    /// # Errors
    ///
    /// [`AccountError`]. What was done by then is done.
    ///
    /// # Examples
    ///
    /// ```
    /// # use subrosa::{client::*, ident::*, persist::StorageKey, sqlite::*, suite::Suites};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = std::env::temp_dir().join(format!("subrosa-maintain-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    /// # let (now, key) = (Timestamp::new(1_800_000_000_000), StorageKey::new([7; 32]));
    /// # let db = Sqlite::over(Connection::open_in_memory()?, "")?;
    /// # let rollback_counter = RollbackCounterFile::at(&folder.join("alice.counter"));
    /// # let address = Address::new(UserId::new("alice")?, DeviceId::new(1));
    /// # let alice = db.account(&rollback_counter, &key, &address, Suites::V1, now, &mut rng)?.client;
    /// if alice.todo().run(&db, now, &mut rng, |_, _| Ok(()))?.contains(&Task::Maintain) {
    ///     let done = db.maintain(&rollback_counter, &alice, now, &mut rng)?;
    ///     assert!(done.rollback_counter.is_some()); // else the file went back in time: open it again
    /// }
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn maintain(
        &self,
        rollback_counter: &RollbackCounterFile,
        client: &Client,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Maintained, AccountError<MaintainError>> {
        let done = rollback_counter.advance(|stored| {
            let done = client.maintain().run(self, now, rng, |_, _| Ok(()))?;
            Ok::<_, AccountError<MaintainError>>((done, done.rollback_counter.unwrap_or(stored)))
        })?;
        for page in 0..=u8::MAX {
            let mut from = Some(client.prune(page));
            while let Some(prune) = from {
                let pruned = prune.run(self, now, rng, |_, _| Ok(())).map_err(of_pruning)?;
                from = pruned.next.map(|next| client.prune_on(next));
            }
        }
        self.empty_log().map_err(RunError::Database)?;
        Ok(done)
    }
}

/// What went wrong with a page is told like what goes wrong with the account.
fn of_pruning(error: RunError<StoredError, rusqlite::Error>) -> RunError<MaintainError, rusqlite::Error> {
    match error {
        RunError::Operation(error) => RunError::Operation(error.into()),
        RunError::Conflict => RunError::Conflict,
        RunError::Database(error) => RunError::Database(error),
        RunError::Rows => RunError::Rows,
    }
}
