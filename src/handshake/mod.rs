//! PQXDH: two parties, one of them asleep, agree on the keys that a session starts from.
//!
//! Owns: the order of the agreements and the derivation ([`initiate`], [`accept`]).
//!
//! **Not its concern:** bundles' signatures (checked before a bundle gets here), messages, ratchets, replays, what
//! happens to a used prekey.
//!
//! Source: The PQXDH Key Agreement Protocol (revision 3), section 3.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::{KemCiphertext, KeyPair, NotContributory, PublicKey, Secret, hkdf};
use crate::prekey::{Bundle, OneTimePrekey, PrekeySecrets};
use crate::suite::{InitialKeys, Suite};

/// What the initiator made: the keys, and what the responder needs to make them too.
pub(crate) struct Initiated {
    pub(crate) keys: InitialKeys,
    pub(crate) base_key: PublicKey,
    pub(crate) kem_ciphertext: KemCiphertext,
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
    ours: &KeyPair,
    bundle: &Bundle,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Initiated, HandshakeError> {
    let theirs = bundle.parts();
    let base = KeyPair::generate(rng);
    let (kem_ciphertext, shared) = theirs.kem_prekey.1.encapsulate(rng);
    let signed_prekey = &theirs.signed_prekey.1;
    let mut agreed = Agreed::new();
    agreed.push(&ours.agree(signed_prekey)?);
    agreed.push(&base.agree(&theirs.identity_key)?);
    agreed.push(&base.agree(signed_prekey)?);
    if let Some((_, one_time)) = &theirs.one_time_prekey {
        agreed.push(&base.agree(one_time)?);
    }
    agreed.push(&shared);
    Ok(Initiated { keys: agreed.derive(theirs.suite), base_key: *base.public(), kem_ciphertext })
}

/// The responder's side. `one_time` is the one-time prekey that the message names, if it names one.
pub(crate) fn accept(
    ours: &KeyPair,
    prekeys: &PrekeySecrets<'_>,
    one_time: Option<&OneTimePrekey>,
    initiation: Initiation<'_>,
) -> Result<InitialKeys, HandshakeError> {
    let Initiation { identity_key, base_key, kem_ciphertext } = initiation;
    // The base key names the session; eight keys with one agreement would be eight names for it.
    if !base_key.is_torsion_free() {
        return Err(HandshakeError::BadKey);
    }
    let signed_prekey = prekeys.signed.pair();
    let mut agreed = Agreed::new();
    agreed.push(&signed_prekey.agree(identity_key)?);
    agreed.push(&ours.agree(base_key)?);
    agreed.push(&signed_prekey.agree(base_key)?);
    if let Some(one_time) = one_time {
        agreed.push(&one_time.pair().agree(base_key)?);
    }
    agreed.push(&prekeys.kem.pair().secret().decapsulate(kem_ciphertext).map_err(|_| HandshakeError::WrongKem)?);
    Ok(agreed.derive(prekeys.signed.suite()))
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

    fn derive(&self, suite: Suite) -> InitialKeys {
        let ikm = self.bytes.get(..self.parts * 32).unwrap_or_default();
        let [root, chain, pq] = hkdf::<96>(&[], ikm, &[suite.handshake_label()]).split3();
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
        let keys = agreed.derive(Suite::Signal);
        assert_eq!(keys.root.expose(), &array::<32>(&case["rootKey"]));
        assert_eq!(keys.chain.expose(), &array::<32>(&case["chainKey"]));
        assert_eq!(keys.pq.expose(), &array::<32>(&case["spqrKey"]));
    }
}
