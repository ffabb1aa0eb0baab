//! The host's own tables: what people see, what goes out, what is kept for a newer version.

use rusqlite::{Connection, OptionalExtension, params};
use subrosa::client::{Disposition, Outgoing, ReceiveError, Received, Sent};
use subrosa::ident::{Address, MessageId, Timestamp};
use subrosa::report::{Part, PartKind};
use subrosa::wire::Envelope;

use super::names::Names;

pub(crate) const TABLES: &str = "
    -- What people see. `id` is what a message of one's own was sent under: its text is found by it, should its recipient not
    -- be able to read it.
    CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB UNIQUE, peer TEXT NOT NULL,
        mine INTEGER NOT NULL, text BLOB NOT NULL, new_key INTEGER NOT NULL DEFAULT 0);
    -- How many messages are missing for good: their sender has them no more, or they were too many to be asked for.
    CREATE TABLE IF NOT EXISTS gap (user TEXT NOT NULL, device INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (user, device)) WITHOUT ROWID;
    -- What goes out: in the order of `seq` within a lane.
    CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE,
        lane BLOB NOT NULL, bytes BLOB NOT NULL);
    -- What came in and only a newer version of this program may be able to read.
    CREATE TABLE IF NOT EXISTS inbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL);
    -- When to maintain the account again.
    CREATE TABLE IF NOT EXISTS due (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), at INTEGER NOT NULL);
";

/// A row of the outbox.
pub(crate) struct Queued {
    pub(crate) seq: i64,
    pub(crate) id: [u8; 16],
    pub(crate) lane: [u8; 16],
    pub(crate) bytes: Vec<u8>,
}

/// A row of the inbox.
pub(crate) struct Kept {
    seq: i64,
    pub(crate) bytes: Vec<u8>,
}

/// What a received envelope means for the host's tables.
pub(crate) enum Incoming<'a> {
    /// It was read; and what there is to be shown of it.
    Read(Names<'a>, Option<&'a [u8]>),
    /// A question, and what is said to it at once.
    Question(Names<'a>, Option<&'a Outgoing>),
    Gap {
        names: Option<Names<'a>>,
        from: &'a Address,
        gone: usize,
        dropped: u64,
    },
    Keep(Vec<u8>),
}

impl<'a> Incoming<'a> {
    pub(crate) fn of(outcome: &'a Result<Received, ReceiveError>, envelope: &Envelope) -> Option<Self> {
        match outcome {
            Ok(received @ Received::Message(message)) => Some(Self::Read(Names::of(received)?, message.plaintext())),
            // This host offers no reports: it shows what a framed message says, and keeps nothing that proves it.
            Ok(received @ Received::Framed(framed)) => {
                let text = framed.accepted.parts.iter().find(|part| part.kind() == PartKind::TEXT);
                Some(Self::Read(Names::of(received)?, text.map(Part::body)))
            }
            // What it asks for `wants` tells; that something is gone is said at once.
            Ok(received @ Received::RepairRequest(request)) => {
                Some(Self::Question(Names::of(received)?, request.reply.as_ref()))
            }
            Ok(received @ Received::Gone(gone)) => {
                Some(Self::Gap { names: Names::of(received), from: &gone.from, gone: gone.names.len(), dropped: 0 })
            }
            // The library asks for it; of very many it gives up the oldest.
            Ok(Received::Unreadable(unreadable)) if unreadable.dropped > 0 => {
                Some(Self::Gap { names: None, from: &unreadable.from, gone: 0, dropped: unreadable.dropped })
            }
            Err(error) if error.disposition() == Disposition::Later => Some(Self::Keep(envelope.to_bytes())),
            // Other errors: nothing has happened.
            _ => None,
        }
    }

    pub(crate) fn write(&self, tx: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Read(names, text) => {
                if let (true, Some(text)) = (names.note(tx)?, text) {
                    let insert = "INSERT INTO message (peer, mine, text, new_key) VALUES (?1, 0, ?2, ?3)";
                    tx.prepare_cached(insert)?.execute(params![names.from.user().as_str(), text, names.new_key])?;
                }
            }
            // Nothing to be shown; but it may come again, and is known then.
            Self::Question(names, reply) => {
                names.note(tx)?;
                reply.map_or(Ok(()), |reply| queue(tx, reply))?;
            }
            Self::Gap { names, from, gone, dropped } => {
                names.as_ref().map_or(Ok(true), |names| names.note(tx))?;
                let insert = "INSERT INTO gap VALUES (?1, ?2, ?3, ?4)
                    ON CONFLICT DO UPDATE SET gone = gone + ?3, dropped = max(dropped, ?4)";
                let [gone, dropped] = [i64::try_from(*gone), i64::try_from(*dropped)].map(|it| it.unwrap_or(i64::MAX));
                let values = params![from.user().as_str(), from.device().get(), gone, dropped];
                tx.prepare_cached(insert)?.execute(values)?;
            }
            Self::Keep(bytes) => {
                tx.prepare_cached("INSERT INTO inbox (bytes) VALUES (?1)")?.execute([bytes])?;
            }
        }
        Ok(())
    }
}

/// A message that is sent: what people see, and what goes out. What was sent before is there.
pub(crate) fn sent(tx: &Connection, sent: &Sent, peer: &str, text: &str) -> rusqlite::Result<()> {
    let Some(outgoing) = sent.outgoing() else { return Ok(()) };
    let insert = "INSERT INTO message (id, peer, mine, text) VALUES (?1, ?2, 1, ?3)";
    tx.prepare_cached(insert)?.execute(params![sent.message_id.as_bytes(), peer, text.as_bytes()])?;
    queue(tx, outgoing)
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

/// Puts an envelope into the outbox.
pub(crate) fn queue(tx: &Connection, outgoing: &Outgoing) -> rusqlite::Result<()> {
    let insert = "INSERT INTO outbox (id, lane, bytes) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(insert)?.execute(params![outgoing.id(), outgoing.lane().as_bytes(), outgoing.bytes()])?;
    Ok(())
}

/// What is to be posted, oldest first.
pub(crate) fn outbox(db: &Connection) -> rusqlite::Result<Vec<Queued>> {
    let mut query = db.prepare_cached("SELECT seq, id, lane, bytes FROM outbox ORDER BY seq")?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Queued { seq: row.get(0)?, id: row.get(1)?, lane: row.get(2)?, bytes: row.get(3)? })
    };
    query.query_map([], row)?.collect()
}

/// The relay has it.
pub(crate) fn posted(db: &Connection, envelope: &Queued) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?.execute([envelope.seq])?;
    Ok(())
}

/// What is kept for a newer version.
pub(crate) fn inbox(db: &Connection) -> rusqlite::Result<Vec<Kept>> {
    let mut query = db.prepare_cached("SELECT seq, bytes FROM inbox ORDER BY seq")?;
    query.query_map([], |row| Ok(Kept { seq: row.get(0)?, bytes: row.get(1)? }))?.collect()
}

/// It was received, or never will be.
pub(crate) fn forget_kept(tx: &Connection, kept: &Kept) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM inbox WHERE seq = ?1")?.execute([kept.seq])?;
    Ok(())
}

/// The texts that were sent, or received, in their order here.
pub(crate) fn texts(db: &Connection, mine: bool) -> rusqlite::Result<Vec<String>> {
    let mut query = db.prepare_cached("SELECT text FROM message WHERE mine = ?1 ORDER BY seq")?;
    let text = |row: &rusqlite::Row<'_>| Ok(String::from_utf8_lossy(row.get_ref(0)?.as_blob()?).into_owned());
    query.query_map([mine], text)?.collect()
}

/// When the account is to be maintained again.
pub(crate) fn due(db: &Connection) -> rusqlite::Result<Timestamp> {
    let at: Option<i64> = db.query_row("SELECT at FROM due", [], |row| row.get(0)).optional()?;
    Ok(Timestamp::new(at.map_or(0, i64::cast_unsigned)))
}

pub(crate) fn set_due(tx: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    tx.execute("REPLACE INTO due VALUES (1, ?1)", [at.get().cast_signed()])?;
    Ok(())
}
