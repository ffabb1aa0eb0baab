//! The rows of prekeys: which there are, each of them, and what was seen of first messages under it.

use alloc::vec::Vec;

use super::inventory::{Expired, Prekeys, Set};
use crate::ident::PrekeyId;
use crate::persist::RecordKey;
use crate::prekey::rotation::Lot;
use crate::rows::Core;
use crate::staging::{Stop, StoredError, Workspace};
use crate::suite::Suite;
use crate::wire::{RecordKind, encode_row, record};

/// Records that the memory of one signed prekey is spread over, so that accepting a first message costs the same however
/// many were accepted.
pub(crate) const SEEN_SHARDS: u8 = 64;

impl Core {
    pub(crate) fn prekey_key(&self, kind: RecordKind, suite: Suite, id: PrekeyId) -> RecordKey {
        self.keys.record_key(kind, &[&suite.number().to_be_bytes(), &id.get().to_be_bytes()])
    }

    pub(crate) fn seen_key(&self, suite: Suite, signed: PrekeyId, shard: u8) -> RecordKey {
        let (suite, signed) = (suite.number().to_be_bytes(), signed.get().to_be_bytes());
        self.keys.record_key(RecordKind::SeenBaseKeys, &[&suite, &signed, &[shard]])
    }

    pub(crate) fn prekeys_key(&self) -> RecordKey {
        self.keys.record_key(RecordKind::Prekeys, &[])
    }

    pub(crate) fn load_prekeys(&self, work: &mut Workspace<'_>) -> Result<Prekeys, Stop<StoredError>> {
        let prekeys = self.read(work, RecordKind::Prekeys, self.prekeys_key(), Prekeys::from_bytes)?;
        Ok(prekeys.unwrap_or(Prekeys { generation: self.generation, sets: Vec::new() }))
    }

    pub(crate) fn save_prekeys(&self, work: &mut Workspace<'_>, prekeys: &Prekeys) {
        let stored = record::Prekeys {
            generation: prekeys.generation,
            sets: prekeys.sets.iter().map(Set::to_record).collect(),
            count: u32::try_from(prekeys.sets.len()).unwrap_or(u32::MAX),
        };
        work.put(&self.keys, self.prekeys_key(), encode_row(RecordKind::Prekeys, &stored));
    }

    /// A signed prekey has accepted so many first messages that it must go.
    pub(crate) fn mark_worn(
        &self,
        work: &mut Workspace<'_>,
        suite: Suite,
        signed: PrekeyId,
    ) -> Result<(), Stop<StoredError>> {
        let mut prekeys = self.load_prekeys(work)?;
        let newest =
            |set: &&mut Set| set.suite == suite && set.signed.newest().is_some_and(|newest| newest.id == signed);
        if let Some(set) = prekeys.sets.iter_mut().find(newest) {
            set.worn = true;
            self.save_prekeys(work, &prekeys);
        }
        Ok(())
    }

    /// Deletes what nobody can have got any more: does so once a day, by the time that the clock has settled on. Whether
    /// anything in the list has changed.
    pub(crate) fn delete_expired(
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

    pub(crate) fn delete_rows(&self, work: &mut Workspace<'_>, keys: Vec<RecordKey>) -> Result<(), Stop<StoredError>> {
        work.announce(keys.iter().copied());
        for key in keys {
            if work.row::<StoredError>(key)?.is_some() {
                work.delete(key);
            }
        }
        Ok(())
    }
}
