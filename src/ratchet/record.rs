//! Stored state of the ratchets: conversion to the wire structs, and back into checked state.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::chain::{Chain, RootKey};
use super::double::{DoubleRatchet, ReceivingChain, SaltPrefix, SendingChain};
use super::skipped::{MAX_MARKS, Skipped, max_skipped};
use super::spqr::Spqr;
use super::{MAX_RECEIVING_CHAINS, MAX_SALTS, TripleRatchet};
use crate::crypto::{PublicKey, Secret};
use crate::ident::Timestamp;
use crate::suite::Suite;
use crate::wire::{RecordError, key_pair_from_record, key_pair_to_record, record};

const CORRUPT: RecordError = RecordError::Corrupt;

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
    salts.iter().flat_map(|(counter, salt)| counter.to_be_bytes().into_iter().chain(*salt)).collect()
}

fn split_salts(bytes: &[u8]) -> Result<VecDeque<(u32, SaltPrefix)>, RecordError> {
    let (entries, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || entries.len() > MAX_SALTS {
        return Err(CORRUPT);
    }
    Ok(entries.iter().map(|[a, b, c, d, salt @ ..]| (u32::from_be_bytes([*a, *b, *c, *d]), *salt)).collect())
}

impl Skipped {
    fn to_record(&self) -> (Vec<u8>, Vec<u8>) {
        let mut marks = Vec::with_capacity(self.marks.len() * 12);
        for (upto, at) in &self.marks {
            marks.extend_from_slice(&upto.to_be_bytes());
            marks.extend_from_slice(&at.get().to_be_bytes());
        }
        (join_keys(self.seeds.iter()), marks)
    }

    fn from_record(seeds: &[u8], marks: &[u8], floor: u32, next: u32) -> Result<Self, RecordError> {
        let seeds = split_keys(seeds)?;
        let (entries, rest) = marks.as_chunks::<12>();
        let marks: Vec<_> = entries
            .iter()
            .map(|[a, b, c, d, at @ ..]| {
                (u32::from_be_bytes([*a, *b, *c, *d]), Timestamp::new(u64::from_be_bytes(*at)))
            })
            .collect();
        let ascending = marks.is_sorted_by(|(a, at), (b, bt)| a < b && at <= bt);
        let whole = rest.is_empty() && ascending && marks.len() <= MAX_MARKS;
        let behind = seeds.iter().all(|(index, _)| (floor..next).contains(index));
        if whole && behind && floor <= next {
            Ok(Self { seeds: seeds.into_iter().collect(), floor, marks: marks.into() })
        } else {
            Err(CORRUPT)
        }
    }
}

impl DoubleRatchet {
    fn to_record(&self) -> record::DoubleRatchet {
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
                    let (seeds, marks) = skipped.to_record();
                    record::ReceivingChain {
                        ratchet_key: ratchet.to_bytes().to_vec(),
                        chain_key: chain.key.expose().to_vec(),
                        index: chain.index,
                        floor: skipped.floor,
                        skipped: seeds,
                        marks,
                        salts: join_salts(salts),
                    }
                })
                .collect(),
        }
    }

    fn from_record(stored: &record::DoubleRatchet) -> Result<Self, RecordError> {
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
                    Ok(ReceivingChain {
                        ratchet: PublicKey::parse(&held.ratchet_key).map_err(|_| CORRUPT)?,
                        chain: Chain { key: secret(&held.chain_key)?, index: held.index },
                        skipped: Skipped::from_record(&held.skipped, &held.marks, held.floor, held.index)?,
                        salts: split_salts(&held.salts)?,
                    })
                })
                .collect::<Result<_, RecordError>>()?,
        })
    }
}

impl TripleRatchet {
    /// The stored form of both ratchets.
    pub(crate) fn to_record(&self) -> (record::DoubleRatchet, record::Spqr) {
        let Self { suite: _, double, spqr } = self;
        (double.to_record(), spqr.to_record())
    }

    /// Takes stored state, checked.
    pub(crate) fn from_record(
        suite: Suite,
        double: Option<&record::DoubleRatchet>,
        spqr: Option<&record::Spqr>,
    ) -> Result<Self, RecordError> {
        let double = DoubleRatchet::from_record(double.ok_or(CORRUPT)?)?;
        Ok(Self { suite, double, spqr: Spqr::from_record(spqr.ok_or(CORRUPT)?)? })
    }
}
