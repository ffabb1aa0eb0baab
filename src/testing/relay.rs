use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::SeededRng;
use crate::client::{PrekeyCounts, PrekeyUpload};
use crate::crypto::PublicKey;
use crate::ident::{Address, PrekeyId};
use crate::prekey::UnverifiedBundle;
use crate::suite::Suite;
use crate::wire::Envelope;

/// A server between devices: it hands out bundles, and passes envelopes on, as badly as it is told to.
///
/// A message is overtaken by at most [`Relay::MAX_OVERTAKEN`] others, so that it never falls out of the five receiving
/// chains that a session keeps.
#[derive(Debug, Default)]
pub struct Relay {
    devices: BTreeMap<Address, BTreeMap<Suite, PrekeyUpload>>,
    /// Ids of one-time prekeys that it has ever had: whether of a KEM, and which.
    had: BTreeMap<(Address, Suite), BTreeSet<(bool, PrekeyId)>>,
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

    /// Takes prekeys: the one-time ones are added, the others replaced; of another identity key, all are replaced.
    pub fn upload(&mut self, upload: PrekeyUpload) {
        let suites = self.devices.entry(upload.address.clone()).or_default();
        suites.retain(|_, known| known.identity_key == upload.identity_key);
        match suites.entry(upload.suite) {
            Entry::Vacant(entry) => {
                let ids = upload.one_time.iter().map(|(id, _)| (false, *id));
                let ids = ids.chain(upload.one_time_kem.iter().map(|prekey| (true, prekey.id)));
                // Of a device with another key all ids are new.
                self.had.insert((upload.address.clone(), upload.suite), ids.collect());
                entry.insert(upload);
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                if upload.replaces_one_time {
                    (known.one_time, known.one_time_kem) = (Vec::new(), Vec::new());
                }
                let had = self.had.entry((upload.address.clone(), upload.suite)).or_default();
                known.one_time.extend(upload.one_time.iter().filter(|(id, _)| had.insert((false, *id))));
                let new = upload.one_time_kem.iter().filter(|new| had.insert((true, new.id))).cloned();
                known.one_time_kem.extend(new);
                (known.signed, known.last_resort) = (upload.signed, upload.last_resort);
            }
        }
    }

    /// How many one-time prekeys are left, of the suite of which there are fewest.
    #[must_use]
    pub fn counts(&self, address: &Address) -> PrekeyCounts {
        let suites = || self.devices.get(address).into_iter().flat_map(BTreeMap::values);
        let fewest = |len: fn(&PrekeyUpload) -> usize| {
            u32::try_from(suites().map(len).min().unwrap_or_default()).unwrap_or(u32::MAX)
        };
        PrekeyCounts {
            one_time: fewest(|upload| upload.one_time.len()),
            one_time_kem: fewest(|upload| upload.one_time_kem.len()),
        }
    }

    /// Hands out a bundle of the best suite that the device has, with one-time prekeys while there are any.
    pub fn bundle(&mut self, address: &Address) -> Option<UnverifiedBundle> {
        let upload = self.devices.get_mut(address)?.values_mut().next_back()?;
        let (one_time, one_time_kem) = (upload.one_time.pop(), upload.one_time_kem.pop());
        Some(upload.bundle(one_time.as_ref(), one_time_kem.as_ref()))
    }

    /// The identity key that a device has now.
    #[must_use]
    pub fn identity(&self, address: &Address) -> Option<PublicKey> {
        self.devices.get(address)?.values().next().map(|upload| upload.identity_key)
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
