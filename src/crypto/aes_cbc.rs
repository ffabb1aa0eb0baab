use aes::Aes256;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use alloc::vec::Vec;
use zeroize::Zeroize;

/// The AES block: ciphertexts are one or more of these.
pub(crate) const BLOCK_LEN: usize = 16;

/// Length or padding of the ciphertext is wrong.
///
/// # Security
///
/// Never let a peer see this apart from a wrong MAC: telling the two apart decrypts messages (Vaudenay, 2002).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bad block padding")]
pub(crate) struct PaddingError;

/// AES-256-CBC with PKCS#7 padding: appends the ciphertext to `out`.
///
/// # Security
///
/// Not authenticated: for encrypt-then-MAC only.
pub(crate) fn cbc_seal(key: &[u8; 32], iv: &[u8; BLOCK_LEN], plaintext: &[u8], out: &mut Vec<u8>) {
    let cipher = cbc::Encryptor::<Aes256>::new(key.into(), iv.into());
    let start = out.len();
    let padded = (plaintext.len() / BLOCK_LEN + 1) * BLOCK_LEN;
    out.resize(start + padded, 0);
    #[expect(clippy::expect_used, reason = "the buffer was sized for the padding above")]
    if let Some(buffer) = out.get_mut(start..) {
        cipher.encrypt_padded_b2b::<Pkcs7>(plaintext, buffer).expect("the buffer holds the padded text");
    }
}

/// Opens AES-256-CBC with PKCS#7 padding: appends the plaintext to `out`, which after an error holds what it held before.
///
/// # Errors
///
/// [`PaddingError`] for an empty ciphertext, one that is not whole blocks, or wrong padding.
///
/// # Security
///
/// Call it after the MAC has verified, never before.
pub(crate) fn cbc_open(
    key: &[u8; 32],
    iv: &[u8; BLOCK_LEN],
    ciphertext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), PaddingError> {
    let start = out.len();
    out.extend_from_slice(ciphertext);
    let text = out.get_mut(start..).unwrap_or_default();
    let opened = cbc::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_padded::<Pkcs7>(text);
    let opened = opened.map(|plaintext| plaintext.len()).map_err(|_| PaddingError);
    if opened.is_err() {
        text.zeroize();
    }
    out.truncate(start + opened.unwrap_or(0));
    opened.map(|_| ())
}
