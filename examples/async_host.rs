//! An asynchronous host: operations stepped by hand in tasks of a runtime with many threads, over a store that is awaited.
//!
//! The library has no async and needs none: an operation says which rows it wants, the task awaits them, and steps again.
//! Nothing is held across an await but the operation itself, no lock and no transaction; so many tasks may work on one
//! session, and whoever comes second stages again.

#![allow(clippy::print_stdout, reason = "an example talks")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rand_core::{Rng, UnwrapErr};
use subrosa::client::{Client, Operation, Outgoing, PrekeyCounts, Received};
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::persist::{RecordKey, StorageKey};
use subrosa::platform::PrekeyStore;
use subrosa::prekey::PrekeyUpload;
use subrosa::staging::{ApplyError, Row, Staged, Step};
use subrosa::suite::Suites;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

type Failure = Box<dyn Error + Send + Sync>;

/// So many messages are sent at once.
const MESSAGES: u8 = 40;

/// The library's rows, and the host's own ones.
#[derive(Default)]
struct Tables {
    records: BTreeMap<RecordKey, Row>,
    outbox: Vec<Outgoing>,
    messages: Vec<Vec<u8>>,
}

/// A database at the other end of a network: every call takes a while.
#[derive(Clone, Default)]
struct Database(Arc<Mutex<Tables>>);

impl Database {
    async fn load(&self, keys: &[RecordKey]) -> Vec<Option<Row>> {
        sleep(Duration::from_millis(1)).await;
        let tables = self.0.lock().await;
        keys.iter().map(|key| tables.records.get(key).cloned()).collect()
    }

    /// One transaction: the batch, and what `own` writes with it.
    async fn commit<T>(
        &self,
        staged: Staged<T>,
        own: impl FnOnce(&mut Tables, &T),
    ) -> Result<T, ApplyError<Infallible>> {
        sleep(Duration::from_millis(1)).await;
        let mut tables = self.0.lock().await;
        staged.batch().apply_to(&mut tables.records)?;
        own(&mut tables, staged.output());
        Ok(staged.committed())
    }

    /// Steps an operation to its end and commits it, until nobody else was faster. Says how often somebody was.
    async fn run<T, E: Error + Send + Sync + 'static>(
        &self,
        make: impl Fn() -> Operation<T, E>,
        own: impl Fn(&mut Tables, &T),
    ) -> Result<(T, u32), Failure> {
        let mut conflicts = 0;
        loop {
            let mut operation = make();
            let staged = loop {
                match operation.step(NOW, &mut rng())? {
                    Step::Need(keys) => operation.supply(self.load(&keys).await),
                    Step::Ready(staged) => break staged,
                }
            };
            match self.commit(staged, &own).await {
                Ok(output) => return Ok((output, conflicts)),
                // What cannot fail can only come too late.
                Err(_) => conflicts += 1,
            }
        }
    }
}

/// Time and randomness are the host's to give.
const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

const fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

async fn account(name: &str) -> Result<(Client, Database), Failure> {
    let (db, key) = (Database::default(), StorageKey::new([7; 32]));
    let address = Address::new(UserId::new(name)?, DeviceId::new(1));
    let (opened, _) = db.run(|| Client::create(&key, &address, Suites::V1), |_, _| {}).await?;
    Ok((opened.client, db))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let ((alice, alice_db), (bob, bob_db)) = tokio::try_join!(account("alice"), account("bob"))?;
    let (uploads, _) = bob_db.run(|| bob.publish_prekeys(PrekeyCounts::default()), |_, _| {}).await?;
    let upload = uploads.first().ok_or("nothing to publish")?;
    // The server's part; a real one stores the prekey store before it answers.
    let mut prekey_store = PrekeyStore::new(bob.address().clone(), upload.suite);
    prekey_store.apply(&PrekeyUpload::parse(&upload.to_bytes())?)?;
    bob_db.run(|| bob.published(upload.id), |_, _| {}).await?;
    let bundle = prekey_store.claim().ok_or("no bundle")?.verify()?;
    alice_db.run(|| alice.add_session(&bundle), |_, _| {}).await?;

    // Everybody writes at once, in one session, from tasks that the runtime moves from thread to thread.
    let mut tasks = JoinSet::new();
    for number in 0..MESSAGES {
        let (alice, db, to) = (alice.clone(), alice_db.clone(), bob.address().clone());
        tasks.spawn(async move {
            let mut id = [0; 16];
            rng().fill_bytes(&mut id);
            let text = [b'#', number];
            let send = || alice.send(MessageId::new(id), &to, &text);
            // The envelope is a row of the outbox, in the transaction of its ratchet step.
            db.run(send, |tables, sent| tables.outbox.extend(sent.outgoing().first().cloned())).await
        });
    }
    let mut conflicts = 0;
    while let Some(sent) = tasks.join_next().await {
        conflicts += sent??.1;
    }
    println!(
        "{MESSAGES} tasks have sent in one session, which one can change at a time: {conflicts} times somebody else was faster, and"
    );
    println!("  what was staged was dropped and staged anew. (A host that minds sends in turn; none has to.)");

    // What the network brings is received by many tasks as well.
    let mut tasks = JoinSet::new();
    for outgoing in std::mem::take(&mut alice_db.0.lock().await.outbox) {
        let (bob, db) = (bob.clone(), bob_db.clone());
        tasks.spawn(async move {
            let own = |tables: &mut Tables, received: &Received| {
                if let Received::Message(message) = received {
                    tables.messages.extend(message.plaintext().map(<[u8]>::to_vec));
                }
            };
            db.run(|| bob.receive(outgoing.envelope()), own).await
        });
    }
    let mut conflicts = 0;
    while let Some(received) = tasks.join_next().await {
        conflicts += received??.1;
    }
    let mut messages = std::mem::take(&mut bob_db.0.lock().await.messages);
    messages.sort();
    if messages != (0..MESSAGES).map(|number| vec![b'#', number]).collect::<Vec<_>>() {
        return Err("not every message arrived exactly once".into());
    }
    println!("{MESSAGES} tasks have received them, each exactly once; {conflicts} times staged anew");
    Ok(())
}
