use alloc::vec::Vec;

use prost::Message;
use zeroize::Zeroizing;

use super::fields::{FieldReader, FieldWriter};
use super::record;
use super::roomy::Record;
use crate::crypto::{KeyPair, PrivateKey, PublicKey, Secret};
use crate::ident::{Address, DeviceId, UserId};

/// The newest schema version that this build writes and reads.
pub(crate) const SCHEMA: u16 = 1;

/// What a stored record holds: its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum RecordKind {
    /// A device's identity key and numbers.
    Device = 1,
    /// A signed prekey.
    SignedPrekey = 2,
    /// A one-time X25519 prekey.
    OneTimePrekey = 3,
    /// A KEM prekey, one-time or last-resort.
    KemPrekey = 4,
    /// Everything shared with one peer device.
    Session = 5,
    /// What a device publishes for one session.
    Bundle = 6,
    /// Base keys of the first messages that a signed prekey has accepted.
    SeenBaseKeys = 7,
    /// What a device brings to its server of prekeys.
    PrekeyUpload = 8,
    /// What opens all other records of a client.
    Vault = 16,
    /// What changes with every message to or from one peer device.
    Peer = 17,
    /// Which keys are kept for late messages of one session: a list of pages.
    Kept = 18,
    /// One archived session.
    Archived = 19,
    /// Which sessions with one peer device are archived.
    Archive = 20,
    /// A session under an identity key that is not accepted.
    Parked = 21,
    /// A part of what was sent to one peer device.
    Sent = 22,
    /// A part of the index of peer devices.
    PeerPage = 23,
    /// Which prekeys there are.
    Prekeys = 24,
    /// What waits between one peer device and here.
    Wishes = 25,
    /// The chains of framed messages of one conversation.
    Framing = 26,
    /// Some of the keys kept for late messages of one session.
    KeptPage = 27,
    /// By which time what is old is deleted.
    Clock = 29,
    /// The identity key that one peer device is known by, also when all else of it is forgotten.
    Pin = 28,
    /// A part of the index of devices that something waits with.
    WishPage = 30,
    /// Which parts of that index there are.
    WishIndex = 31,
    /// A file on its way out: its key, and the hashes of the chunks that may have left.
    Upload = 40,
    /// What one device knows of the chains of one conversation.
    ChainState = 50,
    /// What proves one framed message.
    Evidence = 51,
    /// A platform's stamp keys.
    StampKeys = 52,
    /// A platform's key for opening reports.
    ModerationKey = 53,
    /// A server's shelf of one device's prekeys.
    Shelf = 54,
}

impl RecordKind {
    /// The first byte of such a record.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the discriminant of a repr(u8) enum")]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Why bytes are not a record of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are damaged, or a record of another kind. Restore it from where it is whole, or start the session
    /// anew; do not go on with an older copy.
    #[error("record is corrupt")]
    Corrupt,
    /// The whole store went back in time and was opened anew by another process since this client was opened. Open the
    /// client again; nothing is damaged.
    #[error("record is of a later opening of the store")]
    OtherGeneration,
    /// A newer version of this library wrote the record. Update; do not overwrite it.
    #[error("record has the newer schema version {0}")]
    Newer(u16),
}

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

/// What stands behind the header.
pub(super) fn body(kind: RecordKind, bytes: &[u8]) -> Result<&[u8], RecordError> {
    let ([kind_byte, high, low], body) = bytes.split_first_chunk::<3>().ok_or(RecordError::Corrupt)?;
    if *kind_byte != kind.number() {
        return Err(RecordError::Corrupt);
    }
    match u16::from_be_bytes([*high, *low]) {
        0 => Err(RecordError::Corrupt),
        SCHEMA => Ok(body),
        newer => Err(RecordError::Newer(newer)),
    }
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
