use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::bundle::{verify_kem, verify_signed};
use super::rotation::FULL;
use super::{BundleError, PublishedPrekey, UnverifiedBundle};
use crate::crypto::{KemPublicKey, PublicKey, Signature, Verifier};
use crate::ident::{Address, PrekeyId, RegistrationId, Timestamp};
use crate::suite::{Suite, Suites};
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind, read_address, read_public_key, write_address};

/// Longest encoded upload: 1 MiB. One of 100 one-time prekeys of each kind takes 175 kB.
pub const MAX_UPLOAD_LEN: usize = 1 << 20;

/// Names one [`PrekeyUpload`]: 16 bytes, drawn when it is put together. The same pending upload has the same one, however
/// often it is given out; one with other keys or dates has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrekeyUploadId([u8; 16]);

impl PrekeyUploadId {
    /// Takes the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Draws one.
    #[must_use]
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// One-time prekeys that the server still has, as it counts them, of one suite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrekeyCounts {
    /// One-time X25519 prekeys.
    pub one_time: u32,
    /// One-time KEM prekeys.
    pub one_time_kem: u32,
}

impl PrekeyCounts {
    /// As many as there should be: nothing is to be topped up.
    pub const FULL: Self = Self { one_time: FULL, one_time_kem: FULL };

    /// For the way from a server that has no format of its own: both numbers, big-endian.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.one_time.to_be_bytes(), self.one_time_kem.to_be_bytes());
        [a, b, c, d, e, f, g, h]
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::prekey::PrekeyCounts;
    /// let counts = PrekeyCounts { one_time: 7, one_time_kem: 100 };
    /// assert_eq!(PrekeyCounts::from_bytes(counts.to_bytes()), counts);
    /// ```
    #[must_use]
    pub const fn from_bytes([a, b, c, d, e, f, g, h]: [u8; 8]) -> Self {
        Self { one_time: u32::from_be_bytes([a, b, c, d]), one_time_kem: u32::from_be_bytes([e, f, g, h]) }
    }
}

/// Why bytes are not an upload. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrekeyUploadError {
    /// Longer than [`MAX_UPLOAD_LEN`].
    #[error("upload is longer than allowed")]
    TooLong,
    /// Not an upload, or in another encoding than the one that a device writes.
    #[error("malformed upload")]
    Malformed,
    /// A newer version of this library wrote it: update the server.
    #[error("upload has the newer schema version {0}")]
    Newer(u16),
}

/// The public halves of a device's prekeys, of one suite: what its host brings to the server, which keeps them on a
/// `platform::PrekeyStore`. It replaces what is there of signed and last-resort prekeys, and adds to the one-time ones.
///
/// # Security
///
/// What [`Self::parse`] gives is what somebody says: nothing of it is verified. The prekey store checks it before it takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrekeyUpload {
    /// What it is called by whoever confirms it.
    pub id: PrekeyUploadId,
    /// The suite that these are for; the server keeps them apart.
    pub suite: Suite,
    /// Whose.
    pub address: Address,
    /// The device's registration id.
    pub registration_id: RegistrationId,
    /// The device's identity key.
    pub identity_key: PublicKey,
    /// The newest signed prekey.
    pub signed: PublishedPrekey<PublicKey>,
    /// The newest last-resort KEM prekey: for when the one-time ones have run out.
    pub last_resort: PublishedPrekey<KemPublicKey>,
    /// Whether the server deletes the one-time prekeys that it has: those of before a rollback or of another account, whose
    /// private halves nobody has, or so old that the device wants to let go of them.
    pub replaces_one_time: bool,
    /// New one-time X25519 prekeys: each is handed out once.
    pub one_time: Vec<(PrekeyId, PublicKey)>,
    /// New one-time KEM prekeys: each is handed out once.
    pub one_time_kem: Vec<PublishedPrekey<KemPublicKey>>,
}

impl PrekeyUpload {
    /// Most one-time prekeys of each kind in one upload.
    pub const MAX_ONE_TIME: usize = 400;

    /// The bundle of these keys, with these one-time prekeys: what a server without a prekey store hands out for one new session.
    #[must_use]
    pub fn bundle(
        &self,
        one_time: Option<&(PrekeyId, PublicKey)>,
        one_time_kem: Option<&PublishedPrekey<KemPublicKey>>,
    ) -> UnverifiedBundle {
        UnverifiedBundle {
            suite: self.suite,
            address: self.address.clone(),
            registration_id: self.registration_id,
            identity_key: self.identity_key,
            signed_prekey: self.signed.clone(),
            kem_prekey: one_time_kem.unwrap_or(&self.last_resort).clone(),
            kem_is_last_resort: one_time_kem.is_none(),
            one_time_prekey: one_time.copied(),
        }
    }

    /// Writes it as it travels (docs/protocol.md).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (alice, db) = account("alice");
    /// # let (now, mut rng) = (NOW, rng());
    /// # let uploads = alice.publish_prekeys(PrekeyCounts::default()).stage(&db, now, &mut rng)?.committed();
    /// let bytes = uploads[0].to_bytes();
    /// assert_eq!(PrekeyUpload::parse(&bytes)?, uploads[0]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self {
            id,
            suite,
            address,
            registration_id,
            identity_key,
            signed,
            last_resort,
            replaces_one_time,
            one_time,
            one_time_kem,
        } = self;
        let mut out =
            FieldWriter::record(RecordKind::PrekeyUpload, 4096 + one_time.len() * 48 + one_time_kem.len() * 1700);
        out.some_bytes(1, id.as_bytes());
        out.number(2, suite.number());
        write_address(&mut out, 3, address);
        out.number(4, registration_id.get());
        out.bytes(5, &identity_key.to_bytes());
        write_signed(&mut out, 6, signed);
        write_kem(&mut out, 7, last_resort);
        out.number(8, u8::from(*replaces_one_time));
        one_time.iter().for_each(|prekey| write_one_time(&mut out, 9, prekey));
        one_time_kem.iter().for_each(|prekey| write_kem(&mut out, 10, prekey));
        out.into_public()
    }

    /// Reads what a device has written. It has one encoding.
    ///
    /// # Errors
    ///
    /// [`PrekeyUploadError`]: answer that the request was bad; nothing of it is to be kept.
    ///
    /// # Security
    ///
    /// No signature is checked by this.
    ///
    /// # Examples
    ///
    /// See [`Self::to_bytes`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PrekeyUploadError> {
        if bytes.len() > MAX_UPLOAD_LEN {
            return Err(PrekeyUploadError::TooLong);
        }
        Self::read(bytes).map_err(|error| match error {
            RecordError::Newer(version) => PrekeyUploadError::Newer(version),
            _ => PrekeyUploadError::Malformed,
        })
    }

    /// Whether the identity key has signed all that it should: what the prekey store asks before it takes anything.
    ///
    /// # Errors
    ///
    /// [`BundleError::BadPrekeySignature`], [`BundleError::BadKemSignature`], [`BundleError::WrongKem`].
    ///
    /// # Security
    ///
    /// Whose the identity key is, and that the device itself is speaking, is for the server to know: it authenticates the
    /// connection.
    pub fn verify(&self) -> Result<(), BundleError> {
        let mut verifier = Verifier::new(&self.identity_key);
        verify_signed(&mut verifier, self.suite, &self.signed)?;
        verify_kem(&mut verifier, self.suite, true, &self.last_resort)?;
        self.one_time_kem.iter().try_for_each(|prekey| verify_kem(&mut verifier, self.suite, false, prekey))
    }

    fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::PrekeyUpload, bytes)?;
        let id = PrekeyUploadId::new(*fields.some_array(1)?);
        let suite = Suite::from_number(fields.small(2)?).ok_or(RecordError::Corrupt)?;
        let upload = Self {
            id,
            suite,
            address: read_address(&mut fields, 3)?,
            registration_id: RegistrationId::new(fields.small(4)?),
            identity_key: read_public_key(&mut fields, 5)?,
            signed: read_signed(fields.some_message(6)?, suite)?,
            last_resort: read_kem(fields.some_message(7)?, suite)?,
            replaces_one_time: fields.flag(8)?,
            one_time: read_all(&mut fields, 9, Self::MAX_ONE_TIME, read_one_time)?,
            one_time_kem: read_all(&mut fields, 10, Self::MAX_ONE_TIME, |fields| read_kem(fields, suite))?,
        };
        fields.end()?;
        Ok(upload)
    }
}

/// All of a repeated field, at most so many.
pub(crate) fn read_all<'a, T>(
    fields: &mut FieldReader<'a>,
    field: u32,
    most: usize,
    read: impl Fn(FieldReader<'a>) -> Result<T, RecordError>,
) -> Result<Vec<T>, RecordError> {
    let mut all = Vec::new();
    while let Some(message) = fields.message(field)? {
        if all.len() == most {
            return Err(RecordError::Corrupt);
        }
        all.push(read(message)?);
    }
    Ok(all)
}

pub(crate) fn write_one_time(out: &mut FieldWriter, field: u32, (id, key): &(PrekeyId, PublicKey)) {
    out.message(field, |out| {
        out.number(1, id.get());
        out.bytes(2, &key.to_bytes());
    });
}

pub(crate) fn read_one_time(mut fields: FieldReader<'_>) -> Result<(PrekeyId, PublicKey), RecordError> {
    let id = PrekeyId::new(fields.small(1)?);
    let key = read_public_key(&mut fields, 2)?;
    fields.end()?;
    Ok((id, key))
}

pub(crate) fn write_signed(out: &mut FieldWriter, field: u32, prekey: &PublishedPrekey<PublicKey>) {
    write_published(out, field, prekey, &prekey.key.to_bytes());
}

pub(crate) fn write_kem(out: &mut FieldWriter, field: u32, prekey: &PublishedPrekey<KemPublicKey>) {
    write_published(out, field, prekey, &prekey.key.to_bytes());
}

fn write_published<K>(out: &mut FieldWriter, field: u32, prekey: &PublishedPrekey<K>, key: &[u8]) {
    let PublishedPrekey { id, created, suites, key: _, signature } = prekey;
    out.message(field, |out| {
        out.number(1, id.get());
        out.number(2, created.get());
        out.number(3, suites.bits());
        out.bytes(4, key);
        out.bytes(5, signature);
    });
}

pub(crate) fn read_signed(fields: FieldReader<'_>, suite: Suite) -> Result<PublishedPrekey<PublicKey>, RecordError> {
    read_published(fields, suite, |key| PublicKey::parse(key).ok())
}

pub(crate) fn read_kem(fields: FieldReader<'_>, suite: Suite) -> Result<PublishedPrekey<KemPublicKey>, RecordError> {
    read_published(fields, suite, |key| KemPublicKey::parse(key).ok())
}

fn read_published<K>(
    mut fields: FieldReader<'_>,
    suite: Suite,
    parse: impl FnOnce(&[u8]) -> Option<K>,
) -> Result<PublishedPrekey<K>, RecordError> {
    let id = PrekeyId::new(fields.small(1)?);
    let created = Timestamp::new(fields.number(2)?);
    let suites = Suites::from_bits(fields.small(3)?).filter(|suites| suites.contains(suite));
    let key = parse(fields.bytes(4)?).ok_or(RecordError::Corrupt)?;
    let signature: Signature = *fields.array(5)?;
    fields.end()?;
    Ok(PublishedPrekey { id, created, suites: suites.ok_or(RecordError::Corrupt)?, key, signature })
}
