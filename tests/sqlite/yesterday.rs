//! A database of yesterday comes back.

use subrosa::wire::{Envelope, EnvelopeKind};

use super::folder::{Folder, advance, deliver};
use crate::host::{message_id, messages};

#[test]
fn an_old_database_is_found_and_the_conversation_goes_on() {
    // What waits in the mail box cannot be read. Whoever reads the mail first asks for it with the session that is started;
    // else that is asked for as soon as the peer has answered.
    assert_eq!(go_back(true), ["under way", "welcome back"]);
    assert_eq!(go_back(false), ["welcome back", "under way"]);
}

/// What alice reads after she went back.
fn go_back(mail_first: bool) -> Vec<String> {
    let (folder, backup) = (Folder::new(), Folder::new());
    let (mut alice, mut bob) = folder.talking();
    alice.db.empty_log().unwrap();
    folder.copy_host("alice", &backup);
    let yesterday = messages::texts(alice.sql(), true).unwrap();
    // A day goes by.
    alice.maintain().unwrap();
    for text in ["one", "two", "three"] {
        alice.send(message_id(), "bob", text).unwrap();
        bob.send(message_id(), "alice", &format!("answer to {text}")).unwrap();
        deliver(&mut alice, &mut bob);
    }
    bob.send(message_id(), "alice", "under way").unwrap();
    bob.post().unwrap();
    drop(alice);

    // The backup has no rollback counter that counts: that one stays where it is.
    let rollback_counter = std::fs::read(folder.path("alice.counter")).unwrap();
    backup.copy_host("alice", &folder);
    std::fs::write(folder.path("alice.counter"), rollback_counter).unwrap();
    let mut alice = folder.open("alice");
    assert!(alice.rolled_back);
    assert_eq!(messages::texts(alice.sql(), true).unwrap(), yesterday);
    if mail_first {
        assert_eq!(alice.receive(500).unwrap(), 1);
    }
    // What goes out is of a new session: no key of an old chain is used a second time.
    alice.send(message_id(), "bob", "after the restore").unwrap();
    let outbox = alice.db.outbox().unwrap();
    assert!(!outbox.is_empty());
    for queued in &outbox {
        assert_eq!(Envelope::parse(queued).unwrap().kind, EnvelopeKind::First);
    }
    deliver(&mut alice, &mut bob);
    bob.send(message_id(), "alice", "welcome back").unwrap();
    deliver(&mut alice, &mut bob);
    alice.send(message_id(), "bob", "thank you").unwrap();
    deliver(&mut alice, &mut bob);

    let hers = messages::texts(alice.sql(), false).unwrap().split_off(3);
    assert_eq!(messages::missing(alice.sql()).unwrap(), 0);
    let his = messages::texts(bob.sql(), false).unwrap();
    assert_eq!(his[his.len() - 5..], ["one", "two", "three", "after the restore", "thank you"]);
    drop(alice);
    assert!(!folder.open("alice").rolled_back, "once is enough");
    hers
}

/// The commit is durable, the rollback counter is not: however often a host dies between them, nothing went back.
#[test]
fn dying_again_and_again_before_the_rollback_counter_is_stored_is_no_rollback() {
    let folder = Folder::new();
    drop(folder.open("alice"));
    let rollback_counter = std::fs::read(folder.path("alice.counter")).unwrap();
    for _ in 0..4 {
        assert!(!folder.open("alice").rolled_back);
        std::fs::write(folder.path("alice.counter"), &rollback_counter).unwrap();
    }
}

/// Processes that open and maintain one file at the same time advance it more than once between two readings.
#[test]
fn many_open_one_file_at_once_and_none_takes_it_for_a_rollback() {
    let folder = Folder::new();
    drop(folder.open("alice"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..8 {
                    let alice = folder.open("alice");
                    assert!(!alice.rolled_back);
                    assert!(advance(&alice).rollback_counter.is_some());
                }
            });
        }
    });
}
