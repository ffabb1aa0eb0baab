//! The demonstration: a relay and clients as child processes, trouble while they talk, a verdict at the end.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use subrosa::suite::Suite;

use crate::Failure;
use crate::report::{self, Happened, Kill};
use crate::script::{FROM_TABLET, NAMES, OPENING, script};
use crate::store::Store;
use crate::wire::Frame;

const PATIENCE: Duration = Duration::from_secs(30);

/// What the relay does to them, the demonstration to bob, or alice to her devices.
enum Trouble {
    /// So many messages to this client are set aside.
    Withhold(&'static str, u64),
    /// They are delivered, shuffled, after later ones.
    Release(&'static str),
    /// Bob is killed, and started again a little later.
    Kill,
    /// Alice takes a second device into her account. In suite Signal there is none.
    Link,
    /// She removes it.
    Remove,
}

/// When, in lines of bob's file.
const PLAN: [(usize, Trouble); 9] = [
    (22, Trouble::Withhold(NAMES[1], 12)),
    (70, Trouble::Release(NAMES[1])),
    (80, Trouble::Withhold(NAMES[0], 12)),
    (110, Trouble::Link),
    (150, Trouble::Release(NAMES[0])),
    (200, Trouble::Kill),
    (255, Trouble::Kill),
    (300, Trouble::Remove),
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
        perform(&folder, &log, suite, began).and_then(|had| report::report(&folder, &log, &had, began.elapsed()));
    match outcome {
        Ok(()) => Ok(std::fs::remove_dir_all(&folder)?),
        Err(failure) => Err(format!("{failure}\n(the files are kept in {})", folder.display()).into()),
    }
}

/// Plays the script, with all the trouble, until both have received everything.
fn perform(folder: &Path, log: &Path, suite: Suite, began: Instant) -> Result<Happened, Failure> {
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
    let (mut alice, mut bob) = (stage.client(NAMES[0], NAMES[1])?, stage.client(NAMES[1], NAMES[0])?);

    let (mut kills, mut tablet, mut heard) = (Vec::new(), None, None);
    // When messages are posted, there are files.
    stage.wait(|posted, _| Ok(posted >= 2 * OPENING as u64))?;
    println!("alice and bob write at the same moment; both start a session, and they settle on one");
    for (lines, trouble) in PLAN {
        let file = Store::open(&stage.db(NAMES[1]))?;
        stage.wait(|_, _| Ok(file.count(true)? + file.count(false)? >= lines))?;
        match trouble {
            Trouble::Withhold(to, count) => {
                println!("{lines:3} lines: the relay sets the next {count} messages to {to} aside");
                Frame::Withhold { to: format!("{to}.1"), count }.send(&mut stage.control)?;
            }
            Trouble::Release(to) => {
                println!("{lines:3} lines: it delivers them now, shuffled, behind later ones");
                Frame::Release { to: format!("{to}.1") }.send(&mut stage.control)?;
            }
            Trouble::Link | Trouble::Remove if suite == Suite::Signal => {}
            Trouble::Link => {
                println!(
                    "{lines:3} lines: alice has bought a tablet. It shows a code, then six digits; she types them in"
                );
                tablet = Some(stage.link(&mut alice)?);
            }
            Trouble::Remove => {
                heard = Some(stage.texts_of_tablet()?);
                println!("{lines:3} lines: alice has sold the tablet, and removes it");
                type_in(&mut alice, "/remove 2")?;
                if let Some(tablet) = tablet.take() {
                    stage.until_wiped(tablet)?;
                }
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

    // The tablet says one thing more.
    let total = script().len() + heard.iter().len();
    let (hers, his) = (Store::open(&stage.db(NAMES[0]))?, Store::open(&stage.db(NAMES[1]))?);
    stage.wait(|_, waiting| {
        let received = hers.count(false)? + his.count(false)?;
        Ok(waiting == 0 && received >= total && hers.outbox()?.is_empty() && his.outbox()?.is_empty())
    })?;
    leave(alice)?;
    leave(bob)?;
    Ok(Happened { kills, heard })
}

/// Types a line into a client.
fn type_in(client: &mut Process, line: &str) -> Result<(), Failure> {
    Ok(writeln!(client.0.stdin.as_mut().ok_or("no input")?, "{line}")?)
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

    /// Where the tablet has what it has.
    fn tablet(&self) -> PathBuf {
        self.db("alice-tablet")
    }

    /// Starts alice's second device, and types what it shows into the first one.
    fn link(&self, alice: &mut Process) -> Result<Process, Failure> {
        let mut command = itself()?;
        command.args(["link", &self.address, NAMES[1], "--db"]).arg(self.tablet());
        let mut tablet = Process(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        let screen = read_lines(tablet.0.stdout.take().ok_or("no output")?);
        for word in ["/link ", "/digits "] {
            let shown = loop {
                let line = screen.recv_timeout(PATIENCE)?;
                if let Some(at) = line.find(word) {
                    break line.split_at(at).1.to_owned();
                }
            };
            type_in(alice, &shown)?;
        }
        type_in(&mut tablet, FROM_TABLET)?;
        Ok(tablet)
    }

    /// What the tablet has received.
    fn texts_of_tablet(&self) -> Result<Vec<String>, Failure> {
        let lines = Store::open(&self.tablet())?.lines()?;
        Ok(lines.into_iter().filter(|line| !line.mine).map(|line| line.text).collect())
    }

    /// The tablet hears that it was removed, deletes all that it has, and ends.
    fn until_wiped(&mut self, mut tablet: Process) -> Result<(), Failure> {
        let mut ended = None;
        self.wait(|_, _| {
            ended = tablet.0.try_wait()?;
            Ok(ended.is_some())
        })?;
        if !ended.is_some_and(|ended| ended.success()) || self.tablet().exists() {
            return Err("the tablet was not wiped".into());
        }
        println!("    the tablet has heard of it, and deleted all that it had");
        Ok(())
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

/// The lines that a client prints. They are read whether anybody wants them or not, so that it is not held up.
fn read_lines(output: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (lines, screen) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    screen
}
