//! A small chat that hosts the library: a relay that learns nothing, and clients that survive being killed.
//!
//! ```text
//! chat                                           the demonstration: a relay, alice and bob as processes of their own
//! chat relay ADDR [--log FILE]                   a relay, for instance at 127.0.0.1:7000
//! chat join ADDR NAME PEER [--db FILE]           a client: sends the lines typed, prints the lines received
//! chat link ADDR PEER [--db FILE]                a second device: shows a code to be typed into the first one
//! ```
//!
//! A second device is started again by `chat join … --device NUMBER`. `--suite signal`, before or behind, makes the clients
//! speak Signal's own format instead of suite V1: it knows devices and no people.
//!
//! The library does no I/O, so everything around it is here: [`store`] is what must be durable and when, over
//! [`subrosa::sqlite`], [`client`] is the order of things, [`inbound`] is what becomes of a received message,
//! [`people`] what is known of users and their devices, [`link`] how a second one is taken in. [`wire`] and [`relay`] are some
//! transport, [`directory`] is the server's list of everybody's devices. [`script`], [`run`] and [`report`] are the
//! demonstration only.
//!
//! **What is missing for a real application:** showing where messages are missing (the example `sqlite_host` does), a relay
//! that knows its users, and a camera.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an example is a host: it has a clock, files, threads and a terminal"
)]

mod client;
mod directory;
mod inbound;
mod link;
mod people;
mod relay;
mod report;
mod run;
mod script;
mod store;
mod wire;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use subrosa::ident::{Address, DeviceId, UserId};
use subrosa::suite::Suite;

/// Whatever went wrong, told to the user.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

const USAGE: &str = "usage: chat [--suite v1|signal] | chat relay ADDR [--log FILE] | chat join ADDR NAME PEER [--device NUMBER] [--db FILE] [--suite …] | chat link ADDR PEER [--db FILE]";

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
    let device = option(words, "--device").map_or(Ok(1), |number| number.parse())?;
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
            let device = Address::new(UserId::new(*name)?, DeviceId::new(device));
            client::join(address, &device, peer, &db, suite, scripted)
        }
        ["link", address, peer] => {
            link::link(address, peer, &db.unwrap_or_else(|| PathBuf::from("second-device.sqlite")))
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
