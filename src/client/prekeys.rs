use alloc::vec::Vec;

use super::adopt::SEEN_SHARDS;
use super::inventory::{Expired, Prekeys, Set};
use super::workspace::{Stop, Workspace};
use super::{Client, Core, Operation, PrekeyCounts, PrekeyUpload, StoredError};
use crate::ident::PrekeyId;
use crate::persist::RecordKey;
use crate::prekey::rotation::{Due, Lot, Rotation, Stock};
use crate::prekey::{Device, IdsExhausted, KemPrekey, OneTimePrekey, PrekeyIds, SignedPrekey, UploadId};
use crate::suite::Suite;
use crate::wire::{RecordError, RecordKind, encode_row, record};

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
    /// that it has arrived, and nothing is made in the meantime but its dates, once a week: however long uploads fail, nothing
    /// is lost and nothing grows.
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
    /// for upload in uploads {
    ///     // The host brings `upload.to_bytes()` to the server, and when that has said that it has it:
    ///     alice.published(upload.id).stage(&db, now, &mut rng)?.commit(|batch, _| db.write(batch))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_prekeys(&self, server: PrekeyCounts) -> Operation<Vec<PrekeyUpload>, PublishError> {
        let core = self.core.clone();
        Operation::new(move |work| {
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
        Operation::new(move |work| {
            publish(&core, work, |suite, _| {
                server.iter().find(|(listed, _)| *listed == suite).map(|(_, counts)| *counts)
            })
        })
    }

    /// Says that an upload has arrived at the server: the one that [`Client::publish_prekeys`] has given under this
    /// [id](PrekeyUpload::id). Only then do the prekeys before it begin to age.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Client::publish_prekeys`].
    pub fn published(&self, upload: UploadId) -> Operation<Publication, StoredError> {
        let core = self.core.clone();
        Operation::new(move |work| {
            let mut prekeys = core.load_prekeys(work)?;
            let Some(set) = prekeys.sets.iter_mut().find(|set| set.pending == Some(upload)) else {
                return Ok(Publication::NotPending);
            };
            set.confirm();
            core.save_prekeys(work, &prekeys);
            Ok(Publication::Confirmed)
        })
    }
}

/// What became of the news that an upload has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Publication {
    /// It is confirmed: it does not come again.
    Confirmed,
    /// No upload of that id waits, and nothing has changed: it was confirmed before, or was given out under another id with
    /// other contents since. What waits now is to be uploaded still.
    NotPending,
}

fn publish(
    core: &Core,
    work: &mut Workspace<'_>,
    server: impl Fn(Suite, &Device) -> Option<PrekeyCounts>,
) -> Result<Vec<PrekeyUpload>, Halt> {
    work.announce([core.device_key(), core.prekeys_key(), core.clock_key()]);
    let device = core.load_device(work).map_err(from_stored)?.ok_or(PublishError::NoAccount)?;
    let mut prekeys = core.load_prekeys(work).map_err(from_stored)?;
    core.announce_uploads(work, &prekeys);
    core.delete_expired(work, &mut prekeys).map_err(from_stored)?;
    let went_back = prekeys.generation != core.generation;
    prekeys.generation = core.generation;
    let mut uploads = Vec::new();
    for suite in [Suite::V1, Suite::Signal].into_iter().filter(|suite| device.suites().contains(*suite)) {
        let mut set = prekeys.take(suite).unwrap_or_else(|| Set::new(suite, &mut work.rng));
        if went_back {
            set.begin_anew(&mut work.rng);
        }
        // Of a new account, or an older one than the server knows, it has nothing.
        let server = if set.replaces { Some(PrekeyCounts::default()) } else { server(suite, &device) };
        core.make_due(work, &device, &mut set, went_back, server)?;
        if let Some(id) = set.pending {
            uploads.push(core.upload(work, &device, &set, id).map_err(from_stored)?);
        }
        prekeys.sets.push(set);
    }
    core.save_prekeys(work, &prekeys);
    Ok(uploads)
}

/// Which lots' ids, of those that wait for a confirmation.
fn pending_ids(stock: &Stock) -> impl Iterator<Item = PrekeyId> + '_ {
    stock.pending().flat_map(Lot::ids)
}

fn newest_id(rotation: &Rotation) -> Option<PrekeyId> {
    rotation.newest().map(|newest| newest.id)
}

fn next_id(ids: &mut PrekeyIds) -> Result<PrekeyId, Halt> {
    Ok(ids.take().map_err(PublishError::from)?)
}

impl Core {
    pub(super) fn prekeys_key(&self) -> RecordKey {
        self.keys.record_key(RecordKind::Prekeys, &[])
    }

    pub(super) fn load_prekeys(&self, work: &mut Workspace<'_>) -> Result<Prekeys, Stop<StoredError>> {
        let prekeys = self.read(work, RecordKind::Prekeys, self.prekeys_key(), Prekeys::from_bytes)?;
        Ok(prekeys.unwrap_or(Prekeys { generation: self.generation, sets: Vec::new() }))
    }

    pub(super) fn save_prekeys(&self, work: &mut Workspace<'_>, prekeys: &Prekeys) {
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
        let newest = |set: &&mut Set| set.suite == suite && newest_id(&set.signed) == Some(signed);
        if let Some(set) = prekeys.sets.iter_mut().find(newest) {
            set.worn = true;
            self.save_prekeys(work, &prekeys);
        }
        Ok(())
    }

    /// Deletes what nobody can have got any more: does so once a day, by the time that the clock has settled on. Whether
    /// anything in the list has changed.
    pub(super) fn delete_expired(
        &self,
        work: &mut Workspace<'_>,
        prekeys: &mut Prekeys,
    ) -> Result<bool, Stop<StoredError>> {
        let round = self.turn_clock(work)?;
        let expired = prekeys.expire(round, work.now);
        let keys: Vec<_> = expired.iter().flat_map(|expired| self.rows_of(expired)).collect();
        self.delete_rows(work, keys)?;
        Ok(round.is_new || !expired.is_empty())
    }

    /// The rows of what has expired, of those that are used already as well.
    fn rows_of(&self, expired: &Expired) -> Vec<RecordKey> {
        let Expired { suite, signed, last_resort, one_time, one_time_kem } = expired;
        let key = |kind, id| self.prekey_key(kind, *suite, id);
        let mut keys = Vec::new();
        for id in signed {
            keys.push(key(RecordKind::SignedPrekey, *id));
            keys.extend((0..SEEN_SHARDS).map(|shard| self.seen_key(*suite, *id, shard)));
        }
        keys.extend(last_resort.iter().map(|id| key(RecordKind::KemPrekey, *id)));
        keys.extend(one_time.iter().flat_map(Lot::ids).map(|id| key(RecordKind::OneTimePrekey, id)));
        keys.extend(one_time_kem.iter().flat_map(Lot::ids).map(|id| key(RecordKind::KemPrekey, id)));
        keys
    }

    fn delete_rows(&self, work: &mut Workspace<'_>, keys: Vec<RecordKey>) -> Result<(), Stop<StoredError>> {
        work.announce(keys.iter().copied());
        for key in keys {
            if work.row::<StoredError>(key)?.is_some() {
                work.delete(key);
            }
        }
        Ok(())
    }

    /// The rows that an upload is read from, in one round.
    fn announce_uploads(&self, work: &mut Workspace<'_>, prekeys: &Prekeys) {
        for set in &prekeys.sets {
            let key = |kind, id| self.prekey_key(kind, set.suite, id);
            work.announce(newest_id(&set.signed).map(|id| key(RecordKind::SignedPrekey, id)));
            work.announce(newest_id(&set.last_resort).map(|id| key(RecordKind::KemPrekey, id)));
            work.announce(pending_ids(&set.one_time).map(|id| key(RecordKind::OneTimePrekey, id)));
            work.announce(pending_ids(&set.one_time_kem).map(|id| key(RecordKind::KemPrekey, id)));
        }
    }

    /// Makes what is due of one suite. What changes the upload gives it another id.
    fn make_due(
        &self,
        work: &mut Workspace<'_>,
        device: &Device,
        set: &mut Set,
        anew: bool,
        server: Option<PrekeyCounts>,
    ) -> Result<(), Halt> {
        // While an upload waits there are no others: its arrival may only be unknown.
        let waits = set.pending.is_some();
        let mut changed = self.turn_signed(work, device, set, anew)?;
        changed |= self.turn_last_resort(work, device, set, anew)?;
        if let Some(server) = server.filter(|_| !waits) {
            changed |= self.top_up(work, device, set, server)?;
        }
        if changed {
            set.pending = Some(UploadId::random(&mut work.rng));
        }
        Ok(())
    }

    /// Makes a signed prekey if one is due, or makes the newest fresh.
    fn turn_signed(&self, work: &mut Workspace<'_>, device: &Device, set: &mut Set, anew: bool) -> Result<bool, Halt> {
        let (suite, now) = (set.suite, work.now);
        let key = |id| self.prekey_key(RecordKind::SignedPrekey, suite, id);
        // One whose row is gone, since it was damaged, is made anew.
        let stored = match newest_id(&set.signed).filter(|_| !anew) {
            Some(id) => {
                self.read(work, RecordKind::SignedPrekey, key(id), SignedPrekey::from_bytes).map_err(from_stored)?
            }
            None => None,
        };
        match (stored, set.signed.due(now, set.worn)) {
            (Some(_), Due::Nothing) => return Ok(false),
            (Some(prekey), Due::Refresh) => {
                let prekey = prekey.refreshed(device, now, &mut work.rng);
                work.put(&self.keys, key(prekey.id()), prekey.to_bytes());
                set.signed.refresh(now);
            }
            _ => {
                let prekey = SignedPrekey::generate(device, suite, next_id(&mut set.ids)?, now, &mut work.rng);
                work.put_new(&self.keys, key(prekey.id()), prekey.to_bytes());
                let gone = set.signed.make(prekey.id(), now);
                self.delete_rows(work, gone.map(key).into_iter().collect()).map_err(from_stored)?;
                set.worn = false;
            }
        }
        Ok(true)
    }

    /// The same for the last-resort KEM prekey.
    fn turn_last_resort(
        &self,
        work: &mut Workspace<'_>,
        device: &Device,
        set: &mut Set,
        anew: bool,
    ) -> Result<bool, Halt> {
        let (suite, now) = (set.suite, work.now);
        let key = |id| self.prekey_key(RecordKind::KemPrekey, suite, id);
        let stored = match newest_id(&set.last_resort).filter(|_| !anew) {
            Some(id) => self.read(work, RecordKind::KemPrekey, key(id), KemPrekey::from_bytes).map_err(from_stored)?,
            None => None,
        };
        match (stored, set.last_resort.due(now, false)) {
            (Some(_), Due::Nothing) => return Ok(false),
            (Some(prekey), Due::Refresh) => {
                let prekey = prekey.refreshed(device, now, &mut work.rng);
                work.put(&self.keys, key(prekey.id()), prekey.to_bytes());
                set.last_resort.refresh(now);
            }
            _ => {
                let prekey = KemPrekey::last_resort(device, suite, next_id(&mut set.ids)?, now, &mut work.rng);
                work.put_new(&self.keys, key(prekey.id()), prekey.to_bytes());
                let gone = set.last_resort.make(prekey.id(), now);
                self.delete_rows(work, gone.map(key).into_iter().collect()).map_err(from_stored)?;
            }
        }
        Ok(true)
    }

    /// Makes the one-time prekeys that the server lacks.
    fn top_up(
        &self,
        work: &mut Workspace<'_>,
        device: &Device,
        set: &mut Set,
        server: PrekeyCounts,
    ) -> Result<bool, Halt> {
        let (suite, now) = (set.suite, work.now);
        let (count, kem_count) = set.wanted(server, now);
        let (first, end) = set.take_ids(count).map_err(PublishError::from)?;
        for id in (first..end).map(PrekeyId::new) {
            let prekey = OneTimePrekey::generate(suite, id, &mut work.rng);
            work.put_new(&self.keys, self.prekey_key(RecordKind::OneTimePrekey, suite, id), prekey.to_bytes());
        }
        set.one_time.add(first, end, now);
        let (first, end) = set.take_ids(kem_count).map_err(PublishError::from)?;
        for id in (first..end).map(PrekeyId::new) {
            let prekey = KemPrekey::one_time(device, suite, id, now, &mut work.rng);
            work.put_new(&self.keys, self.prekey_key(RecordKind::KemPrekey, suite, id), prekey.to_bytes());
        }
        set.one_time_kem.add(first, end, now);
        Ok(count > 0 || kem_count > 0)
    }

    /// The public halves: read back, so that what is uploaded is what is stored. One-time prekeys that were used since, by
    /// whoever got them from a copy that has arrived, are left out.
    fn upload(
        &self,
        work: &mut Workspace<'_>,
        device: &Device,
        set: &Set,
        id: UploadId,
    ) -> Result<PrekeyUpload, Stop<StoredError>> {
        let missing = |kind| Stop::Fail(StoredError { kind, error: RecordError::Corrupt });
        let key = |kind, id| self.prekey_key(kind, set.suite, id);
        let signed = match newest_id(&set.signed).map(|id| key(RecordKind::SignedPrekey, id)) {
            Some(key) => self.read(work, RecordKind::SignedPrekey, key, SignedPrekey::from_bytes)?,
            None => None,
        };
        let last_resort = match newest_id(&set.last_resort).map(|id| key(RecordKind::KemPrekey, id)) {
            Some(key) => self.read(work, RecordKind::KemPrekey, key, KemPrekey::from_bytes)?,
            None => None,
        };
        let signed = signed.ok_or_else(|| missing(RecordKind::SignedPrekey))?;
        let last_resort = last_resort.ok_or_else(|| missing(RecordKind::KemPrekey))?;
        let mut upload = device.upload(id, &signed, &last_resort);
        upload.replaces_one_time = set.replaces;
        for key in pending_ids(&set.one_time).map(|id| key(RecordKind::OneTimePrekey, id)) {
            let prekey = self.read(work, RecordKind::OneTimePrekey, key, OneTimePrekey::from_bytes)?;
            upload.one_time.extend(prekey.map(|prekey| (prekey.id(), *prekey.public_key())));
        }
        for key in pending_ids(&set.one_time_kem).map(|id| key(RecordKind::KemPrekey, id)) {
            let prekey = self.read(work, RecordKind::KemPrekey, key, KemPrekey::from_bytes)?;
            upload.one_time_kem.extend(prekey.map(|prekey| prekey.published()));
        }
        Ok(upload)
    }
}
