use alloc::vec::Vec;
use core::borrow::Borrow;
use core::fmt;

use zeroize::Zeroizing;

use super::{ChunkError, Opener};

/// Why a download does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// A chunk is not released; everything before it was right. Where the error says that fetching it again helps, go
    /// on from [`Decryptor::position`].
    #[error("chunk {chunk}: {error}")]
    Chunk {
        /// Its number.
        chunk: u64,
        /// Why it is not released.
        error: ChunkError,
    },
    /// Bytes follow the last chunk that are none of it. The file is complete; the server sends what it should not.
    #[error("bytes follow the last chunk")]
    Excess,
    /// The object ended before its last chunk. Go on from [`Decryptor::position`]; do not take the part for the whole.
    #[error("the object is cut short")]
    Truncated,
}

/// Decrypts a file while it is downloaded: chunks of the object in slices of any length, the file in pieces, in order.
///
/// It takes the object's bytes at `layout().object_range(0..layout().chunks())`, that is between header and list, or
/// that part of them that begins with a chunk. It holds two chunks at most. `O` is an [`Opener`], or whatever lends one.
///
/// # Security
///
/// A piece is released only if it is what the reference commits to. That it is all there is, only
/// [`Decryptor::finish`] says.
///
/// # Examples
///
/// ```
/// use subrosa::attachment::{self, CheckedHeader, Decryptor};
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// # let file = vec![7u8; 300_000];
/// # let (object, reference) = attachment::encrypt(&file, "", "", &mut rng)?;
/// # let fetch = |range: core::ops::Range<u64>| object[range.start as usize..range.end as usize].to_vec();
/// let header = CheckedHeader::new(&reference, &fetch(0..56))?;
/// let list = fetch(header.layout().list_range());
/// let opener = header.with_list(&list)?;
///
/// let mut received = Vec::new();
/// let mut decryptor = Decryptor::new(&opener);
/// let mut bytes = &fetch(decryptor.position()..100_000)[..]; // and here the connection breaks
/// while let Some(piece) = decryptor.push(&mut bytes)? {
///     received.extend_from_slice(piece);
/// }
/// // After a restart: how much of the file is there?
/// let mut decryptor = Decryptor::resume(&opener, received.len() as u64);
/// received.truncate(decryptor.plain_position() as usize);
/// for mut bytes in fetch(decryptor.position()..opener.layout().list_range().start).chunks(1_400) {
///     while let Some(piece) = decryptor.push(&mut bytes)? {
///         received.extend_from_slice(piece);
///     }
/// }
/// decryptor.finish()?;
/// assert!(received == file);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Decryptor<O = Opener> {
    opener: O,
    chunk: u64,
    stored: Vec<u8>,
    plain: Zeroizing<Vec<u8>>,
}

impl<O: Borrow<Opener>> Decryptor<O> {
    /// Begins with the first chunk.
    #[must_use]
    pub fn new(opener: O) -> Self {
        Self::resume(opener, 0)
    }

    /// Goes on where `received` bytes of the file are there already, all released by a decryptor before.
    ///
    /// It goes back to where a chunk begins: cut what was received to [`Decryptor::plain_position`] and fetch from
    /// [`Decryptor::position`].
    #[must_use]
    pub fn resume(opener: O, received: u64) -> Self {
        let layout = opener.borrow().layout();
        let chunk = received.min(layout.plain_len()) / layout.chunk_size().wide();
        // In chunks that hold padding only there is nothing to have received.
        let chunk = chunk.min(layout.chunks() - 1);
        Self { opener, chunk, stored: Vec::new(), plain: Zeroizing::new(Vec::new()) }
    }

    /// The offset in the object of the byte that it wants next.
    #[must_use]
    pub fn position(&self) -> u64 {
        let before = self.opener.borrow().layout().object_range(0..self.chunk);
        before.map_or(0, |before| before.end) + u64::try_from(self.stored.len()).unwrap_or(0)
    }

    /// How much of the file is released.
    #[must_use]
    pub fn plain_position(&self) -> u64 {
        self.opener.borrow().layout().plain_range(0..self.chunk).map_or(0, |before| before.end)
    }

    /// Takes bytes from the front of the slice until a piece of the file is ready, and gives it; never an empty one.
    /// `None` once the slice is empty: go on with the next one.
    ///
    /// # Errors
    ///
    /// [`DownloadError`]. The bytes of the chunk in question are forgotten: it waits for that chunk's first byte again.
    pub fn push(&mut self, bytes: &mut &[u8]) -> Result<Option<&[u8]>, DownloadError> {
        loop {
            let opener = self.opener.borrow();
            let Some(len) = opener.layout().stored_len(self.chunk) else {
                return if bytes.is_empty() { Ok(None) } else { Err(DownloadError::Excess) };
            };
            // At most 2^20 and a tag.
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let (taken, rest) = bytes.split_at(bytes.len().min(len - self.stored.len()));
            *bytes = rest;
            let opened = if taken.len() == len {
                // A whole chunk: opened from where it stands.
                opener.open_to(self.chunk, taken, &mut self.plain)
            } else {
                self.stored.extend_from_slice(taken);
                if self.stored.len() < len {
                    return Ok(None);
                }
                opener.open_to(self.chunk, &self.stored, &mut self.plain)
            };
            self.stored.clear();
            opened.map_err(|error| DownloadError::Chunk { chunk: self.chunk, error })?;
            self.chunk += 1;
            if !self.plain.is_empty() {
                return Ok(Some(&self.plain));
            }
        }
    }

    /// Says that all of the file was released, and gives the opener back.
    ///
    /// # Errors
    ///
    /// [`DownloadError::Truncated`].
    pub fn finish(self) -> Result<O, DownloadError> {
        if self.chunk < self.opener.borrow().layout().chunks() {
            return Err(DownloadError::Truncated);
        }
        Ok(self.opener)
    }
}

impl<O> fmt::Debug for Decryptor<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decryptor").field("chunk", &self.chunk).finish_non_exhaustive()
    }
}
