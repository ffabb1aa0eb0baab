//! The log of what was sent: how far back it reaches, and what leads to a message in it.

use subrosa::client::{Received, RepairRequest, ResendError, SendError};
use subrosa::ident::MessageId;
use subrosa::persist::RecordKey;
use subrosa::suite::Suite;
use subrosa::wire::Envelope;

use super::side::{Side, address, kind, rng, stage};

const PEER: u8 = 17;
const SENT: u8 = 22;

/// Where the header of a message of suite V1 ends.
fn end_of_header(body: &[u8]) -> usize {
    assert_eq!(body[..2], [0xa1, 0x0a]);
    let low = usize::from(body[2] & 0x7f);
    if body[2] < 0x80 { 3 + low } else { 4 + low + (usize::from(body[3]) << 7) }
}

/// What Bob asks Alice for, and what she makes of it.
fn ask(alice: &mut Side, bob: &mut Side) -> RepairRequest {
    let bundle = alice.bundle();
    let added = bob.run(bob.client.add_session(&bundle)).unwrap();
    let [question] = &added.repair[..] else { panic!("{added:?}") };
    match alice.receive(question.envelope()).unwrap() {
        Received::RepairRequest(request) => request,
        other => panic!("{other:?}"),
    }
}

/// What was garbled on the way, and what comes of it.
#[test]
fn a_garbled_message_is_found_by_its_name() {
    type Garble = fn(&mut Envelope);
    let garbled: [(&str, bool, Garble); 5] = [
        ("ciphertext", true, |envelope| *envelope.body.last_mut().unwrap() ^= 1),
        ("header", false, |envelope| {
            let end = end_of_header(&envelope.body);
            envelope.body[end - 1] ^= 1;
        }),
        ("ciphertext, and the id leads elsewhere", true, |envelope| {
            *envelope.body.last_mut().unwrap() ^= 1;
            envelope.id[0] ^= 0x3f;
        }),
        ("ciphertext and id", true, |envelope| {
            *envelope.body.last_mut().unwrap() ^= 1;
            envelope.id = [0; 16];
        }),
        ("header and id", false, |envelope| {
            let end = end_of_header(&envelope.body);
            envelope.body[end - 1] ^= 1;
            envelope.id = [0; 16];
        }),
    ];
    for (what, is_found, garble) in garbled {
        for later in [0, 7, 8, 100] {
            let (mut alice, mut bob) = Side::talking(Suite::V1, 31);
            let (id, sent) = (alice.message_id(), b"what was sent");
            let staged = alice.run(alice.client.send(id, &address("bob"), sent)).unwrap();
            let name = staged.outgoing()[0].name();
            let mut envelope = staged.outgoing().first().unwrap().envelope().clone();
            garble(&mut envelope);
            let Ok(Received::Unreadable(unreadable)) = bob.receive(&envelope) else { panic!("{what}") };
            assert_eq!(unreadable.name == name, !what.starts_with("header"), "{what}");
            for _ in 0..later {
                let envelope = alice.send("bob", b"later");
                bob.read(&envelope);
            }
            let request = ask(&mut alice, &mut bob);
            let expected = if is_found { vec![id] } else { vec![] };
            assert_eq!((&request.messages, request.reply.is_some()), (&expected, !is_found), "{what}, {later} later");
            if !is_found {
                continue;
            }
            let again = alice.run(alice.client.resend(id, &address("bob"), sent)).unwrap();
            let Ok(Received::Message(message)) = bob.receive(again.outgoing().first().unwrap().envelope()) else {
                panic!()
            };
            assert_eq!((message.plaintext(), message.answers()), (Some(&sent[..]), Some(unreadable.name)));
            let twice = alice.run(alice.client.resend(id, &address("bob"), sent));
            assert!(matches!(twice, Err(ResendError::NotAsked)), "{what}, {later} later");
        }
    }
}

/// An envelope's id that leads to another message takes nothing from the one that is asked for by its name.
#[test]
fn a_name_comes_before_an_envelope() {
    for later in [1, 30] {
        let (mut alice, mut bob) = Side::talking(Suite::V1, 32);
        let id = alice.message_id();
        let asked = alice.run(alice.client.send(id, &address("bob"), b"asked for")).unwrap();
        let mut envelope = asked.outgoing().first().unwrap().envelope().clone();
        (1..later).for_each(|_| drop(alice.send("bob", b"later")));
        envelope.id = alice.send("bob", b"another").id;
        *envelope.body.last_mut().unwrap() ^= 1;
        assert!(matches!(bob.receive(&envelope), Ok(Received::Unreadable(_))));
        assert_eq!(ask(&mut alice, &mut bob).messages, [id]);
    }
}

/// No id is sent twice, as far as the log reaches: 385 messages at least, 392 at most.
#[test]
fn ids_are_known_as_far_as_the_log_reaches() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, _) = Side::talking(suite, 33);
        let ids: Vec<MessageId> = (0..1_000).map(|_| alice.message_id()).collect();
        for (number, id) in ids.iter().enumerate() {
            let text = number.to_be_bytes();
            assert!(!alice.run(alice.client.send(*id, &address("bob"), &text)).unwrap().repeated, "{number}");
        }
        let known = |alice: &mut Side, number: usize| {
            let operation = alice.client.send(ids[number], &address("bob"), &number.to_be_bytes());
            let staged = stage(operation, &alice.rows, alice.now, &mut rng(1)).unwrap();
            assert_eq!(staged.batch().is_empty(), staged.committed().repeated);
            stage(alice.client.send(ids[number], &address("bob"), b"else"), &alice.rows, alice.now, &mut rng(1))
                .is_err()
        };
        let known: Vec<usize> = (0..1_000).filter(|number| known(&mut alice, *number)).collect();
        // 1,002 were sent with the two before: of these the last two are in no segment yet.
        assert_eq!(known, (1_000 - 386..1_000).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_forgotten_is_gone_from_the_row_and_from_segments() {
    let (mut alice, _) = Side::talking(Suite::V1, 34);
    let ids: Vec<MessageId> = (0..30).map(|_| alice.message_id()).collect();
    for id in &ids {
        alice.run(alice.client.send(*id, &address("bob"), b"text")).unwrap();
    }
    let rows = alice.rows_of(SENT).0;
    for at in [0, 10, 29] {
        let before = alice.rows_of(PEER).1 + alice.rows_of(SENT).1;
        alice.run(alice.client.forget_message(ids[at], &address("bob"))).unwrap();
        assert_eq!(alice.rows_of(PEER).1 + alice.rows_of(SENT).1, before - 54, "{at}");
        let again = alice.run(alice.client.send(ids[at], &address("bob"), b"another text")).unwrap();
        assert!(!again.repeated, "{at}");
        let other = alice.run(alice.client.send(ids[at], &address("bob"), b"text"));
        assert!(matches!(other, Err(SendError::IdReused)), "{at}");
    }
    // Of a segment of which nothing is left the row goes.
    for id in &ids {
        alice.run(alice.client.forget_message(*id, &address("bob"))).unwrap();
    }
    assert!(alice.rows_of(SENT).0 < rows - 1, "{rows} → {}", alice.rows_of(SENT).0);
}

/// What was sent to the device under its former key, nobody gets under another: the log is gone, and a row of it that is put
/// back is read as empty.
#[test]
fn nothing_answers_for_another_identity_key() {
    for later in [0, 20] {
        let (mut alice, _) = Side::talking(Suite::V1, 35);
        let secret = alice.send("bob", b"for the former Bob");
        (0..later).for_each(|_| drop(alice.send("bob", b"later")));
        let sent = |side: &Side| {
            let rows = side.rows.iter().filter(|(key, _)| kind(key) == SENT);
            rows.map(|(key, row)| (*key, row.clone())).collect::<Vec<_>>()
        };
        let former = sent(&alice);
        assert_eq!(former.is_empty(), later == 0);
        let mut bob = Side::new("bob", Suite::V1, 99);
        let bundle = bob.bundle();
        alice.run(alice.client.accept_identity(&address("bob"), bundle.identity_key())).unwrap();
        assert!(sent(&alice).is_empty());
        alice.run(alice.client.add_session(&bundle)).unwrap();
        // The same segments are there again, of the new key.
        for number in 0..=later + 12 {
            let envelope = alice.send("bob", &[number; 8]);
            bob.read(&envelope);
            let envelope = bob.send("alice", b"heard");
            alice.read(&envelope);
        }
        for (key, row) in former {
            assert!(alice.rows.contains_key(&key));
            alice.rows.insert(key, row);
        }
        assert!(matches!(bob.receive(&secret), Ok(Received::Unreadable(_))));
        let request = ask(&mut alice, &mut bob);
        assert!(request.messages.is_empty() && request.reply.is_some(), "{later}: {request:?}");
    }
}

/// Rows that a Peer row of before says nothing of are written over.
#[test]
fn a_peer_row_that_is_put_back_holds_nothing_up() {
    let (mut alice, _) = Side::talking(Suite::V1, 36);
    (0..20).for_each(|_| drop(alice.send("bob", b"text")));
    let before: Vec<(RecordKey, _)> = alice.rows.clone().into_iter().filter(|(key, _)| kind(key) == PEER).collect();
    (0..400).for_each(|_| drop(alice.send("bob", b"text")));
    alice.rows.extend(before);
    (0..500).for_each(|_| drop(alice.send("bob", b"text")));
    assert_eq!(alice.rows_of(SENT).0, 48);
    // Of one that is gone the messages are not known: nothing else is amiss.
    alice.rows.retain(|key, _| kind(key) != SENT);
    (0..400).for_each(|_| drop(alice.send("bob", b"text")));
    alice.run(alice.client.forget_device(&address("bob"))).unwrap();
    assert_eq!(alice.rows_of(SENT).0, 0);
}
