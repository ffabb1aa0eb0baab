//! What every row is read and written with: keys, one's own address, how often the store went back in time.

use alloc::sync::Arc;

use crate::ident::Address;
use crate::persist::{Keys, RecordKey, StorageKey};
use crate::prekey::Device;
use crate::rows::Peer;
use crate::staging::{RowCache, Stop, StoredError, Workspace, stored};
use crate::wire::{RecordError, RecordKind};

/// What a client knows without its database.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) keys: Arc<Keys>,
    /// Where one's own account lies: every message asks several times, and it costs an HMAC.
    pub(crate) account: RecordKey,
    pub(crate) storage_key: StorageKey,
    pub(crate) address: Address,
    pub(crate) generation: u64,
    pub(crate) cache: Option<Arc<RowCache<Peer>>>,
}

impl Core {
    /// A record that its own type reads: a prekey, a clock.
    pub(crate) fn read<T>(
        &self,
        work: &mut Workspace<'_>,
        kind: RecordKind,
        key: RecordKey,
        parse: impl FnOnce(&[u8]) -> Result<T, RecordError>,
    ) -> Result<Option<T>, Stop<StoredError>> {
        let Some(bytes) = work.read(&self.keys, kind, key)? else { return Ok(None) };
        Ok(Some(parse(bytes).map_err(stored(kind))?))
    }

    pub(crate) fn device_key(&self) -> RecordKey {
        self.keys.record_key(RecordKind::Device, &[])
    }

    /// One's own identity; without it the account is wiped.
    pub(crate) fn load_device(&self, work: &mut Workspace<'_>) -> Result<Option<Device>, Stop<StoredError>> {
        let Some(bytes) = work.read(&self.keys, RecordKind::Device, self.device_key())? else { return Ok(None) };
        let device = Device::from_bytes(bytes).map_err(|error| StoredError { kind: RecordKind::Device, error })?;
        Ok(Some(device))
    }
}
