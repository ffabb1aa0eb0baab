use ::hkdf::Hkdf;
use ::hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::Secret;

/// HKDF with SHA-256 (RFC 5869): `N` bytes from `ikm`, the parts of `info` joined.
///
/// An empty salt and a salt of 32 zero bytes are the same thing. `N` is at most 8,160.
#[must_use]
pub(crate) fn hkdf<const N: usize>(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Secret<N> {
    expand(&Hkdf::new(Some(salt), ikm), info)
}

fn expand<const N: usize>(key: &Hkdf<Sha256>, info: &[&[u8]]) -> Secret<N> {
    const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 255 blocks") };
    let mut out = Secret::new([0; N]);
    #[expect(clippy::expect_used, reason = "the only failure is a length over 255 blocks, refused at compile time")]
    key.expand_multi_info(info, out.expose_mut()).expect("N is at most 255 blocks");
    out
}

/// HMAC-SHA-256 (RFC 2104) of the joined parts.
#[must_use]
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Secret<32> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    Secret::new(mac.finalize().into_bytes().into())
}

/// A key of HMAC-SHA-256 whose pads are hashed already: for more than one text. Wiped on drop.
pub(crate) struct MacKey(Hmac<Sha256>);

impl MacKey {
    #[must_use]
    pub(crate) fn new(key: &Secret<32>) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        Self(Hmac::new_from_slice(key.expose()).expect("HMAC takes a key of any length"))
    }

    /// As [`hmac`].
    #[must_use]
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> Secret<32> {
        self.mac_with(|put| parts.iter().for_each(|part| put(part)))
    }

    /// Of what `write` puts, one part after the other.
    #[must_use]
    pub(crate) fn mac_with(&self, write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Secret<32> {
        let mut mac = self.0.clone();
        write(&mut |part| mac.update(part));
        Secret::new(mac.finalize().into_bytes().into())
    }
}

/// HKDF-SHA-256 without a salt, whose pads are hashed already: for more than one key. As [`hkdf`] with an empty salt.
pub(crate) struct Unsalted(MacKey);

impl Unsalted {
    #[must_use]
    pub(crate) fn new() -> Self {
        Self(MacKey::new(&Secret::new([0; 32])))
    }

    /// `N` bytes from `ikm`, the parts of `info` joined. `N` is at most 8,160.
    #[must_use]
    pub(crate) fn hkdf<const N: usize>(&self, ikm: &Secret<32>, info: &[&[u8]]) -> Secret<N> {
        let key = self.0.mac(&[ikm.expose()]);
        #[expect(clippy::expect_used, reason = "a key of one hash length is long enough")]
        expand(&Hkdf::from_prk(key.expose()).expect("32 bytes are a pseudorandom key"), info)
    }
}

/// SHA-256 of the joined parts.
#[must_use]
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
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
