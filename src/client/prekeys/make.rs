//! Prekeys of one suite as they are made and as they are uploaded: what is due, row by row.

use alloc::vec::Vec;

use super::publish::{Halt, PublishError, from_stored};
use crate::ident::PrekeyId;
use crate::prekey::rotation::{Due, Lot, Rotation, Stock};
use crate::prekey::{Device, KemPrekey, OneTimePrekey, PrekeyUploadId, SignedPrekey};
use crate::prekey::{PrekeyCounts, PrekeyUpload};
use crate::rows::{Core, Plan, Set};
use crate::staging::{Stop, StoredError, Workspace};
use crate::wire::{RecordError, RecordKind};

fn newest_id(rotation: &Rotation) -> Option<PrekeyId> {
    rotation.newest().map(|newest| newest.id)
}

/// The ids of the lots that wait for a confirmation.
fn pending_ids(stock: &Stock) -> impl Iterator<Item = PrekeyId> + '_ {
    stock.pending().flat_map(Lot::ids)
}

impl Core {
    /// Makes what is due of one suite. What changes the upload gives it another id.
    pub(in crate::client) fn make_due(
        &self,
        work: &mut Workspace<'_>,
        device: &Device,
        set: &mut Set,
        went_back: bool,
        server: Option<PrekeyCounts>,
    ) -> Result<(), Halt> {
        if went_back {
            set.begin_anew(&mut work.rng);
        }
        let mut plan = set.plan(server, went_back, work.now);
        if !self.fits(work, set, &plan).map_err(from_stored)? {
            set.begin_anew(&mut work.rng);
            plan = set.plan(None, true, work.now);
        }
        if plan.is_empty() {
            return Ok(());
        }
        self.turn_signed(work, device, set, plan.signed)?;
        self.turn_last_resort(work, device, set, plan.last_resort)?;
        self.add_one_time(work, set, plan.one_time)?;
        self.add_one_time_kem(work, device, set, plan.one_time_kem)?;
        set.pending = Some(PrekeyUploadId::random(&mut work.public));
        Ok(())
    }

    /// Whether the list of prekeys and their rows belong together: those that it names as the newest are there, and none is
    /// where others are to be made. If not, a row was deleted for its damage, or the list's is an older one.
    fn fits(&self, work: &mut Workspace<'_>, set: &Set, plan: &Plan) -> Result<bool, Stop<StoredError>> {
        let key = |kind, id| self.prekey_key(kind, set.suite, id);
        let signed = newest_id(&set.signed).map(|id| key(RecordKind::SignedPrekey, id));
        let last_resort = newest_id(&set.last_resort).map(|id| key(RecordKind::KemPrekey, id));
        let there: Vec<_> = signed.into_iter().chain(last_resort).filter(|_| !plan.is_anew).collect();
        // The next id stands for nothing of another kind either.
        let next = set.ids.next_id();
        let any =
            [RecordKind::SignedPrekey, RecordKind::OneTimePrekey, RecordKind::KemPrekey].map(|kind| key(kind, next));
        let free: Vec<_> = plan.ids(next).map(|(kind, id)| key(kind, id)).chain(any).collect();
        work.announce(there.iter().chain(&free).copied());
        // What an upload is read from comes in the same round.
        work.announce(pending_ids(&set.one_time).map(|id| key(RecordKind::OneTimePrekey, id)));
        work.announce(pending_ids(&set.one_time_kem).map(|id| key(RecordKind::KemPrekey, id)));
        let mut fits = true;
        for key in there {
            fits &= work.row::<StoredError>(key)?.is_some();
        }
        for key in free {
            fits &= work.row::<StoredError>(key)?.is_none();
        }
        Ok(fits)
    }

    /// Makes a signed prekey, or makes the newest fresh.
    fn turn_signed(&self, work: &mut Workspace<'_>, device: &Device, set: &mut Set, due: Due) -> Result<(), Halt> {
        let (suite, now, kind) = (set.suite, work.now, RecordKind::SignedPrekey);
        let key = |id| self.prekey_key(kind, suite, id);
        match (due, newest_id(&set.signed)) {
            (Due::Make, _) => {
                let prekey = SignedPrekey::generate(
                    device,
                    suite,
                    set.take_id().map_err(PublishError::from)?,
                    now,
                    &mut work.rng,
                );
                work.put_new(&self.keys, key(prekey.id()), prekey.to_bytes());
                let gone = set.signed.make(prekey.id(), now);
                set.worn = false;
                self.delete_rows(work, gone.map(key).into_iter().collect()).map_err(from_stored)
            }
            (Due::Refresh, Some(id)) => {
                let prekey = self.read(work, kind, key(id), SignedPrekey::from_bytes).map_err(from_stored)?;
                if let Some(prekey) = prekey {
                    let fresh = prekey.refreshed(device, now, &mut work.rng);
                    work.put(&self.keys, key(id), fresh.to_bytes());
                }
                set.signed.refresh(now);
                Ok(())
            }
            (Due::Refresh | Due::Nothing, _) => Ok(()),
        }
    }

    /// The same for the last-resort KEM prekey.
    fn turn_last_resort(&self, work: &mut Workspace<'_>, device: &Device, set: &mut Set, due: Due) -> Result<(), Halt> {
        let (suite, now, kind) = (set.suite, work.now, RecordKind::KemPrekey);
        let key = |id| self.prekey_key(kind, suite, id);
        match (due, newest_id(&set.last_resort)) {
            (Due::Make, _) => {
                let prekey = KemPrekey::last_resort(
                    device,
                    suite,
                    set.take_id().map_err(PublishError::from)?,
                    now,
                    &mut work.rng,
                );
                work.put_new(&self.keys, key(prekey.id()), prekey.to_bytes());
                let gone = set.last_resort.make(prekey.id(), now);
                self.delete_rows(work, gone.map(key).into_iter().collect()).map_err(from_stored)
            }
            (Due::Refresh, Some(id)) => {
                let prekey = self.read(work, kind, key(id), KemPrekey::from_bytes).map_err(from_stored)?;
                if let Some(prekey) = prekey {
                    let fresh = prekey.refreshed(device, now, &mut work.rng);
                    work.put(&self.keys, key(id), fresh.to_bytes());
                }
                set.last_resort.refresh(now);
                Ok(())
            }
            (Due::Refresh | Due::Nothing, _) => Ok(()),
        }
    }

    fn add_one_time(&self, work: &mut Workspace<'_>, set: &mut Set, count: u32) -> Result<(), Halt> {
        let (first, end) = set.take_ids(count).map_err(PublishError::from)?;
        for id in (first..end).map(PrekeyId::new) {
            let prekey = OneTimePrekey::generate(set.suite, id, &mut work.rng);
            work.put_new(&self.keys, self.prekey_key(RecordKind::OneTimePrekey, set.suite, id), prekey.to_bytes());
        }
        set.one_time.add(first, end, work.now);
        Ok(())
    }

    fn add_one_time_kem(
        &self,
        work: &mut Workspace<'_>,
        device: &Device,
        set: &mut Set,
        count: u32,
    ) -> Result<(), Halt> {
        let (first, end) = set.take_ids(count).map_err(PublishError::from)?;
        for id in (first..end).map(PrekeyId::new) {
            let prekey = KemPrekey::one_time(device, set.suite, id, work.now, &mut work.rng);
            work.put_new(&self.keys, self.prekey_key(RecordKind::KemPrekey, set.suite, id), prekey.to_bytes());
        }
        set.one_time_kem.add(first, end, work.now);
        Ok(())
    }

    /// The public halves: read back, so that what is uploaded is what is stored. One-time prekeys that were used since, by
    /// whoever got them from a copy that has arrived, are left out.
    pub(in crate::client) fn upload(
        &self,
        work: &mut Workspace<'_>,
        device: &Device,
        set: &Set,
        id: PrekeyUploadId,
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
