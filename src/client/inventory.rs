//! Which prekeys there are, by suite: ids and dates, never keys.

use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::{Core, PrekeyCounts};
use crate::ident::{PrekeyId, Timestamp};
use crate::prekey::rotation::{self, Inventory, Rotation};
use crate::prekey::{IdsExhausted, PrekeyIds};
use crate::suite::Suite;
use crate::wire::{RecordError, RecordKind, decode_record, record};

/// Most lots of one-time prekeys that are kept; the oldest are deleted, used or not.
pub(super) const MAX_LOTS: usize = 32;

/// Ids from the first, and before the last.
pub(super) type Lot = (u32, u32);

/// Which prekeys of one suite there are.
pub(super) struct Set {
    pub(super) suite: Suite,
    pub(super) signed: Vec<(PrekeyId, Timestamp)>,
    pub(super) last_resort: Vec<(PrekeyId, Timestamp)>,
    pub(super) one_time: Vec<Lot>,
    pub(super) one_time_kem: Vec<Lot>,
    /// Whether the newest lots, signed and last-resort prekey are not known to have arrived.
    pub(super) pending: bool,
    pub(super) worn: bool,
    /// Whether the pending upload replaces the server's one-time prekeys.
    pub(super) replaces: bool,
    /// Whether the newest lots are of the pending upload. Uploaded once more later, they would be handed out twice.
    pub(super) pending_lots: bool,
    pub(super) ids: PrekeyIds,
}

/// Which prekeys there are.
pub(super) struct Prekeys {
    pub(super) generation: u64,
    pub(super) sets: Vec<Set>,
}

impl Prekeys {
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let stored: record::Prekeys = decode_record(RecordKind::Prekeys, bytes)?;
        let sets: Vec<_> =
            stored.sets.iter().map(Set::from_record).collect::<Option<_>>().ok_or(RecordError::Corrupt)?;
        let whole = u32::try_from(sets.len()) == Ok(stored.count) && sets.len() <= 2;
        if whole { Ok(Self { generation: stored.generation, sets }) } else { Err(RecordError::Corrupt) }
    }

    /// Whether something has to be uploaded, or to be made and uploaded.
    pub(super) fn is_pending(&self, core: &Core, now: Timestamp) -> bool {
        self.sets.is_empty()
            || self.generation != core.generation
            || self.sets.iter().any(|set| set.pending || set.is_due(now))
    }

    /// When a prekey has to be replaced, at the latest.
    pub(super) fn next_due(&self, now: Timestamp) -> Timestamp {
        let due = self.sets.iter().map(|set| set.plan(None, now).next_due);
        due.min().unwrap_or(Timestamp::new(u64::MAX))
    }
}

impl Set {
    pub(super) fn new(suite: Suite, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self {
            suite,
            signed: Vec::new(),
            last_resort: Vec::new(),
            one_time: Vec::new(),
            one_time_kem: Vec::new(),
            pending: false,
            worn: false,
            replaces: false,
            pending_lots: false,
            ids: PrekeyIds::random(rng),
        }
    }

    pub(super) fn inventory(&self, server: Option<PrekeyCounts>) -> Inventory {
        let server = server.unwrap_or(PrekeyCounts { one_time: rotation::FULL, one_time_kem: rotation::FULL });
        Inventory {
            signed: self.signed.clone(),
            last_resort: self.last_resort.clone(),
            one_time: server.one_time,
            one_time_kem: server.one_time_kem,
            signed_is_worn: self.worn,
        }
    }

    /// What is due; `server` is what the server still has.
    pub(super) fn plan(&self, server: Option<PrekeyCounts>, now: Timestamp) -> Rotation {
        let mut plan = rotation::plan(&self.inventory(server), now);
        // What was made last is what the server hands out: it stays, and under a clock that was wrong then it is not the
        // newest, so another one is made.
        let superseded = |made: &[(PrekeyId, Timestamp)]| {
            made.last().is_some_and(|(_, last)| made.iter().any(|(_, created)| created > last))
        };
        plan.new_signed |= superseded(&self.signed);
        plan.new_last_resort |= superseded(&self.last_resort);
        plan.delete_signed.retain(|id| self.signed.last().is_none_or(|(last, _)| last != id));
        plan.delete_last_resort.retain(|id| self.last_resort.last().is_none_or(|(last, _)| last != id));
        plan
    }

    /// Whether a signed or last-resort prekey is to be made or deleted.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let Rotation { new_signed, new_last_resort, delete_signed, delete_last_resort, .. } = self.plan(None, now);
        new_signed || new_last_resort || !delete_signed.is_empty() || !delete_last_resort.is_empty()
    }

    pub(super) fn from_record(stored: &record::PrekeySet) -> Option<Self> {
        let lots = |bytes: &[u8]| {
            let (lots, rest) = bytes.as_chunks::<8>();
            let lots: Vec<Lot> = lots
                .iter()
                .map(|[a, b, c, d, e, f, g, h]| {
                    (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]))
                })
                .collect();
            let sound = |(first, end): &Lot| first <= end && end - first <= rotation::FULL;
            (rest.is_empty() && lots.len() <= MAX_LOTS && lots.iter().all(sound)).then_some(lots)
        };
        let entries = |bytes: &[u8]| {
            let (entries, rest) = bytes.as_chunks::<12>();
            let entries: Vec<_> = entries
                .iter()
                .map(|[a, b, c, d, at @ ..]| {
                    (PrekeyId::new(u32::from_be_bytes([*a, *b, *c, *d])), Timestamp::new(u64::from_be_bytes(*at)))
                })
                .collect();
            rest.is_empty().then_some(entries)
        };
        Some(Self {
            suite: Suite::from_number(stored.suite)?,
            signed: entries(&stored.signed)?,
            last_resort: entries(&stored.last_resort)?,
            one_time: lots(&stored.one_time)?,
            one_time_kem: lots(&stored.one_time_kem)?,
            pending: stored.pending,
            worn: stored.worn,
            replaces: stored.replaces,
            pending_lots: stored.pending_lots,
            ids: PrekeyIds::resume(PrekeyId::new(stored.next_id)),
        })
    }

    pub(super) fn to_record(&self) -> record::PrekeySet {
        let lots = |lots: &[Lot]| lots.iter().flat_map(|(a, b)| [a.to_be_bytes(), b.to_be_bytes()]).flatten().collect();
        let entries = |entries: &[(PrekeyId, Timestamp)]| {
            let entry =
                |(id, at): &(PrekeyId, Timestamp)| id.get().to_be_bytes().into_iter().chain(at.get().to_be_bytes());
            entries.iter().flat_map(entry).collect()
        };
        record::PrekeySet {
            suite: self.suite.number(),
            signed: entries(&self.signed),
            last_resort: entries(&self.last_resort),
            one_time: lots(&self.one_time),
            one_time_kem: lots(&self.one_time_kem),
            pending: self.pending,
            worn: self.worn,
            replaces: self.replaces,
            pending_lots: self.pending_lots,
            next_id: self.ids.next_id().get(),
        }
    }

    /// Takes so many ids, one after the other.
    pub(super) fn take_lot(&mut self, count: u32) -> Result<Lot, IdsExhausted> {
        let first = self.ids.next_id().get();
        for _ in 0..count {
            self.ids.take()?;
        }
        Ok((first, self.ids.next_id().get()))
    }
}
