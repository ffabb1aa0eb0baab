use curve25519_dalek::{EdwardsPoint, MontgomeryPoint, Scalar};
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign, raw_verify};
use ed25519_dalek::{Signature as EdSignature, VerifyingKey};
use rand_core::CryptoRng;
use sha2::Sha512;
use zeroize::Zeroizing;

use crate::crypto::{KeyPair, PeerKey, PublicKey, Secret, sha512};

/// Length of an XEdDSA signature: R, then s with the sign of the public key in its top bit.
pub const SIGNATURE_LEN: usize = 64;

/// An XEdDSA signature as it travels.
pub type Signature = [u8; SIGNATURE_LEN];

/// The signature does not verify under this key for these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct BadSignature;

/// Signs with an X25519 key (XEdDSA, in the form that Signal's implementations use: the sign of the Edwards
/// public key is not forced to zero but travels in the top bit of the signature).
///
/// The nonce is hedged: it hangs on the private key, 64 fresh random bytes and the message, so neither a weak
/// generator nor a repeated one gives the key away. The 32-byte prefix fed to `ed25519-dalek` is
/// `SHA-512(0xFE ‖ 0xFF×31 ‖ a ‖ Z)[..32]`: nonces differ from those of the XEdDSA paper bit for bit, which no
/// verifier can see.
#[must_use]
pub(crate) fn xeddsa_sign(key: &KeyPair, message: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> Signature {
    let fresh = Secret::<64>::random(rng);
    let mut domain = [0xff; 32];
    domain[0] = 0xfe;
    let nonce_key = Zeroizing::new(sha512(&[&domain, key.private().expose(), fresh.expose()]));
    let mut hash_prefix = [0; 32];
    for (to, from) in hash_prefix.iter_mut().zip(nonce_key.iter()) {
        *to = *from;
    }
    let expanded = ExpandedSecretKey { scalar: Scalar::from_bytes_mod_order(*key.private().expose()), hash_prefix };
    let verifying = VerifyingKey::from(EdwardsPoint::mul_base(&expanded.scalar));
    let mut signature = raw_sign::<Sha512>(&expanded, message, &verifying).to_bytes();
    let [.., a_last] = verifying.as_bytes();
    let [.., last] = &mut signature;
    *last |= a_last & 0x80;
    signature
}

/// Verifies an XEdDSA signature under an X25519 public key.
///
/// # Errors
///
/// [`BadSignature`], for whatever reason: a signature is right or it is not.
#[cfg(test)]
pub(crate) fn xeddsa_verify(key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    Verifier::new(key).verify(message, signature)
}

/// An X25519 public key, ready for verifying: what hangs on the key alone is computed once for all its signatures.
pub(crate) struct Verifier {
    key: PublicKey,
    /// For the sign that the last signature had. All of one signer have the same: it is that of its Edwards key.
    lifted: Option<(u8, EdwardsPoint, VerifyingKey)>,
}

impl Verifier {
    pub(crate) const fn new(key: &PublicKey) -> Self {
        Self { key: *key, lifted: None }
    }

    /// Verifies an XEdDSA signature.
    ///
    /// # Errors
    ///
    /// [`BadSignature`], for whatever reason: a signature is right or it is not.
    ///
    /// # Security
    ///
    /// Strict: s must be reduced and neither R nor the key may be of small order, so a signature has one form only.
    /// Signal's own library also takes an unreduced s below 2^253; genuine signatures never have one.
    pub(crate) fn verify(&mut self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let mut signature = *signature;
        let [.., last] = &mut signature;
        let sign = *last >> 7;
        *last &= 0x7f;
        let (point, key) = self.lift(sign)?;
        let signature = EdSignature::from_bytes(&signature);
        // What `verify_strict` refuses, without decompressing R: where all else is right, R is the one spelling of its
        // point.
        if point.is_small_order() || is_of_small_order(signature.r_bytes()) {
            return Err(BadSignature);
        }
        raw_verify::<Sha512>(&key, message, &signature).map_err(|_| BadSignature)
    }

    /// The key, ready for agreements.
    pub(crate) fn into_peer_key(self) -> PeerKey {
        match self.lifted {
            Some((_, point, _)) => PeerKey::lifted(&self.key, point),
            None => PeerKey::new(&self.key),
        }
    }

    fn lift(&mut self, sign: u8) -> Result<(EdwardsPoint, VerifyingKey), BadSignature> {
        match self.lifted {
            Some((held, point, key)) if held == sign => Ok((point, key)),
            _ => {
                let point = MontgomeryPoint(*self.key.coordinate()).to_edwards(sign).ok_or(BadSignature)?;
                let key = VerifyingKey::from(point);
                self.lifted = Some((sign, point, key));
                Ok((point, key))
            }
        }
    }
}

/// Whether these bytes spell a point of small order, as a point is spelled when it is compressed.
fn is_of_small_order(compressed: &[u8; 32]) -> bool {
    let mut y = *compressed;
    let [.., last] = &mut y;
    *last &= 0x7f;
    SMALL_ORDER.contains(&y)
}

/// The y coordinates of the eight points of small order.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ],
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PrivateKey;
    use crate::vectors::{Script, array, bytes, load, secret};
    use proptest::prelude::*;
    use std::{string::String, vec::Vec};

    #[test]
    fn recorded_verdicts_hold_and_the_list_of_stricter_ones_is_exact() {
        let vectors = load("keys-signatures.json");
        let mut stricter = Vec::new();
        for case in vectors["signatures"].as_array().unwrap() {
            let key = PublicKey::parse(&bytes(&case["public"])).unwrap();
            let ours = bytes(&case["signature"])
                .try_into()
                .is_ok_and(|signature| xeddsa_verify(&key, &bytes(&case["message"]), &signature).is_ok());
            let theirs = case["valid"].as_bool().unwrap();
            if theirs && !ours {
                stricter.push(String::from(case["why"].as_str().unwrap()));
            } else {
                assert_eq!(ours, theirs, "{case}");
            }
        }
        // Signal's library takes s + L, a second spelling of a signature; here there is one spelling.
        assert_eq!(stricter.len(), 12);
        assert!(stricter.iter().all(|why| why == "s plus group order"), "{stricter:?}");
    }

    /// One verifier for many signatures gives the verdicts of one for each, whatever signs they claim.
    #[test]
    fn a_verifier_does_not_remember_what_it_should_not() {
        let mut rng = crate::support::rng(1);
        let pair = KeyPair::generate(&mut rng);
        let mut verifier = Verifier::new(pair.public());
        for round in 0..20u8 {
            let mut signature = xeddsa_sign(&pair, &[round], &mut rng);
            assert_eq!(verifier.verify(&[round], &signature), Ok(()));
            assert!(verifier.verify(&[round, 1], &signature).is_err());
            signature[63] ^= 0x80;
            assert!(verifier.verify(&[round], &signature).is_err(), "of the other sign");
        }
    }

    #[test]
    fn points_of_small_order_are_known() {
        let torsion = curve25519_dalek::constants::EIGHT_TORSION.map(|point| point.compress().to_bytes());
        assert!(torsion.iter().all(is_of_small_order));
        let y: std::collections::BTreeSet<_> =
            torsion.iter().map(|bytes| (bytes[..31].to_vec(), bytes[31] & 0x7f)).collect();
        assert_eq!(y.len(), SMALL_ORDER.len());
        assert!(!is_of_small_order(EdwardsPoint::mul_base(&Scalar::ONE).compress().as_bytes()));
    }

    /// Right but for the small order of R or of the key, or both: what `verify_strict` refuses and `verify` takes.
    #[test]
    fn small_orders_are_refused() {
        let private = Scalar::from(1_000u16);
        let key = EdwardsPoint::mul_base(&private);
        let (mut plain, mut strict) = (0, 0);
        for torsion in curve25519_dalek::constants::EIGHT_TORSION {
            for (key, private) in [(key, private), (torsion, Scalar::ZERO), (key + torsion, private)] {
                for message in 0..16u8 {
                    // R of small order, or plain with a small-order part.
                    for (r_scalar, r) in [(Scalar::ZERO, torsion), (Scalar::ONE, EdwardsPoint::mul_base(&Scalar::ONE))]
                    {
                        let (r, a) = (r.compress().to_bytes(), key.compress().to_bytes());
                        let k = Scalar::from_bytes_mod_order_wide(&sha512(&[&r, &a, &[message]]));
                        let signature: Signature =
                            [r, (r_scalar + k * private).to_bytes()].concat().try_into().unwrap();
                        let verifying = VerifyingKey::from(key);
                        let ed = EdSignature::from_bytes(&signature);
                        let expected = verifying.verify_strict(&[message], &ed).is_ok();
                        let Ok(public) = PublicKey::from_coordinate(key.to_montgomery().to_bytes()) else { continue };
                        let mut signature = signature;
                        signature[63] |= a[31] & 0x80;
                        assert_eq!(xeddsa_verify(&public, &[message], &signature).is_ok(), expected);
                        plain += u32::from(raw_verify::<Sha512>(&verifying, &[message], &ed).is_ok());
                        strict += u32::from(expected);
                    }
                }
            }
        }
        assert!(plain > strict && strict > 100, "{plain}, {strict}");
    }

    #[test]
    fn recorded_keys_and_agreements_hold() {
        let vectors = load("keys-signatures.json");
        for case in vectors["keys"].as_array().unwrap() {
            let pair = KeyPair::new(secret(&case["privateInput"]));
            assert_eq!(pair.private().expose(), &array::<32>(&case["privateSerialized"]));
            assert_eq!(pair.public().to_bytes(), array::<33>(&case["public"]));
        }
        for case in vectors["agreements"].as_array().unwrap() {
            let (a, b) = (PrivateKey::new(secret(&case["a"])), PrivateKey::new(secret(&case["b"])));
            assert!(a.agree(&b.public()).unwrap() == secret(&case["secret"]));
            assert!(b.agree(&a.public()).unwrap() == secret(&case["secret"]));
        }
    }

    #[test]
    fn the_nonce_hangs_on_message_and_randomness() {
        let pair = KeyPair::new(Secret::new([3; 32]));
        let sign = |message: &[u8], random: u8| {
            let mut rng = Script::default();
            rng.push([random; 64]);
            xeddsa_sign(&pair, message, &mut rng)
        };
        // A generator that repeats itself must not give two messages one nonce: that gives the key away.
        assert_ne!(sign(b"a", 1)[..32], sign(b"b", 1)[..32]);
        assert_ne!(sign(b"a", 1)[..32], sign(b"a", 2)[..32]);
        assert_eq!(sign(b"a", 1), sign(b"a", 1));
    }

    proptest! {
        #[test]
        fn signatures_verify_and_no_bit_can_change(
            key in any::<[u8; 32]>(), random in any::<[u8; 32]>(), message in any::<[u8; 16]>(), bit in 0usize..512,
        ) {
            let pair = KeyPair::new(Secret::new(key));
            let mut rng = Script::default();
            rng.push(random.into_iter().chain(random));
            let mut signature = xeddsa_sign(&pair, &message, &mut rng);
            prop_assert_eq!(xeddsa_verify(pair.public(), &message, &signature), Ok(()));
            prop_assert!(xeddsa_verify(pair.public(), &message[1..], &signature).is_err());
            signature[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(xeddsa_verify(pair.public(), &message, &signature).is_err());
        }
    }
}
