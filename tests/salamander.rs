//! T1: a ciphertext that shows one thing under one key and another under a second. Bare AES-GCM opens it under both;
//! as a chunk of an attachment it belongs to one key.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/att1.rs"]
mod att1;
#[path = "support/salamander.rs"]
mod construction;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use att1::Att1;
use construction::{Block, salamander};
use subrosa::attachment::{AttachmentRef, CheckedHeader, DecryptObjectError, ObjectError, decrypt};

const INNOCENT: &[u8; 16] = b"a photo of a cat";
const ABUSIVE: &[u8; 16] = b"what nobody sent";

/// Half of the blocks speak under the first key, half under the second, one makes the tags equal.
fn blocks(count: usize) -> Vec<Block> {
    let block = |at| match at {
        0 => Block::Free,
        _ if at < count / 2 => Block::First(*INNOCENT),
        _ => Block::Second(*ABUSIVE),
    };
    (0..count).map(block).collect()
}

fn bare(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let cipher = aes_gcm::Aes256Gcm::new(key.into());
    cipher.decrypt(nonce.into(), Payload { msg: sealed, aad: ad }).ok()
}

#[test]
fn bare_aes_gcm_opens_under_two_keys() {
    let (keys, nonce) = ([&[1; 32], &[2; 32]], [7; 12]);
    for ad in [&b""[..], b"associated data of more than a block"] {
        for count in [2, 3, 64] {
            for free in [0, count / 2, count - 1] {
                let mut blocks = blocks(count);
                blocks.swap(0, free);
                let sealed = salamander(keys, &nonce, ad, &blocks);
                let [first, second] = keys.map(|key| bare(key, &nonce, ad, &sealed).unwrap());
                assert_ne!(first, second);
                for (at, block) in blocks.iter().enumerate() {
                    let at = at * 16..at * 16 + 16;
                    match block {
                        Block::First(text) => assert_eq!(first[at], *text),
                        Block::Second(text) => assert_eq!(second[at], *text),
                        Block::Free => {}
                    }
                }
                assert_eq!(bare(&[3; 32], &nonce, ad, &sealed), None);
            }
        }
    }
}

#[test]
fn t1_an_attachment_opens_under_one_key() {
    let salt = [9; 16];
    // What the victim is shown, and what would be reported.
    let shown = Att1 { key: [1; 32], salt, log2: 12 };
    let reported = Att1 { key: [2; 32], salt, log2: 12 };
    let nonce = Att1::nonce(0, true);
    let keys = [&shown.chunk_key(), &reported.chunk_key()];
    let chunk = salamander(keys, &nonce, &[], &blocks(256));
    let [first, second] = keys.map(|key| bare(key, &nonce, &[], &chunk).unwrap());
    assert!(first.windows(16).any(|window| window == INNOCENT) && !first.windows(16).any(|window| window == ABUSIVE));
    assert!(second.windows(16).any(|window| window == ABUSIVE) && !second.windows(16).any(|window| window == INNOCENT));

    let chunks = [chunk];
    let object = shown.object(&chunks);
    let open = |bytes: &[u8], object: &[u8]| decrypt(&AttachmentRef::parse(bytes).unwrap(), object);
    // Under the key that its header commits to it opens: it is a file like any other.
    assert_eq!(*open(&shown.reference(4096, &chunks), &object).unwrap(), first);

    // The same object and the same root, and the other key.
    let root = shown.root(&chunks);
    let other_key = reported.reference_with(4096, 4096 + 104, root);
    assert_eq!(open(&other_key, &object), Err(DecryptObjectError::Open(ObjectError::Key)));
    // With a header that commits to the other key, the root is another.
    let other_header = reported.object(&chunks);
    assert_eq!(open(&other_key, &other_header), Err(DecryptObjectError::Open(ObjectError::List)));
    assert_eq!(
        open(&shown.reference(4096, &chunks), &other_header),
        Err(DecryptObjectError::Open(ObjectError::Key)),
        "a server cannot exchange the header either"
    );
    assert_ne!(reported.root(&chunks), root, "what opens under the other key is another reference");
    // Nor chunk by chunk: without the header there is no opener.
    let reference = AttachmentRef::parse(&other_key).unwrap();
    assert_eq!(CheckedHeader::new(&reference, &object[..56]).unwrap_err(), ObjectError::Key);
}
