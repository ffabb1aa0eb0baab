//! The host's own tables: what people see, what goes out, what is kept for a newer version.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use subrosa::client::{Disposition, Identity, Outgoing, ReceiveError, Received, Sent};
use subrosa::ident::{MessageId, Timestamp};
use subrosa::report::PartKind;
use subrosa::wire::Envelope;

pub(crate) const TABLES: &str = "
    -- What people see. `hash` names the ciphertext: of a sent one, should its recipient not be able to read it; of a
    -- received one, should it come again when its key is long gone.
    CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB UNIQUE, peer TEXT NOT NULL,
        mine INTEGER NOT NULL, text BLOB NOT NULL, hash BLOB, again INTEGER NOT NULL DEFAULT 0,
        new_key INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX IF NOT EXISTS message_hash ON message (hash);
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

/// A message that its recipient could not read.
pub(crate) struct Again {
    seq: i64,
    hash: [u8; 32],
    pub(crate) peer: String,
    pub(crate) text: Vec<u8>,
}

impl Again {
    /// The id that it is sent again under.
    pub(crate) fn new_id(&self) -> MessageId {
        let [id, _] = self.hash.as_chunks().0 else { return MessageId::new([0; 16]) };
        MessageId::new(*id)
    }
}

/// A row of the inbox.
pub(crate) struct Kept {
    seq: i64,
    pub(crate) bytes: Vec<u8>,
}

/// What a received envelope means for the host's tables.
pub(crate) enum Incoming<'a> {
    Text { peer: &'a str, text: &'a [u8], new_key: bool, hash: [u8; 32] },
    SendAgain(&'a [[u8; 32]]),
    Keep(Vec<u8>),
}

impl<'a> Incoming<'a> {
    pub(crate) fn of(outcome: &'a Result<Received, ReceiveError>, envelope: &Envelope) -> Option<Self> {
        let hash = Sha256::digest(&envelope.body).into();
        match outcome {
            Ok(Received::Message(message)) => Some(Self::Text {
                peer: message.sender().user().as_str(),
                text: message.plaintext()?,
                new_key: matches!(message.identity(), Identity::Changed(_)),
                hash,
            }),
            // This host offers no reports: it shows what a framed message says, and keeps nothing that proves it.
            Ok(Received::Framed(framed)) => Some(Self::Text {
                peer: framed.from.user().as_str(),
                text: framed.accepted.parts.iter().find(|part| part.kind() == PartKind::TEXT)?.body(),
                new_key: matches!(framed.identity, Identity::Changed(_)),
                hash,
            }),
            Ok(Received::RepairRequest(request)) => Some(Self::SendAgain(&request.messages)),
            Err(error) if error.disposition() == Disposition::Later => Some(Self::Keep(envelope.to_bytes())),
            // Unreadable: the library asks for what it needs. Errors: nothing has happened.
            _ => None,
        }
    }

    pub(crate) fn write(&self, tx: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Text { peer, text, new_key, hash } => {
                let insert = "INSERT INTO message (peer, mine, text, new_key, hash) VALUES (?1, 0, ?2, ?3, ?4)";
                tx.prepare_cached(insert)?.execute(params![peer, text, new_key, hash])?;
            }
            Self::SendAgain(hashes) => {
                let mut update = tx.prepare_cached("UPDATE message SET again = 1 WHERE hash = ?1 AND mine")?;
                for hash in *hashes {
                    update.execute([hash])?;
                }
            }
            Self::Keep(bytes) => {
                tx.prepare_cached("INSERT INTO inbox (bytes) VALUES (?1)")?.execute([bytes])?;
            }
        }
        Ok(())
    }
}

/// Whether a message that cannot be read is one that was. It was staged after that one was committed, with its row.
pub(crate) fn is_late(db: &Connection, outcome: &Result<Received, ReceiveError>) -> bool {
    let Ok(Received::Unreadable(unreadable)) = outcome else { return false };
    let query = db.prepare_cached("SELECT 1 FROM message WHERE hash = ?1 AND NOT mine");
    query.and_then(|mut query| query.exists([unreadable.hash])).unwrap_or(false)
}

/// A message that is sent: what people see, and what goes out.
pub(crate) fn sent(tx: &Connection, sent: &Sent, peer: &str, text: &str) -> rusqlite::Result<()> {
    let insert = "INSERT INTO message (id, peer, mine, text, hash) VALUES (?1, ?2, 1, ?3, ?4)";
    let values = params![sent.message_id.as_bytes(), peer, text.as_bytes(), hash(sent)];
    tx.prepare_cached(insert)?.execute(values)?;
    queue(tx, sent.outgoing())
}

/// A message that is sent once more, under another id: the same for people.
pub(crate) fn sent_again(tx: &Connection, sent: &Sent, again: &Again) -> rusqlite::Result<()> {
    let update = "UPDATE message SET id = ?2, hash = ?3, again = 0 WHERE seq = ?1";
    tx.execute(update, params![again.seq, sent.message_id.as_bytes(), hash(sent)])?;
    queue(tx, sent.outgoing())
}

fn hash(sent: &Sent) -> [u8; 32] {
    Sha256::digest(&sent.outgoing().envelope().body).into()
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

/// What peers could not read.
pub(crate) fn to_be_sent_again(db: &Connection) -> rusqlite::Result<Vec<Again>> {
    let mut query = db.prepare_cached("SELECT seq, hash, peer, text FROM message WHERE again")?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Again { seq: row.get(0)?, hash: row.get(1)?, peer: row.get(2)?, text: row.get(3)? })
    };
    query.query_map([], row)?.collect()
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
