use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::signed::{Kind, signed_bytes};
use super::{Device, PublishedPrekey, SeenBaseKeys};
use crate::crypto::{KemKeyPair, KemPublicKey, KemSecretKey, KeyPair, PublicKey, Signature};
use crate::ident::{PrekeyId, Timestamp};
use crate::suite::{Suite, Suites};
use crate::wire::{
    FieldReader, FieldWriter, KEY_PAIR_CAPACITY, RecordError, RecordKind, read_key_pair, write_key_pair,
};

fn suite(number: u32) -> Result<Suite, RecordError> {
    Suite::from_number(number).ok_or(RecordError::Corrupt)
}

/// A signed X25519 prekey: the responder's half of every handshake, and its first ratchet key.
///
/// # Examples
///
/// ```
/// # use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
/// use subrosa::{prekey::{Device, SignedPrekey}, suite::Suite};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// # let bob = Device::generate(Address::new(UserId::new("bob")?, DeviceId::new(1)), &mut rng);
/// let prekey = SignedPrekey::generate(&bob, Suite::V1, PrekeyId::new(1), Timestamp::new(0), &mut rng);
/// assert_eq!(SignedPrekey::from_bytes(&prekey.to_bytes())?, prekey);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPrekey {
    suite: Suite,
    id: PrekeyId,
    created: Timestamp,
    suites: Suites,
    pair: KeyPair,
    signature: Signature,
}

impl SignedPrekey {
    /// Draws and signs one.
    #[must_use]
    pub fn generate(
        device: &Device,
        suite: Suite,
        id: PrekeyId,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let pair = KeyPair::generate(rng);
        Self::from_parts(device, suite, id, now, pair, rng)
    }

    /// Signs a key pair that exists already.
    #[must_use]
    pub fn from_parts(
        device: &Device,
        suite: Suite,
        id: PrekeyId,
        created: Timestamp,
        pair: KeyPair,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let suites = device.suites();
        let message = signed_bytes(suite, Kind::Signed, id, created, suites, &pair.public().to_bytes());
        Self { suite, id, created, suites, signature: device.sign(&message, rng), pair }
    }

    /// The same key under the same id, with another date and what the device speaks now.
    #[must_use]
    pub fn refreshed(&self, device: &Device, now: Timestamp, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_parts(device, self.suite, self.id, now, self.pair.clone(), rng)
    }

    /// The suite it is for.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> PrekeyId {
        self.id
    }

    /// When it was made.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// The suites that its owner offered when it signed it.
    #[must_use]
    pub const fn suites(&self) -> Suites {
        self.suites
    }

    /// Its public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        self.pair.public()
    }

    /// The identity key's signature over it (docs/protocol.md).
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The stored form, unsealed.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { suite, id, created, suites, pair, signature } = self;
        let mut out = FieldWriter::record(RecordKind::SignedPrekey, KEY_PAIR_CAPACITY + 100);
        out.number(1, suite.number());
        out.number(2, id.get());
        out.number(3, created.get());
        write_key_pair(&mut out, 4, pair);
        out.number(5, suites.bits());
        out.bytes(6, signature);
        out.finish().into()
    }

    /// Takes the stored form.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::SignedPrekey, bytes)?;
        let (suite, id) = (suite(fields.small(1)?)?, PrekeyId::new(fields.small(2)?));
        let created = Timestamp::new(fields.number(3)?);
        let pair = read_key_pair(&mut fields, 4)?;
        let suites = Suites::from_bits(fields.small(5)?).ok_or(RecordError::Corrupt)?;
        let signature = *fields.array(6)?;
        fields.end()?;
        Ok(Self { suite, id, created, suites, pair, signature })
    }

    /// The public half, as it is published.
    #[must_use]
    pub const fn published(&self) -> PublishedPrekey<PublicKey> {
        let Self { suite: _, id, created, suites, pair, signature } = self;
        PublishedPrekey { id: *id, created: *created, suites: *suites, key: *pair.public(), signature: *signature }
    }

    pub(crate) const fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

/// A one-time X25519 prekey: used for one session, then deleted with the batch that stores the session.
///
/// # Examples
///
/// ```
/// use subrosa::{ident::PrekeyId, prekey::OneTimePrekey, suite::Suite};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let prekey = OneTimePrekey::generate(Suite::V1, PrekeyId::new(7), &mut rng);
/// assert_eq!(OneTimePrekey::from_bytes(&prekey.to_bytes())?, prekey);
/// # Ok::<(), subrosa::wire::RecordError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimePrekey {
    suite: Suite,
    id: PrekeyId,
    pair: KeyPair,
}

impl OneTimePrekey {
    /// Draws one.
    #[must_use]
    pub fn generate(suite: Suite, id: PrekeyId, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_parts(suite, id, KeyPair::generate(rng))
    }

    /// Takes a key pair that exists already.
    #[must_use]
    pub const fn from_parts(suite: Suite, id: PrekeyId, pair: KeyPair) -> Self {
        Self { suite, id, pair }
    }

    /// The suite it is for.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> PrekeyId {
        self.id
    }

    /// Its public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        self.pair.public()
    }

    /// The stored form, unsealed.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { suite, id, pair } = self;
        let mut out = FieldWriter::record(RecordKind::OneTimePrekey, KEY_PAIR_CAPACITY + 8);
        out.number(1, suite.number());
        out.number(2, id.get());
        write_key_pair(&mut out, 3, pair);
        out.finish().into()
    }

    /// Takes the stored form.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::OneTimePrekey, bytes)?;
        let (suite, id) = (suite(fields.small(1)?)?, PrekeyId::new(fields.small(2)?));
        let pair = read_key_pair(&mut fields, 3)?;
        fields.end()?;
        Ok(Self { suite, id, pair })
    }

    pub(crate) const fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

/// A signed KEM prekey: one-time, or last-resort for when the one-time ones have run out.
///
/// # Examples
///
/// ```
/// # use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
/// use subrosa::{prekey::{Device, KemPrekey}, suite::Suite};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// # let bob = Device::generate(Address::new(UserId::new("bob")?, DeviceId::new(1)), &mut rng);
/// let prekey = KemPrekey::last_resort(&bob, Suite::V1, PrekeyId::new(1), Timestamp::new(0), &mut rng);
/// assert!(prekey.is_last_resort());
/// assert_eq!(KemPrekey::from_bytes(&prekey.to_bytes())?.id(), prekey.id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct KemPrekey {
    suite: Suite,
    id: PrekeyId,
    created: Timestamp,
    suites: Suites,
    last_resort: bool,
    pair: KemKeyPair,
    signature: Signature,
}

impl KemPrekey {
    /// Draws and signs one that is used for one session, then deleted.
    #[must_use]
    pub fn one_time(
        device: &Device,
        suite: Suite,
        id: PrekeyId,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let pair = KemKeyPair::generate(suite.kem(), rng);
        Self::from_parts(device, suite, id, now, false, pair, rng)
    }

    /// Draws and signs one that is used whenever the one-time ones have run out.
    #[must_use]
    pub fn last_resort(
        device: &Device,
        suite: Suite,
        id: PrekeyId,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let pair = KemKeyPair::generate(suite.kem(), rng);
        Self::from_parts(device, suite, id, now, true, pair, rng)
    }

    /// Signs a key pair that exists already.
    #[must_use]
    pub fn from_parts(
        device: &Device,
        suite: Suite,
        id: PrekeyId,
        created: Timestamp,
        last_resort: bool,
        pair: KemKeyPair,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let suites = device.suites();
        let kind = if last_resort { Kind::LastResortKem } else { Kind::OneTimeKem };
        let message = signed_bytes(suite, kind, id, created, suites, &pair.public().to_bytes());
        Self { suite, id, created, suites, last_resort, signature: device.sign(&message, rng), pair }
    }

    /// The same key under the same id, with another date and what the device speaks now.
    #[must_use]
    pub fn refreshed(&self, device: &Device, now: Timestamp, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_parts(device, self.suite, self.id, now, self.last_resort, self.pair.clone(), rng)
    }

    /// The suite it is for.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> PrekeyId {
        self.id
    }

    /// When it was made.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// The suites that its owner offered when it signed it.
    #[must_use]
    pub const fn suites(&self) -> Suites {
        self.suites
    }

    /// Whether it outlives its first use.
    #[must_use]
    pub const fn is_last_resort(&self) -> bool {
        self.last_resort
    }

    /// Its public key.
    #[must_use]
    pub const fn public_key(&self) -> &KemPublicKey {
        self.pair.public()
    }

    /// The identity key's signature over it (docs/protocol.md).
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The stored form, unsealed.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { suite, id, created, suites, last_resort, pair, signature } = self;
        let secret = pair.secret().to_bytes();
        let mut out = FieldWriter::record(RecordKind::KemPrekey, secret.len() + 128);
        out.number(1, suite.number());
        out.number(2, id.get());
        out.number(3, created.get());
        out.number(4, *last_resort);
        out.bytes(5, &secret);
        out.number(6, suites.bits());
        out.bytes(7, signature);
        out.finish().into()
    }

    /// Takes the stored form.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::KemPrekey, bytes)?;
        let (suite, id) = (suite(fields.small(1)?)?, PrekeyId::new(fields.small(2)?));
        let (created, last_resort) = (Timestamp::new(fields.number(3)?), fields.flag(4)?);
        let secret = KemSecretKey::parse(fields.bytes(5)?).map_err(|_| RecordError::Corrupt)?;
        let suites = Suites::from_bits(fields.small(6)?).ok_or(RecordError::Corrupt)?;
        let signature = *fields.array(7)?;
        fields.end()?;
        let pair = KemKeyPair::from_secret(secret).map_err(|_| RecordError::Corrupt)?;
        Ok(Self { suite, id, created, suites, last_resort, pair, signature })
    }

    /// The public half, as it is published.
    #[must_use]
    pub fn published(&self) -> PublishedPrekey<KemPublicKey> {
        let Self { suite: _, id, created, suites, last_resort: _, pair, signature } = self;
        PublishedPrekey {
            id: *id,
            created: *created,
            suites: *suites,
            key: pair.public().clone(),
            signature: *signature,
        }
    }

    pub(crate) const fn pair(&self) -> &KemKeyPair {
        &self.pair
    }
}

/// The prekeys that a first message asks for, as the host found them by the ids in
/// [`FirstMessage::needs`](crate::session::FirstMessage::needs).
#[derive(Debug)]
pub struct PrekeySecrets<'a> {
    /// The signed prekey.
    pub signed: &'a SignedPrekey,
    /// The KEM prekey.
    pub kem: &'a KemPrekey,
    /// The one-time prekey, if the message names one and it still exists.
    pub one_time: Option<&'a OneTimePrekey>,
    /// What the signed prekey has accepted so far; an accepted first message is added. Store it in the transaction that
    /// stores the session: without it, a replayed first message would start a second session.
    pub seen: &'a mut SeenBaseKeys,
}
