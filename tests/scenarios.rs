//! What happens between two people over weeks, one scenario each.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop where something is wrong")]

mod support;

use subrosa::session::{Ciphertext, MAX_ARCHIVED, Session};
use subrosa::suite::Suite;
use support::{Party, address, in_both_suites, round_trip, talking_in};

in_both_suites! {
    first_messages_repeat_until_the_answer_arrives,
    both_start_at_the_same_time_and_agree_on_one_session,
    a_late_message_brings_its_archived_session_back,
    the_archive_holds_forty_sessions,
    strict_turns_complete_post_quantum_epochs,
    lopsided_traffic_completes_epochs_too,
    a_third_of_the_messages_is_lost_and_epochs_complete,
    a_steady_session_has_a_small_record,
    the_same_randomness_gives_the_same_bytes,
    every_length_fits,
}

fn deliver(to: &mut Party, from: &str, message: &Ciphertext) -> Vec<u8> {
    to.receive(&address(from), message).unwrap()
}

fn first_messages_repeat_until_the_answer_arrives(suite: Suite) {
    let (mut alice, mut bob) = (Party::of_suite(suite, "alice", 1), Party::of_suite(suite, "bob", 2));
    alice.initiate(&bob.bundle(true));
    let firsts: Vec<_> = (0..5).map(|number| alice.send(format!("first {number}").as_bytes())).collect();
    assert!(firsts.iter().all(Ciphertext::is_first) && alice.session().is_unanswered());
    // Out of order: any of them makes the session.
    for at in [3, 0, 4, 1] {
        assert_eq!(deliver(&mut bob, "alice", &firsts[at]), format!("first {at}").as_bytes());
    }
    assert!(bob.one_time.is_empty() && bob.seen.len() == 1 && bob.session().archived() == 0);
    let answer = bob.send(b"answer");
    assert!(!answer.is_first());
    deliver(&mut alice, "bob", &answer);
    assert!(!alice.send(b"not first").is_first() && !alice.session().is_unanswered());
    assert_eq!(deliver(&mut bob, "alice", &firsts[2]), b"first 2");
}

fn both_start_at_the_same_time_and_agree_on_one_session(suite: Suite) {
    let (mut alice, mut bob) = (Party::of_suite(suite, "alice", 3), Party::of_suite(suite, "bob", 4));
    alice.initiate(&bob.bundle(true));
    bob.initiate(&alice.bundle(true));
    let (from_alice, from_bob) = (alice.send(b"from Alice"), bob.send(b"from Bob"));
    let (late_alice, late_bob) = (alice.send(b"late from Alice"), bob.send(b"late from Bob"));
    assert_eq!(deliver(&mut bob, "alice", &from_alice), b"from Alice");
    assert_eq!(deliver(&mut alice, "bob", &from_bob), b"from Bob");
    assert_eq!((alice.session().archived(), bob.session().archived()), (1, 1));
    // Each now sends in the session that the other started; the first answer settles it.
    for _ in 0..4 {
        round_trip(&mut alice, &mut bob);
    }
    let (from_alice, from_bob) = (alice.send(b"settled"), bob.send(b"settled"));
    assert_eq!(deliver(&mut bob, "alice", &from_alice), b"settled");
    assert_eq!(deliver(&mut alice, "bob", &from_bob), b"settled");
    assert_eq!((alice.session().archived(), bob.session().archived()), (1, 1), "no third session came of it");
    // What was under way in the other session is still read.
    assert_eq!(deliver(&mut bob, "alice", &late_alice), b"late from Alice");
    assert_eq!(deliver(&mut alice, "bob", &late_bob), b"late from Bob");
    round_trip(&mut alice, &mut bob);
}

fn a_late_message_brings_its_archived_session_back(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 5);
    let late = alice.send(b"late");
    alice.initiate(&bob.bundle(true));
    let first = alice.send(b"again");
    deliver(&mut bob, "alice", &first);
    assert_eq!(bob.session().archived(), 1);
    assert_eq!(deliver(&mut bob, "alice", &late), b"late");
    assert_eq!(bob.session().archived(), 1, "the two have changed places");
    // Bob now answers in the old session; Alice reads it there, and both go on.
    round_trip(&mut alice, &mut bob);
    round_trip(&mut bob, &mut alice);
}

fn the_archive_holds_forty_sessions(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 6);
    let mut firsts = Vec::new();
    for _ in 0..MAX_ARCHIVED + 5 {
        alice.initiate(&bob.bundle(true));
        let first = alice.send(b"again");
        deliver(&mut bob, "alice", &first);
        firsts.push(alice.send(b"late"));
    }
    assert_eq!(bob.session().archived(), MAX_ARCHIVED);
    bob.reload();
    // The oldest that is left is at the end of the archive.
    assert!(bob.receive(&address("alice"), &firsts[3]).is_err());
    assert_eq!(deliver(&mut bob, "alice", &firsts[4]), b"late");
    assert_eq!(deliver(&mut bob, "alice", firsts.last().unwrap()), b"late");
}

fn strict_turns_complete_post_quantum_epochs(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 7);
    for _ in 0..320 {
        round_trip(&mut alice, &mut bob);
    }
    // About eighty messages an epoch, as in Signal's library.
    assert!((7..=9).contains(&alice.session().pq_epochs()), "{}", alice.session().pq_epochs());
    assert!(alice.session().pq_epochs().abs_diff(bob.session().pq_epochs()) <= 1);
}

fn lopsided_traffic_completes_epochs_too(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 8);
    for _ in 0..60 {
        for _ in 0..40 {
            let message = alice.send(b"I talk");
            deliver(&mut bob, "alice", &message);
        }
        let answer = bob.send(b"I listen");
        deliver(&mut alice, "bob", &answer);
    }
    assert!(bob.session().pq_epochs() >= 1);
}

fn a_third_of_the_messages_is_lost_and_epochs_complete(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 9);
    for step in 0..900 {
        let (sender, receiver) = if step / 3 % 2 == 0 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
        let message = sender.send(b"perhaps");
        if step * 7 % 10 >= 3 {
            receiver.receive(&sender.device.address().clone(), &message).unwrap();
        }
    }
    assert!(alice.session().pq_epochs() >= 3, "{}", alice.session().pq_epochs());
    round_trip(&mut alice, &mut bob);
}

fn a_steady_session_has_a_small_record(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 10);
    let mut largest = 0;
    for _ in 0..200 {
        round_trip(&mut alice, &mut bob);
        largest = largest.max(alice.session().to_bytes().len()).max(bob.session().to_bytes().len());
    }
    // 4.5 KiB, most of it the ML-KEM key of the exchange under way.
    assert!(largest <= 4_608, "{largest} bytes");
}

fn the_same_randomness_gives_the_same_bytes(suite: Suite) {
    let run = || {
        let (mut alice, mut bob) = talking_in(suite, 11);
        (0..50).for_each(|_| round_trip(&mut alice, &mut bob));
        (alice.session().to_bytes(), bob.session().to_bytes())
    };
    assert!(run() == run());
}

#[test]
fn sessions_cross_threads() {
    fn assert_send_sync<T: Send + Sync + 'static>() {}
    assert_send_sync::<Session>();
    assert_send_sync::<subrosa::prekey::Device>();
    assert_send_sync::<subrosa::prekey::KemPrekey>();
    assert_send_sync::<subrosa::session::DecryptError>();
}

/// A plaintext of any length, the empty one included, in either kind of message.
fn every_length_fits(suite: Suite) {
    let (mut alice, mut bob) = (Party::of_suite(suite, "alice", 12), Party::of_suite(suite, "bob", 13));
    alice.initiate(&bob.bundle(false));
    for len in 0..70 {
        let first = alice.send(&vec![7; len]);
        assert_eq!(deliver(&mut bob, "alice", &first), vec![7; len]);
        let answer = bob.send(&vec![8; len]);
        if len == 69 {
            deliver(&mut alice, "bob", &answer);
        }
    }
}
