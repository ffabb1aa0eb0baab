//! The sparse post-quantum ratchet: the ML-KEM Braid and the chains it feeds.
//!
//! Owns: the braid's state machine, its chunk code, its authenticator, and the per-epoch chains that give every
//! message a post-quantum key.
//!
//! **Not its concern:** the Double Ratchet, message formats, authentication of messages. What arrives is
//! provisional: [`Spqr::receive`] changes nothing and returns what [`Spqr::apply`] would change, for the caller to
//! apply once the message around it has authenticated.
//!
//! Sources: The ML-KEM Braid Protocol; The Double Ratchet Algorithm (revision 3), sections 5 and 6. Labels, chunk code
//! and deviations: docs/protocol.md.

mod authenticator;
#[cfg(test)]
mod bitwise;
mod braid;
mod chain;
mod chunk;
mod field;
mod laid;
mod long;
mod record;
mod sums;
mod weights;

use rand_core::CryptoRng;

use self::authenticator::Authenticator;
use self::braid::{Braid, Mend};
use self::chain::{ChainStep, PqChains};
use super::skipped_keys::{SkippedKeys, Touched};
use super::{Exhausted, Refused};
use crate::crypto::Secret;
use crate::wire::{RecordError, SpqrMessage};

/// One party's half of the post-quantum ratchet.
#[derive(Clone)]
pub(crate) struct Spqr {
    braid: Braid,
    chains: PqChains,
    /// While the epoch's key is known here and may not come to be on the other side.
    undo: Option<Undo>,
}

/// What was before an epoch's key: where both go back to if its exchange is begun anew.
#[derive(Clone)]
struct Undo {
    authenticator: Authenticator,
    next_root: Secret<32>,
}

/// What a received message would change.
pub(crate) struct SpqrStep {
    braid: braid::Step,
    chain: ChainStep,
}

impl Spqr {
    /// The session's initiator, who sends the first encapsulation key.
    pub(crate) fn initiator(initial: &Secret<32>) -> Self {
        Self { braid: Braid::initiator(initial), chains: PqChains::new(true, initial), undo: None }
    }

    /// The session's responder.
    pub(crate) fn responder(initial: &Secret<32>) -> Self {
        Self { braid: Braid::responder(initial), chains: PqChains::new(false, initial), undo: None }
    }

    /// Whether [`Self::send`] can succeed.
    pub(crate) fn check_send(&self) -> Result<(), Exhausted> {
        self.chains.check_send(self.braid.chain_epoch())
    }

    /// Takes the next message and its key.
    pub(crate) fn send(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<(SpqrMessage, Secret<32>), Exhausted> {
        self.check_send()?;
        let (payload, epoch_key) = self.braid.send(rng);
        if let Some((key, authenticator)) = epoch_key {
            let next_root = self.chains.add_epoch(&key);
            self.undo = Some(Undo { authenticator, next_root });
        }
        let (index, key) = self.chains.send(self.braid.chain_epoch())?;
        Ok((SpqrMessage { epoch: self.braid.epoch(), index, payload }, key))
    }

    /// The key of a received message, and what receiving it would change. Changes nothing.
    ///
    /// With `mends`, an exchange that cannot come out is begun anew, where otherwise the message would be refused: a copy
    /// of older state makes an honest peer's messages such.
    pub(crate) fn receive(
        &self,
        message: &SpqrMessage,
        max_jump: u32,
        mends: bool,
    ) -> Result<(Secret<32>, SpqrStep), Refused> {
        let SpqrMessage { epoch, index, payload } = message;
        // A message tagged e uses the chains of the epoch before; tags start at 1.
        let chain_epoch = epoch.checked_sub(1).ok_or(Refused::Undecryptable)?;
        let (key, chain) = self.chains.receive(chain_epoch, *index, max_jump)?;
        let mend = Mend { is_newest: chain.is_newest(), yields: !self.chains.initiator };
        let braid = self.braid.receive(*epoch, payload, mends.then_some(mend))?;
        Ok((key, SpqrStep { braid, chain }))
    }

    /// Makes the change, once the message has authenticated.
    pub(crate) fn apply(&mut self, step: SpqrStep) {
        if let Some(key) = self.braid.apply(step.braid) {
            self.chains.add_epoch(&key);
        }
        self.chains.apply(step.chain);
        if !self.braid.knows_key()
            && let Some(Undo { authenticator, next_root }) = self.undo.take()
            && self.chains.newest_epoch() == self.braid.epoch()
        {
            self.braid.undo(authenticator);
            self.chains.undo_epoch(next_root);
        }
    }

    /// Makes what is sent next of bytes that lie apart.
    pub(in crate::ratchet) fn prepare(&mut self) -> Result<(), RecordError> {
        self.braid.prepare()
    }

    /// Whether a message may end what bytes that lie apart are waiting for.
    pub(in crate::ratchet) fn wants_whole(&self, message: &SpqrMessage) -> bool {
        self.braid.wants_whole(message.epoch, &message.payload)
    }

    /// Brings back what such a message needs.
    pub(in crate::ratchet) fn bring(&mut self) -> Result<(), RecordError> {
        self.braid.bring()
    }

    /// Lays apart what is long and stays as it is.
    pub(in crate::ratchet) fn lay_apart(&mut self) {
        self.braid.lay_apart();
    }

    /// The skipped message keys, by epoch.
    pub(in crate::ratchet) fn skipped(&self) -> impl Iterator<Item = (u64, &SkippedKeys)> {
        self.chains.epochs.iter().map(|held| (held.epoch, &held.skipped))
    }

    /// The same, to be changed, with the index that is next.
    pub(in crate::ratchet) fn skipped_mut(&mut self) -> impl Iterator<Item = (u64, &mut SkippedKeys, u32)> {
        self.chains.epochs.iter_mut().map(|held| (held.epoch, &mut held.skipped, held.receiving.index))
    }

    /// See [`TripleRatchet::receiving_wants_skipped`](crate::ratchet::TripleRatchet).
    pub(in crate::ratchet) fn receiving_wants_skipped(&self, message: &SpqrMessage) -> bool {
        message.epoch.checked_sub(1).is_some_and(|epoch| self.chains.receiving_wants_skipped(epoch, message.index))
    }

    /// See [`TripleRatchet::sending_wants_skipped`](crate::ratchet::TripleRatchet).
    pub(in crate::ratchet) fn sending_wants_skipped(&self) -> bool {
        self.chains.sending_wants_skipped(self.braid.chain_epoch())
    }

    /// See [`TripleRatchet::receiving_touches`](crate::ratchet::TripleRatchet).
    pub(in crate::ratchet) fn touch_receiving(&self, message: &SpqrMessage, touched: &mut Touched) {
        if let Some(epoch) = message.epoch.checked_sub(1) {
            self.chains.touch_receiving(epoch, message.index, touched);
        }
    }

    /// See [`TripleRatchet::sending_touches`](crate::ratchet::TripleRatchet).
    pub(in crate::ratchet) fn touch_sending(&self, touched: &mut Touched) {
        self.chains.touch_sending(self.braid.chain_epoch(), touched);
    }

    /// Whether this party started the session.
    pub(crate) const fn is_initiator(&self) -> bool {
        self.chains.initiator
    }

    /// How many epochs of the exchange this party has completed.
    pub(crate) fn completed_epochs(&self) -> u64 {
        self.chains.newest_epoch()
    }
}

impl core::fmt::Debug for Spqr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { braid, chains, undo: _ } = self;
        f.debug_struct("Spqr")
            .field("state", &braid.state_name())
            .field("epoch", &braid.epoch())
            .field("chain_epoch", &chains.newest_epoch())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod checkpoint;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::braid_kem::recorded;
    use crate::ratchet::{Form, MAX_JUMP};
    use crate::vectors::{Script, array, bytes, load, secret};
    use crate::wire::{FieldReader, FieldWriter};
    use std::collections::BTreeMap;
    use std::format;
    use std::vec::Vec;

    #[test]
    fn recorded_start_is_reproduced() {
        let vectors = load("derivations.json");
        let start = &vectors["spqrInit"];
        let spqr = Spqr::initiator(&secret(&vectors["pqxdh"]["spqrKey"]));
        let ours = spqr.checkpoint();
        assert_eq!(ours["authRoot"], start["authRoot"]);
        assert_eq!(ours["authMac"], start["authMac"]);
        assert_eq!(ours["nextRoot"], start["chainNextRoot"]);
        let epoch = spqr.chains.epochs.front().unwrap();
        assert_eq!(epoch.sending().unwrap().key.expose(), &array::<32>(&start["chainA2B"]));
        assert_eq!(epoch.receiving.key.expose(), &array::<32>(&start["chainB2A"]));
    }

    #[test]
    fn recorded_conversation_is_reproduced_by_both_sides() {
        let vectors = load("spqr-pingpong.json");
        let initial = secret(&vectors["initialKey"]);
        let mut parties = BTreeMap::from([("A", Spqr::initiator(&initial)), ("B", Spqr::responder(&initial))]);
        let mut sent = BTreeMap::new();
        let mut rng = Script::default();
        for (at, step) in vectors["steps"].as_array().unwrap().iter().enumerate() {
            let at = format!("step {at}");
            let party = parties.get_mut(step["by"].as_str().unwrap()).unwrap();
            let n = step["n"].as_u64().unwrap();
            if step["op"] == "send" {
                let random = &step["random"];
                if random["mlkemDecapsulationKey"].is_string() {
                    recorded::push(&bytes(&random["mlkemDecapsulationKey"]));
                }
                if random["mlkemEncapsRandomness"].is_string() {
                    rng.push(bytes(&random["mlkemEncapsRandomness"]));
                }
                let (message, key) = party.send(&mut rng).unwrap();
                assert_eq!(message.to_bytes(), bytes(&step["message"]), "{at}");
                assert_eq!(key.expose(), &array::<32>(&step["key"]), "{at}");
                assert!(recorded::is_empty(), "{at}");
                rng.assert_drawn(&at);
                sent.insert(n, (message, key));
            } else {
                let (message, key) = &sent[&n];
                let (ours, step) = party.receive(message, MAX_JUMP, false).unwrap();
                assert!(ours == *key, "{at}");
                party.apply(step);
            }
            checkpoint::assert_matches(&party.checkpoint(), &step["after"], &at);
            // Stored and loaded between any two messages, it goes on the same.
            let mut stored = FieldWriter::with_capacity(0);
            party.write(Form::Whole, &mut stored);
            *party = Spqr::read(Form::Whole, FieldReader::new(&stored.finish()), &[]).unwrap();
        }
        assert!(parties["A"].completed_epochs() >= 8);
    }

    /// One message, whose key both ends come to.
    fn pass(from: &mut Spqr, to: &mut Spqr, rng: &mut impl CryptoRng) {
        let (message, key) = from.send(rng).unwrap();
        let (ours, step) = to.receive(&message, MAX_JUMP, false).unwrap();
        to.apply(step);
        assert!(ours == key);
    }

    /// What this ratchet costs without the other one, for BENCHMARKS.md; and that both ends come to the same keys:
    /// `cargo test --release --lib ratchet_alone -- --ignored --nocapture`.
    #[test]
    #[ignore = "the time that it takes says something only of a build with --release"]
    #[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it reads the clock")]
    fn ratchet_alone() {
        let timed = |what: &str, round: &mut dyn FnMut() -> u32| {
            let mut rounds: Vec<_> = (0..201)
                .map(|_| {
                    let began = std::time::Instant::now();
                    let messages = round();
                    began.elapsed() / messages
                })
                .collect();
            rounds.sort_unstable();
            std::println!("{what}: {:?}, 10 % to 90 %: {:?} to {:?}", rounds[100], rounds[20], rounds[180]);
        };
        let (initial, rng) = (Secret::new([7; 32]), &mut crate::support::rng(1));
        let (mut alice, mut bob) = (Spqr::initiator(&initial), Spqr::responder(&initial));
        // Two epochs at a time: in them the parties take turns in its roles.
        timed("ping-pong, one message, both ends", &mut || {
            let (ends, mut messages) = (alice.completed_epochs() + 2, 0);
            while alice.completed_epochs() < ends {
                pass(&mut alice, &mut bob, rng);
                pass(&mut bob, &mut alice, rng);
                messages += 2;
            }
            messages
        });
        for (what, state) in [("no chunk", "EkSentCt1Received"), ("a parity chunk", "HeaderSent")] {
            while alice.braid.state_name() != state {
                pass(&mut bob, &mut alice, rng);
                pass(&mut alice, &mut bob, rng);
            }
            // One way, so far that what is sent is parity.
            (0..100).for_each(|_| pass(&mut alice, &mut bob, rng));
            let (mut sender, sent) = (alice.clone(), core::cell::RefCell::new(Vec::new()));
            timed(&format!("send, same direction, {what}"), &mut || {
                sent.borrow_mut().extend((0..100).map(|_| sender.send(rng).unwrap()));
                100
            });
            let (mut reader, mut sent) = (bob.clone(), sent.into_inner().into_iter());
            timed(&format!("receive, same direction, {what}"), &mut || {
                for (message, key) in sent.by_ref().take(100) {
                    let (ours, step) = reader.receive(&message, MAX_JUMP, false).unwrap();
                    reader.apply(step);
                    assert!(ours == key);
                }
                100
            });
        }
    }

    /// A stored key is not compared with its seed, which would cost as much as making it. Where they differ, damage that no
    /// seal has found, the epoch does not end, and nothing else happens.
    #[test]
    fn a_key_that_is_not_of_its_seed_ends_no_epoch() {
        for (mut damaged, ends) in [(None, true), (Some(0), false), (Some(31), false)] {
            let (initial, rng) = (Secret::new([7; 32]), &mut crate::support::rng(1));
            let (mut alice, mut bob) = (Spqr::initiator(&initial), Spqr::responder(&initial));
            let mut refused = false;
            for _ in 0..200 {
                let (message, _) = alice.send(rng).unwrap();
                let (_, step) = bob.receive(&message, MAX_JUMP, false).unwrap();
                bob.apply(step);
                let (message, _) = bob.send(rng).unwrap();
                if alice.braid.state_name() == "EkSentCt1Received" {
                    let mut stored = FieldWriter::with_capacity(0);
                    alice.write(Form::Whole, &mut stored);
                    let mut stored = stored.finish();
                    let (len, key) = (128_usize, stored.windows(3).position(|at| at == [0x3a, 0x80, 0x01]).unwrap());
                    assert!(stored.len() > key + 3 + len);
                    if let Some(at) = damaged.take() {
                        stored[key + 3 + at] ^= 1;
                    }
                    alice = Spqr::read(Form::Whole, FieldReader::new(&stored), &[]).unwrap();
                }
                let before = alice.checkpoint();
                match alice.receive(&message, MAX_JUMP, false) {
                    Ok((_, step)) => alice.apply(step),
                    Err(error) => {
                        assert!(matches!(error, Refused::Undecryptable));
                        assert_eq!(alice.checkpoint(), before);
                        refused = true;
                    }
                }
                if alice.completed_epochs() > 0 || refused {
                    break;
                }
            }
            assert_eq!((alice.completed_epochs() > 0, refused), (ends, !ends));
        }
    }
}
