use sha2::{Digest, Sha512};

use super::compression::{Hasher, Midstate};
use crate::crypto::Secret;

/// HKDF with SHA-256 (RFC 5869): `N` bytes from `ikm`, the parts of `info` joined.
///
/// An empty salt and a salt of 32 zero bytes are the same thing. `N` is at most 8,160.
#[must_use]
pub(crate) fn hkdf<const N: usize>(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Secret<N> {
    let extracted = if salt.is_empty() { MacKey::ZEROS.mac(&[ikm]) } else { hmac(salt, &[ikm]) };
    MacKey::new(&extracted).expand(info)
}

/// HMAC-SHA-256 (RFC 2104) of the joined parts.
#[must_use]
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Secret<32> {
    MacKey::of(key).mac(parts)
}

/// A key of HMAC-SHA-256 whose pads are hashed already: for more than one text. Wiped on drop.
pub(crate) struct MacKey {
    inner: Midstate,
    outer: Midstate,
}

impl MacKey {
    /// That of 32 zero bytes, which is that of no bytes: of every derivation without a salt.
    const ZEROS: Self = Self {
        inner: Midstate::new([
            0xf454_dead,
            0x9725_214f,
            0x90da_f2a0,
            0xdf12_28ea,
            0x64e5_750f,
            0xa392_4181,
            0x824a_932b,
            0xf8e0_4e32,
        ]),
        outer: Midstate::new([
            0xd385_480f,
            0x7abb_6477,
            0x37c9_c538,
            0x5dd8_2467,
            0x8e04_3a72,
            0x7534_34b0,
            0xdeb8_2818,
            0x361d_45a6,
        ]),
    };

    #[must_use]
    pub(crate) fn new(key: &Secret<32>) -> Self {
        Self::of(key.expose())
    }

    fn of(key: &[u8]) -> Self {
        let mut padded = Secret::<64>::new([0; 64]);
        match padded.expose_mut().get_mut(..key.len()) {
            Some(place) => place.copy_from_slice(key),
            None => padded.expose_mut().iter_mut().zip(sha256(&[key])).for_each(|(to, from)| *to = from),
        }
        let pad = |with: u8| Midstate::after(padded.expose().map(|byte| byte ^ with));
        Self { inner: pad(0x36), outer: pad(0x5c) }
    }

    /// As [`hmac`].
    #[must_use]
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> Secret<32> {
        self.mac_with(|put| parts.iter().for_each(|part| put(part)))
    }

    /// Of what `write` puts, one part after the other.
    #[must_use]
    #[inline]
    pub(crate) fn mac_with(&self, write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Secret<32> {
        let (mut inner, mut outer) = (Hasher::after(&self.inner), Hasher::after(&self.outer));
        write(&mut |part| inner.put(part));
        outer.put(Secret::new(inner.finish()).expose());
        Secret::new(outer.finish())
    }

    /// HKDF-Expand (RFC 5869), where this is a pseudorandom key: `N` bytes for the joined parts of `info`. `N` is at most 8,160.
    #[must_use]
    fn expand<const N: usize>(&self, info: &[&[u8]]) -> Secret<N> {
        const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 255 blocks") };
        let (mut out, mut last) = (Secret::new([0; N]), None::<Secret<32>>);
        for (place, number) in out.expose_mut().chunks_mut(32).zip(1..=u8::MAX) {
            let block = self.mac_with(|put| {
                if let Some(last) = &last {
                    put(last.expose());
                }
                info.iter().for_each(|part| put(part));
                put(&[number]);
            });
            place.iter_mut().zip(block.expose()).for_each(|(to, from)| *to = *from);
            last = Some(block);
        }
        out
    }
}

/// SHA-256 of the joined parts.
#[must_use]
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Hasher::new();
    for part in parts {
        hash.put(part);
    }
    hash.finish()
}

/// SHA-512 of the joined parts.
#[must_use]
pub(crate) fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    let mut hash = Sha512::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The same with the crates of others. What the specifications say is checked with Wycheproof's vectors.
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_key_of_zeros_is_what_it_says() {
        for key in [&[][..], &[0; 32], &[0; 64]] {
            let made = MacKey::of(key);
            assert!(made.mac(&[b"text"]) == MacKey::ZEROS.mac(&[b"text"]));
        }
    }

    proptest! {
        #[test]
        fn hmac_and_hkdf_are_theirs(
            key in proptest::collection::vec(any::<u8>(), 0..150),
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..150), 0..4),
        ) {
            use ::hmac::{Hmac, KeyInit, Mac};
            let parts: std::vec::Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
            let joined = parts.concat();
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
            mac.update(&joined);
            prop_assert!(hmac(&key, &parts) == Secret::new(mac.finalize().into_bytes().into()));
            let mut out = [0; 100];
            ::hkdf::Hkdf::<sha2::Sha256>::new(Some(&key), b"ikm").expand(&joined, &mut out).unwrap();
            prop_assert!(hkdf(&key, b"ikm", &parts) == Secret::new(out));
        }
    }
}
