use core::fmt;

use rand_core::CryptoRng;

use crate::crypto::{BadSignature, EdKeyPair, EdPublicKey, PublicKeyError, Secret, Signature, hkdf};

const LABEL_RECOVERY_KEY: &[u8] = b"\x16subrosa/1/recovery-key";

/// The type byte of account keys.
const TYPE_ACCOUNT: u8 = 0x06;
/// The type byte of recovery keys.
const TYPE_RECOVERY: u8 = 0x07;

macro_rules! public_key {
    ($(#[$doc:meta])* $name:ident, $type_byte:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(EdPublicKey);

        impl $name {
            /// Reads the 33-byte form: a type byte, then an Ed25519 key.
            ///
            /// # Errors
            ///
            /// [`PublicKeyError`] if length or type byte are wrong, or the key is one that nobody has.
            pub fn parse(bytes: &[u8]) -> Result<Self, PublicKeyError> {
                let bytes: &[u8; 33] = bytes.try_into().map_err(|_| PublicKeyError::Length)?;
                let [$type_byte, key @ ..] = bytes else { return Err(PublicKeyError::Type) };
                EdPublicKey::new(*key).map(Self)
            }

            /// Takes the 33-byte form out of one's own storage, where it was read before it was put there.
            pub(crate) fn stored(bytes: &[u8; 33]) -> Result<Self, PublicKeyError> {
                let [$type_byte, key @ ..] = bytes else { return Err(PublicKeyError::Type) };
                Ok(Self(EdPublicKey::stored(*key)))
            }

            /// The 33-byte form.
            #[must_use]
            pub fn to_bytes(&self) -> [u8; 33] {
                let mut out = [$type_byte; 33];
                let [_, key @ ..] = &mut out;
                key.copy_from_slice(self.0.as_bytes());
                out
            }

            /// Verifies a signature, strictly.
            pub(super) fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
                self.0.verify(message, signature)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Four bytes tell keys apart in a log and name nobody.
                let [a, b, c, d, ..] = self.0.as_bytes();
                write!(f, concat!(stringify!($name), "({:02x}{:02x}{:02x}{:02x}..)"), a, b, c, d)
            }
        }
    };
}

public_key! {
    /// What a user is known by: an Ed25519 key, 33 bytes on the wire (`0x06`, then 32).
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::{account::{AccountKey, AccountKeyPair}, crypto::Secret};
    /// let key = *AccountKeyPair::new(Secret::new([1; 32])).public();
    /// assert_eq!(AccountKey::parse(&key.to_bytes())?, key);
    /// # Ok::<(), subrosa::crypto::PublicKeyError>(())
    /// ```
    AccountKey, TYPE_ACCOUNT
}
public_key! {
    /// What can move a user to another account key: an Ed25519 key, 33 bytes on the wire (`0x07`, then 32).
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::account::{RecoveryKey, RecoveryKeyPair};
    /// let key = *RecoveryKeyPair::from_entropy(&[1; 16]).public();
    /// assert_eq!(RecoveryKey::parse(&key.to_bytes())?, key);
    /// # Ok::<(), subrosa::crypto::PublicKeyError>(())
    /// ```
    RecoveryKey, TYPE_RECOVERY
}

/// The key that signs a user's rosters: on the primary device alone.
///
/// # Security
///
/// Whoever holds it is the account, until a succession. A linked device has no copy.
///
/// # Examples
///
/// ```
/// use subrosa::{account::AccountKeyPair, crypto::Secret};
/// let pair = AccountKeyPair::new(Secret::new([1; 32]));
/// assert_eq!(pair.public().to_bytes()[0], 6);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AccountKeyPair {
    pair: EdKeyPair,
    public: AccountKey,
}

impl AccountKeyPair {
    /// Makes the pair of 32 random bytes.
    #[must_use]
    pub fn new(seed: Secret<32>) -> Self {
        let pair = EdKeyPair::new(seed);
        Self { public: AccountKey(*pair.public()), pair }
    }

    /// Draws a pair: 32 bytes of randomness.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::new(Secret::random(rng))
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &AccountKey {
        &self.public
    }

    /// What it was made of.
    #[must_use]
    pub const fn seed(&self) -> &Secret<32> {
        self.pair.seed()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        self.pair.sign(message)
    }
}

impl fmt::Debug for AccountKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The key that signs a succession: made of the user's recovery words when it is named or used, and kept nowhere.
///
/// # Security
///
/// Drop it at once. A copy on a device makes whoever steals that device the account for ever.
///
/// # Examples
///
/// ```
/// use subrosa::account::RecoveryKeyPair;
/// // 12 recovery words hold 16 bytes.
/// assert_eq!(RecoveryKeyPair::from_entropy(&[0; 16]), RecoveryKeyPair::from_entropy(&[0; 16]));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryKeyPair {
    pair: EdKeyPair,
    public: RecoveryKey,
}

impl RecoveryKeyPair {
    /// Makes the pair of the recovery words' entropy: 16 bytes for 12 words, 32 for 24.
    #[must_use]
    pub fn from_entropy(entropy: &[u8]) -> Self {
        Self::new(hkdf(&[], entropy, &[LABEL_RECOVERY_KEY]))
    }

    /// Makes the pair of its seed, 32 random bytes, for hosts that keep it elsewhere than in words.
    #[must_use]
    pub fn new(seed: Secret<32>) -> Self {
        let pair = EdKeyPair::new(seed);
        Self { public: RecoveryKey(*pair.public()), pair }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &RecoveryKey {
        &self.public
    }

    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        self.pair.sign(message)
    }
}

impl fmt::Debug for RecoveryKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecoveryKeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_one_kind_is_none_of_another() {
        let account = AccountKeyPair::new(Secret::new([1; 32])).public().to_bytes();
        let recovery = RecoveryKeyPair::new(Secret::new([1; 32])).public().to_bytes();
        assert_eq!(account[1..], recovery[1..]);
        assert_eq!(AccountKey::parse(&recovery), Err(PublicKeyError::Type));
        assert_eq!(RecoveryKey::parse(&account), Err(PublicKeyError::Type));
        assert_eq!(AccountKey::parse(&account[..32]), Err(PublicKeyError::Length));
        let mut small = [0; 33];
        (small[0], small[1]) = (6, 1);
        assert_eq!(AccountKey::parse(&small), Err(PublicKeyError::SmallOrder));
        assert_eq!(AccountKey::parse(&[&[6][..], &[0xff; 32]].concat()), Err(PublicKeyError::NotCanonical));
    }
}
