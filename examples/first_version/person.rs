//! A person's program: one SQLite file, in which the library's rows and the messages that people see change together.

use std::net::TcpStream;
use std::path::Path;

use subrosa::client::{Client, Disposition, Operation, PeerDevice, PrekeyCounts, Received, RunError, Task};
use subrosa::crypto::{PublicKey, system_rng as rng};
use subrosa::ident::{Address, MessageId, Timestamp};
use subrosa::persist::StorageKey;
use subrosa::prekey::{Bundle, UnverifiedBundle};
use subrosa::sqlite::rusqlite::{self, Params};
use subrosa::sqlite::{Connection, RollbackCounterFile, Sqlite, queue};
use subrosa::suite::Suites;
use subrosa::wire::Envelope;

use super::{Failure, address, wire};

const TABLES: &str = "
    -- `done`: one's own message is sent; one of the other person's was shown.
    CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB UNIQUE, mine INTEGER NOT NULL,
        text BLOB NOT NULL, done INTEGER NOT NULL DEFAULT 0);
    -- What only a newer version of this program can read.
    CREATE TABLE IF NOT EXISTS later (envelope BLOB NOT NULL);
";

pub(crate) struct Person {
    client: Client,
    db: Sqlite,
    counter: RollbackCounterFile,
    server: String,
    peer: Address,
}

impl Person {
    pub(crate) fn open(folder: &Path, me: &str, peer: &str, key: &StorageKey, server: &str) -> Result<Self, Failure> {
        let db = Sqlite::open(&folder.join(format!("{me}.sqlite")), TABLES)?;
        let counter = RollbackCounterFile::at(&folder.join(format!("{me}.counter")));
        let opened = db.account(&counter, key, &address(me)?, Suites::V1, Timestamp::now(), &mut rng())?;
        Ok(Self { client: opened.client, db, counter, server: server.into(), peer: address(peer)? })
    }

    /// Keeps what was typed, before anything else. The id is drawn here, once: whatever is tried later is the same message.
    pub(crate) fn write(&self, text: &str) -> Result<(), Failure> {
        let id = MessageId::random(&mut rng());
        self.db
            .sql()
            .execute("INSERT INTO message (id, mine, text) VALUES (?1, 1, ?2)", (id.as_bytes(), text.as_bytes()))?;
        Ok(())
    }

    /// Does all that is to be done; without network some of it, and the rest the next time. The mail comes first: much of
    /// what is missing may lie in it.
    pub(crate) fn synchronize(&self) -> Result<(), Failure> {
        self.receive()?;
        self.work_off()?;
        self.send()?;
        self.db.post(|envelope| self.ask("post", &Envelope::parse(envelope)?.to, envelope).map(drop))
    }

    fn receive(&self) -> Result<(), Failure> {
        let mail = self.ask("mail", self.client.address(), &[])?;
        let (letters, _) = mail.as_chunks::<2>();
        let envelopes: Vec<&Vec<u8>> = letters.iter().map(|[_, envelope]| envelope).collect();
        let now = Timestamp::now();
        let outcomes =
            self.db.receive(&self.client, &envelopes, now, &mut rng(), |tx, arrival| match arrival.outcome {
                _ if arrival.disposition() == Disposition::Later => {
                    tx.execute("INSERT INTO later VALUES (?1)", [arrival.bytes]).map(drop)
                }
                Ok(Received::Message(message)) if arrival.is_new => show(tx, message.plaintext().unwrap_or_default()),
                Ok(Received::RepairRequest(request)) => queue(tx, &request.reply),
                Ok(Received::ResendDeclined(_)) => show(tx, b"(A message is lost for good.)"),
                _ => Ok(()),
            })?;
        // It is durable: now, and not before, the server may forget it.
        for (outcome, [seq, _]) in outcomes.iter().zip(letters) {
            if Disposition::of(outcome) != Disposition::Retry {
                self.ask("forget", self.client.address(), seq)?;
            }
        }
        Ok(())
    }

    /// What the library wants done from the network, or from the table of messages.
    fn work_off(&self) -> Result<(), Failure> {
        for task in self.run(self.client.todo())? {
            match task {
                // What fails here comes again: when the network is there, when the new key is accepted, after an hour.
                Task::FetchBundle(device) => drop(self.start_session(&device)),
                Task::Resend { address, message_id } => drop(self.resend(message_id, &address)),
                // The server has no directory: devices know each other by their identity keys alone.
                Task::FetchRoster(_) | Task::PublishRoster | Task::Wipe => {}
                Task::PublishPrekeys => self.publish()?,
                Task::Maintain => drop(self.db.maintain(&self.counter, &self.client, Timestamp::now(), &mut rng())?),
            }
        }
        Ok(())
    }

    /// Sends again what a device could not read; if it is not in the table any more, the device is told.
    fn resend(&self, id: MessageId, device: &Address) -> Result<(), Failure> {
        let sent = self.texts("mine AND id = ?1", [id.as_bytes()])?;
        let answer = self.client.answer(id, device, sent.first().map(|(_, text)| text.as_bytes()));
        answer.run(&self.db, Timestamp::now(), &mut rng(), |tx, answer| queue(tx, answer))?;
        Ok(())
    }

    fn publish(&self) -> Result<(), Failure> {
        let left = self.ask("counts", self.client.address(), &[])?.concat().as_slice().try_into()?;
        for upload in self.run(self.client.publish_prekeys(PrekeyCounts::from_bytes(left)))? {
            self.ask("publish", self.client.address(), &upload.to_bytes())?;
            self.run(self.client.published(upload.id))?;
        }
        Ok(())
    }

    /// Starts a session with a device, from what the server says are its keys.
    fn start_session(&self, device: &Address) -> Result<(), Failure> {
        let add = self.client.add_session(&self.bundle(device)?);
        add.run(&self.db, Timestamp::now(), &mut rng(), |tx, added| queue(tx, &added.repair))?;
        Ok(())
    }

    fn bundle(&self, device: &Address) -> Result<Bundle, Failure> {
        let answer = self.ask("bundle", device, &[])?;
        let bytes = answer.first().ok_or("the other person was not here yet: it is sent as soon as they were")?;
        Ok(UnverifiedBundle::parse(bytes)?.verify_for(device)?)
    }

    fn send(&self) -> Result<(), Failure> {
        for (id, text) in self.texts("mine AND NOT done", [])? {
            if self.run(self.client.peer(&self.peer))?.is_none_or(|peer| peer.sends_since.is_none()) {
                self.start_session(&self.peer)?;
            }
            let send = self.client.send(MessageId::new(id), &self.peer, text.as_bytes());
            // That it is sent, the envelope and the step of the ratchet: all of it is stored, or nothing.
            send.run(&self.db, Timestamp::now(), &mut rng(), |tx, sent| {
                tx.execute("UPDATE message SET done = 1 WHERE id = ?1", [id])?;
                queue(tx, sent.outgoing())
            })?;
        }
        Ok(())
    }

    /// What came and was not shown yet.
    pub(crate) fn news(&self) -> Result<Vec<String>, Failure> {
        let texts = self.texts("NOT mine AND NOT done", [])?.into_iter().map(|(_, text)| text).collect();
        self.db.sql().execute("UPDATE message SET done = 1 WHERE NOT mine", [])?;
        Ok(texts)
    }

    pub(crate) fn texts(&self, which: &str, of: impl Params) -> Result<Vec<([u8; 16], String)>, Failure> {
        let query = format!("SELECT ifnull(id, zeroblob(16)), text FROM message WHERE {which} ORDER BY seq");
        let mut query = self.db.sql().prepare(&query)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let rows = query.query_map(of, |row| Ok((row.get(0)?, text(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Both keys, to be compared: one's own, and that of the other person's device, as it is now.
    pub(crate) fn keys(&self) -> Result<[PublicKey; 2], Failure> {
        let own = self.run(self.client.identity_key())?.ok_or("there is no account")?;
        let theirs = match self.run(self.client.peer(&self.peer))? {
            // What it writes with now. Without a session only the server knows.
            Some(PeerDevice { changed_key: Some(key), .. }) => key,
            Some(PeerDevice { identity_key, sends_since: Some(_), .. }) => identity_key,
            _ => *self.bundle(&self.peer)?.identity_key(),
        };
        Ok([own, theirs])
    }

    /// Goes on with the key that the other person's device has now: they have got a new one, and the keys were compared.
    pub(crate) fn accept(&self) -> Result<(), Failure> {
        let [_, theirs] = self.keys()?;
        Ok(self.run(self.client.accept_identity(&self.peer, &theirs))?)
    }

    /// Runs an operation with which nothing of this program's own is written.
    fn run<T, E>(&self, operation: Operation<T, E>) -> Result<T, RunError<E, rusqlite::Error>> {
        operation.run(&self.db, Timestamp::now(), &mut rng(), |_, _| Ok(()))
    }

    fn ask(&self, verb: &str, user: &Address, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut stream = TcpStream::connect(&self.server)?;
        wire::write(&mut stream, &[verb.as_bytes(), user.user().as_str().as_bytes(), bytes])?;
        Ok(wire::read(&mut stream)?)
    }
}

fn show(db: &Connection, text: &[u8]) -> rusqlite::Result<()> {
    db.execute("INSERT INTO message (mine, text) VALUES (0, ?1)", [text]).map(drop)
}
