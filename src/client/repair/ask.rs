use super::stand::Stand;
use crate::client::Client;
use crate::ident::{Address, MessageName};
use crate::rows::{MAX_UNREAD, Wishes};
use crate::staging::{Operation, Stop, StoredError};

/// Why nothing was asked for. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// More than 512 at a time. The newest matter most.
    #[error("too many messages are asked for")]
    TooMany,
    /// It is this device.
    #[error("a device cannot ask itself")]
    OwnDevice,
    /// Nothing is known of the device, and messages of enough such ones are waited for. Add a session with it.
    #[error("too many devices that are not known")]
    TooManyStrangers,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl Client {
    /// Asks a device for messages that could not be read, for a host that decides by hand, or once more: as many as three
    /// times each, with the next session or in the one that there is. Its bundle is [to be fetched](super::Task::FetchBundle):
    /// now, or when the device has been heard in a session that was just started.
    ///
    /// # Errors
    ///
    /// [`AskError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::ident::MessageName;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, bob, bob_db: db, now, mut rng, .. } = talking();
    /// let name = MessageName::new([7; 32]); // of an `Unreadable`
    /// bob.ask_again(alice.address(), &[name]).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let tasks = bob.todo().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(tasks.contains(&Task::FetchBundle(alice.address().clone())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn ask_again(&self, address: &Address, names: &[MessageName]) -> Operation<(), AskError> {
        let (core, address) = (self.core.clone(), address.clone());
        // A longer list is refused: it is not kept.
        let names = (names.len() <= MAX_UNREAD).then(|| names.to_vec());
        Operation::new("ask_again", move |work| {
            let from_stored = |stop: Stop<StoredError>| stop.map(AskError::from);
            let names = names.as_ref().ok_or(AskError::TooMany)?;
            if address == core.address {
                return Err(AskError::OwnDevice.into());
            }
            work.announce(core.wish_keys(&address));
            let peer = core.load_peer(work, &address).map_err(from_stored)?;
            let mut wishes = Wishes::load(&core, work, &address).map_err(from_stored)?;
            if peer.is_none() && !wishes.has_unread() && !core.takes_stranger(work).map_err(from_stored)? {
                return Err(AskError::TooManyStrangers.into());
            }
            for name in names {
                wishes.ask_anew(*name, work.now);
            }
            if !names.is_empty() {
                wishes.save(&core, work, Stand::of(peer.as_deref(), work.now)).map_err(from_stored)?;
            }
            Ok(())
        })
    }

    /// Takes a wish back: a bundle that cannot be had, or that was refused. What could not be read of the device is not
    /// asked for any more. See [`Client::todo`].
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
    /// alice.reset(bob.address()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// alice.withdraw_wish(bob.address()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let tasks = alice.todo().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(!tasks.contains(&Task::FetchBundle(bob.address().clone())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn withdraw_wish(&self, address: &Address) -> Operation<(), StoredError> {
        let (core, address) = (self.core.clone(), address.clone());
        Operation::new("withdraw_wish", move |work| {
            work.announce(core.wish_keys(&address));
            let peer = core.load_peer(work, &address)?;
            let mut wishes = Wishes::load(&core, work, &address)?;
            if wishes.bundle || wishes.has_unread() {
                wishes.bundle = false;
                wishes.give_up();
                wishes.save(&core, work, Stand::of(peer.as_deref(), work.now))?;
            }
            Ok(())
        })
    }
}
