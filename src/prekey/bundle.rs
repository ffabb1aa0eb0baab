use alloc::vec::Vec;

use super::signed::{Kind, signed_bytes};
use crate::crypto::{KemPublicKey, PeerKey, PublicKey, Signature, Verifier};
use crate::ident::{Address, PrekeyId, RegistrationId, Timestamp};
use crate::suite::{Suite, Suites};
use crate::wire::{
    RecordError, RecordKind, address_from_record, address_to_record, decode_record, encode_record, record,
};

/// Longest encoded bundle: two public keys and signatures, with room to spare.
const MAX_LEN: usize = 4096;

/// Why a bundle is not used. Nothing was changed; ask the server for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The bytes are not a bundle.
    #[error("malformed bundle")]
    Malformed,
    /// A newer version of this library wrote it. Update.
    #[error("bundle has the newer schema version {0}")]
    Newer(u16),
    /// The identity key did not sign the signed prekey: somebody swapped it. Do not write to this device before the
    /// matter is cleared up.
    #[error("signature of the signed prekey does not verify")]
    BadPrekeySignature,
    /// The identity key did not sign the KEM prekey.
    #[error("signature of the KEM prekey does not verify")]
    BadKemSignature,
    /// The KEM prekey is of another mechanism than the suite's.
    #[error("KEM prekey is of the wrong kind")]
    WrongKem,
    /// These are the keys of another device than was asked for.
    #[error("bundle is of another device")]
    OtherDevice,
}

/// What a server says are a device's keys, before anything of it was checked.
///
/// The fields are public: a host whose server speaks a format of its own fills them in. [`Self::parse`] reads this
/// library's own format.
///
/// # Examples
///
/// ```
/// # use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
/// # use subrosa::prekey::{Device, KemPrekey, SignedPrekey};
/// use subrosa::{prekey::UnverifiedBundle, suite::Suite};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// # let (now, id) = (Timestamp::new(0), PrekeyId::new(1));
/// # let bob = Device::generate(Address::new(UserId::new("bob")?, DeviceId::new(1)), &mut rng);
/// # let signed = SignedPrekey::generate(&bob, Suite::V1, id, now, &mut rng);
/// # let kem = KemPrekey::last_resort(&bob, Suite::V1, id, now, &mut rng);
/// let published = bob.bundle(&signed, &kem, None).to_bytes();
/// let bundle = UnverifiedBundle::parse(&published)?.verify_for(bob.address())?;
/// assert_eq!(bundle.identity_key(), bob.identity_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedBundle {
    /// The suite that the prekeys are for.
    pub suite: Suite,
    /// Whose keys they are said to be.
    pub address: Address,
    /// The device's registration id.
    pub registration_id: RegistrationId,
    /// The device's identity key.
    pub identity_key: PublicKey,
    /// The signed prekey.
    pub signed_prekey: PublishedPrekey<PublicKey>,
    /// The KEM prekey.
    pub kem_prekey: PublishedPrekey<KemPublicKey>,
    /// Whether the KEM prekey is the last-resort one; suite `Signal` does not say.
    pub kem_is_last_resort: bool,
    /// A one-time prekey, if the server had one left: id and key.
    pub one_time_prekey: Option<(PrekeyId, PublicKey)>,
}

/// A published prekey with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPrekey<K> {
    /// Its id.
    pub id: PrekeyId,
    /// When it was made; suite `Signal` does not say, and signs no date.
    pub created: Timestamp,
    /// The suites that its owner said to speak when it signed it; suite `Signal` signs no such offer.
    pub suites: Suites,
    /// The key.
    pub key: K,
    /// The identity key's signature.
    pub signature: Signature,
}

impl UnverifiedBundle {
    /// Reads this library's own format; at most 4 KiB.
    ///
    /// # Errors
    ///
    /// [`BundleError::Malformed`] or [`BundleError::Newer`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_LEN {
            return Err(BundleError::Malformed);
        }
        let stored: record::Bundle = decode_record(RecordKind::Bundle, bytes).map_err(|error| match error {
            RecordError::Newer(version) => BundleError::Newer(version),
            _ => BundleError::Malformed,
        })?;
        Self::from_record(&stored).ok_or(BundleError::Malformed)
    }

    fn from_record(stored: &record::Bundle) -> Option<Self> {
        let one_time_prekey = match (stored.one_time_prekey_id, &stored.one_time_prekey) {
            (Some(id), Some(key)) => Some((PrekeyId::new(id), PublicKey::parse(key).ok()?)),
            (None, None) => None,
            _ => return None,
        };
        let suite = Suite::from_number(stored.suite)?;
        let suites = |bits| Suites::from_bits(bits).filter(|suites| suites.contains(suite));
        Some(Self {
            suite,
            address: address_from_record(stored.address.as_ref()).ok()?,
            registration_id: RegistrationId::new(stored.registration_id),
            identity_key: PublicKey::parse(&stored.identity_key).ok()?,
            signed_prekey: PublishedPrekey {
                id: PrekeyId::new(stored.signed_prekey_id),
                created: Timestamp::new(stored.signed_prekey_created),
                suites: suites(stored.signed_prekey_suites)?,
                key: PublicKey::parse(&stored.signed_prekey).ok()?,
                signature: stored.signed_prekey_signature.as_slice().try_into().ok()?,
            },
            kem_prekey: PublishedPrekey {
                id: PrekeyId::new(stored.kem_prekey_id),
                created: Timestamp::new(stored.kem_prekey_created),
                suites: suites(stored.kem_prekey_suites)?,
                key: KemPublicKey::parse(&stored.kem_prekey).ok()?,
                signature: stored.kem_prekey_signature.as_slice().try_into().ok()?,
            },
            kem_is_last_resort: stored.kem_prekey_last_resort,
            one_time_prekey,
        })
    }

    /// Writes this library's own format, about 1.9 kB.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (signed, kem) = (&self.signed_prekey, &self.kem_prekey);
        let stored = record::Bundle {
            suite: self.suite.number(),
            address: Some(address_to_record(&self.address)),
            registration_id: self.registration_id.get(),
            identity_key: self.identity_key.to_bytes().to_vec(),
            signed_prekey_id: signed.id.get(),
            signed_prekey: signed.key.to_bytes().to_vec(),
            signed_prekey_signature: signed.signature.to_vec(),
            kem_prekey_id: kem.id.get(),
            kem_prekey: kem.key.to_bytes(),
            kem_prekey_signature: kem.signature.to_vec(),
            one_time_prekey_id: self.one_time_prekey.map(|(id, _)| id.get()),
            one_time_prekey: self.one_time_prekey.map(|(_, key)| key.to_bytes().to_vec()),
            signed_prekey_created: signed.created.get(),
            kem_prekey_created: kem.created.get(),
            kem_prekey_last_resort: self.kem_is_last_resort,
            kem_prekey_suites: kem.suites.bits().into(),
            signed_prekey_suites: signed.suites.bits().into(),
        };
        let bytes = encode_record(RecordKind::Bundle, &stored).to_vec();
        debug_assert!(bytes.len() <= MAX_LEN, "a bundle has a bounded size");
        bytes
    }

    /// Checks that these are keys of the device that was asked for, and both signatures: now the identity key vouches for the
    /// prekeys.
    ///
    /// # Errors
    ///
    /// [`BundleError::OtherDevice`], and those of [`Self::verify`].
    ///
    /// # Security
    ///
    /// See [`Self::verify`]: the signatures say that the keys belong together, not whose they are.
    pub fn verify_for(self, device: &Address) -> Result<Bundle, BundleError> {
        if self.address == *device { self.verify() } else { Err(BundleError::OtherDevice) }
    }

    /// Checks both signatures: now the identity key vouches for the prekeys. Whose keys they are said to be is for the caller
    /// to compare, or use [`Self::verify_for`].
    ///
    /// # Errors
    ///
    /// [`BundleError::BadPrekeySignature`], [`BundleError::BadKemSignature`], [`BundleError::WrongKem`].
    ///
    /// # Security
    ///
    /// Whether the identity key is the right person's is not known by this: compare safety numbers, or pin the key.
    pub fn verify(self) -> Result<Bundle, BundleError> {
        // Before any signature is verified.
        if self.kem_prekey.key.algorithm() != self.suite.kem() {
            return Err(BundleError::WrongKem);
        }
        let mut verifier = Verifier::new(&self.identity_key);
        verify_signed(&mut verifier, self.suite, &self.signed_prekey)?;
        verify_kem(&mut verifier, self.suite, self.kem_is_last_resort, &self.kem_prekey)?;
        Ok(Bundle { identity: verifier.into_peer_key(), published: self })
    }
}

/// Whether the verifier's key has signed a signed prekey.
pub(super) fn verify_signed(
    verifier: &mut Verifier,
    suite: Suite,
    prekey: &PublishedPrekey<PublicKey>,
) -> Result<(), BundleError> {
    let PublishedPrekey { id, created, suites, key, signature } = prekey;
    let message = signed_bytes(suite, Kind::Signed, *id, *created, *suites, &key.to_bytes());
    verifier.verify(&message, signature).map_err(|_| BundleError::BadPrekeySignature)
}

/// Whether the verifier's key has signed a KEM prekey, and as one of this kind.
pub(super) fn verify_kem(
    verifier: &mut Verifier,
    suite: Suite,
    last_resort: bool,
    prekey: &PublishedPrekey<KemPublicKey>,
) -> Result<(), BundleError> {
    let PublishedPrekey { id, created, suites, key, signature } = prekey;
    if key.algorithm() != suite.kem() {
        return Err(BundleError::WrongKem);
    }
    let kind = if last_resort { Kind::LastResortKem } else { Kind::OneTimeKem };
    let message = signed_bytes(suite, kind, *id, *created, *suites, &key.to_bytes());
    verifier.verify(&message, signature).map_err(|_| BundleError::BadKemSignature)
}

/// A device's keys, signed by its identity key: what a session is started with.
///
/// # Examples
///
/// See [`UnverifiedBundle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    published: UnverifiedBundle,
    /// Lifted for the signatures, it serves the agreement with it as well.
    identity: PeerKey,
}

impl Bundle {
    /// The suite that the prekeys are for.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.published.suite
    }

    /// The suites that the device speaks, as its signed prekey says. In suite V1 the identity key vouches for it; in
    /// suite `Signal` nothing does.
    #[must_use]
    pub const fn suites(&self) -> Suites {
        self.published.signed_prekey.suites
    }

    /// Whose keys they are.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.published.address
    }

    /// The device's identity key.
    #[must_use]
    pub const fn identity_key(&self) -> &PublicKey {
        &self.published.identity_key
    }

    /// Everything in it.
    pub(crate) const fn parts(&self) -> &UnverifiedBundle {
        &self.published
    }

    /// The device's identity key, ready for agreements.
    pub(crate) const fn identity(&self) -> &PeerKey {
        &self.identity
    }
}
