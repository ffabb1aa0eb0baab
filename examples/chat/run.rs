//! The demonstration: a relay and two clients as child processes, trouble while they talk, a verdict at the end.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use subrosa::suite::Suite;

use crate::Failure;
use crate::report::{self, Kill};
use crate::script::{NAMES, OPENING, script};
use crate::store::Store;
use crate::wire::Frame;

const PATIENCE: Duration = Duration::from_secs(30);

/// What the relay does to them, or the demonstration to bob.
enum Trouble {
    /// So many messages to this client are set aside.
    Withhold(&'static str, u64),
    /// They are delivered, shuffled, after later ones.
    Release(&'static str),
    /// Bob is killed, and started again a little later.
    Kill,
}

/// When, in lines of bob's file.
const PLAN: [(usize, Trouble); 7] = [
    (22, Trouble::Withhold(NAMES[1], 12)),
    (70, Trouble::Release(NAMES[1])),
    (80, Trouble::Withhold(NAMES[0], 12)),
    (150, Trouble::Release(NAMES[0])),
    (200, Trouble::Kill),
    (255, Trouble::Kill),
    (330, Trouble::Kill),
];

/// A child that does not outlive this process, whatever happens.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Stage {
    folder: PathBuf,
    address: String,
    suite: Suite,
    began: Instant,
    /// Asks and commands the relay.
    control: TcpStream,
}

pub(crate) fn demonstrate(suite: Suite) -> Result<(), Failure> {
    let began = Instant::now();
    let unique = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let folder = std::env::temp_dir().join(format!("subrosa-chat-{}-{unique}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let log = folder.join("relay.log");
    let outcome =
        perform(&folder, &log, suite, began).and_then(|kills| report::report(&folder, &log, &kills, began.elapsed()));
    match outcome {
        Ok(()) => Ok(std::fs::remove_dir_all(&folder)?),
        Err(failure) => Err(format!("{failure}\n(the files are kept in {})", folder.display()).into()),
    }
}

/// Plays the script, with all the trouble, until both have received everything.
fn perform(folder: &Path, log: &Path, suite: Suite, began: Instant) -> Result<Vec<Kill>, Failure> {
    let mut relay = Process(
        itself()?
            .args(["relay", "127.0.0.1:0", "--log"])
            .arg(log)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let mut address = String::new();
    BufReader::new(relay.0.stdout.take().ok_or("no output")?).read_line(&mut address)?;
    let address = address.trim().to_owned();
    let control = TcpStream::connect(&address)?;
    let mut stage = Stage { folder: folder.to_owned(), address, suite, began, control };
    let (alice, mut bob) = (stage.client(NAMES[0], NAMES[1])?, stage.client(NAMES[1], NAMES[0])?);

    let mut kills = Vec::new();
    // When messages are posted, there are files.
    stage.wait(|posted, _| Ok(posted >= 2 * OPENING as u64))?;
    println!("alice and bob write at the same moment; both start a session, and they settle on one");
    for (lines, trouble) in PLAN {
        let file = Store::open(&stage.db(NAMES[1]))?;
        stage.wait(|_, _| Ok(file.count(true)? + file.count(false)? >= lines))?;
        match trouble {
            Trouble::Withhold(to, count) => {
                println!("{lines:3} lines: the relay sets the next {count} messages to {to} aside");
                Frame::Withhold { to: to.to_owned(), count }.send(&mut stage.control)?;
            }
            Trouble::Release(to) => {
                println!("{lines:3} lines: it delivers them now, shuffled, behind later ones");
                Frame::Release { to: to.to_owned() }.send(&mut stage.control)?;
            }
            Trouble::Kill => {
                bob.0.kill()?;
                bob.0.wait()?;
                let (written, unconfirmed) = (file.lines()?, file.outbox()?.len());
                let lines = written.len();
                println!("{lines:3} lines: bob is killed. The last that his file knows:");
                report::excerpt(&written);
                // Alice goes on for a while.
                std::thread::sleep(Duration::from_millis(250));
                let waiting = stage.ask()?.1;
                println!(
                    "    bob is started again: {unconfirmed} of his messages go out once more, {waiting} of alice's wait for him"
                );
                kills.push(Kill { lines, unconfirmed, waiting });
                bob = stage.client(NAMES[1], NAMES[0])?;
            }
        }
    }

    let total = script().len();
    let (hers, his) = (Store::open(&stage.db(NAMES[0]))?, Store::open(&stage.db(NAMES[1]))?);
    stage.wait(|_, waiting| {
        let received = hers.count(false)? + his.count(false)?;
        Ok(waiting == 0 && received >= total && hers.outbox()?.is_empty() && his.outbox()?.is_empty())
    })?;
    leave(alice)?;
    leave(bob)?;
    Ok(kills)
}

/// Ends a client in the ordinary way: its input ends.
fn leave(mut client: Process) -> Result<(), Failure> {
    drop(client.0.stdin.take());
    if client.0.wait()?.success() { Ok(()) } else { Err("a client failed".into()) }
}

fn itself() -> Result<Command, Failure> {
    Ok(Command::new(std::env::current_exe()?))
}

impl Stage {
    fn db(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.sqlite"))
    }

    fn client(&self, name: &str, peer: &str) -> Result<Process, Failure> {
        let mut command = itself()?;
        let suite = if self.suite == Suite::Signal { "signal" } else { "v1" };
        command.args(["join", &self.address, name, peer, "--scripted", "--suite", suite, "--db"]).arg(self.db(name));
        Ok(Process(command.stdin(Stdio::piped()).spawn()?))
    }

    /// Messages that the relay has taken, and those it still keeps.
    fn ask(&mut self) -> Result<(u64, u64), Failure> {
        Frame::Ask.send(&mut self.control)?;
        match Frame::receive(&mut self.control)? {
            Frame::Status { posted, waiting } => Ok((posted, waiting)),
            _ => Err("the relay answers something else".into()),
        }
    }

    fn wait(&mut self, mut until: impl FnMut(u64, u64) -> Result<bool, Failure>) -> Result<(), Failure> {
        loop {
            let (posted, waiting) = self.ask()?;
            if until(posted, waiting)? {
                return Ok(());
            }
            if self.began.elapsed() > PATIENCE {
                return Err(format!("stuck: {posted} messages posted, {waiting} not acknowledged").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
