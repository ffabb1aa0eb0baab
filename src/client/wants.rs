use alloc::vec::Vec;

use super::workspace::{Stop, Workspace, stored};
use super::{Client, Core, Operation, StoredError};
use crate::ident::Address;
use crate::persist::RecordKey;
use crate::wire::{RecordError, RecordKind, address_from_record, address_to_record, decode_record, encode_row, record};

/// Most devices whose bundle is wanted at one time; the oldest wish goes.
const MAX_BUNDLES: usize = 256;

/// Most unread messages that are remembered of one device; the oldest goes.
pub(super) const MAX_UNREAD: usize = 16;

/// Something that the host is to bring from the network. Kept durably until the operation that consumes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Want {
    /// This device's bundle, for [`Client::add_session`]: its messages could not be read, its session can send no more, or
    /// it has begun a new one and may have forgotten what it was asked for.
    Bundle(Address),
    /// Prekeys are to be uploaded: [`Client::publish_prekeys`] gives them.
    UploadPrekeys,
}

/// The record of what is wanted. That of what one device was [asked](super::asked::Asked) for has the same form.
pub(super) struct Wants(Vec<(Address, Vec<[u8; 32]>)>);

impl Wants {
    pub(super) fn load(core: &Core, work: &mut Workspace<'_>) -> Result<Self, Stop<StoredError>> {
        let Some(bytes) = work.read(&core.keys, RecordKind::Wants, key(core))? else { return Ok(Self(Vec::new())) };
        Ok(Self::from_bytes(bytes).map_err(stored(RecordKind::Wants))?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let stored: record::Wants = decode_record(RecordKind::Wants, bytes)?;
        if stored.bundles.len() > MAX_BUNDLES || u32::try_from(stored.bundles.len()) != Ok(stored.count) {
            return Err(RecordError::Corrupt);
        }
        Ok(Self(stored.bundles.iter().map(wanted_from_record).collect::<Result<_, _>>()?))
    }

    pub(super) fn save(self, core: &Core, work: &mut Workspace<'_>) -> Result<(), Stop<StoredError>> {
        work.row(key(core))?;
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let bundles = self.0.iter().map(|(address, unread)| wanted_to_record(address, unread, 0)).collect();
        work.put(&core.keys, key(core), encode_row(RecordKind::Wants, &record::Wants { bundles, count }));
        Ok(())
    }

    /// Wants a device's bundle. Whether that is new.
    pub(super) fn bundle(&mut self, address: &Address) -> bool {
        if self.0.iter().any(|(wanted, _)| wanted == address) {
            return false;
        }
        self.0.push((address.clone(), Vec::new()));
        if self.0.len() > MAX_BUNDLES {
            self.0.remove(0);
        }
        true
    }

    /// Wants a device's bundle, because of a message that could not be read. Whether anything changed.
    pub(super) fn unread(&mut self, address: &Address, hash: [u8; 32]) -> bool {
        let new = self.bundle(address);
        let Some((_, unread)) = self.0.iter_mut().find(|(wanted, _)| wanted == address) else { return new };
        if unread.contains(&hash) {
            return new;
        }
        unread.push(hash);
        if unread.len() > MAX_UNREAD {
            unread.remove(0);
        }
        true
    }

    /// A device's bundle has come: which messages of it could not be read, if it was wanted.
    pub(super) fn take(&mut self, address: &Address) -> Option<Vec<[u8; 32]>> {
        let at = self.0.iter().position(|(wanted, _)| wanted == address)?;
        Some(self.0.remove(at).1)
    }
}

pub(super) fn wanted_from_record(wanted: &record::WantedBundle) -> Result<(Address, Vec<[u8; 32]>), RecordError> {
    let (unread, rest) = wanted.unread.as_chunks::<32>();
    let whole = rest.is_empty() && unread.len() <= MAX_UNREAD;
    let address = address_from_record(wanted.address.as_ref())?;
    if whole { Ok((address, unread.to_vec())) } else { Err(RecordError::Corrupt) }
}

pub(super) fn wanted_to_record(address: &Address, unread: &[[u8; 32]], asked: u64) -> record::WantedBundle {
    record::WantedBundle { address: Some(address_to_record(address)), unread: unread.concat(), asked }
}

pub(super) fn key(core: &Core) -> RecordKey {
    core.keys.record_key(RecordKind::Wants, &[])
}

impl Client {
    /// What the host is to bring from the network. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// for want in alice.wants().stage(&db, now, &mut rng)?.committed() {
    ///     match want {
    ///         Want::Bundle(address) => { /* fetch it, then `add_session` */ }
    ///         Want::UploadPrekeys => { /* `publish_prekeys` */ }
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn wants(&self) -> Operation<Vec<Want>, StoredError> {
        let core = self.core.clone();
        Operation::new(move |work| {
            work.announce([core.prekeys_key()]);
            let wants = Wants::load(&core, work)?;
            let upload = core.load_prekeys(work)?.is_pending(&core, work.now);
            let bundles = wants.0.into_iter().map(|(address, _)| Want::Bundle(address));
            Ok(bundles.chain(upload.then_some(Want::UploadPrekeys)).collect())
        })
    }
}
