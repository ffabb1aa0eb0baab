//! A client: one loop that sends what is due and takes what comes, in the order that survives being killed.
//!
//! Write first, then act: no byte goes to the relay that is not on the disk, and nothing is acknowledged before it is.

use std::collections::VecDeque;
use std::io::BufRead;
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use rand_core::UnwrapErr;
use subrosa::ident::{Address, DeviceId, Timestamp, UserId};
use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, PrekeyIds, SignedPrekey, UnverifiedBundle};
use subrosa::session::Session;
use subrosa::suite::{Suite, Suites};

use crate::Failure;
use crate::inbound::{self, Letter, Outcome};
use crate::script::{self, Scripted};
use crate::store::{Line, Outgoing, Store};
use crate::wire::Frame;

/// So many bundles with one-time prekeys are published at a time.
const ONE_TIME: usize = 4;
/// The relay is asked again for the bundle of somebody who has none yet.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// So long a script takes for a line.
const TYPING: Duration = Duration::from_millis(3);

/// What the loop waits for.
enum Event {
    Frame(Frame),
    Typed(String),
    EndOfInput,
    RelayGone,
}

/// Where the lines to send come from.
enum Source {
    Terminal(VecDeque<String>),
    Script(Vec<Scripted>),
}

struct Client {
    peer: String,
    name: String,
    device: Device,
    store: Store,
    relay: TcpStream,
    source: Source,
    listening: bool,
    closing: bool,
}

/// Randomness is the host's to give.
pub(crate) const fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// So is the time.
pub(crate) fn now() -> Result<Timestamp, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Timestamp::new(u64::try_from(since.as_millis())?))
}

/// Everyone has one device here.
pub(crate) fn address(name: &str) -> Result<Address, Failure> {
    Ok(Address::new(UserId::new(name)?, DeviceId::new(1)))
}

/// Joins the relay as `name` and talks with `peer` until the input ends.
pub(crate) fn join(
    relay: &str,
    name: &str,
    peer: &str,
    db: &Path,
    suite: Suite,
    scripted: bool,
) -> Result<(), Failure> {
    let mut store = Store::open(db)?;
    address(peer)?;
    let device = device(&mut store, name, suite)?;
    let relay = TcpStream::connect(relay)?;
    relay.set_nodelay(true)?;
    let (events, inbox) = channel();
    let (reader, typed) = (relay.try_clone()?, events.clone());
    std::thread::spawn(move || read_relay(reader, &events));
    std::thread::spawn(move || read_terminal(&typed));
    let source = if scripted { Source::Script(script::script()) } else { Source::Terminal(VecDeque::new()) };
    let (name, peer) = (name.to_owned(), peer.to_owned());
    Client { peer, name, device, store, relay, source, listening: false, closing: false }.run(&inbox)
}

/// The device in the file, or a new one.
fn device(store: &mut Store, name: &str, suite: Suite) -> Result<Device, Failure> {
    let address = address(name)?;
    if let Some(device) = store.device()? {
        return match () {
            () if *device.address() != address => Err("the file is somebody else's".into()),
            () if !device.suites().contains(suite) => Err("the file is of a device that speaks another suite".into()),
            () => Ok(device),
        };
    }
    let suites = if suite == Suite::Signal { Suites::SIGNAL } else { Suites::V1 };
    let device = Device::generate(address, &mut rng()).with_suites(suites);
    let batch = store.begin()?;
    batch.put_device(&device, &PrekeyIds::random(&mut rng()))?;
    batch.commit()?;
    Ok(device)
}

fn read_relay(mut relay: TcpStream, events: &Sender<Event>) {
    while let Ok(frame) = Frame::receive(&mut relay) {
        if events.send(Event::Frame(frame)).is_err() {
            return;
        }
    }
    let _ = events.send(Event::RelayGone);
}

fn read_terminal(events: &Sender<Event>) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.is_empty()) {
        if events.send(Event::Typed(line)).is_err() {
            return;
        }
    }
    let _ = events.send(Event::EndOfInput);
}

impl Client {
    fn run(mut self, events: &Receiver<Event>) -> Result<(), Failure> {
        self.tell(&Frame::Hello { name: self.name.clone() })?;
        // What a former run did not get confirmed goes out again: the same bytes.
        let unconfirmed = self.store.outbox()?;
        let batch = self.store.begin()?;
        batch.add_to_tally("posted again", u32::try_from(unconfirmed.len())?)?;
        batch.commit()?;
        for outgoing in unconfirmed {
            self.post(outgoing)?;
        }
        if self.store.session(&self.peer)?.is_none() {
            self.tell(&Frame::Fetch { name: self.peer.clone() })?;
        }
        loop {
            self.send_what_is_due()?;
            let drained = !matches!(&self.source, Source::Terminal(typed) if !typed.is_empty());
            if self.closing && drained && self.store.outbox()?.is_empty() {
                return Ok(());
            }
            match events.recv_timeout(ASK_AGAIN) {
                Ok(Event::Frame(frame)) => self.take(frame)?,
                Ok(Event::Typed(line)) => {
                    if let Source::Terminal(typed) = &mut self.source {
                        typed.push_back(line);
                    }
                }
                Ok(Event::EndOfInput) => self.closing = true,
                Ok(Event::RelayGone) | Err(RecvTimeoutError::Disconnected) => return Err("the relay has gone".into()),
                Err(RecvTimeoutError::Timeout) => {
                    if self.store.session(&self.peer)?.is_none() {
                        self.tell(&Frame::Fetch { name: self.peer.clone() })?;
                    }
                }
            }
        }
    }

    fn tell(&mut self, frame: &Frame) -> Result<(), Failure> {
        Ok(frame.send(&mut self.relay)?)
    }

    /// Takes a frame of the relay's.
    fn take(&mut self, frame: Frame) -> Result<(), Failure> {
        match frame {
            // Nothing to hand out, or nothing but the bundle that is for everyone.
            Frame::Welcome { bundles: 0 } => self.publish(),
            Frame::Bundle { found: true, bundle } => self.initiate(&bundle),
            Frame::Posted { id } => self.store.posted(id.cast_signed()),
            Frame::Deliver { number, from, first, bytes } => {
                let outcome =
                    inbound::take(&mut self.store, &self.device, &Letter { from: from.clone(), first, bytes })?;
                self.show(&from, outcome);
                // It is on the disk: now, and not before, the relay may forget it.
                self.tell(&Frame::Ack { number })
            }
            _ => Ok(()),
        }
    }

    /// Makes prekeys, and publishes them once their private halves are on the disk.
    fn publish(&mut self) -> Result<(), Failure> {
        let suite = if self.device.suites() == Suites::SIGNAL { Suite::Signal } else { Suite::V1 };
        let (now, mut rng) = (now()?, rng());
        let batch = self.store.begin()?;
        let mut ids = batch.prekey_ids()?;
        let signed = SignedPrekey::generate(&self.device, suite, ids.take()?, now, &mut rng);
        batch.put_signed(&signed)?;
        let mut bundles = Vec::new();
        for _ in 0..ONE_TIME {
            let one_time = OneTimePrekey::generate(suite, ids.take()?, &mut rng);
            let kem = KemPrekey::one_time(&self.device, suite, ids.take()?, now, &mut rng);
            batch.put_one_time(&one_time)?;
            batch.put_kem(&kem)?;
            bundles.push((false, self.device.bundle(&signed, &kem, Some(&one_time)).to_bytes()));
        }
        let last_resort = KemPrekey::last_resort(&self.device, suite, ids.take()?, now, &mut rng);
        batch.put_kem(&last_resort)?;
        bundles.push((true, self.device.bundle(&signed, &last_resort, None).to_bytes()));
        batch.put_device(&self.device, &ids)?;
        batch.commit()?;
        bundles.into_iter().try_for_each(|(for_all, bundle)| self.tell(&Frame::Publish { for_all, bundle }))
    }

    /// Starts a session from what the relay says are the peer's keys.
    fn initiate(&mut self, bundle: &[u8]) -> Result<(), Failure> {
        let bundle = UnverifiedBundle::parse(bundle)?.verify()?;
        // The signatures say that the keys belong together, not whose they are.
        if *bundle.address() != address(&self.peer)? {
            return Err("the relay gave somebody else's bundle".into());
        }
        let batch = self.store.begin()?;
        if batch.session(&self.peer)?.is_none() {
            batch.put_session(&self.peer, &Session::initiate(&self.device, &bundle, now()?, &mut rng())?)?;
        }
        batch.commit()
    }

    fn send_what_is_due(&mut self) -> Result<(), Failure> {
        if self.store.session(&self.peer)?.is_some() {
            while let Some(text) = self.next_line()? {
                self.send(text)?;
            }
        }
        let opened = matches!(self.source, Source::Terminal(_)) || self.store.count(true)? >= script::OPENING;
        if opened && !self.listening {
            self.listening = true;
            self.tell(&Frame::Listen)?;
        }
        Ok(())
    }

    /// The next line to send. A script goes on where the file says that it stopped.
    fn next_line(&mut self) -> Result<Option<String>, Failure> {
        match &mut self.source {
            Source::Terminal(typed) => Ok(typed.pop_front()),
            Source::Script(script) => {
                let (sent, received) = (self.store.count(true)?, self.store.count(false)?);
                let due = script::due(script, &self.name, sent, received).map(str::to_owned);
                if due.is_some() {
                    std::thread::sleep(TYPING);
                }
                Ok(due)
            }
        }
    }

    /// Encrypts a line, makes the session, the line and the ciphertext durable, and only then posts it.
    fn send(&mut self, text: String) -> Result<(), Failure> {
        let (peer, at) = (self.peer.clone(), now()?);
        let batch = self.store.begin()?;
        let mut session = batch.session(&peer)?.ok_or("no session")?;
        let began = Instant::now();
        let ciphertext = session.encrypt(text.as_bytes(), at, &mut rng())?;
        let micros = began.elapsed().as_secs_f64() * 1e6;
        batch.put_session(&peer, &session)?;
        let (first, bytes) = (ciphertext.is_first(), ciphertext.into_bytes());
        let (at, wire_len) = (i64::try_from(at.get())?, u32::try_from(bytes.len())?);
        batch.put_line(&Line { peer: peer.clone(), mine: true, text, at, first, wire_len, micros })?;
        let id = batch.put_outgoing(&peer, first, &bytes)?;
        batch.commit()?;
        self.post(Outgoing { id, peer, first, bytes })
    }

    fn post(&mut self, Outgoing { id, peer, first, bytes }: Outgoing) -> Result<(), Failure> {
        self.tell(&Frame::Post { to: peer, id: id.cast_unsigned(), first, bytes })
    }

    fn show(&self, from: &str, outcome: Outcome) {
        match outcome {
            Outcome::Received(text) if matches!(self.source, Source::Terminal(_)) => {
                println!("{from}: {}", plain(&text))
            }
            Outcome::Refused(why) => eprintln!("{}: a message from {} was dropped: {why}", self.name, plain(from)),
            Outcome::Received(_) | Outcome::Duplicate => {}
        }
    }
}

/// Text that cannot steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
