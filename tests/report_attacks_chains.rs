//! The attacks on chains, stamps and encodings, each under its number: docs/reports.md lists them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

#[path = "support/framing.rs"]
mod framing;

use std::collections::BTreeSet;

use framing::{Device, KID, Post, account, blaming, deliver, group, members, pair};
use subrosa::ident::Timestamp;
use subrosa::platform::{Finding, RejectReason, Verdict};
use subrosa::report::{ChainState, ChainStatus, ChainTag, Destination, FrameError, FramingPolicy};

fn has(verdict: &Verdict, is: impl Fn(&Finding) -> bool) -> bool {
    verdict.findings.iter().any(is)
}

/// Forty chains at once: every head is named sooner or later, and none twice.
#[test]
fn t13_flood_of_heads() {
    let (mut platform, mut devices) = members(&["alice", "bob"], 113);
    let (mut bob, mut alice) = (devices.remove(1), devices.remove(0));
    let mut heads = BTreeSet::new();
    for device in 0..40 {
        let mut other = Device::new("flood", device, Destination::Group(group()), u64::from(device));
        let post = other.send(&mut platform, "flood");
        deliver(&platform, &mut bob, &post);
        heads.insert(ChainTag::of(&other.account(), other.state.chain()));
    }
    let from_alice = alice.send(&mut platform, "not to be crowded out");
    deliver(&platform, &mut bob, &from_alice);
    heads.insert(ChainTag::of(&alice.account(), alice.state.chain()));
    let mut named = Vec::new();
    for expected in [16, 16, 9, 0] {
        bob.send(&mut platform, "answer");
        let seen = bob.log.last().unwrap().0.header().seen();
        assert_eq!(seen.len(), expected);
        assert!(seen.is_sorted_by(|a, b| a.chain < b.chain));
        named.extend(seen.iter().map(|seen| seen.chain));
    }
    assert_eq!(named.len(), heads.len());
    assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), heads);
}

/// Chains that go on while they wait do not keep others waiting for ever.
#[test]
fn t13_busy_chains_do_not_starve_others() {
    let (mut platform, mut devices) = members(&["alice", "bob"], 114);
    let mut bob = devices.remove(1);
    let mut others: Vec<_> = (0..40)
        .map(|device| Device::new("busy", device, Destination::Group(group()), 500 + u64::from(device)))
        .collect();
    let mut named = BTreeSet::new();
    for _ in 0..3 {
        for other in &mut others {
            let post = other.send(&mut platform, "again");
            deliver(&platform, &mut bob, &post);
        }
        bob.send(&mut platform, "answer");
        named.extend(bob.log.last().unwrap().0.header().seen().iter().map(|seen| seen.chain));
    }
    assert_eq!(named.len(), 40);
}

#[test]
fn t17_platform_equivocation() {
    let (mut platform, mut alice, mut bob) = pair(118);
    let post = alice.send(&mut platform, "hello");
    // The stamp says something else than the message: refused, and the chain is as it was.
    for (sender, dest) in [
        (account("carol"), Destination::Direct(bob.account())),
        (alice.account(), Destination::Direct(account("carol"))),
        (alice.account(), Destination::Group(group())),
    ] {
        let stamp = platform.stamp(sender, dest, &post.commitment);
        let refused = bob.receive(&Post { stamp, ..post.clone() }, platform.now);
        assert_eq!(refused.unwrap_err(), FrameError::StampContext);
    }
    deliver(&platform, &mut bob, &post);
    // Its clock goes backwards: against the message before, and against one that was seen.
    platform.now -= 600_000;
    let earlier = alice.send(&mut platform, "stamped before the first");
    assert_eq!(
        deliver(&platform, &mut bob, &earlier).stamped_before,
        [ChainTag::of(&alice.account(), alice.state.chain())]
    );
    platform.now += 1_200_000;
    let from_bob = bob.send(&mut platform, "seen by Alice");
    deliver(&platform, &mut alice, &from_bob);
    platform.now -= 900_000;
    let answer = alice.send(&mut platform, "stamped before what it answers");
    assert!(
        deliver(&platform, &mut bob, &answer).stamped_before.contains(&ChainTag::of(&bob.account(), bob.state.chain()))
    );
}

#[test]
fn t20_destroyed_key() {
    let (mut platform, mut alice, mut bob) = pair(121);
    let post = alice.send(&mut platform, "hello");
    deliver(&platform, &mut bob, &post);
    assert!(platform.keys.destroy(KID));
    assert_eq!(platform.refusal(bob.account(), &bob.report_all()), RejectReason::UnknownStampKey);
    // A new key of the same number is another key.
    platform.keys.generate(KID, &mut platform.rng).unwrap();
    assert_eq!(platform.refusal(bob.account(), &bob.report_all()), RejectReason::BadStamp);
}

/// A device that lies in `seen` convicts nobody. Its own state is made to believe the lie.
#[test]
fn t23_false_seen_entries() {
    let (mut platform, mut alice, mut bob) = pair(124);
    let honest = bob.send(&mut platform, "hello");
    deliver(&platform, &mut alice, &honest);
    // Of a chain that never existed, and of one of Bob's own that he never sent: the liar forges both on its own side.
    let mut liar = Device::new("alice", 9, Destination::Direct(bob.account()), 9);
    let mut ghost = Device::new("bob", 3, Destination::Direct(alice.account()), 3);
    let never_sent = ghost.send(&mut platform, "never sent");
    deliver(&platform, &mut liar, &never_sent);
    let post = liar.send(&mut platform, "names a ghost");
    assert_eq!(deliver(&platform, &mut bob, &post).status, ChainStatus::Next);
    let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    assert!(has(&verdict, |f| matches!(f, Finding::Undisclosed { claimed_by, .. } if *claimed_by == alice.account())));
    assert_eq!(blaming(&verdict), []);
    // About the receiver's own chain: refused outright.
    let mut twin =
        Device { state: bob.state.clone(), ..Device::new("bob", 1, Destination::Direct(alice.account()), 4) };
    let forged = twin.send(&mut platform, "Bob's next number, with garbage");
    let mut liar = Device::new("alice", 8, Destination::Direct(bob.account()), 8);
    deliver(&platform, &mut liar, &forged);
    let post = liar.send(&mut platform, "names what Bob never sent");
    assert_eq!(bob.receive(&post, platform.now).unwrap_err(), FrameError::FalseSeen);
    // Bob sends something else at that number; the garbage about it is refused, too.
    bob.send(&mut platform, "something else");
    assert_eq!(bob.receive(&post, platform.now).unwrap_err(), FrameError::FalseSeen);
    // In the hands of an accomplice, the claim still blames nobody.
    let mut accomplice = Device::new("bob", 2, Destination::Direct(alice.account()), 5);
    deliver(&platform, &mut accomplice, &post);
    accomplice.log.extend(bob.log.iter().cloned());
    let verdict = platform.verify(bob.account(), &accomplice.report_all()).unwrap();
    assert!(has(&verdict, |f| matches!(f, Finding::SeenMismatch { .. })));
    assert_eq!(blaming(&verdict), []);
}

/// The abuser's ciphertext, submitted first from an accomplice's account, does not keep the genuine copy out.
#[test]
fn t24_accomplice_uploads_first() {
    let (mut platform, mut alice, mut bob) = pair(125);
    let genuine = alice.send(&mut platform, "abuse");
    let stamp = platform.stamp(account("accomplice"), Destination::Direct(bob.account()), &genuine.commitment);
    for _ in 0..3 {
        let copy = Post { stamp: stamp.clone(), ..genuine.clone() };
        assert_eq!(bob.receive(&copy, platform.now).unwrap_err(), FrameError::StampContext);
    }
    assert_eq!(bob.receive(&genuine, platform.now).unwrap().status, ChainStatus::Next);
    let next = alice.send(&mut platform, "more");
    assert_eq!(deliver(&platform, &mut bob, &next).status, ChainStatus::Next);
    let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    assert_eq!((verdict.messages.len(), blaming(&verdict)), (2, vec![]));
}

/// Late, repaired and uploaded again: told, and nobody's fault.
#[test]
fn t25_honest_late_messages() {
    let (mut platform, mut alice, mut bob) = pair(126);
    platform.conv_seq = 1;
    let posts: Vec<_> = (0..4).map(|number| alice.send(&mut platform, &format!("alice {number}"))).collect();
    for at in [0, 3, 1] {
        deliver(&platform, &mut bob, &posts[at]);
    }
    let answer = bob.send(&mut platform, "answer");
    deliver(&platform, &mut alice, &answer);
    // The answer to the upload of "alice 2" was lost, and its repair comes two hours later with a new stamp.
    platform.now += 7_200_000;
    let stamp = platform.stamp(alice.account(), *alice.state.dest(), &posts[2].commitment);
    let repaired = Post { stamp, ..posts[2].clone() };
    let accepted = deliver(&platform, &mut bob, &repaired);
    assert_eq!((accepted.status, accepted.evidence.commitment()), (ChainStatus::Late, &posts[2].commitment));
    assert_eq!(bob.receive(&posts[2], platform.now).unwrap().status, ChainStatus::Duplicate);
    let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    assert!(has(&verdict, |f| matches!(f, Finding::OrderViolation { .. })));
    assert!(has(&verdict, |f| matches!(f, Finding::TimeAnomaly { .. })));
    assert_eq!(blaming(&verdict), []);
    // What Alice had seen is stamped again, late.
    platform.now += 7_200_000;
    let seen = bob.send(&mut platform, "seen at once");
    deliver(&platform, &mut alice, &seen);
    let after = alice.send(&mut platform, "after it");
    deliver(&platform, &mut bob, &after);
    platform.now += 7_200_000;
    let late = platform.stamp(bob.account(), *bob.state.dest(), &seen.commitment);
    let at = bob.log.iter().position(|(evidence, _)| *evidence.commitment() == seen.commitment).unwrap();
    let record = evidence_with_stamp(&bob, at, &late);
    bob.log[at].0 = record;
    let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    assert!(has(&verdict, |f| matches!(f, Finding::LateStamp { message, .. } if *message == seen.commitment)));
    assert_eq!(blaming(&verdict), []);
}

/// The same message's evidence with another stamp: as if that one had come first.
fn evidence_with_stamp(device: &Device, at: usize, stamp: &[u8]) -> subrosa::report::Evidence {
    let old = device.log[at].0.stamp().unwrap().to_bytes();
    let fields = |stamp: &[u8]| [&stamp[1..5], &stamp[71..]].concat();
    let (record, old, new) = (device.log[at].0.to_bytes(), fields(&old), fields(stamp));
    let place = record.windows(old.len()).position(|window| window == old).unwrap();
    let mut record = record.to_vec();
    record[place..place + new.len()].copy_from_slice(&new);
    subrosa::report::Evidence::from_bytes(&record).unwrap()
}

/// A member takes another's chain id: it is a chain of its own, to everyone.
#[test]
fn t26_chain_id_of_another_member() {
    let (mut platform, mut devices) = members(&["alice", "bob"], 127);
    let (mut bob, mut alice) = (devices.remove(1), devices.remove(0));
    let first = alice.send(&mut platform, "one");
    deliver(&platform, &mut bob, &first);
    // The same generator draws the same chain id for another account.
    let mut mallory = Device::new("mallory", 1, Destination::Group(group()), 127 * 100);
    assert_eq!(mallory.state.chain(), alice.state.chain());
    for text in ["hijack", "more"] {
        let post = mallory.send(&mut platform, text);
        assert_eq!(deliver(&platform, &mut bob, &post).status, ChainStatus::Next);
    }
    let second = alice.send(&mut platform, "two");
    assert_eq!(deliver(&platform, &mut bob, &second).status, ChainStatus::Next);
    let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    assert_eq!((verdict.messages.len(), blaming(&verdict)), (4, vec![]));
    assert!(!has(&verdict, |f| matches!(f, Finding::Gap { .. })));
}

/// The fifth chain that a device starts within a day proves no order any more; the next day's does.
#[test]
fn many_new_chains_prove_no_order() {
    let (mut platform, mut alice, mut bob) = pair(128);
    for number in 0..6 {
        let post = alice.send(&mut platform, "on a new chain");
        assert_eq!(deliver(&platform, &mut bob, &post).order_verifiable, number < 4);
        let post = alice.send(&mut platform, "on the same");
        assert_eq!(deliver(&platform, &mut bob, &post).order_verifiable, number < 4);
        alice.state.renew(&mut platform.rng);
    }
    platform.now += 86_400_000;
    let post = alice.send(&mut platform, "a day later");
    assert!(deliver(&platform, &mut bob, &post).order_verifiable);
}

/// Forks, late messages and what is too old, at the receiver.
#[test]
fn places_in_a_chain() {
    let (mut platform, mut alice, mut bob) = pair(129);
    let posts: Vec<_> = (0..3_000).map(|number: u32| alice.send(&mut platform, &number.to_string())).collect();
    assert_eq!(deliver(&platform, &mut bob, &posts[0]).status, ChainStatus::Next);
    assert_eq!(deliver(&platform, &mut bob, &posts[2_500]).status, ChainStatus::Gap { missing: 2_499 });
    assert_eq!(bob.receive(&posts[499], platform.now).unwrap_err(), FrameError::TooOld);
    for late in [500, 2_499, 1_000, 999] {
        assert_eq!(deliver(&platform, &mut bob, &posts[late]).status, ChainStatus::Late);
        assert_eq!(deliver(&platform, &mut bob, &posts[late]).status, ChainStatus::Duplicate);
    }
    for next in &posts[2_501..2_900] {
        assert_eq!(deliver(&platform, &mut bob, next).status, ChainStatus::Next);
    }
    // Accepted long ago, and forgotten: no accusation.
    assert_eq!(bob.receive(&posts[0], platform.now).unwrap_err(), FrameError::TooOld);
    // Another history of the same chain.
    let mut other = Device::new("alice", 1, Destination::Direct(bob.account()), 129 * 2);
    let others: Vec<_> = (0..2_901).map(|number: u32| other.send(&mut platform, &format!("other {number}"))).collect();
    assert_eq!(alice.state.chain(), other.state.chain());
    for at in [2_899, 2_900] {
        assert!(matches!(bob.receive(&others[at], platform.now).unwrap_err(), FrameError::Fork(_)), "{at}");
    }
    // A missing one, whose successor is there and names another.
    assert!(matches!(bob.receive(&others[998], platform.now).unwrap_err(), FrameError::Fork(_)));
    assert_eq!(deliver(&platform, &mut bob, &posts[998]).status, ChainStatus::Late);
}

/// Whatever is sent, the state stays within its bounds, and a flood drives out its own.
#[test]
fn states_are_bounded() {
    let (mut platform, mut devices) = members(&["alice", "bob"], 130);
    let (mut bob, mut alice) = (devices.remove(1), devices.remove(0));
    for number in 0..100 {
        let post = alice.send(&mut platform, &number.to_string());
        deliver(&platform, &mut bob, &post);
    }
    let policy = FramingPolicy::default();
    for device in 0..1_500 {
        let mut flood = Device::new("flood", device, Destination::Group(group()), u64::from(device) << 8);
        for number in 0..6 {
            let post = flood.send(&mut platform, "x");
            if number % 2 == 1 {
                let now = Timestamp::new(platform.now);
                bob.state.accept(&post.from, &post.inner, &post.commitment, Some(&post.stamp), now, &policy).unwrap();
            }
        }
    }
    assert!(bob.state.peers() <= 1_024);
    let bytes = bob.state.to_bytes();
    assert!(bytes.len() <= ChainState::MAX_RECORD_LEN, "{}", bytes.len());
    assert_eq!(ChainState::from_bytes(&bytes), Ok(bob.state.clone()));
    let post = alice.send(&mut platform, "still known");
    assert_eq!(deliver(&platform, &mut bob, &post).status, ChainStatus::Next);
    println!("a state of {} chains has {} bytes", bob.state.peers(), bytes.len());
}
