//! X25519 by the quicker of two ways.
//!
//! The Montgomery ladder works on the u coordinate alone. Where the curve arithmetic has vector instructions, it is
//! quicker to lift u to a point of the Edwards form, multiply that, and go back to u; and a lifted point serves every
//! agreement with the same key. One multiplication has one result, whichever way it is computed; the fast backend, where
//! there is one, is quicker than both.

use curve25519_dalek::{EdwardsPoint, MontgomeryPoint, Scalar};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::crypto::{PublicKey, Secret, fast};

/// Whether lifting pays: where the curve library looks for vector instructions, which nearly every such processor has.
/// Without them an agreement with a lifted point is slower by a seventh than the ladder, lifting included, and two that
/// share the point are slower still by a little.
const LIFTS: bool = cfg!(all(target_arch = "x86_64", target_pointer_width = "64"));

/// Another's public key, ready for agreements: what depends on that key alone is computed once for all of them.
///
/// # Security
///
/// Which way an agreement goes hangs on the other's public key, the build and the processor, which are no secrets. Each
/// way takes the same time for every private key.
#[derive(Clone, Copy)]
pub(crate) struct PeerKey {
    key: PublicKey,
    /// `None` where the ladder or the fast backend is quicker, and for a coordinate of the curve's twist, which no honest
    /// key has: the ladder knows no difference between curve and twist, and its result counts.
    point: Option<EdwardsPoint>,
}

impl PeerKey {
    pub(crate) fn new(key: &PublicKey) -> Self {
        Self { key: *key, point: if LIFTS && !fast::is_on() { lift(key) } else { None } }
    }

    /// The same, of a key that was lifted already, to either of its points.
    pub(super) fn lifted(key: &PublicKey, point: EdwardsPoint) -> Self {
        Self { key: *key, point: (LIFTS && !fast::is_on()).then_some(point) }
    }

    /// The key itself.
    pub(crate) const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether the point lies in the prime-order subgroup. A coordinate of the twist does not.
    pub(crate) fn is_torsion_free(&self) -> bool {
        self.point.or_else(|| lift(&self.key)).is_some_and(|point| {
            // The order of the group is no `Scalar`; the order less one is. In variable time: public keys are public.
            let order_less_one = -Scalar::ONE;
            EdwardsPoint::vartime_double_scalar_mul_basepoint(&order_less_one, &point, &Scalar::ZERO) == -point
        })
    }

    /// The scalar, which must be clamped, times the point: all zero for a point of low order.
    pub(super) fn agree(&self, scalar: &[u8; 32]) -> Secret<32> {
        fast::agree(scalar, self.key.coordinate()).unwrap_or_else(|| self.agree_portably(scalar))
    }

    fn agree_portably(&self, scalar: &[u8; 32]) -> Secret<32> {
        // On neither way is the scalar reduced modulo the order of the group: on a point with a small-order part that
        // would be another product, and whoever sent the point would learn the reduced scalar modulo eight.
        match &self.point {
            Some(point) => {
                let product = Zeroizing::new(point.mul_clamped(*scalar));
                Secret::new(Zeroizing::new(product.to_montgomery()).to_bytes())
            }
            None => Secret::new(*Zeroizing::new(x25519_dalek::x25519(*scalar, *self.key.coordinate()))),
        }
    }
}

impl PartialEq for PeerKey {
    // All else follows from the key.
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for PeerKey {}

impl core::fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.key.fmt(f)
    }
}

/// A point of the Edwards form with this u. The other one is its negative, and their multiples have one u as well.
fn lift(key: &PublicKey) -> Option<EdwardsPoint> {
    MontgomeryPoint(*key.coordinate()).to_edwards(0)
}

/// The scalar, which must be clamped, times the base point.
pub(super) fn public(scalar: &[u8; 32]) -> [u8; 32] {
    fast::public(scalar).unwrap_or_else(|| public_portably(scalar))
}

fn public_portably(scalar: &[u8; 32]) -> [u8; 32] {
    x25519_dalek::PublicKey::from(&StaticSecret::from(*scalar)).to_bytes()
}

#[cfg(test)]
mod tests;
