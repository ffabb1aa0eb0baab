use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Spqr;
use super::authenticator::Authenticator;
use super::braid::{Braid, Encapsulation, State};
use super::chain::{PqChain, PqChains, PqEpoch};
use super::chunk::Decoder;
use crate::crypto::braid_kem::DecapsulationKey;
use crate::ratchet::kept::Kept;
use crate::ratchet::record::{Form, join_keys, secret, split_keys};
use crate::wire::{CHUNK_LEN, Chunk, RecordError, record};

const CORRUPT: RecordError = RecordError::Corrupt;

/// Beyond any epoch that a session can reach, and far from where adding one overflows.
const MAX_EPOCH: u64 = 1 << 62;

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], RecordError> {
    bytes.try_into().map_err(|_| CORRUPT)
}

fn boxed<const N: usize>(bytes: &[u8]) -> Result<Box<[u8; N]>, RecordError> {
    Box::<[u8]>::from(bytes).try_into().map_err(|_| CORRUPT)
}

fn chunks_to_record<const N: usize>(decoder: &Decoder<N>) -> Vec<u8> {
    let mut out = Vec::with_capacity(decoder.chunks().len() * (2 + CHUNK_LEN));
    for chunk in decoder.chunks() {
        out.extend_from_slice(&chunk.index.to_be_bytes());
        out.extend_from_slice(&chunk.data);
    }
    out
}

fn decoder<const N: usize>(bytes: &[u8]) -> Result<Decoder<N>, RecordError> {
    let (chunks, rest) = bytes.as_chunks::<{ 2 + CHUNK_LEN }>();
    let chunk =
        |[high, low, data @ ..]: &[u8; 2 + CHUNK_LEN]| Chunk { index: u16::from_be_bytes([*high, *low]), data: *data };
    let decoder = Decoder::from_chunks(chunks.iter().map(chunk).collect());
    decoder.filter(|_| rest.is_empty()).ok_or(CORRUPT)
}

impl Braid {
    fn to_record(&self) -> record::Braid {
        let (authenticator, state) = self.parts();
        let (root, mac_key) = authenticator.keys();
        let mut out = record::Braid::default();
        out.epoch = self.epoch();
        out.auth_root = root.expose().to_vec();
        out.auth_mac = mac_key.expose().to_vec();
        let encapsulation = |out: &mut record::Braid, encaps: &Encapsulation| {
            out.header = encaps.header.to_vec();
            out.encapsulation_secret = encaps.m.expose().to_vec();
        };
        match state {
            State::KeysUnsampled => out.state = 1,
            State::KeysSampled { key, mac, next } => {
                out.state = 2;
                out.decapsulation_key = key.expose().to_vec();
                out.mac = mac.to_vec();
                out.next_chunk = (*next).into();
            }
            State::HeaderSent { key, next, ct1 } => {
                out.state = 3;
                out.decapsulation_key = key.expose().to_vec();
                out.next_chunk = (*next).into();
                out.received = chunks_to_record(ct1);
            }
            State::Ct1Received { key, next, ct1 } => {
                out.state = 4;
                out.decapsulation_key = key.expose().to_vec();
                out.next_chunk = (*next).into();
                out.ct1 = ct1.to_vec();
            }
            State::EkSentCt1Received { key, ct1, ct2 } => {
                out.state = 5;
                out.decapsulation_key = key.expose().to_vec();
                out.ct1 = ct1.to_vec();
                out.received = chunks_to_record(ct2);
            }
            State::NoHeaderReceived { header } => {
                out.state = 6;
                out.received = chunks_to_record(header);
            }
            State::HeaderReceived { header } => {
                out.state = 7;
                out.header = header.to_vec();
            }
            State::Ct1Sampled { encaps, ct1, next, vector } => {
                out.state = 8;
                encapsulation(&mut out, encaps);
                out.ct1 = ct1.to_vec();
                out.next_chunk = (*next).into();
                out.received = chunks_to_record(vector);
            }
            State::EkReceivedCt1Sampled { encaps, ct1, next, vector } => {
                out.state = 9;
                encapsulation(&mut out, encaps);
                out.ct1 = ct1.to_vec();
                out.next_chunk = (*next).into();
                out.vector = vector.to_vec();
            }
            State::Ct1Acknowledged { encaps, vector } => {
                out.state = 10;
                encapsulation(&mut out, encaps);
                out.received = chunks_to_record(vector);
            }
            State::Ct2Sampled { ct2, mac, next } => {
                out.state = 11;
                out.ct2 = ct2.to_vec();
                out.mac = mac.to_vec();
                out.next_chunk = (*next).into();
            }
        }
        out
    }

    fn from_record(stored: &record::Braid) -> Result<Self, RecordError> {
        if !(1..MAX_EPOCH).contains(&stored.epoch) {
            return Err(CORRUPT);
        }
        let key = || DecapsulationKey::from_slice(&stored.decapsulation_key).ok_or(CORRUPT);
        let encaps = || -> Result<Encapsulation, RecordError> {
            Ok(Encapsulation { header: array(&stored.header)?, m: secret(&stored.encapsulation_secret)? })
        };
        let next = u16::try_from(stored.next_chunk).map_err(|_| CORRUPT)?;
        let received = &stored.received;
        let state = match stored.state {
            1 => State::KeysUnsampled,
            2 => State::KeysSampled { key: key()?, mac: array(&stored.mac)?, next },
            3 => State::HeaderSent { key: key()?, next, ct1: decoder(received)? },
            4 => State::Ct1Received { key: key()?, next, ct1: boxed(&stored.ct1)? },
            5 => State::EkSentCt1Received { key: key()?, ct1: boxed(&stored.ct1)?, ct2: decoder(received)? },
            6 => State::NoHeaderReceived { header: decoder(received)? },
            7 => State::HeaderReceived { header: array(&stored.header)? },
            8 => State::Ct1Sampled { encaps: encaps()?, ct1: boxed(&stored.ct1)?, next, vector: decoder(received)? },
            9 => State::EkReceivedCt1Sampled {
                encaps: encaps()?,
                ct1: boxed(&stored.ct1)?,
                next,
                vector: boxed(&stored.vector)?,
            },
            10 => State::Ct1Acknowledged { encaps: encaps()?, vector: decoder(received)? },
            11 => State::Ct2Sampled { ct2: boxed(&stored.ct2)?, mac: array(&stored.mac)?, next },
            _ => return Err(CORRUPT),
        };
        let authenticator = Authenticator::from_keys(secret(&stored.auth_root)?, secret(&stored.auth_mac)?);
        Ok(Self::from_parts(stored.epoch, authenticator, state))
    }
}

impl PqChain {
    fn to_record(&self) -> record::PqChain {
        record::PqChain { key: self.key.expose().to_vec(), index: self.index }
    }

    fn from_record(stored: &record::PqChain) -> Result<Self, RecordError> {
        Ok(Self { key: secret(&stored.key)?, index: stored.index })
    }
}

impl PqChains {
    fn to_record(&self, form: Form) -> record::PqChains {
        record::PqChains {
            next_root: self.next_root.expose().to_vec(),
            sending_epoch: self.sending_epoch,
            epochs: self
                .epochs
                .iter()
                .map(|epoch| {
                    let (skipped, kept, kept_first) = epoch.skipped.to_record(form);
                    record::PqEpoch {
                        epoch: epoch.epoch,
                        sending: epoch.sending.as_ref().map(PqChain::to_record),
                        receiving: Some(epoch.receiving.to_record()),
                        skipped,
                        kept,
                        kept_first,
                    }
                })
                .collect(),
        }
    }

    fn from_record(form: Form, initiator: bool, stored: &record::PqChains) -> Result<Self, RecordError> {
        let mut epochs = alloc::collections::VecDeque::new();
        for epoch in &stored.epochs {
            let receiving = PqChain::from_record(epoch.receiving.as_ref().ok_or(CORRUPT)?)?;
            let skipped = Kept::from_record(form, &epoch.skipped, epoch.kept, epoch.kept_first)?;
            if skipped.keys().keys().copied().chain(skipped.first()).any(|index| index >= receiving.index) {
                return Err(CORRUPT);
            }
            epochs.push_back(PqEpoch {
                epoch: epoch.epoch,
                sending: epoch.sending.as_ref().map(PqChain::from_record).transpose()?,
                receiving,
                skipped,
            });
        }
        let consecutive =
            epochs.iter().zip(epochs.iter().skip(1)).all(|(a, b)| a.epoch.checked_add(1) == Some(b.epoch));
        if consecutive && (1..=3).contains(&epochs.len()) {
            Ok(Self { initiator, next_root: secret(&stored.next_root)?, sending_epoch: stored.sending_epoch, epochs })
        } else {
            Err(CORRUPT)
        }
    }
}

impl Spqr {
    /// The stored form.
    pub(crate) fn to_record(&self, form: Form) -> record::Spqr {
        let Self { braid, chains } = self;
        record::Spqr {
            initiator: chains.initiator,
            braid: Some(braid.to_record()),
            chains: Some(chains.to_record(form)),
        }
    }

    /// Takes stored state, checked: braid and chains must be of the same moment.
    pub(crate) fn from_record(form: Form, stored: &record::Spqr) -> Result<Self, RecordError> {
        let braid = Braid::from_record(stored.braid.as_ref().ok_or(CORRUPT)?)?;
        let chains = PqChains::from_record(form, stored.initiator, stored.chains.as_ref().ok_or(CORRUPT)?)?;
        // An epoch's chains exist once its key is known: on one side when ct1 is made, on the other when the
        // exchange ends.
        let key_known = matches!(
            braid.parts().1,
            State::Ct1Sampled { .. }
                | State::EkReceivedCt1Sampled { .. }
                | State::Ct1Acknowledged { .. }
                | State::Ct2Sampled { .. }
        );
        let newest = if key_known { braid.epoch() } else { braid.chain_epoch() };
        if chains.newest_epoch() != newest || chains.sending_epoch > braid.chain_epoch() {
            return Err(CORRUPT);
        }
        Ok(Self { braid, chains })
    }

    /// The keys kept for late messages, of every epoch that has any.
    pub(in crate::ratchet) fn kept_to_record(&self) -> Vec<record::KeptEpoch> {
        let held = self.chains.epochs.iter().filter(|held| held.skipped.len() > 0);
        held.map(|held| record::KeptEpoch { epoch: held.epoch, keys: join_keys(held.skipped.keys().iter()) }).collect()
    }

    /// Takes keys that were away.
    pub(in crate::ratchet) fn attach_kept(&mut self, stored: &record::KeptEpoch) -> Result<(), RecordError> {
        match self.chains.epochs.iter_mut().find(|held| held.epoch == stored.epoch) {
            Some(held) => held.skipped.bring(split_keys(&stored.keys)?).ok_or(CORRUPT),
            None => Ok(()),
        }
    }
}
