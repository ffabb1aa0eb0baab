//! The node process: starts it, asks it, ends it.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A node process around Signal's package.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
    id: u64,
    version: String,
}

/// It did not do as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) error: String,
}

impl Peer {
    /// Starts one; `None`, with the reason printed, where that is impossible and not required.
    pub(crate) fn start() -> Option<Self> {
        match Self::spawn() {
            Ok(mut peer) => {
                let hello = peer.ask("hello", serde_json::json!({})).unwrap();
                peer.version = hello["version"].as_str().unwrap().into();
                Some(peer)
            }
            Err(reason) => {
                let required = std::env::var_os("SUBROSA_REQUIRE_INTEROP").is_some_and(|value| !value.is_empty());
                assert!(!required, "SUBROSA_REQUIRE_INTEROP is set, but {reason}");
                let test = std::thread::current().name().unwrap_or_default().to_owned();
                say(&format!("{test}: skipped: {reason}"));
                None
            }
        }
    }

    fn spawn() -> Result<Self, String> {
        let modules = std::env::var_os("LIBSIGNAL_NODE_MODULES").ok_or("LIBSIGNAL_NODE_MODULES is not set")?;
        let package = PathBuf::from(modules).join("@signalapp/libsignal-client/package.json");
        if !package.is_file() {
            return Err("LIBSIGNAL_NODE_MODULES holds no @signalapp/libsignal-client".into());
        }
        let mut child = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/peer.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("node does not start: {error}"))?;
        let (requests, replies) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Ok(Self { child, requests, replies, id: 0, version: String::new() })
    }

    /// Sends a command with its arguments (a JSON object) and waits for the reply.
    pub(crate) fn ask(&mut self, command: &str, mut arguments: Value) -> Result<Value, Refusal> {
        self.id += 1;
        arguments["id"] = self.id.into();
        arguments["cmd"] = command.into();
        writeln!(self.requests, "{arguments}").unwrap();
        let mut reply = String::new();
        self.replies.read_line(&mut reply).unwrap();
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["id"], self.id);
        if reply["ok"] == true {
            return Ok(reply);
        }
        let text = |field: &str| reply[field].as_str().unwrap().to_owned();
        Err(Refusal { code: text("code"), error: text("error") })
    }

    /// Prints the one line that a test leaves behind.
    pub(crate) fn summary(&self, text: &str) {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        say(&format!("{test} [libsignal-client {}]: {text}", self.version));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already, and a panic may be under way: nothing of this is worth another.
        let _ = writeln!(self.requests, r#"{{"cmd":"quit"}}"#);
        let _ = self.child.wait();
    }
}

/// Prints past the test harness, which shows what tests print only when they fail.
pub(crate) fn say(line: &str) {
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}
