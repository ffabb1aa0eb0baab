use alloc::vec::Vec;

use prost::Message as _;

use super::signal_message::{VERSION_BYTE, split_version};
use super::{SignalMessage, WireError, signal};
use crate::crypto::{KemCiphertext, PublicKey};
use crate::ident::{PrekeyId, RegistrationId};

/// `PreKeySignalMessage` of suite `Signal`: version byte ‖ protobuf, with a whole [`SignalMessage`] inside.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{PreKeySignalMessage, WireError};
/// assert_eq!(PreKeySignalMessage::parse(&[0x54]).unwrap_err(), WireError::UnsupportedVersion(5));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreKeySignalMessage {
    /// The initiator's registration id; 0 if it sent none.
    pub registration_id: RegistrationId,
    /// The one-time prekey that was used, if one was.
    pub one_time_prekey: Option<PrekeyId>,
    /// The signed prekey that was used.
    pub signed_prekey: PrekeyId,
    /// The KEM prekey that was used.
    pub kem_prekey: PrekeyId,
    /// The encapsulation to it.
    pub kem_ciphertext: KemCiphertext,
    /// The initiator's base key; it names the session.
    pub base_key: PublicKey,
    /// The initiator's identity key.
    pub identity_key: PublicKey,
    /// The message inside.
    pub message: SignalMessage,
}

impl PreKeySignalMessage {
    /// Reads a first message. Unknown fields are passed over, as Signal's readers do.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let message = signal::PreKeySignalMessage::decode(split_version(bytes)?).map_err(|_| WireError::Protobuf)?;
        let (Some(kem_prekey), Some(kem_ciphertext)) = (message.kyber_pre_key_id, &message.kyber_ciphertext) else {
            return Err(WireError::MissingKem);
        };
        Ok(Self {
            registration_id: RegistrationId::new(message.registration_id.unwrap_or_default()),
            one_time_prekey: message.pre_key_id.map(PrekeyId::new),
            signed_prekey: PrekeyId::new(message.signed_pre_key_id.ok_or(WireError::Field)?),
            kem_prekey: PrekeyId::new(kem_prekey),
            kem_ciphertext: KemCiphertext::parse(kem_ciphertext).map_err(|_| WireError::MissingKem)?,
            base_key: PublicKey::parse(&message.base_key.ok_or(WireError::Field)?)?,
            identity_key: PublicKey::parse(&message.identity_key.ok_or(WireError::Field)?)?,
            message: SignalMessage::parse(&message.message.ok_or(WireError::Field)?)?,
        })
    }

    /// Writes a first message around the bytes of a finished [`SignalMessage`].
    pub(crate) fn encode(header: &PrekeyHeader<'_>, message: Vec<u8>) -> Vec<u8> {
        let message = signal::PreKeySignalMessage {
            pre_key_id: header.one_time_prekey.map(PrekeyId::get),
            base_key: Some(header.base_key.to_bytes().into()),
            identity_key: Some(header.identity_key.to_bytes().into()),
            message: Some(message),
            registration_id: Some(header.registration_id.get()),
            signed_pre_key_id: Some(header.signed_prekey.get()),
            kyber_pre_key_id: Some(header.kem_prekey.get()),
            kyber_ciphertext: Some(header.kem_ciphertext.to_bytes()),
        };
        let mut out = Vec::with_capacity(1 + message.encoded_len());
        out.push(VERSION_BYTE);
        message.encode_raw(&mut out);
        out
    }
}

/// What a first message says besides the message inside it.
#[derive(Debug)]
pub(crate) struct PrekeyHeader<'a> {
    pub(crate) registration_id: RegistrationId,
    pub(crate) one_time_prekey: Option<PrekeyId>,
    pub(crate) signed_prekey: PrekeyId,
    pub(crate) kem_prekey: PrekeyId,
    pub(crate) kem_ciphertext: &'a KemCiphertext,
    pub(crate) base_key: &'a PublicKey,
    pub(crate) identity_key: &'a PublicKey,
}
