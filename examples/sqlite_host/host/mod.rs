//! A host on SQLite: an account, its conversations, and the order in which things become durable.
//!
//! Owns: [`Host`] and its verbs; [`records`] is the table that the library asks for, [`messages`] the host's own ones,
//! [`names`] among them, [`anchor`] the counter apart from them, [`relay`] some transport.
//!
//! **One rule.** What the library wants written, the message that people see and the envelope that goes out are one
//! transaction. Envelopes are posted from the outbox, and mail is acknowledged, after it. So a process may die anywhere,
//! and several may share one file.

pub(crate) mod anchor;
pub(crate) mod messages;
pub(crate) mod names;
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
    ApplyError, Client, Disposition, MAX_BULK, Maintained, Operation, ReceiveError, Received, ResendError, SendError,
    StageError, Want, retry,
};
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::persist::StorageKey;
use subrosa::session::AcceptError;
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
        let mut db =
            Database::open(&folder.join(format!("{name}.sqlite")), &[names::TABLE, messages::TABLES].concat())?;
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
        // What is wanted is attended to after the mail: much of what is missing may lie in it.
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
        let to = address(peer)?;
        loop {
            let sent = self
                .run(|client| client.send(id, &to, text.as_bytes()), |tx, sent| messages::sent(tx, sent, peer, text));
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
        // Questions for what could not be read of the device go out like messages.
        self.run(
            |client| client.add_session(&bundle),
            |tx, added| added.repair.iter().try_for_each(|question| messages::queue(tx, question)),
        )?;
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
        // Also where nothing came: what waits for its time may be due.
        self.attend()?;
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

    /// Receives these in one transaction with what the host makes of them, or the first ones of them.
    fn take(&mut self, envelopes: &[Envelope]) -> Result<Vec<Outcome>, Stopped<Infallible>> {
        let staged = self.client.receive_many(envelopes).stage(&self.db, now(), &mut rng());
        let staged = staged.map_err(ApplyError::Store)?;
        let late = staged.output().iter().map(|outcome| names::is_late(self.db.sql(), outcome.as_ref().ok()));
        let late: Vec<bool> = late.collect::<Result<_, _>>().map_err(|error| records::stopped(error.into()))?;
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
            outcomes.iter().zip(envelopes).try_for_each(|(outcome, envelope)| {
                Incoming::of(outcome, envelope).map_or(Ok(()), |incoming| incoming.write(tx))
            })
        };
        let commit = staged.commit(|batch, outcomes| self.db.write(batch, |tx| own(tx, outcomes)));
        let outcomes = commit.map_err(records::stopped)?;
        for outcome in &outcomes {
            // It repeats a start of long ago, so the library takes it for one that was read. The table knows better.
            if let Ok(Received::Unreadable(unreadable)) = outcome
                && unreadable.reason == AcceptError::LongPast
            {
                let asked = self.run(|client| client.ask_again(&unreadable.from, &[unreadable.name]), |_, ()| Ok(()));
                if let Err(ApplyError::Store(StageError::Store(error))) = asked {
                    return Err(ApplyError::Store(StageError::Store(error)));
                }
            }
        }
        Ok(outcomes)
    }

    /// Tries again what a former version of this program had to keep.
    fn receive_kept(&mut self) -> Result<(), Failure> {
        for kept in messages::inbox(self.db.sql())? {
            let envelope = Envelope::parse(&kept.bytes)?;
            for outcome in retry(ATTEMPTS, || self.take(std::slice::from_ref(&envelope)))? {
                if let Some(error) = outcome.err().filter(|error| error.disposition() == Disposition::Retry) {
                    return Err(error.into());
                }
                // What is to be kept further has got another row.
                messages::forget_kept(self.db.sql(), &kept)?;
            }
        }
        Ok(())
    }

    /// Brings what the library wants: from the network, and from the table of messages what a peer device could not read.
    pub(crate) fn attend(&mut self) -> Result<(), Failure> {
        for want in self.run(Client::wants, |_, _| Ok(()))? {
            match want {
                // No prekeys, no network, another identity key that the user has to accept first: the wish stays, and is
                // heard again the next time. A real host logs it.
                Want::Bundle(device) => drop(self.start(&device)),
                Want::Resend { address, message_id } => self.answer(&address, message_id)?,
                Want::UploadPrekeys => self.publish()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends again what a device asks for, or tells it that this was deleted. The library knows whether it may have it.
    fn answer(&mut self, device: &Address, id: MessageId) -> Result<(), Failure> {
        let text = messages::sent_text(self.db.sql(), id, device.user().as_str())?;
        let answered = match &text {
            Some(text) => self.run(
                |client| client.resend(id, device, text),
                |tx, sent| sent.outgoing().map_or(Ok(()), |again| messages::queue(tx, again)),
            ),
            None => Err(ApplyError::Store(StageError::Operation(ResendError::OtherContent))),
        };
        let answered = match answered {
            // Deleted, or changed since.
            Err(ApplyError::Store(StageError::Operation(ResendError::OtherContent))) => self
                .run(
                    |client| client.gone(id, device),
                    |tx, said| said.as_ref().map_or(Ok(()), |said| messages::queue(tx, said)),
                )
                .map(drop),
            answered => answered.map(drop),
        };
        match answered {
            // Another process was faster, or it waits: for the next hour, for a session, for the user's decision. A real
            // host logs it.
            Err(ApplyError::Store(StageError::Operation(_))) => Ok(()),
            answered => Ok(answered?),
        }
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
