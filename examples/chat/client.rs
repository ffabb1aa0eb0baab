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
use subrosa::client::{AddError, Client, PrekeyCounts, PrekeyUploadId, RunError, SendError, Task};
use subrosa::crypto::PublicKey;
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::prekey::UnverifiedBundle;
use subrosa::suite::Suite;
use subrosa::wire::EnvelopeKind;

use crate::Failure;
use crate::inbound::{self, Outcome};
use crate::script::{self, Scripted};
use crate::store::{Line, Store, put_line, put_outgoing};
use crate::wire::Frame;

/// The relay is asked again for the bundle of somebody who has none yet.
const ASK_AGAIN: Duration = Duration::from_millis(100);

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

struct Chat {
    peer: String,
    name: String,
    client: Client,
    store: Store,
    relay: TcpStream,
    source: Source,
    draft: Option<Draft>,
    /// When the relay was last asked for the peer's prekeys.
    asked: Option<Instant>,
    /// When the library was last asked what is to be done.
    attended: Instant,
    /// The highest row of the outbox that was posted in this run.
    posted: i64,
    listening: bool,
    closing: bool,
    /// The peer's identity key that was shown last.
    shown: Option<PublicKey>,
    /// Another one, that the user has not accepted: until then nothing is sent.
    changed: Option<PublicKey>,
}

/// Randomness is the host's to give.
pub(crate) const fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// So is the time.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
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
    let store = Store::open(db)?;
    address(peer)?;
    let client = store.account(db, &address(name)?, suite)?;
    let relay = TcpStream::connect(relay)?;
    relay.set_nodelay(true)?;
    let (events, inbox) = channel();
    let (reader, typed) = (relay.try_clone()?, events.clone());
    std::thread::spawn(move || read_relay(reader, &events));
    std::thread::spawn(move || read_terminal(&typed));
    let source = if scripted { Source::Script(script::script()) } else { Source::Terminal(VecDeque::new()) };
    let (name, peer) = (name.to_owned(), peer.to_owned());
    let (draft, asked, attended, posted) = (None, None, Instant::now(), 0);
    let (listening, closing, shown, changed) = (false, false, None, None);
    let chat = Chat {
        peer,
        name,
        client,
        store,
        relay,
        source,
        draft,
        asked,
        attended,
        posted,
        listening,
        closing,
        shown,
        changed,
    };
    chat.run(&inbox)
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
    fn run(mut self, events: &Receiver<Event>) -> Result<(), Failure> {
        self.tell(&Frame::Hello { name: self.name.clone() })?;
        // What a former run did not get confirmed goes out again: the same bytes.
        self.store.add_to_tally("posted again", u32::try_from(self.store.outbox()?.len())?)?;
        self.post()?;
        self.greet()?;
        loop {
            self.send_what_is_due()?;
            self.show_keys()?;
            let drained = !matches!(&self.source, Source::Terminal(typed) if !typed.is_empty());
            if self.closing && drained && self.draft.is_none() && self.store.outbox()?.is_empty() {
                return Ok(());
            }
            match events.recv_timeout(ASK_AGAIN) {
                Ok(Event::Frame(frame)) => self.take(frame)?,
                Ok(Event::Typed(line)) if line == "/accept" => self.accept()?,
                Ok(Event::Typed(line)) => {
                    if let Source::Terminal(typed) = &mut self.source {
                        typed.push_back(line);
                    }
                }
                Ok(Event::EndOfInput) => self.closing = true,
                Ok(Event::RelayGone) | Err(RecvTimeoutError::Disconnected) => return Err("the relay has gone".into()),
                // What waits for its time may be due.
                Err(RecvTimeoutError::Timeout) if self.attended.elapsed() > ATTEND_AGAIN => {
                    self.attend(PrekeyCounts::FULL)?
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn tell(&mut self, frame: &Frame) -> Result<(), Failure> {
        Ok(frame.send(&mut self.relay)?)
    }

    /// Takes a frame of the relay's.
    fn take(&mut self, frame: Frame) -> Result<(), Failure> {
        match frame {
            Frame::Welcome { one_time, one_time_kem } => {
                let left = PrekeyCounts { one_time: one_time.try_into()?, one_time_kem: one_time_kem.try_into()? };
                if left == PrekeyCounts::default() { self.publish(left) } else { self.attend(left) }
            }
            Frame::Bundle { found: true, bundle } => self.initiate(&bundle),
            Frame::Posted { id } => self.store.posted(id.cast_signed()),
            Frame::Published { id } => {
                let id = PrekeyUploadId::new(id.as_slice().try_into()?);
                self.store.run(self.client.published(id), |_, _| Ok(()))?;
                Ok(())
            }
            Frame::Deliver { number, from, bytes } => {
                let outcome = inbound::take(&self.store, &self.client, &bytes)?;
                // It is on the disk: now, and not before, the relay may forget it.
                if !matches!(outcome, Outcome::Later) {
                    self.tell(&Frame::Ack { number })?;
                }
                let wanting = !matches!(outcome, Outcome::Received { .. });
                self.show(&from, outcome);
                // Prekeys in plenty: what they are counted for is only how many to make.
                if wanting { self.attend(PrekeyCounts::FULL) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    /// Does what the library says is to be done.
    fn attend(&mut self, prekeys_left: PrekeyCounts) -> Result<(), Failure> {
        self.attended = Instant::now();
        let peer = address(&self.peer)?;
        for task in self.store.run(self.client.todo(), |_, _| Ok(()))? {
            match task {
                // Anybody may write here, and be read; what cannot be read of others than the peer is not asked for.
                Task::FetchBundle(device) if device != peer => {}
                Task::FetchBundle(_) => self.tell(&Frame::Fetch { name: self.peer.clone() })?,
                Task::Resend { address, message_id } => self.answer(&address, message_id)?,
                // The server has no directory: devices know each other by their identity keys alone.
                Task::FetchRoster(_) | Task::PublishRoster | Task::Wipe => {}
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

    /// Starts a session from what the relay says are the peer's keys, unless there is one.
    fn initiate(&mut self, bundle: &[u8]) -> Result<(), Failure> {
        let bundle = UnverifiedBundle::parse(bundle)?.verify_for(&address(&self.peer)?)?;
        let added = self.store.run(self.client.add_session(&bundle), |tx, added| {
            added.repair.iter().try_for_each(|question| put_outgoing(tx, question))
        });
        match added {
            // A new telephone, or somebody in between: the user is asked.
            Err(RunError::Operation(AddError::IdentityChanged)) => self.changed = Some(*bundle.identity_key()),
            added => {
                added?;
                self.asked = None;
            }
        }
        self.post()
    }

    fn send_what_is_due(&mut self) -> Result<(), Failure> {
        while self.changed.is_none() && self.asked.is_none_or(|asked| asked.elapsed() > ASK_AGAIN) {
            let Some(draft) = self.next_line()? else { break };
            if !self.send(&draft)? {
                // It is sent when there are prekeys to start a session, or the other key is accepted.
                self.draft = Some(draft);
                if self.changed.is_some() {
                    break;
                }
                self.asked = Some(Instant::now());
                self.tell(&Frame::Fetch { name: self.peer.clone() })?;
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
                let due = script::due(script, &self.name, sent, received).map(str::to_owned);
                if due.is_some() {
                    std::thread::sleep(TYPING);
                }
                due
            }
        };
        Ok(text.map(|text| Draft { id: MessageId::random(&mut rng()), text }))
    }

    /// Sends a line: the library's batch, the line and the envelope are durable together, and only then is it posted.
    /// `false` if there is no session to send it in.
    fn send(&mut self, draft: &Draft) -> Result<bool, Failure> {
        let (to, at) = (address(&self.peer)?, i64::try_from(now().get())?);
        let began = Instant::now();
        let sent = self.store.run(self.client.send(draft.id, &to, draft.text.as_bytes()), |tx, sent| {
            let micros = began.elapsed().as_secs_f64() * 1e6;
            // What was sent before is there.
            let [outgoing] = sent.outgoing() else { return Ok(()) };
            let (peer, text) = (self.peer.clone(), draft.text.clone());
            let wire_len = u32::try_from(outgoing.bytes().len()).unwrap_or(u32::MAX);
            let first = outgoing.envelope().kind == EnvelopeKind::First;
            put_line(tx, &Line { peer, mine: true, text, at, first, wire_len, micros }, Some(draft.id))?;
            put_outgoing(tx, outgoing)
        });
        match sent {
            Err(RunError::Operation(SendError::NoSession)) => Ok(false),
            Err(RunError::Operation(SendError::IdentityChanged)) => {
                self.changed = self.store.run(self.client.peer(&to), |_, _| Ok(()))?.and_then(|peer| peer.changed_key);
                Ok(false)
            }
            sent => {
                sent?;
                self.post()?;
                Ok(true)
            }
        }
    }

    /// Posts what is in the outbox and was not posted in this run, in its order.
    fn post(&mut self) -> Result<(), Failure> {
        for queued in self.store.outbox()? {
            if queued.id > self.posted {
                self.posted = queued.id;
                self.tell(&Frame::Post { to: queued.peer, id: queued.id.cast_unsigned(), bytes: queued.bytes })?;
            }
        }
        Ok(())
    }

    /// Whether somebody sits before it.
    const fn is_watched(&self) -> bool {
        matches!(self.source, Source::Terminal(_))
    }

    fn greet(&self) -> Result<(), Failure> {
        if self.is_watched()
            && let Some(own) = self.store.run(self.client.identity_key(), |_, _| Ok(()))?
        {
            println!("You are {}. Your key: {}", plain(&self.name), hex(&own));
            println!("Write to {}: a line, and Enter. Ctrl-D ends.", plain(&self.peer));
            self.prompt();
        }
        Ok(())
    }

    /// Says with whom there is a session, once, and which key is to be decided upon.
    fn show_keys(&mut self) -> Result<(), Failure> {
        if !self.is_watched() {
            return Ok(());
        }
        let peer = self.store.run(self.client.peer(&address(&self.peer)?), |_, _| Ok(()))?;
        let known = peer.as_ref().filter(|peer| peer.sends_since.is_some()).map(|peer| peer.identity_key);
        let changed = self.changed.or_else(|| peer.and_then(|peer| peer.changed_key));
        let (Some(key), name) = (changed.or(known), plain(&self.peer)) else { return Ok(()) };
        if self.shown != Some(key) {
            self.shown = Some(key);
            match changed {
                None => self.line(&format!("Session with {name} started. {name}'s key: {} (compare it)", hex(&key))),
                Some(_) => self.line(&format!(
                    "{name} has another key now: {}. Nothing is sent until you have compared it and type /accept.",
                    hex(&key)
                )),
            }
        }
        Ok(())
    }

    /// The user has compared the other key.
    fn accept(&mut self) -> Result<(), Failure> {
        let peer = address(&self.peer)?;
        let changed = self.store.run(self.client.peer(&peer), |_, _| Ok(()))?.and_then(|peer| peer.changed_key);
        if let Some(key) = self.changed.take().or(changed) {
            self.store.run(self.client.accept_identity(&peer, &key), |_, ()| Ok(()))?;
            (self.asked, self.shown) = (None, None);
        }
        Ok(())
    }

    fn prompt(&self) {
        print!("{}> ", plain(&self.name));
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
            Outcome::Refused(why) => eprintln!("{}: a message from {} was dropped: {why}", self.name, plain(from)),
            Outcome::Received { .. } | Outcome::Done | Outcome::Later => {}
        }
    }
}

fn hex(key: &PublicKey) -> String {
    key.to_bytes().map(|byte| format!("{byte:02x}")).concat()
}

/// Text that cannot steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
