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
pub enum KeyError {
    /// Not 33 bytes. Refuse the message or bundle that carried it.
    #[error("a public key has 33 bytes")]
    Length,
    /// The first byte is not the type byte `0x05`.
    #[error("unknown public key type")]
    Type,
    /// The coordinate is not below 2^255 − 19: a second spelling of some other key, which no honest
    /// implementation sends.
    #[error("public key is not canonical")]
    NotCanonical,
}

/// An X25519 public key: 33 bytes on the wire (`0x05`, then the u coordinate, RFC 7748), always canonical.
///
/// # Examples
///
/// ```
/// use subrosa::crypto::{KeyError, PublicKey};
/// let mut bytes = [9u8; 33];
/// bytes[0] = 5;
/// assert_eq!(PublicKey::parse(&bytes)?.to_bytes(), bytes);
/// assert_eq!(PublicKey::parse(&bytes[..32]), Err(KeyError::Length));
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub(super) [u8; 32]);

impl PublicKey {
    /// Reads the 33-byte form.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if length, type byte or coordinate are wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: &[u8; PUBLIC_KEY_LEN] = bytes.try_into().map_err(|_| KeyError::Length)?;
        let [TYPE_CURVE25519, u @ ..] = bytes else { return Err(KeyError::Type) };
        Self::from_coordinate(*u)
    }

    /// Takes a bare 32-byte u coordinate.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotCanonical`] if it is not below 2^255 − 19.
    pub fn from_coordinate(u: [u8; 32]) -> Result<Self, KeyError> {
        if u.iter().rev().lt(FIELD_PRIME.iter().rev()) { Ok(Self(u)) } else { Err(KeyError::NotCanonical) }
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
