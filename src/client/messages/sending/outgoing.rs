use alloc::vec::Vec;

use crate::crypto::{Secret, sha256};
use crate::ident::{Address, MessageName};
use crate::rows::Core;
use crate::session::Ciphertext;
use crate::suite::Suite;
use crate::suite::v1::encode_address;
use crate::wire::{Envelope, EnvelopeKind, EnvelopeSuite};

/// What orders envelopes: those of one lane are posted in the order in which they were committed, those of different
/// lanes in any. 16 bytes that say nothing of whom it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane([u8; 16]);

impl Lane {
    /// Its bytes: a column of the host's outbox.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// An envelope for the host's outbox: a row written in the transaction of its batch, posted from there, the same bytes
/// on every retry, deleted when the platform has taken it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    lane: Lane,
    name: MessageName,
    envelope: Envelope,
}

impl Outgoing {
    /// The lane.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        self.lane
    }

    /// The envelope's id: 16 random bytes, the key of the outbox's row.
    #[must_use]
    pub const fn id(&self) -> &[u8; 16] {
        &self.envelope.id
    }

    /// What both sides know the message by. See [`ReceivedMessage::name`](crate::client::ReceivedMessage::name).
    #[must_use]
    pub const fn name(&self) -> MessageName {
        self.name
    }

    /// For whom.
    #[must_use]
    pub const fn to(&self) -> &Address {
        &self.envelope.to
    }

    /// The envelope, for a host that ships its fields in an envelope of its own.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The envelope's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.envelope.to_bytes()
    }
}

/// The way to a device: its lane, and a key for the numbers in the ids of envelopes.
pub(in crate::client) struct Way {
    lane: Lane,
    numbers: Secret<16>,
}

const LABEL_NUMBER: &[u8] = b"\x10subrosa/1/number";

/// Bits of an envelope's id that say, to the device's own log, where the message is entered.
const NUMBER_BITS: u8 = 0b11_1111;

impl Way {
    pub(in crate::client) fn to(core: &Core, address: &Address) -> Self {
        let pseudonym = core.keys.pseudonym(&[b"lane", &encode_address(address)]);
        Self { lane: Lane(*pseudonym.part::<0, 16>().expose()), numbers: pseudonym.part::<16, 16>() }
    }

    pub(in crate::client) fn outgoing(&self, (envelope, name): (Envelope, MessageName)) -> Outgoing {
        Outgoing { lane: self.lane, name, envelope }
    }

    /// An envelope's id that leads back to a segment of the sent log: its number stands in the lowest bits of the first byte.
    /// The mask over them hangs on all that follows, and is another one each time: eight messages in turn have one number,
    /// and must not show that they are of one sender.
    pub(in crate::client) fn envelope_id(&self, number: u8, random: [u8; 16]) -> [u8; 16] {
        let [first, rest @ ..] = random;
        let mut id = random;
        if let Some(place) = id.first_mut() {
            *place = first & !NUMBER_BITS | (number ^ self.mask(&rest)) & NUMBER_BITS;
        }
        id
    }

    /// The segment that an envelope's id leads to.
    pub(in crate::client) fn number(&self, envelope: &[u8; 16]) -> u8 {
        let [first, rest @ ..] = envelope;
        (first ^ self.mask(rest)) & NUMBER_BITS
    }

    fn mask(&self, rest: &[u8; 15]) -> u8 {
        // The key stands in front of a text of one length: nothing can be appended.
        let [mask, ..] = sha256(&[LABEL_NUMBER, self.numbers.expose(), rest]);
        mask
    }
}

impl Core {
    /// The envelope around a message.
    pub(in crate::client) fn envelope(
        &self,
        to: &Address,
        suite: Suite,
        id: [u8; 16],
        ciphertext: Ciphertext,
    ) -> Envelope {
        let (kind, body) = match ciphertext {
            Ciphertext::First(body) => (EnvelopeKind::First, body),
            Ciphertext::Message(body) => (EnvelopeKind::Message, body),
        };
        let suite = match suite {
            Suite::Signal => EnvelopeSuite::Signal,
            Suite::V1 => EnvelopeSuite::V1,
        };
        Envelope {
            kind,
            suite,
            from: Some(self.address.clone()),
            to: to.clone(),
            id,
            body,
            commitment: None,
            stamp: None,
        }
    }
}
