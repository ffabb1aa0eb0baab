use alloc::vec::Vec;

use crate::crypto::{Secret, SecretBytes};
use crate::persist::{Keys, RecordKey, StorageKey, Version, open_vault};
use crate::wire::{ROOM_BEHIND, ROOM_IN_FRONT, Record, RecordKind, decode_record, record};

use super::{MemoryStore, SeededRng};
use crate::staging::{Row, Store as _};

/// What somebody can write who has the storage key, or an older version of the library with a defect: records of any
/// content, sealed as they should be. For trying that a client bears them.
///
/// # Examples
///
/// ```
/// use subrosa::{ident::*, persist::{RecordKey, StorageKey}, suite::Suites, testing::{Forge, Host, SeededRng}};
/// let (key, now) = (StorageKey::new([7; 32]), Timestamp::new(1_800_000_000_000));
/// let alice = Address::new(UserId::new("alice")?, DeviceId::new(1));
/// let host = Host::create(&alice, Suites::V1, key.clone(), 1, now);
/// let (forge, store) = (Forge::new(&key, host.store()).unwrap(), host.store());
/// for (place, row) in store.rows() {
///     if let Some(mut record) = forge.open(&place, &row) {
///         record.truncate(20);
///         store.tamper(place, Some(forge.reseal(&place, &row, &record, &mut SeededRng::new(2))));
///     }
/// }
/// // Nothing panics, nothing is believed.
/// assert!(host.client().publish_prekeys(Default::default()).stage(store, now, &mut SeededRng::new(3)).is_err());
/// # Ok::<(), InvalidUserId>(())
/// ```
#[derive(Debug)]
pub struct Forge(Keys);

impl Forge {
    /// Opens the vault of a store; `None` if there is none, or of another storage key.
    #[must_use]
    pub fn new(storage_key: &StorageKey, store: &MemoryStore) -> Option<Self> {
        let row = store.load(&[RecordKey::VAULT]).ok()?.pop()??;
        let bytes = open_vault(storage_key, &row.version, &row.bytes).ok()?;
        let vault: record::Vault = decode_record(RecordKind::Vault, &bytes).ok()?;
        let data_key = Secret::from_slice(&vault.data_key)?;
        Some(Self(Keys::new(&data_key, vault.instance.as_slice().try_into().ok()?)))
    }

    /// The private keys of an account that live as long as it does: what its rows are sealed with, its identity.
    pub(super) fn secrets(storage_key: &StorageKey, store: &MemoryStore) -> Option<[Vec<u8>; 2]> {
        let row = store.load(&[RecordKey::VAULT]).ok()?.pop()??;
        let vault = open_vault(storage_key, &row.version, &row.bytes).ok()?;
        let vault: record::Vault = decode_record(RecordKind::Vault, &vault).ok()?;
        let forge = Self::new(storage_key, store)?;
        let is_device = |key: &RecordKey| key.as_bytes().first() == Some(&RecordKind::Device.number());
        let (key, row) = store.rows().into_iter().find(|(key, _)| is_device(key))?;
        let device: record::Device = decode_record(RecordKind::Device, &forge.open(&key, &row)?).ok()?;
        Some([vault.data_key.clone(), device.identity.as_ref()?.private.clone()])
    }

    /// The record in a row: `u8 kind ‖ u16 schema ‖ protobuf`; `None` if it does not open.
    #[must_use]
    pub fn open(&self, key: &RecordKey, row: &Row) -> Option<Vec<u8>> {
        self.0.open(key, &row.version, &mut row.bytes.clone()).ok().map(|record| record.to_vec())
    }

    /// A row that opens as this record, with nothing behind it.
    #[must_use]
    pub fn seal(&self, key: &RecordKey, record: &[u8], rng: &mut SeededRng) -> Row {
        let version = Version::random(rng);
        Row { version, bytes: self.0.seal(key, &version, SecretBytes::new(record.to_vec()).into()) }
    }

    /// The same, with what was behind the record of another row.
    #[must_use]
    pub fn reseal(&self, key: &RecordKey, row: &Row, record: &[u8], rng: &mut SeededRng) -> Row {
        let opened = self.0.open(key, &row.version, &mut row.bytes.clone());
        let tail = opened.map(|record| record.tail().to_vec()).unwrap_or_default();
        let buffer = [&[0; ROOM_IN_FRONT][..], record, &[0; ROOM_BEHIND], &tail].concat();
        let version = Version::random(rng);
        let record = Record::in_room(SecretBytes::new(buffer), tail.len());
        Row { version, bytes: self.0.seal(key, &version, record) }
    }
}
