//! Questions about what is known: operations that change nothing and have nothing to commit.

use alloc::vec::Vec;

use crate::client::Client;
use crate::crypto::PublicKey;
use crate::ident::{Address, Timestamp, UserId};
use crate::rows::Core;
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::wire::RecordKind;

/// What is known of a peer device, see [`Client::peer`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerDevice {
    /// Which device.
    pub address: Address,
    /// The identity key that it is known by: the one that people compare.
    pub identity_key: PublicKey,
    /// When the session was made that is sent with; `None` if there is none to send with: add one.
    pub sends_since: Option<Timestamp>,
    /// Whether it has shown another identity key, and the user has not decided: nothing is sent to it until
    /// [`Client::accept_identity`] or [`Client::refuse_identity`].
    pub awaits_decision: bool,
    /// That other key: as the last message under it has shown it, also after a rollback. `None` where the row that had it is
    /// lost: then go on with the known key, by [`Client::refuse_identity`]; whoever comes under another one is asked about
    /// anew.
    pub changed_key: Option<PublicKey>,
}

impl Client {
    /// One's own identity key, which people compare; `None` if the account was wiped.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db, bob, bob_db, now, mut rng, .. } = talking();
    /// let own = bob.identity_key().run(&bob_db, now, &mut rng, |_, _| Ok(()))?;
    /// let known = alice.peer(bob.address()).run(&alice_db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!(known.map(|peer| peer.identity_key), own);
    /// # Ok(())
    /// # }
    /// ```
    pub fn identity_key(&self) -> Operation<Option<PublicKey>, StoredError> {
        let core = self.core.clone();
        Operation::new("identity_key", move |work| Ok(core.load_device(work)?.map(|device| *device.identity_key())))
    }

    /// What is known of a device: its identity key, whether there is a session to send with, whether the user has another key
    /// to decide upon, and which. `None` if nothing is known; of a device that [was forgotten](Self::forget_device) the key
    /// still is.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// let peer = alice.peer(bob.address()).run(&db, now, &mut rng, |_, _| Ok(()))?.expect("is known");
    /// assert!(peer.sends_since.is_some());
    /// if let Some(key) = peer.changed_key { /* ask the user about it */ }
    /// # Ok(())
    /// # }
    /// ```
    pub fn peer(&self, address: &Address) -> Operation<Option<PeerDevice>, StoredError> {
        let (core, address) = (self.core.clone(), address.clone());
        Operation::new("peer", move |work| {
            let kinds = [RecordKind::Peer, RecordKind::UntrustedSession, RecordKind::Pin];
            work.announce(kinds.map(|kind| core.peer_key(kind, &address)));
            let pin = core.load_pin(work, &address)?;
            let Some(peer) = core.read_peer(work, &address, core.peer_key(RecordKind::Peer, &address))? else {
                return Ok(pin.map(|identity_key| PeerDevice {
                    address: address.clone(),
                    identity_key,
                    sends_since: None,
                    awaits_decision: false,
                    changed_key: None,
                }));
            };
            let identity_key = *peer.session.remote_identity();
            let changed_key = match core.untrusted_identity(work, &address)? {
                _ if !peer.untrusted => None,
                Some(key) => Some(key),
                // The device's row is one of before, that was put back: it was decided in the meantime, for this key.
                None => pin.filter(|pin| *pin != identity_key),
            };
            let (sends_since, awaits_decision) = (peer.session.sends_since(work.now), peer.untrusted);
            Ok(Some(PeerDevice { address: address.clone(), identity_key, sends_since, awaits_decision, changed_key }))
        })
    }

    /// The peer devices of one of [`Self::PAGES`] parts of the index, ascending; all parts have all devices, each once.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// let mut peers = Vec::new();
    /// for page in 0..=255 {
    ///     peers.extend(alice.peers(page).run(&db, now, &mut rng, |_, _| Ok(()))?);
    /// }
    /// assert_eq!(peers, [bob.address().clone()]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn peers(&self, page: u8) -> Operation<Vec<Address>, StoredError> {
        let core = self.core.clone();
        Operation::new("peers", move |work| core.load_page(work, page))
    }

    /// The devices of a user that are known, ascending. It loads the whole index, 256 rows: a host that asks often keeps the
    /// answer.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// let devices = alice.devices_of(bob.address().user()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!(devices, [bob.address().clone()]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn devices_of(&self, user: &UserId) -> Operation<Vec<Address>, StoredError> {
        let (core, user) = (self.core.clone(), user.clone());
        Operation::new("devices_of", move |work| core.known_devices(work, &user))
    }
}

impl Core {
    /// The devices of a user that are known, ascending.
    pub(in crate::client) fn known_devices(
        &self,
        work: &mut Workspace<'_>,
        user: &UserId,
    ) -> Result<Vec<Address>, Stop<StoredError>> {
        work.announce((0..=u8::MAX).map(|page| self.page_key(page)));
        work.ready()?;
        let mut devices = Vec::new();
        for page in 0..=u8::MAX {
            devices.extend(self.load_page(work, page)?.into_iter().filter(|address| address.user() == user));
        }
        devices.sort_unstable();
        Ok(devices)
    }
}
