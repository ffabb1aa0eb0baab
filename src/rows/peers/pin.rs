//! The identity key that a device is known by, in a row of its own: it stays when the device is forgotten, and opens when the
//! device's own row does not.

use crate::crypto::PublicKey;
use crate::ident::Address;
use crate::rows::Core;
use crate::staging::{Stop, StoredError, Workspace, stored};
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind};

type Halt = Stop<StoredError>;

impl Core {
    /// The key that a device is known by, if it ever was.
    pub(crate) fn load_pin(&self, work: &mut Workspace<'_>, address: &Address) -> Result<Option<PublicKey>, Halt> {
        let key = self.peer_key(RecordKind::Pin, address);
        let Some(bytes) = work.read(&self.keys, RecordKind::Pin, key)? else { return Ok(None) };
        Ok(Some(from_bytes(bytes).map_err(stored(RecordKind::Pin))?))
    }

    /// From now on the device is known by this key.
    pub(crate) fn pin(&self, work: &mut Workspace<'_>, address: &Address, identity: &PublicKey) -> Result<(), Halt> {
        let key = self.peer_key(RecordKind::Pin, address);
        if self.load_pin(work, address)? != Some(*identity) {
            let mut out = FieldWriter::row(RecordKind::Pin, 40);
            out.bytes(1, &identity.to_bytes());
            work.put(&self.keys, key, out.into_record());
        }
        Ok(())
    }
}

fn from_bytes(bytes: &[u8]) -> Result<PublicKey, RecordError> {
    let mut fields = FieldReader::record(RecordKind::Pin, bytes)?;
    let identity = PublicKey::parse(fields.some_bytes(1)?).map_err(|_| RecordError::Corrupt)?;
    fields.end()?;
    Ok(identity)
}
