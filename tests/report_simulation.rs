//! Random conversations, one to one and in groups, with several devices, loss, reordering, retries, repairs and
//! deletions: honest reports blame nobody, and nothing inside a window can be left out, altered or added unnoticed, but
//! for the edges that docs/reports.md names. Those are counted.
//!
//! `SUBROSA_SEED` starts elsewhere, `SUBROSA_RUNS` runs longer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]
#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]

#[path = "support/framing.rs"]
mod framing;

use std::collections::BTreeSet;

use framing::{Device, Platform, Post, account, blaming, group};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use subrosa::platform::{Finding, RejectReason, Verdict};
use subrosa::report::{ChainTag, Commitment, Destination, FrameError, Part, ReportBuilder, Reveal};

fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
    usize::try_from(rng.next_u64() % u64::try_from(bound).unwrap()).unwrap()
}

fn chance(rng: &mut ChaCha20Rng, percent: usize) -> bool {
    below(rng, 100) < percent
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

struct Simulation {
    platform: Platform,
    devices: Vec<Device>,
    /// Messages that were stamped a second time.
    restamped: BTreeSet<Commitment>,
}

/// At most 60 messages.
fn run(seed: u64) -> Simulation {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let direct = chance(&mut rng, 50);
    let names: &[&str] = if direct { &["alice", "bob"] } else { &["alice", "bob", "carol", "dan"] };
    let mut devices = Vec::new();
    for name in names {
        for device in 0..=u32::from(chance(&mut rng, 40)) {
            let dest = match *name {
                _ if !direct => Destination::Group(group()),
                "alice" => Destination::Direct(account("bob")),
                _ => Destination::Direct(account("alice")),
            };
            devices.push(Device::new(name, device + 1, dest, rng.next_u64()));
        }
    }
    let mut platform = if chance(&mut rng, 30) { Platform::counting(seed) } else { Platform::new(seed) };
    let (loss, repair) = (below(&mut rng, 25), below(&mut rng, 8));
    // What is under way to each device; what was lost, and can be repaired.
    let mut under_way: Vec<Vec<Post>> = devices.iter().map(|_| Vec::new()).collect();
    let mut lost: Vec<Vec<Post>> = under_way.clone();
    let (mut restamped, mut sent) = (BTreeSet::new(), 0);
    while sent < 60 {
        let at = below(&mut rng, devices.len());
        match below(&mut rng, 10) {
            0..3 => {
                let post = devices[at].send(&mut platform, &format!("message {sent}"));
                sent += 1;
                for (to, queue) in under_way.iter_mut().enumerate().filter(|(to, _)| *to != at) {
                    let _ = to;
                    queue.push(post.clone());
                }
            }
            3..9 => {
                if under_way[at].is_empty() {
                    continue;
                }
                // Mostly in order, sometimes not.
                let next = if chance(&mut rng, 80) { 0 } else { below(&mut rng, under_way[at].len()) };
                let post = under_way[at].remove(next);
                if chance(&mut rng, loss) {
                    lost[at].push(post);
                    continue;
                }
                receive(&mut devices[at], &post, &platform);
                if chance(&mut rng, 10) {
                    receive(&mut devices[at], &post, &platform);
                }
            }
            _ if chance(&mut rng, 40) && !devices[at].log.is_empty() => {
                let which = below(&mut rng, devices[at].log.len());
                devices[at].log[which].0 = devices[at].log[which].0.reduce();
            }
            _ if chance(&mut rng, 10 * repair) && !lost[at].is_empty() => {
                let which = below(&mut rng, lost[at].len());
                let mut post = lost[at].remove(which);
                if chance(&mut rng, 50) {
                    // Its sender has no stamp to present.
                    platform.now += 200_000;
                    let dest = if direct {
                        Destination::Direct(account(if post.from.account == account("alice") {
                            "bob"
                        } else {
                            "alice"
                        }))
                    } else {
                        Destination::Group(group())
                    };
                    post.stamp = platform.stamp(post.from.account, dest, &post.commitment);
                    restamped.insert(post.commitment);
                }
                receive(&mut devices[at], &post, &platform);
            }
            _ => {}
        }
    }
    Simulation { platform, devices, restamped }
}

/// Honest peers are never refused but for lateness.
fn receive(device: &mut Device, post: &Post, platform: &Platform) {
    match device.receive(post, platform.now) {
        Ok(_) | Err(FrameError::TooOld) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// How often each of the edges was met, and how often something was noticed.
#[derive(Debug, Default)]
struct Count {
    noticed: usize,
    edge: usize,
    open_end: usize,
    unseen_chain: usize,
    late_stamp: usize,
    refused: usize,
}

#[test]
fn random_conversations() {
    let mut count = Count::default();
    let first = setting("SUBROSA_SEED", 0);
    for seed in first..first + setting("SUBROSA_RUNS", 150) {
        // Shown only if something fails.
        println!("seed {seed}");
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ 0xf00d);
        let Simulation { platform, devices, restamped } = run(seed);
        for device in &devices {
            if device.log.is_empty() {
                continue;
            }
            let whole = platform.verify(device.account(), &device.report_all()).unwrap();
            assert_eq!((blaming(&whole), whole.rejected.len()), (vec![], 0));
            let start = below(&mut rng, device.log.len());
            let end = start + 1 + below(&mut rng, device.log.len() - start);
            let report = device.report_window(start..end);
            let verdict = platform.verify(device.account(), &report).unwrap();
            assert_eq!((blaming(&verdict), verdict.rejected.len()), (vec![], 0));
            omissions(&platform, device, &verdict, &restamped, &mut count);
            spoils(&platform, device, &verdict, &mut rng, &mut count);
        }
    }
    println!("{count:?}");
    // Inside a window far more is noticed than not. (An edge is what lies at or outside the window: boundary items too.)
    assert!(count.noticed > 10 * (count.open_end + count.unseen_chain + count.late_stamp), "{count:?}");
    assert!(count.edge > 0 && count.open_end > 0 && count.late_stamp * 50 < count.noticed, "{count:?}");
    assert!(count.refused > 1_000, "{count:?}");
}

/// A report of some messages of a verdict, opened as they were there.
fn again(device: &Device, verdict: &Verdict, keep: impl Fn(&Commitment) -> bool) -> ReportBuilder {
    let mut builder = ReportBuilder::new(device.account());
    for message in verdict.messages.iter().filter(|message| keep(&message.commitment)) {
        let (evidence, parts) =
            device.log.iter().find(|(evidence, _)| *evidence.commitment() == message.commitment).unwrap();
        let reveal = if message.open_parts().next().is_some() { Reveal::All } else { Reveal::HeaderOnly };
        builder.add(evidence, parts, reveal).unwrap();
    }
    builder
}

/// Every message of a report left out, one at a time.
fn omissions(
    platform: &Platform,
    device: &Device,
    whole: &Verdict,
    restamped: &BTreeSet<Commitment>,
    count: &mut Count,
) {
    for left_out in &whole.messages {
        let builder = again(device, whole, |commitment| *commitment != left_out.commitment);
        let Ok(verdict) = platform.verify(device.account(), &builder.build()) else { continue };
        assert_eq!(blaming(&verdict), []);
        let open = || verdict.messages.iter().filter(|message| message.open_parts().next().is_some());
        let times =
            |messages: Vec<_>| messages.into_iter().map(|m: &subrosa::platform::VerifiedMessage| m.platform_time);
        let (t0, t1) = (times(open().collect()).min(), times(open().collect()).max());
        let inside = |at| t0.is_some_and(|t0| t0 < at) && t1.is_some_and(|t1| at < t1);
        if !inside(left_out.platform_time) {
            count.edge += 1;
            continue;
        }
        let (place, tag) = (left_out.place, ChainTag::of(&left_out.sender, &left_out.place.0));
        let of_chain = || verdict.messages.iter().filter(|m| m.sender == left_out.sender && m.place.0 == place.0);
        let noticed = verdict.findings.iter().any(|finding| match finding {
            Finding::Gap { owner, chain, from, to } => {
                (*owner, *chain) == (left_out.sender, place.0) && (*from..=*to).contains(&place.1)
            }
            Finding::OpenStart { owner, chain, first } => {
                (*owner, *chain) == (left_out.sender, place.0) && place.1 < *first
            }
            // Of a chain that is not there at all, any head that is named tells of it.
            Finding::Undisclosed { chain, seq, .. } => {
                *chain == tag && (*seq >= place.1 || of_chain().next().is_none())
            }
            _ => false,
        });
        let open_end = verdict.findings.iter().any(|finding| {
            matches!(finding, Finding::OpenEnd { owner, chain, last }
                if (*owner, *chain) == (left_out.sender, place.0) && place.1 > *last)
        });
        if noticed {
            count.noticed += 1;
        } else if open_end {
            count.open_end += 1;
        } else if of_chain().next().is_none() {
            // Nobody in the window had seen anything of it.
            let seen = device.log.iter().any(|(evidence, _)| {
                let at = evidence.stamp().unwrap().context.time;
                let shown = verdict.messages.iter().any(|message| message.commitment == *evidence.commitment());
                shown && inside(at) && evidence.header().seen().iter().any(|seen| seen.chain == tag)
            });
            assert!(!seen, "{left_out:?}");
            count.unseen_chain += 1;
        } else {
            // A message that was submitted again was stamped late: the chain seems to begin after it, or, where it is
            // the last one shown, to end behind it.
            let late = |commitment: &Commitment| restamped.contains(commitment);
            let first = of_chain().map(|message| message.place.1).min().unwrap();
            let before = first > place.1 && late(&left_out.commitment);
            let last = of_chain().max_by_key(|message| message.place.1).unwrap();
            let behind = last.place.1 < place.1 && late(&last.commitment);
            assert!(before || behind, "{left_out:?} {:?}", verdict.findings);
            count.late_stamp += 1;
        }
    }
}

/// A message twice, altered, of another conversation; and all of them in another order.
fn spoils(platform: &Platform, device: &Device, whole: &Verdict, rng: &mut ChaCha20Rng, count: &mut Count) {
    let honest = again(device, whole, |_| true).build();
    let base = platform.verify(device.account(), &honest).unwrap();
    let mut backwards = whole.clone();
    backwards.messages.reverse();
    let same = platform.verify(device.account(), &again(device, &backwards, |_| true).build());
    assert_eq!(same.unwrap().report_id, base.report_id, "whatever the order in the report");
    // One bit of it: refused, or it changes nothing.
    for _ in 0..20 {
        let mut altered = honest.clone();
        let bit = below(rng, altered.len() * 8);
        altered[bit / 8] ^= 1 << (bit % 8);
        match platform.verify(device.account(), &altered) {
            Err(_) => count.refused += 1,
            Ok(verdict) if verdict.rejected.is_empty() => assert_eq!(verdict.messages, base.messages),
            Ok(verdict) => {
                assert_eq!(verdict.rejected.len(), 1);
                assert!(verdict.messages.len() + 1 == base.messages.len());
                count.refused += 1;
            }
        }
    }
    // A message that the same account really got elsewhere, spliced in.
    let mut elsewhere = Device::new("eve", 1, Destination::Direct(device.account()), rng.next_u64());
    let mut other = Platform { keys: platform.keys.clone(), ..Platform::new(1) };
    let post = elsewhere.send(&mut other, "from another conversation");
    let mut here = Device::new("x", 1, Destination::Direct(account("eve")), 1);
    here.state = subrosa::report::ChainState::new(device.account(), Destination::Direct(account("eve")), rng);
    here.receive(&post, other.now).unwrap();
    let (evidence, parts) = &here.log[0];
    let mut builder = ReportBuilder::new(device.account());
    builder.add(evidence, &[Part::text("from another conversation")], Reveal::All).unwrap();
    assert_eq!(parts.len(), 1);
    let foreign = builder.build();
    // Both reports are `08 01`, items, `18 00 22 00`.
    let spliced = [&honest[..honest.len() - 4], &foreign[2..]].concat();
    let verdict = platform.verify(device.account(), &spliced).unwrap();
    assert_eq!(verdict.rejected, [(base.messages.len(), RejectReason::OtherConversation)]);
    let twice = [&honest[..honest.len() - 4], &honest[2..]].concat();
    if let Ok(verdict) = platform.verify(device.account(), &twice) {
        assert_eq!(verdict.rejected.len(), base.messages.len());
        assert!(verdict.rejected.iter().all(|(_, reject)| *reject == RejectReason::DuplicateInReport));
        assert_eq!((verdict.messages, verdict.report_id), (base.messages, base.report_id));
    }
}
