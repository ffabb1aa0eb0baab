use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::{AttachmentKey, AttachmentUpload, ChunkHash, ChunkSize, ObjectLayout};
use crate::crypto::Secret;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind};

const CORRUPT: RecordError = RecordError::Corrupt;

impl AttachmentUpload {
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
        let mut fields = FieldReader::record(RecordKind::Upload, bytes)?;
        let (key, salt) = (AttachmentKey::new(Secret::new(*fields.array(1)?)), *fields.array(2)?);
        let chunk_size = ChunkSize::new(fields.small(3)?).ok_or(CORRUPT)?;
        let layout = ObjectLayout::new(fields.number(4)?, chunk_size).map_err(|_| CORRUPT)?;
        let (hashes, []) = fields.bytes(5)?.as_chunks() else { return Err(CORRUPT) };
        let count = fields.optional(6)?;
        fields.end()?;
        // A hash that got lost would let a chunk that has left be sealed a second time with other content.
        let count = count.filter(|count| *count <= layout.chunks()).ok_or(CORRUPT)?;
        if u64::try_from(hashes.len()) != Ok(count) {
            return Err(CORRUPT);
        }
        Ok(Self::from_parts(key, salt, layout, hashes.to_vec()))
    }

    /// The stored form with more chunks committed.
    pub(super) fn record_with(&self, more: &[ChunkHash]) -> Zeroizing<Vec<u8>> {
        let count = self.committed() + u64::try_from(more.len()).unwrap_or(u64::MAX);
        let hashes = [self.hashes.as_flattened(), more.as_flattened()];
        let mut out =
            FieldWriter::record(RecordKind::Upload, 100 + hashes.iter().map(|part| part.len()).sum::<usize>());
        out.bytes(1, self.key.secret().expose());
        out.bytes(2, &self.salt);
        out.number(3, self.layout.chunk_size().log2());
        out.number(4, self.layout.plain_len());
        out.joined(5, |out| hashes.iter().for_each(|part| out.put(part)));
        out.optional(6, Some(count));
        out.finish().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::rng;
    use crate::wire::{decode_record, encode_record, record};
    use std::vec;

    fn upload() -> AttachmentUpload {
        let key = AttachmentKey::new(Secret::new([1; 32]));
        let mut upload = AttachmentUpload::new(key, 10_000, ChunkSize::MIN, &mut rng(1)).unwrap();
        let plain = vec![5; 8_192];
        let _ = upload.stage(0..2, &plain).unwrap().committed();
        upload
    }

    #[test]
    fn a_record_comes_back_whole() {
        let stored = upload().to_bytes();
        assert_eq!(stored[..3], [40, 0, 1]);
        let again = AttachmentUpload::from_bytes(&stored).unwrap();
        assert_eq!((again.to_bytes(), again.committed(), again.header()), (stored, 2, upload().header()));
    }

    #[test]
    fn a_record_cut_anywhere_is_corrupt() {
        let stored = upload().to_bytes();
        for len in 0..stored.len() {
            assert!(matches!(AttachmentUpload::from_bytes(&stored[..len]), Err(RecordError::Corrupt)), "cut to {len}");
        }
        assert!(matches!(AttachmentUpload::from_bytes(&[&stored[..1], &[0, 2]].concat()), Err(RecordError::Newer(2))));
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
            assert!(matches!(AttachmentUpload::from_bytes(&bytes), Err(RecordError::Corrupt)), "{name}");
        }
    }
}
