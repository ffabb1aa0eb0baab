//! Which of the braid's parts lie apart where it is stored, and when they are brought back.

use super::braid::{Braid, State};
use crate::wire::{RecordError, SpqrPayload};

impl Braid {
    /// Makes what is sent next of bytes that lie apart.
    pub(super) fn prepare(&mut self) -> Result<(), RecordError> {
        match &mut self.state {
            State::HeaderSent { vector, .. } | State::Ct1Received { vector, .. } => vector.prepare(),
            State::Ct1Sampled { ct1, .. } | State::EkReceivedCt1Sampled { ct1, .. } => ct1.prepare(),
            _ => Ok(()),
        }
    }

    /// Whether a message of this epoch may end what bytes that lie apart are waiting for.
    pub(super) fn wants_whole(&self, epoch: u64, payload: &SpqrPayload) -> bool {
        epoch == self.epoch
            && match (&self.state, payload) {
                (State::EkSentCt1Received { ct1, ct2, .. }, SpqrPayload::Ct2(_)) => {
                    ct1.apart().is_some() && ct2.is_nearly_complete()
                }
                (State::EkReceivedCt1Sampled { vector, .. }, SpqrPayload::EkCt1Ack(_) | SpqrPayload::Ct1Ack) => {
                    vector.apart().is_some()
                }
                _ => false,
            }
    }

    /// Brings back what such a message needs.
    pub(super) fn bring(&mut self) -> Result<(), RecordError> {
        match &mut self.state {
            State::EkSentCt1Received { ct1, .. } => ct1.bring(),
            State::EkReceivedCt1Sampled { vector, .. } => vector.bring(),
            _ => Ok(()),
        }
    }

    /// Lays apart what is long and stays as it is.
    pub(super) fn lay_apart(&mut self) {
        match &mut self.state {
            State::KeysSampled { key, vector, .. } => vector.lay_apart(key.secret()),
            State::HeaderSent { key, vector, .. } => vector.lay_apart(key.secret()),
            State::Ct1Received { key, vector, ct1 } => {
                vector.lay_apart(key.secret());
                ct1.lay_apart(key.secret());
            }
            State::EkSentCt1Received { key, ct1, .. } => ct1.lay_apart(key.secret()),
            State::Ct1Sampled { encaps, ct1, .. } => ct1.lay_apart(encaps.m.expose()),
            State::EkReceivedCt1Sampled { encaps, ct1, vector } => {
                ct1.lay_apart(encaps.m.expose());
                vector.lay_apart(encaps.m.expose());
            }
            State::KeysUnsampled
            | State::NoHeaderReceived { .. }
            | State::HeaderReceived { .. }
            | State::Ct1Acknowledged { .. }
            | State::Ct2Sampled { .. } => {}
        }
    }
}
