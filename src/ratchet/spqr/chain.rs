use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::authenticator::EpochKey;
use crate::crypto::{Secret, Unsalted, hkdf};
use crate::ratchet::skipped_keys::{SkippedKeys, Touched};
use crate::ratchet::skipped_seeds::max_skipped;
use crate::ratchet::{Exhausted, MAX_SKIPPED, Refused};

/// All the room that epochs take, of which there are at most three, and one more for a moment: a buffer that grows leaves
/// keys behind.
pub(super) const EPOCHS_ROOM: usize = 4;

/// So many messages longer a key that is away may be kept, after it has become too old for any message.
const MAX_OVERDUE: u32 = 256;

/// One direction of one epoch.
#[derive(Clone)]
pub(super) struct PqChain {
    pub(super) key: Secret<32>,
    /// Index of the newest key handed out; the first key has index 1.
    pub(super) index: u32,
}

impl PqChain {
    const fn new(key: Secret<32>) -> Self {
        Self { key, index: 0 }
    }

    /// The chain one step on, and its next message key; `None` after 2^32 − 1 of them.
    fn step(&self, unsalted: &Unsalted) -> Option<(Self, Secret<32>)> {
        #[cfg(any(test, feature = "testing"))]
        crate::crypto::steps::note();
        let index = self.index.checked_add(1)?;
        let info: &[&[u8]] = &[&index.to_be_bytes(), b"Signal PQ Ratchet V1 Chain Next"];
        let [key, message_key] = unsalted.hkdf::<64>(&self.key, info).split2();
        Some((Self { key, index }, message_key))
    }
}

/// Both directions of one epoch.
#[derive(Clone)]
pub(super) struct PqEpoch {
    pub(super) epoch: u64,
    /// Whether the sending chain is there, which is gone once this party sends in a later epoch. No `Option`: what `None` leaves
    /// unused is whatever lay on the stack, keys too, and goes wherever the value is moved.
    sends: bool,
    sending: PqChain,
    pub(super) receiving: PqChain,
    /// Keys of messages passed over; at most [`MAX_SKIPPED`], none that is used further than that behind the newest.
    pub(super) skipped: SkippedKeys,
}

impl PqEpoch {
    pub(super) fn new(epoch: u64, sending: Option<PqChain>, receiving: PqChain, skipped: SkippedKeys) -> Self {
        let sends = sending.is_some();
        let sending = sending.unwrap_or_else(|| PqChain::new(Secret::new([0; 32])));
        Self { epoch, sends, sending, receiving, skipped }
    }

    /// The sending chain, if it is there.
    pub(super) fn sending(&self) -> Option<&PqChain> {
        self.sends.then_some(&self.sending)
    }

    fn sending_mut(&mut self) -> Option<&mut PqChain> {
        self.sends.then_some(&mut self.sending)
    }

    fn end_sending(&mut self) {
        self.sends = false;
        self.sending = PqChain::new(Secret::new([0; 32]));
    }
}

/// The chains of the newest epochs: at most three.
#[derive(Clone)]
pub(super) struct PqChains {
    pub(super) initiator: bool,
    pub(super) next_root: Secret<32>,
    /// The newest epoch this party has sent in.
    pub(super) sending_epoch: u64,
    /// Consecutive, oldest first, never empty.
    pub(super) epochs: VecDeque<PqEpoch>,
}

/// What taking a receiving key would change.
pub(super) struct ChainStep {
    epoch: u64,
    change: Change,
}

impl ChainStep {
    /// Whether the key is behind all that were taken.
    pub(super) const fn is_newest(&self) -> bool {
        matches!(self.change, Change::Advance(..))
    }
}

enum Change {
    /// A stored key is used up.
    Take(u32),
    /// The chain goes on, over these keys.
    Advance(PqChain, Vec<(u32, Secret<32>)>),
}

impl PqChains {
    pub(super) fn new(initiator: bool, initial: &Secret<32>) -> Self {
        let derived = hkdf::<96>(&[], initial.expose(), &[b"Signal PQ Ratchet V1 Chain  Start"]);
        let (next_root, epoch) = Self::epoch(initiator, 0, &derived);
        let mut epochs = VecDeque::with_capacity(EPOCHS_ROOM);
        epochs.push_back(epoch);
        Self { initiator, next_root, sending_epoch: 0, epochs }
    }

    fn epoch(initiator: bool, epoch: u64, derived: &Secret<96>) -> (Secret<32>, PqEpoch) {
        let [next_root, a_to_b, b_to_a] = derived.split3();
        let (sending, receiving) = if initiator { (a_to_b, b_to_a) } else { (b_to_a, a_to_b) };
        let (sending, receiving) = (Some(PqChain::new(sending)), PqChain::new(receiving));
        (next_root, PqEpoch::new(epoch, sending, receiving, SkippedKeys::new()))
    }

    /// Opens the next epoch's chains, and gives the root that they came from. The braid gives the epochs in order, one at a
    /// time.
    pub(super) fn add_epoch(&mut self, key: &EpochKey) -> Secret<32> {
        let info: &[&[u8]] = &[b"Signal PQ Ratchet V1 Chain Add Epoch"];
        let derived = hkdf::<96>(self.next_root.expose(), key.key.expose(), info);
        let (next_root, epoch) = Self::epoch(self.initiator, key.epoch, &derived);
        self.epochs.push_back(epoch);
        core::mem::replace(&mut self.next_root, next_root)
    }

    /// Closes the newest epoch's chains, of which none was used.
    pub(super) fn undo_epoch(&mut self, next_root: Secret<32>) {
        self.epochs.pop_back();
        self.next_root = next_root;
    }

    pub(super) fn newest_epoch(&self) -> u64 {
        self.epochs.back().map_or(0, |epoch| epoch.epoch)
    }

    pub(super) fn check_send(&self, epoch: u64) -> Result<(), Exhausted> {
        let chain = self.find(epoch).and_then(PqEpoch::sending).ok_or(Exhausted)?;
        if chain.index == u32::MAX { Err(Exhausted) } else { Ok(()) }
    }

    /// The next sending key of an epoch, with its index.
    pub(super) fn send(&mut self, epoch: u64) -> Result<(u32, Secret<32>), Exhausted> {
        self.check_send(epoch)?;
        if epoch > self.sending_epoch {
            // Two epochs back nothing can arrive any more that the peer sent in order.
            self.sending_epoch = epoch;
            self.epochs.retain(|held| held.epoch + 1 >= epoch);
            for held in self.epochs.iter_mut().filter(|held| held.epoch < epoch) {
                held.end_sending();
            }
        }
        let chain = self.epochs.iter_mut().find(|held| held.epoch == epoch).and_then(PqEpoch::sending_mut);
        let chain = chain.ok_or(Exhausted)?;
        let (next, key) = chain.step(&Unsalted::new()).ok_or(Exhausted)?;
        *chain = next;
        Ok((chain.index, key))
    }

    /// The receiving key `index` of an epoch. Changes nothing.
    pub(super) fn receive(&self, epoch: u64, index: u32, max_jump: u32) -> Result<(Secret<32>, ChainStep), Refused> {
        let held = self.find(epoch).ok_or(Refused::Undecryptable)?;
        let newest = held.receiving.index;
        if index <= newest {
            if index.saturating_add(MAX_SKIPPED) < newest {
                return Err(Refused::TooOld);
            }
            let key = held.skipped.get(index).ok_or(Refused::Duplicate)?;
            return Ok((key.clone(), ChainStep { epoch, change: Change::Take(index) }));
        }
        if index - newest > max_jump {
            return Err(Refused::TooFarAhead);
        }
        let unsalted = Unsalted::new();
        let (mut chain, mut key) = held.receiving.step(&unsalted).ok_or(Refused::TooFarAhead)?;
        // All the room that it takes: a vector that grows leaves keys behind.
        let mut passed = Vec::with_capacity(passes(newest, index));
        while chain.index < index {
            let next = chain.step(&unsalted).ok_or(Refused::TooFarAhead)?;
            if chain.index.saturating_add(MAX_SKIPPED) >= index {
                passed.push((chain.index, key));
            }
            (chain, key) = next;
        }
        Ok((key, ChainStep { epoch, change: Change::Advance(chain, passed) }))
    }

    pub(super) fn apply(&mut self, step: ChainStep) {
        let Some(held) = self.epochs.iter_mut().find(|held| held.epoch == step.epoch) else { return };
        match step.change {
            Change::Take(index) => {
                held.skipped.remove(index);
            }
            Change::Advance(chain, passed) => {
                held.skipped.drop_below(oldest(chain.index));
                held.receiving = chain;
                held.skipped.extend(&passed);
            }
        }
    }

    /// Which pages of skipped message keys taking this one touches, where their lists are here.
    pub(super) fn touch_receiving(&self, epoch: u64, index: u32, touched: &mut Touched) {
        let Some(held) = self.find(epoch) else { return };
        let newest = held.receiving.index;
        if index <= newest {
            return held.skipped.touch_taking(index, touched);
        }
        let passed = passes(newest, index);
        held.skipped.touch_dropping(oldest(index), touched);
        held.skipped.touch_adding(passed, touched);
    }

    /// Which pages sending the next one in this epoch touches.
    pub(super) fn touch_sending(&self, epoch: u64, touched: &mut Touched) {
        if epoch > self.sending_epoch {
            let gone = self.epochs.iter().filter(|held| held.epoch + 1 < epoch);
            gone.for_each(|held| held.skipped.touch_all(touched));
        }
    }

    /// Whether lists that are away have to be here before this key is taken.
    pub(super) fn receiving_wants_skipped(&self, epoch: u64, index: u32) -> bool {
        self.find(epoch).is_some_and(|held| {
            // A key too far behind the newest opens nothing, and is dropped. Not at once where the keys are away: their
            // list would be read and written with every message.
            let behind = MAX_SKIPPED + MAX_OVERDUE;
            let drops = held.skipped.away().is_some_and(|away| away.first.saturating_add(behind) < index);
            held.receiving.index.checked_add(1) != Some(index) || drops
        })
    }

    /// Whether lists that are away have to be here before the next one is sent in this epoch.
    pub(super) fn sending_wants_skipped(&self, epoch: u64) -> bool {
        epoch > self.sending_epoch
            && self.epochs.iter().any(|held| held.epoch + 1 < epoch && held.skipped.away().is_some())
    }

    fn find(&self, epoch: u64) -> Option<&PqEpoch> {
        self.epochs.iter().find(|held| held.epoch == epoch)
    }
}

/// How many keys may be kept where a chain jumps over those between the newest and an index.
fn passes(newest: u32, index: u32) -> usize {
    usize::try_from(index - newest - 1).unwrap_or(0).min(max_skipped())
}

/// Below it keys open nothing once a chain has come to `newest`.
const fn oldest(newest: u32) -> u32 {
    newest.saturating_sub(MAX_SKIPPED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratchet::MAX_JUMP;
    use crate::ratchet::apart::Rows;

    /// What becomes of a message, on a chain that is taken apart after every one.
    fn receive_apart(chains: &mut PqChains, rows: &mut Rows, index: u32) -> Result<Secret<32>, Refused> {
        let wants = chains.receiving_wants_skipped(0, index);
        if wants {
            rows.bring(skipped(chains));
        }
        let mut touched = Touched::default();
        chains.touch_receiving(0, index, &mut touched);
        assert!(rows.open(skipped(chains), &touched) <= 2);
        let received = chains.receive(0, index, MAX_JUMP);
        let key = received.map(|(key, step)| {
            chains.apply(step);
            key
        });
        if wants {
            rows.put(skipped(chains));
        }
        key
    }

    fn skipped(chains: &mut PqChains) -> &mut SkippedKeys {
        &mut chains.epochs.front_mut().unwrap().skipped
    }

    /// At a jump every key that is more than 2,000 behind, in the order of messages now and then; none of them opens
    /// anything, there or gone.
    #[test]
    fn what_is_too_far_behind_goes() {
        let mut whole = PqChains::new(true, &Secret::new([1; 32]));
        let (mut apart, mut rows) = (whole.clone(), Rows::new());
        let jumps = [1_501, 2_602, 2_604, 2_700].into_iter();
        let in_order = 2_701..3_300;
        let late = [5, 699, 700, 1_298, 1_299, 1_300, 1_501, 1_502, 2_600, 2_603, 2_650, 2_650];
        for index in jumps.chain(in_order).chain(late).chain([3_310, 4_900, 8_000, 8_001]) {
            let (key, step) = match whole.receive(0, index, MAX_JUMP) {
                Ok((key, step)) => (Ok(key), Some(step)),
                Err(refused) => (Err(refused), None),
            };
            step.into_iter().for_each(|step| whole.apply(step));
            assert!(receive_apart(&mut apart, &mut rows, index) == key, "{index}");
            let (here, away) = (skipped(&mut whole).len(), skipped(&mut apart).summary());
            let away = away.map_or(0, |away| usize::try_from(away.count.get()).unwrap());
            assert!(here <= max_skipped() && (here..=max_skipped()).contains(&away), "{index}: {here} {away}");
            assert!(away <= here + usize::try_from(MAX_OVERDUE).unwrap());
        }
        assert_eq!(skipped(&mut whole).len(), 1_999);
    }
}
