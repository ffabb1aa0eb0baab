use core::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::public_key::PublicKey;
use super::x25519::{self, PeerKey};
use crate::crypto::Secret;

/// The agreement gave the all-zero value: the other key is of low order, and the "secret" known to everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agreement did not depend on both keys")]
pub struct NotContributory;

impl PublicKey {
    /// Whether the point lies in the prime-order subgroup, as every key made by clamping does.
    ///
    /// # Security
    ///
    /// Agreement clears the cofactor, so eight keys agree alike; a key that must have one spelling only (a
    /// handshake's base key, which names a session) is checked with this.
    #[must_use]
    pub fn is_torsion_free(&self) -> bool {
        PeerKey::new(self).is_torsion_free()
    }
}

/// An X25519 private key, clamped when it is made (RFC 7748).
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PrivateKey(Secret<32>);

impl PrivateKey {
    /// Takes 32 bytes and clamps them.
    #[must_use]
    pub fn new(bytes: Secret<32>) -> Self {
        Self(Secret::new(curve25519_dalek::scalar::clamp_integer(*bytes.expose())))
    }

    /// The clamped bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The public half. Costs a scalar multiplication; a [`KeyPair`] keeps the answer.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(x25519::public(self.expose()))
    }

    /// X25519 with another's public key.
    ///
    /// # Errors
    ///
    /// [`NotContributory`] if the result is all zero.
    pub fn agree(&self, other: &PublicKey) -> Result<Secret<32>, NotContributory> {
        self.agree_with(&PeerKey::new(other))
    }

    /// [`PrivateKey::agree`] with a key that agrees more than once.
    pub(crate) fn agree_with(&self, other: &PeerKey) -> Result<Secret<32>, NotContributory> {
        #[cfg(test)]
        count::agreement();
        let shared = other.agree(self.expose());
        // The all-zero value is no secret, and comparing with it takes the same time whatever the other is.
        if shared == Secret::new([0; 32]) { Err(NotContributory) } else { Ok(shared) }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// An X25519 private key beside the public key that was computed when it was made.
///
/// # Examples
///
/// ```
/// use subrosa::crypto::{KeyPair, Secret};
/// let (a, b) = (KeyPair::new(Secret::new([1; 32])), KeyPair::new(Secret::new([2; 32])));
/// assert!(a.agree(b.public())? == b.agree(a.public())?);
/// # Ok::<(), subrosa::crypto::NotContributory>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    private: PrivateKey,
    public: PublicKey,
}

impl KeyPair {
    /// Makes the pair of 32 private bytes (clamped here).
    #[must_use]
    pub fn new(private: Secret<32>) -> Self {
        let private = PrivateKey::new(private);
        let public = private.public();
        Self { private, public }
    }

    /// Draws a pair: 32 bytes of randomness.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::new(Secret::random(rng))
    }

    /// Joins halves that were stored together, without recomputing the public one.
    pub(crate) fn from_parts(private: PrivateKey, public: PublicKey) -> Self {
        Self { private, public }
    }

    /// The private half.
    #[must_use]
    pub const fn private(&self) -> &PrivateKey {
        &self.private
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// X25519 with another's public key.
    ///
    /// # Errors
    ///
    /// [`NotContributory`] if the result is all zero.
    pub fn agree(&self, other: &PublicKey) -> Result<Secret<32>, NotContributory> {
        self.private.agree(other)
    }

    /// [`KeyPair::agree`] with a key that agrees more than once.
    pub(crate) fn agree_with(&self, other: &PeerKey) -> Result<Secret<32>, NotContributory> {
        self.private.agree_with(other)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { private: _, public } = self;
        f.debug_struct("KeyPair").field("public", public).finish_non_exhaustive()
    }
}

/// Counts agreements, so that tests can assert what a hostile message costs.
#[cfg(test)]
pub(crate) mod count {
    use std::cell::Cell;

    std::thread_local!(static AGREEMENTS: Cell<u64> = const { Cell::new(0) });

    pub(crate) fn agreement() {
        AGREEMENTS.set(AGREEMENTS.get() + 1);
    }

    /// Agreements computed by this thread so far.
    pub(crate) fn agreements() -> u64 {
        AGREEMENTS.get()
    }
}

#[cfg(test)]
mod tests {
    use super::super::public_key::tests::coordinate;
    use super::*;

    #[test]
    fn low_order_keys_do_not_agree() {
        let pair = KeyPair::new(Secret::new([0x42; 32]));
        let mut low_order = std::vec![[0u8; 32], coordinate(1, 0, 0), coordinate(0xec, 0xff, 0x7f)];
        low_order.push(
            hex::decode("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
                .unwrap()
                .try_into()
                .unwrap(),
        );
        low_order.push(
            hex::decode("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157")
                .unwrap()
                .try_into()
                .unwrap(),
        );
        for u in low_order {
            let key = PublicKey::from_coordinate(u).unwrap();
            assert_eq!(pair.agree(&key), Err(NotContributory), "{u:02x?}");
            assert!(!key.is_torsion_free() || u == [0; 32], "{u:02x?}");
        }
    }

    #[test]
    fn honest_keys_are_torsion_free() {
        for seed in 0..8 {
            assert!(KeyPair::new(Secret::new([seed; 32])).public().is_torsion_free());
        }
    }
}
