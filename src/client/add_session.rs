use super::asked::Asked;
use super::identity::Identity;
use super::peer::Peer;
use super::wants::Wants;
use super::workspace::{Stop, Workspace};
use super::{Client, Core, Operation, Outgoing, SendError, StoredError};
use crate::prekey::Bundle;
use crate::session::{InitiateError, Session};
use crate::suite::Suite;
use crate::wire::{Outward, RecordKind};

/// A session that was started, or was there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Added {
    /// Whether a session was started. One that can be sent with is not replaced, unless there are messages of the device
    /// that could not be read: [reset](Client::reset) it first.
    pub started: bool,
    /// What is to be thought of the identity key: known, or seen for the first time.
    pub identity: Identity,
    /// A request for messages that could not be read, for the host's outbox: it also tells the peer device to go on with
    /// the new session. It names what was asked for before as well, since the device may have forgotten it.
    pub repair: Option<Outgoing>,
}

/// Why no session was started. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The bundle's identity key is not the known one. Ask the user, then [`Client::accept_identity`], then add the
    /// session.
    #[error("the device's identity key has changed")]
    IdentityChanged,
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
    /// Starts a session with a device from its bundle, unless there is one to send with.
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
        Operation::new(move |work| add(&core, work, &bundle))
    }
}

fn from_stored(stop: Stop<StoredError>) -> Stop<AddError> {
    stop.map(AddError::from)
}

fn add(core: &Core, work: &mut Workspace<'_>, bundle: &Bundle) -> Result<Added, Stop<AddError>> {
    let address = bundle.address();
    let page = core.page_key(core.page_of(address));
    let archive = core.peer_key(RecordKind::Archive, address);
    work.announce([core.device_key(), super::wants::key(core), Asked::key(core, address), page, archive]);
    work.announce([core.peer_key(RecordKind::Pin, address)]);
    let peer = core.load_pinned(work, address).map_err(from_stored)?;
    let device = core.load_device(work).map_err(from_stored)?.ok_or(AddError::NoAccount)?;
    let identity = if peer.is_some() { Identity::Known } else { Identity::First };
    let mut peer = match peer {
        None => Peer::new(core, Session::without_state(&device, address, bundle.identity_key(), false)),
        Some(peer) if peer.session.remote_identity() == bundle.identity_key() => peer,
        Some(_) => return Err(AddError::IdentityChanged.into()),
    };
    let mut wants = Wants::load(core, work).map_err(from_stored)?;
    let mut asked = Asked::load(core, work, address).map_err(from_stored)?;
    // While the user has another key to decide upon, nothing is asked for, and the wish stays.
    let unread = if peer.parked { None } else { wants.take(address) };
    // With an unread message the session is no proof that the two still understand each other: only a new one is, unless
    // the peer has yet to see the one that was started here.
    let lost = unread.as_ref().is_some_and(|unread| !unread.is_empty());
    let started = !peer.session.can_send(work.now) || lost && !peer.session.is_unanswered();
    if started {
        peer.session.restart(&device, bundle, work.now, &mut work.rng).map_err(AddError::from)?;
    }
    let wanted = unread.is_some();
    if wanted {
        wants.save(core, work).map_err(from_stored)?;
    }
    // Suite `Signal` has no such message: there the host tells its peer.
    let mut repair = None;
    if !peer.parked && (wanted || started) && peer.session.suite() == Some(Suite::V1) {
        asked.extend(unread.unwrap_or_default(), work.now);
        if wanted && started || !asked.is_empty() {
            let request = peer.encrypt(core, work, &Outward::repair_request(&asked.hashes()), None);
            let request = request.map_err(|stop| {
                stop.map(|error| match error {
                    SendError::Stored(error) => AddError::Stored(error),
                    _ => AddError::Bundle(InitiateError::BadKey),
                })
            })?;
            repair = Some(core.outgoing(request));
        }
        if lost {
            asked.save(core, work);
        }
    }
    if started || repair.is_some() {
        peer.save(core, work).map_err(from_stored)?;
    }
    Ok(Added { started, identity, repair })
}
