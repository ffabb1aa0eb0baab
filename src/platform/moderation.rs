use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::{KemAlgorithm, KemKeyPair, KemSecretKey, KeyPair};
use crate::report::{AccountTag, ModerationPublicKey, open_report};
use crate::wire::{
    FieldReader, FieldWriter, KEY_PAIR_CAPACITY, RecordError, RecordKind, read_key_pair, write_key_pair,
};

/// The key that opens sealed reports. It belongs to the moderators, not to the servers that pass reports on.
///
/// # Examples
///
/// ```
/// use subrosa::{platform::ModerationKey, report::{AccountTag, seal_report}};
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (key, reporter) = (ModerationKey::generate(&mut rng), AccountTag::new([1; 32]));
/// let sealed = seal_report(b"a report", &reporter, &key.public(), &mut rng)?;
/// assert_eq!(*key.open(&sealed, &reporter)?, b"a report");
/// assert!(key.open(&sealed, &AccountTag::new([2; 32])).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModerationKey {
    agreement: KeyPair,
    kem: KemKeyPair,
}

/// A sealed report does not open: damaged, sealed to another key, or by another account than it comes from. Tell the
/// reporter's application to send it again, sealed to the current key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed report does not open")]
pub struct Unopenable;

impl ModerationKey {
    /// Draws a key: 32 bytes, then 64.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self { agreement: KeyPair::generate(rng), kem: KemKeyPair::generate(KemAlgorithm::MlKem1024, rng) }
    }

    /// The half that applications seal to.
    #[must_use]
    pub fn public(&self) -> ModerationPublicKey {
        ModerationPublicKey { agreement: *self.agreement.public(), kem: self.kem.public().clone() }
    }

    /// Opens a report that came from an authenticated account.
    ///
    /// # Errors
    ///
    /// [`Unopenable`].
    pub fn open(&self, sealed: &[u8], reporter: &AccountTag) -> Result<Zeroizing<Vec<u8>>, Unopenable> {
        open_report(sealed, reporter, &self.agreement, &self.kem).ok_or(Unopenable)
    }

    /// The stored form, unsealed.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let kem = self.kem.secret().to_bytes();
        let mut out = FieldWriter::record(RecordKind::ModerationKey, KEY_PAIR_CAPACITY + kem.len() + 8);
        write_key_pair(&mut out, 1, &self.agreement);
        out.bytes(2, &kem);
        out.finish().into()
    }

    /// Takes the stored form, checked.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let corrupt = RecordError::Corrupt;
        let mut fields = FieldReader::record(RecordKind::ModerationKey, bytes)?;
        let agreement = read_key_pair(&mut fields, 1)?;
        let kem = fields.bytes(2)?;
        fields.end()?;
        let kem = KemSecretKey::parse(kem).and_then(KemKeyPair::from_secret).map_err(|_| corrupt)?;
        if kem.public().algorithm() != KemAlgorithm::MlKem1024 {
            return Err(corrupt);
        }
        Ok(Self { agreement, kem })
    }
}
