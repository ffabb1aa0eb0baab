//! A host on SQLite: an account, its conversations, and the order in which things become durable.
//!
//! Owns: [`Host`] and its verbs; [`messages`] is the host's own tables, [`relay`] some transport. The library's rows, the names
//! of what was read and the anchor are [`subrosa::sqlite`]'s.
//!
//! **One rule.** What the library wants written, the message that people see and the envelope that goes out are one
//! transaction. Envelopes are posted from the outbox, and mail is acknowledged, after it. So a process may die anywhere,
//! and several may share one file.

pub(crate) mod messages;
pub(crate) mod relay;

use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use rand_core::{Rng, UnwrapErr};
use subrosa::client::{
    Client, Database as _, Disposition, MAX_BULK, ReceiveError, Received, ResendError, RunError, SendError, Task,
};
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::persist::StorageKey;
use subrosa::session::AcceptError;
use subrosa::sqlite::{AnchorFile, Connection, Sqlite, rusqlite, was_read};
use subrosa::suite::Suites;
use subrosa::wire::Envelope;

use relay::{Letter, Relay};

/// Whatever went wrong, told to the user.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

type Outcome = Result<Received, ReceiveError>;

/// Why nothing was received at all.
type Stopped = RunError<Infallible, rusqlite::Error>;

/// One device of one account, over its file.
pub(crate) struct Host {
    pub(crate) client: Client,
    pub(crate) db: Sqlite,
    pub(crate) anchor: AnchorFile,
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
    /// Opens `name`'s account in this folder, or makes it.
    pub(crate) fn open(folder: &Path, name: &str, key: &StorageKey, relay: &Relay) -> Result<Self, Failure> {
        let db = Sqlite::open(&folder.join(format!("{name}.sqlite")), messages::TABLES)?;
        let anchor = AnchorFile::at(&folder.join(format!("{name}.anchor")));
        let opened = db.account(&anchor, key, &address(name)?, Suites::V1, now(), &mut rng())?;
        let (client, rolled_back) = (opened.client, opened.rolled_back);
        let mut host = Self { client, db, anchor, relay: relay.clone(), rolled_back, received: 0 };
        host.receive_kept()?;
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
        let bundle = self.relay.bundle(with)?.ok_or("the peer has published no prekeys")?.verify()?;
        // The signatures say that the keys belong together, not whose they are.
        if bundle.address() != with {
            return Err("the relay gave somebody else's bundle".into());
        }
        // Questions for what could not be read of the device go out like messages.
        self.client.add_session(&bundle).run(&self.db, now(), &mut rng(), |tx, added| {
            added.repair.iter().try_for_each(|question| messages::queue(tx, question))
        })?;
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

    /// Receives at most so many messages of the mail box in as few transactions as others allow, then does what is to be done;
    /// says how many there were. With 1, each has a transaction of its own.
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
                Err(RunError::Conflict) => bulk = (bulk / 2).max(1),
                Err(error) => return Err(error.into()),
            }
        }
        // Also where nothing came: what waits for its time may be due.
        self.work_off(|_| true)?;
        failure.map_or(Ok(letters.len()), |failure| Err(failure.into()))
    }

    /// Receives these in one transaction, or the first ones of them, and acknowledges what is dealt with.
    fn receive_some(&self, letters: &[Letter]) -> Result<Vec<Outcome>, Stopped> {
        let parsed: Vec<_> = letters.iter().map(|letter| Envelope::parse(&letter.bytes)).collect();
        // Whole ones up to the first that is not.
        let whole: Vec<_> = parsed.iter().map_while(|envelope| envelope.clone().ok()).collect();
        let outcomes = if whole.is_empty() {
            parsed.into_iter().take(1).filter_map(Result::err).map(|error| Err(ReceiveError::from(error))).collect()
        } else {
            self.take(&whole)?
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

    /// Receives these in one transaction with what the host makes of them, or the first ones of them. It is staged and
    /// committed by hand: where somebody else is faster, fewer are taken the next time.
    fn take(&self, envelopes: &[Envelope]) -> Result<Vec<Outcome>, Stopped> {
        let staged = self.client.receive_many(envelopes).stage(&self.db, now(), &mut rng())?;
        let late = |outcome: &Outcome| outcome.as_ref().map_or(Ok(false), |it| was_read(self.db.sql(), it));
        let late: Vec<bool> = staged.output().iter().map(late).collect::<Result<_, _>>().map_err(RunError::Database)?;
        if late.contains(&true) {
            // Read long ago, and the keys are gone: the library cannot know, the table of names does. All that was staged is
            // dropped, and what is left of it received without them.
            drop(staged);
            let others = envelopes.iter().zip(&late).filter(|(_, late)| !**late);
            let others: Vec<_> = others.map(|(envelope, _)| envelope.clone()).collect();
            let mut others = if others.is_empty() { Vec::new() } else { self.take(&others)? }.into_iter();
            let outcome = |late| if late { Some(Err(ReceiveError::Duplicate)) } else { others.next() };
            return Ok(late.into_iter().map_while(outcome).collect());
        }
        let own = |tx: &Connection, outcomes: &[Outcome]| {
            outcomes.iter().zip(envelopes).try_for_each(|(outcome, of)| messages::received(tx, outcome, of))
        };
        let outcomes = staged.commit(|batch, outcomes| self.db.transact(batch, |tx| own(tx, outcomes)))?;
        for outcome in &outcomes {
            // It repeats a start of long ago, so the library takes it for one that was read. The table knows better.
            if let Ok(Received::Unreadable(unreadable)) = outcome
                && unreadable.reason == AcceptError::LongPast
            {
                let ask = self.client.ask_again(&unreadable.from, &[unreadable.name]);
                if let Err(RunError::Database(error)) = ask.run(&self.db, now(), &mut rng(), |_, ()| Ok(())) {
                    return Err(RunError::Database(error));
                }
            }
        }
        Ok(outcomes)
    }

    /// Tries again what a former version of this program had to keep.
    fn receive_kept(&mut self) -> Result<(), Failure> {
        for kept in messages::inbox(self.db.sql())? {
            let envelope = Envelope::parse(&kept.bytes)?;
            let outcomes = loop {
                match self.take(std::slice::from_ref(&envelope)) {
                    Err(RunError::Conflict) => {}
                    taken => break taken?,
                }
            };
            for outcome in outcomes {
                if let Some(error) = outcome.err().filter(|error| error.disposition() == Disposition::Retry) {
                    return Err(error.into());
                }
                // What is to be kept further has got another row.
                messages::forget_kept(self.db.sql(), &kept)?;
            }
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
                Task::Resend { address, message_id } => self.answer(&address, message_id)?,
                Task::PublishPrekeys => self.publish()?,
                Task::Maintain => self.maintain()?,
            }
        }
        Ok(())
    }

    /// Sends again what a device asks for, or tells it that this was deleted. The library knows whether it may have it.
    fn answer(&self, device: &Address, id: MessageId) -> Result<(), Failure> {
        let resent = match messages::sent_text(self.db.sql(), id, device.user().as_str())? {
            Some(text) => {
                let resend = self.client.resend(id, device, &text);
                resend.run(&self.db, now(), &mut rng(), |tx, sent| messages::queue_all(tx, sent.outgoing())).map(drop)
            }
            None => Err(RunError::Operation(ResendError::OtherContent)),
        };
        let answered = match resent {
            // Deleted, or changed since.
            Err(RunError::Operation(ResendError::OtherContent)) => {
                let gone = self.client.gone(id, device);
                gone.run(&self.db, now(), &mut rng(), |tx, said| messages::queue_all(tx, said)).map(drop)
            }
            resent => resent,
        };
        match answered {
            // Another process was faster, or it waits: for the next hour, for a session, for the user's decision. A real
            // host logs it.
            Err(RunError::Operation(_)) => Ok(()),
            answered => Ok(answered?),
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

    /// What is to be done once a day. It advances the anchor: a copy of the file made before this is found out.
    pub(crate) fn maintain(&self) -> Result<(), Failure> {
        let done = self.db.maintain(&self.anchor, &self.client, now(), &mut rng())?;
        done.anchor.map(drop).ok_or_else(|| "the file went back in time: open it again".into())
    }
}
