//! Names of things: newtypes without behaviour.
//!
//! Owns: who a device is ([`Address`], [`UserId`], [`DeviceId`], [`RegistrationId`]), which prekey is meant
//! ([`PrekeyId`]), which message ([`MessageId`], [`MessageName`]) and when something happened ([`Timestamp`]).
//!
//! **Not its concern:** keys, wire formats, clocks but for `Timestamp::now`, which a host may call and nothing here does.

mod address;

use alloc::sync::Arc;
use core::fmt;

use rand_core::CryptoRng;

pub use address::{Address, InvalidAddress};

/// A user's name: 1 to 255 bytes of UTF-8, whatever the host calls its users (a UUID, a phone number, a handle).
///
/// # Examples
///
/// ```
/// use subrosa::ident::UserId;
/// assert_eq!(UserId::new("alice")?.as_str(), "alice");
/// assert!(UserId::new("").is_err());
/// # Ok::<(), subrosa::ident::InvalidUserId>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

/// A user's name is empty or longer than 255 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user id has 1 to 255 bytes")]
pub struct InvalidUserId;

impl UserId {
    /// Longest name, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Takes a name.
    ///
    /// # Errors
    ///
    /// [`InvalidUserId`] if it is empty or longer than [`Self::MAX_LEN`] bytes.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, InvalidUserId> {
        let name = name.into();
        if name.is_empty() || name.len() > Self::MAX_LEN { Err(InvalidUserId) } else { Ok(Self(name)) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserId {
    // Names of users do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(..)")
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($int);

        impl $name {
            /// Takes the number.
            #[must_use]
            pub const fn new(value: $int) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $int {
                self.0
            }
        }
    };
}

number! {
    /// One device of a user. Signal's services use 1 to 127.
    DeviceId(u32)
}
number! {
    /// A number that a device draws when it is set up, so that a server sees a re-installation. Signal uses 14 bits.
    RegistrationId(u32)
}
number! {
    /// Names one prekey of a device among those of its kind.
    PrekeyId(u32)
}
number! {
    /// Milliseconds since 1970-01-01 UTC, as the host's clock gives them.
    Timestamp(u64)
}

impl RegistrationId {
    /// Draws one, as devices of suite `Signal` have it: 1 to 16,380.
    #[must_use]
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::new(1 + rng.next_u32() % 16_380)
    }
}

impl Timestamp {
    /// What the system's clock says: for a host to pass on, and for nothing in this library. 0 if it stands before 1970.
    ///
    /// Needs the feature `std`; not there in a browser, where a host asks `Date`.
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::ident::Timestamp;
    /// assert!(Timestamp::now().get() > 1_700_000_000_000);
    /// ```
    #[cfg(all(any(test, feature = "std"), not(all(target_family = "wasm", target_os = "unknown"))))]
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "the host's call: the one place that has a clock"
    )]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// How many milliseconds after `earlier` this is; 0 if a clock went backwards.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The host's name of a message: 16 bytes, for instance a random UUID. Sending the same id again sends nothing twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// Draws one.
    #[must_use]
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Takes the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a message that travels is known by, on both sides: SHA-256 over what its session authenticates. However a server
/// wraps the message anew, the name stays the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageName([u8; 32]);

impl MessageName {
    /// Takes the bytes, as a host has stored them.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes: a column of the host's table of messages.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "MessageName({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds() {
        assert!(UserId::new("x".repeat(255)).is_ok());
        assert_eq!(UserId::new("x".repeat(256)), Err(InvalidUserId));
    }
}
