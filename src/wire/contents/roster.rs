use alloc::vec::Vec;

use crate::crypto::{PublicKey, Signature};
use crate::wire::WireError;
use crate::wire::fields::{FieldReader, FieldWriter};

/// Most devices of a user.
const MAX_ROSTER_DEVICES: usize = 32;
/// Most recovery keys of a roster.
const MAX_ROSTER_RECOVERIES: usize = 4;
/// Longest body of a roster. One with everything has 4,073 bytes.
const MAX_BODY_LEN: usize = 4_096;

/// Takes what is signed apart: the body, and the signature.
pub(crate) fn split_signed(bytes: &[u8]) -> Result<(&[u8], &Signature), WireError> {
    let mut fields = FieldReader::new(bytes);
    let (body, signature) = (fields.some_bytes(1)?, fields.some_array(2)?);
    fields.end()?;
    if body.len() > MAX_BODY_LEN { Err(WireError::TooLong) } else { Ok((body, signature)) }
}

/// A body and its signature.
pub(crate) fn join_signed(body: &[u8], signature: &Signature) -> Vec<u8> {
    let mut out = FieldWriter::with_capacity(body.len() + 70);
    out.some_bytes(1, body);
    out.some_bytes(2, signature);
    out.into_public()
}

/// One device of a roster. What its numbers and signature are worth is judged by the room `account`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RosterEntry {
    pub(crate) device: u32,
    pub(crate) identity_key: PublicKey,
    pub(crate) suites: u32,
    pub(crate) consent: Signature,
}

/// The body of a roster. Keys that are no X25519 keys are bytes here.
pub(crate) struct RosterBody<'a> {
    pub(crate) user: &'a str,
    pub(crate) account_key: [u8; 33],
    pub(crate) version: u64,
    pub(crate) issued_ms: u64,
    pub(crate) last_device: u32,
    pub(crate) primary: u32,
    pub(crate) recoveries: Vec<([u8; 33], u64)>,
    pub(crate) deleted: bool,
    pub(crate) devices: Vec<RosterEntry>,
}

impl<'a> RosterBody<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(body);
        let user = fields.some_text(1)?;
        let account_key = *fields.some_array(2)?;
        let (version, issued_ms) = (fields.some_number(3)?, fields.some_number(4)?);
        let (last_device, primary) = (fields.some_number(5)?, fields.some_number(6)?);
        let mut recoveries = Vec::new();
        while let Some(mut recovery) = fields.message(7)? {
            if recoveries.len() == MAX_ROSTER_RECOVERIES {
                return Err(WireError::TooLong);
            }
            recoveries.push((*recovery.some_array(1)?, recovery.some_number(2)?));
            recovery.end()?;
        }
        let deleted = match fields.optional(8)? {
            None => false,
            Some(1) => true,
            Some(_) => return Err(WireError::Field),
        };
        let mut devices = Vec::new();
        while let Some(mut entry) = fields.message(9)? {
            if devices.len() == MAX_ROSTER_DEVICES {
                return Err(WireError::TooLong);
            }
            devices.push(RosterEntry {
                device: entry.some_number(1)?,
                identity_key: PublicKey::parse(entry.some_bytes(2)?)?,
                suites: entry.some_number(3)?,
                consent: *entry.some_array(4)?,
            });
            entry.end()?;
        }
        fields.end()?;
        Ok(Self { user, account_key, version, issued_ms, last_device, primary, recoveries, deleted, devices })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = FieldWriter::with_capacity(400 + 120 * self.devices.len());
        out.some_bytes(1, self.user.as_bytes());
        out.some_bytes(2, &self.account_key);
        out.optional(3, Some(self.version));
        out.optional(4, Some(self.issued_ms));
        out.optional(5, Some(self.last_device));
        out.optional(6, Some(self.primary));
        for (key, named_ms) in &self.recoveries {
            out.message(7, |out| {
                out.some_bytes(1, key);
                out.optional(2, Some(*named_ms));
            });
        }
        out.optional(8, self.deleted.then_some(1u32));
        for entry in &self.devices {
            out.message(9, |out| {
                out.optional(1, Some(entry.device));
                out.some_bytes(2, &entry.identity_key.to_bytes());
                out.optional(3, Some(entry.suites));
                out.some_bytes(4, &entry.consent);
            });
        }
        out.into_public()
    }
}

/// Two signed rosters.
pub(crate) fn join_two(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut out = FieldWriter::with_capacity(8 + first.len() + second.len());
    out.some_bytes(1, first);
    out.some_bytes(2, second);
    out.into_public()
}

/// Takes them apart.
pub(crate) fn split_two(bytes: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut fields = FieldReader::new(bytes);
    let two = (fields.some_bytes(1)?, fields.some_bytes(2)?);
    fields.end()?;
    Ok(two)
}
