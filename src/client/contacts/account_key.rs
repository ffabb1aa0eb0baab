use alloc::boxed::Box;
use alloc::vec::Vec;

use super::identity::IdentityError;
use crate::account::{AccountKey, HeldRoster, Roster, RosterDevice};
use crate::client::Client;
use crate::crypto::PublicKey;
use crate::ident::{Address, DeviceId, UserId};
use crate::rows::{Core, Peer, User, Verified};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::wire::RecordKind;

/// Why nothing was decided about a user. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountKeyError {
    /// Nothing is known of the user.
    #[error("user is unknown")]
    UnknownUser,
    /// No such key waits to be decided upon. Look again ([`Client::user`]): the user may have shown another one meanwhile.
    #[error("this account key does not wait for a decision")]
    OtherKey,
    /// The account was wiped.
    #[error("there is no account")]
    NoAccount,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

type Halt = Stop<AccountKeyError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(AccountKeyError::from)
}

fn from_identity(stop: Stop<IdentityError>) -> Halt {
    stop.map(|error| match error {
        IdentityError::UnknownDevice => AccountKeyError::UnknownUser,
        IdentityError::NoAccount => AccountKeyError::NoAccount,
        IdentityError::Stored(error) => AccountKeyError::Stored(error),
    })
}

impl Client {
    /// Accepts another account key of a user: it is the known one from now on, with the devices that it lists. What the former
    /// devices had is deleted; what was verified is not any more.
    ///
    /// # Errors
    ///
    /// [`AccountKeyError`], when it is staged.
    ///
    /// # Security
    ///
    /// Pass the key that the user has seen or compared ([`AccountStatus::Changed`](crate::client::AccountStatus::Changed)), not
    /// whichever is newest.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::account::CarriedRoster;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (now, mut rng) = (NOW, rng());
    /// # let ((alice, db), (bob, bob_db), (new_bob, new_db)) = (person("alice"), person("bob"), person("bob"));
    /// # let head = |bob, db| CarriedRoster::parse(&directory(bob, db)).unwrap();
    /// # let user = bob.address().user().clone();
    /// # alice.add_user(&user, Some(&head(&bob, &bob_db)), &[]).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// // Bob has lost his phone, and begins anew.
    /// let added = alice.add_user(&user, Some(&head(&new_bob, &new_db)), &[]).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// if let AccountStatus::Changed(key) = added.status.account {
    ///     // … Alice is asked, and calls him …
    ///     alice.accept_account_key(&user, &key).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// #   return Ok(());
    /// }
    /// # panic!()
    /// # }
    /// ```
    pub fn accept_account_key(&self, user: &UserId, key: &AccountKey) -> Operation<(), AccountKeyError> {
        let (core, name, key) = (self.core.clone(), user.clone(), *key);
        Operation::new("accept_account_key", move |work| {
            let (mut user, roster) = core.load_changed(work, &name)?;
            if *roster.account_key() != key {
                return Err(AccountKeyError::OtherKey.into());
            }
            let gone = core.gone_devices(work, &name, user.held.as_ref().map(HeldRoster::roster), &roster)?;
            core.drop_keys_of(work, &name, &gone)?;
            user.forget_devices(gone);
            core.decide(work, &name, &roster, |core, work, peer, listed| core.accept_key(work, peer, listed))?;
            user.held = Some(HeldRoster::first(roster));
            (user.changed, user.verified, user.confirmed) = (None, Verified::No, false);
            user.want(work.now);
            core.save_user(work, &name, &user).map_err(from_stored)
        })
    }

    /// Refuses another account key of a user: what was received under it is deleted, and the known one goes on.
    ///
    /// # Errors
    ///
    /// [`AccountKeyError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// let nothing_waits = alice.refuse_account_key(bob.address().user()).stage(&db, now, &mut rng);
    /// assert!(matches!(nothing_waits, Err(StageError::Operation(AccountKeyError::UnknownUser))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn refuse_account_key(&self, user: &UserId) -> Operation<(), AccountKeyError> {
        let (core, name) = (self.core.clone(), user.clone());
        Operation::new("refuse_account_key", move |work| {
            let (mut user, roster) = core.load_changed(work, &name)?;
            core.decide(work, &name, &roster, |core, work, peer, _| core.refuse_key(work, peer))?;
            user.changed = None;
            core.save_user(work, &name, &user).map_err(from_stored)
        })
    }
}

/// What is done with a device, and the key that a roster lists it with.
type Decision = fn(&Core, &mut Workspace<'_>, Box<Peer>, &PublicKey) -> Result<(), Stop<IdentityError>>;

impl Core {
    fn load_changed(&self, work: &mut Workspace<'_>, name: &UserId) -> Result<(User, Roster), Halt> {
        work.announce(self.user_wish_keys(name));
        let mut user = self.load_user(work, name).map_err(from_stored)?.ok_or(AccountKeyError::UnknownUser)?;
        let roster = user.changed.take().ok_or(AccountKeyError::OtherKey)?;
        Ok((user, roster))
    }

    /// Devices that were known under the former key, or without any, and that a roster does not list.
    fn gone_devices(
        &self,
        work: &mut Workspace<'_>,
        name: &UserId,
        old: Option<&Roster>,
        roster: &Roster,
    ) -> Result<Vec<DeviceId>, Halt> {
        let met = self.load_account(work).map_err(from_stored)?.is_some_and(|account| account.met_devices);
        let known = if met { self.known_devices(work, name).map_err(from_stored)? } else { Vec::new() };
        let old = old.into_iter().flat_map(Roster::devices).map(RosterDevice::id);
        let mut gone: Vec<_> = known.iter().map(Address::device).chain(old).collect();
        gone.sort_unstable();
        gone.dedup();
        gone.retain(|id| roster.device(*id).is_none());
        Ok(gone)
    }

    /// Forgets what devices were known by that are not the user's any more. Under another account key their numbers may be
    /// given to others, which are not to be taken for them. What else they leave behind pruning deletes.
    fn drop_keys_of(&self, work: &mut Workspace<'_>, name: &UserId, gone: &[DeviceId]) -> Result<(), Halt> {
        let kinds = [RecordKind::Peer, RecordKind::Pin, RecordKind::UntrustedSession];
        let keys = |id: &DeviceId| kinds.map(|kind| self.peer_key(kind, &Address::new(name.clone(), *id)));
        let keys: Vec<_> = gone.iter().flat_map(keys).collect();
        work.announce(keys.iter().copied());
        work.ready()?;
        for key in keys {
            if work.row::<AccountKeyError>(key)?.is_some() {
                work.delete(key);
            }
        }
        Ok(())
    }

    /// Does something with each device of a roster that is known.
    fn decide(&self, work: &mut Workspace<'_>, name: &UserId, roster: &Roster, act: Decision) -> Result<(), Halt> {
        let devices = roster.devices().iter().map(|device| (Address::new(name.clone(), device.id()), device));
        let devices: Vec<_> = devices.collect();
        for (address, _) in &devices {
            let kinds = [RecordKind::Peer, RecordKind::Pin];
            work.announce(kinds.map(|kind| self.peer_key(kind, address)));
        }
        work.announce([self.device_key()]);
        work.ready()?;
        for (address, device) in devices {
            let Some(peer) = self.load_pinned(work, &address).map_err(from_stored)? else { continue };
            match act(self, work, peer, device.identity_key()) {
                // What others need is asked for in the same round.
                Ok(()) | Err(Stop::Need) => {}
                Err(stop) => return Err(from_identity(stop)),
            }
        }
        work.ready()
    }
}
