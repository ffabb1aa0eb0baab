use super::*;
use crate::crypto::{KeyPair, NotContributory, PrivateKey};
use curve25519_dalek::constants::EIGHT_TORSION;
use proptest::prelude::*;
use std::vec::Vec;

/// What the ladder of `x25519-dalek` gives.
fn ladder(private: &PrivateKey, u: [u8; 32]) -> Result<Secret<32>, NotContributory> {
    let shared = StaticSecret::from(*private.expose()).diffie_hellman(&x25519_dalek::PublicKey::from(u));
    if shared.was_contributory() { Ok(Secret::new(shared.to_bytes())) } else { Err(NotContributory) }
}

/// Every way, against the ladder.
fn compare(private: &PrivateKey, u: [u8; 32]) {
    let Ok(key) = PublicKey::from_coordinate(u) else { return };
    let expected = ladder(private, u);
    assert_eq!(private.agree(&key), expected, "{u:02x?}");
    let expected = expected.unwrap_or(Secret::new([0; 32]));
    for point in [None, lift(&key), lift(&key).map(|point| -point)] {
        assert!(PeerKey { key, point }.agree_portably(private.expose()) == expected, "{u:02x?}");
    }
    assert!(fast::agree(private.expose(), &u).is_none_or(|shared| shared == expected), "{u:02x?}");
}

/// Private keys at the edges of what clamping leaves, among them multiples of the order of the group plus little.
fn extreme() -> Vec<PrivateKey> {
    let order = -Scalar::ONE;
    let mut bytes = std::vec![[0; 32], [0xff; 32], [0x40; 32], [0x7f; 32], [0x88; 32], [0x77; 32], *order.as_bytes()];
    // Eight times the order has its highest bit where clamping sets it: times a point of prime order it is nothing.
    let mut carry = 0u16;
    let mut eight_times = (-Scalar::ONE).to_bytes();
    eight_times[0] += 1;
    for byte in &mut eight_times {
        carry += u16::from(*byte) << 3;
        *byte = u8::try_from(carry & 0xff).unwrap();
        carry >>= 8;
    }
    for add in [0, 8, 0xf0] {
        let mut sum = eight_times;
        sum[0] = sum[0].wrapping_add(add);
        bytes.push(sum);
    }
    for bit in (0..256).step_by(5) {
        let mut one = [0; 32];
        one[bit / 8] |= 1 << (bit % 8);
        bytes.push(one);
    }
    bytes.into_iter().map(|bytes| PrivateKey::new(Secret::new(bytes))).collect()
}

/// An honest key, and its seven twins with a small-order part.
fn twins(seed: u8) -> Vec<[u8; 32]> {
    let point = lift(KeyPair::new(Secret::new([seed; 32])).public()).unwrap();
    EIGHT_TORSION.iter().map(|torsion| (point + torsion).to_montgomery().to_bytes()).collect()
}

/// Coordinates of low order, near both ends of the field, and around the middle.
fn special() -> Vec<[u8; 32]> {
    let mut all: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.to_montgomery().to_bytes()).collect();
    for low in 0..32 {
        let (mut small, mut large) = ([0; 32], [0xff; 32]);
        small[0] = low;
        large[0] = 0xec - low;
        large[31] = 0x7f;
        let mut middle = [0; 32];
        middle[31] = 0x40 | low;
        all.extend([small, large, middle]);
    }
    all
}

#[test]
fn every_way_is_the_ladder() {
    let keys: Vec<[u8; 32]> = special().into_iter().chain(twins(1)).chain(twins(2)).collect();
    let lifted = |u: &&[u8; 32]| PublicKey::from_coordinate(**u).is_ok_and(|key| lift(&key).is_some());
    let on_the_twist = keys.len() - keys.iter().filter(lifted).count();
    assert!(on_the_twist > 20 && keys.len() - on_the_twist > 20, "{on_the_twist} of {}", keys.len());
    for private in extreme() {
        for u in &keys {
            compare(&private, *u);
        }
    }
}

/// The two halves of RFC 7748's check of a ladder against itself, a thousand steps long.
#[test]
fn iterated_agreements_reach_the_published_value() {
    let mut nine = [0; 32];
    nine[0] = 9;
    let (mut k, mut u) = (nine, nine);
    for _ in 0..1_000 {
        let key = PublicKey::from_coordinate(u).unwrap();
        let shared = PrivateKey::new(Secret::new(k)).agree(&key).unwrap();
        (u, k) = (k, *shared.expose());
        // A private key may be any 32 bytes, and the next coordinate is masked.
        u[31] &= 0x7f;
    }
    assert_eq!(hex::encode(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

#[test]
fn torsion_is_found_as_the_curve_library_finds_it() {
    for u in special().into_iter().chain(twins(3)) {
        let Ok(key) = PublicKey::from_coordinate(u) else { continue };
        let expected = lift(&key).is_some_and(|point| point.is_torsion_free());
        assert_eq!(key.is_torsion_free(), expected, "{u:02x?}");
    }
    let free: Vec<bool> =
        twins(4).into_iter().map(|u| PublicKey::from_coordinate(u).unwrap().is_torsion_free()).collect();
    assert_eq!(free, [true, false, false, false, false, false, false, false]);
}

proptest! {
    #[test]
    fn every_way_is_the_ladder_for_any_key(private: [u8; 32], u: [u8; 32], seed: u8) {
        let private = PrivateKey::new(Secret::new(private));
        let mut u = u;
        u[31] &= 0x7f;
        compare(&private, u);
        for twin in twins(seed) {
            compare(&private, twin);
        }
        let ours = x25519_dalek::PublicKey::from(&StaticSecret::from(*private.expose()));
        let public = private.public();
        prop_assert_eq!(public.coordinate(), ours.as_bytes());
        prop_assert_eq!(&public_portably(private.expose()), ours.as_bytes());
        prop_assert!(fast::public(private.expose()).is_none_or(|public| public == ours.to_bytes()));
        prop_assert!(public.is_torsion_free());
    }
}
