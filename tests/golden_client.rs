//! Whole databases, as apps left them behind that were built with what the library was then: they open for ever, read what
//! was under way, and go on. They are made anew by `SUBROSA_REGENERATE=1 cargo test --test golden_client`, and only before a
//! release.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test reads files and its environment")]
#![allow(clippy::allow_attributes_without_reason, reason = "what the examples of the documentation share is short")]

include!("support/clientdoc.rs");

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use subrosa::persist::Version;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/records/");

struct Side {
    client: Client,
    db: Memory,
    rng: ChaCha20Rng,
    sent: u8,
}

impl Side {
    fn new(name: &str, suites: Suites, seed: u64) -> Self {
        let (db, mut rng) = (Memory::default(), ChaCha20Rng::seed_from_u64(seed));
        let address = Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
        let created = Client::create(&StorageKey::new([7; 32]), &address, suites).stage(&db, NOW, &mut rng).unwrap();
        let client = created.commit(|batch, _| db.write(batch)).unwrap().client;
        Self { client, db, rng, sent: 0 }
    }

    fn run<T, E: std::fmt::Debug>(&mut self, operation: Operation<T, E>) -> Result<T, E> {
        match operation.stage(&self.db, NOW, &mut self.rng) {
            Ok(staged) => Ok(staged.commit(|batch, _| self.db.write(batch)).unwrap()),
            Err(StageError::Operation(error)) => Err(error),
            Err(_) => panic!("the store is in memory"),
        }
    }

    fn send(&mut self, to: &str) -> Envelope {
        self.sent += 1;
        let to = Address::new(UserId::new(to).unwrap(), DeviceId::new(1));
        let sent = self.run(self.client.send(MessageId::new([self.sent; 16]), &to, &[self.sent])).unwrap();
        sent.outgoing().first().unwrap().envelope().clone()
    }
}

fn add(from: &mut Side, to: &mut Side) {
    let uploads = to.run(to.client.publish_prekeys(PrekeyCounts::default())).unwrap();
    let bundle = uploads[0].bundle(uploads[0].one_time.first(), uploads[0].one_time_kem.first()).verify().unwrap();
    from.run(from.client.add_session(&bundle)).unwrap();
}

/// A database with a row of every kind, and envelopes under way to it: in order, late, late in an archived session.
fn make(suites: Suites) -> Value {
    let (mut alice, mut bob) = (Side::new("alice", suites, 1), Side::new("bob", suites, 2));
    add(&mut bob, &mut alice);
    let first = bob.send("alice");
    alice.run(alice.client.receive(&first)).unwrap();
    let answer = alice.send("bob");
    bob.run(bob.client.receive(&answer)).unwrap();
    let old: Vec<_> = (0..3).map(|_| bob.send("alice")).collect();
    alice.run(alice.client.receive(&old[2])).unwrap();
    let address = alice.client.address().clone();
    bob.run(bob.client.reset(&address)).unwrap();
    add(&mut bob, &mut alice);
    let new: Vec<_> = (0..4).map(|_| bob.send("alice")).collect();
    alice.run(alice.client.receive(&new[0])).unwrap();
    alice.run(alice.client.receive(&new[2])).unwrap();
    alice.run(alice.client.maintain()).unwrap();
    for seed in [3, 4] {
        let mut dave = Side::new("dave", suites, seed);
        add(&mut dave, &mut alice);
        let hello = dave.send("alice");
        alice.run(alice.client.receive(&hello)).unwrap();
    }
    // More than the device's own row holds of the log.
    let to_bob = (0..9).map(|_| alice.send("bob")).last().unwrap();
    bob.run(bob.client.receive(&to_bob)).unwrap();
    let mut spoilt = bob.send("alice");
    *spoilt.body.last_mut().unwrap() ^= 1;
    assert!(matches!(alice.run(alice.client.receive(&spoilt)), Ok(Received::Unreadable(_))));
    let to = bob.client.address().clone();
    if suites == Suites::V1 {
        let part = [subrosa::report::Part::text("framed")];
        alice.run(alice.client.send_framed(MessageId::new([99; 16]), &to, &part)).unwrap();
    }
    // Of a hundred prekeys two of each kind are enough.
    let mut kept = BTreeMap::<u8, usize>::new();
    let mut rows = alice.db.0.borrow().clone();
    rows.retain(|key, _| {
        let count = kept.entry(key.as_bytes()[0]).or_default();
        *count += 1;
        !matches!(key.as_bytes()[0], 3 | 4) || *count <= 2
    });
    let row = |(key, row): (&RecordKey, &Row)| {
        json!([hex::encode(key.as_bytes()), hex::encode(row.version.as_bytes()), hex::encode(&row.bytes)])
    };
    let envelopes = [&new[3], &new[1], &old[0]].map(|envelope| hex::encode(envelope.to_bytes()));
    json!({ "storageKey": hex::encode([7; 32]), "rows": rows.iter().map(row).collect::<Vec<_>>(), "envelopes": envelopes })
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

/// Kinds of the rows of a client, besides those that only some databases have.
const KINDS: [u8; 20] = [1, 2, 3, 4, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 29, 30, 31, 32];

#[test]
fn a_database_goes_on() {
    for (file, suites, others) in
        [("client-v1.json", Suites::V1, &[26, 27, 33, 34][..]), ("client-signal.json", Suites::SIGNAL, &[27][..])]
    {
        if std::env::var_os("SUBROSA_REGENERATE").is_some() {
            let made = serde_json::to_string_pretty(&make(suites)).unwrap();
            std::fs::write(FOLDER.to_owned() + file, made + "\n").unwrap();
        }
        goes_on(file, others);
    }
}

fn goes_on(file: &str, others: &[u8]) {
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(FOLDER.to_owned() + file).unwrap()).unwrap();
    let row = |row: &Value| {
        let version = Version::from_bytes(bytes(&row[1]));
        let sealed = hex::decode(row[2].as_str().unwrap()).unwrap();
        (RecordKey::from_bytes(bytes(&row[0])), Row { version, bytes: sealed })
    };
    let rows: BTreeMap<_, _> = golden["rows"].as_array().unwrap().iter().map(row).collect();
    let mut kinds: Vec<u8> = rows.keys().map(|key| key.as_bytes()[0]).collect();
    kinds.dedup();
    let mut expected = [&KINDS, others].concat();
    expected.sort_unstable();
    assert_eq!(kinds, expected, "a row of every kind");
    let (db, mut rng) = (Memory(RefCell::new(rows), RefCell::default()), rng());
    let key = StorageKey::new(bytes(&golden["storageKey"]));
    let opened = Client::open(&key, RollbackCounter::UNAVAILABLE).stage(&db, NOW, &mut rng).unwrap();
    let client = opened.commit(|batch, _| db.write(batch)).unwrap().client;
    for envelope in golden["envelopes"].as_array().unwrap() {
        let envelope = Envelope::parse(&hex::decode(envelope.as_str().unwrap()).unwrap()).unwrap();
        let received = client.receive(&envelope).stage(&db, NOW, &mut rng).unwrap();
        let received = received.commit(|batch, _| db.write(batch)).unwrap();
        assert!(matches!(&received, Received::Message(message) if message.plaintext().is_some()), "{received:?}");
    }
    let (bob, dave) = ("bob", "dave");
    let to = |name: &str| Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
    // What was sent before is not sent twice.
    let again = client.send(MessageId::new([1; 16]), &to(bob), &[1]).stage(&db, NOW, &mut rng).unwrap();
    assert!(again.committed().repeated);
    let other = client.send(MessageId::new([1; 16]), &to(bob), &[2]).stage(&db, NOW, &mut rng);
    assert!(matches!(other, Err(StageError::Operation(SendError::IdReused))));
    let sent = client.send(MessageId::new([77; 16]), &to(bob), b"on").stage(&db, NOW, &mut rng).unwrap();
    sent.commit(|batch, _| db.write(batch)).unwrap();
    let blocked = client.send(MessageId::new([78; 16]), &to(dave), b"on").stage(&db, NOW, &mut rng);
    assert!(matches!(blocked, Err(StageError::Operation(SendError::IdentityChanged))));
    assert!(client.todo().stage(&db, NOW, &mut rng).unwrap().committed().contains(&Task::FetchBundle(to(bob))));
    for page in 0..=255 {
        assert!(client.prune(page).stage(&db, NOW, &mut rng).unwrap().committed().damaged.is_empty());
    }
    // A month later nothing is left of the log, once the clock has gone on from there for a day.
    let mut later = Timestamp::new(NOW.get() + 31 * DAY);
    for _ in 0..3 {
        client.maintain().stage(&db, later, &mut rng).unwrap().commit(|batch, _| db.write(batch)).unwrap();
        later = Timestamp::new(later.get() + DAY);
    }
    for page in 0..=255 {
        let pruned = client.prune(page).stage(&db, later, &mut rng).unwrap();
        let pruned = pruned.commit(|batch, _| db.write(batch)).unwrap();
        assert!(pruned.damaged.is_empty() && pruned.next.is_none());
    }
    assert!(db.0.borrow().keys().all(|key| key.as_bytes()[0] != 22), "{file}");
}

const DAY: u64 = 24 * 60 * 60 * 1000;
