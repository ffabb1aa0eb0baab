//! AES-256-GCM under a key of its own for each place, which commits to key and place. For what is sealed over and over,
//! where every text lies in a place that is its alone.

use sha2::{Digest, Sha256};

use super::{CommittingError, GCM_TAG_LEN, Secret, gcm_open_in_place, gcm_seal_in_place};

const COMMITMENT_LEN: usize = 32;

/// The key of one (key, nonce) seals one text, so any nonce will do.
const NONCE: [u8; 12] = [0; 12];

/// Bytes of a place.
type Place = [u8; PlacedKey::PLACE];

/// A uniform key, prepared for many places.
///
/// `com = SHA-256(K ‖ 0×32 ‖ 1 ‖ place)`, `key = SHA-256(K ‖ 0×32 ‖ 2 ‖ place)`; what is sealed is
/// `com ‖ AES-256-GCM(key, 0×12, text)`.
///
/// # Security
///
/// A place is used for one text, ever: the caller puts 16 fresh random bytes into it. As in `cgcm1`, the commitment makes
/// the text open under one key and in one place; the random bytes are in the place instead of in a salt beside it.
///
/// The key stands in front, as a block of its own that is hashed once. What follows it has one length, always: nobody can
/// append to what is hashed and go on from its hash, so this is a pseudorandom function without HMAC's second hash. [`Place`]
/// is an array for that reason, and must stay one. Both outputs together cost two blocks of SHA-256 where HKDF takes five and
/// `cgcm1` sixteen: more than half of what a small row costs.
///
/// The state behind the key is as good as the key. Wiped on drop, as each copy that goes on from it.
pub(crate) struct PlacedKey(Sha256);

impl PlacedKey {
    /// Length of a place, which with its number and what SHA-256 appends makes one block at most.
    pub(crate) const PLACE: usize = 53;

    /// What stands before a sealed text: the commitment.
    pub(crate) const FRONT: usize = COMMITMENT_LEN;

    /// What sealing adds behind it: the tag.
    pub(crate) const BACK: usize = GCM_TAG_LEN;

    pub(crate) fn new(key: &Secret<32>) -> Self {
        let mut block = Secret::<64>::new([0; 64]);
        block.expose_mut().iter_mut().zip(key.expose()).for_each(|(to, from)| *to = *from);
        Self(Sha256::new_with_prefix(block.expose()))
    }

    fn derive(&self, place: &Place) -> [Secret<32>; 2] {
        [1, 2].map(|number| {
            let hash = self.0.clone().chain_update([number]).chain_update(place);
            Secret::new(hash.finalize().into())
        })
    }

    /// Seals a text where it stands, between [`Self::FRONT`] and [`Self::BACK`] bytes of any content.
    pub(crate) fn seal(&self, place: &Place, buffer: &mut [u8]) {
        let [commitment, key] = self.derive(place);
        if let Some((front, text)) = buffer.split_first_chunk_mut() {
            *front = *commitment.expose();
            gcm_seal_in_place(key.expose(), &NONCE, &[], text);
        }
    }

    /// Opens what [`Self::seal`] made where it stands: then the text is what lies between [`Self::FRONT`] and
    /// [`Self::BACK`].
    ///
    /// # Errors
    ///
    /// [`CommittingError`]: nothing has changed.
    pub(crate) fn open(&self, place: &Place, sealed: &mut [u8]) -> Result<(), CommittingError> {
        let (claimed, ciphertext) = sealed.split_first_chunk_mut::<COMMITMENT_LEN>().ok_or(CommittingError::Damaged)?;
        let [commitment, key] = self.derive(place);
        // Before anything is decrypted: what does not commit to this key is not tried under it.
        if commitment != Secret::new(*claimed) {
            return Err(CommittingError::Commitment);
        }
        gcm_open_in_place(key.expose(), &NONCE, &[], ciphertext).map_err(|_| CommittingError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{gcm_seal, sha256};
    use std::vec::Vec;

    const HERE: Place = [4; PlacedKey::PLACE];

    fn key() -> PlacedKey {
        PlacedKey::new(&Secret::new([7; 32]))
    }

    fn sealed(place: &Place) -> Vec<u8> {
        let mut out = [&[9; PlacedKey::FRONT], &b"secret"[..], &[9; PlacedKey::BACK]].concat();
        key().seal(place, &mut out);
        out
    }

    fn opened(key: &PlacedKey, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, CommittingError> {
        let mut buffer = sealed.to_vec();
        let opened = key.open(place, &mut buffer);
        if opened.is_err() {
            assert_eq!(buffer, sealed, "nothing has changed");
        }
        opened.map(|()| buffer[PlacedKey::FRONT..buffer.len() - PlacedKey::BACK].to_vec())
    }

    /// The same from its parts.
    #[test]
    fn it_is_what_it_says() {
        let [commitment, key] = [1, 2].map(|number| sha256(&[&[7; 32], &[0; 32], &[number], &HERE]));
        let expected = [&commitment[..], &gcm_seal(&key, &[0; 12], &[], b"secret")].concat();
        assert_eq!(sealed(&HERE), expected);
    }

    #[test]
    fn every_altered_bit_is_refused() {
        let (place, sealed) = (&HERE, sealed(&HERE));
        assert_eq!(sealed.len(), 6 + PlacedKey::FRONT + PlacedKey::BACK);
        assert_eq!(opened(&key(), place, &sealed).unwrap(), *b"secret");
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 32 * 8 { CommittingError::Commitment } else { CommittingError::Damaged };
            assert_eq!(opened(&key(), place, &altered), Err(expected), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(opened(&key(), place, &sealed[..len]).is_err(), "cut to {len}");
        }
        let other = PlacedKey::new(&Secret::new([1; 32]));
        assert_eq!(opened(&other, place, &sealed), Err(CommittingError::Commitment));
        assert_eq!(opened(&key(), &[5; PlacedKey::PLACE], &sealed), Err(CommittingError::Commitment));
    }
}
