use rand_core::CryptoRng;

use crate::wire::RecordError;

/// The framing mark: what a Framing row and a Peer row have in common if they were written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(super) count: u64,
    salt: [u8; 8],
}

impl Mark {
    pub(super) fn after(count: u64, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut salt = [0; 8];
        rng.fill_bytes(&mut salt);
        Self { count: count.saturating_add(1), salt }
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        u128::to_be_bytes(u128::from(self.count) << 64 | u128::from(u64::from_be_bytes(self.salt)))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let (count, salt) = bytes.split_first_chunk().ok_or(RecordError::Corrupt)?;
        let salt = salt.try_into().map_err(|_| RecordError::Corrupt)?;
        Ok(Self { count: u64::from_be_bytes(*count), salt })
    }
}
