//! Accounts that are made once and copied: a hundred prekeys of each kind cost more than all the rest of a run.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, PoisonError};

use crate::client::PrekeyUpload;
use crate::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use crate::persist::StorageKey;
use crate::platform::PrekeyStore;
use crate::prekey::{Device, KemPrekey, SignedPrekey, UnverifiedBundle};
use crate::suite::{Suite, Suites};
use crate::testing::{Directory, Forge, Host, SeededRng};

pub(super) const START: Timestamp = Timestamp::new(1_800_000_000_000);

/// How many accounts each of the first users can make, one after the other.
pub(super) const LIVES: usize = 3;

/// Users who do all that users do. There may be more of them, who only write and answer.
pub(super) const USERS: usize = 6;

/// The bytes that storage keys are made of: looked for in everything that is printed.
const KEYS: [u8; 2] = [0xa7, 0xb9];

/// What every text contains.
pub(super) const SENTINEL: &str = "Rosebud";

/// An account as it is right after its prekeys were uploaded.
#[derive(Debug)]
pub(super) struct Account {
    host: Host,
    /// What the server has of it.
    pub(super) prekey_stores: Vec<PrekeyStore>,
    /// Which pages of its index the first users are on.
    pub(super) pages: BTreeMap<Address, u8>,
    secrets: [Vec<u8>; 2],
}

type Number = (usize, usize, bool);

static MADE: Mutex<BTreeMap<Number, Arc<Account>>> = Mutex::new(BTreeMap::new());

/// The address of a user's device.
#[expect(clippy::expect_used, reason = "the names are fixed")]
pub(super) fn address(user: usize) -> Address {
    let name = match ["alice", "bob", "carol", "dave", "erin", "frank"].get(user) {
        Some(name) => String::from(*name),
        None => format!("user {user}"),
    };
    Address::new(UserId::new(name).expect("a name"), DeviceId::new(1))
}

/// Makes the accounts that a run may need, if no earlier run has.
pub(super) fn prepare(users: usize, signal: bool) {
    for user in 0..users {
        for life in 0..if user < USERS { LIVES } else { 1 } {
            account(user, life, signal);
        }
    }
}

/// One of the accounts of a user.
pub(super) fn account(user: usize, life: usize, signal: bool) -> Arc<Account> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry((user, life, signal)).or_insert_with(|| Arc::new(make(user, life, signal))).clone()
}

impl Account {
    /// Its device, with randomness of its own.
    pub(super) fn host(&self, seed: u64) -> Host {
        let mut host = self.host.replica(seed);
        for byte in KEYS {
            host.look_for(&[byte; 32]);
        }
        host.look_for(SENTINEL.as_bytes());
        self.secrets.iter().for_each(|secret| host.look_for(secret));
        host
    }
}

/// Takes what an account uploads when it is made.
#[derive(Default)]
struct PrekeyStores(Vec<PrekeyStore>);

impl Directory for PrekeyStores {
    fn upload(&mut self, upload: PrekeyUpload) -> bool {
        let mut prekey_store = PrekeyStore::new(upload.address.clone(), upload.suite);
        let taken = prekey_store.apply(&upload).is_ok();
        self.0.push(prekey_store);
        taken
    }

    fn counts(&self, _: &Address) -> crate::client::PrekeyCounts {
        crate::client::PrekeyCounts::default()
    }

    fn bundle(&mut self, _: &Address) -> Option<UnverifiedBundle> {
        None
    }
}

#[expect(clippy::expect_used, reason = "a tool of tests")]
fn make(user: usize, life: usize, signal: bool) -> Account {
    let suites = if signal { Suites::SIGNAL } else { Suites::V1 };
    let seed = u64::try_from((user * LIVES + life) * 2).unwrap_or_default() + u64::from(signal);
    let mut host = Host::create(&address(user), suites, storage_key(0), seed, START);
    let mut prekey_stores = PrekeyStores::default();
    host.upload(&mut prekey_stores, START).expect("prekeys");
    let pages = if user < USERS { pages(&host, user, suites) } else { BTreeMap::new() };
    let secrets = Forge::secrets(&storage_key(0), host.store()).expect("an account");
    Account { host, prekey_stores: prekey_stores.0, pages, secrets }
}

/// The pages of an account's index that others are on: they follow from the account's keys, and are found by looking at
/// all.
#[expect(clippy::expect_used, reason = "a tool of tests")]
fn pages(host: &Host, user: usize, suites: Suites) -> BTreeMap<Address, u8> {
    let (mut replica, mut rng) = (host.replica(0), SeededRng::new(0));
    let suite = if suites == Suites::SIGNAL { Suite::Signal } else { Suite::V1 };
    for other in (0..USERS).filter(|other| *other != user) {
        let device = Device::generate(address(other), &mut rng).with_suites(suites);
        let signed = SignedPrekey::generate(&device, suite, PrekeyId::new(1), START, &mut rng);
        let kem = KemPrekey::last_resort(&device, suite, PrekeyId::new(1), START, &mut rng);
        let bundle = device.bundle(&signed, &kem, None).verify().expect("a bundle");
        let added = replica.run(START, |client| client.add_session(&bundle), |_, _| {});
        added.expect("no crash").expect("a session");
    }
    let mut pages = BTreeMap::new();
    for page in 0..=u8::MAX {
        let pruned = replica.run(START, |client| client.prune(page), |_, _| {}).expect("no crash").expect("a page");
        pages.extend(pruned.peers.into_iter().map(|peer| (peer, page)));
    }
    pages
}

/// One of two storage keys, both conspicuous.
pub(super) fn storage_key(number: usize) -> StorageKey {
    let [one, other] = KEYS;
    StorageKey::new([if number.is_multiple_of(2) { one } else { other }; 32])
}
