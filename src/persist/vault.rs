use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::{RecordKey, StorageKey, Version};
use crate::crypto::{CommittingError, Secret, SecretBytes, committing_open, committing_seal, constant_time_eq, hkdf};
use crate::wire::RecordKind;

const LABEL_VAULT: &[u8] = b"\x0fsubrosa/1/vault";

/// The newest form that this build writes and reads: `cgcm1`, whose salt is in the row, so that the key need not be derived
/// from anything else that is stored.
const FORM: u16 = 1;

/// Why the vault does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VaultError {
    /// It was sealed with another storage key.
    WrongStorageKey,
    /// It is damaged.
    Corrupt,
    /// A newer version of the library wrote it.
    Newer(u16),
}

/// The vault's row, sealed: `16-byte check of the storage key ‖ u16 form ‖ cgcm1`.
pub(crate) fn seal_vault(
    storage_key: &StorageKey,
    version: &Version,
    record: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Vec<u8> {
    let (seal, check) = derive(storage_key);
    let mut row = Vec::with_capacity(16 + 2 + 80 + record.len());
    row.extend_from_slice(check.expose());
    row.extend_from_slice(&FORM.to_be_bytes());
    committing_seal(&mut row, &seal, &bound(FORM, version), record, rng);
    row
}

/// Opens the vault's row. The check tells a wrong key from damage: where neither it nor the seal holds, it was the key.
pub(crate) fn open_vault(storage_key: &StorageKey, version: &Version, row: &[u8]) -> Result<SecretBytes, VaultError> {
    let (claimed, row) = row.split_first_chunk::<16>().ok_or(VaultError::Corrupt)?;
    let (form, sealed) = row.split_first_chunk::<2>().ok_or(VaultError::Corrupt)?;
    let form = u16::from_be_bytes(*form);
    let (seal, check) = derive(storage_key);
    let ours = constant_time_eq(claimed, check.expose());
    let opened = committing_open(&seal, &bound(form, version), sealed).map_err(|error| match error {
        CommittingError::Commitment if !ours => VaultError::WrongStorageKey,
        CommittingError::Commitment | CommittingError::Damaged => VaultError::Corrupt,
    })?;
    // Authentic, so that a newer version of the library wrote it.
    if form > FORM { Err(VaultError::Newer(form)) } else { Ok(opened) }
}

/// What it is bound to: it opens as nothing older or newer than it is.
fn bound(form: u16, version: &Version) -> Vec<u8> {
    [LABEL_VAULT, &form.to_be_bytes(), version.as_bytes()].concat()
}

impl RecordKey {
    /// Where the vault lies: the one row that is found without any key.
    pub(crate) const VAULT: Self = Self::fixed(RecordKind::Vault);
}

fn derive(storage_key: &StorageKey) -> (Secret<32>, Secret<16>) {
    let derived: Secret<48> = hkdf(&[], storage_key.secret().expose(), &[LABEL_VAULT]);
    (derived.part::<0, 32>(), derived.part::<32, 16>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::rng;

    #[test]
    fn a_wrong_key_is_told_from_damage() {
        let mut rng = rng(3);
        let (key, version) = (StorageKey::new([1; 32]), Version::random(&mut rng));
        let row = seal_vault(&key, &version, b"vault", &mut rng);
        assert_eq!(*open_vault(&key, &version, &row).unwrap(), *b"vault");
        let wrong = open_vault(&StorageKey::new([2; 32]), &version, &row);
        assert_eq!(wrong, Err(VaultError::WrongStorageKey));
        for bit in 16 * 8..row.len() * 8 {
            let mut altered = row.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_vault(&key, &version, &altered), Err(VaultError::Corrupt), "bit {bit}");
        }
        for len in 0..row.len() {
            assert_eq!(open_vault(&key, &version, &row[..len]), Err(VaultError::Corrupt), "cut to {len}");
        }
    }

    /// Damage to the check alone does not lock anybody out.
    #[test]
    fn a_damaged_check_is_passed_over() {
        let mut rng = rng(4);
        let (key, version) = (StorageKey::new([1; 32]), Version::random(&mut rng));
        let mut row = seal_vault(&key, &version, b"vault", &mut rng);
        row[3] ^= 1;
        assert_eq!(*open_vault(&key, &version, &row).unwrap(), *b"vault");
    }
}
