//! What a host calls: operations run in one call, an account opened or made, what is to be done.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop where something is wrong")]

use std::cell::Cell;
use std::error::Error as _;

include!("support/clientdoc.rs");

/// The disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the disk is full")
    }
}

impl std::error::Error for Full {}

/// A database that others use: for so many commits somebody else is faster.
struct Busy<'a> {
    db: &'a Memory,
    conflicts: Cell<u32>,
    loads: Cell<u32>,
}

impl<'a> Busy<'a> {
    fn new(db: &'a Memory, conflicts: u32) -> Self {
        Self { db, conflicts: Cell::new(conflicts), loads: Cell::new(0) }
    }
}

impl Store for Busy<'_> {
    type Error = Full;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Full> {
        self.loads.set(self.loads.get() + 1);
        Ok(self.db.load(keys).unwrap())
    }
}

impl Database for Busy<'_> {
    type Transaction<'a> = Own;

    fn transact(&self, batch: &Batch, own: impl FnOnce(&mut Own) -> Result<(), Full>) -> Result<(), ApplyError<Full>> {
        let (mut rows, mut tables) = (self.db.0.borrow().clone(), self.db.1.borrow().clone());
        batch.apply_to(&mut rows).unwrap();
        own(&mut tables)?;
        if let Some(left) = self.conflicts.get().checked_sub(1) {
            self.conflicts.set(left);
            return Err(ApplyError::Conflict);
        }
        (*self.db.0.borrow_mut(), *self.db.1.borrow_mut()) = (rows, tables);
        Ok(())
    }

    fn attempts(&self) -> u32 {
        5
    }
}

fn send(from: &Client, to: &Client, number: u8) -> Operation<Sent, SendError> {
    from.send(MessageId::new([number; 16]), to.address(), b"text")
}

#[test]
fn who_comes_too_late_begins_anew() {
    let Talking { alice, alice_db, bob, bob_db, now, mut rng, .. } = talking();
    let (db, mut seen) = (Busy::new(&alice_db, 4), Vec::new());
    let sent = send(&alice, &bob, 1).run(&db, now, &mut rng, |tx, sent| {
        let bytes = sent.outgoing().first().unwrap().bytes();
        seen.push(bytes.clone());
        tx.outbox.push(bytes);
        Ok(())
    });
    assert_eq!((seen.len(), alice_db.outbox()), (5, vec![sent.unwrap().outgoing().first().unwrap().bytes()]));
    assert!(db.loads.get() >= 5, "from rows of before");
    // No two of them are made of the same random bytes.
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), 5);
    // What was committed is what the other one reads.
    let envelope = Envelope::parse(&alice_db.outbox()[0]).unwrap();
    let received = bob.receive(&envelope).run(&bob_db, now, &mut rng, |_, _| Ok(())).unwrap();
    assert!(matches!(received, Received::Message(_)));
}

#[test]
fn conflicts_come_to_an_end_and_are_no_error_of_the_operation() {
    let Talking { alice, alice_db, bob, now, mut rng, .. } = talking();
    let before = alice_db.0.borrow().clone();
    let sent = send(&alice, &bob, 1).run(&Busy::new(&alice_db, 5), now, &mut rng, |_, _| Ok(()));
    assert!(matches!(sent, Err(RunError::Conflict)));
    let stranger = Address::new(UserId::new("carol").unwrap(), DeviceId::new(1));
    let sent = alice.send(MessageId::new([2; 16]), &stranger, b"text");
    let sent = sent.run(&Busy::new(&alice_db, 0), now, &mut rng, |_, _| Ok(()));
    assert!(matches!(sent, Err(RunError::Operation(SendError::NoSession))));
    assert!(*alice_db.0.borrow() == before, "nothing has happened");
}

#[test]
fn what_the_host_cannot_write_rolls_all_of_it_back() {
    let Talking { alice, alice_db, bob, now, mut rng, .. } = talking();
    let before = alice_db.0.borrow().clone();
    let sent = send(&alice, &bob, 1).run(&Busy::new(&alice_db, 0), now, &mut rng, |tx, _| {
        tx.outbox.push(vec![1]);
        Err(Full)
    });
    let error = sent.unwrap_err();
    assert_eq!(error, RunError::Database(Full));
    assert_eq!(error.source().unwrap().to_string(), "the disk is full");
    assert!(*alice_db.0.borrow() == before && alice_db.outbox().is_empty());
    // It is not lost: the same message id goes out when there is room.
    let sent = send(&alice, &bob, 1).run(&alice_db, now, &mut rng, |_, _| Ok(())).unwrap();
    assert!(!sent.outgoing().is_empty());
}

#[test]
fn what_is_known_is_dropped() {
    let Talking { alice, alice_db, bob, bob_db, now, mut rng, .. } = talking();
    let sent = send(&alice, &bob, 1).run(&alice_db, now, &mut rng, |_, _| Ok(())).unwrap();
    let envelope = Envelope::parse(&sent.outgoing().first().unwrap().bytes()).unwrap();
    let before = bob_db.0.borrow().clone();
    let known = bob.receive(&envelope).run_unless(&bob_db, now, &mut rng, |_| Ok(true), |_, _| panic!("written"));
    assert_eq!(known.unwrap(), None);
    assert!(*bob_db.0.borrow() == before);
    let failed = bob.receive(&envelope).run_unless(&Busy::new(&bob_db, 0), now, &mut rng, |_| Err(Full), |_, _| Ok(()));
    assert_eq!(failed.unwrap_err(), RunError::Database(Full));
    let received = bob.receive(&envelope).run_unless(&bob_db, now, &mut rng, |_| Ok(false), |_, _| Ok(()));
    assert!(matches!(received.unwrap(), Some(Received::Message(_))));
}

#[test]
fn a_store_that_gives_too_few_rows_is_told_apart() {
    struct Short;
    impl Store for Short {
        type Error = Full;
        fn load(&self, _: &[RecordKey]) -> Result<Vec<Option<Row>>, Full> {
            Ok(Vec::new())
        }
    }
    impl Database for Short {
        type Transaction<'a> = ();
        fn transact(&self, _: &Batch, _: impl FnOnce(&mut ()) -> Result<(), Full>) -> Result<(), ApplyError<Full>> {
            panic!("written")
        }
    }
    let Talking { alice, bob, now, mut rng, .. } = talking();
    assert_eq!(send(&alice, &bob, 1).run(&Short, now, &mut rng, |_, _| Ok(())).unwrap_err(), RunError::Rows);
}

#[test]
fn an_account_is_made_once_and_opened_from_then_on() {
    let (db, key, now) = (Memory::default(), StorageKey::new([7; 32]), NOW);
    let [alice, bob] = ["alice", "bob"].map(|name| Address::new(UserId::new(name).unwrap(), DeviceId::new(1)));
    let start = |key: &StorageKey, rollback_counter, address: &Address| {
        Client::open_or_create(key, rollback_counter, address, Suites::V1).run(&db, now, &mut rng(), |_, _| Ok(()))
    };
    // Two processes start at once: one makes it, and the other one opens what was made.
    let first =
        Client::open_or_create(&key, RollbackCounter::new(0), &alice, Suites::V1).stage(&db, now, &mut rng()).unwrap();
    let second = start(&key, RollbackCounter::new(0), &alice).unwrap();
    assert!(second.is_new && !second.rolled_back);
    assert!(matches!(first.commit(|batch, _| db.write(batch)), Err(ApplyError::Conflict)));
    let opened = start(&key, second.rollback_counter, &alice).unwrap();
    assert!(!opened.is_new && !opened.rolled_back && opened.rollback_counter > second.rollback_counter);

    let before = db.0.borrow().clone();
    assert!(matches!(start(&key, opened.rollback_counter, &bob), Err(RunError::Operation(OpenError::OtherDevice))));
    let wrong = start(&StorageKey::new([8; 32]), opened.rollback_counter, &alice);
    assert!(matches!(wrong, Err(RunError::Operation(OpenError::WrongStorageKey))));
    assert!(*db.0.borrow() == before, "nothing has happened");
    // A copy of before is found, and is not made anew.
    assert!(start(&key, RollbackCounter::new(now.get() * 2), &alice).unwrap().rolled_back);
}

fn todo(client: &Client, db: &Memory, hours: u64) -> Vec<Task> {
    let at = Timestamp::new(NOW.get() + hours * 3_600_000);
    client.todo().run(db, at, &mut rng(), |_, _| Ok(())).unwrap()
}

/// Publishing prekeys, however often, does not put off what is to be done once a day.
#[test]
fn what_is_to_be_done_is_told_until_it_is_done() {
    let (client, db) = account("alice");
    assert_eq!(todo(&client, &db, 0), [Task::PublishPrekeys, Task::PublishRoster, Task::Maintain]);
    let publish = |hours: u64| {
        let at = Timestamp::new(NOW.get() + hours * 3_600_000);
        let uploads = client.publish_prekeys(PrekeyCounts::default()).run(&db, at, &mut rng(), |_, _| Ok(()));
        for upload in uploads.unwrap() {
            client.published(upload.id).run(&db, at, &mut rng(), |_, _| Ok(())).unwrap();
        }
    };
    let maintain = |hours: u64| {
        let at = Timestamp::new(NOW.get() + hours * 3_600_000);
        client.maintain().run(&db, at, &mut rng(), |_, _| Ok(())).unwrap()
    };
    publish(0);
    assert_eq!(todo(&client, &db, 0), [Task::PublishRoster, Task::Maintain]);
    maintain(1);
    assert_eq!(todo(&client, &db, 24), [Task::PublishRoster]);
    for hours in (2..25).step_by(3) {
        publish(hours);
    }
    assert_eq!(todo(&client, &db, 25), [Task::PublishRoster, Task::Maintain]);
    // Within the day it is done again without a row being written for it but the vault.
    maintain(25);
    let rows = db.0.borrow().clone();
    maintain(26);
    let changed = db.0.borrow().iter().filter(|(key, row)| rows.get(*key) != Some(*row)).count();
    assert_eq!((changed, todo(&client, &db, 48)), (1, vec![Task::PublishRoster]));
    client.roster_published(1).run(&db, Timestamp::new(NOW.get() + 48 * 3_600_000), &mut rng(), |_, _| Ok(())).unwrap();
    assert_eq!(todo(&client, &db, 48), []);
    // A clock that was ahead by a year was maintained then: it is due at once when it is right.
    maintain(24 * 365);
    assert_eq!(todo(&client, &db, 50).last(), Some(&Task::Maintain));
}

/// A handle of before a rollback does not say that it has done what it has not.
#[test]
fn a_handle_of_before_a_rollback_leaves_it_to_be_done() {
    let (client, db) = account("alice");
    let key = StorageKey::new([7; 32]);
    let opened =
        Client::open(&key, RollbackCounter::new(NOW.get() * 2)).run(&db, NOW, &mut rng(), |_, _| Ok(())).unwrap();
    assert!(opened.rolled_back);
    let done = client.maintain().run(&db, NOW, &mut rng(), |_, _| Ok(())).unwrap();
    assert_eq!(done.rollback_counter, None);
    assert!(todo(&opened.client, &db, 0).contains(&Task::Maintain));
}

/// One operation for whoever asks: the message, or word that it is gone.
#[test]
fn an_answer_is_the_message_or_word_that_it_is_gone() {
    for (content, is_message) in [(Some(&b"text"[..]), true), (Some(b"changed since"), false), (None, false)] {
        let Talking { alice, alice_db, bob, bob_db, now, mut rng, .. } = talking();
        let mut both = |from: &Client, from_db: &Memory, to: &Client, to_db: &Memory, number| {
            let sent = send(from, to, number).run(from_db, now, &mut rng, |_, _| Ok(())).unwrap();
            let envelope = Envelope::parse(&sent.outgoing().first().unwrap().bytes()).unwrap();
            to.receive(&envelope).run(to_db, now, &mut rng, |_, _| Ok(())).unwrap()
        };
        both(&alice, &alice_db, &bob, &bob_db, 1);
        both(&bob, &bob_db, &alice, &alice_db, 2);
        // What Bob knows of her is gone: he cannot read what comes, fetches her bundle and asks.
        bob_db.0.borrow_mut().retain(|key, _| key.as_bytes()[0] != 17);
        let mut rng = self::rng();
        let lost = both_lost(&alice, &alice_db, &bob, &bob_db);
        assert!(matches!(lost, Received::Unreadable(_)));
        assert!(todo(&bob, &bob_db, 0).contains(&Task::FetchBundle(alice.address().clone())));
        let bundle = published(&alice, &alice_db).verify().unwrap();
        let added = bob.add_session(&bundle).run(&bob_db, now, &mut rng, |_, _| Ok(())).unwrap();
        for question in &added.repair {
            alice.receive(question.envelope()).run(&alice_db, now, &mut rng, |_, _| Ok(())).unwrap();
        }
        let task = Task::Resend { address: bob.address().clone(), message_id: MessageId::new([3; 16]) };
        assert!(todo(&alice, &alice_db, 0).contains(&task));
        let answer = alice.answer(MessageId::new([3; 16]), bob.address(), content);
        let answer = answer.run(&alice_db, now, &mut rng, |_, _| Ok(())).unwrap().unwrap();
        assert!(!todo(&alice, &alice_db, 0).contains(&task));
        let received = bob.receive(answer.envelope()).run(&bob_db, now, &mut rng, |_, _| Ok(())).unwrap();
        match received {
            Received::Message(message) => assert!(is_message && message.plaintext() == Some(b"text")),
            Received::ResendDeclined(_) => assert!(!is_message),
            other => panic!("{other:?}"),
        }
        // Once is all.
        let again = alice.answer(MessageId::new([3; 16]), bob.address(), content);
        let again = again.run(&alice_db, now, &mut rng, |_, _| Ok(()));
        assert!(matches!(again, Err(RunError::Operation(ResendError::NotAsked))));
    }
}

fn both_lost(alice: &Client, alice_db: &Memory, bob: &Client, bob_db: &Memory) -> Received {
    let sent = send(alice, bob, 3).run(alice_db, NOW, &mut rng(), |_, _| Ok(())).unwrap();
    let envelope = Envelope::parse(&sent.outgoing().first().unwrap().bytes()).unwrap();
    bob.receive(&envelope).run(bob_db, NOW, &mut rng(), |_, _| Ok(())).unwrap()
}
