use alloc::vec::Vec;

use prost::Message as _;

use super::fields::FieldWriter;
use super::{MAX_MESSAGE_LEN, WireError, signal};
use crate::crypto::{PUBLIC_KEY_LEN, PublicKey};

/// High nibble: the session version; low nibble: the newest version that the sender speaks.
pub(super) const VERSION_BYTE: u8 = 0x44;
/// Length of the truncated MAC at the end.
pub(super) const MAC_LEN: usize = 8;
/// Length of the addresses field: sender and recipient, 18 bytes each.
const ADDRESSES_LEN: usize = 36;

/// Takes the version byte off, if it is ours.
pub(super) fn split_version(bytes: &[u8]) -> Result<&[u8], WireError> {
    if bytes.len() > MAX_MESSAGE_LEN {
        return Err(WireError::TooLong);
    }
    let (version, rest) = bytes.split_first().ok_or(WireError::Truncated)?;
    // Readers look at the high nibble only.
    if version >> 4 == VERSION_BYTE >> 4 { Ok(rest) } else { Err(WireError::UnsupportedVersion(version >> 4)) }
}

/// `SignalMessage` of suite `Signal`: version byte ‖ protobuf ‖ 8-byte MAC.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{SignalMessage, WireError};
/// assert_eq!(SignalMessage::parse(&[0x33; 40]).unwrap_err(), WireError::UnsupportedVersion(3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalMessage {
    /// The sender's ratchet key.
    pub ratchet_key: PublicKey,
    /// Number of the message in its sending chain, from 0.
    pub counter: u32,
    /// One less than the messages sent in the chain before; nothing hangs on it.
    pub previous_counter: u32,
    /// The encrypted body.
    pub ciphertext: Vec<u8>,
    /// The message of the post-quantum ratchet; empty if there is none.
    pub pq_ratchet: Vec<u8>,
    /// Sender and recipient, where both have service ids.
    pub addresses: Option<[u8; ADDRESSES_LEN]>,
    /// What the MAC covers besides the identities: version byte and protobuf as they travelled.
    authenticated: Vec<u8>,
    mac: [u8; MAC_LEN],
}

impl SignalMessage {
    /// Length of the truncated MAC at the end.
    pub const MAC_LEN: usize = MAC_LEN;

    /// Reads a message. Unknown fields are passed over, as Signal's readers do; the MAC covers them.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let body = split_version(bytes)?;
        let (protobuf, mac) = body.split_last_chunk::<MAC_LEN>().ok_or(WireError::Truncated)?;
        let message = signal::SignalMessage::decode(protobuf).map_err(|_| WireError::Protobuf)?;
        let addresses = match message.addresses {
            Some(bytes) => Some(bytes.try_into().map_err(|_| WireError::Field)?),
            None => None,
        };
        Ok(Self {
            ratchet_key: PublicKey::parse(&message.ratchet_key.ok_or(WireError::Field)?)?,
            counter: message.counter.ok_or(WireError::Field)?,
            previous_counter: message.previous_counter.unwrap_or_default(),
            ciphertext: message.ciphertext.ok_or(WireError::Field)?,
            pq_ratchet: message.pq_ratchet.unwrap_or_default(),
            addresses,
            authenticated: bytes.get(..1 + protobuf.len()).ok_or(WireError::Truncated)?.into(),
            mac: *mac,
        })
    }

    /// Version byte and protobuf as they travelled: what the MAC covers besides the identities.
    #[must_use]
    pub fn authenticated(&self) -> &[u8] {
        &self.authenticated
    }

    /// The truncated MAC.
    #[must_use]
    pub const fn mac(&self) -> &[u8; MAC_LEN] {
        &self.mac
    }
}

/// Everything of a [`SignalMessage`] but ciphertext and MAC.
pub(crate) struct SignalMessageHeader {
    pub(crate) ratchet_key: PublicKey,
    pub(crate) counter: u32,
    pub(crate) previous_counter: u32,
    pub(crate) pq_ratchet: Vec<u8>,
    pub(crate) addresses: Option<[u8; ADDRESSES_LEN]>,
}

impl SignalMessageHeader {
    /// Appends version byte and protobuf, with room for the MAC that goes behind them.
    pub(crate) fn encode(self, ciphertext: &[u8], to: &mut Vec<u8>) {
        // Keys, lengths and numbers, each at its longest.
        to.reserve(64 + PUBLIC_KEY_LEN + ADDRESSES_LEN + self.pq_ratchet.len() + ciphertext.len() + MAC_LEN);
        let mut out = FieldWriter::after(core::mem::take(to));
        out.put(&[VERSION_BYTE]);
        out.some_bytes(1, &self.ratchet_key.to_bytes());
        out.optional(2, Some(self.counter));
        out.optional(3, Some(self.previous_counter));
        out.some_bytes(4, ciphertext);
        out.some_bytes(5, &self.pq_ratchet);
        if let Some(addresses) = &self.addresses {
            out.some_bytes(6, addresses);
        }
        *to = out.into_public();
    }
}
