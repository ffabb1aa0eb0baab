//! `kill -9` at any moment, while both hosts send and receive.

use std::fs;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rusqlite::Connection;

use super::folder::{Folder, deliver};
use crate::host::{message_id, messages};

const NAMES: [&str; 2] = ["alice", "bob"];

/// Processes are killed after at most so many milliseconds.
const LONGEST_LIFE: u32 = 300;

/// Talks until it is killed, or a file says that it is over. What comes next is what the file of the host says.
pub(crate) fn converse(folder: &Folder, name: &str) {
    let peer = if name == "alice" { "bob" } else { "alice" };
    let mut host = folder.open(name);
    while !folder.path("over").exists() {
        host.post().unwrap();
        host.receive(500).unwrap();
        let published = folder.relay().counts(&crate::host::address(peer).unwrap()).unwrap().one_time > 0;
        let number = messages::texts(host.sql(), true).unwrap().len();
        if published && number < 2000 {
            let text = format!("{name} {number} {}", "long ".repeat(number % 5 * 100));
            host.send(message_id(), peer, &text).unwrap();
        }
    }
}

/// Twenty kills; `SUBROSA_KILLS` for more.
#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    let kills = std::env::var("SUBROSA_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let folder = Folder::new();
    let mut rng = ChaCha8Rng::seed_from_u64(std::env::var("SUBROSA_SEED").map_or(1, |seed| seed.parse().unwrap()));
    let mut processes = NAMES.map(|name| folder.spawn("converse", name));
    let mut unposted = 0;
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(u64::from(rng.next_u32() % LONGEST_LIFE)));
        let who = rng.next_u32() as usize % 2;
        processes[who].kill();
        let file = Connection::open(folder.path(&format!("{}.sqlite", NAMES[who]))).unwrap();
        unposted += file.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).unwrap_or(0);
        drop(file);
        processes[who] = folder.spawn("converse", NAMES[who]);
    }
    fs::write(folder.path("over"), "").unwrap();
    assert!(processes.into_iter().all(|process| process.succeeds()), "a process failed by itself");

    let (mut alice, mut bob) = (folder.open("alice"), folder.open("bob"));
    assert!(!alice.rolled_back && !bob.rolled_back, "being killed is no rollback");
    deliver(&mut alice, &mut bob);
    for (from, to, name) in [(&alice, &bob, "alice"), (&bob, &alice, "bob")] {
        let (sent, received) = (messages::texts(from.sql(), true), messages::texts(to.sql(), false));
        let (sent, received) = (sent.unwrap(), received.unwrap());
        assert_eq!(received, sent, "what {name} sent, once each and in its order");
        assert!(sent.iter().enumerate().all(|(at, text)| text.starts_with(&format!("{name} {at} "))));
        eprintln!("{name} sent {}, killed with {unposted} unposted in all, {kills} kills", sent.len());
        assert!(sent.len() > kills / 4, "{name} sent only {}", sent.len());
    }
}
