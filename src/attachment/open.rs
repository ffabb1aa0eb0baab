use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroize;

use super::header::{ChunkCipher, HeaderFault};
use super::{AttachmentRef, ChunkHash, ObjectLayout};
use crate::crypto::sha256;

/// Why an object is not the one of a reference. Nothing of it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The object does not begin with a header of this version. It is damaged, or something else.
    #[error("not the header of an attachment")]
    Header,
    /// The header is of another object than the reference. Fetch the right one.
    #[error("the header of another attachment")]
    OtherObject,
    /// The object is sealed under another key than the reference gives. Trying again does not help.
    #[error("the object commits to another key")]
    Key,
    /// The object's length is not the one that the file has in these chunks. Trying again does not help.
    #[error("object and file length contradict each other")]
    Length,
    /// The list of hashes is not what the reference commits to: damaged on the way, or of another object. Fetch it
    /// again.
    #[error("the list of chunks is not the one committed to")]
    List,
}

/// Why a chunk is not released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// There is no such chunk.
    #[error("no such chunk")]
    NoSuchChunk,
    /// Not as long as the chunk is in the object: cut, or more than the chunk. Fetch it again.
    #[error("the chunk has another length")]
    Length,
    /// Not the bytes that the reference commits to. Fetch it again.
    #[error("the chunk is not the one committed to")]
    Altered,
    /// The bytes that the reference commits to, and they do not open, or hold something in place of their padding: the
    /// sender's doing. Trying again does not help.
    #[error("the chunk was not sealed as an attachment's")]
    Forged,
}

/// A header that belongs to a reference. Tells where the list of hashes stands in the object.
///
/// # Examples
///
/// See the [room](super).
pub struct CheckedHeader {
    cipher: ChunkCipher,
    layout: ObjectLayout,
    root: [u8; 32],
}

impl CheckedHeader {
    /// Checks the first 56 bytes of an object against its reference.
    ///
    /// # Errors
    ///
    /// [`ObjectError`].
    pub fn new(reference: &AttachmentRef, header: &[u8]) -> Result<Self, ObjectError> {
        let opened = ChunkCipher::of_header(reference.key(), reference.salt(), header);
        let (cipher, chunk_size) = opened.map_err(|fault| match fault {
            HeaderFault::Malformed => ObjectError::Header,
            HeaderFault::Salt => ObjectError::OtherObject,
            HeaderFault::Key => ObjectError::Key,
        })?;
        let layout = ObjectLayout::new(reference.plain_len(), chunk_size).map_err(|_| ObjectError::Length)?;
        if layout.object_len() != reference.object_len() {
            return Err(ObjectError::Length);
        }
        Ok(Self { cipher, layout, root: *reference.root() })
    }

    /// Where everything stands in the object.
    #[must_use]
    pub const fn layout(&self) -> &ObjectLayout {
        &self.layout
    }

    /// Checks the list, the object's bytes at [`ObjectLayout::list_range`], against the reference. It is at most 32 MiB
    /// long; header and list can be kept beside the reference, unsealed, to save fetching them again.
    ///
    /// # Errors
    ///
    /// [`ObjectError::List`].
    pub fn with_list(self, list: &[u8]) -> Result<Opener, ObjectError> {
        let (list, []) = list.as_chunks::<32>() else { return Err(ObjectError::List) };
        // The root would not match a list of another length either; this comes first because it costs nothing.
        if u64::try_from(list.len()) != Ok(self.layout.chunks()) || self.cipher.root(list) != self.root {
            return Err(ObjectError::List);
        }
        Ok(Opener { cipher: self.cipher, layout: self.layout, list: list.to_vec() })
    }
}

impl fmt::Debug for CheckedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedHeader").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// Opens any chunk of an object alone, in any order, as often as wanted: for seeking.
///
/// # Security
///
/// A chunk is released only if it is, bit for bit, the one that the reference commits to. What was shown can be reported.
///
/// # Examples
///
/// See the [room](super).
pub struct Opener {
    cipher: ChunkCipher,
    layout: ObjectLayout,
    list: Vec<ChunkHash>,
}

impl Opener {
    /// Where everything stands in the object.
    #[must_use]
    pub const fn layout(&self) -> &ObjectLayout {
        &self.layout
    }

    /// Checks a stored chunk without opening it: whether a download that was broken off has it whole.
    ///
    /// # Errors
    ///
    /// [`ChunkError`].
    pub fn verify_chunk(&self, chunk: u64, stored: &[u8]) -> Result<(), ChunkError> {
        let expected = usize::try_from(chunk).ok().and_then(|chunk| self.list.get(chunk));
        let expected = expected.ok_or(ChunkError::NoSuchChunk)?;
        let len = self.layout.stored_len(chunk).ok_or(ChunkError::NoSuchChunk)?;
        if u64::try_from(stored.len()) != Ok(len) {
            return Err(ChunkError::Length);
        }
        if sha256(&[stored]) != *expected {
            return Err(ChunkError::Altered);
        }
        Ok(())
    }

    /// Opens a chunk: the object's bytes at [`ObjectLayout::object_range`] give the file's at [`ObjectLayout::plain_range`].
    ///
    /// # Errors
    ///
    /// [`ChunkError`].
    pub fn open_chunk(&self, chunk: u64, stored: &[u8]) -> Result<Vec<u8>, ChunkError> {
        let mut plain = Vec::new();
        self.open_to(chunk, stored, &mut plain)?;
        Ok(plain)
    }

    /// Opens a chunk where it stands, and gives the part of the buffer that is the file's.
    ///
    /// # Errors
    ///
    /// [`ChunkError`]. The buffer holds no plaintext then.
    pub fn open_chunk_in_place<'a>(&self, chunk: u64, stored: &'a mut [u8]) -> Result<&'a [u8], ChunkError> {
        self.verify_chunk(chunk, stored)?;
        let (len, _) = self.layout.content_of(chunk).ok_or(ChunkError::NoSuchChunk)?;
        let opened = self.cipher.open_in_place(chunk, self.layout.is_last(chunk), stored);
        let text = opened.ok_or(ChunkError::Forged)?;
        if !is_zero(text.get(len..)) {
            text.zeroize();
            return Err(ChunkError::Forged);
        }
        text.get(..len).ok_or(ChunkError::Forged)
    }

    /// Opens a chunk into a buffer, which then holds nothing else; nothing at all after an error.
    pub(super) fn open_to(&self, chunk: u64, stored: &[u8], plain: &mut Vec<u8>) -> Result<(), ChunkError> {
        let opened = self.verify_chunk(chunk, stored).and_then(|()| {
            let (len, _) = self.layout.content_of(chunk).ok_or(ChunkError::NoSuchChunk)?;
            let opened = self.cipher.open_to(chunk, self.layout.is_last(chunk), stored, plain);
            if !opened || !is_zero(plain.get(len..)) {
                return Err(ChunkError::Forged);
            }
            plain.truncate(len);
            Ok(())
        });
        if opened.is_err() {
            plain.zeroize();
        }
        opened
    }
}

/// Padding that is not zero would be a place to hide what the reference's length does not tell of.
fn is_zero(padding: Option<&[u8]>) -> bool {
    padding.is_some_and(|padding| padding.iter().all(|byte| *byte == 0))
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("layout", &self.layout).finish_non_exhaustive()
    }
}
