//! Protobuf bytes ⇄ plain structs, of messages and of stored state.
//!
//! Owns: the `.proto` files, the Rust generated from them (checked in; a test regenerates and compares), what writes and
//! reads fields without it where every message passes, the strict decoders of what the suites put on the wire and of the
//! post-quantum ratchet's part (for tests and fuzzing; a host reads messages in room [`session`](crate::session)), of what
//! suite V1 puts inside a ciphertext ([`Payload`]; [`Receipt`], [`SyncPage`] and the other contents) and around one
//! ([`Envelope`]), of rosters, of framed content and reports, and the structs of stored state with their header.
//!
//! **Not its concern:** any step of the protocol. A decoder says what the bytes are, never whether they are
//! authentic, wanted or timely; stored state is checked by the room that owns it.
//!
//! # Security
//!
//! Decoding is linear in the input, allocates no more than the input holds, and the input is at most
//! [`MAX_MESSAGE_LEN`] bytes.

mod contents;
mod envelope;
mod fields;
mod kind;
mod link;
mod payload;
mod prekey_message;
mod report_message;
mod roomy;
mod signal_message;
mod spelling;
mod spqr_message;
mod stored;
mod v1_message;

pub use contents::{
    AccessRequest, Call, CallKey, CallStep, ContactState, History, Provisioning, Receipt, ReceiptKind, SyncEntry,
    SyncPage, SyncState, Transcript, TranscriptContent, TranscriptTo, Typing, Verify, VerifyStep,
};
pub(crate) use contents::{
    CarriedParts, RosterBody, RosterEntry, Scannable, StepParts, SuccessionBody, join_signed, join_two, split_signed,
    split_two,
};
pub use envelope::{Envelope, EnvelopeKind, EnvelopeSuite};
pub(crate) use fields::{FieldReader, FieldWriter};
pub use kind::{RecordError, RecordKind};
pub(crate) use link::{MAX_LINK_MESSAGE_LEN, ProvisionParts};
pub use payload::{Content, GroupView, Payload, RosterView, UnknownPayload};
pub(crate) use payload::{FRAMED, Front, Outward};
#[doc(hidden)]
pub use prekey_message::PreKeySignalMessage;
pub(crate) use prekey_message::PrekeyHeader;
pub(crate) use report_message::{Framed, MAX_PARTS, ReportItem, ReportMessage, ReportPart};
pub(crate) use roomy::{ROOM_BEHIND, ROOM_IN_FRONT, Record};
#[doc(hidden)]
pub use signal_message::SignalMessage;
pub(crate) use signal_message::SignalMessageHeader;
#[doc(hidden)]
pub use spqr_message::{CHUNK_LEN, Chunk, MalformedSpqr, SpqrMessage, SpqrPayload};
pub(crate) use stored::{
    KEY_PAIR_CAPACITY, address_from_record, address_to_record, decode_record, encode_record, encode_row, read_address,
    read_key_pair, read_public_key, write_address, write_key_pair,
};
#[doc(hidden)]
pub use v1_message::{V1FirstMessage, V1Message};
pub(crate) use v1_message::{V1Header, is_v1};

/// Structs of stored state, generated from `record.proto`. They are wiped on drop and do not print themselves. Records that
/// hold secrets are read and written without them, as decoding leaves copies that nobody wipes.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
#[allow(dead_code, reason = "those of records that hold secrets say what these are")]
pub(crate) mod record {
    include!("generated/subrosa.record.rs");
}

/// Structs of the state that changes with every message, generated from `state.proto`: for tests, which compare what
/// [`FieldWriter`] and [`FieldReader`] make of it.
#[cfg(test)]
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
pub(crate) mod state {
    include!("generated/subrosa.state.rs");
}

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
mod report {
    include!("generated/subrosa.report.rs");
}

/// Structs of contents and rosters: for tests, as [`state`].
#[cfg(test)]
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
mod contents_proto {
    include!("generated/subrosa.contents.rs");
}

/// Structs of suite V1's messages: for tests, as [`state`].
#[cfg(test)]
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
mod v1 {
    include!("generated/subrosa.v1.rs");
}

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
mod signal {
    include!("generated/subrosa.signal.rs");
}

/// Longest plaintext of one message, in bytes: 64 KiB. Longer content travels as an attachment.
pub const MAX_PLAINTEXT_LEN: usize = 1 << 16;

/// Longest message that a decoder looks at, in bytes: twice the longest plaintext, since a sender may pad more than it has
/// to, and 8 KiB for everything around it.
pub const MAX_MESSAGE_LEN: usize = 2 * MAX_PLAINTEXT_LEN + (8 << 10);

/// Why bytes are not a message. Nothing secret was touched to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Longer than [`MAX_MESSAGE_LEN`]. Drop it.
    #[error("message is longer than allowed")]
    TooLong,
    /// Too short to hold what every message holds. Drop it.
    #[error("message is truncated")]
    Truncated,
    /// The version byte names a version that this library does not speak. Tell the sender to update, or update.
    #[error("unsupported message version {0}")]
    UnsupportedVersion(u8),
    /// The first byte names no kind of message that is read here. Tell the sender to update, or update.
    #[error("unknown kind of message {0:#04x}")]
    UnknownKind(u8),
    /// Another encoding than the one that its sender would have written. Drop it.
    #[error("message is not canonically encoded")]
    NotCanonical,
    /// Not protobuf. Drop it.
    #[error("message is not well-formed protobuf")]
    Protobuf,
    /// A field that every message of this kind holds is missing or has the wrong length. Drop it.
    #[error("message lacks a required field")]
    Field,
    /// The KEM part of a first message is missing or malformed: it could only start a session that is not
    /// post-quantum, which does not exist here. Drop it.
    #[error("first message lacks its KEM part")]
    MissingKem,
    /// A public key inside is malformed. Drop it.
    #[error(transparent)]
    Key(#[from] crate::crypto::PublicKeyError),
}
