//! T1, the half of it that is a message: one AES-GCM ciphertext that opens under two keys ("invisible salamanders",
//! CRYPTO 2018). Bare AES-GCM takes it under both. Framing does not: what is committed to is the content.
//!
//! Attachments are the room `attachment`'s, with the same construction.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests stop where something is wrong")]

#[path = "support/framing.rs"]
mod framing;
mod support;

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, Payload};
use framing::{Platform, Post, account, pair};
use subrosa::ident::Timestamp;
use subrosa::platform::RejectReason;
use subrosa::report::{Destination, FrameError, Part, ReportBuilder, Reveal};
use subrosa::session::{Ciphertext, SessionMessage};
use subrosa::suite::Suite;
use subrosa::wire::V1Message;
use support::{NOW, talking_in};

fn block(key: &[u8; 32], input: [u8; 16]) -> u128 {
    let mut block = input.into();
    Aes256::new(key.into()).encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

fn counter(nonce: &[u8; 12], number: u32) -> [u8; 16] {
    let mut out = [0; 16];
    out[..12].copy_from_slice(nonce);
    out[12..].copy_from_slice(&number.to_be_bytes());
    out
}

/// GF(2^128) as GHASH has it: the top bit is x^0.
fn times(a: u128, mut b: u128) -> u128 {
    let mut product = 0;
    for bit in (0..128).rev() {
        if a >> bit & 1 == 1 {
            product ^= b;
        }
        b = (b >> 1) ^ if b & 1 == 1 { 0xe1 << 120 } else { 0 };
    }
    product
}

fn power(a: u128, mut exponent: u128) -> u128 {
    let (mut result, mut square) = (1 << 127, a);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, square);
        }
        square = times(square, square);
        exponent >>= 1;
    }
    result
}

fn inverse(a: u128) -> u128 {
    power(a, u128::MAX - 1)
}

/// A ciphertext of blocks that authenticates under both keys: the block `free` is solved for, the others are given.
fn collide(keys: [&[u8; 32]; 2], nonce: &[u8; 12], ad: &[u8], blocks: &mut [u128], free: usize) -> Vec<u8> {
    let mut all: Vec<u128> = ad
        .chunks(16)
        .map(|chunk| {
            let mut padded = [0; 16];
            padded[..chunk.len()].copy_from_slice(chunk);
            u128::from_be_bytes(padded)
        })
        .collect();
    let free_in_all = all.len() + free;
    all.extend_from_slice(blocks);
    let bits = |bytes: usize| u128::try_from(bytes * 8).unwrap();
    all.push(bits(ad.len()) << 64 | bits(blocks.len() * 16));
    let hash_keys = keys.map(|key| block(key, [0; 16]));
    let masks = keys.map(|key| block(key, counter(nonce, 1)));
    let len = all.len();
    let exponent = |at: usize| u128::try_from(len - at).unwrap();
    let both = |at| power(hash_keys[0], exponent(at)) ^ power(hash_keys[1], exponent(at));
    let others = (0..all.len()).filter(|at| *at != free_in_all);
    let sum = others.fold(masks[0] ^ masks[1], |sum, at| sum ^ times(all[at], both(at)));
    blocks[free] = times(sum, inverse(both(free_in_all)));
    all[free_in_all] = blocks[free];
    let tag = all.iter().enumerate().fold(masks[0], |tag, (at, x)| tag ^ times(*x, power(hash_keys[0], exponent(at))));
    blocks.iter().chain([&tag]).flat_map(|block| block.to_be_bytes()).collect()
}

/// What the sender wants a key to read in a block, as ciphertext.
fn under(key: &[u8; 32], nonce: &[u8; 12], at: usize, text: &[u8; 16]) -> u128 {
    block(key, counter(nonce, u32::try_from(at).unwrap() + 2)) ^ u128::from_be_bytes(*text)
}

fn open(key: &[u8; 32], nonce: &[u8; 12], ad: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    Aes256Gcm::new(key.into()).decrypt(nonce.into(), Payload { msg: ciphertext, aad: ad }).ok()
}

#[test]
fn t01_two_keys_one_message() {
    // The associated data of a real message of suite V1, and its very length: what a sender with a modified library
    // could put on the wire under keys of its choice.
    let (mut alice, mut bob) = talking_in(Suite::V1, 1);
    let (mut platform, mut framer, mut reader) = pair(101);
    let abuse = framer.send(&mut platform, "abuse, for Bob");
    let bound = abuse.commitment.external_ad();
    let sent = alice.session.as_mut().unwrap().encrypt_bound(&abuse.inner, &bound, NOW, &mut alice.rng).unwrap();
    let Ciphertext::Message(bytes) = &sent else { panic!("a first message") };
    let wire = V1Message::parse(bytes).unwrap();
    let (header, ciphertext) = (wire.header().to_vec(), message_ciphertext(bytes, &wire));
    let ad = [b"\x11subrosa/1/session".as_slice(), &[0; 33], &header, &bound].concat();

    let (keys, nonce) = ([[1; 32], [2; 32]], [3; 12]);
    let mut blocks: Vec<u128> =
        ciphertext.as_chunks::<16>().0.iter().map(|block| u128::from_be_bytes(*block)).collect();
    let free = blocks.len() - 2;
    blocks[0] = under(&keys[0], &nonce, 0, b"abuse, for Bob. ");
    blocks[1] = under(&keys[1], &nonce, 1, b"have a nice day.");
    let salamander = collide([&keys[0], &keys[1]], &nonce, &ad, &mut blocks, free);

    // Both keys open it; each reads what it was meant to. AES-GCM says nothing against it.
    let read = keys.map(|key| open(&key, &nonce, &ad, &salamander).unwrap());
    assert_eq!((&read[0][..16], &read[1][16..32]), (b"abuse, for Bob. ".as_slice(), b"have a nice day.".as_slice()));
    assert_ne!(read[0], read[1]);
    assert!(open(&[4; 32], &nonce, &ad, &salamander).is_none());

    // In a session: the ciphertext that bears the commitment does not authenticate under the session's own key.
    let mut altered = bytes.clone();
    let at = altered.windows(ciphertext.len()).position(|window| window == ciphertext).unwrap();
    altered[at..at + ciphertext.len()].copy_from_slice(&salamander[..ciphertext.len()]);
    let message = SessionMessage::parse(&altered).unwrap().bound_to(&bound);
    assert!(bob.session.as_mut().unwrap().decrypt(&message, NOW, &mut bob.rng).is_err());

    // And had it: two plaintexts under one commitment are refused by the receiver, one of them at least, before
    // anything is shown; and by the platform, whichever is reported.
    let innocent = framer.send(&mut platform, "have a nice day");
    let crossed = Post { inner: innocent.inner, ..abuse.clone() };
    assert_eq!(reader.receive(&crossed, platform.now).unwrap_err(), FrameError::Commitment);
    for plaintext in &read {
        let refused = reader.receive(&Post { inner: plaintext.clone(), ..abuse.clone() }, platform.now).unwrap_err();
        assert!(matches!(refused, FrameError::Malformed | FrameError::Commitment), "{refused:?}");
    }
    assert!(reader.receive(&abuse, platform.now).is_ok());
    assert_eq!(platform.refusal(reader.account(), &innocuous(&platform, &reader)), RejectReason::BadStamp);
}

/// The ciphertext field of a message's bytes: what follows its header, without the field's own head.
fn message_ciphertext(bytes: &[u8], wire: &V1Message) -> Vec<u8> {
    let at = bytes.windows(wire.header().len()).position(|window| window == wire.header()).unwrap();
    let rest = &bytes[at + wire.header().len()..];
    // Tag, then a length of two bytes: the padded plaintext is at least 160 bytes long.
    assert_eq!(rest[0], 0x12);
    rest[3..].to_vec()
}

/// A report of the abuse, with the innocent text in its place.
fn innocuous(platform: &Platform, reader: &framing::Device) -> Vec<u8> {
    let (evidence, parts) = &reader.log[0];
    let mut builder = ReportBuilder::new(reader.account());
    builder.add(evidence, parts, Reveal::All).unwrap();
    let report = builder.build();
    let at = report.windows(14).position(|window| window == b"abuse, for Bob").unwrap();
    let mut altered = report.clone();
    altered[at..at + 14].copy_from_slice(b"have a nice da");
    let verified = platform.verify(reader.account(), &report).unwrap();
    assert_eq!(verified.messages[0].open_parts().next().unwrap().1, &Part::text("abuse, for Bob"));
    assert_eq!(verified.messages[0].dest, Destination::Direct(account("bob")));
    assert!(verified.messages[0].platform_time >= Timestamp::new(framing::START));
    altered
}
