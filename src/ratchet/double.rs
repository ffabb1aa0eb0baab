//! The Double Ratchet: a root chain stepped by X25519, a sending chain, and the newest receiving chains.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroize as _;

use super::chain::{Chain, RootKey};
use super::salts::{SaltPrefix, Salts};
use super::skipped_keys::Touched;
use super::skipped_seeds::{SkippedSeeds, max_skipped};
use super::{Exhausted, MAX_RECEIVING_CHAINS, MAX_SKIPPED, Refused};
use crate::crypto::{KeyPair, NotContributory, PeerKey, PublicKey, Secret, SecretBytes};
use crate::ident::Timestamp;
use crate::suite::Suite;

/// All the room that receiving chains take, and one more for a moment: a buffer that grows leaves keys behind.
const CHAINS_ROOM: usize = MAX_RECEIVING_CHAINS + 1;

#[derive(Clone)]
pub(super) struct SendingChain {
    pub(super) ratchet: KeyPair,
    pub(super) chain: Chain,
}

#[derive(Clone)]
pub(super) struct ReceivingChain {
    pub(super) ratchet: PublicKey,
    pub(super) chain: Chain,
    pub(super) skipped: SkippedSeeds,
    /// Where the suite salts its keys.
    pub(super) salts: Salts,
}

/// What a header says of a message's place.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) ratchet: PublicKey,
    pub(super) counter: u32,
    pub(super) salt: Option<SaltPrefix>,
}

#[derive(Clone)]
pub(super) struct DoubleRatchet {
    pub(super) root: RootKey,
    pub(super) sending: SendingChain,
    /// One less than the messages sent in the chain before.
    pub(super) previous_counter: u32,
    /// Oldest first, at most [`MAX_RECEIVING_CHAINS`].
    pub(super) receiving: VecDeque<ReceivingChain>,
    /// The same as they are stored, where nobody has looked into them yet: then there are none above.
    pub(super) unread: SecretBytes,
}

/// What stands in a message's header, and the seed of its keys.
pub(super) struct SendStep {
    pub(super) ratchet: PublicKey,
    pub(super) counter: u32,
    pub(super) previous_counter: u32,
    pub(super) seed: Secret<32>,
}

/// What a received message would change.
pub(super) struct DoubleStep {
    place: Place,
    change: Change,
    /// Whether the message goes on in the newest receiving chain, or begins one.
    pub(super) is_newest: bool,
}

enum Change {
    /// A skipped seed is used up.
    Take,
    /// A known chain goes on.
    Advance(Advance),
    /// A new ratchet key: a new receiving chain, and a new sending chain. The key agrees twice, with our old key when
    /// the message is received and with our new one when it is applied.
    Turn(RootKey, Advance, Box<PeerKey>),
}

/// A receiving chain after the message, and the seeds it passed over.
pub(super) struct Advance {
    chain: Chain,
    passed: Vec<(u32, Secret<32>)>,
}

impl DoubleRatchet {
    /// The initiator's start. Its receiving chain is the responder's signed prekey with the handshake's chain key,
    /// on which nothing is ever sent; its sending chain comes from one root step.
    pub(super) fn initiator(
        suite: Suite,
        root: Secret<32>,
        chain: Secret<32>,
        ratchet: KeyPair,
        theirs: &PeerKey,
    ) -> Result<Self, NotContributory> {
        let (root, sending) = RootKey(root).step(suite, ratchet.private(), theirs)?;
        Ok(Self::after_first_step(root, sending, chain, ratchet, theirs.key()))
    }

    pub(super) fn after_first_step(
        root: RootKey,
        sending: Chain,
        chain: Secret<32>,
        ratchet: KeyPair,
        theirs: &PublicKey,
    ) -> Self {
        let chain = Chain { key: chain, index: 0 };
        let mut receiving = VecDeque::with_capacity(CHAINS_ROOM);
        receiving.push_back(ReceivingChain::new(*theirs, chain));
        let sending = SendingChain { ratchet, chain: sending };
        Self { root, sending, previous_counter: 0, receiving, unread: SecretBytes::default() }
    }

    /// The responder's start: its signed prekey is its first ratchet key. It never sends in this chain, since the
    /// first message it reads brings a new ratchet key.
    pub(super) fn responder(root: Secret<32>, chain: Secret<32>, signed_prekey: KeyPair) -> Self {
        let sending = SendingChain { ratchet: signed_prekey, chain: Chain { key: chain, index: 0 } };
        let (receiving, unread) = (VecDeque::with_capacity(CHAINS_ROOM), SecretBytes::default());
        Self { root: RootKey(root), sending, previous_counter: 0, receiving, unread }
    }

    pub(super) const fn check_send(&self) -> Result<(), Exhausted> {
        if self.sending.chain.index == u32::MAX { Err(Exhausted) } else { Ok(()) }
    }

    pub(super) fn send(&mut self) -> Result<SendStep, Exhausted> {
        let counter = self.sending.chain.index;
        let seed = self.sending.chain.step().ok_or(Exhausted)?;
        Ok(SendStep { ratchet: *self.sending.ratchet.public(), counter, previous_counter: self.previous_counter, seed })
    }

    /// Whether a receiving chain of this ratchet key is held.
    pub(super) fn knows(&self, ratchet: &PublicKey) -> bool {
        self.find(ratchet).is_some()
    }

    /// The seed of a received message, and what receiving it would change. Changes nothing. Costs one agreement if
    /// the ratchet key is new, none otherwise.
    pub(super) fn receive(
        &self,
        suite: Suite,
        place: Place,
        max_jump: u32,
    ) -> Result<(Secret<32>, DoubleStep), Refused> {
        let (seed, change) = match self.find(&place.ratchet) {
            Some(held) if place.counter < held.chain.index => (held.find_skipped(place)?, Change::Take),
            Some(held) => {
                let (seed, advance) = advance(&held.chain, place.counter, max_jump)?;
                (seed, Change::Advance(advance))
            }
            None => {
                // The jump is checked first: an agreement is what costs.
                if place.counter > max_jump {
                    return Err(Refused::TooFarAhead);
                }
                let (ours, theirs) = (self.sending.ratchet.private(), PeerKey::new(&place.ratchet));
                let stepped = self.root.step(suite, ours, &theirs);
                let (root, chain) = stepped.map_err(|NotContributory| Refused::Undecryptable)?;
                let (seed, advance) = advance(&chain, place.counter, max_jump)?;
                (seed, Change::Turn(root, advance, Box::new(theirs)))
            }
        };
        let is_newest = match &change {
            Change::Take => false,
            Change::Advance(_) => self.receiving.back().is_some_and(|newest| newest.ratchet == place.ratchet),
            Change::Turn(..) => true,
        };
        Ok((seed, DoubleStep { place, change, is_newest }))
    }

    /// Makes the change. With a new ratchet key, draws a new one of our own; fails, changing nothing, only if the
    /// agreement with it does.
    pub(super) fn apply(
        &mut self,
        suite: Suite,
        step: DoubleStep,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), NotContributory> {
        let DoubleStep { place, change, is_newest: _ } = step;
        if let Change::Turn(root, advance, theirs) = change {
            let ours = KeyPair::generate(rng);
            let (root, chain) = root.step(suite, ours.private(), &theirs)?;
            self.root = root;
            self.previous_counter = self.sending.chain.index.saturating_sub(1);
            self.sending = SendingChain { ratchet: ours, chain };
            let mut held = ReceivingChain::new(place.ratchet, advance.chain);
            held.skipped.keep(advance.passed, now);
            held.remember(place);
            self.receiving.push_back(held);
            while self.receiving.len() > MAX_RECEIVING_CHAINS {
                // Wiped where it stands: what is taken out leaves its bytes in the ring.
                if let Some(oldest) = self.receiving.front_mut() {
                    oldest.chain.key.zeroize();
                }
                self.receiving.pop_front();
            }
        } else if let Some(held) = self.find_mut(&place.ratchet) {
            match change {
                Change::Advance(advance) => {
                    held.chain = advance.chain;
                    held.skipped.keep(advance.passed, now);
                }
                Change::Take | Change::Turn(..) => held.skipped.remove(place.counter),
            }
            held.remember(place);
        }
        Ok(())
    }

    /// Whether lists that are away have to be here before a message at this place is received.
    pub(super) fn wants_skipped(&self, place: &Place) -> bool {
        let away = |held: &ReceivingChain| held.skipped.seeds.away().is_some();
        let full = self.receiving.len() >= MAX_RECEIVING_CHAINS;
        let untouched = match self.find(&place.ratchet) {
            Some(held) => place.counter == held.chain.index,
            // A new chain pushes the oldest one out, with its keys.
            None => place.counter == 0 && !(full && self.receiving.front().is_some_and(away)),
        };
        !untouched
    }

    /// Whether keys that are away are to be deleted.
    pub(super) fn skipped_is_due(&self, now: Timestamp) -> bool {
        self.receiving.iter().any(|held| held.skipped.is_due(now))
    }

    /// Which pages of skipped seeds a message at this place touches, where their lists are here.
    pub(super) fn touch_receiving(&self, place: &Place, touched: &mut Touched) {
        match self.find(&place.ratchet) {
            Some(held) if place.counter < held.chain.index => held.skipped.seeds.touch_taking(place.counter, touched),
            Some(held) => held.skipped.touch_keeping(passes(held.chain.index, place.counter), touched),
            None if self.receiving.len() >= MAX_RECEIVING_CHAINS => {
                self.receiving.iter().take(1).for_each(|oldest| oldest.skipped.seeds.touch_all(touched));
            }
            None => {}
        }
    }

    /// Which pages of skipped seeds are to be deleted, at least in part.
    pub(super) fn touch_expiring(&self, now: Timestamp, touched: &mut Touched) {
        self.receiving.iter().for_each(|held| held.skipped.touch_expiring(now, touched));
    }

    /// Deletes skipped seeds that are too old. Without its seed, a skipped post-quantum key opens nothing.
    pub(super) fn expire(&mut self, now: Timestamp) {
        for held in &mut self.receiving {
            held.skipped.expire(now);
        }
    }

    fn find(&self, ratchet: &PublicKey) -> Option<&ReceivingChain> {
        debug_assert!(self.unread.is_empty(), "a chain is looked for that was not read");
        self.receiving.iter().rev().find(|held| held.ratchet == *ratchet)
    }

    fn find_mut(&mut self, ratchet: &PublicKey) -> Option<&mut ReceivingChain> {
        self.receiving.iter_mut().rev().find(|held| held.ratchet == *ratchet)
    }
}

impl ReceivingChain {
    pub(super) const fn new(ratchet: PublicKey, chain: Chain) -> Self {
        Self { ratchet, chain, skipped: SkippedSeeds::new(), salts: Salts::new() }
    }

    /// The seed of a message that the chain has passed.
    fn find_skipped(&self, place: Place) -> Result<Secret<32>, Refused> {
        self.skipped.find(place.counter).map_err(|refused| {
            let Some(salt) = place.salt else { return refused };
            match self.salts.find(place.counter) {
                Some(remembered) if remembered == salt => Refused::Duplicate,
                // The same place, another message: the sender has gone back and does not know it.
                Some(_) => Refused::Rewound,
                // One was read there, and which is forgotten.
                None if refused == Refused::Duplicate => Refused::ReadBefore,
                None => refused,
            }
        })
    }

    fn remember(&mut self, place: Place) {
        if let Some(salt) = place.salt {
            self.salts.remember(place.counter, salt);
        }
    }
}

/// How many seeds may be kept where a chain jumps from an index to another.
fn passes(index: u32, counter: u32) -> usize {
    usize::try_from(counter - index).unwrap_or(0).min(max_skipped())
}

/// Steps a copy of a chain to `counter` and past it. Of the seeds passed over it returns those that may be kept.
fn advance(chain: &Chain, counter: u32, max_jump: u32) -> Result<(Secret<32>, Advance), Refused> {
    if counter - chain.index > max_jump {
        return Err(Refused::TooFarAhead);
    }
    let mut chain = chain.clone();
    let mut passed = Vec::with_capacity(passes(chain.index, counter));
    loop {
        let index = chain.index;
        let seed = chain.step().ok_or(Refused::TooFarAhead)?;
        if index == counter {
            return Ok((seed, Advance { chain, passed }));
        }
        if counter - index <= MAX_SKIPPED {
            passed.push((index, seed));
        }
    }
}
