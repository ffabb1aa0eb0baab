//! One operation, so many times, for an instruction counter: `instructions.sh` runs it under valgrind. Everything is
//! seeded and the time is fixed, so a count can be compared with that of another commit on another day; what is
//! prepared costs the same however often the operation follows, and cancels out between two counts.
//!
//! `instructions OPERATION COUNT`; without arguments it names the operations and does each of them once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads its arguments")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use std::hint::black_box;

use subrosa::suite::{Suite, Suites};
use support::device::{Stored, talking};
use support::pair::{self, CHEAPEST, DEAREST, Pair, rng};

/// A name, and what does it so many times.
type Operation = (&'static str, fn(u32));

const OPERATIONS: [Operation; 9] = [
    ("encrypt", |count| encrypt(Suite::V1, CHEAPEST, count)),
    ("encrypt-parity", |count| encrypt(Suite::V1, DEAREST, count)),
    ("decrypt", |count| decrypt(Suite::V1, count)),
    ("ping-pong", |count| ping_pong(Suite::V1, count)),
    ("handshake", |count| handshake(Suite::V1, count)),
    ("client", client),
    ("encrypt-signal", |count| encrypt(Suite::Signal, CHEAPEST, count)),
    ("decrypt-signal", |count| decrypt(Suite::Signal, count)),
    ("ping-pong-signal", |count| ping_pong(Suite::Signal, count)),
];

/// Encrypts 1 KiB, one way.
fn encrypt(suite: Suite, state: &str, count: u32) {
    let random = &mut rng(1);
    let (mut alice, _) = Pair::new(suite).one_sided(state, random);
    for _ in 0..count {
        black_box(pair::encrypt(&mut alice, random));
    }
}

/// Decrypts 1 KiB, one way. As many messages are prepared for any count.
fn decrypt(suite: Suite, count: u32) {
    let random = &mut rng(2);
    let (mut alice, mut bob) = Pair::new(suite).one_sided(DEAREST, random);
    let sent: Vec<_> = (0..MOST).map(|_| pair::encrypt(&mut alice, random)).collect();
    for message in sent.iter().take(usize::try_from(count).unwrap()) {
        black_box(pair::decrypt(&mut bob, message.bytes(), random));
    }
}

/// The most messages that are decrypted.
const MOST: u32 = 1_024;

/// One message of a ping-pong, both ends.
fn ping_pong(suite: Suite, count: u32) {
    let random = &mut rng(3);
    let (mut from, mut to) = Pair::new(suite).converse(20, random);
    for _ in 0..count {
        pair::pass(&mut from, &mut to, random);
        std::mem::swap(&mut from, &mut to);
    }
}

/// A bundle read and verified, a session started with its first message, which is accepted and decrypted.
fn handshake(suite: Suite, count: u32) {
    let (random, pair) = (&mut rng(4), Pair::new(suite));
    for _ in 0..count {
        let first = pair::encrypt(&mut pair.initiate(&pair.bundle(), random), random);
        black_box(pair.accept(first.bytes(), random));
    }
}

/// The client: a steady message sent and received, 1 KiB, both staged and applied to a store in memory.
fn client(count: u32) {
    let (mut alice, mut bob) = talking(Suites::V1, Stored::NOTHING);
    let to = bob.address();
    for _ in 0..count {
        let envelope = alice.send(&to);
        black_box(bob.receive(&envelope));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match arguments.as_slice() {
        [operation, count] => {
            let found = OPERATIONS.iter().find(|(name, _)| name == operation);
            let (_, work) = found.unwrap_or_else(|| panic!("there is no operation {operation}"));
            let count: u32 = count.parse().unwrap();
            assert!(count <= MOST, "at most {MOST} times");
            work(count);
        }
        _ => {
            for (name, work) in OPERATIONS {
                work(1);
                println!("{name}");
            }
        }
    }
}
