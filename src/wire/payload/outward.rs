use super::content::{APP, FRAMED_NUMBER, RECEIPT, REPAIR_REQUEST};
use super::whole::{ANSWERS, OWN, PEER};
use crate::crypto::{SecretBytes, sha256};
use crate::ident::MessageName;
use crate::wire::fields::FieldWriter;

/// What the digest of a content is made with.
const LABEL_SENT: &[u8] = b"\x0esubrosa/1/sent";

/// What a payload's digest is made with.
const LABEL_PAYLOAD: &[u8] = b"\x11subrosa/1/payload";

/// The payload of a message that is to be sent, of which the content is the end: copied once, wiped on drop. Until rosters
/// are sent, both views are of the form that says nothing.
pub(crate) struct Outward {
    payload: SecretBytes,
    digest: [u8; 32],
    number: u32,
    content_len: usize,
}

impl Outward {
    fn new(answers: Option<&MessageName>, number: u32, content: &[u8]) -> Self {
        let mut payload = FieldWriter::with_capacity(96 + content.len());
        for field in [OWN, PEER] {
            payload.message(field, |out| {
                out.optional(1, Some(0u64));
                out.some_bytes(2, &[0; 8]);
            });
        }
        if let Some(name) = answers {
            payload.some_bytes(ANSWERS, name.as_bytes());
        }
        payload.some_bytes(number, content);
        let payload = payload.finish();
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
