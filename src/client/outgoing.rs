use alloc::vec::Vec;

use super::Core;
use crate::ident::Address;
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

impl Core {
    pub(super) fn outgoing(&self, envelope: Envelope) -> Outgoing {
        let pseudonym = self.keys.pseudonym(&[b"lane", &encode_address(&envelope.to)]);
        let mut lane = [0; 16];
        for (to, from) in lane.iter_mut().zip(pseudonym.expose()) {
            *to = *from;
        }
        Outgoing { lane: Lane(lane), envelope }
    }

    /// The envelope around a message.
    pub(super) fn envelope(&self, to: &Address, suite: Suite, id: [u8; 16], ciphertext: Ciphertext) -> Envelope {
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
