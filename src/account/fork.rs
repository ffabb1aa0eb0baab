use alloc::vec::Vec;

use super::roster::{Roster, RosterError, UnverifiedRoster};
use crate::ident::UserId;
use crate::wire::{WireError, join_two, split_two};

/// Two rosters of one account key and version that differ: evidence that its holder shows different people different devices,
/// or that somebody else holds the key.
///
/// Devices that both list are served; it ends with a higher roster that follows the one held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterFork {
    held: Roster,
    other: Roster,
}

impl RosterFork {
    /// Puts two rosters together; `None` if they are no fork.
    #[must_use]
    pub fn between(held: &Roster, other: &Roster) -> Option<Self> {
        let is_fork = held.user() == other.user()
            && held.account_key() == other.account_key()
            && held.version() == other.version()
            && held.hash() != other.hash();
        is_fork.then(|| Self { held: held.clone(), other: other.clone() })
    }

    /// The one that was held.
    #[must_use]
    pub const fn held(&self) -> &Roster {
        &self.held
    }

    /// The other one.
    #[must_use]
    pub const fn other(&self) -> &Roster {
        &self.other
    }

    /// Both, signed: what proves it to anybody.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        join_two(self.held.as_bytes(), self.other.as_bytes())
    }

    /// Reads and verifies it.
    ///
    /// # Errors
    ///
    /// [`RosterError`], of either; [`RosterError::Malformed`] too if they are no fork.
    pub fn parse(bytes: &[u8], user: &UserId) -> Result<Self, RosterError> {
        let (held, other) = split_two(bytes)?;
        let verified = |bytes| UnverifiedRoster::parse(bytes)?.verify(user);
        Self::between(&verified(held)?, &verified(other)?).ok_or(RosterError::Malformed(WireError::Field))
    }
}
