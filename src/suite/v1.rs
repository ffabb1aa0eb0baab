//! The message cipher of suite V1: AES-256-GCM with the full tag, keys salted for each message, everything around it
//! authenticated.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::padding::{pad_to, padded_len, unpad_from};
use super::{MessageSecret, Undecryptable};
use crate::crypto::{GCM_TAG_LEN, Secret, gcm_open_to, gcm_seal_tail, hkdf, hmac, sha256};
use crate::ident::{Address, UserId};
use crate::wire::{V1Header, V1Message};

// L(s) = u8 length ‖ ASCII: no label is the beginning of another.
pub(crate) const LABEL_TRANSCRIPT: &[u8] = b"\x14subrosa/1/transcript";
pub(crate) const LABEL_PQXDH: &[u8] = b"\x0fsubrosa/1/pqxdh";
pub(crate) const LABEL_ROOT: &[u8] = b"\x0esubrosa/1/root";
pub(crate) const LABEL_PREKEY: &[u8] = b"\x10subrosa/1/prekey";
const LABEL_SESSION: &[u8] = b"\x11subrosa/1/session";
const LABEL_SESSION_ID: &[u8] = b"\x14subrosa/1/session-id";
const LABEL_MESSAGE: &[u8] = b"\x11subrosa/1/message";

/// SHA-256 of nothing: what the layer above binds, most of the time.
const NOTHING_BOUND: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// lp(x) = u32 length ‖ x.
pub(crate) fn lp(out: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing of 4 GiB gets here: every input has a bound far below.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// An address as it is hashed: every operation does it several times, so it takes no allocation.
pub(crate) struct EncodedAddress {
    bytes: [u8; 4 + UserId::MAX_LEN + 4],
    len: usize,
}

impl core::ops::Deref for EncodedAddress {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// `lp(user id) ‖ u32 device id`.
pub(crate) fn encode_address(address: &Address) -> EncodedAddress {
    let user = address.user().as_str().as_bytes();
    let len = u32::try_from(user.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = EncodedAddress { bytes: [0; 4 + UserId::MAX_LEN + 4], len: 4 + user.len() + 4 };
    let mut left = &mut out.bytes[..];
    for part in [&len[..], user, &address.device().get().to_be_bytes()] {
        if let Some((place, rest)) = core::mem::take(&mut left).split_at_mut_checked(part.len()) {
            place.copy_from_slice(part);
            left = rest;
        }
    }
    out
}

/// The 8-byte name of the session with this transcript hash.
pub(crate) fn session_tag(transcript_hash: &[u8; 32]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = sha256(&[LABEL_SESSION_ID, transcript_hash]);
    [a, b, c, d, e, f, g, h]
}

/// What a message is bound to besides its header.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) transcript_hash: &'a [u8; 32],
    /// Whether the session's initiator sends it: a message sent back to its sender does not open.
    pub(crate) from_initiator: bool,
    /// What the layer above binds.
    pub(crate) external_ad: &'a [u8],
}

impl Bound<'_> {
    fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let fixed = LABEL_SESSION.len() + 32 + 1 + 8;
        let mut out = Vec::with_capacity(fixed + header.len() + self.external_ad.len());
        out.extend_from_slice(LABEL_SESSION);
        out.extend_from_slice(self.transcript_hash);
        out.push(u8::from(!self.from_initiator));
        lp(&mut out, header);
        lp(&mut out, self.external_ad);
        out
    }
}

/// The key and nonce of one message.
fn message_key(secret: &MessageSecret, salt: &[u8; 16], external_ad: &[u8]) -> (Secret<32>, [u8; 12]) {
    let bound = if external_ad.is_empty() { NOTHING_BOUND } else { sha256(&[external_ad]) };
    let info: &[&[u8]] = &[LABEL_MESSAGE, salt, &bound];
    let derived: Secret<44> = hkdf(secret.pq.expose(), secret.seed.expose(), info);
    (derived.part::<0, 32>(), *derived.part::<32, 12>().expose())
}

/// Key and nonce as bytes, for tests that look for repetitions.
#[cfg(test)]
pub(crate) fn key_and_nonce(secret: &MessageSecret, salt: &[u8; 16], external_ad: &[u8]) -> [u8; 44] {
    let (key, nonce) = message_key(secret, salt, external_ad);
    core::array::from_fn(|at| if at < 32 { key.expose()[at] } else { nonce[at - 32] })
}

/// The associated data of a message, for golden vectors.
#[cfg(test)]
pub(crate) fn associated_data_of(
    transcript_hash: &[u8; 32],
    from_initiator: bool,
    header: &[u8],
    external_ad: &[u8],
) -> Vec<u8> {
    Bound { transcript_hash, from_initiator, external_ad }.associated_data(header)
}

/// Everything of a header but the salt, which is chosen when the message is sealed.
pub(crate) struct Unsalted {
    pub(crate) session: [u8; 8],
    pub(crate) ratchet_key: crate::crypto::PublicKey,
    pub(crate) counter: u32,
    pub(crate) pq: Vec<u8>,
}

/// A plaintext, with what commits to it where somebody has computed that.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    /// What stands before the others: they are not copied together for it.
    pub(crate) head: &'a [u8],
    pub(crate) bytes: &'a [u8],
    /// A hash over all of the bytes, however it is made: two texts never have the same. SHA-256 of the bytes if there is none.
    pub(crate) hash: Option<[u8; 32]>,
}

impl Text<'_> {
    pub(crate) const fn len(&self) -> usize {
        self.head.len() + self.bytes.len()
    }

    fn hash(&self) -> [u8; 32] {
        self.hash.unwrap_or_else(|| sha256(&[self.head, self.bytes]))
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { head: &[], bytes, hash: None }
    }
}

/// Seals one message, and appends it. Draws 32 bytes.
///
/// The salt hangs on the seed, fresh randomness, the plaintext and the post-quantum part of the header: a sender whose
/// state was rewound derives another key, unless its generator repeats itself **and** all of the message is the same,
/// when it writes the same message again. (The rest of the header follows from the place in the chain. Were the
/// post-quantum part left out, a clone that had received more could seal the same text under the same key with another
/// header, and two tags under one key give GCM's authentication key away.)
pub(crate) fn seal(
    secret: &MessageSecret,
    bound: Bound<'_>,
    unsalted: Unsalted,
    text: Text<'_>,
    rng: &mut (impl CryptoRng + ?Sized),
    out: &mut Vec<u8>,
) {
    let fresh = Secret::<32>::random(rng);
    let mac = hmac(secret.seed.expose(), &[fresh.expose(), &text.hash(), &unsalted.pq]);
    let mut salt = [0; 16];
    for (to, from) in salt.iter_mut().zip(mac.expose()) {
        *to = *from;
    }
    let Unsalted { session, ratchet_key, counter, pq } = unsalted;
    let header = V1Header { session, ratchet_key, counter, pq, salt }.encode();
    let (key, nonce) = message_key(secret, &salt, bound.external_ad);
    V1Message::begin(out, &header, padded_len(text.len()) + GCM_TAG_LEN);
    let start = out.len();
    pad_to(out, [text.head, text.bytes]);
    gcm_seal_tail(key.expose(), &nonce, &bound.associated_data(&header), out, start);
}

/// Opens one message, and appends its plaintext. After an error `out` holds what it held before.
pub(crate) fn open(
    secret: &MessageSecret,
    bound: Bound<'_>,
    message: &V1Message,
    out: &mut Vec<u8>,
) -> Result<(), Undecryptable> {
    let (key, nonce) = message_key(secret, &message.salt, bound.external_ad);
    let ad = bound.associated_data(message.header());
    let start = out.len();
    gcm_open_to(key.expose(), &nonce, &ad, &message.ciphertext, out).map_err(|_| Undecryptable)?;
    unpad_from(out, start).map_err(|_| {
        out.get_mut(start..).unwrap_or_default().zeroize();
        out.truncate(start);
        Undecryptable
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_bound_as_its_hash() {
        assert_eq!(NOTHING_BOUND, sha256(&[]));
    }

    #[test]
    fn labels_start_with_their_length_and_none_looks_like_signals() {
        for label in
            [LABEL_TRANSCRIPT, LABEL_PQXDH, LABEL_ROOT, LABEL_PREKEY, LABEL_SESSION, LABEL_SESSION_ID, LABEL_MESSAGE]
        {
            assert_eq!(usize::from(label[0]), label.len() - 1);
            // The first bytes of what Signal's identity keys sign.
            assert!(![5, 7, 8, 10, 255].contains(&label[0]));
        }
    }
}
