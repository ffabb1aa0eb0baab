//! A small chat that hosts the library: a relay that learns nothing, and clients that survive being killed.
//!
//! ```text
//! chat                                           the demonstration: a relay, alice and bob as processes of their own
//! chat relay ADDR [--log FILE]                   a relay, for instance at 127.0.0.1:7000
//! chat join ADDR NAME PEER [--db FILE]           a client: sends the lines typed, prints the lines received
//! ```
//!
//! `--suite signal`, before or behind, makes the clients speak Signal's own format instead of suite V1.
//!
//! The library does no I/O, so everything around it is here: [`store`] is what must be durable and when, over
//! [`subrosa::sqlite`], [`client`] is the order of things, [`inbound`] is what becomes of a received message, [`wire`] and
//! [`relay`] are some transport. [`script`], [`run`] and [`report`] are the demonstration only.
//!
//! **What is missing for a real application:** comparing of identity keys by the users, showing where messages are missing
//! (the example `sqlite_host` does), a relay that knows its users.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an example is a host: it has a clock, files, threads and a terminal"
)]

mod client;
mod inbound;
mod relay;
mod report;
mod run;
mod script;
mod store;
mod wire;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use subrosa::suite::Suite;

/// Whatever went wrong, told to the user.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

const USAGE: &str =
    "usage: chat [--suite v1|signal] | chat relay ADDR [--log FILE] | chat join ADDR NAME PEER [--db FILE] [--suite …]";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    match start(&mut words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("chat: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn start(words: &mut Vec<String>) -> Result<(), Failure> {
    let log = option(words, "--log").map(PathBuf::from);
    let db = option(words, "--db").map(PathBuf::from);
    let suite = match option(words, "--suite").as_deref() {
        None | Some("v1") => Suite::V1,
        Some("signal") => Suite::Signal,
        Some(_) => return Err(USAGE.into()),
    };
    let scripted = words.iter().position(|word| word == "--scripted").map(|at| words.remove(at)).is_some();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => run::demonstrate(suite),
        ["relay", address] => relay::serve(address, log.as_deref()),
        ["join", address, name, peer] => {
            let db = db.unwrap_or_else(|| PathBuf::from(format!("{name}.sqlite")));
            client::join(address, name, peer, &db, suite, scripted)
        }
        _ => Err(USAGE.into()),
    }
}

/// Takes `name VALUE` out of the command line.
fn option(words: &mut Vec<String>, name: &str) -> Option<String> {
    let at = words.iter().position(|word| word == name)?;
    words.remove(at);
    (at < words.len()).then(|| words.remove(at))
}
