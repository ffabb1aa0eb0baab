use alloc::vec::Vec;

use super::content::Content;
use super::view::{GroupView, RosterView};
use crate::crypto::Secret;
use crate::ident::{MessageId, MessageName, Timestamp};
use crate::wire::contents::MAX_CARRIED_ROSTER_LEN;
use crate::wire::fields::{FieldReader, FieldWriter};
use crate::wire::{MAX_PLAINTEXT_LEN, WireError};

/// What is inside a ciphertext of suite V1: one content, and what goes with it. One encoding.
///
/// # Examples
///
/// ```
/// use subrosa::{ident::Timestamp, wire::{Content, Payload}};
/// let payload = Payload { sent: Some(Timestamp::new(7)), ..Payload::new(Content::App(b"hi".to_vec())) };
/// assert_eq!(Payload::parse(&payload.to_bytes())?, payload);
/// # Ok::<(), subrosa::wire::WireError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// The sender's own roster.
    pub own: Option<RosterView>,
    /// The recipient's roster, as the sender holds it.
    pub peer: Option<RosterView>,
    /// The sender's own roster, whole: a [`CarriedRoster`](crate::account::CarriedRoster).
    pub roster: Option<Vec<u8>>,
    /// The host's name of the message: the same for every device of the recipient, and for every repair.
    pub message_id: Option<MessageId>,
    /// When it was sent, as its sender says.
    pub sent: Option<Timestamp>,
    /// The sender's access key.
    pub access: Option<Secret<32>>,
    /// Which access key of the recipient the sender holds.
    pub holds: Option<[u8; 8]>,
    /// Which state of the group the sender holds.
    pub group: Option<GroupView>,
    /// The message of the same content that the recipient could not read, and asked for by this name.
    pub answers: Option<MessageName>,
    /// What it says.
    pub content: Content,
}

// Field numbers.
pub(super) const OWN: u32 = 1;
pub(super) const PEER: u32 = 2;
pub(super) const ROSTER: u32 = 3;
pub(super) const MESSAGE_ID: u32 = 4;
pub(super) const SENT: u32 = 5;
pub(super) const ANSWERS: u32 = 9;
/// Those of a later version: bytes, passed over.
const LATER: core::ops::RangeInclusive<u32> = 10..=15;

impl Payload {
    /// With a content, and nothing that goes with it.
    #[must_use]
    pub const fn new(content: Content) -> Self {
        Self {
            own: None,
            peer: None,
            roster: None,
            message_id: None,
            sent: None,
            access: None,
            holds: None,
            group: None,
            answers: None,
            content,
        }
    }

    /// Reads a payload. Fields 10 to 15, which a later version may add, are passed over.
    ///
    /// A view with 8 bytes of a hash, as messages have them that were written before there were rosters, is none.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong. A content of an unknown number is none of them.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_PLAINTEXT_LEN {
            return Err(WireError::TooLong);
        }
        let mut fields = FieldReader::new(bytes);
        let own = fields.message(OWN)?.map(RosterView::read).transpose()?.flatten();
        let peer = fields.message(PEER)?.map(RosterView::read).transpose()?.flatten();
        let roster = fields.optional_bytes(ROSTER)?;
        if roster.is_some_and(|roster| roster.len() > MAX_CARRIED_ROSTER_LEN) {
            return Err(WireError::Field);
        }
        let message_id = fields.optional_array(MESSAGE_ID)?.copied().map(MessageId::new);
        let sent = fields.optional(SENT)?.map(Timestamp::new);
        let access = fields.optional_array(6)?.copied().map(Secret::new);
        let holds = fields.optional_array(7)?.copied();
        let group = fields.message(8)?.map(GroupView::read).transpose()?;
        let answers = fields.optional_array(ANSWERS)?.copied().map(MessageName::new);
        let (mut next, mut last) = (fields.next_bytes()?, 0);
        while let Some((number, _)) = next.filter(|(number, _)| LATER.contains(number)) {
            if number <= last {
                return Err(WireError::NotCanonical);
            }
            (next, last) = (fields.next_bytes()?, number);
        }
        let (number, content) = next.ok_or(WireError::Field)?;
        fields.end()?;
        let content = Content::of(number, content.to_vec()).ok_or(WireError::NotCanonical)?;
        let roster = roster.map(<[u8]>::to_vec);
        Ok(Self { own, peer, roster, message_id, sent, access, holds, group, answers, content })
    }

    /// Writes the payload.
    ///
    /// # Security
    ///
    /// With the content in clear, and with the access key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { own, peer, roster, message_id, sent, access, holds, group, answers, content } = self;
        let (number, content) = content.parts();
        let around = 256 + roster.as_ref().map_or(0, Vec::len);
        let mut out = FieldWriter::with_capacity(around + content.len());
        for (field, view) in [(OWN, own), (PEER, peer)] {
            if let Some(view) = view {
                view.write(&mut out, field);
            }
        }
        out.maybe_bytes(ROSTER, roster.as_deref());
        out.maybe_bytes(MESSAGE_ID, message_id.as_ref().map(MessageId::as_bytes));
        out.optional(SENT, sent.map(Timestamp::get));
        out.maybe_bytes(6, access.as_ref().map(Secret::expose));
        out.maybe_bytes(7, holds.as_ref());
        if let Some(group) = group {
            group.write(&mut out, 8);
        }
        out.maybe_bytes(ANSWERS, answers.as_ref().map(MessageName::as_bytes));
        out.some_bytes(number, content);
        out.into_public()
    }
}

impl core::fmt::Debug for Payload {
    // A roster names its user, and a group is somebody's.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { own, peer, roster: _, message_id, sent, access: _, holds: _, group: _, answers, content } = self;
        f.debug_struct("Payload")
            .field("own", own)
            .field("peer", peer)
            .field("message_id", message_id)
            .field("sent", sent)
            .field("answers", answers)
            .field("content", content)
            .finish_non_exhaustive()
    }
}
