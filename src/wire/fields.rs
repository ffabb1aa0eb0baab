//! Protobuf fields written and read in ascending order, straight between bytes and typed state.
//!
//! What changes with every message is stored with every message: structs between the bytes and the state, filled, copied
//! and wiped each time, cost several times what the ratchet does.
//!
//! A reader asks for the fields in the order in which the writer wrote them. So it takes one encoding of a thing: fields
//! in another order, twice, unknown ones and longer spellings of numbers are found where another field should stand.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::stored::{RecordError, RecordKind, SCHEMA};

/// Wire types of protobuf.
const VARINT: u8 = 0;
const DELIMITED: u8 = 2;

/// The key of a field. Numbers 1 to 15 have keys of one byte, and no others are used here.
const fn key(field: u8, wire_type: u8) -> u8 {
    debug_assert!(0 < field && field < 16, "a key of one byte");
    (field << 3) | wire_type
}

/// Fields while they are written, in a buffer that leaves no copy behind when it grows or is dropped.
pub(crate) struct FieldWriter(Zeroizing<Vec<u8>>);

impl FieldWriter {
    /// With room for so many bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    /// A record: `u8 kind ‖ u16 schema version ‖ fields`, with room for so many bytes.
    pub(crate) fn record(kind: RecordKind, capacity: usize) -> Self {
        let mut out = Self::with_capacity(3 + capacity);
        out.put(&[kind.number()]);
        out.put(&SCHEMA.to_be_bytes());
        out
    }

    /// What was written.
    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// A number; none if it is 0.
    pub(crate) fn number(&mut self, field: u8, value: impl Into<u64>) {
        self.optional(field, Some(value.into()).filter(|value| *value != 0));
    }

    /// A number that may be missing, and may be 0.
    pub(crate) fn optional(&mut self, field: u8, value: Option<impl Into<u64>>) {
        if let Some(value) = value {
            self.put(&[key(field, VARINT)]);
            self.varint(value.into());
        }
    }

    /// Bytes; none if they are empty.
    pub(crate) fn bytes(&mut self, field: u8, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.some_bytes(field, bytes);
        }
    }

    /// Bytes, even if they are empty.
    pub(crate) fn some_bytes(&mut self, field: u8, bytes: &[u8]) {
        self.put(&[key(field, DELIMITED)]);
        self.varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.put(bytes);
    }

    /// Bytes that `write` [puts](Self::put) together; none if it puts nothing.
    pub(crate) fn joined(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.message(field, write);
        if self.0.len() == start + 2 {
            self.0.truncate(start);
        }
    }

    /// Fields within a field, even if there are none.
    pub(crate) fn message(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        // Most lengths take two bytes. Where one takes fewer or more, what was written is moved.
        self.put(&[key(field, DELIMITED), 0, 0]);
        let start = self.0.len();
        write(self);
        let len = self.0.len() - start;
        let (spelled, digits) = varint(u64::try_from(len).unwrap_or(u64::MAX));
        match digits.checked_sub(2) {
            None => drop(self.0.remove(start - 1)),
            Some(more) => {
                self.put([0; 8].get(..more).unwrap_or_default());
                self.0.copy_within(start..start + len, start + more);
            }
        }
        if let Some(place) = self.0.get_mut(start - 2..start - 2 + digits) {
            place.copy_from_slice(spelled.get(..digits).unwrap_or_default());
        }
    }

    /// Bytes as they are.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let wanted = self.0.len() + bytes.len();
        if wanted > self.0.capacity() {
            // A vector that grows by itself leaves what it held behind. This one is wiped when it is replaced.
            let mut larger = Zeroizing::new(Vec::with_capacity(wanted.max(2 * self.0.capacity())));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, value: u64) {
        let (spelled, digits) = varint(value);
        self.put(spelled.get(..digits).unwrap_or_default());
    }
}

/// The one spelling of a number: at most ten bytes.
fn varint(mut value: u64) -> ([u8; 10], usize) {
    let (mut spelled, mut digits) = ([0; 10], 0);
    for digit in &mut spelled {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        digits += 1;
        if value == 0 {
            *digit = low;
            break;
        }
        *digit = low | 0x80;
    }
    (spelled, digits)
}

/// Why bytes are not the fields that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldError {
    /// They are not protobuf.
    Protobuf,
    /// They are protobuf, in another encoding than the writer's.
    NotCanonical,
    /// A field that has to be there is missing, or of the wrong size.
    Field,
}

impl From<FieldError> for RecordError {
    fn from(_: FieldError) -> Self {
        Self::Corrupt
    }
}

/// Fields while they are read.
#[derive(Clone, Copy)]
pub(crate) struct FieldReader<'a>(&'a [u8]);

impl<'a> FieldReader<'a> {
    #[cfg(test)]
    pub(crate) const fn new(fields: &'a [u8]) -> Self {
        Self(fields)
    }

    /// The fields of a record of this kind. What they mean is checked by the room that owns the record.
    pub(crate) fn record(kind: RecordKind, bytes: &'a [u8]) -> Result<Self, RecordError> {
        super::stored::body(kind, bytes).map(Self)
    }

    /// A number that may be missing.
    pub(crate) fn optional(&mut self, field: u8) -> Result<Option<u64>, FieldError> {
        if self.take(key(field, VARINT)) { self.varint().map(Some) } else { Ok(None) }
    }

    /// A number; 0 if there is none.
    pub(crate) fn number(&mut self, field: u8) -> Result<u64, FieldError> {
        match self.optional(field)? {
            Some(0) => Err(FieldError::NotCanonical),
            number => Ok(number.unwrap_or(0)),
        }
    }

    /// The same of a smaller type.
    pub(crate) fn small<T: TryFrom<u64>>(&mut self, field: u8) -> Result<T, FieldError> {
        self.number(field)?.try_into().map_err(|_| FieldError::NotCanonical)
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, field: u8) -> Result<bool, FieldError> {
        match self.number(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FieldError::NotCanonical),
        }
    }

    /// Bytes that may be missing.
    pub(crate) fn optional_bytes(&mut self, field: u8) -> Result<Option<&'a [u8]>, FieldError> {
        if !self.take(key(field, DELIMITED)) {
            return Ok(None);
        }
        let len = usize::try_from(self.varint()?).map_err(|_| FieldError::Protobuf)?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(FieldError::Protobuf)?;
        self.0 = rest;
        Ok(Some(bytes))
    }

    /// Bytes; empty if there are none.
    pub(crate) fn bytes(&mut self, field: u8) -> Result<&'a [u8], FieldError> {
        match self.optional_bytes(field)? {
            Some([]) => Err(FieldError::NotCanonical),
            bytes => Ok(bytes.unwrap_or_default()),
        }
    }

    /// Bytes of a fixed number.
    pub(crate) fn array<const N: usize>(&mut self, field: u8) -> Result<&'a [u8; N], FieldError> {
        self.bytes(field)?.try_into().map_err(|_| FieldError::Field)
    }

    /// Fields within a field.
    pub(crate) fn message(&mut self, field: u8) -> Result<Option<Self>, FieldError> {
        Ok(self.optional_bytes(field)?.map(Self))
    }

    /// Fields within a field that has to be there.
    pub(crate) fn some_message(&mut self, field: u8) -> Result<Self, FieldError> {
        self.message(field)?.ok_or(FieldError::Field)
    }

    /// All fields were asked for.
    pub(crate) const fn end(self) -> Result<(), FieldError> {
        if self.0.is_empty() { Ok(()) } else { Err(FieldError::NotCanonical) }
    }

    fn take(&mut self, key: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == key => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// A number in its one spelling.
    fn varint(&mut self) -> Result<u64, FieldError> {
        let mut value = 0;
        for (shift, at) in (0..64).step_by(7).zip(0..) {
            let byte = *self.0.get(at).ok_or(FieldError::Protobuf)?;
            let digit = u64::from(byte & 0x7f);
            if shift == 63 && byte > 1 {
                return Err(FieldError::Protobuf);
            }
            value |= digit << shift;
            if byte < 0x80 {
                self.0 = self.0.get(at + 1..).unwrap_or_default();
                return if byte == 0 && at > 0 { Err(FieldError::NotCanonical) } else { Ok(value) };
            }
        }
        Err(FieldError::Protobuf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::state;
    use proptest::prelude::*;
    use prost::Message as _;
    use std::vec;

    /// Two numbers with one between them that may be missing, and bytes.
    #[derive(Debug, Clone, PartialEq)]
    struct Sample(u32, Option<u32>, u32, Vec<u8>);

    impl Sample {
        fn write(&self, out: &mut FieldWriter) {
            out.number(1, self.0);
            out.optional(2, self.1);
            out.number(3, self.2);
            out.bytes(4, &self.3);
        }

        fn read(mut fields: FieldReader<'_>) -> Result<Self, FieldError> {
            let (first, second) = (fields.small(1)?, fields.optional(2)?);
            let second = second.map(u32::try_from).transpose().map_err(|_| FieldError::NotCanonical)?;
            let sample = Self(first, second, fields.small(3)?, fields.bytes(4)?.to_vec());
            fields.end()?;
            Ok(sample)
        }

        /// As generated code has it.
        fn generated(&self) -> state::Pending {
            let Self(signed_prekey_id, one_time_prekey_id, kem_prekey_id, kem_ciphertext) = self.clone();
            state::Pending { signed_prekey_id, one_time_prekey_id, kem_prekey_id, kem_ciphertext }
        }

        fn decode(bytes: &[u8]) -> Option<Self> {
            let read = state::Pending::decode(bytes).ok().filter(|read| read.encode_to_vec() == bytes)?;
            Some(Self(read.signed_prekey_id, read.one_time_prekey_id, read.kem_prekey_id, read.kem_ciphertext))
        }
    }

    fn any_sample() -> impl Strategy<Value = Sample> {
        let number = || prop_oneof![Just(0), Just(127), Just(128), Just(u32::MAX), any::<u32>()];
        let bytes = prop_oneof![Just(0..1), Just(120..140), Just(16_375..16_392)]
            .prop_flat_map(|len: core::ops::Range<usize>| proptest::collection::vec(any::<u8>(), len));
        (number(), proptest::option::of(number()), number(), bytes).prop_map(|(a, b, c, d)| Sample(a, b, c, d))
    }

    proptest! {
        /// Byte for byte what prost writes, nested too, whatever the lengths and however often the buffer grows.
        #[test]
        fn what_is_written_is_what_prost_writes(sample in any_sample(), capacity in 0..200usize) {
            let mut out = FieldWriter::with_capacity(capacity);
            out.message(6, |out| sample.write(out));
            out.joined(9, |out| out.put(&sample.3));
            let generated = state::SessionState {
                pending: Some(sample.generated()),
                initiation: sample.3.clone(),
                ..Default::default()
            };
            let bytes = out.finish();
            prop_assert_eq!(&**bytes, &generated.encode_to_vec());
            let mut fields = FieldReader::new(&bytes);
            prop_assert_eq!(Sample::read(fields.some_message(6).unwrap()), Ok(sample));
        }

        /// Of any bytes, those are read that prost reads and would write the same way.
        #[test]
        fn what_is_read_is_the_one_encoding(
            mut bytes in any_sample().prop_map(|sample| sample.generated().encode_to_vec()),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..4),
        ) {
            bytes.truncate(60);
            for (at, byte, edit) in edits {
                let at = at.index(bytes.len().max(1));
                match edit {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => bytes.insert(at.min(bytes.len()), byte & 0x3f),
                }
            }
            prop_assert_eq!(Sample::read(FieldReader::new(&bytes)).ok(), Sample::decode(&bytes));
        }
    }

    #[test]
    fn refusals_by_name() {
        for (what, bytes, expected) in [
            ("a longer spelling", vec![0x08, 0x81, 0], FieldError::NotCanonical),
            ("a default that is written", vec![0x08, 0], FieldError::NotCanonical),
            ("an empty field that is written", vec![0x22, 0], FieldError::NotCanonical),
            ("another order", vec![0x18, 1, 0x08, 1], FieldError::NotCanonical),
            ("twice", vec![0x08, 1, 0x08, 1], FieldError::NotCanonical),
            ("unknown", vec![0x28, 1], FieldError::NotCanonical),
            ("beyond 32 bits", vec![0x08, 0xff, 0xff, 0xff, 0xff, 0x1f], FieldError::NotCanonical),
            ("beyond 64 bits", [&[0x08][..], &[0xff; 9], &[2]].concat(), FieldError::Protobuf),
            ("a number without end", [&[0x08][..], &[0xff; 10], &[1]].concat(), FieldError::Protobuf),
            ("a number cut short", vec![0x08, 0x80], FieldError::Protobuf),
            ("bytes cut short", vec![0x22, 2, 1], FieldError::Protobuf),
        ] {
            assert_eq!(Sample::read(FieldReader::new(&bytes)), Err(expected), "{what}");
        }
    }
}
