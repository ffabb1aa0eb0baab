//! The guide: from `cargo add` to a product that loses nothing.
//!
//! 1. [`first_version`]: two people who talk over a small server, with SQLite, step by step. An afternoon.
//! 2. [`what_it_lacks`]: what stands between this first version and a product.
//! 3. [`storage`]: what a host owes the library's rows, on any database.
//! 4. [`server`]: how to run the service between the devices.
//! 5. [`attachments`]: files, to the byte.
//! 6. [`reports`] and [`moderation`]: what proves a message to the platform, and how the platform handles reports.
//! 7. [`performance`]: how to build for speed, and what costs what.
//!
//! For whoever reads the source or writes a second implementation: [`protocol`], every byte; [`records`], what lies in the
//! database. Words that are used in a sense of their own are in the [`glossary`](crate::glossary).

#![allow(
    clippy::doc_markdown,
    reason = "documents of the repository: names of products and formulas stand as they are"
)]

#[doc = include_str!("first_version.md")]
///
/// ## `main.rs`
///
/// ```ignore
#[doc = include_str!("../../examples/first_version/main.rs")]
/// ```
///
/// ## `person.rs`
///
/// ```ignore
#[doc = include_str!("../../examples/first_version/person.rs")]
/// ```
///
/// ## `server.rs`
///
/// ```ignore
#[doc = include_str!("../../examples/first_version/server.rs")]
/// ```
///
/// ## `wire.rs`
///
/// ```ignore
#[doc = include_str!("../../examples/first_version/wire.rs")]
/// ```
pub mod first_version {}

#[doc = include_str!("what_it_lacks.md")]
pub mod what_it_lacks {}

/// [records.md]: crate::guide::records
/// [protocol.md]: crate::guide::protocol
/// [server.md]: crate::guide::server
/// [examples/sqlite_host]: crate::guide::first_version
///
#[doc = include_str!("../../docs/storage.md")]
pub mod storage {}

/// [platform.md]: crate::guide::moderation
/// [examples/chat/relay.rs]: crate::guide::first_version
/// [examples/chat/directory.rs]: crate::guide::first_version
/// [examples/sqlite_host/host/relay.rs]: crate::guide::first_version
///
#[doc = include_str!("../../docs/server.md")]
pub mod server {}

/// [protocol.md]: crate::guide::protocol
///
#[doc = include_str!("../../docs/attachments.md")]
pub mod attachments {}

/// [platform.md]: crate::guide::moderation
/// [for-product-and-policy.md]: crate::guide::moderation
/// [protocol.md]: crate::guide::protocol
/// [attachments.md]: crate::guide::attachments
/// [records.md]: crate::guide::records
///
#[doc = include_str!("../../docs/reports.md")]
pub mod reports {}

/// [reports.md]: crate::guide::reports
///
#[doc = include_str!("../../docs/platform.md")]
pub mod moderation {}

/// [storage.md]: crate::guide::storage
/// [SECURITY.md]: crate::guide::what_it_lacks
/// [BENCHMARKS.md]: crate::guide::performance
///
#[doc = include_str!("../../docs/performance.md")]
pub mod performance {}

#[doc = include_str!("../../docs/protocol.md")]
pub mod protocol {}

#[doc = include_str!("../../docs/records.md")]
pub mod records {}
