//! What somebody does who wants to be taken for somebody else, each by name.

use std::{vec, vec::Vec};

use super::common::*;
use crate::account::*;
use crate::ident::{DeviceId, Timestamp, UserId};
use crate::suite::{Suite, Suites};

fn follows(new: &[u8], old: &Roster) -> Result<(), FollowsError> {
    verified(new).unwrap().follows(old)
}

#[test]
fn ghost_device_in_a_forged_roster() {
    let (owner, thief) = (account(1), account(9));
    let roster = first(1);
    let ghost = device(&owner, 2).entry();
    // Signed by nobody, by a key that the server made, and under that key's own name.
    let unsigned = forged(&roster, &thief, |body| {
        (body.version, body.last_device) = (2, 2);
        body.devices.push(ghost.clone());
    });
    assert_eq!(verified(&unsigned), Err(RosterError::Signature));
    let theirs = Roster::first(&alice(), device(&thief, 1), None, NOW).sign(&thief).unwrap();
    let held = HeldRoster::first_sight(roster, NOW).unwrap();
    let taken = held.take(&carried(&theirs, vec![]), NOW);
    assert_eq!(taken, Err(TakeError::Changed(theirs.into())));
}

#[test]
fn roster_rolled_back() {
    let owner = account(1);
    let one = first(1);
    let two = one.next(NOW).link(device(&owner, 2)).sign(&owner).unwrap();
    let three = two.next(NOW).remove(DeviceId::new(2)).sign(&owner).unwrap();
    let held = HeldRoster::first_sight(three.clone(), NOW).unwrap();
    for old in [one, two] {
        assert_eq!(held.take(&carried(&old, vec![]), NOW), Err(TakeError::Follows(FollowsError::Older)));
    }
    assert_eq!(held.take(&carried(&three, vec![]), NOW), Err(TakeError::Follows(FollowsError::Same)));
}

#[test]
fn roster_forked() {
    let owner = account(1);
    let one = first(1);
    let two = one.next(NOW).link(device(&owner, 2)).sign(&owner).unwrap();
    let other = one.next(NOW).link(with_key(&owner, 2, 3)).sign(&owner).unwrap();
    let held = HeldRoster::first_sight(two.clone(), NOW).unwrap();
    let Err(TakeError::Fork(fork)) = held.take(&carried(&other, vec![]), NOW) else { panic!("a fork") };
    assert_eq!((fork.held(), fork.other()), (&two, &other));
    // It convinces whoever it is shown to, and is bound to the user.
    assert_eq!(RosterFork::parse(&fork.to_bytes(), &alice()).as_ref(), Ok(&*fork));
    assert_eq!(RosterFork::parse(&fork.to_bytes(), &UserId::new("bob").unwrap()), Err(RosterError::OtherUser));
    for no_fork in [(&two, &two), (&one, &two)] {
        assert_eq!(RosterFork::between(no_fork.0, no_fork.1), None);
        let bytes = crate::wire::join_two(no_fork.0.as_bytes(), no_fork.1.as_bytes());
        assert!(RosterFork::parse(&bytes, &alice()).is_err());
    }
    // A higher one that follows what is held ends it.
    let three = two.next(NOW).sign(&owner).unwrap();
    assert!(matches!(held.take(&carried(&three, vec![]), NOW), Ok(Taken::Newer(_))));
}

#[test]
fn roster_stale() {
    let roster = first(1);
    assert!(!roster.is_stale(days(45)) && roster.is_stale(Timestamp::new(days(45).get() + 1)));
    assert!(!roster.is_due(Timestamp::new(days(14).get() - 1)) && roster.is_due(days(14)));
    let leased = roster.next(days(46)).sign(&account(1)).unwrap();
    assert!(leased.follows(&roster).is_ok() && !leased.is_stale(days(46)) && leased.devices() == roster.devices());
    // A clock that is behind makes nothing stale.
    assert!(!roster.is_stale(Timestamp::new(0)));
}

#[test]
fn roster_from_the_future() {
    let owner = account(1);
    let ahead = first(1).next(days(1)).sign(&owner).unwrap();
    let too_far = first(1).next(Timestamp::new(days(1).get() + 1)).sign(&owner).unwrap();
    assert!(!ahead.is_from_future(NOW) && too_far.is_from_future(NOW));
    let held = HeldRoster::first_sight(first(1), NOW).unwrap();
    assert!(held.update(ahead, NOW).is_ok());
    assert_eq!(held.update(too_far.clone(), NOW), Err(TakeError::FromFuture));
    assert_eq!(HeldRoster::first_sight(too_far, NOW), Err(TakeError::FromFuture));
}

#[test]
fn roster_replayed_for_another_user() {
    let parsed = UnverifiedRoster::parse(first(1).as_bytes()).unwrap();
    assert_eq!(parsed.verify(&UserId::new("bob").unwrap()), Err(RosterError::OtherUser));
}

#[test]
fn removed_device_back_under_its_old_id() {
    let owner = account(1);
    let one = first(1);
    let two = one.next(NOW).link(device(&owner, 2)).sign(&owner).unwrap();
    let three = two.next(NOW).remove(DeviceId::new(2)).sign(&owner).unwrap();
    let again = three.next(NOW).link(device(&owner, 2)).sign(&owner);
    assert_eq!(again, Err(NextRosterError::Follows(FollowsError::OldDevice(DeviceId::new(2)))));
    let back = forged(&three, &owner, |body| {
        body.version = 4;
        body.devices.push(device(&owner, 2).entry());
    });
    assert_eq!(follows(&back, &three), Err(FollowsError::OldDevice(DeviceId::new(2))));
    assert_eq!(follows(&back, &two), Ok(()), "who never heard of the removal sees nothing but a device that stayed");
    // Another device under an id that is in use.
    let other = forged(&two, &owner, |body| {
        body.version = 4;
        body.devices.pop();
        body.devices.push(with_key(&owner, 2, 5).entry());
    });
    assert_eq!(follows(&other, &two), Err(FollowsError::DeviceKey(DeviceId::new(2))));
}

/// With its own new consent, and the primary's doing: told as a new device.
#[test]
fn removed_device_back_under_a_new_id() {
    let owner = account(1);
    let two = first(1).next(NOW).link(device(&owner, 2)).sign(&owner).unwrap();
    let three = two.next(NOW).remove(DeviceId::new(2)).sign(&owner).unwrap();
    let old_consent = forged(&three, &owner, |body| {
        (body.version, body.last_device) = (4, 3);
        body.devices.push(crate::wire::RosterEntry { device: 3, ..device(&owner, 2).entry() });
    });
    assert_eq!(verified(&old_consent), Err(RosterError::Consent(DeviceId::new(3))));
    let four = three.next(NOW).link(with_key(&owner, 3, 2)).sign(&owner).unwrap();
    let changes = four.changes_since(&three);
    assert_eq!((changes.added, changes.removed, changes.all_replaced), (vec![DeviceId::new(3)], vec![], false));
}

#[test]
fn device_claimed_by_another_account() {
    let claimer = account(2);
    let theirs = first(1).devices()[0].clone();
    let claimed = Roster::first(&alice(), with_key(&claimer, 1, 4), None, NOW).sign(&claimer).unwrap();
    let claimed = forged(&claimed, &claimer, |body| {
        body.last_device = 2;
        body.devices.push(crate::wire::RosterEntry { device: 2, ..theirs.entry() });
    });
    assert_eq!(verified(&claimed), Err(RosterError::Consent(DeviceId::new(2))));
    let refused = Roster::first(&alice(), theirs, None, NOW).sign(&claimer);
    assert_eq!(refused, Err(NextRosterError::Roster(RosterError::Consent(DeviceId::new(1)))));
}

#[test]
fn suites_stripped() {
    let owner = account(1);
    let roster = first(1);
    let mut stripped = device(&owner, 1).entry();
    stripped.suites = 1;
    let by_server = forged(&roster, &owner, |body| (body.version, body.devices) = (2, vec![stripped]));
    assert_eq!(verified(&by_server), Err(RosterError::Consent(DeviceId::new(1))));
    let mut rng = crate::support::rng(1);
    let signal =
        RosterDevice::consent(&alice(), DeviceId::new(1), Suites::SIGNAL, owner.public(), &identity(1), &mut rng);
    let by_device = forged(&roster, &owner, |body| (body.version, body.devices) = (2, vec![signal.entry()]));
    assert_eq!(follows(&by_device, &roster), Err(FollowsError::Downgrade(DeviceId::new(1))));
    assert!(roster.devices()[0].suites().contains(Suite::V1));
}

#[test]
fn last_device_exhausted() {
    let owner = account(1);
    let roster = first(1);
    let dated = |seconds: u64, version: u64, last: u32| {
        forged(&roster, &owner, |body| {
            (body.version, body.last_device) = (version, last);
            body.issued_ms += 1_000 * seconds;
        })
    };
    let at = |version, last| dated(1 << 40, version, last);
    assert_eq!(follows(&at(2, 33), &roster), Ok(()));
    assert_eq!(follows(&at(2, 34), &roster), Err(FollowsError::LastDeviceJump));
    assert_eq!(follows(&at(2, u32::MAX), &roster), Err(FollowsError::LastDeviceJump));
    assert_eq!(follows(&at(1 + (1 << 20), 1 + (32 << 20)), &roster), Ok(()));
    assert_eq!(follows(&at(2 + (1 << 20), 1), &roster), Err(FollowsError::VersionJump));
    assert_eq!(follows(&at(u64::MAX, 1), &roster), Err(FollowsError::VersionJump));
    assert_eq!(follows(&at(2, 1), &verified(&at(1, 2)).unwrap()), Err(FollowsError::LastDevice));
    // What a thief gives away in one step does not reach what the owner leaves free.
    let most = verified(&dated(86_400, 1 + (1 << 20), 1 + (1 << 25))).unwrap();
    assert_eq!(most.follows(&roster), Ok(()));
    let free = roster.device_under_new_key().unwrap();
    assert_eq!(free, DeviceId::new(2 + (1 << 25)));
    let mut rng = crate::support::rng(1);
    let device = RosterDevice::consent(&alice(), free, Suites::V1, account(2).public(), &identity(2), &mut rng);
    let renewed = roster.under_new_key(device, None, NOW).sign(&account(2)).unwrap();
    let step =
        Step { succession: Succession::sign(&alice(), owner.public(), &account(2), &words(1), NOW), before: None };
    let burnt = HeldRoster::first_sight(most, days(1)).unwrap();
    assert!(matches!(burnt.take(&carried(&renewed, vec![step]), NOW), Ok(Taken::Renewed(_))));
    // At the end there is no id, and nothing overflows.
    let last = verified(&at(u64::MAX, u32::MAX)).unwrap();
    assert_eq!((last.next_device(), last.device_under_new_key()), (None, None));
    let stuck = last.next(NOW).remove(DeviceId::new(7)).hand_over(DeviceId::new(1)).sign(&owner);
    assert_eq!(stuck, Err(NextRosterError::Follows(FollowsError::Same)));
}

#[test]
fn primary_changed_and_all_devices_replaced() {
    let owner = account(1);
    let two = first(1).next(NOW).link(device(&owner, 2)).sign(&owner).unwrap();
    let handed = two.next(NOW).hand_over(DeviceId::new(2)).sign(&owner).unwrap();
    assert!(!handed.changes_since(&two).all_replaced, "to a device that was known");
    let unknown = two.next(NOW).link(device(&owner, 3)).hand_over(DeviceId::new(3)).sign(&owner).unwrap();
    assert!(unknown.changes_since(&two).all_replaced);
    let replaced = unknown.next(NOW).remove(DeviceId::new(1)).remove(DeviceId::new(2)).sign(&owner).unwrap();
    let changes = replaced.changes_since(&two);
    assert_eq!((changes.added.len(), changes.removed.len(), changes.all_replaced), (1, 2, true));
    let nobody = two.next(NOW).hand_over(DeviceId::new(9)).sign(&owner);
    assert_eq!(nobody, Err(NextRosterError::Roster(RosterError::Primary)));
}

#[test]
fn limits_of_a_roster_are_the_builders_too() {
    let owner = account(1);
    let too_long = Err(NextRosterError::Roster(RosterError::Malformed(crate::wire::WireError::TooLong)));
    let full = (2..=32).fold(first(1).next(NOW), |next, id| next.link(device(&owner, id))).sign(&owner).unwrap();
    assert_eq!(full.devices().len(), 32);
    assert_eq!(full.next(NOW).link(device(&owner, 33)).sign(&owner), too_long);
    let named = (2..=4).fold(full.next(NOW), |next, seed| next.name_recovery(*words(seed).public()));
    let named = named.sign(&owner).unwrap();
    assert_eq!(named.next(NOW).name_recovery(*words(5).public()).sign(&owner), too_long);
    let twice = full.next(NOW).name_recovery(*words(1).public()).sign(&owner);
    assert_eq!(twice, Err(NextRosterError::Roster(RosterError::SharedRecovery)));
    let deleted = full.next(NOW).delete().sign(&owner).unwrap();
    let back = deleted.next(days(4)).take_back().sign(&owner).unwrap();
    assert!(deleted.is_deleted() && !back.is_deleted() && back.devices() == full.devices());
    let jumped = full.next(NOW).above(40).sign(&owner).unwrap();
    // A clock that is behind dates nothing back.
    assert_eq!((jumped.version(), jumped.next(Timestamp::new(0)).sign(&owner).unwrap().issued()), (41, NOW));
}

/// Alice has moved to the account of seed 2, with device 2, or another succession than hers is shown.
fn moved(from: &Roster, recovery: &RecoveryKeyPair) -> (Roster, Step) {
    let (old, new) = (from.account_key(), account(2));
    let roster = from.under_new_key(device(&new, 2), Some(*words(2).public()), days(1)).sign(&new).unwrap();
    let succession = Succession::sign(&alice(), old, &new, recovery, days(1));
    (roster, Step { succession, before: None })
}

#[test]
fn succession_with_the_recovery_key_in_force() {
    let held = HeldRoster::first_sight(first(1), NOW).unwrap();
    let (roster, step) = moved(held.roster(), &words(1));
    let Ok(Taken::Renewed(held)) = held.take(&carried(&roster, vec![step.clone()]), days(1)) else {
        panic!("a renewal")
    };
    assert_eq!((held.roster(), held.recovery_in_force(days(1))), (&roster, Some(words(2).public())));
    // Replayed: it is the one held; the old key's rosters are a change of key now.
    let again = held.take(&carried(&roster, vec![step.clone()]), days(1));
    assert_eq!(again, Err(TakeError::Follows(FollowsError::Same)));
    let thiefs = first(1).next(days(1)).above(99).sign(&account(1)).unwrap();
    assert_eq!(held.take(&carried(&thiefs, vec![step]), days(1)), Err(TakeError::Changed(thiefs.into())));
}

#[test]
fn succession_without_the_recovery_key() {
    let held = HeldRoster::first_sight(first(1), NOW).unwrap();
    let (roster, step) = moved(held.roster(), &words(7));
    let refused = |error: SuccessionError| Err(TakeError::Succession(error));
    let take = |held: &HeldRoster, step: Step| held.take(&carried(&roster, vec![step]), days(1));
    assert_eq!(take(&held, step.clone()), refused(SuccessionError::RecoveryKey));
    assert_eq!(held.take(&carried(&roster, vec![]), days(1)), Err(TakeError::Changed(roster.clone().into())));
    let none = Roster::first(&alice(), device(&account(1), 1), None, NOW).sign(&account(1)).unwrap();
    let none = HeldRoster::first_sight(none, NOW).unwrap();
    assert_eq!(take(&none, step), refused(SuccessionError::NoRecoveryKey));
    // The thief of the account key names a key of his own, and dates it back as far as it goes.
    let thief = account(1);
    let named = forged(&first(1).next(days(60)).sign(&thief).unwrap(), &thief, |body| {
        body.recoveries.push((words(7).public().to_bytes(), NOW.get()));
    });
    let held = held.update(verified(&named).unwrap(), days(60)).unwrap();
    assert_eq!(held.recovery_in_force(days(60)), Some(words(1).public()));
    let (roster, step) = moved(held.roster(), &words(7));
    let with_before = |held: &HeldRoster, now| {
        let before = Some(UnverifiedRoster::of(held.roster()));
        HeldRoster::first_sight(first(1), NOW)
            .unwrap()
            .take(&carried(&roster, vec![Step { before, ..step.clone() }]), now)
    };
    assert_eq!(with_before(&held, days(60)), refused(SuccessionError::RecoveryKey));
    assert_eq!(with_before(&held, days(600)), refused(SuccessionError::RecoveryKey), "it was never held");
    // Who held it for 30 days had them to see it.
    let just = Timestamp::new(days(90).get() - 1);
    assert_eq!(held.take(&carried(&roster, vec![step.clone()]), just), refused(SuccessionError::RecoveryKey));
    assert!(matches!(held.take(&carried(&roster, vec![step.clone()]), days(90)), Ok(Taken::Renewed(_))));
}

#[test]
fn recovery_key_in_force() {
    let owner = account(1);
    let held = HeldRoster::first_sight(first(1), NOW).unwrap();
    let next = held.roster().next(days(10)).name_recovery(*words(3).public()).sign(&owner).unwrap();
    let stranger = HeldRoster::first_sight(next.clone(), days(20)).unwrap();
    let held = held.update(next, days(20)).unwrap();
    assert_eq!(held.recoveries_since(), [None, Some(days(20))]);
    assert_eq!(HeldRoster::from_bytes(&held.to_bytes()).as_ref(), Ok(&held));
    // Named on day 10, held since day 20; by who saw it at first sight, from when it was named.
    for (day, at_holder, at_stranger) in [(39, 1, 1), (40, 1, 3), (49, 1, 3), (50, 3, 3)] {
        assert_eq!(held.recovery_in_force(days(day)), Some(words(at_holder).public()), "day {day}");
        assert_eq!(stranger.recovery_in_force(days(day)), Some(words(at_stranger).public()), "day {day}");
    }
    // Of two that were named at once, the later one.
    let both = first(1).next(days(1)).name_recovery(*words(3).public()).name_recovery(*words(4).public());
    let both = HeldRoster::first_sight(both.sign(&owner).unwrap(), days(1)).unwrap();
    assert_eq!(both.recovery_in_force(days(31)), Some(words(4).public()));
}

#[test]
fn succession_for_another_user() {
    let held = HeldRoster::first_sight(first(1), NOW).unwrap();
    let (roster, _) = moved(held.roster(), &words(1));
    let bob = UserId::new("bob").unwrap();
    let succession = Succession::sign(&bob, account(1).public(), &account(2), &words(1), days(1));
    let taken = held.take(&carried(&roster, vec![Step { succession, before: None }]), days(1));
    assert_eq!(taken, Err(TakeError::Succession(SuccessionError::OtherUser)));
}

#[test]
fn succession_by_names() {
    let held = HeldRoster::first_sight(first(1), NOW).unwrap();
    let (roster, step) = moved(held.roster(), &words(1));
    let take = |steps: Vec<Step>, now| match held.take(&carried(&roster, steps), now) {
        Err(TakeError::Succession(error)) => Some(error),
        _ => None,
    };
    let of = |old: u8, new: u8, recovery: u8| {
        let (old, new) = (account(old), account(new));
        Step { succession: Succession::sign(&alice(), old.public(), &new, &words(recovery), days(1)), before: None }
    };
    assert_eq!(take(vec![step.clone()], Timestamp::new(NOW.get() - 1)), Some(SuccessionError::FromFuture));
    assert_eq!(take(vec![of(1, 1, 1)], days(1)), Some(SuccessionError::SameKey));
    assert_eq!(take(vec![of(1, 3, 1)], days(1)), Some(SuccessionError::OtherRoster));
    assert_eq!(take(vec![step.clone(), of(3, 2, 3)], days(1)), Some(SuccessionError::NotTheNext));
    assert_eq!(take(vec![step.clone(), of(2, 1, 2)], days(1)), Some(SuccessionError::SameKey), "back");
    assert_eq!(take(vec![step.clone(), of(2, 3, 2)], days(1)), Some(SuccessionError::NoRosterBefore));
    let before = |seed: u8| Some(UnverifiedRoster::of(&first(seed)));
    let other = take(vec![Step { before: before(3), ..step.clone() }], days(1));
    assert_eq!(other, Some(SuccessionError::OtherAccount));
    let returning = Step { before: before(2), ..of(2, 3, 2) };
    let returning = take(vec![step.clone(), returning], days(1));
    assert_eq!(returning, Some(SuccessionError::TakesOver(FollowsError::Older)));
    // The new key has not agreed.
    let mut unsigned = carried(&roster, vec![step]).to_bytes();
    let at = unsigned.windows(2).position(|pair| pair == [0x32, 64]).unwrap() + 2;
    unsigned[at] ^= 1;
    let unsigned = held.take(&CarriedRoster::parse(&unsigned).unwrap(), days(1));
    assert_eq!(unsigned, Err(TakeError::Succession(SuccessionError::NewKey)));
}

/// From the first key to the third in one look, for who slept; those steps that are behind are passed over.
#[test]
fn two_successions_at_once() {
    let held = HeldRoster::first_sight(first(1), NOW).unwrap();
    let (second, step) = moved(held.roster(), &words(1));
    let third = second.under_new_key(device(&account(3), 3), None, days(2)).sign(&account(3)).unwrap();
    let succession = Succession::sign(&alice(), second.account_key(), &account(3), &words(2), days(2));
    let steps = vec![step, Step { succession, before: Some(UnverifiedRoster::of(&second)) }];
    let at_second = HeldRoster::first_sight(second, days(1)).unwrap();
    for held in [held, at_second] {
        let Ok(Taken::Renewed(renewed)) = held.take(&carried(&third, steps.clone()), days(2)) else {
            panic!("a renewal")
        };
        assert_eq!(renewed.roster(), &third);
    }
}

#[test]
fn old_ids_do_not_return_under_a_new_key() {
    let two = first(1).next(NOW).link(device(&account(1), 5)).sign(&account(1)).unwrap();
    let returning = two.under_new_key(device(&account(2), 5), None, NOW).sign(&account(2));
    assert_eq!(returning, Err(NextRosterError::Follows(FollowsError::OldDevice(DeviceId::new(5)))));
    assert!(two.under_new_key(device(&account(2), 6), None, NOW).sign(&account(2)).is_ok());
}
