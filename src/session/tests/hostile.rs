//! A peer that holds valid keys of a session and lies: typed errors, bounded work and memory, nothing changed.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::crypto::{KeyPair, PublicKey, Secret, count};
use crate::ident::Address;
use crate::ratchet::{MAX_JUMP, MAX_SKIPPED, Outgoing};
use crate::suite::Suite;
use crate::suite::signal::{self, Identities};
use crate::support::{NOW, Party, Refusal, address, in_both_suites, rng, round_trip, talking, talking_in};
use crate::wire::{Chunk, SignalMessageHeader, SpqrMessage, SpqrPayload};

in_both_suites! {
    counters_near_the_end_are_refused_before_any_work,
    an_exhausted_chain_refuses_to_send_and_changes_nothing,
    skipping_again_and_again_keeps_memory_bounded,
    keys_of_low_order_are_refused,
    a_base_key_with_a_small_order_part_is_refused,
    post_quantum_messages_from_the_future_are_refused,
    forged_chunks_stop_the_exchange_and_nothing_else,
}

const UNDECRYPTABLE: Refusal = Refusal::Decrypt(DecryptError::Undecryptable);

/// A genuine message of `liar`, altered before it is sealed, so that its MAC is right.
fn forge(liar: &mut Party, alter: impl FnOnce(&mut Outgoing)) -> Ciphertext {
    let session = liar.session.as_mut().unwrap();
    let state = session.current.as_mut().unwrap();
    let mut outgoing = state.ratchet.send(&mut liar.rng).unwrap();
    alter(&mut outgoing);
    // As a plain message, also where the liar has not been answered yet.
    let mut state = state.clone();
    state.pending = None;
    state.forge(&session.ends, outgoing, b"a lie", &mut liar.rng)
}

/// The same in suite Signal, with any bytes for the post-quantum part.
fn seal_with(session: &Session, outgoing: Outgoing, pq_ratchet: Vec<u8>) -> Ciphertext {
    let header = SignalMessageHeader {
        ratchet_key: outgoing.ratchet,
        counter: outgoing.counter,
        previous_counter: outgoing.previous_counter,
        pq_ratchet,
        addresses: None,
    };
    let identities = Identities { sender: &session.ends.local_identity, receiver: &session.ends.remote_identity };
    let mut out = Vec::new();
    signal::seal(&outgoing.secret, identities, header, b"a lie", &mut out);
    Ciphertext::Message(out)
}

#[track_caller]
fn refused(party: &mut Party, from: &Address, ciphertext: &Ciphertext, expected: Refusal) {
    let before = party.snapshot();
    assert_eq!(party.receive(from, ciphertext), Err(expected));
    assert!(party.snapshot() == before, "a refused message left a trace");
}

fn counters_near_the_end_are_refused_before_any_work(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 1);
    for counter in [MAX_JUMP + 10, 1 << 31, u32::MAX - 1, u32::MAX] {
        let message = forge(&mut alice, |outgoing| outgoing.counter = counter);
        refused(&mut bob, &address("alice"), &message, Refusal::Decrypt(DecryptError::TooFarAhead));
        // The same under a new ratchet key: not even an agreement is computed.
        let message = forge(&mut alice, |outgoing| {
            outgoing.counter = counter;
            outgoing.ratchet = *KeyPair::generate(&mut rng(u64::from(counter))).public();
        });
        let agreements = count::agreements();
        refused(&mut bob, &address("alice"), &message, Refusal::Decrypt(DecryptError::TooFarAhead));
        assert_eq!(count::agreements(), agreements);
    }
    for index in [MAX_JUMP + 10, u32::MAX] {
        let message = forge(&mut alice, |outgoing| outgoing.pq.index = index);
        refused(&mut bob, &address("alice"), &message, Refusal::Decrypt(DecryptError::TooFarAhead));
    }
}

fn an_exhausted_chain_refuses_to_send_and_changes_nothing(suite: Suite) {
    let (mut alice, _) = talking_in(suite, 2);
    let session = alice.session.as_mut().unwrap();
    session.current.as_mut().unwrap().ratchet.exhaust();
    let before = session.to_bytes();
    assert_eq!(session.encrypt(b"x", NOW, &mut alice.rng).unwrap_err(), EncryptError::Exhausted);
    assert_eq!(*session.to_bytes(), *before);
}

fn skipping_again_and_again_keeps_memory_bounded(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 3);
    let mut largest = 0;
    for _ in 0..12 {
        // As far as allowed, again and again, and every fourth time under a new ratchet key.
        for _ in 0..3 {
            let mut last = alice.send(b"");
            for _ in 0..2_500 {
                last = alice.send(b"");
            }
            bob.receive(&address("alice"), &last).unwrap();
            let (seeds, pq_keys, chains) = bob.session().current.as_ref().unwrap().ratchet.sizes();
            let max = usize::try_from(MAX_SKIPPED).unwrap();
            assert!(seeds <= 5 * max && pq_keys <= 3 * max && chains <= 5, "{seeds} {pq_keys} {chains}");
            largest = largest.max(bob.session().to_bytes().len());
        }
        let answer = bob.send(b"");
        alice.receive(&address("bob"), &answer).unwrap();
    }
    // Five chains of 2,000 seeds and three epochs of 2,000 keys, 36 bytes each, and the rest.
    assert!(largest <= 36 * 8 * 2_000 + 10_000, "{largest} bytes");
    assert!(largest > 36 * 5 * 2_000, "the bound was tried: {largest} bytes");
}

#[test]
fn ten_thousand_ratchet_keys_leave_nothing_behind() {
    let (mut alice, mut bob) = talking(4);
    let genuine = alice.send(b"genuine");
    let before = bob.snapshot();
    let agreements = count::agreements();
    let mut keys = rng(5);
    for _ in 0..10_000 {
        let mut u = [0; 32];
        rand_core::Rng::fill_bytes(&mut keys, &mut u);
        u[31] &= 0x3f;
        // Always the same message of hers, under another key.
        let message = forge(&mut alice.clone(), |outgoing| {
            (outgoing.ratchet, outgoing.counter) = (PublicKey::from_coordinate(u).unwrap(), 0);
        });
        assert_eq!(bob.receive(&address("alice"), &message), Err(UNDECRYPTABLE));
    }
    assert!(bob.snapshot() == before);
    assert_eq!(count::agreements() - agreements, 10_000, "one agreement for each, with one session");
    assert_eq!(bob.receive(&address("alice"), &genuine).unwrap(), b"genuine");
}

#[test]
fn a_forged_message_costs_one_agreement_for_each_session_and_none_if_its_key_is_known() {
    let (mut alice, mut bob) = talking(6);
    let mut late = Vec::new();
    for _ in 0..45 {
        late.push(alice.send(b"late"));
        alice.initiate(&bob.bundle(true));
        let first = alice.send(b"again");
        bob.receive(&address("alice"), &first).unwrap();
    }
    assert_eq!(bob.session().archived(), MAX_ARCHIVED);
    let message = forge(&mut alice, |outgoing| outgoing.ratchet = *KeyPair::generate(&mut rng(1)).public());
    let agreements = count::agreements();
    refused(&mut bob, &address("alice"), &message, UNDECRYPTABLE);
    assert_eq!(count::agreements() - agreements, 41);

    // A late message of an archived session is found by its ratchet key: no agreement, no trial.
    let agreements = count::agreements();
    let newest = late.last().unwrap();
    let mut flipped = newest.bytes().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let flipped = if newest.is_first() { Ciphertext::First(flipped) } else { Ciphertext::Message(flipped) };
    assert!(bob.receive(&address("alice"), &flipped).is_err());
    assert_eq!(bob.receive(&address("alice"), newest).unwrap(), b"late");
    assert_eq!(count::agreements(), agreements);
    // The oldest sessions have left the archive: their first messages are replays now.
    assert!(bob.receive(&address("alice"), &late[0]).is_err());
}

fn keys_of_low_order_are_refused(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 7);
    let mut low_order = vec![[0u8; 32], [0u8; 32], [0xff; 32]];
    low_order[1][0] = 1;
    (low_order[2][0], low_order[2][31]) = (0xec, 0x7f);
    for u in low_order {
        let key = PublicKey::from_coordinate(u).unwrap();
        let message = forge(&mut alice, |outgoing| outgoing.ratchet = key);
        refused(&mut bob, &address("alice"), &message, UNDECRYPTABLE);
        // As a signed or one-time prekey in a bundle that its owner signed.
        let mut bundle = bob.bundle(true).parts().clone();
        bundle.one_time_prekey = Some((crate::ident::PrekeyId::new(1), key));
        let error = Session::initiate(&alice.device, &bundle.verify().unwrap(), NOW, &mut alice.rng).unwrap_err();
        assert_eq!(error, InitiateError::BadKey);
        // As a base key: it would make every first agreement known to everyone.
        let (mut alice, mut bob) = (Party::of_suite(suite, "alice", 8), Party::of_suite(suite, "bob", 9));
        alice.initiate(&bob.bundle(false));
        alice.session.as_mut().unwrap().current.as_mut().unwrap().base_key = key;
        let first = alice.send(b"x");
        refused(&mut bob, &address("alice"), &first, Refusal::Accept(AcceptError::BadKey));
    }
}

fn a_base_key_with_a_small_order_part_is_refused(suite: Suite) {
    use curve25519_dalek::{constants::EIGHT_TORSION, montgomery::MontgomeryPoint};
    let (mut alice, mut bob) = (Party::of_suite(suite, "alice", 8), Party::of_suite(suite, "bob", 9));
    alice.initiate(&bob.bundle(false));
    let state = alice.session.as_mut().unwrap().current.as_mut().unwrap();
    let honest = state.base_key;
    let point = MontgomeryPoint(*honest.coordinate()).to_edwards(0).unwrap();
    // It agrees like the honest key, and would name a second session with the same keys.
    let twin = PublicKey::from_coordinate((point + EIGHT_TORSION[1]).to_montgomery().0).unwrap();
    let pair = KeyPair::new(Secret::new([9; 32]));
    assert!(twin != honest && pair.agree(&twin).unwrap() == pair.agree(&honest).unwrap());
    state.base_key = twin;
    let first = alice.send(b"x");
    refused(&mut bob, &address("alice"), &first, Refusal::Accept(AcceptError::BadKey));
}

fn post_quantum_messages_from_the_future_are_refused(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 10);
    for epoch in [2, 3, 1 << 40, u64::MAX] {
        let message = forge(&mut alice, |outgoing| outgoing.pq.epoch = epoch);
        refused(&mut bob, &address("alice"), &message, UNDECRYPTABLE);
    }
    round_trip(&mut alice, &mut bob);
}

#[test]
fn messages_without_a_post_quantum_part_are_refused() {
    let (mut alice, mut bob) = talking(11);
    for pq in [vec![], vec![0], vec![2, 1, 1, 0], vec![1, 1, 0, 0], vec![1, 0, 1, 0]] {
        let session = alice.session.as_mut().unwrap();
        let mut outgoing = session.current.as_mut().unwrap().ratchet.send(&mut alice.rng).unwrap();
        // Without a salt, as older clients sent before the post-quantum ratchet was up: it must not open.
        outgoing.secret.pq = Secret::new([0; 32]);
        let message = seal_with(session, outgoing, pq);
        refused(&mut bob, &address("alice"), &message, UNDECRYPTABLE);
    }
}

/// Chunks of a peer that holds valid keys are authentic, and may still be lies: the exchange gets stuck, and nothing
/// worse.
fn forged_chunks_stop_the_exchange_and_nothing_else(suite: Suite) {
    type Forgery = fn(&mut SpqrMessage);
    let forgeries: [(&str, Forgery); 4] = [
        ("wrong data", |message| {
            if let SpqrPayload::Hdr(chunk) | SpqrPayload::Ek(chunk) | SpqrPayload::EkCt1Ack(chunk) =
                &mut message.payload
            {
                chunk.data[5] ^= 0x10;
            }
        }),
        ("wrong index", |message| {
            if let SpqrPayload::Hdr(chunk) | SpqrPayload::Ek(chunk) = &mut message.payload {
                chunk.index = chunk.index.wrapping_add(1);
            }
        }),
        ("another kind", |message| {
            if let SpqrPayload::Ek(chunk) = message.payload {
                message.payload = SpqrPayload::EkCt1Ack(chunk);
            }
        }),
        ("out of nowhere", |message| {
            message.payload = SpqrPayload::Ct2(Chunk { index: 0, data: [7; 32] });
        }),
    ];
    for (name, forgery) in forgeries {
        let (mut alice, mut bob) = talking_in(suite, 12);
        let mut lost = 0;
        for _ in 0..200 {
            let message = forge(&mut alice, |outgoing| forgery(&mut outgoing.pq));
            let before = bob.snapshot();
            match bob.receive(&address("alice"), &message) {
                Ok(_) => {}
                Err(refusal) => {
                    assert_eq!(refusal, UNDECRYPTABLE, "{name}");
                    assert!(bob.snapshot() == before, "{name}");
                    lost += 1;
                }
            }
            let answer = bob.send(b"still here");
            assert_eq!(alice.receive(&address("bob"), &answer).unwrap(), b"still here", "{name}");
        }
        assert!(
            bob.session().to_bytes().len() < 25_000,
            "{name}: {} bytes, {lost} refused",
            bob.session().to_bytes().len()
        );
        // No epoch is completed on a forged exchange.
        assert!(bob.session().pq_epochs() <= 1, "{name}");
    }
}

#[test]
fn addresses_of_somebody_else_are_refused() {
    let names = ["9d0652a3-dcc3-4d11-975f-74d61598733f", "796abedb-ca4e-4f18-8803-1fde5b921f9f"];
    let (mut alice, mut bob) = (Party::new(names[0], 13), Party::new(names[1], 14));
    alice.initiate(&bob.bundle(false));
    let first = alice.send(b"for Bob's first device");
    // The same message, handed over as if another user had sent it.
    let other = address("e3a7c1f0-4a8e-4a43-9f0a-6a1f4f0c8f11");
    refused(&mut bob, &other, &first, Refusal::Accept(AcceptError::Message(DecryptError::Undecryptable)));
    // Names that are no service ids cannot be compared, so the field has no business there.
    let expected = Refusal::Accept(AcceptError::Message(DecryptError::Undecryptable));
    refused(&mut bob, &address("alice"), &first, expected);
    let sender = alice.device.address().clone();
    assert_eq!(bob.receive(&sender, &first).unwrap(), b"for Bob's first device");
}

#[test]
fn devices_of_one_user_may_jump_further() {
    let mut first = Party::new("alice", 15);
    let mut second = Party::new("alice", 16);
    // One identity key, two devices.
    let stored = first.device.to_bytes();
    let identity = crate::prekey::Device::from_bytes(&stored).unwrap().identity().clone();
    let elsewhere = Address::new(first.device.address().user().clone(), crate::ident::DeviceId::new(2));
    second.device = crate::prekey::Device::new(elsewhere, identity, second.device.registration_id())
        .with_suites(crate::suite::Suites::SIGNAL);
    let device = second.device.clone();
    second.signed =
        crate::prekey::SignedPrekey::generate(&device, Suite::Signal, second.signed.id(), NOW, &mut second.rng);
    second.kem = crate::prekey::KemPrekey::last_resort(&device, Suite::Signal, second.kem.id(), NOW, &mut second.rng);
    first.initiate(&second.bundle(false));
    let mut last = first.send(b"note");
    for _ in 0..40_000 {
        last = first.send(b"note");
    }
    assert_eq!(second.receive(first.device.address(), &last).unwrap(), b"note");
    // Still bounded.
    let far = forge(&mut first, |outgoing| outgoing.counter += 1 << 21);
    refused(&mut second, &first.device.address().clone(), &far, Refusal::Decrypt(DecryptError::TooFarAhead));
}
