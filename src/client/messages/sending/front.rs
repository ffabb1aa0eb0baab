//! Who may be written to, and what goes before a message: both hang on rosters.

use super::place::Place;
use super::sent::SendError;
use crate::client::account::DeviceStanding;
use crate::ident::UserId;
use crate::rows::{Core, Peer, Published, User};
use crate::staging::{Stop, StoredError, Workspace};
use crate::suite::Suite;
use crate::wire::{ContactState, Front};

/// The longest roster, with what leads to it, that goes with another content. What is longer people get from the directory.
const MAX_ALONG: usize = 5_000;

impl Core {
    /// Says that one's own account and what is known of a user will be asked for.
    pub(in crate::client) fn announce_people(&self, work: &mut Workspace<'_>, user: &UserId) {
        work.announce([self.account_key(), self.user_key(user)]);
    }

    /// What goes before a message to a device, if the device is one of its user's.
    ///
    /// It is the one place where this is asked, for whatever is sent: a message, a question, an answer.
    pub(in crate::client) fn front(
        &self,
        work: &mut Workspace<'_>,
        peer: &mut Peer,
        entered: Option<&Place>,
    ) -> Result<Front, Stop<SendError>> {
        let from_stored = |stop: Stop<StoredError>| stop.map(SendError::from);
        let to = peer.address.clone();
        let mut front = Front { message_id: entered.map(|place| place.id), ..Front::default() };
        front.sent = entered.map(|_| work.now);
        self.announce_people(work, to.user());
        let Some(account) = self.load_published(work).map_err(from_stored)? else { return Ok(front) };
        account.may_send()?;
        let own = &account.roster;
        let identity = peer.session.remote_identity();
        if to.user() == self.address.user() {
            if !own.lists(to.device(), identity) {
                return Err(SendError::NotListed.into());
            }
            front.peer = Some(own.view());
        } else if let Some(user) = self.load_user(work, to.user()).map_err(from_stored)? {
            user.may_be_sent_to()?;
            if user.roster().is_some() && !user.lists(to.device(), identity) {
                return Err(SendError::NotListed.into());
            }
            front.peer = user.roster().map(crate::account::Roster::view);
        }
        front.own = Some(own.view());
        if peer.session.suite() == Some(Suite::V1) {
            let is_first = peer.session.is_unanswered();
            if peer.views.get_or_insert_default().give(&own.view(), is_first, work.now) {
                let roster = account.to_carried().to_bytes();
                front.roster = Some(roster).filter(|roster| roster.len() <= MAX_ALONG);
            }
        }
        Ok(front)
    }
}

impl Published {
    /// Whether one's own device may send.
    pub(in crate::client) const fn may_send(&self) -> Result<(), SendError> {
        match DeviceStanding::of(self.standing) {
            DeviceStanding::NotListedYet => Err(SendError::NotListedYet),
            DeviceStanding::Removed => Err(SendError::Removed),
            DeviceStanding::NoAccount | DeviceStanding::Unpublished | DeviceStanding::Listed => Ok(()),
        }
    }
}

impl User {
    /// Whether anything is sent to the user at all.
    pub(in crate::client) fn may_be_sent_to(&self) -> Result<(), SendError> {
        if self.contact == ContactState::Blocked {
            return Err(SendError::Blocked);
        }
        if self.changed.is_some() { Err(SendError::IdentityChanged) } else { Ok(()) }
    }
}
