use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    AttachmentKey, AttachmentRef, CheckedHeader, ChunkSize, Decryptor, DownloadError, Encryptor, FileTooLong,
    FinishError, HEADER_LEN, ObjectError,
};

/// Why a file in memory is not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptFileError {
    /// More than 64 GiB.
    #[error(transparent)]
    TooLong(#[from] FileTooLong),
    /// The media type or the name is too long.
    #[error(transparent)]
    Finish(#[from] FinishError),
}

/// Why an object in memory is not decrypted. Nothing is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptObjectError {
    /// Not as long as the reference says: cut, extended, or another object. Fetch it again.
    #[error("the object has another length than its reference says")]
    Length,
    /// Header or list are not the reference's.
    #[error(transparent)]
    Open(#[from] ObjectError),
    /// A chunk is not released.
    #[error(transparent)]
    Decrypt(#[from] DownloadError),
}

/// Encrypts a small file in memory under a fresh key, in chunks of 64 KiB: gives the object and the reference to it.
///
/// # Errors
///
/// [`EncryptFileError`].
///
/// # Examples
///
/// ```
/// use subrosa::attachment;
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// let (object, reference) = attachment::encrypt(b"a picture", "image/png", "", &mut rng)?;
/// assert_eq!(*attachment::decrypt(&reference, &object)?, *b"a picture");
/// assert!(attachment::decrypt(&reference, &object[1..]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn encrypt(
    plain: &[u8],
    media_type: &str,
    name: &str,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(Vec<u8>, AttachmentRef), EncryptFileError> {
    let key = AttachmentKey::random(rng);
    let mut encryptor = Encryptor::new(key, ChunkSize::DEFAULT, rng);
    let (mut object, mut rest) = (Vec::new(), plain);
    while let Some(piece) = encryptor.push(&mut rest)? {
        object.extend_from_slice(piece);
    }
    let mut tail = encryptor.finish();
    while let Some(piece) = tail.next_piece() {
        object.extend_from_slice(piece);
    }
    let reference = tail.reference(media_type, name)?;
    Ok((object, reference))
}

/// Decrypts a whole object in memory: all of the file, or nothing.
///
/// # Errors
///
/// [`DecryptObjectError`].
///
/// # Examples
///
/// See [`encrypt`].
pub fn decrypt(reference: &AttachmentRef, object: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptObjectError> {
    if u64::try_from(object.len()) != Ok(reference.object_len()) {
        return Err(DecryptObjectError::Length);
    }
    let (header, rest) = object.split_at_checked(HEADER_LEN).ok_or(DecryptObjectError::Length)?;
    let header = CheckedHeader::new(reference, header)?;
    // The object is as long as this layout has it, and lies in memory, so every offset fits.
    let list = header.layout().list_range();
    let chunks = usize::try_from(list.start).ok().and_then(|start| start.checked_sub(HEADER_LEN));
    let (mut chunks, list) =
        chunks.and_then(|chunks| rest.split_at_checked(chunks)).ok_or(DecryptObjectError::Length)?;
    let mut decryptor = Decryptor::new(header.with_list(list)?);
    let capacity = usize::try_from(reference.plain_len()).map_err(|_| DecryptObjectError::Length)?;
    // All of it at once: a vector that grows would leave copies of the plaintext behind. It is shorter than the object.
    let mut plain = Zeroizing::new(Vec::with_capacity(capacity));
    while let Some(piece) = decryptor.push(&mut chunks)? {
        plain.extend_from_slice(piece);
    }
    decryptor.finish()?;
    Ok(plain)
}
