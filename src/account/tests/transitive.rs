//! Whoever slept over a roster comes to the same verdict as who saw it.

use proptest::prelude::*;

use super::common::*;
use crate::account::*;
use crate::ident::Timestamp;

/// What a primary does, or a thief with its key.
#[derive(Debug, Clone)]
enum Act {
    Renew,
    Add,
    Remove(u8),
    Recovery,
    Primary(u8),
    Delete,
    Above(u32),
    Later(u32),
    /// By hand: any version, date, last device and list of recovery keys, a removed device, another key under an id.
    Forge {
        version: i8,
        issued: i32,
        last_device: i8,
        named: u8,
        device: u8,
        number: u8,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Renew),
        Just(Act::Add),
        any::<u8>().prop_map(Act::Remove),
        Just(Act::Recovery),
        any::<u8>().prop_map(Act::Primary),
        Just(Act::Delete),
        (0u32..1 << 20).prop_map(Act::Above),
        (0u32..1_000_000).prop_map(Act::Later),
        (any::<i8>(), any::<i32>(), -40i8..40, 0u8..8, 0u8..6, 0u8..6).prop_map(
            |(version, issued, last_device, named, device, number)| Act::Forge {
                version,
                issued,
                last_device,
                named,
                device,
                number
            }
        ),
    ]
}

fn moved(value: u64, by: i64) -> u64 {
    value.saturating_add_signed(by)
}

/// What comes of it; the roster as it was, if nothing does.
fn done(roster: &Roster, now: &mut u64, act: &Act) -> Roster {
    let owner = account(1);
    let next = roster.next(Timestamp::new(*now));
    let at = |index: u8| roster.devices()[usize::from(index) % roster.devices().len()].id();
    let next = match act {
        Act::Renew => next,
        Act::Add => {
            let id = u8::try_from(roster.last_device().get() % 90 + 1).unwrap();
            next.link(device(&owner, id))
        }
        Act::Remove(index) => next.remove(at(*index)),
        Act::Recovery => next.name_recovery(*words(u8::try_from(roster.version() % 200).unwrap() + 10).public()),
        Act::Primary(index) => next.hand_over(at(*index)),
        Act::Delete => next.delete(),
        Act::Above(by) => next.above(roster.version() + u64::from(*by)),
        Act::Later(by) => {
            *now += u64::from(*by);
            next
        }
        Act::Forge { version, issued, last_device, named, device, number } => {
            let forged = forged(roster, &owner, |body| {
                body.version = moved(body.version, (*version).into()).max(1);
                body.issued_ms = moved(body.issued_ms, (*issued).into());
                body.last_device = body.last_device.saturating_add_signed((*last_device).into());
                if *named < 4 && body.recoveries.len() < 4 {
                    body.recoveries
                        .push((words(200 + named).public().to_bytes(), body.issued_ms - u64::from(*named % 3)));
                } else if *named == 5 {
                    body.recoveries.pop();
                }
                if *device > 0 {
                    body.devices.retain(|entry| entry.device != u32::from(*device));
                    body.devices.push(with_key(&owner, *device, *number).entry());
                    body.devices.sort_by_key(|entry| entry.device);
                }
            });
            return verified(&forged).unwrap_or_else(|_| roster.clone());
        }
    };
    next.sign(&owner).unwrap_or_else(|_| roster.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn follows_is_transitive(acts in prop::collection::vec(act(), 2..7)) {
        let (mut rosters, mut now) = (std::vec![first(1)], NOW.get());
        for act in &acts {
            let next = done(rosters.last().unwrap(), &mut now, act);
            rosters.push(next);
        }
        let follows = |new: &Roster, old: &Roster| new.follows(old).is_ok();
        let mut met = 0;
        for one in &rosters {
            for two in rosters.iter().filter(|two| follows(two, one)) {
                for three in rosters.iter().filter(|three| follows(three, two)) {
                    if three.version() - one.version() <= 1 << 20 {
                        prop_assert_eq!(three.follows(one), Ok(()), "{:?}", acts);
                        met += 1;
                    }
                }
            }
        }
        // Not empty, mostly: acts of the owner alone give a chain.
        let honest = acts.iter().take_while(|act| matches!(act, Act::Renew | Act::Later(_))).count();
        prop_assert!(honest < 2 || met > 0);
    }
}
