//! What a peer device has seen of one's own rosters, in its row.

use crate::ident::Timestamp;
use crate::wire::{RecordError, RosterView};

const DAY: u64 = 24 * 3_600_000;

/// How often a roster is given to a device that goes on saying that it has an older one.
const MAX_GIVEN: u32 = 4;

/// To whom: a device that wrote within 14 days.
const HEARD_WITHIN: u32 = 14;

/// And then with one message in 64.
const ONE_IN: u32 = 64;

/// What a peer device knows of one's own rosters, as it says itself, and how often it was given the newest one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Views {
    /// The one that it has, as it has said.
    seen: Option<RosterView>,
    /// The version that it is being given.
    given: u64,
    /// How many messages it was sent since then, while it said that it has another one.
    times: u32,
    /// The day on which it was last heard.
    heard: u32,
}

impl Views {
    pub(crate) const LEN: usize = 8 + 16 + 8 + 4 + 4;

    /// The device said which roster of one's own it has.
    pub(crate) fn hear(&mut self, seen: Option<RosterView>, now: Timestamp) {
        self.seen = seen.or(self.seen);
        self.heard = day(now);
    }

    /// Whether the roster goes with the message that is sent now. Each message is one of those that are counted, so that a
    /// device that never says what it has is given the roster now and then, for ever.
    pub(crate) fn give(&mut self, own: &RosterView, is_first: bool, now: Timestamp) -> bool {
        if self.seen.as_ref() == Some(own) {
            return false;
        }
        if self.given != own.version {
            (self.given, self.times) = (own.version, 0);
        }
        let times = self.times;
        self.times = times.wrapping_add(1);
        let is_near = day(now).saturating_sub(self.heard) <= HEARD_WITHIN;
        is_first || times.is_multiple_of(ONE_IN) || (times < MAX_GIVEN && is_near)
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let Self { seen, given, times, heard } = self;
        let mut out = [0; Self::LEN];
        let (version, hash) = seen.map_or((0, [0; 16]), |view| (view.version, view.hash));
        let parts: [&[u8]; 5] =
            [&version.to_be_bytes(), &hash, &given.to_be_bytes(), &times.to_be_bytes(), &heard.to_be_bytes()];
        for (to, from) in out.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let (version, rest) = bytes.split_first_chunk().ok_or(RecordError::Corrupt)?;
        let (hash, rest) = rest.split_first_chunk().ok_or(RecordError::Corrupt)?;
        let (given, rest) = rest.split_first_chunk().ok_or(RecordError::Corrupt)?;
        let (times, heard) = rest.split_first_chunk().ok_or(RecordError::Corrupt)?;
        let heard = heard.try_into().map_err(|_| RecordError::Corrupt)?;
        let version = u64::from_be_bytes(*version);
        Ok(Self {
            seen: (version > 0).then_some(RosterView { version, hash: *hash }),
            given: u64::from_be_bytes(*given),
            times: u32::from_be_bytes(*times),
            heard: u32::from_be_bytes(heard),
        })
    }
}

fn day(at: Timestamp) -> u32 {
    u32::try_from(at.get() / DAY).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::vec::Vec;

    const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

    fn view(version: u64) -> RosterView {
        RosterView { version, hash: [7; 16] }
    }

    #[test]
    fn a_roster_is_given_four_times_and_then_now_and_then() {
        let mut views = Views::default();
        views.hear(Some(view(1)), NOW);
        assert!(!views.give(&view(1), true, NOW), "it has this one");
        let given: Vec<bool> = (0..130).map(|_| views.give(&view(2), false, NOW)).collect();
        let at: Vec<usize> = (0..130).filter(|at| given[*at]).collect();
        assert_eq!(at, [0, 1, 2, 3, 64, 128]);
        // Another version begins anew, and so does none after it was seen.
        assert!(views.give(&view(3), false, NOW));
        views.hear(Some(view(3)), NOW);
        assert!(!views.give(&view(3), false, NOW));
    }

    #[test]
    fn to_who_was_long_silent_it_goes_once_and_then_seldom() {
        let mut views = Views::default();
        views.hear(None, NOW);
        let later = Timestamp::new(NOW.get() + 15 * DAY);
        let given: Vec<bool> = (0..70).map(|_| views.give(&view(1), false, later)).collect();
        assert_eq!((0..70).filter(|at| given[*at]).collect::<Vec<_>>(), [0, 64]);
        // What begins a session goes alone: it has all that is needed to be believed.
        assert!(views.give(&view(1), true, later));
    }

    #[test]
    fn they_come_back() {
        let mut views = Views::default();
        for step in 0..3 {
            assert_eq!(Views::from_bytes(&views.to_bytes()), Ok(views));
            views.hear((step > 0).then(|| view(step)), NOW);
            views.give(&view(9), false, NOW);
        }
        assert!(Views::from_bytes(&[0; Views::LEN - 1]).is_err());
        assert!(Views::from_bytes(&[0; Views::LEN + 1]).is_err());
    }
}
