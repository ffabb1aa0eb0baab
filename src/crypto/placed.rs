//! AES-256-GCM under a key of its own for each place, which commits to key and place. For what is sealed over and over,
//! where every text lies in a place that is its alone.

use super::{CommittingError, ExpandKey, GCM_TAG_LEN, Secret, gcm_open_in_place, gcm_seal_in_place};

const COMMITMENT_LEN: usize = 32;

/// The key of one (key, nonce) seals one text, so any nonce will do.
const NONCE: [u8; 12] = [0; 12];

/// A uniform key, prepared for many places.
///
/// `com 32 ‖ key 32 = HKDF-Expand(K, place, 64)`; what is sealed is `com ‖ AES-256-GCM(key, 0×12, text)`.
///
/// # Security
///
/// A place is used for one text, ever: the caller puts 16 fresh random bytes into it. As in `cgcm1`, the commitment makes
/// the text open under one key and in one place; the random bytes are in the place instead of in a salt beside it, and
/// without extraction and a salt the derivation costs five blocks of SHA-256 where `cgcm1` takes sixteen for a row.
pub(crate) struct PlacedKey(ExpandKey);

impl PlacedKey {
    /// What stands before a sealed text: the commitment.
    pub(crate) const FRONT: usize = COMMITMENT_LEN;

    /// What sealing adds behind it: the tag.
    pub(crate) const BACK: usize = GCM_TAG_LEN;

    pub(crate) fn new(key: &Secret<32>) -> Self {
        Self(ExpandKey::new(key))
    }

    fn derive(&self, place: &[&[u8]]) -> [Secret<32>; 2] {
        self.0.expand::<64>(place).split2()
    }

    /// Seals a text where it stands, between [`Self::FRONT`] and [`Self::BACK`] bytes of any content.
    pub(crate) fn seal(&self, place: &[&[u8]], buffer: &mut [u8]) {
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
    pub(crate) fn open(&self, place: &[&[u8]], sealed: &mut [u8]) -> Result<(), CommittingError> {
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
    use crate::crypto::{gcm_seal, hmac};
    use std::vec::Vec;

    fn key() -> PlacedKey {
        PlacedKey::new(&Secret::new([7; 32]))
    }

    fn sealed(place: &[&[u8]]) -> Vec<u8> {
        let mut out = [&[9; PlacedKey::FRONT], &b"secret"[..], &[9; PlacedKey::BACK]].concat();
        key().seal(place, &mut out);
        out
    }

    fn opened(key: &PlacedKey, place: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, CommittingError> {
        let mut buffer = sealed.to_vec();
        let opened = key.open(place, &mut buffer);
        if opened.is_err() {
            assert_eq!(buffer, sealed, "nothing has changed");
        }
        opened.map(|()| buffer[PlacedKey::FRONT..buffer.len() - PlacedKey::BACK].to_vec())
    }

    /// The same from its parts, as RFC 5869 and FIPS 198 write them.
    #[test]
    fn it_is_what_it_says() {
        let commitment = hmac(&[7; 32], &[b"here", &[1]]);
        let inner = hmac(&[7; 32], &[commitment.expose(), b"here", &[2]]);
        let expected = [commitment.expose().to_vec(), gcm_seal(inner.expose(), &[0; 12], &[], b"secret")].concat();
        assert_eq!(sealed(&[b"he", b"re"]), expected);
    }

    #[test]
    fn every_altered_bit_is_refused() {
        let (place, sealed): (&[&[u8]], _) = (&[b"here"], sealed(&[b"here"]));
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
        assert_eq!(opened(&key(), &[b"there"], &sealed), Err(CommittingError::Commitment));
    }
}
