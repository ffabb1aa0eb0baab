use alloc::vec::Vec;

use super::commit::FramingKey;
use super::{AccountTag, Commitment, Destination, Evidence, FrameHeader, Part, PartKind};
use crate::wire::Framed;

/// The commitment to framed content of one's own, which is sent again; `None` if it is none.
pub(crate) fn commitment_of(inner: &[u8], me: &AccountTag, dest: &Destination) -> Option<Commitment> {
    let framed = Framed::parse(inner).ok().filter(|framed| !framed.sealed)?;
    let header = FrameHeader::from_wire(&framed.header, me, dest).ok()?;
    let parts = framed.parts.into_iter().map(|(kind, body)| Part::new(PartKind::new(kind), body));
    let parts: Vec<Part> = parts.collect();
    Some(*Evidence::new(header, FramingKey(framed.framing_key), &parts).commitment())
}
