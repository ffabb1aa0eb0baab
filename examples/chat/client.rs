//! A client: one loop that sends what is due and takes what comes, in the order that survives being killed.
//!
//! Write first, then act: no byte goes to the relay that is not on the disk, and nothing is acknowledged before it is.

use std::collections::VecDeque;
use std::io::{BufRead, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use getrandom::SysRng;
use rand_core::UnwrapErr;
use subrosa::client::{AddError, Client, PrekeyCounts, PrekeyUploadId, Recipient, RunError, SendError, Task};
use subrosa::crypto::PublicKey;
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::prekey::UnverifiedBundle;
use subrosa::suite::Suite;
use subrosa::wire::EnvelopeKind;

use crate::Failure;
use crate::inbound::{self, Outcome};
use crate::script::{self, Scripted};
use crate::store::{self, Line, Store, put_line, put_outgoing, put_sent};
use crate::wire::Frame;

/// The relay is asked again for what it did not have yet.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The library is asked again what is to be done.
const ATTEND_AGAIN: Duration = Duration::from_secs(60);

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

/// A line that is to be sent, under the id that it has from then on.
struct Draft {
    id: MessageId,
    text: String,
}

pub(crate) struct Chat {
    pub(crate) peer: UserId,
    pub(crate) client: Client,
    pub(crate) store: Store,
    relay: TcpStream,
    suite: Suite,
    source: Source,
    draft: Option<Draft>,
    /// When the draft was last tried.
    pub(crate) tried: Option<Instant>,
    /// What the relay was asked for, a moment ago.
    asked: Vec<(Frame, Instant)>,
    /// When the library was last asked what is to be done.
    attended: Instant,
    /// The highest row of the outbox that was posted in this run.
    posted: i64,
    listening: bool,
    closing: bool,
    /// Messages were left with the relay until more is known of who sent them.
    pub(crate) left: bool,
    /// What was said last of the peer's keys.
    pub(crate) shown: String,
    /// The peer's device has another identity key, that the user has not accepted: until then nothing is sent.
    pub(crate) changed: Option<PublicKey>,
    /// The user is to decide about the peer first.
    pub(crate) stopped: bool,
    /// Where the mail of a link is put, and the digits that the user has typed in.
    pub(crate) link: (String, String),
    /// This device was removed from its account, and has nothing any more.
    pub(crate) wiped: bool,
}

/// Randomness is the host's to give.
pub(crate) const fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// So is the time.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The name that a device has here.
pub(crate) fn device_name(device: &Address) -> String {
    format!("{}.{}", device.user().as_str(), device.device().get())
}

/// The device of such a name.
pub(crate) fn parse_device(name: &str) -> Result<Address, Failure> {
    let (user, device) = name.rsplit_once('.').ok_or("no device's name")?;
    Ok(Address::new(UserId::new(user)?, DeviceId::new(device.parse()?)))
}

/// Joins the relay as a device and talks with `peer` until the input ends.
pub(crate) fn join(
    relay: &str,
    device: &Address,
    peer: &str,
    db: &Path,
    suite: Suite,
    scripted: bool,
) -> Result<(), Failure> {
    let store = Store::open(db)?;
    let client = store.account(db, device, suite)?;
    let relay = TcpStream::connect(relay)?;
    relay.set_nodelay(true)?;
    let (events, inbox) = channel();
    let (reader, typed) = (relay.try_clone()?, events.clone());
    std::thread::spawn(move || read_relay(reader, &events));
    std::thread::spawn(move || read_terminal(&typed));
    let source = if scripted { Source::Script(script::script()) } else { Source::Terminal(VecDeque::new()) };
    // Sent once more it goes to devices that it did not go to, and to no other.
    let draft = store.last_sent()?.map(|(id, text)| Draft { id, text });
    let chat = Chat {
        peer: UserId::new(peer)?,
        client,
        store,
        relay,
        suite,
        source,
        draft,
        tried: None,
        asked: Vec::new(),
        attended: Instant::now(),
        posted: 0,
        listening: false,
        closing: false,
        left: false,
        shown: String::new(),
        changed: None,
        stopped: false,
        link: (String::new(), String::new()),
        wiped: false,
    };
    if chat.run(&inbox)? { store::erase(db) } else { Ok(()) }
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

impl Chat {
    /// Runs until the input ends, or this device is no longer the user's: then all that is left is to delete its files.
    fn run(mut self, events: &Receiver<Event>) -> Result<bool, Failure> {
        self.tell(&Frame::Hello { name: device_name(self.client.address()) })?;
        // What a former run did not get confirmed goes out again: the same bytes.
        self.store.add_to_tally("posted again", u32::try_from(self.store.outbox()?.len())?)?;
        self.post()?;
        self.greet();
        loop {
            self.send_what_is_due()?;
            self.show_keys()?;
            let drained = !matches!(&self.source, Source::Terminal(typed) if !typed.is_empty());
            let done = self.closing && drained && self.draft.is_none() && self.store.outbox()?.is_empty();
            if done || self.wiped {
                return Ok(self.wiped);
            }
            match events.recv_timeout(ASK_AGAIN) {
                Ok(Event::Frame(frame)) => self.take(frame)?,
                Ok(Event::Typed(line)) if line.starts_with('/') => {
                    if let Err(failure) = self.command(&line) {
                        self.notice(&failure.to_string());
                    }
                }
                Ok(Event::Typed(line)) => {
                    if let Source::Terminal(typed) = &mut self.source {
                        typed.push_back(line);
                    }
                }
                Ok(Event::EndOfInput) => self.closing = true,
                Ok(Event::RelayGone) | Err(RecvTimeoutError::Disconnected) => return Err("the relay has gone".into()),
                // What waits for its time may be due.
                Err(RecvTimeoutError::Timeout) if self.left || self.attended.elapsed() > ATTEND_AGAIN => {
                    self.attend(PrekeyCounts::FULL)?
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    pub(crate) fn tell(&mut self, frame: &Frame) -> Result<(), Failure> {
        Ok(frame.send(&mut self.relay)?)
    }

    /// Asks the relay for something, if it was not just asked for.
    fn ask(&mut self, frame: Frame) -> Result<(), Failure> {
        self.asked.retain(|(_, at)| at.elapsed() < ASK_AGAIN);
        if self.asked.iter().all(|(asked, _)| *asked != frame) {
            self.tell(&frame)?;
            self.asked.push((frame, Instant::now()));
        }
        Ok(())
    }

    /// Takes a frame of the relay's.
    fn take(&mut self, frame: Frame) -> Result<(), Failure> {
        match frame {
            Frame::Welcome { one_time, one_time_kem } => {
                let left = PrekeyCounts { one_time: one_time.try_into()?, one_time_kem: one_time_kem.try_into()? };
                if left == PrekeyCounts::default() {
                    self.publish(left)?;
                }
                self.attend(left)
            }
            Frame::Bundle { found: true, name, bundle } => self.initiate(&parse_device(&name)?, &bundle),
            Frame::RosterStored { version } => self.roster_stored(version),
            Frame::Roster { found: true, name, roster } => self.hear(&UserId::new(name)?, &roster),
            Frame::LinkMail { found, bytes } => self.complete_link(found, &bytes),
            Frame::Posted { id } | Frame::Outdated { id } => self.store.posted(id.cast_signed()),
            Frame::Published { id } => {
                let id = PrekeyUploadId::new(id.as_slice().try_into()?);
                self.store.run(self.client.published(id), |_, _| Ok(()))?;
                Ok(())
            }
            Frame::Deliver { number, from, bytes } => {
                let (outcome, status) = inbound::take(&self.store, &self.client, &bytes)?;
                // It is on the disk: now, and not before, the relay may forget it.
                if matches!(outcome, Outcome::Later) {
                    self.left = true;
                } else {
                    self.tell(&Frame::Ack { number })?;
                }
                let wanting = !matches!(outcome, Outcome::Received { .. });
                if let Some(status) = &status {
                    self.show_status(parse_device(&from)?.user(), status);
                }
                self.show(&from, outcome);
                // Prekeys in plenty: what they are counted for is only how many to make.
                if wanting { self.attend(PrekeyCounts::FULL) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Does what the library says is to be done.
    pub(crate) fn attend(&mut self, prekeys_left: PrekeyCounts) -> Result<(), Failure> {
        self.attended = Instant::now();
        for task in self.store.run(self.client.todo(), |_, _| Ok(()))? {
            match task {
                // Anybody may write here, and be read; what cannot be read of others than the peer is not asked for.
                Task::FetchBundle(device) if *device.user() != self.peer => {}
                Task::FetchBundle(device) => self.ask(Frame::Fetch { name: device_name(&device) })?,
                Task::FetchRoster(user) => self.ask(Frame::FetchRoster { name: user.as_str().to_owned() })?,
                Task::Resend { address, message_id } => self.answer(&address, message_id)?,
                Task::PublishRoster => self.publish_roster()?,
                Task::Wipe => self.wipe()?,
                Task::PublishPrekeys => self.publish(prekeys_left)?,
                Task::Maintain => self.store.maintain(&self.client)?,
            }
        }
        self.post()
    }

    /// Sends a line again that its recipient could not read, or says that it is gone. The library knows whether that one may
    /// have it.
    fn answer(&self, device: &Address, id: MessageId) -> Result<(), Failure> {
        let text = self.store.sent_line(id, device.user().as_str())?;
        let answer = self.client.answer(id, device, text.as_deref().map(str::as_bytes));
        let answered =
            self.store.run(answer, |tx, answer| answer.iter().try_for_each(|outgoing| put_outgoing(tx, outgoing)));
        match answered {
            // It was answered, or it waits.
            Ok(_) | Err(RunError::Operation(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes prekeys, and publishes them once their private halves are on the disk. Until the relay has them the same
    /// ones are published again.
    fn publish(&mut self, left: PrekeyCounts) -> Result<(), Failure> {
        for upload in self.store.run(self.client.publish_prekeys(left), |_, _| Ok(()))? {
            self.tell(&Frame::Publish { upload: upload.to_bytes() })?;
        }
        Ok(())
    }

    /// Starts a session from what the relay says are the device's keys, unless there is one.
    fn initiate(&mut self, device: &Address, bundle: &[u8]) -> Result<(), Failure> {
        let bundle = UnverifiedBundle::parse(bundle)?.verify_for(device)?;
        let added = self.store.run(self.client.add_session(&bundle), |tx, added| {
            added.repair.iter().try_for_each(|question| put_outgoing(tx, question))
        });
        match added {
            // A new telephone, or somebody in between: the user is asked.
            Err(RunError::Operation(AddError::IdentityChanged)) => {
                (self.changed, self.stopped) = (Some(*bundle.identity_key()), true);
            }
            // The relay knows a device that its user does not.
            Err(RunError::Operation(AddError::NotListed)) => {}
            added => {
                added?;
                self.tried = None;
            }
        }
        self.post()
    }

    fn send_what_is_due(&mut self) -> Result<(), Failure> {
        while !self.wiped && !self.stopped && self.tried.is_none_or(|tried| tried.elapsed() > ASK_AGAIN) {
            let Some(draft) = self.next_line()? else { break };
            if !self.send(&draft)? {
                // It goes on when there are sessions with all devices, or another key is accepted.
                (self.draft, self.tried) = (Some(draft), Some(Instant::now()));
                self.attend(PrekeyCounts::FULL)?;
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
    fn next_line(&mut self) -> Result<Option<Draft>, Failure> {
        if self.draft.is_some() {
            return Ok(self.draft.take());
        }
        let text = match &mut self.source {
            Source::Terminal(typed) => typed.pop_front(),
            Source::Script(script) => {
                let (sent, received) = (self.store.count(true)?, self.store.count(false)?);
                let due = script::due(script, self.client.address().user().as_str(), sent, received).map(str::to_owned);
                if due.is_some() {
                    std::thread::sleep(TYPING);
                }
                due
            }
        };
        Ok(text.map(|text| Draft { id: MessageId::random(&mut rng()), text }))
    }

    /// The peer: all devices that the peer's roster lists. Suite Signal has no rosters, and knows one device.
    fn recipient(&self) -> Recipient {
        match self.suite {
            Suite::Signal => Recipient::Device(self.only_device()),
            _ => Recipient::User(self.peer.clone()),
        }
    }

    /// The peer's device, where there are no rosters.
    pub(crate) fn only_device(&self) -> Address {
        Address::new(self.peer.clone(), DeviceId::new(1))
    }

    /// Sends a line: the library's batch, the line and the envelopes are durable together, and only then are they posted.
    /// `false` if it is to be tried again, since some device has not got it.
    fn send(&mut self, draft: &Draft) -> Result<bool, Failure> {
        let at = i64::try_from(now().get())?;
        let began = Instant::now();
        let sent = self.store.run(self.client.send(draft.id, self.recipient(), draft.text.as_bytes()), |tx, sent| {
            let micros = began.elapsed().as_secs_f64() * 1e6;
            // None if it was sent before.
            if let Some(outgoing) = sent.outgoing().first() {
                let (peer, text) = (self.peer.as_str().to_owned(), draft.text.clone());
                let wire_len = u32::try_from(outgoing.bytes().len()).unwrap_or(u32::MAX);
                let first = outgoing.envelope().kind == EnvelopeKind::First;
                put_line(tx, &Line { peer, mine: true, text, at, first, wire_len, micros }, Some(draft.id))?;
            }
            put_sent(tx, sent)
        });
        match sent {
            Err(RunError::Operation(SendError::NoSession)) => {
                self.ask(Frame::Fetch { name: device_name(&self.only_device()) })?;
                Ok(false)
            }
            // The relay has not got one's own roster yet, or the first device has not published it.
            Err(RunError::Operation(SendError::RosterUnpublished | SendError::NotListedYet | SendError::Removed)) => {
                Ok(false)
            }
            Err(RunError::Operation(SendError::IdentityChanged)) => {
                self.stopped = true;
                Ok(false)
            }
            Err(RunError::Operation(error @ SendError::Blocked)) => {
                self.notice(&error.to_string());
                Ok(true)
            }
            sent => {
                let sent = sent?;
                self.post()?;
                Ok(!sent.roster_wanted && sent.missing.is_empty())
            }
        }
    }

    /// Posts what is in the outbox and was not posted in this run, in its order.
    fn post(&mut self) -> Result<(), Failure> {
        for queued in self.store.outbox()? {
            if queued.id > self.posted {
                self.posted = queued.id;
                self.tell(&Frame::Post { to: queued.device, id: queued.id.cast_unsigned(), bytes: queued.bytes })?;
            }
        }
        Ok(())
    }

    /// Whether somebody sits before it.
    pub(crate) const fn is_watched(&self) -> bool {
        matches!(self.source, Source::Terminal(_))
    }

    /// The user's own name.
    pub(crate) fn name(&self) -> &str {
        self.client.address().user().as_str()
    }

    fn greet(&self) {
        if self.is_watched() {
            println!("You are {}. Write to {}: a line, and Enter.", plain(self.name()), plain(self.peer.as_str()));
            println!("/link CODE takes a new device into your account; /remove NUMBER removes one. Ctrl-D ends.");
            self.prompt();
        }
    }

    /// Something that the user should know.
    pub(crate) fn notice(&self, text: &str) {
        if self.is_watched() { self.line(text) } else { println!("    {}: {text}", self.name()) }
    }

    fn prompt(&self) {
        print!("{}> ", plain(self.name()));
        let _ = std::io::stdout().flush();
    }

    /// A line in the place of the prompt, and the prompt below it.
    fn line(&self, text: &str) {
        println!("\r{text}");
        self.prompt();
    }

    fn show(&self, from: &str, outcome: Outcome) {
        match outcome {
            Outcome::Received { from, text } if self.is_watched() => {
                self.line(&format!("{}: {}", plain(&from), plain(&text)));
            }
            Outcome::Refused(why) => eprintln!("{}: a message from {} was dropped: {why}", self.name(), plain(from)),
            Outcome::Received { .. } | Outcome::Done | Outcome::Later => {}
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text that cannot steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
