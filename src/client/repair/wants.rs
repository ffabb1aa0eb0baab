use alloc::vec::Vec;

use crate::client::Client;
use crate::ident::{Address, MessageId, MessageName};
use crate::rows::{MAX_UNREAD, Stand, Wishes};
use crate::staging::{Operation, Stop, StoredError};

/// Something that the host is to bring. Kept durably until the operation that consumes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Want {
    /// This device's bundle, for [`Client::add_session`]: its messages could not be read, or its session can send no more.
    Bundle(Address),
    /// A message that the device asks for, since it could not read it: [`Client::resend`] with what the host's own table holds
    /// under this id, or [`Client::gone`] if it is not there any more.
    Resend {
        /// Who asks. It is the device that the message was sent to.
        address: Address,
        /// Which message.
        message_id: MessageId,
    },
    /// Prekeys are to be uploaded: [`Client::publish_prekeys`] gives them.
    UploadPrekeys,
}

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
    /// What the host is to bring from the network, or from its own tables. Changes nothing.
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
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// for want in alice.wants().stage(&db, now, &mut rng)?.committed() {
    ///     match want {
    ///         Want::Bundle(address) => { /* fetch it, then `add_session` */ }
    ///         Want::Resend { address, message_id } => { /* look it up, then `resend` or `gone` */ }
    ///         Want::UploadPrekeys => { /* `publish_prekeys` */ }
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn wants(&self) -> Operation<Vec<Want>, StoredError> {
        let core = self.core.clone();
        Operation::new("wants", move |work| {
            work.announce([core.prekeys_key()]);
            let pages = core.wish_pages(work)?;
            work.announce(pages.iter().map(|page| core.wish_page_key(*page)));
            work.ready()?;
            let (mut wants, mut asking) = (Vec::new(), Vec::new());
            for page in pages {
                for wish in core.load_wishes(work, page)? {
                    let due = wish.is_due(work.now).then(|| Want::Bundle(wish.address.clone()));
                    wants.extend(due);
                    asking.extend(wish.resend.then_some(wish.address));
                }
            }
            work.announce(asking.iter().map(|address| Wishes::key(&core, address)));
            work.ready()?;
            for address in asking {
                let wishes = Wishes::load(&core, work, &address)?;
                let resend = |message_id| Want::Resend { address: address.clone(), message_id };
                wants.extend(wishes.to_resend(work.now).map(resend));
            }
            let upload = core.load_prekeys(work)?.is_pending(&core, work.now);
            wants.extend(upload.then_some(Want::UploadPrekeys));
            Ok(wants)
        })
    }

    /// Asks a device for messages that could not be read, for a host that decides by hand, or once more: as many as three
    /// times each, with the next session or in the one that there is. Its bundle is [wanted](Want::Bundle): now, or when the device
    /// has been heard in a session that was just started.
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
    /// bob.ask_again(alice.address(), &[name]).stage(&db, now, &mut rng)?.commit(|batch, ()| db.write(batch))?;
    /// let wants = bob.wants().stage(&db, now, &mut rng)?.committed();
    /// assert!(wants.contains(&Want::Bundle(alice.address().clone())));
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
    /// asked for any more. See [`Client::wants`].
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
    /// alice.reset(bob.address()).stage(&db, now, &mut rng)?.commit(|batch, ()| db.write(batch))?;
    /// alice.unwant(bob.address()).stage(&db, now, &mut rng)?.commit(|batch, ()| db.write(batch))?;
    /// let wants = alice.wants().stage(&db, now, &mut rng)?.committed();
    /// assert!(!wants.contains(&Want::Bundle(bob.address().clone())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn unwant(&self, address: &Address) -> Operation<(), StoredError> {
        let (core, address) = (self.core.clone(), address.clone());
        Operation::new("unwant", move |work| {
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
