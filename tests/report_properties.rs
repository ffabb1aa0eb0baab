//! The properties that message framing promises, each under its number: docs/reports.md lists them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

#[path = "support/framing.rs"]
mod framing;
#[path = "support/hostile.rs"]
mod hostile;

use framing::{KID, Platform, START, account, blaming, deliver, group, members, pair, texts};
use proptest::prelude::*;
use rand_core::SeedableRng;
use subrosa::crypto::Secret;
use subrosa::ident::Timestamp;
use subrosa::platform::{
    RejectReason, ReportLimits, Reporter, RevealedPart, StampError, StampKeys, VerifyReportError, restamp, stamp,
    verify_report,
};
use subrosa::report::{
    AccountDevice, ChainState, Commitment, Destination, FrameError, FramingPolicy, Part, PartKind, ReportBuilder,
    Reveal, Stamp, StampContext,
};

/// Every altered byte of a report of one message is found: the report no longer verifies, or still says exactly the
/// same. (The note and the boundary flags are the reporter's own words.)
#[test]
fn p1_receiver_binding() {
    let (mut platform, mut alice, mut bob) = pair(1);
    let post = alice
        .send_parts(&mut platform, &[Part::text("you"), Part::text("will"), Part::quote(&Commitment::new([3; 32]))]);
    deliver(&platform, &mut bob, &post);
    let report = bob.report_all();
    let truth = platform.verify(bob.account(), &report).unwrap();
    assert_eq!(truth.messages[0].parts.len(), 3);
    let mut refused = 0;
    for bit in 0..report.len() * 8 {
        let mut altered = report.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        match platform.verify(bob.account(), &altered) {
            Ok(verdict) => assert_eq!(verdict.messages, truth.messages, "bit {bit}"),
            Err(VerifyReportError::NothingVerified(rejected)) => {
                assert!(
                    matches!(
                        rejected[0].1,
                        RejectReason::BadStamp
                            | RejectReason::Malformed
                            | RejectReason::PartCount
                            | RejectReason::UnknownStampKey
                            | RejectReason::SealedMode
                    ),
                    "bit {bit}: {rejected:?}"
                );
                refused += 1;
            }
            Err(_) => refused += 1,
        }
    }
    // All but the bits of the boundary flags.
    assert!(refused >= report.len() * 8 - 16, "{refused} of {}", report.len() * 8);
}

/// A reference to a file, or nearly one.
fn attachment() -> impl Strategy<Value = Part> {
    (prop_oneof![2 => Just(1u8), 1 => any::<u8>()], prop_oneof![Just(4096 + 104u64), any::<u64>()], "[a-z]{0,9}")
        .prop_map(|(version, object_len, name)| {
            let lengths = [4_090u64.to_be_bytes(), object_len.to_be_bytes()].concat();
            let name = [&[0; 7][..], &[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
            Part::new(PartKind::ATTACHMENT, [&[version][..], &[3; 48], &lengths, &[4; 32], &name].concat())
        })
}

/// A sender who controls every byte of the framed content, by drawing it or by spoiling an honest one.
fn hostile_inner() -> impl Strategy<Value = (Vec<Part>, Vec<(usize, u8)>, bool)> {
    let part = (prop_oneof![0u16..12, Just(0x8000), any::<u16>()], prop::collection::vec(any::<u8>(), 0..70))
        .prop_map(|(kind, body)| Part::new(PartKind::new(kind), body));
    let text = "[a-z]{0,20}".prop_map(|text| Part::text(&text));
    let parts = prop::collection::vec(prop_oneof![2 => part, 3 => text, 1 => attachment()], 1..5);
    (parts, prop::collection::vec((any::<usize>(), any::<u8>()), 0..3), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// What a receiver accepts, the platform verifies, whatever the sender sends and commits to.
    #[test]
    fn p2_sender_binding((parts, edits, direct) in hostile_inner()) {
        let (mut platform, mut alice, mut bob) = pair(2);
        let mut group = members(&["alice", "bob"], 3);
        if !direct {
            platform = group.0;
            (bob, alice) = (group.1.pop().unwrap(), group.1.pop().unwrap());
        }
        // Honest context first, so that there are heads to name.
        let hello = bob.send(&mut platform, "hello");
        deliver(&platform, &mut alice, &hello);
        // What an honest library takes; what a hostile one sends is committed to and stamped all the same.
        let honest = alice.state.clone().seal(&parts, Timestamp::new(START), &mut platform.rng).is_ok();
        let hostile::Hostile { mut post, report } = hostile::commit_to(&mut alice, &mut platform, &parts);
        for (at, by) in &edits {
            let at = at % post.inner.len();
            post.inner[at] ^= by;
        }
        let commitment = post.commitment;
        if let Ok(accepted) = bob.receive(&post, platform.now) {
            prop_assert!(honest, "what is accepted could have been sent");
            prop_assert!(platform.verify(bob.account(), &report).is_ok());
            let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
            prop_assert!(verdict.rejected.is_empty());
            let mine = verdict.messages.iter().find(|message| message.commitment == commitment).unwrap();
            let shown: Vec<Part> = mine.open_parts().map(|(_, part)| part.clone()).collect();
            prop_assert_eq!(shown, accepted.parts);
        } else {
            prop_assert!(!honest || !edits.iter().all(|(_, by)| *by == 0), "honest bytes are accepted");
        }
    }
}

/// The bounds of both sides are the same, at the bound itself.
#[test]
fn p2_sender_binding_at_the_limits() {
    let (mut platform, mut alice, mut bob) = pair(4);
    let longest = Part::new(PartKind::new(0x8000), vec![7; 1 << 20]);
    let many = vec![Part::text("x"); 64];
    for parts in [vec![longest.clone()], many] {
        let post = alice.send_parts(&mut platform, &parts);
        deliver(&platform, &mut bob, &post);
    }
    assert!(platform.verify(bob.account(), &bob.report_all()).unwrap().rejected.is_empty());
    for parts in [vec![longest, Part::text("x")], vec![Part::text("x"); 65], vec![]] {
        assert!(alice.state.seal(&parts, Timestamp::new(START), &mut platform.rng).is_err());
    }
}

#[test]
fn p3_unforgeability() {
    let (mut platform, mut alice, mut bob) = pair(5);
    let post = alice.send(&mut platform, "hello");
    deliver(&platform, &mut bob, &post);
    let genuine = Stamp::parse(&post.stamp).unwrap();
    let StampContext { sender, dest, time, conv_seq } = genuine.context;
    let context = |context| Stamp { context, ..genuine };
    let later = Timestamp::new(time.get() + 1);
    let forgeries = [
        Stamp { kid: 8, ..genuine },
        context(StampContext { sender: account("mallory"), dest, time, conv_seq }),
        context(StampContext { sender, dest: Destination::Direct(account("mallory")), time, conv_seq }),
        context(StampContext { sender, dest: Destination::Group(group()), time, conv_seq }),
        context(StampContext { sender, dest, time: later, conv_seq }),
        context(StampContext { sender, dest, time, conv_seq: 9 }),
    ];
    for forged in forgeries {
        // By hand: neither the receiver nor the builder would take some of them.
        let report = replace(&bob.report_all(), &genuine.to_bytes(), &forged.to_bytes());
        let expected = if forged.kid == KID { RejectReason::BadStamp } else { RejectReason::UnknownStampKey };
        assert_eq!(platform.refusal(bob.account(), &report), expected);
    }
    for bit in 0..256 {
        let mut forged = genuine;
        forged.tag[bit / 8] ^= 1 << (bit % 8);
        let report = replace(&bob.report_all(), &genuine.to_bytes(), &forged.to_bytes());
        assert_eq!(platform.refusal(bob.account(), &report), RejectReason::BadStamp);
    }
    // Another platform's key of the same number.
    assert_eq!(Platform::new(6).refusal(bob.account(), &bob.report_all()), RejectReason::BadStamp);
}

fn replace(haystack: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = haystack.windows(from.len()).position(|window| window == from).unwrap();
    let mut out = haystack.to_vec();
    out[at..at + to.len()].copy_from_slice(to);
    out
}

/// Only who was authenticated on submission is ever named.
#[test]
fn p4_no_framing() {
    let (mut platform, mut alice, mut bob) = pair(7);
    // Mallory writes a header that names Alice; the platform stamps Mallory.
    let sent = alice.state.seal(&[Part::text("forged")], Timestamp::new(START), &mut platform.rng).unwrap();
    let commitment = *sent.evidence.commitment();
    let dest = Destination::Direct(bob.account());
    let mallorys = platform.stamp(account("mallory"), dest, &commitment);
    let post = framing::Post { from: alice.peer, commitment, inner: sent.inner, stamp: mallorys.clone() };
    assert_eq!(bob.receive(&post, platform.now).unwrap_err(), FrameError::StampContext);
    // And where Bob helps: the item names another sender than its stamp.
    let mut genuine = sent.evidence;
    genuine.attach(&Stamp::parse(&platform.stamp(alice.account(), dest, &commitment)).unwrap()).unwrap();
    let mut builder = ReportBuilder::new(bob.account());
    builder.add(&genuine, &[Part::text("forged")], Reveal::All).unwrap();
    let report = replace(&builder.build(), &genuine.stamp().unwrap().to_bytes(), &mallorys);
    assert_eq!(platform.refusal(bob.account(), &report), RejectReason::SenderMismatch);
}

#[test]
fn p5_confidentiality() {
    let (mut platform, mut alice, mut bob) = pair(8);
    let parts = [Part::text("the visible part"), Part::text("yes, the hidden part")];
    let first = alice.send_parts(&mut platform, &parts);
    let second = alice.send_parts(&mut platform, &parts);
    assert_ne!(first.commitment, second.commitment, "the same content commits to something else each time");
    deliver(&platform, &mut bob, &first);
    let (evidence, parts) = &bob.log[0];
    let mut builder = ReportBuilder::new(bob.account());
    builder.add(evidence, parts, Reveal::Parts(&[0])).unwrap();
    let report = builder.build();
    // The framing key stands in the inner bytes, right after the header.
    let at = first.inner.windows(2).position(|window| window == [0x12, 0x20]).unwrap() + 2;
    let framing_key = &first.inner[at..at + 32];
    let contains = |needle: &[u8]| report.windows(needle.len()).any(|window| window == needle);
    assert!(contains(b"the visible part") && !contains(b"the hidden part") && !contains(framing_key));
    let verdict = platform.verify(bob.account(), &report).unwrap();
    assert_eq!(verdict.messages[0].parts[1], RevealedPart::Redacted);
    assert_eq!(texts(&verdict), ["the visible part"]);
    // A reduced message says nothing at all.
    let reduced = evidence.reduce();
    let mut builder = ReportBuilder::new(bob.account());
    assert!(builder.add(&reduced, parts, Reveal::All).is_err());
    builder.add(&reduced, &[], Reveal::HeaderOnly).unwrap();
    let report = builder.build();
    assert!(!report.windows(16).any(|window| b"the visible part" == window));
    assert!(platform.verify(bob.account(), &report).unwrap().messages[0].open_parts().next().is_none());
    assert!(!reduced.to_bytes().windows(32).any(|window| window == framing_key));
}

/// The holder of the stamp key makes up a conversation; it verifies. So a report proves nothing to anyone else.
#[test]
fn p6_third_party_deniability() {
    let (mut platform, mut alice, mut bob) = pair(9);
    // Neither Alice nor Bob ever ran this code: their tags are public, their chains anyone's to draw.
    for text in ["never", "said", "by anyone"] {
        let post = alice.send(&mut platform, text);
        deliver(&platform, &mut bob, &post);
    }
    let forged = bob.report_all();
    let verdict = platform.verify(bob.account(), &forged).unwrap();
    assert_eq!((verdict.messages.len(), verdict.findings.iter().filter(|f| f.blames().is_some()).count()), (3, 0));
    // Without that key, nobody verifies anything: not another platform, not the same one after the key's destruction.
    assert_eq!(Platform::new(10).refusal(bob.account(), &bob.report(|at, _| at == 0)), RejectReason::BadStamp);
    platform.keys.destroy(KID);
    assert_eq!(platform.refusal(bob.account(), &bob.report(|at, _| at == 0)), RejectReason::UnknownStampKey);
    // No signature is in reach of framing: the rooms' sources do not name one.
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // Prekeys are signed, and a server checks that: in `platform/prekey_store` alone.
    let folders = [src.join("report"), src.join("platform")];
    for file in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = file.unwrap().path();
        if path.is_file() && !path.ends_with("prekey_store.rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            for word in ["Signature", "xeddsa", "Ed25519"] {
                assert!(!source.contains(word), "{} names {word}", path.display());
            }
        }
    }
}

/// Each message of a conversation left out, altered in place, or said twice, is a finding or a refusal. Random
/// transcripts: `tests/report_simulation.rs`.
#[test]
fn p7_order_and_gaps() {
    let (mut platform, mut alice, mut bob) = pair(11);
    for round in 0..10 {
        let post = alice.send(&mut platform, &format!("alice {round}"));
        deliver(&platform, &mut bob, &post);
        let post = bob.send(&mut platform, &format!("bob {round}"));
        deliver(&platform, &mut alice, &post);
    }
    let whole = platform.verify(bob.account(), &bob.report_all()).unwrap();
    for left_out in 0..20 {
        let verdict = platform.verify(bob.account(), &bob.report(|at, _| at != left_out)).unwrap();
        let news: Vec<_> = verdict.findings.iter().filter(|finding| !whole.findings.contains(finding)).collect();
        assert!(!news.is_empty(), "message {left_out} left out: {:?}", verdict.findings);
        assert_eq!(blaming(&verdict), []);
    }
    // The order shown is the order sent, whatever the report's.
    let mut builder = ReportBuilder::new(bob.account());
    for (evidence, parts) in bob.log.iter().rev() {
        builder.add(evidence, parts, Reveal::All).unwrap();
    }
    let shuffled = platform.verify(bob.account(), &builder.build()).unwrap();
    assert_eq!(shuffled.messages, whole.messages);
    assert_eq!((shuffled.findings.len(), shuffled.report_id), (whole.findings.len(), whole.report_id));
}

/// Loss, reordering, duplicates, repairs and deletions between honest devices blame nobody.
#[test]
fn p8_honest_completeness() {
    let (mut platform, mut alice, mut bob) = pair(12);
    let posts: Vec<_> = (0..30).map(|number| alice.send(&mut platform, &number.to_string())).collect();
    for at in [0, 2, 1, 5, 9, 8, 20, 3, 20, 25, 11] {
        bob.receive(&posts[at], platform.now).unwrap();
        let post = bob.send(&mut platform, "read");
        deliver(&platform, &mut alice, &post);
    }
    // Repaired an hour later, without its stamp: stamped anew.
    platform.now += 3_600_000;
    let stamp = platform.stamp(alice.account(), *alice.state.dest(), &posts[4].commitment);
    bob.receive(&framing::Post { stamp, ..posts[4].clone() }, platform.now).unwrap();
    for entry in bob.log.iter_mut().step_by(3) {
        entry.0 = entry.0.reduce();
    }
    for start in 0..bob.log.len() {
        for end in start + 1..=bob.log.len() {
            let verdict = platform.verify(bob.account(), &bob.report_window(start..end)).unwrap();
            assert_eq!((blaming(&verdict), verdict.rejected.len()), (vec![], 0), "{start}..{end}");
        }
    }
}

/// Stamping and judging take everything as arguments and give the same for the same.
#[test]
fn p9_statelessness() {
    // The signatures say it: shared references in, values out.
    let _: fn(&StampKeys, u32, &Commitment, &StampContext) -> Result<Stamp, StampError> = stamp;
    let _: fn(&StampKeys, &Reporter, &[u8], &ReportLimits) -> Result<subrosa::platform::Verdict, VerifyReportError> =
        verify_report;
    let (mut platform, mut alice, mut bob) = pair(13);
    let post = alice.send(&mut platform, "hello");
    deliver(&platform, &mut bob, &post);
    let (stored, report) = (platform.keys.to_bytes(), bob.report_all());
    let first = platform.verify(bob.account(), &report).unwrap();
    let elsewhere = Platform { keys: StampKeys::from_bytes(&stored).unwrap(), ..Platform::new(14) };
    assert_eq!(elsewhere.verify(bob.account(), &report).unwrap(), first);
    let given = Stamp::parse(&post.stamp).unwrap();
    let again = stamp(&elsewhere.keys, KID, &post.commitment, &given.context).unwrap();
    let third = restamp(&elsewhere.keys, &post.commitment, &given, &alice.account(), alice.state.dest()).unwrap();
    assert_eq!((again, third), (given, given));
    assert_eq!(*platform.keys.to_bytes(), *stored);
}

#[test]
fn p10_reporter_standing() {
    let (mut platform, mut alice, mut bob) = pair(15);
    let post = alice.send(&mut platform, "hello");
    deliver(&platform, &mut bob, &post);
    assert_eq!(platform.refusal(account("mallory"), &bob.report_all()), RejectReason::ReporterNotParty);
    // The sender's own account is a party.
    assert!(platform.verify(alice.account(), &bob.report_all()).is_ok());
    // In a group: who was a member when it was stamped.
    let (mut platform, mut devices) = members(&["alice", "bob"], 16);
    let post = devices[0].send(&mut platform, "hello");
    deliver(&platform, &mut devices[1], &post);
    let at = Stamp::parse(&post.stamp).unwrap().context.time;
    let report = devices[1].report_all();
    let verify = |from, until| {
        let (from, until) = (Timestamp::new(from), Timestamp::new(until));
        let reporter = Reporter::new(account("bob")).with_membership(group(), from, until);
        verify_report(&platform.keys, &reporter, &report, &ReportLimits::default()).is_ok()
    };
    assert!(verify(at.get(), at.get()) && !verify(at.get() + 1, u64::MAX) && !verify(0, at.get() - 1));
}

/// Nothing that these types print shows content or keys.
#[test]
fn nothing_is_printed() {
    let (mut platform, mut alice, mut bob) = pair(17);
    let sent = alice.state.seal(&[Part::text("SENTINEL")], Timestamp::new(START), &mut platform.rng).unwrap();
    let stamp = platform.stamp(alice.account(), *alice.state.dest(), sent.evidence.commitment());
    let post =
        framing::Post { from: alice.peer, commitment: *sent.evidence.commitment(), inner: sent.inner.clone(), stamp };
    let accepted = bob.receive(&post, platform.now).unwrap();
    let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    for printed in [
        format!("{accepted:?}"),
        format!("{verdict:?}"),
        format!("{sent:?}"),
        format!("{:?}", bob.log),
        format!("{:?}", accepted.parts[0].view()),
        format!("{:?}", platform.keys),
    ] {
        assert!(!printed.contains("SENTINEL") && !printed.contains("[83, 69, 78"), "{printed}");
    }
    let mut keys = StampKeys::default();
    keys.insert(1, Secret::new([0xc5; 32])).unwrap();
    assert!(!format!("{keys:?}").contains("197"));
}

/// A state that was stored and loaded goes on alike; what is damaged is refused.
#[test]
fn states_and_evidence_survive_storage() {
    let (mut platform, mut alice, mut bob) = pair(18);
    let posts: Vec<_> = (0..20).map(|number| alice.send(&mut platform, &number.to_string())).collect();
    for at in [0, 5, 3, 19, 10] {
        bob.receive(&posts[at], platform.now).unwrap();
    }
    let bytes = bob.state.to_bytes();
    for cut in 0..bytes.len() {
        assert!(ChainState::from_bytes(&bytes[..cut]).is_err(), "cut to {cut}");
    }
    for (evidence, _) in &bob.log {
        for evidence in [evidence.clone(), evidence.reduce()] {
            let bytes = evidence.to_bytes();
            assert_eq!(subrosa::report::Evidence::from_bytes(&bytes), Ok(evidence));
            assert!((200..330).contains(&bytes.len()), "{}", bytes.len());
        }
    }
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let chain = *bob.state.chain();
    bob.state.renew(&mut rng);
    assert_ne!((*bob.state.chain(), bob.state.sent()), (chain, 1));
    let policy = FramingPolicy::default();
    let peer = AccountDevice { account: account("mallory"), device: 1 };
    let refused = bob.state.accept(&peer, &posts[1].inner, &posts[1].commitment, None, Timestamp::new(0), &policy);
    assert_eq!(refused.unwrap_err(), FrameError::NotInConversation);
}
