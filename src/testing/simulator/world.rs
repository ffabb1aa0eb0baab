//! The world of one run, and what can happen in it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::accounts::{ACCOUNTS, SENTINEL, START, account, address, prepare, storage_key};
use super::ledger::Ledger;
use super::{Broken, Mutation, Report};
use crate::client::ReceiveError;
use crate::ident::Timestamp;
use crate::session::FirstMessage;
use crate::testing::{Answer, Crash, Crashed, Host, Posted, Relay, SeededRng, Snapshot, Tables};
use crate::wire::{Envelope, EnvelopeKind, EnvelopeSuite, PreKeySignalMessage, SignalMessage};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Steps of one run before faults end.
const STEPS: u64 = 70;

/// Devices with which a side that does so keeps sessions in memory.
const CACHED: usize = 2;

/// Days for which the relay keeps what nobody fetches.
const KEPT_DAYS: u64 = 12;

type Step = Result<(), Broken>;

struct Backup {
    step: u64,
    account: usize,
    rows: (Snapshot, Tables),
}

pub(super) struct World {
    signal: bool,
    mutation: Option<Mutation>,
    rng: SeededRng,
    now: u64,
    /// By how much the clock of each side is wrong, in milliseconds.
    clocks: [i64; 2],
    step: u64,
    hosts: [Host; 2],
    /// Whether each keeps sessions in memory.
    cached: [bool; 2],
    relay: Relay,
    pub(super) ledger: Ledger,
    backups: [Option<Backup>; 2],
    accounts: [usize; 2],
    keys: [usize; 2],
    /// Where each has the other in its index.
    pages: [u8; 2],
    /// Days for which something has waited for a side.
    waited: [u64; 2],
    /// Whether users make new accounts in this run, and restore backups, and have a place for the anchor.
    moves: bool,
    restores: bool,
    anchored: bool,
    /// What went out in suite `Signal`, under which message key.
    signal_keys: BTreeMap<(usize, Vec<u8>, u32), Vec<u8>>,
    reasons: [bool; 2],
    report: Report,
    trace: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64, mutation: Option<Mutation>, cached: [bool; 2]) -> Self {
        let mut rng = SeededRng::new(seed);
        let signal = rng.happens(30);
        let (restores, moves) = (rng.happens(35), rng.happens(15));
        // That defect shows only where a backup is restored.
        let restores = restores || mutation == Some(Mutation::ReuseAfterRestore);
        // Without a place for the anchor, suite `Signal` may repeat keys, and says so.
        let anchored = signal || rng.happens(85);
        // All that this run may need are made before it is watched what is sealed.
        prepare(signal);
        let (mut relay, mut pages) = (Relay::new(), [0; 2]);
        let hosts = [0, 1].map(|side| {
            let (mut host, shelves, page) = account(side, signal, 0, seed ^ (u64::from(side == 1) << 63));
            pages[side] = page;
            relay.stock(host.address(), shelves);
            host.blind = mutation == Some(Mutation::SkippedCheck);
            host.keep_sessions(if cached[side] { CACHED } else { 0 });
            if !anchored {
                host.lose_keychain();
            }
            host
        });
        let mut world = Self {
            signal,
            mutation,
            rng,
            now: START.get(),
            clocks: [0; 2],
            step: 0,
            hosts,
            cached,
            relay,
            ledger: Ledger::default(),
            backups: [None, None],
            accounts: [0; 2],
            keys: [0; 2],
            pages,
            waited: [0; 2],
            moves,
            restores,
            anchored,
            signal_keys: BTreeMap::new(),
            reasons: [false; 2],
            report: Report::default(),
            trace: Vec::new(),
        };
        world.note(format!("suite {}, anchor {anchored}", if signal { "Signal" } else { "V1" }));
        world
    }

    pub(super) fn into_trace(self) -> Vec<String> {
        self.trace
    }

    /// All that the library has written.
    #[cfg(test)]
    pub(super) fn rows(&self) -> [Snapshot; 2] {
        self.hosts.each_ref().map(|host| host.store().snapshot())
    }

    fn note(&mut self, what: String) {
        let day = (self.now - START.get()) / DAY_MS;
        self.trace.push(format!("{:3} day {day}: {what}", self.step));
    }

    /// What a side's clock shows.
    fn time(&self, side: usize) -> Timestamp {
        Timestamp::new(self.now.saturating_add_signed(self.clocks[side]))
    }

    fn host(&mut self, side: usize) -> &mut Host {
        let [alice, bob] = &mut self.hosts;
        if side == 0 { alice } else { bob }
    }

    pub(super) fn run(&mut self) -> Result<Report, Broken> {
        while self.step < STEPS {
            self.step += 1;
            self.now += 1 + u64::try_from(self.rng.below(60_000)).unwrap_or(0);
            self.anything()?;
            self.look();
        }
        self.end_faults()?;
        self.finish()
    }

    /// One thing that can happen.
    fn anything(&mut self) -> Step {
        let side = self.rng.below(2);
        if self.rng.happens(6) {
            let crash = [Crash::Before, Crash::After, Crash::Unknown][self.rng.below(3)];
            self.note(format!("{side} will crash: {crash:?}"));
            self.report.crashes += 1;
            self.host(side).crash_next(Some(crash));
        }
        match self.rng.below(100) {
            0..30 => self.write(side),
            30..70 => self.deliver(side),
            70..76 => self.deliver_many(side),
            76..81 => self.race(side),
            81..85 => self.jump(),
            85..88 => self.attend(side),
            88..90 => self.reset(side),
            90..94 => self.back_up(side),
            94..97 if self.restores => self.restore(side),
            97 if self.moves => self.new_account(side),
            98 => self.change_key(side),
            _ => {
                let willing = self.rng.happens(70);
                self.decide(side, willing)
            }
        }
    }

    /// Whoever has crashed is opened again, perhaps after having crashed once more.
    fn opened(&mut self, side: usize, done: Result<(), Crashed>) -> Step {
        if done == Err(Crashed) {
            if let Some(stuck) = self.hosts[side].audit().stuck() {
                return Err(Broken::Stuck(stuck.into()));
            }
            self.note(format!("{side} has crashed"));
            self.open(side, false)?;
        }
        Ok(())
    }

    fn open(&mut self, side: usize, restored: bool) -> Step {
        let now = self.time(side);
        let rolled_back = loop {
            if let Ok(rolled_back) = self.host(side).open(now) {
                break rolled_back;
            }
        };
        match (rolled_back, restored) {
            (false, true) if self.anchored && self.mutation != Some(Mutation::ReuseAfterRestore) => {
                Err(Broken::RollbackMissed)
            }
            (true, false) => Err(Broken::RollbackInvented),
            _ => Ok(()),
        }
    }

    fn write(&mut self, side: usize) -> Step {
        let text = format!("{SENTINEL} {}", self.ledger.written());
        let (to, step) = (address(1 - side), self.step);
        let id = self.host(side).write_draft(&to, text.as_bytes());
        self.ledger.wrote(id, side, step);
        self.note(format!("{side} writes {text}"));
        self.send(side)
    }

    fn send(&mut self, side: usize) -> Step {
        let now = self.time(side);
        let [alice, bob] = &mut self.hosts;
        let host = if side == 0 { alice } else { bob };
        let done = if self.mutation == Some(Mutation::SendBeforeCommit) {
            if let Some(outgoing) = host.send_before_commit(now) {
                self.relay.post(outgoing.envelope(), &mut self.rng, 0, 0);
                self.went_out(side, outgoing.envelope())?;
            }
            let [alice, bob] = &mut self.hosts;
            let host = if side == 0 { alice } else { bob };
            host.send_drafts(&mut self.relay, now)
        } else {
            host.send_drafts(&mut self.relay, now)
        };
        self.look();
        self.opened(side, done)?;
        self.post(side, 5)
    }

    /// Posts what is in the outbox, unless the host comes to its end between the commit and the network.
    fn post(&mut self, side: usize, faults: usize) -> Step {
        self.look();
        for outgoing in self.host(side).outbox() {
            if self.rng.happens(faults) {
                self.note(format!("{side} ends before it posts"));
                return self.opened(side, Err(Crashed));
            }
            let posted = self.relay.post(outgoing.envelope(), &mut self.rng, faults, faults);
            if matches!(posted, Posted::Taken | Posted::Lost) {
                self.host(side).posted(outgoing.id());
            }
            if posted != Posted::Taken {
                let which = self.ledger.named(outgoing.id());
                self.note(format!("{side} posts {which}: {posted:?}"));
            }
            if posted == Posted::Lost {
                self.ledger.lost(outgoing.id());
            }
            self.went_out(side, outgoing.envelope())?;
        }
        Ok(())
    }

    /// In suite `Signal` no key goes out under two texts.
    fn went_out(&mut self, side: usize, envelope: &Envelope) -> Step {
        if envelope.suite != EnvelopeSuite::Signal {
            return Ok(());
        }
        let message = if envelope.kind == EnvelopeKind::First {
            PreKeySignalMessage::parse(&envelope.body).map(|first| first.message)
        } else {
            SignalMessage::parse(&envelope.body)
        };
        let Ok(message) = message else { return Err(Broken::Refused("malformed".into())) };
        let key = (side, message.ratchet_key.to_bytes().to_vec(), message.counter);
        let before = self.signal_keys.entry(key).or_insert_with(|| message.ciphertext.clone());
        if *before == message.ciphertext { Ok(()) } else { Err(Broken::KeyRepeated) }
    }

    fn look(&mut self) {
        for (side, host) in self.hosts.iter().enumerate() {
            self.ledger.look_at(side, host, self.step);
        }
    }

    /// Takes an envelope off the relay.
    fn take(&mut self, side: usize, twice: usize) -> Option<Envelope> {
        let bytes = self.relay.take(&address(side), &mut self.rng, twice)?;
        Envelope::parse(&bytes).ok()
    }

    fn deliver(&mut self, side: usize) -> Step {
        let Some(envelope) = self.take(side, 10) else { return Ok(()) };
        if self.rng.happens(4) {
            self.deliver_garbled(side, &envelope)?;
        }
        let now = self.time(side);
        let received = self.host(side).receive(&envelope, now);
        self.look_whether_read(side, &envelope);
        match received {
            Ok(answer) => self.answered(side, &envelope, answer),
            Err(crashed) => {
                self.relay.not_acknowledged(&address(side), envelope.to_bytes());
                self.opened(side, Err(crashed))
            }
        }
    }

    /// Somebody between has changed a bit of an envelope, and passes it on before the right one.
    fn deliver_garbled(&mut self, side: usize, envelope: &Envelope) -> Step {
        let (mut garbled, now) = (envelope.clone(), self.time(side));
        self.report.garbled += 1;
        let (at, bit) = (self.rng.below(garbled.body.len()), self.rng.below(8));
        if let Some(byte) = garbled.body.get_mut(at) {
            *byte ^= 1 << bit;
        }
        let received = self.host(side).receive(&garbled, now);
        self.look_whether_read(side, envelope);
        match received {
            Ok(Answer::Read) if may_differ(envelope, &garbled) => self.answered(side, envelope, Answer::Read),
            Ok(Answer::Read) => Err(Broken::Refused(format!("{:?}, byte {at}: a changed one was read", envelope.kind))),
            Ok(answer) => {
                let which = self.ledger.named(&envelope.id);
                self.note(format!("{side} receives {which} with bit {bit} of byte {at} changed: {answer:?}"));
                Ok(())
            }
            Err(crashed) => self.opened(side, Err(crashed)),
        }
    }

    fn read(&mut self, side: usize, envelope: &Envelope) {
        let known = self.host(side).tables().changed().next().is_none();
        self.ledger.read(&envelope.id, known, self.signal, self.step);
    }

    /// A message may have been read though its host came to its end, or calls it a duplicate since it did not know.
    fn look_whether_read(&mut self, side: usize, envelope: &Envelope) {
        if self.host(side).tables().opened.contains(&envelope.id) {
            self.read(side, envelope);
        }
    }

    fn answered(&mut self, side: usize, envelope: &Envelope, answer: Answer) -> Step {
        let which = self.ledger.named(&envelope.id);
        self.note(format!("{side} receives {which}, {:?}: {answer:?}", envelope.kind));
        match answer {
            Answer::Read => {
                self.read(side, envelope);
                Ok(())
            }
            Answer::Unreadable(_) => {
                self.ledger.unreadable(&envelope.id, self.step);
                Ok(())
            }
            Answer::Refused(ReceiveError::Duplicate | ReceiveError::NotAuthentic) => Ok(()),
            Answer::Refused(error) | Answer::Again(error) => Err(Broken::Refused(format!("{error}"))),
        }
    }

    fn deliver_many(&mut self, side: usize) -> Step {
        let mut envelopes: Vec<_> = (0..12).map_while(|_| self.take(side, 10)).collect();
        let now = self.time(side);
        while !envelopes.is_empty() {
            let received = self.host(side).receive_many(&envelopes, now);
            for envelope in &envelopes {
                self.look_whether_read(side, envelope);
            }
            match received {
                Ok(answers) => {
                    let rest = envelopes.split_off(answers.len().min(envelopes.len()));
                    for (envelope, answer) in envelopes.iter().zip(answers) {
                        self.answered(side, envelope, answer)?;
                    }
                    envelopes = rest;
                }
                Err(crashed) => {
                    for envelope in envelopes.iter().rev() {
                        self.relay.not_acknowledged(&address(side), envelope.to_bytes());
                    }
                    return self.opened(side, Err(crashed));
                }
            }
        }
        Ok(())
    }

    /// Two workers on one database.
    fn race(&mut self, side: usize) -> Step {
        let (to, now, step) = (address(1 - side), self.time(side), self.step);
        let mut ids = Vec::new();
        for _ in 0..2 {
            let text = format!("{SENTINEL} {}", self.ledger.written());
            let id = self.host(side).write_draft(&to, text.as_bytes());
            self.ledger.wrote(id, side, step);
            self.note(format!("{side} writes {text}, racing"));
            ids.push(id);
        }
        let drafts: Vec<_> =
            self.host(side).tables().drafts().iter().filter(|draft| ids.contains(&draft.id)).cloned().collect();
        let [one, other] = drafts.as_slice() else { return Ok(()) };
        let envelope = self.take(side, 0);
        let done = self.host(side).race_of_senders(one, other, now);
        self.look();
        self.opened(side, done)?;
        if let Some(envelope) = envelope {
            let amid = self.rng.happens(50);
            let raced = self.host(side).race(one, &envelope, amid, now);
            self.look();
            self.look_whether_read(side, &envelope);
            match raced {
                Ok(answer) => self.answered(side, &envelope, answer)?,
                Err(crashed) => {
                    self.relay.not_acknowledged(&address(side), envelope.to_bytes());
                    self.opened(side, Err(crashed))?;
                }
            }
        }
        self.send(side)
    }

    /// Days pass.
    fn jump(&mut self) -> Step {
        for side in [0, 1] {
            self.post(side, 0)?;
        }
        let days = 1 + u64::try_from(self.rng.below(6)).unwrap_or(0);
        self.now += days * DAY_MS;
        self.note(format!("{days} days pass"));
        if self.rng.happens(20) {
            let (side, hours) = (self.rng.below(2), i64::try_from(self.rng.below(61)).unwrap_or(0) - 30);
            self.report.clocks += 1;
            self.clocks[side] = hours * 60 * 60 * 1000;
            self.note(format!("the clock of {side} is {hours} hours wrong"));
        }
        for side in [0, 1] {
            let waiting = self.relay.waiting(&address(side)) > 0;
            let waited = if waiting { self.waited[side] + days } else { 0 };
            self.waited[side] = waited;
            if waited > KEPT_DAYS {
                self.note(format!("what waited for {side} is dropped"));
                for bytes in self.relay.expire(&address(side)) {
                    if let Ok(envelope) = Envelope::parse(&bytes) {
                        self.ledger.lost(&envelope.id);
                    }
                }
            }
            if self.rng.happens(80) {
                self.attend(side)?;
                self.tidy(side)?;
            }
        }
        Ok(())
    }

    fn attend(&mut self, side: usize) -> Step {
        let now = self.time(side);
        let [alice, bob] = &mut self.hosts;
        let host = if side == 0 { alice } else { bob };
        let done = host.attend(&mut self.relay, now);
        self.note(format!("{side} attends"));
        self.look();
        self.opened(side, done)?;
        self.post(side, 5)
    }

    /// The page that the other side is on: the others are empty.
    fn tidy(&mut self, side: usize) -> Step {
        let (now, page) = (self.time(side), self.pages[side]);
        let done = self.host(side).tidy(page, now).map(|_| ());
        self.opened(side, done)
    }

    fn reset(&mut self, side: usize) -> Step {
        let (now, peer) = (self.time(side), address(1 - side));
        let done = self.host(side).reset(&peer, now).map(|_| ());
        self.note(format!("{side} resets"));
        self.opened(side, done)
    }
}

/// Whether nothing authenticates what differs: in a first message of V1 the registration id, of `Signal` some numbers.
fn may_differ(envelope: &Envelope, garbled: &Envelope) -> bool {
    let [one, other] = [envelope, garbled].map(|envelope| FirstMessage::parse(&envelope.body));
    let [Ok(one), Ok(other)] = [one, other] else { return false };
    envelope.kind == EnvelopeKind::First
        && (envelope.suite == EnvelopeSuite::Signal || one.registration_id() != other.registration_id())
}

mod devices;
mod finish;
