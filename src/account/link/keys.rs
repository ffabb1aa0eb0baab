use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::account::device::RosterDevice;
use crate::account::keys::AccountKey;
use crate::account::roster::RosterError;
use crate::crypto::{
    PublicKey, PublicKeyError, Secret, SecretBytes, Signature, committing_open, committing_seal, constant_time_eq,
    hkdf, sha256,
};
use crate::ident::{DeviceId, Timestamp};
use crate::suite::Suites;
use crate::wire::{MAX_LINK_MESSAGE_LEN, WireError};

const LABEL_QR: &[u8] = b"\x0esubrosa/1/link";
const LABEL_MAILBOX: &[u8] = b"\x16subrosa/1/link-mailbox";
const LABEL_KEY: &[u8] = b"\x12subrosa/1/link-key";
const LABEL_CHECK: &[u8] = b"\x14subrosa/1/link-check";
const LABEL_PROVISION: &[u8] = b"\x18subrosa/1/link-provision";
const LABEL_CONSENT: &[u8] = b"\x16subrosa/1/link-consent";

/// The first byte of what the primary sends.
pub(super) const FROM_PRIMARY: u8 = 1;
/// The first byte of what the new device sends.
const FROM_NEW: u8 = 2;

/// How long an offer lives.
const LIFE: u64 = 10 * 60_000;

/// Bytes of a QR code.
const QR_LEN: usize = LABEL_QR.len() + 33 + 33 + 32;

/// Why a link does not come about. It ends with any of these, unless the variant says otherwise; begin with a new offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// What was scanned is no offer.
    #[error("what was scanned offers no device")]
    NoOffer,
    /// More than ten minutes have passed.
    #[error("offer is older than ten minutes")]
    Expired,
    /// The offer was answered already.
    #[error("offer was answered already")]
    Answered,
    /// The message is not sealed for this offer: of another one, altered, or garbage. It changed nothing at the new device, which
    /// waits on.
    #[error("message is not of this link")]
    NotAuthentic,
    /// What was sealed is malformed.
    #[error("message of the link is malformed")]
    Malformed(#[from] WireError),
    /// The roster does not verify.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The roster is of another account key than the answer names, or from the future.
    #[error("roster is not the one of the account")]
    OtherRoster,
    /// The identity key stands in the roster already.
    #[error("device is in the roster already")]
    Listed,
    /// The id that the device is given was given away before, or none is left.
    #[error("there is no id for the device")]
    NoId,
    /// The digits are not those that the new device shows: somebody else answered it, or they were mistyped.
    #[error("digits are not those that the new device shows")]
    WrongDigits,
    /// The device has consented to something else: another account, another id.
    #[error("device has not consented to this account")]
    Consent,
}

impl From<PublicKeyError> for LinkError {
    fn from(error: PublicKeyError) -> Self {
        Self::Malformed(error.into())
    }
}

/// Six digits that the new device shows and a person types into the primary.
///
/// # Security
///
/// The primary never shows them: whoever photographed the QR code, and sees both screens, could search for an answer that gives
/// the same.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkDigits([u8; 6]);

impl LinkDigits {
    pub(super) fn of(mut number: u64) -> Self {
        let mut digits = [0; 6];
        for digit in digits.iter_mut().rev() {
            let [low, ..] = (number % 10).to_le_bytes();
            *digit = b'0' + low;
            number /= 10;
        }
        Self(digits)
    }

    /// As they are shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 6] {
        &self.0
    }

    /// `None` if they are no digits.
    pub(super) fn from_bytes(digits: [u8; 6]) -> Option<Self> {
        digits.iter().all(u8::is_ascii_digit).then_some(Self(digits))
    }

    pub(super) fn are(&self, typed: &str) -> bool {
        constant_time_eq(&self.0, typed.as_bytes())
    }
}

impl fmt::Debug for LinkDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkDigits(..)")
    }
}

/// What stands in a QR code.
pub(super) struct Qr {
    pub(super) identity_key: PublicKey,
    pub(super) one_use: PublicKey,
    pub(super) secret: Secret<32>,
}

impl Qr {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, LinkError> {
        let rest = bytes.strip_prefix(LABEL_QR).ok_or(LinkError::NoOffer)?;
        let (identity_key, rest) = rest.split_first_chunk::<33>().ok_or(LinkError::NoOffer)?;
        let (one_use, secret) = rest.split_first_chunk::<33>().ok_or(LinkError::NoOffer)?;
        Ok(Self {
            identity_key: PublicKey::parse(identity_key).map_err(|_| LinkError::NoOffer)?,
            one_use: PublicKey::parse(one_use).map_err(|_| LinkError::NoOffer)?,
            secret: Secret::from_slice(secret).ok_or(LinkError::NoOffer)?,
        })
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(QR_LEN));
        out.extend_from_slice(LABEL_QR);
        out.extend_from_slice(&self.identity_key.to_bytes());
        out.extend_from_slice(&self.one_use.to_bytes());
        out.extend_from_slice(self.secret.expose());
        out
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        sha256(&[&self.to_bytes()])
    }

    pub(super) fn mailbox(&self) -> [u8; 16] {
        sha256(&[LABEL_MAILBOX, &self.to_bytes()]).first_chunk().copied().unwrap_or_default()
    }
}

/// What both sides derive of an agreement, and need but for a moment.
pub(super) struct LinkKeys {
    provision: Secret<32>,
    seal: ConsentSeal,
    shared: Secret<32>,
    e: [u8; 33],
}

/// What the consent is sealed under.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ConsentSeal {
    pub(super) key: Secret<32>,
    /// Of the QR code.
    pub(super) hash: [u8; 32],
}

impl LinkKeys {
    pub(super) fn derive(qr: &Qr, shared: Secret<32>, e: &PublicKey) -> Self {
        let (hash, e) = (qr.hash(), e.to_bytes());
        let [provision, key] = hkdf::<64>(qr.secret.expose(), shared.expose(), &[LABEL_KEY, &hash, &e]).split2();
        Self { provision, seal: ConsentSeal { key, hash }, shared, e }
    }

    /// Seals what the primary sends, behind what is in the message already.
    pub(super) fn seal_provision(&self, message: &mut Vec<u8>, plain: &[u8], rng: &mut (impl CryptoRng + ?Sized)) {
        committing_seal(message, &self.provision, &[LABEL_PROVISION, &self.seal.hash].concat(), plain, rng);
    }

    pub(super) fn open_provision(&self, sealed: &[u8]) -> Result<SecretBytes, LinkError> {
        open(&self.provision, &[LABEL_PROVISION, &self.seal.hash].concat(), sealed)
    }

    /// The digits, which hang on the account key: an answer for another account gives others. And what is needed on.
    pub(super) fn finish(self, qr: &Qr, account: &AccountKey) -> (LinkDigits, ConsentSeal) {
        let info: [&[u8]; 4] = [LABEL_CHECK, &self.seal.hash, &self.e, &account.to_bytes()];
        let number: Secret<8> = hkdf(qr.secret.expose(), self.shared.expose(), &info);
        (LinkDigits::of(u64::from_be_bytes(*number.expose()) % 1_000_000), self.seal)
    }
}

impl ConsentSeal {
    /// The message of a new device: suites and signature, sealed.
    pub(super) fn seal(&self, device: &RosterDevice, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        let suites = u32::from(device.suites().bits()).to_be_bytes();
        let mut message = Vec::from([FROM_NEW]);
        let plain = [&suites[..], device.signature()].concat();
        committing_seal(&mut message, &self.key, &[LABEL_CONSENT, &self.hash].concat(), &plain, rng);
        message
    }

    pub(super) fn open(
        &self,
        message: &[u8],
        id: DeviceId,
        identity_key: PublicKey,
    ) -> Result<RosterDevice, LinkError> {
        let [FROM_NEW, sealed @ ..] = message else { return Err(LinkError::NotAuthentic) };
        let opened = open(&self.key, &[LABEL_CONSENT, &self.hash].concat(), sealed)?;
        let (suites, consent) = opened.split_first_chunk::<4>().ok_or(WireError::Field)?;
        let suites = Suites::from_bits(u32::from_be_bytes(*suites)).ok_or(WireError::Field)?;
        let consent: Signature = consent.try_into().map_err(|_| WireError::Field)?;
        Ok(RosterDevice::from_parts(id, identity_key, suites, consent))
    }
}

fn open(key: &Secret<32>, place: &[u8], sealed: &[u8]) -> Result<SecretBytes, LinkError> {
    if sealed.len() > MAX_LINK_MESSAGE_LEN {
        return Err(LinkError::NotAuthentic);
    }
    committing_open(key, place, sealed).map_err(|_| LinkError::NotAuthentic)
}

/// Whether an offer that was made or scanned at a moment is dead.
pub(super) const fn is_over(begun: Timestamp, now: Timestamp) -> bool {
    now.since(begun) > LIFE
}
