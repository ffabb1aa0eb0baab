//! The write-ahead log, cut anywhere: what the power, or a disk that lies, may leave.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;
use subrosa::client::{Client, RollbackCounter};
use subrosa::sqlite::Sqlite;

use super::folder::{Folder, advance, deliver, key};
use crate::host::{Host, message_id, messages, now, rng};

const HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

/// Every row of every table.
fn dump(db: &Connection) -> Vec<Vec<Value>> {
    let tables = ["subrosa_record", "subrosa_read", "message", "gap", "subrosa_outbox", "inbox"];
    let rows = tables.into_iter().flat_map(|table| {
        let mut query = db.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
        let columns = query.column_count();
        let rows = query.query_map([], |row| (0..columns).map(|column| row.get(column)).collect()).unwrap();
        rows.collect::<rusqlite::Result<Vec<_>>>().unwrap()
    });
    rows.collect()
}

/// What is there after one transaction.
struct Commit {
    log: usize,
    rows: Vec<Vec<Value>>,
    rollback_counter: Vec<u8>,
    /// How many envelopes were posted by then.
    posted: usize,
}

/// Alice's file when the log was empty, her log, and what each transaction made of it.
struct Recorded {
    folder: Folder,
    base: Vec<u8>,
    log: Vec<u8>,
    commits: Vec<Commit>,
    posted: Vec<Vec<u8>>,
    waiting: Vec<Vec<u8>>,
}

impl Recorded {
    fn new() -> Self {
        let folder = Folder::new();
        let (mut alice, mut bob) = folder.talking();
        let mut waiting = Vec::new();
        for text in ["first of bob's", "second of bob's"] {
            bob.send(message_id(), "alice", text).unwrap();
            waiting.extend(bob.db.outbox().unwrap());
            bob.post().unwrap();
        }
        bob.db.empty_log().unwrap();
        drop(bob);
        alice.db.empty_log().unwrap();
        let base = fs::read(folder.path("alice.sqlite")).unwrap();
        let mut recorded = Self { folder, base, log: Vec::new(), commits: Vec::new(), posted: Vec::new(), waiting };
        recorded.note(&alice);
        // Each of these is one transaction.
        let send = |alice: &mut Host| alice.send(message_id(), "bob", &"of alice's ".repeat(50)).unwrap();
        let receive = |alice: &mut Host| assert_eq!(alice.receive(1).unwrap(), 1);
        let advance = |alice: &mut Host| assert!(!advance(alice).prekeys_due);
        let steps: [&dyn Fn(&mut Host); 6] = [&send, &receive, &send, &advance, &receive, &send];
        for step in steps {
            step(&mut alice);
            recorded.note(&alice);
            let outbox = alice.db.outbox().unwrap();
            alice.post().unwrap();
            if !outbox.is_empty() {
                recorded.posted.extend(outbox);
                recorded.note(&alice);
            }
        }
        recorded.log = fs::read(recorded.folder.path("alice.sqlite-wal")).unwrap();
        assert_eq!(fs::read(recorded.folder.path("alice.sqlite")).unwrap(), recorded.base, "all is in the log");
        recorded
    }

    fn note(&mut self, alice: &Host) {
        let log = fs::metadata(self.folder.path("alice.sqlite-wal")).map_or(0, |log| log.len());
        self.commits.push(Commit {
            log: usize::try_from(log).unwrap(),
            rows: dump(alice.sql()),
            rollback_counter: fs::read(self.folder.path("alice.counter")).unwrap(),
            posted: self.posted.len(),
        });
    }

    /// A new folder with alice's file and so much of its log, and bob.
    fn cut(&self, at: usize) -> Folder {
        let folder = Folder::new();
        self.folder.copy_host("bob", &folder);
        fs::write(folder.path("alice.sqlite"), &self.base).unwrap();
        fs::write(folder.path("alice.sqlite-wal"), &self.log[..at]).unwrap();
        folder
    }

    /// The last transaction whose end is in the log.
    fn commit(&self, at: usize) -> usize {
        self.commits.iter().rposition(|commit| commit.log <= at.max(self.commits[0].log)).unwrap()
    }
}

fn database(folder: &Folder) -> Sqlite {
    Sqlite::open(Path::new(&folder.path("alice.sqlite")), "").unwrap()
}

#[test]
fn a_log_that_is_cut_anywhere_is_some_earlier_moment() {
    let recorded = Recorded::new();
    let end = recorded.commits.last().unwrap();
    let newest: u64 = String::from_utf8(end.rollback_counter.clone()).unwrap().trim().parse().unwrap();
    let frames = (recorded.log.len() - HEADER) / FRAME;
    assert!(frames >= 2 * recorded.commits.len(), "only {frames} frames");
    let advanced = recorded.commits.iter().position(|commit| commit.rollback_counter == end.rollback_counter).unwrap();
    let mut seen = Vec::new();
    let boundaries = (0..=frames).map(|frame| HEADER + frame * FRAME);
    for at in [0].into_iter().chain(boundaries.clone()).chain(boundaries.map(|at| at.saturating_sub(100))) {
        let folder = recorded.cut(at);
        let (db, commit) = (database(&folder), recorded.commit(at));
        assert!(dump(db.sql()) == recorded.commits[commit].rows, "cut at {at}: not what commit {commit} left");
        seen.push(commit);
        let opened = Client::open(&key(), RollbackCounter::new(newest)).stage(&db, now(), &mut rng()).unwrap();
        assert_eq!(opened.output().rolled_back, commit < advanced, "cut at {at}");
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, Vec::from_iter(0..recorded.commits.len()), "every moment was seen");
}

/// The power goes while a transaction is being written: those before it are whole, and the conversation goes on as if
/// nothing had happened.
#[test]
fn after_any_cut_everything_arrives_once() {
    let recorded = Recorded::new();
    for (number, commit) in recorded.commits.iter().enumerate() {
        // What was written of the next one.
        let next = recorded.commits.get(number + 1).map_or(commit.log, |next| next.log - FRAME);
        let folder = recorded.cut(next);
        assert_eq!(recorded.commit(next), number);
        fs::write(folder.path("alice.counter"), &commit.rollback_counter).unwrap();
        let relay = folder.relay();
        for envelope in &recorded.posted[..commit.posted] {
            relay.post(envelope).unwrap();
        }
        for envelope in &recorded.waiting {
            relay.post(envelope).unwrap();
        }
        let (mut alice, mut bob) = (folder.open("alice"), folder.open("bob"));
        assert!(!alice.rolled_back && !bob.rolled_back);
        alice.send(message_id(), "bob", "after the cut").unwrap();
        deliver(&mut alice, &mut bob);
        bob.send(message_id(), "alice", "I read that").unwrap();
        deliver(&mut alice, &mut bob);
        let texts = |host: &Host, mine| messages::texts(host.sql(), mine).unwrap();
        assert_eq!(texts(&bob, false), texts(&alice, true), "commit {number}");
        assert_eq!(texts(&alice, false), texts(&bob, true), "commit {number}");
    }
}

/// Commits that others have seen the effects of are lost, and no rollback counter tells: a database with relaxed durability.
/// What is sent then stands where something else was read; the recipient asks for it in a new session.
#[test]
fn commits_that_are_lost_unnoticed_are_healed() {
    let recorded = Recorded::new();
    let commit = recorded.commits.iter().rposition(|commit| commit.posted < recorded.posted.len()).unwrap() - 1;
    let folder = recorded.cut(recorded.commits[commit].log);
    fs::write(folder.path("alice.counter"), &recorded.commits[commit].rollback_counter).unwrap();
    recorded.folder.copy_prekeys(&folder);
    for envelope in &recorded.posted {
        folder.relay().post(envelope).unwrap();
    }
    let (mut alice, mut bob) = (folder.open("alice"), folder.open("bob"));
    assert!(!alice.rolled_back);
    deliver(&mut alice, &mut bob);
    for turn in 0..3 {
        alice.send(message_id(), "bob", &format!("alice goes on {turn}")).unwrap();
        deliver(&mut alice, &mut bob);
        bob.send(message_id(), "alice", &format!("bob goes on {turn}")).unwrap();
        deliver(&mut alice, &mut bob);
    }
    for (from, to, who) in [(&alice, &bob, "alice"), (&bob, &alice, "bob")] {
        let (sent, received) = (messages::texts(from.sql(), true).unwrap(), messages::texts(to.sql(), false).unwrap());
        let goes_on =
            |texts: &[String]| texts.iter().filter(|text| text.contains("goes on")).cloned().collect::<Vec<_>>();
        assert_eq!(goes_on(&received), goes_on(&sent), "of {who}");
    }
}
