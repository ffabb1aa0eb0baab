//! What the library writes field by field is what `state.proto` says: read and written again by generated code, every
//! record of a session and of a client stays the same to the byte.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::vec::Vec;

use prost::Message;
use serde_json::Value;

use super::{Forge, Host, MemoryStore, Relay};
use crate::ident::Timestamp;
use crate::persist::{RecordKey, StorageKey, Version};
use crate::staging::Row;
use crate::suite::{Suite, Suites};
use crate::support::{address, round_trip, talking_in};
use crate::wire::state;

/// Reads the fields of a record and writes them again.
fn rewrite<M: Message + Default>(record: &[u8]) -> M {
    let body = &record[3..];
    let read = M::decode(body).unwrap();
    assert_eq!(read.encode_to_vec(), body);
    read
}

#[test]
fn sessions() {
    for suite in [Suite::Signal, Suite::V1] {
        let (mut alice, mut bob) = talking_in(suite, 7);
        let mut braids = BTreeSet::new();
        for turn in 0..150 {
            // Never read: keys are kept for them, and the braid goes other ways.
            if turn % 3 == 0 {
                alice.send(b"lost");
            }
            round_trip(&mut alice, &mut bob);
            // For a while one side is not heard.
            let (talker, other) = if turn % 4 < 2 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
            for _ in 0..turn % 50 {
                let sent = talker.send(b"heard");
                other.receive(&address(["alice", "bob"][usize::from(turn % 4 >= 2)]), &sent).unwrap();
            }
            for party in [&alice, &bob] {
                let session: state::Session = rewrite(&party.session().to_bytes());
                braids.insert(session.states[0].spqr.as_ref().unwrap().braid.as_ref().unwrap().state);
            }
        }
        assert_eq!(braids, (1..=11).collect(), "every state of the braid");
    }
}

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

fn storage_key() -> StorageKey {
    StorageKey::new([7; 32])
}

/// Alice, who has read the first and the last of a hundred messages and one.
fn keeping() -> Host {
    let mut relay = Relay::new();
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| {
        let mut host = Host::create(&address(name), Suites::V1, storage_key(), 1, NOW);
        host.attend(&mut relay, NOW).unwrap();
        host
    });
    for number in 0..=100 {
        bob.write_draft(&address("alice"), b"text");
        bob.send_drafts(&mut relay, NOW).unwrap();
        let outgoing = bob.outbox().pop().unwrap();
        bob.posted(outgoing.id());
        if number % 100 == 0 {
            alice.receive(outgoing.envelope(), NOW).unwrap();
        }
    }
    alice
}

/// The rows of a kind, opened.
fn records(host: &Host, kind: u8) -> Vec<(RecordKey, Vec<u8>)> {
    let forge = Forge::new(&storage_key(), host.store()).unwrap();
    let rows = host.store().rows().into_iter().filter(|(place, _)| place.as_bytes()[0] == kind);
    rows.map(|(place, row)| (place, forge.open(&place, &row).unwrap())).collect()
}

#[test]
fn keys_for_late_messages() {
    let alice = keeping();
    let pages = records(&alice, 27);
    let mut lengths: Vec<_> =
        pages.iter().map(|(_, record)| rewrite::<state::SkippedPage>(record).keys.len() / 36).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [35, 35, 64, 64]);
    let [(_, list)] = &records(&alice, 18)[..] else { panic!("one list") };
    let list: state::SkippedKeys = rewrite(list);
    assert_eq!([list.chains[0].pages.len(), list.epochs[0].pages.len()], [2 * 17; 2]);
}

#[test]
fn records_of_a_client() {
    let golden: Value = serde_json::from_str(include_str!("../../tests/vectors/records/client-v1.json")).unwrap();
    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let store = MemoryStore::new();
    for row in golden["rows"].as_array().unwrap() {
        let place = RecordKey::from_bytes(bytes(&row[0]).try_into().unwrap());
        let version = Version::from_bytes(bytes(&row[1]).try_into().unwrap());
        store.tamper(place, Some(Row { version, bytes: bytes(&row[2]) }));
    }
    let key = StorageKey::new(bytes(&golden["storageKey"]).try_into().unwrap());
    let forge = Forge::new(&key, &store).unwrap();
    let mut seen = Vec::new();
    for (place, row) in store.rows() {
        let Some(record) = forge.open(&place, &row) else { continue };
        match record[0] {
            17 => drop(rewrite::<state::Peer>(&record)),
            18 => drop(rewrite::<state::SkippedKeys>(&record)),
            19 => drop(rewrite::<state::Archived>(&record)),
            22 => drop(rewrite::<state::Sent>(&record)),
            27 => drop(rewrite::<state::SkippedPage>(&record)),
            _ => continue,
        }
        seen.push(record[0]);
    }
    seen.dedup();
    assert_eq!(seen, [17, 18, 19, 22, 27]);
}
