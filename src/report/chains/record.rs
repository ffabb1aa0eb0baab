use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::recent::{Missing, Recent};
use super::state::{Bounds, ChainKey, OwnChain, PeerChain};
use crate::ident::Timestamp;
use crate::report::{AccountTag, ChainId, ChainState, Destination};
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind};

const CORRUPT: RecordError = RecordError::Corrupt;

/// In the place of an owner: the account whose state it is.
const MINE: [u8; 1] = [1];

impl ChainState {
    /// Longest stored form, whatever others send: 512 KiB, of a group. Between two phones it is less than 1 KiB, and between
    /// two accounts, whatever they do, less than 32.
    pub const MAX_RECORD_LEN: usize = 512 << 10;

    /// The stored form, unsealed. The same state gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = FieldWriter::record(RecordKind::ChainState, 1024);
        out.bytes(1, self.me.as_bytes());
        out.number(2, self.dest.kind());
        out.bytes(3, self.dest.tag());
        out.message(4, |out| self.own.write(out));
        out.message(5, |out| self.write_others(out));
        out.finish().into()
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
        let mut fields = FieldReader::record(RecordKind::ChainState, bytes)?;
        let me = AccountTag::new(*fields.array(1)?);
        let kind = fields.small(2)?;
        let dest = Destination::from_parts(kind, *fields.array(3)?).ok_or(CORRUPT)?;
        let own = OwnChain::read(fields.some_message(4)?)?;
        let state = Self::start(me, dest, own).with_others(fields.some_message(5)?)?;
        fields.end()?;
        Ok(state)
    }

    /// What is known of others' chains.
    pub(crate) fn write_others(&self, out: &mut FieldWriter) {
        let Self { me, dest, own: _, unnamed, chains, clock } = self;
        // By their places among the chains.
        let places: BTreeMap<&ChainKey, u16> = chains.keys().zip(0..=u16::MAX).collect();
        out.joined(1, |out| {
            for place in unnamed.iter().filter_map(|key| places.get(key)) {
                out.put(&place.to_be_bytes());
            }
        });
        out.optional(2, Some(*clock));
        for ((owner, id), chain) in chains {
            let PeerChain { device, first, used, unverifiable, recent, missing } = chain;
            out.message(3, |out| {
                match dest {
                    Destination::Direct(peer) if owner == peer => {}
                    _ if owner == me => out.bytes(1, &MINE),
                    _ => out.bytes(1, owner.as_bytes()),
                }
                out.bytes(2, id.as_bytes());
                out.number(3, *device);
                out.number(4, first.get());
                out.number(5, clock.saturating_sub(*used));
                out.number(6, *unverifiable);
                out.bytes(7, &recent.to_bytes());
                out.bytes(8, &missing.to_bytes());
            });
        }
    }

    /// The same conversation and chain of one's own, with what was [written](Self::write_others) of others', checked.
    pub(crate) fn with_others(self, mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let Self { me, dest, own, .. } = self;
        let (places, clock) = (fields.bytes(1)?, fields.some_number(2)?);
        let mut chains = BTreeMap::new();
        let mut last: Option<ChainKey> = None;
        while let Some((field, bytes)) = fields.next_bytes()? {
            let (key, chain) = read_chain(&me, &dest, clock, FieldReader::new(bytes))?;
            if field != 3 || last >= Some(key) {
                return Err(CORRUPT);
            }
            last = Some(key);
            chains.insert(key, chain);
        }
        let recent: usize = chains.values().map(|chain| chain.recent.0.len()).sum();
        let ranges: usize = chains.values().map(|chain| chain.missing.0.len()).sum();
        let bounds = Bounds::of(&dest);
        if chains.len() > bounds.chains || recent > bounds.recent || ranges > bounds.ranges {
            return Err(CORRUPT);
        }
        let keys: Vec<ChainKey> = chains.keys().copied().collect();
        let (places, rest) = places.as_chunks::<2>();
        let places: Vec<usize> = places.iter().map(|place| usize::from(u16::from_be_bytes(*place))).collect();
        let unnamed = places.iter().map(|place| keys.get(*place).copied().ok_or(CORRUPT));
        let unnamed = unnamed.collect::<Result<_, RecordError>>()?;
        let mut sorted = places;
        let count = sorted.len();
        sorted.sort_unstable();
        sorted.dedup();
        if !rest.is_empty() || sorted.len() != count {
            return Err(CORRUPT);
        }
        Ok(Self { me, dest, own, unnamed, chains, clock })
    }
}

impl OwnChain {
    pub(crate) fn write(&self, out: &mut FieldWriter) {
        let Self { chain, next, recent } = self;
        out.bytes(1, chain.as_bytes());
        out.number(2, *next);
        out.bytes(3, &recent.to_bytes());
    }

    pub(crate) fn read(mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let (chain, next) = (ChainId::new(*fields.array(1)?), fields.number(2)?);
        let recent = Recent::from_bytes(fields.bytes(3)?).ok_or(CORRUPT)?;
        fields.end()?;
        // The newest that was sent is always among what is kept.
        if recent.newest().map_or(Some(0), |(newest, _)| newest.checked_add(1)) != Some(next) {
            return Err(CORRUPT);
        }
        Ok(Self { chain, next, recent })
    }
}

fn read_chain(
    me: &AccountTag,
    dest: &Destination,
    clock: u64,
    mut fields: FieldReader<'_>,
) -> Result<(ChainKey, PeerChain), RecordError> {
    let owner = match (fields.bytes(1)?, dest) {
        ([], Destination::Direct(peer)) => *peer,
        (bytes, _) if bytes == MINE => *me,
        (bytes, _) => AccountTag::new(bytes.try_into().map_err(|_| CORRUPT)?),
    };
    let id = ChainId::new(*fields.array(2)?);
    let (device, first) = (fields.small(3)?, Timestamp::new(fields.number(4)?));
    let used = clock.checked_sub(fields.number(5)?).ok_or(CORRUPT)?;
    let unverifiable = fields.flag(6)?;
    let recent = Recent::from_bytes(fields.bytes(7)?).ok_or(CORRUPT)?;
    let missing = Missing::from_bytes(fields.bytes(8)?).ok_or(CORRUPT)?;
    fields.end()?;
    let (newest, _) = recent.newest().ok_or(CORRUPT)?;
    // What is missing is behind the newest, and nothing is both there and missing.
    let behind = missing.0.last_key_value().is_none_or(|(to, _)| *to < newest);
    let apart = missing.0.iter().all(|(to, range)| recent.0.range(range.from..=*to).next().is_none());
    if !behind || !apart {
        return Err(CORRUPT);
    }
    Ok(((owner, id), PeerChain { device, first, used, unverifiable, recent, missing }))
}
