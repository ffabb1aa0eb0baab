use alloc::vec::Vec;

use prost::Message;
use zeroize::Zeroizing;

use super::fields::{FieldReader, FieldWriter};
use super::kind::{RecordError, RecordKind, body};
use super::record;
use super::roomy::Record;
use crate::crypto::{KeyPair, PrivateKey, PublicKey, Secret};
use crate::ident::{Address, DeviceId, UserId};

/// `u8 kind ‖ u16 schema version ‖ protobuf body`.
pub(crate) fn encode_record(kind: RecordKind, body: &impl Message) -> Zeroizing<Vec<u8>> {
    let mut out = FieldWriter::record(kind, body.encoded_len());
    out.put_message(body);
    out.finish().into()
}

/// The same, to be sealed where it stands.
pub(crate) fn encode_row(kind: RecordKind, body: &impl Message) -> Record {
    let mut out = FieldWriter::row(kind, body.encoded_len());
    out.put_message(body);
    out.into_record()
}

/// Takes the header off and decodes the body. What the fields mean is checked by the room that owns the record.
pub(crate) fn decode_record<M: Message + Default>(kind: RecordKind, bytes: &[u8]) -> Result<M, RecordError> {
    M::decode(body(kind, bytes)?).map_err(|_| RecordError::Corrupt)
}

/// What a key pair takes, and the number of its field.
pub(crate) const KEY_PAIR_CAPACITY: usize = 72;

pub(crate) fn write_key_pair(out: &mut FieldWriter, field: u32, pair: &KeyPair) {
    out.message(field, |out| {
        out.bytes(1, pair.private().expose());
        out.bytes(2, &pair.public().to_bytes());
    });
}

/// Takes a stored pair. The public half is not recomputed: it was when the pair was made.
pub(crate) fn read_key_pair(fields: &mut FieldReader<'_>, field: u32) -> Result<KeyPair, RecordError> {
    let mut pair = fields.some_message(field)?;
    let private = PrivateKey::new(Secret::new(*pair.array(1)?));
    let public = read_public_key(&mut pair, 2)?;
    pair.end()?;
    Ok(KeyPair::from_parts(private, public))
}

pub(crate) fn read_public_key(fields: &mut FieldReader<'_>, field: u32) -> Result<PublicKey, RecordError> {
    PublicKey::parse(fields.bytes(field)?).map_err(|_| RecordError::Corrupt)
}

pub(crate) fn write_address(out: &mut FieldWriter, field: u32, address: &Address) {
    out.message(field, |out| {
        out.bytes(1, address.user().as_str().as_bytes());
        out.number(2, address.device().get());
    });
}

pub(crate) fn read_address(fields: &mut FieldReader<'_>, field: u32) -> Result<Address, RecordError> {
    let mut address = fields.some_message(field)?;
    let user = core::str::from_utf8(address.bytes(1)?).map_err(|_| RecordError::Corrupt)?;
    let user = UserId::new(user).map_err(|_| RecordError::Corrupt)?;
    let device = DeviceId::new(address.small(2)?);
    address.end()?;
    Ok(Address::new(user, device))
}

pub(crate) fn address_to_record(address: &Address) -> record::Address {
    record::Address { user: address.user().as_str().into(), device: address.device().get() }
}

pub(crate) fn address_from_record(address: Option<&record::Address>) -> Result<Address, RecordError> {
    let address = address.ok_or(RecordError::Corrupt)?;
    let user = UserId::new(address.user.as_str()).map_err(|_| RecordError::Corrupt)?;
    Ok(Address::new(user, DeviceId::new(address.device)))
}
