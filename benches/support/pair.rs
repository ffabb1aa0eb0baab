//! Bare session: Alice, and Bob with his prekeys, with sessions between them in the states that a bench wants.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use subrosa::prekey::{
    Bundle, Device, KemPrekey, OneTimePrekey, PrekeySecrets, SeenBaseKeys, SignedPrekey, UnverifiedBundle,
};
use subrosa::session::{Accepted, Ciphertext, FirstMessage, Session, SessionMessage};
use subrosa::suite::{Suite, Suites};

pub(crate) const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
pub(crate) const PLAINTEXT: [u8; 1024] = [0x5a; 1024];
const ID: PrekeyId = PrekeyId::new(1);

/// The braid's state in which a sender whose peer is silent computes the largest parity chunk, of 36, for every message.
pub(crate) const DEAREST: &str = "HeaderSent";
/// One in which it has no chunk to send.
pub(crate) const CHEAPEST: &str = "EkSentCt1Received";

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Alice, and Bob with his prekeys.
pub(crate) struct Pair {
    pub(crate) alice: Device,
    pub(crate) bob: Device,
    signed: SignedPrekey,
    one_time: OneTimePrekey,
    kem: KemPrekey,
    /// Bob's bundle as a server hands it out.
    pub(crate) published: Vec<u8>,
}

impl Pair {
    pub(crate) fn new(suite: Suite) -> Self {
        let rng = &mut rng(0);
        let suites = if suite == Suite::V1 { Suites::V1 } else { Suites::SIGNAL };
        let address = |name| Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
        let alice = Device::generate(address("9d0652a3-dcc3-4d11-975f-74d61598733f"), rng).with_suites(suites);
        let bob = Device::generate(address("796abedb-ca4e-4f18-8803-1fde5b921f9f"), rng).with_suites(suites);
        let signed = SignedPrekey::generate(&bob, suite, ID, NOW, rng);
        let one_time = OneTimePrekey::generate(suite, ID, rng);
        let kem = KemPrekey::last_resort(&bob, suite, ID, NOW, rng);
        let published = bob.bundle(&signed, &kem, Some(&one_time)).to_bytes();
        Self { alice, bob, signed, one_time, kem, published }
    }

    /// Bob's bundle, read and its signatures verified.
    pub(crate) fn bundle(&self) -> Bundle {
        UnverifiedBundle::parse(&self.published).unwrap().verify().unwrap()
    }

    pub(crate) fn initiate(&self, bundle: &Bundle, rng: &mut ChaCha20Rng) -> Session {
        Session::initiate(&self.alice, bundle, NOW, rng).unwrap()
    }

    /// Bob reads a first message, and decrypts what is in it.
    pub(crate) fn accept(&self, first: &[u8], rng: &mut ChaCha20Rng) -> (Session, Accepted) {
        let first = FirstMessage::parse(first).unwrap();
        let mut seen = SeenBaseKeys::default();
        let mut prekeys = self.prekeys(&mut seen);
        Session::accept(&self.bob, self.alice.address(), &first, &mut prekeys, NOW, rng).unwrap()
    }

    fn prekeys<'a>(&'a self, seen: &'a mut SeenBaseKeys) -> PrekeySecrets<'a> {
        PrekeySecrets { signed: &self.signed, kem: &self.kem, one_time: Some(&self.one_time), seen }
    }

    /// A session that Alice started, after so many messages each way.
    pub(crate) fn converse(&self, turns: usize, rng: &mut ChaCha20Rng) -> (Session, Session) {
        let mut alice = self.initiate(&self.bundle(), rng);
        let mut bob = self.accept(encrypt(&mut alice, rng).bytes(), rng).0;
        for _ in 0..turns {
            pass(&mut bob, &mut alice, rng);
            pass(&mut alice, &mut bob, rng);
        }
        (alice, bob)
    }

    /// A session in which Alice's braid is in this state and she has sent 100 messages since Bob last answered.
    pub(crate) fn one_sided(&self, state: &str, rng: &mut ChaCha20Rng) -> (Session, Session) {
        let (mut alice, mut bob) = self.converse(200, rng);
        while state_of(&alice) != state {
            pass(&mut bob, &mut alice, rng);
            pass(&mut alice, &mut bob, rng);
        }
        for _ in 0..100 {
            pass(&mut alice, &mut bob, rng);
        }
        assert_eq!(state_of(&alice), state, "it waits for Bob");
        (alice, bob)
    }

    /// The same with so many archived sessions at both ends, and Alice's last message in the oldest of them.
    pub(crate) fn archived(&self, count: usize, rng: &mut ChaCha20Rng) -> (Session, Session, Option<Ciphertext>) {
        let (mut alice, mut bob) = self.converse(10, rng);
        let mut late = None;
        for _ in 0..count {
            late.get_or_insert_with(|| encrypt(&mut alice, rng));
            alice.restart(&self.alice, &self.bundle(), NOW, rng).unwrap();
            let first = encrypt(&mut alice, rng);
            let first = FirstMessage::parse(first.bytes()).unwrap();
            let mut seen = SeenBaseKeys::default();
            bob.accept_next(&self.bob, &first, Some(&mut self.prekeys(&mut seen)), NOW, rng).unwrap();
            for _ in 0..10 {
                pass(&mut bob, &mut alice, rng);
                pass(&mut alice, &mut bob, rng);
            }
        }
        (alice, bob, late)
    }
}

/// A ping-pong through so many epochs of the post-quantum ratchet, an even number: the parties take turns in its roles,
/// so two epochs hold all that either does.
pub(crate) fn through_epochs(
    (alice, bob): (&mut Session, &mut Session),
    epochs: u64,
    rng: &mut ChaCha20Rng,
    mut message: impl FnMut(&mut Session, &mut Session, &mut ChaCha20Rng),
) {
    let start = alice.pq_epochs();
    // From where Alice has completed one.
    while alice.pq_epochs() == start {
        pass(alice, bob, rng);
        pass(bob, alice, rng);
    }
    while alice.pq_epochs() < start + 1 + epochs {
        message(alice, bob, rng);
        message(bob, alice, rng);
    }
}

/// The state of a session's braid, as `Debug` names it.
pub(crate) fn state_of(session: &Session) -> String {
    let debug = format!("{session:?}");
    let start = debug.find("state: \"").unwrap() + 8;
    debug[start..].split('"').next().unwrap().to_owned()
}

pub(crate) fn encrypt(from: &mut Session, rng: &mut ChaCha20Rng) -> Ciphertext {
    from.encrypt(&PLAINTEXT, NOW, rng).unwrap()
}

pub(crate) fn decrypt(to: &mut Session, bytes: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    to.decrypt(&SessionMessage::parse(bytes).unwrap(), NOW, rng).unwrap()
}

pub(crate) fn pass(from: &mut Session, to: &mut Session, rng: &mut ChaCha20Rng) {
    let ciphertext = encrypt(from, rng);
    decrypt(to, ciphertext.bytes(), rng);
}
