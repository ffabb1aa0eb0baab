//! Two parties in memory, as a host would hold them.

#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests stop where something is wrong"
)]

use std::collections::BTreeMap;
use std::vec::Vec;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use subrosa::prekey::{Bundle, Device, KemPrekey, OneTimePrekey, PrekeyIds, PrekeySecrets, SeenBaseKeys, SignedPrekey};
use subrosa::session::{AcceptError, Accepted, Ciphertext, DecryptError, FirstMessage, Session, SessionMessage};
use subrosa::suite::{Suite, Suites};

pub const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
pub const DAY: u64 = 24 * 60 * 60 * 1000;

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn address(name: &str) -> Address {
    Address::new(UserId::new(name).unwrap(), DeviceId::new(1))
}

/// What the host of one device stores.
#[derive(Clone)]
pub struct Party {
    pub device: Device,
    pub signed: SignedPrekey,
    pub kem: KemPrekey,
    pub one_time: BTreeMap<PrekeyId, OneTimePrekey>,
    pub ids: PrekeyIds,
    pub seen: SeenBaseKeys,
    pub session: Option<Session>,
    pub rng: ChaCha20Rng,
}

/// Why a delivery was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Wire(subrosa::wire::WireError),
    Accept(AcceptError),
    Decrypt(DecryptError),
}

impl Party {
    /// A device that speaks suite Signal only.
    pub fn new(name: &str, seed: u64) -> Self {
        Self::of_suite(Suite::Signal, name, seed)
    }

    /// A device that speaks one suite.
    pub fn of_suite(suite: Suite, name: &str, seed: u64) -> Self {
        let suites = if suite == Suite::V1 { Suites::V1 } else { Suites::SIGNAL };
        let mut rng = rng(seed);
        let device = Device::generate(address(name), &mut rng).with_suites(suites);
        let mut ids = PrekeyIds::random(&mut rng);
        let signed = SignedPrekey::generate(&device, suite, ids.take().unwrap(), NOW, &mut rng);
        let kem = KemPrekey::last_resort(&device, suite, ids.take().unwrap(), NOW, &mut rng);
        let (one_time, seen) = (BTreeMap::new(), SeenBaseKeys::default());
        Self { device, signed, kem, one_time, ids, seen, session: None, rng }
    }

    /// Publishes a bundle, with a fresh one-time prekey if asked.
    pub fn bundle(&mut self, with_one_time: bool) -> Bundle {
        let one_time = with_one_time.then(|| {
            let prekey = OneTimePrekey::generate(self.signed.suite(), self.ids.take().unwrap(), &mut self.rng);
            self.one_time.insert(prekey.id(), prekey.clone());
            prekey
        });
        self.device.bundle(&self.signed, &self.kem, one_time.as_ref()).verify().unwrap()
    }

    /// Starts a session, or another one.
    pub fn initiate(&mut self, bundle: &Bundle) {
        match &mut self.session {
            Some(session) => session.restart(&self.device, bundle, NOW, &mut self.rng).unwrap(),
            None => self.session = Some(Session::initiate(&self.device, bundle, NOW, &mut self.rng).unwrap()),
        }
    }

    pub fn send(&mut self, plaintext: &[u8]) -> Ciphertext {
        self.session.as_mut().unwrap().encrypt(plaintext, NOW, &mut self.rng).unwrap()
    }

    pub fn session(&self) -> &Session {
        self.session.as_ref().unwrap()
    }

    /// Receives as a host does: prekeys by the ids that the message names, deleted once they are used up.
    pub fn receive(&mut self, from: &Address, ciphertext: &Ciphertext) -> Result<Vec<u8>, Refusal> {
        self.receive_at(from, ciphertext, NOW)
    }

    pub fn receive_at(&mut self, from: &Address, message: &Ciphertext, now: Timestamp) -> Result<Vec<u8>, Refusal> {
        match message {
            Ciphertext::Message(bytes) => {
                let message = SessionMessage::parse(bytes).map_err(Refusal::Wire)?;
                let session = self.session.as_mut().ok_or(Refusal::Decrypt(DecryptError::NoSession))?;
                session.decrypt(&message, now, &mut self.rng).map_err(Refusal::Decrypt)
            }
            Ciphertext::First(bytes) => {
                let first = FirstMessage::parse(bytes).map_err(Refusal::Wire)?;
                self.accept(from, &first, now).map_err(Refusal::Accept)
            }
        }
    }

    fn accept(&mut self, from: &Address, first: &FirstMessage, now: Timestamp) -> Result<Vec<u8>, AcceptError> {
        let one_time = first.needs().one_time.and_then(|id| self.one_time.get(&id));
        let mut prekeys = PrekeySecrets { signed: &self.signed, kem: &self.kem, one_time, seen: &mut self.seen };
        let Accepted { plaintext, consumed, .. } = match &mut self.session {
            Some(session) => session.accept_next(&self.device, first, Some(&mut prekeys), now, &mut self.rng)?,
            None => {
                let accepted = Session::accept(&self.device, from, first, &mut prekeys, now, &mut self.rng)?;
                self.session = Some(accepted.0);
                accepted.1
            }
        };
        if let Some(id) = consumed.one_time {
            self.one_time.remove(&id);
        }
        Ok(plaintext)
    }

    /// Everything stored, to compare before and after.
    pub fn snapshot(&self) -> (Option<Vec<u8>>, usize, SeenBaseKeys) {
        (self.session.as_ref().map(|session| session.to_bytes().to_vec()), self.one_time.len(), self.seen.clone())
    }

    /// Through storage and back.
    pub fn reload(&mut self) {
        self.session = self.session.as_ref().map(|session| Session::from_bytes(&session.to_bytes()).unwrap());
    }
}

/// Alice and Bob, with a session between them that both have used.
pub fn talking(seed: u64) -> (Party, Party) {
    talking_in(Suite::Signal, seed)
}

/// The same in a suite.
pub fn talking_in(suite: Suite, seed: u64) -> (Party, Party) {
    let (mut alice, mut bob) = (Party::of_suite(suite, "alice", seed), Party::of_suite(suite, "bob", seed ^ 0x5555));
    alice.initiate(&bob.bundle(true));
    let first = alice.send(b"first");
    bob.receive(alice.device.address(), &first).unwrap();
    let answer = bob.send(b"answer");
    alice.receive(bob.device.address(), &answer).unwrap();
    (alice, bob)
}

/// One message each way, which turns both ratchets.
pub fn round_trip(alice: &mut Party, bob: &mut Party) {
    let message = alice.send(b"ping");
    assert_eq!(bob.receive(&alice.device.address().clone(), &message).unwrap(), b"ping");
    let message = bob.send(b"pong");
    assert_eq!(alice.receive(&bob.device.address().clone(), &message).unwrap(), b"pong");
}

pub fn flip(ciphertext: &Ciphertext, bit: usize) -> Ciphertext {
    let mut bytes = ciphertext.bytes().to_vec();
    let bit = bit % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    if ciphertext.is_first() { Ciphertext::First(bytes) } else { Ciphertext::Message(bytes) }
}

/// Runs functions of a suite as tests in each.
#[allow(unused_macros, reason = "each test uses what it needs of this")]
macro_rules! in_both_suites {
    ($($name:ident),* $(,)?) => {
        mod suite_signal {
            $(#[test] fn $name() { super::$name(super::Suite::Signal); })*
        }
        mod suite_v1 {
            $(#[test] fn $name() { super::$name(super::Suite::V1); })*
        }
    };
}
#[allow(unused_imports, reason = "each test uses what it needs of this")]
pub(crate) use in_both_suites;
