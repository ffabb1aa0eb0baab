//! A sender who keeps to the cryptography and to nothing else: commits to whatever parts it likes, as a modified
//! application could; and the reporter who helps. From docs/reports.md and bare primitives.

#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs of this")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop where something is wrong")]

use sha2::Digest;
use subrosa::ident::Timestamp;
use subrosa::report::{Commitment, Part};

use crate::framing::{Device, Platform, Post};

/// A stamped message of any parts, and a report of it with everything revealed.
pub struct Hostile {
    pub post: Post,
    pub report: Vec<u8>,
}

/// Commits to parts without a look at them.
pub fn commit_to(device: &mut Device, platform: &mut Platform, parts: &[Part]) -> Hostile {
    // The header is an honest message's of as many parts; the key stands right after it.
    let dummies = vec![Part::text("x"); parts.len()];
    let honest = device.state.seal(&dummies, Timestamp::new(platform.now), &mut device.rng).unwrap();
    let len = usize::from(honest.inner[1] & 0x7f) | usize::from(honest.inner[2]) << 7;
    // A header of 67 to 127 bytes has a length of one byte, a longer one of two.
    let head = if honest.inner[1] < 0x80 { 2 + usize::from(honest.inner[1]) } else { 3 + len };
    assert_eq!(honest.inner[head..head + 2], [0x12, 0x20]);
    let key = &honest.inner[head + 2..head + 34];

    let header = honest.evidence.header().to_bytes();
    let header_key = hmac(key, &[b"\x0efrank1/hdr-key"]);
    let mut root = sha2::Sha256::new();
    root.update(b"\x0bfrank1/root");
    root.update(hmac(&header_key, &[b"\x0afrank1/hdr", &header]));
    root.update(u16::try_from(parts.len()).unwrap().to_be_bytes());
    let (mut inner, mut shown) = (honest.inner[..head + 34].to_vec(), Vec::new());
    for (at, part) in (0u16..).zip(parts) {
        let at = at.to_be_bytes();
        let part_key = hmac(key, &[b"\x0ffrank1/part-key", &at]);
        let (kind, len) = (part.kind().get(), u32::try_from(part.body().len()).unwrap());
        let message = [b"\x0bfrank1/part", &at[..], &kind.to_be_bytes(), &len.to_be_bytes(), part.body()];
        root.update(hmac(&part_key, &message));
        let encoded = [&[0x08][..], &varint(kind.into()), &bytes(0x12, part.body())].concat();
        inner.extend(bytes(0x1a, &encoded));
        shown.extend(bytes(0x22, &[&encoded[..], &bytes(0x1a, &part_key)].concat()));
    }
    let commitment = Commitment::new(root.finalize().into());
    platform.now += 1_000;
    let stamp = platform.stamp(device.account(), *device.state.dest(), &commitment);
    let item = [bytes(0x0a, &header), bytes(0x12, &header_key), bytes(0x1a, &stamp), shown].concat();
    let report = [&[0x08, 0x01][..], &bytes(0x12, &item), &[0x18, 0x00, 0x22, 0x00]].concat();
    Hostile { post: Post { from: device.peer, commitment, inner, stamp }, report }
}

fn bytes(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag][..], &varint(content.len()), content].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    for bytes in message {
        mac.update(bytes);
    }
    mac.finalize().into_bytes().into()
}
