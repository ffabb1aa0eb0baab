//! A framed message that could not be read is sent again as what was sealed: it can be reported like the first one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop where something is wrong")]

use subrosa::platform::{StampKeys, stamp};
use subrosa::report::{AccountTag, Commitment, Destination, FramingPolicy, Part, StampContext};
use subrosa::wire::{EnvelopeKind, RecordKind};

include!("support/clientdoc.rs");

/// What the platform puts to it.
fn stamped(keys: &StampKeys, sent: &Sent) -> Envelope {
    let mut envelope = sent.outgoing().first().unwrap().envelope().clone();
    let commitment = Commitment::new(envelope.commitment.unwrap());
    let (sender, dest) = (AccountTag::of(envelope.from.as_ref().unwrap().user()), AccountTag::of(envelope.to.user()));
    let context = StampContext { sender, dest: Destination::Direct(dest), time: NOW, conv_seq: 0 };
    envelope.stamp = Some(stamp(keys, 1, &commitment, &context).unwrap().to_bytes().to_vec());
    envelope
}

fn receive(client: &Client, db: &Memory, envelope: &Envelope) -> Received {
    let staged = client.receive(envelope).stage(db, NOW, &mut rng()).unwrap();
    staged.commit(|batch, _| db.write(batch)).unwrap()
}

fn todo(client: &Client, db: &Memory) -> Vec<Task> {
    client.todo().stage(db, NOW, &mut rng()).unwrap().committed()
}

#[test]
fn what_was_sealed_is_sent_again() {
    let Talking { alice, alice_db, bob, bob_db, now, mut rng, .. } = talking();
    let (bob, mut keys) = (bob.with_framing(FramingPolicy::default()), StampKeys::default());
    keys.generate(1, &mut rng).unwrap();
    let send = |number: u8, text: &str| {
        let (id, parts) = (MessageId::new([number; 16]), [Part::text(text)]);
        let framed = alice.send_framed(id, bob.address(), &parts).stage(&alice_db, now, &mut self::rng()).unwrap();
        framed.commit(|batch, _| alice_db.write(batch)).unwrap()
    };
    receive(&bob, &bob_db, &stamped(&keys, &send(1, "read").sent));
    // What Bob knows of her is damaged and deleted. She has not been answered: he cannot begin her session a second time.
    bob_db.0.borrow_mut().retain(|key, _| key.as_bytes().first() != Some(&RecordKind::Peer.number()));
    let framed = send(2, "not read");
    let first = stamped(&keys, &framed.sent);
    assert_eq!(first.kind, EnvelopeKind::First);
    let Received::Unreadable(unreadable) = receive(&bob, &bob_db, &first) else { panic!() };
    assert!(unreadable.asked && !unreadable.known);
    assert_eq!(Some(unreadable.name), framed.sent.outgoing().first().map(Outgoing::name));

    assert!(todo(&bob, &bob_db).contains(&Task::FetchBundle(alice.address().clone())));
    let bundle = published(&alice, &alice_db).verify().unwrap();
    let added = bob.add_session(&bundle).stage(&bob_db, now, &mut rng).unwrap();
    let added = added.commit(|batch, _| bob_db.write(batch)).unwrap();
    let [question] = added.repair.as_slice() else { panic!() };
    let Received::RepairRequest(request) = receive(&alice, &alice_db, question.envelope()) else { panic!() };
    let id = MessageId::new([2; 16]);
    assert_eq!((request.messages, request.reply), (vec![id], None));

    // Neither the text nor anything else goes out in its place.
    for other in [&b"not read"[..], &[], &vec![0; 70_000]] {
        let refused = alice.resend(id, bob.address(), other).stage(&alice_db, now, &mut rng).unwrap_err();
        assert!(matches!(refused, StageError::Operation(ResendError::OtherContent)));
    }
    let again = alice.resend(id, bob.address(), &framed.inner).stage(&alice_db, now, &mut rng).unwrap();
    let again = again.commit(|batch, _| alice_db.write(batch)).unwrap();
    let second = stamped(&keys, &again);
    assert_eq!(second.commitment, first.commitment, "the same message");
    assert_ne!(
        again.outgoing().first().map(Outgoing::name),
        framed.sent.outgoing().first().map(Outgoing::name),
        "another envelope"
    );
    let Received::Framed(message) = receive(&bob, &bob_db, &second) else { panic!() };
    assert_eq!(message.accepted.parts, [Part::text("not read")]);
    assert_eq!(
        (message.answers, Some(message.name)),
        (framed.sent.outgoing().first().map(Outgoing::name), again.outgoing().first().map(Outgoing::name))
    );
    assert_eq!(message.accepted.evidence.commitment(), framed.evidence.unwrap().commitment());
    // It is once, and over.
    let refused = alice.resend(id, bob.address(), &framed.inner).stage(&alice_db, now, &mut rng).unwrap_err();
    assert!(matches!(refused, StageError::Operation(ResendError::NotAsked)));
    assert!(!todo(&alice, &alice_db).iter().any(|task| matches!(task, Task::Resend { .. })));
}
