//! PQXDH: two parties, one of them asleep, agree on the keys that a session starts from.
//!
//! Owns: the order of the agreements and the derivation ([`initiate`], [`accept`]).
//!
//! **Not its concern:** bundles' signatures (checked before a bundle gets here), messages, ratchets, replays, what
//! happens to a used prekey.
//!
//! Source: The PQXDH Key Agreement Protocol (revision 3), section 3.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::{KemCiphertext, KemPublicKey, KeyPair, NotContributory, PeerKey, PublicKey, Secret, hkdf, sha256};
use crate::ident::{Address, PrekeyId};
use crate::prekey::{Bundle, Device, OneTimePrekey, PrekeySecrets};
use crate::suite::v1::{LABEL_TRANSCRIPT, encode_address, lp};
use crate::suite::{InitialKeys, Suite};

/// What the initiator made: the keys, and what the responder needs to make them too.
pub(crate) struct Initiated {
    pub(crate) keys: InitialKeys,
    pub(crate) base_key: PublicKey,
    /// The responder's first ratchet key: it agrees once more when the ratchet starts.
    pub(crate) signed_prekey: PeerKey,
    pub(crate) kem_ciphertext: KemCiphertext,
    /// Where the suite binds the session to it.
    pub(crate) transcript_hash: Option<[u8; 32]>,
}

/// What the responder learns from a first message.
#[derive(Clone, Copy)]
pub(crate) struct Initiation<'a> {
    pub(crate) identity_key: &'a PublicKey,
    pub(crate) base_key: &'a PublicKey,
    pub(crate) kem_ciphertext: &'a KemCiphertext,
}

/// Why no keys were agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandshakeError {
    /// A public key of the other side is of low order, or its base key has a small-order part.
    BadKey,
    /// The KEM ciphertext is of another mechanism than the prekey.
    WrongKem,
}

impl From<NotContributory> for HandshakeError {
    fn from(NotContributory: NotContributory) -> Self {
        Self::BadKey
    }
}

/// The initiator's side. Draws 32 bytes for the base key, then 32 for the encapsulation.
pub(crate) fn initiate(
    device: &Device,
    bundle: &Bundle,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Initiated, HandshakeError> {
    let (ours, theirs) = (device.identity(), bundle.parts());
    let base = KeyPair::generate(rng);
    let (kem_ciphertext, shared) = theirs.kem_prekey.key.encapsulate(rng);
    let signed_prekey = &theirs.signed_prekey.key;
    let signed_peer = PeerKey::new(signed_prekey);
    let mut agreed = Agreed::new();
    agreed.push(&ours.agree_with(&signed_peer)?);
    agreed.push(&base.agree_with(bundle.identity())?);
    agreed.push(&base.agree_with(&signed_peer)?);
    if let Some((_, one_time)) = &theirs.one_time_prekey {
        agreed.push(&base.agree(one_time)?);
    }
    agreed.push(&shared);
    let transcript_hash = match theirs.suite {
        Suite::Signal => None,
        Suite::V1 => Some(
            Transcript {
                initiator: (device.address(), device.identity_key()),
                responder: (&theirs.address, &theirs.identity_key),
                base_key: base.public(),
                signed_prekey: (theirs.signed_prekey.id, signed_prekey),
                one_time_prekey: theirs.one_time_prekey.as_ref().map(|(id, key)| (*id, key)),
                kem_prekey: (theirs.kem_prekey.id, &theirs.kem_prekey.key),
                kem_ciphertext: &kem_ciphertext,
            }
            .hash(),
        ),
    };
    let keys = agreed.derive(theirs.suite, transcript_hash.as_ref());
    Ok(Initiated { keys, base_key: *base.public(), signed_prekey: signed_peer, kem_ciphertext, transcript_hash })
}

/// The responder's side. `one_time` is the one-time prekey that the message names, if it names one.
pub(crate) fn accept(
    device: &Device,
    from: &Address,
    prekeys: &PrekeySecrets<'_>,
    one_time: Option<&OneTimePrekey>,
    initiation: Initiation<'_>,
) -> Result<(InitialKeys, Option<[u8; 32]>), HandshakeError> {
    let Initiation { identity_key, base_key, kem_ciphertext } = initiation;
    let base = PeerKey::new(base_key);
    // The base key names the session; eight keys with one agreement would be eight names for it.
    if !base.is_torsion_free() {
        return Err(HandshakeError::BadKey);
    }
    let (ours, signed_prekey) = (device.identity(), prekeys.signed.pair());
    let mut agreed = Agreed::new();
    agreed.push(&signed_prekey.agree(identity_key)?);
    agreed.push(&ours.agree_with(&base)?);
    agreed.push(&signed_prekey.agree_with(&base)?);
    if let Some(one_time) = one_time {
        agreed.push(&one_time.pair().agree_with(&base)?);
    }
    agreed.push(&prekeys.kem.pair().secret().decapsulate(kem_ciphertext).map_err(|_| HandshakeError::WrongKem)?);
    let suite = prekeys.signed.suite();
    let transcript_hash = match suite {
        Suite::Signal => None,
        Suite::V1 => Some(
            Transcript {
                initiator: (from, identity_key),
                responder: (device.address(), device.identity_key()),
                base_key,
                signed_prekey: (prekeys.signed.id(), prekeys.signed.public_key()),
                one_time_prekey: one_time.map(|prekey| (prekey.id(), prekey.public_key())),
                kem_prekey: (prekeys.kem.id(), prekeys.kem.public_key()),
                kem_ciphertext,
            }
            .hash(),
        ),
    };
    Ok((agreed.derive(suite, transcript_hash.as_ref()), transcript_hash))
}

/// Everything that both sides of a handshake must agree on, suite V1.
struct Transcript<'a> {
    initiator: (&'a Address, &'a PublicKey),
    responder: (&'a Address, &'a PublicKey),
    base_key: &'a PublicKey,
    signed_prekey: (PrekeyId, &'a PublicKey),
    one_time_prekey: Option<(PrekeyId, &'a PublicKey)>,
    kem_prekey: (PrekeyId, &'a KemPublicKey),
    kem_ciphertext: &'a KemCiphertext,
}

impl Transcript<'_> {
    fn hash(&self) -> [u8; 32] {
        let mut out = LABEL_TRANSCRIPT.to_vec();
        lp(&mut out, &encode_address(self.initiator.0));
        lp(&mut out, &encode_address(self.responder.0));
        for key in [self.initiator.1, self.responder.1, self.base_key] {
            out.extend_from_slice(&key.to_bytes());
        }
        let numbered = |out: &mut Vec<u8>, (id, key): (PrekeyId, &PublicKey)| {
            out.extend_from_slice(&id.get().to_be_bytes());
            out.extend_from_slice(&key.to_bytes());
        };
        numbered(&mut out, self.signed_prekey);
        out.push(self.one_time_prekey.is_some().into());
        if let Some(one_time) = self.one_time_prekey {
            numbered(&mut out, one_time);
        }
        out.extend_from_slice(&self.kem_prekey.0.get().to_be_bytes());
        out.extend_from_slice(&sha256(&[&self.kem_prekey.1.to_bytes()]));
        out.extend_from_slice(&sha256(&[&self.kem_ciphertext.to_bytes()]));
        sha256(&[&out])
    }
}

/// `0xFF×32 ‖ DH1 ‖ DH2 ‖ DH3 [‖ DH4] ‖ SS`. The prefix keeps the input apart from any XEdDSA nonce input.
struct Agreed {
    bytes: Zeroizing<[u8; 6 * 32]>,
    parts: usize,
}

impl Agreed {
    fn new() -> Self {
        let mut agreed = Self { bytes: Zeroizing::new([0; 6 * 32]), parts: 0 };
        agreed.push(&Secret::new([0xff; 32]));
        agreed
    }

    fn push(&mut self, part: &Secret<32>) {
        if let Some(slot) = self.bytes.as_chunks_mut::<32>().0.get_mut(self.parts) {
            *slot = *part.expose();
            self.parts += 1;
        }
    }

    /// Salted with the transcript's hash, where the suite has one.
    fn derive(&self, suite: Suite, transcript_hash: Option<&[u8; 32]>) -> InitialKeys {
        let ikm = self.bytes.get(..self.parts * 32).unwrap_or_default();
        let salt = transcript_hash.map_or(&[][..], <[u8; 32]>::as_slice);
        let [root, chain, pq] = hkdf::<96>(salt, ikm, &[suite.handshake_label()]).split3();
        InitialKeys { root, chain, pq }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{array, bytes, load, secret};

    #[test]
    fn recorded_derivation_is_reproduced() {
        let vectors = load("derivations.json");
        let case = &vectors["pqxdh"];
        let mut agreed = Agreed::new();
        for part in ["dh1", "dh2", "dh3", "dh4", "kyberSecret"] {
            agreed.push(&secret(&case[part]));
        }
        assert_eq!(agreed.bytes.as_slice(), bytes(&case["input"]));
        let keys = agreed.derive(Suite::Signal, None);
        assert_eq!(keys.root.expose(), &array::<32>(&case["rootKey"]));
        assert_eq!(keys.chain.expose(), &array::<32>(&case["chainKey"]));
        assert_eq!(keys.pq.expose(), &array::<32>(&case["spqrKey"]));
    }
}
