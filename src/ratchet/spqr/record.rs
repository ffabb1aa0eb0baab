use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::authenticator::Authenticator;
use super::braid::{Braid, Encapsulation, State};
use super::chain::{PqChain, PqChains, PqEpoch};
use super::chunk::Decoder;
use super::long::{AHEAD, Long, Outgoing};
use super::sums::Data;
use super::{Spqr, Undo};
use crate::crypto::braid_kem::{CT1_LEN, DecapsulationKey, VECTOR_LEN};
use crate::crypto::{Apart, Secret};
use crate::ratchet::record::{Form, read_secret};
use crate::ratchet::skipped_keys::SkippedKeys;
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
    /// Chunks of what is being sent that were made ahead.
    ahead: Option<&'a VecDeque<Data>>,
    /// What lies apart, in the order of the fields.
    apart: [Option<&'a Apart>; 2],
}

impl<'a> Stored<'a> {
    fn with_vector(self, vector: &'a Long<VECTOR_LEN>) -> Self {
        let [_, ct1] = self.apart;
        match vector.apart() {
            Some(apart) => Self { apart: [Some(apart), ct1], ..self },
            None => Self { vector: &vector.get()[..], ..self },
        }
    }

    fn with_ct1(self, ct1: &'a Long<CT1_LEN>) -> Self {
        let [vector, _] = self.apart;
        match ct1.apart() {
            Some(apart) => Self { apart: [vector, Some(apart)], ..self },
            None => Self { ct1: &ct1.get()[..], ..self },
        }
    }

    fn sending_vector(self, vector: &'a Outgoing<VECTOR_LEN>) -> Self {
        Self { next: vector.next, ahead: Some(&vector.ahead), ..self }.with_vector(&vector.bytes)
    }

    fn sending_ct1(self, ct1: &'a Outgoing<CT1_LEN>) -> Self {
        Self { next: ct1.next, ahead: Some(&ct1.ahead), ..self }.with_ct1(&ct1.bytes)
    }
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
            Self::KeysSampled { key, vector, mac, next } => {
                (Stored { state: 2, key: key.stored(), mac, next: *next, ..none }.with_vector(vector), &[])
            }
            Self::HeaderSent { key, vector, ct1 } => {
                (Stored { state: 3, key: key.stored(), ..none }.sending_vector(vector), ct1.chunks())
            }
            Self::Ct1Received { key, vector, ct1 } => {
                (Stored { state: 4, key: key.stored(), ..none }.sending_vector(vector).with_ct1(ct1), &[])
            }
            Self::EkSentCt1Received { key, ct1, ct2 } => {
                (Stored { state: 5, key: key.stored(), ..none }.with_ct1(ct1), ct2.chunks())
            }
            Self::NoHeaderReceived { header } => (Stored { state: 6, ..none }, header.chunks()),
            Self::HeaderReceived { header } => (Stored { state: 7, header, ..none }, &[]),
            Self::Ct1Sampled { encaps, ct1, vector } => {
                let (header, m) = encaps.stored();
                (Stored { state: 8, header, m, ..none }.sending_ct1(ct1), vector.chunks())
            }
            Self::EkReceivedCt1Sampled { encaps, ct1, vector } => {
                let (header, m) = encaps.stored();
                (Stored { state: 9, header, m, ..none }.sending_ct1(ct1).with_vector(vector), &[])
            }
            Self::Ct1Acknowledged { encaps, vector } => {
                let (header, m) = encaps.stored();
                (Stored { state: 10, header, m, ..none }, vector.chunks())
            }
            Self::Ct2Sampled { ct2, mac, next } => (Stored { state: 11, ct2: &ct2[..], mac, next: *next, ..none }, &[]),
        }
    }

    /// Takes a state from its fields. What another state would hold is read over, but for what lies apart.
    fn restore(stored: &Stored<'_>, key: &[u8], received: &[u8], mut apart: Tail<'_>) -> Result<Self, RecordError> {
        let Stored { state, next, key: _, header, vector, ct1, ct2, mac, m, ahead: _, apart: _ } = *stored;
        let key = || DecapsulationKey::from_slice(key).ok_or(CORRUPT);
        let encaps = || -> Result<Encapsulation, RecordError> {
            Ok(Encapsulation { header: array(header)?, m: Secret::from_slice(m).ok_or(CORRUPT)? })
        };
        let ahead = apart.ahead.iter().copied().collect();
        let restored = match state {
            1 => Self::KeysUnsampled,
            2 => Self::KeysSampled { key: key()?, vector: apart.long(vector)?, mac: array(mac)?, next },
            3 => {
                let vector = Outgoing { bytes: apart.long(vector)?, next, ahead };
                Self::HeaderSent { key: key()?, vector, ct1: decoder(received)? }
            }
            4 => {
                let vector = Outgoing { bytes: apart.long(vector)?, next, ahead };
                Self::Ct1Received { key: key()?, vector, ct1: apart.long(ct1)? }
            }
            5 => Self::EkSentCt1Received { key: key()?, ct1: apart.long(ct1)?, ct2: decoder(received)? },
            6 => Self::NoHeaderReceived { header: decoder(received)? },
            7 => Self::HeaderReceived { header: array(header)? },
            8 => {
                let ct1 = Outgoing { bytes: apart.long(ct1)?, next, ahead };
                Self::Ct1Sampled { encaps: encaps()?, ct1, vector: decoder(received)? }
            }
            9 => {
                let vector = apart.long(vector)?;
                let ct1 = Outgoing { bytes: apart.long(ct1)?, next, ahead };
                Self::EkReceivedCt1Sampled { encaps: encaps()?, ct1, vector }
            }
            10 => Self::Ct1Acknowledged { encaps: encaps()?, vector: decoder(received)? },
            11 => Self::Ct2Sampled { ct2: boxed(ct2)?, mac: array(mac)?, next },
            _ => return Err(CORRUPT),
        };
        if apart.is_used_up() { Ok(restored) } else { Err(CORRUPT) }
    }
}

/// What is read of that which lies apart: keys and chunks from the record, the rest from behind it.
struct Tail<'a> {
    keys: &'a [[u8; 32]],
    ahead: &'a [Data],
    tail: &'a [u8],
}

impl<'a> Tail<'a> {
    fn read(keys: &'a [u8], ahead: &'a [u8], tail: &'a [u8]) -> Result<Self, RecordError> {
        match (keys.as_chunks(), ahead.as_chunks()) {
            ((keys, []), (ahead, [])) if ahead.len() <= AHEAD => Ok(Self { keys, ahead, tail }),
            _ => Err(CORRUPT),
        }
    }

    /// The next of it, unless it is in the record.
    fn long<const N: usize>(&mut self, inline: &[u8]) -> Result<Long<N>, RecordError> {
        if !inline.is_empty() {
            return boxed(inline).map(Long::from);
        }
        let (key, keys) = self.keys.split_first().ok_or(CORRUPT)?;
        let (sealed, tail) = self.tail.split_at_checked(Long::<N>::SEALED_LEN).ok_or(CORRUPT)?;
        (self.keys, self.tail) = (keys, tail);
        Ok(Long::Apart(Apart::new(key, sealed)))
    }

    const fn is_used_up(&self) -> bool {
        self.keys.is_empty() && self.tail.is_empty()
    }
}

impl Braid {
    fn write(&self, out: &mut FieldWriter) {
        let (authenticator, state) = self.parts();
        let (root, mac_key) = authenticator.keys();
        let (stored, received) = state.stored();
        let Stored { state, next, key, header, vector, ct1, ct2, mac, m, ahead, apart } = stored;
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
        out.joined(14, |out| apart.iter().flatten().for_each(|apart| out.put(apart.key().expose())));
        out.joined(15, |out| ahead.into_iter().flatten().for_each(|data| out.put(data)));
    }

    fn read(mut fields: FieldReader<'_>, tail: &[u8]) -> Result<Self, RecordError> {
        let (state, epoch) = (fields.small(1)?, fields.number(2)?);
        let authenticator = Authenticator::from_keys(read_secret(&mut fields, 3)?, read_secret(&mut fields, 4)?);
        let (next, received, key) = (fields.small(5)?, fields.bytes(6)?, fields.bytes(7)?);
        let stored = Stored {
            state,
            next,
            header: fields.bytes(8)?,
            vector: fields.bytes(9)?,
            ct1: fields.bytes(10)?,
            ct2: fields.bytes(11)?,
            mac: fields.bytes(12)?,
            m: fields.bytes(13)?,
            ..Stored::default()
        };
        let apart = Tail::read(fields.bytes(14)?, fields.bytes(15)?, tail)?;
        fields.end()?;
        if !(1..MAX_EPOCH).contains(&epoch) {
            return Err(CORRUPT);
        }
        Ok(Self::from_parts(epoch, authenticator, State::restore(&stored, key, received, apart)?))
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
        if let Some(sending) = self.sending() {
            out.message(2, |out| sending.write(out));
        }
        out.message(3, |out| self.receiving.write(out));
        self.skipped.write(form, out, 4);
        out.number(5, elsewhere.map_or(0, |away| away.count.get()));
        out.number(6, elsewhere.map_or(0, |away| away.first));
    }

    fn read(form: Form, mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let epoch = fields.number(1)?;
        let sending = fields.message(2)?.map(PqChain::read).transpose()?;
        let receiving = PqChain::read(fields.some_message(3)?)?;
        let skipped = SkippedKeys::read(form, fields.bytes(4)?, fields.small(5)?, fields.small(6)?)?;
        fields.end()?;
        if !skipped.within(0, receiving.index) {
            return Err(CORRUPT);
        }
        Ok(Self::new(epoch, sending, receiving, skipped))
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

    /// What lies apart, for behind the record.
    pub(crate) fn tail(&self) -> impl Iterator<Item = &[u8]> {
        self.braid.parts().1.stored().0.apart.into_iter().flatten().map(Apart::sealed)
    }

    /// Reads the stored form, checked: braid and chains must be of the same moment.
    pub(crate) fn read(form: Form, mut fields: FieldReader<'_>, tail: &[u8]) -> Result<Self, RecordError> {
        let initiator = fields.flag(1)?;
        let braid = Braid::read(fields.some_message(2)?, tail)?;
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
