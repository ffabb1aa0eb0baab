//! Accounts that are made once and copied: a hundred prekeys of each kind cost more than all the rest of a run.

use alloc::vec::Vec;
use std::sync::OnceLock;

use crate::client::{Client, PrekeyCounts, PrekeyUpload};
use crate::ident::{Address, DeviceId, Timestamp, UserId};
use crate::persist::StorageKey;
use crate::suite::Suites;
use crate::testing::Host;

pub(super) const START: Timestamp = Timestamp::new(1_800_000_000_000);

/// How many accounts each user can make, one after the other.
pub(super) const ACCOUNTS: usize = 2;

/// The bytes that storage keys are made of: looked for in everything that is printed.
const KEYS: [u8; 2] = [0xa7, 0xb9];

/// What every text contains.
pub(super) const SENTINEL: &str = "Rosebud";

type Made = (Host, Vec<PrekeyUpload>);

static MADE: [OnceLock<Made>; 4 * ACCOUNTS] = [const { OnceLock::new() }; 4 * ACCOUNTS];

/// The address of a side.
#[expect(clippy::expect_used, reason = "the names are fixed")]
pub(super) fn address(side: usize) -> Address {
    let name = if side == 0 { "alice" } else { "bob" };
    Address::new(UserId::new(name).expect("a name"), DeviceId::new(1))
}

/// One of the accounts of a side, as it is right after its prekeys were uploaded, and what was uploaded.
pub(super) fn account(side: usize, signal: bool, number: usize, seed: u64) -> (Host, Vec<PrekeyUpload>) {
    let at = (side * 2 + usize::from(signal)) * ACCOUNTS + number;
    let make = || make(side, signal, u64::try_from(at).unwrap_or(0));
    let made = MADE.get(at).map(|made| made.get_or_init(make));
    let (host, uploads) = made.map_or_else(make, |(host, uploads)| (host.replica(0), uploads.clone()));
    let mut host = host.replica(seed);
    for byte in KEYS {
        host.look_for(&[byte; 32]);
    }
    host.look_for(SENTINEL.as_bytes());
    (host, uploads)
}

fn make(side: usize, signal: bool, seed: u64) -> Made {
    let suites = if signal { Suites::SIGNAL } else { Suites::V1 };
    let mut host = Host::create(&address(side), suites, storage_key(0), seed, START);
    let publish = |client: &Client| client.publish_prekeys(PrekeyCounts::default());
    let uploads = host.run(START, publish, |_, _| {}).ok().and_then(Result::ok).unwrap_or_default();
    let published = host.run(START, Client::published, |_, ()| {});
    debug_assert!(published.is_ok_and(|published| published.is_ok()), "an account was not made");
    (host, uploads)
}

/// One of two storage keys, both conspicuous.
pub(super) fn storage_key(number: usize) -> StorageKey {
    let [one, other] = KEYS;
    StorageKey::new([if number.is_multiple_of(2) { one } else { other }; 32])
}
