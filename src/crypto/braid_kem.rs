//! ML-KEM-768 in parts, as the braid sends it: header, encapsulation-key vector, two halves of the ciphertext.
//!
//! Shapes: header 64 (`rho ‖ H(ek)`), vector 1,152 (`t̂`), ct1 960 (u), ct2 128 (v), decapsulation key 2,400 (FIPS
//! 203). `vector ‖ rho` is the FIPS 203 encapsulation key and `ct1 ‖ ct2` its ciphertext, so the whole exchange is
//! ordinary ML-KEM-768 (FIPS 203; ML-KEM Braid specification, section 2).

use alloc::boxed::Box;
use core::fmt;

use libcrux_ml_kem::mlkem768::{self, incremental};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Secret;

/// `rho` and the hash of the encapsulation key.
pub(crate) const HEADER_LEN: usize = 64;
/// The encoded vector `t̂`.
pub(crate) const VECTOR_LEN: usize = 1152;
/// First part of the ciphertext.
pub(crate) const CT1_LEN: usize = 960;
/// Second part of the ciphertext.
pub(crate) const CT2_LEN: usize = 128;
/// FIPS 203's decapsulation key.
const DECAPSULATION_KEY_LEN: usize = 2400;
/// The vector `ŝ`, which it begins with.
const SECRET_VECTOR_LEN: usize = 1152;
/// What it is made of: `d ‖ z`.
const SEED_LEN: usize = 64;

/// The encapsulation key's parts do not belong together, or its coefficients are not reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encapsulation key does not match its header")]
pub(crate) struct BadEncapsulationKey;

/// The holder's side. FIPS 203 lets a key be kept as its seed (section 3.3): a record holds that, and the header. The rest
/// is made again once, when the epoch ends; the vector, which is sent meanwhile, is kept beside it.
#[derive(Clone)]
pub(crate) enum DecapsulationKey {
    /// Made here: `seed ‖ dk`.
    Made(Box<[u8; SEED_LEN + DECAPSULATION_KEY_LEN]>),
    /// As it is stored: `seed ‖ header`.
    Stored([u8; SEED_LEN + HEADER_LEN]),
    /// Of a recorded transcript, which does not have the seed: `dk`.
    #[cfg(test)]
    Whole(Box<[u8; DECAPSULATION_KEY_LEN]>),
}

impl Drop for DecapsulationKey {
    fn drop(&mut self) {
        // As a slice: an array is wiped byte by byte.
        match self {
            Self::Made(bytes) => bytes.as_mut_slice().zeroize(),
            Self::Stored(bytes) => bytes.as_mut_slice().zeroize(),
            #[cfg(test)]
            Self::Whole(bytes) => bytes.as_mut_slice().zeroize(),
        }
    }
}

impl ZeroizeOnDrop for DecapsulationKey {}

impl DecapsulationKey {
    /// Draws a key: 64 bytes of randomness (`d ‖ z`).
    #[must_use]
    pub(crate) fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        #[cfg(test)]
        if let Some(key) = recorded::next() {
            return key;
        }
        Self::of_seed(&Secret::random(rng))
    }

    fn of_seed(seed: &Secret<SEED_LEN>) -> Self {
        let mut made = Box::new([0; SEED_LEN + DECAPSULATION_KEY_LEN]);
        if let Some((front, key)) = made.split_first_chunk_mut() {
            *front = *seed.expose();
            if let Some(key) = key.first_chunk_mut() {
                incremental::generate_key_pair_compressed(*seed.expose(), key);
            }
        }
        Self::Made(made)
    }

    /// Takes stored bytes; `None` if the length is wrong.
    #[must_use]
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        #[cfg(test)]
        if let Ok(key) = bytes.try_into() {
            return Some(Self::Whole(Box::new(key)));
        }
        // Looked at before it is copied: what it is not would be copied without being wiped.
        <&[u8; SEED_LEN + HEADER_LEN]>::try_from(bytes).ok().map(|stored| Self::Stored(*stored))
    }

    /// What is stored of it, in two parts.
    #[must_use]
    pub(crate) fn stored(&self) -> [&[u8]; 2] {
        match self {
            Self::Made(made) => [made.get(..SEED_LEN).unwrap_or_default(), self.header()],
            Self::Stored(stored) => [&stored[..], &[]],
            #[cfg(test)]
            Self::Whole(key) => [&key[..], &[]],
        }
    }

    // dk = ŝ (1152) ‖ t̂ (1152) ‖ rho (32) ‖ H(ek) (32) ‖ z (32)

    /// The header: `rho ‖ H(ek)`.
    #[must_use]
    pub(crate) fn header(&self) -> &[u8; HEADER_LEN] {
        part(match self {
            Self::Made(made) => made.get(SEED_LEN + SECRET_VECTOR_LEN + VECTOR_LEN..),
            Self::Stored(stored) => stored.get(SEED_LEN..),
            #[cfg(test)]
            Self::Whole(key) => key.get(SECRET_VECTOR_LEN + VECTOR_LEN..),
        })
    }

    /// The vector `t̂`, of a key that was made here just now.
    #[must_use]
    pub(crate) fn vector(&self) -> &[u8; VECTOR_LEN] {
        part(match self {
            Self::Made(made) => made.get(SEED_LEN + SECRET_VECTOR_LEN..),
            Self::Stored(_) => None,
            #[cfg(test)]
            Self::Whole(key) => key.get(SECRET_VECTOR_LEN..),
        })
    }

    /// What nobody else knows: what it is made of.
    #[must_use]
    pub(crate) fn secret(&self) -> &[u8] {
        match self {
            Self::Made(made) => made.get(..SEED_LEN).unwrap_or_default(),
            Self::Stored(stored) => stored.get(..SEED_LEN).unwrap_or_default(),
            #[cfg(test)]
            Self::Whole(key) => key.get(..SECRET_VECTOR_LEN).unwrap_or_default(),
        }
    }

    /// Recovers the shared secret from both parts of the ciphertext.
    #[must_use]
    pub(crate) fn decapsulate(&self, ct1: &[u8; CT1_LEN], ct2: &[u8; CT2_LEN]) -> Secret<32> {
        let mut ciphertext = [0; CT1_LEN + CT2_LEN];
        for (to, from) in ciphertext.iter_mut().zip(ct1.iter().chain(ct2)) {
            *to = *from;
        }
        let key: &[u8; DECAPSULATION_KEY_LEN] = match self {
            Self::Made(made) => part(made.get(SEED_LEN..)),
            Self::Stored(stored) => {
                return Self::of_seed(&Secret::new(*part(Some(&stored[..])))).decapsulate(ct1, ct2);
            }
            #[cfg(test)]
            Self::Whole(key) => key,
        };
        Secret::new(mlkem768::decapsulate(&key.into(), &ciphertext.into()))
    }
}

impl fmt::Debug for DecapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecapsulationKey(..)")
    }
}

/// First half of an encapsulation, from the header alone: ct1 and the shared secret. `m` is 32 fresh random bytes,
/// to be kept for [`encapsulate2`].
#[must_use]
pub(crate) fn encapsulate1(header: &[u8; HEADER_LEN], m: &Secret<32>) -> ([u8; CT1_LEN], Secret<32>) {
    HalfWay::new().encapsulate(header, m)
}

/// What the library keeps between the halves: 2 kB, bound to the CPU's vector width.
struct HalfWay([u8; incremental::encaps_state_len()]);

impl HalfWay {
    const fn new() -> Self {
        Self([0; incremental::encaps_state_len()])
    }

    fn encapsulate(&mut self, header: &[u8; HEADER_LEN], m: &Secret<32>) -> ([u8; CT1_LEN], Secret<32>) {
        let mut shared = Secret::new([0; 32]);
        #[expect(clippy::expect_used, reason = "the only failures are buffer lengths, which are constants here")]
        let ct1 = incremental::encapsulate1(header, *m.expose(), &mut self.0, shared.expose_mut())
            .expect("buffers have the lengths that the mechanism asks for");
        (ct1.value, shared)
    }
}

impl Drop for HalfWay {
    fn drop(&mut self) {
        // As a slice: an array is wiped byte by byte.
        self.0.as_mut_slice().zeroize();
    }
}

/// Checks that a vector belongs to a header (its hash) and is reduced (FIPS 203, section 7.2).
///
/// # Errors
///
/// [`BadEncapsulationKey`] if not.
pub(crate) fn check_key(header: &[u8; HEADER_LEN], vector: &[u8; VECTOR_LEN]) -> Result<(), BadEncapsulationKey> {
    incremental::validate_pk_bytes(header, vector).map_err(|_| BadEncapsulationKey)
}

/// Second half of an encapsulation: the whole ciphertext, whose first part is what [`encapsulate1`] gave.
///
/// What the library keeps between the halves does not outlive a call, and so never meets another CPU in a record: `m`
/// and the header give the same again. That is cheaper than ordinary encapsulation, which hashes the key once more:
/// [`check_key`] has compared that hash with the header's.
#[must_use]
pub(crate) fn encapsulate2(
    header: &[u8; HEADER_LEN],
    vector: &[u8; VECTOR_LEN],
    m: &Secret<32>,
) -> ([u8; CT1_LEN], [u8; CT2_LEN]) {
    let mut half_way = HalfWay::new();
    let (ct1, _) = half_way.encapsulate(header, m);
    (ct1, incremental::encapsulate2(&half_way.0, vector).value)
}

/// A part whose bounds are constants of the layout.
fn part<const N: usize>(from: Option<&[u8]>) -> &[u8; N] {
    from.and_then(<[u8]>::first_chunk).unwrap_or(const { &[0; N] })
}

/// Recorded transcripts give a party's decapsulation key, not the seed it was made from. A replay queues the keys
/// here; no feature reaches it.
#[cfg(test)]
pub(crate) mod recorded {
    use super::DecapsulationKey;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    std::thread_local!(static KEYS: RefCell<VecDeque<DecapsulationKey>> = const { RefCell::new(VecDeque::new()) });

    pub(crate) fn push(bytes: &[u8]) {
        KEYS.with_borrow_mut(|keys| keys.push_back(DecapsulationKey::from_slice(bytes).expect("2,400 bytes")));
    }

    pub(crate) fn is_empty() -> bool {
        KEYS.with_borrow(VecDeque::is_empty)
    }

    pub(super) fn next() -> Option<DecapsulationKey> {
        KEYS.with_borrow_mut(VecDeque::pop_front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::rng;

    /// What is stored is half as long, says the same, and ends the epoch with the same secret.
    #[test]
    fn a_stored_key_is_the_key() {
        let rng = &mut rng(1);
        let made = DecapsulationKey::generate(rng);
        let DecapsulationKey::Made(bytes) = &made else { panic!("made here") };
        let stored = DecapsulationKey::from_slice(&made.stored().concat()).unwrap();
        let whole = DecapsulationKey::from_slice(&bytes[SEED_LEN..]).unwrap();
        assert_eq!([&stored, &whole].map(|key| key.stored().concat().len()), [128, 2400]);

        let m = Secret::random(rng);
        let (ct1, shared) = encapsulate1(made.header(), &m);
        check_key(made.header(), made.vector()).unwrap();
        let (_, ct2) = encapsulate2(made.header(), made.vector(), &m);
        for key in [&made, &stored, &whole] {
            assert_eq!(key.header(), made.header());
            assert!(key.decapsulate(&ct1, &ct2) == shared);
            let again = DecapsulationKey::from_slice(&key.stored().concat()).unwrap();
            assert_eq!(again.stored().concat(), key.stored().concat());
        }
        for len in [0, 64, 127, 129, 1280, 2399, 2401, SEED_LEN + DECAPSULATION_KEY_LEN] {
            assert!(DecapsulationKey::from_slice(&std::vec![0; len]).is_none(), "{len}");
        }
    }
}
