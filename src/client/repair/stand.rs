//! How a device stands, and what is to be done by the table with what waits with it.

use super::table::{Sending, Spent, Unread, wanted_in};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::Timestamp;
use crate::rows::{Core, Peer, UnreadMessage, Wishes};
use crate::session::Name;
use crate::staging::{Stop, StoredError, Workspace};

/// How a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Stand {
    /// Nothing is known of it.
    Stranger,
    /// It has shown an identity key that nobody has accepted.
    Untrusted,
    Known {
        sending: Sending,
        /// The session that there is to send with.
        session: Option<Name>,
    },
}

impl Stand {
    /// How a device stands of which this is known.
    pub(in crate::client) fn of(peer: Option<&Peer>, now: Timestamp) -> Self {
        let Some(peer) = peer else { return Self::Stranger };
        let untrusted = peer.untrusted;
        #[cfg(test)]
        let untrusted = untrusted && !planted::is(Defect::AsksUndecided);
        if untrusted {
            return Self::Untrusted;
        }
        let sending = match peer.session.unanswered_since() {
            _ if !peer.session.can_send(now) => Sending::Nothing,
            // Which bundle it is of shows when one is brought.
            Some(since) => Sending::Pending { same_bundle: true, since },
            None => Sending::Answered,
        };
        Self::Known { sending, session: peer.session.current_name() }
    }
}

impl Wishes {
    /// Writes what waits with a device that stands so.
    pub(in crate::client) fn save(
        &self,
        core: &Core,
        work: &mut Workspace<'_>,
        stand: Stand,
    ) -> Result<(), Stop<StoredError>> {
        let due = self.wanted_in(stand, work.now).map(|wait| Timestamp::new(work.now.get().saturating_add(wait)));
        self.write(core, work, due, stand == Stand::Stranger)
    }

    /// In how long the device's bundle is of use.
    fn wanted_in(&self, stand: Stand, now: Timestamp) -> Option<u64> {
        match stand {
            // While the user has another key to decide upon, nothing is asked for.
            Stand::Untrusted => None,
            _ if self.bundle => Some(0),
            Stand::Stranger => wanted_in(Sending::Nothing, self.unread_in(None), self.spent(), now),
            Stand::Known { sending, session } => wanted_in(sending, self.unread_in(session), self.spent(), now),
        }
    }

    pub(in crate::client) fn spent(&self) -> Spent<'_> {
        Spent { started: self.started(), questions: self.questions() }
    }

    /// What may still be asked for, as seen from the session that there is to send with.
    pub(in crate::client) fn unread_in(&self, session: Option<Name>) -> Unread {
        let askable = || self.askable();
        let is_asked = |message: &UnreadMessage| message.asked > 0 && Some(message.asked_in) == session;
        if askable().next().is_none() {
            return Unread::Nothing;
        }
        let asked = askable().filter(|message| is_asked(message)).map(|message| message.last_asked).min();
        Unread::Something { unasked: askable().any(|message| !is_asked(message)), asked }
    }
}
