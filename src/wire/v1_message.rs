use alloc::vec::Vec;

use super::fields::{FieldError, FieldReader, FieldWriter};
use super::{MAX_MESSAGE_LEN, SpqrMessage, WireError};
use crate::crypto::{KemCiphertext, PublicKey};
use crate::ident::{PrekeyId, RegistrationId};

/// First byte of a message.
const MESSAGE: u8 = 0xa1;
/// First byte of a first message.
const FIRST_MESSAGE: u8 = 0xa2;

/// Longest ciphertext: the longest plaintext of 64 KiB, padded to twice its length by whatever policy, and the tag.
const MAX_CIPHERTEXT_LEN: usize = (2 << 16) + 16;

/// Whether the first byte is one of this suite's.
pub(crate) fn is_v1(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|byte| byte >> 4 == 0xa)
}

/// The fields behind a kind byte.
fn fields(kind: u8, bytes: &[u8]) -> Result<FieldReader<'_>, WireError> {
    if bytes.len() > MAX_MESSAGE_LEN {
        return Err(WireError::TooLong);
    }
    match bytes.split_first().ok_or(WireError::Truncated)? {
        (first, fields) if *first == kind => Ok(FieldReader::new(fields)),
        (first, _) => Err(WireError::UnknownKind(*first)),
    }
}

fn public_key(fields: &mut FieldReader<'_>, field: u32) -> Result<PublicKey, WireError> {
    Ok(PublicKey::parse(fields.some_bytes(field)?)?)
}

/// A message of suite V1: `0xA1 ‖ { header, ciphertext }`, one encoding.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{V1Message, WireError};
/// assert_eq!(V1Message::parse(&[0xa1]).unwrap_err(), WireError::Field);
/// assert_eq!(V1Message::parse(&[0xa3]).unwrap_err(), WireError::UnknownKind(0xa3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Message {
    /// Names exactly one session.
    pub session: [u8; 8],
    /// The sender's ratchet key.
    pub ratchet_key: PublicKey,
    /// Number of the message in its sending chain, from 0.
    pub counter: u32,
    /// The message of the post-quantum ratchet.
    pub pq: SpqrMessage,
    /// Makes this message's key differ from any that a rewound sender derived at the same place.
    pub salt: [u8; 16],
    /// AES-256-GCM of the padded plaintext, tag at the end.
    pub ciphertext: Vec<u8>,
    header: Vec<u8>,
}

impl V1Message {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut message = fields(MESSAGE, bytes)?;
        let (header, ciphertext) = (message.some_bytes(1)?, message.some_bytes(2)?);
        message.end()?;
        let mut fields = FieldReader::new(header);
        let session = *fields.some_array(1)?;
        let ratchet_key = public_key(&mut fields, 2)?;
        let counter = fields.some_number(3)?;
        let pq_bytes = fields.some_bytes(4)?;
        let salt = *fields.some_array(5)?;
        fields.end()?;
        let pq = SpqrMessage::parse(pq_bytes).map_err(|_| WireError::Field)?;
        // Any other spelling is longer.
        if pq.encoded_len() != pq_bytes.len() {
            return Err(WireError::NotCanonical);
        }
        if ciphertext.len() > MAX_CIPHERTEXT_LEN {
            return Err(WireError::Field);
        }
        let (ciphertext, header) = (ciphertext.to_vec(), header.to_vec());
        Ok(Self { session, ratchet_key, counter, pq, salt, ciphertext, header })
    }

    /// The header's bytes as they travelled, which are authenticated.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The header of a message that is not parsed.
    pub(crate) fn header_of(bytes: &[u8]) -> Option<&[u8]> {
        fields(MESSAGE, bytes).ok()?.some_bytes(1).ok()
    }

    /// Appends a message as far as its ciphertext of so many bytes, which is to be appended as well.
    pub(crate) fn begin(to: &mut Vec<u8>, header: &[u8], ciphertext_len: usize) {
        to.reserve(1 + 2 * 6 + header.len() + ciphertext_len);
        let mut out = FieldWriter::after(core::mem::take(to));
        out.put(&[MESSAGE]);
        out.some_bytes(1, header);
        out.begin_bytes(2, ciphertext_len);
        *to = out.into_public();
    }
}

/// The fields of a message's header.
pub(crate) struct V1Header {
    pub(crate) session: [u8; 8],
    pub(crate) ratchet_key: PublicKey,
    pub(crate) counter: u32,
    pub(crate) pq: Vec<u8>,
    pub(crate) salt: [u8; 16],
}

impl V1Header {
    pub(crate) fn encode(self) -> Vec<u8> {
        let Self { session, ratchet_key, counter, pq, salt } = self;
        let mut out = FieldWriter::with_capacity(128);
        out.some_bytes(1, &session);
        out.some_bytes(2, &ratchet_key.to_bytes());
        out.optional(3, Some(counter));
        out.some_bytes(4, &pq);
        out.some_bytes(5, &salt);
        out.into_public()
    }
}

/// A first message of suite V1: `0xA2 ‖ { …, message }`, one encoding.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{V1FirstMessage, WireError};
/// assert_eq!(V1FirstMessage::parse(&[0xa2]).unwrap_err(), WireError::Field);
/// assert_eq!(V1FirstMessage::parse(&[0xa2, 8, 1]).unwrap_err(), WireError::MissingKem);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1FirstMessage {
    /// The signed prekey that was used.
    pub signed_prekey: PrekeyId,
    /// The one-time prekey that was used, if one was.
    pub one_time_prekey: Option<PrekeyId>,
    /// The KEM prekey that was used.
    pub kem_prekey: PrekeyId,
    /// The encapsulation to it.
    pub kem_ciphertext: KemCiphertext,
    /// The initiator's base key.
    pub base_key: PublicKey,
    /// The initiator's identity key.
    pub identity_key: PublicKey,
    /// The initiator's registration id.
    pub registration_id: RegistrationId,
    /// The message inside.
    pub message: V1Message,
}

impl V1FirstMessage {
    /// Reads a first message.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = fields(FIRST_MESSAGE, bytes)?;
        // Without its KEM part it could only start a session that is not post-quantum.
        let without_kem =
            |error: FieldError| if error == FieldError::Field { WireError::MissingKem } else { error.into() };
        let signed_prekey = PrekeyId::new(fields.some_number(1)?);
        let one_time_prekey = fields.optional(2)?.map(u32::try_from).transpose();
        let kem_prekey = PrekeyId::new(fields.some_number(3).map_err(without_kem)?);
        let kem_ciphertext = fields.some_bytes(4).map_err(without_kem)?;
        let (base_key, identity_key) = (public_key(&mut fields, 5)?, public_key(&mut fields, 6)?);
        let registration_id = RegistrationId::new(fields.some_number(7)?);
        let message = fields.some_bytes(8)?;
        fields.end()?;
        Ok(Self {
            signed_prekey,
            one_time_prekey: one_time_prekey.map_err(|_| WireError::NotCanonical)?.map(PrekeyId::new),
            kem_prekey,
            kem_ciphertext: KemCiphertext::parse(kem_ciphertext).map_err(|_| WireError::MissingKem)?,
            base_key,
            identity_key,
            registration_id,
            message: V1Message::parse(message)?,
        })
    }

    /// Writes a first message around the bytes of a finished [`V1Message`].
    pub(crate) fn encode(header: &super::PrekeyHeader<'_>, message: &[u8]) -> Vec<u8> {
        let kem_ciphertext = header.kem_ciphertext.to_bytes();
        let mut out = FieldWriter::with_capacity(128 + kem_ciphertext.len() + message.len());
        out.put(&[FIRST_MESSAGE]);
        out.optional(1, Some(header.signed_prekey.get()));
        out.optional(2, header.one_time_prekey.map(PrekeyId::get));
        out.optional(3, Some(header.kem_prekey.get()));
        out.some_bytes(4, &kem_ciphertext);
        out.some_bytes(5, &header.base_key.to_bytes());
        out.some_bytes(6, &header.identity_key.to_bytes());
        out.optional(7, Some(header.registration_id.get()));
        out.some_bytes(8, message);
        out.into_public()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1;
    use proptest::prelude::*;
    use prost::Message as _;
    use std::vec;

    fn encode(kind: u8, message: &impl prost::Message) -> Vec<u8> {
        [&[kind][..], &message.encode_to_vec()].concat()
    }

    fn header() -> v1::Header {
        let mut key = vec![9; 33];
        key[0] = 5;
        v1::Header {
            session: Some(vec![1; 8]),
            ratchet_key: Some(key),
            counter: Some(3),
            pq: Some(vec![1, 1, 1, 0]),
            salt: Some(vec![2; 16]),
        }
    }

    fn message(header: Vec<u8>) -> Vec<u8> {
        encode(MESSAGE, &v1::Message { header: Some(header), ciphertext: Some(vec![7; 176]) })
    }

    fn first() -> v1::FirstMessage {
        let key = header().ratchet_key;
        let mut kem = vec![7; 1569];
        kem[0] = 0x0a;
        v1::FirstMessage {
            spk_id: Some(1),
            opk_id: Some(2),
            kem_id: Some(3),
            kem_ciphertext: Some(kem),
            base_key: key.clone(),
            identity_key: key,
            registration_id: Some(4),
            message: Some(message(header().encode_to_vec())),
        }
    }

    #[test]
    fn bad_messages_are_refused_by_name() {
        type Alteration = fn(&mut v1::Header);
        assert!(V1Message::parse(&message(header().encode_to_vec())).is_ok());
        let alterations: [(&str, Alteration, WireError); 15] = [
            ("no tag", |h| h.session = None, WireError::Field),
            ("a tag of 7 bytes", |h| h.session = Some(vec![1; 7]), WireError::Field),
            ("no ratchet key", |h| h.ratchet_key = None, WireError::Field),
            (
                "a short ratchet key",
                |h| h.ratchet_key = Some(vec![5; 32]),
                WireError::Key(crate::crypto::PublicKeyError::Length),
            ),
            (
                "a key of type 4",
                |h| h.ratchet_key = Some(vec![4; 33]),
                WireError::Key(crate::crypto::PublicKeyError::Type),
            ),
            (
                "a key that is not canonical",
                |h| h.ratchet_key = Some([&[5][..], &[0xff; 32]].concat()),
                WireError::Key(crate::crypto::PublicKeyError::NotCanonical),
            ),
            ("no counter", |h| h.counter = None, WireError::Field),
            ("no post-quantum part", |h| h.pq = None, WireError::Field),
            ("an empty post-quantum part", |h| h.pq = Some(vec![]), WireError::Field),
            ("key index 0", |h| h.pq = Some(vec![1, 1, 0, 0]), WireError::Field),
            ("bytes behind the post-quantum part", |h| h.pq = Some(vec![1, 1, 1, 0, 0]), WireError::NotCanonical),
            ("a longer spelling of an epoch", |h| h.pq = Some(vec![1, 0x81, 0, 1, 0]), WireError::NotCanonical),
            ("no salt", |h| h.salt = None, WireError::Field),
            ("a salt of 15 bytes", |h| h.salt = Some(vec![2; 15]), WireError::Field),
            ("a salt of 17 bytes", |h| h.salt = Some(vec![2; 17]), WireError::Field),
        ];
        for (what, alter, expected) in alterations {
            let mut header = header();
            alter(&mut header);
            assert_eq!(V1Message::parse(&message(header.encode_to_vec())), Err(expected), "{what}");
        }
        let good = header().encode_to_vec();
        let whole = message(good.clone());
        for (what, bytes, expected) in [
            ("empty", vec![], WireError::Truncated),
            ("another kind", [&[0xa3][..], &whole[1..]].concat(), WireError::UnknownKind(0xa3)),
            (
                "no ciphertext",
                encode(MESSAGE, &v1::Message { header: Some(good.clone()), ciphertext: None }),
                WireError::Field,
            ),
            ("no header", encode(MESSAGE, &v1::Message { header: None, ciphertext: Some(vec![]) }), WireError::Field),
            ("an unknown field", [&whole[..], &[0x1a, 0]].concat(), WireError::NotCanonical),
            ("a field twice", [&whole[..], &[0x12, 0]].concat(), WireError::NotCanonical),
            ("an unknown field in the header", message([&good[..], &[0x32, 0]].concat()), WireError::NotCanonical),
            ("a header field twice", message([&good[..], &[0x18, 3]].concat()), WireError::NotCanonical),
            ("a header in another order", message([&good[10..], &good[..10]].concat()), WireError::NotCanonical),
            ("truncated", whole[..whole.len() - 1].to_vec(), WireError::Protobuf),
            ("giant", vec![MESSAGE; MAX_MESSAGE_LEN + 1], WireError::TooLong),
        ] {
            assert_eq!(V1Message::parse(&bytes), Err(expected), "{what}");
        }
    }

    #[test]
    fn bad_first_messages_are_refused_by_name() {
        type Alteration = fn(&mut v1::FirstMessage);
        let parse = |first: &v1::FirstMessage| V1FirstMessage::parse(&encode(FIRST_MESSAGE, first));
        assert!(parse(&first()).is_ok());
        let alterations: [(&str, Alteration, WireError); 10] = [
            ("no signed prekey id", |f| f.spk_id = None, WireError::Field),
            ("no KEM prekey id", |f| f.kem_id = None, WireError::MissingKem),
            ("no KEM ciphertext", |f| f.kem_ciphertext = None, WireError::MissingKem),
            ("a short KEM ciphertext", |f| f.kem_ciphertext.as_mut().unwrap().truncate(1568), WireError::MissingKem),
            ("an unknown KEM", |f| f.kem_ciphertext.as_mut().unwrap()[0] = 7, WireError::MissingKem),
            ("no base key", |f| f.base_key = None, WireError::Field),
            ("no identity key", |f| f.identity_key = None, WireError::Field),
            (
                "a base key with a trailing byte",
                |f| f.base_key.as_mut().unwrap().push(0),
                WireError::Key(crate::crypto::PublicKeyError::Length),
            ),
            ("no registration id", |f| f.registration_id = None, WireError::Field),
            ("no message", |f| f.message = None, WireError::Field),
        ];
        for (what, alter, expected) in alterations {
            let mut first = first();
            alter(&mut first);
            assert_eq!(parse(&first), Err(expected), "{what}");
        }
        let mut without = first();
        without.opk_id = None;
        assert_eq!(parse(&without).unwrap().one_time_prekey, None);
        let good = encode(FIRST_MESSAGE, &first());
        for (what, bytes, expected) in [
            ("an unknown field", [&good[..], &[0x4a, 0]].concat(), WireError::NotCanonical),
            ("a field twice", [&good[..3], &good[1..]].concat(), WireError::NotCanonical),
            (
                "a longer spelling of an id",
                [&[FIRST_MESSAGE, 0x08, 0x81, 0][..], &good[3..]].concat(),
                WireError::NotCanonical,
            ),
            ("a plain message", message(header().encode_to_vec()), WireError::UnknownKind(MESSAGE)),
        ] {
            assert_eq!(V1FirstMessage::parse(&bytes), Err(expected), "{what}");
        }
    }
    proptest! {
        /// Whatever bytes come: those are read that generated code reads, and would write the same way.
        #[test]
        fn what_is_read_is_the_one_encoding(
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..3),
            in_header in any::<bool>(),
        ) {
            let mut bytes = if in_header { header().encode_to_vec() } else { message(header().encode_to_vec()) };
            for (at, byte, edit) in edits {
                let at = at.index(bytes.len());
                match edit {
                    0 => bytes[at] = byte,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, byte),
                }
            }
            if in_header {
                bytes = message(bytes);
            }
            let oracle = bytes.strip_prefix(&[MESSAGE]).is_some_and(|fields| {
                fn canonical<M: prost::Message + Default>(bytes: &[u8]) -> Option<M> {
                    M::decode(bytes).ok().filter(|message| message.encode_to_vec() == bytes)
                }
                canonical::<v1::Message>(fields)
                    .filter(|message| message.ciphertext.is_some())
                    .and_then(|message| canonical::<v1::Header>(&message.header?))
                    .is_some_and(|header| {
                        let pq = header.pq.unwrap_or_default();
                        header.session.is_some_and(|session| session.len() == 8)
                            && header.ratchet_key.is_some_and(|key| PublicKey::parse(&key).is_ok())
                            && header.counter.is_some()
                            && SpqrMessage::parse(&pq).is_ok_and(|read| read.to_bytes() == pq)
                            && header.salt.is_some_and(|salt| salt.len() == 16)
                    })
            });
            prop_assert_eq!(V1Message::parse(&bytes).is_ok(), oracle);
        }
    }
}
