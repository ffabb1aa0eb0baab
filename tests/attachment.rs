//! Files both ways: what is written equals what a second writer gives, whatever the slicing; every altered object is
//! refused with nothing released; uploads and downloads go on after breaks.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/att1.rs"]
mod att1;
#[path = "attachment/golden.rs"]
mod golden;
#[path = "attachment/hostile.rs"]
mod hostile;
#[path = "attachment/resume.rs"]
mod resume;

use att1::Att1;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use subrosa::attachment::{
    AttachmentKey, AttachmentRef, CheckedHeader, ChunkSize, Decryptor, Encryptor, FileTooLong, FinishError, Opener,
    decrypt,
};
use subrosa::crypto::Secret;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap()
}

/// Bytes that differ everywhere.
fn file(len: usize) -> Vec<u8> {
    let mut file = vec![0; len];
    rng(wide(len)).fill_bytes(&mut file);
    file
}

fn size(log2: u8) -> ChunkSize {
    ChunkSize::new(log2).unwrap()
}

fn slice(object: &[u8], range: core::ops::Range<u64>) -> &[u8] {
    &object[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
}

/// Encrypts in slices of these lengths, again and again.
fn encrypt_in(plain: &[u8], log2: u8, slices: &[usize], seed: u64) -> (Vec<u8>, AttachmentRef) {
    let mut rng = rng(seed);
    let mut encryptor = Encryptor::new(AttachmentKey::random(&mut rng), size(log2), &mut rng);
    let (mut object, mut rest) = (Vec::new(), plain);
    for len in slices.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut now, later) = rest.split_at(rest.len().min(*len));
        rest = later;
        while let Some(piece) = encryptor.push(&mut now).unwrap() {
            object.extend_from_slice(piece);
        }
        assert!(now.is_empty());
    }
    let mut tail = encryptor.finish();
    assert_eq!(tail.reference("", "").unwrap_err(), FinishError::Unfinished);
    while let Some(piece) = tail.next_piece() {
        object.extend_from_slice(piece);
    }
    assert!(tail.next_piece().is_none());
    let reference = tail.reference("video/mp4", "cat.mp4").unwrap();
    (object, reference)
}

fn opener(reference: &AttachmentRef, object: &[u8]) -> Opener {
    let header = CheckedHeader::new(reference, &object[..56]).unwrap();
    let list = header.layout().list_range();
    header.with_list(slice(object, list)).unwrap()
}

fn decrypt_in(opener: &Opener, object: &[u8], slices: &[usize]) -> Vec<u8> {
    let mut decryptor = Decryptor::new(opener);
    let mut rest = slice(object, 56..opener.layout().list_range().start);
    let mut plain = Vec::new();
    for len in slices.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut now, later) = rest.split_at(rest.len().min(*len));
        rest = later;
        while let Some(piece) = decryptor.push(&mut now).unwrap() {
            assert!(!piece.is_empty());
            plain.extend_from_slice(piece);
        }
    }
    assert_eq!(decryptor.plain_position(), wide(plain.len()));
    decryptor.finish().unwrap();
    plain
}

/// Lengths around everything that matters: nothing, one chunk, several, and where padding adds a chunk of its own.
fn lengths(chunk: usize) -> impl Strategy<Value = usize> {
    let near =
        prop_oneof![Just(0), Just(chunk), Just(2 * chunk), Just(16 * chunk), Just(33 * chunk), Just(130 * chunk)];
    prop_oneof![
        0..3 * chunk,
        0..140 * chunk,
        (near, 0..3usize).prop_map(|(len, less)| len.saturating_sub(less)),
        (0..40usize, 0..3usize).prop_map(move |(chunks, more)| chunks * chunk + more),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 200 }))]

    /// Any slicing of any length gives the object of the second writer, and gives the file again, by every way.
    #[test]
    fn both_writers_agree_and_all_readers(
        (log2, len) in prop_oneof![9 => Just(12u8), 1 => 13..=16u8]
            .prop_flat_map(|log2| (Just(log2), lengths(1 << log2))),
        slices in proptest::collection::vec(prop_oneof![1..200usize, 1..20_000usize, Just(4_096), Just(1 << 20)], 1..6),
        others in proptest::collection::vec(prop_oneof![1..200usize, 1..20_000usize, Just(4_112), Just(1 << 20)], 1..6),
        seed: u64,
    ) {
        let plain = file(len);
        let (object, reference) = encrypt_in(&plain, log2, &slices, seed);
        let second = Att1 { key: *reference.key().secret().expose(), salt: *reference.salt(), log2 };
        let chunks = second.chunks(&plain);
        prop_assert!(object == second.object(&chunks));
        prop_assert_eq!(reference.root(), &second.root(&chunks));
        prop_assert_eq!((reference.plain_len(), reference.object_len()), (wide(len), wide(object.len())));

        let reference = AttachmentRef::parse(&reference.to_bytes()).unwrap();
        prop_assert!(*decrypt(&reference, &object).unwrap() == plain);
        let opener = opener(&reference, &object);
        prop_assert!(decrypt_in(&opener, &object, &others) == plain);
        let layout = *opener.layout();
        for chunk in (0..layout.chunks()).rev() {
            let stored = slice(&object, layout.object_range(chunk..chunk + 1).unwrap());
            let expected = slice(&plain, layout.plain_range(chunk..chunk + 1).unwrap());
            prop_assert!(opener.verify_chunk(chunk, stored).is_ok());
            prop_assert!(opener.open_chunk(chunk, stored).unwrap() == expected);
            prop_assert!(opener.open_chunk_in_place(chunk, &mut stored.to_vec()).unwrap() == expected);
        }
    }
}

#[test]
fn what_the_length_shows_is_padded() {
    let object_len = |len| encrypt_in(&file(len), 12, &[4_096], 1).0.len();
    assert_eq!(object_len(10_000), object_len(10_240));
    assert_eq!(object_len(10_000), 56 + 10_240 + 3 * 48);
    assert!(object_len(10_241) > object_len(10_240));
}

/// Padding may need chunks that hold nothing of the file.
#[test]
fn chunks_of_padding_only() {
    let len = 129 * 4_096 + 1;
    let (object, reference) = encrypt_in(&file(len), 12, &[60_000], 2);
    let opener = opener(&reference, &object);
    let last = opener.layout().chunks() - 1;
    assert_eq!(opener.layout().plain_range(last..last + 1), Some(wide(len)..wide(len)));
    let stored = slice(&object, opener.layout().object_range(last..last + 1).unwrap());
    assert_eq!(opener.open_chunk(last, stored).unwrap(), b"");
    assert!(*decrypt(&reference, &object).unwrap() == file(len));
}

#[test]
fn the_same_file_is_never_sealed_alike() {
    let mut rng = rng(3);
    let mut seal = || {
        let key = AttachmentKey::new(Secret::new([1; 32]));
        let mut encryptor = Encryptor::new(key, ChunkSize::MIN, &mut rng);
        let mut plain = &[0u8; 5_000][..];
        let mut chunks = Vec::new();
        while let Some(piece) = encryptor.push(&mut plain).unwrap() {
            chunks.push(piece.to_vec());
        }
        chunks.pop().unwrap()
    };
    assert_ne!(seal(), seal(), "one key, two salts");
}

#[test]
fn too_long_a_file_is_refused_before_it_is_read() {
    let mut rng = rng(4);
    let mut upload = |len| {
        let key = AttachmentKey::new(Secret::new([1; 32]));
        subrosa::attachment::AttachmentUpload::new(key, len, ChunkSize::MIN, &mut rng)
            .map(|upload| upload.layout().chunks())
    };
    assert_eq!(upload(1 << 32), Ok(1 << 20));
    for len in [(1 << 32) + 1, u64::MAX] {
        assert_eq!(upload(len), Err(FileTooLong));
    }
}

/// What is printed shows neither keys nor content nor names.
#[test]
fn nothing_prints_secrets() {
    let (object, reference) = encrypt_in(&[b'x'; 9_000], 12, &[100], 5);
    let mut rng = rng(5);
    let key = AttachmentKey::new(Secret::new([0xc5; 32]));
    let mut encryptor = Encryptor::new(key.clone(), ChunkSize::MIN, &mut rng);
    let mut plain = &[0xc5; 20][..];
    while encryptor.push(&mut plain).unwrap().is_some() {}
    let mut upload = subrosa::attachment::AttachmentUpload::new(key.clone(), 20, ChunkSize::MIN, &mut rng).unwrap();
    let mut printed = format!("{reference:?} {key:?} {encryptor:?} {upload:?}");
    printed += &format!("{:?}", upload.stage(0..1, &[0xc5; 20]).unwrap());
    printed += &format!("{:?} {:?}", encryptor.finish(), CheckedHeader::new(&reference, &object[..56]));
    let opener = opener(&reference, &object);
    let mut decryptor = Decryptor::new(&opener);
    let mut bytes = &object[56..5_000];
    while decryptor.push(&mut bytes).unwrap().is_some() {}
    printed += &format!("{decryptor:?} {opener:?}");
    for secret in ["197", "c5, ", "cat", "mp4", "120, 120", "xxx"] {
        assert!(!printed.to_lowercase().contains(secret), "{secret} in {printed}");
    }
}
