use crate::client::Client;
use crate::client::repair::Stand;
use crate::ident::Address;
use crate::rows::Wishes;
use crate::staging::{Operation, Stop, StoredError};

/// Why no session was reset. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// Nothing is known of the device.
    #[error("device is unknown")]
    UnknownDevice,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl Client {
    /// Archives the session with a peer device: late messages of it are still read, and nothing more is sent with it. Its
    /// bundle is [wanted](crate::client::Task::FetchBundle), and a new session is started with [`Client::add_session`].
    ///
    /// # Errors
    ///
    /// [`ResetError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, bob, now, mut rng, .. } = talking();
    /// alice.reset(bob.address()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let tasks = alice.todo().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(tasks.contains(&Task::FetchBundle(bob.address().clone())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset(&self, address: &Address) -> Operation<(), ResetError> {
        let (core, address) = (self.core.clone(), address.clone());
        Operation::new("reset", move |work| {
            let from_stored = |stop: Stop<StoredError>| stop.map(ResetError::from);
            work.announce(core.wish_keys(&address));
            let peer = core.load_peer(work, &address).map_err(from_stored)?;
            let mut peer = peer.ok_or(ResetError::UnknownDevice)?;
            peer.session.archive();
            let mut wishes = Wishes::load(&core, work, &address).map_err(from_stored)?;
            wishes.begin_again();
            wishes.bundle = true;
            let stand = Stand::of(Some(&peer), work.now);
            peer.save(&core, work).map_err(from_stored)?;
            wishes.save(&core, work, stand).map_err(from_stored)
        })
    }
}
