//! The platform's side: the prekey store between devices, the directory of rosters, and of message framing stamps, and
//! verdicts on reports.
//!
//! Owns: what a server keeps of a device's prekeys ([`PrekeyStore`]), which roster it stores ([`check_roster`],
//! [`check_succession`]), the keys that stamp ([`StampKeys`]), the two things done on submission ([`stamp`], [`restamp`]),
//! the key that reports are sealed to ([`ModerationKey`]), what a report proves ([`verify_report`]), and whether an object
//! is the file that a reported message refers to ([`verify_attachment`]).
//!
//! **Not its concern:** anything of a client. No session, private prekey or ratchet can be named here, and nothing here opens
//! a message: what a platform sees of one is a commitment, and of a file what a reporter revealed. Who is authenticated, who
//! is in a group, what time it is: arguments.
//!
//! Stamping and verifying are pure functions; nothing is stored for a message. In the repository, `docs/server.md` says how to
//! run the prekey store, `docs/platform.md` the rest.

mod attachment;
mod directory;
mod item;
mod keys;
mod limits;
mod moderation;
mod order;
mod prekey_store;
mod stamping;
mod taken;
mod verdict;
mod verify;
mod window;

pub use attachment::{AttachmentMismatch, ForgedFile, VerifiedFile, verify_attachment};
pub use directory::{RosterRefusal, check_roster, check_succession};
pub use keys::{KeyExists, StampKeys};
pub use limits::ReportLimits;
pub use moderation::{ModerationKey, Unopenable};
pub use prekey_store::{AppliedUpload, PrekeyStore, PrekeyStoreError};
pub use stamping::{RestampError, StampError, restamp, stamp};
pub use verdict::{Finding, MessageOrder, RejectReason, RevealedPart, Verdict, VerifiedMessage};
pub use verify::{Reporter, VerifyReportError, verify_report};
