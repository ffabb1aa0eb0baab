use alloc::boxed::Box;

use crate::client::Client;
use crate::client::repair::Stand;
use crate::crypto::PublicKey;
use crate::ident::Address;
use crate::rows::{Archive, Core, Peer, Wishes, erase, erase_skipped};
use crate::session::Session;
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::wire::RecordKind;

/// What is to be thought of a peer device's identity key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityStatus {
    /// It is the one that is known.
    Known,
    /// It was seen for the first time, and is known from now on.
    First,
    /// It is not the one that is known: this one is. Ask the user, then [`Client::accept_identity`] or
    /// [`Client::refuse_identity`]. Until then nothing is sent to the device.
    Changed(PublicKey),
}

/// Why an identity key was not accepted. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Nothing is known of the device.
    #[error("device is unknown")]
    UnknownDevice,
    /// The account was wiped.
    #[error("there is no account")]
    NoAccount,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

type Halt = Stop<IdentityError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(IdentityError::from)
}

impl Client {
    /// Accepts a peer device's other identity key: it is the known one from now on. Sessions under the former one are
    /// deleted; a session that was received under this one becomes the current one.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], when it is staged.
    ///
    /// # Security
    ///
    /// Pass the key that the user has seen or compared ([`IdentityStatus::changed_key`]), not whichever is newest.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// # let device = subrosa::prekey::Device::generate(bob.address().clone(), &mut rng);
    /// # let new_key = device.identity_key();
    /// alice.accept_identity(bob.address(), new_key).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// // The old session is gone: a new one needs a bundle.
    /// assert!(alice.send(MessageId::new([1; 16]), bob.address(), b"hi").stage(&db, now, &mut rng).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn accept_identity(&self, address: &Address, key: &PublicKey) -> Operation<(), IdentityError> {
        let (core, address, key) = (self.core.clone(), address.clone(), *key);
        Operation::new("accept_identity", move |work| {
            let peer = load(&core, work, &address)?;
            core.accept_key(work, peer, &key)
        })
    }

    /// Refuses another identity key of a peer device: what was received under it is deleted, and the known session goes
    /// on.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// alice.refuse_identity(bob.address()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(alice.send(MessageId::new([1; 16]), bob.address(), b"hi").stage(&db, now, &mut rng).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn refuse_identity(&self, address: &Address) -> Operation<(), IdentityError> {
        let (core, address) = (self.core.clone(), address.clone());
        Operation::new("refuse_identity", move |work| {
            work.announce(core.wish_keys(&address));
            let peer = load(&core, work, &address)?;
            core.refuse_key(work, peer)
        })
    }
}

impl Core {
    /// From now on a device is known by this key.
    pub(super) fn accept_key(
        &self,
        work: &mut Workspace<'_>,
        mut peer: Box<Peer>,
        key: &PublicKey,
    ) -> Result<(), Halt> {
        let address = peer.address.clone();
        let (untrusted, archive) = (RecordKind::UntrustedSession, RecordKind::Archive);
        work.announce([self.device_key(), self.peer_key(untrusted, &address), self.peer_key(archive, &address)]);
        work.announce([RecordKind::Pin, RecordKind::SentIndex].map(|kind| self.peer_key(kind, &address)));
        work.announce(self.wish_keys(&address));
        let device = self.load_device(work).map_err(from_stored)?.ok_or(IdentityError::NoAccount)?;
        if peer.session.remote_identity() == key {
            return self.refuse_key(work, peer);
        }
        let untrusted = self.load_untrusted(work, &address).map_err(from_stored)?;
        erase_untrusted(self, work, &mut peer)?;
        let mut wishes = Wishes::load(self, work, &address).map_err(from_stored)?;
        let session = match untrusted {
            Some(untrusted) if untrusted.remote_identity() == key => untrusted,
            // A device that was seen with the better suite is given nothing weaker, under whichever key.
            _ => {
                wishes.take_unheard();
                Session::without_state(&device, &address, key, peer.session.has_seen_v1())
            }
        };
        peer.replace(self, work, session).map_err(from_stored)?;
        // Whatever was asked for under the former key was not heard. Who has another one may not have it: it says so.
        wishes.begin_anew();
        settle(self, work, &address, &wishes)
    }

    /// Goes on with the known key.
    pub(super) fn refuse_key(&self, work: &mut Workspace<'_>, mut peer: Box<Peer>) -> Result<(), Halt> {
        if peer.untrusted {
            erase_untrusted(self, work, &mut peer)?;
            let address = peer.address.clone();
            peer.save(self, work).map_err(from_stored)?;
            let mut wishes = Wishes::load(self, work, &address).map_err(from_stored)?;
            wishes.take_unheard();
            settle(self, work, &address, &wishes)?;
        }
        Ok(())
    }
}

/// Says what is wanted of a device that the user has decided upon.
fn settle(core: &Core, work: &mut Workspace<'_>, address: &Address, wishes: &Wishes) -> Result<(), Halt> {
    let peer = load(core, work, address)?;
    wishes.save(core, work, Stand::of(Some(&peer), work.now)).map_err(from_stored)
}

fn load(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<Box<Peer>, Halt> {
    Ok(core.load_peer(work, address).map_err(from_stored)?.ok_or(IdentityError::UnknownDevice)?)
}

/// Deletes the untrusted session, whether its record opens or not.
fn erase_untrusted(core: &Core, work: &mut Workspace<'_>, peer: &mut Peer) -> Result<(), Halt> {
    let key = core.peer_key(RecordKind::UntrustedSession, &peer.address);
    if work.row::<IdentityError>(key)?.is_some() {
        work.delete(key);
    }
    peer.untrusted = false;
    Ok(())
}

impl Peer {
    /// Puts another session in the place of all that are here.
    fn replace(
        mut self: Box<Self>,
        core: &Core,
        work: &mut Workspace<'_>,
        session: Session,
    ) -> Result<(), Stop<StoredError>> {
        let archive = Archive::load(core, work, &self.address)?;
        let mut names = archive.names();
        names.extend(self.names());
        let log = self.log_keys(core, work)?;
        work.announce(log);
        for kind in [RecordKind::Archived, RecordKind::SkippedKeys] {
            work.announce(session.names().iter().map(|name| core.session_key(kind, &self.address, *name)));
            work.announce(names.iter().map(|name| core.session_key(kind, &self.address, *name)));
        }
        erase_skipped(core, work, &self.address, &names)?;
        for name in names {
            erase(core, work, RecordKind::Archived, &self.address, name)?;
        }
        // What was sent was sealed to the former key: nobody gets it who asks under this one.
        self.drop_log(core, work)?;
        Archive::default().save(core, work, &self.address)?;
        core.pin(work, &self.address, session.remote_identity())?;
        self.with_session(core, session).save(core, work)
    }
}
