//! A host on SQLite: an account, its conversations, and the order in which things become durable.
//!
//! Owns: [`Host`] and its verbs; [`records`] is the table that the library asks for, [`messages`] the host's own ones,
//! [`anchor`] the counter apart from them, [`relay`] some transport.
//!
//! **One rule.** What the library wants written, the message that people see and the envelope that goes out are one
//! transaction. Envelopes are posted from the outbox, and mail is acknowledged, after it. So a process may die anywhere,
//! and several may share one file.

pub(crate) mod anchor;
pub(crate) mod messages;
pub(crate) mod records;
pub(crate) mod relay;

use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use rand_core::{Rng, UnwrapErr};
use rusqlite::Connection;
use subrosa::client::{
    ApplyError, Client, Disposition, MAX_BULK, Maintained, Operation, ReceiveError, Received, SendError, Sent,
    StageError, Want,
};
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::persist::StorageKey;
use subrosa::suite::Suites;
use subrosa::wire::Envelope;

use anchor::AnchorFile;
use messages::Incoming;
use records::{ATTEMPTS, Database, Stopped};
use relay::{Letter, Relay};

/// Whatever went wrong, told to the user.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

type Outcome = Result<Received, ReceiveError>;

/// One device of one account, over its file.
pub(crate) struct Host {
    client: Client,
    db: Database,
    anchor: AnchorFile,
    relay: Relay,
    /// Whether the file turned out to be an older copy when it was opened.
    pub(crate) rolled_back: bool,
    /// Messages that this process received.
    pub(crate) received: usize,
}

/// Randomness is the host's to give.
pub(crate) const fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// So is the time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Everyone has one device here.
pub(crate) fn address(name: &str) -> Result<Address, Failure> {
    Ok(Address::new(UserId::new(name)?, DeviceId::new(1)))
}

/// A new id for a message. The host draws it when the user presses the button, not when it sends.
pub(crate) fn message_id() -> MessageId {
    let mut id = [0; 16];
    rng().fill_bytes(&mut id);
    MessageId::new(id)
}

impl Host {
    /// Opens `name`'s account in this folder, or makes it, and does what is due.
    pub(crate) fn open(folder: &Path, name: &str, key: &StorageKey, relay: &Relay) -> Result<Self, Failure> {
        let mut db = Database::open(&folder.join(format!("{name}.sqlite")), messages::TABLES)?;
        let anchor = AnchorFile::at(&folder.join(format!("{name}.anchor")));
        let address = address(name)?;
        let create = || Client::create(key, &address, Suites::V1);
        let opened = anchor.advance(|counter| {
            let opened = db.account(key, counter, now(), create)?;
            let counter = opened.anchor;
            Ok::<_, Failure>((opened, counter))
        })?;
        if *opened.client.address() != address {
            return Err("the file is somebody else's".into());
        }
        // A process that died between a commit and this left deleted keys in the log.
        db.empty_log()?;
        let (client, rolled_back) = (opened.client, opened.rolled_back);
        let mut host = Self { client, db, anchor, relay: relay.clone(), rolled_back, received: 0 };
        if rolled_back || messages::due(host.db.sql())? <= now() {
            host.maintain()?;
        }
        host.receive_kept()?;
        host.attend()?;
        Ok(host)
    }

    /// How often somebody else was faster.
    pub(crate) const fn conflicts(&self) -> u32 {
        self.db.conflicts
    }

    /// The host's tables, to be read.
    pub(crate) const fn sql(&self) -> &Connection {
        self.db.sql()
    }

    fn run<T, E>(
        &mut self,
        operation: impl Fn(&Client) -> Operation<T, E>,
        own: impl Fn(&Connection, &T) -> rusqlite::Result<()>,
    ) -> Result<T, Stopped<E>> {
        self.db.run(ATTEMPTS, now(), || operation(&self.client), own)
    }

    /// Sends a text: the message, its envelope and the step of the ratchet in one transaction. Then [`Self::post`].
    ///
    /// Whoever does not know whether it was sent, because the process died, sends again with the same id.
    pub(crate) fn send(&mut self, id: MessageId, peer: &str, text: &str) -> Result<(), Failure> {
        self.send_with(id, peer, text.as_bytes(), |tx, sent| messages::sent(tx, sent, peer, text))
    }

    fn send_with(
        &mut self,
        id: MessageId,
        peer: &str,
        text: &[u8],
        own: impl Fn(&Connection, &Sent) -> rusqlite::Result<()>,
    ) -> Result<(), Failure> {
        let to = address(peer)?;
        loop {
            let sent = self.run(
                |client| client.send(id, &to, text),
                // What was sent before lies in the outbox, or was posted: it was written with its batch.
                |tx, sent| if sent.repeated { Ok(()) } else { own(tx, sent) },
            );
            match sent {
                Err(ApplyError::Store(StageError::Operation(SendError::NoSession))) => self.start(&to)?,
                sent => return sent.map(drop).map_err(Failure::from),
            }
        }
    }

    /// Starts a session with a device from what the relay says are its keys.
    fn start(&mut self, with: &Address) -> Result<(), Failure> {
        let bundle = self.relay.bundle(with)?.ok_or("the peer has published no prekeys")?.verify()?;
        // The signatures say that the keys belong together, not whose they are.
        if bundle.address() != with {
            return Err("the relay gave somebody else's bundle".into());
        }
        let queue = |tx: &Connection, added: &subrosa::client::Added| {
            added.repair.as_ref().map_or(Ok(()), |repair| messages::queue(tx, repair))
        };
        self.run(|client| client.add_session(&bundle), queue)?;
        Ok(())
    }

    /// Posts what is in the outbox, in its order within each lane, and forgets what the relay has taken. A lane that does
    /// not get on holds up no other.
    pub(crate) fn post(&mut self) -> Result<(), Failure> {
        let (mut stuck, mut failure) = (Vec::new(), None);
        for envelope in messages::outbox(self.db.sql())? {
            if stuck.contains(&envelope.lane) {
                continue;
            }
            let to = Envelope::parse(&envelope.bytes)?.to;
            match self.relay.post(&to, &envelope.id, &envelope.bytes) {
                Ok(()) => messages::posted(self.db.sql(), &envelope)?,
                Err(error) => {
                    stuck.push(envelope.lane);
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Receives at most so many messages of the mail box in as few transactions as others allow, and says how many there
    /// were. With 1, each has a transaction of its own.
    pub(crate) fn receive(&mut self, most: usize) -> Result<usize, Failure> {
        let letters = self.relay.mail(self.client.address(), most.min(MAX_BULK))?;
        let (mut rest, mut bulk, mut failure) = (letters.as_slice(), letters.len(), None);
        while !rest.is_empty() {
            match self.receive_some(rest.get(..bulk.min(rest.len())).unwrap_or(rest)) {
                Ok(outcomes) => {
                    rest = rest.get(outcomes.len()..).unwrap_or_default();
                    self.received += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
                    let retry = |error: &ReceiveError| error.disposition() == Disposition::Retry;
                    failure = failure.or_else(|| outcomes.into_iter().filter_map(Result::err).find(retry));
                }
                // Whoever takes much at a time loses every race against those who take little.
                Err(ApplyError::Conflict) => bulk = (bulk / 2).max(1),
                Err(error) => return Err(error.into()),
            }
        }
        if !letters.is_empty() {
            self.attend()?;
        }
        failure.map_or(Ok(letters.len()), |failure| Err(failure.into()))
    }

    /// Receives these in one transaction, or the first ones of them, and acknowledges what is dealt with.
    fn receive_some(&mut self, letters: &[Letter]) -> Result<Vec<Outcome>, Stopped<Infallible>> {
        let parsed: Vec<_> = letters.iter().map(|letter| Envelope::parse(&letter.bytes)).collect();
        // Whole ones up to the first that is not.
        let whole: Vec<_> = parsed.iter().map_while(|envelope| envelope.clone().ok()).collect();
        let outcomes = if whole.is_empty() {
            parsed.into_iter().take(1).filter_map(Result::err).map(|error| Err(ReceiveError::from(error))).collect()
        } else {
            let staged = self.client.receive_many(&whole).stage(&self.db, now(), &mut rng());
            let staged = staged.map_err(ApplyError::Store)?;
            match staged.output().iter().position(|outcome| messages::is_late(self.db.sql(), outcome)) {
                // Read long ago, and its key is gone: the library cannot know, the table of messages does. Dropped with
                // all that was staged.
                Some(0) => vec![Err(ReceiveError::Duplicate)],
                Some(at) => return self.receive_some(letters.get(..at).unwrap_or_default()),
                None => {
                    let own = |tx: &Connection, outcomes: &[Outcome]| {
                        outcomes.iter().zip(&whole).try_for_each(|(outcome, envelope)| {
                            Incoming::of(outcome, envelope).map_or(Ok(()), |incoming| incoming.write(tx))
                        })
                    };
                    let commit = staged.commit(|batch, outcomes| self.db.write(batch, |tx| own(tx, outcomes)));
                    commit.map_err(records::stopped)?
                }
            }
        };
        // It is durable: now, and not before, the relay may forget them.
        for (outcome, letter) in outcomes.iter().zip(letters) {
            if !matches!(outcome.as_ref().map_err(ReceiveError::disposition), Err(Disposition::Retry)) {
                // What stays because of an error comes again, as a duplicate.
                let _ = self.relay.acknowledge(letter);
            }
        }
        Ok(outcomes)
    }

    /// Tries again what a former version of this program had to keep.
    fn receive_kept(&mut self) -> Result<(), Failure> {
        for kept in messages::inbox(self.db.sql())? {
            let envelope = Envelope::parse(&kept.bytes)?;
            let received = self.run(
                |client| client.receive(&envelope),
                |tx, received| {
                    let outcome = Ok(received.clone());
                    Incoming::of(&outcome, &envelope).map_or(Ok(()), |incoming| incoming.write(tx))?;
                    messages::forget_kept(tx, &kept)
                },
            );
            match received {
                Err(ApplyError::Store(StageError::Operation(error))) => match error.disposition() {
                    Disposition::Ack => messages::forget_kept(self.db.sql(), &kept)?,
                    Disposition::Retry => return Err(error.into()),
                    _ => {}
                },
                received => drop(received?),
            }
        }
        Ok(())
    }

    /// Brings from the network what the library wants, and sends again what a peer device could not read.
    pub(crate) fn attend(&mut self) -> Result<(), Failure> {
        for want in self.run(Client::wants, |_, _| Ok(()))? {
            match want {
                // No prekeys, no network, another identity key that the user has to accept first: the wish stays, and is
                // heard again the next time. A real host logs it.
                Want::Bundle(device) => drop(self.start(&device)),
                Want::UploadPrekeys => self.publish()?,
                _ => {}
            }
        }
        for again in messages::to_be_sent_again(self.db.sql())? {
            // The same id whichever process does it: whoever comes second repeats the first one's envelope.
            self.send_with(again.new_id(), &again.peer, &again.text, |tx, sent| {
                messages::sent_again(tx, sent, &again)
            })?;
        }
        Ok(())
    }

    /// Uploads prekeys. The same ones come again until the last step is done.
    fn publish(&mut self) -> Result<(), Failure> {
        let left = self.relay.counts(self.client.address())?;
        for upload in self.run(|client| client.publish_prekeys(left), |_, _| Ok(()))? {
            self.relay.publish(&upload.to_bytes())?;
            // The relay has it: what it replaces there begins to age here.
            self.run(|client| client.published(upload.id), |_, _| Ok(()))?;
        }
        Ok(())
    }

    /// What is to be done once a day, and after a rollback.
    pub(crate) fn maintain(&mut self) -> Result<(), Failure> {
        if self.advance()? {
            self.publish()?;
        }
        for page in 0..=u8::MAX {
            let mut tidied = self.run(|client| client.tidy(page), |_, _| Ok(()))?;
            while let Some(next) = tidied.next {
                tidied = self.run(|client| client.tidy_on(next), |_, _| Ok(()))?;
            }
        }
        self.rest()
    }

    /// Advances the anchor: a copy of the file made before this is found out. Says whether prekeys are due.
    pub(crate) fn advance(&mut self) -> Result<bool, Failure> {
        let Self { client, db, anchor, .. } = self;
        anchor.advance(|_| {
            let own = |tx: &Connection, done: &Maintained| messages::set_due(tx, done.next_due);
            let done = db.run(ATTEMPTS, now(), || client.maintain(), own)?;
            Ok((done.prekeys_due, done.anchor.ok_or("the file went back in time: open it again")?))
        })
    }

    /// Empties the log: it holds what rows were before, keys among it. For whenever there is nothing else to do.
    pub(crate) fn rest(&mut self) -> Result<(), Failure> {
        self.db.empty_log()?;
        Ok(())
    }
}
