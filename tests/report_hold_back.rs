//! The edge that docs/reports.md, 9.4, calls a deliberate hold-back: an author keeps a numbered message back, sends a
//! later number first, and has the kept one stamped and delivered afterwards. What is found of it, what is not, and
//! that a complete `conv_seq` finds all of it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

#[path = "support/framing.rs"]
mod framing;

use std::collections::BTreeMap;

use framing::{Device, Platform, Post, blaming, deliver, pair};
use subrosa::ident::Timestamp;
use subrosa::platform::{Finding, MessageOrder, Verdict, VerifiedMessage};
use subrosa::report::{
    AccountTag, ChainStatus, ChainTag, Commitment, Evidence, Part, ReportBuilder, Reveal, WindowSide,
};

const HOUR: u64 = 3_600_000;

/// What the author's clock says of the message that it kept back.
#[derive(Clone, Copy, PartialEq)]
enum Claim {
    WhenItWasWritten,
    WhenItWasDelivered,
}

struct HeldBack {
    platform: Platform,
    alice: AccountTag,
    bob: Device,
    held: Commitment,
}

/// Alice writes 0, keeps 1 back, sends 2, 3, an hour later 1, then 4. Bob's second message crosses her 2.
fn held_back(mut platform: Platform, claim: Claim) -> HeldBack {
    let (_, mut alice, mut bob) = pair(140);
    let exchange = |platform: &mut Platform, from: &mut Device, to: &mut Device, text: &str| {
        let post = from.send(platform, text);
        deliver(platform, to, &post).status
    };
    assert_eq!(exchange(&mut platform, &mut alice, &mut bob, "a0"), ChainStatus::Next);
    exchange(&mut platform, &mut bob, &mut alice, "b0");
    let claimed = platform.now + if claim == Claim::WhenItWasDelivered { HOUR } else { 0 };
    let kept = alice.state.seal(&[Part::text("a1")], Timestamp::new(claimed), &mut alice.rng).unwrap();
    let held = *kept.evidence.commitment();
    let crossed = alice.send(&mut platform, "a2");
    let crossing = bob.send(&mut platform, "b1");
    assert_eq!(deliver(&platform, &mut bob, &crossed).status, ChainStatus::Gap { missing: 1 });
    deliver(&platform, &mut alice, &crossing);
    exchange(&mut platform, &mut bob, &mut alice, "b2");
    exchange(&mut platform, &mut alice, &mut bob, "a3");
    platform.now += HOUR;
    let stamp = platform.stamp(alice.account(), *alice.state.dest(), &held);
    let post = Post { from: alice.peer, commitment: held, inner: kept.inner, stamp };
    let accepted = deliver(&platform, &mut bob, &post);
    // That is all the receiver's application is told: it was missing, and has come.
    assert_eq!((accepted.status, accepted.stamped_before), (ChainStatus::Late, vec![]));
    exchange(&mut platform, &mut bob, &mut alice, "b3");
    exchange(&mut platform, &mut alice, &mut bob, "a4");
    exchange(&mut platform, &mut bob, &mut alice, "b4");
    // Nothing names it: heads are named, and it never was one.
    assert!(bob.log.iter().all(|(evidence, _)| evidence.header().seen().iter().all(|seen| seen.commitment != held)));
    HeldBack { platform, alice: alice.account(), bob, held }
}

fn time(evidence: &Evidence) -> Timestamp {
    evidence.stamp().unwrap().context.time
}

/// Everything is reported. Without a counter the message stands where its number says, and its late stamp is the only
/// trace; a wrong clock makes it a finding.
#[test]
fn hold_back_alone_is_seen_in_its_stamp_only() {
    for claim in [Claim::WhenItWasWritten, Claim::WhenItWasDelivered] {
        let case = held_back(Platform::new(140), claim);
        let verdict = case.platform.verify(case.bob.account(), &case.bob.report_all()).unwrap();
        let place = |text: &str| framing::texts(&verdict).iter().position(|shown| shown == text).unwrap();
        assert!(place("a0") < place("a1") && place("a1") < place("a2"), "in the order of its chain");
        let stamped = |text: &str| verdict.messages[place(text)].platform_time;
        assert!(stamped("a1") > stamped("a3"), "and its time says otherwise");
        // The newest messages of both are open ends, as always. Besides:
        let found: Vec<_> = verdict.findings.iter().filter(|f| !matches!(f, Finding::OpenEnd { .. })).collect();
        match claim {
            Claim::WhenItWasWritten => {
                assert!(matches!(found[..], [Finding::TimeAnomaly { message, .. }] if *message == case.held));
            }
            Claim::WhenItWasDelivered => assert_eq!(found, Vec::<&Finding>::new()),
        }
        assert_eq!((blaming(&verdict), verdict.order), (vec![], MessageOrder::Causal));
    }
}

/// With a counter it is found, whatever its author's clock claims: the chain runs against the counter.
#[test]
fn hold_back_is_found_by_a_complete_counter() {
    for claim in [Claim::WhenItWasWritten, Claim::WhenItWasDelivered] {
        let case = held_back(Platform::counting(140), claim);
        let verdict = case.platform.verify(case.bob.account(), &case.bob.report_all()).unwrap();
        assert_eq!(verdict.order, MessageOrder::PlatformTotal);
        let violations: Vec<_> = verdict
            .findings
            .iter()
            .filter_map(|finding| match finding {
                Finding::OrderViolation { owner, seq, .. } => Some((*owner, *seq)),
                _ => None,
            })
            .collect();
        // 2 and 3 were counted before 1.
        assert_eq!(violations, [(case.alice, 2), (case.alice, 3)]);
        assert_eq!(blaming(&verdict), [], "a repair looks the same");
    }
}

/// What became of a message that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Omission {
    Found,
    WindowEdge,
    OpenEnd,
    /// The message that was held back, of a chain whose start a higher number closes.
    BelowAClosedStart,
    /// A message of a chain whose end is closed by the one that was held back.
    BehindTheHeldBack,
}

fn judge(case: &HeldBack, left_out: &VerifiedMessage, verdict: &Verdict) -> Omission {
    let open = || verdict.messages.iter().filter(|message| message.open_parts().next().is_some());
    let times = || open().map(|message| message.platform_time);
    let inside = times().min() < Some(left_out.platform_time) && Some(left_out.platform_time) < times().max();
    if open().next().is_none() || !inside {
        return Omission::WindowEdge;
    }
    let (sender, (chain, number)) = (left_out.sender, left_out.place);
    let tag = ChainTag::of(&sender, &chain);
    let of_it = |owner: &AccountTag, of: &_| (*owner, *of) == (sender, chain);
    let found = verdict.findings.iter().any(|finding| match finding {
        Finding::Gap { owner, chain, from, to } => of_it(owner, chain) && (*from..=*to).contains(&number),
        Finding::OpenStart { owner, chain, first } => of_it(owner, chain) && number < *first,
        Finding::Undisclosed { chain, seq, .. } => *chain == tag && *seq >= number,
        _ => false,
    });
    if found {
        return Omission::Found;
    }
    let open_end = |finding: &Finding| matches!(finding, Finding::OpenEnd { owner, chain, last } if of_it(owner, chain) && number > *last);
    if verdict.findings.iter().any(open_end) {
        return Omission::OpenEnd;
    }
    let shown = || verdict.messages.iter().filter(|message| of_it(&message.sender, &message.place.0));
    let (first, last) = (shown().min_by_key(|m| m.place.1).unwrap(), shown().max_by_key(|m| m.place.1).unwrap());
    if left_out.commitment == case.held && first.place.1 > number {
        return Omission::BelowAClosedStart;
    }
    assert!(last.commitment == case.held && last.place.1 < number, "unnoticed: {left_out:?} {:?}", verdict.findings);
    Omission::BehindTheHeldBack
}

/// Reports of messages of a verdict, but for one; with the first and the last of each chain besides, if wanted.
fn without(case: &HeldBack, whole: &Verdict, left_out: &Commitment, with_both_ends: bool) -> Verdict {
    let mut builder = ReportBuilder::new(case.bob.account());
    let find = |wanted: &Commitment| case.bob.log.iter().find(|(evidence, _)| evidence.commitment() == wanted).unwrap();
    for message in whole.messages.iter().filter(|message| message.commitment != *left_out) {
        let (evidence, parts) = find(&message.commitment);
        let open = message.open_parts().next().is_some();
        builder.add(evidence, parts, if open { Reveal::All } else { Reveal::HeaderOnly }).unwrap();
    }
    if with_both_ends {
        let mut ends = BTreeMap::new();
        for (evidence, _) in &case.bob.log {
            let header = evidence.header();
            ends.entry(header.chain_tag()).or_insert_with(BTreeMap::new).insert(header.seq(), evidence);
        }
        for chain in ends.values() {
            for end in [chain.first_key_value(), chain.last_key_value()] {
                let evidence = *end.unwrap().1;
                if evidence.commitment() != left_out {
                    builder.boundary(evidence, WindowSide::Before).unwrap();
                }
            }
        }
    }
    case.platform.verify(case.bob.account(), &builder.build()).unwrap()
}

/// Every window of the conversation, every message of it left out. All are found but for the edges of 9.4, each met as
/// often as here; and those are found, too, once the chain's other end is given.
#[test]
fn p7_hold_back_leaves_two_edges() {
    // The author's choice of clock does not matter here.
    let case = held_back(Platform::new(140), Claim::WhenItWasDelivered);
    let (mut count, mut closed) = (BTreeMap::new(), 0);
    for start in 0..case.bob.log.len() {
        for end in start + 1..=case.bob.log.len() {
            let report = case.bob.report_window(start..end);
            let whole = case.platform.verify(case.bob.account(), &report).unwrap();
            for left_out in whole.messages.iter().filter(|_| whole.messages.len() > 1) {
                let omission = judge(&case, left_out, &without(&case, &whole, &left_out.commitment, false));
                *count.entry(omission).or_insert(0) += 1;
                if matches!(omission, Omission::BelowAClosedStart | Omission::BehindTheHeldBack) {
                    let verdict = without(&case, &whole, &left_out.commitment, true);
                    assert_eq!(judge(&case, left_out, &verdict), Omission::Found, "{left_out:?}");
                    closed += 1;
                }
            }
        }
    }
    println!("{count:?}, {closed} closed");
    assert_eq!(count[&Omission::BelowAClosedStart] + count[&Omission::BehindTheHeldBack], closed);
    assert_eq!(
        count.into_iter().collect::<Vec<_>>(),
        [
            (Omission::Found, 112),
            (Omission::WindowEdge, 262),
            (Omission::BelowAClosedStart, 6),
            (Omission::BehindTheHeldBack, 2)
        ]
    );
}

/// With the platform's counter, and no number missing between a report's first and its last: whichever is left out, the
/// order is no longer the platform's.
#[test]
fn p7_a_complete_counter_leaves_no_edge_but_the_window() {
    let case = held_back(Platform::counting(140), Claim::WhenItWasDelivered);
    let mut counted: Vec<_> = case.bob.log.iter().collect();
    counted.sort_by_key(|(evidence, _)| evidence.stamp().unwrap().context.conv_seq);
    assert!(counted.is_sorted_by_key(|(evidence, _)| time(evidence)));
    let verdict = |chosen: &[&(Evidence, Vec<Part>)]| {
        let mut builder = ReportBuilder::new(case.bob.account());
        for (evidence, parts) in chosen {
            builder.add(evidence, parts, Reveal::All).unwrap();
        }
        case.platform.verify(case.bob.account(), &builder.build()).unwrap()
    };
    let mut left_out = 0;
    for start in 0..counted.len() {
        for end in start + 3..=counted.len() {
            let window = &counted[start..end];
            assert_eq!(verdict(window).order, MessageOrder::PlatformTotal);
            for at in 1..window.len() - 1 {
                let rest = [&window[..at], &window[at + 1..]].concat();
                assert_eq!(verdict(&rest).order, MessageOrder::Causal, "{at} of {start}..{end}");
                left_out += 1;
            }
        }
    }
    assert_eq!(left_out, 120);
}
