use std::collections::BTreeSet;
use std::vec::Vec;

use super::*;
use crate::ident::{DeviceId, UserId};
use crate::suite::Suites;
use crate::testing::Relay;
use crate::wire::Envelope;

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

fn host(name: &str, seed: u64, relay: &mut Relay) -> Host {
    let address = Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
    let mut host = Host::create(&address, Suites::V1, StorageKey::new([7; 32]), seed, NOW);
    host.attend(relay, NOW).unwrap();
    host
}

fn tell(from: &mut Host, to: &mut Host, text: &str, relay: &mut Relay) {
    let envelopes = write(from, to, text, relay);
    read(to, &envelopes);
}

/// Takes what is in an outbox.
fn post(host: &mut Host) -> Vec<Envelope> {
    let outbox = host.outbox();
    outbox.iter().for_each(|outgoing| host.posted(outgoing.id()));
    outbox.iter().map(|outgoing| outgoing.envelope().clone()).collect()
}

fn write(host: &mut Host, to: &Host, text: &str, relay: &mut Relay) -> Vec<Envelope> {
    host.write_draft(to.address(), text.as_bytes());
    host.send_drafts(relay, NOW).unwrap();
    post(host)
}

fn read(host: &mut Host, envelopes: &[Envelope]) {
    for envelope in envelopes {
        assert_eq!(host.receive(envelope, NOW), Ok(Answer::Read));
    }
}

fn texts(host: &Host) -> BTreeSet<&[u8]> {
    host.tables().inbox().map(|entry| entry.text.as_slice()).collect()
}

/// Whether a device forgets the question or never reads it: with its next session it is asked again.
#[test]
fn who_forgets_what_it_was_asked_for_is_asked_again() {
    for reads in [true, false] {
        let mut relay = Relay::new();
        let [mut alice, mut bob] = [("alice", 1), ("bob", 2)].map(|(name, seed)| host(name, seed, &mut relay));
        tell(&mut alice, &mut bob, "first", &mut relay);
        tell(&mut bob, &mut alice, "second", &mut relay);
        // Bob has a new session, and cannot read what comes in the old one.
        bob.run(NOW, |client| client.forget_device(alice.address()), |_, ()| {}).unwrap().unwrap();
        let hello = write(&mut bob, &alice, "hello", &mut relay);
        let lost = write(&mut alice, &bob, "lost", &mut relay);
        assert!(matches!(bob.receive(&lost[0], NOW), Ok(Answer::Unreadable(_))));
        bob.attend(&mut relay, NOW).unwrap();
        let request = post(&mut bob);
        assert_eq!(request.len(), 1);
        let backup = alice.back_up();
        read(&mut alice, &hello);
        if reads {
            read(&mut alice, &request);
            assert_eq!(alice.tables().drafts().len(), 1);
        }
        alice.attend(&mut relay, NOW).unwrap();
        alice.restore(&backup);
        assert_eq!(alice.open(NOW), Ok(true));
        alice.attend(&mut relay, NOW).unwrap();
        assert!(alice.tables().drafts().is_empty(), "it is forgotten");

        tell(&mut alice, &mut bob, "a new session", &mut relay);
        bob.attend(&mut relay, NOW).unwrap();
        read(&mut alice, &post(&mut bob));
        alice.send_drafts(&mut relay, NOW).unwrap();
        read(&mut bob, &post(&mut alice));
        assert_eq!(texts(&bob), BTreeSet::from(["first", "lost", "a new session"].map(str::as_bytes)));

        // Whoever is asked once more answers once.
        bob.reset(alice.address(), NOW).unwrap().unwrap();
        bob.attend(&mut relay, NOW).unwrap();
        read(&mut alice, &post(&mut bob));
        assert!(alice.tables().drafts().is_empty());
        assert_eq!(bob.tables().came_again(), 0);
        // What was asked for dies with what is known of the device.
        let rows = |bob: &Host| bob.store().rows().iter().filter(|(key, _)| key.as_bytes()[0] == 25).count();
        assert_eq!(rows(&bob), 2);
        bob.run(NOW, |client| client.forget_device(alice.address()), |_, ()| {}).unwrap().unwrap();
        assert_eq!(rows(&bob), 1);
    }
}

/// A question is put again for thirty days; one whose record is damaged was never put.
#[test]
fn a_question_is_not_put_for_ever() {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    for (days, damaged, asked) in [(29, false, 1), (31, false, 0), (1, true, 0)] {
        let mut relay = Relay::new();
        let [mut alice, mut bob] = [("alice", 3), ("bob", 4)].map(|(name, seed)| host(name, seed, &mut relay));
        tell(&mut alice, &mut bob, "first", &mut relay);
        tell(&mut bob, &mut alice, "second", &mut relay);
        bob.run(NOW, |client| client.forget_device(alice.address()), |_, ()| {}).unwrap().unwrap();
        write(&mut bob, &alice, "hello", &mut relay);
        let unreadable = write(&mut alice, &bob, "unreadable", &mut relay);
        let wishes = |bob: &Host| -> BTreeSet<_> {
            bob.store().rows().into_iter().map(|(key, _)| key).filter(|key| key.as_bytes()[0] == 25).collect()
        };
        assert!(matches!(bob.receive(&unreadable[0], NOW), Ok(Answer::Unreadable(_))));
        let before = wishes(&bob);
        bob.attend(&mut relay, NOW).unwrap();
        assert_eq!(post(&mut bob).len(), 1, "asked, and lost on the way");
        let record = wishes(&bob).difference(&before).copied().next().unwrap();
        if damaged {
            let mut row = bob.store().rows().into_iter().find(|(key, _)| *key == record).unwrap().1;
            row.bytes[80] ^= 1;
            bob.store().tamper(record, Some(row));
        }
        let later = Timestamp::new(NOW.get() + days * DAY);
        bob.reset(alice.address(), later).unwrap().unwrap();
        bob.attend(&mut relay, later).unwrap();
        for envelope in post(&mut bob) {
            assert_eq!(alice.receive(&envelope, later), Ok(Answer::Read));
        }
        assert_eq!(alice.tables().drafts().len(), asked, "after {days} days");
    }
}

/// Were something to leak, it would be seen: as digits, as numbers, as text.
#[test]
fn a_leak_is_seen() {
    let (mut relay, secret) = (Relay::new(), b"a secret of 32 bytes, like a KEY");
    let mut alice = host("alice", 1, &mut relay);
    alice.look_for(secret);
    alice.look_for(b"Rosebud");
    alice.audit.printed(&("Row", [7_u8; 32], "a secret"));
    assert!(alice.audit().leaks().is_empty());
    let hex: std::string::String = secret.iter().map(|byte| std::format!("{byte:02X}")).collect();
    alice.audit.printed(&secret);
    alice.audit.printed(&hex);
    alice.audit.printed(&std::string::String::from_utf8_lossy(secret));
    alice.audit.printed(&"... and rosebud");
    assert_eq!(alice.audit().leaks().len(), 4);
    alice.audit.printed(&"... and rosebu");
    assert_eq!(alice.audit().leaks().len(), 4);
}
