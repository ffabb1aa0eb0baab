//! The fast backend (feature `fast`): graviola, where the processor has what it needs.
//!
//! Whatever it computes, the portable crates compute as well, with the same result; it is asked first and declines on a
//! processor that it does not know. Not its concern: SHA-2, which it does not compute any faster and whose state it does
//! not wipe; Ed25519, likewise not faster, and without signatures by a given scalar, which XEdDSA needs.

use std::sync::OnceLock;

use graviola::aead::AesGcm;
use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};

use super::{GCM_TAG_LEN, Secret};

/// Whether this processor has the instructions. Asked before anything else: the library panics without them.
pub(super) fn is_on() -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    *ON.get_or_init(|| graviola::util::is_cpu_supported() && has_what_is_not_asked_for())
}

/// What the library uses and does not look for: a hypervisor can hide BMI2 and leave the others.
#[cfg(target_arch = "x86_64")]
fn has_what_is_not_asked_for() -> bool {
    std::is_x86_feature_detected!("bmi2")
}

#[cfg(target_arch = "aarch64")]
const fn has_what_is_not_asked_for() -> bool {
    true
}

/// The scalar, which must be clamped, times the point with this u: all zero for a point of low order.
pub(super) fn agree(scalar: &[u8; 32], u: &[u8; 32]) -> Option<Secret<32>> {
    is_on().then(|| {
        let shared = StaticPrivateKey::from_array(scalar).diffie_hellman(&PublicKey::from_array(u));
        // It fails for the all-zero value only, which the caller looks for.
        shared.map_or_else(|_| Secret::new([0; 32]), |shared| Secret::new(shared.0))
    })
}

/// The scalar, which must be clamped, times the base point.
pub(super) fn public(scalar: &[u8; 32]) -> Option<[u8; 32]> {
    is_on().then(|| StaticPrivateKey::from_array(scalar).public_key().as_bytes())
}

/// An AES-256-GCM key with its schedule and table, wiped on drop. They cost as much as sealing 10 kB with the portable
/// cipher: for a key that serves more than that.
pub(super) struct Gcm(AesGcm);

impl Gcm {
    pub(super) fn new(key: &Secret<32>) -> Option<Self> {
        is_on().then(|| Self(AesGcm::new(key.expose())))
    }

    /// Seals the text where it stands. `None`, changing nothing, for a text so long that only the portable cipher knows
    /// where GCM ends.
    pub(super) fn seal(&self, nonce: &[u8; 12], text: &mut [u8]) -> Option<[u8; GCM_TAG_LEN]> {
        is_short(text).then(|| {
            let mut tag = [0; GCM_TAG_LEN];
            self.0.encrypt(nonce, &[], text, &mut tag);
            tag
        })
    }

    /// Opens the text where it stands, or sets it to zero and gives `false`. `None` as with [`Gcm::seal`].
    pub(super) fn open(&self, nonce: &[u8; 12], text: &mut [u8], tag: &[u8; GCM_TAG_LEN]) -> Option<bool> {
        is_short(text).then(|| self.0.decrypt(nonce, &[], text, tag).is_ok())
    }
}

fn is_short(text: &[u8]) -> bool {
    u32::try_from(text.len()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_where_the_processor_has_what_it_needs() {
        #[cfg(target_arch = "x86_64")]
        assert_eq!(
            is_on(),
            std::is_x86_feature_detected!("adx")
                && std::is_x86_feature_detected!("aes")
                && std::is_x86_feature_detected!("avx")
                && std::is_x86_feature_detected!("avx2")
                && std::is_x86_feature_detected!("bmi1")
                && std::is_x86_feature_detected!("bmi2")
                && std::is_x86_feature_detected!("pclmulqdq")
        );
        let key = Secret::new([0x40; 32]);
        assert_eq!(agree(key.expose(), key.expose()).is_some(), is_on());
        assert_eq!(public(key.expose()).is_some(), is_on());
        assert_eq!(Gcm::new(&key).is_some(), is_on());
    }
}
