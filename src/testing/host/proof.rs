//! What proves a framed message, and what it says.

use alloc::vec::Vec;

use crate::ident::Address;
use crate::report::{Evidence, Part};

/// What proves a message, beside what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::testing) struct Proof {
    pub(in crate::testing) evidence: Evidence,
    pub(super) parts: Vec<Part>,
    /// With whom.
    pub(super) peer: Address,
}

/// The id and the text that are in a message's parts.
pub(super) fn content(parts: &[Part]) -> Option<([u8; 16], Vec<u8>)> {
    let (id, text) = parts.first()?.body().split_first_chunk::<32>()?;
    let id = u128::from_str_radix(core::str::from_utf8(id).ok()?, 16).ok()?;
    Some((id.to_be_bytes(), text.to_vec()))
}
