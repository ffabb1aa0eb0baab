//! Stored state of the ratchets: typed state into fields, and fields back into checked state.

use alloc::collections::VecDeque;

use super::chain::{Chain, RootKey};
use super::double::{DoubleRatchet, ReceivingChain, SendingChain};
use super::salts::Salts;
use super::skipped_keys::SkippedKeys;
use super::skipped_seeds::{MAX_TIMES, SkippedSeeds};
use super::spqr::Spqr;
use super::{MAX_RECEIVING_CHAINS, TripleRatchet};
use crate::crypto::{Secret, SecretBytes};
use crate::ident::Timestamp;
use crate::suite::Suite;
use crate::wire::{FieldReader, FieldWriter, RecordError, read_key_pair, read_public_key, write_key_pair};

const CORRUPT: RecordError = RecordError::Corrupt;

/// Where the skipped message keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the same record.
    Whole,
    /// In a record of their own.
    Hot,
    /// The same, for whoever only sends: receiving chains stay the bytes that they are.
    Sending,
}

pub(super) fn read_secret(fields: &mut FieldReader<'_>, field: u32) -> Result<Secret<32>, RecordError> {
    Ok(Secret::new(*fields.array(field)?))
}

impl SkippedSeeds {
    fn read(seeds: SkippedKeys, times: &[u8], floor: u32, next: u32) -> Result<Self, RecordError> {
        let (entries, rest) = times.as_chunks::<12>();
        let times: VecDeque<_> = entries
            .iter()
            .map(|[a, b, c, d, at @ ..]| {
                (u32::from_be_bytes([*a, *b, *c, *d]), Timestamp::new(u64::from_be_bytes(*at)))
            })
            .collect();
        let mut pairs = times.iter().zip(times.iter().skip(1));
        let ascending = pairs.all(|((a, at), (b, bt))| a < b && at <= bt);
        let whole = rest.is_empty() && ascending && times.len() <= MAX_TIMES;
        if whole && seeds.within(floor, next) && floor <= next {
            Ok(Self { seeds, floor, times })
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
            for (upto, at) in &skipped.times {
                out.put(&upto.to_be_bytes());
                out.put(&at.get().to_be_bytes());
            }
        });
        out.bytes(7, salts.as_bytes());
        out.number(8, elsewhere.map_or(0, |away| away.count.get()));
        out.number(9, elsewhere.map_or(0, |away| away.first));
    }

    fn read(form: Form, mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let ratchet = read_public_key(&mut fields, 1)?;
        let chain = Chain { key: read_secret(&mut fields, 2)?, index: fields.small(3)? };
        let floor = fields.small(4)?;
        let (seeds, times, salts) = (fields.bytes(5)?, fields.bytes(6)?, fields.bytes(7)?);
        let seeds = SkippedKeys::read(form, seeds, fields.small(8)?, fields.small(9)?)?;
        fields.end()?;
        let skipped = SkippedSeeds::read(seeds, times, floor, chain.index)?;
        Ok(Self { ratchet, chain, skipped, salts: Salts::read(salts).ok_or(CORRUPT)? })
    }
}

impl DoubleRatchet {
    fn write(&self, form: Form, out: &mut FieldWriter) {
        let Self { root, sending, previous_counter, receiving, unread } = self;
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
        out.put(unread);
    }

    fn read(form: Form, mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let root = RootKey(read_secret(&mut fields, 1)?);
        let mut sending = fields.some_message(2)?;
        let ratchet = read_key_pair(&mut sending, 1)?;
        let chain = Chain { key: read_secret(&mut sending, 2)?, index: sending.small(3)? };
        sending.end()?;
        let previous_counter = fields.small(3)?;
        let sending = SendingChain { ratchet, chain };
        let (receiving, unread) = match form {
            Form::Whole | Form::Hot => (Self::read_chains(form, fields)?, SecretBytes::default()),
            Form::Sending => (VecDeque::new(), SecretBytes::new(fields.rest().to_vec())),
        };
        Ok(Self { root, sending, previous_counter, receiving, unread })
    }

    fn read_chains(form: Form, mut fields: FieldReader<'_>) -> Result<VecDeque<ReceivingChain>, RecordError> {
        let mut receiving = VecDeque::with_capacity(MAX_RECEIVING_CHAINS + 1);
        while let Some(chain) = fields.message(4)? {
            if receiving.len() == MAX_RECEIVING_CHAINS {
                return Err(CORRUPT);
            }
            receiving.push_back(ReceivingChain::read(form, chain)?);
        }
        fields.end()?;
        Ok(receiving)
    }

    /// Reads the receiving chains, if they were left [unread](Form::Sending).
    pub(super) fn bring_chains(&mut self) -> Result<(), RecordError> {
        if !self.unread.is_empty() {
            self.receiving = Self::read_chains(Form::Hot, FieldReader::new(&self.unread))?;
            self.unread = SecretBytes::default();
        }
        Ok(())
    }
}

impl TripleRatchet {
    /// Writes both ratchets into two fields.
    pub(crate) fn write(&self, form: Form, out: &mut FieldWriter, double: u32, spqr: u32) {
        out.message(double, |out| self.double.write(form, out));
        out.message(spqr, |out| self.spqr.write(form, out));
    }

    /// What lies apart of them, for behind the record.
    pub(crate) fn tail(&self) -> impl Iterator<Item = &[u8]> {
        self.spqr.tail()
    }

    /// Reads both, checked. What lies apart of them is in `tail`.
    pub(crate) fn read(
        form: Form,
        suite: Suite,
        fields: &mut FieldReader<'_>,
        double: u32,
        spqr: u32,
        tail: &[u8],
    ) -> Result<Self, RecordError> {
        let double = DoubleRatchet::read(form, fields.some_message(double)?)?;
        let spqr = Spqr::read(form, fields.some_message(spqr)?, tail)?;
        Ok(Self { suite, double, spqr })
    }
}
