//! A person's program: one SQLite file, in which the library's rows and the messages that people see change together.

use std::net::TcpStream;
use std::path::Path;

use subrosa::account::{CarriedRoster, SafetyNumber};
use subrosa::client::{Client, Disposition, KnownUser, Operation, PrekeyCounts, Received, RunError, Task};
use subrosa::crypto::system_rng as rng;
use subrosa::ident::{Address, MessageId, Timestamp, UserId};
use subrosa::persist::StorageKey;
use subrosa::prekey::UnverifiedBundle;
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
    peer: UserId,
}

impl Person {
    pub(crate) fn open(folder: &Path, me: &str, peer: &str, key: &StorageKey, server: &str) -> Result<Self, Failure> {
        let db = Sqlite::open(&folder.join(format!("{me}.sqlite")), TABLES)?;
        let counter = RollbackCounterFile::at(&folder.join(format!("{me}.counter")));
        let opened = db.account(&counter, key, &address(me)?, Suites::V1, Timestamp::now(), &mut rng())?;
        Ok(Self { client: opened.client, db, counter, server: server.into(), peer: UserId::new(peer)? })
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
                Err(_) if arrival.disposition() == Disposition::Later => {
                    tx.execute("INSERT INTO later VALUES (?1)", [arrival.bytes]).map(drop)
                }
                Ok(Received::Message(message)) if arrival.is_new => show(tx, message.plaintext().unwrap_or_default()),
                Ok(Received::RepairRequest(request)) => queue(tx, &request.reply),
                Ok(Received::ResendDeclined(_)) => show(tx, b"(A message is lost for good.)"),
                _ => Ok(()),
            })?;
        // It is durable: now, and not before, the server may forget it.
        for (outcome, [seq, _]) in outcomes.iter().zip(letters) {
            // What is from a device that is not known yet stays there, until the roster has come.
            let stays = match outcome {
                Ok(received) => received.disposition() == Disposition::Later,
                Err(error) => error.disposition() == Disposition::Retry,
            };
            if !stays {
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
                Task::FetchRoster(user) => drop(self.fetch_roster(&user)),
                Task::PublishRoster => self.publish_roster()?,
                // Everybody has one device here, which nobody removes. What is left of it deletes the one who deletes the files.
                Task::Wipe => self.run(self.client.wipe())?,
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
        let answer = self.ask("bundle", device, &[])?;
        let bundle = UnverifiedBundle::parse(answer.first().ok_or("there are no prekeys")?)?.verify_for(device)?;
        let add = self.client.add_session(&bundle);
        add.run(&self.db, Timestamp::now(), &mut rng(), |tx, added| queue(tx, &added.repair))?;
        Ok(())
    }

    /// Takes what the server says of somebody's devices. The library believes what the person's account key has signed.
    fn fetch_roster(&self, user: &UserId) -> Result<(), Failure> {
        let answer = self.ask("roster", &address(user.as_str())?, &[])?;
        let roster = CarriedRoster::parse(answer.first().ok_or("the person was not here yet")?)?;
        self.run(self.client.add_user(user, Some(&roster), &[]))?;
        Ok(())
    }

    /// Brings the list of one's own devices to the server: the same bytes until it is there.
    fn publish_roster(&self) -> Result<(), Failure> {
        let own = self.run(self.client.own_roster())?;
        if let (Some(upload), Some(roster)) = (own.upload(), own.pending) {
            self.ask("publish roster", self.client.address(), &upload)?;
            self.run(self.client.roster_published(roster.version()))?;
        }
        Ok(())
    }

    fn send(&self) -> Result<(), Failure> {
        for (id, text) in self.texts("mine AND NOT done", [])? {
            // The first time it wants the other person's devices, then their prekeys.
            let mut rounds = 0;
            while !self.send_one(id, &text)? {
                if rounds == 2 {
                    return Err("the other person was not here yet: it is sent as soon as they were".into());
                }
                rounds += 1;
                self.work_off()?;
            }
        }
        Ok(())
    }

    /// Sends to all devices that the person has; says whether it went to all.
    fn send_one(&self, id: [u8; 16], text: &str) -> Result<bool, Failure> {
        let send = self.client.send(MessageId::new(id), &self.peer, text.as_bytes());
        // That it is sent, the envelopes and the steps of the ratchets: all of it is stored, or nothing.
        let sent = send.run(&self.db, Timestamp::now(), &mut rng(), |tx, sent| {
            let done = !sent.roster_wanted && sent.missing.is_empty();
            tx.execute("UPDATE message SET done = ?2 WHERE id = ?1", (id, done))?;
            queue(tx, sent.outgoing())
        })?;
        Ok(!sent.roster_wanted && sent.missing.is_empty())
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

    /// What both people compare: the same on both sides, unless somebody is between.
    pub(crate) fn safety_number(&self) -> Result<String, Failure> {
        let own = self.run(self.client.own_roster())?.published.ok_or("the server was not there yet")?;
        let known = self.run(self.client.user(&self.peer))?;
        // Of another key that waits to be accepted it is that one which is compared.
        let theirs = known.and_then(|KnownUser { roster, changed, .. }| changed.or(roster));
        let theirs = theirs.ok_or("the other person was not here yet")?;
        let theirs = (&self.peer, theirs.account_key());
        Ok(SafetyNumber::new((own.user(), own.account_key()), theirs).digits())
    }

    /// Goes on with the account key that the other person has now: they have begun anew, and the numbers were compared.
    pub(crate) fn accept(&self) -> Result<(), Failure> {
        let changed = self.run(self.client.user(&self.peer))?.and_then(|known| known.changed).ok_or("nothing waits")?;
        Ok(self.run(self.client.accept_account_key(&self.peer, changed.account_key()))?)
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
