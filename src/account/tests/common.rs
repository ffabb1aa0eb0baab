//! An account in the hands of its owner, or of a thief.

use std::vec::Vec;

use crate::account::*;
use crate::crypto::{KeyPair, Secret};
use crate::ident::{DeviceId, Timestamp, UserId};
use crate::suite::Suites;
use crate::wire::RosterBody;

pub(super) const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
pub(super) const DAY: u64 = 24 * 3_600_000;

pub(super) fn days(days: u64) -> Timestamp {
    Timestamp::new(NOW.get() + days * DAY)
}

pub(super) fn alice() -> UserId {
    UserId::new("alice").unwrap()
}

pub(super) fn account(seed: u8) -> AccountKeyPair {
    AccountKeyPair::new(Secret::new([seed; 32]))
}

pub(super) fn words(seed: u8) -> RecoveryKeyPair {
    RecoveryKeyPair::from_entropy(&[seed; 16])
}

/// The identity key pair of a device: of its number.
pub(super) fn identity(number: u8) -> KeyPair {
    KeyPair::new(Secret::new([100 + number; 32]))
}

/// A device of Alice's account, which has consented.
pub(super) fn device(account: &AccountKeyPair, id: u8) -> RosterDevice {
    with_key(account, id, id)
}

/// The same with the identity key of another number.
pub(super) fn with_key(account: &AccountKeyPair, id: u8, number: u8) -> RosterDevice {
    let (id, mut rng) = (DeviceId::new(id.into()), crate::support::rng(id.into()));
    RosterDevice::consent(&alice(), id, Suites::BOTH, account.public(), &identity(number), &mut rng)
}

/// Version 1 of the account of a seed, with the recovery key of that seed, and device 1.
pub(super) fn first(seed: u8) -> Roster {
    let account = account(seed);
    Roster::first(&alice(), device(&account, 1), Some(*words(seed).public()), NOW).sign(&account).unwrap()
}

/// A roster as anybody could send it, verified.
pub(super) fn verified(bytes: &[u8]) -> Result<Roster, RosterError> {
    UnverifiedRoster::parse(bytes)?.verify(&alice())
}

/// A roster that its own builder would not make: signed after an edit of the body.
pub(super) fn forged(of: &Roster, signer: &AccountKeyPair, edit: impl FnOnce(&mut RosterBody<'_>)) -> Vec<u8> {
    let (body, _) = crate::wire::split_signed(of.as_bytes()).unwrap();
    let mut body = RosterBody::parse(body).unwrap();
    edit(&mut body);
    Roster::sign(&body, signer)
}

/// As it travels.
pub(super) fn carried(roster: &Roster, steps: Vec<Step>) -> CarriedRoster {
    let carried = CarriedRoster::new(roster, steps);
    assert_eq!(CarriedRoster::parse(&carried.to_bytes()).as_ref(), Ok(&carried));
    carried
}
