//! Accounts that are made once and copied: a hundred prekeys of each kind cost more than all the rest of a run.

use alloc::vec::Vec;
use std::sync::OnceLock;

use crate::client::{Client, PrekeyCounts, Publication};
use crate::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use crate::persist::StorageKey;
use crate::platform::Shelf;
use crate::prekey::{Device, KemPrekey, SignedPrekey};
use crate::suite::{Suite, Suites};
use crate::testing::{Forge, Host, SeededRng};

pub(super) const START: Timestamp = Timestamp::new(1_800_000_000_000);

/// How many accounts each user can make, one after the other.
pub(super) const ACCOUNTS: usize = 2;

/// The bytes that storage keys are made of: looked for in everything that is printed.
const KEYS: [u8; 2] = [0xa7, 0xb9];

/// What every text contains.
pub(super) const SENTINEL: &str = "Rosebud";

/// An account as it is right after its prekeys were uploaded.
struct Made {
    host: Host,
    shelves: Vec<Shelf>,
    page: u8,
    secrets: [Vec<u8>; 2],
}

static MADE: [OnceLock<Made>; 4 * ACCOUNTS] = [const { OnceLock::new() }; 4 * ACCOUNTS];

/// The address of a side.
#[expect(clippy::expect_used, reason = "the names are fixed")]
pub(super) fn address(side: usize) -> Address {
    let name = if side == 0 { "alice" } else { "bob" };
    Address::new(UserId::new(name).expect("a name"), DeviceId::new(1))
}

/// Makes the accounts that a run may need, if no earlier run has.
pub(super) fn prepare(signal: bool) {
    for side in [0, 1] {
        for number in 0..ACCOUNTS {
            made(side, signal, number);
        }
    }
}

/// One of the accounts of a side, its shelves at the relay, and the page of its index that the other side is on.
pub(super) fn account(side: usize, signal: bool, number: usize, seed: u64) -> (Host, Vec<Shelf>, u8) {
    let Made { host, shelves, page, secrets } = made(side, signal, number);
    let mut host = host.replica(seed);
    for byte in KEYS {
        host.look_for(&[byte; 32]);
    }
    host.look_for(SENTINEL.as_bytes());
    secrets.iter().for_each(|secret| host.look_for(secret));
    (host, shelves.clone(), *page)
}

#[expect(clippy::indexing_slicing, reason = "the sides are 0 and 1; a tool of tests")]
fn made(side: usize, signal: bool, number: usize) -> &'static Made {
    let at = (side * 2 + usize::from(signal)) * ACCOUNTS + number;
    MADE[at].get_or_init(|| make(side, signal, u64::try_from(at).unwrap_or(0)))
}

#[expect(clippy::expect_used, reason = "a tool of tests")]
fn make(side: usize, signal: bool, seed: u64) -> Made {
    let suites = if signal { Suites::SIGNAL } else { Suites::V1 };
    let mut host = Host::create(&address(side), suites, storage_key(0), seed, START);
    let publish = |client: &Client| client.publish_prekeys(PrekeyCounts::default());
    let uploads = host.run(START, publish, |_, _| {}).ok().and_then(Result::ok).unwrap_or_default();
    let mut shelves = Vec::new();
    for upload in uploads {
        let mut shelf = Shelf::new(upload.address.clone(), upload.suite);
        let applied = shelf.apply(&upload);
        debug_assert!(applied.is_ok(), "an upload is not taken: {applied:?}");
        shelves.push(shelf);
        let published = host.run(START, |client| client.published(upload.id), |_, _| {});
        debug_assert!(published == Ok(Ok(Publication::Confirmed)), "an account was not made");
    }
    let page = page(&host, &address(1 - side), suites);
    let secrets = Forge::secrets(&storage_key(0), host.store()).expect("an account");
    Made { host, shelves, page, secrets }
}

/// The page of an account's index that a peer is on: it follows from the account's keys, and is found by looking at all.
#[expect(clippy::expect_used, reason = "a tool of tests")]
fn page(host: &Host, peer: &Address, suites: Suites) -> u8 {
    let (mut replica, mut rng) = (host.replica(0), SeededRng::new(0));
    let suite = if suites == Suites::SIGNAL { Suite::Signal } else { Suite::V1 };
    let device = Device::generate(peer.clone(), &mut rng).with_suites(suites);
    let signed = SignedPrekey::generate(&device, suite, PrekeyId::new(1), START, &mut rng);
    let kem = KemPrekey::last_resort(&device, suite, PrekeyId::new(1), START, &mut rng);
    let bundle = device.bundle(&signed, &kem, None).verify().expect("a bundle");
    let added = replica.run(START, |client| client.add_session(&bundle), |_, _| {});
    debug_assert!(added.is_ok_and(|added| added.is_ok()), "a session was not started");
    (0..=u8::MAX).find(|page| replica.tidy(*page, START) == Ok(true)).expect("the page of a device that is known")
}

/// One of two storage keys, both conspicuous.
pub(super) fn storage_key(number: usize) -> StorageKey {
    let [one, other] = KEYS;
    StorageKey::new([if number.is_multiple_of(2) { one } else { other }; 32])
}
