//! What a session costs: messages, handshakes, stored state; beside a bare X25519 agreement as the yardstick.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, PrekeySecrets, SeenBaseKeys, SignedPrekey, UnverifiedBundle};
use subrosa::session::{Ciphertext, FirstMessage, Message, Session};
use subrosa::suite::{Suite, Suites};

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
const PLAINTEXT: [u8; 1024] = [0x5a; 1024];
const ID: PrekeyId = PrekeyId::new(1);

/// The benches of one suite.
type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Alice, and Bob with his prekeys.
struct Parties {
    alice: Device,
    bob: Device,
    signed: SignedPrekey,
    one_time: OneTimePrekey,
    kem: KemPrekey,
    published: Vec<u8>,
}

impl Parties {
    fn generate(suite: Suite, rng: &mut ChaCha20Rng) -> Self {
        let suites = if suite == Suite::V1 { Suites::V1 } else { Suites::SIGNAL };
        let address = |name| Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
        let alice = Device::generate(address("9d0652a3-dcc3-4d11-975f-74d61598733f"), rng).with_suites(suites);
        let bob = Device::generate(address("796abedb-ca4e-4f18-8803-1fde5b921f9f"), rng).with_suites(suites);
        let signed = SignedPrekey::generate(&bob, suite, ID, NOW, rng);
        let one_time = OneTimePrekey::generate(suite, ID, rng);
        let kem = KemPrekey::last_resort(&bob, suite, ID, NOW, rng);
        let published = bob.bundle(&signed, &kem, Some(&one_time)).to_bytes();
        Self { alice, bob, signed, one_time, kem, published }
    }

    fn initiate(&self, rng: &mut ChaCha20Rng) -> Session {
        let bundle = UnverifiedBundle::parse(&self.published).unwrap().verify().unwrap();
        Session::initiate(&self.alice, &bundle, NOW, rng).unwrap()
    }

    fn accept(&self, first: &[u8], rng: &mut ChaCha20Rng) -> Session {
        let first = FirstMessage::parse(first).unwrap();
        let mut seen = SeenBaseKeys::default();
        let one_time = Some(&self.one_time);
        let mut prekeys = PrekeySecrets { signed: &self.signed, kem: &self.kem, one_time, seen: &mut seen };
        Session::accept(&self.bob, self.alice.address(), &first, &mut prekeys, NOW, rng).unwrap().0
    }

    /// A session after so many answered messages.
    fn converse(&self, turns: usize, rng: &mut ChaCha20Rng) -> (Session, Session) {
        let mut alice = self.initiate(rng);
        let mut bob = self.accept(encrypt(&mut alice, rng).bytes(), rng);
        for _ in 0..turns {
            pass(&mut bob, &mut alice, rng);
            pass(&mut alice, &mut bob, rng);
        }
        (alice, bob)
    }
}

fn encrypt(from: &mut Session, rng: &mut ChaCha20Rng) -> Ciphertext {
    from.encrypt(&PLAINTEXT, NOW, rng).unwrap()
}

fn decrypt(to: &mut Session, bytes: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    to.decrypt(&Message::parse(bytes).unwrap(), NOW, rng).unwrap()
}

fn pass(from: &mut Session, to: &mut Session, rng: &mut ChaCha20Rng) {
    let ciphertext = encrypt(from, rng);
    decrypt(to, ciphertext.bytes(), rng);
}

fn handshakes(group: &mut Group<'_>, parties: &Parties) {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    group.bench_function("initiate: bundle read and verified, session started", |b| {
        b.iter(|| parties.initiate(rng));
    });
    group.bench_function("accept: first message read, session started, 1 KiB decrypted", |b| {
        let first = encrypt(&mut parties.initiate(rng), rng);
        b.iter(|| parties.accept(first.bytes(), rng));
    });
}

fn messages(group: &mut Group<'_>, parties: &Parties) {
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    let other = &mut ChaCha20Rng::seed_from_u64(3);
    let (alice, bob) = parties.converse(200, rng);
    group.bench_function("encrypt 1 KiB, first of its direction", |b| {
        b.iter_batched_ref(|| alice.clone(), |alice| encrypt(alice, rng), BatchSize::SmallInput);
    });
    group.bench_function("encrypt 1 KiB, same direction", |b| {
        let mut alice = alice.clone();
        b.iter(|| encrypt(&mut alice, rng));
    });
    group.bench_function("decrypt 1 KiB, same direction", |b| {
        let (mut alice, mut bob) = (alice.clone(), bob.clone());
        b.iter_batched(
            || encrypt(&mut alice, rng),
            |message| decrypt(&mut bob, message.bytes(), other),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("ping-pong 1 KiB, one message, both ends", |b| {
        let (mut from, mut to) = (alice.clone(), bob.clone());
        b.iter(|| {
            pass(&mut from, &mut to, rng);
            std::mem::swap(&mut from, &mut to);
        });
    });
    group.bench_function("decrypt 1 KiB that skips 1000", |b| {
        let mut alice = alice.clone();
        let ahead = (0..=1000).map(|_| encrypt(&mut alice, rng)).last().unwrap();
        b.iter_batched_ref(|| bob.clone(), |bob| decrypt(bob, ahead.bytes(), other), BatchSize::SmallInput);
    });
}

fn stored_keys(group: &mut Group<'_>, parties: &Parties) {
    let rng = &mut ChaCha20Rng::seed_from_u64(4);
    let other = &mut ChaCha20Rng::seed_from_u64(5);
    let (mut alice, mut bob) = parties.converse(200, rng);
    let steady = bob.to_bytes().len();
    let late: Vec<_> = (0..1000).map(|_| encrypt(&mut alice, rng)).collect();
    pass(&mut alice, &mut bob, rng);
    println!("session record: {steady} bytes, with 1000 keys stored {} bytes", bob.to_bytes().len());
    println!("message: {} bytes over its plaintext", encrypt(&mut alice.clone(), rng).bytes().len() - PLAINTEXT.len());

    group.bench_function("encrypt 1 KiB, 1000 keys stored", |b| {
        let mut bob = bob.clone();
        b.iter(|| encrypt(&mut bob, rng));
    });
    group.bench_function("decrypt 1 KiB in order, 1000 keys stored", |b| {
        let (mut alice, mut bob) = (alice.clone(), bob.clone());
        b.iter_batched(
            || encrypt(&mut alice, rng),
            |message| decrypt(&mut bob, message.bytes(), other),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("decrypt 1 KiB late, 1000 keys stored", |b| {
        b.iter_batched_ref(|| bob.clone(), |bob| decrypt(bob, late[500].bytes(), other), BatchSize::SmallInput);
    });
    for (keys, session) in [("", &parties.converse(200, rng).1), (", 1000 keys stored", &bob)] {
        let bytes = session.to_bytes();
        group.bench_function(format!("to_bytes{keys}"), |b| b.iter(|| session.to_bytes()));
        group.bench_function(format!("from_bytes{keys}"), |b| b.iter(|| Session::from_bytes(&bytes).unwrap()));
    }
}

/// The post-quantum ratchet has its heavy moments once per epoch: which message costs most, and how much.
fn worst_message(group: &mut Group<'_>, parties: &Parties) {
    let rng = &mut ChaCha20Rng::seed_from_u64(6);
    let (mut from, mut to) = parties.converse(20, rng);
    let mut turns = Vec::new();
    let epochs = from.pq_epochs();
    while from.pq_epochs() < epochs + 3 {
        turns.push((from.clone(), to.clone(), rng.clone()));
        pass(&mut from, &mut to, rng);
        std::mem::swap(&mut from, &mut to);
    }
    let least = |work: &dyn Fn()| {
        let times = (0..7).map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        });
        times.min().unwrap_or_default()
    };
    // The clone costs the same in every turn.
    let encrypts =
        turns.iter().max_by_key(|(from, _, rng)| least(&|| drop(encrypt(&mut from.clone(), &mut rng.clone()))));
    let decrypts = turns.iter().max_by_key(|(from, to, rng)| {
        let message = encrypt(&mut from.clone(), &mut rng.clone());
        least(&|| drop(decrypt(&mut to.clone(), message.bytes(), &mut rng.clone())))
    });
    let (from, _, rng) = encrypts.unwrap();
    group.bench_function("worst encrypt 1 KiB of an epoch", |b| {
        b.iter_batched_ref(|| (from.clone(), rng.clone()), |(from, rng)| encrypt(from, rng), BatchSize::SmallInput);
    });
    let (from, to, rng) = decrypts.unwrap();
    let message = encrypt(&mut from.clone(), &mut rng.clone());
    group.bench_function("worst decrypt 1 KiB of an epoch, with its turn", |b| {
        let start = || (to.clone(), rng.clone());
        b.iter_batched_ref(start, |(to, rng)| decrypt(to, message.bytes(), rng), BatchSize::SmallInput);
    });
    println!("an epoch: {} messages of a ping-pong", turns.len() / 3);
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args();
    criterion.bench_function("bare X25519 agreement", |b| {
        let ours = x25519_dalek::StaticSecret::from([7; 32]);
        let theirs = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from([9; 32]));
        b.iter(|| black_box(&ours).diffie_hellman(black_box(&theirs)));
    });
    for (name, suite) in [("V1", Suite::V1), ("Signal", Suite::Signal)] {
        println!("\nSuite {name}");
        let parties = Parties::generate(suite, &mut ChaCha20Rng::seed_from_u64(0));
        let group = &mut criterion.benchmark_group(name);
        handshakes(group, &parties);
        messages(group, &parties);
        stored_keys(group, &parties);
        worst_message(group, &parties);
    }
    criterion.final_summary();
}
