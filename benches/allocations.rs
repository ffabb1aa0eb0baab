//! Heap allocations for each message: how many, and of how many bytes. Growing a buffer counts as another allocation.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads its arguments")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use allocation_counter::measure;
use subrosa::session::Ciphertext;
use subrosa::suite::{Suite, Suites};
use support::device::{Stored, talking};
use support::olm::{self, Olm};
use support::pair::{self, CHEAPEST, DEAREST, Pair, rng};
use support::table::Table;

/// So many of each: what grows now and then is spread over them.
const COUNT: u32 = 256;

/// Allocations and bytes of one operation, the mean of many; and the most that one of them made.
struct Heap {
    count: f64,
    bytes: f64,
    most: u64,
}

/// `make` is not counted.
fn mean<I>(mut make: impl FnMut() -> I, mut work: impl FnMut(I)) -> Heap {
    let (mut count, mut bytes, mut most) = (0.0, 0.0, 0);
    for _ in 0..COUNT {
        let made = make();
        let info = measure(|| work(made));
        count += f64::from(u32::try_from(info.count_total).unwrap());
        bytes += f64::from(u32::try_from(info.bytes_total).unwrap());
        most = most.max(info.count_total);
    }
    Heap { count: count / f64::from(COUNT), bytes: bytes / f64::from(COUNT), most }
}

fn row(table: &mut Table, what: &str, who: &str, heap: &Heap) {
    table.row([what, who, &format!("{:.1}", heap.count), &heap.most.to_string(), &format!("{:.0}", heap.bytes)]);
}

fn bare_session(table: &mut Table, suite: Suite) {
    let (name, pair, random) = (format!("{suite:?}"), Pair::new(suite), &mut rng(1));
    for (what, state) in [("", CHEAPEST), (", with a parity chunk", DEAREST)] {
        let (mut alice, _) = pair.one_sided(state, random);
        let heap = mean(|| (), |()| drop(pair::encrypt(&mut alice, random)));
        row(table, &format!("encrypt, same direction{what}"), &name, &heap);
    }
    let (mut alice, mut bob) = pair.one_sided(DEAREST, random);
    let mut receiver = rng(2);
    let decrypt = |message: Ciphertext| drop(pair::decrypt(&mut bob, message.bytes(), &mut receiver));
    row(table, "decrypt, same direction", &name, &mean(|| pair::encrypt(&mut alice, random), decrypt));
    let (mut from, mut to) = pair.converse(200, random);
    let ping_pong = |()| {
        pair::pass(&mut from, &mut to, random);
        std::mem::swap(&mut from, &mut to);
    };
    row(table, "ping-pong, one message, both ends", &name, &mean(|| (), ping_pong));
}

fn through_client(table: &mut Table, suites: Suites, name: &str) {
    let (mut alice, mut bob) = talking(suites, Stored::NOTHING);
    let (a, b) = (alice.address(), bob.address());
    let mut sent = Vec::new();
    // The store's own copies are counted too: a database has its own.
    row(table, "client: send, stored", name, &mean(|| (), |()| sent.push(alice.send(&b))));
    let mut sent = sent.into_iter();
    row(
        table,
        "client: receive, stored",
        name,
        &mean(|| sent.next().unwrap(), |envelope| drop(bob.receive(&envelope))),
    );
    let ping_pong = |()| {
        let envelope = alice.send(&b);
        bob.receive(&envelope);
        let envelope = bob.send(&a);
        alice.receive(&envelope);
    };
    row(table, "client: ping-pong, two messages, both ends", name, &mean(|| (), ping_pong));
}

fn peer(table: &mut Table) {
    let olm = Olm::new();
    let (mut alice, mut bob) = olm.converse(10);
    row(table, "encrypt, same direction", "vodozemac", &mean(|| (), |()| drop(olm::encrypt(&mut alice))));
    let decrypt = |message: olm::Wire| drop(olm::decrypt(&mut bob, &message));
    row(table, "decrypt, same direction", "vodozemac", &mean(|| olm::encrypt(&mut alice), decrypt));
    let (mut from, mut to) = olm.converse(10);
    let ping_pong = |()| {
        olm::pass(&mut from, &mut to);
        std::mem::swap(&mut from, &mut to);
    };
    row(table, "ping-pong, one message, both ends", "vodozemac", &mean(|| (), ping_pong));
}

fn main() {
    let columns = ["1 KiB", "who", "allocations, mean", "most", "bytes, mean"];
    let mut table = Table::new("Heap allocations for each operation", columns);
    for suite in [Suite::V1, Suite::Signal] {
        bare_session(&mut table, suite);
    }
    through_client(&mut table, Suites::V1, "V1");
    through_client(&mut table, Suites::SIGNAL, "Signal");
    peer(&mut table);
    table.print();
}
