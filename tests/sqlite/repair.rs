//! What could not be read is asked for and sent again; what was read is not.

use super::folder::{Folder, deliver};
use crate::host::{Host, message_id, messages};
use subrosa::wire::RecordKind;

fn texts(host: &Host, mine: bool) -> Vec<String> {
    messages::texts(host.sql(), mine).unwrap()
}

fn missing(host: &Host) -> i64 {
    messages::missing(host.sql()).unwrap()
}

/// What the host knows of its peer is damaged and deleted, as docs/storage.md says. What it has read stays.
fn forget(host: &Host) {
    let delete = "DELETE FROM subrosa_record WHERE substr(key, 1, 1) = ?1";
    assert_eq!(host.sql().execute(delete, [[RecordKind::Peer.number()]]).unwrap(), 1);
}

/// Sends, and posts; what was posted.
fn post(host: &mut Host, text: &str) -> Vec<u8> {
    host.send(message_id(), "bob", text).unwrap();
    let envelope = host.db.outbox().unwrap().pop().unwrap();
    host.post().unwrap();
    envelope
}

#[test]
fn what_could_not_be_read_is_sent_again_and_shown_once() {
    let folder = Folder::new();
    let (mut alice, mut bob) = folder.talking();
    forget(&bob);
    let posted: Vec<_> = (0..20).map(|number| post(&mut alice, &format!("unreadable {number}"))).collect();
    deliver(&mut alice, &mut bob);
    let sent = texts(&alice, true);
    assert_eq!(texts(&bob, false), sent, "all of it, in its order");
    assert_eq!(missing(&bob), 0);
    assert_eq!(texts(&alice, true).len(), 3 + 20, "nobody wrote anything twice");

    // What was asked for comes again, when it was read under another name: it is known by both.
    for envelope in &posted {
        folder.relay().post(envelope).unwrap();
    }
    bob.receive(500).unwrap();
    assert!(bob.db.outbox().unwrap().is_empty(), "nothing is asked for");
    deliver(&mut alice, &mut bob);
    assert_eq!(texts(&bob, false), sent);
}

#[test]
fn what_was_deleted_is_a_gap() {
    let folder = Folder::new();
    let (mut alice, mut bob) = folder.talking();
    forget(&bob);
    for text in ["kept", "deleted", "kept as well"] {
        post(&mut alice, text);
    }
    assert_eq!(alice.sql().execute("DELETE FROM message WHERE text = ?1", [b"deleted"]).unwrap(), 1);
    deliver(&mut alice, &mut bob);
    assert_eq!(texts(&bob, false), texts(&alice, true));
    assert_eq!((missing(&bob), missing(&alice)), (1, 0));
}

/// What was changed since it was sent does not go out in its place.
#[test]
fn what_was_changed_is_a_gap() {
    let folder = Folder::new();
    let (mut alice, mut bob) = folder.talking();
    forget(&bob);
    post(&mut alice, "as it was sent");
    let update = "UPDATE message SET text = CAST('as it is now' AS BLOB) WHERE text = ?1";
    assert_eq!(alice.sql().execute(update, [b"as it was sent"]).unwrap(), 1);
    deliver(&mut alice, &mut bob);
    assert_eq!(texts(&bob, false).len(), 3);
    assert_eq!(missing(&bob), 1);
}

/// What one has deleted does not come back by being delivered again.
#[test]
fn a_name_outlives_its_message() {
    let folder = Folder::new();
    let (mut alice, mut bob) = folder.talking();
    let envelope = post(&mut alice, "deleted by bob");
    deliver(&mut alice, &mut bob);
    assert_eq!(bob.sql().execute("DELETE FROM message WHERE text = ?1", [b"deleted by bob"]).unwrap(), 1);
    forget(&bob);
    folder.relay().post(&envelope).unwrap();
    deliver(&mut alice, &mut bob);
    assert_eq!(texts(&bob, false).len(), 3);
    assert!(bob.db.outbox().unwrap().is_empty());
}

/// A program that is started in the folder of its file names it without one.
#[test]
fn a_file_in_the_current_folder() {
    let folder = Folder::new();
    assert!(folder.spawn("relative", "alice").succeeds());
    assert!(folder.path("alice.counter").exists());
    assert!(!folder.open("alice").rolled_back);
}
