//! What a thief of keys can read: nothing old, and soon nothing new.

use std::vec::Vec;

use super::*;
use crate::ident::Address;
use crate::ratchet::TripleRatchet;
use crate::suite::Suite;
use crate::support::{NOW, Party, Refusal, address, in_both_suites, round_trip, talking_in};

in_both_suites! {
    a_session_prints_no_secret,
    delivered_messages_leave_no_keys_behind,
    live_state_does_not_open_an_old_message,
    a_stolen_state_is_worthless_after_one_round_trip,
    with_every_classical_key_given_away_an_epoch_heals,
}

fn ratchet(party: &Party) -> &TripleRatchet {
    &party.session().current.as_ref().unwrap().ratchet
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Everything both sides still hold after a message was read: neither its keys, nor anything they came from.
fn delivered_messages_leave_no_keys_behind(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 1);
    let mut old = Vec::new();
    for round in 0..120 {
        // What the next message will be sealed with, and the state that it is derived from.
        let mut copy = ratchet(&alice).clone();
        old.extend(copy.secrets());
        let outgoing = copy.send(&mut alice.rng.clone()).unwrap();
        old.push(outgoing.secret.seed.clone());
        old.push(outgoing.secret.pq.clone());
        let message = alice.send(b"read and forgotten");
        bob.receive(&address("alice"), &message).unwrap();

        let (at_alice, at_bob) = (alice.session().to_bytes(), bob.session().to_bytes());
        for secret in [&outgoing.secret.seed, &outgoing.secret.pq] {
            assert!(!contains(&at_alice, secret.expose()) && !contains(&at_bob, secret.expose()), "round {round}");
        }
        assert!(matches!(bob.receive(&address("alice"), &message), Err(Refusal::Decrypt(DecryptError::Duplicate))));
        if round % 3 == 0 {
            let answer = bob.send(b"answer");
            alice.receive(&address("bob"), &answer).unwrap();
        }
    }
    // Many turns and an epoch later, no chain, root or message key of the first hundred rounds is left anywhere.
    for _ in 0..100 {
        round_trip(&mut alice, &mut bob);
    }
    assert!(alice.session().pq_epochs() >= 3);
    let (at_alice, at_bob) = (alice.session().to_bytes(), bob.session().to_bytes());
    assert!(old.len() > 500);
    for secret in &old {
        assert!(!contains(&at_alice, secret.expose()) && !contains(&at_bob, secret.expose()));
    }
}

/// The state as it is after a message was read does not open it, even for one who ignores what was marked as read.
fn live_state_does_not_open_an_old_message(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 2);
    let messages: Vec<_> = (0..5).map(|_| alice.send(b"old")).collect();
    for message in &messages {
        bob.receive(&address("alice"), message).unwrap();
    }
    round_trip(&mut alice, &mut bob);
    for thief in [&alice, &bob] {
        let mut thief = thief.clone();
        for message in &messages {
            assert!(thief.receive(&address("alice"), message).is_err());
            assert!(thief.receive(&address("bob"), message).is_err());
        }
    }
}

/// A full copy of one side's state reads what is under way, and nothing that follows one round trip.
fn a_stolen_state_is_worthless_after_one_round_trip(suite: Suite) {
    for (victim_is_alice, seed) in [(true, 3), (false, 4)] {
        let (mut alice, mut bob) = talking_in(suite, seed);
        round_trip(&mut alice, &mut bob);
        let (victim, peer) = if victim_is_alice { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
        let (victim_address, peer_address) = (victim.device.address().clone(), peer.device.address().clone());
        let mut thief = victim.clone();
        // The thief has the state, not the victim's future randomness.
        thief.rng = crate::support::rng(999);

        // One round trip: what comes back was encrypted to a key that is in the stolen state.
        let message = victim.send(b"under a stolen key");
        peer.receive(&victim_address, &message).unwrap();
        let answer = peer.send(b"read by the thief too");
        victim.receive(&peer_address, &answer).unwrap();
        assert!(thief.receive(&peer_address, &answer).is_ok(), "a control: the copy was good");
        // What follows: the victim has drawn a key that the thief has not.
        let message = victim.send(b"the ratchet has turned");
        peer.receive(&victim_address, &message).unwrap();
        for _ in 0..3 {
            let message = peer.send(b"healed");
            assert_eq!(victim.receive(&peer_address, &message).unwrap(), b"healed");
            assert!(thief.receive(&peer_address, &message).is_err(), "the thief reads on");
        }
    }
}

/// One who is given every classical key of a party, for ever, but no post-quantum secret after the theft.
struct ClassicalThief {
    stolen: Party,
}

impl ClassicalThief {
    /// Follows the party: its Double Ratchet as it is, its post-quantum ratchet as far as the stolen copy can follow.
    fn reads(&mut self, victim: &Party, from: &Address, message: &Ciphertext) -> bool {
        self.stolen.session.as_mut().unwrap().current.as_mut().unwrap().ratchet.give_classical_keys(ratchet(victim));
        self.stolen.receive_at(from, message, NOW).is_ok()
    }
}

fn with_every_classical_key_given_away_an_epoch_heals(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 5);
    for _ in 0..30 {
        round_trip(&mut alice, &mut bob);
    }
    let mut thief = ClassicalThief { stolen: bob.clone() };
    thief.stolen.rng = crate::support::rng(998);
    let epoch_at_theft = bob.session().pq_epochs();
    let (mut read, mut unread, mut last_read_epoch) = (0, 0, 0);
    for _ in 0..200 {
        let message = alice.send(b"secret");
        if thief.reads(&bob, &address("alice"), &message) {
            read += 1;
            last_read_epoch = bob.session().pq_epochs();
        } else {
            unread += 1;
        }
        bob.receive(&address("alice"), &message).unwrap();
        let answer = bob.send(b"secret too");
        alice.receive(&address("bob"), &answer).unwrap();
    }
    assert!(read > 0, "a control: classical keys and the old post-quantum state do read on for a while");
    assert!(unread > 100, "and then no more: {read} read, {unread} not");
    // The exchange under way at the theft was seen whole or in part; the one begun after it was not.
    assert!(last_read_epoch <= epoch_at_theft + 2, "read until epoch {last_read_epoch}, theft at {epoch_at_theft}");
}

/// No secret of the ratchets shows in what a session prints of itself.
fn a_session_prints_no_secret(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 6);
    for _ in 0..50 {
        round_trip(&mut alice, &mut bob);
        let printed = std::format!("{0:?} {0:#?}", alice.session()).to_lowercase();
        let secrets = ratchet(&alice).secrets();
        assert!(secrets.len() > 5);
        for secret in secrets {
            let bytes = secret.expose();
            let decimal = std::format!("{}, {}, {}", bytes[0], bytes[1], bytes[2]);
            assert!(!printed.contains(&hex::encode(&bytes[..4])) && !printed.contains(&decimal));
        }
    }
}
