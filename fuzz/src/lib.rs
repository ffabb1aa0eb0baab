//! What the fuzz targets do with their bytes. Each body gives whether the bytes were accepted.
//!
//! `tests/corpus.rs` of the library takes this same file and replays the committed corpora as ordinary tests.

mod accounts;
mod attachment;
#[cfg(feature = "testing")]
mod client;
mod decoders;
mod interaction;
mod liar;
mod party;
mod reports;

pub use accounts::{
    account_bytes, account_bytes_seeds, carried_roster, carried_roster_seeds, contents, contents_seeds, link,
    link_seeds, roster, roster_seeds,
};
pub use attachment::{attachment, attachment_seeds};
#[cfg(feature = "testing")]
pub use client::{client, client_seeds};
pub use decoders::{
    bundle, envelope, first_message, message, payload, prekey_bytes, prekey_store, prekey_upload, session_bytes,
    spqr_message,
};
pub use interaction::interaction;
pub use liar::liar;
pub use party::{NOW, pair, stages};
pub use reports::{report, report_fixture, report_header};
