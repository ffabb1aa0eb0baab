use alloc::vec::Vec;

use super::{AccountTag, ChainId, ChainTag, Commitment, Destination};
use crate::ident::Timestamp;
use crate::wire::MAX_PARTS;

/// Most heads of other chains that one header names. What is more waits for the next message.
pub const MAX_SEEN: usize = 16;

/// Length of a header that names no head.
const FIXED_LEN: usize = 134;

/// Kind, sender and dest: what does not travel, since the receiver knows it better.
const IMPLIED: core::ops::Range<usize> = 3..67;

/// What a message's author says to have read: the newest message of another chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which chain.
    pub chain: ChainTag,
    /// The message's number in it.
    pub seq: u64,
    /// The message.
    pub commitment: Commitment,
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameHeaderError {
    /// Another length, version, flag or order than its author would have written. Drop it.
    #[error("header is malformed")]
    Malformed,
    /// Of a sealed sender, which this version does not read. Tell the user to update.
    #[error("sealed senders are not supported")]
    SealedMode,
}

/// Everything of a framed message but its content: who, to whom, at which place. One encoding.
///
/// # Examples
///
/// ```
/// use subrosa::report::{FrameHeader, FrameHeaderError};
/// assert_eq!(FrameHeader::parse(&[0; 133]), Err(FrameHeaderError::Malformed));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHeader {
    sender: AccountTag,
    dest: Destination,
    chain: ChainId,
    seq: u64,
    prev: Commitment,
    sent: Timestamp,
    seen: Vec<Seen>,
    parts: u16,
}

/// Cuts arrays off a slice.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], FrameHeaderError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(FrameHeaderError::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }
}

impl FrameHeader {
    /// What one's own next message says. `seen` in any order.
    pub(super) fn new(
        (sender, dest): (AccountTag, Destination),
        chain: ChainId,
        (seq, prev): (u64, Option<Commitment>),
        sent: Timestamp,
        mut seen: Vec<Seen>,
        parts: u16,
    ) -> Self {
        seen.sort_by_key(|seen| seen.chain);
        Self { sender, dest, chain, seq, prev: prev.unwrap_or(Commitment::new([0; 32])), sent, seen, parts }
    }

    /// Reads the whole form, 134 bytes and 56 for each head that it names.
    ///
    /// # Errors
    ///
    /// [`FrameHeaderError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameHeaderError> {
        let malformed = FrameHeaderError::Malformed;
        let mut reader = Reader(bytes);
        let [version, kind, flags] = reader.take()?;
        if version != 1 || flags > 1 {
            return Err(malformed);
        }
        if flags == 1 {
            return Err(FrameHeaderError::SealedMode);
        }
        let sender = AccountTag::new(reader.take()?);
        let dest = Destination::from_parts(kind, reader.take()?).ok_or(malformed)?;
        let chain = ChainId::new(reader.take()?);
        let seq = u64::from_be_bytes(reader.take()?);
        let prev = Commitment::new(reader.take()?);
        // The first message of a chain, and no other, follows none.
        if (seq == 0) != (*prev.as_bytes() == [0; 32]) {
            return Err(malformed);
        }
        let sent = Timestamp::new(u64::from_be_bytes(reader.take()?));
        let [count] = reader.take()?;
        if usize::from(count) > MAX_SEEN {
            return Err(malformed);
        }
        let mut seen = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            seen.push(Seen {
                chain: ChainTag::new(reader.take()?),
                seq: u64::from_be_bytes(reader.take()?),
                commitment: Commitment::new(reader.take()?),
            });
        }
        let parts = u16::from_be_bytes(reader.take()?);
        let ascending = seen.is_sorted_by(|a, b| a.chain < b.chain);
        if !ascending || !(1..=MAX_PARTS).contains(&usize::from(parts)) || !reader.0.is_empty() {
            return Err(malformed);
        }
        Ok(Self { sender, dest, chain, seq, prev, sent, seen, parts })
    }

    /// Writes the whole form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { sender, dest, chain, seq, prev, sent, seen, parts } = self;
        let mut out = Vec::with_capacity(FIXED_LEN + 56 * seen.len());
        out.extend_from_slice(&[1, dest.kind(), 0]);
        out.extend_from_slice(sender.as_bytes());
        out.extend_from_slice(dest.tag());
        out.extend_from_slice(chain.as_bytes());
        out.extend_from_slice(&seq.to_be_bytes());
        out.extend_from_slice(prev.as_bytes());
        out.extend_from_slice(&sent.get().to_be_bytes());
        out.push(u8::try_from(seen.len()).unwrap_or(u8::MAX));
        for Seen { chain, seq, commitment } in seen {
            out.extend_from_slice(chain.as_bytes());
            out.extend_from_slice(&seq.to_be_bytes());
            out.extend_from_slice(commitment.as_bytes());
        }
        out.extend_from_slice(&parts.to_be_bytes());
        out
    }

    /// Whom and what the receiver knows better than the message, left out of the whole form.
    pub(super) fn to_wire(&self) -> Vec<u8> {
        let whole = self.to_bytes().into_iter().enumerate();
        whole.filter(|(at, _)| *at != 1 && !IMPLIED.contains(at)).map(|(_, byte)| byte).collect()
    }

    /// Puts what travelled together with what the receiver knows: a sender who committed to anything else has
    /// committed to another message.
    pub(super) fn from_wire(bytes: &[u8], sender: &AccountTag, dest: &Destination) -> Result<Self, FrameHeaderError> {
        let ([version, flags], rest) = bytes.split_first_chunk::<2>().ok_or(FrameHeaderError::Malformed)?;
        let mut whole = Vec::with_capacity(FIXED_LEN + rest.len());
        whole.extend_from_slice(&[*version, dest.kind(), *flags]);
        whole.extend_from_slice(sender.as_bytes());
        whole.extend_from_slice(dest.tag());
        whole.extend_from_slice(rest);
        Self::parse(&whole)
    }

    /// Who wrote the message.
    #[must_use]
    pub const fn sender(&self) -> &AccountTag {
        &self.sender
    }

    /// To whom.
    #[must_use]
    pub const fn dest(&self) -> &Destination {
        &self.dest
    }

    /// The chain that it stands in.
    #[must_use]
    pub const fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// The chain that it stands in, as other messages name it.
    #[must_use]
    pub fn chain_tag(&self) -> ChainTag {
        ChainTag::of(&self.sender, &self.chain)
    }

    /// Its number there; the first is 0.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The message before it in its chain; `None` for the first one.
    #[must_use]
    pub fn prev(&self) -> Option<Commitment> {
        (self.seq > 0).then_some(self.prev)
    }

    /// When its author says to have written it.
    #[must_use]
    pub const fn sent(&self) -> Timestamp {
        self.sent
    }

    /// What its author says to have read since the message before it, ascending by chain.
    #[must_use]
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// How many parts it has: 1 to 64.
    #[must_use]
    pub const fn parts(&self) -> u16 {
        self.parts
    }
}
