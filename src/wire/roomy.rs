//! Records in buffers that have room for their rows.

use alloc::vec::Vec;
use core::ops::Deref;

use zeroize::Zeroizing;

use crate::crypto::SecretBytes;

/// What a row has in front of its record.
pub(crate) const ROOM_IN_FRONT: usize = 36;

/// What it has behind.
pub(crate) const ROOM_BEHIND: usize = 16;

/// A record where its row stands, stood or will stand: sealed and opened in one buffer, without being moved.
///
/// Behind it may be a tail: what is sealed already, under keys that the record holds, and changes more seldom.
#[derive(Clone)]
pub(crate) struct Record {
    buffer: SecretBytes,
    /// Where it begins: behind the room, or at once.
    start: usize,
    /// Where it ends: before the room behind it, or the buffer's end.
    end: usize,
}

impl Record {
    /// A buffer with [`ROOM_IN_FRONT`] of the record, [`ROOM_BEHIND`] behind it, and then a tail of so many bytes.
    pub(crate) fn in_room(buffer: SecretBytes, tail: usize) -> Self {
        let end = buffer.len().saturating_sub(ROOM_BEHIND + tail);
        Self { buffer, start: ROOM_IN_FRONT, end }
    }

    /// What is behind it.
    pub(crate) fn tail(&self) -> &[u8] {
        self.buffer.get(self.end + ROOM_BEHIND..).unwrap_or_default()
    }

    /// The record behind [`ROOM_IN_FRONT`] bytes of any content, then [`ROOM_BEHIND`] bytes, then the tail, whose length is
    /// given too.
    pub(crate) fn into_row(mut self) -> (Vec<u8>, usize) {
        let tail = self.tail().len();
        if self.start == ROOM_IN_FRONT {
            return (self.buffer.take(), tail);
        }
        let mut row = Vec::with_capacity(ROOM_IN_FRONT + self.len() + ROOM_BEHIND + tail);
        row.resize(ROOM_IN_FRONT, 0);
        row.extend_from_slice(&self);
        row.extend_from_slice(&[0; ROOM_BEHIND]);
        row.extend_from_slice(self.tail());
        (row, tail)
    }
}

impl Deref for Record {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }
}

impl From<SecretBytes> for Record {
    fn from(buffer: SecretBytes) -> Self {
        Self { start: 0, end: buffer.len(), buffer }
    }
}

impl From<Zeroizing<Vec<u8>>> for Record {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        SecretBytes::from(bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_record_is_moved_only_for_want_of_room() {
        let roomy = [&[7; ROOM_IN_FRONT][..], b"record", &[8; ROOM_BEHIND]].concat();
        let tailed = [&roomy[..], b"tail"].concat();
        assert_eq!(Record::in_room(SecretBytes::new(tailed.clone()), 4).tail(), b"tail");
        for (record, moved) in [
            (Record::in_room(SecretBytes::new(roomy), 0), false),
            (Record::in_room(SecretBytes::new(tailed), 4), false),
            (SecretBytes::new(b"record".to_vec()).into(), true),
            (Zeroizing::new(vec![b'r', b'e', b'c', b'o', b'r', b'd']).into(), true),
        ] {
            assert_eq!(*record, *b"record");
            let (at, tail) = (record.as_ptr(), record.tail().to_vec());
            let (row, len) = record.into_row();
            assert_eq!(row[ROOM_IN_FRONT..][..6], *b"record");
            assert_eq!((&row[ROOM_IN_FRONT + 6 + ROOM_BEHIND..], len), (&tail[..], tail.len()));
            assert_eq!(row[ROOM_IN_FRONT..].as_ptr() != at, moved);
        }
    }
}
