use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::crypto::{PublicKey, sha256};
use crate::wire::{RecordError, RecordKind, decode_record, encode_record, record};

/// The first messages that one signed prekey has accepted, by the hash of their base key.
///
/// Kept beside the signed prekey for as long as its private half is: so a first message that is replayed when its
/// session is long gone starts no second session, even where no one-time prekey was used.
///
/// # Examples
///
/// ```
/// use subrosa::prekey::SeenBaseKeys;
/// let seen = SeenBaseKeys::default();
/// assert!(!seen.is_worn());
/// assert_eq!(SeenBaseKeys::from_bytes(&seen.to_bytes())?, seen);
/// # Ok::<(), subrosa::wire::RecordError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenBaseKeys(BTreeSet<[u8; 32]>);

impl SeenBaseKeys {
    /// So many first messages wear a signed prekey out: it is time to publish another.
    pub const WORN: usize = 10_000;

    /// So many are the end: the prekey accepts no more. Leaves time to publish another; bounds the memory.
    pub const MAX: usize = 20_000;

    /// How many first messages were accepted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether to publish another signed prekey before its time, see [`rotation`](super::rotation).
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.0.len() >= Self::WORN
    }

    /// The stored form: 32 bytes for each.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let hashes = self.0.iter().flatten().copied().collect();
        let count = u32::try_from(self.0.len()).ok();
        encode_record(RecordKind::SeenBaseKeys, &record::SeenBaseKeys { hashes, count }).to_vec()
    }

    /// Takes the stored form.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let stored: record::SeenBaseKeys = decode_record(RecordKind::SeenBaseKeys, bytes)?;
        let (hashes, rest) = stored.hashes.as_chunks::<32>();
        let whole = rest.is_empty() && stored.count == u32::try_from(hashes.len()).ok();
        if whole && hashes.len() <= Self::MAX && hashes.is_sorted_by(|a, b| a < b) {
            Ok(Self(hashes.iter().copied().collect()))
        } else {
            Err(RecordError::Corrupt)
        }
    }

    pub(crate) fn contains(&self, base_key: &PublicKey) -> bool {
        self.0.contains(&hash(base_key))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= Self::MAX
    }

    pub(crate) fn insert(&mut self, base_key: &PublicKey) {
        self.0.insert(hash(base_key));
    }
}

fn hash(base_key: &PublicKey) -> [u8; 32] {
    sha256(&[&base_key.to_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> PublicKey {
        let mut u = [0; 32];
        u[..4].copy_from_slice(&number.to_le_bytes());
        PublicKey::from_coordinate(u).unwrap()
    }

    #[test]
    fn bounds_are_told() {
        let mut seen = SeenBaseKeys::default();
        for number in 0..20_000 {
            assert!(!seen.is_full());
            assert_eq!(seen.is_worn(), number >= 10_000);
            seen.insert(&key(number));
        }
        assert!(seen.is_full() && seen.contains(&key(3)) && !seen.contains(&key(20_000)));
        let stored = seen.to_bytes();
        assert_eq!(SeenBaseKeys::from_bytes(&stored), Ok(seen));
        for cut in [3, 4, stored.len() - 32, stored.len() - 1] {
            assert_eq!(SeenBaseKeys::from_bytes(&stored[..cut]), Err(RecordError::Corrupt));
        }
    }
}
