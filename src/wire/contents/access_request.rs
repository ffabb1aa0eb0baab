use alloc::vec::Vec;

use crate::wire::WireError;

/// Content 27: the sender asks for the recipient's access key. It has no bytes: which one the sender holds, if any, stands
/// in [`Payload::holds`](crate::wire::Payload::holds).
///
/// # Examples
///
/// ```
/// use subrosa::wire::AccessRequest;
/// assert_eq!(AccessRequest::parse(&AccessRequest.to_bytes()), Ok(AccessRequest));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRequest;

impl AccessRequest {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`WireError::TooLong`] if there are bytes.
    pub const fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.is_empty() { Ok(Self) } else { Err(WireError::TooLong) }
    }

    /// Writes it.
    #[must_use]
    pub const fn to_bytes(self) -> Vec<u8> {
        Vec::new()
    }
}
