//! Whatever the network does within the limits, what arrives is read once, and what was altered is refused and leaves
//! no trace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests stop where something is wrong"
)]

mod support;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use subrosa::crypto::PublicKey;
use subrosa::session::{Ciphertext, DecryptError};
use subrosa::suite::Suite;
use subrosa::wire::{PreKeySignalMessage, SignalMessage, V1FirstMessage, V1Message};
use support::{Party, Refusal, flip};

/// What happens next. Numbers choose among what is there.
#[derive(Debug, Clone, Copy)]
enum Step {
    Send { by_alice: bool, len: u16 },
    Deliver { which: u16, bit: u16 },
    Lose { which: u16 },
    Duplicate { which: u16 },
    Reload { alice: bool },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (any::<bool>(), 0..300u16).prop_map(|(by_alice, len)| Step::Send { by_alice, len }),
        6 => (any::<u16>(), any::<u16>()).prop_map(|(which, bit)| Step::Deliver { which, bit }),
        1 => any::<u16>().prop_map(|which| Step::Lose { which }),
        1 => any::<u16>().prop_map(|which| Step::Duplicate { which }),
        1 => any::<bool>().prop_map(|alice| Step::Reload { alice }),
    ]
}

#[derive(Clone)]
struct InFlight {
    to_alice: bool,
    number: usize,
    message: Ciphertext,
    plaintext: Vec<u8>,
    /// How many ratchet keys its sender had used when it was sent.
    turn: usize,
}

struct World {
    alice: Party,
    bob: Party,
    network: Vec<InFlight>,
    delivered: Vec<bool>,
    /// The ratchet keys that each side has sent with, in order: Bob's, then Alice's.
    turns: [Vec<PublicKey>; 2],
}

impl World {
    fn new(suite: Suite, seed: u64, with_one_time: bool, both_start: bool) -> Self {
        let (mut alice, mut bob) = (Party::of_suite(suite, "alice", seed), Party::of_suite(suite, "bob", !seed));
        alice.initiate(&bob.bundle(with_one_time));
        if both_start {
            bob.initiate(&alice.bundle(with_one_time));
        }
        Self { alice, bob, network: Vec::new(), delivered: Vec::new(), turns: Default::default() }
    }

    fn party(&mut self, alice: bool) -> &mut Party {
        if alice { &mut self.alice } else { &mut self.bob }
    }

    fn send(&mut self, by_alice: bool, len: u16) {
        let number = self.delivered.len();
        let party = self.party(by_alice);
        if party.session.is_none() {
            return; // Bob has heard nothing yet.
        }
        let mut plaintext = format!("message {number} ").into_bytes();
        plaintext.resize(plaintext.len() + usize::from(len), b'.');
        let message = party.send(&plaintext);
        let turns = &mut self.turns[usize::from(by_alice)];
        let key = ratchet_key(&message);
        if turns.last() != Some(&key) {
            turns.push(key);
        }
        let turn = turns.len();
        self.network.push(InFlight { to_alice: !by_alice, number, message, plaintext, turn });
        self.delivered.push(false);
        // Five receiving chains are kept: what is older must have arrived or be lost.
        while let Some(at) = self.network.iter().position(|old| old.to_alice != by_alice && old.turn + 4 <= turn) {
            self.deliver(u16::try_from(at).unwrap(), 5);
        }
    }

    fn deliver(&mut self, which: u16, bit: u16) {
        if self.network.is_empty() {
            return;
        }
        let at = usize::from(which) % self.network.len();
        let InFlight { to_alice, number, message, plaintext, turn: _ } = self.network.remove(at);
        let duplicate = std::mem::replace(&mut self.delivered[number], true);
        let from = if to_alice { self.bob.device.address() } else { self.alice.device.address() }.clone();
        let party = self.party(to_alice);

        let before = party.snapshot();
        let altered = flip(&message, usize::from(bit) * 7);
        if !is_unauthenticated(&message, &altered) {
            party.receive(&from, &altered).expect_err("an altered message was read");
            assert!(party.snapshot() == before, "an altered message left a trace");
        }

        let result = party.receive(&from, &message);
        if duplicate {
            assert!(
                matches!(
                    result,
                    Err(Refusal::Decrypt(DecryptError::Duplicate | DecryptError::TooOld | DecryptError::Undecryptable))
                        | Err(Refusal::Accept(_))
                ),
                "a duplicate was read: {result:?}"
            );
            assert!(party.snapshot() == before, "a duplicate left a trace");
        } else {
            assert_eq!(result, Ok(plaintext), "message {number} was not read");
        }
    }

    fn run(mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Send { by_alice, len } => self.send(by_alice, len),
                Step::Deliver { which, bit } => self.deliver(which, bit),
                Step::Lose { which } => {
                    if !self.network.is_empty() {
                        let at = usize::from(which) % self.network.len();
                        self.network.remove(at);
                    }
                }
                Step::Duplicate { which } => {
                    if !self.network.is_empty() {
                        let at = usize::from(which) % self.network.len();
                        let copy = self.network[at].clone();
                        self.network.push(copy);
                    }
                }
                Step::Reload { alice } => self.party(alice).reload(),
            }
            while self.network.len() > 24 {
                self.deliver(0, 3);
            }
        }
    }
}

fn ratchet_key(message: &Ciphertext) -> PublicKey {
    let bytes = message.bytes();
    match message {
        Ciphertext::First(_) => PreKeySignalMessage::parse(bytes)
            .map(|first| first.message.ratchet_key)
            .unwrap_or_else(|_| V1FirstMessage::parse(bytes).unwrap().message.ratchet_key),
        Ciphertext::Message(_) => SignalMessage::parse(bytes)
            .map(|message| message.ratchet_key)
            .unwrap_or_else(|_| V1Message::parse(bytes).unwrap().ratchet_key),
    }
}

/// What is not authenticated in the message that starts a session: the registration id, in either suite, and in suite
/// Signal the outer version's low nibble and unknown fields. Everything that went into the handshake, and the message
/// inside, is authenticated.
fn is_unauthenticated(original: &Ciphertext, altered: &Ciphertext) -> bool {
    if !original.is_first() {
        return false;
    }
    let (original, altered) = (original.bytes(), altered.bytes());
    match (PreKeySignalMessage::parse(original), PreKeySignalMessage::parse(altered)) {
        (Ok(original), Ok(altered)) => {
            return original == PreKeySignalMessage { registration_id: original.registration_id, ..altered };
        }
        (Ok(_), Err(_)) => return false,
        _ => {}
    }
    match (V1FirstMessage::parse(original), V1FirstMessage::parse(altered)) {
        (Ok(original), Ok(altered)) => {
            original == V1FirstMessage { registration_id: original.registration_id, ..altered }
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        max_shrink_iters: 200,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/schedule.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_delivery_is_read_once_and_every_alteration_refused(
        suite in prop_oneof![Just(Suite::Signal), Just(Suite::V1)],
        seed in any::<u64>(),
        with_one_time in any::<bool>(),
        both_start in any::<bool>(),
        steps in proptest::collection::vec(any_step(), 200..300),
    ) {
        World::new(suite, seed, with_one_time, both_start).run(&steps);
    }
}

/// Every bit of one message of each kind.
#[test]
fn no_bit_of_a_message_can_change() {
    for suite in [Suite::Signal, Suite::V1] {
        let (mut alice, mut bob) = support::talking_in(suite, 7);
        let from = alice.device.address().clone();
        let message = alice.send(b"exactly this");
        let before = bob.snapshot();
        for bit in 0..message.bytes().len() * 8 {
            bob.receive(&from, &flip(&message, bit)).expect_err("an altered message was read");
            assert!(bob.snapshot() == before, "bit {bit} left a trace");
        }
        assert_eq!(bob.receive(&from, &message).unwrap(), b"exactly this");
    }
}
