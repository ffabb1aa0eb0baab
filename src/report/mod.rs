//! Message framing: a recipient, and nobody else, can prove to the platform what it was sent.
//!
//! Owns: the commitment to a message and its parts, the header that links a device's messages into a chain, the state
//! of everyone's chains in a conversation ([`ChainState`]), what is kept to prove a message ([`Evidence`]), who may edit
//! and delete ([`rule`]), the report ([`ReportBuilder`]) and its sealing to the platform's moderators ([`seal_report`]).
//!
//! **Not its concern:** encryption (a session carries what is framed here, bound to the [`Commitment`]), stamps and
//! verdicts (room [`platform`](crate::platform)), files (room [`attachment`](crate::attachment), whose references are
//! parts here), who is a member of a group.
//!
//! Sources: Facebook's message franking (2016); Grubbs, Lu and Ristenpart, "Message Franking via Committing
//! Authenticated Encryption" (CRYPTO 2017); Dodis, Grubbs, Ristenpart and Woodage, "Fast Message Franking: From
//! Invisible Salamanders to Encryptment" (CRYPTO 2018). `docs/reports.md` in the repository specifies every byte.
//!
//! # Security
//!
//! A report convinces the holder of the stamp key and nobody else: that holder could have made it up. Nothing here is
//! signed.

mod again;
mod builder;
mod chains;
mod commit;
mod displayable;
mod evidence;
mod header;
mod part;
mod policy;
mod rules;
mod sealing;
mod stamp;
mod tags;

pub(crate) use again::commitment_of;
pub use builder::{MAX_ITEMS, MAX_NOTE_LEN, MAX_REPORT_LEN, ReportBuildError, ReportBuilder, Reveal, WindowSide};
pub(crate) use chains::OwnChain;
pub use chains::{
    AcceptedFrame, ChainState, ChainStatus, ForkedFrame, FrameError, FrameSealError, OwnStampError, SealedFrame,
    StampStatus,
};
pub(crate) use commit::{header_digest, mac, part_digest, root};
pub use displayable::{Unframed, refuse_unframed};
pub use evidence::{Evidence, MAX_STAMPS, StampMismatch};
pub use header::{FrameHeader, FrameHeaderError, MAX_SEEN, Seen};
pub use part::{GroupMeta, MAX_PARTS_LEN, MalformedPart, MessagePolicy, Part, PartKind, PartView, PartsError};
pub use policy::{AfterDeletion, Deletion, FramingPolicy, MissingStamp, UnframedContent};
pub use rules::{MessageAction, RuleError, Ruling, TargetMessage, rule};
pub(crate) use sealing::open_report;
pub use sealing::{BadModerationKey, MalformedModerationKey, ModerationPublicKey, seal_report};
pub use stamp::{STAMP_LEN, Stamp, StampContext, StampFormatError};
pub use tags::{AccountDevice, AccountTag, ChainId, ChainTag, Commitment, ConversationTag, Destination, GroupTag};

#[cfg(test)]
mod vectors;
