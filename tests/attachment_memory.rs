//! A file of any length passes through a few chunks of memory and the list of their hashes. Measured by an allocator
//! that keeps the peak, in a program of its own.
//!
//! `cargo test --release --test attachment_memory -- --ignored` streams 4 GiB.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a measurement reports")]

use peak_alloc::PeakAlloc;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::Mutex;
use subrosa::attachment::{AttachmentKey, AttachmentRef, CheckedHeader, ChunkSize, Decryptor, Encryptor};

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// One measurement at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The part of the file at an offset: computed, since nothing of it is kept.
fn content(at: u64, buffer: &mut [u8]) {
    for (number, bytes) in buffer.chunks_mut(8).enumerate() {
        let word = (at / 8 + u64::try_from(number).unwrap()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
    }
}

/// Gives every piece of the object of a file of this length.
fn encrypt(len: u64, mut piece: impl FnMut(&[u8])) -> AttachmentRef {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut encryptor = Encryptor::new(AttachmentKey::random(&mut rng), ChunkSize::DEFAULT, &mut rng);
    let mut buffer = vec![0; 100_000];
    let mut at = 0;
    while at < len {
        let read = usize::try_from((len - at).min(100_000)).unwrap();
        content(at, &mut buffer[..read]);
        at += u64::try_from(read).unwrap();
        let mut plain = &buffer[..read];
        while let Some(bytes) = encryptor.push(&mut plain).unwrap() {
            piece(bytes);
        }
    }
    let mut tail = encryptor.finish();
    while let Some(bytes) = tail.next_piece() {
        piece(bytes);
    }
    tail.reference("", "").unwrap()
}

/// Encrypts, notes header and list; encrypts again and decrypts what comes, as a download would.
fn through(len: u64) {
    let _alone = ALONE.lock().unwrap();
    let before = PEAK.current_usage();
    PEAK.reset_peak_usage();
    let (mut header, mut list) = (Vec::new(), Vec::new());
    let reference = encrypt(len, |piece| {
        // The last piece is the list.
        if header.is_empty() {
            header = piece.to_vec();
        }
        // The length of a chunk is an odd multiple of 16 here, that of the header no multiple.
        if piece.len().is_multiple_of(32) {
            list = piece.to_vec();
        }
    });
    let list_start = reference.object_len() - u64::try_from(list.len()).unwrap();
    let mut decryptor = Decryptor::new(CheckedHeader::new(&reference, &header).unwrap().with_list(&list).unwrap());
    drop(list);
    let (mut at, mut expected) = (0, vec![0; 1 << 16]);
    let again = encrypt(len, |piece| {
        if decryptor.position() == list_start || piece == header {
            return;
        }
        let mut bytes = piece;
        while let Some(plain) = decryptor.push(&mut bytes).unwrap() {
            content(at, &mut expected[..plain.len()]);
            assert!(*plain == expected[..plain.len()]);
            at += u64::try_from(plain.len()).unwrap();
        }
    });
    assert!(decryptor.finish().is_ok() && at == len && again == reference);
    let peak = PEAK.peak_usage() - before;
    println!("{len} bytes: peak {} KiB", peak >> 10);
    assert!(peak < 8 << 20, "peak of {peak} bytes");
    assert!(peak > 1 << 17, "{peak}: nothing was measured");
}

#[test]
fn sixty_four_mebibytes_in_eight() {
    through((64 << 20) + 5);
}

#[test]
#[ignore = "takes a minute; run it with --release"]
fn four_gibibytes_in_eight() {
    through((4 << 30) + 8);
}
