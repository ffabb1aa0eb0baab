use alloc::vec::Vec;

use super::identity::IdentityStatus;
use crate::client::Client;
use crate::client::messages::{Outgoing, SendError, Way};
use crate::client::repair::{Action, Sending, Stand, Unread, action};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::prekey::Bundle;
use crate::rows::{Core, Peer, QUESTION, Wishes};
use crate::session::{InitiateError, Session};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::suite::Suite;
use crate::wire::{Outward, RecordKind};

/// A session that was started, or was there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Added {
    /// Whether a session was started. One that can be sent with is not replaced, unless it is not known to be understood:
    /// docs/protocol.md, "Repair". [Reset](Client::reset) it first to start another one for certain.
    pub started: bool,
    /// What is to be thought of the identity key: known, or seen for the first time.
    pub identity: IdentityStatus,
    /// Questions for messages that could not be read, for the host's outbox, in order. They also tell the peer device to go
    /// on with the new session. And word of what is gone, for a device that has asked before its identity key was accepted.
    pub repair: Vec<Outgoing>,
}

/// Why no session was started. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The bundle's identity key is not the known one. Ask the user, then [`Client::accept_identity`], then add the
    /// session.
    #[error("the device's identity key has changed")]
    IdentityChanged,
    /// The newest roster of its user does not list the device with this identity key: it was removed, or the server has
    /// made it up. Where the user has a new device, [fetch the roster](crate::client::Task::FetchRoster).
    #[error("the device is not one of its user's")]
    NotListed,
    /// The bundle cannot be used: as [`InitiateError`] says.
    #[error(transparent)]
    Bundle(#[from] InitiateError),
    /// The account was wiped.
    #[error("there is no account")]
    NoAccount,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl Client {
    /// Starts a session with a device from its bundle, unless there is one to send with; and asks the device for what of it
    /// could not be read. Which of the two, and when, docs/protocol.md says in a table.
    ///
    /// # Errors
    ///
    /// [`AddError`], when it is staged.
    ///
    /// # Security
    ///
    /// The bundle says whose it is: compare [`Bundle::address`] with the device that was asked for. The first identity
    /// key is taken as it comes; users who compare safety numbers find out whether it was the right one.
    ///
    /// # Examples
    ///
    /// Adding a session and sending in one transaction:
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (alice, db, now, mut rng) = (account("alice").0, account("alice").1, NOW, rng());
    /// # let (alice, db) = account("alice");
    /// # let (bob, bob_db) = account("bob");
    /// # let bundle = published(&bob, &bob_db);
    /// let added = alice.add_session(&bundle.verify()?).stage(&db, now, &mut rng)?;
    /// let sent = alice.send(MessageId::new([1; 16]), bob.address(), b"hi").stage(&added.over(&db), now, &mut rng)?;
    /// let (added, sent) = added.and(sent)?.commit(|batch, _| db.write(batch))?;
    /// assert!(added.started);
    /// # assert!(!sent.repeated);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_session(&self, bundle: &Bundle) -> Operation<Added, AddError> {
        let (core, bundle) = (self.core.clone(), bundle.clone());
        let asked = bundle.parts().to_bytes();
        Operation::new("add_session", move |work| core.add_session(work, &bundle)).asked(&[&asked])
    }
}

fn from_stored(stop: Stop<StoredError>) -> Stop<AddError> {
    stop.map(AddError::from)
}

impl Core {
    pub(super) fn add_session(&self, work: &mut Workspace<'_>, bundle: &Bundle) -> Result<Added, Stop<AddError>> {
        add(self, work, bundle)
    }
}

fn add(core: &Core, work: &mut Workspace<'_>, bundle: &Bundle) -> Result<Added, Stop<AddError>> {
    let address = bundle.address();
    let page = core.page_key(core.page_of(address));
    work.announce([core.device_key(), page, core.peer_key(RecordKind::Archive, address)]);
    work.announce([core.peer_key(RecordKind::Pin, address)]);
    work.announce(core.wish_keys(address));
    core.announce_people(work, address.user());
    let peer = core.load_pinned(work, address).map_err(from_stored)?;
    let may_ask = core.may_be_added(work, bundle)?;
    let device = core.load_device(work).map_err(from_stored)?.ok_or(AddError::NoAccount)?;
    let identity = if peer.is_some() { IdentityStatus::Known } else { IdentityStatus::First };
    let mut peer = match peer {
        None => Peer::new(core, Session::without_state(&device, address, bundle.identity_key(), false)),
        Some(peer) if peer.session.remote_identity() == bundle.identity_key() => peer,
        Some(_) => return Err(AddError::IdentityChanged.into()),
    };
    let mut wishes = Wishes::load(core, work, address).map_err(from_stored)?;
    // While the user has another key to decide upon, nothing is asked for, and the wish stays.
    let untrusted = peer.untrusted;
    #[cfg(test)]
    let untrusted = untrusted && !planted::is(Defect::AsksUndecided);
    let unread = if untrusted || !may_ask { Unread::Nothing } else { wishes.unread_in(peer.session.current_name()) };
    let action = action(sending(&peer, bundle, work), unread, wishes.spent(), work.now);
    if action == Action::Start {
        peer.session.restart(&device, bundle, work.now, &mut work.rng).map_err(AddError::from)?;
    }
    // Whatever the bundle was wanted for, it has come.
    let was_wanted = core::mem::take(&mut wishes.bundle);
    let mut repair = Vec::new();
    if action != Action::Nothing && unread != Unread::Nothing {
        if peer.session.suite() == Some(Suite::V1) {
            repair = ask(core, work, &mut peer, &mut wishes)?;
        } else {
            // Suite `Signal` has no such message: there the host tells its peer.
            wishes.give_up();
        }
    }
    wishes.spend(action == Action::Start && unread != Unread::Nothing, repair.len(), work.now);
    if !peer.untrusted && may_ask {
        let unheard = wishes.take_unheard();
        repair.extend(core.say_gone(work, &mut peer, &unheard).map_err(from_stored)?);
    }
    let stand = Stand::of(Some(&peer), work.now);
    if peer.is_new() && bundle.suite() == Suite::V1 {
        core.note_met_alone(work, address).map_err(from_stored)?;
    }
    if action != Action::Nothing || !repair.is_empty() {
        peer.save(core, work).map_err(from_stored)?;
    }
    if action != Action::Nothing || was_wanted || !repair.is_empty() {
        wishes.save(core, work, stand).map_err(from_stored)?;
    }
    Ok(Added { started: action == Action::Start, identity, repair })
}

impl Core {
    /// Whether a device may have a session, by the roster of its user; whether it may be asked for anything.
    fn may_be_added(&self, work: &mut Workspace<'_>, bundle: &Bundle) -> Result<bool, Stop<AddError>> {
        let (user, device) = (bundle.address().user(), bundle.address().device());
        let Some(account) = self.load_published(work).map_err(from_stored)? else { return Ok(true) };
        let may_ask = account.may_send().is_ok();
        if user == self.address.user() {
            let is_listed = account.roster.lists(device, bundle.identity_key());
            return if is_listed { Ok(may_ask) } else { Err(AddError::NotListed.into()) };
        }
        let Some(user) = self.load_user(work, user).map_err(from_stored)? else { return Ok(may_ask) };
        if user.changed.as_ref().is_some_and(|roster| roster.lists(device, bundle.identity_key())) {
            return Err(AddError::IdentityChanged.into());
        }
        let is_listed = user.held.is_none() || user.lists(device, bundle.identity_key());
        if is_listed { Ok(may_ask && user.may_be_sent_to().is_ok()) } else { Err(AddError::NotListed.into()) }
    }
}

/// What there is to send with, as this bundle shows it.
fn sending(peer: &Peer, bundle: &Bundle, work: &Workspace<'_>) -> Sending {
    match Stand::of(Some(peer), work.now) {
        Stand::Known { sending: Sending::Pending { since, .. }, .. } => {
            Sending::Pending { same_bundle: peer.session.is_pending_of(bundle), since }
        }
        Stand::Known { sending, .. } => sending,
        Stand::Stranger | Stand::Untrusted if peer.session.can_send(work.now) => Sending::Answered,
        Stand::Stranger | Stand::Untrusted => Sending::Nothing,
    }
}

/// Questions for what could not be read.
fn ask(
    core: &Core,
    work: &mut Workspace<'_>,
    peer: &mut Peer,
    wishes: &mut Wishes,
) -> Result<Vec<Outgoing>, Stop<AddError>> {
    let most = QUESTION * wishes.spent().questions_left(work.now);
    let names = wishes.ask(peer.session.current_name(), work.now, most);
    let way = Way::to(core, &peer.address);
    let questions = names.chunks(QUESTION).map(|names| {
        let items: Vec<u8> = names.iter().flat_map(|(name, id)| id.iter().chain(name.as_bytes()).copied()).collect();
        let question = peer.encrypt(core, work, &Outward::repair_request(&items), None, None);
        let sealed = question.map_err(|stop| {
            stop.map(|error| match error {
                SendError::Stored(error) => AddError::Stored(error),
                _ => AddError::Bundle(InitiateError::BadKey),
            })
        })?;
        Ok(way.outgoing(sealed))
    });
    questions.collect()
}
