use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::SeededRng;
use crate::client::{PrekeyCounts, PrekeyUpload};
use crate::crypto::PublicKey;
use crate::ident::Address;
use crate::platform::{AppliedUpload, PrekeyStore, PrekeyStoreError};
use crate::prekey::UnverifiedBundle;
use crate::suite::Suite;
use crate::wire::Envelope;

/// A server between devices: it hands out bundles, and passes envelopes on, as badly as it is told to.
///
/// A message is overtaken by at most [`Relay::MAX_OVERTAKEN`] others, so that it never falls out of the five receiving
/// chains that a session keeps.
#[derive(Debug, Default)]
pub struct Relay {
    devices: BTreeMap<Address, BTreeMap<Suite, PrekeyStore>>,
    queues: BTreeMap<Address, Vec<Carried>>,
}

#[derive(Debug, Clone)]
struct Carried {
    bytes: Vec<u8>,
    overtaken: usize,
}

/// What became of something that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Posted {
    /// The relay has it, and says so.
    Taken,
    /// The relay has it, and its answer was lost: the host posts it again.
    Unheard,
    /// It did not arrive: the host posts it again.
    Refused,
    /// The relay said that it has it, and lost it.
    Lost,
}

impl Relay {
    /// So many messages overtake another one, at most.
    pub const MAX_OVERTAKEN: usize = 3;

    /// One that has nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes prekeys, as a server does that has authenticated the device: what its prekey store refuses because the device
    /// was installed anew, or is an older copy, replaces what is there. A bad upload is not taken.
    pub fn upload(&mut self, upload: PrekeyUpload) {
        let done = match self.offer(&upload) {
            Err(PrekeyStoreError::OtherIdentity) => {
                self.devices.remove(&upload.address);
                self.offer(&upload)
            }
            Err(PrekeyStoreError::OtherKey | PrekeyStoreError::Older) => self.prekey_store(&upload).replace(&upload),
            done => done,
        };
        debug_assert!(done.is_ok(), "a device uploads what is not taken: {done:?}");
    }

    /// Takes prekeys as the prekey store does, nothing else: for copies that were delayed, altered or made up.
    ///
    /// # Errors
    ///
    /// [`PrekeyStoreError`]. Nothing has changed.
    pub fn offer(&mut self, upload: &PrekeyUpload) -> Result<AppliedUpload, PrekeyStoreError> {
        self.prekey_store(upload).apply(upload)
    }

    fn prekey_store(&mut self, upload: &PrekeyUpload) -> &mut PrekeyStore {
        let PrekeyUpload { address, suite, .. } = upload;
        let suites = self.devices.entry(address.clone()).or_default();
        suites.entry(*suite).or_insert_with(|| PrekeyStore::new(address.clone(), *suite))
    }

    /// Takes whole prekey stores of a device in the place of what it has of it.
    pub(in crate::testing) fn stock(&mut self, address: &Address, prekey_stores: Vec<PrekeyStore>) {
        self.devices.insert(
            address.clone(),
            prekey_stores.into_iter().map(|prekey_store| (prekey_store.suite(), prekey_store)).collect(),
        );
    }

    /// How many one-time prekeys are left, of the suite of which there are fewest.
    #[must_use]
    pub fn counts(&self, address: &Address) -> PrekeyCounts {
        let prekey_stores = || self.devices.get(address).into_iter().flat_map(BTreeMap::values);
        let counts =
            || prekey_stores().filter(|prekey_store| prekey_store.identity_key().is_some()).map(PrekeyStore::counts);
        PrekeyCounts {
            one_time: counts().map(|counts| counts.one_time).min().unwrap_or_default(),
            one_time_kem: counts().map(|counts| counts.one_time_kem).min().unwrap_or_default(),
        }
    }

    /// Hands out a bundle of the best suite that the device has, with one-time prekeys while there are any.
    pub fn bundle(&mut self, address: &Address) -> Option<UnverifiedBundle> {
        self.devices.get_mut(address)?.values_mut().rev().find_map(PrekeyStore::claim)
    }

    /// The identity key that a device has now.
    #[must_use]
    pub fn identity(&self, address: &Address) -> Option<PublicKey> {
        self.devices.get(address)?.values().find_map(PrekeyStore::identity_key).copied()
    }

    /// Takes an envelope, or not. `loss` and `doubt` are in a hundred.
    pub fn post(&mut self, envelope: &Envelope, rng: &mut SeededRng, loss: usize, doubt: usize) -> Posted {
        if rng.happens(doubt) {
            return Posted::Refused;
        }
        if rng.happens(loss) {
            return Posted::Lost;
        }
        let queue = self.queues.entry(envelope.to.clone()).or_default();
        queue.push(Carried { bytes: envelope.to_bytes(), overtaken: 0 });
        if rng.happens(doubt) { Posted::Unheard } else { Posted::Taken }
    }

    /// How many envelopes wait for a device.
    #[must_use]
    pub fn waiting(&self, address: &Address) -> usize {
        self.queues.get(address).map_or(0, Vec::len)
    }

    /// Gives an envelope to a device, one of the first that wait; `twice` in a hundred stay and come again.
    pub fn take(&mut self, address: &Address, rng: &mut SeededRng, twice: usize) -> Option<Vec<u8>> {
        let queue = self.queues.get_mut(address).filter(|queue| !queue.is_empty())?;
        let late = queue.iter().position(|carried| carried.overtaken >= Self::MAX_OVERTAKEN);
        let at = late.unwrap_or_else(|| rng.below(queue.len().min(Self::MAX_OVERTAKEN + 1)));
        for carried in queue.iter_mut().take(at) {
            carried.overtaken += 1;
        }
        let carried = queue.remove(at);
        if rng.happens(twice) {
            queue.push(Carried { overtaken: 0, ..carried.clone() });
        }
        Some(carried.bytes)
    }

    /// Puts an envelope back that was not acknowledged: it comes again.
    pub fn not_acknowledged(&mut self, address: &Address, bytes: Vec<u8>) {
        self.queues.entry(address.clone()).or_default().insert(0, Carried { bytes, overtaken: Self::MAX_OVERTAKEN });
    }

    /// Drops what waits for a device: it waited too long.
    pub fn expire(&mut self, address: &Address) -> Vec<Vec<u8>> {
        self.queues.remove(address).unwrap_or_default().into_iter().map(|carried| carried.bytes).collect()
    }
}
