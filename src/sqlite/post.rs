use std::collections::BTreeSet;
use std::vec::Vec;

use super::file::Sqlite;
use super::outbox::{envelope, posted, queued};

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
    /// behind it to its device, and no others; they wait for the next call. Where the network is gone `post` is called once for
    /// each device all the same: let it fail at once.
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
        for (seq, lane) in queued(self.sql())? {
            if stuck.contains(&lane) {
                continue;
            }
            let Some(bytes) = envelope(self.sql(), seq)? else { continue };
            match post(&bytes) {
                Ok(()) => posted(self.sql(), seq)?,
                Err(error) => {
                    stuck.insert(lane);
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}
