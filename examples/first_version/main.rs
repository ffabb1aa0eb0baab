//! Two people who talk over a small server: the program of the guide (`subrosa::guide`).
//!
//! `first_version server`, and in two other terminals `first_version talk alice bob` and `first_version talk bob alice`.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an example is a host: it has a clock, files, threads and a terminal"
)]

pub(crate) mod person;
pub(crate) mod server;
mod wire;

use std::io::BufRead as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use subrosa::crypto::{Secret, system_rng};
use subrosa::ident::{Address, DeviceId, UserId};
use subrosa::persist::StorageKey;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SERVER: &str = "127.0.0.1:7407";

/// Everybody has one device here.
fn address(user: &str) -> Result<Address, Failure> {
    Ok(Address::new(UserId::new(user)?, DeviceId::new(1)))
}

/// For this first version the key lies in a file beside what it protects. A product has it from the platform's keychain.
fn storage_key(file: &Path) -> Result<StorageKey, Failure> {
    if !file.exists() {
        std::fs::write(file, Secret::<32>::random(&mut system_rng()).expose())?;
    }
    Ok(StorageKey::new(std::fs::read(file)?.as_slice().try_into()?))
}

fn talk(folder: &Path, me: &str, peer: &str) -> Result<(), Failure> {
    let key = storage_key(&folder.join(format!("{me}.key")))?;
    let person = person::Person::open(folder, me, peer, &key, SERVER)?;
    let (typed, lines) = channel();
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).all(|line| typed.send(line).is_ok())
    });
    let mut told = String::new();
    loop {
        let line = lines.recv_timeout(Duration::from_millis(500));
        match line.as_deref() {
            Ok("/number") => println!("({})", person.safety_number().unwrap_or_else(|failure| failure.to_string())),
            Ok("/accept") => {
                println!("({})", person.accept().map_or_else(|failure| failure.to_string(), |()| "accepted".into()))
            }
            Ok(text) => person.write(text)?,
            Err(_) => {}
        }
        // Nothing is lost where this fails: it waits in the file. The same failure is told once.
        let failure = person.synchronize().map_or_else(|failure| format!("({failure})"), |()| String::new());
        if failure != told && !failure.is_empty() {
            println!("{failure}");
        }
        told = failure;
        person.news()?.iter().for_each(|text| println!("{peer}: {text}"));
        if line == Err(RecvTimeoutError::Disconnected) {
            return Ok(());
        }
    }
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(".");
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["server"] => server::serve(&TcpListener::bind(SERVER)?, &folder.join("server.sqlite")),
        ["talk", me, peer] => talk(folder, me, peer),
        _ => Err("usage: first_version server | first_version talk ME PEER".into()),
    }
}
