//! A party whose last writes are lost goes on from an older copy. In suite V1 the conversation heals by itself: what comes
//! after is read in both directions, and epochs of the post-quantum ratchet are completed again.

use std::collections::{BTreeSet, VecDeque};
use std::format;
use std::vec::Vec;

use rand_core::Rng;

use super::*;
use crate::suite::Suite;
use crate::support::{NOW, Party, Refusal, address, rng, round_trip, talking_in};

/// The state of the braid, as it prints itself.
fn braid(party: &Party) -> std::string::String {
    let printed = format!("{:?}", party.session().current.as_ref().unwrap().ratchet);
    printed.split("state: \"").nth(1).unwrap().split('"').next().unwrap().into()
}

/// Two parties whose messages take so many steps to arrive, each message as many as the others of its direction.
#[derive(Clone)]
struct Talk {
    parties: [Party; 2],
    under_way: [VecDeque<(usize, Ciphertext)>; 2],
    latency: usize,
    step: usize,
    refused: usize,
    /// Each before its last write.
    copies: [Party; 2],
}

const NAMES: [&str; 2] = ["alice", "bob"];

impl Talk {
    fn new(seed: u64, latency: usize) -> Self {
        let (alice, bob) = talking_in(Suite::V1, seed);
        let (parties, copies) = ([alice.clone(), bob.clone()], [alice, bob]);
        let under_way = [VecDeque::new(), VecDeque::new()];
        Self { parties, under_way, latency, step: 0, refused: 0, copies }
    }

    fn send(&mut self, from: usize) {
        self.copies[from] = self.parties[from].clone();
        let message = self.parties[from].send(b"text");
        self.under_way[from].push_back((self.step + self.latency, message));
    }

    /// Delivers what is due to a party.
    fn receive(&mut self, to: usize) {
        while self.under_way[1 - to].front().is_some_and(|(due, _)| *due <= self.step) {
            let (_, message) = self.under_way[1 - to].pop_front().unwrap();
            self.copies[to] = self.parties[to].clone();
            match self.parties[to].receive(&address(NAMES[1 - to]), &message) {
                Ok(text) => assert_eq!(text, b"text"),
                Err(_) => self.refused += 1,
            }
        }
    }

    fn lose_last_write(&mut self, party: usize) {
        let mut restored = self.copies[party].clone();
        // Its generator is another one.
        restored.rng = rng(1_000_000 + u64::try_from(self.step).unwrap());
        self.parties[party] = restored;
    }

    /// One step of a conversation in which each sends with so many in a hundred.
    fn go(&mut self, chance: u64, dice: &mut impl Rng) {
        for party in 0..2 {
            if dice.next_u64() % 100 < chance {
                self.send(party);
            }
            self.receive(party);
        }
        self.step += 1;
    }

    fn epochs(&self) -> u64 {
        self.parties[0].session().pq_epochs().min(self.parties[1].session().pq_epochs())
    }

    /// Nothing more is refused, and epochs are completed.
    fn assert_healed(&mut self, dice: &mut impl Rng, at: &str) {
        // What is at places that were used before is lost: one message here.
        (0..12).for_each(|_| self.go(80, dice));
        let (refused, epochs) = (self.refused, self.epochs());
        for _ in 0..600 {
            self.go(80, dice);
            if self.epochs() >= epochs + 3 {
                break;
            }
        }
        assert_eq!(self.refused, refused, "{at}: messages are refused");
        assert!(self.epochs() >= epochs + 3, "{at}: {:?}", self.parties.each_ref().map(braid));
    }
}

#[test]
fn a_lost_write_heals_wherever_it_was_lost() {
    let mut states = BTreeSet::new();
    for latency in [0, 2] {
        let mut going_on = (Talk::new(3, latency), rng(5 + u64::try_from(latency).unwrap()));
        for at in 0..150 {
            // Lost are a message sent, and one received.
            for (party, sends) in [(0, true), (0, false), (1, true), (1, false)] {
                let (mut talk, mut dice) = going_on.clone();
                if sends {
                    talk.send(party);
                } else {
                    talk.send(1 - party);
                    talk.step += latency;
                    talk.receive(party);
                }
                states.insert((sends, braid(&talk.parties[party])));
                talk.lose_last_write(party);
                talk.assert_healed(&mut dice, &format!("latency {latency}, step {at}, party {party}, sent {sends}"));
            }
            going_on.0.go(70, &mut going_on.1);
        }
    }
    // A message sent leaves neither KeysUnsampled nor HeaderReceived, and in EkReceivedCt1Sampled is who has got all of the
    // key before ct1 is there, which no order of messages here brings about.
    let reached = |sends| states.iter().filter(|(sent, _)| *sent == sends).count();
    assert_eq!((reached(true), reached(false)), (8, 10), "{states:?}");
}

/// Messages sent are lost from a copy, as many as there were since the last turn of the ratchet, or since the other side
/// has last answered.
#[test]
fn many_lost_messages_heal() {
    let mut going_on = (Talk::new(4, 0), rng(9));
    for at in 0..60 {
        for lost in [2, 3, 5, 40] {
            for heard in [true, false] {
                let (mut talk, mut dice) = going_on.clone();
                let mut copy = talk.parties[0].clone();
                copy.rng = rng(77);
                for _ in 0..lost {
                    talk.send(0);
                    talk.receive(1);
                    if heard {
                        // Under way, and read by the copy.
                        talk.send(1);
                    }
                }
                talk.parties[0] = copy;
                (0..60).for_each(|_| talk.send(0));
                talk.receive(1);
                talk.assert_healed(&mut dice, &format!("step {at}, {lost} lost, heard {heard}"));
            }
        }
        going_on.0.go(70, &mut going_on.1);
    }
}

/// Both lose writes again and again, while messages are lost as well.
#[test]
fn writes_lost_again_and_again_heal() {
    for seed in 0..60 {
        let mut dice = rng(seed);
        let mut talk = Talk::new(seed, usize::try_from(seed % 4).unwrap());
        for _ in 0..40 {
            for _ in 0..dice.next_u64() % 25 {
                talk.go(60, &mut dice);
                let under_way = &mut talk.under_way[usize::try_from(dice.next_u64() % 2).unwrap()];
                if dice.next_u64().is_multiple_of(7) {
                    under_way.pop_back();
                }
            }
            talk.lose_last_write(usize::try_from(dice.next_u64() % 2).unwrap());
        }
        talk.assert_healed(&mut dice, &format!("seed {seed}"));
    }
}

/// Whoever cannot authenticate a message brings no exchange to begin anew.
#[test]
fn a_forged_message_begins_nothing_anew() {
    let (mut alice, mut bob) = talking_in(Suite::V1, 6);
    for _ in 0..60 {
        round_trip(&mut alice, &mut bob);
        let message = alice.send(b"genuine");
        for at in 0..message.bytes().len() {
            let mut forged = message.bytes().to_vec();
            forged[at] ^= 1;
            let before = bob.snapshot();
            assert!(bob.receive(&address("alice"), &Ciphertext::Message(forged)).is_err());
            assert!(bob.snapshot() == before);
        }
        bob.receive(&address("alice"), &message).unwrap();
    }
    assert!(bob.session().pq_epochs() > 0);
}

/// Suite `Signal` is as Signal's library: what does not check is refused.
#[test]
fn in_suite_signal_nothing_is_mended() {
    let (mut alice, mut bob) = (Party::of_suite(Suite::Signal, "alice", 7), Party::of_suite(Suite::Signal, "bob", 8));
    alice.initiate(&bob.bundle(true));
    let mut restored = alice.clone();
    restored.rng = rng(79);
    for _ in 0..2 {
        let first = alice.send(b"chunks of the first key");
        bob.receive(&address("alice"), &first).unwrap();
    }
    let outcomes: Vec<_> = (0..6)
        .map(|_| {
            let message = restored.send(b"chunks of the second key");
            bob.receive_at(&address("alice"), &message, NOW)
        })
        .collect();
    let undecryptable = Err(Refusal::Accept(AcceptError::Message(DecryptError::Undecryptable)));
    assert_eq!(outcomes[2..], std::vec![undecryptable; 4]);
}
