//! What framing adds to a message, in bytes; and that sealed reports are refused for anyone else.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

#[path = "support/framing.rs"]
mod framing;

use framing::{deliver, pair};
use rand_core::SeedableRng;
use subrosa::ident::{Address, DeviceId, UserId};
use subrosa::platform::ModerationKey;
use subrosa::report::{ModerationPublicKey, Part, STAMP_LEN, seal_report};
use subrosa::wire::{Content, Envelope, EnvelopeKind, EnvelopeSuite, Payload, RosterView};

#[test]
fn framing_costs_few_bytes() {
    let (mut platform, mut alice, mut bob) = pair(200);
    let hello = bob.send(&mut platform, "hello");
    deliver(&platform, &mut alice, &hello);
    // One part, one head named: the common case.
    let post = alice.send_parts(&mut platform, &[Part::text("hello")]);
    let payload =
        |content| Payload { own: RosterView::default(), peer: RosterView::default(), content }.to_bytes().len();
    let plaintext = payload(Content::Framed(post.inner.clone())) - payload(Content::App(b"hello".to_vec()));
    let address = |name: &str| Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
    let envelope = |commitment, stamp| {
        Envelope {
            kind: EnvelopeKind::Message,
            suite: EnvelopeSuite::V1,
            from: Some(address("alice")),
            to: address("bob"),
            id: [7; 16],
            body: vec![0xa1; 300],
            commitment,
            stamp,
        }
        .to_bytes()
        .len()
    };
    let around = envelope(Some(*post.commitment.as_bytes()), Some(post.stamp.clone())) - envelope(None, None);
    println!("plaintext {plaintext}, envelope {around} of which {} are the stamp's context", STAMP_LEN - 32);
    assert!(plaintext <= 180, "{plaintext}");
    assert!(around - (STAMP_LEN - 32) <= 90, "{around}");
    println!("evidence {}, state {}", alice.log[1].0.to_bytes().len(), alice.state.to_bytes().len());
}

/// A conversation of two devices, after a long while: what is written for each message.
#[test]
fn a_steady_state_is_small() {
    let (mut platform, mut alice, mut bob) = pair(201);
    for _ in 0..300 {
        let post = alice.send(&mut platform, "x");
        deliver(&platform, &mut bob, &post);
        let post = bob.send(&mut platform, "x");
        deliver(&platform, &mut alice, &post);
    }
    let len = alice.state.to_bytes().len();
    println!("steady state: {len} bytes");
    assert!(len < 22 << 10, "{len}");
}

#[test]
fn sealed_reports() {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let (mut platform, mut alice, mut bob) = pair(202);
    let post = alice.send(&mut platform, "hello");
    deliver(&platform, &mut bob, &post);
    let (key, report) = (ModerationKey::generate(&mut rng), bob.report_all());
    let public = ModerationPublicKey::parse(&key.public().to_bytes()).unwrap();
    assert_eq!((public.to_bytes().len(), &public), (1602, &key.public()));
    let sealed = seal_report(&report, &bob.account(), &public, &mut rng).unwrap();
    assert!(!sealed.windows(5).any(|window| window == b"hello"));
    let key = ModerationKey::from_bytes(&key.to_bytes()).unwrap();
    assert_eq!(*key.open(&sealed, &bob.account()).unwrap(), report);
    assert!(key.open(&sealed, &alice.account()).is_err(), "stolen, and sent in by another account");
    assert!(ModerationKey::generate(&mut rng).open(&sealed, &bob.account()).is_err());
    for at in (0..40).chain((40..sealed.len()).step_by(97)) {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(key.open(&altered, &bob.account()).is_err(), "byte {at}");
    }
    for len in (0..sealed.len()).step_by(61) {
        assert!(key.open(&sealed[..len], &bob.account()).is_err());
    }
    for malformed in [&public.to_bytes()[..1601], &[5; 1602], &[]] {
        assert!(ModerationPublicKey::parse(malformed).is_err());
    }
}
