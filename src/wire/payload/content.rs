use alloc::vec::Vec;

/// What a message says. The bytes of those that the library reads are those of a type of this room: see each.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// The application's own bytes.
    App(Vec<u8>),
    /// Framed content, which can be reported.
    Framed(Vec<u8>),
    /// A sender key of a group.
    SenderKeyDistribution(Vec<u8>),
    /// A change of a group.
    GroupChange(Vec<u8>),
    /// A roster, with what leads to it: a [`CarriedRoster`](crate::account::CarriedRoster).
    Roster(Vec<u8>),
    /// A request to send something again.
    RepairRequest(Vec<u8>),
    /// What a device needs that becomes the primary: a [`Provisioning`](crate::wire::Provisioning).
    Provisioning(Vec<u8>),
    /// Which messages were received or read, and what is gone: a [`Receipt`](crate::wire::Receipt).
    Receipt(Vec<u8>),
    /// Whether somebody is writing: a [`Typing`](crate::wire::Typing).
    Typing(Vec<u8>),
    /// What one's own devices tell each other: a [`SyncPage`](crate::wire::SyncPage).
    Sync(Vec<u8>),
    /// What another of one's own devices sent: a [`Transcript`](crate::wire::Transcript).
    Transcript(Vec<u8>),
    /// A request for the access key: an [`AccessRequest`](crate::wire::AccessRequest).
    AccessRequest(Vec<u8>),
    /// What sets a call up: a [`Call`](crate::wire::Call).
    Call(Vec<u8>),
    /// A key of a call: a [`CallKey`](crate::wire::CallKey).
    CallKey(Vec<u8>),
    /// A step of comparing emoji: a [`Verify`](crate::wire::Verify).
    Verify(Vec<u8>),
    /// Where the history for a new device is: a [`History`](crate::wire::History).
    History(Vec<u8>),
    /// Something that a newer version of the library knows.
    Unknown(UnknownPayload),
}

/// A content of a number that this version does not know: for the host to keep, or to pass over.
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownPayload {
    number: u32,
    bytes: Vec<u8>,
}

impl UnknownPayload {
    /// A content of another number, as a newer version would write it; `None` if the number is below 32 or above
    /// 2^29 − 1.
    #[must_use]
    pub fn new(number: u32, bytes: Vec<u8>) -> Option<Self> {
        (FIRST_UNKNOWN..1 << 29).contains(&number).then_some(Self { number, bytes })
    }

    /// Its field number: 32 to 2^29 − 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl core::fmt::Debug for UnknownPayload {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "UnknownPayload({}, ..)", self.number)
    }
}

impl core::fmt::Debug for Content {
    // What people write does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::App(_) => "App(..)",
            Self::Framed(_) => "Framed(..)",
            Self::SenderKeyDistribution(_) => "SenderKeyDistribution(..)",
            Self::GroupChange(_) => "GroupChange(..)",
            Self::Roster(_) => "Roster(..)",
            Self::RepairRequest(_) => "RepairRequest(..)",
            Self::Provisioning(_) => "Provisioning(..)",
            Self::Receipt(_) => "Receipt(..)",
            Self::Typing(_) => "Typing(..)",
            Self::Sync(_) => "Sync(..)",
            Self::Transcript(_) => "Transcript(..)",
            Self::AccessRequest(_) => "AccessRequest(..)",
            Self::Call(_) => "Call(..)",
            Self::CallKey(_) => "CallKey(..)",
            Self::Verify(_) => "Verify(..)",
            Self::History(_) => "History(..)",
            Self::Unknown(_) => "Unknown(..)",
        })
    }
}

/// The number of the application's own bytes.
pub(super) const APP: u32 = 16;
/// The number of framed content.
pub(crate) const FRAMED: u8 = 17;
/// The same as a field number.
pub(super) const FRAMED_NUMBER: u32 = 17;
pub(super) const REPAIR_REQUEST: u32 = 21;
pub(super) const PROVISIONING: u32 = 22;
pub(super) const RECEIPT: u32 = 23;
pub(super) const TYPING: u32 = 24;
pub(super) const TRANSCRIPT: u32 = 26;

/// First field number of contents that this version does not know.
const FIRST_UNKNOWN: u32 = 32;

impl Content {
    /// The content of a field; `None` if contents have other numbers.
    pub(super) fn of(number: u32, bytes: Vec<u8>) -> Option<Self> {
        Some(match number {
            APP => Self::App(bytes),
            FRAMED_NUMBER => Self::Framed(bytes),
            18 => Self::SenderKeyDistribution(bytes),
            19 => Self::GroupChange(bytes),
            20 => Self::Roster(bytes),
            REPAIR_REQUEST => Self::RepairRequest(bytes),
            PROVISIONING => Self::Provisioning(bytes),
            RECEIPT => Self::Receipt(bytes),
            TYPING => Self::Typing(bytes),
            25 => Self::Sync(bytes),
            TRANSCRIPT => Self::Transcript(bytes),
            27 => Self::AccessRequest(bytes),
            28 => Self::Call(bytes),
            29 => Self::CallKey(bytes),
            30 => Self::Verify(bytes),
            31 => Self::History(bytes),
            number => Self::Unknown(UnknownPayload::new(number, bytes)?),
        })
    }

    pub(super) fn parts(&self) -> (u32, &[u8]) {
        match self {
            Self::App(bytes) => (APP, bytes),
            Self::Framed(bytes) => (FRAMED_NUMBER, bytes),
            Self::SenderKeyDistribution(bytes) => (18, bytes),
            Self::GroupChange(bytes) => (19, bytes),
            Self::Roster(bytes) => (20, bytes),
            Self::RepairRequest(bytes) => (REPAIR_REQUEST, bytes),
            Self::Provisioning(bytes) => (PROVISIONING, bytes),
            Self::Receipt(bytes) => (RECEIPT, bytes),
            Self::Typing(bytes) => (TYPING, bytes),
            Self::Sync(bytes) => (25, bytes),
            Self::Transcript(bytes) => (TRANSCRIPT, bytes),
            Self::AccessRequest(bytes) => (27, bytes),
            Self::Call(bytes) => (28, bytes),
            Self::CallKey(bytes) => (29, bytes),
            Self::Verify(bytes) => (30, bytes),
            Self::History(bytes) => (31, bytes),
            Self::Unknown(UnknownPayload { number, bytes }) => (*number, bytes),
        }
    }
}
