use alloc::vec::Vec;

use crate::crypto::Signature;
use crate::wire::WireError;
use crate::wire::fields::{FieldReader, FieldWriter};

/// Most steps of a carried roster.
const MAX_STEPS: usize = 8;
/// Longest carried roster: eight steps, nine rosters.
pub(crate) const MAX_CARRIED_ROSTER_LEN: usize = 48 << 10;

/// The move from one account key to the next.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SuccessionBody<'a> {
    pub(crate) user: &'a str,
    pub(crate) old: [u8; 33],
    pub(crate) new: [u8; 33],
    pub(crate) issued_ms: u64,
    pub(crate) recovery_signature: Signature,
    pub(crate) new_signature: Signature,
}

impl<'a> SuccessionBody<'a> {
    /// What both signatures are over, behind their label.
    pub(crate) fn signed_part(user: &str, old: &[u8; 33], new: &[u8; 33], issued_ms: u64) -> Vec<u8> {
        let mut out = FieldWriter::with_capacity(350);
        Self::write_signed(&mut out, user, (old, new), issued_ms);
        out.into_public()
    }

    fn write_signed(out: &mut FieldWriter, user: &str, (old, new): (&[u8; 33], &[u8; 33]), issued_ms: u64) {
        out.some_bytes(1, user.as_bytes());
        out.some_bytes(2, old);
        out.some_bytes(3, new);
        out.optional(4, Some(issued_ms));
    }

    fn read(mut fields: FieldReader<'a>) -> Result<Self, WireError> {
        let user = fields.some_text(1)?;
        let (old, new) = (*fields.some_array(2)?, *fields.some_array(3)?);
        let issued_ms = fields.some_number(4)?;
        let (recovery_signature, new_signature) = (*fields.some_array(5)?, *fields.some_array(6)?);
        fields.end()?;
        Ok(Self { user, old, new, issued_ms, recovery_signature, new_signature })
    }

    fn write(&self, out: &mut FieldWriter) {
        Self::write_signed(out, self.user, (&self.old, &self.new), self.issued_ms);
        out.some_bytes(5, &self.recovery_signature);
        out.some_bytes(6, &self.new_signature);
    }
}

/// A succession, and a roster of the old key, if one is needed.
pub(crate) struct StepParts<'a> {
    pub(crate) succession: SuccessionBody<'a>,
    pub(crate) before: Option<&'a [u8]>,
}

/// A roster as it travels, with the steps that lead to its account key.
pub(crate) struct CarriedParts<'a> {
    pub(crate) steps: Vec<StepParts<'a>>,
    pub(crate) roster: &'a [u8],
}

impl<'a> CarriedParts<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_CARRIED_ROSTER_LEN {
            return Err(WireError::TooLong);
        }
        let (mut fields, mut steps) = (FieldReader::new(bytes), Vec::new());
        while let Some(mut step) = fields.message(1)? {
            if steps.len() == MAX_STEPS {
                return Err(WireError::TooLong);
            }
            let succession = SuccessionBody::read(step.some_message(1)?)?;
            steps.push(StepParts { succession, before: step.optional_bytes(2)? });
            step.end()?;
        }
        let roster = fields.some_bytes(2)?;
        fields.end()?;
        Ok(Self { steps, roster })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = FieldWriter::with_capacity(self.roster.len() + 8 + 5_000 * self.steps.len());
        for step in &self.steps {
            out.message(1, |out| {
                out.message(1, |out| step.succession.write(out));
                out.maybe_bytes(2, step.before);
            });
        }
        out.some_bytes(2, self.roster);
        out.into_public()
    }
}
