use alloc::vec::Vec;

use crate::wire::WireError;
use crate::wire::fields::{FieldReader, FieldWriter};

/// What the QR code of a safety number holds, as in Signal's apps.
pub(crate) struct Scannable {
    pub(crate) version: u32,
    /// Of the side whose screen it is on.
    pub(crate) own: [u8; 32],
    pub(crate) other: [u8; 32],
}

impl Scannable {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(bytes);
        let version = fields.some_number(1)?;
        let mut side = |field| {
            let mut side = fields.some_message(field)?;
            let half = *side.some_array(1)?;
            side.end()?;
            Ok::<_, WireError>(half)
        };
        let (own, other) = (side(2)?, side(3)?);
        fields.end()?;
        Ok(Self { version, own, other })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = FieldWriter::with_capacity(74);
        out.optional(1, Some(self.version));
        out.message(2, |out| out.some_bytes(1, &self.own));
        out.message(3, |out| out.some_bytes(1, &self.other));
        out.into_public()
    }
}
