//! What devices do with their prekeys, as a server sees it.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::client::{PrekeyUpload, PrekeyUploadId};
use crate::ident::{Address, PrekeyId, Timestamp};
use crate::prekey::UnverifiedBundle;
use crate::suite::Suite;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// For so long what was handed out is good: a key stays for 30 days after its successor was confirmed, by a clock that may
/// be wrong by a day and some, now in one direction and then in the other.
const GOOD_MS: u64 = 27 * DAY_MS;

/// What was last given to the server, or was to be.
struct Offer {
    id: PrekeyUploadId,
    /// When the signed prekey was made.
    created: Timestamp,
    /// Of the signed and the last-resort prekey.
    lasting: [PrekeyId; 2],
    one_time: BTreeSet<PrekeyId>,
    /// Whether the device was told that it has arrived.
    told: bool,
}

/// What devices have offered, and what was handed out.
#[derive(Default)]
pub(super) struct StoredPrekeys {
    offers: BTreeMap<Address, Offer>,
    handed: BTreeMap<(Address, PrekeyId), u64>,
    /// Who has made other prekeys while an upload waited.
    hasty: BTreeSet<Address>,
}

impl StoredPrekeys {
    /// A new account.
    pub(super) fn registers(&mut self, address: &Address) {
        self.offers.remove(address);
        self.handed.retain(|(other, _), _| other != address);
    }

    /// A device offers its prekeys: as long as it is not told that they have arrived, the same ones.
    pub(super) fn offered(&mut self, upload: &PrekeyUpload, told: bool) {
        let lasting = [upload.signed.id, upload.last_resort.id];
        let kem = upload.one_time_kem.iter().map(|prekey| prekey.id);
        let one_time = upload.one_time.iter().map(|(id, _)| *id).chain(kem).collect();
        let offer = Offer { id: upload.id, created: upload.signed.created, lasting, one_time, told };
        let before = self.offers.insert(upload.address.clone(), offer).filter(|before| !before.told);
        let offer = self.offers.get(&upload.address);
        if let (Some(before), Some(offer)) = (before, offer)
            && upload.suite == Suite::V1
            // No server takes an older date: where a clock goes back, other keys are made.
            && before.created.since(offer.created) < DAY_MS
            // Of those that arrived some may have been used.
            && (before.lasting != offer.lasting || !offer.one_time.is_subset(&before.one_time))
        {
            self.hasty.insert(upload.address.clone());
        }
    }

    /// A device is told late that an upload has arrived. Whether that is what it has offered last.
    pub(super) fn told(&mut self, address: &Address, upload: PrekeyUploadId) -> bool {
        let Some(offer) = self.offers.get_mut(address) else { return false };
        let is_last = offer.id == upload;
        offer.told |= is_last;
        is_last
    }

    /// An honest bundle goes out.
    pub(super) fn hands_out(&mut self, bundle: &UnverifiedBundle, now: u64) {
        let mut note = |id| self.handed.insert((bundle.address.clone(), id), now);
        note(bundle.signed_prekey.id);
        if bundle.kem_is_last_resort {
            note(bundle.kem_prekey.id);
        }
    }

    /// Whether a signed or last-resort prekey was handed out so lately that it must be there.
    pub(super) fn is_good(&self, address: &Address, id: PrekeyId, now: u64) -> bool {
        self.handed.get(&(address.clone(), id)).is_some_and(|at| now.saturating_sub(*at) < GOOD_MS)
    }

    /// Who has made other prekeys while an upload waited.
    pub(super) fn hasty(&self) -> impl Iterator<Item = &Address> {
        self.hasty.iter()
    }
}
