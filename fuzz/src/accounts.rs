//! Rosters, what leads to them, contents, links.

use std::sync::LazyLock;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::account::{
    AccountKeyPair, CarriedRoster, HeldRoster, LinkOffer, PendingLink, RecoveryKeyPair, Roster, RosterDevice,
    SafetyNumber, ScannedOffer, Step, Succession, Taken, UnverifiedRoster,
};
use subrosa::crypto::{KeyPair, Secret};
use subrosa::ident::{DeviceId, MessageId, UserId};
use subrosa::suite::Suites;
use subrosa::wire::{
    AccessRequest, Call, CallKey, CallStep, ContactState, History, Provisioning, Receipt, ReceiptKind, SyncEntry,
    SyncPage, SyncState, Transcript, TranscriptContent, TranscriptTo, Typing, Verify, VerifyStep,
};

use super::party::NOW;

fn alice() -> UserId {
    UserId::new("alice").unwrap()
}

fn account(seed: u8) -> AccountKeyPair {
    AccountKeyPair::new(Secret::new([seed; 32]))
}

fn words() -> RecoveryKeyPair {
    RecoveryKeyPair::from_entropy(&[7; 16])
}

fn device(account: &AccountKeyPair, id: u8) -> RosterDevice {
    let (identity, mut rng) = (KeyPair::new(Secret::new([id; 32])), ChaCha20Rng::seed_from_u64(id.into()));
    RosterDevice::consent(&alice(), DeviceId::new(id.into()), Suites::BOTH, account.public(), &identity, &mut rng)
}

/// The rosters of Alice: first, with a device, without it, deleted.
fn rosters() -> &'static [Roster] {
    static ROSTERS: LazyLock<Vec<Roster>> = LazyLock::new(|| {
        let owner = account(1);
        let one = Roster::first(&alice(), device(&owner, 1), Some(*words().public()), NOW).sign(&owner).unwrap();
        let two = one.next(NOW).link(device(&owner, 2)).sign(&owner).unwrap();
        let three = two.next(NOW).remove(DeviceId::new(2)).sign(&owner).unwrap();
        let deleted = three.next(NOW).delete().sign(&owner).unwrap();
        vec![one, two, three, deleted]
    });
    &ROSTERS
}

/// A roster as anybody sends one: what verifies is written as it came, and what is held does not change by what is refused.
pub fn roster(data: &[u8]) -> bool {
    let Ok(parsed) = UnverifiedRoster::parse(data) else { return false };
    assert_eq!(parsed.as_bytes(), data);
    let Ok(roster) = parsed.verify(&alice()) else { return true };
    assert_eq!((roster.as_bytes(), roster.view().version), (data, roster.version()));
    assert!(!roster.devices().is_empty() && roster.devices().len() <= 32 && roster.recoveries().len() <= 4);
    for old in rosters() {
        let follows = roster.follows(old).is_ok();
        let held = HeldRoster::first_sight(old.clone(), NOW).unwrap();
        if let Ok(held) = held.update(roster.clone(), NOW) {
            assert!(follows && roster.version() > old.version());
            assert_eq!(held.recoveries_since().len(), roster.recoveries().len());
        }
        let _ = roster.changes_since(old);
    }
    true
}

/// Whole ones; of another user; with a bit changed, where its signature is asked.
pub fn roster_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = rosters().iter().map(|roster| roster.as_bytes().to_vec()).collect();
    let mut altered = seeds[1].clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    seeds.push(altered);
    seeds
}

/// A roster with what leads to its account key.
pub fn carried_roster(data: &[u8]) -> bool {
    let Ok(carried) = CarriedRoster::parse(data) else { return false };
    assert_eq!(carried.to_bytes(), data, "one encoding");
    assert!(carried.steps().len() <= CarriedRoster::MAX_STEPS);
    for old in rosters() {
        let held = HeldRoster::first_sight(old.clone(), NOW).unwrap();
        match held.take(&carried, NOW) {
            Ok(Taken::Newer(newer)) => assert_eq!(newer.account_key(), held.account_key()),
            Ok(Taken::Renewed(renewed)) => assert_ne!(renewed.account_key(), held.account_key()),
            _ => {}
        }
    }
    true
}

pub fn carried_roster_seeds() -> Vec<Vec<u8>> {
    let [.., three, _] = rosters() else { return Vec::new() };
    let new = account(2);
    let roster = three.under_new_key(device(&new, 3), Some(*words().public()), NOW).sign(&new).unwrap();
    let succession = Succession::sign(&alice(), three.account_key(), &new, &words(), NOW);
    let step =
        |before: Option<&Roster>| Step { succession: succession.clone(), before: before.map(UnverifiedRoster::of) };
    let plain = CarriedRoster::new(three, vec![]);
    let moved = CarriedRoster::new(&roster, vec![step(None)]);
    let with_before = CarriedRoster::new(&roster, vec![step(Some(three)), step(None)]);
    [plain, moved, with_before].iter().map(CarriedRoster::to_bytes).collect()
}

/// What is stored of accounts and links.
pub fn account_bytes(data: &[u8]) -> bool {
    let mut accepted = false;
    if let Ok(held) = HeldRoster::from_bytes(data) {
        assert_eq!(held.to_bytes(), data, "one encoding");
        let _ = held.recovery_in_force(NOW);
        let _ = held.update(rosters()[1].clone(), NOW);
        accepted = true;
    }
    if let Ok(mut offer) = LinkOffer::from_bytes(data) {
        assert_eq!(*offer.to_bytes(), data, "one encoding");
        let _ = (offer.qr(), offer.open(&[1; 200], NOW));
        accepted = true;
    }
    if let Ok(pending) = PendingLink::from_bytes(data) {
        assert_eq!(*pending.to_bytes(), data, "one encoding");
        assert!(pending.complete(&[2; 200], "000000", NOW).is_err());
        accepted = true;
    }
    accepted
}

pub fn account_bytes_seeds() -> Vec<Vec<u8>> {
    let held = HeldRoster::first_sight(rosters()[0].clone(), NOW).unwrap();
    let (offer, mut rng) = (LinkOffer::new(NOW, &mut ChaCha20Rng::seed_from_u64(1)), ChaCha20Rng::seed_from_u64(2));
    let scanned = ScannedOffer::parse(&offer.qr()).unwrap();
    let (pending, _) = scanned.answer(&rosters()[0], NOW, &mut rng).unwrap();
    vec![held.to_bytes(), offer.to_bytes().to_vec(), pending.to_bytes().to_vec()]
}

/// The number of a content, then the content.
pub fn contents(data: &[u8]) -> bool {
    let Some((number, bytes)) = data.split_first() else { return false };
    let same = |written: &[u8]| {
        assert_eq!(written, bytes, "one encoding");
        true
    };
    match number {
        22 => Provisioning::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        23 => Receipt::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        24 => Typing::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        25 => SyncPage::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        26 => Transcript::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        27 => AccessRequest::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        28 => Call::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        29 => CallKey::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        30 => Verify::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        31 => History::parse(bytes).is_ok_and(|content| same(&content.to_bytes())),
        _ => false,
    }
}

pub fn contents_seeds() -> Vec<Vec<u8>> {
    let entry = |state| SyncEntry { state, counter: 0, device: DeviceId::new(1) };
    let key = || Secret::new([1; 32]);
    let sync = SyncPage::new(vec![
        entry(SyncState::Contact(alice(), ContactState::Pending)),
        entry(SyncState::Group([1; 32], vec![2; 9].into())),
        entry(SyncState::AccessKey([3; 8], key())),
        entry(SyncState::ReadOfUser(alice(), NOW)),
        entry(SyncState::ReadOfGroup([1; 32], NOW)),
        entry(SyncState::DeviceName(DeviceId::new(2), "laptop".into())),
        entry(SyncState::Backup { id: [4; 16], key: key(), sealed_seed: vec![5; 9] }),
        entry(SyncState::Later { kind: 8, subject: vec![], value: vec![6].into() }),
    ]);
    let transcript = |to, content| Transcript { to, message_id: MessageId::new([1; 16]), sent: NOW, content };
    let framed = TranscriptContent::Framed { inner: vec![1; 9], commitment: [2; 32], stamp: Some(vec![3; 9]) };
    let call = |step| Call { call: [1; 16], step }.to_bytes();
    let verify = |step| Verify { txid: [1; 16], step }.to_bytes();
    let seeds = [
        (22, Provisioning { seed: key(), wrap: Some(key()) }.to_bytes().to_vec()),
        (23, Receipt::new(ReceiptKind::Gone, vec![[1; 16], [2; 16]]).unwrap().to_bytes()),
        (24, Typing::Begins.to_bytes()),
        (25, sync.unwrap().to_bytes().to_vec()),
        (26, transcript(TranscriptTo::User(alice()), TranscriptContent::App(vec![1; 9])).to_bytes()),
        (26, transcript(TranscriptTo::Group([1; 32]), framed).to_bytes()),
        (27, AccessRequest.to_bytes()),
        (28, call(CallStep::Offer(vec![1; 9]))),
        (28, call(CallStep::Join([1; 8]))),
        (29, CallKey::new([1; 16], [2; 8], 3, 4, vec![5; 64].into()).unwrap().to_bytes().to_vec()),
        (30, verify(VerifyStep::Commit([1; 32]))),
        (30, verify(VerifyStep::End)),
        (31, History { reference: vec![1; 9].into(), from: NOW, to: NOW, count: 1 }.to_bytes().to_vec()),
    ];
    seeds.into_iter().map(|(number, bytes): (u8, Vec<u8>)| [&[number][..], &bytes].concat()).collect()
}

/// What is scanned, and what comes through the mailbox: 0 a code, 1 the answer to an offer, 2 a consent, 3 a safety number.
pub fn link(data: &[u8]) -> bool {
    let Some((kind, bytes)) = data.split_first() else { return false };
    let (mut offer, mut rng) = (LinkOffer::new(NOW, &mut ChaCha20Rng::seed_from_u64(1)), ChaCha20Rng::seed_from_u64(2));
    match kind {
        0 => ScannedOffer::parse(bytes).is_ok_and(|scanned| {
            let _ = scanned.answer(&rosters()[0], NOW, &mut rng);
            true
        }),
        1 => offer.open(bytes, NOW).is_ok_and(|linked| {
            assert!(linked.digits().as_str().len() == 6 && linked.device() > linked.roster().last_device());
            assert!(offer.open(bytes, NOW).is_err());
            true
        }),
        2 => {
            let scanned = ScannedOffer::parse(&offer.qr()).unwrap();
            let (pending, answer) = scanned.answer(&rosters()[0], NOW, &mut rng).unwrap();
            let digits = offer.open(&answer, NOW).unwrap().digits().clone();
            pending.complete(bytes, digits.as_str(), NOW).is_ok()
        }
        3 => number().scan(bytes).is_ok(),
        _ => false,
    }
}

fn number() -> &'static SafetyNumber {
    static NUMBER: LazyLock<SafetyNumber> = LazyLock::new(|| {
        let (one, two) = (account(1), account(2));
        SafetyNumber::new((&alice(), one.public()), (&alice(), two.public()))
    });
    &NUMBER
}

pub fn link_seeds() -> Vec<Vec<u8>> {
    let (mut offer, mut rng) = (LinkOffer::new(NOW, &mut ChaCha20Rng::seed_from_u64(1)), ChaCha20Rng::seed_from_u64(2));
    let qr = offer.qr().to_vec();
    let (_, answer) = ScannedOffer::parse(&qr).unwrap().answer(&rosters()[0], NOW, &mut rng).unwrap();
    let (_, consent) = offer.open(&answer, NOW).unwrap().consent(Suites::V1, &mut rng);
    let (one, two) = (account(1), account(2));
    let scanned = SafetyNumber::new((&alice(), two.public()), (&alice(), one.public())).qr();
    let seeds = [(0, qr), (1, answer), (2, consent), (3, scanned)];
    seeds.into_iter().map(|(kind, bytes): (u8, Vec<u8>)| [&[kind][..], &bytes].concat()).collect()
}
