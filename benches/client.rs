//! What the client costs: a steady message, staged, sealed and applied to a store in memory, beside the same message at
//! level 1 in the same run; and that neither peers nor stored keys nor archived sessions make it dearer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

use std::cell::{LazyCell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::client::{Batch, Change, Client, PrekeyCounts, PrekeyUpload, Row, Store};
use subrosa::ident::{Address, DeviceId, MessageId, PrekeyId, Timestamp, UserId};
use subrosa::persist::{RecordKey, StorageKey};
use subrosa::prekey::{Device, KemPrekey, PrekeySecrets, SeenBaseKeys, SignedPrekey};
use subrosa::session::{FirstMessage, Message, Session};
use subrosa::suite::{Suite, Suites};
use subrosa::wire::Envelope;

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
const PLAINTEXT: [u8; 1024] = [0x5a; 1024];

#[derive(Default)]
struct Memory(RefCell<BTreeMap<RecordKey, Row>>);

impl Store for Memory {
    type Error = Infallible;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> {
        let rows = self.0.borrow();
        Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
    }
}

impl Memory {
    fn write(&self, batch: &Batch) {
        let mut rows = self.0.borrow_mut();
        batch
            .apply(|change| {
                assert_eq!(rows.get(change.key()).map(|row| row.version), change.expect());
                match change {
                    Change::Put { key, bytes, version, .. } => {
                        rows.insert(*key, Row { version: *version, bytes: bytes.clone() });
                    }
                    Change::Delete { key, .. } => {
                        rows.remove(key);
                    }
                    _ => {}
                }
                Ok::<_, Infallible>(true)
            })
            .unwrap();
    }
}

struct Party {
    client: Client,
    db: Memory,
    rng: ChaCha20Rng,
    sent: u64,
}

impl Party {
    fn new(name: &str, seed: u64) -> Self {
        let (db, mut rng) = (Memory::default(), ChaCha20Rng::seed_from_u64(seed));
        let address = Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
        let created =
            Client::create(&StorageKey::new([7; 32]), &address, Suites::V1).stage(&db, NOW, &mut rng).unwrap();
        db.write(created.batch());
        Self { client: created.committed().client, db, rng, sent: 0 }
    }

    fn publish(&mut self) -> PrekeyUpload {
        let staged = self.client.publish_prekeys(PrekeyCounts::default());
        let staged = staged.stage(&self.db, NOW, &mut self.rng).unwrap();
        self.db.write(staged.batch());
        staged.committed().remove(0)
    }

    fn add(&mut self, upload: &PrekeyUpload) {
        let bundle = upload.bundle(None, None).verify().unwrap();
        let staged = self.client.add_session(&bundle).stage(&self.db, NOW, &mut self.rng).unwrap();
        self.db.write(staged.batch());
    }

    /// A busy day: a message every 100 seconds.
    fn now(&self) -> Timestamp {
        Timestamp::new(NOW.get() + self.sent * 100_000)
    }

    fn send(&mut self, to: &Address) -> Envelope {
        self.sent += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.sent.to_be_bytes());
        let staged = self.client.send(MessageId::new(id), to, &PLAINTEXT);
        let staged = staged.stage(&self.db, self.now(), &mut self.rng).unwrap();
        self.db.write(staged.batch());
        staged.committed().outgoing().envelope().clone()
    }

    fn receive(&mut self, envelope: &Envelope) {
        let staged = self.client.receive(envelope).stage(&self.db, NOW, &mut self.rng).unwrap();
        self.db.write(staged.batch());
        black_box(staged.committed());
    }

    fn reset(&mut self, peer: &Address) {
        let staged = self.client.reset(peer).stage(&self.db, NOW, &mut self.rng).unwrap();
        self.db.write(staged.batch());
    }
}

/// Alice and Bob, with so many other peers, stored keys and archived sessions at both ends.
fn talking(peers: u32, skipped: usize, archived: usize) -> (Party, Party) {
    let (mut alice, mut bob) = (Party::new("alice", 1), Party::new("bob", 2));
    let upload = bob.publish();
    let (a, b) = (alice.client.address().clone(), bob.client.address().clone());
    for other in 1..peers {
        let mut upload = upload.clone();
        // The same keys under another name: what matters is that there are so many records.
        upload.address = Address::new(UserId::new(format!("peer {other}")).unwrap(), DeviceId::new(1));
        alice.add(&upload);
    }
    for _ in 0..=archived {
        if alice.sent > 0 {
            alice.reset(&b);
        }
        alice.add(&upload);
        for _ in 0..10 {
            let envelope = alice.send(&b);
            bob.receive(&envelope);
            let envelope = bob.send(&a);
            alice.receive(&envelope);
        }
    }
    for _ in 0..skipped {
        alice.send(&b);
        bob.send(&a);
    }
    let (to_bob, to_alice) = (alice.send(&b), bob.send(&a));
    bob.receive(&to_bob);
    alice.receive(&to_alice);
    (alice, bob)
}

/// Criterion asks for any number of messages; so many are sent, then received, at a time.
const LOT: u64 = 256;

/// Which half of a lot is timed.
#[derive(Clone, Copy)]
enum Timed {
    Sending,
    Receiving,
}

/// Sends and receives `count` messages, all of them, so that nothing piles up.
fn pass<T>(count: u64, timed: Timed, mut send: impl FnMut() -> T, mut receive: impl FnMut(&T)) -> Duration {
    let (mut left, mut spent) = (count, Duration::ZERO);
    while left > 0 {
        let part = left.min(LOT);
        let began = Instant::now();
        let lot: Vec<T> = (0..part).map(|_| send()).collect();
        let sent = began.elapsed();
        let began = Instant::now();
        lot.iter().for_each(&mut receive);
        spent += match timed {
            Timed::Sending => sent,
            Timed::Receiving => began.elapsed(),
        };
        left -= part;
    }
    spent
}

fn level_2(c: &mut Criterion, what: &str, (peers, skipped, archived): (u32, usize, usize)) {
    // Not before it is wanted: ten thousand sessions take their time.
    let parties = LazyCell::new(|| {
        let (alice, bob) = talking(peers, skipped, archived);
        (RefCell::new(alice), RefCell::new(bob))
    });
    let mut group = c.benchmark_group("client");
    for (name, timed) in [("send", Timed::Sending), ("receive", Timed::Receiving)] {
        group.bench_function(format!("{name}/{what}"), |bencher| {
            let (alice, bob) = &*parties;
            let to = bob.borrow().client.address().clone();
            bencher.iter_custom(|count| {
                pass(count, timed, || alice.borrow_mut().send(&to), |envelope| bob.borrow_mut().receive(envelope))
            });
        });
    }
    group.finish();
}

fn level_1(c: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let address = |name: &str| Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
    let (alice, bob) = (Device::generate(address("alice"), &mut rng), Device::generate(address("bob"), &mut rng));
    let signed = SignedPrekey::generate(&bob, Suite::V1, PrekeyId::new(1), NOW, &mut rng);
    let kem = KemPrekey::last_resort(&bob, Suite::V1, PrekeyId::new(1), NOW, &mut rng);
    let bundle = bob.bundle(&signed, &kem, None).verify().unwrap();
    let mut to_bob = Session::initiate(&alice, &bundle, NOW, &mut rng).unwrap();
    let first = FirstMessage::parse(to_bob.encrypt(b"hi", NOW, &mut rng).unwrap().bytes()).unwrap();
    let mut seen = SeenBaseKeys::default();
    let mut prekeys = PrekeySecrets { signed: &signed, kem: &kem, one_time: None, seen: &mut seen };
    let (mut to_alice, _) = Session::accept(&bob, alice.address(), &first, &mut prekeys, NOW, &mut rng).unwrap();
    for _ in 0..10 {
        let sent = to_alice.encrypt(b"hi", NOW, &mut rng).unwrap();
        to_bob.decrypt(&Message::parse(sent.bytes()).unwrap(), NOW, &mut rng).unwrap();
        let sent = to_bob.encrypt(b"hi", NOW, &mut rng).unwrap();
        to_alice.decrypt(&Message::parse(sent.bytes()).unwrap(), NOW, &mut rng).unwrap();
    }
    let (to_bob, to_alice, rng) = (RefCell::new(to_bob), RefCell::new(to_alice), RefCell::new(rng));
    let mut group = c.benchmark_group("client");
    for (name, timed) in [("send", Timed::Sending), ("receive", Timed::Receiving)] {
        group.bench_function(format!("{name}/level 1"), |bencher| {
            bencher.iter_custom(|count| {
                let send = || to_bob.borrow_mut().encrypt(&PLAINTEXT, NOW, &mut *rng.borrow_mut()).unwrap();
                pass(count, timed, send, |sent| {
                    let message = Message::parse(sent.bytes()).unwrap();
                    black_box(to_alice.borrow_mut().decrypt(&message, NOW, &mut *rng.borrow_mut()).unwrap());
                })
            });
        });
    }
    group.finish();
}

fn main() {
    let mut c = Criterion::default().configure_from_args().measurement_time(Duration::from_secs(2)).sample_size(20);
    level_1(&mut c);
    for peers in [1, 100, 10_000] {
        level_2(&mut c, &format!("{peers} peers"), (peers, 0, 0));
    }
    level_2(&mut c, "1000 stored keys", (1, 1_000, 0));
    level_2(&mut c, "40 archived sessions", (1, 0, 40));
    c.final_summary();
}
