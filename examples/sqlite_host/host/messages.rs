//! The host's own tables: what people see, what is kept for a newer version.

use rusqlite::{Connection, OptionalExtension as _, params};
use subrosa::client::{Disposition, IdentityStatus, Received, Sent};
use subrosa::ident::{Address, MessageId};
use subrosa::report::{Part, PartKind};
use subrosa::sqlite::{Arrival, Transaction, queue};

pub(crate) const TABLES: &str = "
    -- What people see. `id` is what a message of one's own was sent under: its text is found by it, should its recipient not
    -- be able to read it.
    CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB UNIQUE, peer TEXT NOT NULL,
        mine INTEGER NOT NULL, text BLOB NOT NULL, new_key INTEGER NOT NULL DEFAULT 0);
    -- How many messages are missing for good: their sender has them no more, or they were too many to be asked for.
    CREATE TABLE IF NOT EXISTS gap (user TEXT NOT NULL, device INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (user, device)) WITHOUT ROWID;
    -- What came in and only a newer version of this program may be able to read.
    CREATE TABLE IF NOT EXISTS inbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL);
";

/// A row of the inbox.
pub(crate) struct Later {
    seq: i64,
    bytes: Vec<u8>,
}

impl AsRef<[u8]> for Later {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What the host makes of what came in, in the transaction of its batch.
pub(crate) fn arrived(tx: &mut Transaction<'_>, arrival: Arrival<'_>) -> rusqlite::Result<()> {
    if arrival.disposition() == Disposition::Later {
        let mut insert = tx.prepare_cached("INSERT INTO inbox (bytes) VALUES (?1)")?;
        return insert.execute([arrival.bytes]).map(drop);
    }
    // Of an error nothing has happened.
    let Ok(received) = arrival.outcome else { return Ok(()) };
    let is_new = arrival.is_new;
    match received {
        // It may have two names, if it was asked for; under either it may have been shown.
        Received::Message(message) if is_new => show(tx, message.sender(), message.identity(), message.plaintext()),
        // This host offers no reports: it shows what a framed message says, and keeps nothing that proves it.
        Received::Framed(framed) if is_new => {
            let text = framed.accepted.parts.iter().find(|part| part.kind() == PartKind::TEXT);
            show(tx, &framed.from, &framed.identity, text.map(Part::body))
        }
        // What it asks for is among what is to be done; that something is gone is said at once.
        Received::RepairRequest(request) => queue(tx, &request.reply),
        Received::ResendDeclined(gone) => note_gap(tx, &gone.from, gone.names.len(), 0),
        // The library asks for it; of very many it gives up the oldest.
        Received::Unreadable(unreadable) => note_gap(tx, &unreadable.from, 0, unreadable.dropped),
        // Nothing that this host shows.
        _ => Ok(()),
    }
}

fn show(tx: &Connection, from: &Address, identity: &IdentityStatus, text: Option<&[u8]>) -> rusqlite::Result<()> {
    let Some(text) = text else { return Ok(()) };
    let new_key = matches!(identity, IdentityStatus::Changed(_));
    let mut insert = tx.prepare_cached("INSERT INTO message (peer, mine, text, new_key) VALUES (?1, 0, ?2, ?3)")?;
    insert.execute(params![from.user().as_str(), text, new_key]).map(drop)
}

fn note_gap(tx: &Connection, from: &Address, gone: usize, dropped: u64) -> rusqlite::Result<()> {
    if (gone, dropped) == (0, 0) {
        return Ok(());
    }
    let insert = "INSERT INTO gap VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET gone = gone + ?3, dropped = max(dropped, ?4)";
    let [gone, dropped] = [i64::try_from(gone), i64::try_from(dropped)].map(|it| it.unwrap_or(i64::MAX));
    let values = params![from.user().as_str(), from.device().get(), gone, dropped];
    tx.prepare_cached(insert)?.execute(values).map(drop)
}

/// A message that is sent: what people see, and what goes out. What was sent before is there.
pub(crate) fn sent(tx: &Connection, sent: &Sent, peer: &str, text: &str) -> rusqlite::Result<()> {
    if sent.outgoing().is_empty() {
        return Ok(());
    }
    let insert = "INSERT INTO message (id, peer, mine, text) VALUES (?1, ?2, 1, ?3)";
    tx.prepare_cached(insert)?.execute(params![sent.message_id.as_bytes(), peer, text.as_bytes()])?;
    queue(tx, sent.outgoing())
}

/// What was sent to a peer under an id, if it was not deleted since.
pub(crate) fn sent_text(db: &Connection, id: MessageId, peer: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut query = db.prepare_cached("SELECT text FROM message WHERE id = ?1 AND peer = ?2 AND mine")?;
    query.query_row(params![id.as_bytes(), peer], |row| row.get(0)).optional()
}

/// How many messages are missing for good.
pub(crate) fn missing(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT ifnull(sum(gone + dropped), 0) FROM gap", [], |row| row.get(0))
}

/// What is kept for a newer version.
pub(crate) fn inbox(db: &Connection) -> rusqlite::Result<Vec<Later>> {
    let mut query = db.prepare_cached("SELECT seq, bytes FROM inbox ORDER BY seq")?;
    query.query_map([], |row| Ok(Later { seq: row.get(0)?, bytes: row.get(1)? }))?.collect()
}

/// It was received, or never will be.
pub(crate) fn forget_later(tx: &Connection, later: &Later) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM inbox WHERE seq = ?1")?.execute([later.seq])?;
    Ok(())
}

/// The texts that were sent, or received, in their order here.
pub(crate) fn texts(db: &Connection, mine: bool) -> rusqlite::Result<Vec<String>> {
    let mut query = db.prepare_cached("SELECT text FROM message WHERE mine = ?1 ORDER BY seq")?;
    let text = |row: &rusqlite::Row<'_>| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_blob()?).into_owned());
    query.query_map([mine], text)?.collect()
}
