use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::{KeyPair, PublicKey, Signature, xeddsa_sign};
use crate::ident::{Address, RegistrationId};
use crate::suite::Suites;
use crate::wire::{
    FieldReader, FieldWriter, KEY_PAIR_CAPACITY, RecordError, RecordKind, read_address, read_key_pair, write_address,
    write_key_pair,
};

/// One's own device: its address, its identity key pair, its registration id.
///
/// # Security
///
/// Whoever holds the identity key can start sessions as this device. Store [`Device::to_bytes`] sealed.
///
/// # Examples
///
/// ```
/// use subrosa::{ident::{Address, DeviceId, UserId}, prekey::Device};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let alice = Device::generate(Address::new(UserId::new("alice")?, DeviceId::new(1)), &mut rng);
/// let stored = alice.to_bytes();
/// assert_eq!(Device::from_bytes(&stored)?.identity_key(), alice.identity_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    address: Address,
    identity: KeyPair,
    registration_id: RegistrationId,
    suites: Suites,
}

impl Device {
    /// Sets up a device: draws its identity key and its registration id (1 to 16,380).
    #[must_use]
    pub fn generate(address: Address, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let identity = KeyPair::generate(rng);
        let registration_id = RegistrationId::random(rng);
        Self { address, identity, registration_id, suites: Suites::V1 }
    }

    /// Takes an identity that exists already, for instance one that comes from another library.
    #[must_use]
    pub const fn new(address: Address, identity: KeyPair, registration_id: RegistrationId) -> Self {
        Self { address, identity, registration_id, suites: Suites::V1 }
    }

    /// Says which suites the device speaks; without it, V1 only. The prekeys it signs from now on say so too;
    /// those signed before stay valid.
    #[must_use]
    pub const fn with_suites(mut self, suites: Suites) -> Self {
        self.suites = suites;
        self
    }

    /// The suites that the device speaks.
    #[must_use]
    pub const fn suites(&self) -> Suites {
        self.suites
    }

    /// Who this is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The identity key that others know it by.
    #[must_use]
    pub const fn identity_key(&self) -> &PublicKey {
        self.identity.public()
    }

    /// Its registration id.
    #[must_use]
    pub const fn registration_id(&self) -> RegistrationId {
        self.registration_id
    }

    /// The stored form, unsealed.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { address, identity, registration_id, suites } = self;
        let mut out = FieldWriter::record(RecordKind::Device, KEY_PAIR_CAPACITY + 300);
        write_address(&mut out, 1, address);
        out.number(2, registration_id.get());
        out.number(3, suites.bits());
        write_key_pair(&mut out, 4, identity);
        out.finish().into()
    }

    /// Takes the stored form.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::Device, bytes)?;
        let address = read_address(&mut fields, 1)?;
        let registration_id = RegistrationId::new(fields.small(2)?);
        let suites = Suites::from_bits(fields.small(3)?).ok_or(RecordError::Corrupt)?;
        let identity = read_key_pair(&mut fields, 4)?;
        fields.end()?;
        Ok(Self { address, identity, registration_id, suites })
    }

    pub(crate) const fn identity(&self) -> &KeyPair {
        &self.identity
    }

    pub(super) fn sign(&self, message: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> Signature {
        xeddsa_sign(&self.identity, message, rng)
    }
}
