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
use subrosa::session::{Ciphertext, DecryptError};
use subrosa::wire::PreKeySignalMessage;
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
}

struct World {
    alice: Party,
    bob: Party,
    network: Vec<InFlight>,
    delivered: Vec<bool>,
}

impl World {
    fn new(seed: u64, with_one_time: bool, both_start: bool) -> Self {
        let (mut alice, mut bob) = (Party::new("alice", seed), Party::new("bob", !seed));
        alice.initiate(&bob.bundle(with_one_time));
        if both_start {
            bob.initiate(&alice.bundle(with_one_time));
        }
        Self { alice, bob, network: Vec::new(), delivered: Vec::new() }
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
        self.network.push(InFlight { to_alice: !by_alice, number, message, plaintext });
        self.delivered.push(false);
    }

    fn deliver(&mut self, which: u16, bit: u16) {
        if self.network.is_empty() {
            return;
        }
        let at = usize::from(which) % self.network.len();
        let InFlight { to_alice, number, message, plaintext } = self.network.remove(at);
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
            // Late messages on the sixth-last ratchet key are out of reach: keep the network young, oldest first.
            while self.network.len() > 12 {
                self.deliver(0, 3);
            }
        }
    }
}

/// Suite Signal authenticates neither the outer version's low nibble, nor the registration id, nor unknown fields of
/// a first message. Everything that went into the handshake, and the message inside, is authenticated.
fn is_unauthenticated(original: &Ciphertext, altered: &Ciphertext) -> bool {
    if !original.is_first() {
        return false;
    }
    match (PreKeySignalMessage::parse(original.bytes()), PreKeySignalMessage::parse(altered.bytes())) {
        (Ok(original), Ok(altered)) => {
            original == PreKeySignalMessage { registration_id: original.registration_id, ..altered }
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
        seed in any::<u64>(),
        with_one_time in any::<bool>(),
        both_start in any::<bool>(),
        steps in proptest::collection::vec(any_step(), 200..300),
    ) {
        World::new(seed, with_one_time, both_start).run(&steps);
    }
}

/// Every bit of one message of each kind.
#[test]
fn no_bit_of_a_message_can_change() {
    let (mut alice, mut bob) = support::talking(7);
    let from = alice.device.address().clone();
    let message = alice.send(b"exactly this");
    let before = bob.snapshot();
    for bit in 0..message.bytes().len() * 8 {
        bob.receive(&from, &flip(&message, bit)).expect_err("an altered message was read");
        assert!(bob.snapshot() == before, "bit {bit} left a trace");
    }
    assert_eq!(bob.receive(&from, &message).unwrap(), b"exactly this");
}
