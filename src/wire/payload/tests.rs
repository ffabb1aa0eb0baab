use super::*;
use crate::crypto::Secret;
use crate::ident::{MessageId, MessageName, Timestamp};
use crate::wire::{MAX_PLAINTEXT_LEN, WireError, v1};
use prost::Message as _;
use std::{string::String, vec, vec::Vec};

const VIEW: [u8; 14] = [0x0a, 0x0c, 0x08, 0x01, 0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// Both views as they were before there were rosters, then these bytes.
fn with(content: &[u8]) -> Vec<u8> {
    let mut peer = VIEW;
    peer[0] = 0x12;
    [&VIEW, &peer, content].concat()
}

/// With everything.
fn full(content: Content) -> Payload {
    Payload {
        own: Some(RosterView { version: u64::MAX, hash: [9; 16] }),
        peer: Some(RosterView { version: 0, hash: [0; 16] }),
        roster: Some(vec![3; 300]),
        message_id: Some(MessageId::new([4; 16])),
        sent: Some(Timestamp::new(0)),
        access: Some(Secret::new([6; 32])),
        holds: Some([7; 8]),
        group: Some(GroupView { group: Some([8; 32]), epoch: 0, head: [1; 32] }),
        answers: Some(MessageName::new([9; 32])),
        content,
    }
}

#[test]
fn what_goes_out_is_the_payload_and_its_end() {
    let view = |version| RosterView { version, hash: [7; 16] };
    let full = Front {
        own: Some(view(3)),
        peer: Some(view(5)),
        roster: Some(vec![9; 700]),
        message_id: Some(MessageId::new([4; 16])),
        sent: Some(Timestamp::new(77)),
    };
    for (outward, content) in [
        (Outward::app(b"hi"), Content::App(b"hi".to_vec())),
        (Outward::framed(b"hi"), Content::Framed(b"hi".to_vec())),
        (Outward::repair_request(&[]), Content::RepairRequest(vec![])),
    ] {
        let plaintext = matches!(content, Content::App(_)).then_some(&b"hi"[..]);
        for front in [Front::default(), full.clone()] {
            let bytes = [&outward.head(&front)[..], outward.content()].concat();
            let Front { own, peer, roster, message_id, sent } = front;
            let payload = Payload { own, peer, roster, message_id, sent, ..Payload::new(content.clone()) };
            assert_eq!(bytes, payload.to_bytes());
            assert_eq!(Payload::parse(&bytes), Ok(payload));
        }
        assert_eq!(outward.plaintext(), plaintext);
    }
}

/// The salt of a message hangs on it.
#[test]
fn whatever_differs_in_a_payload_its_hash_differs() {
    let name = MessageName::new([1; 32]);
    let payloads = [
        Outward::app(b"hi"),
        Outward::app(b"ho"),
        Outward::app(b""),
        Outward::framed(b"hi"),
        Outward::again(&name, FRAMED, b"hi"),
        Outward::again(&MessageName::new([2; 32]), FRAMED, b"hi"),
    ];
    let fronts = [None, Some(MessageId::new([1; 16]))].map(|message_id| Front { message_id, ..Front::default() });
    let hash = |(outward, front): (&Outward, &Front)| outward.hash(&outward.head(front));
    let each = payloads.iter().flat_map(|outward| fronts.iter().map(move |front| (outward, front)));
    let hashes: std::collections::BTreeSet<_> = each.map(hash).collect();
    assert_eq!(hashes.len(), 2 * payloads.len());
    assert_eq!(payloads[3].digest(), payloads[4].digest(), "an answer has the content of what it answers");
    assert_eq!(hash((&payloads[3], &fronts[0])), hash((&Outward::framed(b"hi"), &fronts[0])));
}

#[test]
fn every_content_is_read_as_it_was_written() {
    let contents = (16..32u32).map(|number| Content::of(number, vec![7; 300]).unwrap());
    let unknown = [(32, vec![8]), (5_000, vec![])]
        .map(|(number, bytes)| Content::Unknown(UnknownPayload::new(number, bytes).unwrap()));
    let mut names = std::collections::BTreeSet::<String>::new();
    for content in contents.chain(unknown) {
        names.insert(std::format!("{content:?}"));
        for payload in [Payload::new(content.clone()), full(content)] {
            let bytes = payload.to_bytes();
            // As generated code writes it; contents that it does not know are left out there.
            let generated = v1::Payload::decode(&bytes[..]).unwrap();
            assert!(bytes.starts_with(&generated.encode_to_vec()));
            assert_eq!(generated.content.is_some(), !matches!(payload.content, Content::Unknown(_)));
            assert_eq!(Payload::parse(&bytes), Ok(payload));
        }
    }
    assert_eq!(names.len(), 17);
    assert!([0, 15, 16, 31, 1 << 29].iter().all(|number| UnknownPayload::new(*number, vec![]).is_none()));
}

/// What a later version adds is passed over, where it stands in order.
#[test]
fn fields_of_a_later_version_are_passed_over() {
    let (first, last) = ([0x52, 1, 7], [0x7a, 0]);
    let app = [0x82, 1, 0];
    let payload = Payload::parse(&app).unwrap();
    for between in [&first[..], &last, &[first.as_slice(), &last].concat()] {
        assert_eq!(Payload::parse(&[between, &app].concat()), Ok(payload.clone()));
    }
    for (what, between) in [
        ("twice", [first, first].concat()),
        ("descending", [&last[..], &first].concat()),
        ("behind the content", [app, first].concat()),
        ("a longer spelling", vec![0x52, 0x81, 0, 7]),
        ("before the answer", [&first[..], &[0x4a, 32], &[1; 32]].concat()),
        ("a number", vec![0x50, 1]),
    ] {
        assert_eq!(Payload::parse(&[&between[..], &app].concat()), Err(WireError::NotCanonical), "{what}");
    }
}

#[test]
fn refused_by_name() {
    assert!(Payload::parse(&with(&[0x82, 1, 1, 7])).is_ok());
    let app = [0x82, 1, 0];
    let view = |len: u8| [&[0x0a, len + 4, 0x08, 1, 0x12, len][..], &vec![7; len.into()], &app].concat();
    assert_eq!(Payload::parse(&view(8)).map(|payload| payload.own), Ok(None));
    assert!(Payload::parse(&view(16)).unwrap().own.is_some());
    let group = |fields: &[u8]| [&[0x42, u8::try_from(fields.len()).unwrap()][..], fields, &app].concat();
    let head = [&[0x1a, 32][..], &[1; 32]].concat();
    assert!(Payload::parse(&group(&[&[0x10, 0][..], &head].concat())).is_ok());
    let long_roster = [&[0x1a, 0x81, 0x80, 0x03][..], &vec![0; 49_153], &app].concat();
    for (what, bytes, expected) in [
        ("empty", vec![], WireError::Field),
        ("no content", with(&[]), WireError::Field),
        ("a hash of 7 bytes", view(7), WireError::Field),
        ("a hash of 15 bytes", view(15), WireError::Field),
        ("a hash of 17 bytes", view(17), WireError::Field),
        ("a view without a hash", [&[0x0a, 2, 8, 1][..], &app].concat(), WireError::Field),
        (
            "a view with more",
            [&[0x0a, 14, 8, 1, 0x12, 8][..], &[1; 8], &[0x18, 0], &app].concat(),
            WireError::NotCanonical,
        ),
        ("a roster that is too long", long_roster, WireError::Field),
        ("a message id of 15 bytes", [&[0x22, 15][..], &[1; 15], &app].concat(), WireError::Field),
        ("a message id of none", [&[0x22, 0][..], &app].concat(), WireError::Field),
        ("an access key of 33 bytes", [&[0x32, 33][..], &[1; 33], &app].concat(), WireError::Field),
        ("an access id of 7 bytes", [&[0x3a, 7][..], &[1; 7], &app].concat(), WireError::Field),
        ("a group of 31 bytes", group(&[&[0x0a, 31][..], &[1; 31], &[0x10, 0], &head].concat()), WireError::Field),
        ("a group view without an epoch", group(&head), WireError::Field),
        ("a group view without a head", group(&[0x10, 0]), WireError::Field),
        ("sent before the id", [&[0x28, 1, 0x22, 16][..], &[1; 16], &app].concat(), WireError::NotCanonical),
        ("the id twice", [&[0x22, 16][..], &[1; 16], &[0x22, 16], &[1; 16], &app].concat(), WireError::NotCanonical),
        ("sent as bytes", [&[0x2a, 1, 1][..], &app].concat(), WireError::NotCanonical),
        ("two contents", with(&[0x82, 1, 0, 0x8a, 1, 0]), WireError::NotCanonical),
        ("a content twice", with(&[0x82, 1, 0, 0x82, 1, 0]), WireError::NotCanonical),
        ("content before the views", [&[0x82, 1, 0][..], &with(&[])].concat(), WireError::NotCanonical),
        ("a longer spelling of the length", with(&[0x82, 1, 0x81, 0, 7]), WireError::NotCanonical),
        ("an unknown field besides the content", with(&[0x82, 1, 0, 0x82, 2, 0]), WireError::NotCanonical),
        ("two unknown contents", with(&[0x82, 2, 0, 0x8a, 2, 0]), WireError::NotCanonical),
        ("an unknown content with a longer length", with(&[0x82, 2, 0x81, 0, 7]), WireError::NotCanonical),
        ("an unknown number", with(&[0x80, 2, 7]), WireError::NotCanonical),
        ("content of another wire type", with(&[0x80, 1, 7]), WireError::NotCanonical),
        ("truncated content", with(&[0x82, 1, 2, 7]), WireError::Protobuf),
    ] {
        assert_eq!(Payload::parse(&bytes), Err(expected), "{what}");
    }
    assert_eq!(Payload::parse(&vec![0; MAX_PLAINTEXT_LEN + 1]), Err(WireError::TooLong));
}
