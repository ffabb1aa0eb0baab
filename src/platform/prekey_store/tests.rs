use super::*;
use crate::ident::{DeviceId, Timestamp, UserId};
use crate::prekey::{Device, KemPrekey, OneTimePrekey, PrekeyUploadError, PrekeyUploadId, SignedPrekey};
use crate::suite::Suites;
use crate::support::rng;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::vec;

const SUITES: [Suite; 2] = [Suite::V1, Suite::Signal];

fn address(name: &str) -> Address {
    Address::new(UserId::new(name).unwrap(), DeviceId::new(1))
}

/// A device that remembers nothing: it makes uploads of any ids.
struct Maker {
    device: Device,
    suite: Suite,
    seed: u64,
}

impl Maker {
    fn new(suite: Suite, seed: u64) -> Self {
        let suites = if suite == Suite::V1 { Suites::V1 } else { Suites::SIGNAL };
        Self { device: Device::generate(address("alice"), &mut rng(seed)).with_suites(suites), suite, seed }
    }

    fn upload(&mut self, signed: u32, last_resort: u32, created: u64) -> PrekeyUpload {
        self.seed = self.seed.wrapping_add(1);
        let (rng, created) = (&mut rng(self.seed), Timestamp::new(created));
        let signed = SignedPrekey::generate(&self.device, self.suite, PrekeyId::new(signed), created, rng);
        let kem = KemPrekey::last_resort(&self.device, self.suite, PrekeyId::new(last_resort), created, rng);
        self.device.upload(PrekeyUploadId::random(rng), &signed, &kem)
    }

    fn one_time(&mut self, id: u32) -> (PrekeyId, PublicKey) {
        self.seed = self.seed.wrapping_add(1);
        let prekey = OneTimePrekey::generate(self.suite, PrekeyId::new(id), &mut rng(self.seed));
        (prekey.id(), *prekey.public_key())
    }

    fn one_time_kem(&mut self, id: u32) -> PublishedPrekey<KemPublicKey> {
        self.seed = self.seed.wrapping_add(1);
        let now = Timestamp::new(5);
        KemPrekey::one_time(&self.device, self.suite, PrekeyId::new(id), now, &mut rng(self.seed)).published()
    }

    /// With one-time prekeys of ids from `first` on.
    fn full(&mut self, signed: u32, last_resort: u32, created: u64, first: u32, count: u32) -> PrekeyUpload {
        let mut upload = self.upload(signed, last_resort, created);
        upload.one_time = (first..first + count).map(|id| self.one_time(id)).collect();
        upload.one_time_kem = (first + 1_000..first + 1_000 + count).map(|id| self.one_time_kem(id)).collect();
        upload
    }
}

fn prekey_store(suite: Suite) -> PrekeyStore {
    PrekeyStore::new(address("alice"), suite)
}

/// That an upload is refused, and nothing changes.
#[track_caller]
fn refused(prekey_store: &mut PrekeyStore, upload: &PrekeyUpload, error: PrekeyStoreError) {
    let before = prekey_store.clone();
    assert_eq!(prekey_store.apply(upload), Err(error));
    assert_eq!(*prekey_store, before);
}

fn counts(one_time: u32, one_time_kem: u32) -> PrekeyCounts {
    PrekeyCounts { one_time, one_time_kem }
}

#[test]
fn each_one_time_prekey_is_handed_out_once_oldest_first_and_then_none() {
    for suite in SUITES {
        let upload = Maker::new(suite, 1).full(1, 2, 5, 10, 3);
        let mut prekey_store = prekey_store(suite);
        assert_eq!(prekey_store.claim(), None);
        assert_eq!(prekey_store.counts(), counts(0, 0));
        assert_eq!(prekey_store.apply(&upload), Ok(AppliedUpload { one_time: 3, one_time_kem: 3 }));
        for at in 0..3 {
            let bundle = prekey_store.claim().unwrap();
            assert_eq!(bundle, upload.bundle(Some(&upload.one_time[at]), Some(&upload.one_time_kem[at])));
            assert!(bundle.verify().is_ok());
        }
        for _ in 0..2 {
            let bundle = prekey_store.claim().unwrap();
            assert_eq!(bundle, upload.bundle(None, None));
            assert!(bundle.verify().is_ok());
        }
    }
}

#[test]
fn an_upload_that_comes_again_hands_out_nothing_twice() {
    let mut maker = Maker::new(Suite::V1, 1);
    for replaces in [false, true] {
        let mut upload = maker.full(1, 2, 5, 10, 3);
        upload.replaces_one_time = replaces;
        let mut prekey_store = prekey_store(Suite::V1);
        prekey_store.apply(&upload).unwrap();
        prekey_store.claim().unwrap();
        let before = prekey_store.clone();
        assert_eq!(prekey_store.apply(&upload), Ok(AppliedUpload::default()));
        assert_eq!(prekey_store, before);
        assert_eq!(prekey_store.counts(), counts(2, 2));
        // Those that were used are left out by then.
        upload.one_time.remove(0);
        assert_eq!(prekey_store.apply(&upload), Ok(AppliedUpload::default()));
        assert_eq!(prekey_store, before);
    }
}

#[test]
fn one_that_was_made_fresh_replaces_its_copy_and_a_late_copy_is_older() {
    let maker = Maker::new(Suite::V1, 1);
    let (rng, device) = (&mut rng(9), &maker.device);
    let at = Timestamp::new;
    let signed = SignedPrekey::generate(device, Suite::V1, PrekeyId::new(1), at(5), rng);
    let kem = KemPrekey::last_resort(device, Suite::V1, PrekeyId::new(2), at(5), rng);
    let first = device.upload(PrekeyUploadId::new([1; 16]), &signed, &kem);
    let (signed, kem) = (signed.refreshed(device, at(9), rng), kem.refreshed(device, at(9), rng));
    assert_eq!((signed.public_key(), signed.id()), (&first.signed.key, first.signed.id));
    let fresh = device.upload(PrekeyUploadId::new([2; 16]), &signed, &kem);
    let mut prekey_store = prekey_store(Suite::V1);
    prekey_store.apply(&first).unwrap();
    prekey_store.apply(&fresh).unwrap();
    let bundle = prekey_store.claim().unwrap();
    assert_eq!((bundle.signed_prekey.created, bundle.kem_prekey.created), (at(9), at(9)));
    refused(&mut prekey_store, &first, PrekeyStoreError::Older);
}

#[test]
fn a_delayed_upload_does_not_put_an_old_key_back() {
    for suite in SUITES {
        let mut maker = Maker::new(suite, 1);
        let (first, second) = (maker.full(1, 2, 5, 10, 2), maker.full(30, 31, 9, 40, 2));
        let mut prekey_store = prekey_store(suite);
        prekey_store.apply(&first).unwrap();
        prekey_store.apply(&second).unwrap();
        refused(&mut prekey_store, &first, PrekeyStoreError::Older);
        // Nor one of the two alone.
        for (signed, last_resort) in [(&first, &second), (&second, &first)] {
            let mut mixed = second.clone();
            (mixed.signed, mixed.last_resort) = (signed.signed.clone(), last_resort.last_resort.clone());
            refused(&mut prekey_store, &mixed, PrekeyStoreError::Older);
        }
        // Not even where it would replace all.
        let mut replacing = first.clone();
        replacing.replaces_one_time = true;
        refused(&mut prekey_store, &replacing, PrekeyStoreError::Older);
        // One that never arrived is older as well, by its id.
        refused(&mut prekey_store, &maker.upload(20, 21, 8), PrekeyStoreError::Older);
    }
}

/// A clock that was ahead: the next one is newer by its id, whatever its date says.
#[test]
fn the_next_is_the_next_whatever_its_date() {
    let mut maker = Maker::new(Suite::V1, 1);
    let mut prekey_store = prekey_store(Suite::V1);
    prekey_store.apply(&maker.upload(1, 2, 9_000_000_000_000)).unwrap();
    let next = maker.upload(3, 4, 5);
    prekey_store.apply(&next).unwrap();
    assert_eq!(prekey_store.claim().unwrap().signed_prekey, next.signed);
}

/// After a rollback that was noticed ids begin elsewhere, perhaps below, and all that is here is replaced.
#[test]
fn a_replacing_upload_clears_the_one_time_prekeys() {
    let mut maker = Maker::new(Suite::V1, 1);
    let (first, mut second) = (maker.full(100, 101, 5, 110, 3), maker.full(1, 2, 6, 10, 2));
    let mut prekey_store = prekey_store(Suite::V1);
    prekey_store.apply(&first).unwrap();
    refused(&mut prekey_store, &second, PrekeyStoreError::Older);
    second.replaces_one_time = true;
    assert_eq!(prekey_store.apply(&second), Ok(AppliedUpload { one_time: 2, one_time_kem: 2 }));
    assert_eq!(prekey_store.counts(), counts(2, 2));
    assert_eq!(prekey_store.claim().unwrap(), second.bundle(Some(&second.one_time[0]), Some(&second.one_time_kem[0])));
    refused(&mut prekey_store, &first, PrekeyStoreError::Older);
}

#[test]
fn the_same_id_with_another_key_is_refused() {
    let mut maker = Maker::new(Suite::V1, 1);
    let first = maker.full(1, 2, 5, 10, 2);
    let mut prekey_store = prekey_store(Suite::V1);
    prekey_store.apply(&first).unwrap();
    let (mut signed, mut last_resort) = (maker.upload(1, 9, 7), maker.upload(9, 2, 7));
    signed.last_resort = first.last_resort.clone();
    last_resort.signed = first.signed.clone();
    refused(&mut prekey_store, &signed, PrekeyStoreError::OtherKey);
    refused(&mut prekey_store, &last_resort, PrekeyStoreError::OtherKey);
    let (mut one_time, mut kem) = (first.clone(), first.clone());
    one_time.one_time[1] = maker.one_time(11);
    kem.one_time_kem[1] = maker.one_time_kem(1_011);
    refused(&mut prekey_store, &one_time, PrekeyStoreError::OtherKey);
    refused(&mut prekey_store, &kem, PrekeyStoreError::OtherKey);
    // In one upload as well; behind others that are new.
    let mut twice = maker.full(3, 4, 7, 50, 3);
    twice.one_time.push(maker.one_time(50));
    refused(&mut prekey_store, &twice, PrekeyStoreError::OtherKey);
    // The device says that it means it.
    assert!(prekey_store.replace(&signed).is_ok());
    assert_eq!(prekey_store.claim().unwrap().signed_prekey, signed.signed);
}

#[test]
fn another_identity_key_replaces_only_by_name() {
    let (mut maker, mut reinstalled) = (Maker::new(Suite::V1, 1), Maker::new(Suite::V1, 70));
    let mut prekey_store = prekey_store(Suite::V1);
    prekey_store.apply(&maker.full(1, 2, 5, 10, 2)).unwrap();
    let mut upload = reinstalled.full(1, 2, 5, 10, 1);
    refused(&mut prekey_store, &upload, PrekeyStoreError::OtherIdentity);
    upload.replaces_one_time = true;
    refused(&mut prekey_store, &upload, PrekeyStoreError::OtherIdentity);
    // What is no good replaces nothing.
    let mut bad = upload.clone();
    bad.signed.signature[0] ^= 1;
    let before = prekey_store.clone();
    assert_eq!(prekey_store.replace(&bad), Err(BundleError::BadPrekeySignature.into()));
    assert_eq!(prekey_store, before);
    assert_eq!(prekey_store.replace(&upload), Ok(AppliedUpload { one_time: 1, one_time_kem: 1 }));
    assert_eq!(prekey_store.identity_key(), Some(reinstalled.device.identity_key()));
    assert_eq!(prekey_store.counts(), counts(1, 1));
}

#[test]
fn what_is_not_for_this_store_is_refused() {
    let mut prekey_store = prekey_store(Suite::V1);
    let upload = Maker::new(Suite::V1, 1).full(1, 2, 5, 10, 2);
    let mut other = upload.clone();
    other.address = address("bob");
    refused(&mut prekey_store, &other, PrekeyStoreError::OtherDevice);
    refused(&mut prekey_store, &Maker::new(Suite::Signal, 1).upload(1, 2, 5), PrekeyStoreError::OtherSuite);
    for place in 0..3 {
        let mut other = upload.clone();
        match place {
            0 => other.signed.suites = Suites::SIGNAL,
            1 => other.last_resort.suites = Suites::SIGNAL,
            _ => other.one_time_kem[1].suites = Suites::SIGNAL,
        }
        refused(&mut prekey_store, &other, PrekeyStoreError::SuiteNotOffered);
    }
}

/// In suite V1 all that a prekey says of itself is signed.
#[test]
fn what_the_identity_key_has_not_signed_is_refused() {
    let mut maker = Maker::new(Suite::V1, 1);
    let upload = maker.full(1, 2, 5, 10, 2);
    let mut prekey_store = prekey_store(Suite::V1);
    let (bad_signed, bad_kem) = (BundleError::BadPrekeySignature.into(), BundleError::BadKemSignature.into());
    type Change = fn(&mut PrekeyUpload);
    let changes: [(Change, PrekeyStoreError); 12] = [
        (|it| it.signed.signature[3] ^= 1, bad_signed),
        (|it| it.signed.id = PrekeyId::new(3), bad_signed),
        (|it| it.signed.created = Timestamp::new(6), bad_signed),
        (|it| it.signed.suites = Suites::from_bits(3).unwrap(), bad_signed),
        (|it| it.last_resort.signature[3] ^= 1, bad_kem),
        (|it| it.last_resort.id = PrekeyId::new(3), bad_kem),
        (|it| it.last_resort.created = Timestamp::new(6), bad_kem),
        (|it| it.last_resort.suites = Suites::from_bits(3).unwrap(), bad_kem),
        // One of a kind does not stand for another.
        (|it| it.last_resort = it.one_time_kem[0].clone(), bad_kem),
        (|it| it.one_time_kem.push(it.last_resort.clone()), bad_kem),
        (|it| it.one_time_kem[1].signature[3] ^= 1, bad_kem),
        (|it| it.one_time_kem[1].id = PrekeyId::new(3), bad_kem),
    ];
    for (change, error) in changes {
        let mut other = upload.clone();
        change(&mut other);
        refused(&mut prekey_store, &other, error);
    }
    let mut other = upload.clone();
    other.identity_key = *Maker::new(Suite::V1, 90).device.identity_key();
    refused(&mut prekey_store, &other, bad_signed);
    let mut other = upload;
    other.one_time_kem.push(Maker::new(Suite::Signal, 1).one_time_kem(3));
    other.one_time_kem[2].suites = Suites::V1;
    refused(&mut prekey_store, &other, BundleError::WrongKem.into());
}

/// However much is brought: a prekey store is bounded, what is too much is passed over, and may come again.
#[test]
fn more_than_fit_are_passed_over() {
    let mut maker = Maker::new(Suite::V1, 1);
    let mut prekey_store = prekey_store(Suite::V1);
    let mut upload = maker.upload(1, 2, 5);
    upload.one_time = (10..410).map(|id| maker.one_time(id)).collect();
    assert_eq!(prekey_store.apply(&upload).unwrap().one_time, 400);
    upload.one_time.push(maker.one_time(410));
    refused(&mut prekey_store, &upload, PrekeyStoreError::TooMany);
    upload.one_time.remove(0);
    assert_eq!(prekey_store.apply(&upload).unwrap().one_time, 0, "passed over");
    prekey_store.claim().unwrap();
    assert_eq!(prekey_store.apply(&upload).unwrap().one_time, 1, "there is room");
    assert!(prekey_store.to_bytes().len() < 750_000);
}

static FULL: LazyLock<(PrekeyStore, PrekeyUpload)> = LazyLock::new(|| {
    let mut maker = Maker::new(Suite::V1, 1);
    let (upload, mut prekey_store) = (maker.full(1, 2, 5, 10, 3), prekey_store(Suite::V1));
    prekey_store.apply(&upload).unwrap();
    prekey_store.claim().unwrap();
    (prekey_store, upload)
});

#[test]
fn written_stores_come_back_or_are_told_apart() {
    let full = &FULL.0;
    for prekey_store in [full.clone(), prekey_store(Suite::Signal)] {
        let bytes = prekey_store.to_bytes();
        assert_eq!(PrekeyStore::from_bytes(&bytes), Ok(prekey_store));
        for len in 0..bytes.len() {
            assert_eq!(PrekeyStore::from_bytes(&bytes[..len]), Err(RecordError::Corrupt), "{len}");
        }
        assert_eq!(PrekeyStore::from_bytes(&[&bytes[..], &[0]].concat()), Err(RecordError::Corrupt));
        let mut newer = bytes;
        newer[2] = 2;
        assert_eq!(PrekeyStore::from_bytes(&newer), Err(RecordError::Newer(2)));
    }
    // One that could hand out a key twice.
    let mut forgetful = full.clone();
    forgetful.contents.as_mut().unwrap().taken.one_time = Taken::default();
    assert_eq!(PrekeyStore::from_bytes(&forgetful.to_bytes()), Err(RecordError::Corrupt));
}

#[test]
fn uploads_have_one_encoding_and_bounds() {
    for suite in SUITES {
        let mut upload = Maker::new(suite, 1).full(1, 0, 0, 10, 3);
        upload.replaces_one_time = suite == Suite::V1;
        let bytes = upload.to_bytes();
        assert_eq!(PrekeyUpload::parse(&bytes), Ok(upload));
        for len in (0..bytes.len()).step_by(37) {
            // Cut short between two of the last list it is a shorter upload, with nothing in it that is not there.
            let cut = PrekeyUpload::parse(&bytes[..len]);
            assert!(cut.is_err() || cut.unwrap().to_bytes() == bytes[..len], "{len}");
        }
        assert_eq!(PrekeyUpload::parse(&[&bytes[..], &[0]].concat()), Err(PrekeyUploadError::Malformed));
        let mut newer = bytes;
        newer[2] = 9;
        assert_eq!(PrekeyUpload::parse(&newer), Err(PrekeyUploadError::Newer(9)));
    }
    assert_eq!(PrekeyUpload::parse(&vec![8; (1 << 20) + 1]), Err(PrekeyUploadError::TooLong));
    assert_eq!(PrekeyUpload::parse(&[]), Err(PrekeyUploadError::Malformed));
    let mut maker = Maker::new(Suite::V1, 1);
    let mut many = maker.upload(1, 2, 5);
    many.one_time = vec![maker.one_time(7); 401];
    assert_eq!(PrekeyUpload::parse(&many.to_bytes()), Err(PrekeyUploadError::Malformed));
}

proptest! {
    #[test]
    fn hostile_bytes_are_refused_or_come_back(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let (prekey_store, upload) = &*FULL;
        for (bytes, is_prekey_store) in [(prekey_store.to_bytes(), true), (upload.to_bytes(), false)] {
            let mut bytes = bytes;
            for (at, add) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = bytes[at].wrapping_add(*add);
            }
            if is_prekey_store {
                if let Ok(mut prekey_store) = PrekeyStore::from_bytes(&bytes) {
                    prop_assert_eq!(prekey_store.to_bytes(), bytes);
                    while prekey_store.claim().is_some_and(|bundle| bundle.one_time_prekey.is_some()) {}
                }
            } else if let Ok(upload) = PrekeyUpload::parse(&bytes) {
                prop_assert_eq!(upload.to_bytes(), bytes);
                let _ = PrekeyStore::new(upload.address.clone(), upload.suite).apply(&upload);
            }
        }
    }

    /// Uploads of any order and repetition: nothing is handed out twice, what is handed out verifies, signed prekeys do not go
    /// back, and the stored form is the same.
    #[test]
    fn whatever_is_brought(steps in prop::collection::vec(prop_oneof![
        2 => (0..8usize).prop_map(Some),
        3 => Just(None),
    ], 1..40)) {
        static UPLOADS: LazyLock<Vec<PrekeyUpload>> = LazyLock::new(|| {
            let mut maker = Maker::new(Suite::V1, 1);
            (0..8).map(|at| {
                let mut upload = maker.full(at * 20 + 1, at * 20 + 2, 500 - u64::from(at), at * 20 + 3, 3);
                upload.replaces_one_time = at % 3 == 2;
                upload
            }).collect()
        });
        let (mut prekey_store, mut seen, mut signed) = (prekey_store(Suite::V1), BTreeSet::new(), Vec::new());
        for step in steps {
            match step {
                Some(at) => drop(prekey_store.apply(&UPLOADS[at])),
                None => if let Some(bundle) = prekey_store.claim() {
                    prop_assert!(bundle.one_time_prekey.is_none_or(|(id, _)| seen.insert((false, id))));
                    prop_assert!(bundle.kem_is_last_resort || seen.insert((true, bundle.kem_prekey.id)));
                    let id = bundle.signed_prekey.id;
                    if signed.last() != Some(&id) {
                        prop_assert!(!signed.contains(&id), "it was replaced before");
                        signed.push(id);
                    }
                    prop_assert!(bundle.verify().is_ok());
                },
            }
            let stored = PrekeyStore::from_bytes(&prekey_store.to_bytes());
            prop_assert_eq!(stored.as_ref(), Ok(&prekey_store));
        }
    }
}
