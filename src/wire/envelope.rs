use alloc::vec::Vec;

use prost::Message as _;

use super::v1_message::{array, canonical};
use super::{MAX_MESSAGE_LEN, WireError, v1};
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
        let mut envelope: v1::Envelope = canonical(bytes)?;
        let kind = match envelope.kind {
            Some(1) => EnvelopeKind::First,
            Some(2) => EnvelopeKind::Message,
            Some(3) => EnvelopeKind::Group,
            Some(4) => EnvelopeKind::Sealed,
            Some(5) => EnvelopeKind::Distribution,
            Some(other) => return Err(WireError::UnknownKind(u8::try_from(other).unwrap_or(u8::MAX))),
            None => return Err(WireError::Field),
        };
        let suite = match envelope.suite {
            Some(1) => EnvelopeSuite::Signal,
            Some(2) => EnvelopeSuite::V1,
            Some(other) => return Err(WireError::UnsupportedVersion(u8::try_from(other).unwrap_or(u8::MAX))),
            None => return Err(WireError::Field),
        };
        let from = envelope.from.take().map(address).transpose()?;
        if from.is_none() != (kind == EnvelopeKind::Sealed) {
            return Err(WireError::Field);
        }
        let stamp = envelope.stamp.take();
        if stamp.as_ref().is_some_and(|stamp| stamp.len() > MAX_STAMP_LEN) {
            return Err(WireError::TooLong);
        }
        Ok(Self {
            kind,
            suite,
            from,
            to: address(envelope.to.take().ok_or(WireError::Field)?)?,
            id: array(envelope.id.as_ref())?,
            body: envelope.body.take().ok_or(WireError::Field)?,
            commitment: match &envelope.commitment {
                None => None,
                commitment => Some(array(commitment.as_ref())?),
            },
            stamp,
        })
    }

    /// Writes the envelope. What it says must fit together (a sender exactly if it is not sealed, a stamp of at most
    /// 1 KiB), else its reader refuses it.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the discriminants of repr(u8) enums")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { kind, suite, from, to, id, body, commitment, stamp } = self;
        let address = |address: &Address| v1::EnvelopeAddress {
            user: Some(address.user().as_str().into()),
            device: Some(address.device().get()),
        };
        v1::Envelope {
            kind: Some((*kind as u8).into()),
            suite: Some((*suite as u8).into()),
            from: from.as_ref().map(address),
            to: Some(address(to)),
            id: Some(id.to_vec()),
            body: Some(body.clone()),
            commitment: commitment.map(Vec::from),
            stamp: stamp.clone(),
        }
        .encode_to_vec()
    }
}

fn address(address: v1::EnvelopeAddress) -> Result<Address, WireError> {
    let user = UserId::new(address.user.ok_or(WireError::Field)?).map_err(|_| WireError::Field)?;
    Ok(Address::new(user, DeviceId::new(address.device.ok_or(WireError::Field)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
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
