use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use super::keys::{FROM_NEW, FROM_PRIMARY, LinkDigits, LinkError, LinkKeys, Qr, is_over, read_consent};
use crate::account::device::RosterDevice;
use crate::account::keys::AccountKey;
use crate::account::roster::Roster;
use crate::crypto::{KeyPair, PublicKey, committing_open, committing_seal};
use crate::ident::{DeviceId, Timestamp, UserId};
use crate::wire::{MAX_LINK_MESSAGE_LEN, ProvisionParts};

/// An offer that the primary scanned.
pub struct ScannedOffer(Qr);

impl ScannedOffer {
    /// Reads what a QR code holds.
    ///
    /// # Errors
    ///
    /// [`LinkError::NoOffer`].
    pub fn parse(qr: &[u8]) -> Result<Self, LinkError> {
        Qr::parse(qr).map(Self)
    }

    /// The new device's identity key. Refuse one that was removed from the account before.
    #[must_use]
    pub const fn identity_key(&self) -> &PublicKey {
        &self.0.identity_key
    }

    /// The name of the mailbox at the server: 16 bytes.
    #[must_use]
    pub fn mailbox(&self) -> [u8; 16] {
        self.0.mailbox()
    }

    /// Answers it, as the primary of a roster: what waits for the digits, and the message for the mailbox. Draws 32 bytes, and 32
    /// for the seal.
    ///
    /// # Errors
    ///
    /// [`LinkError::Listed`], [`LinkError::NoId`], [`LinkError::NoOffer`].
    pub fn answer(
        self,
        roster: &Roster,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(PendingLink, Vec<u8>), LinkError> {
        if roster.devices().iter().any(|device| device.identity_key() == self.identity_key()) {
            return Err(LinkError::Listed);
        }
        let device = roster.next_device().ok_or(LinkError::NoId)?;
        let e = KeyPair::generate(rng);
        let shared = e.agree(&self.0.one_use).map_err(|_| LinkError::NoOffer)?;
        let keys = LinkKeys::derive(&self.0, &shared, e.public());
        let account = *roster.account_key();
        let parts = ProvisionParts {
            user: roster.user().as_str(),
            device: device.get(),
            account_key: account.to_bytes(),
            roster: roster.as_bytes(),
        };
        let mut message = Vec::from([FROM_PRIMARY]);
        message.extend_from_slice(&e.public().to_bytes());
        let (key, place) = keys.provision();
        committing_seal(&mut message, key, &place, &parts.to_bytes(), rng);
        let pending = PendingLink {
            digits: keys.digits(&account),
            keys,
            identity_key: self.0.identity_key,
            device,
            user: roster.user().clone(),
            account,
            begun: now,
        };
        Ok((pending, message))
    }
}

/// A link that the primary has answered, and that waits for the new device's consent and for the digits.
#[must_use = "a link is completed"]
pub struct PendingLink {
    keys: LinkKeys,
    digits: LinkDigits,
    identity_key: PublicKey,
    device: DeviceId,
    user: UserId,
    account: AccountKey,
    begun: Timestamp,
}

impl PendingLink {
    /// The id that the new device is given.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// The new device's identity key.
    #[must_use]
    pub const fn identity_key(&self) -> &PublicKey {
        &self.identity_key
    }

    /// Takes the new device's message and the digits that the person typed: its entry for the next roster.
    ///
    /// # Errors
    ///
    /// [`LinkError`]; the link is over then, whatever it is.
    ///
    /// # Security
    ///
    /// There is one try. With more, whoever answered the new device in the primary's place guesses.
    pub fn complete(self, message: &[u8], digits: &str, now: Timestamp) -> Result<RosterDevice, LinkError> {
        if is_over(self.begun, now) {
            return Err(LinkError::Expired);
        }
        if !self.digits.are(digits) {
            return Err(LinkError::WrongDigits);
        }
        let [FROM_NEW, sealed @ ..] = message else { return Err(LinkError::NotAuthentic) };
        if sealed.len() > MAX_LINK_MESSAGE_LEN {
            return Err(LinkError::NotAuthentic);
        }
        let (key, place) = self.keys.consent();
        let opened = committing_open(key, &place, sealed).map_err(|_| LinkError::NotAuthentic)?;
        let device = read_consent(&opened, self.device, self.identity_key)?;
        device.verify(&self.user, &self.account).map_err(|_| LinkError::Consent)?;
        Ok(device)
    }
}

impl fmt::Debug for ScannedOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScannedOffer").field("identity_key", self.identity_key()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PendingLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLink").field("device", &self.device).finish_non_exhaustive()
    }
}
