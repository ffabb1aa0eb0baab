use alloc::vec::Vec;

use crate::wire::WireError;

/// Content 24: whether somebody is writing.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{Typing, WireError};
/// assert_eq!(Typing::parse(&Typing::Begins.to_bytes()), Ok(Typing::Begins));
/// assert_eq!(Typing::parse(&[3]), Err(WireError::UnknownKind(3)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Typing {
    /// They begin.
    Begins,
    /// They end.
    Ends,
}

impl Typing {
    /// Reads it: one byte.
    ///
    /// # Errors
    ///
    /// [`WireError::UnknownKind`]; [`WireError::Field`] if it is not one byte.
    pub const fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        match bytes {
            [1] => Ok(Self::Begins),
            [2] => Ok(Self::Ends),
            [other] => Err(WireError::UnknownKind(*other)),
            _ => Err(WireError::Field),
        }
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        Vec::from(match self {
            Self::Begins => [1],
            Self::Ends => [2],
        })
    }
}
