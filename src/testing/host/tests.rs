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

const HOUR: u64 = 60 * 60 * 1000;

fn at(hours: u64) -> Timestamp {
    Timestamp::new(NOW.get() + hours * HOUR)
}

/// Alice and Bob talk; Bob has begun anew, and could not read what came in the old session. His question, which he puts
/// once he has heard Alice in the new one.
fn asking(relay: &mut Relay) -> (Host, Host, Vec<Envelope>) {
    let [mut alice, mut bob] = [("alice", 1), ("bob", 2)].map(|(name, seed)| host(name, seed, relay));
    tell(&mut alice, &mut bob, "first", relay);
    tell(&mut bob, &mut alice, "second", relay);
    bob.run(NOW, |client| client.forget_device(alice.address()), |_, ()| {}).unwrap().unwrap();
    let hello = write(&mut bob, &alice, "hello", relay);
    let lost = write(&mut alice, &bob, "lost", relay);
    assert!(matches!(bob.receive(&lost[0], NOW), Ok(Answer::Unreadable(_))));
    bob.attend(relay, NOW).unwrap();
    assert!(post(&mut bob).is_empty(), "the session is young: its first message is under way");
    read(&mut alice, &hello);
    tell(&mut alice, &mut bob, "heard", relay);
    bob.attend(relay, NOW).unwrap();
    let question = post(&mut bob);
    assert_eq!(question.len(), 1);
    assert!(question[0].kind != crate::wire::EnvelopeKind::First, "it needs no session of its own");
    bob.attend(relay, NOW).unwrap();
    assert!(post(&mut bob).is_empty(), "the question was put");
    (alice, bob, question)
}

#[test]
fn what_was_asked_for_is_sent_again_once() {
    let mut relay = Relay::new();
    let (mut alice, mut bob, question) = asking(&mut relay);
    read(&mut alice, &question);
    alice.attend(&mut relay, NOW).unwrap();
    let answer = post(&mut alice);
    assert_eq!(answer.len(), 1);
    alice.attend(&mut relay, NOW).unwrap();
    assert!(post(&mut alice).is_empty());
    read(&mut bob, &answer);
    assert_eq!(texts(&bob), BTreeSet::from(["first", "lost", "heard"].map(str::as_bytes)));
    // Nothing waits any more, however much time goes by.
    for hours in [1, 2, 30] {
        bob.attend(&mut relay, at(hours)).unwrap();
        assert!(post(&mut bob).is_empty());
    }
    let waits = |host: &Host| host.store().rows().iter().filter(|(key, _)| key.as_bytes()[0] == 30).count();
    assert_eq!((waits(&alice), waits(&bob)), (0, 0));
}

/// Whether a device forgets the question or never reads it: an hour later it is asked again, in a session of its own.
#[test]
fn who_forgets_what_it_was_asked_for_is_asked_again() {
    for reads in [true, false] {
        let mut relay = Relay::new();
        let (mut alice, mut bob, question) = asking(&mut relay);
        let backup = alice.back_up();
        if reads {
            read(&mut alice, &question);
            alice.attend(&mut relay, NOW).unwrap();
            assert_eq!(post(&mut alice).len(), 1, "the answer is lost");
        }
        alice.attend(&mut relay, NOW).unwrap();
        alice.restore(&backup);
        assert_eq!(alice.open(NOW), Ok(true));
        bob.attend(&mut relay, at(1)).unwrap();
        for envelope in post(&mut bob) {
            assert_eq!(alice.receive(&envelope, at(1)), Ok(Answer::Read));
        }
        alice.attend(&mut relay, at(1)).unwrap();
        for envelope in post(&mut alice) {
            assert_eq!(bob.receive(&envelope, at(1)), Ok(Answer::Read));
        }
        assert_eq!(texts(&bob), BTreeSet::from(["first", "lost", "heard"].map(str::as_bytes)), "{reads}");
        assert_eq!(bob.tables().came_again(), 0);
    }
}

/// However much is asked for in an hour, it is answered in the next ones, without being asked for again.
#[test]
fn what_is_asked_for_waits_until_it_may_be_answered() {
    const MANY: usize = 150;
    let mut relay = Relay::new();
    let (mut alice, mut bob, question) = asking(&mut relay);
    read(&mut alice, &question);
    bob.run(NOW, |client| client.forget_device(alice.address()), |_, ()| {}).unwrap().unwrap();
    for number in 0..MANY {
        let lost = write(&mut alice, &bob, &std::format!("lost {number}"), &mut relay);
        assert!(matches!(bob.receive(&lost[0], NOW), Ok(Answer::Unreadable(_))));
    }
    bob.attend(&mut relay, NOW).unwrap();
    let questions = post(&mut bob);
    assert_eq!(questions.len(), MANY.div_ceil(16));
    // The last of them come when all answers of this hour were given.
    let (early, late) = questions.split_at(5);
    for (hour, questions) in [(0, early), (0, late), (1, &early[..0]), (2, &early[..0])] {
        for envelope in questions {
            assert_eq!(alice.receive(envelope, at(hour)), Ok(Answer::Read));
        }
        alice.attend(&mut relay, at(hour)).unwrap();
        for envelope in post(&mut alice) {
            assert_eq!(bob.receive(&envelope, at(hour)), Ok(Answer::Read));
        }
    }
    assert_eq!(texts(&bob).iter().filter(|text| text.starts_with(b"lost ")).count(), MANY);
}

/// What was sent to who has it no more is told to be gone, and nothing is waited for.
#[test]
fn who_has_it_no_more_says_so() {
    let mut relay = Relay::new();
    let (mut alice, mut bob, question) = asking(&mut relay);
    alice.tables.sent.clear();
    read(&mut alice, &question);
    alice.attend(&mut relay, NOW).unwrap();
    let word = post(&mut alice);
    read(&mut bob, &word);
    assert_eq!(bob.tables().gone.len(), 1);
    bob.attend(&mut relay, at(5)).unwrap();
    assert!(post(&mut bob).is_empty());
}

/// Three times a message is asked for, whatever becomes of the questions.
#[test]
fn a_question_is_not_put_for_ever() {
    let mut relay = Relay::new();
    let (_, mut bob, _) = asking(&mut relay);
    let mut put = Vec::new();
    for hours in 1..24 * 40 {
        bob.attend(&mut relay, at(hours)).unwrap();
        put.extend(post(&mut bob).iter().map(|_| hours));
    }
    assert_eq!(put, [1, 2]);
    for page in 0..=255 {
        bob.prune(page, at(24 * 42)).unwrap();
    }
    assert!(bob.store().rows().iter().all(|(key, _)| ![25, 30].contains(&key.as_bytes()[0])), "nothing is left of it");
}

/// Damage of what waits loses no more than that.
#[test]
fn a_damaged_wish_is_no_wish() {
    for kind in [25, 30, 31] {
        let mut relay = Relay::new();
        let (mut alice, mut bob, question) = asking(&mut relay);
        let rows = |host: &Host| host.store().rows().into_iter().find(|(key, _)| key.as_bytes()[0] == kind).unwrap();
        let (key, mut row) = rows(&bob);
        row.bytes[60] ^= 1;
        bob.store().tamper(key, Some(row));
        read(&mut alice, &question);
        alice.attend(&mut relay, NOW).unwrap();
        read(&mut bob, &post(&mut alice));
        assert!(texts(&bob).contains(&b"lost"[..]));
        tell(&mut bob, &mut alice, "and on it goes", &mut relay);
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
