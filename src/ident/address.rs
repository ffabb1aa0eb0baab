use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::{DeviceId, UserId};

/// One device of one user.
///
/// It is written as `user.device`, and read back by its last dot; [`Self::to_bytes`] is the same for a column of bytes.
///
/// # Security
///
/// What is written shows the user's name, which does not belong in logs; the `Debug` form does not show it.
///
/// # Examples
///
/// ```
/// use subrosa::ident::{Address, DeviceId, UserId};
/// let phone = Address::new(UserId::new("alice@example.org")?, DeviceId::new(1));
/// assert_eq!(phone.device().get(), 1);
/// assert_eq!(phone.to_string(), "alice@example.org.1");
/// assert_eq!("alice@example.org.1".parse::<Address>()?, phone);
/// assert_eq!(Address::from_bytes(&phone.to_bytes())?, phone);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    user: UserId,
    device: DeviceId,
}

/// What should be an address is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a device")]
pub struct InvalidAddress;

impl Address {
    /// Puts the two together.
    #[must_use]
    pub const fn new(user: UserId, device: DeviceId) -> Self {
        Self { user, device }
    }

    /// Whose device.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// Which of them.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// The user's name in UTF-8, and the device as 4 bytes, big-endian: 5 to 259 bytes, for a column of the host's tables.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.user.as_str().as_bytes(), &self.device.get().to_be_bytes()].concat()
    }

    /// Takes what [`Self::to_bytes`] gave.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress`] if the bytes are of no address.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidAddress> {
        let (user, device) = bytes.split_last_chunk().ok_or(InvalidAddress)?;
        let user = core::str::from_utf8(user).ok().and_then(|user| UserId::new(user).ok()).ok_or(InvalidAddress)?;
        Ok(Self::new(user, DeviceId::new(u32::from_be_bytes(*device))))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.user.as_str(), self.device.get())
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    /// Takes what `Display` gave: no sign and no zeros before the number, so that an address is written in one way.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (user, number) = text.rsplit_once('.').ok_or(InvalidAddress)?;
        let is_canonical = number == "0" || !number.starts_with(['0', '+']);
        let device = number.parse().ok().filter(|_| is_canonical).ok_or(InvalidAddress)?;
        Ok(Self::new(UserId::new(user).map_err(|_| InvalidAddress)?, DeviceId::new(device)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::ToString as _;

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", ".", "alice", "alice.", ".1", "alice.01", "alice.+1", "alice.-1", "alice.1 ", "alice.4294967296"]
        {
            assert_eq!(text.parse::<Address>(), Err(InvalidAddress), "{text}");
        }
        for bytes in [&b""[..], &[0, 0, 0, 1], &[0xff, 0, 0, 0, 1], &[b'x'; 256 + 4]] {
            assert_eq!(Address::from_bytes(bytes), Err(InvalidAddress), "{bytes:?}");
        }
    }

    #[test]
    fn a_name_stays_out_of_logs() {
        let address: Address = "alice.7".parse().unwrap();
        assert!(!format!("{address:?}").contains("alice"));
    }

    proptest! {
        /// Of two addresses no forms are alike, whatever users are called.
        #[test]
        fn an_address_comes_back(user in "[^\u{0}]{1,60}|[0-9.]{1,8}", device in any::<u32>()) {
            let address = Address::new(UserId::new(user).unwrap(), DeviceId::new(device));
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address.clone()));
            prop_assert_eq!(Address::from_bytes(&address.to_bytes()), Ok(address));
        }

        #[test]
        fn what_is_read_is_written_alike(text in "[a.0-9]{0,6}", bytes in proptest::collection::vec(any::<u8>(), 0..9)) {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string(), text);
            }
            if let Ok(address) = Address::from_bytes(&bytes) {
                prop_assert_eq!(address.to_bytes(), bytes);
            }
        }
    }
}
