use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::header::{ChunkCipher, SALT_LEN};
use super::{AttachmentKey, AttachmentRef, ChunkHash, ChunkSize, FileTooLong, FinishError, HEADER_LEN, ObjectLayout};

/// Why chunks are not sealed. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StageChunksError {
    /// There are no such chunks, or none were asked for.
    #[error("no such chunks")]
    NoSuchChunk,
    /// The chunks before these are not committed. Stage in order.
    #[error("an earlier chunk is not committed")]
    OutOfOrder,
    /// The plaintext is not as long as these chunks. The file may have been cut since: then `restart`.
    #[error("plaintext does not fit the chunks")]
    Length,
    /// The plaintext is not what was committed for this chunk: the file has changed. To send the new one, `restart`
    /// with its length.
    #[error("the file has changed since its upload began")]
    Changed,
}

/// Why an upload cannot go on from where the server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The server holds chunks that the record does not know: the record is an older copy, or the server's object is
    /// another. `restart`, and upload as a new object.
    #[error("the server holds more than was committed")]
    RolledBack,
    /// The server holds more than the object has bytes. It is another object.
    #[error("the server holds more than the object has")]
    TooLong,
}

/// What to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UploadNext {
    /// The header, without its first `skip` bytes.
    Header {
        /// How many bytes the server has of it.
        skip: usize,
    },
    /// A chunk; of what is staged for it, not the first `skip` bytes.
    Chunk {
        /// Its number.
        index: u64,
        /// How many bytes the server has of it.
        skip: usize,
    },
    /// The list of hashes, without its first `skip` bytes.
    List {
        /// How many bytes the server has of it.
        skip: usize,
    },
    /// Nothing: the server has the whole object.
    Done,
}

/// A file on its way to a server, through crashes and broken connections.
///
/// A chunk is staged first, which gives its hash; once the hash is stored durably, [`StagedChunks::committed`] gives
/// the bytes. After a restart the record says what may have left; staging such a chunk again gives the same bytes or
/// an error.
///
/// # Security
///
/// Two plaintexts sealed as the same chunk would give both away, and the key's authentication with them. That cannot happen
/// as long as the record is never an older copy of itself: exclude it from backups; and whenever it was restored from one,
/// call [`AttachmentUpload::restart`]. [`AttachmentUpload::next_after`] also recognises an older copy by what the server
/// holds. The record holds the file's key: seal it.
///
/// # Examples
///
/// ```
/// use subrosa::attachment::{AttachmentKey, ChunkSize, UploadNext, AttachmentUpload};
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// let file = vec![7u8; 150_000];
/// let plain = |range: core::ops::Range<u64>| &file[range.start as usize..range.end as usize];
///
/// let key = AttachmentKey::random(&mut rng);
/// let mut upload = AttachmentUpload::new(key, file.len() as u64, ChunkSize::DEFAULT, &mut rng)?;
/// let mut stored = upload.to_bytes(); // durable before anything leaves
/// let mut server = upload.header().to_vec();
///
/// let range = upload.layout().plain_range(0..2).unwrap();
/// let staged = upload.stage(0..2, plain(range))?;
/// stored = staged.record(); // durable: the hashes of both chunks
/// server.extend_from_slice(&staged.committed()[..70_000]); // and here the connection breaks
///
/// let mut upload = AttachmentUpload::from_bytes(&stored)?;
/// while let UploadNext::Chunk { index, skip } = upload.next_after(server.len() as u64)? {
///     let range = upload.layout().plain_range(index..index + 1).unwrap();
///     let staged = upload.stage(index..index + 1, plain(range))?;
///     stored = staged.record();
///     server.extend_from_slice(&staged.committed()[skip..]);
/// }
/// server.extend_from_slice(upload.list());
/// let reference = upload.reference("video/mp4", "cat.mp4")?;
/// assert!(*subrosa::attachment::decrypt(&reference, &server)? == file);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AttachmentUpload {
    pub(super) key: AttachmentKey,
    pub(super) salt: [u8; SALT_LEN],
    pub(super) layout: ObjectLayout,
    pub(super) hashes: Vec<ChunkHash>,
    cipher: ChunkCipher,
    sealed: Vec<u8>,
}

impl AttachmentUpload {
    /// Begins the upload of a file of `plain_len` bytes.
    ///
    /// # Errors
    ///
    /// [`FileTooLong`].
    pub fn new(
        key: AttachmentKey,
        plain_len: u64,
        chunk_size: ChunkSize,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, FileTooLong> {
        let layout = ObjectLayout::new(plain_len, chunk_size)?;
        let mut salt = [0; SALT_LEN];
        rng.fill_bytes(&mut salt);
        Ok(Self::from_parts(key, salt, layout, Vec::new()))
    }

    pub(super) fn from_parts(
        key: AttachmentKey,
        salt: [u8; SALT_LEN],
        layout: ObjectLayout,
        hashes: Vec<ChunkHash>,
    ) -> Self {
        let cipher = ChunkCipher::derive(&key, &salt, layout.chunk_size());
        Self { key, salt, layout, hashes, cipher, sealed: Vec::new() }
    }

    /// Begins anew, with the same key under a new salt: an object that shares no key stream with the old one. For a
    /// file that has changed, and for a record that was restored from a backup.
    ///
    /// # Errors
    ///
    /// [`FileTooLong`].
    pub fn restart(self, plain_len: u64, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, FileTooLong> {
        Self::new(self.key, plain_len, self.layout.chunk_size(), rng)
    }

    /// Where everything stands in the object.
    #[must_use]
    pub const fn layout(&self) -> &ObjectLayout {
        &self.layout
    }

    /// The first 56 bytes of the object. They may leave once the record is stored.
    #[must_use]
    pub const fn header(&self) -> &[u8; HEADER_LEN] {
        self.cipher.header()
    }

    /// How many chunks are committed: all before this number may have left.
    #[must_use]
    pub fn committed(&self) -> u64 {
        // At most 2^20.
        u64::try_from(self.hashes.len()).unwrap_or(u64::MAX)
    }

    /// What to send to a server that holds the first `received` bytes of the object. In the list's place, it is
    /// [`AttachmentUpload::list`].
    ///
    /// # Errors
    ///
    /// [`ResumeError`].
    pub fn next_after(&self, received: u64) -> Result<UploadNext, ResumeError> {
        let list = self.layout.list_range();
        if received > list.end {
            return Err(ResumeError::TooLong);
        }
        let within = |start: u64| usize::try_from(received - start).map_err(|_| ResumeError::TooLong);
        if let Some(index) = self.layout.chunk_at_object(received) {
            let start = self.layout.object_range(0..index).map_or(received, |before| before.end);
            let skip = within(start)?;
            // Bytes of a chunk that is not committed cannot have left.
            if index > self.committed() || index == self.committed() && skip > 0 {
                return Err(ResumeError::RolledBack);
            }
            return Ok(UploadNext::Chunk { index, skip });
        }
        if received < list.start {
            return Ok(UploadNext::Header { skip: within(0)? });
        }
        if self.committed() < self.layout.chunks() {
            return Err(ResumeError::RolledBack);
        }
        Ok(if received == list.end { UploadNext::Done } else { UploadNext::List { skip: within(list.start)? } })
    }

    /// Seals chunks; `plain` is what [`ObjectLayout::plain_range`] gives for them. Several at once cost one durable write
    /// instead of several.
    ///
    /// A chunk that is committed already, whether its bytes have arrived or not, is sealed again and must come out the
    /// same.
    ///
    /// # Errors
    ///
    /// [`StageChunksError`].
    pub fn stage(&mut self, chunks: Range<u64>, plain: &[u8]) -> Result<StagedChunks<'_>, StageChunksError> {
        let expected = self.layout.plain_range(chunks.clone()).filter(|_| !chunks.is_empty());
        let expected = expected.ok_or(StageChunksError::NoSuchChunk)?;
        if chunks.start > self.committed() {
            return Err(StageChunksError::OutOfOrder);
        }
        if u64::try_from(plain.len()) != Ok(expected.end - expected.start) {
            return Err(StageChunksError::Length);
        }
        self.sealed.clear();
        let mut new = Vec::new();
        let (mut rest, mut piece) = (plain, Vec::new());
        // All of it at once: a vector that grows would leave copies of the plaintext behind.
        let mut padded = Zeroizing::new(Vec::with_capacity(self.layout.chunk_size().bytes()));
        for chunk in chunks.clone() {
            let (len, zeros) = self.layout.content_of(chunk).ok_or(StageChunksError::NoSuchChunk)?;
            let (mut text, after) = rest.split_at_checked(len).ok_or(StageChunksError::Length)?;
            rest = after;
            if zeros > 0 {
                padded.clear();
                padded.extend_from_slice(text);
                padded.resize(len + zeros, 0);
                text = &padded;
            }
            let hash = self.cipher.seal_to(chunk, self.layout.is_last(chunk), text, &mut piece);
            let known = usize::try_from(chunk).ok().and_then(|chunk| self.hashes.get(chunk));
            match known {
                // Sealing is a function of key, place and plaintext: another hash is another plaintext, and its bytes
                // must not leave.
                Some(committed) if *committed != hash => {
                    self.sealed.clear();
                    return Err(StageChunksError::Changed);
                }
                Some(_) => {}
                None => new.push(hash),
            }
            self.sealed.extend_from_slice(&piece);
        }
        Ok(StagedChunks { upload: self, new, first: chunks.start })
    }

    /// Takes hashes that a host stored one by one after it had stored the record: of the chunks from
    /// [`AttachmentUpload::committed`] on.
    ///
    /// # Errors
    ///
    /// [`StageChunksError::NoSuchChunk`] if there are more of them than chunks.
    pub fn append_committed(&mut self, hashes: &[[u8; 32]]) -> Result<(), StageChunksError> {
        let total = u64::try_from(hashes.len()).ok().and_then(|more| self.committed().checked_add(more));
        if total.is_none_or(|total| total > self.layout.chunks()) {
            return Err(StageChunksError::NoSuchChunk);
        }
        self.hashes.extend_from_slice(hashes);
        Ok(())
    }

    /// The hashes of the committed chunks, joined: once all are committed, the end of the object.
    #[must_use]
    pub fn list(&self) -> &[u8] {
        self.hashes.as_flattened()
    }

    /// The reference to the object, with a media type of at most 255 bytes and a name of at most 1,024. Send it once
    /// the server has the whole object.
    ///
    /// # Errors
    ///
    /// [`FinishError`]. `Unfinished` unless all chunks are committed.
    pub fn reference(&self, media_type: &str, name: &str) -> Result<AttachmentRef, FinishError> {
        if self.committed() < self.layout.chunks() {
            return Err(FinishError::Unfinished);
        }
        let root = self.cipher.root(&self.hashes);
        Ok(AttachmentRef::new(self.key.clone(), self.salt, &self.layout, root, media_type, name)?)
    }
}

impl fmt::Debug for AttachmentUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("AttachmentUpload");
        f.field("layout", &self.layout).field("committed", &self.committed()).finish_non_exhaustive()
    }
}

/// Sealed chunks whose bytes cannot be had before their hashes are stored. Dropped, it never was.
#[must_use = "dropping it takes the chunks back"]
pub struct StagedChunks<'a> {
    upload: &'a mut AttachmentUpload,
    /// Hashes that the upload does not have yet.
    new: Vec<ChunkHash>,
    first: u64,
}

impl<'a> StagedChunks<'a> {
    /// The hashes to store, of the chunks from [`AttachmentUpload::committed`] on; empty if all of these chunks were committed
    /// before.
    ///
    /// For a host that stores 32 bytes for each chunk after a first record, and hands them to
    /// [`AttachmentUpload::append_committed`]. Storing the whole [`record`](Self::record) each time is simpler, and for a file of
    /// many chunks a lot to write.
    #[must_use]
    pub fn new_hashes(&self) -> &[[u8; 32]] {
        &self.new
    }

    /// The upload's record with these chunks committed, unsealed.
    #[must_use]
    pub fn record(&self) -> Zeroizing<Vec<u8>> {
        self.upload.record_with(&self.new)
    }

    /// "The hashes are durable": commits, and gives the chunks as they go to the server.
    #[must_use]
    pub fn committed(self) -> &'a [u8] {
        self.upload.hashes.extend_from_slice(&self.new);
        &self.upload.sealed
    }
}

impl fmt::Debug for StagedChunks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedChunks").field("first", &self.first).finish_non_exhaustive()
    }
}
