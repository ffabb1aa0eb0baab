//! What a file costs: streams both ways at chunks of 64 KiB, beside what it cannot do without, in the same run: bare
//! AES-256-GCM over the same chunks, and SHA-256 of each as it is stored. Goal: at least 0.85 of these two.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use subrosa::attachment::{AttachmentKey, AttachmentRef, CheckedHeader, ChunkSize, Decryptor, Encryptor, Opener};
use support::table::Table;

const CHUNK: usize = 1 << 16;
const TAG: usize = 16;
/// A length that needs no padding: 128 chunks.
const FILE: usize = 8 << 20;
const RUNS: usize = 61;

fn encrypt(plain: &[u8], key: &AttachmentKey, rng: &mut ChaCha20Rng, mut piece: impl FnMut(&[u8])) -> AttachmentRef {
    let mut encryptor = Encryptor::new(key.clone(), ChunkSize::DEFAULT, rng);
    let mut rest = plain;
    while let Some(bytes) = encryptor.push(&mut rest).unwrap() {
        piece(bytes);
    }
    let mut tail = encryptor.finish();
    while let Some(bytes) = tail.next_piece() {
        piece(bytes);
    }
    tail.reference("", "").unwrap()
}

fn decrypt(opener: &Opener, chunks: &[u8]) {
    let mut decryptor = Decryptor::new(opener);
    let mut rest = chunks;
    while let Some(piece) = decryptor.push(&mut rest).unwrap() {
        black_box(piece);
    }
    decryptor.finish().unwrap();
}

fn nonce(chunk: usize) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&u64::try_from(chunk).unwrap().to_be_bytes());
    nonce
}

/// Chunk by chunk, each hashed where `hashed`.
fn bare_encrypt(cipher: &aes_gcm::Aes256Gcm, plain: &[u8], out: &mut [u8], hashed: bool) {
    for (number, text) in plain.chunks(CHUNK).enumerate() {
        let buffer = InOutBuf::new(text, &mut out[..text.len()]).unwrap();
        let tag = cipher.encrypt_inout_detached(&nonce(number).into(), &[], buffer).unwrap();
        if hashed {
            black_box(Sha256::new().chain_update(&out[..text.len()]).chain_update(tag).finalize());
        } else {
            black_box(tag);
        }
    }
}

/// The same the other way: hashed as it is stored.
fn bare_decrypt(cipher: &aes_gcm::Aes256Gcm, sealed: &[u8], out: &mut [u8], hashed: bool) {
    for (number, stored) in sealed.chunks(CHUNK + TAG).enumerate() {
        if hashed {
            black_box(Sha256::digest(stored));
        }
        let (text, tag) = stored.split_last_chunk::<TAG>().unwrap();
        let buffer = InOutBuf::new(text, &mut out[..text.len()]).unwrap();
        cipher.decrypt_inout_detached(&nonce(number).into(), &[], buffer, tag.into()).unwrap();
    }
}

fn bare_sealed(cipher: &aes_gcm::Aes256Gcm, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    for (number, text) in plain.chunks(CHUNK).enumerate() {
        let mut buffer = text.to_vec();
        cipher.encrypt_in_place(&nonce(number).into(), &[], &mut buffer).unwrap();
        sealed.extend_from_slice(&buffer);
    }
    sealed
}

fn time(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn main() {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let plain = vec![0x5a; FILE];
    let key = AttachmentKey::random(rng);
    let mut object = Vec::new();
    let reference = encrypt(&plain, &key, rng, |piece| object.extend_from_slice(piece));
    let header = CheckedHeader::new(&reference, &object[..56]).unwrap();
    let (chunks, list) = object[56..].split_at(usize::try_from(header.layout().list_range().start).unwrap() - 56);
    let opener = header.with_list(list).unwrap();
    let cipher = aes_gcm::Aes256Gcm::new(&[7; 32].into());
    let sealed = bare_sealed(&cipher, &plain);
    let mut out = vec![0; CHUNK];

    // In turns, so that a slow moment of the machine falls on all alike; medians afterwards, of ratios too.
    let mut times: [Vec<Duration>; 6] = Default::default();
    for _ in 0..RUNS {
        times[0].push(time(|| bare_encrypt(&cipher, &plain, &mut out, false)));
        times[1].push(time(|| bare_encrypt(&cipher, &plain, &mut out, true)));
        times[2].push(time(|| drop(encrypt(&plain, &key, rng, |piece| _ = black_box(piece)))));
        times[3].push(time(|| bare_decrypt(&cipher, &sealed, &mut out, false)));
        times[4].push(time(|| bare_decrypt(&cipher, &sealed, &mut out, true)));
        times[5].push(time(|| decrypt(&opener, chunks)));
    }
    let of = |which: usize, run: usize| times[which][run].as_secs_f64();
    let median = |of_run: &dyn Fn(usize) -> f64| {
        let mut values: Vec<f64> = (0..RUNS).map(of_run).collect();
        values.sort_by(f64::total_cmp);
        values[RUNS / 2]
    };
    let speed = |seconds: f64| f64::from(u32::try_from(FILE).unwrap()) / seconds / 1e9;
    let columns = ["", "encrypt", "decrypt"];
    let title = format!("Files: chunks of 64 KiB, {} MiB, medians of {RUNS} runs in turns, GB/s", FILE >> 20);
    let mut table = Table::new(&title, columns);
    let mut row = |name: &str, cell: &dyn Fn([usize; 3]) -> f64| {
        let [encrypt, decrypt] = [[0, 1, 2], [3, 4, 5]].map(|way| format!("{:.2}", cell(way)));
        table.row([name, &encrypt, &decrypt]);
    };
    row("bare AES-256-GCM", &|[bare, ..]| speed(median(&|run| of(bare, run))));
    row("bare AES-256-GCM and SHA-256", &|[_, both, _]| speed(median(&|run| of(both, run))));
    row("att1 as a stream", &|[.., whole]| speed(median(&|run| of(whole, run))));
    row("that, of the bare two", &|[_, both, whole]| median(&|run| of(both, run) / of(whole, run)));
    table.print();
}
