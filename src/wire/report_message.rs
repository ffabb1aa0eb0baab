use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::{WireError, report};
use crate::crypto::Secret;

/// Most parts of one framed message.
pub(crate) const MAX_PARTS: usize = 64;

/// Longest encoding of a framed message: 1 MiB of parts, the header, and what stands around them.
const MAX_FRAMED_LEN: usize = (1 << 20) + (4 << 10);

/// One part: its kind and its exact bytes.
pub(crate) type WirePart = (u16, Vec<u8>);

/// What is inside the ciphertext of a framed message.
pub(crate) struct Framed {
    /// Without kind, sender and dest.
    pub(crate) header: Vec<u8>,
    pub(crate) framing_key: Secret<32>,
    pub(crate) parts: Vec<WirePart>,
    /// Whether it carries a sealed sender's ticket.
    pub(crate) sealed: bool,
}

/// Decodes, and refuses any other encoding than the one that we would write.
fn canonical<M: prost::Message + Default>(protobuf: &[u8]) -> Result<M, WireError> {
    let message = M::decode(protobuf).map_err(|_| WireError::Protobuf)?;
    if message.encode_to_vec() == protobuf { Ok(message) } else { Err(WireError::NotCanonical) }
}

fn array<const N: usize>(field: Option<&Vec<u8>>) -> Result<[u8; N], WireError> {
    field.and_then(|bytes| bytes.as_slice().try_into().ok()).ok_or(WireError::Field)
}

impl Framed {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_FRAMED_LEN {
            return Err(WireError::TooLong);
        }
        bounded(bytes, 3, MAX_PARTS)?;
        let mut framed: report::Framed = canonical(bytes)?;
        let framing_key = Secret::new(array(framed.framing_key.as_ref())?);
        let parts = framed.parts.into_iter().map(|part| {
            let kind = part.kind.and_then(|kind| u16::try_from(kind).ok()).ok_or(WireError::Field)?;
            Ok((kind, part.body.ok_or(WireError::Field)?))
        });
        Ok(Self {
            parts: parts.collect::<Result<_, WireError>>()?,
            header: framed.header.take().ok_or(WireError::Field)?,
            framing_key,
            sealed: framed.ticket.is_some() || framed.ticket_sig.is_some(),
        })
    }

    pub(crate) fn to_bytes<'a>(
        header: Vec<u8>,
        framing_key: &Secret<32>,
        parts: impl Iterator<Item = (u16, &'a [u8])>,
    ) -> Vec<u8> {
        let parts = parts.map(|(kind, body)| report::FramedPart { kind: Some(kind.into()), body: Some(body.to_vec()) });
        report::Framed {
            header: Some(header),
            framing_key: Some(framing_key.expose().to_vec()),
            parts: parts.collect(),
            ticket: None,
            ticket_sig: None,
        }
        .encode_to_vec()
    }
}

/// One message of a report.
pub(crate) struct ReportItem {
    pub(crate) header: Vec<u8>,
    pub(crate) header_key: Secret<32>,
    pub(crate) stamp: Vec<u8>,
    pub(crate) parts: Vec<ReportPart>,
    /// Whether it carries a sealed sender's ticket.
    pub(crate) sealed: bool,
}

/// One part of a message of a report.
pub(crate) enum ReportPart {
    Open { kind: u16, body: Vec<u8>, key: Secret<32> },
    Redacted([u8; 32]),
}

/// A report as it is encoded.
pub(crate) struct ReportMessage {
    /// `None`: the item lacks a field or has one of a wrong length. It is refused alone, and counts.
    pub(crate) items: Vec<Option<ReportItem>>,
    pub(crate) boundary: u8,
    pub(crate) note: String,
}

impl ReportMessage {
    /// Reads a report of at most so many items. The caller has judged its length.
    pub(crate) fn parse(bytes: &[u8], max_items: usize) -> Result<Self, WireError> {
        // Before anything is decoded: two bytes of input must not become two hundred of memory.
        for item in bounded(bytes, 2, max_items)? {
            bounded(item, 4, MAX_PARTS)?;
        }
        let report: report::Report = canonical(bytes)?;
        match report.version {
            Some(1) => {}
            Some(other) => return Err(WireError::UnsupportedVersion(u8::try_from(other).unwrap_or(u8::MAX))),
            None => return Err(WireError::Field),
        }
        let boundary = report.boundary.and_then(|flags| u8::try_from(flags).ok()).filter(|flags| *flags <= 3);
        Ok(Self {
            items: report.items.into_iter().map(item).collect(),
            boundary: boundary.ok_or(WireError::Field)?,
            note: report.note.ok_or(WireError::Field)?,
        })
    }

    pub(crate) fn to_bytes(items: Vec<ReportItem>, boundary: u8, note: &str) -> Vec<u8> {
        let items = items.into_iter().map(|item| {
            let parts = item.parts.into_iter().map(|part| match part {
                ReportPart::Open { kind, body, key } => report::ItemPart {
                    kind: Some(kind.into()),
                    body: Some(body),
                    key: Some(key.expose().to_vec()),
                    digest: None,
                },
                ReportPart::Redacted(digest) => {
                    report::ItemPart { kind: None, body: None, key: None, digest: Some(digest.to_vec()) }
                }
            });
            report::Item {
                header: Some(item.header),
                header_key: Some(item.header_key.expose().to_vec()),
                stamp: Some(item.stamp),
                parts: parts.collect(),
                ticket: None,
                ticket_sig: None,
            }
        });
        report::Report {
            version: Some(1),
            items: items.collect(),
            boundary: Some(boundary.into()),
            note: Some(note.into()),
        }
        .encode_to_vec()
    }
}

fn item(item: report::Item) -> Option<ReportItem> {
    let parts = item.parts.into_iter().map(|part| match part {
        report::ItemPart { kind: Some(kind), body: Some(body), key: Some(key), digest: None } => {
            Some(ReportPart::Open { kind: u16::try_from(kind).ok()?, body, key: Secret::from_slice(&key)? })
        }
        report::ItemPart { kind: None, body: None, key: None, digest: Some(digest) } => {
            Some(ReportPart::Redacted(digest.try_into().ok()?))
        }
        _ => None,
    });
    Some(ReportItem {
        parts: parts.collect::<Option<_>>()?,
        header: item.header?,
        header_key: Secret::from_slice(&item.header_key?)?,
        stamp: item.stamp?,
        sealed: item.ticket.is_some() || item.ticket_sig.is_some(),
    })
}

/// The fields of a number in a protobuf message, at most so many of them. Allocates nothing but their places.
fn bounded(bytes: &[u8], number: u32, most: usize) -> Result<Vec<&[u8]>, WireError> {
    let (mut rest, mut found) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (tag, wire_type) = decode_key(&mut rest).map_err(|_| WireError::Protobuf)?;
        if tag != number || wire_type != WireType::LengthDelimited {
            // A group nests, and no message here has one.
            if matches!(wire_type, WireType::StartGroup | WireType::EndGroup) {
                return Err(WireError::NotCanonical);
            }
            skip_field(wire_type, tag, &mut rest, DecodeContext::default()).map_err(|_| WireError::Protobuf)?;
            continue;
        }
        let len = decode_varint(&mut rest).map_err(|_| WireError::Protobuf)?;
        let (field, behind) =
            usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len)).ok_or(WireError::Protobuf)?;
        if found.len() == most {
            return Err(WireError::TooLong);
        }
        found.push(field);
        rest = behind;
    }
    Ok(found)
}
