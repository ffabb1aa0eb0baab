//! Client: rows that a message loads and writes, and their bytes.

use subrosa::client::{Operation, PrekeyCounts, Received};
use subrosa::staging::{Step, Store as _};
use subrosa::suite::Suite;
use subrosa::wire::Envelope;

use super::side::{NOW, Rowed, Side, address, apply, kind, stage};

const PEER: u8 = 17;
const SKIPPED_KEYS: u8 = 18;
const ARCHIVED: u8 = 19;
const ARCHIVE: u8 = 20;
const SENT: u8 = 22;
const SENT_INDEX: u8 = 32;
const SKIPPED_PAGE: u8 = 27;

/// What an archived session takes in the list of them: suite, name, date; at most five key prefixes.
const ENTRY: usize = 17 + 1 + 5 * 4;

/// What one operation did to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cost {
    /// Kinds of the rows that it asked for, in order, and of those that it wrote.
    asked: Vec<u8>,
    written: Vec<u8>,
    bytes_loaded: usize,
    bytes_written: usize,
}

impl Cost {
    /// The same rows, and as many bytes but for what numbers vary in length.
    #[track_caller]
    fn assert_like(&self, other: &Self, archived: usize, what: &str) {
        assert_eq!((&self.asked, &self.written), (&other.asked, &other.written), "{what}");
        // Messages of suite `Signal` name no session: the list of the archived ones is asked for together with the record
        // of the device, not after it.
        let list = if self.asked.contains(&ARCHIVE) && archived > 0 { 128 + ENTRY * archived } else { 0 };
        // The record of the device holds what was sent last, 8 messages at most, and 21 bytes for each of at most 48 segments.
        let log = 8 * 54 + 48 * 21;
        let loaded = self.bytes_loaded.abs_diff(other.bytes_loaded) <= 64 + list + log;
        let written = self.bytes_written.abs_diff(other.bytes_written) <= 64 + log;
        assert!(loaded && written, "{what}: {self:?} {other:?}");
    }
}

/// One's own account and what is known of the user: they come in the round of the device's row with every message, and are not
/// written.
const PEOPLE: [u8; 2] = [33, 35];

/// Does it, and counts.
fn count<T, E: std::fmt::Debug>(side: &mut Side, mut operation: Operation<T, E>) -> (T, Cost) {
    let mut cost = Cost { asked: Vec::new(), written: Vec::new(), bytes_loaded: 0, bytes_written: 0 };
    let staged = loop {
        match operation.step(side.now, &mut side.rng).unwrap() {
            Step::Need(keys) => {
                cost.asked.extend(keys.iter().map(kind).filter(|kind| !PEOPLE.contains(kind)));
                let rows = Rowed(&side.rows).load(&keys).unwrap();
                cost.bytes_loaded += rows.iter().flatten().map(|row| row.bytes.len()).sum::<usize>();
                operation.supply(rows);
            }
            Step::Ready(staged) => break staged,
        }
    };
    for change in staged.batch().changes() {
        let kind = kind(change.key());
        assert!(!PEOPLE.contains(&kind) || change.row().is_none(), "compared, and not written");
        cost.written.extend((!PEOPLE.contains(&kind)).then_some(kind));
        cost.bytes_written += change.row().map_or(0, |row| row.bytes.len());
    }
    apply(&mut side.rows, staged.batch());
    (staged.committed(), cost)
}

const TEXT: [u8; 200] = [0x5a; 200];

fn send(side: &mut Side, to: &str) -> (Envelope, Cost) {
    let id = side.message_id();
    let (sent, cost) = count(side, side.client.send(id, &address(to), &TEXT));
    (Envelope::parse(&sent.outgoing().first().unwrap().bytes()).unwrap(), cost)
}

fn receive(side: &mut Side, envelope: &Envelope) -> Cost {
    let (received, cost) = count(side, side.client.receive(envelope));
    assert!(matches!(received, Received::Message(_)));
    cost
}

/// Two that have talked, so many other peers of Alice's and archived sessions at both ends.
fn talking(suite: Suite, peers: usize, archived: usize) -> (Side, Side) {
    let (alice, bob, _) = talking_and_late(suite, peers, archived);
    (alice, bob)
}

/// The same, with two messages to Bob in the oldest of the archived sessions: one of a chain of Alice's that he knows,
/// and the first of another one.
fn talking_and_late(suite: Suite, peers: usize, archived: usize) -> (Side, Side, Option<[Envelope; 2]>) {
    let (mut alice, mut bob) = Side::talking(suite, 1);
    let late = (archived > 0).then(|| {
        let known = alice.send("bob", &TEXT);
        bob.read(&known);
        let late = alice.send("bob", &TEXT);
        let envelope = bob.send("alice", &TEXT);
        alice.read(&envelope);
        [late, alice.send("bob", &TEXT)]
    });
    for _ in 0..archived {
        alice.run(alice.client.reset(&address("bob"))).unwrap();
        let bundle = bob.last_bundle();
        alice.run(alice.client.add_session(&bundle)).unwrap();
        // As often as the two had talked at first: in the same state of everything.
        for _ in 0..2 {
            let envelope = alice.send("bob", &TEXT);
            bob.read(&envelope);
            let envelope = bob.send("alice", &TEXT);
            alice.read(&envelope);
        }
    }
    let upload = bob.run(bob.client.publish_prekeys(PrekeyCounts::default())).unwrap().remove(0);
    for other in 1..peers {
        let mut upload = upload.clone();
        // The same keys under another name: what matters is that there are so many records.
        upload.address = address(&format!("peer {other}"));
        let bundle = upload.bundle(None, None).verify().unwrap();
        let staged = stage(alice.client.add_session(&bundle), &alice.rows, NOW, &mut alice.rng).unwrap();
        apply(&mut alice.rows, staged.batch());
    }
    // Bob has the header of her KEM key, and asks for nothing more until he sends.
    for _ in 0..80 {
        let envelope = alice.send("bob", &TEXT);
        bob.read(&envelope);
    }
    (alice, bob, late)
}

/// What the next message costs both ends, and an answer.
fn steady(alice: &mut Side, bob: &mut Side) -> [Cost; 4] {
    let (to_bob, sent) = send(alice, "bob");
    let received = receive(bob, &to_bob);
    let (to_alice, answered) = send(bob, "alice");
    [sent, received, answered, receive(alice, &to_alice)]
}

#[track_caller]
fn assert_alike(costs: &[Cost; 4], base: &[Cost; 4], archived: usize, what: &str) {
    for (cost, base) in costs.iter().zip(base) {
        cost.assert_like(base, archived, what);
    }
}

/// What a message asks for that wants so many pages of skipped message keys.
fn with_pages(suite: Suite, pages: usize) -> Vec<u8> {
    let list = if suite == Suite::V1 { vec![PEER, SKIPPED_KEYS] } else { vec![PEER, ARCHIVE, SKIPPED_KEYS] };
    [list, vec![SKIPPED_PAGE; pages]].concat()
}

/// Bytes of a full page, sealed.
const PAGE: usize = 64 * 36 + 128;

/// What the list says of so many keys of a chain and as many of an epoch.
const fn list(skipped: usize) -> usize {
    17 * 2 * skipped.div_ceil(64)
}

fn neither_peers_nor_archived_sessions(suite: Suite) {
    let (mut alice, mut bob) = talking(suite, 1, 0);
    let base = steady(&mut alice, &mut bob);
    let [sent, received, ..] = &base;
    assert!(sent.written == [PEER] && received.written == [PEER], "{sent:?} {received:?}");
    for (peers, archived) in [(300, 0), (1, 40)] {
        let (mut alice, mut bob) = talking(suite, peers, archived);
        let costs = steady(&mut alice, &mut bob);
        assert_alike(&costs, &base, archived, &format!("{peers} peers, {archived} archived sessions"));
    }
}

/// However much was sent, a message writes as much as ever, and every eighth one row more: what a busy peer takes is bounded.
#[test]
fn a_thousand_sent_messages_cost_the_next_nothing() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, _) = Side::talking(suite, 1);
        let (mut most, mut alarms, mut glances) = ((0, 0), 0, 0);
        for number in 2..1_000 {
            let (_, cost) = send(&mut alice, "bob");
            let (made, goes) = if number % 8 == 0 { (1, usize::from(number > 48 * 8)) } else { (0, 0) };
            let [segments, indices] =
                [SENT, SENT_INDEX].map(|kind| cost.asked.iter().filter(|asked| **asked == kind).count());
            // Another id that passes for this one costs a look into the index, and seldom one into a segment.
            let looked = segments - 2 * made;
            let checked = if made == 1 { 0 } else { indices };
            let written = [vec![PEER], vec![SENT; made + goes + looked], vec![SENT_INDEX; made + checked]].concat();
            assert_eq!(cost.written, written, "{number}: {cost:?}");
            assert!(indices <= 1, "{number}: {cost:?}");
            alarms += looked;
            glances += checked;
            let len = alice.rows.values().map(|row| row.bytes.len() + 33 + 16).sum::<usize>();
            most = (most.0.max(cost.bytes_written), most.1.max(len));
        }
        assert!(most.0 < 5 << 10 && most.1 < 40_000 && alarms < 20, "{most:?} {alarms}");
        assert!((1..130).contains(&glances), "{glances} of 1,000 looked into the index");
        assert_eq!(alice.rows_of(SENT).0, 48);
    }
}

#[test]
fn a_message_loads_its_own_rows_whatever_else_there_is_v1() {
    neither_peers_nor_archived_sessions(Suite::V1);
}

#[test]
fn a_message_loads_its_own_rows_whatever_else_there_is_signal() {
    neither_peers_nor_archived_sessions(Suite::Signal);
}

/// Keys for late messages lie in a row apart, which a message in order leaves alone, and which a late one alone reads.
fn nor_skipped_keys(suite: Suite, skipped: usize) {
    let (mut alice, mut all) = talking(suite, 1, 0);
    let mut none = all.clone();
    let lost: Vec<_> = (0..skipped).map(|_| alice.send("bob", &TEXT)).collect();
    let next = alice.send("bob", &TEXT);
    lost.iter().for_each(|envelope| drop(all.read(envelope)));
    for bob in [&mut all, &mut none] {
        bob.read(&next);
    }
    assert!(
        none.rows_of(SKIPPED_PAGE).1 > skipped * 72
            && all.len_of(SKIPPED_KEYS) == 0
            && all.rows_of(SKIPPED_PAGE).0 == 0
    );
    let (mut other, mut all) = (alice.clone(), all);
    let base = steady(&mut other, &mut all);
    receive(&mut none, &lost[skipped / 2]);
    let costs = steady(&mut alice, &mut none);
    assert_alike(&costs, &base, 0, &format!("{skipped} skipped"));
}

#[test]
fn a_message_in_order_leaves_skipped_keys_alone() {
    for suite in [Suite::V1, Suite::Signal] {
        nor_skipped_keys(suite, 1_000);
    }
}

/// A late message reads and writes the page with its seed, the page with its post-quantum key, and the list of the pages.
/// A jump over a message does so with the last pages, where there is room, and where the window is full with the first
/// ones, of which it drops keys. Besides the list, 17 bytes for 64 keys, neither costs more where more is kept.
#[test]
fn what_comes_late_reads_two_pages_whatever_is_kept() {
    for suite in [Suite::V1, Suite::Signal] {
        let costs = [100, 1_000, 2_000].map(|skipped: usize| {
            let (mut alice, mut bob) = talking(suite, 1, 0);
            let lost: Vec<_> = (0..skipped).map(|_| alice.send("bob", &TEXT)).collect();
            let next = alice.send("bob", &TEXT);
            bob.read(&next);
            let late = receive(&mut bob, &lost[40]);
            // The last of its page takes the row away.
            for (at, envelope) in lost.iter().enumerate().take(64).filter(|(at, _)| *at != 40) {
                let cost = receive(&mut bob, envelope);
                assert_eq!(cost.written, [PEER, SKIPPED_KEYS, SKIPPED_PAGE, SKIPPED_PAGE], "{at}");
            }
            assert_eq!(bob.rows_of(SKIPPED_PAGE).0, 2 * (skipped.div_ceil(64) - 1));
            alice.send("bob", &TEXT);
            let next = alice.send("bob", &TEXT);
            (skipped, late, receive(&mut bob, &next))
        });
        for (skipped, late, jump) in &costs {
            for cost in [late, jump] {
                let what = format!("{suite:?}, {skipped} skipped: {cost:?}");
                assert_eq!(cost.asked, with_pages(suite, 2), "{what}");
                assert_eq!(cost.written, [PEER, SKIPPED_KEYS, SKIPPED_PAGE, SKIPPED_PAGE], "{what}");
                let (_, least, _) = &costs[0];
                assert!(cost.bytes_loaded <= least.bytes_loaded + list(*skipped) + PAGE, "{what}");
                assert!(cost.bytes_written <= least.bytes_written + list(*skipped) + PAGE, "{what}");
            }
        }
    }
}

/// Where 2,000 keys are kept, a jump drops as many of the first as it adds: it opens one page more of each ratchet. A jump
/// over 2,000 drops them all without opening a page.
#[test]
fn a_jump_past_a_full_window_opens_the_pages_at_its_ends() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = talking(suite, 1, 0);
        let mut jump = |bob: &mut Side, over| {
            (0..over).for_each(|_| drop(alice.send("bob", &TEXT)));
            let next = alice.send("bob", &TEXT);
            receive(bob, &next)
        };
        jump(&mut bob, 2_000);
        assert_eq!(bob.rows_of(SKIPPED_PAGE).0, 2 * 32);
        for _ in 0..3 {
            let cost = jump(&mut bob, 10);
            assert_eq!(cost.asked, with_pages(suite, 4), "{cost:?}");
            assert_eq!(
                cost.written,
                [PEER, SKIPPED_KEYS, SKIPPED_PAGE, SKIPPED_PAGE, SKIPPED_PAGE, SKIPPED_PAGE],
                "{cost:?}"
            );
            assert!(cost.bytes_loaded.max(cost.bytes_written) < 6 * PAGE, "{cost:?}");
        }
        let cost = jump(&mut bob, 3_000);
        assert_eq!(cost.asked, with_pages(suite, 2 * 32), "read to be deleted");
        assert_eq!(cost.written.len(), 2 + 2 * 2 * 32, "{cost:?}");
        assert_eq!(bob.rows_of(SKIPPED_PAGE).0, 2 * 32);
    }
}

/// Whoever has every page emptied but for one key is left with few pages: what is sparse is joined.
#[test]
fn keys_are_not_scattered_over_many_rows() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = talking(suite, 1, 0);
        let lost: Vec<_> = (0..2_000).map(|_| alice.send("bob", &TEXT)).collect();
        let next = alice.send("bob", &TEXT);
        bob.read(&next);
        let mut most = 0;
        for (_, envelope) in lost.iter().enumerate().filter(|(at, _)| at % 64 != 0) {
            let cost = receive(&mut bob, envelope);
            most = most.max(cost.asked.iter().filter(|kind| **kind == SKIPPED_PAGE).count());
        }
        // 32 keys of each ratchet.
        assert!(bob.rows_of(SKIPPED_PAGE).0 <= 2 * 2 && most <= 4, "{:?} {most}", bob.rows_of(SKIPPED_PAGE));
        for envelope in lost.iter().step_by(64) {
            receive(&mut bob, envelope);
        }
        assert_eq!((bob.rows_of(SKIPPED_PAGE).0, bob.rows_of(SKIPPED_KEYS).0), (0, 0));
    }
}

/// A key of the post-quantum ratchet that falls more than 2,000 behind opens nothing any more. Such keys are dropped in
/// lots, so that of the messages that follow a full window only one in 256 reads and writes the list of the skipped message
/// keys, and deletes four pages of them, and one key of the fifth.
#[test]
fn a_full_window_costs_few_messages_the_skipped_keys() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = talking(suite, 1, 0);
        (0..2_000).for_each(|_| drop(alice.send("bob", &TEXT)));
        let next = alice.send("bob", &TEXT);
        bob.read(&next);
        let mut touched = 0;
        for _ in 0..600 {
            let (envelope, _) = send(&mut alice, "bob");
            let cost = receive(&mut bob, &envelope);
            let pages = cost.asked.iter().filter(|kind| **kind == SKIPPED_PAGE).count();
            let touches = cost.asked.contains(&SKIPPED_KEYS) || cost.written.contains(&SKIPPED_KEYS);
            assert_eq!(pages, if touches { 5 } else { 0 });
            touched += usize::from(touches);
        }
        assert_eq!(touched, 600 / 257);
    }
}

/// A message of suite V1 names its session, one of suite `Signal` is found by its ratchet key: of 40 that are archived,
/// one is read. The list of them changes places.
fn a_message_for_an_archived_session_reads_that_one(suite: Suite) {
    let [one, many] = [1, 40].map(|archived| {
        let (_, mut bob, late) = talking_and_late(suite, 1, archived);
        receive(&mut bob, &late.unwrap()[0])
    });
    assert_eq!((&one.asked, &one.written), (&many.asked, &many.written));
    assert!(many.bytes_loaded - one.bytes_loaded <= 39 * ENTRY + 64, "{one:?} {many:?}");
    assert!(many.bytes_written - one.bytes_written <= 39 * ENTRY + 64, "{one:?} {many:?}");
}

#[test]
fn a_message_for_an_archived_session_reads_that_one_v1() {
    a_message_for_an_archived_session_reads_that_one(Suite::V1);
}

#[test]
fn a_message_for_an_archived_session_reads_that_one_signal() {
    a_message_for_an_archived_session_reads_that_one(Suite::Signal);
}

/// A ratchet key that no session knows may be the next one of any: each is tried by an agreement, which is dearer than to
/// read it. That is the one message that asks for all. In suite V1 it names its session.
#[test]
fn a_new_ratchet_key_for_an_archived_session() {
    for (suite, more) in [(Suite::V1, 0), (Suite::Signal, 39)] {
        let [one, many] = [1, 40].map(|archived| {
            let (_, mut bob, late) = talking_and_late(suite, 1, archived);
            receive(&mut bob, &late.unwrap()[1])
        });
        let sessions = |cost: &Cost| cost.asked.iter().filter(|kind| **kind == ARCHIVED).count();
        assert_eq!(sessions(&many), sessions(&one) + more);
        // What was read and has not changed is only compared.
        assert!(many.bytes_written - one.bytes_written <= 39 * ENTRY + 64, "{one:?} {many:?}");
    }
}
