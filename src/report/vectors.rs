//! The published vectors of `frank1`. Their second part's kind and body are not published: its digest is taken as it is.

use std::format;
use std::vec::Vec;

use serde_json::Value;

use super::commit::{FramingKey, header_digest, part_digest, root};
use super::{AccountTag, Destination, FrameHeader, FrameHeaderError, Stamp, StampFormatError};
use crate::crypto::Secret;
use crate::ident::UserId;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/reports/frank1_vectors.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn account(name: &str) -> AccountTag {
    AccountTag::of(&UserId::new(name).unwrap())
}

#[test]
fn names() {
    let v = vectors();
    let (alice, bob) = (account("alice"), account("bob"));
    assert_eq!(*alice.as_bytes(), array(&v["acct_alice"]));
    assert_eq!(*bob.as_bytes(), array(&v["acct_bob"]));
    assert_eq!(*Destination::Direct(bob).conversation(&alice).as_bytes(), array(&v["conv"]));
}

#[test]
fn header_keys_and_commitment() {
    let v = vectors();
    let bytes = bytes(&v["header"]);
    let header = FrameHeader::parse(&bytes).unwrap();
    assert_eq!(header.to_bytes(), bytes);
    assert_eq!((header.sender(), header.dest()), (&account("alice"), &Destination::Direct(account("bob"))));
    assert_eq!((header.seq(), header.prev(), header.parts(), header.seen()), (0, None, 2, [].as_slice()));
    assert_eq!(header.sent().get(), 1_800_000_000_000);
    let wire = header.to_wire();
    assert_eq!(wire.len(), bytes.len() - 65);
    assert_eq!(FrameHeader::from_wire(&wire, header.sender(), header.dest()), Ok(header));

    let key = FramingKey(Secret::new(array(&v["fk"])));
    assert_eq!(*key.header_key().expose(), array(&v["hdr_key"]));
    assert_eq!(*key.part_key(0).expose(), array(&v["part_key_0"]));
    let d_hdr = header_digest(&key.header_key(), &bytes);
    assert_eq!(d_hdr, array(&v["d_hdr"]));
    let d_0 = part_digest(&key.part_key(0), 0, 1, b"hello");
    assert_eq!(d_0, array(&v["d_0"]));
    assert_eq!(*root(&d_hdr, &[d_0, array(&v["d_1"])]).as_bytes(), array(&v["commitment"]));
}

#[test]
fn stamp() {
    let v = vectors();
    let whole = [bytes(&v["stamp_ctx"]), bytes(&v["stamp_tag"])].concat();
    let stamp = Stamp::parse(&whole).unwrap();
    assert_eq!(stamp.to_bytes().to_vec(), whole);
    assert_eq!((stamp.kid, stamp.context.conv_seq), (1, 0));
    assert_eq!(stamp.context.time.get(), 1_800_000_000_005);
    for len in 0..whole.len() {
        assert_eq!(Stamp::parse(&whole[..len]), Err(StampFormatError::Malformed));
    }
}

/// Tickets are for later: their bytes are kept free, and whatever is of a sealed sender is refused by name.
#[test]
fn sealed_mode_is_refused() {
    let v = vectors();
    let mut header = bytes(&v["header"]);
    header[2] = 1;
    assert_eq!(FrameHeader::parse(&header), Err(FrameHeaderError::SealedMode));
    header[2] = 2;
    assert_eq!(FrameHeader::parse(&header), Err(FrameHeaderError::Malformed));
    let mut stamp = [bytes(&v["stamp_ctx"]), bytes(&v["stamp_tag"])].concat();
    stamp[5] = 1;
    assert_eq!(Stamp::parse(&stamp), Err(StampFormatError::SealedMode));
    stamp[5] = 2;
    assert_eq!(Stamp::parse(&stamp), Err(StampFormatError::Malformed));
    assert_eq!(format!("{:?}", account("alice")), "AccountTag(58cc767a..)");
}
