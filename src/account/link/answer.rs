use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::keys::{ConsentSeal, FROM_PRIMARY, LinkDigits, LinkError, LinkKeys, Qr, is_over};
use crate::account::device::RosterDevice;
use crate::account::keys::AccountKey;
use crate::account::roster::Roster;
use crate::crypto::{KeyPair, PublicKey, Secret};
use crate::ident::{Address, DeviceId, Timestamp, UserId};
use crate::wire::{
    FieldReader, FieldWriter, ProvisionParts, RecordError, RecordKind, read_address, read_public_key, write_address,
};

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
        let keys = LinkKeys::derive(&self.0, shared, e.public());
        let account = *roster.account_key();
        let parts = ProvisionParts {
            user: roster.user().as_str(),
            device: device.get(),
            account_key: account.to_bytes(),
            roster: roster.as_bytes(),
        };
        let mut message = Vec::from([FROM_PRIMARY]);
        message.extend_from_slice(&e.public().to_bytes());
        keys.seal_provision(&mut message, &parts.to_bytes(), rng);
        let (digits, seal) = keys.finish(&self.0, &account);
        let pending = PendingLink {
            seal,
            digits,
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
    seal: ConsentSeal,
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

    /// Whether its ten minutes are not over.
    #[must_use]
    pub const fn is_open(&self, now: Timestamp) -> bool {
        !is_over(self.begun, now)
    }

    /// The stored form, unsealed, while the link lives.
    ///
    /// # Security
    ///
    /// The digits are in it. Delete it with the first try, before the verdict is told.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { seal, digits, identity_key, device, user, account, begun } = self;
        let mut out = FieldWriter::record(RecordKind::PendingLink, 520);
        write_address(&mut out, 1, &Address::new(user.clone(), *device));
        out.bytes(2, &account.to_bytes());
        out.bytes(3, &identity_key.to_bytes());
        out.bytes(4, &seal.hash);
        out.bytes(5, seal.key.expose());
        out.number(6, begun.get());
        out.some_bytes(7, digits.as_bytes());
        out.finish().into()
    }

    /// Takes the stored form.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::PendingLink, bytes)?;
        let address = read_address(&mut fields, 1)?;
        let account = AccountKey::parse(fields.bytes(2)?).map_err(|_| RecordError::Corrupt)?;
        let identity_key = read_public_key(&mut fields, 3)?;
        let hash = *fields.array(4)?;
        let seal = ConsentSeal { hash, key: Secret::new(*fields.array(5)?) };
        let begun = Timestamp::new(fields.number(6)?);
        let digits = LinkDigits::from_bytes(*fields.some_array(7)?).ok_or(RecordError::Corrupt)?;
        fields.end()?;
        let (user, device) = (address.user().clone(), address.device());
        Ok(Self { seal, digits, identity_key, device, user, account, begun })
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
        let device = self.seal.open(message, self.device, self.identity_key)?;
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
