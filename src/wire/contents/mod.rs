//! What a message says to the library, rosters, and how both travel: `contents.proto`. Each has one encoding.

mod access_request;
mod call;
mod history;
mod provisioning;
mod receipt;
mod roster;
mod scannable;
mod succession;
mod sync;
#[cfg(test)]
mod tests;
mod transcript;
mod typing;
mod verify;

pub use access_request::AccessRequest;
pub use call::{Call, CallKey, CallStep};
pub use history::History;
pub use provisioning::Provisioning;
pub use receipt::{Receipt, ReceiptKind};
pub(crate) use roster::{RosterBody, RosterEntry, join_signed, join_two, split_signed, split_two};
pub(crate) use scannable::Scannable;
pub(crate) use succession::{CarriedParts, MAX_CARRIED_ROSTER_LEN, StepParts, SuccessionBody};
pub use sync::{ContactState, SyncEntry, SyncPage, SyncState};
pub use transcript::{Transcript, TranscriptContent, TranscriptTo};
pub use typing::Typing;
pub use verify::{Verify, VerifyStep};
