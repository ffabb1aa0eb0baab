//! Two parties do what the bytes say: send, deliver in any order, lose, repeat, flip bits, store and load, start
//! anew, also both at once.
//!
//! Held at every step: an authentic message is read exactly once, an altered one never, a failed call changes
//! nothing, what is stored can be loaded and stays small. At the end both can still write to each other.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use subrosa::ident::Timestamp;
use subrosa::session::Session;
use subrosa::suite::Suite;
use subrosa::wire::{PreKeySignalMessage, SignalMessage, SpqrMessage, V1FirstMessage, V1Message};

use super::party::{MAX_STARTS, NOW, Party, pair};

/// Messages in one run: fewer than the keys that a chain keeps, so that none is too old.
const MAX_SENT: usize = 250;

/// Receiving chains that a session keeps: a message of an older one may be refused.
const CHAINS: usize = 5;

/// One message to a party.
struct Sent {
    bytes: Vec<u8>,
    first: bool,
    plaintext: Vec<u8>,
    ratchet_key: [u8; 33],
    /// Epoch of the post-quantum ratchet.
    epoch: u64,
    opened: bool,
    lost: bool,
}

struct End {
    party: Party,
    /// Everything that was ever sent to it.
    inbox: Vec<Sent>,
    /// Ratchet keys of what it has read, by first appearance.
    ratchet_keys: Vec<[u8; 33]>,
    /// Most epochs that any of its sessions was seen to have completed.
    epochs: u64,
    starts: usize,
}

struct World {
    ends: [End; 2],
    now: Timestamp,
    rng: ChaCha20Rng,
    sent: usize,
    suite: Suite,
}

/// The first byte tells the suite. Gives whether anything was read.
pub fn interaction(data: &[u8]) -> bool {
    let Some((suite, data)) = data.split_first() else { return false };
    let suite = if suite & 1 == 0 { Suite::Signal } else { Suite::V1 };
    let ends =
        pair(suite).map(|party| End { party, inbox: Vec::new(), ratchet_keys: Vec::new(), epochs: 0, starts: 0 });
    let mut world = World { ends, now: NOW, rng: ChaCha20Rng::seed_from_u64(7), sent: 0, suite };
    let mut bytes = data.iter().take(2048).copied();
    while let (Some(operation), Some(argument)) = (bytes.next(), bytes.next()) {
        world.now = Timestamp::new(world.now.get() + 1);
        let (me, number) = (usize::from(operation & 1), usize::from(argument));
        match (operation >> 1) % 12 {
            0 | 1 => world.send(me, number),
            2 | 3 => world.deliver_next(me),
            4 => world.pick(me, number, World::deliver),
            5 => world.pick(me, number, |world, me, at| world.ends[me].inbox[at].lost = true),
            6 => {
                let bit = usize::from(u16::from_le_bytes([bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)]));
                world.pick(me, number, |world, me, at| world.flip(me, at, bit));
            }
            7 => world.reload(me),
            8 => world.start(me, number.is_multiple_of(2)),
            9 => {
                for turn in 0..number % 32 {
                    world.send(me ^ (turn % 2), turn);
                    world.deliver_next(me ^ (turn % 2) ^ 1);
                }
            }
            10 if number.is_multiple_of(8) => {
                if let Some(session) = &mut world.ends[me].party.session {
                    session.archive();
                }
            }
            10 => world.pick(me, number, World::deliver_as_the_other_kind),
            _ => (0..number % 64).for_each(|_| world.send(me, 1)),
        }
    }
    world.finish();
    world.ends.iter().flat_map(|end| &end.inbox).any(|sent| sent.opened)
}

impl World {
    fn start(&mut self, me: usize, with_one_time: bool) {
        if self.ends[me].starts < MAX_STARTS {
            self.ends[me].starts += 1;
            let bundle = self.ends[me ^ 1].party.bundle(with_one_time);
            self.ends[me].party.start(&bundle, self.now, &mut self.rng);
        }
    }

    fn has_current(&self, me: usize) -> bool {
        self.ends[me].party.session.as_ref().is_some_and(Session::has_current)
    }

    fn send(&mut self, me: usize, length: usize) {
        if !self.has_current(me) {
            self.start(me, length.is_multiple_of(2));
        }
        if !self.has_current(me) || self.sent >= MAX_SENT {
            return;
        }
        let plaintext = [&self.sent.to_le_bytes()[..], &vec![0x5a; length]].concat();
        self.sent += 1;
        let ciphertext = self.ends[me].party.send(&plaintext, self.now, &mut self.rng);
        let (bytes, first) = (ciphertext.bytes().to_vec(), ciphertext.is_first());
        let (ratchet_key, epoch) = place(self.suite, &bytes, first);
        self.ends[me ^ 1].inbox.push(Sent { bytes, first, plaintext, ratchet_key, epoch, opened: false, lost: false });
    }

    fn pick(&mut self, me: usize, number: usize, action: impl FnOnce(&mut Self, usize, usize)) {
        if let Some(at) = number.checked_rem(self.ends[me].inbox.len()) {
            action(self, me, at);
        }
    }

    fn deliver_next(&mut self, me: usize) {
        let next = self.ends[me].inbox.iter().position(|sent| !sent.opened && !sent.lost);
        if let Some(at) = next {
            self.deliver(me, at);
            // A late one that was refused is not tried again.
            self.ends[me].inbox[at].lost = true;
        }
    }

    fn receive(&mut self, me: usize, bytes: &[u8], first: bool) -> Option<Vec<u8>> {
        let from = self.ends[me ^ 1].party.device.address().clone();
        self.ends[me].party.receive(&from, bytes, first, self.now, &mut self.rng)
    }

    fn deliver(&mut self, me: usize, at: usize) {
        let Sent { ref bytes, first, opened, .. } = self.ends[me].inbox[at];
        match self.receive(me, &bytes.clone(), first) {
            Some(plaintext) => {
                assert!(!opened, "read twice");
                assert_eq!(plaintext, self.ends[me].inbox[at].plaintext);
                self.note_opened(me, at);
            }
            None => assert!(opened || self.may_be_late(me, at), "an authentic message was not read"),
        }
    }

    fn note_opened(&mut self, me: usize, at: usize) {
        let end = &mut self.ends[me];
        let sent = &mut end.inbox[at];
        sent.opened = true;
        if !end.ratchet_keys.contains(&sent.ratchet_key) {
            end.ratchet_keys.push(sent.ratchet_key);
        }
        end.epochs = end.epochs.max(end.party.session.as_ref().map_or(0, Session::pq_epochs));
    }

    /// Whether so much came after a message that its key may be gone.
    fn may_be_late(&self, me: usize, at: usize) -> bool {
        let (end, sent) = (&self.ends[me], &self.ends[me].inbox[at]);
        let newer = end.ratchet_keys.iter().rev().take_while(|key| **key != sent.ratchet_key).count();
        let is_known = newer < end.ratchet_keys.len();
        // A message tagged e has a key of epoch e − 1; the one before the newest is kept.
        is_known && (newer >= CHAINS || end.epochs > sent.epoch)
    }

    fn flip(&mut self, me: usize, at: usize, bit: usize) {
        let Sent { ref bytes, first, opened, .. } = self.ends[me].inbox[at];
        let (original, mut altered) = (bytes.clone(), bytes.clone());
        let bit = bit % (8 * altered.len());
        altered[bit / 8] ^= 1 << (bit % 8);
        if let Some(plaintext) = self.receive(me, &altered, first) {
            // Around the message inside, a first message of suite Signal holds what no MAC covers; what decides is
            // the same.
            assert!(first && self.suite == Suite::Signal, "an altered message was read");
            let [original, altered] = [original, altered].map(|bytes| PreKeySignalMessage::parse(&bytes).unwrap());
            assert_eq!(altered.message, original.message);
            assert_eq!((altered.base_key, altered.identity_key), (original.base_key, original.identity_key));
            assert!(!opened, "read twice");
            assert_eq!(plaintext, self.ends[me].inbox[at].plaintext);
            self.note_opened(me, at);
        }
    }

    fn deliver_as_the_other_kind(&mut self, me: usize, at: usize) {
        let Sent { ref bytes, first, .. } = self.ends[me].inbox[at];
        assert_eq!(self.receive(me, &bytes.clone(), !first), None);
    }

    fn reload(&mut self, me: usize) {
        let Some(session) = &mut self.ends[me].party.session else { return };
        let bytes = session.to_bytes();
        let states = usize::from(session.has_current()) + session.archived();
        // A seed in each ratchet and a mark for what was passed over; all else has a fixed size.
        let bound = 8 * 1024 * (1 + states) + 100 * self.sent;
        assert!(bytes.len() <= bound, "{} bytes for {states} sessions and {} messages", bytes.len(), self.sent);
        *session = Session::from_bytes(&bytes).unwrap();
        assert_eq!(*session.to_bytes(), *bytes);
    }

    /// Delivers what is under way; then each end writes and is read.
    fn finish(&mut self) {
        for me in [0, 1] {
            for at in 0..self.ends[me].inbox.len() {
                if !self.ends[me].inbox[at].lost {
                    self.deliver(me, at);
                }
            }
            self.reload(me);
        }
        self.sent = 0;
        for me in [0, 1, 0, 1] {
            if self.ends[me].starts < MAX_STARTS || self.has_current(me) {
                self.send(me, 3);
                let at = self.ends[me ^ 1].inbox.len() - 1;
                self.deliver(me ^ 1, at);
            }
        }
    }
}

/// A message's ratchet key and epoch.
fn place(suite: Suite, bytes: &[u8], first: bool) -> ([u8; 33], u64) {
    let (ratchet_key, pq) = if suite == Suite::V1 {
        let inner =
            if first { V1FirstMessage::parse(bytes).map(|first| first.message) } else { V1Message::parse(bytes) };
        let inner = inner.unwrap();
        (inner.ratchet_key, inner.pq)
    } else {
        let inner = if first {
            PreKeySignalMessage::parse(bytes).map(|first| first.message)
        } else {
            SignalMessage::parse(bytes)
        };
        let inner = inner.unwrap();
        (inner.ratchet_key, SpqrMessage::parse(&inner.pq_ratchet).unwrap())
    };
    (ratchet_key.to_bytes(), pq.epoch)
}
