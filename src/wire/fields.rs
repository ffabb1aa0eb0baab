//! Protobuf fields written and read in ascending order, straight between bytes and typed state.
//!
//! What every message passes through (itself, what is in it and around it, the state that is stored with it) is not
//! copied into generated structs and out of them: filling and wiping those costs several times what the ratchet does.
//!
//! A reader asks for the fields in the order in which the writer wrote them. So it takes one encoding of a thing: fields
//! in another order, twice, unknown ones and longer spellings of numbers are found where another field should stand.

use alloc::vec::Vec;

use super::WireError;
use super::kind::{self, RecordError, RecordKind, SCHEMA};
use super::roomy::{ROOM_BEHIND, ROOM_IN_FRONT, Record};
use super::spelling::{digit, digits, key, spell};
use crate::crypto::SecretBytes;

/// Wire types of protobuf.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

/// Field numbers are below it.
const FIELDS: u32 = 1 << 29;

/// Fields while they are written, in a buffer that leaves no copy behind when it grows or is dropped.
pub(crate) struct FieldWriter(SecretBytes);

impl FieldWriter {
    /// With room for so many bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(SecretBytes::new(Vec::with_capacity(capacity)))
    }

    /// Behind what a buffer holds.
    pub(crate) const fn after(buffer: Vec<u8>) -> Self {
        Self(SecretBytes::new(buffer))
    }

    /// A record: `u8 kind ‖ u16 schema version ‖ fields`, with room for so many bytes.
    pub(crate) fn record(kind: RecordKind, capacity: usize) -> Self {
        Self::with_capacity(3 + capacity).begin(kind)
    }

    /// A record that is to be sealed where it stands.
    pub(crate) fn row(kind: RecordKind, capacity: usize) -> Self {
        let mut buffer = Vec::with_capacity(ROOM_IN_FRONT + 3 + capacity + ROOM_BEHIND);
        buffer.resize(ROOM_IN_FRONT, 0);
        Self::after(buffer).begin(kind)
    }

    fn begin(mut self, kind: RecordKind) -> Self {
        self.put(&[kind.number()]);
        self.put(&SCHEMA.to_be_bytes());
        self
    }

    /// What was written.
    pub(crate) fn finish(self) -> SecretBytes {
        self.0
    }

    /// What was written of a [`Self::row`].
    pub(crate) fn into_record(self) -> Record {
        self.with_tail(core::iter::empty())
    }

    /// The same with a tail, in parts.
    pub(crate) fn with_tail<'a>(mut self, tail: impl Iterator<Item = &'a [u8]>) -> Record {
        self.put(&[0; ROOM_BEHIND]);
        let end = self.0.len();
        tail.for_each(|part| self.put(part));
        let tail = self.0.len() - end;
        Record::in_room(self.0, tail)
    }

    /// What was written, where it is no secret.
    pub(crate) fn into_public(mut self) -> Vec<u8> {
        self.0.take()
    }

    /// A number; none if it is 0.
    #[inline]
    pub(crate) fn number(&mut self, field: u32, value: impl Into<u64>) {
        self.optional(field, Some(value.into()).filter(|value| *value != 0));
    }

    /// A number that may be missing, and may be 0.
    #[inline]
    pub(crate) fn optional(&mut self, field: u32, value: Option<impl Into<u64>>) {
        if let Some(value) = value {
            self.varint(key(field, VARINT));
            self.varint(value.into());
        }
    }

    /// Bytes; none if they are empty.
    #[inline]
    pub(crate) fn bytes(&mut self, field: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.some_bytes(field, bytes);
        }
    }

    /// Bytes, even if they are empty.
    #[inline]
    pub(crate) fn some_bytes(&mut self, field: u32, bytes: &[u8]) {
        self.begin_bytes(field, bytes.len());
        self.put(bytes);
    }

    /// Bytes that may be missing, and may be empty.
    pub(crate) fn maybe_bytes(&mut self, field: u32, bytes: Option<&(impl AsRef<[u8]> + ?Sized)>) {
        if let Some(bytes) = bytes {
            self.some_bytes(field, bytes.as_ref());
        }
    }

    /// What stands before so many bytes, which are to be [put](Self::put).
    #[inline]
    pub(crate) fn begin_bytes(&mut self, field: u32, len: usize) {
        match (digit(key(field, DELIMITED)), u8::try_from(len)) {
            // Most are as short: one step for both.
            (Some(key), Ok(len @ 0..0x80)) => self.put(&[key, len]),
            _ => {
                self.varint(key(field, DELIMITED));
                self.varint(u64::try_from(len).unwrap_or(u64::MAX));
            }
        }
    }

    /// Bytes that `write` [puts](Self::put) together; none if it puts nothing.
    pub(crate) fn joined(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let (start, mut is_empty) = (self.0.len(), false);
        self.message(field, |out| {
            let before = out.0.len();
            write(out);
            is_empty = out.0.len() == before;
        });
        if is_empty {
            self.0.truncate(start);
        }
    }

    /// Fields within a field, even if there are none.
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        // Most lengths take two bytes. Where one takes fewer or more, what was written is moved.
        match digit(key(field, DELIMITED)) {
            Some(key) => self.put(&[key, 0, 0]),
            None => {
                self.varint(key(field, DELIMITED));
                self.put(&[0, 0]);
            }
        }
        let start = self.0.len();
        write(self);
        let len = self.0.len() - start;
        let len_of_len = digits(u64::try_from(len).unwrap_or(u64::MAX));
        match len_of_len.checked_sub(2) {
            None => drop(self.0.remove(start - 1)),
            Some(0) => {}
            Some(more) => {
                self.put([0; 8].get(..more).unwrap_or_default());
                self.0.copy_within(start..start + len, start + more);
            }
        }
        if let Some(place) = self.0.get_mut(start - 2..start - 2 + len_of_len) {
            spell(u64::try_from(len).unwrap_or(u64::MAX), place);
        }
    }

    /// Bytes as they are. Inline, as what leads here: most are keys, whose length is then known, and are not copied by a call.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > self.0.capacity() - self.0.len() {
            self.grow(bytes.len());
        }
        self.0.extend_from_slice(bytes);
    }

    /// The fields of a generated struct, for which there is room.
    pub(crate) fn put_message(&mut self, message: &impl prost::Message) {
        message.encode_raw(&mut *self.0);
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        // A vector that grows by itself leaves what it held behind. This one is wiped when it is replaced.
        let wanted = (self.0.len() + more).max(2 * self.0.capacity());
        let mut larger = SecretBytes::new(Vec::with_capacity(wanted));
        larger.extend_from_slice(&self.0);
        self.0 = larger;
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        match digit(value) {
            Some(digit) => self.put(&[digit]),
            None => {
                let (mut spelled, digits) = ([0; 10], digits(value));
                spell(value, spelled.get_mut(..digits).unwrap_or_default());
                self.put(spelled.get(..digits).unwrap_or_default());
            }
        }
    }
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

impl From<FieldError> for WireError {
    fn from(error: FieldError) -> Self {
        match error {
            FieldError::Protobuf => Self::Protobuf,
            FieldError::NotCanonical => Self::NotCanonical,
            FieldError::Field => Self::Field,
        }
    }
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
    pub(crate) const fn new(fields: &'a [u8]) -> Self {
        Self(fields)
    }

    /// The fields of a record of this kind. What they mean is checked by the room that owns the record.
    pub(crate) fn record(kind: RecordKind, bytes: &'a [u8]) -> Result<Self, RecordError> {
        kind::body(kind, bytes).map(Self)
    }

    /// A number that may be missing.
    pub(crate) fn optional(&mut self, field: u32) -> Result<Option<u64>, FieldError> {
        if self.take(key(field, VARINT)) { self.varint().map(Some) } else { Ok(None) }
    }

    /// A number; 0 if there is none.
    pub(crate) fn number(&mut self, field: u32) -> Result<u64, FieldError> {
        match self.optional(field)? {
            Some(0) => Err(FieldError::NotCanonical),
            number => Ok(number.unwrap_or(0)),
        }
    }

    /// The same of a smaller type.
    pub(crate) fn small<T: TryFrom<u64>>(&mut self, field: u32) -> Result<T, FieldError> {
        self.number(field)?.try_into().map_err(|_| FieldError::NotCanonical)
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, field: u32) -> Result<bool, FieldError> {
        match self.number(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FieldError::NotCanonical),
        }
    }

    /// Bytes that may be missing.
    pub(crate) fn optional_bytes(&mut self, field: u32) -> Result<Option<&'a [u8]>, FieldError> {
        if self.take(key(field, DELIMITED)) { self.delimited().map(Some) } else { Ok(None) }
    }

    /// Bytes; empty if there are none.
    pub(crate) fn bytes(&mut self, field: u32) -> Result<&'a [u8], FieldError> {
        match self.optional_bytes(field)? {
            Some([]) => Err(FieldError::NotCanonical),
            bytes => Ok(bytes.unwrap_or_default()),
        }
    }

    /// Bytes of a fixed number.
    pub(crate) fn array<const N: usize>(&mut self, field: u32) -> Result<&'a [u8; N], FieldError> {
        self.bytes(field)?.try_into().map_err(|_| FieldError::Field)
    }

    /// Bytes of a fixed number, that may be missing.
    pub(crate) fn optional_array<const N: usize>(&mut self, field: u32) -> Result<Option<&'a [u8; N]>, FieldError> {
        self.optional_bytes(field)?.map(|bytes| bytes.try_into().map_err(|_| FieldError::Field)).transpose()
    }

    /// Fields within a field.
    pub(crate) fn message(&mut self, field: u32) -> Result<Option<Self>, FieldError> {
        Ok(self.optional_bytes(field)?.map(Self))
    }

    /// A number that has to be there, and may be 0.
    pub(crate) fn some_number<T: TryFrom<u64>>(&mut self, field: u32) -> Result<T, FieldError> {
        let number = self.optional(field)?.ok_or_else(|| self.absent(field))?;
        number.try_into().map_err(|_| FieldError::NotCanonical)
    }

    /// Bytes that have to be there, and may be empty.
    pub(crate) fn some_bytes(&mut self, field: u32) -> Result<&'a [u8], FieldError> {
        self.optional_bytes(field)?.ok_or_else(|| self.absent(field))
    }

    /// Text that has to be there, and may be empty.
    pub(crate) fn some_text(&mut self, field: u32) -> Result<&'a str, FieldError> {
        core::str::from_utf8(self.some_bytes(field)?).map_err(|_| FieldError::Protobuf)
    }

    /// Bytes that have to be there, of a fixed number.
    pub(crate) fn some_array<const N: usize>(&mut self, field: u32) -> Result<&'a [u8; N], FieldError> {
        self.some_bytes(field)?.try_into().map_err(|_| FieldError::Field)
    }

    /// Fields within a field that has to be there.
    pub(crate) fn some_message(&mut self, field: u32) -> Result<Self, FieldError> {
        self.some_bytes(field).map(Self)
    }

    /// The next field, whichever it is: bytes, under its number.
    pub(crate) fn next_bytes(&mut self) -> Result<Option<(u32, &'a [u8])>, FieldError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = u32::try_from(key >> 3).ok().filter(|field| key & 7 == DELIMITED && *field < FIELDS);
        let field = field.ok_or(FieldError::NotCanonical)?;
        self.delimited().map(|bytes| Some((field, bytes)))
    }

    /// What it means that a field is not next: that it is not there, or that it stands elsewhere.
    pub(crate) fn absent(self, field: u32) -> FieldError {
        self.verdict(|other| other > u64::from(field))
    }

    /// The fields that were not asked for.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// All fields were asked for.
    pub(crate) fn end(self) -> Result<(), FieldError> {
        if self.0.is_empty() { Ok(()) } else { Err(self.verdict(|_| false)) }
    }

    /// What is wrong with fields of which some cannot be next, where others may be.
    fn verdict(mut self, may_be_next: impl Fn(u64) -> bool) -> FieldError {
        let mut verdict = FieldError::Field;
        while !self.0.is_empty() {
            match self.skip() {
                Ok(field) if may_be_next(field) => {}
                Ok(_) => verdict = FieldError::NotCanonical,
                Err(error) => return error,
            }
        }
        verdict
    }

    /// Passes over a field, and gives its number.
    fn skip(&mut self) -> Result<u64, FieldError> {
        let key = self.varint()?;
        if key >> 3 == 0 {
            return Err(FieldError::Protobuf);
        }
        let fixed = match key & 7 {
            VARINT => return self.varint().map(|_| key >> 3),
            DELIMITED => return self.delimited().map(|_| key >> 3),
            FIXED_64 => 8,
            FIXED_32 => 4,
            _ => return Err(FieldError::Protobuf),
        };
        self.0 = self.0.get(fixed..).ok_or(FieldError::Protobuf)?;
        Ok(key >> 3)
    }

    fn delimited(&mut self) -> Result<&'a [u8], FieldError> {
        let len = usize::try_from(self.varint()?).map_err(|_| FieldError::Protobuf)?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(FieldError::Protobuf)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn take(&mut self, key: u64) -> bool {
        // Most keys are one digit: compared as such, without a call for every field that is read.
        if let Some(digit) = digit(key) {
            return match self.0 {
                [first, rest @ ..] if *first == digit => {
                    self.0 = rest;
                    true
                }
                _ => false,
            };
        }
        let (mut spelled, digits) = ([0; 10], digits(key));
        let rest = spelled.get_mut(..digits).and_then(|place| {
            spell(key, place);
            self.0.strip_prefix(&*place)
        });
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A number in its one spelling.
    fn varint(&mut self) -> Result<u64, FieldError> {
        if let [digit @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok((*digit).into());
        }
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
mod tests;
