//! The attacks on content, encodings and the stamp's absence, each under its number: docs/reports.md lists them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

#[path = "support/framing.rs"]
mod framing;

use std::collections::BTreeSet;

use framing::{Device, START, account, deliver, pair};
use subrosa::ident::Timestamp;
use subrosa::platform::{Finding, RejectReason, Verdict, VerifyReportError};
use subrosa::report::{
    AfterDeletion, ChainStatus, Commitment, Deletion, Destination, Evidence, FrameError, FramingPolicy, MAX_STAMPS,
    MessageAction, MessagePolicy, MissingStamp, Part, PartKind, Reveal, RuleError, Ruling, Stamp, StampStatus,
    TargetMessage, Unframed, refuse_unframed, rule,
};
use subrosa::wire::{Content, UnknownPayload};

fn has(verdict: &Verdict, is: impl Fn(&Finding) -> bool) -> bool {
    verdict.findings.iter().any(is)
}

#[test]
fn t14_edit_and_delete() {
    let (mut platform, mut alice, mut bob) = pair(115);
    let original = alice.send(&mut platform, "abuse");
    let edit = alice.send_parts(&mut platform, &[Part::edit_of(&original.commitment), Part::text("flowers")]);
    let deletion = alice.send_parts(&mut platform, &[Part::delete_of(&original.commitment)]);
    for post in [&original, &edit, &deletion] {
        let accepted = deliver(&platform, &mut bob, post);
        let target = TargetMessage { author: alice.account(), deleted: false, policy: MessagePolicy::default() };
        let ruling = rule(&accepted.parts, accepted.evidence.header().sender(), |_| Some(target));
        assert!(matches!(ruling, Ok(Ruling::Do(_))));
    }
    // All three stand in the report, as three stamped messages.
    let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    assert_eq!(framing::texts(&verdict)[0], "abuse");
    assert_eq!(verdict.messages.len(), 3);
    // The evidence outlives the deletion, for a day.
    let (policy, now) = (FramingPolicy::default(), Timestamp::new(START));
    assert_eq!(policy.after(Deletion::Remote, now), AfterDeletion::HoldUntil(Timestamp::new(START + 86_400_000)));
    assert_eq!(policy.after(Deletion::ViewOnce, now), AfterDeletion::HoldUntil(Timestamp::new(START + 86_400_000)));
    assert_eq!(policy.after(Deletion::Expired, now), AfterDeletion::HoldUntil(Timestamp::new(START + 86_400_000)));
    assert_eq!(policy.after(Deletion::Local, now), AfterDeletion::Reduce);
    assert_eq!(policy.with_erase(true).after(Deletion::Local, now), AfterDeletion::Erase);
    // After it, what remains still holds the chain together.
    bob.log[0].0 = bob.log[0].0.reduce();
    let verdict = platform.verify(bob.account(), &bob.report_all()).unwrap();
    assert!(!has(&verdict, |f| matches!(f, Finding::Gap { .. })) && framing::texts(&verdict)[0] != "abuse");
}

/// Who may edit, delete and react.
#[test]
fn t14_only_authors_edit_and_delete() {
    let (alice, mallory, id) = (account("alice"), account("mallory"), Commitment::new([1; 32]));
    let target = TargetMessage { author: alice, deleted: false, policy: MessagePolicy::default() };
    let edit = [Part::edit_of(&id), Part::text("x")];
    let delete = [Part::delete_of(&id)];
    let react = [Part::reaction(&id, "\u{1f44d}")];
    for parts in [edit.as_slice(), &delete] {
        assert!(matches!(rule(parts, &alice, |_| Some(target)), Ok(Ruling::Do(_))));
        assert_eq!(rule(parts, &mallory, |_| Some(target)), Err(RuleError::NotAuthor));
        assert!(matches!(rule(parts, &mallory, |_| None), Ok(Ruling::Wait(_))));
        let deleted = TargetMessage { deleted: true, ..target };
        assert_eq!(rule(parts, &alice, |_| Some(deleted)), Err(RuleError::Deleted));
    }
    assert_eq!(rule(&react, &mallory, |_| Some(target)), Ok(Ruling::Do(MessageAction::React(id))));
    let once = TargetMessage { policy: MessagePolicy { view_once: true, ..target.policy }, ..target };
    assert_eq!(rule(&edit, &alice, |_| Some(once)), Err(RuleError::ViewOnce));
    assert!(rule(&delete, &alice, |_| Some(once)).is_ok());
    let answer = [Part::quote(&id), Part::text("x")];
    assert_eq!(rule(&answer, &mallory, |_| None), Ok(Ruling::Do(MessageAction::Say { quote: Some(id) })));
    // Parts that do not go together make no message, on either side.
    let (mut platform, mut alice, _) = pair(116);
    for parts in [
        vec![Part::edit_of(&id)],
        vec![Part::edit_of(&id), Part::delete_of(&id)],
        vec![Part::delete_of(&id), Part::text("x")],
        vec![Part::reaction(&id, "a"), Part::reaction(&id, "b")],
        vec![Part::quote(&id)],
        vec![Part::policy(&MessagePolicy::default()), Part::policy(&MessagePolicy::default()), Part::text("x")],
        vec![Part::edit_of(&id), Part::text("x"), Part::policy(&MessagePolicy::default())],
        vec![Part::new(PartKind::TEXT, vec![0xff])],
        vec![Part::new(PartKind::QUOTE, vec![0; 31]), Part::text("x")],
        vec![Part::new(PartKind::POLICY, vec![1, 2, 0, 0, 0, 0, 0, 0]), Part::text("x")],
        vec![Part::new(PartKind::GROUP_META, vec![3])],
        vec![Part::reaction(&id, &"x".repeat(65))],
    ] {
        assert!(alice.state.seal(&parts, Timestamp::new(START), &mut platform.rng).is_err(), "{parts:?}");
    }
}

#[test]
fn t15_downgrade_to_an_unframed_class() {
    for content in [
        Content::App(b"a sticker, a profile name, the name of a call".to_vec()),
        Content::Unknown(UnknownPayload::new(99, b"tomorrow's content".to_vec()).unwrap()),
    ] {
        assert_eq!(refuse_unframed(&content), Err(Unframed));
    }
    for content in
        [Content::Framed(vec![]), Content::GroupChange(vec![]), Content::Receipt(vec![]), Content::Roster(vec![])]
    {
        assert_eq!(refuse_unframed(&content), Ok(()));
    }
}

#[test]
fn t16_stamp_stripped_or_garbled() {
    let (mut platform, mut alice, mut bob) = pair(117);
    let post = alice.send(&mut platform, "hello");
    let (strict, lenient) =
        (FramingPolicy::default(), FramingPolicy::default().with_missing_stamp(MissingStamp::AllowUnreportable));
    let before = bob.state.clone();
    let now = Timestamp::new(platform.now);
    let garbled = &post.stamp[..118];
    let accept = |stamp, policy: &FramingPolicy| {
        let mut state = before.clone();
        state.accept(&post.from, &post.inner, &post.commitment, stamp, now, policy).map(|accepted| (accepted, state))
    };
    assert_eq!(accept(None, &strict).unwrap_err(), FrameError::MissingStamp);
    assert_eq!(accept(Some(garbled), &strict).unwrap_err(), FrameError::GarbledStamp);
    let (missing, state) = accept(None, &lenient).unwrap();
    assert_eq!((missing.stamp, missing.evidence.stamp()), (StampStatus::Missing, None));
    assert_eq!(accept(Some(garbled), &lenient).unwrap().0.stamp, StampStatus::Garbled);
    // When the stamp comes after all, the message can be reported.
    bob.state = state;
    let again = bob.receive(&post, platform.now).unwrap();
    assert_eq!((again.status, again.stamp), (ChainStatus::Duplicate, StampStatus::Stamped));
    let mut builder = subrosa::report::ReportBuilder::new(bob.account());
    builder.add(&again.evidence, &again.parts, Reveal::All).unwrap();
    assert!(platform.verify(bob.account(), &builder.build()).is_ok());
}

/// T16: a stamp that somebody between made up comes first, and the platform's with another copy. Both are kept, both are in
/// the report, and the platform knows its own; the made-up one alone proves nothing.
#[test]
fn t16_a_made_up_stamp_displaces_no_genuine_one() {
    let (mut platform, mut alice, mut bob) = pair(118);
    let post = alice.send(&mut platform, "hello");
    let mut made_up = post.stamp.clone();
    made_up[118] ^= 1;
    let first = bob.receive(&framing::Post { stamp: made_up.clone(), ..post.clone() }, platform.now).unwrap();
    assert_eq!(first.stamp, StampStatus::Stamped, "it claims to be");
    let report = |evidence: &Evidence| {
        let mut builder = subrosa::report::ReportBuilder::new(account("bob"));
        builder.add(evidence, &first.parts, Reveal::All).unwrap();
        builder.build()
    };
    assert_eq!(platform.refusal(bob.account(), &report(&first.evidence)), RejectReason::BadStamp);
    let mut evidence = first.evidence.clone();
    for stamp in [&post.stamp, &made_up, &post.stamp] {
        evidence.attach(&Stamp::parse(stamp).unwrap()).unwrap();
    }
    assert_eq!(evidence.stamps().len(), 2);
    let evidence = Evidence::from_bytes(&evidence.to_bytes()).unwrap();
    let verdict = platform.verify(bob.account(), &report(&evidence)).unwrap();
    assert_eq!(verdict.messages[0].platform_time, Stamp::parse(&post.stamp).unwrap().context.time);
    // Of two that the platform made, the earlier says more.
    platform.now += 5_000;
    let again = platform.stamp(alice.account(), Destination::Direct(bob.account()), &post.commitment);
    let mut late = first.evidence;
    late.attach(&Stamp::parse(&again).unwrap()).unwrap();
    late.attach(&Stamp::parse(&post.stamp).unwrap()).unwrap();
    assert_eq!(platform.verify(bob.account(), &report(&late)).unwrap().messages, verdict.messages);
    // There is an end to it, and what was there first stays.
    for time in 0..9 {
        let mut stamp = Stamp::parse(&post.stamp).unwrap();
        stamp.context.time = Timestamp::new(time);
        late.attach(&stamp).unwrap();
    }
    assert_eq!(late.stamps().len(), MAX_STAMPS);
    assert_eq!(platform.verify(bob.account(), &report(&late)).unwrap().messages, verdict.messages);
}

/// T7: a report that shows more of the same messages is another report.
#[test]
fn t07_a_report_is_named_by_what_it_shows() {
    let (mut platform, mut alice, mut bob) = pair(119);
    let post = alice.send_parts(&mut platform, &[Part::text("harmless"), Part::text("abuse")]);
    let accepted = deliver(&platform, &mut bob, &post);
    let id = |reveal| {
        let mut builder = subrosa::report::ReportBuilder::new(account("bob"));
        builder.add(&accepted.evidence, &accepted.parts, reveal).unwrap();
        platform.verify(account("bob"), &builder.build()).unwrap().report_id
    };
    let ids = [Reveal::HeaderOnly, Reveal::Parts(&[0]), Reveal::Parts(&[1]), Reveal::All].map(id);
    assert!((0..4).all(|at| !ids[..at].contains(&ids[at])));
    assert_eq!(id(Reveal::Parts(&[1, 0])), ids[3]);
}

#[test]
fn t18_encodings_do_not_collide() {
    let (mut platform, mut alice, _) = pair(119);
    let texts = |texts: &[&str]| texts.iter().map(|text| Part::text(text)).collect::<Vec<_>>();
    // Same chain state, same randomness, same clock: only the parts differ.
    let state = alice.state.clone();
    let mut commit = |parts: &[Part]| {
        let mut rng = framing::Platform::new(1).rng;
        alice.state = state.clone();
        *alice.state.seal(parts, Timestamp::new(START), &mut rng).unwrap().evidence.commitment()
    };
    let app = |number, body: &[u8]| Part::new(PartKind::new(number), body.to_vec());
    let commitments = [
        commit(&texts(&["ab", "c"])),
        commit(&texts(&["a", "bc"])),
        commit(&texts(&["abc"])),
        commit(&texts(&["abc", ""])),
        commit(&texts(&["", "abc"])),
        commit(&texts(&["c", "ab"])),
        commit(&[app(0x8000, b"abc")]),
        commit(&[app(0x8001, b"abc")]),
        commit(&[app(0x8000, b"abc\0")]),
    ];
    assert_eq!(commitments.iter().collect::<BTreeSet<_>>().len(), commitments.len());
    assert_eq!(commit(&texts(&["abc"])), commitments[2], "and alike is alike");
    // Keys of MACs have 32 bytes by type; a record or report with a shorter one is refused.
    let mut bob = Device::new("bob", 1, Destination::Direct(account("alice")), 1);
    let post = alice.send(&mut platform, "x");
    deliver(&platform, &mut bob, &post);
    let report = bob.report_all();
    let part = [0x22, 0x27, 0x08, 0x01, 0x12, 0x01, b'x', 0x1a, 0x20];
    let at = report.windows(part.len()).position(|window| window == part).unwrap();
    let mut shorter = report;
    shorter.remove(at + 9);
    for len in [3, at + 1, at + 8] {
        shorter[len] -= 1;
    }
    assert_eq!(platform.refusal(bob.account(), &shorter), RejectReason::Malformed);
}

/// Longer runs: the fuzz target `report`.
#[test]
fn t21_any_bytes() {
    let (mut platform, mut alice, mut bob) = pair(122);
    for text in ["one", "two"] {
        let post = alice.send(&mut platform, text);
        deliver(&platform, &mut bob, &post);
    }
    let report = bob.report_all();
    for len in 0..report.len() {
        assert!(platform.verify(bob.account(), &report[..len]).is_err(), "cut to {len}");
    }
    for at in 0..report.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut altered = report.clone();
            altered[at] = value;
            let _ = platform.verify(bob.account(), &altered);
        }
    }
    // A few bytes must not become many: items and parts are counted before they are decoded.
    let bomb: Vec<u8> = [&[0x08, 0x01][..], &[0x12, 0x00].repeat(2_000)].concat();
    assert_eq!(platform.verify(bob.account(), &bomb), Err(VerifyReportError::TooLong));
    let parts = [0x22, 0x00].repeat(65);
    let bomb = [&[0x08, 0x01, 0x12, 0x82, 0x01][..], &parts].concat();
    assert_eq!(platform.verify(bob.account(), &bomb), Err(VerifyReportError::TooLong));
    assert_eq!(platform.verify(bob.account(), &vec![0; (16 << 20) + 1]), Err(VerifyReportError::TooLong));
}

/// Whoever has the report cannot tell "yes" from "no" in a part that was kept back.
#[test]
fn t22_brute_force_of_a_hidden_part() {
    let (mut platform, mut alice, mut bob) = pair(123);
    let parts = [Part::text("Will you?"), Part::text("yes")];
    let post = alice.send_parts(&mut platform, &parts);
    deliver(&platform, &mut bob, &post);
    let mut builder = subrosa::report::ReportBuilder::new(bob.account());
    builder.add(&bob.log[0].0, &parts, Reveal::Parts(&[0])).unwrap();
    let report = builder.build();
    // All that is 32 bytes long in the report, tried as a key for either answer in either place. None gives anything
    // that is in the report.
    let windows: BTreeSet<&[u8]> = report.windows(32).collect();
    for key in &windows {
        for guess in ["yes", "no"] {
            for index in 0u16..2 {
                let message = [
                    b"\x0bfrank1/part",
                    &index.to_be_bytes()[..],
                    &[0, 1, 0, 0, 0],
                    &[u8::try_from(guess.len()).unwrap()],
                    guess.as_bytes(),
                ]
                .concat();
                assert!(!windows.contains(hmac_sha256(key, &message).as_slice()));
            }
        }
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}
