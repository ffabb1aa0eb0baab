use alloc::vec::Vec;

use crate::ident::{Address, UserId};
use crate::suite::v1::encode_address;

/// To whom something is sent.
///
/// # Examples
///
/// ```
/// use subrosa::{client::Recipient, ident::{Address, DeviceId, UserId}};
/// let bob = UserId::new("bob")?;
/// assert_eq!(Recipient::from(&bob), Recipient::User(bob.clone()));
/// let phone = Address::new(bob, DeviceId::new(1));
/// assert_eq!(Recipient::from(&phone), Recipient::Device(phone));
/// # Ok::<(), subrosa::ident::InvalidUserId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recipient {
    /// A person: every device that the newest roster lists. One's own user: one's other devices.
    User(UserId),
    /// One device: of who has no roster, or one of those that the roster lists.
    Device(Address),
}

impl Recipient {
    /// For an operation's own randomness: whom it is for.
    pub(in crate::client) fn asked(&self) -> Vec<u8> {
        match self {
            Self::User(user) => user.as_str().as_bytes().to_vec(),
            Self::Device(address) => encode_address(address).to_vec(),
        }
    }

    /// Whose device or devices these are.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        match self {
            Self::User(user) => user,
            Self::Device(address) => address.user(),
        }
    }
}

impl From<&UserId> for Recipient {
    fn from(user: &UserId) -> Self {
        Self::User(user.clone())
    }
}

impl From<&Address> for Recipient {
    fn from(address: &Address) -> Self {
        Self::Device(address.clone())
    }
}

impl From<&Self> for Recipient {
    fn from(recipient: &Self) -> Self {
        recipient.clone()
    }
}
