//! Which prekeys there are, by suite: ids and dates, never keys.

use alloc::vec::Vec;

use rand_core::CryptoRng;

use crate::ident::{PrekeyId, Timestamp};
use crate::prekey::rotation::{Due, FULL, Lot, Made, Rotation, Stock, Stocked};
use crate::prekey::{IdsExhausted, PrekeyCounts, PrekeyIds, PrekeyUploadId};
use crate::rows::{Core, Round};
use crate::suite::Suite;
use crate::wire::{RecordError, RecordKind, decode_record, record};

/// Most lots of one kind that are deleted at one time; others wait for the next.
const MAX_EXPIRED_LOTS: usize = 4;

/// Which prekeys of one suite there are.
pub(crate) struct Set {
    pub(crate) suite: Suite,
    pub(crate) signed: Rotation,
    pub(crate) last_resort: Rotation,
    pub(crate) one_time: Stock,
    pub(crate) one_time_kem: Stock,
    /// The upload that is not known to have arrived.
    pub(crate) pending: Option<PrekeyUploadId>,
    /// Whether the newest signed prekey has accepted so many first messages that it must go.
    pub(crate) worn: bool,
    /// Whether the next upload, or the pending one, replaces the server's one-time prekeys.
    pub(crate) replaces: bool,
    pub(crate) ids: PrekeyIds,
}

/// Which prekeys there are.
pub(crate) struct Prekeys {
    pub(crate) generation: u64,
    pub(crate) sets: Vec<Set>,
}

/// What of one suite is to be made.
pub(crate) struct Plan {
    /// Whether what is known of before is not relied on.
    pub(crate) is_anew: bool,
    pub(crate) signed: Due,
    pub(crate) last_resort: Due,
    pub(crate) one_time: u32,
    pub(crate) one_time_kem: u32,
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { is_anew: _, signed, last_resort, one_time, one_time_kem } = self;
        [signed, last_resort].iter().all(|due| **due == Due::Nothing) && *one_time == 0 && *one_time_kem == 0
    }

    /// What ids are to be given to, from this one on, in the order in which they are taken.
    pub(crate) fn ids(&self, next: PrekeyId) -> impl Iterator<Item = (RecordKind, PrekeyId)> + use<> {
        let made = |due| u32::from(due == Due::Make);
        let counts = [
            (RecordKind::SignedPrekey, made(self.signed)),
            (RecordKind::KemPrekey, made(self.last_resort)),
            (RecordKind::OneTimePrekey, self.one_time),
            (RecordKind::KemPrekey, self.one_time_kem),
        ];
        let kinds = counts.into_iter().flat_map(|(kind, count)| (0..count).map(move |_| kind));
        kinds.zip(next.get()..).map(|(kind, id)| (kind, PrekeyId::new(id)))
    }
}

/// What of one suite is to be deleted.
pub(crate) struct Expired {
    pub(crate) suite: Suite,
    pub(crate) signed: Vec<PrekeyId>,
    pub(crate) last_resort: Vec<PrekeyId>,
    pub(crate) one_time: Vec<Lot>,
    pub(crate) one_time_kem: Vec<Lot>,
}

impl Expired {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { suite: _, signed, last_resort, one_time, one_time_kem } = self;
        signed.is_empty() && last_resort.is_empty() && one_time.is_empty() && one_time_kem.is_empty()
    }
}

impl Prekeys {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let stored: record::Prekeys = decode_record(RecordKind::Prekeys, bytes)?;
        let sets: Vec<_> =
            stored.sets.iter().map(Set::from_record).collect::<Option<_>>().ok_or(RecordError::Corrupt)?;
        let whole = u32::try_from(sets.len()) == Ok(stored.count) && sets.len() <= 2;
        if whole { Ok(Self { generation: stored.generation, sets }) } else { Err(RecordError::Corrupt) }
    }

    /// Whether something has to be uploaded, or to be made and uploaded.
    pub(crate) fn is_pending(&self, core: &Core, now: Timestamp) -> bool {
        self.sets.is_empty()
            || self.generation != core.generation
            || self.sets.iter().any(|set| set.pending.is_some() || set.is_due(now))
    }

    /// When a prekey is to be made or made fresh, at the latest.
    pub(crate) fn next_due(&self) -> Timestamp {
        let due = self.sets.iter().map(|set| set.signed.next_due().min(set.last_resort.next_due()));
        due.min().unwrap_or(Timestamp::new(u64::MAX))
    }

    /// The set of a suite, to be put back.
    pub(crate) fn take(&mut self, suite: Suite) -> Option<Set> {
        let at = self.sets.iter().position(|set| set.suite == suite)?;
        Some(self.sets.swap_remove(at))
    }

    /// Does what a deletion round does, and takes out what is to be deleted.
    pub(crate) fn expire(&mut self, round: Round, now: Timestamp) -> Vec<Expired> {
        self.sets.iter_mut().map(|set| set.expire(round, now)).filter(|expired| !expired.is_empty()).collect()
    }
}

impl Set {
    /// None yet. Whatever a server has of a device with this address, nobody here holds its private halves.
    pub(crate) fn new(suite: Suite, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self {
            suite,
            signed: Rotation::default(),
            last_resort: Rotation::default(),
            one_time: Stock::default(),
            one_time_kem: Stock::default(),
            pending: None,
            worn: false,
            replaces: true,
            ids: PrekeyIds::random(rng),
        }
    }

    /// The store went back in time: which ids were given out since is not known, nor does the server hold what is known here.
    pub(crate) fn begin_anew(&mut self, rng: &mut (impl CryptoRng + ?Sized)) {
        self.ids = PrekeyIds::random(rng);
        self.one_time.give_up();
        self.one_time_kem.give_up();
        (self.pending, self.replaces) = (None, true);
    }

    /// The pending upload has arrived.
    pub(crate) fn confirm(&mut self) {
        self.signed.confirm();
        self.last_resort.confirm();
        self.one_time.confirm(self.replaces);
        self.one_time_kem.confirm(self.replaces);
        (self.pending, self.replaces) = (None, false);
    }

    /// Whether a signed or last-resort prekey is to be made, or made fresh.
    fn is_due(&self, now: Timestamp) -> bool {
        self.signed.due(now, self.worn) != Due::Nothing || self.last_resort.due(now, false) != Due::Nothing
    }

    /// What is to be made, where the server has so many one-time prekeys (nothing of them if it was not asked); all, if it is to
    /// begin anew. While an upload waits no others are made: its arrival may only be unknown.
    pub(crate) fn plan(&mut self, server: Option<PrekeyCounts>, is_anew: bool, now: Timestamp) -> Plan {
        // Of a new account, or one that begins anew, a server has nothing.
        let server = if self.replaces { Some(PrekeyCounts::default()) } else { server };
        let (one_time, one_time_kem) = match server.filter(|_| self.pending.is_none()) {
            Some(server) => self.wanted(server, now),
            None => (0, 0),
        };
        let due = |due| if is_anew { Due::Make } else { due };
        let (signed, last_resort) = (due(self.signed.due(now, self.worn)), due(self.last_resort.due(now, false)));
        Plan { is_anew, signed, last_resort, one_time, one_time_kem }
    }

    /// How many one-time prekeys of each kind are to be made, where the server has so many. When so many have gone out that
    /// some must go, what the server has is replaced as well.
    fn wanted(&mut self, server: PrekeyCounts, now: Timestamp) -> (u32, u32) {
        let wanted = |set: &Self, server: PrekeyCounts| {
            (set.one_time.wanted(server.one_time, now), set.one_time_kem.wanted(server.one_time_kem, now))
        };
        let some = wanted(self, server);
        if some == (0, 0) || !(self.one_time.is_large() || self.one_time_kem.is_large()) {
            return some;
        }
        // Only for full lists of both kinds: today's share may be used up.
        let all = wanted(self, PrekeyCounts::default());
        self.replaces |= all == (FULL, FULL);
        if self.replaces { all } else { some }
    }

    fn expire(&mut self, round: Round, now: Timestamp) -> Expired {
        if round.is_new {
            self.signed.date(now);
            self.last_resort.date(now);
            self.one_time.date(now);
            self.one_time_kem.date(now);
        }
        Expired {
            suite: self.suite,
            signed: self.signed.take_expired(round.settled),
            last_resort: self.last_resort.take_expired(round.settled),
            one_time: self.one_time.take_expired(round.settled, MAX_EXPIRED_LOTS),
            one_time_kem: self.one_time_kem.take_expired(round.settled, MAX_EXPIRED_LOTS),
        }
    }

    pub(crate) fn take_id(&mut self) -> Result<PrekeyId, IdsExhausted> {
        self.ids.take()
    }

    /// Takes so many ids, one after the other: the first, and the one after the last.
    pub(crate) fn take_ids(&mut self, count: u32) -> Result<(u32, u32), IdsExhausted> {
        let first = self.ids.next_id().get();
        for _ in 0..count {
            self.ids.take()?;
        }
        Ok((first, self.ids.next_id().get()))
    }

    fn from_record(stored: &record::PrekeySet) -> Option<Self> {
        let pending = match stored.pending.as_slice() {
            [] => None,
            id => Some(PrekeyUploadId::new(id.try_into().ok()?)),
        };
        Some(Self {
            suite: Suite::from_number(stored.suite)?,
            signed: rotation_from_record(&stored.signed)?,
            last_resort: rotation_from_record(&stored.last_resort)?,
            one_time: stock_from_record(&stored.one_time)?,
            one_time_kem: stock_from_record(&stored.one_time_kem)?,
            pending,
            worn: stored.worn,
            replaces: stored.replaces,
            ids: PrekeyIds::resume(PrekeyId::new(stored.next_id)),
        })
    }

    pub(crate) fn to_record(&self) -> record::PrekeySet {
        record::PrekeySet {
            suite: self.suite.number(),
            signed: rotation_to_record(&self.signed),
            last_resort: rotation_to_record(&self.last_resort),
            one_time: stock_to_record(&self.one_time),
            one_time_kem: stock_to_record(&self.one_time_kem),
            pending: self.pending.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
            worn: self.worn,
            replaces: self.replaces,
            next_id: self.ids.next_id().get(),
        }
    }
}

fn rotation_to_record(rotation: &Rotation) -> Vec<u8> {
    let entry = |Made { id, created, published }: &Made| {
        let published = published.map_or(0, |at| at.get().max(1));
        [&id.get().to_be_bytes()[..], &created.get().to_be_bytes(), &published.to_be_bytes()].concat()
    };
    rotation.made().iter().flat_map(entry).collect()
}

fn rotation_from_record(bytes: &[u8]) -> Option<Rotation> {
    let (entries, rest) = bytes.as_chunks::<20>();
    let made = |[a, b, c, d, dates @ ..]: &[u8; 20]| {
        let (created, published) = two_numbers(dates);
        Made {
            id: PrekeyId::new(u32::from_be_bytes([*a, *b, *c, *d])),
            created: Timestamp::new(created),
            published: (published > 0).then_some(Timestamp::new(published)),
        }
    };
    if rest.is_empty() { Rotation::from_made(entries.iter().map(made).collect()) } else { None }
}

fn stock_to_record(stock: &Stock) -> Vec<u8> {
    let lot = |Lot { first, end, made, stocked }: &Lot| {
        let stocked = match stocked {
            Stocked::Pending => 0,
            Stocked::Out => 1,
            Stocked::Replaced(at) => at.get().max(2),
        };
        [&first.to_be_bytes()[..], &end.to_be_bytes(), &made.get().to_be_bytes(), &stocked.to_be_bytes()].concat()
    };
    stock.lots().iter().flat_map(lot).collect()
}

fn stock_from_record(bytes: &[u8]) -> Option<Stock> {
    let (lots, rest) = bytes.as_chunks::<24>();
    let lot = |[a, b, c, d, e, f, g, h, dates @ ..]: &[u8; 24]| {
        let (made, stocked) = two_numbers(dates);
        Lot {
            first: u32::from_be_bytes([*a, *b, *c, *d]),
            end: u32::from_be_bytes([*e, *f, *g, *h]),
            made: Timestamp::new(made),
            stocked: match stocked {
                0 => Stocked::Pending,
                1 => Stocked::Out,
                at => Stocked::Replaced(Timestamp::new(at)),
            },
        }
    };
    if rest.is_empty() { Stock::from_lots(lots.iter().map(lot).collect()) } else { None }
}

fn two_numbers(bytes: &[u8; 16]) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(rest))
}
