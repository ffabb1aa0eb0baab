//! What is deleted is gone from the disk.

use std::collections::HashSet;
use std::fs;

use subrosa::wire::RecordKind;

use super::folder::{Folder, deliver};
use crate::host::{Host, message_id, messages};

const WINDOW: usize = 32;

/// Key and bytes of the rows of one-time prekeys, and of KEM prekeys.
fn prekeys(host: &Host) -> Vec<(Vec<u8>, Vec<u8>)> {
    let kinds = [RecordKind::OneTimePrekey.number(), RecordKind::KemPrekey.number()];
    let mut query = host.sql().prepare("SELECT key, bytes FROM subrosa_record").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(|row: rusqlite::Result<(Vec<u8>, Vec<u8>)>| row.unwrap())
        .filter(|(key, _)| kinds.contains(&key[0]))
        .collect()
}

#[test]
fn a_used_one_time_prekey_is_nowhere_on_the_disk() {
    let folder = Folder::new();
    let (mut alice, mut bob) = (folder.open("alice"), folder.open("bob"));
    let before = prekeys(&bob);
    let files = || {
        let files = ["sqlite", "sqlite-wal", "sqlite-shm"].map(|kind| folder.path(&format!("bob.{kind}")));
        files.into_iter().filter_map(|path| fs::read(path).ok()).collect::<Vec<_>>()
    };
    let found = |rows: &[(Vec<u8>, Vec<u8>)]| {
        let windows: HashSet<_> = rows.iter().flat_map(|(_, bytes)| bytes.windows(WINDOW)).collect();
        files().iter().flat_map(|file| file.windows(WINDOW)).filter(|window| windows.contains(window)).count()
    };
    alice.send(message_id(), "bob", "first").unwrap();
    deliver(&mut alice, &mut bob);
    assert_eq!(messages::texts(bob.sql(), false).unwrap(), ["first"]);

    let after = prekeys(&bob);
    let (left, used): (Vec<_>, Vec<_>) = before.into_iter().partition(|row| after.contains(row));
    let mut kinds: Vec<_> = used.iter().map(|(key, _)| key[0]).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [RecordKind::OneTimePrekey.number(), RecordKind::KemPrekey.number()]);
    assert_eq!(found(&used), 0, "of {} windows", used.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
    // What is not used is found, so the search is one.
    assert!(found(&left[..1]) > 0);
}
