use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use super::record_key::{RecordKey, Version};
use super::row::{self, Unopened};
use crate::crypto::{MacKey, PlacedKey, Secret, hkdf};
use crate::wire::{Record, RecordError, RecordKind};

const LABEL_DATA: &[u8] = b"\x0esubrosa/1/data";

/// 32 bytes that the host keeps where its platform keeps keys: what opens the vault.
///
/// # Security
///
/// Whoever has it and the database has everything. A phone keeps it in the hardware-backed key store, available after
/// the first unlock; a server in its secrets manager. It is never derived from a password alone.
///
/// # Examples
///
/// ```
/// use subrosa::persist::StorageKey;
/// let key = StorageKey::new([7; 32]);
/// assert_eq!(format!("{key:?}"), "StorageKey(..)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StorageKey(Secret<32>);

impl StorageKey {
    /// Draws a key. The host stores [its bytes](Self::expose) where its platform keeps keys, before it makes an account.
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::persist::StorageKey;
    /// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    /// let key = StorageKey::random(&mut rng);
    /// let stored = *key.expose();
    /// assert_eq!(StorageKey::new(stored), key);
    /// ```
    #[must_use]
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Its bytes, for the place where the platform keeps keys and for no other. A copy of them is the host's to wipe.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    pub(super) const fn secret(&self) -> &Secret<32> {
        &self.0
    }
}

impl fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageKey(..)")
    }
}

/// What all records but the vault are keyed and sealed with.
pub(crate) struct Keys {
    rows: PlacedKey,
    prf: MacKey,
}

impl Keys {
    pub(crate) fn new(data_key: &Secret<32>, instance: [u8; 16]) -> Self {
        let [prf, rows] = hkdf::<64>(&instance, data_key.expose(), &[LABEL_DATA]).split2();
        Self { rows: PlacedKey::new(&rows), prf: MacKey::new(&prf) }
    }

    /// Where a record lies. The parts of its input are joined with their lengths.
    pub(crate) fn record_key(&self, kind: RecordKind, input: &[&[u8]]) -> RecordKey {
        let mut bytes = [kind.number(); RecordKey::LEN];
        for (to, from) in bytes.iter_mut().skip(1).zip(self.prf(kind.number(), input).expose()) {
            *to = *from;
        }
        RecordKey::from_bytes(bytes)
    }

    /// A name that says nothing without the data key.
    pub(crate) fn pseudonym(&self, input: &[&[u8]]) -> Secret<32> {
        self.prf(0, input)
    }

    fn prf(&self, kind: u8, input: &[&[u8]]) -> Secret<32> {
        self.prf.mac_with(|put| {
            put(&[kind]);
            for part in input {
                put(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
                put(part);
            }
        })
    }

    /// Seals a record for its place; where it stands, if it has room.
    pub(crate) fn seal(&self, key: &RecordKey, version: &Version, record: Record) -> Vec<u8> {
        row::seal(&self.rows, key, version, record)
    }

    /// Opens a row in its own buffer, which is taken unless there is an error.
    pub(crate) fn open(&self, key: &RecordKey, version: &Version, row: &mut Vec<u8>) -> Result<Record, RecordError> {
        row::open(&self.rows, key, version, row).map_err(|unopened| match unopened {
            Unopened::Newer(form) => RecordError::Newer(form),
            Unopened::Foreign | Unopened::Damaged => RecordError::Corrupt,
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretBytes;
    use crate::support::rng;

    fn opened(keys: &Keys, key: &RecordKey, version: &Version, row: &[u8]) -> Result<Vec<u8>, RecordError> {
        keys.open(key, version, &mut row.to_vec()).map(|record| record.to_vec())
    }

    #[test]
    fn a_row_opens_only_where_and_as_what_it_was_sealed() {
        let mut rng = rng(1);
        let keys = Keys::new(&Secret::new([1; 32]), [2; 16]);
        let here = keys.record_key(RecordKind::Peer, &[b"alice"]);
        let version = Version::random(&mut rng);
        let row = keys.seal(&here, &version, SecretBytes::new(b"record".to_vec()).into());
        assert_eq!(opened(&keys, &here, &version, &row).unwrap(), b"record");
        let corrupt = Err(RecordError::Corrupt);
        assert_eq!(opened(&keys, &keys.record_key(RecordKind::Peer, &[b"bob"]), &version, &row), corrupt, "swapped");
        assert_eq!(
            opened(&keys, &keys.record_key(RecordKind::Sent, &[b"alice"]), &version, &row),
            corrupt,
            "of a kind"
        );
        assert_eq!(opened(&keys, &here, &Version::from_bytes([0; 16]), &row), corrupt, "another version");
        assert_eq!(
            opened(&Keys::new(&Secret::new([1; 32]), [3; 16]), &here, &version, &row),
            corrupt,
            "another account"
        );
        assert_eq!(opened(&Keys::new(&Secret::new([2; 32]), [2; 16]), &here, &version, &row), corrupt, "another key");
        for len in 0..row.len() {
            assert_eq!(opened(&keys, &here, &version, &row[..len]), corrupt, "cut to {len}");
        }
        for bit in 0..row.len() * 8 {
            let mut altered = row.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&keys, &here, &version, &altered), corrupt, "bit {bit}");
        }
    }

    #[test]
    fn inputs_are_joined_without_collisions() {
        let keys = Keys::new(&Secret::new([1; 32]), [2; 16]);
        let key = |input: &[&[u8]]| keys.record_key(RecordKind::Peer, input);
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_ne!(key(&[b"abc"]), key(&[b"abc", b""]));
        assert_eq!(key(&[b"abc"]), key(&[b"abc"]));
    }
}
