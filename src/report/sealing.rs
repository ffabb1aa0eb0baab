use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::AccountTag;
use crate::crypto::{
    KemAlgorithm, KemCiphertext, KemKeyPair, KemPublicKey, KeyPair, MalformedKemKey, PUBLIC_KEY_LEN, PublicKey,
    PublicKeyError, Secret, committing_open, committing_seal, hkdf, sha256,
};

const KEM_LEN: usize = 1569;

/// The key that reports are sealed to: X25519 and ML-KEM-1024, 1,602 bytes. Shipped with the application, or signed by
/// something that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModerationPublicKey {
    pub(crate) agreement: PublicKey,
    pub(crate) kem: KemPublicKey,
}

/// Bytes are not a moderation key. Do not seal to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed moderation key")]
pub struct MalformedModerationKey;

impl From<PublicKeyError> for MalformedModerationKey {
    fn from(_: PublicKeyError) -> Self {
        Self
    }
}

impl From<MalformedKemKey> for MalformedModerationKey {
    fn from(_: MalformedKemKey) -> Self {
        Self
    }
}

impl ModerationPublicKey {
    /// Reads a key.
    ///
    /// # Errors
    ///
    /// [`MalformedModerationKey`].
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedModerationKey> {
        let (agreement, kem) = bytes.split_first_chunk::<PUBLIC_KEY_LEN>().ok_or(MalformedModerationKey)?;
        let kem = KemPublicKey::parse(kem)?;
        if kem.algorithm() != KemAlgorithm::MlKem1024 {
            return Err(MalformedModerationKey);
        }
        Ok(Self { agreement: PublicKey::parse(agreement)?, kem })
    }

    /// Writes the key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.agreement.to_bytes().as_slice(), &self.kem.to_bytes()].concat()
    }
}

/// The moderation key agrees with nothing. Get the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("moderation key does not agree")]
pub struct BadModerationKey;

/// Key and associated data of a sealed report.
fn derive(
    key: &ModerationPublicKey,
    ephemeral: &PublicKey,
    ciphertext: &KemCiphertext,
    agreed: &Secret<32>,
    shared: &Secret<32>,
    reporter: &AccountTag,
) -> (Secret<32>, [u8; 78]) {
    let transcript = sha256(&[
        b"\x18frank1/report-transcript",
        &key.agreement.to_bytes(),
        &sha256(&[&key.kem.to_bytes()]),
        &ephemeral.to_bytes(),
        &sha256(&[&ciphertext.to_bytes()]),
    ]);
    let mut both = Secret::new([0; 64]);
    for (to, from) in both.expose_mut().iter_mut().zip(agreed.expose().iter().chain(shared.expose())) {
        *to = *from;
    }
    let sealing: Secret<32> = hkdf(&transcript, both.expose(), &[b"\x11frank1/report-key"]);
    let mut ad = [0; 78];
    let fields: [&[u8]; 3] = [b"\x0dfrank1/report", &transcript, reporter.as_bytes()];
    for (to, from) in ad.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    (sealing, ad)
}

/// Seals a report to the moderation key: `u8 1 ‖ ephemeral key 33 ‖ KEM ciphertext 1569 ‖ cgcm1`. What carries the
/// report to its moderators reads nothing of it but its length. Draws 96 bytes.
///
/// # Errors
///
/// [`BadModerationKey`] if the key is of low order.
///
/// # Security
///
/// Bound to the reporter: opened for another account, it does not open.
pub fn seal_report(
    report: &[u8],
    reporter: &AccountTag,
    key: &ModerationPublicKey,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, BadModerationKey> {
    let ephemeral = KeyPair::generate(rng);
    let agreed = ephemeral.agree(&key.agreement).map_err(|_| BadModerationKey)?;
    let (ciphertext, shared) = key.kem.encapsulate(rng);
    let (sealing, ad) = derive(key, ephemeral.public(), &ciphertext, &agreed, &shared, reporter);
    let mut out = [&[1], ephemeral.public().to_bytes().as_slice(), &ciphertext.to_bytes()].concat();
    committing_seal(&mut out, &sealing, &ad, report, rng);
    Ok(out)
}

/// Opens what [`seal_report`] made; `None` for whatever reason it does not open.
pub(crate) fn open_report(
    sealed: &[u8],
    reporter: &AccountTag,
    agreement: &KeyPair,
    kem: &KemKeyPair,
) -> Option<Zeroizing<Vec<u8>>> {
    let ([1], rest) = sealed.split_first_chunk::<1>()? else { return None };
    let (ephemeral, rest) = rest.split_first_chunk::<PUBLIC_KEY_LEN>()?;
    let (ciphertext, sealed) = rest.split_first_chunk::<KEM_LEN>()?;
    let (ephemeral, ciphertext) = (PublicKey::parse(ephemeral).ok()?, KemCiphertext::parse(ciphertext).ok()?);
    let agreed = agreement.agree(&ephemeral).ok()?;
    let shared = kem.secret().decapsulate(&ciphertext).ok()?;
    let key = ModerationPublicKey { agreement: *agreement.public(), kem: kem.public().clone() };
    let (sealing, ad) = derive(&key, &ephemeral, &ciphertext, &agreed, &shared, reporter);
    committing_open(&sealing, &ad, sealed).ok().map(Zeroizing::from)
}
