use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::header::{ChunkCipher, SALT_LEN};
use super::{AttachmentKey, AttachmentRef, ChunkHash, ChunkSize, FileTooLong, ObjectLayout, RefError};

/// Encrypts a file while it is read or recorded: plaintext in slices of any length, the object in pieces, in order.
///
/// It holds at most two chunks and the hashes so far. Nothing of it is stored: after a crash the file is encrypted
/// anew, under another salt. An upload that survives a restart is an [`AttachmentUpload`](super::AttachmentUpload).
///
/// # Security
///
/// The salt is drawn here, so that no two encryptors share a key stream even if they share a key.
///
/// # Examples
///
/// ```
/// use subrosa::attachment::{AttachmentKey, ChunkSize, Encryptor};
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// let mut object = Vec::new();
/// let mut encryptor = Encryptor::new(AttachmentKey::random(&mut rng), ChunkSize::DEFAULT, &mut rng);
/// for mut read in [&b"from the "[..], b"microphone"] {
///     while let Some(piece) = encryptor.push(&mut read)? {
///         object.extend_from_slice(piece); // or to the server
///     }
/// }
/// let mut tail = encryptor.finish();
/// while let Some(piece) = tail.next_piece() {
///     object.extend_from_slice(piece);
/// }
/// let reference = tail.reference("audio/ogg", "note.ogg")?;
/// assert_eq!(reference.object_len(), object.len() as u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Encryptor {
    key: AttachmentKey,
    salt: [u8; SALT_LEN],
    chunk_size: ChunkSize,
    cipher: ChunkCipher,
    header_given: bool,
    /// How much of the file was taken.
    taken: u64,
    /// The newest chunk: held back until it is known whether it is the last.
    pending: Zeroizing<Vec<u8>>,
    /// The piece given last.
    piece: Vec<u8>,
    chunk: u64,
    hashes: Vec<ChunkHash>,
}

impl Encryptor {
    /// Starts an object.
    #[must_use]
    pub fn new(key: AttachmentKey, chunk_size: ChunkSize, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut salt = [0; SALT_LEN];
        rng.fill_bytes(&mut salt);
        let cipher = ChunkCipher::derive(&key, &salt, chunk_size);
        // All of it at once: a vector that grows would leave copies of the plaintext behind.
        let pending = Zeroizing::new(Vec::with_capacity(chunk_size.bytes()));
        let (piece, hashes) = (Vec::new(), Vec::new());
        Self { key, salt, chunk_size, cipher, header_given: false, taken: 0, pending, piece, chunk: 0, hashes }
    }

    /// Takes plaintext from the front of the slice until a piece of the object is ready, and gives it. `None` once
    /// the slice is empty: go on with the next one.
    ///
    /// # Errors
    ///
    /// [`FileTooLong`] if the slice would make the file too long for its chunk size; nothing of it was taken.
    pub fn push(&mut self, plain: &mut &[u8]) -> Result<Option<&[u8]>, FileTooLong> {
        let total = u64::try_from(plain.len()).ok().and_then(|len| self.taken.checked_add(len));
        if total.is_none_or(|total| total > self.chunk_size.longest()) {
            return Err(FileTooLong);
        }
        if !self.header_given {
            self.header_given = true;
            return Ok(Some(self.cipher.header()));
        }
        let size = self.chunk_size.bytes();
        if self.pending.is_empty() && plain.len() > size {
            // A whole chunk that something follows: sealed from where it stands.
            let (text, rest) = plain.split_at(size);
            *plain = rest;
            self.taken += self.chunk_size.wide();
            let hash = self.cipher.seal_to(self.chunk, false, text, &mut self.piece);
            self.sealed(hash);
            return Ok(Some(&self.piece));
        }
        let (text, rest) = plain.split_at(plain.len().min(size - self.pending.len()));
        *plain = rest;
        self.pending.extend_from_slice(text);
        self.taken += u64::try_from(text.len()).unwrap_or(u64::MAX);
        if rest.is_empty() {
            return Ok(None);
        }
        self.seal_pending(false);
        Ok(Some(&self.piece))
    }

    /// The file is complete.
    pub fn finish(self) -> ObjectTail {
        // `push` has kept to the limit.
        let layout = ObjectLayout::within_limits(self.taken, self.chunk_size);
        ObjectTail { encryptor: self, layout, list_given: false }
    }

    fn seal_pending(&mut self, last: bool) {
        let hash = self.cipher.seal_to(self.chunk, last, &self.pending, &mut self.piece);
        self.pending.clear();
        self.sealed(hash);
    }

    fn sealed(&mut self, hash: ChunkHash) {
        if self.hashes.len() == self.hashes.capacity() {
            // Doubling would make the list of a long file cost three times its length at its worst.
            self.hashes.reserve_exact(self.hashes.len() / 4 + 64);
        }
        self.hashes.push(hash);
        self.chunk += 1;
    }
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryptor").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// Why there is no reference yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FinishError {
    /// Pieces of the object were not taken, or chunks of it not committed: a reference to it would lead nowhere. Take
    /// them first.
    #[error("the object is not complete")]
    Unfinished,
    /// The media type or the name is too long. Shorten it.
    #[error(transparent)]
    Text(#[from] RefError),
}

/// What is left of an object once its file is complete: the last chunks with their padding, and the list of hashes.
#[must_use]
pub struct ObjectTail {
    encryptor: Encryptor,
    layout: ObjectLayout,
    list_given: bool,
}

impl ObjectTail {
    /// The next piece of the object; `None` after the last.
    pub fn next_piece(&mut self) -> Option<&[u8]> {
        let encryptor = &mut self.encryptor;
        if !encryptor.header_given {
            encryptor.header_given = true;
            return Some(encryptor.cipher.header());
        }
        if let Some((text, zeros)) = self.layout.content_of(encryptor.chunk) {
            encryptor.pending.resize(text + zeros, 0);
            encryptor.seal_pending(self.layout.is_last(encryptor.chunk));
            return Some(&encryptor.piece);
        }
        if self.list_given {
            return None;
        }
        self.list_given = true;
        Some(encryptor.hashes.as_flattened())
    }

    /// Where everything stands in the object.
    #[must_use]
    pub const fn layout(&self) -> &ObjectLayout {
        &self.layout
    }

    /// The reference to the object, with a media type of at most 255 bytes and a name of at most 1,024.
    ///
    /// # Errors
    ///
    /// [`FinishError`]. `Unfinished` unless all pieces were taken.
    pub fn reference(&self, media_type: &str, name: &str) -> Result<AttachmentRef, FinishError> {
        if !self.list_given {
            return Err(FinishError::Unfinished);
        }
        let Encryptor { key, salt, cipher, hashes, .. } = &self.encryptor;
        Ok(AttachmentRef::new(key.clone(), *salt, &self.layout, cipher.root(hashes), media_type, name)?)
    }
}

impl fmt::Debug for ObjectTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectTail").field("layout", &self.layout).finish_non_exhaustive()
    }
}
