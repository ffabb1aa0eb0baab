//! A machine that is cloned gives two operations the same random bytes. What one of them shows is then no secret of the
//! other.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::vec::Vec;

use super::{Forge, Host, MemoryStore, Relay, SeededRng};
use crate::client::{Client, PrekeyCounts};
use crate::ident::{MessageId, Timestamp};
use crate::persist::StorageKey;
use crate::staging::Batch;
use crate::suite::Suites;
use crate::support::address;

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

fn strings(bytes: &[u8]) -> impl Iterator<Item = [u8; 8]> + '_ {
    // What is constant, and lengths, are in both.
    bytes
        .windows(8)
        .filter(|window| window.iter().filter(|byte| **byte != 0).count() > 5)
        .map(|window| window.try_into().unwrap())
}

/// What a server or a thief of the database sees of a batch, and what the owner's key shows in it.
fn seen(batch: &Batch, store: &MemoryStore, key: &StorageKey) -> [Vec<u8>; 2] {
    let (mut public, mut secret) = (Vec::new(), Vec::new());
    store.write(batch).unwrap();
    let forge = Forge::new(key, store).unwrap();
    for change in batch.changes() {
        if let Some(row) = change.row() {
            public.extend_from_slice(change.key().as_bytes());
            public.extend_from_slice(row.version.as_bytes());
            public.extend_from_slice(&row.bytes);
            secret.extend(forge.open(change.key(), row).unwrap_or_default());
        }
    }
    [public, secret]
}

#[test]
fn what_one_operation_shows_is_no_secret_of_another() {
    let (mut relay, key) = (Relay::new(), StorageKey::new([7; 32]));
    let [alice, mut bob] = ["alice", "bob"].map(|name| {
        let mut host = Host::create(&address(name), Suites::V1, key.clone(), 1, NOW);
        host.attend(&mut relay, NOW).unwrap();
        host
    });
    bob.write_draft(&address("alice"), b"text");
    bob.send_drafts(&mut relay, NOW).unwrap();
    let envelope = bob.outbox().pop().unwrap().envelope().clone();
    let client: &Client = alice.client();
    let store = || {
        let copy = MemoryStore::new();
        alice.store().rows().into_iter().for_each(|(key, row)| copy.tamper(key, Some(row)));
        copy
    };
    // Alice's machine four times, each with the same generator.
    let rng = || SeededRng::new(3);
    let mut shown = Vec::new();
    let with_bob = store();
    client
        .receive(&envelope)
        .stage(&with_bob, NOW, &mut SeededRng::new(4))
        .unwrap()
        .commit(|batch, _| with_bob.write(batch))
        .unwrap();
    let copy = store();
    let received = client.receive(&envelope).stage(&copy, NOW, &mut rng()).unwrap();
    shown.push(("receive", seen(received.batch(), &copy, &key)));
    let copy = store();
    let published = client.publish_prekeys(PrekeyCounts::default()).stage(&copy, NOW, &mut rng()).unwrap();
    shown.push(("publish_prekeys", seen(published.batch(), &copy, &key)));
    let copy = store();
    let maintained = client.maintain().stage(&copy, NOW, &mut rng()).unwrap();
    shown.push(("maintain", seen(maintained.batch(), &copy, &key)));
    let sending = |text: &[u8], number| {
        let copy = MemoryStore::new();
        with_bob.rows().into_iter().for_each(|(key, row)| copy.tamper(key, Some(row)));
        let sent =
            client.send(MessageId::new([number; 16]), &address("bob"), text).stage(&copy, NOW, &mut rng()).unwrap();
        let [mut public, secret] = seen(sent.batch(), &copy, &key);
        public.extend(sent.committed().outgoing().first().unwrap().bytes());
        [public, secret]
    };
    shown.push(("send", sending(b"one", 1)));
    shown.push(("send another", sending(b"two", 2)));
    for (one, [public, _]) in &shown {
        let public: BTreeSet<_> = strings(public).collect();
        for (other, [_, secret]) in
            shown.iter().filter(|(other, _)| other != one && !(one.starts_with("send") && other.starts_with("send")))
        {
            // What was there before is in the records of both, and what both were given in what both show.
            let given: BTreeSet<_> = strings(&envelope.to_bytes()).collect();
            let common = strings(secret).filter(|string| public.contains(string) && !given.contains(string)).count();
            assert_eq!(common, 0, "{one} shows what {other} keeps");
        }
    }
}
