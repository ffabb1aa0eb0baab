//! When prekeys are made, made fresh and deleted: pure functions of what there is and what time it is. All ages are here.
//!
//! | | |
//! |---|---|
//! | [`ROTATE_AFTER_MS`], 7 days | a signed or last-resort prekey gets a successor; one whose upload is not known to have arrived is made fresh instead: the same key, a new date |
//! | [`MAX_PREKEY_AGE_MS`], 45 days | nobody starts a session with one that is older: so much longer than a week may a device sleep, or fail to upload, and still be written to by strangers |
//! | [`KEEP_MS`], 30 days | its private half stays after its successor was *confirmed published*, for first messages that are under way; one-time prekeys stay as long after an upload has replaced them on the server |
//! | [`PER_DAY`], 200 | one-time prekeys of each of the two kinds that are made within 24 hours |
//!
//! A key that the server may still hand out is never deleted, however old it is. Deletion does not look at the time of day
//! but at the *settled* time, which a clock has said and gone on from for a day: a clock that is wrong for an hour deletes
//! nothing. For the same reason the time of a confirmation is noted at the next deletion round and not by the clock of that
//! moment: until then it is [`UNDATED`].

use alloc::vec::Vec;

#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{PrekeyId, Timestamp};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A signed or last-resort prekey gets a successor, or is made fresh, when it is this old: 7 days.
pub const ROTATE_AFTER_MS: u64 = 7 * DAY_MS;
/// What is replaced on the server is kept here for so long: 30 days.
pub const KEEP_MS: u64 = 30 * DAY_MS;
/// A session is not started with a signed or last-resort prekey that is older: 45 days. Suite V1, where its age is signed.
pub const MAX_PREKEY_AGE_MS: u64 = 45 * DAY_MS;
/// One-time prekeys are topped up when fewer than this remain on the server.
pub const LOW: u32 = 25;
/// One-time prekeys are topped up to this many.
pub const FULL: u32 = 100;
/// One-time prekeys of one kind and suite that are made within 24 hours, at most: 400 of both kinds. A server that counts
/// wrong, or has them fetched by whoever asks, costs no more.
pub const PER_DAY: u32 = 200;
/// When so many of one kind have gone out, the next upload replaces what the server has: then the earlier ones can go.
pub const MAX_OUT: u32 = 1_000;

/// Has happened, and the next deletion round notes when.
pub const UNDATED: Timestamp = Timestamp::new(u64::MAX);

/// Most prekeys of one [`Rotation`]. Reached only by wear; then there is no other until one has expired.
const MAX_MADE: usize = 64;

/// Most lots of one [`Stock`]. Reached only by a clock that jumps; then there is no other until one has expired.
const MAX_LOTS: usize = 256;

/// A signed or last-resort prekey that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Made {
    /// Its id.
    pub id: PrekeyId,
    /// When it was made, or made fresh.
    pub created: Timestamp,
    /// When it was confirmed that the server has it; `None` if it is not, [`UNDATED`] until the next deletion round.
    pub published: Option<Timestamp>,
}

/// What is to be done about the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// Make another one.
    Make,
    /// Make it fresh: it was never confirmed. An earlier copy of its upload may have arrived, so the key stays.
    Refresh,
}

/// The signed prekeys of one suite that there are, or the last-resort ones.
///
/// # Examples
///
/// ```
/// use subrosa::ident::{PrekeyId, Timestamp};
/// use subrosa::prekey::rotation::{Due, KEEP_MS, ROTATE_AFTER_MS, Rotation};
/// let (mut rotation, week) = (Rotation::default(), Timestamp::new(ROTATE_AFTER_MS));
/// assert_eq!(rotation.due(Timestamp::new(0), false), Due::Make);
/// rotation.make(PrekeyId::new(1), Timestamp::new(0));
/// assert_eq!(rotation.due(week, false), Due::Refresh); // not known to have arrived
/// rotation.confirm();
/// assert_eq!(rotation.due(week, false), Due::Make);
/// rotation.make(PrekeyId::new(2), week);
/// rotation.confirm();
/// // A deletion round: whatever was confirmed since the last one is dated, and goes when that is 30 days ago.
/// rotation.date(week);
/// assert_eq!(rotation.take_expired(Timestamp::new(week.get() + KEEP_MS)), [PrekeyId::new(1)]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation(Vec<Made>);

impl Rotation {
    /// Takes what was stored, oldest first; `None` if that cannot be.
    #[must_use]
    pub fn from_made(made: Vec<Made>) -> Option<Self> {
        (made.len() <= MAX_MADE).then_some(Self(made))
    }

    /// What to store, oldest first.
    #[must_use]
    pub fn made(&self) -> &[Made] {
        &self.0
    }

    /// The one that was made last.
    #[must_use]
    pub fn newest(&self) -> Option<Made> {
        self.0.last().copied()
    }

    /// What is to be done about the newest; `worn` if it has accepted so many first messages that it must go,
    /// [`SeenBaseKeys::is_worn`](super::SeenBaseKeys::is_worn).
    #[must_use]
    pub fn due(&self, now: Timestamp, worn: bool) -> Due {
        let Some(newest) = self.0.last() else { return Due::Make };
        // Made under a clock that was ahead, or looked at by one that is behind. Not made fresh: a server takes no older date.
        let ahead = newest.created.since(now) > DAY_MS;
        let old = now.since(newest.created) >= ROTATE_AFTER_MS;
        let published = newest.published.is_some();
        #[cfg(test)]
        let published = published || planted::is(Defect::SecondSet);
        if (ahead || (published && (old || worn))) && self.0.len() < MAX_MADE {
            Due::Make
        } else if (ahead || old) && !published {
            Due::Refresh
        } else {
            Due::Nothing
        }
    }

    /// When the newest is due.
    #[must_use]
    pub fn next_due(&self) -> Timestamp {
        Timestamp::new(self.0.last().map_or(0, |newest| newest.created.get().saturating_add(ROTATE_AFTER_MS)))
    }

    /// Another one was made. Gives one that has to go for it, which happens only if others are made that are not due.
    pub fn make(&mut self, id: PrekeyId, now: Timestamp) -> Option<PrekeyId> {
        let newest = self.0.iter().rposition(|made| made.published.is_some());
        let gone = (self.0.len() >= MAX_MADE).then(|| self.0.remove(usize::from(newest == Some(0))).id);
        self.0.push(Made { id, created: now, published: None });
        gone
    }

    /// The newest was made fresh.
    pub fn refresh(&mut self, now: Timestamp) {
        if let Some(newest) = self.0.last_mut() {
            newest.created = now;
        }
    }

    /// The server has the newest.
    pub fn confirm(&mut self) {
        if let Some(newest) = self.0.last_mut() {
            newest.published.get_or_insert(UNDATED);
        }
    }

    /// Dates what was confirmed since the last deletion round, and what was dated by a clock that was ahead.
    pub fn date(&mut self, now: Timestamp) {
        for made in &mut self.0 {
            made.published = made.published.map(|at| at.min(now));
        }
    }

    /// Removes those of which a successor was confirmed 30 days before the `settled` time: their private halves, and the
    /// [`SeenBaseKeys`](super::SeenBaseKeys) of a signed prekey, are to be deleted.
    pub fn take_expired(&mut self, settled: Timestamp) -> Vec<PrekeyId> {
        let expired = |at: usize| {
            let successor = self.0.iter().skip(at + 1).find_map(|later| later.published);
            #[cfg(test)]
            if planted::is(Defect::PrekeysByAge) {
                let old = |made: &Made| settled.since(made.created) >= ROTATE_AFTER_MS;
                return at + 1 < self.0.len() && self.0.get(at).is_some_and(old);
            }
            successor.is_some_and(|confirmed| settled.since(confirmed) >= KEEP_MS)
        };
        let gone: Vec<_> = self.0.iter().enumerate().filter(|(at, _)| expired(*at)).map(|(_, made)| made.id).collect();
        self.0.retain(|made| !gone.contains(&made.id));
        gone
    }
}

/// Whether the server may have one-time prekeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stocked {
    /// They are of an upload that is not known to have arrived.
    Pending,
    /// It may have them.
    Out,
    /// An upload that replaced them was confirmed: no more are handed out. When that was; [`UNDATED`] until the next
    /// deletion round.
    Replaced(Timestamp),
}

/// One-time prekeys that were made together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot {
    /// The first id.
    pub first: u32,
    /// The id after the last.
    pub end: u32,
    /// When they were made.
    pub made: Timestamp,
    /// Where they are.
    pub stocked: Stocked,
}

impl Lot {
    /// How many they were.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.end.saturating_sub(self.first)
    }

    /// Whether they were none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their ids, of those that are used as well.
    pub fn ids(&self) -> impl Iterator<Item = PrekeyId> + use<> {
        (self.first..self.end).map(PrekeyId::new)
    }
}

/// The one-time prekeys of one kind and suite, in lots.
///
/// A key that is used is deleted with the batch that uses it. The others go when nobody can have them any more, however
/// many a server has on its prekey store: never before an upload has replaced them there.
///
/// # Examples
///
/// ```
/// use subrosa::{ident::Timestamp, prekey::rotation::{FULL, Stock}};
/// let (mut stock, now) = (Stock::default(), Timestamp::new(0));
/// assert_eq!(stock.wanted(0, now), FULL);
/// stock.add(1, 1 + FULL, now);
/// stock.confirm(false);
/// assert_eq!(stock.wanted(30, now), 0);
/// assert_eq!(stock.wanted(20, now), 80);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stock(Vec<Lot>);

impl Stock {
    /// Takes what was stored, oldest first; `None` if that cannot be.
    #[must_use]
    pub fn from_lots(lots: Vec<Lot>) -> Option<Self> {
        let sound = |lot: &Lot| lot.first <= lot.end && lot.len() <= PER_DAY;
        (lots.len() <= MAX_LOTS && lots.iter().all(sound)).then_some(Self(lots))
    }

    /// What to store, oldest first.
    #[must_use]
    pub fn lots(&self) -> &[Lot] {
        &self.0
    }

    /// Those of the upload that is not known to have arrived.
    pub fn pending(&self) -> impl Iterator<Item = &Lot> {
        self.0.iter().filter(|lot| lot.stocked == Stocked::Pending)
    }

    /// How many to make, where the server has so many.
    #[must_use]
    pub fn wanted(&self, server: u32, now: Timestamp) -> u32 {
        if server >= LOW || self.0.len() >= MAX_LOTS {
            return 0;
        }
        let today = |lot: &&Lot| now.since(lot.made).max(lot.made.since(now)) < DAY_MS;
        let made = self.0.iter().filter(today).fold(0, |made: u32, lot| made.saturating_add(lot.len()));
        (FULL - server).min(PER_DAY.saturating_sub(made))
    }

    /// Whether so many have gone out that the next upload replaces what the server has.
    #[must_use]
    pub fn is_large(&self) -> bool {
        let out = self.0.iter().filter(|lot| !matches!(lot.stocked, Stocked::Replaced(_)));
        out.fold(0, |out: u32, lot| out.saturating_add(lot.len())) >= MAX_OUT
    }

    /// Notes a lot of the next upload.
    pub fn add(&mut self, first: u32, end: u32, made: Timestamp) {
        if first < end {
            self.0.push(Lot { first, end, made, stocked: Stocked::Pending });
        }
    }

    /// What waits for a confirmation may have arrived, and will not be uploaded again.
    pub fn give_up(&mut self) {
        for lot in self.0.iter_mut().filter(|lot| lot.stocked == Stocked::Pending) {
            lot.stocked = Stocked::Out;
        }
    }

    /// The upload has arrived; `replaces` if it has replaced what the server had.
    pub fn confirm(&mut self, replaces: bool) {
        for lot in &mut self.0 {
            lot.stocked = match lot.stocked {
                Stocked::Pending => Stocked::Out,
                Stocked::Out if replaces => Stocked::Replaced(UNDATED),
                stocked => stocked,
            };
        }
    }

    /// Dates what was replaced since the last deletion round, and what was dated by a clock that was ahead.
    pub fn date(&mut self, now: Timestamp) {
        for lot in &mut self.0 {
            if let Stocked::Replaced(at) = &mut lot.stocked {
                *at = now.min(*at);
            }
        }
    }

    /// Removes those that were replaced 30 days before the `settled` time, at most `most` lots: what of them was not used is
    /// to be deleted.
    pub fn take_expired(&mut self, settled: Timestamp, most: usize) -> Vec<Lot> {
        let expired = |lot: &Lot| matches!(lot.stocked, Stocked::Replaced(at) if settled.since(at) >= KEEP_MS);
        let gone: Vec<_> = self.0.iter().copied().filter(expired).take(most).collect();
        self.0.retain(|lot| !gone.contains(lot));
        gone
    }
}

#[cfg(test)]
mod tests;
