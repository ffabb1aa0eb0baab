//! The account's key goes to another device, which signs from then on.

use super::roster::OwnRosterError;
use crate::account::AccountKeyPair;
use crate::client::Client;
use crate::client::messages::{Outgoing, Place, SendError};
use crate::crypto::Secret;
use crate::ident::{Address, DeviceId, MessageId};
use crate::rows::Core;
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::wire::{Outward, Provisioning};

/// Why nothing was handed over. Nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// It is this device.
    #[error("this device is the primary already")]
    OwnDevice,
    /// What stands in the way in one's own account.
    #[error(transparent)]
    Own(#[from] OwnRosterError),
    /// It cannot be sent: as [`SendError`] says. Of [`SendError::NoSession`] fetch the device's bundle first.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Client {
    /// On the primary: gives the account's key to another of one's own devices, which becomes the primary. What is given goes
    /// into the outbox.
    ///
    /// It takes three steps. The other device receives the key
    /// ([`Received::HandedOver`](crate::client::Received::HandedOver)), signs a roster in which it is the primary, and publishes it
    /// ([`Task::PublishRoster`](crate::client::Task::PublishRoster)). When this device hears of that roster it deletes its own
    /// copy of the key. Until then it is the primary, so that nothing is lost where the other one is.
    ///
    /// # Errors
    ///
    /// [`HandOverError`], when it is staged.
    ///
    /// # Security
    ///
    /// Whoever holds the key is the account. It goes in a session between two devices that the roster lists, is in no log, and is never
    /// sent a second time.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, db), now, mut rng) = (person("alice"), NOW, rng());
    /// let unknown = alice.hand_over(DeviceId::new(7)).stage(&db, now, &mut rng);
    /// assert!(matches!(unknown, Err(StageError::Operation(HandOverError::Own(OwnRosterError::UnknownDevice)))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn hand_over(&self, device: DeviceId) -> Operation<Outgoing, HandOverError> {
        let core = self.core.clone();
        let to = Address::new(core.address.user().clone(), device);
        let place = Place::new(&core, MessageId::new([0; 16]), &to);
        Operation::new("hand_over", move |work| {
            if to == core.address {
                return Err(HandOverError::OwnDevice.into());
            }
            work.announce([place.peer]);
            let (account, secret) = core.as_primary(work).map_err(|stop| stop.map(HandOverError::from))?;
            let roster = account.roster().ok_or(HandOverError::Own(OwnRosterError::Pending))?;
            if account.pending.is_some() {
                return Err(HandOverError::Own(OwnRosterError::Pending).into());
            }
            if roster.device(to.device()).is_none() {
                return Err(HandOverError::Own(OwnRosterError::UnknownDevice).into());
            }
            let from_stored = |stop: Stop<StoredError>| stop.map(|error| HandOverError::Send(error.into()));
            let peer = core.load_peer_at(work, &to, place.peer).map_err(from_stored)?;
            let mut peer = peer.ok_or(HandOverError::Send(SendError::NoSession))?;
            let handed = Provisioning { seed: secret.seed().clone(), wrap: None };
            let message = Outward::provisioning(&handed.to_bytes());
            // In suite `Signal` there is no such content.
            if peer.session.suite() == Some(crate::suite::Suite::Signal) {
                return Err(HandOverError::Send(SendError::NoSession).into());
            }
            let sealed =
                peer.encrypt(&core, work, &message, None, None).map_err(|stop| stop.map(HandOverError::from))?;
            peer.save(&core, work).map_err(from_stored)?;
            Ok(place.way.outgoing(sealed))
        })
    }
}

impl Core {
    /// Takes the account's key from the primary, and signs a roster in which this device is the primary. `false` if it is not the
    /// primary's to give.
    pub(in crate::client) fn take_over(
        &self,
        work: &mut Workspace<'_>,
        from: &Address,
        content: &[u8],
    ) -> Result<bool, Stop<StoredError>> {
        work.announce([self.account_key(), self.account_secret_key()]);
        let Ok(Provisioning { seed, wrap: _ }) = Provisioning::parse(content) else { return Ok(false) };
        let pair = AccountKeyPair::new(Secret::new(*seed.expose()));
        let Some(mut account) = self.load_account(work)? else { return Ok(false) };
        let own = self.address.device();
        let Some(roster) = account.roster() else { return Ok(false) };
        if roster.primary() != from.device() || roster.account_key() != pair.public() || roster.device(own).is_none() {
            return Ok(false);
        }
        let Ok(next) = roster.next(work.now).hand_over(own).sign(&pair) else { return Ok(false) };
        account.pending = Some(next);
        self.save_account(work, &account);
        self.save_account_secret(work, &pair)?;
        Ok(true)
    }

    /// Another device signs from now on: this one's copy of the key is deleted.
    pub(super) fn let_go(&self, work: &mut Workspace<'_>) -> Result<(), Stop<StoredError>> {
        work.remove(self.account_secret_key())
    }
}
