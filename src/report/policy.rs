use crate::ident::Timestamp;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What is done with a message that comes without a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingStamp {
    /// It is refused: whatever is shown can be reported.
    Require,
    /// It is accepted, and [`AcceptedFrame`](super::AcceptedFrame) says that it cannot be reported.
    AllowUnreportable,
}

/// What is done with content that a user would see and that comes without a frame, in a conversation where what is shown is
/// framed. What the library itself consumes passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnframedContent {
    /// It is refused and stays with the transport: it may be shown once the host has said that the conversation is not framed
    /// any more, and it is not lost.
    Withhold,
    /// It is handed over, and the client's message says that it has no frame: it cannot be reported.
    HandOver,
}

/// Why a message's content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deletion {
    /// Its author took it back.
    Remote,
    /// It was shown once, as its author wished.
    ViewOnce,
    /// Its time is up.
    Expired,
    /// The user deleted it here.
    Local,
}

/// What becomes of a message's evidence when its content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AfterDeletion {
    /// Keep evidence and content, out of sight, until then; reduce it then.
    HoldUntil(Timestamp),
    /// [Reduce](super::Evidence::reduce) it now.
    Reduce,
    /// Delete it too.
    Erase,
}

/// The application's choices about framing in one conversation.
///
/// # Examples
///
/// ```
/// use subrosa::{ident::Timestamp, report::{AfterDeletion, Deletion, FramingPolicy}};
/// let (policy, now) = (FramingPolicy::default(), Timestamp::new(1_000));
/// // Who takes a threat back has not made it unreportable: its receiver has a day.
/// assert_eq!(policy.after(Deletion::Remote, now), AfterDeletion::HoldUntil(Timestamp::new(86_401_000)));
/// // Nor has who writes threats that are gone after ten seconds.
/// assert_eq!(policy.after(Deletion::Expired, now), AfterDeletion::HoldUntil(Timestamp::new(86_401_000)));
/// assert_eq!(policy.after(Deletion::Local, now), AfterDeletion::Reduce);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FramingPolicy {
    /// What is done with a message without a stamp.
    pub missing_stamp: MissingStamp,
    /// What the client does with content without a frame.
    pub unframed: UnframedContent,
    /// How long a message that its author took back can still be reported, in milliseconds.
    pub hold_remote_ms: u64,
    /// How long one that was shown once can.
    pub hold_view_once_ms: u64,
    /// How long one whose time was up can.
    pub hold_expired_ms: u64,
    /// Whether nothing at all is kept of a deleted message. Reports around it then have gaps.
    pub erase: bool,
    /// How much earlier a stamp may be than that of a message which it follows before it is remarked upon, in
    /// milliseconds.
    pub stamp_tolerance_ms: u64,
}

impl Default for FramingPolicy {
    /// Stamps are required, and frames; 24 hours for what was taken back, shown once or expired; reduced evidence is kept; a
    /// minute's tolerance.
    fn default() -> Self {
        Self {
            missing_stamp: MissingStamp::Require,
            unframed: UnframedContent::Withhold,
            hold_remote_ms: DAY_MS,
            hold_view_once_ms: DAY_MS,
            hold_expired_ms: DAY_MS,
            erase: false,
            stamp_tolerance_ms: 60_000,
        }
    }
}

impl FramingPolicy {
    /// The same with another answer to messages without a stamp. Fields that have no such method are assigned.
    #[must_use]
    pub const fn with_missing_stamp(self, missing_stamp: MissingStamp) -> Self {
        Self { missing_stamp, ..self }
    }

    /// The same with another answer to content without a frame.
    #[must_use]
    pub const fn with_unframed(self, unframed: UnframedContent) -> Self {
        Self { unframed, ..self }
    }

    /// The same, keeping nothing at all of a deleted message, or keeping it.
    #[must_use]
    pub const fn with_erase(self, erase: bool) -> Self {
        Self { erase, ..self }
    }

    /// What becomes of the evidence of a message whose content goes now. A hold of 0 is no hold.
    #[must_use]
    pub const fn after(&self, deletion: Deletion, now: Timestamp) -> AfterDeletion {
        let hold_ms = match deletion {
            Deletion::Remote => self.hold_remote_ms,
            Deletion::ViewOnce => self.hold_view_once_ms,
            Deletion::Expired => self.hold_expired_ms,
            Deletion::Local => 0,
        };
        match (hold_ms, self.erase) {
            (0, true) => AfterDeletion::Erase,
            (0, false) => AfterDeletion::Reduce,
            (hold_ms, _) => AfterDeletion::HoldUntil(Timestamp::new(now.get().saturating_add(hold_ms))),
        }
    }
}
