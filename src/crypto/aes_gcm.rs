use aes_gcm::Aes256Gcm;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use alloc::vec::Vec;

use super::{GCM_TAG_LEN, Secret, fast};

/// The ciphertext was not made with this key, nonce and associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ciphertext does not authenticate")]
pub(crate) struct GcmError;

/// As [`gcm_seal_tail`], of a text by itself.
#[cfg(test)]
pub(crate) fn gcm_seal(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut out = plaintext.to_vec();
    gcm_seal_tail(key, nonce, ad, &mut out, 0);
    out
}

/// AES-256-GCM with a 96-bit nonce: seals the end of a buffer, from `start`, where it stands, and appends the tag of 16
/// bytes. Plaintexts are far below GCM's limit.
///
/// # Security
///
/// One (key, nonce) for one plaintext, ever: a repetition gives away both texts and the authentication key.
pub(crate) fn gcm_seal_tail(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], buffer: &mut Vec<u8>, start: usize) {
    let tag = seal_where_it_stands(key, nonce, ad, buffer.get_mut(start..).unwrap_or_default());
    buffer.extend_from_slice(&tag);
}

/// The same of a text with room for the tag behind it. Of what is too short for a tag nothing is sealed.
pub(crate) fn gcm_seal_in_place(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], buffer: &mut [u8]) {
    if let Some((text, room)) = buffer.split_last_chunk_mut::<GCM_TAG_LEN>() {
        *room = seal_where_it_stands(key, nonce, ad, text);
    }
}

fn seal_where_it_stands(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], text: &mut [u8]) -> [u8; GCM_TAG_LEN] {
    #[cfg(any(test, feature = "testing"))]
    super::seals::note(key, nonce, ad, text);
    #[expect(clippy::expect_used, reason = "the only failure is a text of 64 GiB, which no caller can hold")]
    let tag = Aes256Gcm::new(key.into())
        .encrypt_inout_detached(nonce.into(), ad, text.into())
        .expect("the plaintext is shorter than 64 GiB");
    tag.into()
}

/// Opens what [`gcm_seal_tail`] made.
///
/// # Errors
///
/// [`GcmError`] if key, nonce, associated data or any bit of the ciphertext is another.
pub(crate) fn gcm_open(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, GcmError> {
    let mut out = Vec::new();
    gcm_open_to(key, nonce, ad, ciphertext, &mut out)?;
    Ok(out)
}

/// The same, appended to a buffer. After an error it holds what it held before.
///
/// # Errors
///
/// [`GcmError`] as with [`gcm_open`].
pub(crate) fn gcm_open_to(
    key: &[u8; 32],
    nonce: &[u8; 12],
    ad: &[u8],
    ciphertext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), GcmError> {
    let (text, tag) = ciphertext.split_last_chunk::<GCM_TAG_LEN>().ok_or(GcmError)?;
    let start = out.len();
    out.extend_from_slice(text);
    let text = out.get_mut(start..).unwrap_or_default();
    // The tag is compared first: what does not authenticate is not decrypted.
    let opened = Aes256Gcm::new(key.into()).decrypt_inout_detached(nonce.into(), ad, text.into(), tag.into());
    opened.map_err(|_| {
        out.truncate(start);
        GcmError
    })
}

/// Opens what [`gcm_seal_tail`] made where it stands: all but the tag is the text then.
///
/// # Errors
///
/// [`GcmError`] as with [`gcm_open`]. Nothing has changed.
pub(crate) fn gcm_open_in_place(
    key: &[u8; 32],
    nonce: &[u8; 12],
    ad: &[u8],
    ciphertext: &mut [u8],
) -> Result<(), GcmError> {
    let (text, tag) = ciphertext.split_last_chunk_mut::<GCM_TAG_LEN>().ok_or(GcmError)?;
    let tag: &[u8; GCM_TAG_LEN] = tag;
    let opened = Aes256Gcm::new(key.into()).decrypt_inout_detached(nonce.into(), ad, text.into(), tag.into());
    opened.map_err(|_| GcmError)
}

/// One AES-256-GCM key with its schedule, for many texts without associated data.
///
/// The schedule is computed once, the caller's buffers are used again, and a text is not copied before it is sealed:
/// what keeps a file's chunks near the speed of the bare cipher. Wiped on drop.
pub(crate) struct GcmCipher {
    portable: Aes256Gcm,
    fast: Option<fast::Gcm>,
}

impl core::fmt::Debug for GcmCipher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("GcmCipher(..)")
    }
}

impl GcmCipher {
    /// Computes the schedule.
    #[must_use]
    pub(crate) fn new(key: &Secret<32>) -> Self {
        Self { portable: Aes256Gcm::new(key.expose().into()), fast: fast::Gcm::new(key) }
    }

    /// Seals into `out`, which holds nothing but ciphertext and tag afterwards.
    ///
    /// # Security
    ///
    /// One nonce for one plaintext, ever, as with [`gcm_seal_tail`].
    pub(crate) fn seal_to(&self, nonce: &[u8; 12], text: &[u8], out: &mut Vec<u8>) {
        if let Some(fast) = &self.fast {
            out.clear();
            out.reserve(text.len() + GCM_TAG_LEN);
            out.extend_from_slice(text);
            if let Some(tag) = fast.seal(nonce, out) {
                out.extend_from_slice(&tag);
                return;
            }
        }
        // Not cleared first: of a buffer that is used again, nothing needs to be set to zero.
        out.resize(text.len() + GCM_TAG_LEN, 0);
        let (body, end) = out.split_at_mut(text.len());
        #[expect(clippy::expect_used, reason = "equal lengths, set above; the other failure is a text of 64 GiB")]
        let tag = InOutBuf::new(text, body)
            .ok()
            .and_then(|text| self.portable.encrypt_inout_detached(nonce.into(), &[], text).ok())
            .expect("both lengths are the same, and below 64 GiB");
        end.copy_from_slice(&tag);
    }

    /// Opens into `out`, which holds nothing but the plaintext afterwards, and nothing at all after an error.
    ///
    /// # Errors
    ///
    /// [`GcmError`] as with [`gcm_open`].
    pub(crate) fn open_to(&self, nonce: &[u8; 12], sealed: &[u8], out: &mut Vec<u8>) -> Result<(), GcmError> {
        let opened = (|| {
            let (text, tag) = sealed.split_last_chunk::<GCM_TAG_LEN>()?;
            if let Some(fast) = &self.fast {
                out.clear();
                out.extend_from_slice(text);
                if let Some(opened) = fast.open(nonce, out, tag) {
                    return opened.then_some(());
                }
            }
            out.resize(text.len(), 0);
            let text = InOutBuf::new(text, out.as_mut_slice()).ok()?;
            self.portable.decrypt_inout_detached(nonce.into(), &[], text, tag.into()).ok()
        })();
        opened.ok_or_else(|| {
            out.clear();
            GcmError
        })
    }

    /// Opens in place: gives the part of the buffer that is the plaintext. Nothing changes on an error.
    ///
    /// # Errors
    ///
    /// [`GcmError`] as with [`gcm_open`].
    pub(crate) fn open_in_place<'a>(&self, nonce: &[u8; 12], sealed: &'a mut [u8]) -> Result<&'a mut [u8], GcmError> {
        let (text, tag) = sealed.split_last_chunk_mut::<GCM_TAG_LEN>().ok_or(GcmError)?;
        let tag: &[u8; GCM_TAG_LEN] = tag;
        // Not by the fast backend, which decrypts before it knows whether to.
        self.portable.decrypt_inout_detached(nonce.into(), &[], text.into(), tag.into()).map_err(|_| GcmError)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_cipher_is_the_functions(
            (key, nonce) in any::<([u8; 32], [u8; 12])>(),
            text in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                proptest::collection::vec(any::<u8>(), 300..10_000),
            ],
            bit in any::<prop::sample::Index>(),
        ) {
            let cipher = GcmCipher::new(&Secret::new(key));
            let mut out = b"used before".to_vec();
            cipher.seal_to(&nonce, &text, &mut out);
            let mut sealed = gcm_seal(&key, &nonce, &[], &text);
            prop_assert_eq!(&out, &sealed);
            let mut opened = std::vec![9; 100];
            prop_assert!(cipher.open_to(&nonce, &sealed, &mut opened).is_ok());
            prop_assert_eq!(&opened, &text);
            let mut buffer = sealed.clone();
            prop_assert_eq!(cipher.open_in_place(&nonce, &mut buffer).unwrap(), &text);

            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(cipher.open_to(&nonce, &sealed, &mut opened), Err(GcmError));
            prop_assert!(opened.is_empty());
            let before = sealed.clone();
            prop_assert!(cipher.open_in_place(&nonce, &mut sealed).is_err());
            prop_assert_eq!(sealed, before);
        }
    }

    #[test]
    fn too_short_for_a_tag() {
        let cipher = GcmCipher::new(&Secret::new([1; 32]));
        assert_eq!(cipher.open_to(&[0; 12], &[0; 15], &mut Vec::new()), Err(GcmError));
        assert_eq!(cipher.open_in_place(&[0; 12], &mut [0; 15]), Err(GcmError));
    }
}
