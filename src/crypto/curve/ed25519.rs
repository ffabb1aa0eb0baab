use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Signature as EdSignature, VerifyingKey};
use sha2::Sha512;

use super::public_key::PublicKeyError;
use super::sign::{BadSignature, Signature};
use crate::crypto::Secret;

/// An Ed25519 public key (RFC 8032): the one spelling of a point that is not of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EdPublicKey([u8; 32]);

impl EdPublicKey {
    /// Takes the 32 bytes.
    ///
    /// # Errors
    ///
    /// [`PublicKeyError::NotCanonical`] if they are no point, or not its one spelling; [`PublicKeyError::SmallOrder`].
    pub(crate) fn new(bytes: [u8; 32]) -> Result<Self, PublicKeyError> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| PublicKeyError::NotCanonical)?;
        if key.to_edwards().compress().to_bytes() != bytes {
            return Err(PublicKeyError::NotCanonical);
        }
        if key.is_weak() { Err(PublicKeyError::SmallOrder) } else { Ok(Self(bytes)) }
    }

    /// Takes 32 bytes that [were looked at](Self::new) before they were stored: to decode the point costs as much as a message.
    pub(crate) const fn stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Verifies a signature.
    ///
    /// # Errors
    ///
    /// [`BadSignature`], for whatever reason.
    ///
    /// # Security
    ///
    /// Strict: s is reduced and R not of small order, so that nobody but the signer makes a second signature of one.
    pub(crate) fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| BadSignature)?;
        key.verify_strict(message, &EdSignature::from_bytes(signature)).map_err(|_| BadSignature)
    }
}

/// An Ed25519 key pair, made of a seed. Signing draws nothing: a signature hangs on the seed and the message alone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EdKeyPair {
    seed: Secret<32>,
    public: EdPublicKey,
}

impl EdKeyPair {
    /// Makes the pair of 32 private bytes.
    pub(crate) fn new(seed: Secret<32>) -> Self {
        let public = VerifyingKey::from(&ExpandedSecretKey::from(seed.expose()));
        Self { public: EdPublicKey(public.to_bytes()), seed }
    }

    /// The public half.
    pub(crate) const fn public(&self) -> &EdPublicKey {
        &self.public
    }

    /// The private half.
    pub(crate) const fn seed(&self) -> &Secret<32> {
        &self.seed
    }

    /// Signs.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let expanded = ExpandedSecretKey::from(self.seed.expose());
        raw_sign::<Sha512>(&expanded, message, &VerifyingKey::from(&expanded)).to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes<const N: usize>(hexed: &str) -> [u8; N] {
        hex::decode(hexed).unwrap().try_into().unwrap()
    }

    /// RFC 8032, 7.1, test 2.
    #[test]
    fn the_published_example() {
        let pair =
            EdKeyPair::new(Secret::new(bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")));
        let public = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        assert_eq!(*pair.public().as_bytes(), public);
        let signature = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        assert_eq!(pair.sign(&[0x72]), signature);
        assert_eq!(EdPublicKey::new(public).unwrap().verify(&[0x72], &signature), Ok(()));
        assert_eq!(pair.public().verify(&[0x73], &signature), Err(BadSignature));
    }

    #[test]
    fn keys_that_nobody_has_are_refused() {
        for point in curve25519_dalek::constants::EIGHT_TORSION {
            assert_eq!(EdPublicKey::new(point.compress().to_bytes()), Err(PublicKeyError::SmallOrder));
        }
        // y = p + 3, the second spelling of 3; x = 0 with a sign; no point.
        let mut other = [0xff; 32];
        (other[0], other[31]) = (0xf0, 0x7f);
        let mut signed = [0; 32];
        (signed[0], signed[31]) = (1, 0x80);
        let mut none = [0; 32];
        none[0] = 2;
        for key in [other, signed, none] {
            assert_eq!(EdPublicKey::new(key), Err(PublicKeyError::NotCanonical), "{key:02x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bit_of_a_signature_can_change(seed in any::<[u8; 32]>(), message in any::<[u8; 9]>(), bit in 0usize..512) {
            let pair = EdKeyPair::new(Secret::new(seed));
            let mut signature = pair.sign(&message);
            prop_assert_eq!(pair.public().verify(&message, &signature), Ok(()));
            prop_assert_eq!(EdPublicKey::new(*pair.public().as_bytes()), Ok(*pair.public()));
            signature[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(pair.public().verify(&message, &signature), Err(BadSignature));
        }
    }
}
