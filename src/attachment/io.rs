use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    AttachmentKey, AttachmentRef, CheckedHeader, ChunkSize, Decryptor, Encryptor, FinishError, HEADER_LEN,
    ObjectLayout, ObjectTail, Opener,
};

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
    Ending(Box<ObjectTail>),
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
/// Of kind `InvalidData` with a [`DownloadError`](super::DownloadError) inside; everything written before is right. And
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
/// Of kind `InvalidData` with an [`ObjectError`](super::ObjectError) or a [`ChunkError`](super::ChunkError) inside.
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
    /// Those of `R`; `InvalidData` with an [`ObjectError`](super::ObjectError) inside.
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
    pub const fn layout(&self) -> &ObjectLayout {
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

#[cfg(test)]
mod tests {
    use super::super::{ChunkError, DownloadError, ObjectError, decrypt, encrypt};
    use super::*;
    use crate::support::rng;
    use proptest::prelude::*;
    use rand_core::Rng;
    use std::io::Cursor;

    fn file(len: usize) -> Vec<u8> {
        let mut file = vec![0; len];
        rng(1).fill_bytes(&mut file);
        file
    }

    /// Gives a few bytes at a time, and is interrupted in between.
    struct Slow<R>(R, u32);

    impl<R: Read> Read for Slow<R> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let len = out.len().min(usize::try_from(self.1 * 37 % 1_000).unwrap() + 1);
            self.0.read(&mut out[..len])
        }
    }

    impl<R: Seek> Seek for Slow<R> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    /// The library's error inside of another.
    fn inner<E: core::error::Error + Copy + 'static>(error: &io::Error) -> E {
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        *error.get_ref().unwrap().downcast_ref::<E>().unwrap()
    }

    fn writer(reference: &AttachmentRef, object: &[u8]) -> (DecryptWriter<Vec<u8>>, usize) {
        let header = CheckedHeader::new(reference, &object[..56]).unwrap();
        let list = usize::try_from(header.layout().list_range().start).unwrap();
        (DecryptWriter::new(Vec::new(), header.with_list(&object[list..]).unwrap()), list)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn slow_readers_and_any_seeks(
            len in prop_oneof![0..20_000usize, 525_000..560_000usize],
            seeks in proptest::collection::vec((any::<prop::sample::Index>(), 0..9_000usize), 0..20),
        ) {
            let plain = file(len);
            let key = AttachmentKey::random(&mut rng(2));
            let mut reader = EncryptReader::new(Slow(&plain[..], 0), key, ChunkSize::MIN, &mut rng(3));
            prop_assert_eq!(reader.reference("", "").unwrap_err(), FinishError::Unfinished);
            let mut object = Vec::new();
            reader.read_to_end(&mut object).unwrap();
            let reference = reader.reference("", "").unwrap();
            prop_assert!(*decrypt(&reference, &object).unwrap() == plain);

            let (mut writer, list) = writer(&reference, &object);
            io::copy(&mut Slow(&object[56..list], 1), &mut writer).unwrap();
            prop_assert!(writer.finish().unwrap() == plain);

            let mut reader = ObjectReader::open(&reference, Slow(Cursor::new(&object), 2)).unwrap();
            for (at, len) in seeks {
                let at = at.index(plain.len() + 1);
                let end = plain.len().min(at + len);
                reader.seek(SeekFrom::Start(u64::try_from(at).unwrap())).unwrap();
                let mut read = vec![0; end - at];
                reader.read_exact(&mut read).unwrap();
                prop_assert!(read == plain[at..end]);
            }
            reader.rewind().unwrap();
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            prop_assert!(read == plain);
        }
    }

    #[test]
    fn seeks_beyond_the_ends() {
        let (object, reference) = encrypt(&file(1_000), "", "", &mut rng(1)).unwrap();
        let mut reader = ObjectReader::open(&reference, Cursor::new(&object)).unwrap();
        assert_eq!(reader.seek(SeekFrom::End(-10)).unwrap(), 990);
        assert_eq!(reader.read(&mut [0; 100]).unwrap(), 10);
        for to in [SeekFrom::Start(u64::MAX), SeekFrom::End(1), SeekFrom::Current(0)] {
            reader.seek(to).unwrap();
            assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0);
        }
        assert!(reader.seek(SeekFrom::End(-1_001)).is_err());
        assert_eq!(reader.seek(SeekFrom::Current(-1)).unwrap(), 1_000, "where it was");
    }

    #[test]
    fn altered_objects_give_the_reason() {
        let (object, reference) = encrypt(&file(100_000), "", "", &mut rng(1)).unwrap();
        let altered = |at: usize| {
            let mut altered = object.clone();
            altered[at] ^= 1;
            altered
        };
        let open = |object: Vec<u8>| ObjectReader::open(&reference, Cursor::new(object));
        assert_eq!(inner::<ObjectError>(&open(altered(30)).unwrap_err()), ObjectError::Key);
        assert_eq!(inner::<ObjectError>(&open(altered(object.len() - 1)).unwrap_err()), ObjectError::List);
        assert_eq!(inner::<ObjectError>(&open(object[..object.len() - 1].to_vec()).unwrap_err()), ObjectError::List);
        let mut reader = open(altered(100)).unwrap();
        let mut read = [9; 50];
        assert_eq!(inner::<ChunkError>(&reader.read(&mut read).unwrap_err()), ChunkError::Altered);
        assert_eq!(read, [9; 50]);
        // The other chunk is as it should be.
        reader.seek(SeekFrom::Start(70_000)).unwrap();
        reader.read_exact(&mut read).unwrap();
        assert_eq!(read, file(100_000)[70_000..70_050]);

        let (mut all, list) = writer(&reference, &object);
        let error = all.write_all(&altered(100)[56..list]).unwrap_err();
        let refused = DownloadError::Chunk { chunk: 0, error: ChunkError::Altered };
        assert_eq!(inner::<DownloadError>(&error), refused);
        assert_eq!((all.position(), all.plain_position()), (56, 0));
        all.write_all(&object[56..list - 1]).unwrap();
        assert_eq!(all.plain_position(), 65_536);
        assert_eq!(inner::<DownloadError>(&all.finish().unwrap_err()), DownloadError::Truncated);
    }
}
