use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::header::SALT_LEN;
use super::{AttachmentKey, ChunkSize, ObjectLayout};
use crate::crypto::Secret;

/// Longest media type: 255 bytes.
pub const MAX_MEDIA_TYPE_LEN: usize = 255;

/// Longest name: 1,024 bytes.
pub const MAX_NAME_LEN: usize = 1_024;

const VERSION: u8 = 1;

/// Why bytes, or a type and a name, make no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefError {
    /// A newer version of the library wrote it. Show that there is a file, and ask to update.
    #[error("unsupported version {0} of an attachment reference")]
    UnsupportedVersion(u8),
    /// Shorter or longer than what it holds. Drop it.
    #[error("attachment reference is malformed")]
    Malformed,
    /// The object's length is none that a file of this length has. Drop it.
    #[error("lengths in an attachment reference contradict each other")]
    Lengths,
    /// The media type is longer than [`MAX_MEDIA_TYPE_LEN`], or not UTF-8. Drop it.
    #[error("media type is too long or not text")]
    MediaType,
    /// The name is longer than [`MAX_NAME_LEN`], or not UTF-8. Drop it; when sending, shorten it.
    #[error("name is too long or not text")]
    Name,
}

/// What a message says of a file: its key, and a commitment to every byte of it.
///
/// One encoding, which is what message framing commits to.
///
/// # Security
///
/// It holds the file's key, and is wiped on drop. Type and name are claims of the sender: show them as text, never use
/// the name as a path, and do not open content by a type that it was not checked to have.
///
/// # Examples
///
/// ```
/// use subrosa::attachment::{self, AttachmentRef};
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// let (object, reference) = attachment::encrypt(b"miaow", "audio/ogg", "cat.ogg", &mut rng)?;
/// let received = AttachmentRef::parse(&reference.to_bytes())?;
/// assert_eq!((received.media_type(), received.name(), received.plain_len()), ("audio/ogg", "cat.ogg", 5));
/// assert_eq!(*attachment::decrypt(&received, &object)?, *b"miaow");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AttachmentRef {
    key: AttachmentKey,
    salt: [u8; SALT_LEN],
    plain_len: u64,
    object_len: u64,
    root: [u8; 32],
    media_type: String,
    name: String,
}

impl AttachmentRef {
    pub(super) fn new(
        key: AttachmentKey,
        salt: [u8; SALT_LEN],
        layout: &ObjectLayout,
        root: [u8; 32],
        media_type: &str,
        name: &str,
    ) -> Result<Self, RefError> {
        if media_type.len() > MAX_MEDIA_TYPE_LEN {
            return Err(RefError::MediaType);
        }
        if name.len() > MAX_NAME_LEN {
            return Err(RefError::Name);
        }
        let (plain_len, object_len) = (layout.plain_len(), layout.object_len());
        Ok(Self { key, salt, plain_len, object_len, root, media_type: media_type.into(), name: name.into() })
    }

    /// Reads a reference.
    ///
    /// # Errors
    ///
    /// [`RefError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RefError> {
        let mut rest = bytes;
        let [version] = take::<1>(&mut rest)?;
        if version != VERSION {
            return Err(RefError::UnsupportedVersion(version));
        }
        let key = AttachmentKey::new(Secret::new(take(&mut rest)?));
        let salt = take(&mut rest)?;
        let plain_len = u64::from_be_bytes(take(&mut rest)?);
        let object_len = u64::from_be_bytes(take(&mut rest)?);
        let root = take(&mut rest)?;
        let media_type = text(&mut rest, MAX_MEDIA_TYPE_LEN, RefError::MediaType)?;
        let name = text(&mut rest, MAX_NAME_LEN, RefError::Name)?;
        if !rest.is_empty() {
            return Err(RefError::Malformed);
        }
        // The chunk size stands in the object's header. That some chunk size gives this length is known here already,
        // and bounds what a host may be made to fetch.
        let of_size = |log2| Some(ObjectLayout::new(plain_len, ChunkSize::new(log2)?).ok()?.object_len());
        if !(ChunkSize::MIN.log2()..=ChunkSize::MAX.log2()).any(|log2| of_size(log2) == Some(object_len)) {
            return Err(RefError::Lengths);
        }
        Ok(Self { key, salt, plain_len, object_len, root, media_type, name })
    }

    /// `u8 1 ‖ key 32 ‖ salt 16 ‖ u64 plain length ‖ u64 object length ‖ root 32 ‖ lp(media type) ‖ lp(name)`, where
    /// `lp(x)` is a u32 length and x; integers are big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let capacity = 1 + 32 + SALT_LEN + 8 + 8 + 32 + 4 + self.media_type.len() + 4 + self.name.len();
        // All of it at once: a vector that grows would leave copies of the key behind.
        let mut out = Zeroizing::new(Vec::with_capacity(capacity));
        out.push(VERSION);
        out.extend_from_slice(self.key.secret().expose());
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.plain_len.to_be_bytes());
        out.extend_from_slice(&self.object_len.to_be_bytes());
        out.extend_from_slice(&self.root);
        for text in [&self.media_type, &self.name] {
            // Both are at most 1,024 bytes long.
            out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out
    }

    /// The file's key.
    #[must_use]
    pub const fn key(&self) -> &AttachmentKey {
        &self.key
    }

    /// The salt that stands in the object's header.
    #[must_use]
    pub const fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// Length of the file in bytes: check it against what is wanted and what there is room for.
    #[must_use]
    pub const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// Length of the object in bytes.
    #[must_use]
    pub const fn object_len(&self) -> u64 {
        self.object_len
    }

    /// The hash over the object's header and the hashes of its chunks.
    #[must_use]
    pub const fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// What the sender says the file is: a media type such as `image/jpeg`.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// What the sender calls the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for AttachmentRef {
    // Neither the key nor what the file is about belongs in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentRef").field("plain_len", &self.plain_len).finish_non_exhaustive()
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RefError> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(RefError::Malformed)?;
    *rest = left;
    Ok(*taken)
}

/// A text after its length. A length beyond the limit is refused before anything is taken or kept.
fn text(rest: &mut &[u8], limit: usize, fault: RefError) -> Result<String, RefError> {
    let len = usize::try_from(u32::from_be_bytes(take(rest)?)).map_err(|_| fault)?;
    if len > limit {
        return Err(fault);
    }
    let (taken, left) = rest.split_at_checked(len).ok_or(RefError::Malformed)?;
    *rest = left;
    core::str::from_utf8(taken).map(String::from).map_err(|_| fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> AttachmentRef {
        let layout = ObjectLayout::new(100_000, ChunkSize::DEFAULT).unwrap();
        let key = AttachmentKey::new(Secret::new([1; 32]));
        AttachmentRef::new(key, [2; 16], &layout, [3; 32], "image/png", "ü.png").unwrap()
    }

    #[test]
    fn the_encoding() {
        let expected = [
            "01",
            &"01".repeat(32),
            &"02".repeat(16),
            "00000000000186a0",
            "0000000000018898",
            &"03".repeat(32),
            "00000009696d6167652f706e67",
            "00000006c3bc2e706e67",
        ];
        assert_eq!(hex::encode(example().to_bytes()), expected.concat());
        assert_eq!(AttachmentRef::parse(&example().to_bytes()), Ok(example()));
        assert_eq!(std::format!("{:?}", example()), "AttachmentRef { plain_len: 100000, .. }");
    }

    #[test]
    fn every_refusal() {
        let bytes = example().to_bytes();
        for len in 0..bytes.len() {
            assert_eq!(AttachmentRef::parse(&bytes[..len]), Err(RefError::Malformed), "cut to {len}");
        }
        let with = |at: usize, new: &[u8]| {
            let mut altered = bytes.to_vec();
            altered[at..at + new.len()].copy_from_slice(new);
            AttachmentRef::parse(&altered)
        };
        assert_eq!(with(0, &[2]), Err(RefError::UnsupportedVersion(2)));
        assert_eq!(with(0, &[0]), Err(RefError::UnsupportedVersion(0)));
        for len in [0, 99_999 - 5_000, u64::MAX, u64::MAX - 55, 1 << 40, (1 << 40) + 1] {
            assert_eq!(with(49, &len.to_be_bytes()), Err(RefError::Lengths), "plain {len}");
        }
        for len in [0, 100_000, 100_503, u64::MAX] {
            assert_eq!(with(57, &len.to_be_bytes()), Err(RefError::Lengths), "object {len}");
        }
        for len in [256, u32::MAX] {
            assert_eq!(with(97, &len.to_be_bytes()), Err(RefError::MediaType));
        }
        for len in [1_025, u32::MAX] {
            assert_eq!(with(110, &len.to_be_bytes()), Err(RefError::Name));
        }
        assert_eq!(with(101, &[0xff]), Err(RefError::MediaType));
        assert_eq!(with(114, &[0x80]), Err(RefError::Name));
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(AttachmentRef::parse(&longer), Err(RefError::Malformed));
    }

    #[test]
    fn what_is_too_long_is_not_written() {
        let layout = ObjectLayout::new(1, ChunkSize::DEFAULT).unwrap();
        let of = |media_type: usize, name: usize| {
            let key = AttachmentKey::new(Secret::new([1; 32]));
            let text = |len| "a".repeat(len);
            AttachmentRef::new(key, [2; 16], &layout, [3; 32], &text(media_type), &text(name))
        };
        let longest = of(255, 1_024).unwrap();
        assert_eq!(AttachmentRef::parse(&longest.to_bytes()), Ok(longest));
        assert_eq!(of(256, 0), Err(RefError::MediaType));
        assert_eq!(of(0, 1_025), Err(RefError::Name));
    }

    proptest! {
        #[test]
        fn one_encoding(at in any::<prop::sample::Index>(), to: u8) {
            let mut bytes = example().to_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(parsed) = AttachmentRef::parse(&bytes) {
                prop_assert_eq!(&*parsed.to_bytes(), &bytes);
            }
        }
    }
}
