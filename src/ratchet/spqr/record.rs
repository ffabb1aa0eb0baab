use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::authenticator::Authenticator;
use super::braid::{Braid, Encapsulation, State};
use super::chain::{PqChain, PqChains, PqEpoch};
use super::chunk::Decoder;
use super::{Spqr, Undo};
use crate::crypto::Secret;
use crate::crypto::braid_kem::DecapsulationKey;
use crate::ratchet::kept::Kept;
use crate::ratchet::record::{Form, read_secret};
use crate::wire::{CHUNK_LEN, Chunk, FieldReader, FieldWriter, RecordError};

const CORRUPT: RecordError = RecordError::Corrupt;

/// Beyond any epoch that a session can reach, and far from where adding one overflows.
const MAX_EPOCH: u64 = 1 << 62;

/// Chains of the newest epochs that are held.
const MAX_EPOCHS: usize = 3;

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], RecordError> {
    bytes.try_into().map_err(|_| CORRUPT)
}

fn boxed<const N: usize>(bytes: &[u8]) -> Result<Box<[u8; N]>, RecordError> {
    Box::<[u8]>::from(bytes).try_into().map_err(|_| CORRUPT)
}

/// (big-endian index ‖ 32 bytes)*, in order of arrival.
fn decoder<const N: usize>(bytes: &[u8]) -> Result<Decoder<N>, RecordError> {
    let (chunks, rest) = bytes.as_chunks::<{ 2 + CHUNK_LEN }>();
    let chunk =
        |[high, low, data @ ..]: &[u8; 2 + CHUNK_LEN]| Chunk { index: u16::from_be_bytes([*high, *low]), data: *data };
    let decoder = Decoder::from_chunks(chunks.iter().map(chunk).collect());
    decoder.filter(|_| rest.is_empty()).ok_or(CORRUPT)
}

/// What is stored of a state; which fields are there follows from its number.
#[derive(Default)]
struct Stored<'a> {
    state: u8,
    next: u16,
    /// What is written of a key, in two parts. It is read in one, which is not here.
    key: [&'a [u8]; 2],
    header: &'a [u8],
    vector: &'a [u8],
    ct1: &'a [u8],
    ct2: &'a [u8],
    mac: &'a [u8],
    m: &'a [u8],
}

impl Encapsulation {
    fn stored(&self) -> (&[u8], &[u8]) {
        (&self.header, self.m.expose())
    }
}

impl State {
    /// With the chunks that it has received.
    fn stored(&self) -> (Stored<'_>, &[Chunk]) {
        let none = Stored::default();
        match self {
            Self::KeysUnsampled => (Stored { state: 1, ..none }, &[]),
            Self::KeysSampled { key, mac, next } => {
                (Stored { state: 2, key: key.stored(), mac, next: *next, ..none }, &[])
            }
            Self::HeaderSent { key, next, ct1 } => {
                (Stored { state: 3, key: key.stored(), next: *next, ..none }, ct1.chunks())
            }
            Self::Ct1Received { key, next, ct1 } => {
                (Stored { state: 4, key: key.stored(), next: *next, ct1: &ct1[..], ..none }, &[])
            }
            Self::EkSentCt1Received { key, ct1, ct2 } => {
                (Stored { state: 5, key: key.stored(), ct1: &ct1[..], ..none }, ct2.chunks())
            }
            Self::NoHeaderReceived { header } => (Stored { state: 6, ..none }, header.chunks()),
            Self::HeaderReceived { header } => (Stored { state: 7, header, ..none }, &[]),
            Self::Ct1Sampled { encaps, ct1, next, vector } => {
                let (header, m) = encaps.stored();
                (Stored { state: 8, header, m, ct1: &ct1[..], next: *next, ..none }, vector.chunks())
            }
            Self::EkReceivedCt1Sampled { encaps, ct1, next, vector } => {
                let (header, m) = encaps.stored();
                (Stored { state: 9, header, m, ct1: &ct1[..], next: *next, vector: &vector[..], ..none }, &[])
            }
            Self::Ct1Acknowledged { encaps, vector } => {
                let (header, m) = encaps.stored();
                (Stored { state: 10, header, m, ..none }, vector.chunks())
            }
            Self::Ct2Sampled { ct2, mac, next } => (Stored { state: 11, ct2: &ct2[..], mac, next: *next, ..none }, &[]),
        }
    }

    /// Takes a state from its fields. What another state would hold is read over.
    fn restore(stored: &Stored<'_>, key: &[u8], received: &[u8]) -> Result<Self, RecordError> {
        let Stored { state, next, key: _, header, vector, ct1, ct2, mac, m } = *stored;
        let key = || DecapsulationKey::from_slice(key).ok_or(CORRUPT);
        let encaps = || -> Result<Encapsulation, RecordError> {
            Ok(Encapsulation { header: array(header)?, m: Secret::from_slice(m).ok_or(CORRUPT)? })
        };
        Ok(match state {
            1 => Self::KeysUnsampled,
            2 => Self::KeysSampled { key: key()?, mac: array(mac)?, next },
            3 => Self::HeaderSent { key: key()?, next, ct1: decoder(received)? },
            4 => Self::Ct1Received { key: key()?, next, ct1: boxed(ct1)? },
            5 => Self::EkSentCt1Received { key: key()?, ct1: boxed(ct1)?, ct2: decoder(received)? },
            6 => Self::NoHeaderReceived { header: decoder(received)? },
            7 => Self::HeaderReceived { header: array(header)? },
            8 => Self::Ct1Sampled { encaps: encaps()?, ct1: boxed(ct1)?, next, vector: decoder(received)? },
            9 => Self::EkReceivedCt1Sampled { encaps: encaps()?, ct1: boxed(ct1)?, next, vector: boxed(vector)? },
            10 => Self::Ct1Acknowledged { encaps: encaps()?, vector: decoder(received)? },
            11 => Self::Ct2Sampled { ct2: boxed(ct2)?, mac: array(mac)?, next },
            _ => return Err(CORRUPT),
        })
    }
}

impl Braid {
    fn write(&self, out: &mut FieldWriter) {
        let (authenticator, state) = self.parts();
        let (root, mac_key) = authenticator.keys();
        let (Stored { state, next, key, header, vector, ct1, ct2, mac, m }, received) = state.stored();
        out.number(1, state);
        out.number(2, self.epoch());
        out.bytes(3, root.expose());
        out.bytes(4, mac_key.expose());
        out.number(5, next);
        out.joined(6, |out| {
            for chunk in received {
                out.put(&chunk.index.to_be_bytes());
                out.put(&chunk.data);
            }
        });
        out.joined(7, |out| key.iter().for_each(|part| out.put(part)));
        out.bytes(8, header);
        out.bytes(9, vector);
        out.bytes(10, ct1);
        out.bytes(11, ct2);
        out.bytes(12, mac);
        out.bytes(13, m);
    }

    fn read(mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let (state, epoch) = (fields.small(1)?, fields.number(2)?);
        let authenticator = Authenticator::from_keys(read_secret(&mut fields, 3)?, read_secret(&mut fields, 4)?);
        let (next, received, key) = (fields.small(5)?, fields.bytes(6)?, fields.bytes(7)?);
        let stored = Stored {
            state,
            next,
            key: [&[]; 2],
            header: fields.bytes(8)?,
            vector: fields.bytes(9)?,
            ct1: fields.bytes(10)?,
            ct2: fields.bytes(11)?,
            mac: fields.bytes(12)?,
            m: fields.bytes(13)?,
        };
        fields.end()?;
        if !(1..MAX_EPOCH).contains(&epoch) {
            return Err(CORRUPT);
        }
        Ok(Self::from_parts(epoch, authenticator, State::restore(&stored, key, received)?))
    }
}

impl PqChain {
    fn write(&self, out: &mut FieldWriter) {
        out.bytes(1, self.key.expose());
        out.number(2, self.index);
    }

    fn read(mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let chain = Self { key: read_secret(&mut fields, 1)?, index: fields.small(2)? };
        fields.end()?;
        Ok(chain)
    }
}

impl PqEpoch {
    fn write(&self, form: Form, out: &mut FieldWriter) {
        let elsewhere = self.skipped.elsewhere(form);
        out.number(1, self.epoch);
        if let Some(sending) = &self.sending {
            out.message(2, |out| sending.write(out));
        }
        out.message(3, |out| self.receiving.write(out));
        self.skipped.write(form, out, 4);
        out.number(5, elsewhere.map_or(0, |away| away.count));
        out.number(6, elsewhere.map_or(0, |away| away.first));
    }

    fn read(form: Form, mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let epoch = fields.number(1)?;
        let sending = fields.message(2)?.map(PqChain::read).transpose()?;
        let receiving = PqChain::read(fields.some_message(3)?)?;
        let skipped = Kept::read(form, fields.bytes(4)?, fields.small(5)?, fields.small(6)?)?;
        fields.end()?;
        if !skipped.within(0, receiving.index) {
            return Err(CORRUPT);
        }
        Ok(Self { epoch, sending, receiving, skipped })
    }
}

impl PqChains {
    fn write(&self, form: Form, out: &mut FieldWriter) {
        out.bytes(1, self.next_root.expose());
        out.number(2, self.sending_epoch);
        for epoch in &self.epochs {
            out.message(3, |out| epoch.write(form, out));
        }
    }

    fn read(form: Form, initiator: bool, mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let (next_root, sending_epoch) = (read_secret(&mut fields, 1)?, fields.number(2)?);
        let mut epochs = VecDeque::<PqEpoch>::with_capacity(MAX_EPOCHS + 1);
        while let Some(epoch) = fields.message(3)? {
            let epoch = PqEpoch::read(form, epoch)?;
            let follows = epochs.back().is_none_or(|last| last.epoch.checked_add(1) == Some(epoch.epoch));
            if !follows || epochs.len() == MAX_EPOCHS {
                return Err(CORRUPT);
            }
            epochs.push_back(epoch);
        }
        fields.end()?;
        if epochs.is_empty() { Err(CORRUPT) } else { Ok(Self { initiator, next_root, sending_epoch, epochs }) }
    }
}

impl Undo {
    fn write(&self, out: &mut FieldWriter) {
        let (root, mac_key) = self.authenticator.keys();
        out.bytes(1, root.expose());
        out.bytes(2, mac_key.expose());
        out.bytes(3, self.next_root.expose());
    }

    fn read(mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let authenticator = Authenticator::from_keys(read_secret(&mut fields, 1)?, read_secret(&mut fields, 2)?);
        let next_root = read_secret(&mut fields, 3)?;
        fields.end()?;
        Ok(Self { authenticator, next_root })
    }
}

impl Spqr {
    /// Writes the stored form.
    pub(crate) fn write(&self, form: Form, out: &mut FieldWriter) {
        let Self { braid, chains, undo } = self;
        out.number(1, chains.initiator);
        out.message(2, |out| braid.write(out));
        out.message(3, |out| chains.write(form, out));
        if let Some(undo) = undo {
            out.message(4, |out| undo.write(out));
        }
    }

    /// Reads the stored form, checked: braid and chains must be of the same moment.
    pub(crate) fn read(form: Form, mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let initiator = fields.flag(1)?;
        let braid = Braid::read(fields.some_message(2)?)?;
        let chains = PqChains::read(form, initiator, fields.some_message(3)?)?;
        let undo = fields.message(4)?.map(Undo::read).transpose()?;
        fields.end()?;
        // An epoch's chains exist once its key is known: on one side when ct1 is made, on the other when the
        // exchange ends.
        let newest = if braid.knows_key() { braid.epoch() } else { braid.chain_epoch() };
        let of_one_moment = chains.newest_epoch() == newest && chains.sending_epoch <= braid.chain_epoch();
        if !of_one_moment || undo.is_some() != braid.knows_key() {
            return Err(CORRUPT);
        }
        Ok(Self { braid, chains, undo })
    }
}
