use super::*;
use crate::account::{AccountKeyPair, FollowsError, RecoveryKeyPair, Roster, RosterDevice, Step, Succession};
use crate::account::{SuccessionError, UnverifiedRoster};
use crate::crypto::{KeyPair, Secret};
use crate::ident::DeviceId;
use crate::suite::Suites;
use std::vec;

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
const DAY: u64 = 24 * 3_600_000;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn account(seed: u8) -> AccountKeyPair {
    AccountKeyPair::new(Secret::new([seed; 32]))
}

fn device(account: &AccountKeyPair, id: u8) -> RosterDevice {
    let identity = KeyPair::new(Secret::new([id; 32]));
    let mut rng = crate::support::rng(1);
    RosterDevice::consent(&user("alice"), DeviceId::new(id.into()), Suites::V1, account.public(), &identity, &mut rng)
}

fn first() -> Roster {
    let words = RecoveryKeyPair::from_entropy(&[7; 16]);
    let next = Roster::first(&user("alice"), device(&account(1), 1), Some(*words.public()), NOW);
    next.sign(&account(1)).unwrap()
}

#[test]
fn rosters_are_stored_in_order() {
    let (alice, one) = (user("alice"), first());
    let later = |days| Timestamp::new(NOW.get() + days * DAY);
    let two = one.next(NOW).sign(&account(1)).unwrap();
    let fork = one.next(NOW).link(device(&account(1), 2)).sign(&account(1)).unwrap();
    let stored = check_roster(None, two.as_bytes(), &alice, NOW).unwrap();
    let check = |bytes: &[u8], now| check_roster(Some(&stored), bytes, &alice, now);
    let refused = |error: FollowsError| Err(RosterRefusal::Take(TakeError::Follows(error)));
    assert_eq!(check(two.as_bytes(), NOW), refused(FollowsError::Same));
    assert_eq!(check(one.as_bytes(), NOW), refused(FollowsError::Older));
    assert!(matches!(check(fork.as_bytes(), NOW), Err(RosterRefusal::Take(TakeError::Fork(_)))));
    let other = Roster::first(&alice, device(&account(2), 1), None, NOW).above(8).sign(&account(2)).unwrap();
    assert_eq!(check(other.as_bytes(), NOW), refused(FollowsError::OtherAccount));
    let three = two.next(later(10)).sign(&account(1)).unwrap();
    assert_eq!(check(three.as_bytes(), later(8)), Err(TakeError::FromFuture.into()));
    assert_eq!(check(three.as_bytes(), later(56)), Err(RosterRefusal::Stale));
    assert!(check(three.as_bytes(), later(55)).is_ok());
    assert!(matches!(check(b"no roster", NOW), Err(RosterRefusal::Malformed(_))));
    let of_bob = check_roster(None, one.as_bytes(), &user("bob"), NOW);
    assert_eq!(of_bob, Err(TakeError::Roster(RosterError::OtherUser).into()));
    let mut altered = three.as_bytes().to_vec();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(check(&altered, later(10)), Err(TakeError::Roster(RosterError::Signature).into()));
}

#[test]
fn a_succession_is_stored_once() {
    let (alice, one, new) = (user("alice"), first(), account(2));
    let stored = check_roster(None, one.as_bytes(), &alice, NOW).unwrap();
    let roster = one.under_new_key(device(&new, 2), None, NOW).sign(&new).unwrap();
    let carried = |words: u8| {
        let words = RecoveryKeyPair::from_entropy(&[words; 16]);
        let succession = Succession::sign(&alice, one.account_key(), &new, &words, NOW);
        CarriedRoster::new(&roster, vec![Step { succession, before: Some(UnverifiedRoster::of(&one)) }]).to_bytes()
    };
    let check = |stored: &HeldRoster, bytes: &[u8]| check_succession(stored, bytes, &alice, NOW);
    let refused = Err(TakeError::Succession(SuccessionError::RecoveryKey).into());
    assert_eq!(check(&stored, &carried(8)), refused);
    assert_eq!(
        check_succession(&stored, &carried(7), &user("bob"), NOW),
        Err(TakeError::Roster(RosterError::OtherUser).into())
    );
    let renewed = check(&stored, &carried(7)).unwrap();
    assert_eq!(renewed.roster(), &roster);
    assert_eq!(check(&renewed, &carried(7)), Err(TakeError::Follows(FollowsError::Same).into()));
    let plain = CarriedRoster::new(&one.next(NOW).sign(&account(1)).unwrap(), vec![]).to_bytes();
    assert_eq!(check(&stored, &plain), Err(RosterRefusal::SameKey));
    let late = Timestamp::new(NOW.get() + 46 * DAY);
    assert_eq!(check_succession(&stored, &carried(7), &alice, late), Err(RosterRefusal::Stale));
}
