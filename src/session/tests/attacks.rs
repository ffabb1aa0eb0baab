//! Attacks on suite V1 and between the suites, by name.

use std::vec::Vec;

use super::*;
use crate::crypto::{KeyPair, count};
use crate::ident::{Address, DeviceId, Timestamp, UserId};
use crate::prekey::{Bundle, BundleError, Device, KemPrekey, PrekeySecrets, SignedPrekey, UnverifiedBundle};
use crate::suite::{Suite, Suites};
use crate::support::{NOW, Party, Refusal, address, rng, round_trip, talking_in};
use crate::wire::WireError;

const DAY: u64 = 24 * 60 * 60 * 1000;

fn v1(name: &str, seed: u64) -> Party {
    Party::of_suite(Suite::V1, name, seed)
}

#[track_caller]
fn refused(party: &mut Party, ciphertext: &Ciphertext, expected: Refusal) {
    let before = party.snapshot();
    assert_eq!(party.receive(&address("alice"), ciphertext), Err(expected));
    assert!(party.snapshot() == before, "a refused message left a trace");
}

// A sender whose state is rolled back.

/// Sends from the same state again and again, and collects (key, nonce) of every message.
fn keys_of(party: &Party, plaintexts: &[&[u8]], mut seed: impl FnMut(usize) -> u64) -> Vec<[u8; 44]> {
    let mut keys = Vec::new();
    for (at, plaintext) in plaintexts.iter().enumerate() {
        let mut clone = party.clone();
        clone.rng = rng(seed(at));
        let mut ratchet = clone.session().current.as_ref().unwrap().ratchet.clone();
        let secret = ratchet.send(&mut clone.rng.clone()).unwrap().secret;
        let message = SessionMessage::parse(clone.send(plaintext).bytes()).unwrap();
        let message::Wire::V1(message) = message.inner() else { panic!("suite V1") };
        keys.push(crate::suite::v1::key_and_nonce(&secret, &message.salt, &[]));
    }
    keys
}

#[test]
fn a_rewound_sender_repeats_no_key_and_the_session_lives_on() {
    let (mut alice, mut bob) = talking_in(Suite::V1, 1);
    let backup = alice.clone();
    let sent: Vec<_> = (0..10).map(|_| alice.send(b"before the restore")).collect();
    for message in &sent {
        bob.receive(&address("alice"), message).unwrap();
    }
    // The backup goes on from the same place in the chain, with randomness of its own.
    let mut restored = backup.clone();
    restored.rng = rng(77);
    for _ in 0..10 {
        let message = restored.send(b"after the restore");
        refused(&mut bob, &message, Refusal::Decrypt(DecryptError::Rewound));
    }
    // A repetition of the same bytes is a duplicate, not a rewind.
    refused(&mut bob, &sent[3], Refusal::Decrypt(DecryptError::Duplicate));
    // Past the place that was reached before, the session lives on.
    for _ in 0..3 {
        let message = restored.send(b"new ground");
        assert_eq!(bob.receive(&address("alice"), &message).unwrap(), b"new ground");
    }
    round_trip(&mut bob, &mut restored);
    assert!(DecryptError::Rewound.asks_for_repair() && !DecryptError::Duplicate.asks_for_repair());

    let plaintexts: Vec<&[u8]> = (0..100).map(|_| b"the same text".as_slice()).collect();
    let mut keys = keys_of(&backup, &plaintexts, |at| 1_000 + u64::try_from(at).unwrap());
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "a key was repeated");
}

#[test]
fn with_a_cloned_generator_a_key_repeats_only_for_the_same_plaintext() {
    let (alice, _) = talking_in(Suite::V1, 2);
    let keys = keys_of(&alice, &[b"one", b"two", b"one", b"onf", b""], |_| 5);
    assert_eq!(keys[0], keys[2], "the same randomness and the same text are the same message");
    for (a, b) in [(0, 1), (0, 3), (0, 4), (1, 3), (1, 4), (3, 4)] {
        assert_ne!(keys[a], keys[b]);
    }
}

#[test]
fn a_rewind_across_a_ratchet_step_asks_for_repair() {
    let (mut alice, mut bob) = talking_in(Suite::V1, 3);
    round_trip(&mut bob, &mut alice);
    let restored = alice.clone();
    // Bob's ratchet turns with her next message, and hers with his answer.
    let message = alice.send(b"read");
    bob.receive(&address("alice"), &message).unwrap();
    let answer = bob.send(b"turns Alice's ratchet");
    alice.receive(&address("bob"), &answer).unwrap();
    for _ in 0..3 {
        let message = alice.send(b"under the new key");
        bob.receive(&address("alice"), &message).unwrap();
    }
    // The copy goes on in the old chain, past the place that was read there; its post-quantum keys were used.
    let mut in_old_chain = restored.clone();
    in_old_chain.rng = rng(78);
    in_old_chain.send(b"at the place of what was read");
    let message = in_old_chain.send(b"at a place never read");
    refused(&mut bob, &message, Refusal::Decrypt(DecryptError::Rewound));
    // Or it takes the step a second time, with another key.
    let mut forked = restored;
    forked.rng = rng(79);
    forked.send(b"lost");
    forked.receive(&address("bob"), &answer).unwrap();
    for _ in 0..5 {
        let message = forked.send(b"under another key");
        refused(&mut bob, &message, Refusal::Decrypt(DecryptError::Undecryptable));
    }
    assert!(DecryptError::Undecryptable.asks_for_repair());
}

/// Of the newest 64 messages of a chain it is known which were read; further back a rewind and a repetition look alike, and
/// are told from a message whose key is lost.
#[test]
fn a_rewind_beyond_memory_is_told_as_what_it_is() {
    let (mut alice, mut bob) = talking_in(Suite::V1, 39);
    let mut restored = alice.clone();
    restored.rng = rng(80);
    let sent: Vec<_> = (0..100).map(|_| alice.send(b"read")).collect();
    for message in &sent {
        bob.receive(&address("alice"), message).unwrap();
    }
    for (at, original) in sent.iter().enumerate() {
        let forgotten = at < 36;
        let message = restored.send(b"another");
        let expected = if forgotten { DecryptError::ReadBefore } else { DecryptError::Rewound };
        refused(&mut bob, &message, Refusal::Decrypt(expected));
        let expected = if forgotten { DecryptError::ReadBefore } else { DecryptError::Duplicate };
        refused(&mut bob, original, Refusal::Decrypt(expected));
    }
    assert!(DecryptError::TooOld.asks_for_repair() && !DecryptError::ReadBefore.asks_for_repair());
}

#[test]
fn a_rewind_across_a_braid_step_heals() {
    // Alice has sent the first chunks of a key; restored, she makes another key, and its chunks do not fit.
    let (mut alice, mut bob) = (v1("alice", 4), v1("bob", 5));
    alice.initiate(&bob.bundle(true));
    let mut restored = alice.clone();
    restored.rng = rng(79);
    for _ in 0..2 {
        let first = alice.send(b"chunks of the first key");
        bob.receive(&address("alice"), &first).unwrap();
    }
    for at in 0..6 {
        let message = restored.send(b"chunks of the second key");
        let read = bob.receive(&address("alice"), &message);
        assert_eq!(read.is_ok(), at >= 2, "what is at places that were read is lost, and nothing else: {read:?}");
    }
    (0..60).for_each(|_| round_trip(&mut bob, &mut restored));
    assert!(bob.session().pq_epochs() > 0 && restored.session().pq_epochs() > 0);
}

// Between the suites.

/// A device that speaks both, with prekeys of each.
struct Both {
    device: Device,
    bundles: [UnverifiedBundle; 2],
}

fn speaks_both(seed: u64) -> Both {
    let mut rng = rng(seed);
    let device = Device::generate(address("bob"), &mut rng).with_suites(Suites::BOTH);
    let id = crate::ident::PrekeyId::new(1);
    let bundles = [Suite::Signal, Suite::V1].map(|suite| {
        let signed = SignedPrekey::generate(&device, suite, id, NOW, &mut rng);
        let kem = KemPrekey::last_resort(&device, suite, id, NOW, &mut rng);
        device.bundle(&signed, &kem, None)
    });
    Both { device, bundles }
}

#[test]
fn prekey_signatures_are_not_replayed_between_suites() {
    let Both { bundles: [signal, v1], .. } = speaks_both(10);
    // A signed prekey of one suite in a bundle of the other, both ways.
    let mut crossed = v1.clone();
    crossed.signed_prekey = signal.signed_prekey.clone();
    assert_eq!(crossed.verify().unwrap_err(), BundleError::BadPrekeySignature);
    let mut crossed = signal.clone();
    crossed.signed_prekey = v1.signed_prekey.clone();
    assert_eq!(crossed.verify().unwrap_err(), BundleError::BadPrekeySignature);
    // KEM prekeys are of different mechanisms, so they do not even fit.
    let mut crossed = v1.clone();
    crossed.kem_prekey = signal.kem_prekey;
    assert_eq!(crossed.verify().unwrap_err(), BundleError::WrongKem);
    // Relabelled as a whole.
    let mut relabelled = v1;
    relabelled.suite = Suite::Signal;
    assert_eq!(relabelled.verify().unwrap_err(), BundleError::WrongKem);
}

#[test]
fn signed_facts_of_a_prekey_cannot_be_changed() {
    let Both { bundles: [_, v1], .. } = speaks_both(11);
    let altered = |alter: fn(&mut UnverifiedBundle)| {
        let mut bundle = v1.clone();
        alter(&mut bundle);
        bundle.verify().unwrap_err()
    };
    let later = |bundle: &mut UnverifiedBundle| bundle.signed_prekey.created = Timestamp::new(NOW.get() + DAY);
    assert_eq!(altered(later), BundleError::BadPrekeySignature);
    let renamed = |bundle: &mut UnverifiedBundle| bundle.signed_prekey.id = crate::ident::PrekeyId::new(2);
    assert_eq!(altered(renamed), BundleError::BadPrekeySignature);
    // The stripped offer: a server says that the device speaks less than it does.
    assert_eq!(altered(|bundle| bundle.signed_prekey.suites = Suites::V1), BundleError::BadPrekeySignature);
    assert_eq!(altered(|bundle| bundle.kem_prekey.suites = Suites::V1), BundleError::BadKemSignature);
    // A last-resort prekey passed off as a one-time one, whose secrecy would be thought better than it is.
    assert_eq!(altered(|bundle| bundle.kem_is_last_resort = false), BundleError::BadKemSignature);
    let renamed = |bundle: &mut UnverifiedBundle| bundle.kem_prekey.id = crate::ident::PrekeyId::new(2);
    assert_eq!(altered(renamed), BundleError::BadKemSignature);
    assert!(v1.verify().is_ok());
}

#[test]
fn a_signal_session_is_not_started_with_a_device_known_for_v1() {
    let Both { device, bundles: [signal, v1] } = speaks_both(12);
    let (signal, v1): (Bundle, Bundle) = (signal.verify().unwrap(), v1.verify().unwrap());
    let mut rng = rng(13);
    let alice = Device::generate(address("alice"), &mut rng).with_suites(Suites::BOTH);
    let mut session = Session::initiate(&alice, &v1, NOW, &mut rng).unwrap();
    let before = session.to_bytes();
    assert_eq!(session.restart(&alice, &signal, NOW, &mut rng).unwrap_err(), InitiateError::SuiteDowngrade);
    assert_eq!(*session.to_bytes(), *before);
    // It is remembered through storage, and when no session of the suite is left.
    let mut session = Session::from_bytes(&before).unwrap();
    session.archive();
    session.archived.clear();
    assert_eq!(session.restart(&alice, &signal, NOW, &mut rng).unwrap_err(), InitiateError::SuiteDowngrade);
    assert!(device.suites().contains(Suite::Signal));
}

#[test]
fn a_signal_session_is_not_accepted_from_a_device_known_for_v1() {
    let (mut alice, mut bob) = talking_in(Suite::V1, 14);
    // Mallory holds Alice's identity key, or Alice was tricked: her device starts a session of the weaker suite.
    let mut weaker = Party::new("bob", 15);
    weaker.device = bob.device.clone().with_suites(Suites::BOTH);
    let device = weaker.device.clone();
    let (signed_id, kem_id) = (weaker.signed.id(), weaker.kem.id());
    weaker.signed = SignedPrekey::generate(&device, Suite::Signal, signed_id, NOW, &mut weaker.rng);
    weaker.kem = KemPrekey::last_resort(&device, Suite::Signal, kem_id, NOW, &mut weaker.rng);
    let bundle = weaker.bundle(false);
    let speaks_less = alice.device.clone().with_suites(Suites::SIGNAL);
    let mut session = Session::initiate(&speaks_less, &bundle, NOW, &mut alice.rng).unwrap();
    let first = session.encrypt(b"weaker", NOW, &mut alice.rng).unwrap();
    let first = FirstMessage::parse(first.bytes()).unwrap();
    let before = bob.snapshot();
    let mut seen = crate::prekey::SeenBaseKeys::default();
    let mut prekeys = PrekeySecrets { signed: &weaker.signed, kem: &weaker.kem, one_time: None, seen: &mut seen };
    let to_alice = bob.session.as_mut().unwrap();
    let error = to_alice.accept_next(&device, &first, Some(&mut prekeys), NOW, &mut bob.rng).unwrap_err();
    assert_eq!(error, AcceptError::SuiteDowngrade);
    assert!(bob.snapshot() == before && seen.is_empty());
    round_trip(&mut alice, &mut bob);
}

/// A late message of an archived session of suite Signal is read, and does not bring its session back.
#[test]
fn a_late_signal_message_is_no_downgrade() {
    let (mut alice, mut bob) = talking_in(Suite::Signal, 38);
    let late = bob.send(b"late");
    // Both devices learn to speak V1, and start a session in it.
    for party in [&mut alice, &mut bob] {
        party.device = party.device.clone().with_suites(Suites::BOTH);
    }
    let (device, id) = (bob.device.clone(), crate::ident::PrekeyId::new(500));
    let signed = SignedPrekey::generate(&device, Suite::V1, id, NOW, &mut bob.rng);
    let kem = KemPrekey::last_resort(&device, Suite::V1, id, NOW, &mut bob.rng);
    alice.initiate(&device.bundle(&signed, &kem, None).verify().unwrap());
    assert_eq!(alice.session().suite(), Some(Suite::V1));
    assert_eq!(alice.receive(&address("bob"), &late).unwrap(), b"late");
    assert_eq!(alice.session().suite(), Some(Suite::V1));
    // Nor where no session is current.
    let late = bob.send(b"later");
    alice.session.as_mut().unwrap().archive();
    assert_eq!(alice.receive(&address("bob"), &late).unwrap(), b"later");
    assert_eq!(alice.session().suite(), None);
}

/// Suite Signal is off unless the host enables it; and where both sides speak V1, V1 it is.
#[test]
fn suite_signal_is_off_until_it_is_enabled() {
    let Both { bundles: [signal, _], .. } = speaks_both(32);
    let signal = signal.verify().unwrap();
    let mut rng = rng(33);
    let alice = Device::generate(address("alice"), &mut rng);
    assert_eq!(alice.suites(), Suites::V1);
    let start = |device: &Device, rng: &mut _| Session::initiate(device, &signal, NOW, rng).map(|_| ());
    assert_eq!(start(&alice, &mut rng), Err(InitiateError::SuiteNotEnabled));
    assert_eq!(start(&alice.clone().with_suites(Suites::BOTH), &mut rng), Err(InitiateError::SuiteDowngrade));
    assert_eq!(start(&alice.with_suites(Suites::SIGNAL), &mut rng), Ok(()));

    let (mut alice, mut bob) = (Party::new("alice", 34), Party::new("bob", 35));
    alice.initiate(&bob.bundle(false));
    let first = alice.send(b"x");
    bob.device = bob.device.with_suites(Suites::V1);
    refused(&mut bob, &first, Refusal::Accept(AcceptError::SuiteNotEnabled));
}

#[test]
fn a_first_message_is_not_relabelled() {
    let (mut alice, mut bob) = (v1("alice", 16), v1("bob", 17));
    alice.initiate(&bob.bundle(true));
    let first = alice.send(b"x").into_bytes();
    for (byte, expected) in [
        (0x44, WireError::MissingKem),
        (0xa1, WireError::UnknownKind(0xa1)),
        (0xa3, WireError::UnknownKind(0xa3)),
        (0xa4, WireError::UnknownKind(0xa4)),
    ] {
        let mut relabelled = first.clone();
        relabelled[0] = byte;
        let error = FirstMessage::parse(&relabelled).unwrap_err();
        assert!(error == expected || byte == 0x44, "{byte:02x}: {error}");
        refused(&mut bob, &Ciphertext::First(relabelled), Refusal::Wire(error));
    }
    // Nor does a first message pass as a plain one.
    refused(&mut bob, &Ciphertext::Message(first), Refusal::Wire(WireError::UnknownKind(0xa2)));
    // Prekeys of the other suite do not open it.
    let mut other = Party::new("bob", 17);
    other.device = bob.device.clone().with_suites(Suites::BOTH);
    let bytes = alice.send(b"x");
    let id = FirstMessage::parse(bytes.bytes()).unwrap().needs().signed;
    refused(&mut other, &bytes, Refusal::Accept(AcceptError::UnknownPrekey(PrekeyKind::Signed, id)));
}

// Against the binding of a session to its two devices.

#[test]
fn unknown_key_share() {
    // Mallory registers Bob's identity key and prekeys under her own name; Alice means to write to Mallory.
    let (mut alice, mut bob) = (v1("alice", 18), v1("bob", 19));
    let genuine = bob.device.bundle(&bob.signed, &bob.kem, None);
    let mut misnamed = genuine.clone();
    misnamed.address = address("mallory");
    let bundle = misnamed.verify().expect("prekey signatures do not cover the name");
    alice.initiate(&bundle);
    let first = alice.send(b"for Mallory");
    // Bob holds every key, and still does not take it for his: the transcript names Mallory.
    refused(&mut bob, &first, Refusal::Accept(AcceptError::Message(DecryptError::Undecryptable)));
    // Nor when it is handed over as from somebody else.
    let mut alice = v1("alice", 20);
    alice.initiate(&genuine.verify().unwrap());
    let first = alice.send(b"for Bob");
    let before = bob.snapshot();
    assert!(bob.receive(&address("mallory"), &first).is_err());
    let elsewhere = Address::new(UserId::new("alice").unwrap(), DeviceId::new(2));
    assert!(bob.receive(&elsewhere, &first).is_err());
    assert!(bob.snapshot() == before);
    assert_eq!(bob.receive(&address("alice"), &first).unwrap(), b"for Bob");
}

#[test]
fn reflection() {
    let (mut alice, mut bob) = talking_in(Suite::V1, 21);
    round_trip(&mut alice, &mut bob);
    // One's own message sent back: the session's tag fits, the direction does not.
    let message = alice.send(b"to Bob");
    let before = alice.snapshot();
    assert!(alice.receive(&address("bob"), &message).is_err());
    assert!(alice.snapshot() == before);
    // One's own first message sent back.
    let mut carol = v1("carol", 22);
    alice.session = None;
    alice.initiate(&carol.bundle(true));
    let first = alice.send(b"to Carol");
    let before = alice.snapshot();
    assert!(alice.receive(&address("carol"), &first).is_err());
    assert!(alice.snapshot() == before);
}

#[test]
fn a_message_of_another_session_does_not_open() {
    let (mut alice, mut bob) = talking_in(Suite::V1, 23);
    let (mut other_alice, _) = talking_in(Suite::V1, 24);
    let foreign = other_alice.send(b"x");
    refused(&mut bob, &foreign, Refusal::Decrypt(DecryptError::NoSession));
    // Its body under a tag that is known here.
    let own = alice.send(b"y").into_bytes();
    let mut spliced = foreign.into_bytes();
    let tag_at = |bytes: &[u8]| bytes.windows(2).position(|window| window == [0x0a, 8]).unwrap() + 2;
    let (to, from) = (tag_at(&spliced), tag_at(&own));
    spliced[to..to + 8].copy_from_slice(&own[from..from + 8]);
    refused(&mut bob, &Ciphertext::Message(spliced), Refusal::Decrypt(DecryptError::Undecryptable));
}

#[test]
fn external_associated_data_is_bound() {
    let (mut alice, mut bob) = talking_in(Suite::V1, 25);
    let session = alice.session.as_mut().unwrap();
    let sent = session.encrypt_bound(b"framed", b"commitment", NOW, &mut alice.rng).unwrap();
    let message = |ad: &[u8]| SessionMessage::parse(sent.bytes()).unwrap().bound_to(ad);
    let to_alice = bob.session.as_mut().unwrap();
    for wrong in [b"".as_slice(), b"commitmenu", b"commitment "] {
        let result = to_alice.decrypt(&message(wrong), NOW, &mut bob.rng);
        assert_eq!(result, Err(DecryptError::Undecryptable));
    }
    assert_eq!(to_alice.decrypt(&message(b"commitment"), NOW, &mut bob.rng).unwrap(), b"framed");
    // Also in a first message, the one that makes the session and one that repeats the start.
    let (mut alice, mut bob) = (v1("alice", 36), v1("bob", 37));
    alice.initiate(&bob.bundle(false));
    for _ in 0..2 {
        let session = alice.session.as_mut().unwrap();
        let sent = session.encrypt_bound(b"framed", b"commitment", NOW, &mut alice.rng).unwrap();
        refused(&mut bob, &sent, Refusal::Accept(AcceptError::Message(DecryptError::Undecryptable)));
        let first = FirstMessage::parse(sent.bytes()).unwrap().bound_to(b"commitment");
        let mut prekeys = PrekeySecrets { signed: &bob.signed, kem: &bob.kem, one_time: None, seen: &mut bob.seen };
        let accepted = match &mut bob.session {
            Some(session) => session.accept_next(&bob.device, &first, None, NOW, &mut bob.rng).unwrap(),
            None => {
                let from = alice.device.address();
                let accepted = Session::accept(&bob.device, from, &first, &mut prekeys, NOW, &mut bob.rng).unwrap();
                bob.session = Some(accepted.0);
                accepted.1
            }
        };
        assert_eq!(accepted.plaintext, b"framed");
    }
    // Suite Signal has no room for it, and says so.
    let (mut alice, mut bob) = talking_in(Suite::Signal, 25);
    let session = alice.session.as_mut().unwrap();
    let before = session.to_bytes();
    let error = session.encrypt_bound(b"framed", b"commitment", NOW, &mut alice.rng).unwrap_err();
    assert_eq!(error, EncryptError::NoExternalAd);
    assert_eq!(*session.to_bytes(), *before);
    let plain = SessionMessage::parse(alice.send(b"x").bytes()).unwrap().bound_to(b"c");
    let result = bob.session.as_mut().unwrap().decrypt(&plain, NOW, &mut bob.rng);
    assert_eq!(result, Err(DecryptError::Undecryptable));
}

#[test]
fn a_first_message_is_not_replayed_after_its_session_left_the_archive() {
    for with_one_time in [true, false] {
        let (mut alice, mut bob) = (v1("alice", 26), v1("bob", 27));
        alice.initiate(&bob.bundle(with_one_time));
        let replayed = alice.send(b"once");
        bob.receive(&address("alice"), &replayed).unwrap();
        for _ in 0..=MAX_ARCHIVED {
            alice.initiate(&bob.bundle(with_one_time));
            let first = alice.send(b"again");
            bob.receive(&address("alice"), &first).unwrap();
        }
        refused(&mut bob, &replayed, Refusal::Accept(AcceptError::Replayed));
    }
}

#[test]
fn stale_prekeys_are_refused() {
    let (alice, mut bob) = (v1("alice", 28), v1("bob", 29));
    let bundle = bob.bundle(true);
    let start = |days: u64| {
        let now = Timestamp::new(NOW.get() + days * DAY);
        Session::initiate(&alice.device, &bundle, now, &mut rng(1)).map(|_| ())
    };
    assert_eq!(start(45), Ok(()));
    assert_eq!(start(46), Err(InitiateError::StalePrekey));
}

/// Whatever is archived, a forged message costs one lookup and at most one trial.
#[test]
fn a_forged_message_costs_at_most_one_trial() {
    let (mut alice, mut bob) = talking_in(Suite::V1, 30);
    for _ in 0..45 {
        alice.initiate(&bob.bundle(true));
        let first = alice.send(b"again");
        bob.receive(&address("alice"), &first).unwrap();
    }
    assert_eq!(bob.session().archived(), MAX_ARCHIVED);
    let answer = bob.send(b"answer");
    alice.receive(&address("bob"), &answer).unwrap();
    let state = alice.session().current.as_ref().unwrap().clone();
    let mut ratchet = state.ratchet.clone();
    let mut outgoing = ratchet.send(&mut alice.rng).unwrap();
    outgoing.ratchet = *KeyPair::generate(&mut rng(2)).public();
    let forged = state.forge(&alice.session().ends, outgoing, b"forged", &mut rng(3));
    let before = count::agreements();
    refused(&mut bob, &forged, Refusal::Decrypt(DecryptError::Undecryptable));
    assert_eq!(count::agreements() - before, 1, "one agreement, in the session that it names");
    // Naming no session: none.
    let (mut stranger, _) = talking_in(Suite::V1, 31);
    let unknown = stranger.send(b"x");
    let before = count::agreements();
    refused(&mut bob, &unknown, Refusal::Decrypt(DecryptError::NoSession));
    assert_eq!(count::agreements() - before, 0);
}
