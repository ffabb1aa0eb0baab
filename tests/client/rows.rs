//! Which rows operations touch, and what they cost.

use subrosa::client::{
    AddError, Client, CreateError, IdentityError, Opened, Operation, PublishError, ReceiveError, Received, ResetError,
    RollbackCounter, SendError, Sent, StoredError,
};
use subrosa::staging::{ApplyError, Batch, StageError, Staged, Step, Store as _};
use subrosa::suite::Suite;

use super::side::{Rowed, Side, address, rng, stage};

const PEER: u8 = 17;
const SKIPPED_KEYS: u8 = 18;
const SKIPPED_PAGE: u8 = 27;
const SENT: u8 = 22;
const SENT_INDEX: u8 = 32;
/// One's own account: compared, since it says whether people know each other by rosters.
const CHECKED: (char, u8) = ('c', 33);

/// No row that all peers share is written, and but for one's own account nothing is compared: one row to send, one to receive.
/// Every eighth message makes a segment of the sent log.
#[test]
fn a_steady_message_touches_its_own_rows() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = Side::talking(suite, 1);
        // Two were sent by each.
        let is_eighth = |sent: u8| sent > 0 && (sent + 2).is_multiple_of(8);
        let sends = |sent| {
            if is_eighth(sent) {
                vec![('p', PEER), ('p', SENT), ('p', SENT_INDEX), CHECKED]
            } else {
                vec![('p', PEER), CHECKED]
            }
        };
        for turn in 0..60_u8 {
            let envelope = alice.send("bob", &[turn; 100]);
            assert_eq!(alice.done(), sends(turn), "turn {turn}");
            bob.read(&envelope);
            assert_eq!(bob.done(), [('p', PEER), CHECKED], "turn {turn}");
            if turn % 3 == 0 {
                let envelope = bob.send("alice", b"answer");
                assert_eq!(bob.done(), sends(turn / 3), "turn {turn}");
                alice.read(&envelope);
                assert_eq!(alice.done(), [('p', PEER), CHECKED]);
            }
        }
        assert!(alice.len_of(PEER) < 12 << 10 && bob.len_of(PEER) < 12 << 10);
    }
}

/// A row at a time, or all that are asked for: the same batch, to the last byte.
#[test]
fn however_rows_are_given_the_bytes_are_the_same() {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 3);
    let (envelope, bundle) = (alice.send("bob", b"hi"), bob.bundle());
    let id = alice.message_id();
    same(&alice, || alice.client.send(id, &address("bob"), b"text"));
    same(&alice, || alice.client.reset(&address("bob")));
    same(&alice, || alice.client.prune(0));
    same(&alice, || alice.client.maintain());
    same(&bob, || bob.client.receive(&envelope));
    same(&bob, || bob.client.receive_many(&[envelope.clone(), envelope.clone()]));
    let late: Vec<_> = (0..70).map(|_| alice.send("bob", b"late")).collect();
    let next = alice.send("bob", b"next");
    same(&bob, || bob.client.receive(&next));
    bob.read(&next);
    same(&bob, || bob.client.receive(&late[5]));
    same(&bob, || bob.client.receive_many(&late[3..9]));
    let (mut carol, mut alice) = (Side::new("carol", Suite::V1, 9), alice);
    same(&carol, || carol.client.add_session(&bundle));
    let to_carol = carol.bundle();
    alice.run(alice.client.add_session(&to_carol)).unwrap();
    let first = alice.send("carol", b"first");
    same(&carol, || carol.client.receive(&first));
    alice.run(alice.client.reset(&address("bob"))).unwrap();
    same(&alice, || alice.client.add_session(&bundle));
}

#[track_caller]
fn same<T: std::fmt::Debug, E: std::fmt::Debug>(side: &Side, make: impl Fn() -> Operation<T, E>) {
    let at_once = make().stage(&Rowed(&side.rows), side.now, &mut rng(5)).unwrap_or_else(|_| panic!("refused"));
    let by_hand = stage(make(), &side.rows, side.now, &mut rng(5)).unwrap();
    assert_eq!(at_once.batch(), by_hand.batch());
    let (mut slowly, mut rng) = (make(), rng(5));
    let staged = loop {
        match slowly.step(side.now, &mut rng).unwrap() {
            Step::Need(keys) => slowly.supply(Rowed(&side.rows).load(&keys[..1]).unwrap()),
            Step::Ready(staged) => break staged,
        }
    };
    assert_eq!(staged.batch(), by_hand.batch(), "one row at a time");
    assert!(!by_hand.batch().is_empty() || side.rows.is_empty() || by_hand.batch() == &Batch::default());
}

/// Keys for late messages lie apart: they do not make every message dearer.
#[test]
fn a_thousand_lost_messages_cost_the_hot_row_nothing() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = Side::talking(suite, 5);
        let envelope = alice.send("bob", b"before");
        bob.read(&envelope);
        let before = bob.len_of(PEER);
        let lost: Vec<_> = (0..1_000).map(|_| alice.send("bob", b"lost")).collect();
        let next = alice.send("bob", b"next");
        assert_eq!(bob.read(&next), b"next");
        let pages = 2 * 1_000usize.div_ceil(64);
        let written = [vec![('p', PEER), ('p', SKIPPED_KEYS)], vec![('p', SKIPPED_PAGE); pages], vec![CHECKED]];
        assert_eq!(bob.done(), written.concat());
        assert!(bob.len_of(PEER) <= before + 1_024, "{before} → {}", bob.len_of(PEER));
        assert!(bob.len_of(SKIPPED_KEYS) < 1_024);
        let (rows, bytes) = bob.rows_of(SKIPPED_PAGE);
        assert!(rows == pages && bytes > 2 * 1_000 * 36 && bytes < 100_000);
        for _ in 0..10 {
            let envelope = alice.send("bob", b"in order");
            bob.read(&envelope);
            assert_eq!(bob.done(), [('p', PEER), CHECKED], "what is kept is left alone");
        }
        for at in [0, 999, 500] {
            assert_eq!(bob.read(&lost[at]), b"lost");
            let pages = [('p', SKIPPED_PAGE); 2];
            assert_eq!(bob.done(), [&[('p', PEER), ('p', SKIPPED_KEYS)], &pages[..], &[CHECKED]].concat());
            assert!(matches!(bob.receive(&lost[at]), Err(ReceiveError::Duplicate)));
        }
    }
}

/// One poisoned envelope among many fails alone.
#[test]
fn what_is_poisoned_in_bulk_fails_alone() {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 7);
    let mut inbox: Vec<_> = (0..20_u8).map(|number| alice.send("bob", &[number; 8])).collect();
    let last = inbox[4].body.len() - 1;
    inbox[4].body[last] ^= 1;
    inbox[6].body.truncate(3);
    inbox[8] = inbox[7].clone();
    inbox[10].to = address("carol");
    let before = bob.clone();
    let outcomes = bob.run(bob.client.receive_many(&inbox)).unwrap();
    assert_eq!(outcomes.len(), 20);
    let mut alone = before;
    for (at, outcome) in outcomes.iter().enumerate() {
        let expected = match at {
            4 => matches!(outcome, Ok(Received::Unreadable(_))),
            6 => matches!(outcome, Err(ReceiveError::Malformed(_))),
            8 => matches!(outcome, Err(ReceiveError::Duplicate)),
            10 => matches!(outcome, Err(ReceiveError::NotForUs)),
            _ => {
                matches!(outcome, Ok(Received::Message(message)) if message.plaintext() == Some(&[u8::try_from(at).unwrap(); 8]))
            }
        };
        assert!(expected, "{at}: {outcome:?}");
        // One by one they come to the same.
        assert_eq!(&alone.receive(&inbox[at]), outcome, "{at}");
    }
}

#[test]
fn the_types_go_anywhere() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Client>();
    anywhere::<Operation<Sent, SendError>>();
    anywhere::<Operation<Received, ReceiveError>>();
    anywhere::<Staged<Received>>();
    anywhere::<Step<Sent>>();
    anywhere::<Batch>();
    anywhere::<RollbackCounter>();
    anywhere::<Opened>();
    anywhere::<(SendError, ReceiveError, AddError, IdentityError, ResetError, PublishError, CreateError, StoredError)>(
    );
    anywhere::<StageError<SendError, std::io::Error>>();
    anywhere::<ApplyError<std::io::Error>>();
}
