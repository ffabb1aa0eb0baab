//! Nothing that is done for every message grows with what is stored: skipped message keys, archived sessions,
//! other peers. Asserted by counting, not by a clock: heap allocations in a bare session; rows and bytes, loaded and written,
//! in the client. (Agreements are counted inside, where a message with an unknown ratchet key is tried.)
//!
//! And heap allocations of each message have an upper bound.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop where something is wrong"
)]
#![allow(clippy::print_stdout, reason = "a measurement reports")]

#[path = "linear/rows.rs"]
mod rows;
#[path = "client/side.rs"]
#[allow(dead_code, reason = "of what it shares this needs some")]
mod side;
mod support;

use allocation_counter::measure;
use subrosa::session::{Ciphertext, Session, SessionMessage};
use subrosa::suite::Suite;
use support::{NOW, Party, address, in_both_suites, rng, talking_in};

in_both_suites! {
    allocations_stay_within_their_bound,
    skipped_keys_cost_a_message_nothing,
    archived_sessions_cost_a_message_nothing,
}

const TEXT: [u8; 1024] = [0x5a; 1024];

/// More than the state of any kind needs to settle: the salts that a chain remembers are 64.
const SETTLED: usize = 80;

/// Heap allocations and their bytes; growing a buffer is another allocation.
type Heap = (u64, u64);

fn heap(work: impl FnOnce()) -> Heap {
    let info = measure(work);
    (info.count_total, info.bytes_total)
}

/// What it costs to encrypt with a copy of this session, once it has sent already.
fn encrypting(session: &Session) -> Heap {
    let (mut session, mut rng) = (session.clone(), rng(1));
    session.encrypt(&TEXT, NOW, &mut rng).unwrap();
    heap(|| drop(session.encrypt(&TEXT, NOW, &mut rng).unwrap()))
}

/// What it costs a copy of this session to decrypt a message.
fn decrypting(session: &Session, message: &Ciphertext) -> Heap {
    let (mut session, mut rng) = (session.clone(), rng(2));
    heap(|| {
        let message = SessionMessage::parse(message.bytes()).unwrap();
        assert_eq!(session.decrypt(&message, NOW, &mut rng).unwrap(), TEXT);
    })
}

fn deliver(alice: &mut Party, bob: &mut Party) {
    let message = alice.send(&TEXT);
    bob.receive(alice.device.address(), &message).unwrap();
}

/// The most allocations of one message: encrypted, decrypted in order, sent and received in a ping-pong.
/// What they are now: lower them when there are fewer.
const fn bounds(suite: Suite) -> [u64; 3] {
    match suite {
        // Five but for the one message of an epoch that makes the key.
        Suite::V1 => [6, 6, 12],
        _ => [5, 9, 15],
    }
}

fn allocations_stay_within_their_bound(suite: Suite) {
    let (mut encrypting, mut decrypted, mut turning) = (0, 0, 0);
    let (mut alice, mut bob) = talking_in(suite, 1);
    for turn in 0..400 {
        let (from, to) = if turn % 2 == 0 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
        turning = turning.max(heap(|| deliver(from, to)).0);
    }
    // At every stage of the post-quantum exchange a run of messages one way.
    for _ in 0..80 {
        for turn in 0..60 {
            let mut message = None;
            encrypting = encrypting.max(heap(|| message = Some(alice.send(&TEXT))).0);
            let message = message.unwrap();
            // The first one turns the ratchet.
            if turn > 0 {
                decrypted = decrypted.max(decrypting(bob.session(), &message).0);
            }
            bob.receive(alice.device.address(), &message).unwrap();
        }
        deliver(&mut bob, &mut alice);
    }
    let (counted, bounds) = ([encrypting, decrypted, turning], bounds(suite));
    println!("{suite:?}: at most {counted:?} allocations, where {bounds:?} are allowed");
    assert!(counted.iter().zip(bounds).all(|(counted, bound)| *counted <= bound), "{counted:?}, {bounds:?}");
}

/// The same messages to one who has received all before them, and to one who has lost 2,000, the most that are kept.
fn skipped_keys_cost_a_message_nothing(suite: Suite) {
    let (mut alice, mut all) = talking_in(suite, 3);
    (0..SETTLED).for_each(|_| deliver(&mut alice, &mut all));
    let (mut none, mut one) = (all.clone(), all.clone());
    let lost: Vec<_> = (0..2_000).map(|_| alice.send(&TEXT)).collect();
    let next: Vec<_> = (0..SETTLED).map(|_| alice.send(&TEXT)).collect();
    let missing = 1_234;
    for (at, message) in lost.iter().enumerate() {
        all.receive(&address("alice"), message).unwrap();
        if at != missing {
            one.receive(&address("alice"), message).unwrap();
        }
    }
    for message in &next {
        for bob in [&mut all, &mut none, &mut one] {
            bob.receive(&address("alice"), message).unwrap();
        }
    }
    let (all, none, one) = (all.session(), none.session(), one.session());
    assert!(none.to_bytes().len() > all.to_bytes().len() + 2 * 36 * 1_900, "they are kept");
    let after = alice.send(&TEXT);
    assert_eq!(decrypting(none, &after), decrypting(all, &after), "in order");
    assert_eq!(encrypting(none), encrypting(all));
    assert_eq!(decrypting(none, &lost[missing]), decrypting(one, &lost[missing]), "late");
}

/// A device and its peer with so many archived sessions; the last message of the oldest of them.
fn archived(suite: Suite, count: usize) -> (Party, Party, Option<Ciphertext>) {
    let (mut alice, mut bob) = talking_in(suite, 5);
    let mut late = None;
    for round in 0..=count {
        if round > 0 {
            late.get_or_insert_with(|| alice.send(&TEXT));
            alice.initiate(&bob.bundle(true));
            deliver(&mut alice, &mut bob);
        }
        deliver(&mut bob, &mut alice);
        (0..SETTLED).for_each(|_| deliver(&mut alice, &mut bob));
    }
    assert_eq!(bob.session().archived(), count);
    (alice, bob, late)
}

fn archived_sessions_cost_a_message_nothing(suite: Suite) {
    let [(mut alice, none, _), (mut other, one, first), (mut last, many, oldest)] =
        [0, 1, 40].map(|count| archived(suite, count));
    let in_order = [
        decrypting(none.session(), &alice.send(&TEXT)),
        decrypting(one.session(), &other.send(&TEXT)),
        decrypting(many.session(), &last.send(&TEXT)),
    ];
    assert_eq!(in_order, [in_order[0]; 3], "0, 1, 40 archived");
    let sending = [encrypting(none.session()), encrypting(one.session()), encrypting(many.session())];
    assert_eq!(sending, [sending[0]; 3], "0, 1, 40 archived");
    let [late, oldest] =
        [(one, first), (many, oldest)].map(|(bob, message)| decrypting(bob.session(), &message.unwrap()));
    assert_eq!(late, oldest, "for the one that is archived, and for the oldest of 40");
}
