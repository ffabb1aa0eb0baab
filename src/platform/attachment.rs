use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use zeroize::Zeroizing;

use super::{RevealedPart, VerifiedMessage};
use crate::attachment::{
    AttachmentRef, CheckedHeader, ChunkError, DecryptObjectError, DownloadError, HEADER_LEN, Opener, decrypt,
};
use crate::report::AccountTag;

/// Why an object is not, or not wholly, the file of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentMismatch {
    /// The message has no part of this number, or the reporter keeps it to itself. Show what the report has.
    #[error("no open part of this number")]
    NotOpen,
    /// The part is of another kind. It is no file: show it as what it is.
    #[error("part is not an attachment")]
    NotAttachment,
    /// The object is not the one that the message committed to: another, cut, altered, sealed under another key. Look
    /// for the right one; until it is there, show that there was a file and say that it was not checked.
    ///
    /// It blames nobody: whoever uploaded, stored or brought the object can have exchanged it. Only where a chunk is
    /// [`Forged`](ChunkError::Forged) are these the bytes that the sender committed to, and not one of them ever opened:
    /// nobody was shown anything of it.
    #[error("not the file that was sent: {0}")]
    Object(#[from] DecryptObjectError),
    /// It is the object that the message committed to, and some of its chunks do not open. No honest sender's program makes
    /// such a thing: a file in which what was shown can be looked at, and which as a whole cannot be, would be beyond any
    /// report. Show the pieces.
    #[error("the sender committed to chunks that do not open")]
    Forged(ForgedFile),
}

impl AttachmentMismatch {
    /// Whom it blames, if anyone: the message's sender, for chunks that were committed to and do not open.
    ///
    /// # Examples
    ///
    /// See [`verify_attachment`].
    #[must_use]
    pub const fn blames(&self, message: &VerifiedMessage) -> Option<AccountTag> {
        match self {
            Self::Forged(_)
            | Self::Object(DecryptObjectError::Decrypt(DownloadError::Chunk { error: ChunkError::Forged, .. })) => {
                Some(message.sender)
            }
            Self::NotOpen | Self::NotAttachment | Self::Object(_) => None,
        }
    }
}

/// What opens of a file that its sender made so that not all of it does.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForgedFile {
    /// What opens, byte for byte as sent: at which byte of the file, and which. Wiped on drop.
    pub pieces: Vec<(u64, Zeroizing<Vec<u8>>)>,
    /// Numbers of the chunks that do not open, ascending.
    pub forged: Vec<u64>,
    /// What its sender says it is.
    pub media_type: String,
    /// What its sender calls it.
    pub name: String,
}

impl fmt::Debug for ForgedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForgedFile")
            .field("pieces", &self.pieces.len())
            .field("forged", &self.forged)
            .finish_non_exhaustive()
    }
}

/// A file that was sent, byte for byte.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedFile {
    /// What is in it. Wiped on drop.
    pub plain: Zeroizing<Vec<u8>>,
    /// What its sender says it is: a media type such as `image/jpeg`.
    pub media_type: String,
    /// What its sender calls it.
    pub name: String,
}

impl fmt::Debug for VerifiedFile {
    // What people send does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedFile").field("len", &self.plain.len()).finish_non_exhaustive()
    }
}

/// Checks that a stored object is the file that a verified message committed to, and decrypts it: all of the file, or
/// nothing, unless it was its sender who saw to it that not all of it opens.
///
/// `part` is the number of an open part of the message. `object` comes from the platform's own store, or was uploaded
/// beside the report: it needs no trust, since the message's reference commits to its header, its key, and every byte
/// of every chunk.
///
/// A pure function. It takes as much memory as the object has, whatever the reference says. Files that are too long
/// for that are checked in a stream: [`Part::attachment_ref`](crate::report::Part::attachment_ref) gives the reference,
/// and with it a [`CheckedHeader`](crate::attachment::CheckedHeader) (56 bytes), an
/// [`Opener`](crate::attachment::Opener) (32 bytes for each chunk) and a
/// [`Decryptor`](crate::attachment::Decryptor) (two chunks) check the same.
///
/// # Errors
///
/// [`AttachmentMismatch`].
///
/// # Security
///
/// What is proven are the bytes. Media type and name were sent with them, and are claims: the file may be something
/// else, and something that harms the program that shows it.
///
/// # Examples
///
/// ```
/// use subrosa::platform::{ReportLimits, Reporter, StampKeys, stamp, verify_attachment, verify_report};
/// use subrosa::report::{AccountTag, ChainState, Destination, Part, ReportBuilder, Reveal, StampContext};
/// # use subrosa::{attachment, ident::Timestamp};
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// # let (alice, bob, time) = (AccountTag::new([1; 32]), AccountTag::new([2; 32]), Timestamp::new(1));
/// # let mut keys = StampKeys::default();
/// # keys.generate(1, &mut rng)?;
/// # let mut chains = ChainState::new(alice, Destination::Direct(bob), &mut rng);
/// let (object, reference) = attachment::encrypt(b"a picture", "image/png", "cat.png", &mut rng)?;
/// let parts = [Part::attachment(&reference)];
/// // Sent by Alice, stamped, and reported by Bob:
/// # let mut evidence = chains.seal(&parts, time, &mut rng)?.evidence;
/// # let context = StampContext { sender: alice, dest: Destination::Direct(bob), time, conv_seq: 0 };
/// # evidence.attach(&stamp(&keys, 1, evidence.commitment(), &context)?)?;
/// # let mut builder = ReportBuilder::new(bob);
/// # builder.add(&evidence, &parts, Reveal::All)?;
/// # let report = builder.build();
/// let verdict = verify_report(&keys, &Reporter::new(bob), &report, &ReportLimits::default())?;
/// let file = verify_attachment(&verdict.messages[0], 0, &object)?;
/// assert_eq!((&file.plain[..], &*file.media_type, &*file.name), (&b"a picture"[..], "image/png", "cat.png"));
/// let error = verify_attachment(&verdict.messages[0], 0, &object[1..]).unwrap_err();
/// assert_eq!(error.blames(&verdict.messages[0]), None, "whoever stored it may have cut it");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_attachment(
    message: &VerifiedMessage,
    part: usize,
    object: &[u8],
) -> Result<VerifiedFile, AttachmentMismatch> {
    let Some(RevealedPart::Open(part)) = message.parts.get(part) else { return Err(AttachmentMismatch::NotOpen) };
    let reference = part.attachment_ref().ok_or(AttachmentMismatch::NotAttachment)?;
    match decrypt(&reference, object) {
        Ok(plain) => {
            Ok(VerifiedFile { plain, media_type: reference.media_type().into(), name: reference.name().into() })
        }
        Err(DecryptObjectError::Decrypt(DownloadError::Chunk { error: ChunkError::Forged, .. })) => {
            Err(opening(&reference, object))
        }
        Err(error) => Err(error.into()),
    }
}

/// What opens of an object of which not all does.
fn opening(reference: &AttachmentRef, object: &[u8]) -> AttachmentMismatch {
    let mut file = ForgedFile {
        pieces: Vec::new(),
        forged: Vec::new(),
        media_type: reference.media_type().into(),
        name: reference.name().into(),
    };
    match open_pieces(reference, object, &mut file) {
        Err(error) => error.into(),
        Ok(()) => match file.forged.first() {
            Some(chunk) if file.pieces.is_empty() => chunk_error(*chunk, ChunkError::Forged).into(),
            _ => AttachmentMismatch::Forged(file),
        },
    }
}

fn open_pieces(reference: &AttachmentRef, object: &[u8], file: &mut ForgedFile) -> Result<(), DecryptObjectError> {
    let cut = |range: Range<u64>| {
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        object.get(start..end)
    };
    let header = CheckedHeader::new(reference, object.get(..HEADER_LEN).ok_or(DecryptObjectError::Length)?)?;
    let list = cut(header.layout().list_range()).ok_or(DecryptObjectError::Length)?;
    let opener: Opener = header.with_list(list)?;
    let layout = opener.layout();
    for chunk in 0..layout.chunks() {
        let range = layout.object_range(chunk..chunk.saturating_add(1)).ok_or(DecryptObjectError::Length)?;
        match opener.open_chunk(chunk, cut(range).ok_or(DecryptObjectError::Length)?) {
            Ok(plain) => {
                let at = layout.plain_range(chunk..chunk.saturating_add(1)).map_or(0, |range| range.start);
                file.pieces.push((at, Zeroizing::new(plain)));
            }
            Err(ChunkError::Forged) => file.forged.push(chunk),
            Err(error) => return Err(chunk_error(chunk, error)),
        }
    }
    Ok(())
}

const fn chunk_error(chunk: u64, error: ChunkError) -> DecryptObjectError {
    DecryptObjectError::Decrypt(DownloadError::Chunk { chunk, error })
}
