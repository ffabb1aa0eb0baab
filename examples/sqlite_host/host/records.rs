//! The one table that the library asks for: opaque rows, compared and swapped.

use std::path::Path;
use std::time::Duration;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use subrosa::client::{
    Anchor, ApplyError, Batch, Change, Client, CreateError, OpenError, Opened, Operation, Row, StageError, Store, retry,
};
use subrosa::ident::Timestamp;
use subrosa::persist::{RecordKey, StorageKey, Version};

/// The library's table. The host's own are beside it, in the same file: only so can they change together.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS record (key BLOB PRIMARY KEY, version BLOB NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID;
";

/// So often an operation is staged, if others change its rows again and again.
pub(crate) const ATTEMPTS: u32 = 100;

/// Why an operation did not come to its end: nothing of it has happened.
pub(crate) type Stopped<E> = ApplyError<StageError<E, rusqlite::Error>>;

/// A SQLite file with the table of records and some of the host's own.
pub(crate) struct Database {
    db: Connection,
    /// How often somebody else was faster.
    pub(crate) conflicts: u32,
}

impl Database {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path, tables: &str) -> rusqlite::Result<Self> {
        let mut db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(10))?;
        // FULL: a commit is on the disk when it returns; NORMAL would lose the last ones with the power, and so take the
        // ratchet back. secure_delete: what is deleted or replaced is overwritten with zeros.
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(TABLE)?;
        tx.execute_batch(tables)?;
        tx.commit()?;
        Ok(Self { db, conflicts: 0 })
    }

    /// For what the host reads of its own tables.
    pub(crate) const fn sql(&self) -> &Connection {
        &self.db
    }

    /// Opens the account in the file, or makes it.
    pub(crate) fn account(
        &mut self,
        key: &StorageKey,
        counter: Anchor,
        now: Timestamp,
        create: impl Fn() -> Operation<Opened, CreateError>,
    ) -> Result<Opened, Stopped<OpenError>> {
        loop {
            match self.run(ATTEMPTS, now, || Client::open(key, counter), |_, _| Ok(())) {
                Err(ApplyError::Store(StageError::Operation(OpenError::NoAccount))) => {}
                opened => return opened,
            }
            match self.run(ATTEMPTS, now, &create, |_, _| Ok(())) {
                Ok(created) => return Ok(created),
                // Another process was faster: open that one.
                Err(ApplyError::Store(StageError::Operation(_)) | ApplyError::Conflict) => {}
                Err(ApplyError::Store(StageError::Store(error))) => {
                    return Err(ApplyError::Store(StageError::Store(error)));
                }
                Err(_) => return Err(ApplyError::Store(StageError::Rows)),
            }
        }
    }

    /// Stages an operation, then commits it with the host's own rows; does it again as long as somebody else is faster, at
    /// most so often.
    pub(crate) fn run<T, E>(
        &mut self,
        attempts: u32,
        now: Timestamp,
        operation: impl Fn() -> Operation<T, E>,
        own: impl Fn(&Connection, &T) -> rusqlite::Result<()>,
    ) -> Result<T, Stopped<E>> {
        retry(attempts, || {
            let staged = operation().stage(&*self, now, &mut UnwrapErr(SysRng)).map_err(ApplyError::Store)?;
            staged.commit(|batch, output| self.write(batch, |tx| own(tx, output)).map_err(stopped))
        })
    }

    /// Writes a batch and the host's own rows in one durable transaction, or nothing of either.
    ///
    /// No transaction was open while the batch was computed. IMMEDIATE takes the one lock for writing at the start, so
    /// what is compared in here stays true until the commit.
    pub(crate) fn write(
        &mut self,
        batch: &Batch,
        own: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), ApplyError<rusqlite::Error>> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // An early return drops the transaction, which rolls it back.
        let applied = batch.apply(|change| apply(&tx, change));
        self.conflicts += u32::from(matches!(applied, Err(ApplyError::Conflict)));
        applied?;
        own(&tx)?;
        tx.commit()?;
        if batch.erases() {
            // The write-ahead log still has the deleted key. The batch is durable: an error here undoes nothing.
            let _ = self.empty_log();
        }
        Ok(())
    }

    /// Moves the write-ahead log into the database and cuts it to nothing. `false` if somebody was reading: try later.
    pub(crate) fn empty_log(&self) -> rusqlite::Result<bool> {
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
    }
}

/// A failed commit as what became of the operation.
pub(crate) fn stopped<E>(error: ApplyError<rusqlite::Error>) -> Stopped<E> {
    match error {
        ApplyError::Store(error) => ApplyError::Store(StageError::Store(error)),
        _ => ApplyError::Conflict,
    }
}

impl Store for Database {
    type Error = rusqlite::Error;

    fn load(&self, keys: &[RecordKey]) -> rusqlite::Result<Vec<Option<Row>>> {
        // All of one moment: a transaction that reads, and locks nobody out. It is over when this returns.
        let tx = self.db.unchecked_transaction()?;
        let mut query = tx.prepare_cached("SELECT version, bytes FROM record WHERE key = ?1")?;
        let row = |row: &rusqlite::Row<'_>| Ok(Row { version: Version::from_bytes(row.get(0)?), bytes: row.get(1)? });
        keys.iter().map(|key| query.query_row([key.as_bytes()], row).optional()).collect()
    }
}

/// One change of one row. `false`: the row does not have the version that it should.
fn apply(tx: &Connection, change: &Change) -> rusqlite::Result<bool> {
    let rows = match change {
        Change::Put { key, bytes, expect: None, version } => tx
            .prepare_cached("INSERT INTO record VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
            .execute(params![key.as_bytes(), version.as_bytes(), bytes])?,
        Change::Put { key, bytes, expect: Some(expect), version } => tx
            .prepare_cached("UPDATE record SET version = ?2, bytes = ?3 WHERE key = ?1 AND version = ?4")?
            .execute(params![key.as_bytes(), version.as_bytes(), bytes, expect.as_bytes()])?,
        Change::Delete { key, expect } => tx
            .prepare_cached("DELETE FROM record WHERE key = ?1 AND version = ?2")?
            .execute(params![key.as_bytes(), expect.as_bytes()])?,
        Change::Check { key, expect } => {
            let mut query = tx.prepare_cached("SELECT version FROM record WHERE key = ?1")?;
            let found: Option<[u8; Version::LEN]> = query.query_row([key.as_bytes()], |row| row.get(0)).optional()?;
            usize::from(found == expect.map(|version| *version.as_bytes()))
        }
        // A kind of change that this host does not know must not be passed over.
        _ => 0,
    };
    Ok(rows == 1)
}
