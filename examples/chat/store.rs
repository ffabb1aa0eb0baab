//! What must be durable, and what must change together: a client's SQLite file.
//!
//! **One rule for each direction.** Outgoing: the session that encrypted and the ciphertext to post are written in one
//! transaction, and only then is anything sent. Incoming: the session that decrypted, the text, and the end of the
//! prekeys that were used up are written in one transaction, and only then is the relay told to forget the message.
//! Whenever the process dies, it finds either all of it or nothing, and posts or receives the same bytes again.
//!
//! **The file is the only copy of a session.** It is read inside the transaction that writes it, so that not even two
//! processes with the same file could encrypt two messages with one key.
//!
//! **The rows are in the clear.** A real application seals every one of them with a key that it keeps elsewhere; this
//! version of the library has nothing to seal records with yet. Whoever has the file has the conversation.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use subrosa::ident::PrekeyId;
use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, PrekeyIds, PrekeySecrets, SeenBaseKeys, SignedPrekey};
use subrosa::session::{Consumed, Needs, Session};

use crate::Failure;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS device (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), bytes, next_prekey INTEGER);
    CREATE TABLE IF NOT EXISTS session (peer TEXT PRIMARY KEY, bytes);
    CREATE TABLE IF NOT EXISTS signed_prekey (id INTEGER PRIMARY KEY, bytes);
    CREATE TABLE IF NOT EXISTS seen (signed_prekey INTEGER PRIMARY KEY, bytes);
    CREATE TABLE IF NOT EXISTS one_time_prekey (id INTEGER PRIMARY KEY, bytes);
    CREATE TABLE IF NOT EXISTS kem_prekey (id INTEGER PRIMARY KEY, bytes);
    CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT, first INTEGER, bytes);
    CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT, mine INTEGER, text TEXT,
        at INTEGER, first INTEGER, wire_len INTEGER, micros REAL);
    CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, count INTEGER);
";

/// A client's file.
pub(crate) struct Store(Connection);

/// A transaction: all of it, or nothing.
pub(crate) struct Batch<'a>(Transaction<'a>);

/// A ciphertext that the relay has not confirmed yet.
pub(crate) struct Outgoing {
    pub(crate) id: i64,
    pub(crate) peer: String,
    pub(crate) first: bool,
    pub(crate) bytes: Vec<u8>,
}

/// A line of the conversation, and what it cost.
pub(crate) struct Line {
    pub(crate) peer: String,
    pub(crate) mine: bool,
    pub(crate) text: String,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) first: bool,
    pub(crate) wire_len: u32,
    /// Time to encrypt or decrypt it, in µs.
    pub(crate) micros: f64,
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let db = Connection::open(path)?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        // FULL: a commit is on the disk when it returns. secure_delete: a deleted key is overwritten.
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")?;
        db.execute_batch(TABLES)?;
        Ok(Self(db))
    }

    pub(crate) fn begin(&mut self) -> Result<Batch<'_>, Failure> {
        // Immediate: what is read in here stays true until the commit.
        Ok(Batch(self.0.transaction_with_behavior(TransactionBehavior::Immediate)?))
    }

    pub(crate) fn device(&self) -> Result<Option<Device>, Failure> {
        let bytes = self.bytes("SELECT bytes FROM device", &[])?;
        Ok(bytes.map(|bytes| Device::from_bytes(&bytes)).transpose()?)
    }

    pub(crate) fn session(&self, peer: &str) -> Result<Option<Session>, Failure> {
        let bytes = self.bytes("SELECT bytes FROM session WHERE peer = ?1", &[&peer])?;
        Ok(bytes.map(|bytes| Session::from_bytes(&bytes)).transpose()?)
    }

    /// What is to be posted, oldest first.
    pub(crate) fn outbox(&self) -> Result<Vec<Outgoing>, Failure> {
        let mut query = self.0.prepare_cached("SELECT id, peer, first, bytes FROM outbox ORDER BY id")?;
        let rows = query.query_map([], |row| {
            Ok(Outgoing { id: row.get(0)?, peer: row.get(1)?, first: row.get(2)?, bytes: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The relay has it: it need not be posted again.
    pub(crate) fn posted(&self, id: i64) -> Result<(), Failure> {
        self.0.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// How many messages were sent, or received.
    pub(crate) fn count(&self, mine: bool) -> Result<usize, Failure> {
        let mut query = self.0.prepare_cached("SELECT count(*) FROM message WHERE mine = ?1")?;
        Ok(query.query_row([mine], |row| row.get::<_, u32>(0))? as usize)
    }

    /// The conversation, in the order in which it was written and received here.
    pub(crate) fn lines(&self) -> Result<Vec<Line>, Failure> {
        let mut query =
            self.0.prepare("SELECT peer, mine, text, at, first, wire_len, micros FROM message ORDER BY id")?;
        let rows = query.query_map([], |row| {
            let (peer, mine, text, at) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Line { peer, mine, text, at, first: row.get(4)?, wire_len: row.get(5)?, micros: row.get(6)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn tally(&self, name: &str) -> Result<u32, Failure> {
        let mut query = self.0.prepare_cached("SELECT count FROM tally WHERE name = ?1")?;
        Ok(query.query_row([name], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    fn bytes(&self, query: &str, key: &[&dyn rusqlite::ToSql]) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.0.prepare_cached(query)?.query_row(key, |row| row.get(0)).optional()?)
    }
}

/// Reads in a batch see what the batch has written.
impl Batch<'_> {
    pub(crate) fn commit(self) -> Result<(), Failure> {
        Ok(self.0.commit()?)
    }

    pub(crate) fn session(&self, peer: &str) -> Result<Option<Session>, Failure> {
        let bytes = self.bytes("SELECT bytes FROM session WHERE peer = ?1", peer)?;
        Ok(bytes.map(|bytes| Session::from_bytes(&bytes)).transpose()?)
    }

    pub(crate) fn put_session(&self, peer: &str, session: &Session) -> Result<(), Failure> {
        self.run("REPLACE INTO session VALUES (?1, ?2)", params![peer, *session.to_bytes()])
    }

    /// Puts a ciphertext into the outbox and gives it its id.
    pub(crate) fn put_outgoing(&self, peer: &str, first: bool, bytes: &[u8]) -> Result<i64, Failure> {
        self.run("INSERT INTO outbox (peer, first, bytes) VALUES (?1, ?2, ?3)", params![peer, first, bytes])?;
        Ok(self.0.last_insert_rowid())
    }

    pub(crate) fn put_line(&self, line: &Line) -> Result<(), Failure> {
        let Line { peer, mine, text, at, first, wire_len, micros } = line;
        self.run(
            "INSERT INTO message (peer, mine, text, at, first, wire_len, micros) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![peer, mine, text, at, first, wire_len, micros],
        )
    }

    pub(crate) fn put_device(&self, device: &Device, ids: &PrekeyIds) -> Result<(), Failure> {
        self.run("REPLACE INTO device VALUES (1, ?1, ?2)", params![*device.to_bytes(), ids.next_id().get()])
    }

    pub(crate) fn prekey_ids(&self) -> Result<PrekeyIds, Failure> {
        let next = self.0.query_row("SELECT next_prekey FROM device", [], |row| row.get(0))?;
        Ok(PrekeyIds::resume(PrekeyId::new(next)))
    }

    pub(crate) fn put_signed(&self, prekey: &SignedPrekey) -> Result<(), Failure> {
        let values = params![prekey.id().get(), *prekey.to_bytes()];
        self.run("REPLACE INTO signed_prekey VALUES (?1, ?2)", values)?;
        self.put_seen(prekey.id(), &SeenBaseKeys::default())
    }

    pub(crate) fn put_seen(&self, signed: PrekeyId, seen: &SeenBaseKeys) -> Result<(), Failure> {
        self.run("REPLACE INTO seen VALUES (?1, ?2)", params![signed.get(), seen.to_bytes()])
    }

    pub(crate) fn put_one_time(&self, prekey: &OneTimePrekey) -> Result<(), Failure> {
        self.run("REPLACE INTO one_time_prekey VALUES (?1, ?2)", params![prekey.id().get(), *prekey.to_bytes()])
    }

    pub(crate) fn put_kem(&self, prekey: &KemPrekey) -> Result<(), Failure> {
        self.run("REPLACE INTO kem_prekey VALUES (?1, ?2)", params![prekey.id().get(), *prekey.to_bytes()])
    }

    /// The prekeys that a first message was made with, unless one that every message needs is gone.
    pub(crate) fn prekeys(&self, needs: &Needs) -> Result<Option<Prekeys>, Failure> {
        let signed = self.bytes("SELECT bytes FROM signed_prekey WHERE id = ?1", needs.signed.get())?;
        let kem = self.bytes("SELECT bytes FROM kem_prekey WHERE id = ?1", needs.kem.get())?;
        let seen = self.bytes("SELECT bytes FROM seen WHERE signed_prekey = ?1", needs.signed.get())?;
        let one_time = needs.one_time.map(PrekeyId::get);
        let one_time = self.bytes("SELECT bytes FROM one_time_prekey WHERE id = ?1", one_time)?;
        let (Some(signed), Some(kem), Some(seen)) = (signed, kem, seen) else { return Ok(None) };
        Ok(Some(Prekeys {
            signed: SignedPrekey::from_bytes(&signed)?,
            kem: KemPrekey::from_bytes(&kem)?,
            one_time: one_time.map(|bytes| OneTimePrekey::from_bytes(&bytes)).transpose()?,
            seen: SeenBaseKeys::from_bytes(&seen)?,
        }))
    }

    /// The end of prekeys that were used up.
    pub(crate) fn delete_prekeys(&self, consumed: Consumed) -> Result<(), Failure> {
        let Consumed { one_time, kem } = consumed;
        self.run("DELETE FROM one_time_prekey WHERE id = ?1", [one_time.map(PrekeyId::get)])?;
        self.run("DELETE FROM kem_prekey WHERE id = ?1", [kem.map(PrekeyId::get)])
    }

    /// Counts something that is worth telling.
    pub(crate) fn add_to_tally(&self, name: &str, count: u32) -> Result<(), Failure> {
        let statement = "INSERT INTO tally VALUES (?1, ?2) ON CONFLICT DO UPDATE SET count = count + ?2";
        self.run(statement, params![name, count])
    }

    fn bytes(&self, query: &str, key: impl rusqlite::ToSql) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.0.prepare_cached(query)?.query_row([key], |row| row.get(0)).optional()?)
    }

    fn run(&self, statement: &str, values: impl rusqlite::Params) -> Result<(), Failure> {
        self.0.prepare_cached(statement)?.execute(values)?;
        Ok(())
    }
}

/// Prekeys as they were found in the file.
pub(crate) struct Prekeys {
    signed: SignedPrekey,
    kem: KemPrekey,
    one_time: Option<OneTimePrekey>,
    pub(crate) seen: SeenBaseKeys,
}

impl Prekeys {
    pub(crate) const fn secrets(&mut self) -> PrekeySecrets<'_> {
        PrekeySecrets { signed: &self.signed, kem: &self.kem, one_time: self.one_time.as_ref(), seen: &mut self.seen }
    }
}
