use crate::wire::fields::{FieldError, FieldReader, FieldWriter};

/// Which roster of a user somebody holds. A hint: any peer can write any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterView {
    /// The roster's version.
    pub version: u64,
    /// First 16 bytes of its hash.
    pub hash: [u8; 16],
}

/// Which state of a group the sender holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupView {
    /// The group, in messages between two devices alone: these then belong to it.
    pub group: Option<[u8; 32]>,
    /// The state's epoch.
    pub epoch: u64,
    /// The state's head.
    pub head: [u8; 32],
}

impl RosterView {
    /// `None` of a view that says nothing.
    pub(super) fn read(mut fields: FieldReader<'_>) -> Result<Option<Self>, FieldError> {
        let version = fields.some_number(1)?;
        let hash = fields.some_bytes(2)?;
        fields.end()?;
        if hash.len() == 8 {
            return Ok(None);
        }
        let hash = hash.try_into().map_err(|_| FieldError::Field)?;
        Ok(Some(Self { version, hash }))
    }

    pub(super) fn write(&self, out: &mut FieldWriter, field: u32) {
        out.message(field, |out| {
            out.optional(1, Some(self.version));
            out.some_bytes(2, &self.hash);
        });
    }
}

impl GroupView {
    pub(super) fn read(mut fields: FieldReader<'_>) -> Result<Self, FieldError> {
        let group = fields.optional_array(1)?.copied();
        let (epoch, head) = (fields.some_number(2)?, *fields.some_array(3)?);
        fields.end()?;
        Ok(Self { group, epoch, head })
    }

    pub(super) fn write(&self, out: &mut FieldWriter, field: u32) {
        out.message(field, |out| {
            out.maybe_bytes(1, self.group.as_ref());
            out.optional(2, Some(self.epoch));
            out.some_bytes(3, &self.head);
        });
    }
}
