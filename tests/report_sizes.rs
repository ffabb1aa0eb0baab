//! What framing adds to a message, in bytes; sealed reports; records as they were first written.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]
#![allow(clippy::disallowed_methods, reason = "a test reads files and its environment")]

#[path = "support/framing.rs"]
mod framing;

use framing::{deliver, pair};
use rand_core::SeedableRng;
use subrosa::ident::{Address, DeviceId, Timestamp, UserId};
use subrosa::platform::{ModerationKey, ReportLimits, Reporter, StampKeys, verify_report};
use subrosa::report::{
    AccountDevice, ChainState, ChainStatus, Commitment, Evidence, FramingPolicy, ModerationPublicKey, Part, STAMP_LEN,
    seal_report,
};
use subrosa::wire::{Content, Envelope, EnvelopeKind, EnvelopeSuite, Payload};

#[test]
fn framing_costs_few_bytes() {
    let (mut platform, mut alice, mut bob) = pair(200);
    let hello = bob.send(&mut platform, "hello");
    deliver(&platform, &mut alice, &hello);
    // One part, one head named: the common case.
    let post = alice.send_parts(&mut platform, &[Part::text("hello")]);
    let payload = |content| Payload::new(content).to_bytes().len();
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

/// Records of every schema that was ever written stay readable, and go on. Written once (`SUBROSA_REGENERATE=1`), never
/// changed after a release.
#[test]
fn golden_records_load_and_go_on() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/records/schema-1-report.json");
    if std::env::var_os("SUBROSA_REGENERATE").is_some() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(2026);
        let (mut platform, mut alice, mut bob) = pair(2026);
        let posts: Vec<_> = (0..9).map(|number| alice.send(&mut platform, &number.to_string())).collect();
        for at in [0, 4, 2, 7] {
            deliver(&platform, &mut bob, &posts[at]);
        }
        let answer = bob.send(&mut platform, "answer");
        let key = ModerationKey::generate(&mut rng);
        let sealed = seal_report(&bob.report_all(), &bob.account(), &key.public(), &mut rng).unwrap();
        let written = serde_json::json!({
            "chainState": hex::encode(bob.state.to_bytes()),
            "evidence": hex::encode(bob.log[0].0.to_bytes()),
            "reducedEvidence": hex::encode(bob.log[0].0.reduce().to_bytes()),
            "stampKeys": hex::encode(platform.keys.to_bytes()),
            "moderationKey": hex::encode(key.to_bytes()),
            "late": { "inner": hex::encode(&posts[3].inner), "commitment": hex::encode(posts[3].commitment.as_bytes()),
                      "stamp": hex::encode(&posts[3].stamp) },
            "answer": hex::encode(answer.commitment.as_bytes()),
            "sealedReport": hex::encode(&sealed),
        });
        std::fs::write(&path, serde_json::to_string_pretty(&written).unwrap() + "\n").unwrap();
    }
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
    let (alice, bob) = (framing::account("alice"), framing::account("bob"));
    let mut state = ChainState::from_bytes(&bytes(&golden["chainState"])).unwrap();
    assert_eq!(*state.to_bytes(), bytes(&golden["chainState"]));
    let commitment = Commitment::new(bytes(&golden["late"]["commitment"]).try_into().unwrap());
    let (peer, stamp) = (AccountDevice { account: alice, device: 1 }, bytes(&golden["late"]["stamp"]));
    let now = Timestamp::new(framing::START + 60_000);
    let policy = FramingPolicy::default();
    let late = state.accept(&peer, &bytes(&golden["late"]["inner"]), &commitment, Some(&stamp), now, &policy).unwrap();
    assert_eq!((late.status, late.parts), (ChainStatus::Late, vec![Part::text("3")]));
    for field in ["evidence", "reducedEvidence"] {
        let evidence = Evidence::from_bytes(&bytes(&golden[field])).unwrap();
        assert_eq!(*evidence.to_bytes(), bytes(&golden[field]));
        assert_eq!(evidence.is_reduced(), field == "reducedEvidence");
    }
    let keys = StampKeys::from_bytes(&bytes(&golden["stampKeys"])).unwrap();
    let moderation = ModerationKey::from_bytes(&bytes(&golden["moderationKey"])).unwrap();
    assert_eq!((*keys.to_bytes()).clone(), bytes(&golden["stampKeys"]));
    let report = moderation.open(&bytes(&golden["sealedReport"]), &bob).unwrap();
    let verdict = verify_report(&keys, &Reporter::new(bob), &report, &ReportLimits::default()).unwrap();
    assert_eq!((verdict.messages.len(), verdict.rejected.len()), (5, 0));
}
