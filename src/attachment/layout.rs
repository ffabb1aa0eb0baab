use core::ops::Range;

use crate::crypto::GCM_TAG_LEN;
use crate::suite::padme;

/// Length of the header that begins every object.
pub const HEADER_LEN: usize = 56;

/// Most chunks of one file: 2^20, so that no list of hashes exceeds 32 MiB, whatever a reference claims.
///
/// Files of 4 GiB in the smallest chunks, 64 GiB in those of 64 KiB, 1 TiB in the largest.
pub const MAX_CHUNKS: u64 = 1 << 20;

const TAG: u64 = widen(GCM_TAG_LEN);
const HASH: u64 = 32;
const HEADER: u64 = widen(HEADER_LEN);

/// Constants are small; `From` is not yet usable in one.
#[expect(clippy::as_conversions, reason = "widening, and only of constants")]
const fn widen(constant: usize) -> u64 {
    constant as u64
}

/// The file has more than [`MAX_CHUNKS`] chunks. Choose larger chunks, or cut the file in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file is too long for its chunk size")]
pub struct FileTooLong;

/// How many bytes of plaintext a chunk holds: a power of two from 2^12 to 2^20.
///
/// Small chunks seek finely; large ones cost less list. 64 KiB, the default, adds 0.07 %.
///
/// # Examples
///
/// ```
/// use subrosa::attachment::ChunkSize;
/// assert_eq!(ChunkSize::DEFAULT.bytes(), 65_536);
/// assert!(ChunkSize::new(21).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkSize(u8);

impl ChunkSize {
    /// 4 KiB.
    pub const MIN: Self = Self(12);
    /// 64 KiB.
    pub const DEFAULT: Self = Self(16);
    /// 1 MiB.
    pub const MAX: Self = Self(20);

    /// The chunk size of 2^`log2` bytes; `None` outside 12 to 20.
    #[must_use]
    pub const fn new(log2: u8) -> Option<Self> {
        if log2 >= Self::MIN.0 && log2 <= Self::MAX.0 { Some(Self(log2)) } else { None }
    }

    /// Its logarithm to base 2: 12 to 20.
    #[must_use]
    pub const fn log2(self) -> u8 {
        self.0
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        1 << self.0
    }

    /// The size as file lengths are counted.
    pub(super) const fn wide(self) -> u64 {
        1 << self.0
    }

    /// The longest file in such chunks. A power of two, so that padding does not lead beyond it.
    pub(super) const fn longest(self) -> u64 {
        MAX_CHUNKS << self.0
    }
}

impl Default for ChunkSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Where everything stands in an object: a pure function of the plain length and the chunk size.
///
/// Object: header 56 ‖ chunks ‖ hashes of the chunks. All offsets and lengths are bytes.
///
/// # Examples
///
/// ```
/// use subrosa::attachment::{ChunkSize, ObjectLayout};
/// let layout = ObjectLayout::new(100_000, ChunkSize::DEFAULT)?;
/// assert_eq!(layout.padded_len(), 100_352);
/// assert_eq!((layout.chunks(), layout.object_len()), (2, 56 + 100_352 + 2 * (16 + 32)));
/// assert_eq!(layout.object_range(1..2), Some(56 + 65_552..56 + 100_352 + 32));
/// assert_eq!(layout.plain_range(1..2), Some(65_536..100_000));
/// # Ok::<(), subrosa::attachment::FileTooLong>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLayout {
    chunk_size: ChunkSize,
    plain_len: u64,
    padded_len: u64,
    chunks: u64,
}

impl ObjectLayout {
    /// The layout of a file of this length.
    ///
    /// # Errors
    ///
    /// [`FileTooLong`].
    pub const fn new(plain_len: u64, chunk_size: ChunkSize) -> Result<Self, FileTooLong> {
        if plain_len > chunk_size.longest() {
            return Err(FileTooLong);
        }
        Ok(Self::within_limits(plain_len, chunk_size))
    }

    /// The same where the length is known to be within the limit. Nothing below overflows then.
    pub(super) const fn within_limits(plain_len: u64, chunk_size: ChunkSize) -> Self {
        let padded_len = padme(plain_len);
        // Only an empty file has an empty chunk.
        let chunks = if padded_len == 0 { 1 } else { padded_len.div_ceil(chunk_size.wide()) };
        Self { chunk_size, plain_len, padded_len, chunks }
    }

    /// Bytes of plaintext in a chunk.
    #[must_use]
    pub const fn chunk_size(&self) -> ChunkSize {
        self.chunk_size
    }

    /// Length of the file.
    #[must_use]
    pub const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// Length of the file with its padding (Padmé): what the object's length shows.
    #[must_use]
    pub const fn padded_len(&self) -> u64 {
        self.padded_len
    }

    /// How many chunks there are, numbered from 0; at least one.
    #[must_use]
    pub const fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Length of the object.
    #[must_use]
    pub const fn object_len(&self) -> u64 {
        self.list_start() + self.chunks * HASH
    }

    /// Where the list of hashes stands in the object: at its end.
    #[must_use]
    pub const fn list_range(&self) -> Range<u64> {
        self.list_start()..self.object_len()
    }

    /// Where chunks stand in the object; `None` if there are no such chunks.
    ///
    /// What `0..chunks()` gives is the part that a [`Decryptor`](super::Decryptor) takes.
    #[must_use]
    pub fn object_range(&self, chunks: Range<u64>) -> Option<Range<u64>> {
        let chunks = self.existing(chunks)?;
        let at = |chunk: u64| (HEADER + chunk * (self.chunk_size.wide() + TAG)).min(self.list_start());
        Some(at(chunks.start)..at(chunks.end))
    }

    /// Which part of the file chunks hold; `None` if there are no such chunks. Empty where they hold padding only.
    #[must_use]
    pub fn plain_range(&self, chunks: Range<u64>) -> Option<Range<u64>> {
        let chunks = self.existing(chunks)?;
        let at = |chunk: u64| (chunk * self.chunk_size.wide()).min(self.plain_len);
        Some(at(chunks.start)..at(chunks.end))
    }

    /// The chunk that holds the file's byte at an offset; `None` at or beyond the end.
    #[must_use]
    pub fn chunk_at_plain(&self, offset: u64) -> Option<u64> {
        (offset < self.plain_len).then(|| offset / self.chunk_size.wide())
    }

    /// The chunk that holds the object's byte at an offset; `None` in the header, in the list and beyond.
    #[must_use]
    pub fn chunk_at_object(&self, offset: u64) -> Option<u64> {
        (HEADER..self.list_start()).contains(&offset).then(|| (offset - HEADER) / (self.chunk_size.wide() + TAG))
    }

    /// Length of a chunk as it is stored.
    pub(super) fn stored_len(&self, chunk: u64) -> Option<u64> {
        let range = self.object_range(chunk..chunk.checked_add(1)?)?;
        Some(range.end - range.start)
    }

    /// How many bytes of the file a chunk holds, and how many zeros follow them. Never above 2^20.
    pub(super) fn content_of(&self, chunk: u64) -> Option<(usize, usize)> {
        let plain = self.plain_range(chunk..chunk.checked_add(1)?)?;
        let plain_len = plain.end - plain.start;
        let zeros = self.stored_len(chunk)? - TAG - plain_len;
        Some((usize::try_from(plain_len).ok()?, usize::try_from(zeros).ok()?))
    }

    pub(super) const fn is_last(&self, chunk: u64) -> bool {
        chunk + 1 == self.chunks
    }

    const fn list_start(&self) -> u64 {
        HEADER + self.padded_len + self.chunks * TAG
    }

    fn existing(&self, chunks: Range<u64>) -> Option<Range<u64>> {
        (chunks.start <= chunks.end && chunks.end <= self.chunks).then_some(chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes() -> impl Strategy<Value = ChunkSize> {
        (12u8..=20).prop_map(|log2| ChunkSize::new(log2).unwrap())
    }

    fn any_len() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64u32).prop_map(|(len, shift)| len >> shift)
    }

    proptest! {
        /// Chunk after chunk without a gap, none empty but an empty file's, and all of the file in them.
        #[test]
        fn chunks_tile_the_object(size in sizes(), len in any_len(), at in any::<prop::sample::Index>()) {
            let Ok(layout) = ObjectLayout::new(len, size) else {
                prop_assert!(len > size.longest());
                return Ok(());
            };
            let n = layout.chunks();
            prop_assert!((1..=MAX_CHUNKS).contains(&n));
            prop_assert!(layout.padded_len() >= len && layout.padded_len() <= len + len / 8);
            prop_assert_eq!(layout.object_range(0..n), Some(56..layout.list_range().start));
            prop_assert_eq!(layout.plain_range(0..n), Some(0..len));
            let i = u64::try_from(at.index(usize::try_from(n).unwrap())).unwrap();
            let here = layout.object_range(i..i + 1).unwrap();
            prop_assert_eq!(layout.object_range(0..i).unwrap().end, here.start);
            prop_assert_eq!(layout.object_range(i + 1..n).unwrap().start, here.end);
            prop_assert_eq!(layout.chunk_at_object(here.start), Some(i));
            prop_assert_eq!(layout.chunk_at_object(here.end - 1), Some(i));
            let text = here.end - here.start - 16;
            prop_assert!(text <= size.wide() && (text == size.wide() || i + 1 == n) && (text > 0 || len == 0));
            let plain = layout.plain_range(i..i + 1).unwrap();
            if !plain.is_empty() {
                prop_assert_eq!(layout.chunk_at_plain(plain.start), Some(i));
                prop_assert_eq!(layout.chunk_at_plain(plain.end - 1), Some(i));
            }
            let (content, zeros) = layout.content_of(i).unwrap();
            prop_assert_eq!(u64::try_from(content).unwrap(), plain.end - plain.start);
            prop_assert_eq!(u64::try_from(content + zeros).unwrap(), text);
        }

        #[test]
        fn what_does_not_exist_has_no_place(size in sizes(), len in 0u64..1 << 30, from: u64, to: u64) {
            let layout = ObjectLayout::new(len, size).unwrap();
            let exists = from <= to && to <= layout.chunks();
            prop_assert_eq!(layout.object_range(from..to).is_some(), exists);
            prop_assert_eq!(layout.plain_range(from..to).is_some(), exists);
            prop_assert_eq!(layout.chunk_at_plain(from).is_some(), from < len);
            prop_assert_eq!(layout.stored_len(from).is_some(), from < layout.chunks());
        }
    }

    #[test]
    fn the_limits() {
        for size in [ChunkSize::MIN, ChunkSize::DEFAULT, ChunkSize::MAX] {
            let longest = ObjectLayout::new(size.longest(), size).unwrap();
            assert_eq!((longest.padded_len(), longest.chunks()), (size.longest(), MAX_CHUNKS));
            for len in [size.longest() + 1, u64::MAX - 1, u64::MAX] {
                assert_eq!(ObjectLayout::new(len, size), Err(FileTooLong));
            }
        }
        assert!(ChunkSize::new(11).is_none() && ChunkSize::new(0).is_none() && ChunkSize::new(255).is_none());
    }

    #[test]
    fn an_empty_file_has_one_empty_chunk() {
        let layout = ObjectLayout::new(0, ChunkSize::DEFAULT).unwrap();
        assert_eq!((layout.chunks(), layout.object_len(), layout.list_range()), (1, 56 + 16 + 32, 72..104));
        assert_eq!(layout.chunk_at_plain(0), None);
        assert_eq!(layout.plain_range(0..1), Some(0..0));
    }
}
