//! The client over a database, one scenario each: which rows an operation touches, what it promises when rows are
//! damaged, identities change, messages come late, or many come at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop where something is wrong"
)]

#[path = "client/damage.rs"]
mod damage;
#[path = "client/equivalence.rs"]
mod equivalence;
#[path = "client/life.rs"]
mod life;
#[path = "client/rows.rs"]
mod rows;
#[path = "client/sent_log.rs"]
mod sent_log;
#[path = "client/side.rs"]
mod side;
#[path = "client/skipped_keys.rs"]
mod skipped_keys;
mod support;
