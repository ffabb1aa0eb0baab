//! Stored state of the ratchets: conversion to the wire structs, and back into checked state.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::chain::{Chain, RootKey};
use super::double::{DoubleRatchet, ReceivingChain, SaltPrefix, SendingChain};
use super::kept::{Away, Kept};
use super::skipped::{MAX_MARKS, Skipped, max_skipped};
use super::spqr::Spqr;
use super::{MAX_RECEIVING_CHAINS, MAX_SALTS, TripleRatchet};
use crate::crypto::{PublicKey, Secret};
use crate::ident::Timestamp;
use crate::suite::Suite;
use crate::wire::{RecordError, key_pair_from_record, key_pair_to_record, record};

const CORRUPT: RecordError = RecordError::Corrupt;

/// Where the keys kept for late messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the same record.
    Whole,
    /// In a record of their own.
    Hot,
}

impl Kept {
    /// The stored keys, how many are elsewhere, and the first of those.
    pub(super) fn to_record(&self, form: Form) -> (Vec<u8>, u32, u32) {
        match (form, self.summary()) {
            (Form::Hot, Some(Away { count, first })) => (Vec::new(), count, first),
            _ => (join_keys(self.keys().iter()), 0, 0),
        }
    }

    pub(super) fn from_record(form: Form, keys: &[u8], count: u32, first: u32) -> Result<Self, RecordError> {
        let in_bounds = usize::try_from(count).is_ok_and(|count| count <= max_skipped());
        match form {
            Form::Whole if count == 0 && first == 0 => Ok(Self::from_keys(split_keys(keys)?)),
            Form::Hot if keys.is_empty() && in_bounds && (count > 0 || first == 0) => Ok(Self::from_away(count, first)),
            _ => Err(CORRUPT),
        }
    }

    /// Takes keys that were away.
    fn attach(&mut self, keys: &[u8]) -> Result<(), RecordError> {
        self.bring(split_keys(keys)?).ok_or(CORRUPT)
    }
}

pub(super) fn secret<const N: usize>(bytes: &[u8]) -> Result<Secret<N>, RecordError> {
    Secret::from_slice(bytes).ok_or(CORRUPT)
}

/// (big-endian index ‖ 32-byte key)*, ascending.
pub(super) fn join_keys<'a>(keys: impl ExactSizeIterator<Item = (&'a u32, &'a Secret<32>)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(keys.len() * 36);
    for (index, key) in keys {
        out.extend_from_slice(&index.to_be_bytes());
        out.extend_from_slice(key.expose());
    }
    out
}

pub(super) fn split_keys(bytes: &[u8]) -> Result<Vec<(u32, Secret<32>)>, RecordError> {
    let (entries, rest) = bytes.as_chunks::<36>();
    let keys: Vec<_> = entries
        .iter()
        .map(|[a, b, c, d, key @ ..]| (u32::from_be_bytes([*a, *b, *c, *d]), Secret::new(*key)))
        .collect();
    if rest.is_empty() && keys.len() <= max_skipped() && keys.is_sorted_by(|(a, _), (b, _)| a < b) {
        Ok(keys)
    } else {
        Err(CORRUPT)
    }
}

/// (big-endian counter ‖ first four bytes of the salt)*.
fn join_salts(salts: &VecDeque<(u32, SaltPrefix)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(salts.len() * 8);
    for (counter, salt) in salts {
        out.extend_from_slice(&counter.to_be_bytes());
        out.extend_from_slice(salt);
    }
    out
}

fn split_salts(bytes: &[u8]) -> Result<VecDeque<(u32, SaltPrefix)>, RecordError> {
    let (entries, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || entries.len() > MAX_SALTS {
        return Err(CORRUPT);
    }
    Ok(entries.iter().map(|[a, b, c, d, salt @ ..]| (u32::from_be_bytes([*a, *b, *c, *d]), *salt)).collect())
}

impl Skipped {
    fn marks_to_record(&self) -> Vec<u8> {
        let mut marks = Vec::with_capacity(self.marks.len() * 12);
        for (upto, at) in &self.marks {
            marks.extend_from_slice(&upto.to_be_bytes());
            marks.extend_from_slice(&at.get().to_be_bytes());
        }
        marks
    }

    fn from_record(seeds: Kept, marks: &[u8], floor: u32, next: u32) -> Result<Self, RecordError> {
        let (entries, rest) = marks.as_chunks::<12>();
        let marks: Vec<_> = entries
            .iter()
            .map(|[a, b, c, d, at @ ..]| {
                (u32::from_be_bytes([*a, *b, *c, *d]), Timestamp::new(u64::from_be_bytes(*at)))
            })
            .collect();
        let ascending = marks.is_sorted_by(|(a, at), (b, bt)| a < b && at <= bt);
        let whole = rest.is_empty() && ascending && marks.len() <= MAX_MARKS;
        let behind = seeds.keys().keys().copied().chain(seeds.first()).all(|index| (floor..next).contains(&index));
        if whole && behind && floor <= next { Ok(Self { seeds, floor, marks: marks.into() }) } else { Err(CORRUPT) }
    }
}

impl DoubleRatchet {
    fn to_record(&self, form: Form) -> record::DoubleRatchet {
        let Self { root, sending, previous_counter, receiving } = self;
        record::DoubleRatchet {
            root: root.0.expose().to_vec(),
            sending: Some(record::SendingChain {
                ratchet: Some(key_pair_to_record(&sending.ratchet)),
                chain_key: sending.chain.key.expose().to_vec(),
                index: sending.chain.index,
            }),
            previous_counter: *previous_counter,
            receiving: receiving
                .iter()
                .map(|ReceivingChain { ratchet, chain, skipped, salts }| {
                    let (seeds, kept, kept_first) = skipped.seeds.to_record(form);
                    record::ReceivingChain {
                        ratchet_key: ratchet.to_bytes().to_vec(),
                        chain_key: chain.key.expose().to_vec(),
                        index: chain.index,
                        floor: skipped.floor,
                        skipped: seeds,
                        marks: skipped.marks_to_record(),
                        salts: join_salts(salts),
                        kept,
                        kept_first,
                    }
                })
                .collect(),
        }
    }

    fn from_record(form: Form, stored: &record::DoubleRatchet) -> Result<Self, RecordError> {
        let sending = stored.sending.as_ref().ok_or(CORRUPT)?;
        if stored.receiving.len() > MAX_RECEIVING_CHAINS {
            return Err(CORRUPT);
        }
        Ok(Self {
            root: RootKey(secret(&stored.root)?),
            sending: SendingChain {
                ratchet: key_pair_from_record(sending.ratchet.as_ref())?,
                chain: Chain { key: secret(&sending.chain_key)?, index: sending.index },
            },
            previous_counter: stored.previous_counter,
            receiving: stored
                .receiving
                .iter()
                .map(|held| {
                    let seeds = Kept::from_record(form, &held.skipped, held.kept, held.kept_first)?;
                    Ok(ReceivingChain {
                        ratchet: PublicKey::parse(&held.ratchet_key).map_err(|_| CORRUPT)?,
                        chain: Chain { key: secret(&held.chain_key)?, index: held.index },
                        skipped: Skipped::from_record(seeds, &held.marks, held.floor, held.index)?,
                        salts: split_salts(&held.salts)?,
                    })
                })
                .collect::<Result<_, RecordError>>()?,
        })
    }
}

impl TripleRatchet {
    /// The stored form of both ratchets.
    pub(crate) fn to_record(&self, form: Form) -> (record::DoubleRatchet, record::Spqr) {
        let Self { suite: _, double, spqr } = self;
        (double.to_record(form), spqr.to_record(form))
    }

    /// Takes stored state, checked.
    pub(crate) fn from_record(
        form: Form,
        suite: Suite,
        double: Option<&record::DoubleRatchet>,
        spqr: Option<&record::Spqr>,
    ) -> Result<Self, RecordError> {
        let double = DoubleRatchet::from_record(form, double.ok_or(CORRUPT)?)?;
        Ok(Self { suite, double, spqr: Spqr::from_record(form, spqr.ok_or(CORRUPT)?)? })
    }

    /// The keys kept for late messages, as a record apart from [`Form::Hot`]; `None` if there are none.
    pub(crate) fn kept_to_record(&self) -> Option<record::Kept> {
        let held = self.double.receiving.iter().filter(|held| held.skipped.seeds.len() > 0);
        let chains = held.map(|held| record::KeptChain {
            ratchet_key: held.ratchet.to_bytes().to_vec(),
            keys: join_keys(held.skipped.seeds.keys().iter()),
        });
        let epochs = self.spqr.kept_to_record();
        let chains: Vec<_> = chains.collect();
        let count = u32::try_from(chains.len() + epochs.len()).unwrap_or(u32::MAX);
        (count > 0).then_some(record::Kept { chains, epochs, count })
    }

    /// Takes the keys that were away. A chain or an epoch that is here no more loses its keys.
    pub(crate) fn attach_kept(&mut self, stored: &record::Kept) -> Result<(), RecordError> {
        for chain in &stored.chains {
            let mut receiving = self.double.receiving.iter_mut();
            if let Some(held) = receiving.find(|held| chain.ratchet_key == held.ratchet.to_bytes()) {
                held.skipped.seeds.attach(&chain.keys)?;
            }
        }
        for epoch in &stored.epochs {
            self.spqr.attach_kept(epoch)?;
        }
        let whole = usize::try_from(stored.count) == Ok(stored.chains.len() + stored.epochs.len());
        if whole && !self.kept_is_away() { Ok(()) } else { Err(CORRUPT) }
    }
}
