//! Records in buffers that have room for their rows.

use alloc::vec::Vec;
use core::ops::Deref;

use zeroize::Zeroizing;

use crate::crypto::SecretBytes;

/// What a row has in front of its record.
pub(crate) const ROOM_IN_FRONT: usize = 34;

/// What it has behind.
pub(crate) const ROOM_BEHIND: usize = 16;

/// A record where its row stands, stood or will stand: sealed and opened in one buffer, without being moved.
#[derive(Clone)]
pub(crate) struct Record {
    buffer: SecretBytes,
    /// Where it begins: behind the room, or at once.
    start: usize,
}

impl Record {
    /// A buffer with [`ROOM_IN_FRONT`] of the record, and no more behind it.
    pub(crate) const fn behind_room(buffer: SecretBytes) -> Self {
        Self { buffer, start: ROOM_IN_FRONT }
    }

    /// The record behind [`ROOM_IN_FRONT`] bytes of any content, in a buffer with [`ROOM_BEHIND`] spare bytes.
    pub(crate) fn into_row(mut self) -> Vec<u8> {
        let has_room = self.buffer.capacity() - self.buffer.len() >= ROOM_BEHIND;
        if self.start == ROOM_IN_FRONT && has_room {
            return self.buffer.take();
        }
        let mut row = Vec::with_capacity(ROOM_IN_FRONT + self.len() + ROOM_BEHIND);
        row.resize(ROOM_IN_FRONT, 0);
        row.extend_from_slice(&self);
        row
    }
}

impl Deref for Record {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}

impl From<SecretBytes> for Record {
    fn from(buffer: SecretBytes) -> Self {
        Self { buffer, start: 0 }
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
        let mut roomy = Vec::with_capacity(ROOM_IN_FRONT + 6 + ROOM_BEHIND);
        roomy.resize(ROOM_IN_FRONT, 7);
        roomy.extend_from_slice(b"record");
        let narrow = roomy.as_slice().into();
        for (record, moved) in [
            (Record::behind_room(SecretBytes::new(roomy)), false),
            (Record::behind_room(SecretBytes::new(narrow)), true),
            (SecretBytes::new(b"record".to_vec()).into(), true),
            (Zeroizing::new(vec![b'r', b'e', b'c', b'o', b'r', b'd']).into(), true),
        ] {
            assert_eq!(*record, *b"record");
            let at = record.as_ptr();
            let row = record.into_row();
            assert_eq!(row[ROOM_IN_FRONT..], *b"record");
            assert!(row.capacity() >= row.len() + ROOM_BEHIND);
            assert_eq!(row[ROOM_IN_FRONT..].as_ptr() != at, moved);
        }
    }
}
