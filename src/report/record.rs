use alloc::collections::BTreeMap;

use alloc::vec::Vec;
use zeroize::Zeroizing;

use super::recent::{Missing, Recent};
use super::state::{ChainKey, MAX_CHAINS, MAX_RANGES_IN_ALL, MAX_RECENT_IN_ALL, OwnChain, PeerChain};
use super::{AccountTag, ChainId, ChainState, Dest};
use crate::ident::Timestamp;
use crate::wire::{RecordError, RecordKind, decode_record, encode_record, record};

const CORRUPT: RecordError = RecordError::Corrupt;

impl ChainState {
    /// Longest stored form, whatever others send: 512 KiB. Between two phones it is some 20 KiB.
    pub const MAX_RECORD_LEN: usize = 512 << 10;

    /// The stored form, unsealed. The same state gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { me, dest, own, unnamed, chains, clock } = self;
        let chains = chains.iter().map(|((owner, id), chain)| {
            let PeerChain { device, first, used, unverifiable, recent, missing } = chain;
            record::PeerChain {
                owner: owner.as_bytes().to_vec(),
                chain: id.as_bytes().to_vec(),
                device: *device,
                first_ms: first.get(),
                used: *used,
                unverifiable: *unverifiable,
                recent: recent.to_bytes(),
                missing: missing.to_bytes(),
            }
        });
        let OwnChain { chain, next, recent } = own;
        encode_record(
            RecordKind::ChainState,
            &record::ChainState {
                me: me.as_bytes().to_vec(),
                kind: dest.kind().into(),
                dest: dest.tag().to_vec(),
                chain: chain.as_bytes().to_vec(),
                next: *next,
                recent: recent.to_bytes(),
                unnamed: unnamed
                    .iter()
                    .flat_map(|(owner, id)| owner.as_bytes().iter().chain(id.as_bytes()))
                    .copied()
                    .collect(),
                chains: chains.collect(),
                clock: Some(*clock),
            },
        )
    }

    /// Takes the stored form, checked.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > Self::MAX_RECORD_LEN {
            return Err(CORRUPT);
        }
        let stored: record::ChainState = decode_record(RecordKind::ChainState, bytes)?;
        let kind = u8::try_from(stored.kind).map_err(|_| CORRUPT)?;
        let own = OwnChain {
            chain: ChainId::new(array(&stored.chain)?),
            next: stored.next,
            recent: Recent::from_bytes(&stored.recent).ok_or(CORRUPT)?,
        };
        // The newest that was sent is always among what is kept.
        if own.recent.newest().map_or(Some(0), |(newest, _)| newest.checked_add(1)) != Some(own.next) {
            return Err(CORRUPT);
        }
        let clock = stored.clock.ok_or(CORRUPT)?;
        let mut chains = BTreeMap::new();
        let mut last: Option<ChainKey> = None;
        for chain in &stored.chains {
            let key = (AccountTag::new(array(&chain.owner)?), ChainId::new(array(&chain.chain)?));
            let loaded = peer_chain(chain, clock)?;
            if last >= Some(key) {
                return Err(CORRUPT);
            }
            last = Some(key);
            chains.insert(key, loaded);
        }
        let recent: usize = chains.values().map(|chain| chain.recent.0.len()).sum();
        let ranges: usize = chains.values().map(|chain| chain.missing.0.len()).sum();
        if chains.len() > MAX_CHAINS || recent > MAX_RECENT_IN_ALL || ranges > MAX_RANGES_IN_ALL {
            return Err(CORRUPT);
        }
        let (entries, rest) = stored.unnamed.as_chunks::<48>();
        let unnamed: Vec<ChainKey> = entries
            .iter()
            .map(|entry| {
                let (owner, id) = entry.split_first_chunk::<32>().ok_or(CORRUPT)?;
                Ok((AccountTag::new(*owner), ChainId::new(array(id)?)))
            })
            .collect::<Result<_, RecordError>>()?;
        let mut sorted = unnamed.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if !rest.is_empty() || sorted.len() != unnamed.len() || !sorted.iter().all(|key| chains.contains_key(key)) {
            return Err(CORRUPT);
        }
        Ok(Self {
            me: AccountTag::new(array(&stored.me)?),
            dest: Dest::from_parts(kind, array(&stored.dest)?).ok_or(CORRUPT)?,
            own,
            unnamed: unnamed.into(),
            chains,
            clock,
        })
    }
}

fn peer_chain(stored: &record::PeerChain, clock: u64) -> Result<PeerChain, RecordError> {
    let recent = Recent::from_bytes(&stored.recent).ok_or(CORRUPT)?;
    let missing = Missing::from_bytes(&stored.missing).ok_or(CORRUPT)?;
    let (newest, _) = recent.newest().ok_or(CORRUPT)?;
    // What is missing is behind the newest, and nothing is both there and missing.
    let behind = missing.0.last_key_value().is_none_or(|(to, _)| *to < newest);
    let apart = missing.0.iter().all(|(to, range)| recent.0.range(range.from..=*to).next().is_none());
    if !behind || !apart || stored.used > clock {
        return Err(CORRUPT);
    }
    Ok(PeerChain {
        device: stored.device,
        first: Timestamp::new(stored.first_ms),
        used: stored.used,
        unverifiable: stored.unverifiable,
        recent,
        missing,
    })
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], RecordError> {
    bytes.try_into().map_err(|_| CORRUPT)
}
