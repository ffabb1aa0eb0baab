//! Files, format `att1`: chunks that open alone, under one key only, exactly as one reference commits to them.
//!
//! Owns: the object that a host uploads (header, sealed chunks, the list of their hashes), the [`AttachmentRef`] that
//! travels inside a message, resuming of both directions, random access.
//!
//! **Not its concern:** fetching and storing, which are the host's; sending the reference, which is a message's; media
//! types, which it carries and does not look into. A thumbnail is a part of its own with a reference or bytes of its
//! own, so that it can be shown, and reported, without the file.
//!
//! Specification: `docs/attachments.md` in the repository. Why a plain AES-GCM file is not enough: Dodis, Grubbs,
//! Ristenpart and Woodage, "Fast message franking: from invisible salamanders to encryptment" (CRYPTO 2018).
//!
//! # Which type for what
//!
//! | to do | with |
//! |---|---|
//! | a small file in memory, both directions | [`encrypt`], [`decrypt`] |
//! | encrypt while reading or recording, length unknown | [`Encryptor`], then its [`ObjectTail`] |
//! | an upload that survives a restart | [`AttachmentUpload`], a [`StagedChunks`] at a time |
//! | decrypt while downloading, go on after a break | [`Decryptor`] |
//! | seek in a video | [`Opener`] and the [`ObjectLayout`] |
//! | `std::io` (feature `std`) | `EncryptReader`, `DecryptWriter`, `ObjectReader` |
//!
//! # Examples
//!
//! A receiver checks the header and the list against the reference, then opens any chunk alone:
//!
//! ```
//! use subrosa::attachment::{AttachmentKey, CheckedHeader, ChunkSize, Encryptor};
//! # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
//! # let video = vec![7u8; 300_000];
//! # let mut object = Vec::new(); // what the server stores
//! let mut encryptor = Encryptor::new(AttachmentKey::random(&mut rng), ChunkSize::DEFAULT, &mut rng);
//! for mut read in video.chunks(1_000) {
//!     while let Some(piece) = encryptor.push(&mut read)? {
//!         object.extend_from_slice(piece);
//!     }
//! }
//! let mut tail = encryptor.finish();
//! while let Some(piece) = tail.next_piece() {
//!     object.extend_from_slice(piece);
//! }
//! let reference = tail.reference("video/mp4", "cat.mp4")?; // goes into a message
//!
//! let fetch = |range: core::ops::Range<u64>| object[range.start as usize..range.end as usize].to_vec();
//! let header = CheckedHeader::new(&reference, &fetch(0..56))?;
//! let list = fetch(header.layout().list_range());
//! let opener = header.with_list(&list)?;
//!
//! let chunk = opener.layout().chunk_at_plain(200_000).unwrap();
//! let stored = fetch(opener.layout().object_range(chunk..chunk + 1).unwrap());
//! assert_eq!(opener.open_chunk(chunk, &stored)?, video[196_608..262_144]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decrypt;
mod encrypt;
mod header;
#[cfg(any(test, feature = "std"))]
mod io;
mod layout;
mod open;
mod record;
mod reference;
mod upload;
mod whole;

pub use decrypt::{Decryptor, DownloadError};
pub use encrypt::{Encryptor, FinishError, ObjectTail};
pub use header::AttachmentKey;
#[cfg(any(test, feature = "std"))]
pub use io::{DecryptWriter, EncryptReader, ObjectReader};
pub use layout::{ChunkSize, FileTooLong, HEADER_LEN, MAX_CHUNKS, ObjectLayout};
pub use open::{CheckedHeader, ChunkError, ObjectError, Opener};
pub use reference::{AttachmentRef, MAX_MEDIA_TYPE_LEN, MAX_NAME_LEN, RefError};
pub use upload::{AttachmentUpload, ResumeError, StageChunksError, StagedChunks, UploadNext};
pub use whole::{DecryptObjectError, EncryptFileError, decrypt, encrypt};

/// A sha-256 of a chunk as it is stored, tag included.
type ChunkHash = [u8; 32];
