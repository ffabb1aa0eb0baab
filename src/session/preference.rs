//! Which of several sessions with one device is sent with. Both devices have to come to the same one, whatever crosses on
//! the way, and to one that the other can read.
//!
//! In suite `Signal` it is the one that was read in last, as in Signal's library. There, two devices that started at the
//! same time may take up each other's session for ever, each with every message.
//!
//! In suite V1 sessions have an order that both devices know. Each session has a *rank*: one that is started here with a
//! session in place is above all before it, and so is one that the peer starts, unless the current one was started here
//! and never answered. Then neither device need have known of the other's, the two **crossed**, and have one rank. Of two
//! on one rank the one with the lower tag is above the other: both devices see both tags.
//!
//! 1. A session that the peer starts becomes the current one, at once: the peer can read it, whatever else it has lost.
//! 2. A message that was read in an archived session brings that one back if it is above the current one, or if the
//!    current one was never answered: what the peer shows that it reads is better than what it may never have seen. Only
//!    the newest message of a session tells what the peer sends with; late ones are read where they are.
//! 3. If the peer goes on in a session that is not above the current one, it cannot come here (it has lost that session),
//!    or holds another order (starts and messages overtook each other). After some messages it is given way to. Of two
//!    devices that wait for each other so, the one with the higher tag gives way before the other does.

use core::cmp::Ordering;

use super::Session;
use super::state::State;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};

/// So many new messages in a session with a lower tag than the current one's make it the current one.
const GIVE_WAY_TO_LOWER: u8 = 16;

/// The same of a session with a higher tag.
const GIVE_WAY_TO_HIGHER: u8 = 64;

impl Session {
    /// Makes a session that was started here the current one.
    pub(super) fn install_own(&mut self, mut state: State) {
        state.rank = self.next_rank();
        self.install(state);
    }

    /// Makes a session that the peer started the current one.
    pub(super) fn install_theirs(&mut self, mut state: State) {
        let crossed = self.current.as_ref().filter(|current| current.pending.is_some()).map(|current| current.rank);
        state.rank = crossed.unwrap_or_else(|| self.next_rank());
        self.install(state);
    }

    fn next_rank(&mut self) -> u32 {
        self.ranks = self.ranks.saturating_add(1);
        self.ranks
    }

    /// Makes the archived session at `at`, in which a message was read, the current one if it is the one to send with now.
    pub(super) fn follow(&mut self, at: usize, is_newest: bool) {
        if self.is_to_follow(at, is_newest)
            && let Some(state) = self.archived.remove(at)
        {
            self.install(state);
        }
    }

    fn is_to_follow(&mut self, at: usize, is_newest: bool) -> bool {
        let Some(read) = self.archived.get_mut(at) else { return false };
        // A late message of suite `Signal` is read where it is: brought back, its session would be a downgrade.
        if read.retired || (self.seen_v1 && read.transcript.is_none()) {
            return false;
        }
        let Some(current) = &self.current else { return true };
        let (Some(tag), Some(current_tag)) = (read.tag(), current.tag()) else { return true };
        if !is_newest {
            return false;
        }
        #[cfg(test)]
        if planted::is(Defect::NeverSettles) {
            return true;
        }
        if current.pending.is_some() || read.rank.cmp(&current.rank).then(current_tag.cmp(&tag)) == Ordering::Greater {
            return true;
        }
        read.passed_over = read.passed_over.saturating_add(1);
        let gives_way = if tag < current_tag { GIVE_WAY_TO_LOWER } else { GIVE_WAY_TO_HIGHER };
        if read.passed_over < gives_way {
            return false;
        }
        self.ranks = self.ranks.saturating_add(1);
        read.rank = self.ranks;
        true
    }
}
