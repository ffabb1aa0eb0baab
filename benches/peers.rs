//! The same work in this crate, in both suites, and in vodozemac, measured in turns in one process; beside the bare
//! primitives in the same run, and the least that each operation can cost with them.
//!
//! Messages go from plaintext to bytes and back: vodozemac's are encoded and decoded too. What differs all the same
//! stands in `support/olm.rs` and below the tables.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock and its arguments")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use std::cell::RefCell;

use subrosa::suite::Suite;
use support::measure::{Case, Results, in_turns, time};
use support::olm::{self, Olm};
use support::pair::{self, CHEAPEST, DEAREST, Pair, rng};
use support::primitives::{self, EDWARDS, LADDER, Limits};
use support::table::{Table, note, ratio, spread, us};

const SUITES: [(Suite, &str); 2] = [(Suite::V1, "V1"), (Suite::Signal, "Signal")];

const ENCRYPT: &str = "encrypt, same direction";
const ENCRYPT_PARITY: &str = "encrypt, same direction, with a parity chunk";
const DECRYPT: &str = "decrypt, same direction";
const PING_PONG: &str = "ping-pong, one message, both ends";
const INITIATE: &str = "initiate, first message";
const INITIATE_VERIFYING: &str = "initiate from bundle bytes, first message";
const ACCEPT: &str = "accept, first message decrypted";
const SKIP_40: &str = "decrypt that skips 40";
const SKIP_1000: &str = "decrypt that skips 1,000";

const OPERATIONS: [&str; 9] =
    [ENCRYPT, ENCRYPT_PARITY, DECRYPT, PING_PONG, INITIATE, INITIATE_VERIFYING, ACCEPT, SKIP_40, SKIP_1000];

fn ours(suite: Suite, name: &'static str) -> Vec<Case<'static>> {
    let mut cases = handshakes(suite, name);
    cases.extend(messages(suite, name));
    cases
}

fn key(operation: &str, who: &str) -> String {
    format!("{operation}, {who}")
}

fn handshakes(suite: Suite, name: &str) -> Vec<Case<'static>> {
    let (pair, mut random) = (Pair::new(suite), rng(1));
    let bundle = pair.bundle();
    let first = pair::encrypt(&mut pair.initiate(&bundle, &mut random), &mut random);
    let pair: &'static Pair = Box::leak(Box::new(pair));
    let (mut a, mut b, mut c) = (rng(2), rng(3), rng(4));
    vec![
        Case::plain(key(INITIATE, name), move || pair::encrypt(&mut pair.initiate(&bundle, &mut a), &mut a)),
        Case::plain(key(INITIATE_VERIFYING, name), move || {
            pair::encrypt(&mut pair.initiate(&pair.bundle(), &mut b), &mut b)
        }),
        Case::plain(key(ACCEPT, name), move || pair.accept(first.bytes(), &mut c)),
    ]
}

fn messages(suite: Suite, name: &str) -> Vec<Case<'static>> {
    let (pair, random) = (Pair::new(suite), &mut rng(5));
    let (mut alice, _) = pair.one_sided(CHEAPEST, random);
    let mut sender = rng(6);
    let encrypt = Case::plain(key(ENCRYPT, name), move || pair::encrypt(&mut alice, &mut sender));
    let (mut alice, _) = pair.one_sided(DEAREST, random);
    let mut sender = rng(7);
    let parity = Case::plain(key(ENCRYPT_PARITY, name), move || pair::encrypt(&mut alice, &mut sender));
    let (mut alice, mut bob) = pair.one_sided(DEAREST, random);
    let mut both = rng(8);
    let decrypt = Case::new(key(DECRYPT, name), move |count| {
        let sent: Vec<_> = (0..count).map(|_| pair::encrypt(&mut alice, &mut both)).collect();
        time(&sent, |message| pair::decrypt(&mut bob, message.bytes(), &mut both))
    });
    let (mut from, mut to) = pair.converse(200, random);
    let mut both = rng(9);
    let ping_pong = Case::plain(key(PING_PONG, name), move || {
        pair::pass(&mut from, &mut to, &mut both);
        std::mem::swap(&mut from, &mut to);
    });
    let mut cases = vec![encrypt, parity, decrypt, ping_pong];
    for (skip, count) in [(SKIP_40, 40), (SKIP_1000, 1_000)] {
        let (mut alice, bob) = pair.one_sided(DEAREST, random);
        let ahead = (0..=count).map(|_| pair::encrypt(&mut alice, random)).last().unwrap();
        let mut receiver = rng(10);
        let work = move |bob: &mut _| pair::decrypt(bob, ahead.bytes(), &mut receiver);
        cases.push(Case::each(key(skip, name), move || bob.clone(), work));
    }
    cases
}

fn theirs() -> Vec<Case<'static>> {
    const NAME: &str = "vodozemac";
    let olm: &'static Olm = Box::leak(Box::new(Olm::new()));
    let first = olm::encrypt(&mut olm.initiate());
    let (alice, bob) = olm.converse(200);
    let mut sender = olm::copy(&alice);
    let (mut far, mut near) = (olm::copy(&alice), olm::copy(&bob));
    let turning = RefCell::new((olm::copy(&alice), olm::copy(&bob)));
    let mut cases = vec![
        Case::plain(key(INITIATE, NAME), || olm::encrypt(&mut olm.initiate())),
        Case::each(key(ACCEPT, NAME), || olm.bob(), move |account| olm.accept(account, &first)),
        Case::plain(key(ENCRYPT, NAME), move || olm::encrypt(&mut sender)),
        Case::new(key(DECRYPT, NAME), move |count| {
            let sent: Vec<_> = (0..count).map(|_| olm::encrypt(&mut far)).collect();
            time(&sent, |message| olm::decrypt(&mut near, message))
        }),
        Case::plain(key(PING_PONG, NAME), move || {
            let (from, to) = &mut *turning.borrow_mut();
            olm::pass(from, to);
            std::mem::swap(from, to);
        }),
    ];
    for (skip, count) in [(SKIP_40, 40), (SKIP_1000, 1_000)] {
        let (mut alice, mut bob) = (olm::copy(&alice), olm::copy(&bob));
        // The first message of a direction turns the ratchet; ours has turned already.
        olm::pass(&mut alice, &mut bob);
        let ahead = (0..=count).map(|_| olm::encrypt(&mut alice)).last().unwrap();
        cases.push(Case::each(key(skip, NAME), move || olm::copy(&bob), move |bob| olm::decrypt(bob, &ahead)));
    }
    cases
}

/// Messages of a ping-pong for one epoch of the post-quantum ratchet.
fn epoch() -> f64 {
    let (pair, random) = (Pair::new(Suite::V1), &mut rng(11));
    let (mut alice, mut bob) = pair.converse(20, random);
    let mut messages = 0;
    pair::through_epochs((&mut alice, &mut bob), 8, random, |from, to, random| {
        pair::pass(from, to, random);
        messages += 1;
    });
    f64::from(messages) / 8.0
}

/// The limit of an operation; `None` where there is no sum for it.
fn limit(limits: &Limits<'_>, operation: &str) -> Option<f64> {
    Some(match operation {
        ENCRYPT | ENCRYPT_PARITY => limits.encrypt(),
        DECRYPT => limits.decrypt(),
        PING_PONG => limits.ping_pong(),
        INITIATE => limits.initiate(),
        INITIATE_VERIFYING => limits.initiate_verifying(),
        ACCEPT => limits.accept(),
        SKIP_40 => limits.skip(40),
        SKIP_1000 => limits.skip(1_000),
        _ => return None,
    })
}

/// Who did what in vodozemac: it checks no signatures, and has no parity chunks.
fn peer_of(operation: &str) -> &str {
    match operation {
        ENCRYPT_PARITY => ENCRYPT,
        INITIATE_VERIFYING => INITIATE,
        same => same,
    }
}

fn report(results: &Results, epoch: f64) {
    let mut table = Table::new("Bare primitives, µs", ["primitive", "median", "10 % to 90 %"]);
    for name in primitives::ALL {
        table.row([name, &us(results.of(name)), &spread(results.taken(name))]);
    }
    table.print();

    let mut table = Table::new(
        "Beside vodozemac, µs",
        [
            "operation",
            "V1",
            "10 % to 90 %",
            "Signal",
            "10 % to 90 %",
            "vodozemac",
            "10 % to 90 %",
            "V1 / v.",
            "Signal / v.",
        ],
    );
    for operation in OPERATIONS {
        let [v1, signal, peer] = [("V1", operation), ("Signal", operation), ("vodozemac", peer_of(operation))]
            .map(|(who, operation)| results.taken(&key(operation, who)));
        let cells = [v1, signal, peer].map(|taken| (us(taken.median), spread(taken)));
        let ratios = [v1, signal].map(|taken| ratio(taken.median, peer.median));
        let [(a, a_spread), (b, b_spread), (c, c_spread)] = &cells;
        table.row([operation, a, a_spread, b, b_spread, c, c_spread, &ratios[0], &ratios[1]]);
    }
    table.print();

    let columns = ["operation", "suite", "µs", "limit, ladder", "ratio", "limit, Edwards", "ratio"];
    let mut table = Table::new("Beside the least it can cost, µs", columns);
    for operation in OPERATIONS {
        for (suite, name) in SUITES {
            let taken = results.of(&key(operation, name));
            let [ladder, edwards] = [LADDER, EDWARDS]
                .map(|agreement| limit(&Limits { results, suite, agreement, epoch }, operation).unwrap_or(f64::NAN));
            let cells = [us(taken), us(ladder), ratio(taken, ladder), us(edwards), ratio(taken, edwards)];
            let [taken, ladder, of_ladder, edwards, of_edwards] = &cells;
            table.row([operation, name, taken, ladder, of_ladder, edwards, of_edwards]);
        }
    }
    table.print();

    note(&format!(
        "Plaintexts of 1 KiB; bytes in, bytes out. vodozemac: nothing post-quantum; no signature of a bundle checked \
         (compared with ours over a verified bundle, and with ours that verifies two); three agreements in a handshake, \
         where ours are four; AES-CBC with a MAC of 8 bytes; 40 keys kept for late messages, where ours are 2,000; \
         randomness from the operating system, where ours is a seeded generator's.\n\
         An epoch of the post-quantum ratchet is {epoch:.0} messages of a ping-pong. Through the Edwards form a ratio \
         may be below 1: two agreements with one key share its decompression."
    ));
}

fn main() {
    let mut cases = primitives::cases();
    for (suite, name) in SUITES {
        cases.extend(ours(suite, name));
    }
    cases.extend(theirs());
    report(&in_turns(cases), epoch());
}
