//! The relay: mail boxes in memory, one a device, and a thread for each connection. All it knows are names, blobs, the public
//! halves of prekeys, and which devices a user has.
//!
//! It is trusted with delivery and nothing else. This one believes whoever says a name; a real one asks for proof,
//! and limits how much anyone may post or fetch.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use subrosa::platform::{PrekeyStore, PrekeyStoreError};
use subrosa::prekey::PrekeyUpload;
use subrosa::wire::Envelope;

use crate::Failure;
use crate::client::{now, parse_device};
use crate::directory::Directory;
use crate::wire::Frame;

/// Every so many messages, one is delivered twice.
const TWICE_EVERY: u64 = 29;
/// A mail box takes no more than this.
const MAX_WAITING: usize = 10_000;

/// A message on its way.
#[derive(Clone)]
struct Letter {
    from: String,
    bytes: Vec<u8>,
}

/// What the relay keeps for one device.
#[derive(Default)]
struct Mailbox {
    /// The prekeys that its device has published, once it has.
    prekey_store: Option<PrekeyStore>,
    waiting: BTreeMap<u64, Letter>,
    /// So many of the next letters are set aside.
    withhold: u64,
    withheld: Vec<Letter>,
    /// The connection that listens.
    listener: Option<Sender<Frame>>,
}

#[derive(Default)]
struct Relay {
    mailboxes: BTreeMap<String, Mailbox>,
    directory: Directory,
    posted: u64,
    /// Deliveries so far: numbers the next one.
    numbers: u64,
}

/// Serves for ever. Whatever was relayed goes to `log` as well, raw.
pub(crate) fn serve(address: &str, log: Option<&Path>) -> Result<(), Failure> {
    let listener = TcpListener::bind(address)?;
    let log = log.map(File::create).transpose()?.map(Arc::new);
    let relay = Arc::new(Mutex::new(Relay::default()));
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    for stream in listener.incoming() {
        let (stream, relay, log) = (stream?, Arc::clone(&relay), log.clone());
        std::thread::spawn(move || {
            // An error is the end of this connection and of nothing else.
            if let Err(failure) = converse(stream, &relay, log) {
                eprintln!("relay: connection closed: {failure}");
            }
        });
    }
    Ok(())
}

fn converse(mut stream: TcpStream, relay: &Mutex<Relay>, log: Option<Arc<File>>) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let (outgoing, frames) = channel();
    let (writer, writer_log) = (stream.try_clone()?, log.clone());
    // Writing has a thread of its own: a client that does not read holds up nobody else.
    std::thread::spawn(move || write_all(writer, &frames, writer_log.as_deref()));
    let mut caller = None;
    loop {
        let frame = match Frame::receive(&mut stream) {
            Ok(frame) => frame,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err("malformed frame".into()),
            Err(_) => return Ok(()),
        };
        record(log.as_deref(), &frame)?;
        relay.lock().unwrap_or_else(PoisonError::into_inner).take(frame, &mut caller, &outgoing)?;
    }
}

fn write_all(mut stream: TcpStream, frames: &Receiver<Frame>, log: Option<&File>) {
    for frame in frames {
        if record(log, &frame).and_then(|()| frame.send(&mut stream)).is_err() {
            break;
        }
    }
    // If nobody answers this client any more, it shall not wait.
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

fn record(log: Option<&File>, frame: &Frame) -> std::io::Result<()> {
    log.map_or(Ok(()), |mut log| log.write_all(&frame.encode()))
}

impl Relay {
    fn mailbox(&mut self, name: &str) -> &mut Mailbox {
        self.mailboxes.entry(name.to_owned()).or_default()
    }

    /// Does what a frame asks for.
    fn take(&mut self, frame: Frame, caller: &mut Option<String>, answer: &Sender<Frame>) -> Result<(), Failure> {
        let name = || caller.clone().ok_or("no name was given");
        let reply = match frame {
            Frame::Hello { name } => {
                let counts = self.mailbox(&name).prekey_store.as_ref().map(PrekeyStore::counts).unwrap_or_default();
                *caller = Some(name);
                Some(Frame::Welcome { one_time: counts.one_time.into(), one_time_kem: counts.one_time_kem.into() })
            }
            Frame::Publish { upload } => {
                let (upload, name) = (PrekeyUpload::parse(&upload)?, name()?);
                let prekey_store = self
                    .mailbox(&name)
                    .prekey_store
                    .get_or_insert(PrekeyStore::new(parse_device(&name)?, upload.suite));
                match prekey_store.apply(&upload) {
                    // Installed anew. A real relay knows that the user has registered again.
                    Err(PrekeyStoreError::OtherIdentity) => prekey_store.replace(&upload)?,
                    applied => applied?,
                };
                Some(Frame::Published { id: upload.id.as_bytes().to_vec() })
            }
            Frame::Fetch { name } => {
                let bundle = self.mailbox(&name).prekey_store.as_mut().and_then(PrekeyStore::claim);
                let bundle = bundle.map(|bundle| bundle.to_bytes());
                Some(Frame::Bundle { found: bundle.is_some(), name, bundle: bundle.unwrap_or_default() })
            }
            Frame::PublishRoster { upload } => Some(self.publish_roster(&name()?, &upload)?),
            Frame::FetchRoster { name } => Some(self.directory.roster(&name)),
            Frame::PutLink { mailbox, bytes } => {
                self.directory.put_link(mailbox, bytes, now())?;
                Some(Frame::Posted { id: 0 })
            }
            Frame::TakeLink { mailbox } => {
                let bytes = self.directory.take_link(&mailbox, now());
                Some(Frame::LinkMail { found: bytes.is_some(), bytes: bytes.unwrap_or_default() })
            }
            Frame::Post { to, id, bytes } => {
                let from = name()?;
                // What a message says of its sender is believed only if it is the device that is connected.
                if Envelope::parse(&bytes)?.from != Some(parse_device(&from)?) {
                    return Err("a message in somebody else's name".into());
                }
                if self.directory.is_outdated(&parse_device(&to)?) {
                    answer.send(Frame::Outdated { id })?;
                    Some(self.directory.roster(parse_device(&to)?.user().as_str()))
                } else {
                    self.post(&to, Letter { from, bytes })?;
                    Some(Frame::Posted { id })
                }
            }
            Frame::Listen => {
                let mailbox = self.mailbox(&name()?);
                mailbox.listener = Some(answer.clone());
                for (number, letter) in &mailbox.waiting {
                    let Letter { from, bytes } = letter.clone();
                    answer.send(Frame::Deliver { number: *number, from, bytes })?;
                }
                None
            }
            Frame::Ack { number } => {
                self.mailbox(&name()?).waiting.remove(&number);
                None
            }
            Frame::Withhold { to, count } => {
                self.mailbox(&to).withhold = count;
                None
            }
            Frame::Release { to } => {
                self.release(&to);
                None
            }
            Frame::Ask => {
                let waiting = self.mailboxes.values().map(|mailbox| mailbox.waiting.len() + mailbox.withheld.len());
                Some(Frame::Status { posted: self.posted, waiting: waiting.sum::<usize>() as u64 })
            }
            Frame::Welcome { .. }
            | Frame::Bundle { .. }
            | Frame::Published { .. }
            | Frame::RosterStored { .. }
            | Frame::Roster { .. }
            | Frame::LinkMail { .. }
            | Frame::Outdated { .. }
            | Frame::Posted { .. }
            | Frame::Deliver { .. }
            | Frame::Status { .. } => return Err("that is the relay's to say".into()),
        };
        if let Some(reply) = reply {
            answer.send(reply)?;
        }
        Ok(())
    }

    /// Takes a roster, or answers with the one that there is.
    fn publish_roster(&mut self, publisher: &str, upload: &[u8]) -> Result<Frame, Failure> {
        let user = parse_device(publisher)?.user().clone();
        let Some(version) = self.directory.publish(&user, upload, now())? else {
            return Ok(self.directory.roster(user.as_str()));
        };
        for (name, mailbox) in &mut self.mailboxes {
            let device = parse_device(name)?;
            if *device.user() != user || name == publisher {
                continue;
            }
            // Whoever was removed hears of it as well, and has neither prekeys nor mail any more.
            if let Some(listener) = &mailbox.listener {
                let _ = listener.send(self.directory.roster(user.as_str()));
            }
            if self.directory.is_outdated(&device) && self.directory.was_listed(&device) {
                *mailbox = Mailbox::default();
            }
        }
        Ok(Frame::RosterStored { version })
    }

    fn post(&mut self, to: &str, letter: Letter) -> Result<(), Failure> {
        self.posted += 1;
        let twice = self.posted.is_multiple_of(TWICE_EVERY);
        let mailbox = self.mailbox(to);
        if mailbox.waiting.len() + mailbox.withheld.len() >= MAX_WAITING {
            return Err("mail box is full".into());
        }
        if mailbox.withhold > 0 {
            mailbox.withhold -= 1;
            mailbox.withheld.push(letter);
            return Ok(());
        }
        if twice {
            self.deliver(to, letter.clone());
        }
        self.deliver(to, letter);
        Ok(())
    }

    /// Keeps a letter until it is acknowledged, and delivers it if somebody listens.
    fn deliver(&mut self, to: &str, letter: Letter) {
        self.numbers += 1;
        let number = self.numbers;
        let mailbox = self.mailbox(to);
        mailbox.waiting.insert(number, letter.clone());
        let Letter { from, bytes } = letter;
        let delivered = mailbox.listener.as_ref().map(|to| to.send(Frame::Deliver { number, from, bytes }));
        if matches!(delivered, Some(Err(_))) {
            mailbox.listener = None;
        }
    }

    fn release(&mut self, to: &str) {
        let mailbox = self.mailbox(to);
        mailbox.withhold = 0;
        let mut letters = std::mem::take(&mut mailbox.withheld);
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for last in (1..letters.len()).rev() {
            let at = rng.next_u32() as usize % (last + 1);
            letters.swap(last, at);
        }
        for letter in letters {
            self.deliver(to, letter);
        }
    }
}
