use alloc::vec::Vec;

use crate::wire::WireError;
use crate::wire::fields::{FieldReader, FieldWriter};

/// What a step of comparing emoji says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyStep {
    /// 1, of the initiator: what it commits to.
    Commit([u8; 32]),
    /// 2, of the responder: its number.
    Respond([u8; 32]),
    /// 3, of the initiator: the number that it committed to.
    Reveal([u8; 32]),
    /// 4, of either: it ends.
    End,
}

/// Content 30: one step of comparing emoji ([`account`](crate::account)).
///
/// # Examples
///
/// ```
/// use subrosa::wire::{Verify, VerifyStep};
/// let step = Verify { txid: [1; 16], step: VerifyStep::Commit([2; 32]) };
/// assert_eq!(Verify::parse(&step.to_bytes())?, step);
/// # Ok::<(), subrosa::wire::WireError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verify {
    /// The attempt, drawn by the initiator.
    pub txid: [u8; 16],
    /// What it says.
    pub step: VerifyStep,
}

impl Verify {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(bytes);
        let txid = *fields.some_array(1)?;
        let (number, value) = (fields.some_number::<u32>(2)?, fields.optional_array(3)?.copied());
        fields.end()?;
        let step = match (number, value) {
            (1, Some(value)) => VerifyStep::Commit(value),
            (2, Some(value)) => VerifyStep::Respond(value),
            (3, Some(value)) => VerifyStep::Reveal(value),
            (4, None) => VerifyStep::End,
            (1..=4, _) => return Err(WireError::Field),
            _ => return Err(WireError::UnknownKind(u8::try_from(number).unwrap_or(u8::MAX))),
        };
        Ok(Self { txid, step })
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (number, value) = match &self.step {
            VerifyStep::Commit(value) => (1u32, Some(value)),
            VerifyStep::Respond(value) => (2, Some(value)),
            VerifyStep::Reveal(value) => (3, Some(value)),
            VerifyStep::End => (4, None),
        };
        let mut out = FieldWriter::with_capacity(54);
        out.some_bytes(1, &self.txid);
        out.optional(2, Some(number));
        out.maybe_bytes(3, value);
        out.into_public()
    }
}
