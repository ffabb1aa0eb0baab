//! What the client costs: a steady message of 1 KiB, staged, its rows opened and sealed, applied to a store in memory;
//! beside the same message in a bare session in the same run; and that neither peers nor skipped message keys nor archived
//! sessions make it dearer. With feature `std` also for a client that keeps sessions in memory. The goal is 3.5 times a bare
//! session.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock and its arguments")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use std::cell::RefCell;
use std::rc::Rc;

use subrosa::ident::Address;
use subrosa::suite::{Suite, Suites};
use support::device::{Party, Stored, talking};
use support::measure::{Case, Results, in_turns, time};
use support::pair::{self, DEAREST, Pair, rng};
use support::primitives::LADDER;
use support::table::{Table, note, ratio, spread, us};

const SUITES: [(Suite, Suites); 2] = [(Suite::V1, Suites::V1), (Suite::Signal, Suites::SIGNAL)];

const SEND: &str = "send";
const RECEIVE: &str = "receive";
const LATE: &str = "receive late";

const BARE: &str = "a bare session";
/// A session in use for days, and what is stored besides.
const IN_USE: Stored = Stored { sent: 2_000, ..Stored::NOTHING };
const STORED: &[(&str, Stored)] = &[
    ("1 peer", IN_USE),
    ("100 peers", Stored { peers: 100, ..IN_USE }),
    ("10,000 peers", Stored { peers: 10_000, ..IN_USE }),
    ("100 skipped keys", Stored { kept: 100, ..IN_USE }),
    ("1,000 skipped keys", Stored { kept: 1_000, ..IN_USE }),
    ("2,000 skipped keys", Stored { kept: 2_000, ..IN_USE }),
    ("40 archived sessions", Stored { archived: 40, ..IN_USE }),
    #[cfg(feature = "std")]
    ("1 peer, session cache", Stored { cached: true, ..IN_USE }),
    #[cfg(feature = "std")]
    ("100 peers, session cache", Stored { peers: 100, cached: true, ..IN_USE }),
    #[cfg(feature = "std")]
    ("10,000 peers, session cache", Stored { peers: 10_000, cached: true, ..IN_USE }),
];

fn key(operation: &str, suite: Suite, what: &str) -> String {
    format!("{operation}, {suite:?}, {what}")
}

fn bare_session(suite: Suite) -> Vec<Case<'static>> {
    let (pair, random) = (Pair::new(suite), &mut rng(1));
    // Where ten messages each way have brought the clients below: they compute parity chunks as well.
    let (mut alice, _) = pair.one_sided(DEAREST, random);
    let mut sender = rng(2);
    let send = Case::plain(key(SEND, suite, BARE), move || pair::encrypt(&mut alice, &mut sender));
    let (mut alice, mut bob) = pair.one_sided(DEAREST, random);
    let mut both = rng(3);
    let receive = Case::new(key(RECEIVE, suite, BARE), move |count| {
        let sent: Vec<_> = (0..count).map(|_| pair::encrypt(&mut alice, &mut both)).collect();
        time(&sent, |message| pair::decrypt(&mut bob, message.bytes(), &mut both))
    });
    vec![send, receive]
}

fn through_client(suite: Suite, suites: Suites, (what, stored): (&str, Stored)) -> [Case<'static>; 2] {
    let (alice, bob) = talking(suites, stored);
    let to = bob.address();
    let send = |alice: &mut Party, to: &Address, count| (0..count).map(|_| alice.send(to)).collect::<Vec<_>>();
    let names = [key(SEND, suite, what), key(RECEIVE, suite, what)];
    if stored.kept > 0 {
        // Every batch from the same state: keys that fall too far behind are dropped, and would be gone in the end.
        let (start, other) = (alice.clone(), to.clone());
        let sending = move |count| {
            let mut alice = start.clone();
            time(0..count, |_| alice.send(&other))
        };
        let receiving = move |count| {
            let (mut alice, mut bob) = (alice.clone(), bob.clone());
            time(&send(&mut alice, &to, count), |envelope| bob.receive(envelope))
        };
        let [first, second] = names;
        return [Case::new(first, sending), Case::new(second, receiving)];
    }
    let parties = Rc::new(RefCell::new((alice, bob)));
    let (others, other) = (Rc::clone(&parties), to.clone());
    // What is sent is received too, untimed, so that nothing piles up.
    let sending = move |count| {
        let (alice, bob) = &mut *parties.borrow_mut();
        let mut sent = Vec::new();
        alice.prune();
        let spent = time(0..count, |_| sent.push(alice.send(&other)));
        sent.iter().for_each(|envelope| drop(bob.receive(envelope)));
        spent
    };
    let receiving = move |count| {
        let (alice, bob) = &mut *others.borrow_mut();
        time(&send(alice, &to, count), |envelope| bob.receive(envelope))
    };
    let [first, second] = names;
    [Case::new(first, sending), Case::new(second, receiving)]
}

/// A late message changes the page with its seed, the page with its post-quantum key, and the list of the pages.
fn late(suite: Suite, suites: Suites, kept: usize) -> Case<'static> {
    let (mut alice, bob) = talking(suites, Stored::NOTHING);
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

const OPEN: &str = "open an account";
const TODO: &str = "todo, with nothing to do";
const PRUNE: &str = "prune a page of 40 devices, nothing old";
const PUBLISH: &str = "publish prekeys, 100 one-time ones of each kind";
const FIRST_SENT: &str = "first contact: a session added, the first message sent";
const FIRST_RECEIVED: &str = "first contact: the first message received";
const PING_PONG: &str = "ping-pong, one message, both ends";
const MANY: &str = "receive_many, 100 at once, a message";
const OTHERS: [&str; 8] = [OPEN, TODO, PRUNE, PUBLISH, FIRST_SENT, FIRST_RECEIVED, PING_PONG, MANY];

/// What else a client does.
fn others(suite: Suite, suites: Suites) -> Vec<Case<'static>> {
    let (alice, bob) = talking(suites, IN_USE);
    let (to, from) = (bob.address(), alice.address());
    let named = |what: &str| key(what, suite, "");
    let (mut opening, mut asking) = (alice.clone(), alice.clone());
    let (mut pruning, _) = talking(suites, Stored { peers: 10_000, ..Stored::NOTHING });
    let mut page = 0_u8;
    let prune = move || {
        page = page.wrapping_add(1);
        pruning.prune_page(page);
    };
    let fresh = move |seed| Party::new("somebody", suites, seed);
    let mut seed = 10;
    let publish = Case::each(
        named(PUBLISH),
        move || {
            seed += 1;
            fresh(seed)
        },
        Party::publish,
    );
    let mut callee = Party::new("bob", suites, 3);
    let (upload, address) = (callee.publish(), callee.address());
    let (add, other) = (upload.clone(), address.clone());
    let mut seed = 1_000;
    let first_sent = Case::each(
        named(FIRST_SENT),
        move || {
            seed += 1;
            fresh(seed)
        },
        move |caller| {
            caller.add(&add);
            caller.send(&other)
        },
    );
    let mut seed = 2_000;
    let first_received = Case::each(
        named(FIRST_RECEIVED),
        move || {
            seed += 1;
            let mut caller = fresh(seed);
            caller.add(&upload);
            (callee.clone(), caller.send(&address))
        },
        |(callee, envelope)| callee.receive(envelope),
    );
    let mut both = (alice.clone(), bob.clone());
    let ping_pong = Case::new(named(PING_PONG), move |count| {
        let (alice, bob) = &mut both;
        let spent = time(0..count.div_ceil(2), |_| {
            bob.receive(&alice.send(&to));
            alice.receive(&bob.send(&from));
        });
        // One message each way was done for two.
        if count % 2 == 1 { spent * count / (count + 1) } else { spent }
    });
    let (mut sender, mut reader, to) = (alice, bob.clone(), bob.address());
    let many = Case::new(named(MANY), move |count| {
        sender.prune();
        let inboxes: Vec<Vec<_>> =
            (0..count.div_ceil(100)).map(|_| (0..100).map(|_| sender.send(&to)).collect()).collect();
        let received = count.div_ceil(100) * 100;
        time(&inboxes, |inbox| reader.receive_many(inbox)) * count / received
    });
    vec![
        Case::plain(named(OPEN), move || opening.open()),
        Case::plain(named(TODO), move || asking.todo()),
        Case::plain(named(PRUNE), prune),
        publish,
        first_sent,
        first_received,
        ping_pong,
        many,
    ]
}

fn report(results: &Results) {
    let columns =
        ["", "suite", "send", "10 % to 90 %", "of a bare session", "receive", "10 % to 90 %", "of a bare session"];
    let mut table = Table::new("The client, µs", columns);
    for (suite, _) in SUITES {
        for what in [BARE].into_iter().chain(STORED.iter().map(|(what, _)| *what)) {
            let cells = [SEND, RECEIVE].map(|operation| {
                let (taken, base) =
                    (results.taken(&key(operation, suite, what)), results.of(&key(operation, suite, BARE)));
                [us(taken.median), spread(taken), ratio(taken.median, base)]
            });
            let [[send, send_spread, send_ratio], [receive, receive_spread, receive_ratio]] = &cells;
            let suite = format!("{suite:?}");
            table.row([what, &suite, send, send_spread, send_ratio, receive, receive_spread, receive_ratio]);
        }
    }
    table.print();
    let mut table = Table::new("A late message, µs", ["suite", "of 100 skipped", "of 1,000", "of 2,000"]);
    for (suite, _) in SUITES {
        let cells = [100, 1_000, 2_000].map(|kept| us(results.of(&key(LATE, suite, &kept.to_string()))));
        table.row([&format!("{suite:?}"), &cells[0], &cells[1], &cells[2]]);
    }
    table.print();
    let mut table = Table::new("What else a client does, µs", ["", "V1", "10 % to 90 %", "Signal", "10 % to 90 %"]);
    for what in OTHERS {
        let [one, two] = SUITES.map(|(suite, _)| results.taken(&key(what, suite, "")));
        table.row([what, &us(one.median), &spread(one), &us(two.median), &spread(two)]);
    }
    table.print();
    note(&format!("A bare X25519 agreement in the same run: {} µs", us(results.of(LADDER))));
}

fn main() {
    let mut cases: Vec<_> = support::primitives::cases();
    for (suite, suites) in SUITES {
        cases.extend(bare_session(suite));
        for stored in STORED {
            cases.extend(through_client(suite, suites, *stored));
        }
        cases.extend([100, 1_000, 2_000].map(|kept| late(suite, suites, kept)));
        cases.extend(others(suite, suites));
    }
    report(&in_turns(cases));
}
