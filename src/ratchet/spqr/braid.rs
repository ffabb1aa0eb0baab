//! The ML-KEM Braid: eleven states in which two parties exchange one ML-KEM-768 key and ciphertext per epoch, a chunk
//! with every message.

use alloc::boxed::Box;

use rand_core::CryptoRng;

use super::authenticator::{Authenticator, EpochKey, MAC_LEN, epoch_key, macs_equal};
use super::chunk::{Decoder, Progress, encode};
use super::long::{Long, Outgoing};
use crate::crypto::Secret;
use crate::crypto::braid_kem::{self, CT1_LEN, CT2_LEN, DecapsulationKey, HEADER_LEN, VECTOR_LEN};
use crate::ratchet::Refused;
use crate::wire::{Chunk, SpqrPayload};

const HEADER_AND_MAC_LEN: usize = HEADER_LEN + MAC_LEN;
const CT2_AND_MAC_LEN: usize = CT2_LEN + MAC_LEN;

/// Where a party stands in the exchange of its epoch. `next` is the index of the next chunk to send.
#[derive(Clone)]
pub(super) enum State {
    // The party that sends the encapsulation key:
    KeysUnsampled,
    KeysSampled { key: DecapsulationKey, vector: Long<VECTOR_LEN>, mac: [u8; MAC_LEN], next: u16 },
    HeaderSent { key: DecapsulationKey, vector: Outgoing<VECTOR_LEN>, ct1: Decoder<CT1_LEN> },
    Ct1Received { key: DecapsulationKey, vector: Outgoing<VECTOR_LEN>, ct1: Long<CT1_LEN> },
    EkSentCt1Received { key: DecapsulationKey, ct1: Long<CT1_LEN>, ct2: Decoder<CT2_AND_MAC_LEN> },
    // The party that sends the ciphertext:
    NoHeaderReceived { header: Decoder<HEADER_AND_MAC_LEN> },
    HeaderReceived { header: [u8; HEADER_LEN] },
    Ct1Sampled { encaps: Encapsulation, ct1: Outgoing<CT1_LEN>, vector: Decoder<VECTOR_LEN> },
    EkReceivedCt1Sampled { encaps: Encapsulation, ct1: Outgoing<CT1_LEN>, vector: Long<VECTOR_LEN> },
    Ct1Acknowledged { encaps: Encapsulation, vector: Decoder<VECTOR_LEN> },
    Ct2Sampled { ct2: Box<[u8; CT2_LEN]>, mac: [u8; MAC_LEN], next: u16 },
}

/// What the second half of an encapsulation needs of the first.
#[derive(Clone)]
pub(super) struct Encapsulation {
    pub(super) header: [u8; HEADER_LEN],
    pub(super) m: Secret<32>,
}

/// One party's half of the braid.
#[derive(Clone)]
pub(super) struct Braid {
    pub(super) epoch: u64,
    authenticator: Authenticator,
    pub(super) state: State,
}

/// What a received message would change: what is new of the state that comes next. [`Braid::apply`] moves there what
/// the present one holds already, so that nothing large is copied for a message that may yet turn out to be forged.
pub(super) enum Step {
    /// Nothing.
    Stay,
    /// One more chunk in the decoder of the present state.
    Hold(Chunk),
    /// From `KeysSampled`: the first chunk of ct1.
    HeaderSent(Chunk),
    /// From `HeaderSent`: all of ct1.
    Ct1Received(Box<[u8; CT1_LEN]>),
    /// From `Ct1Received`: the first chunk of ct2.
    EkSentCt1Received(Chunk),
    /// From `EkSentCt1Received`: the epoch's key, and the authenticator that it gives.
    Complete(Authenticator, EpochKey),
    /// From `NoHeaderReceived`: the header.
    HeaderReceived([u8; HEADER_LEN]),
    /// From `Ct1Sampled`: all of the encapsulation key.
    EkReceived(Box<[u8; VECTOR_LEN]>),
    /// From `Ct1Sampled`: ct1 has arrived, and perhaps one more chunk of the encapsulation key.
    Ct1Acknowledged(Option<Chunk>),
    /// From where the encapsulation key was complete: ct2 and its MAC.
    Ct2Sampled(Box<[u8; CT2_LEN]>, [u8; MAC_LEN]),
    /// From where the epoch's key is known: the other side has gone on to the next epoch.
    NextEpoch,
    /// From `NoHeaderReceived`: the chunks do not make a header; the last one is kept.
    Forget(Chunk),
    /// From anywhere: the exchange is begun anew, here.
    Restart,
    /// From anywhere: the other side has begun it anew, with this chunk of a header.
    Yield(Chunk),
}

/// How an exchange that cannot come out is mended: see [`Braid::receive`].
#[derive(Clone, Copy)]
pub(super) struct Mend {
    /// Whether the other side sent the message after all others of this epoch that were received.
    pub(super) is_newest: bool,
    /// Which side gives way where both have begun anew.
    pub(super) yields: bool,
}

impl Braid {
    pub(super) fn initiator(initial: &Secret<32>) -> Self {
        Self { epoch: 1, authenticator: Authenticator::new(initial), state: State::KeysUnsampled }
    }

    pub(super) fn responder(initial: &Secret<32>) -> Self {
        let state = State::NoHeaderReceived { header: Decoder::new() };
        Self { epoch: 1, authenticator: Authenticator::new(initial), state }
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The chains that messages of this epoch use: those of the epoch before.
    pub(super) const fn chain_epoch(&self) -> u64 {
        self.epoch - 1
    }

    /// Whether the key of this epoch is known here. On the other side it is not, or nothing that shows it has arrived.
    pub(super) const fn knows_key(&self) -> bool {
        matches!(
            self.state,
            State::Ct1Sampled { .. }
                | State::EkReceivedCt1Sampled { .. }
                | State::Ct1Acknowledged { .. }
                | State::Ct2Sampled { .. }
        )
    }

    /// Goes back behind an epoch's key.
    pub(super) fn undo(&mut self, authenticator: Authenticator) {
        self.authenticator = authenticator;
    }

    /// What the next message carries; the state machine goes on. With an epoch's key comes what the authenticator was.
    pub(super) fn send(
        &mut self,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> (SpqrPayload, Option<(EpochKey, Authenticator)>) {
        let payload = match &mut self.state {
            State::KeysUnsampled => {
                let key = DecapsulationKey::generate(rng);
                let mac = self.authenticator.header_mac(self.epoch, key.header());
                let chunk = encode::<HEADER_AND_MAC_LEN>(&[key.header(), &mac], 0);
                let vector = Box::new(*key.vector()).into();
                self.state = State::KeysSampled { key, vector, mac, next: 1 };
                SpqrPayload::Hdr(chunk)
            }
            State::KeysSampled { key, mac, next, .. } => {
                SpqrPayload::Hdr(encode::<HEADER_AND_MAC_LEN>(&[key.header(), mac], take(next)))
            }
            State::HeaderSent { vector, .. } => SpqrPayload::Ek(vector.take()),
            State::Ct1Received { vector, .. } => SpqrPayload::EkCt1Ack(vector.take()),
            State::EkSentCt1Received { .. } => SpqrPayload::Ct1Ack,
            State::NoHeaderReceived { .. } | State::Ct1Acknowledged { .. } => SpqrPayload::None,
            State::HeaderReceived { header } => {
                let encaps = Encapsulation { header: *header, m: Secret::random(rng) };
                let (ct1, shared) = braid_kem::encapsulate1(&encaps.header, &encaps.m);
                let key = epoch_key(self.epoch, &shared);
                let updated = self.authenticator.updated(self.epoch, &key);
                let before = core::mem::replace(&mut self.authenticator, updated);
                let mut ct1 = Outgoing::new(Box::new(ct1).into());
                let chunk = ct1.take();
                self.state = State::Ct1Sampled { encaps, ct1, vector: Decoder::new() };
                return (SpqrPayload::Ct1(chunk), Some((EpochKey { epoch: self.epoch, key }, before)));
            }
            State::Ct1Sampled { ct1, .. } | State::EkReceivedCt1Sampled { ct1, .. } => SpqrPayload::Ct1(ct1.take()),
            State::Ct2Sampled { ct2, mac, next } => {
                SpqrPayload::Ct2(encode::<CT2_AND_MAC_LEN>(&[ct2.as_slice(), mac], take(next)))
            }
        };
        (payload, None)
    }

    /// What a message tagged `epoch` would change. Changes nothing.
    ///
    /// A party whose state was lost since and restored from an older copy makes a second key or ciphertext for the same
    /// epoch, or waits for what it has had. Then the exchange cannot come out. Without `mend` every message that would show
    /// it is refused, and so are all that follow. With it the message is received, if its keys open it, and the exchange of
    /// the epoch begins anew: from whichever side finds out, with a new key. Nothing of the epoch is in use before both
    /// sides have come through it, so that nothing is lost by it.
    pub(super) fn receive(&self, epoch: u64, payload: &SpqrPayload, mend: Option<Mend>) -> Result<Step, Refused> {
        if epoch < self.epoch {
            return Ok(Step::Stay);
        }
        if epoch > self.epoch {
            // The other side completed the epoch; no further skip is possible between honest parties.
            let completes = matches!(self.state, State::Ct2Sampled { .. }) || (mend.is_some() && self.knows_key());
            return if completes && epoch == self.epoch + 1 {
                Ok(Step::NextEpoch)
            } else {
                Err(Refused::Undecryptable)
            };
        }
        if let Some(step) = mend.and_then(|mend| self.fell_back(payload, mend)) {
            return Ok(step);
        }
        match (self.go_on(payload), mend) {
            (Err(Refused::Undecryptable), Some(_)) => Ok(match (&self.state, payload) {
                (State::NoHeaderReceived { .. }, SpqrPayload::Hdr(chunk)) => Step::Forget(*chunk),
                _ => Step::Restart,
            }),
            (step, _) => step,
        }
    }

    /// What is done about a message that shows that one side is where it has been before. Between parties of which none was
    /// restored no message that is the newest of its epoch does: each state sends another kind than those before it.
    fn fell_back(&self, payload: &SpqrPayload, mend: Mend) -> Option<Step> {
        if !mend.is_newest {
            return None;
        }
        match (&self.state, payload) {
            // A header from the side that waits for one, or from one that has been further.
            (State::KeysUnsampled | State::KeysSampled { .. }, SpqrPayload::Hdr(chunk)) if mend.yields => {
                Some(Step::Yield(*chunk))
            }
            (
                State::HeaderSent { .. }
                | State::Ct1Received { .. }
                | State::EkSentCt1Received { .. }
                | State::EkReceivedCt1Sampled { .. }
                | State::Ct1Acknowledged { .. }
                | State::Ct2Sampled { .. },
                SpqrPayload::Hdr(chunk),
            ) => Some(Step::Yield(*chunk)),
            (State::Ct1Sampled { vector, .. }, SpqrPayload::Hdr(chunk)) if !vector.chunks().is_empty() => {
                Some(Step::Yield(*chunk))
            }
            // It has not got ct1 any more, which is not here any more.
            (State::Ct1Acknowledged { .. } | State::Ct2Sampled { .. }, SpqrPayload::Ek(_))
            // It has got more than was sent.
            | (
                State::NoHeaderReceived { .. } | State::HeaderReceived { .. },
                SpqrPayload::Ek(_) | SpqrPayload::EkCt1Ack(_) | SpqrPayload::Ct1Ack,
            )
            | (State::Ct1Sampled { .. } | State::Ct1Acknowledged { .. }, SpqrPayload::Ct1Ack) => Some(Step::Restart),
            _ => None,
        }
    }

    /// What a message of this epoch would change.
    fn go_on(&self, payload: &SpqrPayload) -> Result<Step, Refused> {
        match (&self.state, payload) {
            (State::KeysSampled { .. }, SpqrPayload::Ct1(chunk)) => Ok(Step::HeaderSent(*chunk)),
            (State::HeaderSent { ct1, .. }, SpqrPayload::Ct1(chunk)) => {
                collect(ct1, chunk, |ct1| Ok(Step::Ct1Received(Box::new(ct1))))
            }
            (State::Ct1Received { .. }, SpqrPayload::Ct2(chunk)) => Ok(Step::EkSentCt1Received(*chunk)),
            (State::EkSentCt1Received { key, ct1, ct2 }, SpqrPayload::Ct2(chunk)) => {
                collect(ct2, chunk, |ct2_and_mac| self.complete(key, ct1.get(), &ct2_and_mac))
            }
            (State::NoHeaderReceived { header }, SpqrPayload::Hdr(chunk)) => collect(header, chunk, |header_and_mac| {
                let (header, mac) = split::<HEADER_LEN>(&header_and_mac)?;
                if !macs_equal(&self.authenticator.header_mac(self.epoch, header), mac) {
                    return Err(Refused::Undecryptable);
                }
                Ok(Step::HeaderReceived(*header))
            }),
            (State::Ct1Sampled { encaps, vector, .. }, SpqrPayload::Ek(chunk)) => collect(vector, chunk, |vector| {
                check_key(encaps, &vector)?;
                Ok(Step::EkReceived(Box::new(vector)))
            }),
            (State::Ct1Sampled { encaps, vector, .. }, SpqrPayload::EkCt1Ack(chunk)) => match vector.peek(chunk) {
                Progress::Complete(vector) => self.check_and_make_ct2(encaps, &vector),
                Progress::More => Ok(Step::Ct1Acknowledged(Some(*chunk))),
                Progress::Known => Ok(Step::Ct1Acknowledged(None)),
            },
            (State::Ct1Acknowledged { encaps, vector }, SpqrPayload::Ek(chunk) | SpqrPayload::EkCt1Ack(chunk)) => {
                collect(vector, chunk, |vector| self.check_and_make_ct2(encaps, &vector))
            }
            (State::EkReceivedCt1Sampled { encaps, vector, .. }, SpqrPayload::EkCt1Ack(_) | SpqrPayload::Ct1Ack) => {
                Ok(self.make_ct2(encaps, vector.get()))
            }
            _ => Ok(Step::Stay),
        }
    }

    /// Makes the change; gives the epoch's key if one came out. A step that does not come from the present state
    /// changes nothing.
    pub(super) fn apply(&mut self, step: Step) -> Option<EpochKey> {
        let step = match step {
            Step::Stay => return None,
            Step::Hold(chunk) => {
                self.state.hold(chunk);
                return None;
            }
            step => step,
        };
        let mut out = None;
        // Whole before and after: between the two nothing can fail.
        self.state = match (core::mem::replace(&mut self.state, State::KeysUnsampled), step) {
            (State::KeysSampled { key, vector, .. }, Step::HeaderSent(chunk)) => {
                State::HeaderSent { key, vector: Outgoing::new(vector), ct1: Decoder::new().with(chunk) }
            }
            (State::HeaderSent { key, vector, .. }, Step::Ct1Received(ct1)) => {
                State::Ct1Received { key, vector, ct1: ct1.into() }
            }
            (State::Ct1Received { key, ct1, .. }, Step::EkSentCt1Received(chunk)) => {
                State::EkSentCt1Received { key, ct1, ct2: Decoder::new().with(chunk) }
            }
            (State::EkSentCt1Received { .. }, Step::Complete(authenticator, key)) => {
                (self.epoch, self.authenticator, out) = (self.epoch + 1, authenticator, Some(key));
                State::NoHeaderReceived { header: Decoder::new() }
            }
            (State::NoHeaderReceived { .. }, Step::HeaderReceived(header)) => State::HeaderReceived { header },
            (State::Ct1Sampled { encaps, ct1, .. }, Step::EkReceived(vector)) => {
                State::EkReceivedCt1Sampled { encaps, ct1, vector: vector.into() }
            }
            (State::Ct1Sampled { encaps, mut vector, .. }, Step::Ct1Acknowledged(chunk)) => {
                if let Some(chunk) = chunk {
                    vector.hold(chunk);
                }
                State::Ct1Acknowledged { encaps, vector }
            }
            (
                State::Ct1Sampled { .. } | State::Ct1Acknowledged { .. } | State::EkReceivedCt1Sampled { .. },
                Step::Ct2Sampled(ct2, mac),
            ) => State::Ct2Sampled { ct2, mac, next: 0 },
            (
                State::Ct1Sampled { .. }
                | State::EkReceivedCt1Sampled { .. }
                | State::Ct1Acknowledged { .. }
                | State::Ct2Sampled { .. },
                Step::NextEpoch,
            ) => {
                self.epoch += 1;
                State::KeysUnsampled
            }
            (State::NoHeaderReceived { .. }, Step::Forget(chunk)) | (_, Step::Yield(chunk)) => {
                State::NoHeaderReceived { header: Decoder::new().with(chunk) }
            }
            (_, Step::Restart) => State::KeysUnsampled,
            (state, _) => state,
        };
        out
    }

    /// Both parts of the ciphertext are there: the epoch's key comes out on this side, and the roles change.
    fn complete(
        &self,
        key: &DecapsulationKey,
        ct1: &[u8; CT1_LEN],
        ct2_and_mac: &[u8; CT2_AND_MAC_LEN],
    ) -> Result<Step, Refused> {
        let (ct2, mac) = split::<CT2_LEN>(ct2_and_mac)?;
        let key = epoch_key(self.epoch, &key.decapsulate(ct1, ct2));
        let authenticator = self.authenticator.updated(self.epoch, &key);
        if !macs_equal(&authenticator.ciphertext_mac(self.epoch, ct1, ct2), mac) {
            return Err(Refused::Undecryptable);
        }
        Ok(Step::Complete(authenticator, EpochKey { epoch: self.epoch, key }))
    }

    /// The whole encapsulation key is there and ct1 has arrived on the other side.
    fn check_and_make_ct2(&self, encaps: &Encapsulation, vector: &[u8; VECTOR_LEN]) -> Result<Step, Refused> {
        check_key(encaps, vector)?;
        Ok(self.make_ct2(encaps, vector))
    }

    /// The same, for a vector that was checked when it was complete.
    fn make_ct2(&self, encaps: &Encapsulation, vector: &[u8; VECTOR_LEN]) -> Step {
        let (ct1, ct2) = braid_kem::encapsulate2(&encaps.header, vector, &encaps.m);
        let mac = self.authenticator.ciphertext_mac(self.epoch, &ct1, &ct2);
        Step::Ct2Sampled(Box::new(ct2), mac)
    }

    pub(super) const fn parts(&self) -> (&Authenticator, &State) {
        (&self.authenticator, &self.state)
    }

    pub(super) const fn from_parts(epoch: u64, authenticator: Authenticator, state: State) -> Self {
        Self { epoch, authenticator, state }
    }

    pub(super) const fn state_name(&self) -> &'static str {
        match self.state {
            State::KeysUnsampled => "KeysUnsampled",
            State::KeysSampled { .. } => "KeysSampled",
            State::HeaderSent { .. } => "HeaderSent",
            State::Ct1Received { .. } => "Ct1Received",
            State::EkSentCt1Received { .. } => "EkSentCt1Received",
            State::NoHeaderReceived { .. } => "NoHeaderReceived",
            State::HeaderReceived { .. } => "HeaderReceived",
            State::Ct1Sampled { .. } => "Ct1Sampled",
            State::EkReceivedCt1Sampled { .. } => "EkReceivedCt1Sampled",
            State::Ct1Acknowledged { .. } => "Ct1Acknowledged",
            State::Ct2Sampled { .. } => "Ct2Sampled",
        }
    }
}

impl State {
    /// [`Braid::receive`] asks for it in the states with a decoder only.
    fn hold(&mut self, chunk: Chunk) {
        match self {
            Self::HeaderSent { ct1, .. } => ct1.hold(chunk),
            Self::EkSentCt1Received { ct2, .. } => ct2.hold(chunk),
            Self::NoHeaderReceived { header } => header.hold(chunk),
            Self::Ct1Sampled { vector, .. } | Self::Ct1Acknowledged { vector, .. } => vector.hold(chunk),
            Self::KeysUnsampled
            | Self::KeysSampled { .. }
            | Self::Ct1Received { .. }
            | Self::HeaderReceived { .. }
            | Self::EkReceivedCt1Sampled { .. }
            | Self::Ct2Sampled { .. } => {}
        }
    }
}

/// One more chunk for `decoder`; `complete` says what the whole message does.
fn collect<const N: usize>(
    decoder: &Decoder<N>,
    chunk: &Chunk,
    complete: impl FnOnce([u8; N]) -> Result<Step, Refused>,
) -> Result<Step, Refused> {
    match decoder.peek(chunk) {
        Progress::Known => Ok(Step::Stay),
        Progress::More => Ok(Step::Hold(*chunk)),
        Progress::Complete(message) => complete(message),
    }
}

fn check_key(encaps: &Encapsulation, vector: &[u8; VECTOR_LEN]) -> Result<(), Refused> {
    braid_kem::check_key(&encaps.header, vector).map_err(|_| Refused::Undecryptable)
}

/// This chunk's index; the next one's wraps after 65,536 chunks.
const fn take(next: &mut u16) -> u16 {
    let index = *next;
    *next = next.wrapping_add(1);
    index
}

fn split<const N: usize>(message: &[u8]) -> Result<(&[u8; N], &[u8]), Refused> {
    message.split_first_chunk().ok_or(Refused::Undecryptable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn a_step_from_another_state_changes_nothing() {
        let key = Secret::new([7; 32]);
        let chunk = Chunk { index: 0, data: [7; 32] };
        let steps = || {
            vec![
                Step::Stay,
                Step::Hold(chunk),
                Step::HeaderSent(chunk),
                Step::Ct1Received(Box::new([7; CT1_LEN])),
                Step::EkSentCt1Received(chunk),
                Step::Complete(Authenticator::new(&key), EpochKey { epoch: 1, key: key.clone() }),
                Step::HeaderReceived([7; HEADER_LEN]),
                Step::EkReceived(Box::new([7; VECTOR_LEN])),
                Step::Ct1Acknowledged(Some(chunk)),
                Step::Ct2Sampled(Box::new([7; CT2_LEN]), [7; MAC_LEN]),
                Step::NextEpoch,
                Step::Forget(chunk),
            ]
        };
        // The one state that no step comes from.
        for step in steps() {
            let mut braid = Braid::initiator(&key);
            assert!(braid.apply(step).is_none());
            assert_eq!((braid.state_name(), braid.epoch()), ("KeysUnsampled", 1));
        }
        // And one that goes on by one step of them only.
        let went_on = steps().into_iter().filter_map(|step| {
            let mut braid = Braid::responder(&key);
            assert!(braid.apply(step).is_none());
            assert_eq!(braid.epoch(), 1);
            (braid.state_name() != "NoHeaderReceived").then(|| braid.state_name())
        });
        assert_eq!(went_on.collect::<Vec<_>>(), ["HeaderReceived"]);
    }
}
