//! Two processes on one file, and what they must not do to each other.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use subrosa::client::{Client, Database as _, Received, RollbackCounter};
use subrosa::persist::RecordKey;
use subrosa::sqlite::Sqlite;
use subrosa::staging::{ApplyError, Row, Step, Store};
use subrosa::wire::Envelope;

use super::folder::{Folder, deliver, key};
use crate::host::{Host, address, message_id, messages, now, rng};

/// Messages that bob sends.
const FROM_BOB: usize = 150;
/// Messages that each of alice's processes sends.
const FROM_EACH: usize = 40;

/// One of alice's processes: sends, and takes so much of her mail at a time.
pub(crate) fn work(folder: &Folder, name: &str, role: &str, most: usize) {
    let mut host = folder.open(name);
    start_together(folder, role);
    let (mut sent, began) = (0, Instant::now());
    while sent < FROM_EACH || received(&host) < FROM_BOB {
        assert!(began.elapsed() < Duration::from_secs(60), "{role} is stuck: {sent} sent, {} there", received(&host));
        if sent < FROM_EACH {
            host.send(message_id(), "bob", &format!("{role} {sent}")).unwrap();
            sent += 1;
        }
        host.post().unwrap();
        host.receive(most).unwrap();
    }
    fs::write(folder.path(&format!("{role}.report")), format!("{} {}", host.received, host.db.conflicts())).unwrap();
}

/// Bob's process.
pub(crate) fn correspond(folder: &Folder, name: &str) {
    let mut host = folder.open(name);
    start_together(folder, "correspond");
    for number in 0..FROM_BOB {
        host.send(message_id(), "alice", &format!("bob {number}")).unwrap();
        host.post().unwrap();
        if number % 10 == 0 {
            host.receive(500).unwrap();
        }
    }
}

/// Waits until all three are ready.
fn start_together(folder: &Folder, role: &str) {
    fs::write(folder.path(&format!("{role}.ready")), "").unwrap();
    while !["single", "bulk", "correspond"].iter().all(|role| folder.path(&format!("{role}.ready")).exists()) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn received(host: &Host) -> usize {
    messages::texts(host.sql(), false).unwrap().len()
}

#[test]
fn two_processes_share_one_file() {
    let folder = Folder::new();
    let (mut alice, mut bob) = (folder.open("alice"), folder.open("bob"));
    bob.send(message_id(), "alice", "hello").unwrap();
    deliver(&mut alice, &mut bob);
    drop((alice, bob));
    let processes = [("single", "alice"), ("bulk", "alice"), ("correspond", "bob")];
    let processes = processes.map(|(role, name)| folder.spawn(role, name));
    assert!(processes.into_iter().all(|process| process.succeeds()));

    let (mut alice, mut bob) = (folder.open("alice"), folder.open("bob"));
    deliver(&mut alice, &mut bob);
    let texts = |host: &Host, mine| messages::texts(host.sql(), mine).unwrap();
    let (sent, received) = (texts(&bob, true), texts(&alice, false));
    assert_eq!(received.len(), FROM_BOB + 1, "nothing twice");
    assert_eq!(BTreeSet::from_iter(received), BTreeSet::from_iter(sent), "nothing lost");
    assert_eq!(texts(&bob, false), texts(&alice, true), "in the order in which they were committed");
    assert_eq!(texts(&bob, false).len(), 2 * FROM_EACH);
    let report = |role: &str| {
        let report = fs::read_to_string(folder.path(&format!("{role}.report"))).unwrap();
        let (received, conflicts) = report.split_once(' ').unwrap();
        (received.parse::<usize>().unwrap(), conflicts.parse::<usize>().unwrap())
    };
    let (single, bulk) = (report("single"), report("bulk"));
    eprintln!("(received, conflicts): single {single:?}, bulk {bulk:?}");
    assert!(single.0 > 0 && bulk.0 > 0, "one of them starved");
}

/// A store that tries, whenever it is asked to load, whether somebody else could write.
struct Open<'a>(&'a Sqlite, Connection);

impl Store for Open<'_> {
    type Error = rusqlite::Error;

    fn load(&self, keys: &[RecordKey]) -> rusqlite::Result<Vec<Option<Row>>> {
        assert!(self.0.sql().is_autocommit(), "a transaction is open");
        let rows = self.0.load(keys)?;
        self.1.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
        Ok(rows)
    }
}

#[test]
fn nothing_is_locked_while_an_operation_is_staged() {
    let folder = Folder::new();
    drop(folder.talking());
    let path = folder.path("alice.sqlite");
    let (db, bob) = (Sqlite::open(&path, "").unwrap(), address("bob").unwrap());
    let other = Connection::open(&path).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    let opened = Client::open(&key(), RollbackCounter::UNAVAILABLE).stage(&db, now(), &mut rng()).unwrap();
    let client = opened.committed().client;

    let store = Open(&db, other);
    let send = |text: &[u8]| client.send(message_id(), &bob, text).stage(&store, now(), &mut rng()).unwrap();
    let (first, second) = (send(b"one"), send(b"two"));
    // Both are staged, and nobody waits: another connection writes in between.
    let Open(_, mut other) = store;
    let tx = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    tx.execute("INSERT INTO inbox (bytes) VALUES (x'00')", []).unwrap();
    tx.commit().unwrap();
    assert!(first.commit(|batch, _| db.transact(batch, |_| Ok(()))).is_ok());
    // Whoever comes second has lost, and nothing of it is there.
    let lost = second.commit(|batch, sent| db.transact(batch, |tx| messages::sent(tx, sent, "bob", "two")));
    assert!(matches!(lost, Err(ApplyError::Conflict)));
    assert!(db.outbox().unwrap().is_empty());
}

/// An operation loads twice, and in between somebody writes both records: they do not fit together, and that is neither
/// damage nor an answer.
#[test]
fn rows_of_two_moments_are_no_damage() {
    let folder = Folder::new();
    let (mut alice, bob) = folder.talking();
    drop(bob);
    for text in ["one", "two", "three"] {
        alice.send(message_id(), "bob", text).unwrap();
    }
    let queued = alice.db.outbox().unwrap();
    let [one, two, three] = [0, 1, 2].map(|at| Envelope::parse(&queued[at]).unwrap());
    let db = Sqlite::open(&folder.path("bob.sqlite"), "").unwrap();
    let opened = Client::open(&key(), RollbackCounter::UNAVAILABLE).stage(&db, now(), &mut rng()).unwrap();
    let bob = opened.committed().client;
    let receive = |envelope: &Envelope| bob.receive(envelope).run(&db, now(), &mut rng(), |_, _| Ok(())).unwrap();
    receive(&three);

    let (mut operation, mut loads) = (bob.receive(&one), 0);
    let staged = loop {
        match operation.step(now(), &mut rng()).unwrap() {
            Step::Need(keys) => {
                operation.supply(db.load(&keys).unwrap());
                loads += 1;
                if loads == 1 {
                    receive(&two);
                }
            }
            Step::Ready(staged) => break staged,
        }
    };
    assert!(loads > 1, "there was no moment in between");
    let received = staged.commit(|batch, _| db.transact(batch, |_| Ok(()))).unwrap();
    assert!(matches!(received, Received::Message(message) if message.plaintext() == Some(b"one")));
}

/// A message comes again when its chain is long forgotten: whether it was read, the library cannot tell, and the host can.
#[test]
fn a_late_duplicate_is_not_asked_for_again() {
    let folder = Folder::new();
    let (mut alice, mut bob) = folder.talking();
    alice.send(message_id(), "bob", "once").unwrap();
    let queued = alice.db.outbox().unwrap().remove(0);
    deliver(&mut alice, &mut bob);
    for turn in 0..10 {
        alice.send(message_id(), "bob", &format!("alice turns {turn}")).unwrap();
        deliver(&mut alice, &mut bob);
        bob.send(message_id(), "alice", &format!("bob turns {turn}")).unwrap();
        deliver(&mut alice, &mut bob);
    }
    folder.relay().post(&queued).unwrap();
    alice.send(message_id(), "bob", "behind it").unwrap();
    deliver(&mut alice, &mut bob);
    assert_eq!(messages::texts(bob.sql(), false).unwrap(), messages::texts(alice.sql(), true).unwrap());
}
