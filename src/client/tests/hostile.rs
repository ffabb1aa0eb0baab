//! Records of any content, sealed as they should be: a defect of an older version, or a database that somebody with the
//! storage key has written. Nothing panics, nothing hangs, and what is not a record is said to be none.

use std::vec::Vec;

use super::*;
use crate::ident::{MessageId, Timestamp};
use crate::persist::{RecordKey, StorageKey, Version, open_vault, seal_vault};
use crate::prekey::Bundle;
use crate::staging::{Row, StageError};
use crate::suite::Suites;
use crate::support::address;
use crate::testing::{Host, MemoryStore, Relay, SeededRng};
use crate::wire::Envelope;

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
const DAY: u64 = 24 * 60 * 60 * 1000;

fn storage_key() -> StorageKey {
    StorageKey::new([7; 32])
}

struct World {
    alice: Host,
    bundle: Bundle,
    /// In order, late, in an archived session, first ones.
    envelopes: Vec<Envelope>,
    /// Pages that have peers.
    pages: Vec<u8>,
}

fn host(name: &str, suites: Suites, seed: u64, relay: &mut Relay) -> Host {
    let mut host = Host::create(&address(name), suites, storage_key(), seed, NOW);
    host.attend(relay, NOW).unwrap();
    host
}

fn write(host: &mut Host, to: &str, relay: &mut Relay) -> Envelope {
    host.write_draft(&address(to), b"text");
    host.send_drafts(relay, NOW).unwrap();
    let outgoing = host.outbox().pop().unwrap();
    host.posted(outgoing.id());
    outgoing.envelope().clone()
}

fn world(suites: Suites) -> World {
    let mut relay = Relay::new();
    let mut alice = host("alice", suites, 1, &mut relay);
    let mut bob = host("bob", suites, 2, &mut relay);
    let first = write(&mut bob, "alice", &mut relay);
    alice.receive(&first, NOW).unwrap();
    let answer = write(&mut alice, "bob", &mut relay);
    bob.receive(&answer, NOW).unwrap();
    let old: Vec<_> = (0..3).map(|_| write(&mut bob, "alice", &mut relay)).collect();
    alice.receive(&old[2], NOW).unwrap();
    bob.reset(&address("alice"), NOW).unwrap().unwrap();
    let new: Vec<_> = (0..4).map(|_| write(&mut bob, "alice", &mut relay)).collect();
    alice.receive(&new[0], NOW).unwrap();
    alice.receive(&new[2], NOW).unwrap();
    // Somebody who has another identity now.
    let mut carol = host("carol", suites, 3, &mut relay);
    let hello = write(&mut carol, "alice", &mut relay);
    alice.receive(&hello, NOW).unwrap();
    let mut again = host("carol", suites, 4, &mut relay);
    let changed = write(&mut again, "alice", &mut relay);
    alice.receive(&changed, NOW).unwrap();
    let more = write(&mut again, "alice", &mut relay);
    let stranger = write(&mut host("dave", suites, 5, &mut relay), "alice", &mut relay);
    let bundle = relay.bundle(&address("bob")).unwrap().verify().unwrap();
    let pages = (0..=u8::MAX).filter(|page| alice.prune(*page, NOW).unwrap()).collect();
    let envelopes = std::vec![new[3].clone(), new[1].clone(), old[0].clone(), more, hello, stranger];
    World { alice, bundle, envelopes, pages }
}

/// Stages everything that a client can do; how much of it finds damage.
fn everything(world: &World, store: &MemoryStore, rng: &mut SeededRng) -> usize {
    let (client, mut damaged) = (world.alice.client(), 0);
    let mut count = |damage: bool| damaged += usize::from(damage);
    for envelope in &world.envelopes {
        let staged = client.receive(envelope).stage(store, NOW, rng);
        count(matches!(staged, Err(StageError::Operation(ReceiveError::Stored(_)))));
    }
    let staged = client.receive_many(&world.envelopes).stage(store, NOW, rng);
    drop(staged.unwrap());
    for now in [NOW, Timestamp::new(NOW.get() + 40 * DAY)] {
        for to in ["bob", "carol"] {
            let staged = client.send(MessageId::new([9; 16]), &address(to), b"hi").stage(store, now, rng);
            count(matches!(staged, Err(StageError::Operation(SendError::Stored(_)))));
            count(client.forget_message(MessageId::new([9; 16]), &address(to)).stage(store, now, rng).is_err());
            drop(client.reset(&address(to)).stage(store, now, rng));
            drop(client.refuse_identity(&address(to)).stage(store, now, rng));
            let key = *world.bundle.identity_key();
            drop(client.accept_identity(&address(to), &key).stage(store, now, rng));
        }
        let staged = client.add_session(&world.bundle).stage(store, now, rng);
        count(matches!(staged, Err(StageError::Operation(AddError::Stored(_)))));
        for page in &world.pages {
            count(client.prune(*page).stage(store, now, rng).is_err());
        }
        count(client.maintain().stage(store, now, rng).is_err());
        count(client.todo().stage(store, now, rng).is_err());
        // Twice as dear as all the rest: it makes a hundred keys.
        if rng.happens(5) {
            let counts = PrekeyCounts { one_time: 100, one_time_kem: 100 };
            count(client.publish_prekeys(counts).stage(store, now, rng).is_err());
        }
    }
    drop(Client::open(&storage_key(), RollbackCounter::new(1)).stage(store, NOW, rng));
    drop(client.wipe().stage(store, NOW, rng));
    damaged
}

/// Damages a record.
fn mutate(record: &mut Vec<u8>, rng: &mut SeededRng) {
    let at = rng.below(record.len());
    match rng.below(6) {
        // Any bytes after a right head.
        0 => {
            record.truncate(3);
            let len = rng.below(200);
            record.extend((0..len).map(|_| u8::try_from(rng.below(256)).unwrap()));
        }
        1 => record[at] ^= 1 << rng.below(8),
        2 => record.truncate(at),
        3 => record.insert(at, u8::try_from(rng.below(256)).unwrap()),
        // A field doubled, or another one's.
        4 => {
            let to = (at + rng.below(60)).min(record.len());
            let part = record[at..to].to_vec();
            let place = 3.min(record.len()) + rng.below(record.len().saturating_sub(3));
            record.splice(place..place, part);
        }
        _ => {
            for _ in 0..8 {
                let at = rng.below(record.len());
                record[at] = [0, 0xff, 0x7f, 0x80][rng.below(4)];
            }
        }
    }
}

fn any_record(suites: Suites, cases: usize) {
    let world = world(suites);
    let (mut rng, mut damaged) = (SeededRng::new(11), 0);
    let keys = world.alice.client().core.keys.clone();
    let whole = world.alice.store().snapshot();
    assert_eq!(everything(&world, world.alice.store(), &mut rng), 0);
    let rows = world.alice.store().rows();
    // A hundred prekeys would take up all cases: of each kind as often as of any other.
    let mut kinds: Vec<u8> = rows.iter().map(|(key, _)| key.as_bytes()[0]).collect();
    kinds.dedup();
    for case in 0..cases {
        let kind = kinds[case % kinds.len()];
        let of_kind: Vec<_> = rows.iter().filter(|(key, _)| key.as_bytes()[0] == kind).collect();
        let (key, row) = of_kind[rng.below(of_kind.len())];
        let version = Version::random(&mut rng);
        let bytes = if *key == RecordKey::VAULT {
            let mut record = open_vault(&storage_key(), &row.version, &row.bytes).unwrap().to_vec();
            mutate(&mut record, &mut rng);
            seal_vault(&storage_key(), &version, &record, &mut rng)
        } else {
            let mut record = keys.open(key, &row.version, &mut row.bytes.clone()).unwrap().to_vec();
            mutate(&mut record, &mut rng);
            keys.seal(key, &version, crate::crypto::SecretBytes::new(record).into())
        };
        let store = MemoryStore::new();
        store.restore(&whole);
        store.tamper(*key, Some(Row { version, bytes }));
        damaged += usize::from(everything(&world, &store, &mut rng) > 0);
    }
    assert!(damaged > cases / 5, "{damaged} of {cases}");
}

#[test]
fn any_record_of_suite_v1_is_safe() {
    any_record(Suites::V1, 700);
}

#[test]
fn any_record_of_suite_signal_is_safe() {
    any_record(Suites::SIGNAL, 300);
}
