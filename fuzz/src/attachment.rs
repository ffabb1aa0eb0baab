//! Files: decoders of what a peer or a server gives, and objects altered on the way.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::LazyLock;

use subrosa::attachment::{
    AttachmentKey, AttachmentRef, AttachmentUpload, CheckedHeader, ChunkSize, Decryptor, Encryptor, decrypt,
};

/// The first byte says what the rest is: a reference, header and list, a chunk, edits of a real object, an upload's
/// record, or a file to pass through.
pub fn attachment(data: &[u8]) -> bool {
    let Some((kind, data)) = data.split_first() else { return false };
    match kind % 6 {
        0 => reference(data),
        1 => header_and_list(data),
        2 => chunk(data),
        3 => edits(data),
        4 => record(data),
        _ => passage(data),
    }
}

fn reference(data: &[u8]) -> bool {
    let Ok(reference) = AttachmentRef::parse(data) else { return false };
    assert_eq!(*reference.to_bytes(), data, "one encoding");
    let Example { object, .. } = &*EXAMPLE;
    if let Ok(opened) = decrypt(&reference, object) {
        // Key, salt, object and root decide what opens. The plain length decides where the zeros of the padding begin;
        // media type and name are the message's matter.
        let decisive =
            |reference: &AttachmentRef| [&reference.to_bytes()[..49], &reference.to_bytes()[57..97]].concat();
        assert_eq!(decisive(&reference), decisive(&EXAMPLE.reference));
        let same = opened.iter().zip(&EXAMPLE.plain).all(|(a, b)| a == b);
        assert!(same && opened[EXAMPLE.plain.len().min(opened.len())..].iter().all(|byte| *byte == 0));
    }
    true
}

/// Whatever is accepted is the example's own.
fn header_and_list(data: &[u8]) -> bool {
    let Example { object, reference, .. } = &*EXAMPLE;
    let (header, list) = data.split_at(data.len().min(56));
    let Ok(checked) = CheckedHeader::new(reference, header) else { return false };
    assert_eq!(header, &object[..56]);
    let start = usize::try_from(checked.layout().list_range().start).unwrap();
    let accepted = checked.with_list(list).is_ok();
    assert_eq!(accepted, *list == object[start..]);
    accepted
}

fn chunk(data: &[u8]) -> bool {
    let Some((chunk, stored)) = data.split_first() else { return false };
    let Example { object, reference, plain } = &*EXAMPLE;
    let header = CheckedHeader::new(reference, &object[..56]).unwrap();
    let list = usize::try_from(header.layout().list_range().start).unwrap();
    let opener = header.with_list(&object[list..]).unwrap();
    let Ok(opened) = opener.open_chunk(u64::from(*chunk), stored) else { return false };
    let range = opener.layout().plain_range(u64::from(*chunk)..u64::from(*chunk) + 1).unwrap();
    assert_eq!(opened, plain[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]);
    true
}

/// Edits of three bytes each: where, and what to add; a last byte alone cuts so many bytes off.
fn edits(data: &[u8]) -> bool {
    let Example { object, reference, plain } = &*EXAMPLE;
    let mut altered = object.clone();
    let (edits, cut) = data.as_chunks::<3>();
    for [low, high, add] in edits {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % altered.len();
        altered[at] = altered[at].wrapping_add(*add);
    }
    altered.truncate(altered.len() - usize::from(cut.first().copied().unwrap_or(0)));
    let opened = decrypt(reference, &altered);
    assert_eq!(opened.is_ok(), altered == *object, "an altered object was accepted, or the right one was not");
    opened.is_ok_and(|opened| *opened == *plain)
}

fn record(data: &[u8]) -> bool {
    let Ok(mut upload) = AttachmentUpload::from_bytes(data) else { return false };
    let stored = upload.to_bytes();
    assert_eq!(*AttachmentUpload::from_bytes(&stored).unwrap().to_bytes(), *stored);
    for received in [0, 56, 57, 5_000, upload.layout().object_len(), u64::MAX] {
        let _ = upload.next_after(received);
    }
    let next = upload.committed();
    let range = upload.layout().plain_range(next..next + 1);
    if let Some(len) = range.and_then(|range| usize::try_from(range.end - range.start).ok()) {
        let staged = upload.stage(next..next + 1, &vec![0; len]).unwrap();
        assert_eq!(staged.new_hashes().len(), 1);
        let _ = staged.committed();
    }
    assert_eq!(upload.reference("", "").is_ok(), upload.committed() == upload.layout().chunks());
    true
}

/// Two bytes of length, then the lengths of slices in hundreds, for both directions.
fn passage(data: &[u8]) -> bool {
    let Some(([low, high], slices)) = data.split_first_chunk::<2>() else { return false };
    let plain = vec![0x5a; usize::from(u16::from_le_bytes([*low, *high]))];
    let mut lens = slices.iter().map(|len| usize::from(*len) * 100).chain(std::iter::repeat(70_000));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut encryptor = Encryptor::new(AttachmentKey::random(&mut rng), ChunkSize::MIN, &mut rng);
    let (mut object, mut rest) = (Vec::new(), &plain[..]);
    while !rest.is_empty() {
        let (mut now, later) = rest.split_at(rest.len().min(lens.next().unwrap()));
        rest = later;
        while let Some(piece) = encryptor.push(&mut now).unwrap() {
            object.extend_from_slice(piece);
        }
    }
    let mut tail = encryptor.finish();
    while let Some(piece) = tail.next_piece() {
        object.extend_from_slice(piece);
    }
    let reference = tail.reference("a/b", "c").unwrap();
    let header = CheckedHeader::new(&reference, &object[..56]).unwrap();
    let (chunks, list) = object[56..].split_at(usize::try_from(header.layout().list_range().start).unwrap() - 56);
    let mut decryptor = Decryptor::new(header.with_list(list).unwrap());
    let (mut opened, mut rest) = (Vec::new(), chunks);
    let mut lens = slices.iter().rev().map(|len| usize::from(*len) * 100).chain(std::iter::repeat(70_000));
    while !rest.is_empty() {
        let (mut now, later) = rest.split_at(rest.len().min(lens.next().unwrap()));
        rest = later;
        while let Some(piece) = decryptor.push(&mut now).unwrap() {
            opened.extend_from_slice(piece);
        }
    }
    decryptor.finish().unwrap();
    assert_eq!(opened, plain);
    true
}

/// A file of three chunks.
struct Example {
    plain: Vec<u8>,
    object: Vec<u8>,
    reference: AttachmentRef,
}

static EXAMPLE: LazyLock<Example> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let plain: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let key = AttachmentKey::random(&mut rng);
    let mut upload = AttachmentUpload::new(key, 10_000, ChunkSize::MIN, &mut rng).unwrap();
    let mut object = upload.header().to_vec();
    object.extend_from_slice(upload.stage(0..3, &plain).unwrap().committed());
    object.extend_from_slice(upload.list());
    let reference = upload.reference("image/png", "a.png").unwrap();
    Example { plain, object, reference }
});

/// One input of each kind that is accepted, and some that are not.
pub fn attachment_seeds() -> Vec<Vec<u8>> {
    let Example { object, reference, plain } = &*EXAMPLE;
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut upload = AttachmentUpload::new(AttachmentKey::random(&mut rng), 9_000, ChunkSize::MIN, &mut rng).unwrap();
    let begun = upload.to_bytes();
    let _ = upload.stage(0..2, &plain[..8_192]).unwrap().committed();
    let with = |kind: u8, rest: &[&[u8]]| [&[kind], rest.concat().as_slice()].concat();
    vec![
        with(0, &[&reference.to_bytes()]),
        with(1, &[&object[..56], &object[object.len() - 96..]]),
        with(1, &[&object[..56]]),
        with(2, &[&[2], &object[56 + 2 * 4_112..object.len() - 96]]),
        with(2, &[&[1], &object[56 + 2 * 4_112..object.len() - 96]]),
        with(3, &[]),
        with(3, &[&[9, 0, 255, 9, 0, 1]]),
        with(3, &[&[0, 10, 7]]),
        with(3, &[&[32]]),
        with(4, &[&begun]),
        with(4, &[&upload.to_bytes()]),
        with(5, &[&[0, 0]]),
        with(5, &[&[1, 16, 3, 41, 40]]),
        with(5, &[&[255, 255, 255, 1, 90]]),
    ]
}
