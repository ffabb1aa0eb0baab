use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::{RevealedPart, VerifiedMessage};
use crate::attachment::{DecryptObjectError, decrypt};

/// Why an object is not the file of a message. Nothing of it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    /// [`Forged`](crate::attachment::ChunkError::Forged) are these the bytes that the sender committed to, and then
    /// nobody could ever open them.
    #[error("not the file that was sent: {0}")]
    Object(#[from] DecryptObjectError),
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
/// nothing.
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
/// use subrosa::platform::{Limits, Reporter, StampKeys, stamp, verify_attachment, verify_report};
/// use subrosa::report::{AccountTag, ChainState, Dest, Part, ReportBuilder, Reveal, StampContext};
/// # use subrosa::{attachment, ident::Timestamp};
/// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
/// # let (alice, bob, time) = (AccountTag::new([1; 32]), AccountTag::new([2; 32]), Timestamp::new(1));
/// # let mut keys = StampKeys::default();
/// # keys.generate(1, &mut rng)?;
/// # let mut chains = ChainState::new(alice, Dest::Direct(bob), &mut rng);
/// let (object, reference) = attachment::encrypt(b"a picture", "image/png", "cat.png", &mut rng)?;
/// let parts = [Part::attachment(&reference)];
/// // Sent by Alice, stamped, and reported by Bob:
/// # let mut evidence = chains.seal(&parts, time, &mut rng)?.evidence;
/// # let context = StampContext { sender: alice, dest: Dest::Direct(bob), time, conv_seq: 0 };
/// # evidence.attach(&stamp(&keys, 1, evidence.commitment(), &context)?)?;
/// # let mut builder = ReportBuilder::new(bob);
/// # builder.add(&evidence, &parts, Reveal::All)?;
/// # let report = builder.build();
/// let verdict = verify_report(&keys, &Reporter::new(bob), &report, &Limits::default())?;
/// let file = verify_attachment(&verdict.messages[0], 0, &object)?;
/// assert_eq!((&file.plain[..], &*file.media_type, &*file.name), (&b"a picture"[..], "image/png", "cat.png"));
/// assert!(verify_attachment(&verdict.messages[0], 0, &object[1..]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_attachment(
    message: &VerifiedMessage,
    part: usize,
    object: &[u8],
) -> Result<VerifiedFile, AttachmentMismatch> {
    let Some(RevealedPart::Open(part)) = message.parts.get(part) else { return Err(AttachmentMismatch::NotOpen) };
    let reference = part.attachment_ref().ok_or(AttachmentMismatch::NotAttachment)?;
    let plain = decrypt(&reference, object)?;
    Ok(VerifiedFile { plain, media_type: reference.media_type().into(), name: reference.name().into() })
}
