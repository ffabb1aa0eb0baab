use alloc::vec::Vec;

use super::WireError;
use super::fields::{FieldReader, FieldWriter};

/// Longest message of a link. One with a whole roster has less than 5 kB.
pub(crate) const MAX_LINK_MESSAGE_LEN: usize = 8 << 10;

/// What the primary tells a new device.
pub(crate) struct ProvisionParts<'a> {
    pub(crate) user: &'a str,
    pub(crate) device: u32,
    pub(crate) account_key: [u8; 33],
    /// Signed.
    pub(crate) roster: &'a [u8],
}

impl<'a> ProvisionParts<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(bytes);
        let (user, device) = (fields.some_text(1)?, fields.some_number(2)?);
        let (account_key, roster) = (*fields.some_array(3)?, fields.some_bytes(4)?);
        fields.end()?;
        Ok(Self { user, device, account_key, roster })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = FieldWriter::with_capacity(320 + self.roster.len());
        out.some_bytes(1, self.user.as_bytes());
        out.optional(2, Some(self.device));
        out.some_bytes(3, &self.account_key);
        out.some_bytes(4, self.roster);
        out.into_public()
    }
}
