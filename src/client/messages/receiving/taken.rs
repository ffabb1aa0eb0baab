use alloc::vec::Vec;

use super::judge::Claims;
use crate::account::CarriedRoster;
use crate::report::{Unframed, refuse_unframed};
use crate::suite::Suite;
use crate::wire::{Content, Payload, WireError};

/// What was in a ciphertext, taken apart.
pub(super) struct Taken {
    pub(super) payload: Payload,
    pub(super) claims: Claims,
    /// Whether it is what people see.
    pub(super) is_shown: bool,
}

impl Taken {
    pub(super) fn apart(suite: Suite, plaintext: Vec<u8>) -> Result<Self, WireError> {
        let mut payload = match suite {
            Suite::Signal => Payload::new(Content::App(plaintext)),
            Suite::V1 => Payload::parse(&plaintext)?,
        };
        let carried = match &payload.content {
            Content::Roster(roster) => Some(&roster[..]),
            _ => payload.roster.as_deref(),
        };
        // One that is none says nothing: it takes nothing from what stands beside it.
        let roster = carried.and_then(|bytes| CarriedRoster::parse(bytes).ok());
        let is_shown =
            refuse_unframed(&payload.content) == Err(Unframed) || matches!(payload.content, Content::Framed(_));
        let claims = Claims { own: payload.own.take(), peer: payload.peer.take(), roster, sent: payload.sent };
        Ok(Self { payload, claims, is_shown })
    }
}

/// Whether a content of a user who is blocked is wiped. What heals a conversation is taken, so that it goes on where the user
/// is unblocked.
pub(super) const fn is_wiped(content: &Content) -> bool {
    !matches!(
        content,
        Content::SenderKeyDistribution(_) | Content::GroupChange(_) | Content::Roster(_) | Content::RepairRequest(_)
    )
}
