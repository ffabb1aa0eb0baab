use alloc::vec::Vec;

use super::fields::{FieldReader, FieldWriter};
use super::{MAX_PLAINTEXT_LEN, WireError};
use crate::crypto::{SecretBytes, sha256};
use crate::ident::MessageName;

/// Which version of a user's device roster somebody knows; version 0 where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RosterView {
    /// The roster's version.
    pub version: u64,
    /// First 8 bytes of its hash.
    pub hash: [u8; 8],
}

/// What a message says.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// The application's own bytes.
    App(Vec<u8>),
    /// Framed content, which can be reported.
    Framed(Vec<u8>),
    /// A sender key of a group.
    SenderKeyDistribution(Vec<u8>),
    /// A change of a group.
    GroupChange(Vec<u8>),
    /// A roster.
    Roster(Vec<u8>),
    /// A request to send something again.
    RepairRequest(Vec<u8>),
    /// What a new device of one's own needs.
    Provisioning(Vec<u8>),
    /// Which messages were received or read.
    Receipt(Vec<u8>),
    /// Something that a newer version of the library knows.
    Unknown(UnknownPayload),
}

/// A content of a number that this version does not know: for the host to keep, or to pass over.
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownPayload {
    number: u32,
    bytes: Vec<u8>,
}

impl UnknownPayload {
    /// A content of another number, as a newer version would write it; `None` if the number is below 24 or above
    /// 2^29 − 1.
    #[must_use]
    pub fn new(number: u32, bytes: Vec<u8>) -> Option<Self> {
        (FIRST_UNKNOWN..1 << 29).contains(&number).then_some(Self { number, bytes })
    }

    /// Its field number: 24 to 2^29 − 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl core::fmt::Debug for UnknownPayload {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "UnknownPayload({}, ..)", self.number)
    }
}

impl core::fmt::Debug for Content {
    // What people write does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::App(_) => "App(..)",
            Self::Framed(_) => "Framed(..)",
            Self::SenderKeyDistribution(_) => "SenderKeyDistribution(..)",
            Self::GroupChange(_) => "GroupChange(..)",
            Self::Roster(_) => "Roster(..)",
            Self::RepairRequest(_) => "RepairRequest(..)",
            Self::Provisioning(_) => "Provisioning(..)",
            Self::Receipt(_) => "Receipt(..)",
            Self::Unknown(_) => "Unknown(..)",
        })
    }
}

/// What is inside a ciphertext of suite V1: one content, and what its sender knows of both users' devices. One
/// encoding.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{Content, Payload};
/// let payload = Payload::new(Content::App(b"hi".to_vec()));
/// assert_eq!(Payload::parse(&payload.to_bytes())?, payload);
/// # Ok::<(), subrosa::wire::WireError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payload {
    /// The sender's own roster.
    pub own: RosterView,
    /// The recipient's roster, as the sender believes it to be.
    pub peer: RosterView,
    /// The message of the same content that the recipient could not read, and asked for by this name.
    pub answers: Option<MessageName>,
    /// What it says.
    pub content: Content,
}

/// Field number of what a message answers.
const ANSWERS: u32 = 9;

// Field numbers of contents.
const APP: u32 = 16;
const FRAMED_FIELD: u32 = 17;
/// The number of framed content.
pub(crate) const FRAMED: u8 = 17;
const REPAIR_REQUEST: u32 = 21;
const RECEIPT: u32 = 23;

/// What the digest of a content is made with.
const LABEL_SENT: &[u8] = b"\x0esubrosa/1/sent";

/// What a payload's digest is made with.
const LABEL_PAYLOAD: &[u8] = b"\x11subrosa/1/payload";

/// First field number of contents that this version does not know.
const FIRST_UNKNOWN: u32 = 24;

impl Payload {
    /// A payload that says this, of somebody who knows of no roster.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self { own: RosterView::default(), peer: RosterView::default(), answers: None, content }
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong. A content of an unknown number is none of them.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_PLAINTEXT_LEN {
            return Err(WireError::TooLong);
        }
        let mut fields = FieldReader::new(bytes);
        let own = RosterView::read(fields.some_message(1)?)?;
        let peer = RosterView::read(fields.some_message(2)?)?;
        let answers = fields.optional_bytes(ANSWERS)?.map(<[u8; 32]>::try_from).transpose();
        let answers = answers.map_err(|_| WireError::Field)?.map(MessageName::new);
        let (number, content) = fields.next_bytes()?.ok_or(WireError::Field)?;
        fields.end()?;
        Ok(Self { own, peer, answers, content: Content::of(number, content.to_vec()).ok_or(WireError::NotCanonical)? })
    }

    /// Writes the payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (number, content) = self.content.parts();
        write((&self.own, &self.peer), self.answers.as_ref(), number, content).take()
    }
}

fn write(
    (own, peer): (&RosterView, &RosterView),
    answers: Option<&MessageName>,
    number: u32,
    content: &[u8],
) -> SecretBytes {
    let mut out = FieldWriter::with_capacity(96 + content.len());
    own.write(&mut out, 1);
    peer.write(&mut out, 2);
    if let Some(name) = answers {
        out.some_bytes(ANSWERS, name.as_bytes());
    }
    out.some_bytes(number, content);
    out.finish()
}

/// The payload of a message that is to be sent, of which the content is the end: copied once, wiped on drop.
pub(crate) struct Outward {
    payload: SecretBytes,
    digest: [u8; 32],
    number: u32,
    content_len: usize,
}

impl Outward {
    fn new(answers: Option<&MessageName>, number: u32, content: &[u8]) -> Self {
        let nobody = RosterView::default();
        let payload = write((&nobody, &nobody), answers, number, content);
        let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let digest = sha256(&[LABEL_SENT, &number.to_be_bytes(), &len.to_be_bytes(), content]);
        Self { payload, digest, number, content_len: content.len() }
    }

    /// With the application's own bytes.
    pub(crate) fn app(plaintext: &[u8]) -> Self {
        Self::new(None, APP, plaintext)
    }

    /// With framed content.
    pub(crate) fn framed(inner: &[u8]) -> Self {
        Self::new(None, FRAMED_FIELD, inner)
    }

    /// What was sent before with this content, in answer to who could not read it under this name.
    pub(crate) fn again(answers: &MessageName, number: u8, content: &[u8]) -> Self {
        Self::new(Some(answers), number.into(), content)
    }

    /// With a request to send something again.
    pub(crate) fn repair_request(items: &[u8]) -> Self {
        Self::new(None, REPAIR_REQUEST, items)
    }

    /// With word of what was received, read, or is gone.
    pub(crate) fn receipt(receipt: &[u8]) -> Self {
        Self::new(None, RECEIPT, receipt)
    }

    /// The content's number.
    pub(crate) fn number(&self) -> u8 {
        u8::try_from(self.number).unwrap_or_default()
    }

    /// What its content is known by: the same, however often it is sent.
    pub(crate) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Whether it is framed: then a commitment goes with it.
    pub(crate) const fn is_framed(&self) -> bool {
        self.number == FRAMED_FIELD
    }

    fn content(&self) -> &[u8] {
        self.parts().1
    }

    /// What stands before the content, and the content.
    fn parts(&self) -> (&[u8], &[u8]) {
        self.payload.split_at_checked(self.payload.len() - self.content_len).unwrap_or_default()
    }

    /// The whole payload.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What commits to the whole payload. Its content is the long part, and is hashed already.
    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256(&[LABEL_PAYLOAD, &self.digest, self.parts().0])
    }

    /// The application's own bytes, if they are its content.
    pub(crate) fn plaintext(&self) -> Option<&[u8]> {
        (self.number == APP).then(|| self.content())
    }
}

impl RosterView {
    fn read(mut fields: FieldReader<'_>) -> Result<Self, WireError> {
        let view = Self { version: fields.some_number(1)?, hash: *fields.some_array(2)? };
        fields.end()?;
        Ok(view)
    }

    fn write(&self, out: &mut FieldWriter, field: u32) {
        out.message(field, |out| {
            out.optional(1, Some(self.version));
            out.some_bytes(2, &self.hash);
        });
    }
}

impl Content {
    /// The content of a field; `None` if contents have other numbers.
    fn of(number: u32, bytes: Vec<u8>) -> Option<Self> {
        Some(match number {
            APP => Self::App(bytes),
            FRAMED_FIELD => Self::Framed(bytes),
            18 => Self::SenderKeyDistribution(bytes),
            19 => Self::GroupChange(bytes),
            20 => Self::Roster(bytes),
            REPAIR_REQUEST => Self::RepairRequest(bytes),
            22 => Self::Provisioning(bytes),
            RECEIPT => Self::Receipt(bytes),
            number => Self::Unknown(UnknownPayload::new(number, bytes)?),
        })
    }

    fn parts(&self) -> (u32, &[u8]) {
        match self {
            Self::App(bytes) => (APP, bytes),
            Self::Framed(bytes) => (FRAMED_FIELD, bytes),
            Self::SenderKeyDistribution(bytes) => (18, bytes),
            Self::GroupChange(bytes) => (19, bytes),
            Self::Roster(bytes) => (20, bytes),
            Self::RepairRequest(bytes) => (REPAIR_REQUEST, bytes),
            Self::Provisioning(bytes) => (22, bytes),
            Self::Receipt(bytes) => (RECEIPT, bytes),
            Self::Unknown(UnknownPayload { number, bytes }) => (*number, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1;
    use prost::Message as _;
    use std::vec;

    const VIEW: [u8; 14] = [0x0a, 0x0c, 0x08, 0x01, 0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8];

    /// Both views, then these bytes.
    fn with(content: &[u8]) -> Vec<u8> {
        let mut peer = VIEW;
        peer[0] = 0x12;
        [&VIEW, &peer, content].concat()
    }

    #[test]
    fn what_goes_out_is_the_payload_and_its_end() {
        let nobody = RosterView::default();
        for (outward, content) in [
            (Outward::app(b"hi"), Content::App(b"hi".to_vec())),
            (Outward::framed(b"hi"), Content::Framed(b"hi".to_vec())),
            (Outward::repair_request(&[]), Content::RepairRequest(vec![])),
        ] {
            let plaintext = matches!(content, Content::App(_)).then_some(&b"hi"[..]);
            assert_eq!(outward.payload(), Payload { own: nobody, peer: nobody, answers: None, content }.to_bytes());
            assert_eq!(outward.plaintext(), plaintext);
        }
    }

    /// The salt of a message hangs on it.
    #[test]
    fn whatever_differs_in_a_payload_its_hash_differs() {
        let name = MessageName::new([1; 32]);
        let payloads = [
            Outward::app(b"hi"),
            Outward::app(b"ho"),
            Outward::app(b""),
            Outward::framed(b"hi"),
            Outward::again(&name, FRAMED, b"hi"),
            Outward::again(&MessageName::new([2; 32]), FRAMED, b"hi"),
        ];
        let hashes: std::collections::BTreeSet<_> = payloads.iter().map(Outward::hash).collect();
        assert_eq!(hashes.len(), payloads.len());
        assert_eq!(payloads[3].digest(), payloads[4].digest(), "an answer has the content of what it answers");
        assert_eq!(payloads[3].hash(), Outward::framed(b"hi").hash());
    }

    #[test]
    fn every_content_is_read_as_it_was_written() {
        let view = RosterView { version: 7, hash: [9; 8] };
        for content in [
            Content::App(vec![]),
            Content::Framed(vec![1]),
            Content::SenderKeyDistribution(vec![2; 300]),
            Content::GroupChange(vec![3]),
            Content::Roster(vec![4]),
            Content::RepairRequest(vec![5]),
            Content::Provisioning(vec![6]),
            Content::Receipt(vec![7]),
            Content::Unknown(UnknownPayload { number: 24, bytes: vec![8] }),
            Content::Unknown(UnknownPayload { number: 5_000, bytes: vec![] }),
        ] {
            let payload = Payload { own: view, peer: RosterView::default(), answers: None, content };
            let bytes = payload.to_bytes();
            // As generated code writes it; contents that it does not know are left out there.
            let generated = v1::Payload::decode(&bytes[..]).unwrap();
            assert!(bytes.starts_with(&generated.encode_to_vec()));
            assert_eq!(generated.content.is_some(), !matches!(payload.content, Content::Unknown(_)));
            assert_eq!(Payload::parse(&bytes), Ok(payload));
        }
    }

    #[test]
    fn refused_by_name() {
        assert!(Payload::parse(&with(&[0x82, 1, 1, 7])).is_ok());
        let short_hash =
            [&[0x0a, 0x0b, 0x08, 0x01, 0x12, 7, 1, 2, 3, 4, 5, 6, 7][..], &with(&[0x82, 1, 0])[14..]].concat();
        for (what, bytes, expected) in [
            ("empty", vec![], WireError::Field),
            ("no content", with(&[]), WireError::Field),
            ("no views", vec![0x82, 1, 0], WireError::Field),
            ("one view", [&VIEW[..], &[0x82, 1, 0]].concat(), WireError::Field),
            ("a hash of 7 bytes", short_hash, WireError::Field),
            ("two contents", with(&[0x82, 1, 0, 0x8a, 1, 0]), WireError::NotCanonical),
            ("a content twice", with(&[0x82, 1, 0, 0x82, 1, 0]), WireError::NotCanonical),
            ("content before the views", [&[0x82, 1, 0][..], &with(&[])].concat(), WireError::NotCanonical),
            ("a longer spelling of the length", with(&[0x82, 1, 0x81, 0, 7]), WireError::NotCanonical),
            ("an unknown field besides the content", with(&[0x82, 1, 0, 0xc2, 1, 0]), WireError::NotCanonical),
            ("two unknown contents", with(&[0xc2, 1, 0, 0xca, 1, 0]), WireError::NotCanonical),
            ("an unknown content with a longer length", with(&[0xc2, 1, 0x81, 0, 7]), WireError::NotCanonical),
            ("an unknown number", with(&[0xc0, 1, 7]), WireError::NotCanonical),
            ("an unknown field below the contents", with(&[0x1a, 0]), WireError::NotCanonical),
            ("content of another wire type", with(&[0x80, 1, 7]), WireError::NotCanonical),
            ("truncated content", with(&[0x82, 1, 2, 7]), WireError::Protobuf),
        ] {
            assert_eq!(Payload::parse(&bytes), Err(expected), "{what}");
        }
        assert_eq!(Payload::parse(&vec![0; MAX_PLAINTEXT_LEN + 1]), Err(WireError::TooLong));
    }
}
