//! The server of a run: it hands out prekeys and keeps mail, and as long as it is bad it does both as it likes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::stamps::Stamps;
use super::stored_prekeys::StoredPrekeys;
use crate::client::{PrekeyCounts, PrekeyUpload, PrekeyUploadId};
use crate::crypto::PublicKey;
use crate::ident::Address;
use crate::platform::PrekeyStore;
use crate::prekey::UnverifiedBundle;
use crate::testing::{Directory, Posted, Relay, SeededRng};
use crate::wire::Envelope;

/// For so long a server keeps mail: 60 days.
const KEPT_MS: u64 = 60 * 24 * 60 * 60 * 1000;

/// So many envelopes overtake another one, at most: it never falls out of the five receiving chains that a session keeps
/// by that alone.
const MAX_OVERTAKEN: usize = 3;

/// So many envelopes to one device are remembered, to be replayed.
const PAST: usize = 48;

struct Letter {
    envelope: Envelope,
    posted: u64,
    overtaken: usize,
}

/// How bad a server is: so many times in a hundred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Malice {
    /// One-time prekeys that were handed out before.
    pub(super) twice: usize,
    /// A bundle of some time ago.
    pub(super) old: usize,
    /// A bundle with a bit changed.
    pub(super) garbled: usize,
    /// A bundle without one-time prekeys.
    pub(super) bare: usize,
    /// An upload that does not arrive, or of which the device is not told that it has.
    pub(super) uploads: usize,
}

pub(super) struct Server {
    relay: Relay,
    rng: SeededRng,
    pub(super) now: u64,
    pub(super) malice: Malice,
    mail: BTreeMap<Address, Vec<Letter>>,
    past: BTreeMap<Address, Vec<Envelope>>,
    handed: BTreeMap<Address, Vec<UnverifiedBundle>>,
    /// Whose uploads fail, and until when.
    pub(super) failing: BTreeMap<Address, u64>,
    /// Of whom it says that no one-time prekeys are left.
    pub(super) counts_nothing: BTreeSet<Address>,
    /// Uploads that arrived, and of which the device was not told.
    unheard: BTreeMap<Address, PrekeyUploadId>,
    pub(super) stamps: Stamps,
    /// What devices do with their prekeys.
    pub(super) stored_prekeys: StoredPrekeys,
    /// How many bundles of a device were handed out, day by day.
    pub(super) claimed: BTreeMap<(Address, u64), u64>,
}

impl Server {
    pub(super) fn new(seed: u64, now: u64, malice: Malice) -> Self {
        Self {
            relay: Relay::new(),
            rng: SeededRng::new(seed ^ (1 << 62)),
            now,
            malice,
            mail: BTreeMap::new(),
            past: BTreeMap::new(),
            handed: BTreeMap::new(),
            failing: BTreeMap::new(),
            counts_nothing: BTreeSet::new(),
            unheard: BTreeMap::new(),
            stamps: Stamps::new(seed ^ (1 << 60)),
            stored_prekeys: StoredPrekeys::default(),
            claimed: BTreeMap::new(),
        }
    }

    /// From now on it does what a server should.
    pub(super) fn mend(&mut self) {
        self.malice = Malice::default();
        self.failing.clear();
        self.counts_nothing.clear();
    }

    /// What a new account uploads always arrives: there would be no account.
    pub(super) fn registers(&mut self, address: &Address, prekey_stores: &[PrekeyStore]) {
        self.relay.stock(address, prekey_stores.to_vec());
        self.stored_prekeys.registers(address);
    }

    /// The identity key that a device has now.
    pub(super) fn identity(&self, address: &Address) -> Option<PublicKey> {
        self.relay.identity(address)
    }

    /// Somebody fetches all one-time prekeys of a device.
    pub(super) fn sells_out(&mut self, address: &Address) {
        while self.relay.bundle(address).is_some_and(|bundle| !bundle.kem_is_last_resort) {}
    }

    /// Late news of an upload that has arrived.
    pub(super) fn late_news(&mut self, address: &Address) -> Option<PrekeyUploadId> {
        self.unheard.remove(address)
    }

    /// Takes an envelope, or not. `loss` and `doubt` are in a hundred.
    pub(super) fn post(&mut self, envelope: &Envelope, loss: usize, doubt: usize) -> Posted {
        if self.rng.happens(doubt) {
            return Posted::Refused;
        }
        if self.rng.happens(loss) {
            return Posted::Lost;
        }
        let envelope = &self.stamps.stamped(envelope, self.now);
        let letter = Letter { envelope: envelope.clone(), posted: self.now, overtaken: 0 };
        self.mail.entry(envelope.to.clone()).or_default().push(letter);
        let past = self.past.entry(envelope.to.clone()).or_default();
        if past.len() < PAST {
            past.push(envelope.clone());
        } else if let Some(one) = past.get_mut(self.rng.below(PAST)) {
            *one = envelope.clone();
        }
        if self.rng.happens(doubt) { Posted::Unheard } else { Posted::Taken }
    }

    /// Gives an envelope to a device, one of the first that wait; `twice` in a hundred stay and come again.
    pub(super) fn take(&mut self, address: &Address, twice: usize) -> Option<Envelope> {
        let queue = self.mail.get_mut(address).filter(|queue| !queue.is_empty())?;
        let late = queue.iter().position(|letter| letter.overtaken >= MAX_OVERTAKEN);
        let at = late.unwrap_or_else(|| self.rng.below(queue.len().min(MAX_OVERTAKEN + 1)));
        for letter in queue.iter_mut().take(at) {
            letter.overtaken += 1;
        }
        let letter = queue.remove(at);
        let envelope = letter.envelope.clone();
        if self.rng.happens(twice) {
            queue.push(Letter { overtaken: 0, ..letter });
        }
        Some(envelope)
    }

    /// Puts back what was not acknowledged: it comes again. `later`: behind all that waits.
    pub(super) fn put_back(&mut self, envelope: Envelope, later: bool) {
        let queue = self.mail.entry(envelope.to.clone()).or_default();
        let letter = Letter { envelope, posted: self.now, overtaken: if later { 0 } else { MAX_OVERTAKEN } };
        queue.insert(if later { queue.len() } else { 0 }, letter);
    }

    /// Drops what has waited for too long.
    pub(super) fn expire(&mut self) -> Vec<Envelope> {
        let now = self.now;
        let old = |letter: &mut Letter| now.saturating_sub(letter.posted) > KEPT_MS;
        self.mail.values_mut().flat_map(|queue| queue.extract_if(.., old)).map(|letter| letter.envelope).collect()
    }

    /// One of the envelopes that were once posted to a device.
    pub(super) fn remember(&mut self, address: &Address) -> Option<Envelope> {
        let past = self.past.get(address).filter(|past| !past.is_empty())?;
        past.get(self.rng.below(past.len())).cloned()
    }

    fn honest_bundle(&mut self, address: &Address) -> Option<UnverifiedBundle> {
        let bundle = self.relay.bundle(address)?;
        self.stored_prekeys.hands_out(&bundle, self.now);
        let handed = self.handed.entry(address.clone()).or_default();
        handed.push(bundle.clone());
        Some(bundle)
    }

    /// A bundle with a bit changed somewhere, if it is still one.
    fn garble(&mut self, bundle: UnverifiedBundle) -> UnverifiedBundle {
        let mut bytes = bundle.to_bytes();
        for _ in 0..8 {
            let (at, bit) = (self.rng.below(bytes.len()), self.rng.below(8));
            let Some(byte) = bytes.get_mut(at) else { continue };
            *byte ^= 1 << bit;
            if let Ok(garbled) = UnverifiedBundle::parse(&bytes) {
                return garbled;
            }
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        bundle
    }
}

impl Directory for Server {
    fn upload(&mut self, upload: PrekeyUpload) -> bool {
        let fails = self.failing.get(&upload.address).is_some_and(|until| self.now < *until);
        let is_told = !fails && !self.rng.happens(self.malice.uploads);
        self.stored_prekeys.offered(&upload, is_told);
        if !fails && (is_told || self.rng.happens(50)) {
            if !is_told {
                self.unheard.insert(upload.address.clone(), upload.id);
            }
            self.relay.upload(upload);
        }
        is_told
    }

    fn counts(&self, address: &Address) -> PrekeyCounts {
        if self.counts_nothing.contains(address) { PrekeyCounts::default() } else { self.relay.counts(address) }
    }

    fn bundle(&mut self, address: &Address) -> Option<UnverifiedBundle> {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        let given = self.any_bundle(address)?;
        // Also what it has given before: it was fetched.
        *self.claimed.entry((address.clone(), self.now / DAY_MS)).or_default() += 1;
        Some(given)
    }
}

impl Server {
    /// An honest bundle, or another, as the server is.
    fn any_bundle(&mut self, address: &Address) -> Option<UnverifiedBundle> {
        let Malice { twice, old, garbled, bare, .. } = self.malice;
        let handed = self.handed.get(address).map(Vec::as_slice).unwrap_or_default();
        if self.rng.happens(twice)
            && let Some(bundle) = handed.last()
        {
            return Some(bundle.clone());
        }
        if self.rng.happens(old)
            && let Some(bundle) = handed.get(self.rng.below(handed.len()))
        {
            return Some(bundle.clone());
        }
        let mut bundle = self.honest_bundle(address)?;
        if self.rng.happens(bare) {
            bundle.one_time_prekey = None;
        }
        Some(if self.rng.happens(garbled) { self.garble(bundle) } else { bundle })
    }
}
