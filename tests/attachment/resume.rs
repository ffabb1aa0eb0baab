//! Breaks on the way: uploads and downloads go on, and no chunk is ever sealed twice with different content.

use super::{encrypt_in, file, opener, rng, size, slice, wide};
use proptest::prelude::*;
use rand_core::Rng;
use subrosa::attachment::{
    AttachmentKey, AttachmentUpload, ChunkSize, Decryptor, FinishError, ResumeError, StageChunksError, UploadNext,
    decrypt,
};
use subrosa::crypto::Secret;

fn upload(len: usize, seed: u64) -> AttachmentUpload {
    let mut rng = rng(seed);
    AttachmentUpload::new(AttachmentKey::random(&mut rng), wide(len), ChunkSize::MIN, &mut rng).unwrap()
}

/// One sending: gives the number of bytes that arrived before the break, or `None` when all is there.
fn send(stored: &mut Vec<u8>, plain: &[u8], server: &mut Vec<u8>, batch: u64, budget: usize) -> Option<()> {
    let mut upload = AttachmentUpload::from_bytes(stored).unwrap();
    let mut budget = budget;
    let mut give = |bytes: &[u8], server: &mut Vec<u8>| {
        let len = bytes.len().min(budget);
        server.extend_from_slice(&bytes[..len]);
        budget -= len;
        len == bytes.len()
    };
    loop {
        let arrived = match upload.next_after(wide(server.len())).unwrap() {
            UploadNext::Header { skip } => give(&upload.header()[skip..], server),
            UploadNext::Chunk { index, skip } => {
                let chunks = index..(index + batch).min(upload.layout().chunks());
                let text = slice(plain, upload.layout().plain_range(chunks.clone()).unwrap());
                let staged = upload.stage(chunks, text).unwrap();
                *stored = staged.record().to_vec();
                give(&staged.committed()[skip..], server)
            }
            UploadNext::List { skip } => give(&upload.list()[skip..], server),
            UploadNext::Done => return Some(()),
            _ => panic!("a new kind of next step"),
        };
        if !arrived {
            return None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Broken anywhere, any number of times, the upload ends with the object of its reference.
    #[test]
    fn a_broken_upload_goes_on(
        len in prop_oneof![0..20_000usize, 530_000..560_000usize],
        breaks in proptest::collection::vec(prop_oneof![0..100usize, 0..20_000usize, 0..300_000usize], 0..12),
        batch in 1..40u64,
        seed: u64,
    ) {
        let plain = file(len);
        let mut stored = upload(len, seed).to_bytes().to_vec();
        let mut server = Vec::new();
        for budget in breaks {
            send(&mut stored, &plain, &mut server, batch, budget);
        }
        prop_assert_eq!(send(&mut stored, &plain, &mut server, batch, usize::MAX), Some(()));
        let upload = AttachmentUpload::from_bytes(&stored).unwrap();
        let reference = upload.reference("", "").unwrap();
        prop_assert!(*decrypt(&reference, &server).unwrap() == plain);
        prop_assert_eq!(upload.next_after(wide(server.len()) + 1), Err(ResumeError::TooLong));
    }

    /// Broken anywhere, any number of times, the download ends with the file.
    #[test]
    fn a_broken_download_goes_on(
        len in prop_oneof![0..20_000usize, 530_000..560_000usize],
        breaks in proptest::collection::vec(prop_oneof![0..100usize, 0..20_000usize, 0..300_000usize], 0..12),
        lose in 0..5_000usize,
    ) {
        let plain = file(len);
        let (object, reference) = encrypt_in(&plain, 12, &[5_000], 1);
        let opener = opener(&reference, &object);
        let end = opener.layout().list_range().start;
        let mut received = Vec::new();
        for budget in breaks.into_iter().map(wide).chain([u64::MAX]) {
            let mut decryptor = Decryptor::resume(&opener, wide(received.len()));
            received.truncate(usize::try_from(decryptor.plain_position()).unwrap());
            let from = decryptor.position();
            let mut bytes = slice(&object, from..end.min(from.saturating_add(budget)));
            while let Some(piece) = decryptor.push(&mut bytes).unwrap() {
                received.extend_from_slice(piece);
            }
            prop_assert_eq!(decryptor.finish().is_ok(), end - from <= budget);
            if end - from > budget {
                // Not all of what was released had reached the disk.
                received.truncate(received.len().saturating_sub(lose));
            }
        }
        prop_assert!(received == plain);
    }
}

#[test]
fn resuming_a_download_asks_for_no_more_than_there_is() {
    let (object, reference) = encrypt_in(&file(129 * 4_096 + 1), 12, &[5_000], 1);
    let opener = opener(&reference, &object);
    for received in [0, 1, 4_095, 4_096, 4_097, 129 * 4_096, 129 * 4_096 + 1, u64::MAX] {
        let decryptor = Decryptor::resume(&opener, received);
        assert!(decryptor.plain_position() <= received && decryptor.position() < opener.layout().list_range().start);
        assert_eq!(decryptor.finish().unwrap_err(), subrosa::attachment::DownloadError::Truncated);
    }
}

#[test]
fn a_changed_file_is_seen_and_does_not_leave() {
    let mut plain = file(10_000);
    let mut going = upload(10_000, 1);
    let first = going.stage(0..2, &plain[..8_192]).unwrap().committed().to_vec();
    let before = going.to_bytes();
    plain[5_000] ^= 1;
    assert_eq!(going.stage(0..2, &plain[..8_192]).unwrap_err(), StageChunksError::Changed);
    assert_eq!(going.stage(1..3, &plain[4_096..]).unwrap_err(), StageChunksError::Changed);
    assert_eq!(going.to_bytes(), before);
    // What did not change is the same again.
    assert_eq!(going.stage(0..1, &plain[..4_096]).unwrap().committed(), &first[..4_112]);
    // The new file goes under a new salt, and shares no key stream.
    let salt = going.header()[8..24].to_vec();
    let mut anew = going.restart(10_000, &mut rng(2)).unwrap();
    assert!(anew.committed() == 0 && anew.header()[8..24] != salt);
    let again = anew.stage(0..1, &plain[..4_096]).unwrap().committed().to_vec();
    assert_ne!(again[..64], first[..64]);
}

#[test]
fn what_is_not_committed_never_was() {
    let mut going = upload(10_000, 1);
    let before = going.to_bytes();
    let staged = going.stage(0..1, &[1; 4_096]).unwrap();
    assert_eq!(staged.new_hashes().len(), 1);
    assert_ne!(staged.record(), before);
    drop(staged);
    assert_eq!((going.to_bytes(), going.committed()), (before, 0));
    // None of its bytes have left, so it may still be another.
    let record = going.stage(0..1, &[2; 4_096]).unwrap().record();
    let staged = going.stage(0..1, &[2; 4_096]).unwrap();
    let _ = staged.committed();
    assert_eq!((going.to_bytes(), going.committed()), (record, 1));
}

#[test]
fn chunks_are_staged_in_order_and_whole() {
    let plain = file(10_000);
    let mut going = upload(10_000, 1);
    assert_eq!(going.stage(1..2, &plain[4_096..8_192]).unwrap_err(), StageChunksError::OutOfOrder);
    for chunks in [0..4, 3..4, 4..4, 0..0, 3..3, u64::MAX..u64::MAX, 0..u64::MAX] {
        assert_eq!(going.stage(chunks, &[]).unwrap_err(), StageChunksError::NoSuchChunk);
    }
    #[expect(clippy::reversed_empty_ranges, reason = "that is the test")]
    let reversed = 2..1;
    assert_eq!(going.stage(reversed, &[]).unwrap_err(), StageChunksError::NoSuchChunk);
    for len in [0, 4_095, 4_097] {
        assert_eq!(going.stage(0..1, &plain[..len]).unwrap_err(), StageChunksError::Length);
    }
    assert_eq!(going.reference("", "").unwrap_err(), FinishError::Unfinished);
    let _ = going.stage(0..3, &plain).unwrap().committed();
    let _ = going.reference("", "").unwrap();
}

#[test]
fn an_older_record_is_recognised_by_what_the_server_holds() {
    let plain = file(10_000);
    let mut going = upload(10_000, 1);
    let older = going.to_bytes();
    let chunk = 4_112;
    let _ = going.stage(0..2, &plain[..8_192]).unwrap().committed();
    assert_eq!(going.next_after(56 + chunk + 5), Ok(UploadNext::Chunk { index: 1, skip: 5 }));
    assert_eq!(going.next_after(56 + 2 * chunk), Ok(UploadNext::Chunk { index: 2, skip: 0 }));
    assert_eq!(going.next_after(56 + 2 * chunk + 1), Err(ResumeError::RolledBack));
    let restored = AttachmentUpload::from_bytes(&older).unwrap();
    for received in 0..56 {
        assert_eq!(restored.next_after(received), Ok(UploadNext::Header { skip: usize::try_from(received).unwrap() }));
    }
    assert_eq!(restored.next_after(56), Ok(UploadNext::Chunk { index: 0, skip: 0 }));
    let end = restored.layout().object_len();
    for received in [57, 56 + chunk, 56 + chunk + 1, end - 96, end - 1, end] {
        assert_eq!(restored.next_after(received), Err(ResumeError::RolledBack), "{received}");
    }
    assert_eq!(restored.next_after(end + 1), Err(ResumeError::TooLong));
    assert_eq!(restored.next_after(u64::MAX), Err(ResumeError::TooLong));
}

/// A host that stores 32 bytes for each chunk comes to the same record.
#[test]
fn hashes_stored_one_by_one() {
    let plain = file(10_000);
    let mut going = upload(10_000, 1);
    let first = going.to_bytes();
    let mut rows = Vec::new();
    for chunk in 0..3 {
        let text = slice(&plain, going.layout().plain_range(chunk..chunk + 1).unwrap());
        let staged = going.stage(chunk..chunk + 1, text).unwrap();
        rows.extend_from_slice(staged.new_hashes());
        let _ = staged.committed();
    }
    let mut again = AttachmentUpload::from_bytes(&first).unwrap();
    again.append_committed(&rows[..1]).unwrap();
    assert_eq!(again.append_committed(&rows[..3]), Err(StageChunksError::NoSuchChunk));
    again.append_committed(&rows[1..]).unwrap();
    assert_eq!(again.to_bytes(), going.to_bytes());
    // Sealed again, a chunk brings nothing new to store.
    assert!(again.stage(0..3, &plain).unwrap().new_hashes().is_empty());
}

/// An encryptor and an upload of the same key, salt and file make the same object.
#[test]
fn an_upload_is_an_encryption() {
    let (object, reference) = encrypt_in(&file(600_000), 12, &[7_000], 9);
    let mut source = rng(9);
    let mut key = [0; 32];
    source.fill_bytes(&mut key);
    let mut going =
        AttachmentUpload::new(AttachmentKey::new(Secret::new(key)), 600_000, size(12), &mut source).unwrap();
    let all = 0..going.layout().chunks();
    let mut server = going.header().to_vec();
    server.extend_from_slice(going.stage(all, &file(600_000)).unwrap().committed());
    server.extend_from_slice(going.list());
    assert!(server == object && going.reference("video/mp4", "cat.mp4").unwrap() == reference);
}
