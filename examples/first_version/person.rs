//! A person's program: one SQLite file, in which the library's rows and the messages that people see change together.

use std::net::TcpStream;
use std::path::Path;

use subrosa::client::{Client, Disposition, Outgoing, PeerDevice, PrekeyCounts, Received, RunError, SendError, Task};
use subrosa::crypto::PublicKey;
use subrosa::ident::{Address, MessageId, Timestamp};
use subrosa::persist::StorageKey;
use subrosa::prekey::{Bundle, UnverifiedBundle};
use subrosa::sqlite::rusqlite::{self, OptionalExtension as _};
use subrosa::sqlite::{Connection, RollbackCounterFile, Sqlite};
use subrosa::suite::Suites;
use subrosa::wire::Envelope;

use super::{Failure, address, rng, wire};

const TABLES: &str = "
    -- `done`: one's own message is sent; one of the other person's was shown.
    CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB UNIQUE, mine INTEGER NOT NULL,
        text TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, envelope BLOB NOT NULL);
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
        self.db.sql().execute("INSERT INTO message (id, mine, text) VALUES (?1, 1, ?2)", (id.as_bytes(), text))?;
        Ok(())
    }

    /// Does all that is to be done; without network some of it, and the rest the next time. The mail comes first: much of
    /// what is missing may lie in it.
    pub(crate) fn synchronize(&self) -> Result<(), Failure> {
        self.receive()?;
        self.work_off()?;
        self.send()?;
        self.post()
    }

    fn receive(&self) -> Result<(), Failure> {
        let mail = self.ask("mail", self.client.address(), &[])?;
        let (letters, _) = mail.as_chunks::<2>();
        let envelopes: Vec<&Vec<u8>> = letters.iter().map(|[_, envelope]| envelope).collect();
        let now = Timestamp::now();
        let outcomes =
            self.db.receive(&self.client, &envelopes, now, &mut rng(), |tx, arrival| match arrival.outcome {
                Ok(Received::Message(message)) if arrival.is_new => {
                    show(tx, &String::from_utf8_lossy(message.plaintext().unwrap_or_default()))
                }
                Ok(Received::RepairRequest(request)) => request.reply.iter().try_for_each(|reply| queue(tx, reply)),
                Ok(Received::ResendDeclined(_)) => show(tx, "(A message is lost for good.)"),
                Err(error) if error.disposition() == Disposition::Later => {
                    tx.execute("INSERT INTO later VALUES (?1)", [arrival.bytes]).map(drop)
                }
                _ => Ok(()),
            })?;
        // It is durable: now, and not before, the server may forget it.
        for (outcome, [seq, _]) in outcomes.iter().zip(letters) {
            if outcome.as_ref().err().is_none_or(|error| error.disposition() != Disposition::Retry) {
                self.ask("forget", self.client.address(), seq)?;
            }
        }
        Ok(())
    }

    /// What the library wants done from the network, or from the table of messages.
    fn work_off(&self) -> Result<(), Failure> {
        for task in self.client.todo().run(&self.db, Timestamp::now(), &mut rng(), |_, _| Ok(()))? {
            match task {
                // Where it cannot be had, or its key has to be accepted first, the task comes again.
                Task::FetchBundle(device) => drop(self.start_session(&device)),
                Task::Resend { address, message_id } => {
                    let query = "SELECT text FROM message WHERE id = ?1 AND mine";
                    let row = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
                    let text = self.db.sql().query_row(query, [message_id.as_bytes()], row).optional()?;
                    let answer = self.client.answer(message_id, &address, text.as_deref().map(str::as_bytes));
                    let queue_all = |tx: &mut rusqlite::Transaction<'_>, answer: &Option<Outgoing>| {
                        answer.iter().try_for_each(|outgoing| queue(tx, outgoing))
                    };
                    match answer.run(&self.db, Timestamp::now(), &mut rng(), queue_all) {
                        Ok(_) | Err(RunError::Operation(_)) => {} // or it waits, for instance for an hour
                        Err(error) => return Err(error.into()),
                    }
                }
                // The server has no directory: devices know each other by their identity keys alone.
                Task::FetchRoster(_) | Task::PublishRoster | Task::Wipe => {}
                Task::PublishPrekeys => self.publish()?,
                Task::Maintain => drop(self.db.maintain(&self.counter, &self.client, Timestamp::now(), &mut rng())?),
            }
        }
        Ok(())
    }

    fn publish(&self) -> Result<(), Failure> {
        let counts = self.ask("counts", self.client.address(), &[])?;
        let count = |at: usize| counts.get(at)?.as_slice().try_into().ok().map(u32::from_be_bytes);
        let left = PrekeyCounts { one_time: count(0).unwrap_or(0), one_time_kem: count(1).unwrap_or(0) };
        for upload in self.client.publish_prekeys(left).run(&self.db, Timestamp::now(), &mut rng(), |_, _| Ok(()))? {
            self.ask("publish", self.client.address(), &upload.to_bytes())?;
            self.client.published(upload.id).run(&self.db, Timestamp::now(), &mut rng(), |_, _| Ok(()))?;
        }
        Ok(())
    }

    /// Starts a session with a device, from what the server says are its keys.
    fn start_session(&self, device: &Address) -> Result<(), Failure> {
        let bundle = self.bundle(device)?;
        let add = self.client.add_session(&bundle);
        add.run(&self.db, Timestamp::now(), &mut rng(), |tx, added| {
            added.repair.iter().try_for_each(|question| queue(tx, question))
        })?;
        Ok(())
    }

    fn bundle(&self, device: &Address) -> Result<Bundle, Failure> {
        let answer = self.ask("bundle", device, &[])?;
        let bytes = answer.first().ok_or("the other person was not here yet: it is sent as soon as they were")?;
        let bundle = UnverifiedBundle::parse(bytes)?.verify()?;
        if bundle.address() == device { Ok(bundle) } else { Err("the server gave somebody else's keys".into()) }
    }

    fn send(&self) -> Result<(), Failure> {
        for (id, text) in self.texts("mine AND NOT done")? {
            let send = || {
                let send = self.client.send(MessageId::new(id), &self.peer, text.as_bytes());
                // That it is sent, the envelope and the step of the ratchet: all of it is stored, or nothing.
                send.run(&self.db, Timestamp::now(), &mut rng(), |tx, sent| {
                    tx.execute("UPDATE message SET done = 1 WHERE id = ?1", [id])?;
                    sent.outgoing().iter().try_for_each(|outgoing| queue(tx, outgoing))
                })
            };
            match send() {
                Err(RunError::Operation(SendError::NoSession)) => {
                    self.start_session(&self.peer)?;
                    send()?;
                }
                sent => drop(sent?),
            }
        }
        Ok(())
    }

    fn post(&self) -> Result<(), Failure> {
        let mut query = self.db.sql().prepare("SELECT seq, envelope FROM outbox ORDER BY seq")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        for (seq, envelope) in rows.collect::<Result<Vec<_>, _>>()? {
            self.ask("post", &Envelope::parse(&envelope)?.to, &envelope)?;
            self.db.sql().execute("DELETE FROM outbox WHERE seq = ?1", [seq])?;
        }
        Ok(())
    }

    /// What came and was not shown yet.
    pub(crate) fn news(&self) -> Result<Vec<String>, Failure> {
        let texts = self.texts("NOT mine AND NOT done")?.into_iter().map(|(_, text)| text).collect();
        self.db.sql().execute("UPDATE message SET done = 1 WHERE NOT mine", [])?;
        Ok(texts)
    }

    pub(crate) fn texts(&self, which: &str) -> Result<Vec<([u8; 16], String)>, Failure> {
        let query = format!("SELECT ifnull(id, zeroblob(16)), text FROM message WHERE {which} ORDER BY seq");
        let mut query = self.db.sql().prepare(&query)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Both keys, to be compared: one's own, and that of the other person's device, as it is now.
    pub(crate) fn keys(&self) -> Result<[PublicKey; 2], Failure> {
        let own = self.client.identity_key().run(&self.db, Timestamp::now(), &mut rng(), |_, _| Ok(()))?;
        let peer = self.client.peer(&self.peer).run(&self.db, Timestamp::now(), &mut rng(), |_, _| Ok(()))?;
        let theirs = match peer {
            // What it writes with now. Without a session only the server knows.
            Some(PeerDevice { changed_key: Some(key), .. }) => key,
            Some(PeerDevice { identity_key, sends_since: Some(_), .. }) => identity_key,
            _ => *self.bundle(&self.peer)?.identity_key(),
        };
        Ok([own.ok_or("there is no account")?, theirs])
    }

    /// Goes on with the key that the other person's device has now: they have got a new one, and the keys were compared.
    pub(crate) fn accept(&self) -> Result<(), Failure> {
        let [_, theirs] = self.keys()?;
        let accept = self.client.accept_identity(&self.peer, &theirs);
        Ok(accept.run(&self.db, Timestamp::now(), &mut rng(), |_, ()| Ok(()))?)
    }

    fn ask(&self, verb: &str, user: &Address, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut stream = TcpStream::connect(&self.server)?;
        wire::write(&mut stream, &[verb.as_bytes(), user.user().as_str().as_bytes(), bytes])?;
        Ok(wire::read(&mut stream)?)
    }
}

fn show(db: &Connection, text: &str) -> rusqlite::Result<()> {
    db.execute("INSERT INTO message (mine, text) VALUES (0, ?1)", [text]).map(drop)
}

fn queue(db: &Connection, outgoing: &Outgoing) -> rusqlite::Result<()> {
    db.execute("INSERT INTO outbox (envelope) VALUES (?1)", [outgoing.bytes()]).map(drop)
}
