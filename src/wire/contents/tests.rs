//! Every content as generated code writes it, and refused by name.

use prost::Message as _;
use std::{vec, vec::Vec};

use super::*;
use crate::crypto::{KeyPair, PublicKeyError, Secret};
use crate::ident::{DeviceId, MessageId, Timestamp, UserId};
use crate::wire::{WireError, contents_proto as proto, link::ProvisionParts};

/// Reads what generated code writes, writes it again alike, and refuses it with a byte more or less.
#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(
    generated: &impl prost::Message,
    value: &T,
    parse: impl Fn(&[u8]) -> Result<T, WireError>,
    written: &[u8],
) {
    let bytes = generated.encode_to_vec();
    assert_eq!(bytes, written);
    assert_eq!(parse(&bytes).as_ref(), Ok(value));
    for cut in 0..bytes.len() {
        assert!(parse(&bytes[..cut]).is_err(), "cut to {cut}");
    }
    assert!(parse(&[&bytes[..], &[0xa0, 6, 1]].concat()).is_err(), "an unknown field");
}

fn user() -> UserId {
    UserId::new("alice").unwrap()
}

#[test]
fn provisioning() {
    let (seed, wrap) = (Secret::new([1; 32]), Secret::new([2; 32]));
    let whole = Provisioning { seed, wrap: Some(wrap) };
    let generated = proto::Provisioning { seed: Some(vec![1; 32]), wrap: Some(vec![2; 32]) };
    assert_eq!(*whole.to_bytes(), generated.encode_to_vec());
    assert_eq!(Provisioning::parse(&whole.to_bytes()), Ok(whole));
    let refused = |seed: Option<usize>, wrap: Option<usize>| {
        let bytes = |len: Option<usize>| len.map(|len| vec![1; len]);
        Provisioning::parse(&proto::Provisioning { seed: bytes(seed), wrap: bytes(wrap) }.encode_to_vec())
    };
    assert!(refused(Some(32), None).is_ok());
    for (seed, wrap) in [(None, Some(32)), (Some(31), None), (Some(0), None), (Some(32), Some(33)), (Some(32), Some(0))]
    {
        assert_eq!(refused(seed, wrap), Err(WireError::Field), "{seed:?}, {wrap:?}");
    }
}

#[test]
fn receipts() {
    for (kind, number) in [
        (ReceiptKind::Delivered, 1),
        (ReceiptKind::Read, 2),
        (ReceiptKind::Viewed, 3),
        (ReceiptKind::Gone, 4),
        (ReceiptKind::NotAMember, 5),
    ] {
        let receipt = Receipt::new(kind, vec![[7; 16], [8; 16]]).unwrap();
        assert_eq!(receipt.to_bytes(), [&[number][..], &[7; 16], &[8; 16]].concat());
        assert_eq!(Receipt::parse(&receipt.to_bytes()), Ok(receipt));
    }
    assert!(Receipt::parse(&[&[1][..], &[0; 16 * 256]].concat()).is_ok());
    for (what, bytes, expected) in [
        ("empty", vec![], WireError::Field),
        ("no items", vec![1], WireError::Field),
        ("a part of one", vec![1; 16], WireError::Field),
        ("a byte more", vec![1; 18], WireError::Field),
        ("257 items", [&[1][..], &[0; 16 * 257]].concat(), WireError::Field),
        ("kind 0", vec![0; 17], WireError::UnknownKind(0)),
        ("kind 6", vec![6; 17], WireError::UnknownKind(6)),
    ] {
        assert_eq!(Receipt::parse(&bytes), Err(expected), "{what}");
    }
    assert!(
        Receipt::new(ReceiptKind::Read, vec![]).is_none()
            && Receipt::new(ReceiptKind::Read, vec![[0; 16]; 257]).is_none()
    );
}

#[test]
fn typing_and_access_requests() {
    assert_eq!((Typing::parse(&[1]), Typing::parse(&[2])), (Ok(Typing::Begins), Ok(Typing::Ends)));
    assert_eq!((Typing::Begins.to_bytes(), Typing::Ends.to_bytes()), (vec![1], vec![2]));
    assert_eq!((Typing::parse(&[]), Typing::parse(&[1, 1])), (Err(WireError::Field), Err(WireError::Field)));
    assert_eq!(Typing::parse(&[0]), Err(WireError::UnknownKind(0)));
    assert_eq!(AccessRequest::parse(&[]), Ok(AccessRequest));
    assert_eq!(AccessRequest::parse(&[0]), Err(WireError::TooLong));
}

fn entry(kind: u32, subject: &[u8], value: &[u8], counter: u64) -> proto::SyncEntry {
    let (subject, value) = (Some(subject.to_vec()), Some(value.to_vec()));
    proto::SyncEntry { kind: Some(kind), subject, value, counter: Some(counter), device: Some(3) }
}

#[test]
fn syncs() {
    let states = [
        (SyncState::Contact(user(), ContactState::Blocked), entry(1, b"alice", &[3], 9)),
        (SyncState::Group([1; 32], vec![2; 400].into()), entry(2, &[1; 32], &[2; 400], 9)),
        (SyncState::AccessKey([1; 8], Secret::new([2; 32])), entry(3, &[1; 8], &[2; 32], u64::MAX)),
        (SyncState::ReadOfUser(user(), Timestamp::new(5)), entry(4, b"alice", &[0, 0, 0, 0, 0, 0, 0, 5], 0)),
        (SyncState::ReadOfGroup([1; 32], Timestamp::new(5)), entry(5, &[1; 32], &[0, 0, 0, 0, 0, 0, 0, 5], 0)),
        (SyncState::DeviceName(DeviceId::new(7), "".into()), entry(6, &[0, 0, 0, 7], b"", 0)),
        (
            SyncState::Backup { id: [1; 16], key: Secret::new([2; 32]), sealed_seed: vec![3; 9] },
            entry(7, b"", &[&[1; 16][..], &[2; 32], &[3; 9]].concat(), 1),
        ),
        (SyncState::Later { kind: 8, subject: vec![], value: vec![1].into() }, entry(8, b"", &[1], 1)),
    ];
    let entries = |(state, generated): &(SyncState, proto::SyncEntry)| SyncEntry {
        state: state.clone(),
        counter: generated.counter.unwrap(),
        device: DeviceId::new(3),
    };
    let sync = SyncPage::new(states.iter().map(entries).collect()).unwrap();
    let generated = proto::Sync { entries: states.iter().map(|(_, entry)| entry.clone()).collect() };
    assert_eq!(*sync.to_bytes(), generated.encode_to_vec());
    assert_eq!(SyncPage::parse(&sync.to_bytes()), Ok(sync));

    let parse =
        |entries: &[proto::SyncEntry]| SyncPage::parse(&proto::Sync { entries: entries.to_vec() }.encode_to_vec());
    let contact = entry(1, b"alice", &[0], 1);
    for (what, entry) in [
        ("kind 0", entry(0, b"", b"", 1)),
        ("an unknown contact state", entry(1, b"alice", &[4], 1)),
        ("a contact state of two bytes", entry(1, b"alice", &[1, 1], 1)),
        ("a contact without a name", entry(1, b"", &[1], 1)),
        ("a contact's name that is no text", entry(1, &[0xff], &[1], 1)),
        ("a group of 31 bytes", entry(2, &[1; 31], &[1], 1)),
        ("no welcome", entry(2, &[1; 32], &[], 1)),
        ("a welcome that is too long", entry(2, &[1; 32], &[1; 16_385], 1)),
        ("an access key of 31 bytes", entry(3, &[1; 8], &[1; 31], 1)),
        ("an access id of 9 bytes", entry(3, &[1; 9], &[1; 32], 1)),
        ("a read mark of 7 bytes", entry(4, b"alice", &[1; 7], 0)),
        ("a read mark with a counter", entry(4, b"alice", &[1; 8], 1)),
        ("a name of 256 bytes", entry(6, &[1; 4], &[b'a'; 256], 1)),
        ("a name that is no text", entry(6, &[1; 4], &[0xff], 1)),
        ("a backup with a subject", entry(7, b"a", &[1; 48], 1)),
        ("a backup that is too short", entry(7, b"", &[1; 47], 1)),
        ("a sealed seed that is too long", entry(7, b"", &[1; 48 + 257], 1)),
        ("a later subject that is too long", entry(8, &[1; 256], b"", 1)),
        ("a later value that is too long", entry(8, b"", &[1; 16_385], 1)),
        ("no value", proto::SyncEntry { value: None, ..contact.clone() }),
        ("no counter", proto::SyncEntry { counter: None, ..contact.clone() }),
        ("no device", proto::SyncEntry { device: None, ..contact.clone() }),
    ] {
        assert_eq!(parse(&[entry]), Err(WireError::Field), "{what}");
    }
    assert_eq!(parse(&[]), Err(WireError::Field));
    assert!(parse(&vec![contact.clone(); 256]).is_ok());
    assert_eq!(parse(&vec![contact; 257]), Err(WireError::TooLong));
    assert_eq!(SyncPage::parse(&vec![0; (1 << 16) + 1]), Err(WireError::TooLong));
}

#[test]
fn transcripts() {
    let of = |to, content| Transcript { to, message_id: MessageId::new([3; 16]), sent: Timestamp::new(4), content };
    let app = of(TranscriptTo::User(user()), TranscriptContent::App(vec![]));
    let plain = proto::Transcript {
        user: Some("alice".into()),
        group: None,
        message_id: Some(vec![3; 16]),
        sent_ms: Some(4),
        number: Some(16),
        content: Some(vec![]),
        commitment: None,
        stamp: None,
    };
    same(&plain, &app, Transcript::parse, &app.to_bytes());
    let content = TranscriptContent::Framed { inner: vec![6; 200], commitment: [7; 32], stamp: Some(vec![8]) };
    let framed = of(TranscriptTo::Group([2; 32]), content);
    let framed_proto = proto::Transcript {
        user: None,
        group: Some(vec![2; 32]),
        number: Some(17),
        content: Some(vec![6; 200]),
        commitment: Some(vec![7; 32]),
        stamp: Some(vec![8]),
        ..plain.clone()
    };
    assert_eq!(framed.to_bytes(), framed_proto.encode_to_vec());
    assert_eq!(Transcript::parse(&framed.to_bytes()), Ok(framed));
    for (what, bad) in [
        ("to nobody", proto::Transcript { user: None, ..plain.clone() }),
        ("to both", proto::Transcript { group: Some(vec![2; 32]), ..plain.clone() }),
        ("to no name", proto::Transcript { user: Some("".into()), ..plain.clone() }),
        ("to a group of 31 bytes", proto::Transcript { group: Some(vec![2; 31]), ..framed_proto.clone() }),
        ("without an id", proto::Transcript { message_id: None, ..plain.clone() }),
        ("without a time", proto::Transcript { sent_ms: None, ..plain.clone() }),
        ("of another number", proto::Transcript { number: Some(18), ..plain.clone() }),
        ("a commitment to plain bytes", proto::Transcript { commitment: Some(vec![7; 32]), ..plain.clone() }),
        ("a stamp of plain bytes", proto::Transcript { stamp: Some(vec![8]), ..plain }),
        ("framed without a commitment", proto::Transcript { commitment: None, ..framed_proto.clone() }),
        ("a commitment of 31 bytes", proto::Transcript { commitment: Some(vec![7; 31]), ..framed_proto.clone() }),
        ("an empty stamp", proto::Transcript { stamp: Some(vec![]), ..framed_proto.clone() }),
        ("a stamp that is too long", proto::Transcript { stamp: Some(vec![8; 1_025]), ..framed_proto }),
    ] {
        assert_eq!(Transcript::parse(&bad.encode_to_vec()), Err(WireError::Field), "{what}");
    }
}

#[test]
fn calls() {
    let host = b"sdp".to_vec();
    let proto_of = |kind, join: Option<usize>, host: Option<Vec<u8>>| proto::Call {
        call: Some(vec![1; 16]),
        kind: Some(kind),
        join: join.map(|len| vec![2; len]),
        host,
    };
    for (step, generated) in [
        (CallStep::Offer(host.clone()), proto_of(1, None, Some(host.clone()))),
        (CallStep::Answer(vec![]), proto_of(2, None, Some(vec![]))),
        (CallStep::Join([2; 8]), proto_of(3, Some(8), None)),
        (CallStep::Leave([2; 8]), proto_of(4, Some(8), None)),
        (CallStep::KeyWanted, proto_of(5, None, None)),
        (CallStep::Host(host.clone()), proto_of(6, None, Some(host.clone()))),
    ] {
        let call = Call { call: [1; 16], step };
        assert_eq!(call.to_bytes(), generated.encode_to_vec());
        assert_eq!(Call::parse(&call.to_bytes()), Ok(call));
    }
    for (what, bad, expected) in [
        ("an offer without bytes", proto_of(1, None, None), WireError::Field),
        ("an offer with a join", proto_of(1, Some(8), Some(host)), WireError::Field),
        ("a join without one", proto_of(3, None, None), WireError::Field),
        ("a join of 7 bytes", proto_of(3, Some(7), None), WireError::Field),
        ("a leave with bytes", proto_of(4, Some(8), Some(vec![])), WireError::Field),
        ("key? with bytes", proto_of(5, None, Some(vec![])), WireError::Field),
        ("kind 0", proto_of(0, None, None), WireError::UnknownKind(0)),
        ("kind 300", proto_of(300, None, None), WireError::UnknownKind(255)),
        ("a call of 15 bytes", proto::Call { call: Some(vec![1; 15]), ..proto_of(5, None, None) }, WireError::Field),
    ] {
        assert_eq!(Call::parse(&bad.encode_to_vec()), Err(expected), "{what}");
    }
}

#[test]
fn call_keys() {
    let proto_of = |generation: u32, step: u32, len: usize| proto::CallKey {
        call: Some(vec![1; 16]),
        join: Some(vec![2; 8]),
        generation: Some(generation),
        step: Some(step),
        key: Some(vec![3; len]),
    };
    for (generation, step, len) in [(0, 0, 32), (4_095, 15, 32), (1, 3, 64)] {
        let key = CallKey::new([1; 16], [2; 8], generation, step, vec![3; len].into()).unwrap();
        let generated = proto_of(generation.into(), step.into(), len);
        same(&generated, &key, CallKey::parse, &key.to_bytes());
    }
    for (what, bad, expected) in [
        ("generation 4,096", proto_of(4_096, 0, 32), WireError::Field),
        ("generation 65,536", proto_of(65_536, 0, 32), WireError::NotCanonical),
        ("step 16", proto_of(0, 16, 32), WireError::Field),
        ("64 bytes at step 0", proto_of(0, 0, 64), WireError::Field),
        ("31 bytes", proto_of(0, 1, 31), WireError::Field),
        ("65 bytes", proto_of(0, 1, 65), WireError::Field),
        ("no generation", proto::CallKey { generation: None, ..proto_of(0, 0, 32) }, WireError::Field),
        ("a join of 9 bytes", proto::CallKey { join: Some(vec![2; 9]), ..proto_of(0, 0, 32) }, WireError::Field),
    ] {
        assert_eq!(CallKey::parse(&bad.encode_to_vec()), Err(expected), "{what}");
    }
}

#[test]
fn verifications() {
    let proto_of = |step: u32, len: Option<usize>| proto::Verify {
        txid: Some(vec![1; 16]),
        step: Some(step),
        value: len.map(|len| vec![2; len]),
    };
    for (step, number) in
        [(VerifyStep::Commit([2; 32]), 1), (VerifyStep::Respond([2; 32]), 2), (VerifyStep::Reveal([2; 32]), 3)]
    {
        let verify = Verify { txid: [1; 16], step };
        same(&proto_of(number, Some(32)), &verify, Verify::parse, &verify.to_bytes());
    }
    let end = Verify { txid: [1; 16], step: VerifyStep::End };
    same(&proto_of(4, None), &end, Verify::parse, &end.to_bytes());
    for (what, bad, expected) in [
        ("a commitment without a value", proto_of(1, None), WireError::Field),
        ("an end with a value", proto_of(4, Some(32)), WireError::Field),
        ("a value of 31 bytes", proto_of(2, Some(31)), WireError::Field),
        ("step 0", proto_of(0, None), WireError::UnknownKind(0)),
        ("step 5", proto_of(5, Some(32)), WireError::UnknownKind(5)),
        ("a txid of 17 bytes", proto::Verify { txid: Some(vec![1; 17]), ..proto_of(4, None) }, WireError::Field),
    ] {
        assert_eq!(Verify::parse(&bad.encode_to_vec()), Err(expected), "{what}");
    }
}

#[test]
fn histories() {
    let proto_of = |len: usize, from, to| proto::History {
        reference: Some(vec![1; len]),
        from_ms: Some(from),
        to_ms: Some(to),
        count: Some(0),
    };
    let history = History { reference: vec![1; 150].into(), from: Timestamp::new(2), to: Timestamp::new(2), count: 0 };
    same(&proto_of(150, 2, 2), &history, History::parse, &history.to_bytes());
    for (what, bad) in [
        ("no reference", proto_of(0, 1, 2)),
        ("a reference that is too long", proto_of(2_049, 1, 2)),
        ("backwards", proto_of(9, 2, 1)),
        ("without a count", proto::History { count: None, ..proto_of(9, 1, 2) }),
    ] {
        assert_eq!(History::parse(&bad.encode_to_vec()), Err(WireError::Field), "{what}");
    }
}

#[test]
fn rosters() {
    let identity = *KeyPair::new(Secret::new([1; 32])).public();
    let entry = proto::Entry {
        device: Some(1),
        identity_key: Some(identity.to_bytes().to_vec()),
        suites: Some(0),
        consent: Some(vec![4; 64]),
    };
    let recovery = proto::Recovery { key: Some(vec![7; 33]), named_ms: Some(0) };
    let body = proto::Roster {
        user: Some("alice".into()),
        account_key: Some(vec![6; 33]),
        version: Some(u64::MAX),
        issued_ms: Some(0),
        last_device: Some(u32::MAX),
        primary: Some(0),
        recoveries: vec![recovery.clone(); 4],
        deleted: Some(1),
        devices: vec![entry.clone(); 32],
    };
    let bytes = body.encode_to_vec();
    assert!(bytes.len() < 4_000);
    let parsed = RosterBody::parse(&bytes).unwrap();
    assert_eq!((parsed.user, parsed.devices.len(), parsed.deleted), ("alice", 32, true));
    assert_eq!(parsed.to_bytes(), bytes);
    let low = proto::Entry { identity_key: Some([&[5][..], &[0xff; 32]].concat()), ..entry.clone() };
    for (what, bad, expected) in [
        ("33 devices", proto::Roster { devices: vec![entry.clone(); 33], ..body.clone() }, WireError::TooLong),
        ("5 recoveries", proto::Roster { recoveries: vec![recovery.clone(); 5], ..body.clone() }, WireError::TooLong),
        ("deleted = 0", proto::Roster { deleted: Some(0), ..body.clone() }, WireError::Field),
        ("deleted = 2", proto::Roster { deleted: Some(2), ..body.clone() }, WireError::Field),
        ("no version", proto::Roster { version: None, ..body.clone() }, WireError::Field),
        (
            "an account key of 32 bytes",
            proto::Roster { account_key: Some(vec![6; 32]), ..body.clone() },
            WireError::Field,
        ),
        (
            "an identity key",
            proto::Roster { devices: vec![low], ..body.clone() },
            WireError::Key(PublicKeyError::NotCanonical),
        ),
        (
            "a consent of 63 bytes",
            proto::Roster { devices: vec![proto::Entry { consent: Some(vec![4; 63]), ..entry }], ..body.clone() },
            WireError::Field,
        ),
        (
            "a recovery without a date",
            proto::Roster { recoveries: vec![proto::Recovery { named_ms: None, ..recovery }], ..body },
            WireError::Field,
        ),
    ] {
        assert_eq!(RosterBody::parse(&bad.encode_to_vec()).err(), Some(expected), "{what}");
    }
    assert_eq!(RosterBody::parse(&[0x0a, 1, 0xff]).err(), Some(WireError::Protobuf), "no text");

    let signed = |body: Option<usize>, signature: Option<usize>| {
        let bytes = |len: Option<usize>| len.map(|len| vec![1; len]);
        proto::Signed { body: bytes(body), signature: bytes(signature) }.encode_to_vec()
    };
    let whole = signed(Some(4_096), Some(64));
    let (body, signature) = split_signed(&whole).unwrap();
    assert_eq!(join_signed(body, signature), whole);
    let two = join_two(&whole, b"other");
    assert_eq!(split_two(&two), Ok((&whole[..], &b"other"[..])));
    assert_eq!(split_two(&two[..two.len() - 7]), Err(WireError::Field), "one");
    for (bad, expected) in [
        (signed(Some(4_097), Some(64)), WireError::TooLong),
        (signed(None, Some(64)), WireError::Field),
        (signed(Some(1), Some(63)), WireError::Field),
        (signed(Some(1), None), WireError::Field),
    ] {
        assert_eq!(split_signed(&bad).err(), Some(expected));
    }
}

#[test]
fn carried_rosters() {
    let succession = proto::Succession {
        user: Some("alice".into()),
        old: Some(vec![6; 33]),
        new: Some(vec![7; 33]),
        issued_ms: Some(0),
        recovery_signature: Some(vec![8; 64]),
        new_signature: Some(vec![9; 64]),
    };
    let signed = |len| Some(proto::Signed { body: Some(vec![1; len]), signature: Some(vec![2; 64]) });
    let step = |before| proto::Step { succession: Some(succession.clone()), before };
    let carried = |steps, roster| proto::CarriedRoster { steps, roster }.encode_to_vec();
    let most = (0..8).map(|_| step(signed(4_096))).collect::<Vec<_>>();
    let whole = carried(most, signed(4_096));
    assert!(whole.len() <= MAX_CARRIED_ROSTER_LEN);
    let parts = CarriedParts::parse(&whole).unwrap();
    assert_eq!((parts.steps.len(), parts.to_bytes()), (8, whole.clone()));
    let plain = SuccessionBody::signed_part("alice", &[6; 33], &[7; 33], 0);
    assert!(succession.encode_to_vec().starts_with(&plain));
    for (what, bad, expected) in [
        ("9 steps", carried((0..9).map(|_| step(None)).collect(), signed(1)), WireError::TooLong),
        ("no roster", carried(vec![step(None)], None), WireError::Field),
        ("an empty step", carried(vec![proto::Step { succession: None, before: None }], signed(1)), WireError::Field),
        (
            "a signature of 63 bytes",
            carried(
                vec![proto::Step {
                    succession: Some(proto::Succession { new_signature: Some(vec![9; 63]), ..succession.clone() }),
                    before: None,
                }],
                signed(1),
            ),
            WireError::Field,
        ),
        ("too long", vec![0; MAX_CARRIED_ROSTER_LEN + 1], WireError::TooLong),
    ] {
        assert_eq!(CarriedParts::parse(&bad).err(), Some(expected), "{what}");
    }
}

#[test]
fn provisions() {
    let whole = proto::Provision {
        user: Some("alice".into()),
        device: Some(4),
        account_key: Some(vec![6; 33]),
        roster: Some(proto::Signed { body: Some(vec![1; 300]), signature: Some(vec![2; 64]) }),
    };
    let bytes = whole.encode_to_vec();
    let parts = ProvisionParts::parse(&bytes).unwrap();
    assert_eq!((parts.user, parts.device, parts.to_bytes()), ("alice", 4, bytes.clone()));
    for (what, bad) in [
        ("no device", proto::Provision { device: None, ..whole.clone() }),
        ("no roster", proto::Provision { roster: None, ..whole.clone() }),
        ("an account key of 34 bytes", proto::Provision { account_key: Some(vec![6; 34]), ..whole }),
    ] {
        assert_eq!(ProvisionParts::parse(&bad.encode_to_vec()).err(), Some(WireError::Field), "{what}");
    }
}
