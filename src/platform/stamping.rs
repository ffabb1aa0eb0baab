use super::StampKeys;
use crate::crypto::Secret;
use crate::report::{AccountTag, Commitment, Destination, Stamp, StampContext};

/// Why nothing was stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// There is no key of this number. Stamp with one that there is.
    #[error("unknown stamp key")]
    UnknownKey,
}

/// Stamps a message on submission. One MAC; nothing to store.
///
/// `context.sender` is the account that is authenticated on the submitting connection, never what the message says.
/// Deliver message and stamp to every device of the destination and to the sender's other devices, and the stamp back.
///
/// # Errors
///
/// [`StampError`].
///
/// # Examples
///
/// See [`ChainState`](crate::report::ChainState).
pub fn stamp(keys: &StampKeys, kid: u32, commitment: &Commitment, context: &StampContext) -> Result<Stamp, StampError> {
    let tag = keys.tag(kid, commitment, context).ok_or(StampError::UnknownKey)?;
    Ok(Stamp { kid, context: *context, tag: *tag.expose() })
}

/// Why a stamp was not given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestampError {
    /// Its key is destroyed, or never was. Stamp the message anew.
    #[error("unknown stamp key")]
    UnknownKey,
    /// It is not of this message, or not from here. Stamp the message anew.
    #[error("stamp does not verify")]
    BadStamp,
    /// It was given to another account, or for another destination. Refuse the submission.
    #[error("stamp is of another submission")]
    OtherSubmission,
}

/// Gives a message that is submitted again (its answer was lost, or it is sent again for a device that could not read
/// it) the stamp that it had.
///
/// # Errors
///
/// [`RestampError`].
pub fn restamp(
    keys: &StampKeys,
    commitment: &Commitment,
    original: &Stamp,
    submitter: &AccountTag,
    dest: &Destination,
) -> Result<Stamp, RestampError> {
    let tag = keys.tag(original.kid, commitment, &original.context).ok_or(RestampError::UnknownKey)?;
    if tag != Secret::new(original.tag) {
        return Err(RestampError::BadStamp);
    }
    if original.context.sender != *submitter || original.context.dest != *dest {
        return Err(RestampError::OtherSubmission);
    }
    Ok(*original)
}
