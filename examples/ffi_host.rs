//! A host in another language, as a binding would serve it: handles, byte arrays, plain records; no callback and no
//! closure crosses the border.
//!
//! [`facade`] is what a binding generator would export: methods on objects, errors as text. [`app`] stands for the app in
//! Swift or Kotlin: it holds byte arrays, compares and swaps them in its database, and knows nothing of the library.

#![allow(clippy::print_stdout, reason = "an example talks")]

mod facade {
    use std::error::Error;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use rand_core::UnwrapErr;
    use subrosa::client::{
        Client, Operation, Outgoing, PrekeyCounts, PrekeyUploadId, Received, RollbackCounter, Sent, Task,
    };
    use subrosa::ident::{Address, DeviceId, MessageId, MessageName, Timestamp, UserId};
    use subrosa::persist::{RecordKey, StorageKey, Version};
    use subrosa::prekey::UnverifiedBundle;
    use subrosa::staging::{Change, Row, Staged, Step, Write};
    use subrosa::suite::Suites;
    use subrosa::wire::Envelope;

    /// Errors cross the border as text here; a real binding gives them codes.
    pub(crate) type Failure = Box<dyn Error + Send + Sync>;

    /// What to do with a row.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Op {
        Put,
        Delete,
        /// Only compared.
        Keep,
    }

    /// One change. `expect` is the version that the row must have; `None`: there must be no such row.
    pub(crate) struct PlainChange {
        pub(crate) op: Op,
        pub(crate) key: Vec<u8>,
        pub(crate) expect: Option<Vec<u8>>,
        /// Empty unless it is a put, like `bytes`.
        pub(crate) version: Vec<u8>,
        pub(crate) bytes: Vec<u8>,
    }

    /// A row as the app has it.
    #[derive(Clone)]
    pub(crate) struct PlainRow {
        pub(crate) version: Vec<u8>,
        pub(crate) bytes: Vec<u8>,
    }

    /// What an operation gives, one record for all kinds: what one has none of is `None`.
    #[derive(Clone, Default)]
    pub(crate) struct Outcome {
        pub(crate) account: Option<Account>,
        /// Where no backup reaches.
        pub(crate) rollback_counter: Option<u64>,
        /// For the server, and what it is called by whoever confirms it.
        pub(crate) upload: Option<(Vec<u8>, Vec<u8>)>,
        /// For the outbox, in order.
        pub(crate) envelopes: Vec<Vec<u8>>,
        /// For the table of messages.
        pub(crate) text: Option<Vec<u8>>,
        /// What a received message is known by, and what it answers: for the table of names, see `App::write`.
        pub(crate) names: Vec<Vec<u8>>,
        /// The name of a message that cannot be read: if the table has it, the operation is dropped.
        pub(crate) unreadable: Option<Vec<u8>>,
        /// What the app is to do.
        pub(crate) tasks: Vec<PlainTask>,
    }

    /// Something that the app is to do.
    #[derive(Clone)]
    pub(crate) enum PlainTask {
        /// A bundle of prekeys of this user's is to be fetched.
        FetchBundle(String),
        /// A message of one's own is to be sent again to this user, by its id.
        Resend(String, Vec<u8>),
        PublishPrekeys,
        Maintain,
    }

    /// One device.
    #[derive(Clone)]
    pub(crate) struct Account(Client);

    /// An operation under way: step it until it wants no more rows, write its batch in one transaction, say so.
    pub(crate) struct Running(Mutex<State>);

    enum State {
        Going(Box<dyn Going>),
        Ready(Box<Staged<Outcome>>),
        Overlay,
    }

    /// An operation of whichever type.
    trait Going: Send {
        fn step(&mut self, now: Timestamp) -> Result<Step<Outcome>, Failure>;
        fn supply(&mut self, rows: Vec<Option<Row>>);
    }

    struct Typed<T, E>(Operation<T, E>, fn(T) -> Outcome);

    impl<T, E: Error + Send + Sync + 'static> Going for Typed<T, E> {
        fn step(&mut self, now: Timestamp) -> Result<Step<Outcome>, Failure> {
            Ok(match self.0.step(now, &mut UnwrapErr(getrandom::SysRng))? {
                Step::Need(keys) => Step::Need(keys),
                Step::Ready(staged) => Step::Ready(staged.map(self.1)),
            })
        }

        fn supply(&mut self, rows: Vec<Option<Row>>) {
            self.0.supply(rows);
        }
    }

    impl Running {
        fn new<T: 'static, E: Error + Send + Sync + 'static>(
            operation: Operation<T, E>,
            map: fn(T) -> Outcome,
        ) -> Self {
            Self(Mutex::new(State::Going(Box::new(Typed(operation, map)))))
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Goes as far as it can. The keys of the rows that it wants, to be [supplied](Self::supply) in this order; none:
        /// it is ready.
        pub(crate) fn step(&self, now: u64) -> Result<Vec<Vec<u8>>, Failure> {
            let mut state = self.state();
            let State::Going(going) = &mut *state else { return Err("it is not to be stepped any more".into()) };
            match going.step(Timestamp::new(now))? {
                Step::Need(keys) => Ok(keys.iter().map(|key| key.as_bytes().to_vec()).collect()),
                Step::Ready(staged) => {
                    *state = State::Ready(Box::new(staged));
                    Ok(Vec::new())
                }
            }
        }

        /// Gives the rows that the last step wanted; `None` where there is none.
        pub(crate) fn supply(&self, rows: Vec<Option<PlainRow>>) -> Result<(), Failure> {
            let mut state = self.state();
            let State::Going(going) = &mut *state else { return Err("it wants no rows".into()) };
            let row = |row: PlainRow| {
                let version = row.version.as_slice().try_into().map_err(|_| "a version is 16 bytes long")?;
                Ok(Row { version: Version::from_bytes(version), bytes: row.bytes })
            };
            let rows: Result<_, Failure> = rows.into_iter().map(|plain| plain.map(row).transpose()).collect();
            going.supply(rows?);
            Ok(())
        }

        /// What to write in one transaction.
        pub(crate) fn batch(&self) -> Result<Vec<PlainChange>, Failure> {
            let State::Ready(staged) = &*self.state() else { return Err("it is not ready".into()) };
            let plain = |change: &Change| {
                let (op, version, bytes) = match change.write() {
                    Write::Put(row) => (Op::Put, row.version.as_bytes().to_vec(), row.bytes.clone()),
                    Write::Delete => (Op::Delete, Vec::new(), Vec::new()),
                    Write::Keep => (Op::Keep, Vec::new(), Vec::new()),
                };
                let expect = change.expected().map(|version| version.as_bytes().to_vec());
                PlainChange { op, key: change.key().as_bytes().to_vec(), expect, version, bytes }
            };
            Ok(staged.batch().changes().iter().map(plain).collect())
        }

        /// What to write in the same transaction, and to use for nothing else before that is durable.
        pub(crate) fn rows(&self) -> Result<Outcome, Failure> {
            let State::Ready(staged) = &*self.state() else { return Err("it is not ready".into()) };
            Ok(staged.output().clone())
        }

        /// Says that all of it is durable. Whoever never says it drops the handle: then nothing has happened.
        pub(crate) fn committed(&self) -> Result<Outcome, Failure> {
            match std::mem::replace(&mut *self.state(), State::Overlay) {
                State::Ready(staged) => Ok(staged.committed()),
                _ => Err("it was not ready".into()),
            }
        }
    }

    fn address(name: &str) -> Result<Address, Failure> {
        Ok(Address::new(UserId::new(name)?, DeviceId::new(1)))
    }

    fn storage_key(key: &[u8]) -> Result<StorageKey, Failure> {
        Ok(StorageKey::new(key.try_into().map_err(|_| "a storage key is 32 bytes long")?))
    }

    impl Account {
        pub(crate) fn create(key: &[u8], name: &str) -> Result<Running, Failure> {
            Ok(Running::new(Client::create(&storage_key(key)?, &address(name)?, Suites::V1), Outcome::of_opened))
        }

        pub(crate) fn open(key: &[u8], rollback_counter: u64) -> Result<Running, Failure> {
            Ok(Running::new(
                Client::open(&storage_key(key)?, RollbackCounter::new(rollback_counter)),
                Outcome::of_opened,
            ))
        }

        pub(crate) fn publish(&self) -> Running {
            Running::new(self.0.publish_prekeys(PrekeyCounts::default()), |uploads| {
                let upload = uploads.first().map(|upload| (upload.to_bytes(), upload.id.as_bytes().to_vec()));
                Outcome { upload, ..Outcome::default() }
            })
        }

        pub(crate) fn published(&self, upload: &[u8]) -> Result<Running, Failure> {
            let id = PrekeyUploadId::new(upload.try_into().map_err(|_| "an upload's id is 16 bytes long")?);
            Ok(Running::new(self.0.published(id), |_| Outcome::default()))
        }

        pub(crate) fn add_session(&self, bundle: &[u8]) -> Result<Running, Failure> {
            Ok(Running::new(self.0.add_session(&UnverifiedBundle::parse(bundle)?.verify()?), |added| Outcome {
                envelopes: added.repair.iter().map(Outgoing::bytes).collect(),
                ..Outcome::default()
            }))
        }

        pub(crate) fn send(&self, id: &[u8], to: &str, text: &[u8]) -> Result<Running, Failure> {
            Ok(Running::new(self.0.send(message_id(id)?, &address(to)?, text), Outcome::of_sent))
        }

        /// What is to be done. An app asks after its mail was received, and as long as it runs every few minutes.
        pub(crate) fn todo(&self) -> Running {
            Running::new(self.0.todo(), |tasks| {
                let plain = |task| {
                    Some(match task {
                        Task::FetchBundle(address) => PlainTask::FetchBundle(address.user().as_str().into()),
                        Task::Resend { address, message_id } => {
                            PlainTask::Resend(address.user().as_str().into(), message_id.as_bytes().to_vec())
                        }
                        Task::PublishPrekeys => PlainTask::PublishPrekeys,
                        Task::Maintain => PlainTask::Maintain,
                        // There is no directory: devices know each other by their identity keys alone.
                        Task::FetchRoster(_) | Task::PublishRoster | Task::Wipe => return None,
                    })
                };
                Outcome { tasks: tasks.into_iter().filter_map(plain).collect(), ..Outcome::default() }
            })
        }

        /// What is to be done once a day for the account as a whole.
        pub(crate) fn maintain(&self) -> Running {
            Running::new(self.0.maintain(), |done| Outcome {
                rollback_counter: done.rollback_counter.and_then(RollbackCounter::get),
                ..Outcome::default()
            })
        }

        /// The same for a page of peer devices, as far as one step goes.
        pub(crate) fn prune(&self, page: u8) -> Running {
            Running::new(self.0.prune(page), |_| Outcome::default())
        }

        /// Sends again what was sent under an id, with the bytes that the app's own table has under it.
        pub(crate) fn resend(&self, id: &[u8], to: &str, text: &[u8]) -> Result<Running, Failure> {
            Ok(Running::new(self.0.resend(message_id(id)?, &address(to)?, text), Outcome::of_sent))
        }

        /// Says that what was sent under an id is not there any more.
        pub(crate) fn decline_resend(&self, id: &[u8], to: &str) -> Result<Running, Failure> {
            Ok(Running::new(self.0.decline_resend(message_id(id)?, &address(to)?), |said| Outcome {
                envelopes: said.iter().map(Outgoing::bytes).collect(),
                ..Outcome::default()
            }))
        }

        pub(crate) fn receive(&self, envelope: &[u8]) -> Result<Running, Failure> {
            Ok(Running::new(self.0.receive(&Envelope::parse(envelope)?), |received| match received {
                Received::Message(message) => Outcome {
                    text: message.plaintext().map(<[u8]>::to_vec),
                    names: [Some(message.name()), message.answers()].into_iter().flatten().map(name).collect(),
                    ..Outcome::default()
                },
                Received::Unreadable(it) => Outcome { unreadable: Some(name(it.name)), ..Outcome::default() },
                Received::RepairRequest(request) => {
                    Outcome { envelopes: request.reply.iter().map(Outgoing::bytes).collect(), ..Outcome::default() }
                }
                _ => Outcome::default(),
            }))
        }
    }

    fn message_id(id: &[u8]) -> Result<MessageId, Failure> {
        Ok(MessageId::new(id.try_into().map_err(|_| "a message id is 16 bytes long")?))
    }

    fn name(name: MessageName) -> Vec<u8> {
        name.as_bytes().to_vec()
    }

    impl Outcome {
        fn of_sent(sent: Sent) -> Self {
            Self { envelopes: sent.outgoing().iter().map(Outgoing::bytes).collect(), ..Self::default() }
        }

        fn of_opened(opened: subrosa::client::Opened) -> Self {
            Self {
                account: Some(Account(opened.client)),
                rollback_counter: opened.rollback_counter.get(),
                ..Self::default()
            }
        }
    }

    /// Row keys are 33 bytes long; a column of the app's table may say so.
    pub(crate) const KEY_LEN: usize = RecordKey::LEN;
}

mod app {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::facade::{Account, Failure, KEY_LEN, Op, Outcome, PlainRow, PlainTask, Running};

    /// The app's database and key store.
    #[derive(Default)]
    pub(crate) struct App {
        records: BTreeMap<Vec<u8>, PlainRow>,
        pub(crate) outbox: Vec<Vec<u8>>,
        pub(crate) messages: Vec<Vec<u8>>,
        /// What was sent, by the id that it was sent under.
        pub(crate) sent: BTreeMap<Vec<u8>, Vec<u8>>,
        /// Names of what was read; of one peer here, and of each device in a real table.
        names: BTreeSet<Vec<u8>>,
        /// In the key store, "this device only".
        pub(crate) rollback_counter: u64,
    }

    impl App {
        /// Runs one operation. `false` from [`Self::write`] would be a conflict: begin anew.
        pub(crate) fn run(&mut self, running: &Running) -> Result<Outcome, Failure> {
            loop {
                let keys = running.step(1_800_000_000_000)?;
                if keys.is_empty() {
                    break;
                }
                running.supply(keys.iter().map(|key| self.records.get(key).cloned()).collect())?;
            }
            if running.rows()?.unreadable.is_some_and(|name| self.names.contains(&name)) {
                // Read long ago, and delivered again: dropped with what was staged.
                return Ok(Outcome::default());
            }
            if !self.write(running)? {
                return Err("a row was changed in the meantime".into());
            }
            let outcome = running.committed()?;
            self.rollback_counter = self.rollback_counter.max(outcome.rollback_counter.unwrap_or(0));
            Ok(outcome)
        }

        /// The transaction: compares every version, then writes every row and the app's own ones.
        fn write(&mut self, running: &Running) -> Result<bool, Failure> {
            let (batch, own) = (running.batch()?, running.rows()?);
            if batch
                .iter()
                .any(|change| self.records.get(&change.key).map(|row| &row.version) != change.expect.as_ref())
            {
                return Ok(false);
            }
            for change in batch {
                match change.op {
                    Op::Put if change.key.len() == KEY_LEN => {
                        self.records.insert(change.key, PlainRow { version: change.version, bytes: change.bytes });
                    }
                    Op::Put => return Err("a key of another length".into()),
                    Op::Delete => drop(self.records.remove(&change.key)),
                    Op::Keep => {}
                }
            }
            self.outbox.extend(own.envelopes);
            // Known by one of its names, it was shown before.
            if !own.names.iter().any(|name| self.names.contains(name)) {
                self.messages.extend(own.text);
            }
            self.names.extend(own.names);
            Ok(true)
        }

        pub(crate) fn rows(&self) -> usize {
            self.records.len()
        }

        /// Does what is to be done: with bundles from the server, messages from the app's own table.
        pub(crate) fn attend(
            &mut self,
            account: &Account,
            server: &mut impl FnMut(&str) -> Result<Vec<u8>, Failure>,
        ) -> Result<(), Failure> {
            for task in self.run(&account.todo())?.tasks {
                let running = match task {
                    PlainTask::FetchBundle(user) => account.add_session(&server(&user)?)?,
                    PlainTask::Resend(user, id) => match self.sent.get(&id) {
                        Some(text) => account.resend(&id, &user, text)?,
                        None => account.decline_resend(&id, &user)?,
                    },
                    // There is no server here that could run out of them within these few messages.
                    PlainTask::PublishPrekeys => continue,
                    PlainTask::Maintain => {
                        for page in 0..=u8::MAX {
                            self.run(&account.prune(page))?;
                        }
                        account.maintain()
                    }
                };
                self.run(&running)?;
            }
            Ok(())
        }

        /// Takes the rows of one kind out: what an app does with one that is damaged, see docs/storage.md.
        pub(crate) fn delete(&mut self, kind: u8) {
            self.records.retain(|key, _| key.first() != Some(&kind));
        }
    }
}

use app::App;
use facade::{Account, Failure};
use subrosa::platform::PrekeyStore;
use subrosa::prekey::PrekeyUpload;

fn main() -> Result<(), Failure> {
    let (alice_key, bob_key) = ([1; 32], [2; 32]);
    let (mut hers, mut his) = (App::default(), App::default());
    let alice = hers.run(&Account::create(&alice_key, "alice")?)?.account.ok_or("no account")?;
    let bob = his.run(&Account::create(&bob_key, "bob")?)?.account.ok_or("no account")?;
    let (mut his_prekey_store, mut her_prekey_store) = (publish(&mut his, &bob)?, publish(&mut hers, &alice)?);
    let mut server = |user: &str| claim(if user == "alice" { &mut her_prekey_store } else { &mut his_prekey_store });
    hers.run(&alice.add_session(&server("bob")?)?)?;
    println!(
        "Two apps, of which each holds {} and {} rows. Only bytes and numbers cross the border: keys of rows and rows,",
        hers.rows(),
        his.rows()
    );
    println!("  batches of them, envelopes, texts; no type of the library, no callback.");

    // An operation that is stepped and dropped has not happened.
    drop(alice.send(&[1; 16], "bob", b"never mind")?.step(1_800_000_000_000)?);

    for (number, text) in (2..).zip([&b"Hello, Bob"[..], b"from another language"]) {
        hers.run(&alice.send(&[number; 16], "bob", text)?)?;
    }
    // The app comes to its end and opens its account again.
    let alice = hers.run(&Account::open(&alice_key, hers.rollback_counter)?)?.account.ok_or("no account")?;
    deliver(&mut hers, &mut his, &bob)?;
    his.run(&bob.send(&[9; 16], "alice", b"Hello, Alice")?)?;
    deliver(&mut his, &mut hers, &alice)?;

    // What Bob's app knows of Alice is damaged and deleted, and it cannot read what comes. It fetches her prekeys, asks her
    // in a new session, and her app sends its text again.
    his.delete(17);
    let text = b"sent twice, shown once";
    hers.sent.insert([4; 16].to_vec(), text.to_vec());
    hers.run(&alice.send(&[4; 16], "bob", text)?)?;
    deliver(&mut hers, &mut his, &bob)?;
    his.attend(&bob, &mut server)?;
    deliver(&mut his, &mut hers, &alice)?;
    hers.attend(&alice, &mut server)?;
    deliver(&mut hers, &mut his, &bob)?;
    for (name, app) in [("alice", &hers), ("bob", &his)] {
        for text in &app.messages {
            println!("{name} received: {}", String::from_utf8_lossy(text));
        }
    }
    let complete = hers.messages.len() == 1 && his.messages.len() == 3;
    if complete { Ok(()) } else { Err("a message is missing".into()) }
}

/// The network: everything that one has to send, to the other one.
fn deliver(from: &mut App, to: &mut App, account: &Account) -> Result<(), Failure> {
    for envelope in std::mem::take(&mut from.outbox) {
        to.run(&account.receive(&envelope)?)?;
    }
    Ok(())
}

/// The server's part: bytes come, bytes go. It has the prekeys, and says so.
fn publish(app: &mut App, account: &Account) -> Result<PrekeyStore, Failure> {
    let (upload, id) = app.run(&account.publish())?.upload.ok_or("no prekeys")?;
    let upload = PrekeyUpload::parse(&upload)?;
    let mut prekey_store = PrekeyStore::new(upload.address.clone(), upload.suite);
    prekey_store.apply(&upload)?;
    app.run(&account.published(&id)?)?;
    Ok(prekey_store)
}

fn claim(prekey_store: &mut PrekeyStore) -> Result<Vec<u8>, Failure> {
    Ok(prekey_store.claim().ok_or("no bundle")?.to_bytes())
}
