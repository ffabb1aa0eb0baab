use alloc::vec::Vec;

use prost::Message as _;

use super::{MAX_MESSAGE_LEN, SpqrMessage, WireError, v1};
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

/// Decodes the protobuf behind a kind byte, and refuses any other encoding than the one that we would write.
fn decode<M: prost::Message + Default>(kind: u8, bytes: &[u8]) -> Result<M, WireError> {
    if bytes.len() > MAX_MESSAGE_LEN {
        return Err(WireError::TooLong);
    }
    let (first, protobuf) = bytes.split_first().ok_or(WireError::Truncated)?;
    if *first != kind {
        return Err(WireError::UnknownKind(*first));
    }
    canonical(protobuf)
}

pub(super) fn canonical<M: prost::Message + Default>(protobuf: &[u8]) -> Result<M, WireError> {
    let message = M::decode(protobuf).map_err(|_| WireError::Protobuf)?;
    if message.encode_to_vec() == protobuf { Ok(message) } else { Err(WireError::NotCanonical) }
}

fn encode(kind: u8, message: &impl prost::Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + message.encoded_len());
    out.push(kind);
    message.encode_raw(&mut out);
    out
}

pub(super) fn array<const N: usize>(field: Option<&Vec<u8>>) -> Result<[u8; N], WireError> {
    field.and_then(|bytes| bytes.as_slice().try_into().ok()).ok_or(WireError::Field)
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
        let mut message: v1::Message = decode(MESSAGE, bytes)?;
        let header = message.header.take().ok_or(WireError::Field)?;
        let fields: v1::Header = canonical(&header)?;
        let pq_bytes = fields.pq.as_ref().ok_or(WireError::Field)?;
        let pq = SpqrMessage::parse(pq_bytes).map_err(|_| WireError::Field)?;
        if pq.to_bytes() != *pq_bytes {
            return Err(WireError::NotCanonical);
        }
        Ok(Self {
            session: array(fields.session.as_ref())?,
            ratchet_key: PublicKey::parse(fields.ratchet_key.as_ref().ok_or(WireError::Field)?)?,
            counter: fields.counter.ok_or(WireError::Field)?,
            pq,
            salt: array(fields.salt.as_ref())?,
            ciphertext: message
                .ciphertext
                .take()
                .filter(|text| text.len() <= MAX_CIPHERTEXT_LEN)
                .ok_or(WireError::Field)?,
            header,
        })
    }

    /// The header's bytes as they travelled, which are authenticated.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    pub(crate) fn encode(header: Vec<u8>, ciphertext: Vec<u8>) -> Vec<u8> {
        encode(MESSAGE, &v1::Message { header: Some(header), ciphertext: Some(ciphertext) })
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
        v1::Header {
            session: Some(session.to_vec()),
            ratchet_key: Some(ratchet_key.to_bytes().to_vec()),
            counter: Some(counter),
            pq: Some(pq),
            salt: Some(salt.to_vec()),
        }
        .encode_to_vec()
    }
}

/// A first message of suite V1: `0xA2 ‖ { …, message }`, one encoding.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{V1FirstMessage, WireError};
/// assert_eq!(V1FirstMessage::parse(&[0xa2]).unwrap_err(), WireError::MissingKem);
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
        let message: v1::FirstMessage = decode(FIRST_MESSAGE, bytes)?;
        let (Some(kem_id), Some(kem_ciphertext)) = (message.kem_id, &message.kem_ciphertext) else {
            return Err(WireError::MissingKem);
        };
        let key = |field: Option<&Vec<u8>>| -> Result<PublicKey, WireError> {
            Ok(PublicKey::parse(field.ok_or(WireError::Field)?)?)
        };
        Ok(Self {
            signed_prekey: PrekeyId::new(message.spk_id.ok_or(WireError::Field)?),
            one_time_prekey: message.opk_id.map(PrekeyId::new),
            kem_prekey: PrekeyId::new(kem_id),
            kem_ciphertext: KemCiphertext::parse(kem_ciphertext).map_err(|_| WireError::MissingKem)?,
            base_key: key(message.base_key.as_ref())?,
            identity_key: key(message.identity_key.as_ref())?,
            registration_id: RegistrationId::new(message.registration_id.ok_or(WireError::Field)?),
            message: V1Message::parse(message.message.as_ref().ok_or(WireError::Field)?)?,
        })
    }

    /// Writes a first message around the bytes of a finished [`V1Message`].
    pub(crate) fn encode(header: &super::PrekeyHeader<'_>, message: Vec<u8>) -> Vec<u8> {
        encode(
            FIRST_MESSAGE,
            &v1::FirstMessage {
                spk_id: Some(header.signed_prekey.get()),
                opk_id: header.one_time_prekey.map(PrekeyId::get),
                kem_id: Some(header.kem_prekey.get()),
                kem_ciphertext: Some(header.kem_ciphertext.to_bytes()),
                base_key: Some(header.base_key.to_bytes().to_vec()),
                identity_key: Some(header.identity_key.to_bytes().to_vec()),
                registration_id: Some(header.registration_id.get()),
                message: Some(message),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

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
        V1Message::encode(header, vec![7; 176])
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
                WireError::Key(crate::crypto::KeyError::Length),
            ),
            ("a key of type 4", |h| h.ratchet_key = Some(vec![4; 33]), WireError::Key(crate::crypto::KeyError::Type)),
            (
                "a key that is not canonical",
                |h| h.ratchet_key = Some([&[5][..], &[0xff; 32]].concat()),
                WireError::Key(crate::crypto::KeyError::NotCanonical),
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
                WireError::Key(crate::crypto::KeyError::Length),
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
}
