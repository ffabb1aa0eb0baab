use std::boxed::Box;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    AttachmentKey, AttachmentRef, CheckedHeader, ChunkSize, Decryptor, Encryptor, FinishError, HEADER_LEN, Layout,
    Opener, Tail,
};
use alloc::vec;
use alloc::vec::Vec;

/// What the bytes are is wrong, not the reading of them: the library's own error is inside.
fn invalid(error: impl core::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Reads the object of the file that `R` reads: for a client that uploads from a [`Read`].
///
/// # Examples
///
/// ```
/// use std::io::Read as _;
/// use subrosa::attachment::{self, AttachmentKey, ChunkSize, EncryptReader};
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// let file = &b"what a file holds"[..];
/// let mut reader = EncryptReader::new(file, AttachmentKey::random(&mut rng), ChunkSize::DEFAULT, &mut rng);
/// let mut object = Vec::new();
/// reader.read_to_end(&mut object)?;
/// let reference = reader.reference("text/plain", "a.txt")?;
/// assert_eq!(*attachment::decrypt(&reference, &object)?, *file);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EncryptReader<R> {
    inner: R,
    stage: Stage,
    /// Plaintext that was read and is not taken yet: from `at` to `end`.
    read: Zeroizing<Vec<u8>>,
    at: usize,
    end: usize,
    /// The object's piece, of which `given` bytes went out.
    piece: Vec<u8>,
    given: usize,
}

#[derive(Debug)]
enum Stage {
    Reading(Box<Encryptor>),
    Ending(Box<Tail>),
    /// For the moment of a change only.
    Between,
}

impl<R: Read> EncryptReader<R> {
    /// Starts an object.
    #[must_use]
    pub fn new(inner: R, key: AttachmentKey, chunk_size: ChunkSize, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let stage = Stage::Reading(Box::new(Encryptor::new(key, chunk_size, rng)));
        let read = Zeroizing::new(vec![0; chunk_size.bytes()]);
        Self { inner, stage, read, at: 0, end: 0, piece: Vec::new(), given: 0 }
    }

    /// The reference to the object, once all of it was read.
    ///
    /// # Errors
    ///
    /// [`FinishError`].
    pub fn reference(&self, media_type: &str, name: &str) -> Result<AttachmentRef, FinishError> {
        match &self.stage {
            Stage::Ending(tail) if self.given == self.piece.len() => tail.reference(media_type, name),
            _ => Err(FinishError::Unfinished),
        }
    }

    /// Gets the next piece; `false` at the end.
    fn next_piece(&mut self) -> io::Result<bool> {
        self.piece.clear();
        self.given = 0;
        loop {
            match &mut self.stage {
                Stage::Reading(encryptor) => {
                    let mut plain = self.read.get(self.at..self.end).unwrap_or_default();
                    let piece = encryptor.push(&mut plain).map_err(invalid)?;
                    self.at = self.end - plain.len();
                    if let Some(piece) = piece {
                        self.piece.extend_from_slice(piece);
                        return Ok(true);
                    }
                    (self.at, self.end) = (0, 0);
                    self.end = self.inner.read(&mut self.read)?.min(self.read.len());
                    if self.end == 0 {
                        self.stage = match core::mem::replace(&mut self.stage, Stage::Between) {
                            Stage::Reading(encryptor) => Stage::Ending(Box::new(encryptor.finish())),
                            other => other,
                        };
                    }
                }
                Stage::Ending(tail) => {
                    let Some(piece) = tail.next_piece() else { return Ok(false) };
                    self.piece.extend_from_slice(piece);
                    return Ok(true);
                }
                Stage::Between => return Ok(false),
            }
        }
    }
}

impl<R: Read> Read for EncryptReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.given == self.piece.len() && !self.next_piece()? {
            return Ok(0);
        }
        let mut rest = self.piece.get(self.given..).unwrap_or_default();
        let len = rest.read(out)?;
        self.given += len;
        Ok(len)
    }
}

/// Writes a file while its object is written to it, in order: for a client that downloads into a [`Write`].
///
/// It takes what a [`Decryptor`] takes: the object between header and list.
///
/// # Errors
///
/// Of kind `InvalidData` with a [`DecryptError`](super::DecryptError) inside; everything written before is right. And
/// those of `W`: what was under way is not written a second time, so begin again with [`DecryptWriter::resume`].
///
/// # Examples
///
/// ```
/// use std::io::Write as _;
/// use subrosa::attachment::{self, CheckedHeader, DecryptWriter};
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// # let (object, reference) = attachment::encrypt(&[7; 100_000], "", "", &mut rng)?;
/// let header = CheckedHeader::new(&reference, &object[..56])?;
/// let (chunks, list) = object[56..].split_at(header.layout().list_range().start as usize - 56);
/// let mut writer = DecryptWriter::new(Vec::new(), header.with_list(list)?);
/// writer.write_all(chunks)?;
/// assert!(writer.finish()? == [7; 100_000]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DecryptWriter<W> {
    inner: W,
    decryptor: Decryptor,
}

impl<W: Write> DecryptWriter<W> {
    /// Begins with the first chunk.
    #[must_use]
    pub fn new(inner: W, opener: Opener) -> Self {
        Self::resume(inner, opener, 0)
    }

    /// Goes on where `received` bytes of the file are there already: see [`Decryptor::resume`].
    #[must_use]
    pub fn resume(inner: W, opener: Opener, received: u64) -> Self {
        Self { inner, decryptor: Decryptor::resume(opener, received) }
    }

    /// The offset in the object of the byte that it wants next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.decryptor.position()
    }

    /// How much of the file is written.
    #[must_use]
    pub fn plain_position(&self) -> u64 {
        self.decryptor.plain_position()
    }

    /// Says that all of the file is written, and gives the writer back.
    ///
    /// # Errors
    ///
    /// Of kind `InvalidData` if the object is cut short, and those of `W` when it is flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.flush()?;
        self.decryptor.finish().map_err(invalid)?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for DecryptWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(piece) = self.decryptor.push(&mut rest).map_err(invalid)? {
            self.inner.write_all(piece)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads and seeks in a file, given a reader of its object: for a player.
///
/// It holds one chunk, and reads no other than those it is asked for.
///
/// # Errors
///
/// Of kind `InvalidData` with an [`OpenError`](super::OpenError) or a [`ChunkError`](super::ChunkError) inside.
///
/// # Examples
///
/// ```
/// use std::io::{Cursor, Read as _, Seek as _, SeekFrom};
/// use subrosa::attachment::{self, ObjectReader};
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// # let file: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
/// # let (object, reference) = attachment::encrypt(&file, "", "", &mut rng)?;
/// let mut reader = ObjectReader::open(&reference, Cursor::new(object))?;
/// reader.seek(SeekFrom::Start(700_000))?;
/// let mut frame = [0; 1_000];
/// reader.read_exact(&mut frame)?;
/// assert_eq!(frame, file[700_000..701_000]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ObjectReader<R> {
    inner: R,
    opener: Opener,
    /// Offset in the file.
    at: u64,
    /// Number and content of the chunk opened last.
    chunk: Option<u64>,
    plain: Zeroizing<Vec<u8>>,
    stored: Vec<u8>,
}

impl<R: Read + Seek> ObjectReader<R> {
    /// Reads header and list, and checks them against the reference.
    ///
    /// # Errors
    ///
    /// Those of `R`; `InvalidData` with an [`OpenError`](super::OpenError) inside.
    pub fn open(reference: &AttachmentRef, mut inner: R) -> io::Result<Self> {
        let mut header = [0; HEADER_LEN];
        inner.seek(SeekFrom::Start(0))?;
        inner.read_exact(&mut header)?;
        let header = CheckedHeader::new(reference, &header).map_err(invalid)?;
        let range = header.layout().list_range();
        inner.seek(SeekFrom::Start(range.start))?;
        // Grows with what is there, not with what the reference claims. What follows the list is not looked at.
        let mut list = Vec::new();
        inner.by_ref().take(range.end - range.start).read_to_end(&mut list)?;
        let opener = header.with_list(&list).map_err(invalid)?;
        let (plain, stored) = (Zeroizing::new(Vec::new()), Vec::new());
        Ok(Self { inner, opener, at: 0, chunk: None, plain, stored })
    }

    /// Where everything stands in the object.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        self.opener.layout()
    }

    /// Has a chunk in `plain`.
    fn load(&mut self, chunk: u64) -> io::Result<()> {
        if self.chunk == Some(chunk) {
            return Ok(());
        }
        self.chunk = None;
        let range = self.opener.layout().object_range(chunk..chunk + 1);
        let range = range.ok_or_else(|| invalid(super::ChunkError::NoSuchChunk))?;
        self.inner.seek(SeekFrom::Start(range.start))?;
        self.stored.clear();
        self.inner.by_ref().take(range.end - range.start).read_to_end(&mut self.stored)?;
        self.opener.open_to(chunk, &self.stored, &mut self.plain).map_err(invalid)?;
        self.chunk = Some(chunk);
        Ok(())
    }
}

impl<R: Read + Seek> Read for ObjectReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(chunk) = self.opener.layout().chunk_at_plain(self.at) else { return Ok(0) };
        if out.is_empty() {
            return Ok(0);
        }
        self.load(chunk)?;
        let start = self.opener.layout().plain_range(0..chunk).map_or(self.at, |before| before.end);
        let within = usize::try_from(self.at - start).map_err(invalid)?;
        let mut rest = self.plain.get(within..).unwrap_or_default();
        let len = rest.read(out)?;
        self.at += u64::try_from(len).map_err(invalid)?;
        Ok(len)
    }
}

impl<R> Seek for ObjectReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(by) => (self.opener.layout().plain_len(), by),
            SeekFrom::Current(by) => (self.at, by),
        };
        let at = from.checked_add_signed(by);
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a seek to before the beginning"))?;
        Ok(self.at)
    }
}
