use std::vec::Vec;

use rusqlite::{Connection, OptionalExtension as _};

use crate::client::Outgoing;

/// `lane`: those of one lane go out in the order of `seq`.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS subrosa_outbox
        (seq INTEGER PRIMARY KEY AUTOINCREMENT, lane BLOB NOT NULL, envelope BLOB NOT NULL);
";

/// Puts envelopes into the outbox of the file, in the transaction of their batch: there they are until
/// [`Sqlite::post`](super::Sqlite::post) has brought them to the server.
///
/// # Errors
///
/// SQLite's.
///
/// # Examples
///
/// See the [module](super).
pub fn queue<'a>(tx: &Connection, outgoing: impl IntoIterator<Item = &'a Outgoing>) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached("INSERT INTO subrosa_outbox (lane, envelope) VALUES (?1, ?2)")?;
    outgoing.into_iter().try_for_each(|it| insert.execute((it.lane().as_bytes(), it.bytes())).map(drop))
}

/// Where the envelopes are, and in which lanes, in their order: not the envelopes, which may be many.
pub(super) fn queued(db: &Connection) -> rusqlite::Result<Vec<(i64, [u8; 16])>> {
    let mut query = db.prepare_cached("SELECT seq, lane FROM subrosa_outbox ORDER BY seq")?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// One of them; `None` if it was posted in the meantime.
pub(super) fn envelope(db: &Connection, seq: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut query = db.prepare_cached("SELECT envelope FROM subrosa_outbox WHERE seq = ?1")?;
    query.query_row([seq], |row| row.get(0)).optional()
}

/// The server has it.
pub(super) fn posted(db: &Connection, seq: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM subrosa_outbox WHERE seq = ?1")?.execute([seq]).map(drop)
}
