use curve25519_dalek::{EdwardsPoint, MontgomeryPoint, Scalar};
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Signature as EdSignature, VerifyingKey};
use rand_core::CryptoRng;
use sha2::Sha512;
use zeroize::Zeroizing;

use super::{KeyPair, PublicKey, Secret, sha512};

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
///
/// # Security
///
/// Strict: s must be reduced and neither R nor the key may be of small order, so a signature has one form only.
/// Signal's own library also takes an unreduced s below 2^253; genuine signatures never have one.
pub(crate) fn xeddsa_verify(key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    let mut signature = *signature;
    let [.., last] = &mut signature;
    let sign = *last >> 7;
    *last &= 0x7f;
    let point = MontgomeryPoint(*key.coordinate()).to_edwards(sign).ok_or(BadSignature)?;
    VerifyingKey::from(point).verify_strict(message, &EdSignature::from_bytes(&signature)).map_err(|_| BadSignature)
}

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
