//! What happens over days, restarts and reinstallations: rotation, rollback counters, forgotten devices, an inbox that comes
//! twice.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::allow_attributes_without_reason, reason = "what the examples of the documentation share is short")]

include!("support/clientdoc.rs");

use subrosa::prekey::Device;

const DAY: u64 = 24 * 60 * 60 * 1000;

fn day(days: u64) -> Timestamp {
    Timestamp::new(NOW.get() + days * DAY)
}

fn run<T, E: std::fmt::Debug>(operation: Operation<T, E>, db: &Memory, now: Timestamp) -> T {
    let staged = operation.stage(db, now, &mut rng()).map_err(|error| format!("{error:?}")).unwrap();
    staged.commit(|batch, _| db.write(batch)).unwrap()
}

fn rows_of_kind(db: &Memory, kind: u8) -> usize {
    db.0.borrow().keys().filter(|key| key.as_bytes()[0] == kind).count()
}

/// Publishes what is due, and has it confirmed.
fn publish(client: &Client, db: &Memory, server: PrekeyCounts, now: Timestamp) -> Option<PrekeyUpload> {
    let upload = run(client.publish_prekeys(server), db, now).pop()?;
    assert_eq!(run(client.published(upload.id), db, now), Publication::Confirmed);
    Some(upload)
}

/// Signed and last-resort prekeys are due after 7 days, and their private halves gone 30 days after their successors were
/// confirmed, by `maintain` alone.
#[test]
fn prekeys_rotate_by_age() {
    let (alice, db) = account("alice");
    let first = publish(&alice, &db, PrekeyCounts::default(), NOW).unwrap();
    let mut now = NOW;
    while now < day(7) {
        let done = run(alice.maintain(), &db, now);
        assert!(!done.prekeys_due, "day {}", (now.get() - NOW.get()) / DAY);
        assert!(done.next_due > now && done.next_due <= day(7));
        now = done.next_due;
    }
    assert!(run(alice.maintain(), &db, now).prekeys_due);
    assert_eq!(run(alice.todo(), &db, now), [Task::PublishPrekeys, Task::PublishRoster]);
    let second = publish(&alice, &db, PrekeyCounts::FULL, now).unwrap();
    assert_ne!((second.signed.id, second.last_resort.id), (first.signed.id, first.last_resort.id));
    assert!(second.one_time.is_empty() && second.one_time_kem.is_empty(), "what has arrived is not uploaded again");
    assert!(!run(alice.maintain(), &db, now).prekeys_due);
    let kem = rows_of_kind(&db, 4);
    // What was replaced on day 7 stays until day 37, and not for long after that.
    for days in 8..40 {
        let due = run(alice.maintain(), &db, day(days)).prekeys_due;
        assert_eq!(due, days % 7 == 0, "day {days}");
        if due {
            publish(&alice, &db, PrekeyCounts::FULL, day(days));
        }
        let made = usize::try_from(days / 7 + 1).unwrap();
        assert!(days > 37 || rows_of_kind(&db, 2) == made, "day {days}: first messages may be under way");
    }
    assert_eq!((rows_of_kind(&db, 2), rows_of_kind(&db, 4)), (5, kem + 3), "the oldest are deleted");
}

/// A clock that was wrong once costs an upload, not an outage: what was uploaded last is never deleted.
#[test]
fn a_wrong_clock_makes_one_more_upload() {
    let (alice, db) = account("alice");
    publish(&alice, &db, PrekeyCounts::default(), NOW);
    let in_1970 = publish(&alice, &db, PrekeyCounts::FULL, Timestamp::new(1_000)).unwrap();
    assert!(run(alice.maintain(), &db, day(1)).prekeys_due, "peers hold a prekey that looks fifty years old");
    let again = publish(&alice, &db, PrekeyCounts::FULL, day(1)).unwrap();
    assert!(again.signed.id != in_1970.signed.id && again.signed.created == day(1));
    let bundle = again.bundle(None, None).verify().unwrap();
    let (bob, bob_db) = account("bob");
    assert!(run(bob.add_session(&bundle), &bob_db, day(1)).started);
}

/// What a confirmation names, and nothing else: another process may have put something else together since.
#[test]
fn one_process_does_not_confirm_another_ones_upload() {
    let (alice, db) = account("alice");
    let first = run(alice.publish_prekeys(PrekeyCounts::default()), &db, NOW).remove(0);
    let same = run(alice.publish_prekeys(PrekeyCounts::default()), &db, day(1)).remove(0);
    assert_eq!(first, same, "the same until it is confirmed");
    let fresh = run(alice.publish_prekeys(PrekeyCounts::default()), &db, day(8)).remove(0);
    assert_ne!(fresh.id, first.id, "other dates");
    let before = db.0.borrow().clone();
    for unknown in [first.id, PrekeyUploadId::new([9; 16])] {
        assert_eq!(run(alice.published(unknown), &db, day(8)), Publication::NotPending);
    }
    assert!(*db.0.borrow() == before, "nothing has changed");
    assert_eq!(run(alice.todo(), &db, day(8)), [Task::PublishPrekeys, Task::PublishRoster, Task::Maintain]);
    assert_eq!(run(alice.published(fresh.id), &db, day(8)), Publication::Confirmed);
    assert_eq!(run(alice.todo(), &db, day(8)), [Task::PublishRoster, Task::Maintain]);
    assert_eq!(run(alice.published(fresh.id), &db, day(8)), Publication::NotPending, "once");
}

/// However long uploads fail: the keys stay the same, only their dates are new, and there are no more rows.
#[test]
fn an_upload_that_fails_is_made_fresh_in_place() {
    let (alice, db) = account("alice");
    let first = run(alice.publish_prekeys(PrekeyCounts::default()), &db, NOW).remove(0);
    let rows = db.0.borrow().len();
    for days in 1..=200 {
        assert!(run(alice.maintain(), &db, day(days)).prekeys_due);
        let upload = run(alice.publish_prekeys(PrekeyCounts::default()), &db, day(days)).remove(0);
        let keys = |upload: &PrekeyUpload| {
            let (signed, last_resort) = (&upload.signed, &upload.last_resort);
            (signed.id, signed.key, last_resort.id, last_resort.key.clone(), upload.one_time.clone())
        };
        assert_eq!(keys(&upload), keys(&first), "day {days}");
        assert!(upload.signed.created.get() + 7 * DAY > day(days).get(), "day {days}");
        upload.verify().unwrap();
    }
    assert!(db.0.borrow().len() <= rows + 1, "the clock's row, and no other");
}

/// A server that always says that it has none is brought 400 one-time prekeys a day, and what it was brought stays until
/// nobody can have got it any more.
#[test]
fn a_server_that_counts_nothing() {
    let (alice, db) = account("alice");
    let (mut uploads, mut most) = (Vec::new(), 0);
    for hour in 0..24 * 80 {
        let now = Timestamp::new(NOW.get() + hour * DAY / 24);
        if hour % 24 == 0 {
            run(alice.maintain(), &db, now);
        }
        if hour < 24 * 8 {
            uploads.extend(publish(&alice, &db, PrekeyCounts::default(), now).map(|upload| (now, upload)));
        }
        let last_day = uploads.iter().filter(|(at, _)| now.since(*at) < DAY);
        let made: usize = last_day.map(|(_, upload)| upload.one_time.len() + upload.one_time_kem.len()).sum();
        assert!(made <= 400, "{made} on one day");
        let rows = rows_of_kind(&db, 3);
        most = most.max(rows);
        // None was used: what the last replacing upload was given after is there, and what was there 30 days ago.
        let all: usize = uploads.iter().map(|(_, upload)| upload.one_time.len()).sum();
        assert!(hour > 24 * 30 || rows == all, "hour {hour}: {rows} of {all}");
    }
    let replacing = uploads.iter().rposition(|(_, upload)| upload.replaces_one_time).unwrap();
    assert!(replacing > 0, "some have to go");
    let kept: usize = uploads[replacing..].iter().map(|(_, upload)| upload.one_time.len()).sum();
    assert_eq!(rows_of_kind(&db, 3), kept, "what the server may still hand out, and no more; at most {most}");
}

fn open(key: &StorageKey, db: &Memory, rollback_counter: RollbackCounter) -> Opened {
    run(Client::open(key, rollback_counter), db, NOW)
}

/// Hosts die between the commit and the storing of the rollback counter, several at once, again and again: nothing went back.
#[test]
fn rollback_counters_that_are_lost_are_no_rollback() {
    let Talking { alice_db: db, alice_key: key, .. } = talking();
    let mut stored = open(&key, &db, RollbackCounter::new(NOW.get())).rollback_counter;
    for _ in 0..5 {
        // Three processes with the same rollback counter, and one that has none, before anybody stores it.
        for _ in 0..3 {
            assert!(!open(&key, &db, stored).rolled_back);
        }
        let before = db.0.borrow().clone();
        assert!(!open(&key, &db, RollbackCounter::UNAVAILABLE).rolled_back);
        assert!(*db.0.borrow() == before, "who has no rollback counter moves none");
        let opened = open(&key, &db, stored);
        run(opened.client.maintain(), &db, NOW);
        stored = stored.max(opened.rollback_counter);
    }
}

/// An earlier account on the same machine has left a rollback counter behind, which never grows smaller.
#[test]
fn a_new_account_takes_over_an_old_rollback_counter() {
    let Talking { alice_db: db, alice_key: key, .. } = talking();
    assert!(!open(&key, &db, RollbackCounter::new(40)).rolled_back);
}

#[test]
fn older_databases_and_other_machines_are_found() {
    let Talking { alice_db: db, alice_key: key, .. } = talking();
    let stored = open(&key, &db, RollbackCounter::new(NOW.get())).rollback_counter;
    let yesterday = db.0.borrow().clone();
    let newer = open(&key, &db, stored).rollback_counter;
    *db.0.borrow_mut() = yesterday;
    let opened = open(&key, &db, newer);
    assert!(opened.rolled_back, "an older copy");
    assert!(!open(&key, &db, opened.rollback_counter).rolled_back, "found once");
    let elsewhere = open(&key, &db, RollbackCounter::new(0));
    assert!(elsewhere.rolled_back, "the database without its rollback counter");
    assert!(
        !open(&key, &db, RollbackCounter::new(0)).rolled_back,
        "found once, though the rollback counter was not stored"
    );
}

/// A session under a key that nobody accepted is not brought back by accepting it after the store went back in time.
#[test]
fn an_untrusted_session_of_before_a_rollback_sends_no_more() {
    let Talking { alice, alice_db: db, alice_key: key, bob, .. } = talking();
    let stored = open(&key, &db, RollbackCounter::new(NOW.get())).rollback_counter;
    let bundle = published(&alice, &db);
    // Bob's new phone.
    let (new_db, device) = (Memory::default(), Device::generate(bob.address().clone(), &mut rng()));
    let bob_new = run(Client::adopt(&StorageKey::new([8; 32]), &device), &new_db, NOW).client;
    run(bob_new.add_session(&bundle.verify().unwrap()), &new_db, NOW);
    let hello = run(bob_new.send(MessageId::new([1; 16]), alice.address(), b"new phone"), &new_db, NOW);
    let Received::Message(message) = run(alice.receive(hello.outgoing().first().unwrap().envelope()), &db, NOW) else {
        panic!()
    };
    assert_eq!(message.identity(), &IdentityStatus::Changed(*device.identity_key()));
    let backup = db.0.borrow().clone();
    run(alice.accept_identity(bob.address(), device.identity_key()), &db, NOW);
    run(alice.send(MessageId::new([2; 16]), bob.address(), b"welcome"), &db, NOW);
    let newer = open(&key, &db, stored).rollback_counter;
    *db.0.borrow_mut() = backup;
    let opened = open(&key, &db, newer);
    assert!(opened.rolled_back);
    let alice = opened.client;
    run(alice.accept_identity(bob.address(), device.identity_key()), &db, NOW);
    let sent = alice.send(MessageId::new([3; 16]), bob.address(), b"again").stage(&db, NOW, &mut rng());
    assert!(matches!(sent, Err(StageError::Operation(SendError::NoSession))), "{sent:?}");
}

/// An inbox whose acknowledgement was lost: every message is a duplicate, however many there were.
#[test]
fn an_inbox_that_comes_again_is_duplicates() {
    let Talking { alice, alice_db, bob, bob_db: db, .. } = talking();
    let inbox: Vec<_> = (0..200u8)
        .map(|at| {
            let sent = run(alice.send(MessageId::new([at; 16]), bob.address(), &[at]), &alice_db, NOW);
            sent.outgoing().first().unwrap().envelope().clone()
        })
        .collect();
    assert!(run(bob.receive_many(&inbox), &db, NOW).iter().all(Result::is_ok));
    let again = run(bob.receive_many(&inbox), &db, NOW);
    assert!(again.iter().all(|outcome| *outcome == Err(ReceiveError::Duplicate)), "{again:?}");
    assert_eq!(run(bob.todo(), &db, NOW), [Task::PublishPrekeys, Task::PublishRoster, Task::Maintain]);
}

/// A device whose records are damaged is forgotten without any of them being read, and begins anew.
#[test]
fn a_damaged_device_is_forgotten() {
    let Talking { alice, alice_db: db, bob, bob_db, .. } = talking();
    for number in 11..20 {
        run(alice.send(MessageId::new([number; 16]), bob.address(), b"hi"), &db, NOW);
    }
    let before = db.0.borrow().len();
    for (key, row) in db.0.borrow_mut().iter_mut() {
        if matches!(key.as_bytes()[0], 17 | 22) {
            row.bytes[100] ^= 1;
        }
    }
    let sent = alice.send(MessageId::new([2; 16]), bob.address(), b"hi").stage(&db, NOW, &mut rng());
    assert!(matches!(sent, Err(StageError::Operation(SendError::Stored(_)))));
    let damaged: usize = (0..=255).map(|page| run(alice.prune(page), &db, NOW).damaged.len()).sum();
    assert_eq!(damaged, 1);
    run(alice.forget_device(bob.address()), &db, NOW);
    // The device's own row, a segment and the index of what was sent to it.
    assert_eq!(db.0.borrow().len(), before - 3);
    let bundle = published(&bob, &bob_db).verify().unwrap();
    // The key that it was known by is in a row of its own.
    assert_eq!(run(alice.add_session(&bundle), &db, NOW).identity, IdentityStatus::Known);
    run(alice.send(MessageId::new([2; 16]), bob.address(), b"hi"), &db, NOW);
}
