use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::keys::{ConsentSeal, FROM_PRIMARY, LinkDigits, LinkError, LinkKeys, Qr, is_over};
use crate::account::device::RosterDevice;
use crate::account::keys::AccountKey;
use crate::account::roster::{Roster, UnverifiedRoster};
use crate::crypto::{KeyPair, PublicKey, Secret};
use crate::ident::{DeviceId, Timestamp, UserId};
use crate::suite::Suites;
use crate::wire::{
    FieldReader, FieldWriter, ProvisionParts, RecordError, RecordKind, WireError, read_key_pair, write_key_pair,
};

/// What a new device shows: it lives ten minutes, and until it is answered.
///
/// # Examples
///
/// A phone takes a laptop into its account:
///
/// ```
/// use subrosa::account::{AccountKeyPair, LinkOffer, Roster, RosterDevice, ScannedOffer};
/// use subrosa::{crypto::KeyPair, ident::{DeviceId, Timestamp, UserId}, suite::Suites};
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (alice, now) = (UserId::new("alice")?, Timestamp::new(1_800_000_000_000));
/// let (account, phone) = (AccountKeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
/// let phone = RosterDevice::consent(&alice, DeviceId::new(1), Suites::V1, account.public(), &phone, &mut rng);
/// let roster = Roster::first(&alice, phone, None, now).sign(&account)?;
///
/// let mut offer = LinkOffer::new(now, &mut rng);
/// // The phone scans the laptop's screen, and answers into the offer's mailbox.
/// let (pending, answer) = ScannedOffer::parse(&offer.qr())?.answer(&roster, now, &mut rng)?;
/// // The laptop shows whose account it is, and six digits.
/// let linked = offer.open(&answer, now)?;
/// assert_eq!(linked.user(), &alice);
/// let (_, consent) = linked.consent(Suites::V1, &mut rng);
/// // The person types them into the phone.
/// let laptop = pending.complete(&consent, linked.digits().as_str(), now)?;
/// let roster = roster.next(now).link(laptop).sign(&account)?;
/// assert!(roster.lists(DeviceId::new(2), linked.identity().public()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LinkOffer {
    identity: KeyPair,
    one_use: KeyPair,
    secret: Secret<32>,
    made: Timestamp,
    is_answered: bool,
}

impl LinkOffer {
    /// Makes an offer: draws 32 bytes for the identity key pair, 32 for the one-use pair, 32 for the secret.
    #[must_use]
    pub fn new(now: Timestamp, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let (identity, one_use) = (KeyPair::generate(rng), KeyPair::generate(rng));
        Self { identity, one_use, secret: Secret::random(rng), made: now, is_answered: false }
    }

    /// What the QR code holds: 113 bytes.
    ///
    /// # Security
    ///
    /// A secret, for whoever stands in front of the screen. Nothing but the screen gets it.
    #[must_use]
    pub fn qr(&self) -> Zeroizing<Vec<u8>> {
        self.parts().to_bytes()
    }

    /// The name of the mailbox at the server through which messages come: 16 bytes.
    #[must_use]
    pub fn mailbox(&self) -> [u8; 16] {
        self.parts().mailbox()
    }

    /// Opens the answer.
    ///
    /// # Errors
    ///
    /// [`LinkError`]. After [`LinkError::NotAuthentic`] and [`LinkError::Expired`] the offer is as it was; what opened has used
    /// it up.
    pub fn open(&mut self, message: &[u8], now: Timestamp) -> Result<Provisioned, LinkError> {
        if self.is_answered {
            return Err(LinkError::Answered);
        }
        if is_over(self.made, now) {
            return Err(LinkError::Expired);
        }
        let [FROM_PRIMARY, rest @ ..] = message else { return Err(LinkError::NotAuthentic) };
        let (e, sealed) = rest.split_first_chunk::<33>().ok_or(LinkError::NotAuthentic)?;
        let e = PublicKey::parse(e).map_err(|_| LinkError::NotAuthentic)?;
        let shared = self.one_use.agree(&e).map_err(|_| LinkError::NotAuthentic)?;
        let keys = LinkKeys::derive(&self.parts(), shared, &e);
        let opened = keys.open_provision(sealed)?;
        self.is_answered = true;
        let parts = ProvisionParts::parse(&opened)?;
        let user = UserId::new(parts.user).map_err(|_| WireError::Field)?;
        let account = AccountKey::parse(&parts.account_key)?;
        let roster = UnverifiedRoster::parse(parts.roster)?.verify(&user)?;
        if *roster.account_key() != account || roster.is_from_future(now) {
            return Err(LinkError::OtherRoster);
        }
        let device = DeviceId::new(parts.device);
        if device <= roster.last_device() {
            return Err(LinkError::NoId);
        }
        if roster.devices().iter().any(|listed| listed.identity_key() == self.identity.public()) {
            return Err(LinkError::Listed);
        }
        let (digits, seal) = keys.finish(&self.parts(), &account);
        Ok(Provisioned { seal, digits, identity: self.identity.clone(), device, roster })
    }

    /// The stored form, unsealed, while the offer lives.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { identity, one_use, secret, made, is_answered } = self;
        let mut out = FieldWriter::record(RecordKind::LinkOffer, 200);
        write_key_pair(&mut out, 1, identity);
        write_key_pair(&mut out, 2, one_use);
        out.number(3, made.get());
        out.number(4, *is_answered);
        out.some_bytes(5, secret.expose());
        out.finish().into()
    }

    /// Takes the stored form.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::LinkOffer, bytes)?;
        let (identity, one_use) = (read_key_pair(&mut fields, 1)?, read_key_pair(&mut fields, 2)?);
        let (made, is_answered) = (Timestamp::new(fields.number(3)?), fields.flag(4)?);
        let secret = Secret::new(*fields.some_array(5)?);
        fields.end()?;
        Ok(Self { identity, one_use, secret, made, is_answered })
    }

    fn parts(&self) -> Qr {
        Qr { identity_key: *self.identity.public(), one_use: *self.one_use.public(), secret: self.secret.clone() }
    }
}

/// What a new device was told, and what it shows: [`Self::user`] and [`Self::digits`].
///
/// # Security
///
/// Until the account's next roster lists it, it may be in the hands of whoever photographed its screen. Show whose account it is,
/// before the digits.
#[derive(Clone)]
pub struct Provisioned {
    seal: ConsentSeal,
    digits: LinkDigits,
    identity: KeyPair,
    device: DeviceId,
    roster: Roster,
}

impl Provisioned {
    /// Whose device it is to become.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        self.roster.user()
    }

    /// Under which id.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// The account's roster, without this device.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The device's identity key, from the offer.
    #[must_use]
    pub const fn identity(&self) -> &KeyPair {
        &self.identity
    }

    /// What the person types into the primary.
    #[must_use]
    pub const fn digits(&self) -> &LinkDigits {
        &self.digits
    }

    /// Consents: its entry of the next roster, and the message for the primary. Draws 64 bytes, and 32 for the seal.
    #[must_use]
    pub fn consent(&self, suites: Suites, rng: &mut (impl CryptoRng + ?Sized)) -> (RosterDevice, Vec<u8>) {
        let account = self.roster.account_key();
        let device = RosterDevice::consent(self.user(), self.device, suites, account, &self.identity, rng);
        let message = self.sealed(&device, rng);
        (device, message)
    }

    /// What is sent of a consent.
    pub(in crate::account) fn sealed(&self, device: &RosterDevice, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        self.seal.seal(device, rng)
    }
}

impl fmt::Debug for LinkOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkOffer").field("is_answered", &self.is_answered).finish_non_exhaustive()
    }
}

impl fmt::Debug for Provisioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provisioned").field("device", &self.device).finish_non_exhaustive()
    }
}
