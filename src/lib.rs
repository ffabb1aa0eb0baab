#![doc = include_str!("../README.md")]
//!
//! # Map of the crate
//!
//! Read bottom-up it is the protocol, top-down the interface. A room imports only from rooms above it in this list.
//!
//! | room | what it owns |
//! |---|---|
//! | [`crypto`] | the only room that names cryptography crates; keys that a host stores and shows |
//! | [`ident`] | names of users, devices, prekeys, moments |
//! | [`wire`] | protobuf bytes ⇄ plain structs, strict decoders |
//! | [`suite`] | what differs between cipher suites |
//! | [`prekey`] | identities, prekeys, bundles, rotation |
//! | `handshake` | PQXDH |
//! | `ratchet` | the Double Ratchet, the post-quantum ratchet, both together |
//! | [`session`] | everything shared with one device of a peer |
//! | [`account`] | account keys, rosters of a user's devices, succession, linking, what people compare |
//! | [`attachment`] | files: chunks that open alone, under one key, as one reference commits to them |
//! | [`report`] | message framing: what proves a message to the platform, once its recipient reports it |
//! | [`persist`] | records as they lie in the host's database: keyed, sealed, versioned |
//! | [`staging`] | any operation over rows: staged, then committed by the host, and only then it exists |
//! | `rows` | what a client keeps, one file for each kind of row |
//! | [`client`] | one device over a host's database: staged operations |
//! | [`platform`] | the server's side, without any client's secret: stamps, verdicts on reports |
//! | `sqlite` | a host's database in a SQLite file, feature `sqlite` |
//! | `testing` | for a host's own tests, feature `testing`: a store in memory, a conformance suite, a simulator |
//!
//! # Where to start
//!
//! | who you are | read |
//! |---|---|
//! | you want to see two people talk within an hour | [`guide::first_version`], then [`guide::what_it_lacks`] |
//! | you write a host: an app, a bot | [`client`], [`guide::storage`], then `sqlite` or [`client::Database`] |
//! | you run the server | [`platform`], [`guide::server`], [`guide::moderation`] |
//! | you look underneath, or write a second implementation | [`session`], [`guide::protocol`], [`guide::records`], CONTRIBUTING.md |
//!
//! [`client::Client`] is one device over the host's database: what most hosts use. Each of its operations is
//! [run](client::Operation::run) in one call over a [`client::Database`], which `subrosa::sqlite` is (feature `sqlite`) and
//! a host on something else implements; [`client::Client::todo`] says what is to be done. The example `sqlite_host` is the
//! reference, `chat` is two processes and a relay, `async_host` and `ffi_host` step operations by hand, and
//! [`guide::storage`] says what a host owes the rows. Below it are plain values without storage: [`session::Session`] for
//! each device of a peer, [`prekey::Device`] for one's own (example `two_parties`). [`guide::protocol`] specifies every
//! byte; words that are used in a sense of their own are in the [`glossary`].
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `std` | adapters of [`attachment`] for `std::io`; a [`client::Client`] that keeps sessions in memory, where it is asked to; [`ident::Timestamp`]`::now` |
//! | `fast` | a faster X25519 and file encryption where the processor has the instructions, on x86-64 and 64-bit ARM; the same bytes. Needs the standard library |
//! | `getrandom` | `crypto::system_rng`: the operating system's generator |
//! | `sqlite` | `subrosa::sqlite`: a host's database in a SQLite file, on `rusqlite`, with the SQLite of the system. Needs the standard library |
//! | `sqlite-bundled` | the same with a SQLite of its own. Needs a C compiler |
//! | `testing` | `subrosa::testing`: for a host's own tests, not for its app. Needs the standard library |
//!
//! Without them the crate is `no_std` with `alloc`.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(test)]
extern crate self as subrosa;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod account;
pub mod attachment;
pub mod client;
pub mod crypto;
#[doc = include_str!("glossary.md")]
pub mod glossary {}
pub mod guide;
mod handshake;
pub mod ident;
pub mod persist;
pub mod platform;
pub mod prekey;
mod ratchet;
pub mod report;
mod rows;
pub mod session;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod staging;
pub mod suite;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod wire;

#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
#[cfg(test)]
#[path = "../tests/support/vectors.rs"]
mod vectors;
