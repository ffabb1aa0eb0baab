//! The reference host on SQLite, in [`host`]: read that. Here is a demonstration: two hosts talk, one of them dies in
//! the worst moment, an old database comes back.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an example is a host: it has a clock, files, processes and a terminal"
)]

mod host;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use host::relay::Relay;
use host::{Failure, Host, message_id, messages};
use subrosa::persist::StorageKey;

/// A real host has one at random, where its platform keeps keys.
const KEY: [u8; 32] = [7; 32];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => demonstrate(),
        ["die", folder] => die(Path::new(folder)),
        _ => Err("usage: sqlite_host".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sqlite_host: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn open(folder: &Path, name: &str) -> Result<Host, Failure> {
    Host::open(folder, name, &StorageKey::new(KEY), &Relay::at(&folder.join("relay")))
}

fn demonstrate() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("subrosa-sqlite-host-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = perform(&folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

/// Delivers everything that is under way.
fn deliver(hosts: [&mut Host; 2]) -> Result<(), Failure> {
    let [one, two] = hosts;
    loop {
        one.post()?;
        two.post()?;
        if one.receive(500)? + two.receive(500)? == 0 {
            return Ok(());
        }
    }
}

/// A process that dies in the worst moment: what it wrote is durable, and nobody has it yet.
fn die(folder: &Path) -> Result<(), Failure> {
    open(folder, "alice")?.send(message_id(), "bob", "Written, not posted.")?;
    std::process::abort()
}

fn perform(folder: &Path) -> Result<(), Failure> {
    let (mut alice, mut bob) = (open(folder, "alice")?, open(folder, "bob")?);
    alice.send(message_id(), "bob", "Hello, Bob.")?;
    deliver([&mut alice, &mut bob])?;
    bob.send(message_id(), "alice", "Hello, Alice.")?;
    deliver([&mut alice, &mut bob])?;
    println!("alice and bob talk; each has one SQLite file:");
    show(&[("alice", &alice), ("bob", &bob)])?;

    alice.db.empty_log()?;
    let yesterday = keep(folder, "alice")?;
    drop(alice);
    let status = Command::new(std::env::current_exe()?).arg("die").arg(folder).status()?;
    println!("a process of alice's dies between its commit and the network ({status})");
    let mut alice = open(folder, "alice")?;
    let outbox = alice.db.outbox()?.len();
    println!("alice opens the file again: {outbox} envelope in the outbox, posted now");
    deliver([&mut alice, &mut bob])?;
    show(&[("alice", &alice), ("bob", &bob)])?;

    drop(alice);
    restore(folder, "alice", &yesterday)?;
    let mut alice = open(folder, "alice")?;
    println!("alice's file of yesterday comes back; found when it is opened: {}", alice.rolled_back);
    alice.send(message_id(), "bob", "Sorry, I lost a day. A new session has begun.")?;
    deliver([&mut alice, &mut bob])?;
    bob.send(message_id(), "alice", "Never mind.")?;
    deliver([&mut alice, &mut bob])?;
    show(&[("alice", &alice), ("bob", &bob)])
}

fn show(hosts: &[(&str, &Host)]) -> Result<(), Failure> {
    for (name, host) in hosts {
        let size = |query: &str| host.sql().query_row(query, [], |row| row.get::<_, i64>(0));
        let (rows, bytes) =
            (size("SELECT count(*) FROM subrosa_record")?, size("SELECT sum(length(bytes)) FROM subrosa_record")?);
        println!("  {name}: {rows} sealed records of {} kB, {} conflicts", bytes / 1000, host.db.conflicts());
        println!("    sent     {:?}", messages::texts(host.sql(), true)?);
        println!("    received {:?}", messages::texts(host.sql(), false)?);
        let missing = messages::missing(host.sql())?;
        if missing > 0 {
            println!("    missing  {missing}, not to be had any more");
        }
    }
    Ok(())
}

/// A copy of the database, such as a backup makes; the rollback counter is not in it.
fn keep(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let copy = folder.join(format!("{name}.yesterday"));
    std::fs::copy(folder.join(format!("{name}.sqlite")), &copy)?;
    Ok(copy)
}

fn restore(folder: &Path, name: &str, copy: &Path) -> Result<(), Failure> {
    for log in ["sqlite-wal", "sqlite-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("{name}.{log}")));
    }
    std::fs::copy(copy, folder.join(format!("{name}.sqlite")))?;
    Ok(())
}
