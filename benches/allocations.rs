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

/// Allocations of each operation, and the bytes of all of them.
#[derive(Default)]
struct Heap {
    counts: Vec<u64>,
    bytes: u64,
}

/// `make` is not counted.
fn mean<I>(mut make: impl FnMut() -> I, mut work: impl FnMut(I)) -> Heap {
    let mut heap = Heap::default();
    for _ in 0..COUNT {
        let made = make();
        let info = measure(|| work(made));
        heap.counts.push(info.count_total);
        heap.bytes += info.bytes_total;
    }
    heap
}

/// Counts what is done through what the work is given, and nothing else that it does.
fn within(mut work: impl FnMut(Within<'_>)) -> Heap {
    let mut heap = Heap::default();
    for _ in 0..COUNT {
        let mut count = 0;
        work(&mut |part| {
            let info = measure(part);
            count += info.count_total;
            heap.bytes += info.bytes_total;
        });
        heap.counts.push(count);
    }
    heap
}

type Within<'a> = &'a mut dyn FnMut(&mut dyn FnMut());

fn row(table: &mut Table, what: &str, who: &str, heap: &Heap) {
    let mut counts = heap.counts.clone();
    counts.sort_unstable();
    let mean = |sum: u64| f64::from(u32::try_from(sum).unwrap()) / f64::from(COUNT);
    let [median, most] = [counts.len() / 2, counts.len() - 1].map(|at| counts[at].to_string());
    let (count, bytes) = (format!("{:.1}", mean(counts.iter().sum())), format!("{:.0}", mean(heap.bytes)));
    table.row([what, who, &median, &count, &most, &bytes]);
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
    let (mut other, mut reader) = (alice.clone(), bob.clone());
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
    // Without them.
    let mut sent = Vec::new();
    row(table, "client: send, the library alone", name, &within(|work| sent.push(other.send_within(&b, work))));
    let mut waiting = sent.iter();
    let receive = |work: Within<'_>| drop(reader.receive_within(waiting.next().unwrap(), work));
    row(table, "client: receive, the library alone", name, &within(receive));
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
    let columns = ["1 KiB", "who", "allocations, median", "mean", "most", "bytes, mean"];
    let mut table = Table::new("Heap allocations for each operation", columns);
    for suite in [Suite::V1, Suite::Signal] {
        bare_session(&mut table, suite);
    }
    through_client(&mut table, Suites::V1, "V1");
    through_client(&mut table, Suites::SIGNAL, "Signal");
    peer(&mut table);
    table.print();
}
