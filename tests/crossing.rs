//! Two devices that start sessions with each other at the same time, or that lose what the other has: in suite V1 both come
//! to send in the same session, and nothing that can be read is refused on the way.

#![allow(clippy::disallowed_methods, reason = "a test reads its environment")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop where something is wrong")]

mod support;

use std::collections::VecDeque;

use rand_chacha::rand_core::Rng;
use subrosa::prekey::Bundle;
use subrosa::session::Ciphertext;
use subrosa::suite::Suite;
use support::{Party, address, rng};

const NAMES: [&str; 2] = ["alice", "bob"];

/// The session that a message says to be of.
fn tag(message: &Ciphertext) -> Vec<u8> {
    let bytes = message.bytes();
    let at = bytes.windows(4).position(|four| four[0] == 0x0a && four[2] == 0x0a && four[3] == 8).unwrap();
    bytes[at + 4..at + 12].to_vec()
}

/// Two parties, and what is under way between them.
struct Pair {
    parties: [Party; 2],
    /// (step at which it arrives, message), of what each has sent.
    under_way: [VecDeque<(usize, Ciphertext)>; 2],
    latency: [usize; 2],
    step: usize,
    /// What each has sent with last.
    tags: [Vec<u8>; 2],
    flips: usize,
    refused: usize,
}

impl Pair {
    fn new(seed: u64, latency: [usize; 2]) -> Self {
        let party = |at: usize| Party::of_suite(Suite::V1, NAMES[at], 2 * seed + at as u64);
        Self {
            parties: [party(0), party(1)],
            under_way: [VecDeque::new(), VecDeque::new()],
            latency,
            step: 0,
            tags: [vec![], vec![]],
            flips: 0,
            refused: 0,
        }
    }

    /// A bundle of the other party.
    fn bundle_for(&mut self, party: usize) -> Bundle {
        self.parties[1 - party].bundle(true)
    }

    /// A bundle as of the other party, with prekeys that this does not have.
    fn wrong_bundle_for(&mut self, party: usize) -> Bundle {
        let mut other = self.parties[1 - party].clone();
        let mut stranger = Party::of_suite(Suite::V1, NAMES[1 - party], 999);
        stranger.device = other.device.clone();
        other.signed = subrosa::prekey::SignedPrekey::generate(
            &other.device,
            Suite::V1,
            other.signed.id(),
            support::NOW,
            &mut stranger.rng,
        );
        other.bundle(false)
    }

    fn start(&mut self, party: usize) {
        let bundle = self.bundle_for(party);
        self.parties[party].initiate(&bundle);
    }

    fn send(&mut self, party: usize) {
        if !self.parties[party].session.as_ref().is_some_and(|session| session.has_current()) {
            return;
        }
        let message = self.parties[party].send(&[7]);
        let tag = tag(&message);
        self.flips += usize::from(tag != self.tags[party]);
        self.tags[party] = tag;
        self.under_way[party].push_back((self.step + self.latency[party], message));
    }

    fn receive(&mut self, party: usize) {
        while self.under_way[1 - party].front().is_some_and(|(due, _)| *due <= self.step) {
            let (_, message) = self.under_way[1 - party].pop_front().unwrap();
            self.refused += usize::from(self.parties[party].receive(&address(NAMES[1 - party]), &message).is_err());
        }
    }

    /// One step in which each sends with so many in a hundred.
    fn go(&mut self, chance: u64, dice: &mut impl Rng) {
        for party in 0..2 {
            if dice.next_u64() % 100 < chance {
                self.send(party);
            }
        }
        for party in 0..2 {
            self.receive(party);
        }
        self.step += 1;
    }

    fn go_on(&mut self, steps: usize, chance: u64, dice: &mut impl Rng) {
        (0..steps).for_each(|_| self.go(chance, dice));
    }

    /// For a hundred steps both send in one session, everything is read, and the post-quantum ratchet goes on.
    fn assert_settled(&mut self, dice: &mut impl Rng, at: &str) {
        // What each has last sent may be old where one writes seldom.
        (0..2).for_each(|party| self.send(party));
        let epochs = |pair: &Self| pair.parties.each_ref().map(|party| party.session().pq_epochs());
        let (flips, refused, before) = (self.flips, self.refused, epochs(self));
        for _ in 0..100 {
            self.go(100, dice);
            assert_eq!(self.tags[0], self.tags[1], "{at}: two sessions");
        }
        assert_eq!((self.flips, self.refused), (flips, refused), "{at}: flips, refused");
        self.go_on(200, 100, dice);
        assert!(epochs(self).iter().zip(before).all(|(now, before)| *now > before), "{at}: no epochs");
    }
}

#[test]
fn simultaneous_starts_settle_at_every_latency() {
    for seed in 0..8 {
        for there in 0..6 {
            for back in 0..6 {
                let at = format!("seed {seed}, latency {there} and {back}");
                let (mut pair, mut dice) = (Pair::new(seed, [there, back]), rng(seed));
                (0..2).for_each(|party| pair.start(party));
                pair.go_on(2 * (there + back) + 4, 100, &mut dice);
                assert_eq!(pair.refused, 0, "{at}");
                assert!(pair.flips <= 6, "{at}: {} flips", pair.flips);
                pair.assert_settled(&mut dice, &at);
                let lowest = pair.tags[0].clone();
                assert!(pair.parties.iter().all(|party| party.session().archived() == 1), "{at}");
                // The lower one of the two.
                let mut again = Pair::new(seed, [there, back]);
                (0..2).for_each(|party| again.start(party));
                (0..2).for_each(|party| again.send(party));
                assert_eq!(lowest, *again.tags.iter().min().unwrap(), "{at}");
            }
        }
    }
}

#[test]
fn simultaneous_starts_settle_in_any_traffic() {
    for chance in [90, 70, 50, 20] {
        for latency in 0..6 {
            for seed in 0..20 {
                let at = format!("{chance} in a hundred, latency {latency}, seed {seed}");
                let (mut pair, mut dice) = (Pair::new(seed, [latency; 2]), rng(seed * 7 + chance));
                (0..2).for_each(|party| pair.start(party));
                pair.go_on(150, chance, &mut dice);
                assert_eq!(pair.refused, 0, "{at}");
                assert!(pair.flips <= 6, "{at}: {} flips", pair.flips);
                pair.assert_settled(&mut dice, &at);
            }
        }
    }
}

/// Who has lost everything starts anew; who has not goes there at once, whichever tag is lower, and late messages of the
/// session that is lost do not bring it back.
#[test]
fn a_session_that_was_lost_is_replaced() {
    for seed in 0..16 {
        let (mut pair, mut dice) = (Pair::new(seed, [0; 2]), rng(seed));
        pair.start(0);
        pair.go_on(5, 100, &mut dice);
        let late: Vec<_> = (0..5).map(|_| pair.parties[1].send(b"late")).collect();
        pair.parties[1].session = None;
        pair.start(1);
        pair.send(1);
        pair.receive(0);
        for message in &late {
            assert_eq!(pair.parties[0].receive(&address("bob"), message).unwrap(), b"late");
            pair.send(0);
            pair.receive(1);
        }
        assert_eq!(pair.refused, 0, "seed {seed}");
        pair.assert_settled(&mut dice, &format!("seed {seed}"));
    }
}

/// One that both have is replaced by the one of them who starts anew, however much is under way.
#[test]
fn a_session_that_is_replaced_stays_so() {
    for seed in 0..8 {
        for latency in 0..6 {
            for party in 0..2 {
                let at = format!("seed {seed}, latency {latency}, party {party}");
                let (mut pair, mut dice) = (Pair::new(seed, [latency; 2]), rng(seed));
                pair.start(0);
                pair.go_on(20, 100, &mut dice);
                let before = pair.tags[0].clone();
                pair.start(party);
                pair.go_on(4 * latency + 4, 100, &mut dice);
                assert_eq!(pair.refused, 0, "{at}");
                pair.assert_settled(&mut dice, &at);
                assert_ne!(pair.tags[0], before, "{at}");
            }
        }
    }
}

/// Both start anew at the same time, and again.
#[test]
fn sessions_that_cross_again_and_again_settle() {
    for seed in 0..12 {
        for latency in 0..6 {
            let at = format!("seed {seed}, latency {latency}");
            let (mut pair, mut dice) = (Pair::new(seed, [latency; 2]), rng(seed));
            for _ in 0..3 {
                (0..2).for_each(|party| pair.start(party));
                pair.go_on(usize::try_from(dice.next_u64() % 12).unwrap(), 80, &mut dice);
            }
            pair.go_on(150, 90, &mut dice);
            assert_eq!(pair.refused, 0, "{at}");
            pair.assert_settled(&mut dice, &at);
        }
    }
}

/// What one started from a wrong bundle the other cannot read: the other's session it is, with either tag.
#[test]
fn a_session_of_a_wrong_bundle_gives_way() {
    for seed in 0..16 {
        for latency in 0..6 {
            let at = format!("seed {seed}, latency {latency}");
            let (mut pair, mut dice) = (Pair::new(seed, [latency; 2]), rng(seed));
            let wrong = pair.wrong_bundle_for(0);
            pair.parties[0].initiate(&wrong);
            pair.start(1);
            pair.go_on(4 * latency + 4, 100, &mut dice);
            assert!(pair.refused <= 2 * latency + 2, "{at}: {} refused", pair.refused);
            pair.assert_settled(&mut dice, &at);
        }
    }
}

/// Both bundles are wrong; then each starts from a right one, some time apart.
#[test]
fn wrong_bundles_on_both_sides_are_got_over() {
    for seed in 0..8 {
        for latency in 0..6 {
            for apart in 0..4 {
                let at = format!("seed {seed}, latency {latency}, apart {apart}");
                let (mut pair, mut dice) = (Pair::new(seed, [latency; 2]), rng(seed));
                for party in 0..2 {
                    let wrong = pair.wrong_bundle_for(party);
                    pair.parties[party].initiate(&wrong);
                }
                pair.go_on(8, 80, &mut dice);
                pair.start(0);
                pair.go_on(apart * 3, 80, &mut dice);
                pair.start(1);
                pair.go_on(150, 90, &mut dice);
                pair.assert_settled(&mut dice, &at);
            }
        }
    }
}

/// Anything of it, in any order, with messages that are lost and messages that overtake others. Afterwards both are there
/// and the network is: they settle.
#[test]
fn any_schedule_settles() {
    let seeds = std::env::var("SUBROSA_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(300u64).min(2_000);
    for seed in 0..seeds {
        let mut dice = rng(seed);
        let mut pair =
            Pair::new(seed, [dice.next_u64(), dice.next_u64()].map(|latency| usize::try_from(latency % 6).unwrap()));
        for _ in 0..40 {
            let party = usize::try_from(dice.next_u64() % 2).unwrap();
            match dice.next_u64() % 12 {
                0 => pair.start(party),
                1 => (0..2).for_each(|party| pair.start(party)),
                2 => {
                    let wrong = pair.wrong_bundle_for(party);
                    pair.parties[party].initiate(&wrong);
                }
                3 if dice.next_u64().is_multiple_of(4) => pair.parties[party].session = None,
                4 => drop(pair.under_way[party].pop_front()),
                5 => pair.under_way[party].clear(),
                6 if pair.under_way[party].len() > 1 => pair.under_way[party].swap(0, 1),
                _ => pair.go_on(usize::try_from(dice.next_u64() % 6).unwrap(), 60, &mut dice),
            }
        }
        // Whoever has none starts one; and whose messages are refused, as a host does that is asked to.
        for _ in 0..8 {
            let refused = pair.refused;
            pair.go_on(160, 90, &mut dice);
            if pair.refused == refused && pair.tags.iter().all(|tag| !tag.is_empty()) {
                break;
            }
            pair.start(usize::try_from(dice.next_u64() % 2).unwrap());
        }
        pair.assert_settled(&mut dice, &format!("seed {seed}"));
    }
}
