//! One handle for conversations with frames and without, and what is left when a device is forgotten.

use subrosa::report::MissingStamp;
use subrosa::wire::RecordKind;

use super::*;

fn plain(from: &Client, db: &Memory, to: &Address, id: u8) -> Envelope {
    let staged = from.send(MessageId::new([id; 16]), to, b"plain").stage(db, NOW, &mut rng()).unwrap();
    staged.commit(|batch, _| db.write(batch)).unwrap().outgoing().first().unwrap().envelope().clone()
}

fn set(client: &Client, db: &Memory, user: &UserId, framed: bool) {
    let staged = client.set_framing(user, framed).stage(db, NOW, &mut rng()).unwrap();
    staged.commit(|batch, ()| db.write(batch)).unwrap();
}

fn refusal(received: Result<Received, Refused>) -> ReceiveError {
    match received {
        Err(StageError::Operation(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn rows(db: &Memory, kind: RecordKind) -> usize {
    db.0.borrow().keys().filter(|key| key.as_bytes()[0] == kind.number()).count()
}

fn meet(from: &Client, from_db: &Memory, to: &Client, to_db: &Memory) {
    let uploads = to.publish_prekeys(PrekeyCounts::default()).stage(to_db, NOW, &mut rng()).unwrap();
    let upload = uploads.commit(|batch, _| to_db.write(batch)).unwrap().remove(0);
    // Each one-time prekey is given out once: here none is.
    let bundle = upload.bundle(None, None).verify().unwrap();
    let added = from.add_session(&bundle).stage(from_db, NOW, &mut rng()).unwrap();
    added.commit(|batch, _| from_db.write(batch)).unwrap();
}

/// One `receive_many` takes framed and unframed conversations; in the framed one plain content stays with the transport.
#[test]
fn an_inbox_of_both_kinds() {
    let Talking { alice, alice_db, bob, bob_db, .. } = talking();
    let (carol, carol_db) = account("carol");
    meet(&carol, &carol_db, &bob, &bob_db);
    let (platform, bob) = (Platform::new(), bob.with_framing(FramingPolicy::default()));
    let inbox = [
        plain(&carol, &carol_db, bob.address(), 1),
        platform.stamp(
            send(&alice, &alice_db, bob.address(), 2, "framed").sent.outgoing().first().unwrap().envelope(),
            "alice",
        ),
        plain(&alice, &alice_db, bob.address(), 3),
        plain(&carol, &carol_db, bob.address(), 4),
    ];
    let staged = bob.receive_many(&inbox).stage(&bob_db, NOW, &mut rng()).unwrap();
    let outcomes = staged.commit(|batch, _| bob_db.write(batch)).unwrap();
    let is_message = |at: usize| matches!(&outcomes[at], Ok(Received::Message(message)) if !message.lacks_frame());
    assert!(is_message(0) && matches!(outcomes[1], Ok(Received::Framed(_))) && is_message(3));
    assert_eq!(outcomes[2].as_ref().unwrap_err(), &ReceiveError::Unframed);
    assert_eq!(ReceiveError::Unframed.disposition(), Disposition::Later);
    // It is read when the host says so, or a host reads it that hands such things over.
    let policy = FramingPolicy::default().with_unframed(UnframedContent::HandOver);
    let handed = bob.with_framing(policy).receive(&inbox[2]).stage(&bob_db, NOW, &mut rng()).unwrap();
    assert!(matches!(handed.output(), Received::Message(message) if message.lacks_frame()));
    set(&bob, &bob_db, alice.address().user(), false);
    assert!(matches!(receive(&bob, &bob_db, &inbox[2]), Ok(Received::Message(message)) if !message.lacks_frame()));
    // A framed message of the peer's does not overrule the host; one of one's own does.
    let framed_again = send(&alice, &alice_db, bob.address(), 5, "framed");
    framed(receive(&bob, &bob_db, &platform.stamp(framed_again.sent.outgoing().first().unwrap().envelope(), "alice")));
    let unframed = plain(&alice, &alice_db, bob.address(), 6);
    assert!(matches!(receive(&bob, &bob_db, &unframed), Ok(Received::Message(_))));
    send(&bob, &bob_db, alice.address(), 7, "framed from now on");
    let unframed = plain(&alice, &alice_db, bob.address(), 8);
    assert_eq!(refusal(receive(&bob, &bob_db, &unframed)), ReceiveError::Unframed);
}

/// The conversation is the user's: another device of theirs does not get around it. Nor does who deletes the row.
#[test]
fn another_device_or_a_lost_row_takes_no_frame_away() {
    let Talking { alice, alice_db, bob, bob_db, .. } = talking();
    let (platform, bob) = (Platform::new(), bob.with_framing(FramingPolicy::default()));
    let post = platform
        .stamp(send(&alice, &alice_db, bob.address(), 1, "x").sent.outgoing().first().unwrap().envelope(), "alice");
    framed(receive(&bob, &bob_db, &post));
    let (tablet_db, address) = (Memory::default(), Address::new(alice.address().user().clone(), DeviceId::new(2)));
    let tablet = Client::create(&StorageKey::new([7; 32]), &address, Suites::V1).stage(&tablet_db, NOW, &mut rng());
    let tablet = tablet.unwrap().commit(|batch, _| tablet_db.write(batch)).unwrap().client;
    meet(&tablet, &tablet_db, &bob, &bob_db);
    let unframed = plain(&tablet, &tablet_db, bob.address(), 1);
    assert_eq!(refusal(receive(&bob, &bob_db, &unframed)), ReceiveError::Unframed);
    bob_db.0.borrow_mut().retain(|key, _| key.as_bytes()[0] != RecordKind::Framing.number());
    let unframed = plain(&alice, &alice_db, bob.address(), 2);
    assert_eq!(refusal(receive(&bob, &bob_db, &unframed)), ReceiveError::Unframed);
}

/// What the library itself says passes, and a handle without framing leaves what is framed where it is.
#[test]
fn repair_passes_and_framed_messages_wait_for_framing() {
    let Talking { alice, alice_db, bob, bob_db, .. } = talking();
    let platform = Platform::new();
    let post = platform
        .stamp(send(&alice, &alice_db, bob.address(), 1, "x").sent.outgoing().first().unwrap().envelope(), "alice");
    let before = bob_db.0.borrow().clone();
    let error = refusal(receive(&bob, &bob_db, &post));
    assert_eq!((error.disposition(), *bob_db.0.borrow() == before), (Disposition::Later, true));
    let bob = bob.with_framing(FramingPolicy::default());
    framed(receive(&bob, &bob_db, &post));
    // Bob cannot read one, and asks: Alice's conversation is framed, and the question is none that is shown.
    let (sent, mut torn) = (send(&alice, &alice_db, bob.address(), 2, "x"), None);
    let envelope = torn.insert(platform.stamp(sent.sent.outgoing().first().unwrap().envelope(), "alice"));
    *envelope.body.last_mut().unwrap() ^= 1;
    assert!(matches!(receive(&bob, &bob_db, envelope), Ok(Received::Unreadable(_))));
    let bundle = published(&alice, &alice_db).verify().unwrap();
    let added = bob.add_session(&bundle).stage(&bob_db, NOW, &mut rng()).unwrap();
    let repair = added.commit(|batch, _| bob_db.write(batch)).unwrap().repair.remove(0);
    let alice = alice.with_framing(FramingPolicy::default());
    assert!(matches!(receive(&alice, &alice_db, repair.envelope()), Ok(Received::RepairRequest(_))));
}

fn forget(client: &Client, db: &Memory, address: &Address) {
    let staged = client.forget_device(address).stage(db, NOW, &mut rng()).unwrap();
    staged.commit(|batch, ()| db.write(batch)).unwrap();
}

/// Whoever was forgotten leaves the key that they were known by, and no chains.
#[test]
fn forgetting_leaves_the_pin_and_no_chains() {
    for is_damaged in [false, true] {
        let Talking { alice, alice_db, bob, bob_db, .. } = talking();
        let policy = FramingPolicy::default().with_missing_stamp(MissingStamp::AllowUnreportable);
        let bob = bob.with_framing(policy);
        let post = send(&alice, &alice_db, bob.address(), 1, "x").sent.outgoing().first().unwrap().envelope().clone();
        framed(receive(&bob, &bob_db, &post));
        assert_eq!((rows(&bob_db, RecordKind::Framing), rows(&bob_db, RecordKind::Pin)), (1, 1));
        if is_damaged {
            for (key, row) in bob_db.0.borrow_mut().iter_mut() {
                if [RecordKind::Peer, RecordKind::Framing].map(RecordKind::number).contains(&key.as_bytes()[0]) {
                    row.bytes[40] ^= 1;
                }
            }
        }
        forget(&bob, &bob_db, alice.address());
        let left = [RecordKind::Peer, RecordKind::Framing, RecordKind::Pin].map(|kind| rows(&bob_db, kind));
        assert_eq!(left, [0, 0, 1], "damaged: {is_damaged}");
        // Somebody else under her name, by message and by bundle.
        let (mallory, mallory_db) = account("alice");
        let bundle = published(&mallory, &mallory_db).verify().unwrap();
        let added = bob.add_session(&bundle).stage(&bob_db, NOW, &mut rng());
        assert!(matches!(added, Err(StageError::Operation(AddError::IdentityChanged))));
        meet(&mallory, &mallory_db, &bob, &bob_db);
        let post = send(&mallory, &mallory_db, bob.address(), 1, "it's me")
            .sent
            .outgoing()
            .first()
            .unwrap()
            .envelope()
            .clone();
        let message = framed(receive(&bob, &bob_db, &post));
        let key = *message.identity.changed_key().expect("not the first that was seen under the name");
        let answer = bob.send(MessageId::new([9; 16]), alice.address(), b"hi").stage(&bob_db, NOW, &mut rng());
        assert!(matches!(answer, Err(StageError::Operation(SendError::IdentityChanged))));
        // She herself is known.
        let refused = bob.refuse_identity(alice.address()).stage(&bob_db, NOW, &mut rng()).unwrap();
        refused.commit(|batch, ()| bob_db.write(batch)).unwrap();
        meet(&alice, &alice_db, &bob, &bob_db);
        let reset = alice.reset(bob.address()).stage(&alice_db, NOW, &mut rng()).unwrap();
        reset.commit(|batch, ()| alice_db.write(batch)).unwrap();
        meet(&alice, &alice_db, &bob, &bob_db);
        let post = send(&alice, &alice_db, bob.address(), 2, "y").sent.outgoing().first().unwrap().envelope().clone();
        assert_eq!(framed(receive(&bob, &bob_db, &post)).identity, IdentityStatus::Known);
        // Accepting another key moves the pin; forgetting it by name starts over.
        let accepted = bob.accept_identity(alice.address(), &key).stage(&bob_db, NOW, &mut rng()).unwrap();
        accepted.commit(|batch, ()| bob_db.write(batch)).unwrap();
        let forget_identity = || {
            let staged = bob.forget_identity(alice.address()).stage(&bob_db, NOW, &mut rng()).unwrap();
            staged.commit(|batch, _| bob_db.write(batch)).unwrap()
        };
        assert!(!forget_identity(), "known, not forgotten");
        forget(&bob, &bob_db, alice.address());
        let added = bob.add_session(&bundle).stage(&bob_db, NOW, &mut rng()).unwrap();
        assert_eq!(added.commit(|batch, _| bob_db.write(batch)).unwrap().identity, IdentityStatus::Known);
        forget(&bob, &bob_db, alice.address());
        assert!(forget_identity() && !forget_identity());
        let bundle = published(&alice, &alice_db).verify().unwrap();
        let added = bob.add_session(&bundle).stage(&bob_db, NOW, &mut rng()).unwrap();
        assert_eq!(added.output().identity, IdentityStatus::First);
    }
}

/// While another device of the user is known, the conversation goes on, and no row is old.
#[test]
fn forgetting_one_of_two_devices_keeps_the_conversation() {
    let Talking { alice, alice_db, bob, bob_db, .. } = talking();
    let (platform, bob) = (Platform::new(), bob.with_framing(FramingPolicy::default()));
    let (tablet_db, address) = (Memory::default(), Address::new(alice.address().user().clone(), DeviceId::new(2)));
    let tablet = Client::create(&StorageKey::new([7; 32]), &address, Suites::V1).stage(&tablet_db, NOW, &mut rng());
    let tablet = tablet.unwrap().commit(|batch, _| tablet_db.write(batch)).unwrap().client;
    meet(&tablet, &tablet_db, &bob, &bob_db);
    for (from, db) in [(&alice, &alice_db), (&tablet, &tablet_db)] {
        let post =
            platform.stamp(send(from, db, bob.address(), 1, "x").sent.outgoing().first().unwrap().envelope(), "alice");
        framed(receive(&bob, &bob_db, &post));
    }
    forget(&bob, &bob_db, tablet.address());
    assert_eq!(rows(&bob_db, RecordKind::Framing), 1);
    let post = platform
        .stamp(send(&alice, &alice_db, bob.address(), 2, "x").sent.outgoing().first().unwrap().envelope(), "alice");
    let message = framed(receive(&bob, &bob_db, &post));
    assert_eq!((message.accepted.status, message.old_row), (ChainStatus::Next, None));
    // What the forgotten one had said is not named any more.
    let answer = send(&bob, &bob_db, alice.address(), 9, "read").evidence.unwrap();
    assert_eq!(answer.header().seen().len(), 1);
    forget(&bob, &bob_db, alice.address());
    assert_eq!(rows(&bob_db, RecordKind::Framing), 0);
}
