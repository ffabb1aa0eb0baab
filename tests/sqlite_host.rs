//! The reference host on SQLite, killed, cut, crowded, searched and set back.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests stop where something is wrong; a host has files, processes and a clock"
)]

#[path = "../examples/sqlite_host/host/mod.rs"]
#[allow(dead_code, reason = "the example uses the rest")]
mod host;

mod sqlite {
    #[cfg(feature = "testing")]
    mod conformance;
    pub(crate) mod cut;
    mod defaults;
    pub(crate) mod erased;
    pub(crate) mod folder;
    pub(crate) mod kill;
    pub(crate) mod repair;
    pub(crate) mod together;
    pub(crate) mod yesterday;
}
