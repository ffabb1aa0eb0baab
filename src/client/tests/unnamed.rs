//! Messages of suite `Signal` for archived sessions: which rows and how many agreements they cost, and that prefixes, true,
//! false or absent, change nothing else.

use std::vec::Vec;

use super::*;
use crate::crypto::count;
use crate::ident::{MessageId, Timestamp};
use crate::persist::{RecordKey, StorageKey};
use crate::staging::{ApplyError, Change, Step, Store as _, Write};
use crate::suite::Suites;
use crate::support::address;
use crate::testing::{Forge, MemoryStore, SeededRng};
use crate::wire::{Envelope, RecordError, RecordKind, decode_record, encode_record, record, state};
use prost::Message as _;

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
const PEER: u8 = 17;
const ARCHIVED: u8 = 19;
const ARCHIVE: u8 = 20;
const ACCOUNT: u8 = 33;
const USER: u8 = 35;

/// What an operation asked for, wrote and computed.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    asked: Vec<u8>,
    written: Vec<(char, u8)>,
    agreements: u64,
}

impl Cost {
    /// How many records of archived sessions were asked for. One of them is the place where the current one would go.
    fn archived(&self) -> usize {
        self.asked.iter().filter(|kind| **kind == ARCHIVED).count() - 1
    }

    #[track_caller]
    fn assert_one(&self) {
        assert_eq!((self.archived(), self.agreements), (1, 0), "{self:?}");
    }

    fn writes(&self, letter: char, kind: u8) -> bool {
        self.written.contains(&(letter, kind))
    }
}

struct Side {
    client: Client,
    store: MemoryStore,
    rng: SeededRng,
    sent: u64,
}

fn storage_key() -> StorageKey {
    StorageKey::new([7; 32])
}

impl Side {
    fn new(name: &str, seed: u64) -> Self {
        let (store, mut rng) = (MemoryStore::new(), SeededRng::new(seed));
        let created = Client::create(&storage_key(), &address(name), Suites::SIGNAL).stage(&store, NOW, &mut rng);
        let client = created.unwrap().commit(|batch, _| store.write(batch)).unwrap().client;
        Self { client, store, rng, sent: 0 }
    }

    fn copy(&self) -> Self {
        let store = MemoryStore::from(self.store.snapshot());
        Self { client: self.client.clone(), store, rng: SeededRng::new(9), sent: self.sent }
    }

    fn run<T, E>(&mut self, mut operation: Operation<T, E>) -> (Result<T, E>, Cost) {
        let (mut asked, before) = (Vec::new(), count::agreements());
        let staged = loop {
            match operation.step(NOW, &mut self.rng) {
                Ok(Step::Need(keys)) => {
                    asked.extend(keys.iter().map(kind));
                    operation.supply(self.store.load(&keys).unwrap());
                }
                Ok(Step::Ready(staged)) => break Ok(staged),
                Err(error) => break Err(error),
            }
        };
        let cost = |written| Cost { asked, written, agreements: count::agreements() - before };
        match staged {
            Ok(staged) => {
                let letter = |change: &Change| match change.write() {
                    Write::Put(_) => 'p',
                    Write::Delete => 'd',
                    Write::Keep => 'c',
                };
                let written = staged.batch().changes().iter().map(|change| (letter(change), kind(change.key())));
                let mut written: Vec<_> = written.collect();
                written.sort_unstable();
                let cost = cost(written);
                self.store.write(staged.batch()).unwrap();
                (Ok(staged.committed()), cost)
            }
            Err(error) => (Err(error), cost(Vec::new())),
        }
    }

    fn send(&mut self, to: &str) -> Envelope {
        self.sent += 1;
        let id = MessageId::new([self.sent.to_be_bytes(); 2].concat().try_into().unwrap());
        let (sent, _) = self.run(self.client.send(id, &address(to), b"text"));
        sent.unwrap().outgoing().first().unwrap().envelope().clone()
    }

    fn receive(&mut self, envelope: &Envelope) -> (Result<Received, ReceiveError>, Cost) {
        self.run(self.client.receive(envelope))
    }

    #[track_caller]
    fn read(&mut self, envelope: &Envelope) -> Cost {
        let (received, cost) = self.receive(envelope);
        assert!(matches!(received, Ok(Received::Message(_))), "{received:?}");
        cost
    }

    /// The one row of a kind.
    fn row(&self, number: u8) -> (RecordKey, Vec<u8>) {
        let (key, row) = self.store.rows().into_iter().find(|(key, _)| kind(key) == number).unwrap();
        let forge = Forge::new(&storage_key(), &self.store).unwrap();
        (key, forge.open(&key, &row).unwrap())
    }

    fn put(&self, key: RecordKey, bytes: &[u8]) {
        let forge = Forge::new(&storage_key(), &self.store).unwrap();
        self.store.tamper(key, Some(forge.seal(&key, bytes, &mut SeededRng::new(1))));
    }

    /// Of each archived session, newest first, its prefixes.
    fn prefixes(&self) -> Vec<Vec<[u8; 4]>> {
        let stored: record::Archive = decode_record(RecordKind::Archive, &self.row(ARCHIVE).1).unwrap();
        let (mut rest, mut found) = (&stored.prefixes[..], Vec::new());
        while let [count, tail @ ..] = rest {
            let (prefixes, tail) = tail.split_at(usize::from(*count) * 4);
            found.push(prefixes.as_chunks().0.to_vec());
            rest = tail;
        }
        found
    }

    fn set_marks(&self, prefixes: &[Vec<[u8; 4]>]) {
        let (key, bytes) = self.row(ARCHIVE);
        let stored: record::Archive = decode_record(RecordKind::Archive, &bytes).unwrap();
        let (count, all) = (stored.count.max(stored.with_prefix), Vec::new());
        let prefixes = prefixes.iter().fold(all, |mut all, prefixes| {
            all.push(u8::try_from(prefixes.len()).unwrap());
            all.extend_from_slice(prefixes.as_flattened());
            all
        });
        let (count, with_prefix) = if prefixes.is_empty() { (count, 0) } else { (0, count) };
        let stored = record::Archive { entries: stored.entries.clone(), count, prefixes, with_prefix };
        self.put(key, &encode_record(RecordKind::Archive, &stored));
    }
}

fn kind(key: &RecordKey) -> u8 {
    key.as_bytes()[0]
}

/// What Alice has sent in one session and Bob has not read.
struct Under {
    /// Of a chain that he knows.
    late: Envelope,
    /// Of her next chain.
    turn: Envelope,
    after: Envelope,
}

/// Two with so many archived sessions at both ends, the oldest first; the last is the current one.
fn talking(archived: usize) -> (Side, Side, Vec<Under>) {
    let (mut alice, mut bob) = (Side::new("alice", 1), Side::new("bob", 2));
    let upload = bob.run(bob.client.publish_prekeys(PrekeyCounts::default())).0.unwrap().remove(0);
    let bundle = upload.bundle(None, None).verify().unwrap();
    let mut under = Vec::new();
    for round in 0..=archived {
        if round > 0 {
            alice.run(alice.client.reset(&address("bob"))).0.unwrap();
        }
        alice.run(alice.client.add_session(&bundle)).0.unwrap();
        let first = alice.send("bob");
        bob.read(&first);
        let answer = bob.send("alice");
        alice.read(&answer);
        let known = alice.send("bob");
        bob.read(&known);
        let late = alice.send("bob");
        let answer = bob.send("alice");
        alice.read(&answer);
        let (turn, after) = (alice.send("bob"), alice.send("bob"));
        under.push(Under { late, turn, after });
    }
    (alice, bob, under)
}

#[test]
fn a_late_message_asks_for_its_session_alone() {
    let (_, bob, under) = talking(40);
    assert_eq!(bob.prefixes().len(), 40);
    let [oldest, newest] = [0, 39].map(|at| bob.copy().read(&under[at].late));
    assert_eq!(oldest, newest);
    oldest.assert_one();
    // Promoted: it is deleted from among the archived ones, the current one goes there.
    let list = oldest.writes('p', ARCHIVE) && oldest.writes('p', ARCHIVED) && oldest.writes('d', ARCHIVED);
    assert!(list && oldest.writes('p', PEER), "{oldest:?}");
    // A repetition costs as much and writes nothing.
    let mut bob = bob;
    bob.read(&under[0].late);
    bob.read(&under[40].late).assert_one();
    let (again, cost) = bob.receive(&under[0].late);
    assert_eq!((again, cost.written.len()), (Err(ReceiveError::Duplicate), 0));
    assert_eq!(cost.agreements, 0);
}

/// It may be the next one of any session: there is no way but to agree in each of them, as with a session in memory.
#[test]
fn a_ratchet_key_that_no_session_knows_is_tried_in_all() {
    let (_, bob, under) = talking(12);
    // The current session is tried first, before the list is looked into and after.
    let current = bob.copy().read(&under[12].turn);
    assert!(
        current.asked.starts_with(&[PEER, ARCHIVE, ACCOUNT, USER]) && !current.asked.contains(&ARCHIVED),
        "{current:?}"
    );
    assert!(!current.writes('c', ARCHIVE) && !current.writes('p', ARCHIVE), "{current:?}");
    let newest = bob.copy().read(&under[11].turn);
    assert_eq!(newest.archived(), 12);
    let mut spoilt = under[11].turn.clone();
    *spoilt.body.last_mut().unwrap() ^= 1;
    let (received, cost) = bob.copy().receive(&spoilt);
    assert!(matches!(received, Ok(Received::Unreadable(_))), "{received:?}");
    assert_eq!(cost.archived(), 12);
    assert!((13..=13 * 2).contains(&cost.agreements), "{cost:?}");
}

#[test]
fn marks_follow_a_turn_and_a_promotion() {
    let (_, mut bob, under) = talking(3);
    let before = bob.prefixes();
    assert_eq!(bob.read(&under[0].turn).archived(), 3);
    let after = bob.prefixes();
    // The current one was archived before the others, and the oldest of them is gone.
    assert_eq!((after.len(), &after[1..]), (3, &before[..2]));
    bob.read(&under[3].late).assert_one();
    assert_eq!(bob.prefixes()[0].len(), before[2].len() + 1, "it has turned");
    bob.read(&under[0].after).assert_one();
}

/// Once a device was seen with suite V1, its archived sessions of suite `Signal` are read where they are.
#[test]
fn a_session_that_stays_archived_has_its_marks_changed_only_by_a_turn() {
    let (_, mut bob, under) = talking(3);
    let (key, bytes) = bob.row(PEER);
    let mut peer = state::Peer::decode(&bytes[3..]).unwrap();
    peer.session.as_mut().unwrap().bits |= 1;
    bob.put(key, &[&bytes[..3], &peer.encode_to_vec()].concat());
    let late = bob.read(&under[1].late);
    assert_eq!((late.asked.as_slice(), late.agreements), (&[PEER, ARCHIVE, ACCOUNT, USER, ARCHIVED][..], 0));
    assert!(late.writes('p', ARCHIVED) && late.writes('c', ARCHIVE), "{late:?}");
    let before = bob.prefixes();
    let turn = bob.read(&under[1].turn);
    assert!(turn.archived() == 3 && turn.writes('p', ARCHIVE), "{turn:?}");
    let mut expected = before.clone();
    expected[1].push(bob.prefixes()[1].last().copied().unwrap());
    assert_eq!(bob.prefixes(), expected);
    assert_ne!(bob.prefixes(), before);
    let after = bob.read(&under[1].after);
    assert_eq!((after.asked.as_slice(), after.agreements), (&[PEER, ARCHIVE, ACCOUNT, USER, ARCHIVED][..], 0));
    assert!(after.writes('c', ARCHIVE), "{after:?}");
}

#[test]
fn the_oldest_is_dropped_with_its_marks() {
    let (_, mut bob, under) = talking(42);
    let prefixes = bob.prefixes();
    assert_eq!(prefixes.len(), 40);
    let (received, cost) = bob.receive(&under[1].late);
    assert!(matches!(received, Ok(Received::Unreadable(_))), "{received:?}");
    assert_eq!(cost.archived(), 40, "it is of no session");
    assert_eq!(bob.prefixes(), prefixes);
    bob.read(&under[2].late).assert_one();
}

/// As older versions wrote the list: all are brought, and marked.
#[test]
fn a_list_without_marks_gets_them() {
    let (_, mut bob, under) = talking(5);
    let prefixes = bob.prefixes();
    bob.set_marks(&[]);
    // What the current session reads needs none.
    let mut other = bob.copy();
    other.read(&under[5].turn);
    assert!(other.prefixes().is_empty());
    assert_eq!(bob.read(&under[0].late).archived(), 5);
    assert_eq!(&bob.prefixes()[1..], &prefixes[..4]);
    bob.read(&under[1].late).assert_one();
}

#[test]
fn marks_that_are_wrong_lose_nothing() {
    let (_, bob, under) = talking(5);
    let prefixes = bob.prefixes();
    let late = |prefixes: &[Vec<[u8; 4]>]| {
        let mut bob = bob.copy();
        bob.set_marks(prefixes);
        let cost = bob.read(&under[0].late);
        // They are true again.
        bob.read(&under[1].late).assert_one();
        cost
    };
    // Two keys that begin alike: both are brought, and only the right one is tried.
    let mut alike = prefixes.clone();
    alike[2] = prefixes[4].clone();
    let cost = late(&alike);
    assert_eq!((cost.archived(), cost.agreements), (2, 0));
    // More of them than are brought for that: it is one of the four, or all are.
    for right in [true, false] {
        let mut alike = [const { Vec::new() }; 5].map(|_: Vec<[u8; 4]>| prefixes[4].clone());
        if !right {
            alike[4] = prefixes[3].clone();
        }
        assert_eq!(late(&alike).archived(), 5);
    }
    // Those of another session, and none.
    let mut swapped = prefixes.clone();
    swapped.swap(0, 4);
    assert_eq!(late(&swapped).archived(), 5);
    let mut one_is_unknown = prefixes;
    one_is_unknown[4].clear();
    assert_eq!(late(&one_is_unknown).archived(), 5);
}

#[test]
fn a_damaged_list_is_in_the_way_of_those_alone_that_need_it() {
    let (_, bob, under) = talking(2);
    let mut damaged = bob.copy();
    let (key, bytes) = bob.row(ARCHIVE);
    damaged.put(key, &bytes[..bytes.len() - 2]);
    damaged.read(&under[2].turn);
    damaged.read(&under[2].late);
    let stored = |kind| ReceiveError::Stored(StoredError { kind, error: RecordError::Corrupt });
    assert_eq!(damaged.receive(&under[0].late).0, Err(stored(RecordKind::Archive)));
    // The record of the session that has the prefix.
    let mut damaged = bob.copy();
    for (key, _) in bob.store.rows().into_iter().filter(|(key, _)| kind(key) == ARCHIVED) {
        damaged.put(key, &[ARCHIVED, 0, 1]);
    }
    damaged.read(&under[2].late);
    assert_eq!(damaged.receive(&under[0].late).0, Err(stored(RecordKind::Archived)));
}

/// Another process has changed the list meanwhile: the message is staged again, and read.
#[test]
fn what_the_marks_said_is_checked_where_it_counts() {
    let (_, mut bob, under) = talking(3);
    let staged = bob.client.receive(&under[0].late).stage(&bob.store, NOW, &mut bob.rng).unwrap();
    bob.read(&under[1].late);
    assert!(matches!(staged.commit(|batch, _| bob.store.write(batch)), Err(ApplyError::Conflict)));
    bob.read(&under[0].late).assert_one();
}

/// Sessions of suite `Signal` are not used after the store went back in time, prefixes or none.
#[test]
fn a_rollback_ends_what_is_marked() {
    let (_, mut bob, under) = talking(2);
    let opened = bob.run(Client::open(&storage_key(), RollbackCounter::new(1))).0.unwrap();
    let yesterday = bob.store.snapshot();
    bob.client = opened.client;
    let newer = bob.run(Client::open(&storage_key(), opened.rollback_counter)).0.unwrap().rollback_counter;
    bob.store.restore(&yesterday);
    let opened = bob.run(Client::open(&storage_key(), newer)).0.unwrap();
    assert!(opened.rolled_back);
    bob.client = opened.client;
    for envelope in [&under[0].late, &under[2].late, &under[1].turn] {
        let (received, _) = bob.receive(envelope);
        assert!(matches!(received, Ok(Received::Unreadable(_))), "{received:?}");
    }
}
