use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::commit::{FramingKey, header_digest, root};
use super::{Commitment, FrameHeader, Part, Stamp, StampContext};
use crate::crypto::Secret;
use crate::ident::Timestamp;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind};

/// What proves one message to the platform, if its holder so decides. Stored next to the message, some 260 bytes.
///
/// # Security
///
/// With the parts it opens the commitment; without them it says who wrote to whom and when. Seal it like the message.
///
/// # Examples
///
/// See [`ChainState`](super::ChainState).
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    header: FrameHeader,
    /// What stands for the parts.
    digests: Vec<[u8; 32]>,
    commitment: Commitment,
    /// At most [`MAX_STAMPS`], of the message's sender and dest.
    stamps: Vec<Stamp>,
    opening: Opening,
}

/// Most stamps of one message that are kept, the first ones. Only the platform can tell a genuine one: those that differ are
/// all kept, so that one made up on the way, which came first, does not take the place of the platform's.
pub const MAX_STAMPS: usize = 4;

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Opening {
    Full(FramingKey),
    /// The content is gone: the header opens, and no part does.
    Reduced(Secret<32>),
}

/// The stamp says something else than the message. Keep the message unstamped; the platform, or who stands between, is
/// not honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stamp is of another message")]
pub struct StampMismatch;

impl Evidence {
    pub(super) fn new(header: FrameHeader, key: FramingKey, parts: &[Part]) -> Self {
        let digests = key.digests(parts);
        let commitment = root(&header_digest(&key.header_key(), &header.to_bytes()), &digests);
        Self { header, digests, commitment, stamps: Vec::new(), opening: Opening::Full(key) }
    }

    /// The message's commitment.
    #[must_use]
    pub const fn commitment(&self) -> &Commitment {
        &self.commitment
    }

    /// The message's header.
    #[must_use]
    pub const fn header(&self) -> &FrameHeader {
        &self.header
    }

    /// What says to be the platform's stamp, the one that came first. Without it the message cannot be reported.
    #[must_use]
    pub fn stamp(&self) -> Option<&Stamp> {
        self.stamps.first()
    }

    /// All of them, at most [`MAX_STAMPS`]. A report has them all.
    #[must_use]
    pub fn stamps(&self) -> &[Stamp] {
        &self.stamps
    }

    /// Whether the content can no longer be opened.
    #[must_use]
    pub const fn is_reduced(&self) -> bool {
        matches!(self.opening, Opening::Reduced(_))
    }

    /// Takes a stamp of the message. Another one than it has is kept beside it, since only the platform can say which is
    /// genuine; more than [`MAX_STAMPS`] are not.
    ///
    /// A message that comes once more is [`Duplicate`](super::ChainStatus::Duplicate), to the session or here: its stamp, if
    /// it is another, is given to the evidence that is stored.
    ///
    /// # Errors
    ///
    /// [`StampMismatch`] if sender or destination are others than the message's; nothing was changed.
    pub fn attach(&mut self, stamp: &Stamp) -> Result<(), StampMismatch> {
        if stamp.context.sender != *self.header.sender() || stamp.context.dest != *self.header.dest() {
            return Err(StampMismatch);
        }
        if self.stamps.len() < MAX_STAMPS && !self.stamps.contains(stamp) {
            self.stamps.push(*stamp);
        }
        Ok(())
    }

    /// What remains when the message is deleted: it proves that there was a message at this place, and not which.
    ///
    /// # Security
    ///
    /// The message's key goes. What it said is then nowhere, not even to be guessed at.
    #[must_use]
    pub fn reduce(&self) -> Self {
        Self { opening: Opening::Reduced(self.header_key()), ..self.clone() }
    }

    pub(super) const fn opening(&self) -> &Opening {
        &self.opening
    }

    pub(super) fn digests(&self) -> &[[u8; 32]] {
        &self.digests
    }

    pub(super) fn header_key(&self) -> Secret<32> {
        match &self.opening {
            Opening::Full(key) => key.header_key(),
            Opening::Reduced(key) => key.clone(),
        }
    }

    /// The stored form, unsealed.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { header, digests, commitment: _, stamps, opening } = self;
        let (framing_key, header_key): (&[u8], &[u8]) = match opening {
            Opening::Full(FramingKey(key)) => (key.expose(), &[]),
            Opening::Reduced(key) => (&[], key.expose()),
        };
        // Sender and dest of a stamp are those of the header.
        let stamps = stamps.iter().map(|Stamp { kid, context: StampContext { time, conv_seq, .. }, tag }| {
            let (kid, time, conv_seq) = (kid.to_be_bytes(), time.get().to_be_bytes(), conv_seq.to_be_bytes());
            [&kid[..], &time, &conv_seq, tag].concat()
        });
        let (header, digests) = (header.to_bytes(), digests.as_flattened());
        let mut out = FieldWriter::record(RecordKind::Evidence, header.len() + digests.len() + 128);
        out.bytes(1, &header);
        out.bytes(2, digests);
        out.bytes(3, &stamps.collect::<Vec<_>>().concat());
        out.bytes(4, framing_key);
        out.bytes(5, header_key);
        out.finish().into()
    }

    /// Takes the stored form, checked.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let corrupt = RecordError::Corrupt;
        let mut fields = FieldReader::record(RecordKind::Evidence, bytes)?;
        let header_bytes = fields.bytes(1)?;
        let header = FrameHeader::parse(header_bytes).map_err(|_| corrupt)?;
        let (digests, rest) = fields.bytes(2)?.as_chunks::<32>();
        let (stamp, framing_key, header_key) = (fields.bytes(3)?, fields.bytes(4)?, fields.bytes(5)?);
        fields.end()?;
        if !rest.is_empty() || digests.len() != usize::from(header.parts()) {
            return Err(corrupt);
        }
        let opening = match (framing_key, header_key) {
            (key, []) => Opening::Full(FramingKey(Secret::from_slice(key).ok_or(corrupt)?)),
            ([], key) => Opening::Reduced(Secret::from_slice(key).ok_or(corrupt)?),
            _ => return Err(corrupt),
        };
        let header_key = match &opening {
            Opening::Full(key) => key.header_key(),
            Opening::Reduced(key) => key.clone(),
        };
        let (stored_stamps, rest) = stamp.as_chunks::<STORED_STAMP_LEN>();
        if !rest.is_empty() || stored_stamps.len() > MAX_STAMPS {
            return Err(corrupt);
        }
        let stamps = stored_stamps.iter().map(|bytes| read_stamp(&header, bytes).ok_or(corrupt));
        let stamps: Vec<Stamp> = stamps.collect::<Result<_, _>>()?;
        if stamps.iter().enumerate().any(|(at, stamp)| stamps.iter().take(at).any(|before| before == stamp)) {
            return Err(corrupt);
        }
        let commitment = root(&header_digest(&header_key, header_bytes), digests);
        Ok(Self { header, digests: digests.to_vec(), commitment, stamps, opening })
    }
}

/// Length of a stamp without what the header says: u32 kid ‖ u64 time ‖ u64 `conv_seq` ‖ tag 32.
const STORED_STAMP_LEN: usize = 52;

fn read_stamp(header: &FrameHeader, bytes: &[u8; STORED_STAMP_LEN]) -> Option<Stamp> {
    let (kid, rest) = bytes.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let (conv_seq, tag) = rest.split_first_chunk()?;
    Some(Stamp {
        kid: u32::from_be_bytes(*kid),
        context: StampContext {
            sender: *header.sender(),
            dest: *header.dest(),
            time: Timestamp::new(u64::from_be_bytes(*time)),
            conv_seq: u64::from_be_bytes(*conv_seq),
        },
        tag: tag.try_into().ok()?,
    })
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { header: _, digests: _, commitment, stamps, opening: _ } = self;
        f.debug_struct("Evidence")
            .field("commitment", commitment)
            .field("stamps", &stamps.len())
            .field("reduced", &self.is_reduced())
            .finish_non_exhaustive()
    }
}
