use std::cell::Cell;
use std::path::Path;
use std::time::Duration;
use std::vec::Vec;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{names, outbox};
use crate::client::Database;
use crate::persist::{RecordKey, Version};
use crate::staging::{ApplyError, Batch, Change, Row, Store, Write};

/// The library's table. The host's own are beside it, in the same file: only so can they change together.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS subrosa_record
        (key BLOB PRIMARY KEY, version BLOB NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID;
";

/// FULL: a commit is on the disk when it returns; NORMAL would lose the last ones with the power, and so take the ratchet
/// back. fullfsync: nor does it wait in the drive's cache, where a system makes that difference. `secure_delete`: what is
/// deleted or replaced is overwritten with zeros.
const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA secure_delete = ON;
";

/// Another process's transaction is waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A SQLite file with the library's rows and the host's own tables.
///
/// A commit is durable when it returns, deleted rows are overwritten, and the write-ahead log is emptied after each batch
/// that [erases](Batch::erases). Several processes and threads may work on one file, each with a `Sqlite` of its own: nothing
/// is locked while an operation is staged, and whoever comes second stages again.
///
/// Its tables are `subrosa_record`, `subrosa_read` and `subrosa_outbox`; all other names are the host's.
///
/// # Security
///
/// Rows of the library are sealed; the host's tables are not, nor is it hidden which devices' messages were read. Keep the file
/// out of backups, as docs/storage.md says, and the [rollback counter](super::RollbackCounterFile) apart from it.
///
/// # Examples
///
/// See the [module](super).
#[derive(Debug)]
pub struct Sqlite {
    db: Connection,
    conflicts: Cell<u64>,
}

impl Sqlite {
    /// Opens a file, or makes it, with the host's `tables`: statements that may run every time, `CREATE TABLE IF NOT EXISTS`.
    ///
    /// # Errors
    ///
    /// SQLite's.
    ///
    /// # Examples
    ///
    /// See the [module](super).
    pub fn open(path: &Path, tables: &str) -> rusqlite::Result<Self> {
        Self::over(Connection::open(path)?, tables)
    }

    /// Takes a connection that the host has opened: of a file that is encrypted as a whole, or in memory, for tests.
    ///
    /// # Errors
    ///
    /// SQLite's.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use subrosa::sqlite::{Connection, Sqlite};
    /// let db = Sqlite::over(Connection::open_in_memory()?, "CREATE TABLE message (id BLOB, text BLOB)")?;
    /// assert!(db.sql().table_exists(None, "message")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn over(db: Connection, tables: &str) -> rusqlite::Result<Self> {
        db.busy_timeout(PATIENCE)?;
        db.execute_batch(PRAGMAS)?;
        let tx = Transaction::new_unchecked(&db, TransactionBehavior::Immediate)?;
        for statements in [TABLE, names::TABLE, outbox::TABLE, tables] {
            tx.execute_batch(statements)?;
        }
        tx.commit()?;
        let file = Self { db, conflicts: Cell::new(0) };
        // A process that died between a commit and this left deleted keys in the log.
        file.empty_log()?;
        Ok(file)
    }

    /// For what the host reads of its own tables, and for what it writes there that belongs to no operation.
    #[must_use]
    pub const fn sql(&self) -> &Connection {
        &self.db
    }

    /// How often somebody else was faster, since it was opened: what was staged was staged again.
    #[must_use]
    pub const fn conflicts(&self) -> u64 {
        self.conflicts.get()
    }

    /// Moves the write-ahead log into the file and cuts it to nothing. Whether it could: not while somebody reads.
    ///
    /// To be called whenever the app comes to rest: every message replaces a row, and the log has what was there before.
    ///
    /// # Errors
    ///
    /// SQLite's.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use subrosa::sqlite::{Connection, Sqlite};
    /// # let db = Sqlite::over(Connection::open_in_memory()?, "")?;
    /// assert!(db.empty_log()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn empty_log(&self) -> rusqlite::Result<bool> {
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
    }
}

impl Store for Sqlite {
    type Error = rusqlite::Error;

    fn load(&self, keys: &[RecordKey]) -> rusqlite::Result<Vec<Option<Row>>> {
        // All of one moment: a transaction that reads, and locks nobody out. It is over when this returns.
        let tx = self.db.unchecked_transaction()?;
        let mut query = tx.prepare_cached("SELECT version, bytes FROM subrosa_record WHERE key = ?1")?;
        let row = |row: &rusqlite::Row<'_>| Ok(Row { version: Version::from_bytes(row.get(0)?), bytes: row.get(1)? });
        keys.iter().map(|key| query.query_row([key.as_bytes()], row).optional()).collect()
    }
}

impl Database for Sqlite {
    type Transaction<'a> = Transaction<'a>;

    fn transact(
        &self,
        batch: &Batch,
        own: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), ApplyError<rusqlite::Error>> {
        // IMMEDIATE takes the one lock for writing at the start, so what is compared in here stays true until the commit. An
        // early return drops the transaction, which rolls it back.
        let mut tx = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
        let applied = batch.apply(|change| apply(&tx, change));
        if matches!(applied, Err(ApplyError::Conflict)) {
            self.conflicts.set(self.conflicts.get().saturating_add(1));
        }
        applied?;
        own(&mut tx)?;
        tx.commit()?;
        if batch.erases() {
            // The log still has the deleted key. The batch is durable: an error here undoes nothing, and the log is emptied
            // the next time, or when the file is opened.
            let _ = self.empty_log();
        }
        Ok(())
    }
}

/// One change of one row. Whether the row had the version that it should.
fn apply(tx: &Connection, change: &Change) -> rusqlite::Result<bool> {
    let key = change.key().as_bytes();
    let found = {
        let mut query = tx.prepare_cached("SELECT version FROM subrosa_record WHERE key = ?1")?;
        query.query_row([key], |row| row.get(0)).optional()?.map(Version::from_bytes)
    };
    if found != change.expected() {
        return Ok(false);
    }
    match change.write() {
        Write::Keep => {}
        Write::Put(Row { version, bytes }) => {
            tx.prepare_cached("REPLACE INTO subrosa_record VALUES (?1, ?2, ?3)")?.execute(params![
                key,
                version.as_bytes(),
                bytes
            ])?;
        }
        Write::Delete => {
            tx.prepare_cached("DELETE FROM subrosa_record WHERE key = ?1")?.execute([key])?;
        }
    }
    Ok(true)
}
