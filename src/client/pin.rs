//! The identity key that a device is known by, in a row of its own: it stays when the device is forgotten, and opens when the
//! device's own row does not.

use super::workspace::{Stop, Workspace, stored};
use super::{Client, Core, Operation, StoredError};
use crate::crypto::PublicKey;
use crate::ident::Address;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind};

type Halt = Stop<StoredError>;

impl Client {
    /// Forgets the identity key of a device that [was forgotten](Client::forget_device). Of one that is known nothing is
    /// forgotten. Gives whether there was a key.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Security
    ///
    /// Whoever comes under the device's name next is seen for the first time: its identity key is taken as it comes. Only for
    /// a contact that the user has done with for good.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// alice.forget_device(bob.address()).stage(&db, now, &mut rng)?.commit(|batch, ()| db.write(batch))?;
    /// let forgotten = alice.forget_identity(bob.address()).stage(&db, now, &mut rng)?;
    /// assert!(forgotten.commit(|batch, _| db.write(batch))?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn forget_identity(&self, address: &Address) -> Operation<bool, StoredError> {
        let (core, address) = (self.core.clone(), address.clone());
        Operation::new("forget_identity", move |work| {
            let key = core.peer_key(RecordKind::Pin, &address);
            work.announce([key]);
            let is_known = work.row::<StoredError>(core.peer_key(RecordKind::Peer, &address))?.is_some();
            let forgets = work.row::<StoredError>(key)?.is_some() && !is_known;
            if forgets {
                work.delete(key);
            }
            Ok(forgets)
        })
    }
}

impl Core {
    /// The key that a device is known by, if it ever was.
    pub(super) fn load_pin(&self, work: &mut Workspace<'_>, address: &Address) -> Result<Option<PublicKey>, Halt> {
        let key = self.peer_key(RecordKind::Pin, address);
        let Some(bytes) = work.read(&self.keys, RecordKind::Pin, key)? else { return Ok(None) };
        Ok(Some(from_bytes(bytes).map_err(stored(RecordKind::Pin))?))
    }

    /// From now on the device is known by this key.
    pub(super) fn pin(&self, work: &mut Workspace<'_>, address: &Address, identity: &PublicKey) -> Result<(), Halt> {
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
