//! The attacks on reports, each under its number: docs/reports.md lists them. T1 is in `salamander_message.rs`, T13 to
//! T26 in `report_attacks_chains.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

#[path = "support/framing.rs"]
mod framing;

use framing::{Device, Post, START, account, blaming, deliver, group, members, pair};
use subrosa::ident::Timestamp;
use subrosa::platform::{Finding, RejectReason, RestampError, restamp};
use subrosa::report::{
    ChainStatus, Commitment, Destination, FrameError, Part, ReportBuildError, ReportBuilder, Reveal, Stamp,
    StampContext,
};

fn replace(haystack: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = haystack.windows(from.len()).position(|window| window == from).unwrap();
    let mut out = haystack.to_vec();
    out[at..at + to.len()].copy_from_slice(to);
    out
}

/// The sender shows one thing and commits to another: nothing is shown.
#[test]
fn t02_commitment_and_content_differ() {
    let (mut platform, mut alice, mut bob) = pair(102);
    let shown = alice.send(&mut platform, "abuse");
    let innocent = alice.send(&mut platform, "flowers");
    let crossed = Post { inner: shown.inner.clone(), ..innocent };
    assert_eq!(bob.receive(&crossed, platform.now).unwrap_err(), FrameError::Commitment);
    let altered = Post { inner: replace(&shown.inner, b"abuse", b"hello"), ..shown.clone() };
    assert_eq!(bob.receive(&altered, platform.now).unwrap_err(), FrameError::Commitment);
    // Who lies about the sender or the destination, which do not travel, has committed to something else, too.
    let to_another = Device::new("alice", 1, Destination::Direct(account("carol")), 1).send(&mut platform, "abuse");
    let stamp = platform.stamp(alice.account(), Destination::Direct(bob.account()), &to_another.commitment);
    assert_eq!(bob.receive(&Post { stamp, ..to_another }, platform.now).unwrap_err(), FrameError::Commitment);
    assert_eq!(bob.receive(&shown, platform.now).unwrap().status, ChainStatus::Next);
}

#[test]
fn t03_altered_content_key_order_and_split_of_parts() {
    let (mut platform, mut alice, mut bob) = pair(103);
    let post = alice.send_parts(&mut platform, &[Part::text("I will"), Part::text("not go")]);
    deliver(&platform, &mut bob, &post);
    let report = bob.report_all();
    assert_eq!(platform.refusal(bob.account(), &replace(&report, b"not go", b"now go")), RejectReason::BadStamp);
    // Parts change places, each with its key.
    let (first, second) = (part_of(&report, b"I will"), part_of(&report, b"not go"));
    let swapped =
        replace(&report, &[first.clone(), second.clone()].concat(), &[second.clone(), first.clone()].concat());
    assert_eq!(platform.refusal(bob.account(), &swapped), RejectReason::BadStamp);
    // The second key opens the first part.
    let keys = |part: &[u8]| part[part.len() - 32..].to_vec();
    let crossed = replace(&report, &keys(&first), &keys(&second));
    assert_eq!(platform.refusal(bob.account(), &crossed), RejectReason::BadStamp);
    // Another kind: text as an attachment.
    let retyped = replace(&report, &first, &[&first[..3], &[2], &first[4..]].concat());
    assert_eq!(platform.refusal(bob.account(), &retyped), RejectReason::BadStamp);
    // "I will" and "not go" as "I wil" and "lnot go", of the same length in all.
    let split = [&shorten(&first), &lengthen(&second)].map(Vec::as_slice).concat();
    let resplit = replace(&report, &[first, second].concat(), &split);
    assert_eq!(platform.refusal(bob.account(), &resplit), RejectReason::BadStamp);
    // The builder takes no other parts than the message's.
    let mut builder = ReportBuilder::new(bob.account());
    let others = [Part::text("I will"), Part::text("now go")];
    assert_eq!(builder.add(&bob.log[0].0, &others, Reveal::All).unwrap_err(), ReportBuildError::OtherParts);
}

/// The encoding of an open part with a body of six bytes: `22 len 08 01 12 06 body 1a 20 key`.
fn part_of(report: &[u8], body: &[u8]) -> Vec<u8> {
    let at = report.windows(6).position(|window| window == body).unwrap();
    report[at - 6..at + 6 + 34].to_vec()
}

fn shorten(part: &[u8]) -> Vec<u8> {
    [&[part[0], part[1] - 1], &part[2..5], &[5], &part[6..11], &part[12..]].concat()
}

fn lengthen(part: &[u8]) -> Vec<u8> {
    [&[part[0], part[1] + 1], &part[2..5], &[7, b'l'], &part[6..]].concat()
}

#[test]
fn t04_altered_stamp_fields() {
    let (mut platform, mut alice, mut bob) = pair(104);
    platform.conv_seq = 1;
    let post = alice.send(&mut platform, "hello");
    deliver(&platform, &mut bob, &post);
    // kid, sender, dest, time, counter: one byte of each; mode and kind have tests of their own.
    for (at, expected) in [
        (4, RejectReason::UnknownStampKey),
        (7, RejectReason::BadStamp),
        (39, RejectReason::BadStamp),
        (78, RejectReason::BadStamp),
        (86, RejectReason::BadStamp),
    ] {
        let mut stamp = post.stamp.clone();
        stamp[at] ^= 1;
        assert_eq!(platform.refusal(bob.account(), &replace(&bob.report_all(), &post.stamp, &stamp)), expected);
    }
}

#[test]
fn t05_swapped_stamps() {
    let (mut platform, mut alice, mut bob) = pair(105);
    let posts = [alice.send(&mut platform, "one"), alice.send(&mut platform, "two")];
    posts.iter().for_each(|post| drop(deliver(&platform, &mut bob, post)));
    let report = bob.report(|at, _| at == 0);
    assert_eq!(
        platform.refusal(bob.account(), &replace(&report, &posts[0].stamp, &posts[1].stamp)),
        RejectReason::BadStamp
    );
}

#[test]
fn t06_never_stamped_or_another_opening() {
    let (mut platform, mut alice, mut bob) = pair(106);
    let sent = alice.state.seal(&[Part::text("never submitted")], Timestamp::new(START), &mut platform.rng).unwrap();
    let mut builder = ReportBuilder::new(bob.account());
    let parts = [Part::text("never submitted")];
    assert_eq!(builder.add(&sent.evidence, &parts, Reveal::All).unwrap_err(), ReportBuildError::NotStamped);
    // With a stamp of another message.
    let other = alice.send(&mut platform, "submitted");
    let mut evidence = sent.evidence.clone();
    evidence.attach(&Stamp::parse(&other.stamp).unwrap()).unwrap();
    builder.add(&evidence, &parts, Reveal::All).unwrap();
    assert_eq!(platform.refusal(bob.account(), &builder.build()), RejectReason::BadStamp);
    // A stamped one, opened as something else: the digest of a part is no other's.
    deliver(&platform, &mut bob, &other);
    let report = replace(&bob.report_all(), b"submitted", b"falsified");
    assert_eq!(platform.refusal(bob.account(), &report), RejectReason::BadStamp);
}

#[test]
fn t07_report_replay() {
    let (mut platform, mut alice, mut bob) = pair(107);
    for text in ["one", "two"] {
        let post = alice.send(&mut platform, text);
        deliver(&platform, &mut bob, &post);
    }
    let once = bob.report(|at, _| at == 0);
    let first = platform.verify(bob.account(), &once).unwrap();
    // The same message twice. The item is field 2 and the fields behind it are the flags and the note.
    let item = &once[2..once.len() - 4];
    let twice = [&once[..2], item, item, &once[once.len() - 4..]].concat();
    let verdict = platform.verify(bob.account(), &twice).unwrap();
    assert_eq!((verdict.messages.len(), verdict.rejected), (1, vec![(1, RejectReason::DuplicateInReport)]));
    assert_eq!(verdict.report_id, first.report_id);
    let (evidence, parts) = &bob.log[0];
    let mut builder = ReportBuilder::new(bob.account());
    builder.add(evidence, parts, Reveal::All).unwrap();
    assert_eq!(builder.add(evidence, parts, Reveal::All).unwrap_err(), ReportBuildError::AlreadyThere);
    // The same report again has the same name, in whatever order; another account's is refused, or, of a party, named
    // differently.
    assert_eq!(platform.verify(bob.account(), &once).unwrap().report_id, first.report_id);
    assert_ne!(platform.verify(alice.account(), &once).unwrap().report_id, first.report_id);
    assert_eq!(platform.refusal(account("mallory"), &once), RejectReason::ReporterNotParty);
    assert_ne!(platform.verify(bob.account(), &bob.report_all()).unwrap().report_id, first.report_id);
}

#[test]
fn t08_resubmitted_by_another_account() {
    let (mut platform, mut alice, mut bob) = pair(108);
    let post = alice.send(&mut platform, "hello");
    deliver(&platform, &mut bob, &post);
    let dest = Destination::Direct(bob.account());
    let mallorys = platform.stamp(account("mallory"), dest, &post.commitment);
    let report = replace(&bob.report_all(), &post.stamp, &mallorys);
    assert_eq!(platform.refusal(bob.account(), &report), RejectReason::SenderMismatch);
    // And the platform gives the original stamp to its own submitter only, for its own destination only.
    let original = Stamp::parse(&post.stamp).unwrap();
    let again = |who, dest: &Destination| restamp(&platform.keys, &post.commitment, &original, &who, dest);
    assert_eq!(again(alice.account(), &dest), Ok(original));
    assert_eq!(again(account("mallory"), &dest), Err(RestampError::OtherSubmission));
    assert_eq!(again(alice.account(), &Destination::Direct(account("carol"))), Err(RestampError::OtherSubmission));
    let other = Commitment::new([9; 32]);
    assert_eq!(restamp(&platform.keys, &other, &original, &alice.account(), &dest), Err(RestampError::BadStamp));
    let context = StampContext { sender: account("mallory"), ..original.context };
    let forged = Stamp { context, ..original };
    let refused = restamp(&platform.keys, &post.commitment, &forged, &account("mallory"), &dest);
    assert_eq!(refused, Err(RestampError::BadStamp));
    let unknown = Stamp { kid: 99, ..original };
    assert_eq!(
        restamp(&platform.keys, &post.commitment, &unknown, &alice.account(), &dest),
        Err(RestampError::UnknownKey)
    );
}

/// Mallory's own message, with Alice in its header: it commits to Alice, and is stamped for Mallory.
#[test]
fn t09_header_that_names_a_victim() {
    let (mut platform, _, mut bob) = pair(109);
    let mut imposter = Device::new("alice", 1, Destination::Direct(account("bob")), 77);
    let mut post = imposter.send(&mut platform, "as if from Alice");
    post.stamp = platform.stamp(account("mallory"), Destination::Direct(account("bob")), &post.commitment);
    // Over Mallory's session the header is Mallory's, whatever was committed to.
    post.from.account = account("mallory");
    let mut from_mallory = Device::new("bob", 1, Destination::Direct(account("mallory")), 78);
    assert_eq!(from_mallory.receive(&post, platform.now).unwrap_err(), FrameError::Commitment);
    // Over a session that says Alice, the stamp says Mallory.
    post.from.account = account("alice");
    assert_eq!(bob.receive(&post, platform.now).unwrap_err(), FrameError::StampContext);
    // Together with Bob: the evidence takes no stamp that names another.
    let mut evidence = imposter.log[0].0.clone();
    assert!(evidence.attach(&Stamp::parse(&post.stamp).unwrap()).is_err());
}

/// A member sends Alice's ciphertext and commitment as its own submission.
#[test]
fn t10_group_spoof() {
    let (mut platform, mut devices) = members(&["alice", "bob", "mallory"], 110);
    let mut bob = devices.remove(1);
    let genuine = devices[0].send(&mut platform, "from alice");
    let stamp = platform.stamp(account("mallory"), Destination::Group(group()), &genuine.commitment);
    let spoofed = Post { stamp, ..genuine.clone() };
    // By the sender key the author is Alice, by the stamp Mallory; and nothing has changed.
    assert_eq!(bob.receive(&spoofed, platform.now).unwrap_err(), FrameError::StampContext);
    assert_eq!(bob.receive(&genuine, platform.now).unwrap().status, ChainStatus::Next);
    // By Mallory's own sender key: Alice's commitment is not to a message of Mallory's.
    let from = devices[1].peer;
    assert_eq!(bob.receive(&Post { from, ..spoofed }, platform.now).unwrap_err(), FrameError::Commitment);
}

/// Bob provokes, Alice answers, Bob reports the answer alone. Four ways to hide the provocation.
#[test]
fn t11_hiding_ones_own_provocation() {
    let (mut platform, mut alice, mut bob) = pair(111);
    let hello = bob.send(&mut platform, "hello");
    deliver(&platform, &mut alice, &hello);
    let fork_point = bob.state.clone();
    let provocation = bob.send(&mut platform, "provocation");
    deliver(&platform, &mut alice, &provocation);
    let answer = alice.send(&mut platform, "answer");
    deliver(&platform, &mut bob, &answer);
    let later = bob.send(&mut platform, "later");
    deliver(&platform, &mut alice, &later);
    // Left out: a gap, and what Alice had seen is not there.
    let verdict = platform.verify(bob.account(), &bob.report(|at, _| at != 1)).unwrap();
    assert!(
        verdict
            .findings
            .iter()
            .any(|f| matches!(f, Finding::Gap { owner, from: 1, to: 1, .. } if *owner == bob.account()))
    );
    // Left out with everything after it: Alice's message names it.
    let verdict = platform.verify(bob.account(), &bob.report(|at, _| at == 2)).unwrap();
    let names_it =
        |f: &Finding| matches!(f, Finding::Undisclosed { claimed_by, seq: 1, .. } if *claimed_by == alice.account());
    assert!(verdict.findings.iter().any(names_it));
    // Its number used again for something nice: Alice has refused it, and named the other one.
    let mut nice = Device {
        state: fork_point,
        log: bob.log[..1].to_vec(),
        ..Device::new("bob", 1, Destination::Direct(account("alice")), 5)
    };
    let post = nice.send(&mut platform, "have a nice day");
    assert!(matches!(alice.receive(&post, platform.now).unwrap_err(), FrameError::Fork(_)));
    nice.log.push(bob.log[2].clone());
    let verdict = platform.verify(bob.account(), &nice.report_all()).unwrap();
    assert!(
        verdict
            .findings
            .iter()
            .any(|f| matches!(f, Finding::SeenMismatch { claimed_by, seq: 1, .. } if *claimed_by == alice.account()))
    );
    // With both: equivocation, and Bob is to blame for it.
    nice.log.push(bob.log[1].clone());
    let verdict = platform.verify(bob.account(), &nice.report_all()).unwrap();
    let blamed: Vec<_> = blaming(&verdict).iter().filter_map(Finding::blames).collect();
    assert_eq!(blamed, [bob.account()]);
    // From a second device, left out with all of its chain: named all the same.
    let mut tablet = Device::new("bob", 2, Destination::Direct(account("alice")), 6);
    let post = tablet.send(&mut platform, "provocation from the tablet");
    deliver(&platform, &mut alice, &post);
    deliver(&platform, &mut bob, &post);
    let answer = alice.send(&mut platform, "another answer");
    deliver(&platform, &mut bob, &answer);
    let hidden = bob.log.len() - 2;
    let verdict = platform.verify(bob.account(), &bob.report(|at, _| at != hidden)).unwrap();
    assert!(verdict.findings.iter().any(|f| matches!(f, Finding::Undisclosed { seq: 0, .. })));
    // A new chain for everything after it: the old one stays open at its end, and Alice has seen more of it.
    bob.state.renew(&mut platform.rng);
    let post = bob.send(&mut platform, "on a new chain");
    deliver(&platform, &mut alice, &post);
    let answer = alice.send(&mut platform, "third answer");
    deliver(&platform, &mut bob, &answer);
    let from = bob.log.len() - 2;
    let verdict = platform.verify(bob.account(), &bob.report(|at, _| at >= from || at == 0)).unwrap();
    assert!(verdict.findings.iter().any(|f| matches!(f, Finding::OpenEnd { last: 0, .. })));
}

#[test]
fn t12_window_cut_without_boundaries() {
    let (mut platform, mut alice, mut bob) = pair(112);
    for round in 0..6 {
        let post = alice.send(&mut platform, &format!("a{round}"));
        deliver(&platform, &mut bob, &post);
        let post = bob.send(&mut platform, &format!("b{round}"));
        deliver(&platform, &mut alice, &post);
    }
    let cut = platform.verify(bob.account(), &bob.report(|at, _| (4..8).contains(&at))).unwrap();
    let count = |verdict: &subrosa::platform::Verdict, is: fn(&Finding) -> bool| {
        verdict.findings.iter().filter(|finding| is(finding)).count()
    };
    let open_start = |f: &Finding| matches!(f, Finding::OpenStart { .. });
    let open_end = |f: &Finding| matches!(f, Finding::OpenEnd { .. });
    assert_eq!((count(&cut, open_start), count(&cut, open_end)), (2, 2));
    // What was seen of before the cut is named, too.
    assert!(count(&cut, |f| matches!(f, Finding::Undisclosed { .. })) > 0);
    let closed = platform.verify(bob.account(), &bob.report_window(4..8)).unwrap();
    assert_eq!(closed.findings, []);
    assert_eq!((closed.messages.len(), closed.claimed_boundaries), (8, (true, true)));
    // The flags alone prove nothing.
    let at_flags = |report: &[u8]| report.len() - 3;
    let mut lied = bob.report(|at, _| (4..8).contains(&at));
    let at = at_flags(&lied);
    lied[at] = 3;
    let verdict = platform.verify(bob.account(), &lied).unwrap();
    assert_eq!((verdict.claimed_boundaries, verdict.findings), ((true, true), cut.findings));
}
