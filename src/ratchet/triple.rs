use rand_core::CryptoRng;

use super::double::{DoubleRatchet, DoubleStep, Place, SendStep};
use super::skipped_keys::{SkippedKeys, Touched};
use super::spqr::{Spqr, SpqrStep};
use super::{Exhausted, Refused};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::crypto::{KeyPair, NotContributory, PeerKey, PublicKey};
use crate::ident::Timestamp;
use crate::suite::{InitialKeys, MessageSecret, Suite};
use crate::wire::{RecordError, SpqrMessage};

/// The Double Ratchet and the post-quantum ratchet of one session, side by side.
#[derive(Clone)]
pub(crate) struct TripleRatchet {
    pub(super) suite: Suite,
    pub(super) double: DoubleRatchet,
    pub(super) spqr: Spqr,
}

/// A message to be sent: its header's fields and the secret that it is sealed with.
pub(crate) struct Outgoing {
    pub(crate) ratchet: PublicKey,
    pub(crate) counter: u32,
    pub(crate) previous_counter: u32,
    pub(crate) pq: SpqrMessage,
    pub(crate) secret: MessageSecret,
}

/// What a received message's header says.
pub(crate) struct Header<'a> {
    pub(crate) ratchet: &'a PublicKey,
    pub(crate) counter: u32,
    pub(crate) pq: &'a SpqrMessage,
    /// Where the suite salts its keys.
    pub(crate) salt: Option<&'a [u8; 16]>,
}

impl Header<'_> {
    fn place(&self) -> Place {
        let salt = self.salt.and_then(|salt| salt.first_chunk().copied());
        Place { ratchet: *self.ratchet, counter: self.counter, salt }
    }
}

/// What a received message would change.
pub(crate) struct Step {
    double: DoubleStep,
    spqr: SpqrStep,
}

impl Step {
    /// Whether its sender had sent nothing in this session, of all that was received, after it.
    pub(crate) const fn is_newest(&self) -> bool {
        self.double.is_newest
    }
}

impl TripleRatchet {
    /// The initiator's ratchet, with its first ratchet key and the responder's signed prekey.
    pub(crate) fn initiator(
        suite: Suite,
        keys: InitialKeys,
        ratchet: KeyPair,
        theirs: &PeerKey,
    ) -> Result<Self, NotContributory> {
        let spqr = Spqr::initiator(&keys.pq);
        Ok(Self { suite, double: DoubleRatchet::initiator(suite, keys.root, keys.chain, ratchet, theirs)?, spqr })
    }

    /// The responder's ratchet, whose first ratchet key is its signed prekey.
    pub(crate) fn responder(suite: Suite, keys: InitialKeys, signed_prekey: KeyPair) -> Self {
        let spqr = Spqr::responder(&keys.pq);
        Self { suite, double: DoubleRatchet::responder(keys.root, keys.chain, signed_prekey), spqr }
    }

    /// Takes the next message's secret. A failure changes nothing.
    pub(crate) fn send(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Outgoing, Exhausted> {
        self.double.check_send()?;
        let (pq, pq_key) = self.spqr.send(rng)?;
        let SendStep { ratchet, counter, previous_counter, seed } = self.double.send()?;
        let secret = MessageSecret { seed, pq: pq_key };
        Ok(Outgoing { ratchet, counter, previous_counter, pq, secret })
    }

    /// Whether the ratchet key belongs to a receiving chain of this session.
    pub(crate) fn knows(&self, ratchet: &PublicKey) -> bool {
        self.double.knows(ratchet)
    }

    /// The ratchet keys of its receiving chains, oldest first: those that it [knows](Self::knows).
    pub(crate) fn known_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.double.receiving.iter().map(|held| &held.ratchet)
    }

    /// The secret of a received message, and what receiving it would change. Changes nothing.
    pub(crate) fn receive(&self, header: &Header<'_>, max_jump: u32) -> Result<(MessageSecret, Step), Refused> {
        let Header { ratchet, pq, salt, .. } = *header;
        let place = header.place();
        let (seed, double) = self.double.receive(self.suite, place, max_jump)?;
        let mends = self.suite == Suite::V1;
        #[cfg(test)]
        let mends = mends && !planted::is(Defect::LostWriteStays);
        let (pq, spqr) = self.spqr.receive(pq, max_jump, mends).map_err(|refused| match refused {
            // A place in the chain that was never read, with a post-quantum key that was used: no honest sender comes
            // to that, unless its state was rolled back.
            Refused::Duplicate if salt.is_some() && self.knows(ratchet) => Refused::Rewound,
            Refused::Duplicate => Refused::Undecryptable,
            other => other,
        })?;
        Ok((MessageSecret { seed, pq }, Step { double, spqr }))
    }

    /// Makes the change, once the message has authenticated.
    pub(crate) fn apply(
        &mut self,
        step: Step,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), NotContributory> {
        self.double.apply(self.suite, step.double, now, rng)?;
        self.spqr.apply(step.spqr);
        Ok(())
    }

    /// Deletes skipped message keys that are too old.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.double.expire(now);
    }

    /// Whether the list of the skipped message keys is in a record of its own and not here.
    pub(crate) fn skipped_is_away(&self) -> bool {
        self.skipped().any(|skipped| skipped.away().is_some())
    }

    /// Whether there are any.
    pub(crate) fn has_skipped(&self) -> bool {
        self.skipped().any(|skipped| skipped.summary().is_some())
    }

    pub(super) fn skipped(&self) -> impl Iterator<Item = &SkippedKeys> {
        let chains = self.double.receiving.iter().map(|held| &held.skipped.seeds);
        chains.chain(self.spqr.skipped().map(|(_, skipped)| skipped))
    }

    pub(super) fn skipped_mut(&mut self) -> impl Iterator<Item = &mut SkippedKeys> {
        let chains = self.double.receiving.iter_mut().map(|held| &mut held.skipped.seeds);
        chains.chain(self.spqr.skipped_mut().map(|(_, skipped, _)| skipped))
    }

    /// Whether the list has to be here before some of them are deleted, which it is time for.
    pub(crate) fn skipped_is_due(&self, now: Timestamp) -> bool {
        self.double.skipped_is_due(now)
    }

    /// Whether the list has to be here before a message with this header is received.
    pub(crate) fn receiving_wants_skipped(&self, header: &Header<'_>) -> bool {
        let touched = || self.double.wants_skipped(&header.place()) || self.spqr.receiving_wants_skipped(header.pq);
        self.skipped_is_away() && touched()
    }

    /// Whether it has to be here before a message is sent: the first one of an epoch drops what is two epochs back.
    pub(crate) fn sending_wants_skipped(&self) -> bool {
        self.spqr.sending_wants_skipped()
    }

    /// Which pages receiving a message with this header touches, once the list is here.
    pub(crate) fn receiving_touches(&self, header: &Header<'_>) -> Touched {
        let mut touched = Touched::default();
        self.double.touch_receiving(&header.place(), &mut touched);
        self.spqr.touch_receiving(header.pq, &mut touched);
        touched
    }

    /// Which pages sending a message touches, once the list is here.
    pub(crate) fn sending_touches(&self) -> Touched {
        let mut touched = Touched::default();
        self.spqr.touch_sending(&mut touched);
        touched
    }

    /// Which pages [`Self::expire`] touches, once the list is here.
    pub(crate) fn expiring_touches(&self, now: Timestamp) -> Touched {
        let mut touched = Touched::default();
        self.double.touch_expiring(now, &mut touched);
        touched
    }

    /// Makes what is sent next, of what lies apart: before [`Self::send`].
    pub(crate) fn prepare(&mut self) -> Result<(), RecordError> {
        self.spqr.prepare()
    }

    /// Reads the receiving chains, if whoever only sends has left them.
    pub(crate) fn bring_chains(&mut self) -> Result<(), RecordError> {
        self.double.bring_chains()
    }

    /// Whether what lies apart has to be [brought](Self::bring) before a message with this header is received.
    pub(crate) fn wants_whole(&self, header: &Header<'_>) -> bool {
        self.spqr.wants_whole(header.pq)
    }

    /// Brings back what such a message needs.
    pub(crate) fn bring(&mut self) -> Result<(), RecordError> {
        self.spqr.bring()
    }

    /// Lays apart what is long and stays as it is.
    pub(crate) fn lay_apart(&mut self) {
        self.spqr.lay_apart();
    }

    /// Whether this party started the session.
    pub(crate) const fn is_initiator(&self) -> bool {
        self.spqr.is_initiator()
    }

    /// How many post-quantum epochs this party has completed.
    pub(crate) fn pq_epochs(&self) -> u64 {
        self.spqr.completed_epochs()
    }

    pub(crate) const fn suite(&self) -> Suite {
        self.suite
    }
}

impl core::fmt::Debug for TripleRatchet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { suite, double: _, spqr } = self;
        f.debug_struct("TripleRatchet").field("suite", suite).field("spqr", spqr).finish_non_exhaustive()
    }
}

/// Replays start from, and compare with, recorded states through this door.
#[cfg(test)]
pub(crate) mod replay {
    use super::super::chain::{Chain, RootKey};
    use super::*;
    use crate::crypto::Secret;
    use serde_json::{Value, json};
    use std::vec::Vec;

    impl TripleRatchet {
        /// The initiator just after its first root step, which is where recorded initiators start.
        pub(crate) fn recorded_initiator(
            suite: Suite,
            root: Secret<32>,
            sending: Secret<32>,
            keys: (Secret<32>, &Secret<32>),
            ratchet: KeyPair,
            theirs: &PublicKey,
        ) -> Self {
            let sending = Chain { key: sending, index: 0 };
            let double = DoubleRatchet::after_first_step(RootKey(root), sending, keys.0, ratchet, theirs);
            Self { suite, double, spqr: Spqr::initiator(keys.1) }
        }

        pub(crate) fn checkpoint(&self) -> Value {
            let chains: Vec<Value> =
                self.double.receiving.iter().map(|held| json!([held.chain.index, held.skipped.seeds.len()])).collect();
            json!({
                "rootKey": hex::encode(self.double.root.0.expose()),
                "sendChainKey": hex::encode(self.double.sending.chain.key.expose()),
                "sendChainIndex": self.double.sending.chain.index,
                "previousCounter": self.double.previous_counter,
                "receiverChains": chains,
                "spqr": self.spqr.checkpoint(),
            })
        }

        /// The sending chain at its end.
        pub(crate) fn exhaust(&mut self) {
            self.double.sending.chain.index = u32::MAX;
        }

        /// The whole Double Ratchet of another's copy: what a thief of classical keys has.
        pub(crate) fn give_classical_keys(&mut self, other: &Self) {
            self.double = other.double.clone();
        }

        /// The symmetric secrets that the next messages are derived from.
        pub(crate) fn secrets(&self) -> Vec<Secret<32>> {
            let receiving = self.double.receiving.iter().map(|held| held.chain.key.clone());
            let mut out: Vec<_> = receiving.collect();
            out.extend([self.double.root.0.clone(), self.double.sending.chain.key.clone()]);
            out.push(Secret::new(*self.double.sending.ratchet.private().expose()));
            out.extend(self.spqr.secrets());
            out
        }

        /// (skipped seeds, skipped post-quantum keys, receiving chains): what must stay bounded.
        pub(crate) fn sizes(&self) -> (usize, usize, usize) {
            let seeds = self.double.receiving.iter().map(|held| held.skipped.seeds.len()).sum();
            (seeds, self.spqr.skipped_keys(), self.double.receiving.len())
        }
    }
}
