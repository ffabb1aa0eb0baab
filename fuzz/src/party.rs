//! A device with its prekeys and its session with one peer, drawn from a seed.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::LazyLock;

use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use subrosa::prekey::{
    Bundle, Device, KemPrekey, OneTimePrekey, PrekeySecrets, SeenBaseKeys, SignedPrekey, UnverifiedBundle,
};
use subrosa::session::{Ciphertext, FirstMessage, Session, SessionMessage};
use subrosa::suite::{Suite, Suites};

/// Sessions that a party starts at most: with the peer's they stay below the bound of the archive.
pub const MAX_STARTS: usize = 8;

/// The time at which everything starts.
pub const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

#[derive(Clone)]
pub struct Party {
    pub device: Device,
    pub signed: SignedPrekey,
    pub kem: KemPrekey,
    /// Those that were not used up.
    pub one_time: Vec<OneTimePrekey>,
    pub seen: SeenBaseKeys,
    pub session: Option<Session>,
    /// Bundles that were fetched from this party.
    fetched: u32,
}

/// Two parties of a suite who do not know each other yet; always the same two.
pub fn pair(suite: Suite) -> [Party; 2] {
    static PAIRS: LazyLock<[[Party; 2]; 2]> = LazyLock::new(|| {
        [(Suite::Signal, Suites::SIGNAL), (Suite::V1, Suites::V1)].map(|(suite, suites)| draw(suite, suites))
    });
    PAIRS[usize::from(suite == Suite::V1)].clone()
}

fn draw(suite: Suite, suites: Suites) -> [Party; 2] {
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    ["9d0652a3-dcc3-4d11-975f-74d61598733f", "796abedb-ca4e-4f18-8803-1fde5b921f9f"].map(|name| {
        let address = Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
        let device = Device::generate(address, &mut rng).with_suites(suites);
        let id = PrekeyId::new(1);
        Party {
            signed: SignedPrekey::generate(&device, suite, id, NOW, &mut rng),
            kem: KemPrekey::last_resort(&device, suite, id, NOW, &mut rng),
            one_time: (1..=u32::try_from(MAX_STARTS).unwrap())
                .map(|id| OneTimePrekey::generate(suite, PrekeyId::new(id), &mut rng))
                .collect(),
            seen: SeenBaseKeys::default(),
            session: None,
            fetched: 0,
            device,
        }
    })
}

impl Party {
    /// A bundle of this party, with a one-time prekey that no other bundle has, if asked for.
    pub fn bundle(&mut self, with_one_time: bool) -> Bundle {
        self.fetched += 1;
        let id = PrekeyId::new(self.fetched);
        let one_time = self.one_time.iter().find(|prekey| with_one_time && prekey.id() == id);
        let bytes = self.device.bundle(&self.signed, &self.kem, one_time).to_bytes();
        UnverifiedBundle::parse(&bytes).unwrap().verify().unwrap()
    }

    /// Starts a session, the first or another one.
    pub fn start(&mut self, bundle: &Bundle, now: Timestamp, rng: &mut ChaCha20Rng) {
        match &mut self.session {
            Some(session) => session.restart(&self.device, bundle, now, rng).unwrap(),
            None => self.session = Some(Session::initiate(&self.device, bundle, now, rng).unwrap()),
        }
    }

    /// Encrypts, where there is a current session.
    pub fn send(&mut self, plaintext: &[u8], now: Timestamp, rng: &mut ChaCha20Rng) -> Ciphertext {
        self.session.as_mut().unwrap().encrypt(plaintext, now, rng).unwrap()
    }

    /// Takes bytes for what they are said to be. A failure must have changed nothing.
    pub fn receive(
        &mut self,
        from: &Address,
        bytes: &[u8],
        first: bool,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
    ) -> Option<Vec<u8>> {
        let before = self.state();
        let plaintext = if first {
            FirstMessage::parse(bytes).ok().and_then(|first| self.accept(from, &first, now, rng))
        } else {
            let message = SessionMessage::parse(bytes).ok();
            message.and_then(|message| self.session.as_mut()?.decrypt(&message, now, rng).ok())
        };
        if plaintext.is_none() {
            assert!(self.state() == before, "a failed call changed something");
        }
        plaintext
    }

    fn accept(
        &mut self,
        from: &Address,
        first: &FirstMessage,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
    ) -> Option<Vec<u8>> {
        let needs = first.needs();
        let one_time = self.one_time.iter().find(|prekey| Some(prekey.id()) == needs.one_time);
        let mut prekeys = PrekeySecrets { signed: &self.signed, kem: &self.kem, one_time, seen: &mut self.seen };
        let accepted = match &mut self.session {
            Some(session) if session.recognizes(first) => {
                session.accept_next(&self.device, first, None, now, rng).ok()?
            }
            Some(session) => session.accept_next(&self.device, first, Some(&mut prekeys), now, rng).ok()?,
            None => {
                let (session, accepted) = Session::accept(&self.device, from, first, &mut prekeys, now, rng).ok()?;
                self.session = Some(session);
                accepted
            }
        };
        self.one_time.retain(|prekey| Some(prekey.id()) != accepted.consumed.one_time);
        Some(accepted.plaintext)
    }

    /// Everything that a message may change, as bytes.
    fn state(&self) -> (Option<Vec<u8>>, Vec<u8>) {
        (self.session.as_ref().map(|session| session.to_bytes().to_vec()), self.seen.to_bytes())
    }
}

/// A conversation in a suite: the first party's session as it was stored now and then, and what is under way to it at the end,
/// each with whether it is a first message.
pub fn stages(suite: Suite) -> (Vec<Vec<u8>>, Vec<Ciphertext>) {
    let (mut rng, [mut a, mut b]) = (ChaCha20Rng::seed_from_u64(1), pair(suite));
    let (to_a, to_b) = (b.device.address().clone(), a.device.address().clone());
    let mut stored = Vec::new();
    let mut store = |party: &Party| stored.push(party.session.as_ref().unwrap().to_bytes().to_vec());
    a.start(&b.bundle(true), NOW, &mut rng);
    store(&a);
    for round in 0..60 {
        // Now and then a message stays behind, so that keys are kept for it.
        let late = a.send(b"late", NOW, &mut rng);
        let message = a.send(b"to b", NOW, &mut rng);
        b.receive(&to_b, message.bytes(), message.is_first(), NOW, &mut rng).unwrap();
        if round % 2 == 0 {
            b.receive(&to_b, late.bytes(), late.is_first(), NOW, &mut rng).unwrap();
        }
        let answers = [b.send(b"late", NOW, &mut rng), b.send(b"to a", NOW, &mut rng)];
        for answer in &answers[round % 2..] {
            a.receive(&to_a, answer.bytes(), answer.is_first(), NOW, &mut rng).unwrap();
        }
        if round % 10 == 1 {
            store(&a);
        }
    }
    // One session archived on both sides, another one current, and messages of both under way.
    let mut under_way = vec![b.send(b"of the archived session", NOW, &mut rng)];
    b.start(&a.bundle(true), NOW, &mut rng);
    let first = b.send(b"first of another", NOW, &mut rng);
    a.receive(&to_a, first.bytes(), true, NOW, &mut rng).unwrap();
    let answer = a.send(b"answer", NOW, &mut rng);
    store(&a);
    under_way.push(b.send(b"second of another", NOW, &mut rng));
    b.receive(&to_b, answer.bytes(), answer.is_first(), NOW, &mut rng).unwrap();
    under_way.extend([b.send(b"skipped", NOW, &mut rng), b.send(b"third of another", NOW, &mut rng)]);
    (stored, under_way)
}
