//! What the library writes field by field is what `state.proto` says: read and written again by generated code, every
//! record of a session and of a client stays the same to the byte.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::vec::Vec;

use prost::Message;
use serde_json::Value;

use super::{Forge, Host, MemoryStore, Relay};
use crate::client::Row;
use crate::ident::Timestamp;
use crate::persist::{RecordKey, StorageKey, Version};
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

#[test]
fn keys_for_late_messages() {
    let (key, now) = (StorageKey::new([7; 32]), Timestamp::new(1_800_000_000_000));
    let mut relay = Relay::new();
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| {
        let mut host = Host::create(&address(name), Suites::V1, key.clone(), 1, now);
        host.attend(&mut relay, now).unwrap();
        host
    });
    for number in 0..=100 {
        bob.write_draft(&address("alice"), b"text");
        bob.send_drafts(&mut relay, now).unwrap();
        let outgoing = bob.outbox().pop().unwrap();
        bob.posted(outgoing.id());
        if number % 100 == 0 {
            alice.receive(outgoing.envelope(), now).unwrap();
        }
    }
    let forge = Forge::new(&key, alice.store()).unwrap();
    let records = alice.store().rows().into_iter().filter_map(|(place, row)| forge.open(&place, &row));
    let (mut lists, mut pages) = (Vec::new(), Vec::new());
    for record in records {
        match record[0] {
            18 => lists.push(rewrite::<state::Kept>(&record)),
            27 => pages.push(rewrite::<state::KeptPage>(&record).keys.len() / 36),
            _ => {}
        }
    }
    pages.sort_unstable();
    assert_eq!(pages, [35, 35, 64, 64]);
    let list = &lists[0];
    assert_eq!((lists.len(), list.chains[0].pages.len(), list.epochs[0].pages.len()), (1, 2 * 17, 2 * 17));
}

#[test]
fn records_of_a_client() {
    let golden: Value = serde_json::from_str(include_str!("../../tests/vectors/records/schema-1-client.json")).unwrap();
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
            // As it was written before its keys lay in pages.
            18 => assert!(rewrite::<state::Kept>(&record).chains.iter().all(|chain| chain.pages.is_empty())),
            19 => drop(rewrite::<state::Archived>(&record)),
            22 => drop(rewrite::<state::Sent>(&record)),
            _ => continue,
        }
        seen.push(record[0]);
    }
    seen.dedup();
    assert_eq!(seen, [17, 18, 19, 22]);
}
