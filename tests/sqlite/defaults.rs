//! What a file has without anything being asked for, and what is made of mail that is none.

use subrosa::client::{Database as _, Disposition, ReceiveError};
use subrosa::sqlite::{Connection, Sqlite, rusqlite};
use subrosa::wire::Envelope;

use super::folder::Folder;
use crate::host::{message_id, messages, now, rng};

fn pragma(db: &Sqlite, name: &str) -> String {
    let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
    format!("{:?}", db.sql().query_row(&format!("PRAGMA {name}"), [], value).unwrap())
}

#[test]
fn commits_are_durable_and_what_is_deleted_is_overwritten() {
    let folder = Folder::new();
    let path = folder.path("a.sqlite");
    drop(Connection::open(&path).unwrap());
    for _ in 0..2 {
        // On every connection: only the journal's mode is in the file.
        let db = Sqlite::open(&path, "").unwrap();
        assert_eq!(pragma(&db, "journal_mode"), "Text(\"wal\")");
        assert_eq!(pragma(&db, "synchronous"), "Integer(2)");
        assert_eq!(pragma(&db, "secure_delete"), "Integer(1)");
        assert_eq!(pragma(&db, "fullfsync"), "Integer(1)");
    }
}

#[test]
fn what_the_host_fails_to_write_rolls_the_batch_back() {
    let folder = Folder::new();
    let (alice, _bob) = folder.talking();
    let rows = || alice.sql().query_row("SELECT count(*) FROM message", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = rows();
    let failed = alice.db.transact(&subrosa::staging::Batch::default(), |tx| {
        tx.execute("INSERT INTO message (peer, mine, text) VALUES ('bob', 1, x'00')", [])?;
        tx.execute("INSERT INTO no_such_table VALUES (1)", []).map(drop)
    });
    assert!(failed.is_err());
    assert_eq!(rows(), before);
    assert!(alice.sql().is_autocommit(), "no transaction is left open");
}

/// An envelope that cannot be posted stays, and holds up those behind it to its device, and no others.
#[test]
fn the_outbox_keeps_what_was_not_posted_and_its_order() {
    let folder = Folder::new();
    let (mut alice, _bob) = folder.talking();
    drop(folder.open("carol"));
    for (peer, text) in [("bob", "one"), ("carol", "two"), ("bob", "three"), ("carol", "four")] {
        alice.send(message_id(), peer, text).unwrap();
    }
    let queued = alice.db.outbox().unwrap();
    let [one, two, three, four] = queued.as_slice() else { panic!("{} in the outbox", queued.len()) };
    let mut tried = Vec::new();
    let posted = alice.db.post(|envelope| {
        tried.push(envelope.to_vec());
        if envelope == one { Err("refused".into()) } else { Ok::<_, crate::host::Failure>(()) }
    });
    assert_eq!(posted.unwrap_err().to_string(), "refused");
    assert_eq!(tried, [one, two, four].map(Clone::clone), "not what stands behind the first");
    assert_eq!(alice.db.outbox().unwrap(), [one, three].map(Clone::clone));
    // The next time it goes.
    alice.post().unwrap();
    assert!(alice.db.outbox().unwrap().is_empty());
}

/// Mail of a later version waits; what is no mail is done with; what lies between them is read.
#[test]
fn one_bad_letter_spoils_no_other() {
    let folder = Folder::new();
    let (mut alice, mut bob) = folder.talking();
    for text in ["one", "two"] {
        alice.send(message_id(), "bob", text).unwrap();
    }
    let [one, two] = [0, 1].map(|at| alice.db.outbox().unwrap().remove(at));
    assert!(Envelope::parse(&one).is_ok());
    let mut newer = one.clone();
    // The number of the suite.
    newer[3] = 9;
    let mail = [vec![], one.clone(), newer.clone(), two, one];
    let mut kept = Vec::new();
    let outcomes = bob.db.receive(&bob.client, &mail, now(), &mut rng(), |tx, arrival| {
        if let Err(error) = arrival.outcome
            && error.disposition() == Disposition::Later
        {
            kept.push(arrival.bytes.to_vec());
        }
        messages::arrived(tx, arrival)
    });
    let outcomes = outcomes.unwrap();
    let shown: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().map(drop)).collect();
    assert!(matches!(shown[0], Err(ReceiveError::Malformed(_))), "{shown:?}");
    assert!(shown[1].is_ok() && shown[3].is_ok(), "{shown:?}");
    assert_eq!(shown[4], Err(&ReceiveError::Duplicate));
    assert_eq!(kept, [newer]);
    assert_eq!(messages::texts(bob.sql(), false).unwrap()[3..], ["one", "two"]);
    // It is kept as it came, and tried again by the next version; here it is kept once more.
    let inbox = || bob.sql().query_row("SELECT count(*) FROM inbox", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(inbox(), 1);
    drop(folder.open("bob"));
    assert_eq!(inbox(), 1);
    bob.post().unwrap();
}
