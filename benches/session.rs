//! What a session's state does to the cost of a message: skipped message keys, archived sessions, the heavy
//! moments of the post-quantum ratchet. What the operations cost beside others' is in `peers.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock and its arguments")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use rand_chacha::ChaCha20Rng;
use subrosa::session::{Ciphertext, Session};
use subrosa::suite::Suite;
use support::measure::{Case, in_few_turns, in_turns, time};
use support::pair::{self, DEAREST, Pair, rng};
use support::primitives::{self, DECAPS_768, ENCAPS_768, KEYS_768, LADDER};
use support::table::{Table, note, ratio, spread, us};

const SUITES: [Suite; 2] = [Suite::V1, Suite::Signal];

/// Keys for late messages that a receiver keeps: 2,000 are the most.
const SKIPPED_KEYS: [u32; 4] = [0, 100, 1_000, 2_000];

/// Archived sessions: 40 are the most.
const ARCHIVED: [usize; 3] = [0, 10, 40];

const ENCRYPT: &str = "encrypt";
const DECRYPT: &str = "decrypt in order";
const LATE: &str = "decrypt late";
const OLD: &str = "decrypt, for the oldest archived session";
const STORE: &str = "to bytes";
const LOAD: &str = "from bytes";

fn key(operation: &str, suite: Suite, stored: impl std::fmt::Display) -> String {
    format!("{operation}, {suite:?}, {stored}")
}

/// A receiver that keeps keys, its sender, and messages that come late.
struct Behind {
    sender: Session,
    receiver: Session,
    late: Vec<Ciphertext>,
}

fn behind(pair: &Pair, kept: u32, rng: &mut ChaCha20Rng) -> Behind {
    let (mut sender, mut receiver) = pair.one_sided(DEAREST, rng);
    let late: Vec<_> = (0..kept).map(|_| pair::encrypt(&mut sender, rng)).collect();
    pair::pass(&mut sender, &mut receiver, rng);
    Behind { sender, receiver, late }
}

fn skipped_keys(suite: Suite) -> Vec<Case<'static>> {
    let (pair, mut cases) = (Pair::new(suite), Vec::new());
    for kept in SKIPPED_KEYS {
        let Behind { sender, receiver, late } = behind(&pair, kept, &mut rng(1));
        let (start, mut random) = (receiver.clone(), rng(2));
        // A session that sends in one direction only: from a fresh copy, in which the first message turned nothing.
        let mut answering = receiver.clone();
        pair::encrypt(&mut answering, &mut random);
        cases.push(Case::plain(key(ENCRYPT, suite, kept), move || pair::encrypt(&mut answering, &mut random)));
        let (before, mut random) = (receiver, rng(3));
        // Every batch from the same state: what falls too far behind is dropped, and would be gone in the end.
        cases.push(Case::new(key(DECRYPT, suite, kept), move |count| {
            let (mut ahead, mut following) = (sender.clone(), before.clone());
            let sent: Vec<_> = (0..count).map(|_| pair::encrypt(&mut ahead, &mut random)).collect();
            time(&sent, |message| pair::decrypt(&mut following, message.bytes(), &mut random))
        }));
        for (operation, session) in [(STORE, start.clone()), (LOAD, start.clone())] {
            let bytes = session.to_bytes();
            cases.push(match operation {
                STORE => Case::plain(key(STORE, suite, kept), move || session.to_bytes()),
                _ => Case::plain(key(LOAD, suite, kept), move || Session::from_bytes(&bytes).unwrap()),
            });
        }
        if kept > 0 {
            let mut random = rng(4);
            // As many as a batch takes, spread over what is kept; the copy that they use up is made before.
            let late = move |count: u32| {
                let mut receiver = start.clone();
                let step = late.len() / usize::try_from(count).unwrap();
                let taken: Vec<_> = late.iter().step_by(step.max(1)).take(usize::try_from(count).unwrap()).collect();
                time(taken, |message| pair::decrypt(&mut receiver, message.bytes(), &mut random))
            };
            cases.push(Case::new(key(LATE, suite, kept), late).at_most(32));
        }
    }
    cases
}

fn archived(suite: Suite) -> Vec<Case<'static>> {
    let (pair, mut cases) = (Pair::new(suite), Vec::new());
    for count in ARCHIVED {
        let (mut alice, bob, late) = pair.archived(count, &mut rng(5));
        let what = format!("{count} archived");
        let (mut following, mut random) = (bob.clone(), rng(6));
        let mut answering = bob.clone();
        let mut other = rng(7);
        cases.push(Case::plain(key(ENCRYPT, suite, &what), move || pair::encrypt(&mut answering, &mut other)));
        cases.push(Case::new(key(DECRYPT, suite, &what), move |count| {
            let sent: Vec<_> = (0..count).map(|_| pair::encrypt(&mut alice, &mut random)).collect();
            time(&sent, |message| pair::decrypt(&mut following, message.bytes(), &mut random))
        }));
        if let Some(late) = late {
            let mut random = rng(8);
            let work = move |bob: &mut Session| pair::decrypt(bob, late.bytes(), &mut random);
            cases.push(Case::each(key(OLD, suite, &what), move || bob.clone(), work));
        }
    }
    cases
}

fn curves() {
    let kept_and_archived = SUITES.into_iter().flat_map(|suite| skipped_keys(suite).into_iter().chain(archived(suite)));
    let results = in_turns(kept_and_archived.chain(primitives::cases()).collect());
    let columns = ["operation", "suite", "0 keys", "100", "1,000", "2,000", "2,000 / 100"];
    let mut table = Table::new("Over keys kept for late messages, µs", columns);
    for operation in [ENCRYPT, DECRYPT, LATE, STORE, LOAD] {
        for suite in SUITES {
            // Nothing comes late where nothing is kept.
            let at = |kept: u32| (operation != LATE || kept > 0).then(|| results.of(&key(operation, suite, kept)));
            let cells = SKIPPED_KEYS.map(|kept| at(kept).map_or_else(|| "–".to_owned(), us));
            let growth = ratio(at(2_000).unwrap(), at(100).unwrap());
            table.row([operation, &format!("{suite:?}"), &cells[0], &cells[1], &cells[2], &cells[3], &growth]);
        }
    }
    table.print();
    let columns = ["operation", "suite", "0 archived", "10", "40", "40 / 10"];
    let mut table = Table::new("Over archived sessions, µs", columns);
    for operation in [ENCRYPT, DECRYPT, OLD] {
        for suite in SUITES {
            let at = |count: usize| {
                (operation != OLD || count > 0).then(|| results.of(&key(operation, suite, format!("{count} archived"))))
            };
            let cells = ARCHIVED.map(|count| at(count).map_or_else(|| "–".to_owned(), us));
            let growth = ratio(at(40).unwrap(), at(10).unwrap());
            table.row([operation, &format!("{suite:?}"), &cells[0], &cells[1], &cells[2], &growth]);
        }
    }
    table.print();
    let agreement = results.taken(LADDER);
    note(&format!("A bare X25519 agreement in the same run: {} µs ({})", us(agreement.median), spread(agreement)));
}

/// Every message of a ping-pong through two epochs, from copies of the states before it.
fn epochs(suite: Suite) -> Vec<Case<'static>> {
    let (pair, random) = (Pair::new(suite), &mut rng(9));
    let (mut alice, mut bob) = pair.converse(20, random);
    let mut cases = Vec::new();
    pair::through_epochs((&mut alice, &mut bob), 2, random, |from, to, random| {
        let number = cases.len() / 2;
        let (sender, receiver, start) = (from.clone(), to.clone(), random.clone());
        let bytes = pair::encrypt(from, random).bytes().to_vec();
        pair::decrypt(to, &bytes, random);
        // A copy of the generator too: it is the same message every time.
        let again = start.clone();
        cases.push(Case::each(
            key(ENCRYPT, suite, number),
            move || (sender.clone(), again.clone()),
            |(sender, random)| pair::encrypt(sender, random),
        ));
        cases.push(Case::each(
            key(DECRYPT, suite, number),
            move || (receiver.clone(), start.clone()),
            move |(receiver, random)| pair::decrypt(receiver, &bytes, random),
        ));
    });
    cases
}

/// The post-quantum ratchet has its heavy moments a few times in an epoch: which message costs most, and how much more
/// than the others, beside the one KEM operation that it holds.
fn worst_message() {
    let mut table = Table::new(
        "The worst message of an epoch in a ping-pong, µs",
        ["operation", "suite", "median message", "worst", "over the median", "of the dearest KEM operation"],
    );
    let mut yardsticks = None;
    for suite in SUITES {
        let cases = epochs(suite);
        let messages = cases.len() / 2;
        let results = in_few_turns(cases.into_iter().chain(primitives::braid_kem()).collect());
        let kem = [KEYS_768, ENCAPS_768, DECAPS_768].map(|name| results.of(name));
        let dearest = kem.into_iter().fold(0.0, f64::max);
        for operation in [ENCRYPT, DECRYPT] {
            let mut taken: Vec<f64> = (0..messages).map(|at| results.of(&key(operation, suite, at))).collect();
            taken.sort_by(f64::total_cmp);
            let (median, worst) = (taken[messages / 2], taken[messages - 1]);
            let over = worst - median;
            let cells = [us(median), us(worst), us(over), ratio(over, dearest)];
            table.row([operation, &format!("{suite:?}"), &cells[0], &cells[1], &cells[2], &cells[3]]);
        }
        yardsticks.get_or_insert_with(|| kem.map(us));
        note(&format!("{suite:?}: two epochs are {messages} messages of a ping-pong"));
    }
    table.print();
    let [keys, encapsulation, decapsulation] = yardsticks.unwrap();
    note(&format!(
        "ML-KEM-768 in the same run: key pair {keys}, encapsulation {encapsulation}, decapsulation {decapsulation} µs. \
         Decrypting is with the turn of the ratchet: two agreements and a key pair. The goal is 1.3."
    ));
}

fn main() {
    curves();
    worst_message();
}
