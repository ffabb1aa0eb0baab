//! A host on SQLite: an account, its conversations, and the order in which things become durable.
//!
//! Owns: [`Host`] and its verbs; [`messages`] is the host's own tables, [`relay`] some transport. The library's rows, the names
//! of what was read, the outbox and the rollback counter are [`subrosa::sqlite`]'s.
//!
//! **One rule.** What the library wants written, the message that people see and the envelope that goes out are one
//! transaction. Envelopes are posted from the outbox, and mail is acknowledged, after it. So a process may die anywhere,
//! and several may share one file.

pub(crate) mod messages;
pub(crate) mod relay;

use std::error::Error;
use std::path::Path;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use subrosa::client::{Client, Disposition, RunError, SendError, Task};
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::persist::StorageKey;
use subrosa::sqlite::{Connection, RollbackCounterFile, Sqlite, queue};
use subrosa::suite::Suites;

use relay::Relay;

/// Whatever went wrong, told to the user.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// One device of one account, over its file.
pub(crate) struct Host {
    pub(crate) client: Client,
    pub(crate) db: Sqlite,
    pub(crate) rollback_counter: RollbackCounterFile,
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
    Timestamp::now()
}

/// Everyone has one device here.
pub(crate) fn address(name: &str) -> Result<Address, Failure> {
    Ok(Address::new(UserId::new(name)?, DeviceId::new(1)))
}

/// A new id for a message. The host draws it when the user presses the button, not when it sends.
pub(crate) fn message_id() -> MessageId {
    MessageId::random(&mut rng())
}

impl Host {
    /// Opens `name`'s account in this folder, or makes it.
    pub(crate) fn open(folder: &Path, name: &str, key: &StorageKey, relay: &Relay) -> Result<Self, Failure> {
        let db = Sqlite::open(&folder.join(format!("{name}.sqlite")), messages::TABLES)?;
        let rollback_counter = RollbackCounterFile::at(&folder.join(format!("{name}.counter")));
        let opened = db.account(&rollback_counter, key, &address(name)?, Suites::V1, now(), &mut rng())?;
        let (client, rolled_back) = (opened.client, opened.rolled_back);
        let mut host = Self { client, db, rollback_counter, relay: relay.clone(), rolled_back, received: 0 };
        host.receive_later()?;
        // The rest of what is to be done waits for the mail: much of what is missing may lie in it.
        host.work_off(|task| matches!(task, Task::PublishPrekeys | Task::Maintain))?;
        Ok(host)
    }

    /// The host's tables, to be read.
    pub(crate) const fn sql(&self) -> &Connection {
        self.db.sql()
    }

    /// Sends a text: the message, its envelope and the step of the ratchet in one transaction. Then [`Self::post`].
    ///
    /// Whoever does not know whether it was sent, because the process died, sends again with the same id.
    pub(crate) fn send(&mut self, id: MessageId, peer: &str, text: &str) -> Result<(), Failure> {
        let to = address(peer)?;
        loop {
            let send = self.client.send(id, &to, text.as_bytes());
            match send.run(&self.db, now(), &mut rng(), |tx, sent| messages::sent(tx, sent, peer, text)) {
                Err(RunError::Operation(SendError::NoSession)) => self.start(&to)?,
                sent => return sent.map(drop).map_err(Failure::from),
            }
        }
    }

    /// Starts a session with a device from what the relay says are its keys.
    fn start(&mut self, with: &Address) -> Result<(), Failure> {
        let bundle = self.relay.bundle(with)?.ok_or("the peer has published no prekeys")?.verify_for(with)?;
        // Questions for what could not be read of the device go out like messages.
        let add = self.client.add_session(&bundle);
        add.run(&self.db, now(), &mut rng(), |tx, added| queue(tx, &added.repair))?;
        Ok(())
    }

    /// Posts what is in the outbox, and forgets what the relay has taken.
    pub(crate) fn post(&mut self) -> Result<(), Failure> {
        self.db.post(|envelope| self.relay.post(envelope))
    }

    /// Receives at most so many messages of the mail box, then does what is to be done; says how many there were. With 1,
    /// each has a transaction of its own.
    pub(crate) fn receive(&mut self, most: usize) -> Result<usize, Failure> {
        let letters = self.relay.mail(self.client.address(), most)?;
        let outcomes = self.db.receive(&self.client, &letters, now(), &mut rng(), messages::arrived)?;
        // It is durable: now, and not before, the relay may forget it.
        let mut failure = None;
        for (outcome, letter) in outcomes.into_iter().zip(&letters) {
            self.received += usize::from(outcome.is_ok());
            match outcome.err().filter(|error| error.disposition() == Disposition::Retry) {
                // What stays because of an error comes again, as a duplicate.
                None => drop(self.relay.acknowledge(letter)),
                Some(error) => failure = Some(error),
            }
        }
        // Also where nothing came: what waits for its time may be due.
        self.work_off(|_| true)?;
        failure.map_or(Ok(letters.len()), |failure| Err(failure.into()))
    }

    /// Tries again what a former version of this program had to keep.
    fn receive_later(&self) -> Result<(), Failure> {
        let waiting = messages::inbox(self.db.sql())?;
        let outcomes = self.db.receive(&self.client, &waiting, now(), &mut rng(), messages::arrived)?;
        for (outcome, later) in outcomes.into_iter().zip(&waiting) {
            if let Some(error) = outcome.err().filter(|error| error.disposition() == Disposition::Retry) {
                return Err(error.into());
            }
            // What is to be kept further has got another row.
            messages::forget_later(self.db.sql(), later)?;
        }
        Ok(())
    }

    /// Does what the library says is to be done, as far as it is `wanted` now.
    fn work_off(&mut self, wanted: impl Fn(&Task) -> bool) -> Result<(), Failure> {
        let tasks = self.client.todo().run(&self.db, now(), &mut rng(), |_, _| Ok(()))?;
        for task in tasks.into_iter().filter(wanted) {
            match task {
                // No prekeys, no network, another identity key that the user has to accept first: the task comes again. A
                // real host logs it.
                Task::FetchBundle(device) => drop(self.start(&device)),
                Task::Resend { address, message_id } => self.answer(message_id, &address)?,
                // The server has no directory: devices know each other by their identity keys alone.
                Task::FetchRoster(_) | Task::PublishRoster | Task::Wipe => {}
                Task::PublishPrekeys => self.publish()?,
                Task::Maintain => self.maintain()?,
            }
        }
        Ok(())
    }

    /// Sends again what a device asks for, or tells it that this was deleted. The library knows whether it may have it.
    fn answer(&self, id: MessageId, device: &Address) -> Result<(), Failure> {
        let text = messages::sent_text(self.db.sql(), id, device.user().as_str())?;
        let answer = self.client.answer(id, device, text.as_deref());
        match answer.run(&self.db, now(), &mut rng(), |tx, answer| queue(tx, answer)) {
            // Another process was faster, or it waits: for the next hour, for a session, for the user's decision. A real
            // host logs it.
            Ok(_) | Err(RunError::Operation(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Uploads prekeys. The same ones come again until the last step is done.
    fn publish(&self) -> Result<(), Failure> {
        let left = self.relay.counts(self.client.address())?;
        for upload in self.client.publish_prekeys(left).run(&self.db, now(), &mut rng(), |_, _| Ok(()))? {
            self.relay.publish(&upload.to_bytes())?;
            // The relay has it: what it replaces there begins to age here.
            self.client.published(upload.id).run(&self.db, now(), &mut rng(), |_, _| Ok(()))?;
        }
        Ok(())
    }

    /// What is to be done once a day. It advances the rollback counter: a copy of the file made before this is found out.
    pub(crate) fn maintain(&self) -> Result<(), Failure> {
        let done = self.db.maintain(&self.rollback_counter, &self.client, now(), &mut rng())?;
        done.rollback_counter.map(drop).ok_or_else(|| "the file went back in time: open it again".into())
    }
}
