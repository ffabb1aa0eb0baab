//! The program of the guide, as two people use it: killed again and again, and nothing is lost.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests stop where something is wrong; a host has files, processes and a clock"
)]

#[path = "../examples/first_version/main.rs"]
#[allow(dead_code, reason = "the program has a terminal besides")]
mod first_version;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use first_version::person::Person;
use subrosa::persist::StorageKey;
use subrosa::sqlite::Connection;

const NAMES: [&str; 2] = ["alice", "bob"];

fn open(folder: &Path, who: usize, server: &str) -> Person {
    Person::open(folder, NAMES[who], NAMES[1 - who], &StorageKey::new([7; 32]), server).unwrap()
}

/// Not a test but what the other processes do.
#[test]
fn another_process() {
    let Ok(words) = std::env::var("SUBROSA_PERSON") else { return };
    let (who, server) = words.split_once(' ').unwrap();
    let person = open(Path::new("."), who.parse().unwrap(), server);
    while !Path::new("over").exists() {
        let written = person.texts("mine", []).unwrap().len();
        if written < 300 {
            person.write(&format!("{written}")).unwrap();
        }
        // The other one may not have been here yet.
        let _ = person.synchronize();
        person.news().unwrap();
    }
}

fn spawn(folder: &Path, who: usize, server: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "another_process"]).current_dir(folder).env("SUBROSA_PERSON", format!("{who} {server}"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn two_people_talk_and_nothing_is_lost() {
    let folder = std::env::temp_dir().join(format!("subrosa-first-version-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let file = folder.join("server.sqlite");
    std::thread::spawn(move || drop(first_version::server::serve(&listener, &file)));

    let mut people = [0, 1].map(|who| spawn(&folder, who, &server));
    for kill in 0..12 {
        std::thread::sleep(Duration::from_millis(60 + 37 * kill % 110));
        let who = usize::try_from(kill % 2).unwrap();
        people[who].kill().unwrap();
        people[who].wait().unwrap();
        people[who] = spawn(&folder, who, &server);
    }
    // The server's mail boxes are not emptied by whoever dies between storing and acknowledging.
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(folder.join("over"), "").unwrap();
    assert!(people.into_iter().all(|mut person| person.wait().unwrap().success()), "a process failed by itself");

    let people = [0, 1].map(|who| open(&folder, who, &server));
    for _ in 0..8 {
        people.iter().for_each(|person| person.synchronize().unwrap());
    }
    for who in [0, 1] {
        let texts = |person: &Person, which| -> Vec<String> {
            person.texts(which, []).unwrap().into_iter().map(|(_, text)| text).collect()
        };
        let sent = texts(&people[who], "mine");
        assert!(sent.len() > 10, "{} has written {} messages", NAMES[who], sent.len());
        assert_eq!(texts(&people[1 - who], "NOT mine"), sent, "what {} sent, once each and in its order", NAMES[who]);
    }
    // The server is left with nothing, and could read nothing of it.
    let left: i64 = Connection::open(folder.join("server.sqlite"))
        .unwrap()
        .query_row("SELECT count(*) FROM mail", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
    drop(people);
    std::fs::remove_dir_all(&folder).unwrap();
}
