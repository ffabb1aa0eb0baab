//! Bad input, by name: a typed error each, and nothing changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests stop where something is wrong"
)]

mod support;

use proptest::prelude::*;
use subrosa::crypto::{PublicKey, PublicKeyError};
use subrosa::ident::{MessageName, PrekeyId, Timestamp};
use subrosa::prekey::{BundleError, Device, OneTimePrekey, PrekeySecrets, SignedPrekey, UnverifiedBundle};
use subrosa::session::{
    AcceptError, Ciphertext, DecryptError, EncryptError, FirstMessage, InitiateError, PrekeyKind, Session,
    SessionMessage,
};
use subrosa::suite::Suite;
use subrosa::wire::{MAX_MESSAGE_LEN, MAX_PLAINTEXT_LEN, Payload, RecordError, WireError};
use support::{DAY, NOW, Party, Refusal, address, round_trip, talking};

fn first_contact(with_one_time: bool) -> (Party, Party, Ciphertext) {
    let (mut alice, mut bob) = (Party::new("alice", 1), Party::new("bob", 2));
    alice.initiate(&bob.bundle(with_one_time));
    let first = alice.send(b"hello");
    (alice, bob, first)
}

/// Delivers, expects this refusal, and that nothing changed.
#[track_caller]
fn refused(party: &mut Party, ciphertext: &Ciphertext, expected: Refusal) {
    let before = party.snapshot();
    assert_eq!(party.receive(&address("alice"), ciphertext), Err(expected));
    assert!(party.snapshot() == before, "a refused message left a trace");
}

#[test]
fn unknown_prekey_id() {
    let (_, mut bob, first) = first_contact(true);
    let id = *bob.one_time.keys().next().unwrap();
    let removed = bob.one_time.remove(&id).unwrap();
    refused(&mut bob, &first, Refusal::Accept(AcceptError::UnknownPrekey(PrekeyKind::OneTime, id)));
    // Another key under the same name does not open it either.
    bob.one_time.insert(id, OneTimePrekey::generate(Suite::Signal, id, &mut support::rng(9)));
    refused(&mut bob, &first, Refusal::Accept(AcceptError::Message(DecryptError::Undecryptable)));
    bob.one_time.insert(id, removed);
    assert_eq!(bob.receive(&address("alice"), &first).unwrap(), b"hello");
}

#[test]
fn unknown_signed_and_kem_prekey_ids() {
    let (_, mut bob, first) = first_contact(false);
    let (signed, kem) = (bob.signed.clone(), bob.kem.clone());
    let device = bob.device.clone();
    bob.signed = SignedPrekey::generate(&device, Suite::Signal, PrekeyId::new(5), NOW, &mut bob.rng);
    refused(&mut bob, &first, Refusal::Accept(AcceptError::UnknownPrekey(PrekeyKind::Signed, signed.id())));
    bob.signed = signed;
    bob.kem = Party::new("bob", 77).kem;
    refused(&mut bob, &first, Refusal::Accept(AcceptError::UnknownPrekey(PrekeyKind::Kem, kem.id())));
}

#[test]
fn unsupported_version() {
    let (mut alice, mut bob) = talking(3);
    let message = alice.send(b"x");
    for version in [0x14u8, 0x24, 0x34, 0x54, 0xf4] {
        let mut bytes = message.bytes().to_vec();
        bytes[0] = version;
        let expected = Refusal::Wire(WireError::UnsupportedVersion(version >> 4));
        refused(&mut bob, &Ciphertext::Message(bytes.clone()), expected);
        refused(&mut bob, &Ciphertext::First(bytes), expected);
    }
}

/// What a server says are a device's keys may be another device's, well signed.
#[test]
fn keys_of_another_device() {
    let bob = Party::new("bob", 2);
    let bundle = bob.device.bundle(&bob.signed, &bob.kem, None);
    let mallory = Party::new("mallory", 3);
    let others = mallory.device.bundle(&mallory.signed, &mallory.kem, None);
    let asked = bob.device.address();
    assert_eq!(others.clone().verify_for(asked).unwrap_err(), BundleError::OtherDevice);
    assert!(others.verify().is_ok(), "nothing else is wrong with it");
    assert!(bundle.clone().verify_for(asked).is_ok());
    let mut bad = bundle;
    bad.signed_prekey.signature[3] ^= 1;
    assert_eq!(bad.verify_for(asked).unwrap_err(), BundleError::BadPrekeySignature);
}

#[test]
fn bad_signature() {
    let mut bob = Party::new("bob", 2);
    let good = bob.device.bundle(&bob.signed, &bob.kem, None);
    let mut bad = good.clone();
    bad.signed_prekey.signature[3] ^= 1;
    assert_eq!(bad.verify().unwrap_err(), BundleError::BadPrekeySignature);
    let mut bad = good.clone();
    bad.kem_prekey.signature[40] ^= 1;
    assert_eq!(bad.verify().unwrap_err(), BundleError::BadKemSignature);
    // A server that swaps keys, with whatever signatures it has.
    let mallory = Party::new("mallory", 3);
    let mut bad = good.clone();
    bad.signed_prekey.key = *mallory.signed.public_key();
    assert_eq!(bad.verify().unwrap_err(), BundleError::BadPrekeySignature);
    let mut bad = good.clone();
    bad.kem_prekey.key = mallory.kem.public_key().clone();
    assert_eq!(bad.verify().unwrap_err(), BundleError::BadKemSignature);
    let mut bad = good;
    bad.identity_key = *mallory.device.identity_key();
    assert_eq!(bad.verify().unwrap_err(), BundleError::BadPrekeySignature);
    assert!(bob.bundle(true).suite() == Suite::Signal);
}

#[test]
fn malformed_and_newer_bundle() {
    let bob = Party::new("bob", 2);
    let good = bob.device.bundle(&bob.signed, &bob.kem, None).to_bytes();
    for cut in 0..good.len() {
        assert!(UnverifiedBundle::parse(&good[..cut]).is_err_and(|error| error == BundleError::Malformed), "{cut}");
    }
    let mut newer = good;
    newer[2] = 2;
    assert_eq!(UnverifiedBundle::parse(&newer).unwrap_err(), BundleError::Newer(2));
    assert_eq!(UnverifiedBundle::parse(&vec![6; 5000]).unwrap_err(), BundleError::Malformed);
}

#[test]
fn missing_kem_part() {
    let (_, mut bob, first) = first_contact(true);
    // The KEM id is field 7 (key 0x38), the ciphertext field 8 (key 0x42, length 1,569): cut off the end.
    let bytes = first.bytes();
    let at = bytes.windows(3).rposition(|window| window == [0x42, 0xa1, 0x0c]).unwrap();
    refused(&mut bob, &Ciphertext::First(bytes[..at].to_vec()), Refusal::Wire(WireError::MissingKem));
    let id = bytes[..at].iter().rposition(|byte| *byte == 0x38).unwrap();
    refused(&mut bob, &Ciphertext::First(bytes[..id].to_vec()), Refusal::Wire(WireError::MissingKem));
    // ML-KEM instead of Kyber, and a type that does not exist.
    for (type_byte, expected) in
        [(0x0a, Refusal::Accept(AcceptError::BadKey)), (0x07, Refusal::Wire(WireError::MissingKem))]
    {
        let mut wrong = bytes.to_vec();
        wrong[at + 3] = type_byte;
        refused(&mut bob, &Ciphertext::First(wrong), expected);
    }
}

#[test]
fn replayed_first_message() {
    for with_one_time in [false, true] {
        let (_, mut bob, first) = first_contact(with_one_time);
        bob.receive(&address("alice"), &first).unwrap();
        // The session is there: a duplicate. The session is gone: a replay, one-time prekey or not.
        refused(&mut bob, &first, Refusal::Accept(AcceptError::Message(DecryptError::Duplicate)));
        bob.session = None;
        refused(&mut bob, &first, Refusal::Accept(AcceptError::Replayed));
    }
}

#[test]
fn reflected_first_message() {
    let (mut alice, _, first) = first_contact(true);
    let identity = *alice.device.identity_key();
    // One's own first message sent back: it claims one's own identity, which is not the peer's.
    refused(&mut alice, &first, Refusal::Accept(AcceptError::IdentityChanged));
    assert_ne!(alice.session().remote_identity(), &identity);
}

#[test]
fn message_for_no_session() {
    let (mut alice, _) = talking(4);
    let mut bob = Party::new("bob", 2);
    let message = alice.send(b"x");
    refused(&mut bob, &message, Refusal::Decrypt(DecryptError::NoSession));
    // A session with somebody else does not open it.
    let (_, mut other) = talking(5);
    refused(&mut other, &message, Refusal::Decrypt(DecryptError::Undecryptable));
}

#[test]
fn duplicate() {
    let (mut alice, mut bob) = talking(6);
    let message = alice.send(b"once");
    bob.receive(&address("alice"), &message).unwrap();
    refused(&mut bob, &message, Refusal::Decrypt(DecryptError::Duplicate));
    // Also when it was late the first time.
    let (late, next) = (alice.send(b"late"), alice.send(b"next"));
    bob.receive(&address("alice"), &next).unwrap();
    bob.receive(&address("alice"), &late).unwrap();
    refused(&mut bob, &late, Refusal::Decrypt(DecryptError::Duplicate));
    // And after the ratchets have turned.
    round_trip(&mut bob, &mut alice);
    refused(&mut bob, &message, Refusal::Decrypt(DecryptError::Duplicate));
}

#[test]
fn too_far_ahead() {
    let (mut alice, mut bob) = talking(8);
    let mut message = alice.send(b"0");
    bob.receive(&address("alice"), &message).unwrap();
    let near = alice.send(b"1");
    // The post-quantum ratchet counts the message itself: 24,999 may be skipped.
    for _ in 0..25_000 {
        message = alice.send(b"");
    }
    refused(&mut bob, &message, Refusal::Decrypt(DecryptError::TooFarAhead));
    assert_eq!(bob.receive(&address("alice"), &near).unwrap(), b"1");
    assert_eq!(bob.receive(&address("alice"), &message).unwrap(), b"");
}

#[test]
fn too_old() {
    let (mut alice, mut bob) = talking(9);
    let early: Vec<_> = (0..4).map(|_| alice.send(b"early")).collect();
    let mut last = alice.send(b"");
    for _ in 0..1_998 {
        last = alice.send(b"");
    }
    bob.receive(&address("alice"), &last).unwrap();
    for message in &early[..2] {
        refused(&mut bob, message, Refusal::Decrypt(DecryptError::TooOld));
    }
    bob.receive(&address("alice"), &early[2]).unwrap();

    // And by the clock, when the host says so: kept for 30 days. What comes under a clock that is ahead deletes nothing.
    let (late, later, next) = (alice.send(b"late"), alice.send(b"later"), alice.send(b"next"));
    bob.receive(&address("alice"), &next).unwrap();
    let after = Timestamp::new(NOW.get() + 31 * DAY);
    let next = alice.send(b"next");
    bob.receive_at(&address("alice"), &next, after).unwrap();
    assert_eq!(bob.receive(&address("alice"), &later).unwrap(), b"later");
    bob.session.as_mut().unwrap().expire(after);
    assert_eq!(bob.receive(&address("alice"), &late), Err(Refusal::Decrypt(DecryptError::TooOld)), "deleted");
}

#[test]
fn corrupt_record() {
    let (alice, _) = talking(10);
    let good = alice.session().to_bytes();
    assert!(Session::from_bytes(&good).is_ok());
    for cut in 0..good.len() {
        assert_eq!(Session::from_bytes(&good[..cut]).unwrap_err(), RecordError::Corrupt, "cut at {cut}");
    }
    let good = alice.device.to_bytes();
    for cut in 0..good.len() {
        assert_eq!(Device::from_bytes(&good[..cut]).unwrap_err(), RecordError::Corrupt, "cut at {cut}");
    }
    // A record of another kind.
    assert_eq!(Session::from_bytes(&alice.device.to_bytes()).unwrap_err(), RecordError::Corrupt);
    assert_eq!(Session::from_bytes(&alice.signed.to_bytes()).unwrap_err(), RecordError::Corrupt);
}

#[test]
fn record_of_a_newer_version() {
    let (alice, _) = talking(10);
    let mut newer = alice.session().to_bytes().to_vec();
    newer[1..3].copy_from_slice(&7u16.to_be_bytes());
    assert_eq!(Session::from_bytes(&newer).unwrap_err(), RecordError::Newer(7));
    newer[1..3].copy_from_slice(&[0, 0]);
    assert_eq!(Session::from_bytes(&newer).unwrap_err(), RecordError::Corrupt);
}

#[test]
fn changed_identity() {
    let (mut alice, mut bob) = talking(11);
    let mut reinstalled = Party::new("bob", 99);
    let bundle = reinstalled.bundle(true);
    let before = alice.snapshot();
    let session = alice.session.as_mut().unwrap();
    assert_eq!(
        session.restart(&alice.device, &bundle, NOW, &mut alice.rng).unwrap_err(),
        InitiateError::IdentityChanged
    );
    let mut carol = Party::new("carol", 98);
    assert_eq!(
        session.restart(&alice.device, &carol.bundle(true), NOW, &mut alice.rng).unwrap_err(),
        InitiateError::WrongDevice
    );
    assert!(alice.snapshot() == before);
    // A first message under another identity does not slip into the old session.
    reinstalled.initiate(&alice.bundle(true));
    let first = reinstalled.send(b"it is me");
    refused(&mut alice, &first, Refusal::Accept(AcceptError::IdentityChanged));
    round_trip(&mut alice, &mut bob);
}

#[test]
fn new_session_without_prekeys_and_worn_out_prekey() {
    let (mut alice, mut bob) = talking(12);
    alice.initiate(&bob.bundle(true));
    let first = FirstMessage::parse(alice.send(b"again").bytes()).unwrap();
    let before = bob.snapshot();
    let session = bob.session.as_mut().unwrap();
    assert!(!session.recognizes(&first));
    let error = session.accept_next(&bob.device, &first, None, NOW, &mut bob.rng).unwrap_err();
    assert_eq!(error, AcceptError::NeedsPrekeys);
    assert!(bob.snapshot() == before);

    let worn = (0..20_000u32).map(|number| [[0; 28].as_slice(), &number.to_be_bytes()].concat()).collect::<Vec<_>>();
    let stored = [&[7, 0, 1, 0x0a, 0x80, 0x88, 0x27][..], &worn.concat(), &[0x10, 0xa0, 0x9c, 1]].concat();
    bob.seen = subrosa::prekey::SeenBaseKeys::from_bytes(&stored).unwrap();
    assert!(bob.seen.is_worn());
    let one_time = first.needs().one_time.and_then(|id| bob.one_time.get(&id));
    let mut prekeys = PrekeySecrets { signed: &bob.signed, kem: &bob.kem, one_time, seen: &mut bob.seen };
    let session = bob.session.as_mut().unwrap();
    let error = session.accept_next(&bob.device, &first, Some(&mut prekeys), NOW, &mut bob.rng).unwrap_err();
    assert_eq!(error, AcceptError::PrekeyWornOut);
}

#[test]
fn nothing_to_encrypt_with() {
    let (mut alice, mut bob, first) = first_contact(true);
    let late = Timestamp::new(NOW.get() + 30 * DAY + 1);
    let before = alice.snapshot();
    let session = alice.session.as_mut().unwrap();
    assert_eq!(session.encrypt(b"x", late, &mut alice.rng).unwrap_err(), EncryptError::Unanswered);
    let long = vec![0; MAX_PLAINTEXT_LEN + 1];
    assert_eq!(session.encrypt(&long, NOW, &mut alice.rng).unwrap_err(), EncryptError::TooLong);
    assert!(alice.snapshot() == before);
    // Answered, it goes on for ever.
    bob.receive(&address("alice"), &first).unwrap();
    let answer = bob.send(b"y");
    alice.receive(&address("bob"), &answer).unwrap();
    let session = alice.session.as_mut().unwrap();
    assert!(session.encrypt(b"x", late, &mut alice.rng).is_ok());
    session.archive();
    assert!(!session.has_current() && session.archived() == 1);
    assert_eq!(session.encrypt(b"x", NOW, &mut alice.rng).unwrap_err(), EncryptError::NoSession);
    // What arrives late in it brings it back.
    let late = bob.send(b"z");
    alice.receive(&address("bob"), &late).unwrap();
    assert!(alice.session().has_current());
}

#[test]
fn the_longest_message_fits_and_a_longer_one_is_not_looked_at() {
    let (mut alice, mut bob) = talking(13);
    let longest = alice.send(&vec![7; MAX_PLAINTEXT_LEN]);
    assert_eq!(bob.receive(&address("alice"), &longest).unwrap().len(), MAX_PLAINTEXT_LEN);
    let giant = vec![0x44; MAX_MESSAGE_LEN + 1];
    refused(&mut bob, &Ciphertext::Message(giant.clone()), Refusal::Wire(WireError::TooLong));
    refused(&mut bob, &Ciphertext::First(giant), Refusal::Wire(WireError::TooLong));
    // Also the first one, with everything around it.
    let (mut alice, mut bob, _) = first_contact(true);
    let longest = alice.send(&vec![7; MAX_PLAINTEXT_LEN]);
    assert!(bob.receive(&address("alice"), &longest).is_ok());
}

#[test]
fn truncated_messages() {
    let (mut alice, mut bob) = talking(14);
    let message = alice.send(b"whole").into_bytes();
    for cut in 0..message.len() {
        assert!(bob.receive(&address("alice"), &Ciphertext::Message(message[..cut].to_vec())).is_err());
    }
    let (_, mut bob, first) = first_contact(true);
    for cut in 0..first.bytes().len() {
        assert!(bob.receive(&address("alice"), &Ciphertext::First(first.bytes()[..cut].to_vec())).is_err());
    }
    assert!(bob.session.is_none());
}

/// What a message answers is a name of 32 bytes, once, before what it says.
#[test]
fn what_a_message_answers() {
    let view = [0x0a, 0x0c, 0x08, 0, 0x12, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut peer = view;
    peer[0] = 0x12;
    let with = |parts: &[&[u8]]| Payload::parse(&[&view[..], &peer, &parts.concat()].concat());
    let name = |len: u8| [&[0x4a, len][..], &vec![7; len.into()]].concat();
    let content = [0x82, 1, 1, 7];
    let payload = with(&[&name(32), &content]).unwrap();
    assert_eq!(payload.answers, Some(MessageName::new([7; 32])));
    assert_eq!(with(&[&content]).unwrap().answers, None);
    for (what, parts, expected) in [
        ("too short", [&name(31)[..], &content, &[]], WireError::Field),
        ("too long", [&name(33)[..], &content, &[]], WireError::Field),
        ("empty", [&name(0)[..], &content, &[]], WireError::Field),
        ("twice", [&name(32)[..], &name(32), &content], WireError::NotCanonical),
        ("behind the content", [&content[..], &name(32), &[]], WireError::NotCanonical),
        ("nothing that answers", [&name(32)[..], &[], &[]], WireError::Field),
    ] {
        assert_eq!(with(&parts), Err(expected), "{what}");
    }
}

#[test]
fn malformed_keys_have_names() {
    assert_eq!(PublicKey::parse(&[5; 32]), Err(PublicKeyError::Length));
    assert_eq!(SessionMessage::parse(&[0x44]).unwrap_err(), WireError::Truncated);
    // A ratchet key with a trailing byte: Signal's library ignores it, here there is one form.
    let message = [&[0x44, 0x0a, 34, 5][..], &[9; 33], &[0x10, 0, 0x22, 1, 0], &[0; 8]].concat();
    assert_eq!(SessionMessage::parse(&message).unwrap_err(), WireError::Key(PublicKeyError::Length));
}

#[test]
fn a_protobuf_that_claims_more_than_it_holds_allocates_nothing() {
    // A length of 2^63 in a message of 30 bytes.
    let message = [&[0x44, 0x22][..], &[0xff; 8], &[0x7f], &[0; 20]].concat();
    assert_eq!(SessionMessage::parse(&message).unwrap_err(), WireError::Protobuf);
    // Groups nested a thousand deep.
    let nested = [&[0x44][..], &[0x63; 1000], &[0; 8]].concat();
    assert_eq!(SessionMessage::parse(&nested).unwrap_err(), WireError::Protobuf);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut led = vec![0x44];
        led.extend(&bytes);
        for bytes in [&bytes, &led] {
            let _ = SessionMessage::parse(bytes);
            let _ = FirstMessage::parse(bytes);
            let _ = UnverifiedBundle::parse(bytes);
            let _ = Session::from_bytes(bytes);
        }
    }

    /// A damaged record is refused, or is another record that works as one: no panic, whatever is done with it.
    #[test]
    fn damaged_records_do_not_panic(at in any::<prop::sample::Index>(), with in any::<u8>(), seed in 0u64..8) {
        let (mut alice, mut bob) = talking(seed);
        let message = bob.send(b"x");
        let mut bytes = alice.session().to_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = with;
        if let Ok(mut session) = Session::from_bytes(&bytes) {
            let _ = session.decrypt(&SessionMessage::parse(message.bytes()).unwrap(), NOW, &mut alice.rng);
            let _ = session.encrypt(b"y", NOW, &mut alice.rng);
            prop_assert!(Session::from_bytes(&session.to_bytes()).is_ok());
        }
    }
}
