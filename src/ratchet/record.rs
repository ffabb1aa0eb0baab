//! Stored state of the ratchets: typed state into fields, and fields back into checked state.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::chain::{Chain, RootKey};
use super::double::{DoubleRatchet, ReceivingChain, SendingChain};
use super::kept::{Away, Kept};
use super::salts::Salts;
use super::skipped::{MAX_MARKS, Skipped, max_skipped};
use super::spqr::Spqr;
use super::{MAX_RECEIVING_CHAINS, TripleRatchet};
use crate::crypto::{Secret, SecretBytes};
use crate::ident::Timestamp;
use crate::suite::Suite;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind, read_key_pair, read_public_key, write_key_pair};

const CORRUPT: RecordError = RecordError::Corrupt;

/// Length of a kept key with its index.
const KEPT_LEN: usize = 4 + 32;

/// Where the keys kept for late messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the same record.
    Whole,
    /// In a record of their own.
    Hot,
}

impl Kept {
    /// What of the keys is elsewhere, in a record of this form.
    pub(super) fn elsewhere(&self, form: Form) -> Option<Away> {
        self.summary().filter(|_| form == Form::Hot)
    }

    /// (big-endian index ‖ 32-byte key)*, ascending; nothing if they are elsewhere.
    pub(super) fn write(&self, form: Form, out: &mut FieldWriter, field: u32) {
        if form == Form::Whole {
            self.write_keys(out, field);
        }
    }

    pub(super) fn write_keys(&self, out: &mut FieldWriter, field: u32) {
        out.joined(field, |out| {
            for (index, key) in self.keys() {
                out.put(&index.to_be_bytes());
                out.put(key.expose());
            }
        });
    }

    pub(super) fn read(form: Form, keys: &[u8], count: u32, first: u32) -> Result<Self, RecordError> {
        let in_bounds = usize::try_from(count).is_ok_and(|count| count <= max_skipped());
        match form {
            Form::Whole if count == 0 && first == 0 => Ok(Self::from_keys(split_keys(keys)?)),
            Form::Hot if keys.is_empty() && in_bounds && (count > 0 || first == 0) => Ok(Self::from_away(count, first)),
            _ => Err(CORRUPT),
        }
    }

    /// Takes keys that were away.
    pub(super) fn attach(&mut self, keys: &[u8]) -> Result<(), RecordError> {
        self.bring(split_keys(keys)?).ok_or(CORRUPT)
    }

    /// Whether all are below `next` and none is below `floor`.
    pub(super) fn within(&self, floor: u32, next: u32) -> bool {
        self.keys().keys().copied().chain(self.first()).all(|index| (floor..next).contains(&index))
    }
}

fn split_keys(bytes: &[u8]) -> Result<Vec<(u32, Secret<32>)>, RecordError> {
    let (entries, rest) = bytes.as_chunks::<KEPT_LEN>();
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

pub(super) fn read_secret(fields: &mut FieldReader<'_>, field: u32) -> Result<Secret<32>, RecordError> {
    Ok(Secret::new(*fields.array(field)?))
}

impl Skipped {
    fn read(seeds: Kept, marks: &[u8], floor: u32, next: u32) -> Result<Self, RecordError> {
        let (entries, rest) = marks.as_chunks::<12>();
        let marks: VecDeque<_> = entries
            .iter()
            .map(|[a, b, c, d, at @ ..]| {
                (u32::from_be_bytes([*a, *b, *c, *d]), Timestamp::new(u64::from_be_bytes(*at)))
            })
            .collect();
        let mut pairs = marks.iter().zip(marks.iter().skip(1));
        let ascending = pairs.all(|((a, at), (b, bt))| a < b && at <= bt);
        let whole = rest.is_empty() && ascending && marks.len() <= MAX_MARKS;
        if whole && seeds.within(floor, next) && floor <= next {
            Ok(Self { seeds, floor, marks })
        } else {
            Err(CORRUPT)
        }
    }
}

impl ReceivingChain {
    fn write(&self, form: Form, out: &mut FieldWriter) {
        let Self { ratchet, chain, skipped, salts } = self;
        let elsewhere = skipped.seeds.elsewhere(form);
        out.bytes(1, &ratchet.to_bytes());
        out.bytes(2, chain.key.expose());
        out.number(3, chain.index);
        out.number(4, skipped.floor);
        skipped.seeds.write(form, out, 5);
        out.joined(6, |out| {
            for (upto, at) in &skipped.marks {
                out.put(&upto.to_be_bytes());
                out.put(&at.get().to_be_bytes());
            }
        });
        out.bytes(7, salts.as_bytes());
        out.number(8, elsewhere.map_or(0, |away| away.count));
        out.number(9, elsewhere.map_or(0, |away| away.first));
    }

    fn read(form: Form, mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let ratchet = read_public_key(&mut fields, 1)?;
        let chain = Chain { key: read_secret(&mut fields, 2)?, index: fields.small(3)? };
        let floor = fields.small(4)?;
        let (seeds, marks, salts) = (fields.bytes(5)?, fields.bytes(6)?, fields.bytes(7)?);
        let seeds = Kept::read(form, seeds, fields.small(8)?, fields.small(9)?)?;
        fields.end()?;
        let skipped = Skipped::read(seeds, marks, floor, chain.index)?;
        Ok(Self { ratchet, chain, skipped, salts: Salts::read(salts).ok_or(CORRUPT)? })
    }
}

impl DoubleRatchet {
    fn write(&self, form: Form, out: &mut FieldWriter) {
        let Self { root, sending, previous_counter, receiving } = self;
        out.bytes(1, root.0.expose());
        out.message(2, |out| {
            write_key_pair(out, 1, &sending.ratchet);
            out.bytes(2, sending.chain.key.expose());
            out.number(3, sending.chain.index);
        });
        out.number(3, *previous_counter);
        for chain in receiving {
            out.message(4, |out| chain.write(form, out));
        }
    }

    fn read(form: Form, mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let root = RootKey(read_secret(&mut fields, 1)?);
        let mut sending = fields.some_message(2)?;
        let ratchet = read_key_pair(&mut sending, 1)?;
        let chain = Chain { key: read_secret(&mut sending, 2)?, index: sending.small(3)? };
        sending.end()?;
        let previous_counter = fields.small(3)?;
        let mut receiving = VecDeque::with_capacity(MAX_RECEIVING_CHAINS + 1);
        while let Some(chain) = fields.message(4)? {
            if receiving.len() == MAX_RECEIVING_CHAINS {
                return Err(CORRUPT);
            }
            receiving.push_back(ReceivingChain::read(form, chain)?);
        }
        fields.end()?;
        Ok(Self { root, sending: SendingChain { ratchet, chain }, previous_counter, receiving })
    }
}

impl TripleRatchet {
    /// Writes both ratchets into two fields.
    pub(crate) fn write(&self, form: Form, out: &mut FieldWriter, double: u32, spqr: u32) {
        out.message(double, |out| self.double.write(form, out));
        out.message(spqr, |out| self.spqr.write(form, out));
    }

    /// Reads both, checked.
    pub(crate) fn read(
        form: Form,
        suite: Suite,
        fields: &mut FieldReader<'_>,
        double: u32,
        spqr: u32,
    ) -> Result<Self, RecordError> {
        let double = DoubleRatchet::read(form, fields.some_message(double)?)?;
        let spqr = Spqr::read(form, fields.some_message(spqr)?)?;
        Ok(Self { suite, double, spqr })
    }

    /// The keys kept for late messages, as a record apart from [`Form::Hot`]; `None` if there are none.
    pub(crate) fn kept_record(&self) -> Option<SecretBytes> {
        let chains = || self.double.receiving.iter().filter(|held| held.skipped.seeds.len() > 0);
        let epochs = || self.spqr.kept().filter(|(_, kept)| kept.len() > 0);
        let count = chains().count() + epochs().count();
        if count == 0 {
            return None;
        }
        let keys: usize =
            chains().map(|held| held.skipped.seeds.len()).chain(epochs().map(|(_, kept)| kept.len())).sum();
        let mut out = FieldWriter::record(RecordKind::Kept, keys * KEPT_LEN + count * 48 + 8);
        for held in chains() {
            out.message(1, |out| {
                out.bytes(1, &held.ratchet.to_bytes());
                held.skipped.seeds.write_keys(out, 2);
            });
        }
        for (epoch, kept) in epochs() {
            out.message(2, |out| {
                out.number(1, epoch);
                kept.write_keys(out, 2);
            });
        }
        out.number(3, u64::try_from(count).unwrap_or(u64::MAX));
        Some(out.finish())
    }

    /// Gives up the keys that were away.
    pub(crate) fn lose_kept(&mut self) {
        for held in &mut self.double.receiving {
            held.skipped.seeds.lose();
        }
        self.spqr.kept_mut().for_each(|(_, kept)| kept.lose());
    }

    /// Takes the keys that were away. A chain or an epoch that is here no more loses its keys.
    pub(crate) fn attach_kept(&mut self, record: &[u8]) -> Result<(), RecordError> {
        let mut fields = FieldReader::record(RecordKind::Kept, record)?;
        let mut count = 0u64;
        while let Some(mut chain) = fields.message(1)? {
            let (ratchet, keys) = (chain.bytes(1)?, chain.bytes(2)?);
            chain.end()?;
            let mut receiving = self.double.receiving.iter_mut();
            if let Some(held) = receiving.find(|held| ratchet == held.ratchet.to_bytes()) {
                held.skipped.seeds.attach(keys)?;
            }
            count += 1;
        }
        while let Some(mut kept) = fields.message(2)? {
            let (epoch, keys) = (kept.number(1)?, kept.bytes(2)?);
            kept.end()?;
            if let Some((_, held)) = self.spqr.kept_mut().find(|(held, _)| *held == epoch) {
                held.attach(keys)?;
            }
            count += 1;
        }
        let whole = fields.number(3)? == count;
        fields.end()?;
        if whole && !self.kept_is_away() { Ok(()) } else { Err(CORRUPT) }
    }
}
