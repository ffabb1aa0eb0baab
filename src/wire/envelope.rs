use alloc::vec::Vec;

use super::fields::{FieldReader, FieldWriter};
use super::{MAX_MESSAGE_LEN, WireError};
use crate::ident::{Address, DeviceId, UserId};

/// Longest stamp that is carried: room for the platform's context and tag, and for what later versions add.
const MAX_STAMP_LEN: usize = 1024;

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum EnvelopeKind {
    /// A first message.
    First = 1,
    /// A message of a session.
    Message = 2,
    /// A message to a group.
    Group = 3,
    /// A message whose sender the platform does not know.
    Sealed = 4,
    /// A sender key of a group.
    Distribution = 5,
}

/// What the host's transport carries from device to device. One encoding.
///
/// # Security
///
/// Nothing of it is authenticated by itself: `from` is a hint until a session has decrypted the body, and `stamp` is
/// what the platform says.
///
/// # Examples
///
/// ```
/// use subrosa::ident::{Address, DeviceId, UserId};
/// use subrosa::wire::{Envelope, EnvelopeKind, EnvelopeSuite};
/// let address = |name: &str| Ok::<_, subrosa::ident::InvalidUserId>(Address::new(UserId::new(name)?, DeviceId::new(1)));
/// let envelope = Envelope {
///     kind: EnvelopeKind::Message,
///     suite: EnvelopeSuite::V1,
///     from: Some(address("alice")?),
///     to: address("bob")?,
///     id: [7; 16],
///     body: vec![0xa1],
///     commitment: None,
///     stamp: None,
/// };
/// assert_eq!(Envelope::parse(&envelope.to_bytes())?, envelope);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What the body is.
    pub kind: EnvelopeKind,
    /// The suite it is of.
    pub suite: EnvelopeSuite,
    /// Who says to have sent it; absent exactly if the sender is sealed.
    pub from: Option<Address>,
    /// For whom it is.
    pub to: Address,
    /// 16 random bytes, drawn once: the same bytes go out on every retry.
    pub id: [u8; 16],
    /// The message.
    pub body: Vec<u8>,
    /// Commitment to framed content, 32 bytes.
    pub commitment: Option<[u8; 32]>,
    /// The platform's stamp with its context, at most 1 KiB.
    pub stamp: Option<Vec<u8>>,
}

/// The suite that an envelope names. This room knows no more of suites than their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum EnvelopeSuite {
    /// Suite `Signal`.
    Signal = 1,
    /// Suite V1.
    V1 = 2,
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_MESSAGE_LEN + 2 * MAX_STAMP_LEN {
            return Err(WireError::TooLong);
        }
        let mut fields = FieldReader::new(bytes);
        let (kind, suite): (u32, u32) = (fields.some_number(1)?, fields.some_number(2)?);
        let from = fields.message(3)?.map(read_address).transpose()?;
        let to = read_address(fields.some_message(4)?)?;
        let id = *fields.some_array(5)?;
        let body = fields.some_bytes(6)?;
        let commitment = match fields.optional_bytes(7)? {
            None => None,
            Some(commitment) => Some(commitment.try_into().map_err(|_| WireError::Field)?),
        };
        let stamp = fields.optional_bytes(8)?;
        fields.end()?;
        let kind = match kind {
            1 => EnvelopeKind::First,
            2 => EnvelopeKind::Message,
            3 => EnvelopeKind::Group,
            4 => EnvelopeKind::Sealed,
            5 => EnvelopeKind::Distribution,
            other => return Err(WireError::UnknownKind(u8::try_from(other).unwrap_or(u8::MAX))),
        };
        let suite = match suite {
            1 => EnvelopeSuite::Signal,
            2 => EnvelopeSuite::V1,
            other => return Err(WireError::UnsupportedVersion(u8::try_from(other).unwrap_or(u8::MAX))),
        };
        if from.is_none() != (kind == EnvelopeKind::Sealed) {
            return Err(WireError::Field);
        }
        if stamp.is_some_and(|stamp| stamp.len() > MAX_STAMP_LEN) {
            return Err(WireError::TooLong);
        }
        Ok(Self { kind, suite, from, to, id, body: body.to_vec(), commitment, stamp: stamp.map(<[u8]>::to_vec) })
    }

    /// Writes the envelope. What it says must fit together (a sender exactly if it is not sealed, a stamp of at most
    /// 1 KiB), else its reader refuses it.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the discriminants of repr(u8) enums")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { kind, suite, from, to, id, body, commitment, stamp } = self;
        let names = from.as_ref().map_or(0, |from| from.user().as_str().len()) + to.user().as_str().len();
        let stamp_len = stamp.as_ref().map_or(0, Vec::len);
        let mut out = FieldWriter::with_capacity(128 + names + body.len() + stamp_len);
        out.optional(1, Some(*kind as u8));
        out.optional(2, Some(*suite as u8));
        if let Some(from) = from {
            write_address(&mut out, 3, from);
        }
        write_address(&mut out, 4, to);
        out.some_bytes(5, id);
        out.some_bytes(6, body);
        if let Some(commitment) = commitment {
            out.some_bytes(7, commitment);
        }
        if let Some(stamp) = stamp {
            out.some_bytes(8, stamp);
        }
        out.into_public()
    }
}

fn write_address(out: &mut FieldWriter, field: u32, address: &Address) {
    out.message(field, |out| {
        out.some_bytes(1, address.user().as_str().as_bytes());
        out.optional(2, Some(address.device().get()));
    });
}

fn read_address(mut fields: FieldReader<'_>) -> Result<Address, WireError> {
    let user = core::str::from_utf8(fields.some_bytes(1)?).map_err(|_| WireError::Protobuf)?;
    let device = DeviceId::new(fields.some_number(2)?);
    fields.end()?;
    Ok(Address::new(UserId::new(user).map_err(|_| WireError::Field)?, device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1;
    use prost::Message as _;
    use std::vec;

    fn whole() -> v1::Envelope {
        let address = |user: &str| Some(v1::EnvelopeAddress { user: Some(user.into()), device: Some(1) });
        v1::Envelope {
            kind: Some(2),
            suite: Some(2),
            from: address("alice"),
            to: address("bob"),
            id: Some(vec![7; 16]),
            body: Some(vec![0xa1]),
            commitment: Some(vec![9; 32]),
            stamp: Some(vec![1, 2, 3]),
        }
    }

    fn parse(alter: impl FnOnce(&mut v1::Envelope)) -> Result<Envelope, WireError> {
        let mut envelope = whole();
        alter(&mut envelope);
        Envelope::parse(&envelope.encode_to_vec())
    }

    #[test]
    fn what_is_read_is_written_alike() {
        for sealed in [false, true] {
            let envelope = parse(|envelope| {
                if sealed {
                    (envelope.kind, envelope.from) = (Some(4), None);
                }
            })
            .unwrap();
            assert_eq!(Envelope::parse(&envelope.to_bytes()), Ok(envelope));
        }
        assert!(parse(|envelope| (envelope.commitment, envelope.stamp) = (None, None)).is_ok());
    }

    #[test]
    fn refused_by_name() {
        type Alteration = fn(&mut v1::Envelope);
        let alterations: [(&str, Alteration, WireError); 16] = [
            ("no kind", |e| e.kind = None, WireError::Field),
            ("kind 0", |e| e.kind = Some(0), WireError::UnknownKind(0)),
            ("kind 6", |e| e.kind = Some(6), WireError::UnknownKind(6)),
            ("no suite", |e| e.suite = None, WireError::Field),
            ("suite 3", |e| e.suite = Some(3), WireError::UnsupportedVersion(3)),
            ("no sender, and not sealed", |e| e.from = None, WireError::Field),
            ("a sender, and sealed", |e| e.kind = Some(4), WireError::Field),
            ("no recipient", |e| e.to = None, WireError::Field),
            ("an empty name", |e| e.to.as_mut().unwrap().user = Some("".into()), WireError::Field),
            ("a name of 256 bytes", |e| e.to.as_mut().unwrap().user = Some("x".repeat(256)), WireError::Field),
            ("no device", |e| e.to.as_mut().unwrap().device = None, WireError::Field),
            ("an id of 15 bytes", |e| e.id = Some(vec![7; 15]), WireError::Field),
            ("no id", |e| e.id = None, WireError::Field),
            ("no body", |e| e.body = None, WireError::Field),
            ("a commitment of 31 bytes", |e| e.commitment = Some(vec![9; 31]), WireError::Field),
            ("a stamp over 1 KiB", |e| e.stamp = Some(vec![1; 1025]), WireError::TooLong),
        ];
        for (what, alter, expected) in alterations {
            assert_eq!(parse(alter), Err(expected), "{what}");
        }
        let good = whole().encode_to_vec();
        assert_eq!(Envelope::parse(&good).unwrap().to_bytes(), good, "as generated code writes it");
        for (what, bytes, expected) in [
            ("an unknown field", [&good[..], &[0xfa, 0x06, 0]].concat(), WireError::NotCanonical),
            ("a field twice", [&good[..2], &good].concat(), WireError::NotCanonical),
            ("fields out of order", [&good[2..], &good[..2]].concat(), WireError::NotCanonical),
            ("a longer spelling of a number", [&[0x08, 0x82, 0x00][..], &good[2..]].concat(), WireError::NotCanonical),
            ("truncated", good[..good.len() - 1].to_vec(), WireError::Protobuf),
            ("giant", vec![0; MAX_MESSAGE_LEN + 3 * MAX_STAMP_LEN], WireError::TooLong),
        ] {
            assert_eq!(Envelope::parse(&bytes), Err(expected), "{what}");
        }
    }
}
