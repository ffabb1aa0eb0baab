//! Whoever attacks people, with a library of his own; and each attack by name.

#[path = "attacks/accounts.rs"]
mod accounts;
#[path = "attacks/devices.rs"]
mod devices;
#[path = "attacks/envelopes.rs"]
mod envelopes;
#[path = "attacks/links.rs"]
mod links;
#[path = "attacks/own.rs"]
mod own;
#[path = "attacks/rosters.rs"]
mod rosters;

use subrosa::account::{AccountKeyPair, CarriedRoster, HeldRoster, Roster, RosterDevice, Step};
use subrosa::client::*;
use subrosa::crypto::KeyPair;
use subrosa::ident::{Address, DeviceId, RegistrationId, UserId};
use subrosa::prekey::Device as Keys;
use subrosa::session::{Ciphertext, Session};
use subrosa::suite::Suites;
use subrosa::wire::{Content, Envelope, EnvelopeKind, EnvelopeSuite, Payload};

use crate::world::{World, user};

/// A device whose owner keeps to no rule: a session with somebody's device, and whatever is to be said in it.
pub(super) struct Hostile {
    session: Session,
    victim: Address,
}

impl Hostile {
    /// With keys of his own, or stolen ones. The server gives a bundle to whoever asks.
    pub(super) fn new(world: &mut World, keys: &Keys, victim: usize) -> Self {
        let victim = world.address(victim);
        let bundle = world.server.bundle(&victim).unwrap();
        Self { session: Session::initiate(keys, &bundle, world.now, &mut world.rng).unwrap(), victim }
    }

    pub(super) fn envelope(&mut self, world: &mut World, payload: &Payload) -> Envelope {
        let sealed = self.session.encrypt(&payload.to_bytes(), world.now, &mut world.rng).unwrap();
        let (kind, body) = match sealed {
            Ciphertext::First(body) => (EnvelopeKind::First, body),
            Ciphertext::Message(body) => (EnvelopeKind::Message, body),
        };
        let (from, to) = (Some(self.session.local_address().clone()), self.victim.clone());
        let id = world.id().as_bytes().to_owned();
        Envelope { kind, suite: EnvelopeSuite::V1, from, to, id, body, commitment: None, stamp: None }
    }

    /// Says something, and it is delivered.
    pub(super) fn say(&mut self, world: &mut World, payload: &Payload) -> Result<Received, ReceiveError> {
        let envelope = self.envelope(world, payload);
        let at = world.at(&self.victim);
        deliver(world, at, envelope)
    }
}

/// What comes of one envelope, whatever else waits.
pub(super) fn deliver(world: &mut World, at: usize, envelope: Envelope) -> Result<Received, ReceiveError> {
    let address = world.address(at);
    let waits = world.server.mail.insert(address.clone(), vec![envelope]);
    world.receive(at);
    world.server.mail.entry(address).or_default().splice(..0, waits.into_iter().flatten());
    world.devices[at].outcomes.last().unwrap().clone()
}

pub(super) fn text(text: &str) -> Payload {
    Payload::new(Content::App(text.as_bytes().to_vec()))
}

/// The same, with the roster of whoever says it.
pub(super) fn with_roster(said: &str, roster: Vec<u8>) -> Payload {
    Payload { roster: Some(roster), ..text(said) }
}

/// An account in the hands of whoever made it: its key signs whatever he likes.
pub(super) struct Account {
    pub(super) pair: AccountKeyPair,
    pub(super) keys: Keys,
    pub(super) roster: Roster,
}

/// The keys of a device.
pub(super) fn keys(world: &mut World, name: &str, device: u32) -> Keys {
    Keys::generate(Address::new(user(name), DeviceId::new(device)), &mut world.rng)
}

impl Account {
    pub(super) fn new(world: &mut World, name: &str) -> Self {
        let pair = AccountKeyPair::generate(&mut world.rng);
        let (identity, address) = (KeyPair::generate(&mut world.rng), Address::new(user(name), DeviceId::new(1)));
        let entry = RosterDevice::consent(
            address.user(),
            address.device(),
            Suites::V1,
            pair.public(),
            &identity,
            &mut world.rng,
        );
        let roster = Roster::first(address.user(), entry, None, world.now).sign(&pair).unwrap();
        Self { pair, keys: Keys::new(address, identity, RegistrationId::new(9)), roster }
    }

    pub(super) fn user(&self) -> &UserId {
        self.roster.user()
    }

    /// A device of it, with an identity key that somebody has drawn.
    pub(super) fn entry(&self, world: &mut World, id: u32) -> (Keys, RosterDevice) {
        let (id, identity) = (DeviceId::new(id), KeyPair::generate(&mut world.rng));
        let entry = RosterDevice::consent(self.user(), id, Suites::V1, self.pair.public(), &identity, &mut world.rng);
        (Keys::new(Address::new(self.user().clone(), id), identity, RegistrationId::new(9)), entry)
    }

    pub(super) fn carried(&self) -> Vec<u8> {
        carried(&self.roster, Vec::new())
    }

    /// The server takes it for the one of this name.
    pub(super) fn publish(&self, world: &mut World) {
        publish(world, &self.roster);
    }
}

pub(super) fn carried(roster: &Roster, steps: Vec<Step>) -> Vec<u8> {
    CarriedRoster::new(roster, steps).to_bytes()
}

/// A server that gives whatever it likes.
pub(super) fn publish(world: &mut World, roster: &Roster) {
    let held = HeldRoster::first_sight(roster.clone(), world.now).unwrap();
    world.server.rosters.insert(roster.user().clone(), (held, carried(roster, Vec::new())));
}

/// What a device of this user is to be told about another one.
pub(super) fn known(world: &mut World, at: usize, name: &str) -> KnownUser {
    world.run(at, world.devices[at].client.user(&user(name))).unwrap().unwrap()
}

/// What was shown as somebody's whom one knows.
pub(super) fn believed(world: &World, at: usize) -> Vec<String> {
    let is_known = |shown: &&crate::world::Shown| {
        !matches!(shown.user.account, AccountStatus::Changed(_) | AccountStatus::DeviceOnly)
    };
    let shown = world.devices[at].shown.iter().filter(is_known);
    shown.map(|shown| String::from_utf8(shown.text.clone()).unwrap()).collect()
}

/// Whose devices a message goes to.
pub(super) fn goes_to(world: &mut World, at: usize, name: &str) -> Vec<u32> {
    let sent = world.try_send(at, &user(name), b"where does it go?").unwrap();
    world.post(sent.outgoing().iter());
    let mut to: Vec<_> = sent.outgoing().iter().map(Outgoing::to).chain(&sent.missing).collect();
    to.sort();
    to.iter().map(|address| address.device().get()).collect()
}

/// People who know each other write to each other, and all of it arrives.
pub(super) fn goes_on(world: &mut World, from: usize, to: usize) {
    for (from, to) in [(from, to), (to, from)] {
        let (name, said) = (world.address(to).user().clone(), format!("from {from} on day {}", world.now.get()));
        world.write(from, &name, said.as_bytes());
        world.settle();
        let heard = believed(world, to);
        assert_eq!(heard.iter().filter(|heard| **heard == said).count(), 1, "{heard:?}");
        world.now = subrosa::ident::Timestamp::new(world.now.get() + 1);
    }
}
