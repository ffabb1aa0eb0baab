use alloc::vec::Vec;

use super::RevealedPart;
use crate::report::{Commitment, FrameHeader, Stamp};

/// A message that the platform stamped.
pub(super) struct Item {
    pub(super) header: FrameHeader,
    pub(super) commitment: Commitment,
    pub(super) stamp: Stamp,
    pub(super) parts: Vec<RevealedPart>,
}
