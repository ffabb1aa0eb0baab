//! One message to all devices that it is for, in one batch.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::place::Place;
use super::recipient::Recipient;
use super::sent::{SendError, Sent};
use crate::account::Roster;
use crate::client::repair::Stand;
use crate::ident::{Address, MessageId, UserId};
use crate::report::Commitment;
use crate::rows::{Core, Digest, Entry, Peer, Wishes};
use crate::staging::{Stop, StoredError, Workspace};
use crate::wire::{ContactState, Outward};

type Halt = Stop<SendError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(SendError::from)
}

/// A message to somebody: what of it is computed once for an operation, however often it is stepped.
pub(in crate::client) struct Dispatch {
    id: MessageId,
    to: Target,
}

enum Target {
    Device(Box<Place>),
    User(UserId),
}

/// What goes to each device.
pub(in crate::client) struct Parcel {
    pub(in crate::client) message: Arc<Outward>,
    pub(in crate::client) commitment: Option<Commitment>,
    pub(in crate::client) digest: Digest,
}

impl Dispatch {
    pub(in crate::client) fn new(core: &Core, id: MessageId, to: &Recipient) -> Self {
        let to = match to {
            Recipient::Device(address) => Target::Device(Box::new(Place::new(core, id, address))),
            Recipient::User(user) => Target::User(user.clone()),
        };
        Self { id, to }
    }

    pub(in crate::client) const fn user(&self) -> &UserId {
        match &self.to {
            Target::Device(place) => place.to.user(),
            Target::User(user) => user,
        }
    }
}

/// A device that the message is for, and may be sent to.
struct Ready<'a> {
    place: &'a Place,
    peer: Box<Peer>,
}

impl Core {
    /// Sends a message to each device that it is for and whose log does not hold it. What is sent `seal` makes, with the
    /// first of these devices; it is not asked where all have it, which `is_same` says.
    pub(in crate::client) fn fan_out<T: Default>(
        &self,
        work: &mut Workspace<'_>,
        dispatch: &Dispatch,
        is_same: &dyn Fn(&Digest) -> bool,
        seal: impl FnOnce(&mut Workspace<'_>, &mut Peer) -> Result<(Parcel, T), Halt>,
    ) -> Result<(Sent, T), Halt> {
        let mut sent = Sent::new(dispatch.id);
        self.announce_people(work, dispatch.user());
        let places = match &dispatch.to {
            Target::Device(_) => Vec::new(),
            Target::User(user) => self.places(work, user, &mut sent)?,
        };
        let is_user = matches!(dispatch.to, Target::User(_));
        let places = match &dispatch.to {
            Target::Device(place) => core::slice::from_ref(&**place),
            Target::User(_) => &places,
        };
        let (ready, mut had_before) = (self.ready_devices(work, places, is_user, &mut sent)?, false);
        // In one round what all of them need.
        let mut waiting = Vec::with_capacity(ready.len());
        for mut device in ready {
            match device.peer.sent_as(self, work, dispatch.id) {
                Ok(Some(entry)) if !is_same(&entry.digest) => return Err(SendError::IdReused.into()),
                Ok(Some(_)) => had_before = true,
                Ok(None) => match device.peer.make_room(self, work) {
                    Ok(()) => waiting.push(device),
                    Err(Stop::Need) => {}
                    Err(stop) => return Err(from_stored(stop)),
                },
                Err(Stop::Need) => {}
                Err(stop) => return Err(from_stored(stop)),
            }
        }
        work.ready()?;
        let Some(first) = waiting.first_mut() else {
            sent.repeated = had_before && sent.missing.is_empty();
            return Ok((sent, T::default()));
        };
        let (parcel, output) = seal(work, &mut first.peer)?;
        for Ready { place, mut peer } in waiting {
            match self.post(work, place, &mut peer, &parcel, &mut sent) {
                Ok(()) => peer.save(self, work).map_err(from_stored)?,
                Err(Stop::Need) => {}
                Err(stop) => return Err(stop),
            }
        }
        work.ready()?;
        Ok((sent, output))
    }

    /// Encrypts for one device, and enters its log.
    fn post(
        &self,
        work: &mut Workspace<'_>,
        place: &Place,
        peer: &mut Peer,
        parcel: &Parcel,
        sent: &mut Sent,
    ) -> Result<(), Halt> {
        let sealed = peer.encrypt(self, work, &parcel.message, parcel.commitment.as_ref(), Some(place))?;
        peer.sent.enter(&Entry::new(place.id, &sealed.1, parcel.digest, work.now));
        sent.outgoing.push(place.way.outgoing(sealed));
        Ok(())
    }

    /// The devices of a user, as the newest roster lists them. To write to somebody is to accept them.
    fn places(&self, work: &mut Workspace<'_>, user: &UserId, sent: &mut Sent) -> Result<Vec<Place>, Halt> {
        self.announce_people(work, user);
        let account = self.load_published(work).map_err(from_stored)?;
        let account = account.ok_or(SendError::RosterUnpublished)?;
        account.may_send()?;
        if user == self.address.user() {
            return Ok(self.places_of(sent.message_id, user, Some(&account.roster)));
        }
        let known = self.load_user(work, user).map_err(from_stored)?;
        let is_new = known.is_none();
        let mut known = known.unwrap_or_default();
        known.may_be_sent_to()?;
        let places = self.places_of(sent.message_id, user, known.roster());
        let dropped =
            known.dropped.iter().filter(|id| known.roster().is_none_or(|roster| roster.device(**id).is_none()));
        sent.outdated = dropped.map(|id| Address::new(user.clone(), *id)).collect();
        sent.roster_wanted = places.is_empty();
        let wants = sent.roster_wanted && known.wanted.is_none();
        if wants {
            known.want(work.now);
        }
        if is_new || wants || known.contact != ContactState::Accepted {
            known.contact = ContactState::Accepted;
            work.announce(self.user_wish_keys(user));
            self.save_user(work, user, &known).map_err(from_stored)?;
        }
        Ok(places)
    }

    /// The places of the devices of a roster but for this very one, for a message.
    pub(super) fn places_of(&self, id: MessageId, user: &UserId, roster: Option<&Roster>) -> Vec<Place> {
        let devices = roster.into_iter().flat_map(Roster::devices);
        let addresses = devices.map(|device| Address::new(user.clone(), device.id()));
        addresses.filter(|address| *address != self.address).map(|address| Place::new(self, id, &address)).collect()
    }

    /// Those of these devices that there is a session with. Of a user's others the bundle is wanted; a single device has to
    /// have one.
    fn ready_devices<'a>(
        &self,
        work: &mut Workspace<'_>,
        places: &'a [Place],
        is_user: bool,
        sent: &mut Sent,
    ) -> Result<Vec<Ready<'a>>, Halt> {
        work.announce(places.iter().map(|place| place.peer));
        let mut ready = Vec::with_capacity(places.len());
        for place in places {
            match self.load_peer_to_send(work, &place.to, place.peer) {
                Ok(Some(peer)) if !is_user || peer.session.can_send(work.now) => ready.push(Ready { place, peer }),
                Ok(None) if !is_user => return Err(SendError::NoSession.into()),
                Ok(peer) => match self.want_bundle(work, &place.to, peer.as_deref()) {
                    Ok(()) => sent.missing.push(place.to.clone()),
                    Err(Stop::Need) => {}
                    Err(stop) => return Err(from_stored(stop)),
                },
                Err(Stop::Need) => {}
                Err(stop) => return Err(from_stored(stop)),
            }
        }
        work.ready()?;
        Ok(ready)
    }

    /// Notes that the bundle of a listed device is wanted, which is no stranger's.
    fn want_bundle(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
        peer: Option<&Peer>,
    ) -> Result<(), Stop<StoredError>> {
        work.announce(self.wish_keys(address));
        let mut wishes = Wishes::load(self, work, address)?;
        if core::mem::replace(&mut wishes.bundle, true) {
            return Ok(());
        }
        match Stand::of(peer, work.now) {
            Stand::Stranger => wishes.write(self, work, Some(work.now), false),
            stand => wishes.save(self, work, stand),
        }
    }
}
