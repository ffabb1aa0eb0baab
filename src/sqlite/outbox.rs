use std::collections::BTreeSet;
use std::vec::Vec;

use rusqlite::{Connection, OptionalExtension as _};

use super::file::Sqlite;
use crate::client::Outgoing;

/// `lane`: those of one lane go out in the order of `seq`.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS subrosa_outbox
        (seq INTEGER PRIMARY KEY AUTOINCREMENT, lane BLOB NOT NULL, envelope BLOB NOT NULL);
";

/// Puts envelopes into the outbox of the file, in the transaction of their batch: there they are until [`Sqlite::post`] has
/// brought them to the server.
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

impl Sqlite {
    /// The envelopes in the outbox, oldest first: committed, and not posted yet.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn outbox(&self) -> rusqlite::Result<Vec<Vec<u8>>> {
        let mut query = self.sql().prepare_cached("SELECT envelope FROM subrosa_outbox ORDER BY seq")?;
        query.query_map([], |row| row.get(0))?.collect()
    }

    /// Gives every envelope in the outbox to `post`, and deletes those that the server has taken. Whoever dies in between
    /// posts the same bytes again; the recipient's library knows them.
    ///
    /// Envelopes to one device go out in the order in which they were committed. One that cannot be posted holds up those
    /// behind it to its device, and no others; they wait for the next call.
    ///
    /// # Errors
    ///
    /// The first of `post`'s, when all that could be posted is posted; SQLite's at once.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn post(db: &subrosa::sqlite::Sqlite, post_to: impl Fn(&subrosa::ident::Address, &[u8]) -> std::io::Result<()>)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use subrosa::wire::Envelope;
    /// db.post(|envelope| Ok::<_, Box<dyn std::error::Error>>(post_to(&Envelope::parse(envelope)?.to, envelope)?))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn post<E: From<rusqlite::Error>>(&self, mut post: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let (mut stuck, mut failure) = (BTreeSet::new(), None);
        for (seq, lane) in self.queued()? {
            if stuck.contains(&lane) {
                continue;
            }
            // None: another process has posted it in the meantime.
            let Some(envelope) = self.envelope(seq)? else { continue };
            match post(&envelope) {
                Ok(()) => drop(self.sql().execute("DELETE FROM subrosa_outbox WHERE seq = ?1", [seq])?),
                Err(error) => {
                    stuck.insert(lane);
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Where the envelopes are, and in which lanes: not the envelopes, which may be many.
    fn queued(&self) -> rusqlite::Result<Vec<(i64, [u8; 16])>> {
        let mut query = self.sql().prepare_cached("SELECT seq, lane FROM subrosa_outbox ORDER BY seq")?;
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    fn envelope(&self, seq: i64) -> rusqlite::Result<Option<Vec<u8>>> {
        let mut query = self.sql().prepare_cached("SELECT envelope FROM subrosa_outbox WHERE seq = ?1")?;
        query.query_row([seq], |row| row.get(0)).optional()
    }
}
