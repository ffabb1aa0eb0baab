use alloc::vec::Vec;

use super::content::{APP, FRAMED_NUMBER, PROVISIONING, RECEIPT, REPAIR_REQUEST, TRANSCRIPT, TYPING};
use super::view::RosterView;
use super::whole::{ANSWERS, MESSAGE_ID, OWN, PEER, ROSTER, SENT};
use crate::crypto::{SecretBytes, sha256};
use crate::ident::{MessageId, MessageName, Timestamp};
use crate::wire::fields::FieldWriter;

/// What the digest of a content is made with.
const LABEL_SENT: &[u8] = b"\x0esubrosa/1/sent";

/// What a payload's digest is made with.
const LABEL_PAYLOAD: &[u8] = b"\x11subrosa/1/payload";

/// What goes with a content to one device, and differs from device to device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Front {
    /// The sender's own roster.
    pub(crate) own: Option<RosterView>,
    /// The recipient's roster, as the sender holds it.
    pub(crate) peer: Option<RosterView>,
    /// The sender's own roster, whole.
    pub(crate) roster: Option<Vec<u8>>,
    pub(crate) message_id: Option<MessageId>,
    pub(crate) sent: Option<Timestamp>,
}

/// A message that is to be sent: its content, copied once, wiped on drop. What stands before it is made for each device.
pub(crate) struct Outward {
    answers: Option<MessageName>,
    number: u32,
    content: SecretBytes,
    digest: [u8; 32],
}

impl Outward {
    fn new(answers: Option<&MessageName>, number: u32, content: &[u8]) -> Self {
        let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let digest = sha256(&[LABEL_SENT, &number.to_be_bytes(), &len.to_be_bytes(), content]);
        Self { answers: answers.copied(), number, content: SecretBytes::new(content.to_vec()), digest }
    }

    /// What stands before the content in the payload.
    pub(crate) fn head(&self, front: &Front) -> Vec<u8> {
        let Front { own, peer, roster, message_id, sent } = front;
        let mut out = FieldWriter::with_capacity(160 + roster.as_ref().map_or(0, Vec::len));
        for (field, view) in [(OWN, own), (PEER, peer)] {
            if let Some(view) = view {
                view.write(&mut out, field);
            }
        }
        out.maybe_bytes(ROSTER, roster.as_deref());
        out.maybe_bytes(MESSAGE_ID, message_id.as_ref().map(MessageId::as_bytes));
        out.optional(SENT, sent.map(Timestamp::get));
        out.maybe_bytes(ANSWERS, self.answers.as_ref().map(MessageName::as_bytes));
        out.begin_bytes(self.number, self.content.len());
        out.into_public()
    }

    /// The content.
    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// What commits to the whole payload that has this head. Its content is the long part, and is hashed already.
    pub(crate) fn hash(&self, head: &[u8]) -> [u8; 32] {
        sha256(&[LABEL_PAYLOAD, &self.digest, head])
    }

    /// With the application's own bytes.
    pub(crate) fn app(plaintext: &[u8]) -> Self {
        Self::new(None, APP, plaintext)
    }

    /// With framed content.
    pub(crate) fn framed(inner: &[u8]) -> Self {
        Self::new(None, FRAMED_NUMBER, inner)
    }

    /// What was sent before with this content, in answer to who could not read it under this name.
    pub(crate) fn again(answers: &MessageName, number: u8, content: &[u8]) -> Self {
        Self::new(Some(answers), number.into(), content)
    }

    /// With a request to send something again.
    pub(crate) fn repair_request(items: &[u8]) -> Self {
        Self::new(None, REPAIR_REQUEST, items)
    }

    /// With what makes the recipient the primary.
    pub(crate) fn provisioning(handed: &[u8]) -> Self {
        Self::new(None, PROVISIONING, handed)
    }

    /// With what was sent to others, for one's own devices.
    pub(crate) fn transcript(transcript: &[u8]) -> Self {
        Self::new(None, TRANSCRIPT, transcript)
    }

    /// With word that somebody writes.
    pub(crate) fn typing(typing: &[u8]) -> Self {
        Self::new(None, TYPING, typing)
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
        self.number == FRAMED_NUMBER
    }

    /// The application's own bytes, if they are its content.
    pub(crate) fn plaintext(&self) -> Option<&[u8]> {
        (self.number == APP).then_some(&*self.content)
    }
}
