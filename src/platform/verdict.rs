use alloc::string::String;
use alloc::vec::Vec;

use crate::ident::Timestamp;
use crate::report::{AccountTag, ChainId, ChainTag, Commitment, ConversationTag, Destination, Part};

/// What a report proves to the holder of the stamp keys.
///
/// Not proven, unless the order is [`MessageOrder::PlatformTotal`]: what came later in chains that are listed as
/// [`Finding::OpenEnd`], and whole chains that no author of a message here had seen, which then cannot have provoked
/// anything that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Names the report: the same messages, with the same parts shown, from the same reporter give the same, so that it is
    /// handled once. One that shows more is another.
    pub report_id: [u8; 32],
    /// Names the conversation, alike in everyone's reports.
    pub conversation: ConversationTag,
    /// What is proven, in order.
    pub messages: Vec<VerifiedMessage>,
    /// What is not, by its place in the report, and why.
    pub rejected: Vec<(usize, RejectReason)>,
    /// What the order stands on.
    pub order: MessageOrder,
    /// What a moderator should know besides.
    pub findings: Vec<Finding>,
    /// What the reporter says, which proves nothing.
    pub note: String,
    /// Whether the reporter says that the messages before the window are there, and those after it. It proves nothing:
    /// the findings do.
    pub claimed_boundaries: (bool, bool),
}

/// A message that was sent: to whom, by whom, when.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedMessage {
    /// Its commitment.
    pub commitment: Commitment,
    /// The account that was authenticated when it was submitted.
    pub sender: AccountTag,
    /// To whom it went.
    pub dest: Destination,
    /// Chain and number of it there.
    pub place: (ChainId, u64),
    /// When the platform stamped it.
    pub platform_time: Timestamp,
    /// When its sender's clock says it was written.
    pub claimed_time: Timestamp,
    /// Its number in the conversation, where the platform keeps count; else 0.
    pub conv_seq: u64,
    /// The key that stamped it.
    pub stamp_kid: u32,
    /// Its parts, in order.
    pub parts: Vec<RevealedPart>,
}

/// One part of a verified message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevealedPart {
    /// Exactly what was sent, and what its kind asks for. Of a file that is its reference:
    /// [`verify_attachment`](super::verify_attachment) says whether an object is that file.
    Open(Part),
    /// The reporter keeps it to itself.
    Redacted,
}

impl VerifiedMessage {
    /// The parts that were opened, with their numbers.
    pub fn open_parts(&self) -> impl Iterator<Item = (usize, &Part)> {
        self.parts.iter().enumerate().filter_map(|(at, part)| match part {
            RevealedPart::Open(part) => Some((at, part)),
            RevealedPart::Redacted => None,
        })
    }
}

/// Why an item of a report proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// Not an item, not of a header and stamp as they are written, or with an open part that no receiver would have
    /// taken.
    #[error("malformed")]
    Malformed,
    /// Of a sealed sender, which this version does not verify.
    #[error("sealed senders are not supported")]
    SealedMode,
    /// Other parts than its header counts.
    #[error("number of parts differs from the header's")]
    PartCount,
    /// Its stamp's key is destroyed, or never was: nobody can verify it.
    #[error("unknown stamp key")]
    UnknownStampKey,
    /// The platform never stamped this: something was altered or made up.
    #[error("stamp does not verify")]
    BadStamp,
    /// It says to be of another account than the one that submitted it.
    #[error("sender is not who submitted it")]
    SenderMismatch,
    /// It says to be for another destination than the one it was submitted for.
    #[error("destination is not the one it was submitted for")]
    DestMismatch,
    /// The reporter neither wrote nor received it.
    #[error("reporter is not a party")]
    ReporterNotParty,
    /// Of another conversation than the first verified item.
    #[error("of another conversation")]
    OtherConversation,
    /// The same message as another item.
    #[error("twice in the report")]
    DuplicateInReport,
}

/// What the order of the messages stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageOrder {
    /// The platform's own counter, without a gap.
    PlatformTotal,
    /// Each device's own sequence, what each message says to have seen, and the stamps' times.
    Causal,
}

/// Something that a moderator should know of a report. Few of them blame anyone, see [`Finding::blames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Messages of a chain are not in the report, and later ones are. They may have been left out, or never arrived.
    Gap {
        /// Whose chain.
        owner: AccountTag,
        /// Which.
        chain: ChainId,
        /// First number that is not there.
        from: u64,
        /// Last one.
        to: u64,
    },
    /// A message in the window says to have seen one that is not in the report. An author's claim, no more.
    Undisclosed {
        /// Who says so.
        claimed_by: AccountTag,
        /// In which message.
        message: Commitment,
        /// Of which chain it is said to be.
        chain: ChainTag,
        /// At which place.
        seq: u64,
    },
    /// A message says to have seen another one than the report has at that place. An author's claim, no more.
    SeenMismatch {
        /// Who says so.
        claimed_by: AccountTag,
        /// In which message.
        message: Commitment,
        /// Of which chain it is said to be.
        chain: ChainTag,
        /// At which place.
        seq: u64,
    },
    /// A message was stamped later than one that had seen it: it was submitted again. Its stamp says that it was there
    /// by then, not since when.
    LateStamp {
        /// The message with the late stamp.
        message: Commitment,
        /// The one that had seen it.
        seen_in: Commitment,
    },
    /// What a chain's owner wrote before the window is not in the report.
    OpenStart {
        /// Whose chain.
        owner: AccountTag,
        /// Which.
        chain: ChainId,
        /// First number that is there.
        first: u64,
    },
    /// What a chain's owner wrote after the window is not in the report, if there is anything. Normal for the newest
    /// messages.
    OpenEnd {
        /// Whose chain.
        owner: AccountTag,
        /// Which.
        chain: ChainId,
        /// Last number that is there.
        last: u64,
    },
    /// A chain's owner told two stories: two messages at one place, or one that denies what it follows. Its device lied,
    /// or went on with an older state. **Blames the owner.**
    Fork {
        /// Whose chain.
        owner: AccountTag,
        /// Which.
        chain: ChainId,
        /// At which place.
        seq: u64,
    },
    /// The platform's counter runs against a chain: the message was submitted again, or the counter went wrong.
    OrderViolation {
        /// Whose chain.
        owner: AccountTag,
        /// Which.
        chain: ChainId,
        /// The message whose number is not above those before it.
        seq: u64,
    },
    /// A message's own time is far from the platform's. Show both; a clock was wrong, or the message waited for a
    /// network.
    TimeAnomaly {
        /// Which message.
        message: Commitment,
        /// When the platform stamped it.
        stamped: Timestamp,
        /// When its sender's clock says it was written.
        claimed: Timestamp,
    },
}

impl Finding {
    /// Whom it blames, if anyone.
    ///
    /// # Security
    ///
    /// What an author claims to have seen blames nobody, else a false claim would convict its victim. What is missing
    /// blames nobody, since messages get lost and late ones are stamped late. Two stamped messages at one place of a
    /// chain were both submitted by its owner.
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::{platform::Finding, report::{AccountTag, ChainId}};
    /// let (owner, chain) = (AccountTag::new([1; 32]), ChainId::new([2; 16]));
    /// assert_eq!(Finding::Fork { owner, chain, seq: 3 }.blames(), Some(owner));
    /// assert_eq!(Finding::Gap { owner, chain, from: 3, to: 3 }.blames(), None);
    /// ```
    #[must_use]
    pub const fn blames(&self) -> Option<AccountTag> {
        match self {
            Self::Fork { owner, .. } => Some(*owner),
            Self::Gap { .. }
            | Self::Undisclosed { .. }
            | Self::SeenMismatch { .. }
            | Self::LateStamp { .. }
            | Self::OpenStart { .. }
            | Self::OpenEnd { .. }
            | Self::OrderViolation { .. }
            | Self::TimeAnomaly { .. } => None,
        }
    }
}
