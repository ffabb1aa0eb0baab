//! The host's own tables: what people see, what goes out, what is kept for a newer version.

use rusqlite::{Connection, OptionalExtension, params};
use subrosa::client::{Disposition, Identity, Outgoing, ReceiveError, Received, Sent};
use subrosa::ident::{Address, MessageId, MessageName, Timestamp};
use subrosa::report::PartKind;
use subrosa::wire::Envelope;

pub(crate) const TABLES: &str = "
    -- What people see. `id` is what a message of one's own was sent under: its text is found by it, should its recipient not
    -- be able to read it.
    CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB UNIQUE, peer TEXT NOT NULL,
        mine INTEGER NOT NULL, text BLOB NOT NULL, new_key INTEGER NOT NULL DEFAULT 0);
    -- What was read, of each device, by the names that both sides know it by. A name stays when its message is deleted: else
    -- what comes again would be asked for, and what people have deleted would be back.
    CREATE TABLE IF NOT EXISTS read (user TEXT NOT NULL, device INTEGER NOT NULL, name BLOB NOT NULL,
        PRIMARY KEY (user, device, name)) WITHOUT ROWID;
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

/// A message that was read.
pub(crate) struct Read<'a> {
    from: &'a Address,
    name: MessageName,
    /// The one that could not be read, and in whose place this one is.
    answers: Option<MessageName>,
    /// What there is to be shown of it.
    text: Option<&'a [u8]>,
    new_key: bool,
}

/// What a received envelope means for the host's tables.
pub(crate) enum Incoming<'a> {
    Read(Read<'a>),
    Reply(&'a Outgoing),
    Gap { from: &'a Address, gone: usize, dropped: u64 },
    Keep(Vec<u8>),
}

impl<'a> Incoming<'a> {
    pub(crate) fn of(outcome: &'a Result<Received, ReceiveError>, envelope: &Envelope) -> Option<Self> {
        let is_changed = |identity: &Identity| matches!(identity, Identity::Changed(_));
        match outcome {
            Ok(Received::Message(message)) => Some(Self::Read(Read {
                from: message.sender(),
                name: message.name(),
                answers: message.answers(),
                text: message.plaintext(),
                new_key: is_changed(message.identity()),
            })),
            // This host offers no reports: it shows what a framed message says, and keeps nothing that proves it.
            Ok(Received::Framed(framed)) => Some(Self::Read(Read {
                from: &framed.from,
                name: framed.name,
                answers: framed.answers,
                text: framed.accepted.parts.iter().find(|part| part.kind() == PartKind::TEXT).map(|part| part.body()),
                new_key: is_changed(&framed.identity),
            })),
            // What it asks for, `wants` tells; what is gone is said at once.
            Ok(Received::RepairRequest(request)) => request.reply.as_ref().map(Self::Reply),
            Ok(Received::Gone(gone)) => Some(Self::Gap { from: &gone.from, gone: gone.names.len(), dropped: 0 }),
            // The library asks for it; the oldest of very many it gives up.
            Ok(Received::Unreadable(unreadable)) if unreadable.dropped > 0 => {
                Some(Self::Gap { from: &unreadable.from, gone: 0, dropped: unreadable.dropped })
            }
            Err(error) if error.disposition() == Disposition::Later => Some(Self::Keep(envelope.to_bytes())),
            // Other errors: nothing has happened.
            _ => None,
        }
    }

    pub(crate) fn write(&self, tx: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Read(read) => read.write(tx),
            Self::Reply(reply) => queue(tx, reply),
            Self::Gap { from, gone, dropped } => {
                let insert = "INSERT INTO gap VALUES (?1, ?2, ?3, ?4)
                    ON CONFLICT DO UPDATE SET gone = gone + ?3, dropped = max(dropped, ?4)";
                let (gone, dropped) = (i64::try_from(*gone).unwrap_or(i64::MAX), i64::try_from(*dropped).unwrap_or(i64::MAX));
                let values = params![from.user().as_str(), from.device().get(), gone, dropped];
                tx.prepare_cached(insert)?.execute(values).map(drop)
            }
            Self::Keep(bytes) => {
                tx.prepare_cached("INSERT INTO inbox (bytes) VALUES (?1)")?.execute([bytes])?;
                Ok(())
            }
        }
    }
}

impl Read<'_> {
    /// Notes by which names it is known, and shows it, unless one of them is known: then it was shown, in this wrapping or
    /// as what it answers.
    fn write(&self, tx: &Connection) -> rusqlite::Result<()> {
        let Self { from, name, answers, text, new_key } = self;
        let (mut note, mut shown) = (Vec::from([*name]), is_read(tx, from, name)?);
        if let Some(answers) = answers {
            shown |= is_read(tx, from, answers)?;
            // Whoever has another key than the known one does not say what was read of the device.
            if !new_key {
                note.push(*answers);
            }
        }
        let mut insert = tx.prepare_cached("INSERT INTO read VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
        for name in note {
            insert.execute(params![from.user().as_str(), from.device().get(), name.as_bytes()])?;
        }
        if let Some(text) = text.filter(|_| !shown) {
            let insert = "INSERT INTO message (peer, mine, text, new_key) VALUES (?1, 0, ?2, ?3)";
            tx.prepare_cached(insert)?.execute(params![from.user().as_str(), text, new_key])?;
        }
        Ok(())
    }
}

/// Whether a message of the device was read, under this name. Nobody else's message has a say in it.
fn is_read(db: &Connection, from: &Address, name: &MessageName) -> rusqlite::Result<bool> {
    let mut query = db.prepare_cached("SELECT 1 FROM read WHERE user = ?1 AND device = ?2 AND name = ?3")?;
    query.exists(params![from.user().as_str(), from.device().get(), name.as_bytes()])
}

/// Whether a message that cannot be read is one that was. It was staged after that one was committed, with its row.
pub(crate) fn is_late(db: &Connection, outcome: &Result<Received, ReceiveError>) -> rusqlite::Result<bool> {
    let Ok(Received::Unreadable(unreadable)) = outcome else { return Ok(false) };
    is_read(db, &unreadable.from, &unreadable.name)
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
