use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::{AttachmentKey, ChunkHash, ChunkSize, Layout, Upload};
use crate::crypto::Secret;
use crate::wire::{RecordError, RecordKind, decode_record, encode_record, record};

const CORRUPT: RecordError = RecordError::Corrupt;

impl Upload {
    /// The stored form, unsealed: `u8 kind ‖ u16 schema version ‖ body`. The same state gives the same bytes.
    ///
    /// # Security
    ///
    /// It holds the file's key: seal it before it is stored. Keep it out of backups.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        self.record_with(&[])
    }

    /// Takes the stored form, checked.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let stored: record::Upload = decode_record(RecordKind::Upload, bytes)?;
        let key = AttachmentKey::new(Secret::from_slice(&stored.key).ok_or(CORRUPT)?);
        let salt = stored.salt.as_slice().try_into().map_err(|_| CORRUPT)?;
        let chunk_size = u8::try_from(stored.chunk_size).ok().and_then(ChunkSize::new).ok_or(CORRUPT)?;
        let layout = Layout::new(stored.plain_len, chunk_size).map_err(|_| CORRUPT)?;
        let (hashes, []) = stored.hashes.as_chunks() else { return Err(CORRUPT) };
        // A hash that got lost would let a chunk that has left be sealed a second time with other content.
        let count = stored.count.filter(|count| *count <= layout.chunks()).ok_or(CORRUPT)?;
        if u64::try_from(hashes.len()) != Ok(count) {
            return Err(CORRUPT);
        }
        Ok(Self::from_parts(key, salt, layout, hashes.to_vec()))
    }

    /// The stored form with more chunks committed.
    pub(super) fn record_with(&self, more: &[ChunkHash]) -> Zeroizing<Vec<u8>> {
        let count = self.committed() + u64::try_from(more.len()).unwrap_or(u64::MAX);
        encode_record(
            RecordKind::Upload,
            &record::Upload {
                key: self.key.secret().expose().to_vec(),
                salt: self.salt.to_vec(),
                chunk_size: u32::from(self.layout.chunk_size().log2()),
                plain_len: self.layout.plain_len(),
                hashes: [self.hashes.as_flattened(), more.as_flattened()].concat(),
                count: Some(count),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::rng;
    use std::vec;

    fn upload() -> Upload {
        let key = AttachmentKey::new(Secret::new([1; 32]));
        let mut upload = Upload::new(key, 10_000, ChunkSize::MIN, &mut rng(1)).unwrap();
        let plain = vec![5; 8_192];
        let _ = upload.stage(0..2, &plain).unwrap().committed();
        upload
    }

    #[test]
    fn a_record_comes_back_whole() {
        let stored = upload().to_bytes();
        assert_eq!(stored[..3], [40, 0, 1]);
        let again = Upload::from_bytes(&stored).unwrap();
        assert_eq!((again.to_bytes(), again.committed(), again.header()), (stored, 2, upload().header()));
    }

    #[test]
    fn a_record_cut_anywhere_is_corrupt() {
        let stored = upload().to_bytes();
        for len in 0..stored.len() {
            assert!(matches!(Upload::from_bytes(&stored[..len]), Err(RecordError::Corrupt)), "cut to {len}");
        }
        assert!(matches!(Upload::from_bytes(&[&stored[..1], &[0, 2]].concat()), Err(RecordError::Newer(2))));
    }

    #[test]
    fn every_refusal() {
        type Change = fn(&mut record::Upload);
        let changes: [(&str, Change); 8] = [
            ("short key", |stored| stored.key.truncate(31)),
            ("long salt", |stored| stored.salt.push(0)),
            ("chunks of 2 KiB", |stored| stored.chunk_size = 11),
            ("chunks of 2^272", |stored| stored.chunk_size = 256 + 16),
            ("too long a file", |stored| stored.plain_len = u64::MAX),
            ("part of a hash", |stored| stored.hashes.truncate(63)),
            ("a hash too few", |stored| stored.hashes.truncate(32)),
            ("more hashes than chunks", |stored| {
                stored.hashes.resize(4 * 32, 0);
                stored.count = Some(4);
            }),
        ];
        for (name, change) in changes {
            let mut stored: record::Upload = decode_record(RecordKind::Upload, &upload().to_bytes()).unwrap();
            change(&mut stored);
            let bytes = encode_record(RecordKind::Upload, &stored);
            assert!(matches!(Upload::from_bytes(&bytes), Err(RecordError::Corrupt)), "{name}");
        }
    }
}
