use super::{AccountTag, Commitment, Destination};
use crate::ident::Timestamp;

/// Length of a stamp as it is delivered: its context, 87 bytes, and the tag.
pub const STAMP_LEN: usize = 119;

/// What the platform saw when a message was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StampContext {
    /// The account that was authenticated on the submitting connection.
    pub sender: AccountTag,
    /// To whom the message was submitted.
    pub dest: Destination,
    /// When.
    pub time: Timestamp,
    /// The conversation's counter, from 1, where the platform keeps one; else 0.
    pub conv_seq: u64,
}

/// The platform's stamp on one commitment, with everything that it stamped.
///
/// # Security
///
/// Only the platform can check the tag. A receiver checks that the rest is what it knows end to end.
///
/// # Examples
///
/// ```
/// use subrosa::report::{Stamp, StampFormatError};
/// assert_eq!(Stamp::parse(&[1; 118]), Err(StampFormatError::Malformed));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Which of the platform's keys made the tag.
    pub kid: u32,
    /// What was stamped besides the commitment.
    pub context: StampContext,
    /// The platform's MAC.
    pub tag: [u8; 32],
}

/// Why bytes are not a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampFormatError {
    /// Another length, version or kind. Treat the message as not stamped.
    #[error("stamp is malformed")]
    Malformed,
    /// Of a sealed sender, which this version does not read. Tell the user to update.
    #[error("sealed senders are not supported")]
    SealedMode,
}

impl Stamp {
    /// Reads a stamp as it is delivered.
    ///
    /// # Errors
    ///
    /// [`StampFormatError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, StampFormatError> {
        let malformed = StampFormatError::Malformed;
        let bytes: &[u8; STAMP_LEN] = bytes.try_into().map_err(|_| malformed)?;
        let ([version, k0, k1, k2, k3, mode, kind], rest) = bytes.split_first_chunk::<7>().ok_or(malformed)?;
        match (version, mode) {
            (1, 0) => {}
            (1, 1) => return Err(StampFormatError::SealedMode),
            _ => return Err(malformed),
        }
        let (sender, rest) = rest.split_first_chunk().ok_or(malformed)?;
        let (dest, rest) = rest.split_first_chunk().ok_or(malformed)?;
        let (time, rest) = rest.split_first_chunk().ok_or(malformed)?;
        let (conv_seq, tag) = rest.split_first_chunk().ok_or(malformed)?;
        Ok(Self {
            kid: u32::from_be_bytes([*k0, *k1, *k2, *k3]),
            context: StampContext {
                sender: AccountTag::new(*sender),
                dest: Destination::from_parts(*kind, *dest).ok_or(malformed)?,
                time: Timestamp::new(u64::from_be_bytes(*time)),
                conv_seq: u64::from_be_bytes(*conv_seq),
            },
            tag: tag.try_into().map_err(|_| malformed)?,
        })
    }

    /// Writes the stamp as it is delivered.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; STAMP_LEN] {
        let mut out = [0; STAMP_LEN];
        let (context, tag) = out.split_at_mut(STAMP_LEN - 32);
        context.copy_from_slice(&self.context.encode(self.kid));
        tag.copy_from_slice(&self.tag);
        out
    }
}

impl StampContext {
    /// What the tag is computed of, with the commitment.
    pub(crate) fn encode(&self, kid: u32) -> [u8; STAMP_LEN - 32] {
        let Self { sender, dest, time, conv_seq } = self;
        let mut out = [0; STAMP_LEN - 32];
        let kid = kid.to_be_bytes();
        let (time, conv_seq) = (time.get().to_be_bytes(), conv_seq.to_be_bytes());
        let fields: [&[u8]; 7] = [&[1], &kid, &[0, dest.kind()], sender.as_bytes(), dest.tag(), &time, &conv_seq];
        for (to, from) in out.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        out
    }

    /// What a stamp's tag is the MAC of.
    pub(crate) fn stamped(&self, kid: u32, commitment: &Commitment) -> [u8; 132] {
        let mut out = [0; 132];
        let context = self.encode(kid);
        let fields: [&[u8]; 3] = [b"\x0cfrank1/stamp", &context, commitment.as_bytes()];
        for (to, from) in out.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        out
    }
}
