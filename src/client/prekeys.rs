use alloc::vec::Vec;

use super::adopt::SEEN_SHARDS;
use super::inventory::{Lot, MAX_LOTS, Prekeys, Set};
use super::workspace::{Stop, Workspace};
use super::{Client, Core, Operation, StoredError};
use crate::crypto::{KemPublicKey, PublicKey};
use crate::ident::{Address, PrekeyId, RegistrationId};
use crate::persist::RecordKey;
use crate::prekey::rotation::{self, Rotation};
use crate::prekey::{
    Device, IdsExhausted, KemPrekey, OneTimePrekey, PrekeyIds, PublishedPrekey, SignedPrekey, UnverifiedBundle,
};
use crate::suite::Suite;
use crate::wire::{RecordError, RecordKind, encode_row, record};

/// One-time prekeys that the server still has, as it counts them, of one suite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrekeyCounts {
    /// One-time X25519 prekeys.
    pub one_time: u32,
    /// One-time KEM prekeys.
    pub one_time_kem: u32,
}

impl PrekeyCounts {
    /// As many as there should be: nothing is to be topped up.
    pub const FULL: Self = Self { one_time: rotation::FULL, one_time_kem: rotation::FULL };
}

/// What the host uploads to its server: the public halves. It replaces what the server has of signed and last-resort
/// prekeys, and adds to the one-time ones. It remembers which one-time ids it has had, and passes over those that come again:
/// an upload whose arrival is unknown is repeated, and some of its keys may have been handed out meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrekeyUpload {
    /// The suite that these are for; the server keeps them apart.
    pub suite: Suite,
    /// Whose.
    pub address: Address,
    /// The device's registration id.
    pub registration_id: RegistrationId,
    /// The device's identity key.
    pub identity_key: PublicKey,
    /// The newest signed prekey.
    pub signed: PublishedPrekey<PublicKey>,
    /// The newest last-resort KEM prekey: for when the one-time ones have run out.
    pub last_resort: PublishedPrekey<KemPublicKey>,
    /// Whether the server deletes the one-time prekeys that it has: after a rollback nobody knows their private halves.
    pub replaces_one_time: bool,
    /// New one-time X25519 prekeys: each is handed out once.
    pub one_time: Vec<(PrekeyId, PublicKey)>,
    /// New one-time KEM prekeys: each is handed out once.
    pub one_time_kem: Vec<PublishedPrekey<KemPublicKey>>,
}

impl PrekeyUpload {
    /// The bundle that the server hands out for one new session: with one-time prekeys, if there are any.
    #[must_use]
    pub fn bundle(
        &self,
        one_time: Option<&(PrekeyId, PublicKey)>,
        one_time_kem: Option<&PublishedPrekey<KemPublicKey>>,
    ) -> UnverifiedBundle {
        UnverifiedBundle {
            suite: self.suite,
            address: self.address.clone(),
            registration_id: self.registration_id,
            identity_key: self.identity_key,
            signed_prekey: self.signed.clone(),
            kem_prekey: one_time_kem.unwrap_or(&self.last_resort).clone(),
            kem_is_last_resort: one_time_kem.is_none(),
            one_time_prekey: one_time.copied(),
        }
    }
}

/// Why no prekeys were made. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The account was wiped.
    #[error("there is no account")]
    NoAccount,
    /// All ids are used: two thousand million. Make a new account.
    #[error(transparent)]
    IdsExhausted(#[from] IdsExhausted),
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

type Halt = Stop<PublishError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(PublishError::from)
}

impl Client {
    /// Makes the prekeys that are due, and gives what is to be uploaded, one upload for each suite: when the account is
    /// new, when [`Client::maintain`] or [`Client::wants`] says so, or when the server reports that one-time prekeys run
    /// low.
    ///
    /// `server` is what the server still has of suite V1, or of `Signal` if the device speaks nothing else; a host that
    /// speaks both tells the rest with [`Client::publish_prekeys_of`]. The same upload comes again until [`Client::published`] says
    /// that it has arrived.
    ///
    /// # Errors
    ///
    /// [`PublishError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (alice, db) = account("alice");
    /// # let (now, mut rng) = (NOW, rng());
    /// let uploads = alice
    ///     .publish_prekeys(PrekeyCounts::default())
    ///     .stage(&db, now, &mut rng)?
    ///     .commit(|batch, _| db.write(batch))?;
    /// assert_eq!(uploads[0].one_time.len(), 100);
    /// // The host uploads them, and then:
    /// alice.published().stage(&db, now, &mut rng)?.commit(|batch, ()| db.write(batch))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_prekeys(&self, server: PrekeyCounts) -> Operation<Vec<PrekeyUpload>, PublishError> {
        let core = self.core.clone();
        Operation::new("publish_prekeys", move |work| {
            publish(&core, work, |suite, device| {
                let first = if device.suites().contains(Suite::V1) { Suite::V1 } else { Suite::Signal };
                (suite == first).then_some(server)
            })
        })
    }

    /// The same for a device that speaks both suites: what the server still has of each. Of a suite that is not listed
    /// no one-time prekeys are topped up.
    ///
    /// # Errors
    ///
    /// [`PublishError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (alice, db) = account("alice");
    /// # let (now, mut rng) = (NOW, rng());
    /// # use subrosa::suite::Suite;
    /// let server = [(Suite::V1, PrekeyCounts { one_time: 90, one_time_kem: 12 }), (Suite::Signal, PrekeyCounts::FULL)];
    /// let uploads = alice.publish_prekeys_of(&server).stage(&db, now, &mut rng)?.commit(|batch, _| db.write(batch))?;
    /// # assert_eq!(uploads.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_prekeys_of(&self, server: &[(Suite, PrekeyCounts)]) -> Operation<Vec<PrekeyUpload>, PublishError> {
        let (core, server) = (self.core.clone(), server.to_vec());
        Operation::new("publish_prekeys_of", move |work| {
            publish(&core, work, |suite, _| {
                server.iter().find(|(listed, _)| *listed == suite).map(|(_, counts)| *counts)
            })
        })
    }

    /// Says that the last [`PrekeyUpload`]s have arrived at the server.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Client::publish_prekeys`].
    pub fn published(&self) -> Operation<(), StoredError> {
        let core = self.core.clone();
        Operation::new("published", move |work| {
            let mut prekeys = core.load_prekeys(work)?;
            for set in &mut prekeys.sets {
                (set.pending, set.replaces, set.pending_lots) = (false, false, false);
            }
            core.save_prekeys(work, &prekeys);
            Ok(())
        })
    }
}

fn publish(
    core: &Core,
    work: &mut Workspace<'_>,
    server: impl Fn(Suite, &Device) -> Option<PrekeyCounts>,
) -> Result<Vec<PrekeyUpload>, Halt> {
    work.announce([core.device_key(), core.prekeys_key()]);
    let device = core.load_device(work).map_err(from_stored)?.ok_or(PublishError::NoAccount)?;
    let mut prekeys = core.load_prekeys(work).map_err(from_stored)?;
    let went_back = prekeys.generation != core.generation;
    prekeys.generation = core.generation;
    let mut uploads = Vec::new();
    for suite in [Suite::V1, Suite::Signal].into_iter().filter(|suite| device.suites().contains(*suite)) {
        let at = prekeys.sets.iter().position(|set| set.suite == suite);
        let mut set = match at {
            Some(at) => prekeys.sets.swap_remove(at),
            None => Set::new(suite, &mut work.public),
        };
        if went_back {
            // Which ids were given out since is not known; nor does the server hold what this store knows.
            set.ids = PrekeyIds::random(&mut work.public);
            set.worn = true;
            set.replaces = true;
        }
        let anew = went_back || set.signed.is_empty();
        let counts = if anew { Some(PrekeyCounts::default()) } else { server(suite, &device) };
        let plan = set.plan(counts, work.now);
        if let Some(upload) = core.publish_set(work, &device, &mut set, &plan, went_back)? {
            uploads.push(upload);
        }
        prekeys.sets.push(set);
    }
    core.save_prekeys(work, &prekeys);
    Ok(uploads)
}

impl Core {
    pub(super) fn prekeys_key(&self) -> RecordKey {
        self.keys.record_key(RecordKind::Prekeys, &[])
    }

    pub(super) fn load_prekeys(&self, work: &mut Workspace<'_>) -> Result<Prekeys, Stop<StoredError>> {
        let prekeys = self.read(work, RecordKind::Prekeys, self.prekeys_key(), Prekeys::from_bytes)?;
        Ok(prekeys.unwrap_or(Prekeys { generation: self.generation, sets: Vec::new() }))
    }

    fn save_prekeys(&self, work: &mut Workspace<'_>, prekeys: &Prekeys) {
        let stored = record::Prekeys {
            generation: prekeys.generation,
            sets: prekeys.sets.iter().map(Set::to_record).collect(),
            count: u32::try_from(prekeys.sets.len()).unwrap_or(u32::MAX),
        };
        work.put(&self.keys, self.prekeys_key(), encode_row(RecordKind::Prekeys, &stored));
    }

    /// A signed prekey has accepted so many first messages that it must go.
    pub(super) fn mark_worn(
        &self,
        work: &mut Workspace<'_>,
        suite: Suite,
        signed: PrekeyId,
    ) -> Result<(), Stop<StoredError>> {
        let mut prekeys = self.load_prekeys(work)?;
        let newest = |set: &&mut Set| set.suite == suite && set.signed.last().is_some_and(|(id, _)| *id == signed);
        if let Some(set) = prekeys.sets.iter_mut().find(newest) {
            set.worn = true;
            self.save_prekeys(work, &prekeys);
        }
        Ok(())
    }

    /// Makes what is due of one suite, deletes what is old, and gives what is to be uploaded, if anything is.
    fn publish_set(
        &self,
        work: &mut Workspace<'_>,
        device: &Device,
        set: &mut Set,
        plan: &Rotation,
        went_back: bool,
    ) -> Result<Option<PrekeyUpload>, Halt> {
        let (suite, now) = (set.suite, work.now);
        // While the last ones are not known to have arrived no others are made.
        let making = went_back || !set.pending;
        self.delete_old(work, set, plan).map_err(from_stored)?;
        if plan.new_signed || went_back {
            let prekey =
                SignedPrekey::generate(device, suite, set.ids.take().map_err(PublishError::from)?, now, &mut work.rng);
            work.put_new(&self.keys, self.prekey_key(RecordKind::SignedPrekey, suite, prekey.id()), prekey.to_bytes());
            set.signed.push((prekey.id(), now));
            (set.worn, set.pending) = (false, true);
        }
        if plan.new_last_resort || went_back {
            let prekey =
                KemPrekey::last_resort(device, suite, set.ids.take().map_err(PublishError::from)?, now, &mut work.rng);
            work.put_new(&self.keys, self.prekey_key(RecordKind::KemPrekey, suite, prekey.id()), prekey.to_bytes());
            set.last_resort.push((prekey.id(), now));
            set.pending = true;
        }
        if making && (plan.new_one_time > 0 || plan.new_one_time_kem > 0) {
            let lot = set.take_lot(plan.new_one_time).map_err(PublishError::from)?;
            for id in (lot.0..lot.1).map(PrekeyId::new) {
                let prekey = OneTimePrekey::generate(suite, id, &mut work.rng);
                work.put_new(&self.keys, self.prekey_key(RecordKind::OneTimePrekey, suite, id), prekey.to_bytes());
            }
            let kem_lot = set.take_lot(plan.new_one_time_kem).map_err(PublishError::from)?;
            for id in (kem_lot.0..kem_lot.1).map(PrekeyId::new) {
                let prekey = KemPrekey::one_time(device, suite, id, now, &mut work.rng);
                work.put_new(&self.keys, self.prekey_key(RecordKind::KemPrekey, suite, id), prekey.to_bytes());
            }
            self.keep_lot(work, set, lot, kem_lot).map_err(from_stored)?;
            set.pending_lots = true;
            set.pending = true;
        }
        if !set.pending {
            return Ok(None);
        }
        self.upload(work, device, set).map(Some).map_err(from_stored)
    }

    /// Deletes what nobody can have got any more.
    fn delete_old(&self, work: &mut Workspace<'_>, set: &mut Set, plan: &Rotation) -> Result<(), Stop<StoredError>> {
        let suite = set.suite;
        let mut keys = Vec::new();
        for id in &plan.delete_signed {
            keys.push(self.prekey_key(RecordKind::SignedPrekey, suite, *id));
            keys.extend((0..SEEN_SHARDS).map(|shard| self.seen_key(suite, *id, shard)));
        }
        keys.extend(plan.delete_last_resort.iter().map(|id| self.prekey_key(RecordKind::KemPrekey, suite, *id)));
        work.announce(keys.iter().copied());
        for key in keys {
            if work.row::<StoredError>(key)?.is_some() {
                work.delete(key);
            }
        }
        set.signed.retain(|(id, _)| !plan.delete_signed.contains(id));
        set.last_resort.retain(|(id, _)| !plan.delete_last_resort.contains(id));
        Ok(())
    }

    /// Notes two lots, and deletes the oldest ones if there are too many: those that the server lost.
    fn keep_lot(
        &self,
        work: &mut Workspace<'_>,
        set: &mut Set,
        lot: Lot,
        kem_lot: Lot,
    ) -> Result<(), Stop<StoredError>> {
        let (suite, mut keys) = (set.suite, Vec::new());
        for (lots, lot, kind) in [
            (&mut set.one_time, lot, RecordKind::OneTimePrekey),
            (&mut set.one_time_kem, kem_lot, RecordKind::KemPrekey),
        ] {
            lots.push(lot);
            if lots.len() > MAX_LOTS {
                let (first, end) = lots.remove(0);
                keys.extend((first..end).map(|id| self.prekey_key(kind, suite, PrekeyId::new(id))));
            }
        }
        work.announce(keys.iter().copied());
        for key in keys {
            if work.row::<StoredError>(key)?.is_some() {
                work.delete(key);
            }
        }
        Ok(())
    }

    /// The public halves of the newest: read back, so that what is uploaded is what is stored.
    fn upload(&self, work: &mut Workspace<'_>, device: &Device, set: &Set) -> Result<PrekeyUpload, Stop<StoredError>> {
        let suite = set.suite;
        let missing = |kind| Stop::Fail(StoredError { kind, error: RecordError::Corrupt });
        // What has arrived before was handed out since: uploaded again it would be handed out twice.
        let newest = |lots: &[Lot]| lots.last().copied().filter(|_| set.pending_lots).unwrap_or_default();
        let ids = |lots: &[Lot]| (newest(lots).0..newest(lots).1).map(PrekeyId::new);
        let signed_id = set.signed.last().ok_or_else(|| missing(RecordKind::SignedPrekey))?.0;
        let last_resort_id = set.last_resort.last().ok_or_else(|| missing(RecordKind::KemPrekey))?.0;
        let one_time_keys =
            ids(&set.one_time).map(|id| self.prekey_key(RecordKind::OneTimePrekey, suite, id)).collect::<Vec<_>>();
        let kem_keys =
            ids(&set.one_time_kem).map(|id| self.prekey_key(RecordKind::KemPrekey, suite, id)).collect::<Vec<_>>();
        let signed_key = self.prekey_key(RecordKind::SignedPrekey, suite, signed_id);
        let last_resort_key = self.prekey_key(RecordKind::KemPrekey, suite, last_resort_id);
        work.announce([signed_key, last_resort_key]);
        work.announce(one_time_keys.iter().chain(&kem_keys).copied());
        let signed = self.read(work, RecordKind::SignedPrekey, signed_key, SignedPrekey::from_bytes)?;
        let signed = signed.ok_or_else(|| missing(RecordKind::SignedPrekey))?;
        let last_resort = self.read(work, RecordKind::KemPrekey, last_resort_key, KemPrekey::from_bytes)?;
        let last_resort = last_resort.ok_or_else(|| missing(RecordKind::KemPrekey))?;
        let (mut one_time, mut one_time_kem) = (Vec::new(), Vec::new());
        for key in one_time_keys {
            let prekey = self.read(work, RecordKind::OneTimePrekey, key, OneTimePrekey::from_bytes)?;
            one_time.extend(prekey.map(|prekey| (prekey.id(), *prekey.public_key())));
        }
        for key in kem_keys {
            let prekey = self.read(work, RecordKind::KemPrekey, key, KemPrekey::from_bytes)?;
            one_time_kem.extend(prekey.map(|prekey| prekey.published()));
        }
        Ok(PrekeyUpload {
            suite,
            address: device.address().clone(),
            registration_id: device.registration_id(),
            identity_key: *device.identity_key(),
            signed: signed.published(),
            last_resort: last_resort.published(),
            replaces_one_time: set.replaces,
            one_time,
            one_time_kem,
        })
    }
}
