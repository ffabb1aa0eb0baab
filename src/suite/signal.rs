//! The message cipher of suite `Signal`: AES-256-CBC, then HMAC-SHA-256 cut to 8 bytes.

use alloc::vec::Vec;

use super::{MessageSecret, Undecryptable};
use crate::crypto::{PublicKey, Secret, cbc_open, cbc_seal, constant_time_eq, hkdf, hmac};
use crate::ident::Address;
use crate::wire::{SignalMessage, SignalMessageHeader};

/// Whose identity keys stand at the head of the MAC: those the session was made with.
#[derive(Clone, Copy)]
pub(crate) struct Identities<'a> {
    pub(crate) sender: &'a PublicKey,
    pub(crate) receiver: &'a PublicKey,
}

struct MessageKeys {
    cipher: Secret<32>,
    mac: Secret<32>,
    iv: Secret<16>,
}

impl MessageKeys {
    /// The post-quantum key is the salt, the Double Ratchet's seed the input: the hybrid of the Triple Ratchet.
    fn derive(secret: &MessageSecret) -> Self {
        let keys: Secret<80> = hkdf(secret.pq.expose(), secret.seed.expose(), &[b"WhisperMessageKeys"]);
        let (mut cipher, mut mac, mut iv) = (Secret::new([0; 32]), Secret::new([0; 32]), Secret::new([0; 16]));
        let parts = cipher.expose_mut().iter_mut().chain(mac.expose_mut()).chain(iv.expose_mut());
        for (to, from) in parts.zip(keys.expose()) {
            *to = *from;
        }
        Self { cipher, mac, iv }
    }

    fn mac(&self, identities: Identities<'_>, authenticated: &[u8]) -> Secret<32> {
        hmac(self.mac.expose(), &[&identities.sender.to_bytes(), &identities.receiver.to_bytes(), authenticated])
    }
}

/// Seals one message, and appends it: version byte ‖ protobuf ‖ MAC.
pub(crate) fn seal(
    secret: &MessageSecret,
    identities: Identities<'_>,
    header: SignalMessageHeader,
    plaintext: &[u8],
    out: &mut Vec<u8>,
) {
    let keys = MessageKeys::derive(secret);
    let mut ciphertext = Vec::with_capacity(plaintext.len() + 16);
    cbc_seal(keys.cipher.expose(), keys.iv.expose(), plaintext, &mut ciphertext);
    let start = out.len();
    header.encode(&ciphertext, out);
    let mac = keys.mac(identities, out.get(start..).unwrap_or_default());
    out.extend(mac.expose().iter().take(SignalMessage::MAC_LEN));
}

/// Opens one message, and appends its plaintext. After an error `out` holds what it held before.
pub(crate) fn open(
    secret: &MessageSecret,
    identities: Identities<'_>,
    message: &SignalMessage,
    out: &mut Vec<u8>,
) -> Result<(), Undecryptable> {
    let keys = MessageKeys::derive(secret);
    let mac = keys.mac(identities, message.authenticated());
    let (mac, _) = mac.expose().split_first_chunk::<{ SignalMessage::MAC_LEN }>().ok_or(Undecryptable)?;
    if !constant_time_eq(mac, message.mac()) {
        return Err(Undecryptable);
    }
    cbc_open(keys.cipher.expose(), keys.iv.expose(), &message.ciphertext, out).map_err(|_| Undecryptable)
}

/// Puts the right MAC behind bytes of a test's making.
#[cfg(test)]
pub(crate) fn authenticate(secret: &MessageSecret, identities: Identities<'_>, authenticated: &[u8]) -> Vec<u8> {
    let mac = MessageKeys::derive(secret).mac(identities, authenticated);
    [authenticated, &mac.expose()[..SignalMessage::MAC_LEN]].concat()
}

/// Encrypts a body for a message of a test's making.
#[cfg(test)]
pub(crate) fn encrypt_body(secret: &MessageSecret, plaintext: &[u8]) -> Vec<u8> {
    let (keys, mut out) = (MessageKeys::derive(secret), Vec::new());
    cbc_seal(keys.cipher.expose(), keys.iv.expose(), plaintext, &mut out);
    out
}

/// The addresses field: sender, then recipient, where both names are service ids; `None` otherwise.
pub(crate) fn addresses(sender: &Address, recipient: &Address) -> Option<[u8; 36]> {
    let mut out = [0; 36];
    let parts = service_address(sender)?.into_iter().chain(service_address(recipient)?);
    for (to, from) in out.iter_mut().zip(parts) {
        *to = from;
    }
    Some(out)
}

/// Kind (0 = ACI, 1 = PNI), 16 UUID bytes, device id (1 to 127).
fn service_address(address: &Address) -> Option<[u8; 18]> {
    let name = address.user().as_str();
    let (kind, uuid) = name.strip_prefix("PNI:").map_or((0, name), |uuid| (1, uuid));
    let device = u8::try_from(address.device().get()).ok().filter(|device| (1..=127).contains(device))?;
    let mut out = [0; 18];
    let [first, middle @ .., last] = &mut out;
    (*first, *last) = (kind, device);
    parse_uuid(uuid, middle)?;
    Some(out)
}

/// Reads the 36-character hyphenated form.
fn parse_uuid(text: &str, out: &mut [u8; 16]) -> Option<()> {
    if text.len() != 36 {
        return None;
    }
    let mut digits = text.bytes().enumerate().filter_map(|(at, byte)| match at {
        8 | 13 | 18 | 23 => (byte != b'-').then_some(None),
        _ => Some(char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())),
    });
    for byte in out {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    // A wrong separator shows up as one more, empty, digit.
    digits.next().is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{DeviceId, UserId};

    #[test]
    fn recorded_message_keys_and_macs_are_reproduced() {
        use crate::vectors::{array, bytes, load, secret};
        let vectors = load("derivations.json");
        for case in vectors["messages"].as_array().unwrap() {
            let secret = MessageSecret { seed: secret(&case["messageSeed"]), pq: secret(&case["spqrKey"]) };
            let keys = MessageKeys::derive(&secret);
            assert_eq!(keys.cipher.expose(), &array::<32>(&case["cipherKey"]));
            assert_eq!(keys.mac.expose(), &array::<32>(&case["macKey"]));
            assert_eq!(keys.iv.expose(), &array::<16>(&case["iv"]));
            let input = bytes(&case["macInput"]);
            let (sender, receiver) =
                (PublicKey::parse(&input[..33]).unwrap(), PublicKey::parse(&input[33..66]).unwrap());
            let mac = keys.mac(Identities { sender: &sender, receiver: &receiver }, &input[66..]);
            assert_eq!(mac.expose()[..8], bytes(&case["mac"]));
        }
    }

    fn address(name: &str, device: u32) -> Address {
        Address::new(UserId::new(name).unwrap(), DeviceId::new(device))
    }

    #[test]
    fn service_ids_have_eighteen_bytes() {
        let aci = service_address(&address("9d0652a3-dcc3-4d11-975f-74d61598733f", 1)).unwrap();
        assert_eq!(hex::encode(aci), "009d0652a3dcc34d11975f74d61598733f01");
        let pni = service_address(&address("PNI:9d0652a3-dcc3-4d11-975f-74d61598733f", 127)).unwrap();
        assert_eq!(hex::encode(pni), "019d0652a3dcc34d11975f74d61598733f7f");
    }

    #[test]
    fn other_names_have_none() {
        for (name, device) in [
            ("alice", 1),
            ("9d0652a3-dcc3-4d11-975f-74d61598733f", 0),
            ("9d0652a3-dcc3-4d11-975f-74d61598733f", 128),
            ("9d0652a3dcc34d11975f74d61598733f", 1),
            ("9d0652a3-dcc3-4d11-975f-74d61598733", 1),
            ("9d0652a3-dcc3-4d11-975f-74d61598733g", 1),
            ("9d0652a34dcc3-4d11-975f-74d61598733f", 1),
            ("9d0652a3-dcc3-4d11-975f-74d61598-33f", 1),
            ("PNI:alice", 1),
            ("pni:9d0652a3-dcc3-4d11-975f-74d61598733f", 1),
        ] {
            assert_eq!(service_address(&address(name, device)), None, "{name}.{device}");
        }
    }
}
