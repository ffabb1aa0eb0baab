//! When to make new prekeys and when to delete old ones: a pure function of what there is and what time it is.
//!
//! Signed and last-resort prekeys are replaced after 7 days and kept for 30 more, for first messages that were
//! under way; one-time prekeys are topped up to 100 when fewer than 25 remain on the server.

use alloc::vec::Vec;

use crate::ident::{PrekeyId, Timestamp};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A signed or last-resort prekey is replaced when it is this old.
pub const ROTATE_AFTER_MS: u64 = 7 * DAY_MS;
/// A signed or last-resort prekey is deleted when it is this old.
pub const DELETE_AFTER_MS: u64 = 37 * DAY_MS;
/// One-time prekeys are topped up when fewer than this remain.
pub const LOW: u32 = 25;
/// One-time prekeys are topped up to this many.
pub const FULL: u32 = 100;

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The signed prekeys: id, when made.
    pub signed: Vec<(PrekeyId, Timestamp)>,
    /// The last-resort KEM prekeys: id, when made.
    pub last_resort: Vec<(PrekeyId, Timestamp)>,
    /// One-time X25519 prekeys that the server still has.
    pub one_time: u32,
    /// One-time KEM prekeys that the server still has.
    pub one_time_kem: u32,
    /// Whether the newest signed prekey has accepted so many first messages that it must go,
    /// [`SeenBaseKeys::is_worn`](super::SeenBaseKeys::is_worn).
    pub signed_is_worn: bool,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Make and publish a signed prekey.
    pub new_signed: bool,
    /// Make and publish a last-resort KEM prekey.
    pub new_last_resort: bool,
    /// Make and publish so many one-time X25519 prekeys.
    pub new_one_time: u32,
    /// Make and publish so many one-time KEM prekeys.
    pub new_one_time_kem: u32,
    /// Delete these signed prekeys, private halves and [`SeenBaseKeys`](super::SeenBaseKeys).
    pub delete_signed: Vec<PrekeyId>,
    /// Delete these last-resort KEM prekeys.
    pub delete_last_resort: Vec<PrekeyId>,
    /// When there is something to do again, unless one-time prekeys run low before.
    pub next_due: Timestamp,
}

/// Says what to do now.
///
/// # Examples
///
/// ```
/// use subrosa::{ident::Timestamp, prekey::rotation::{Inventory, plan}};
/// let first_run = plan(&Inventory::default(), Timestamp::new(0));
/// assert!(first_run.new_signed && first_run.new_last_resort);
/// assert_eq!((first_run.new_one_time, first_run.new_one_time_kem), (100, 100));
/// ```
#[must_use]
pub fn plan(inventory: &Inventory, now: Timestamp) -> Rotation {
    let (signed_is_old, signed_due, delete_signed) = aged(&inventory.signed, now);
    let (new_last_resort, last_resort_due, delete_last_resort) = aged(&inventory.last_resort, now);
    Rotation {
        new_signed: signed_is_old || inventory.signed_is_worn,
        new_last_resort,
        new_one_time: top_up(inventory.one_time),
        new_one_time_kem: top_up(inventory.one_time_kem),
        delete_signed,
        delete_last_resort,
        next_due: signed_due.min(last_resort_due),
    }
}

const fn top_up(remaining: u32) -> u32 {
    if remaining < LOW { FULL - remaining } else { 0 }
}

/// Whether a new one is due, when there is something to do next, and which ones to delete. The newest is never
/// deleted: until a new one is published, peers have only that.
fn aged(prekeys: &[(PrekeyId, Timestamp)], now: Timestamp) -> (bool, Timestamp, Vec<PrekeyId>) {
    // One that claims to come from the future was made under a wrong clock: it is replaced, and never outlives others.
    let from_the_future = |created: Timestamp| created.since(now) > DAY_MS;
    let newest = prekeys.iter().copied().max_by_key(|(_, created)| (!from_the_future(*created), *created));
    let old = newest.is_none_or(|(_, created)| from_the_future(created) || now.since(created) >= ROTATE_AFTER_MS);
    let made = match newest {
        Some((_, created)) if !old => created,
        _ => now,
    };
    let others = || prekeys.iter().filter(|(id, _)| newest.is_none_or(|(newest, _)| *id != newest));
    let expired = |created: Timestamp| from_the_future(created) || now.since(created) >= DELETE_AFTER_MS;
    let delete = others().filter(|(_, created)| expired(*created)).map(|(id, _)| *id).collect();
    // The newest can go when its successor is there.
    let superseded = newest.filter(|_| old).into_iter();
    let next_deletion = others()
        .copied()
        .chain(superseded)
        .filter(|(_, created)| !from_the_future(*created))
        .map(|(_, created)| created.get().saturating_add(DELETE_AFTER_MS))
        .filter(|due| *due > now.get())
        .min()
        .unwrap_or(u64::MAX);
    let next_rotation = made.get().saturating_add(ROTATE_AFTER_MS);
    (old, Timestamp::new(next_rotation.min(next_deletion)), delete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn days(days: u64) -> Timestamp {
        Timestamp::new(days * DAY_MS)
    }

    fn stocked(signed: Vec<(PrekeyId, Timestamp)>) -> Inventory {
        Inventory { last_resort: signed.clone(), signed, one_time: 100, one_time_kem: 100, signed_is_worn: false }
    }

    #[test]
    fn nothing_to_do_within_the_week() {
        let plan = plan(&stocked(vec![(PrekeyId::new(1), days(10))]), Timestamp::new(days(17).get() - 1));
        assert!(!plan.new_signed && !plan.new_last_resort && plan.new_one_time == 0);
        assert_eq!(plan.next_due, days(17));
    }

    #[test]
    fn replaced_after_seven_days_deleted_after_thirty_seven() {
        let both = vec![(PrekeyId::new(1), days(0)), (PrekeyId::new(2), days(30))];
        let at_36 = plan(&stocked(both.clone()), days(36));
        assert!(at_36.delete_signed.is_empty() && !at_36.new_signed);
        assert_eq!(at_36.next_due, days(37));
        let at_37 = plan(&stocked(both), days(37));
        assert_eq!(at_37.delete_signed, [PrekeyId::new(1)]);
        assert!(at_37.new_signed);
        assert_eq!(at_37.next_due, days(44));
        // One of 36 days is replaced today and deleted tomorrow.
        let at_36 = plan(&stocked(vec![(PrekeyId::new(1), days(0))]), days(36));
        assert!(at_36.new_signed && at_36.delete_signed.is_empty());
        assert_eq!(at_36.next_due, days(37));
    }

    #[test]
    fn the_newest_is_never_deleted_however_old() {
        let plan = plan(&stocked(vec![(PrekeyId::new(1), days(0))]), days(400));
        assert!(plan.new_signed && plan.delete_signed.is_empty());
    }

    #[test]
    fn a_prekey_from_the_future_is_replaced_and_deleted() {
        let alone = plan(&stocked(vec![(PrekeyId::new(1), days(4_000))]), days(10));
        assert!(alone.new_signed && alone.delete_signed.is_empty());
        let both = plan(&stocked(vec![(PrekeyId::new(1), days(4_000)), (PrekeyId::new(2), days(9))]), days(10));
        assert!(!both.new_signed);
        assert_eq!(both.delete_signed, [PrekeyId::new(1)]);
    }

    #[test]
    fn a_worn_prekey_goes_early() {
        let mut inventory = stocked(vec![(PrekeyId::new(1), days(0))]);
        inventory.signed_is_worn = true;
        let plan = plan(&inventory, days(1));
        assert!(plan.new_signed && !plan.new_last_resort);
    }

    #[test]
    fn one_time_prekeys_are_topped_up_when_low() {
        let mut inventory = stocked(vec![(PrekeyId::new(1), days(0))]);
        (inventory.one_time, inventory.one_time_kem) = (24, 25);
        let plan = plan(&inventory, days(1));
        assert_eq!((plan.new_one_time, plan.new_one_time_kem), (76, 0));
    }
}
