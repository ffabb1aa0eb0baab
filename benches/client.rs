//! What the client costs: a steady message of 1 KiB, staged, its rows opened and sealed, applied to a store in memory;
//! beside the same message at level 1 in the same run; and that neither peers nor kept keys nor archived sessions make
//! it dearer. The goal is 3.5 times level 1.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock and its arguments")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use std::cell::RefCell;
use std::rc::Rc;

use subrosa::suite::{Suite, Suites};
use support::device::{Party, talking};
use support::measure::{Case, Results, in_turns, time};
use support::pair::{self, DEAREST, Pair, rng};
use support::primitives::LADDER;
use support::table::{Table, ratio, spread, us};

const SUITES: [(Suite, Suites); 2] = [(Suite::V1, Suites::V1), (Suite::Signal, Suites::SIGNAL)];

const SEND: &str = "send";
const RECEIVE: &str = "receive";
const LATE: &str = "receive late";

const LEVEL_1: &str = "level 1";
/// What is stored: peers, keys for late messages at both ends, archived sessions.
const STORED: [(&str, u32, usize, usize); 7] = [
    ("1 peer", 1, 0, 0),
    ("100 peers", 100, 0, 0),
    ("10,000 peers", 10_000, 0, 0),
    ("100 kept keys", 1, 100, 0),
    ("1,000 kept keys", 1, 1_000, 0),
    ("2,000 kept keys", 1, 2_000, 0),
    ("40 archived sessions", 1, 0, 40),
];

fn key(operation: &str, suite: Suite, what: &str) -> String {
    format!("{operation}, {suite:?}, {what}")
}

fn level_1(suite: Suite) -> Vec<Case<'static>> {
    let (pair, random) = (Pair::new(suite), &mut rng(1));
    // Where ten messages each way have brought the clients below: they compute parity chunks as well.
    let (mut alice, _) = pair.one_sided(DEAREST, random);
    let mut sender = rng(2);
    let send = Case::plain(key(SEND, suite, LEVEL_1), move || pair::encrypt(&mut alice, &mut sender));
    let (mut alice, mut bob) = pair.one_sided(DEAREST, random);
    let mut both = rng(3);
    let receive = Case::new(key(RECEIVE, suite, LEVEL_1), move |count| {
        let sent: Vec<_> = (0..count).map(|_| pair::encrypt(&mut alice, &mut both)).collect();
        time(&sent, |message| pair::decrypt(&mut bob, message.bytes(), &mut both))
    });
    vec![send, receive]
}

fn level_2(
    suite: Suite,
    suites: Suites,
    (what, peers, kept, archived): (&str, u32, usize, usize),
) -> Vec<Case<'static>> {
    let (alice, bob) = talking(suites, peers, kept, archived);
    let to = bob.address();
    let parties = Rc::new(RefCell::new((alice, bob)));
    let others = Rc::clone(&parties);
    let other = to.clone();
    // What is sent is received too, untimed, so that nothing piles up.
    let send = Case::new(key(SEND, suite, what), move |count| {
        let (alice, bob) = &mut *parties.borrow_mut();
        let mut sent = Vec::new();
        let spent = time(0..count, |_| sent.push(alice.send(&to)));
        sent.iter().for_each(|envelope| drop(bob.receive(envelope)));
        spent
    });
    let receive = Case::new(key(RECEIVE, suite, what), move |count| {
        let (alice, bob) = &mut *others.borrow_mut();
        let sent: Vec<_> = (0..count).map(|_| alice.send(&other)).collect();
        time(&sent, |envelope| bob.receive(envelope))
    });
    vec![send, receive]
}

/// A late message changes the record of the kept keys, which is as long as there are keys.
fn late(suite: Suite, suites: Suites, kept: usize) -> Case<'static> {
    let (mut alice, bob) = talking(suites, 1, 0, 0);
    let to = bob.address();
    let mut start: Party = bob;
    let late: Vec<_> = (0..kept).map(|_| alice.send(&to)).collect();
    start.receive(&alice.send(&to));
    Case::new(key(LATE, suite, &format!("{kept}")), move |count| {
        let mut bob = start.clone();
        time(late.iter().take(usize::try_from(count).unwrap()), |envelope| bob.receive(envelope))
    })
    .at_most(16)
}

fn report(results: &Results) {
    let columns = ["", "suite", "send", "10 % to 90 %", "of level 1", "receive", "10 % to 90 %", "of level 1"];
    let mut table = Table::new("The client, µs", columns);
    for (suite, _) in SUITES {
        for what in [LEVEL_1].into_iter().chain(STORED.map(|(what, ..)| what)) {
            let cells = [SEND, RECEIVE].map(|operation| {
                let (taken, base) =
                    (results.taken(&key(operation, suite, what)), results.of(&key(operation, suite, LEVEL_1)));
                [us(taken.median), spread(taken), ratio(taken.median, base)]
            });
            let [[send, send_spread, send_ratio], [receive, receive_spread, receive_ratio]] = &cells;
            let suite = format!("{suite:?}");
            table.row([what, &suite, send, send_spread, send_ratio, receive, receive_spread, receive_ratio]);
        }
    }
    table.print();
    let mut table = Table::new("A late message, µs", ["suite", "of 100 kept", "of 1,000", "of 2,000"]);
    for (suite, _) in SUITES {
        let cells = [100, 1_000, 2_000].map(|kept| us(results.of(&key(LATE, suite, &kept.to_string()))));
        table.row([&format!("{suite:?}"), &cells[0], &cells[1], &cells[2]]);
    }
    table.print();
    println!("\nA bare X25519 agreement in the same run: {} µs", us(results.of(LADDER)));
}

fn main() {
    let mut cases: Vec<_> = support::primitives::cases();
    for (suite, suites) in SUITES {
        cases.extend(level_1(suite));
        for stored in STORED {
            cases.extend(level_2(suite, suites, stored));
        }
        cases.extend([100, 1_000, 2_000].map(|kept| late(suite, suites, kept)));
    }
    report(&in_turns(cases));
}
