//! What must be durable, and what must change together: a client's SQLite file.
//!
//! The library's rows are opaque and sealed, in tables of [`subrosa::sqlite`]; beside them are the conversation and the
//! outbox, in the clear, as they would be in many applications. **One transaction for each step:** outgoing, the library's
//! batch, the line and the envelope; incoming, the batch and the line. Whenever the process dies, it finds all of it or
//! nothing, and posts or receives the same bytes again.
//!
//! The storage key and the rollback counter are files of their own: a real application has them where its platform keeps keys.

use std::fs;
use std::io::Write;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};
use subrosa::account::Provisioned;
use subrosa::client::{Client, CreateError, Linked, Operation, Outgoing, ReceiveError, Received, RunError, Sent};
use subrosa::ident::{Address, MessageId};
use subrosa::persist::StorageKey;
use subrosa::sqlite::{AccountError, Arrival, RollbackCounterFile, Sqlite, Transaction};
use subrosa::suite::{Suite, Suites};
use subrosa::wire::RecordKind;

use crate::{Failure, client};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT, bytes);
    CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY AUTOINCREMENT, sent_as BLOB UNIQUE, peer TEXT,
        mine INTEGER, text TEXT, at INTEGER, first INTEGER, wire_len INTEGER, micros REAL);
    CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, count INTEGER);
";

/// A client's file, and the rollback counter beside it.
pub(crate) struct Store(Sqlite, RollbackCounterFile);

/// An envelope that the relay has not confirmed yet.
pub(crate) struct Queued {
    pub(crate) id: i64,
    pub(crate) device: String,
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
    /// Time to stage it, in µs: rows loaded and opened, encrypted or decrypted, rows sealed.
    pub(crate) micros: f64,
}

/// What the library has in the file.
pub(crate) struct Rows {
    pub(crate) records: u32,
    pub(crate) bytes: u32,
    /// Of the record that every message changes.
    pub(crate) peer_bytes: u32,
    pub(crate) archived: u32,
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        Ok(Self(Sqlite::open(path, TABLES)?, RollbackCounterFile::at(&path.with_extension("counter"))))
    }

    /// The account in the file, or a new one.
    pub(crate) fn account(&self, path: &Path, address: &Address, suite: Suite) -> Result<Client, Failure> {
        let key = storage_key(&path.with_extension("key"))?;
        let suites = if suite == Suite::Signal { Suites::SIGNAL } else { Suites::V1 };
        let opened = self.0.account(&self.1, &key, address, suites, client::now(), &mut client::rng())?;
        if opened.rolled_back {
            eprintln!("the file is an older copy: messages may be missing");
        }
        Ok(opened.client)
    }

    /// A new device's account, as the first device has provided for it, and what that one is told.
    pub(crate) fn link(&self, path: &Path, provisioned: &Provisioned) -> Result<Linked, Failure> {
        let key = storage_key(&path.with_extension("key"))?;
        let linked = self.1.advance(|_| {
            let create = Client::create_linked(&key, provisioned, Suites::V1);
            let linked = create.run(&self.0, client::now(), &mut client::rng(), |_, _| Ok(()))?;
            let counter = linked.opened.rollback_counter;
            Ok::<_, AccountError<CreateError>>((linked, counter))
        })?;
        Ok(linked)
    }

    /// Does what is to be done once a day.
    pub(crate) fn maintain(&self, client: &Client) -> Result<(), Failure> {
        let done = self.0.maintain(&self.1, client, client::now(), &mut client::rng())?;
        done.rollback_counter.map(drop).ok_or_else(|| "the file went back in time: start again".into())
    }

    /// Does an operation, and writes the host's own rows with it.
    pub(crate) fn run<T, E>(
        &self,
        operation: Operation<T, E>,
        own: impl Fn(&Connection, &T) -> rusqlite::Result<()>,
    ) -> Result<T, RunError<E, rusqlite::Error>> {
        operation.run(&self.0, client::now(), &mut client::rng(), |tx, output| own(tx, output))
    }

    /// Receives a message, and writes the host's own rows with it.
    pub(crate) fn receive(
        &self,
        client: &Client,
        bytes: &[u8],
        own: impl FnMut(&mut Transaction<'_>, Arrival<'_>) -> rusqlite::Result<()>,
    ) -> Result<Result<Received, ReceiveError>, Failure> {
        let mut outcomes = self.0.receive(client, &[bytes], client::now(), &mut client::rng(), own)?;
        outcomes.pop().ok_or_else(|| "no outcome".into())
    }

    /// The line that was sent to a peer under this id.
    pub(crate) fn sent_line(&self, id: MessageId, peer: &str) -> Result<Option<String>, Failure> {
        let mut query =
            self.0.sql().prepare_cached("SELECT text FROM message WHERE sent_as = ?1 AND peer = ?2 AND mine")?;
        Ok(query.query_row(params![id.as_bytes(), peer], |row| row.get(0)).optional()?)
    }

    /// The line that was sent last. Whoever was killed may have sent it to some of its recipient's devices only.
    pub(crate) fn last_sent(&self) -> Result<Option<(MessageId, String)>, Failure> {
        let mut query =
            self.0.sql().prepare_cached("SELECT sent_as, text FROM message WHERE mine ORDER BY id DESC LIMIT 1")?;
        Ok(query.query_row([], |row| Ok((MessageId::new(row.get(0)?), row.get(1)?))).optional()?)
    }

    /// What is to be posted, oldest first.
    pub(crate) fn outbox(&self) -> Result<Vec<Queued>, Failure> {
        let mut query = self.0.sql().prepare_cached("SELECT id, device, bytes FROM outbox ORDER BY id")?;
        let rows =
            query.query_map([], |row| Ok(Queued { id: row.get(0)?, device: row.get(1)?, bytes: row.get(2)? }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The relay has it, or nobody is to have it: it need not be posted again.
    pub(crate) fn posted(&self, id: i64) -> Result<(), Failure> {
        self.0.sql().prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// How many messages were sent, or received.
    pub(crate) fn count(&self, mine: bool) -> Result<usize, Failure> {
        let mut query = self.0.sql().prepare_cached("SELECT count(*) FROM message WHERE mine = ?1")?;
        Ok(query.query_row([mine], |row| row.get::<_, u32>(0))? as usize)
    }

    /// The conversation, in the order in which it was written and received here.
    pub(crate) fn lines(&self) -> Result<Vec<Line>, Failure> {
        let mut query =
            self.0.sql().prepare("SELECT peer, mine, text, at, first, wire_len, micros FROM message ORDER BY id")?;
        let rows = query.query_map([], |row| {
            let (peer, mine, text, at) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Line { peer, mine, text, at, first: row.get(4)?, wire_len: row.get(5)?, micros: row.get(6)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Counts something that is worth telling.
    pub(crate) fn add_to_tally(&self, name: &str, count: u32) -> Result<(), Failure> {
        Ok(tally(self.0.sql(), name, count)?)
    }

    pub(crate) fn tally(&self, name: &str) -> Result<u32, Failure> {
        let mut query = self.0.sql().prepare_cached("SELECT count FROM tally WHERE name = ?1")?;
        Ok(query.query_row([name], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// All that can be told of sealed rows: their kinds and sizes.
    pub(crate) fn rows(&self) -> Result<Rows, Failure> {
        let query = "SELECT count(*), sum(length(bytes)), sum(length(bytes) * (substr(key, 1, 1) = ?1)),
            sum(substr(key, 1, 1) = ?2) FROM subrosa_record";
        let kinds = [[RecordKind::Peer.number()], [RecordKind::Archived.number()]];
        Ok(self.0.sql().query_row(query, kinds, |row| {
            let (records, bytes, peer_bytes) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Rows { records, bytes, peer_bytes, archived: row.get(3)? })
        })?)
    }
}

/// Puts an envelope into the outbox.
pub(crate) fn put_outgoing(tx: &Connection, outgoing: &Outgoing) -> rusqlite::Result<()> {
    let values = params![client::device_name(outgoing.to()), outgoing.bytes()];
    tx.prepare_cached("INSERT INTO outbox (device, bytes) VALUES (?1, ?2)")?.execute(values)?;
    Ok(())
}

/// Puts into the outbox what was sent, and takes out what was for devices that are gone.
pub(crate) fn put_sent(tx: &Connection, sent: &Sent) -> rusqlite::Result<()> {
    for gone in &sent.outdated {
        tx.prepare_cached("DELETE FROM outbox WHERE device = ?1")?.execute([client::device_name(gone)])?;
    }
    sent.outgoing().iter().try_for_each(|outgoing| put_outgoing(tx, outgoing))
}

/// Puts a line into the conversation; with the id that it was sent under, if it is one's own: sent to more devices later, it
/// is one line.
pub(crate) fn put_line(tx: &Connection, line: &Line, sent_as: Option<MessageId>) -> rusqlite::Result<()> {
    let Line { peer, mine, text, at, first, wire_len, micros } = line;
    let insert = "INSERT INTO message (peer, mine, text, at, first, wire_len, micros, sent_as)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    let sent_as = sent_as.as_ref().map(MessageId::as_bytes);
    tx.prepare_cached(insert)?.execute(params![peer, mine, text, at, first, wire_len, micros, sent_as])?;
    Ok(())
}

pub(crate) fn tally(tx: &Connection, name: &str, count: u32) -> rusqlite::Result<()> {
    let statement = "INSERT INTO tally VALUES (?1, ?2) ON CONFLICT DO UPDATE SET count = count + ?2";
    tx.prepare_cached(statement)?.execute(params![name, count])?;
    Ok(())
}

/// Deletes the file of an account that was wiped, and what is beside it.
pub(crate) fn erase(path: &Path) -> Result<(), Failure> {
    let beside = ["sqlite-wal", "sqlite-shm", "key", "counter", "lock"];
    for file in beside.map(|extension| path.with_extension(extension)).iter().filter(|file| file.exists()) {
        fs::remove_file(file)?;
    }
    Ok(fs::remove_file(path)?)
}

/// The key in the file, or a new one. Written beside it and put in its place, so that it is there whole or not at all.
fn storage_key(path: &Path) -> Result<StorageKey, Failure> {
    if !path.exists() {
        let (key, new) = (StorageKey::random(&mut client::rng()), path.with_extension("new-key"));
        let mut file = fs::File::create(&new)?;
        file.write_all(key.expose())?;
        file.sync_all()?;
        fs::rename(new, path)?;
    }
    Ok(StorageKey::new(fs::read(path)?.as_slice().try_into()?))
}
