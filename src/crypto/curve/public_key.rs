use core::fmt;

/// Length of a public key on the wire: the type byte and the u coordinate.
pub const PUBLIC_KEY_LEN: usize = 33;

/// The type byte of Curve25519 public keys in Signal's formats.
const TYPE_CURVE25519: u8 = 0x05;

/// 2^255 − 19, little-endian: coordinates are below it.
const FIELD_PRIME: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// Why bytes are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Not 33 bytes. Refuse the message or bundle that carried it.
    #[error("a public key has 33 bytes")]
    Length,
    /// The first byte is not the type byte of the kind of key that stands here: `0x05` for X25519.
    #[error("unknown public key type")]
    Type,
    /// The coordinate is not below 2^255 − 19, or an Ed25519 key is no point: no key, or a second spelling of some other
    /// one, which no honest implementation sends.
    #[error("public key is not canonical")]
    NotCanonical,
    /// An Ed25519 key of small order: under it anybody signs anything.
    #[error("public key is of small order")]
    SmallOrder,
}

/// An X25519 public key: 33 bytes on the wire (`0x05`, then the u coordinate, RFC 7748), always canonical.
///
/// # Examples
///
/// ```
/// use subrosa::crypto::{PublicKeyError, PublicKey};
/// let mut bytes = [9u8; 33];
/// bytes[0] = 5;
/// assert_eq!(PublicKey::parse(&bytes)?.to_bytes(), bytes);
/// assert_eq!(PublicKey::parse(&bytes[..32]), Err(PublicKeyError::Length));
/// # Ok::<(), PublicKeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub(super) [u8; 32]);

impl PublicKey {
    /// Reads the 33-byte form.
    ///
    /// # Errors
    ///
    /// [`PublicKeyError`] if length, type byte or coordinate are wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        let bytes: &[u8; PUBLIC_KEY_LEN] = bytes.try_into().map_err(|_| PublicKeyError::Length)?;
        let [TYPE_CURVE25519, u @ ..] = bytes else { return Err(PublicKeyError::Type) };
        Self::from_coordinate(*u)
    }

    /// Takes a bare 32-byte u coordinate.
    ///
    /// # Errors
    ///
    /// [`PublicKeyError::NotCanonical`] if it is not below 2^255 − 19.
    pub fn from_coordinate(u: [u8; 32]) -> Result<Self, PublicKeyError> {
        if u.iter().rev().lt(FIELD_PRIME.iter().rev()) { Ok(Self(u)) } else { Err(PublicKeyError::NotCanonical) }
    }

    /// The bare u coordinate.
    #[must_use]
    pub const fn coordinate(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 33-byte form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY_LEN] {
        let mut out = [TYPE_CURVE25519; PUBLIC_KEY_LEN];
        let [_, u @ ..] = &mut out;
        u.copy_from_slice(&self.0);
        out
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Four bytes tell keys apart in a log and name nobody.
        let [a, b, c, d, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn coordinate(first: u8, rest: u8, last: u8) -> [u8; 32] {
        let mut u = [rest; 32];
        u[0] = first;
        u[31] = last;
        u
    }

    #[test]
    fn coordinates_at_and_above_the_prime_are_refused() {
        assert!(PublicKey::from_coordinate(coordinate(0xec, 0xff, 0x7f)).is_ok(), "p - 1");
        for (first, last) in [(0xed, 0x7f), (0xee, 0x7f), (0xff, 0x7f), (0x00, 0x80), (0xec, 0xff)] {
            let u = coordinate(first, if last == 0x80 { 0 } else { 0xff }, last);
            assert_eq!(PublicKey::from_coordinate(u), Err(PublicKeyError::NotCanonical), "{first:02x} .. {last:02x}");
        }
    }

    #[test]
    fn wrong_length_and_type_are_named() {
        assert_eq!(PublicKey::parse(&[]), Err(PublicKeyError::Length));
        assert_eq!(PublicKey::parse(&[5; 34]), Err(PublicKeyError::Length));
        assert_eq!(PublicKey::parse(&[4; 33]), Err(PublicKeyError::Type));
    }
}
