//! How a record is sealed as a row: `u16 form ‖ u16 length of the tail ‖ sealed record ‖ tail`, under a key derived for the
//! row's place and version. The tail is sealed already, under keys that are in the record.

use alloc::vec::Vec;

use super::{RecordKey, Version};
use crate::crypto::{CommittingError, PlacedKey, SecretBytes};
use crate::wire::{ROOM_BEHIND, ROOM_IN_FRONT, Record};

/// The newest form that this build writes and reads.
const FORM: u16 = 1;

/// Why a row does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unopened {
    /// Sealed with another key, or for another place, or damaged in its first bytes.
    Foreign,
    Damaged,
    Newer(u16),
}

impl From<CommittingError> for Unopened {
    fn from(error: CommittingError) -> Self {
        match error {
            CommittingError::Commitment => Self::Foreign,
            CommittingError::Damaged => Self::Damaged,
        }
    }
}

/// Bytes of a form's number, and of the tail's length.
const HEAD: usize = 4;

/// Longest tail.
const MAX_TAIL: usize = 0xffff;

/// Records are written with room for what their rows are longer.
const _: () = assert!(HEAD + PlacedKey::FRONT == ROOM_IN_FRONT && PlacedKey::BACK == ROOM_BEHIND);

/// Seals a record.
pub(super) fn seal(rows: &PlacedKey, key: &RecordKey, version: &Version, record: Record) -> Vec<u8> {
    seal_as(FORM, rows, key, version, record)
}

fn seal_as(form: u16, rows: &PlacedKey, key: &RecordKey, version: &Version, record: Record) -> Vec<u8> {
    let (mut row, tail) = record.into_row();
    // Two parts of some 1,200 bytes are the most that there are.
    debug_assert!(tail <= MAX_TAIL, "a tail of {tail} bytes");
    let ([a, b], [c, d]) = (form.to_be_bytes(), u16::try_from(tail).unwrap_or(u16::MAX).to_be_bytes());
    let end = row.len().saturating_sub(tail);
    if let Some((head, sealed)) = row.get_mut(..end).and_then(|row| row.split_first_chunk_mut::<HEAD>()) {
        *head = [a, b, c, d];
        // What a row is bound to: it opens nowhere else, and as nothing older or newer than it is. All lengths are fixed.
        rows.seal(&place(head, key, version), sealed);
    }
    row
}

fn place(head: &[u8; HEAD], key: &RecordKey, version: &Version) -> [u8; PlacedKey::PLACE] {
    const { assert!(HEAD + RecordKey::LEN + Version::LEN == PlacedKey::PLACE) };
    let mut place = [0; PlacedKey::PLACE];
    let mut left = &mut place[..];
    for part in [&head[..], key.as_bytes(), version.as_bytes()] {
        if let Some((to, rest)) = core::mem::take(&mut left).split_at_mut_checked(part.len()) {
            to.copy_from_slice(part);
            left = rest;
        }
    }
    place
}

/// Opens a row in its own buffer: that is taken, unless there is an error.
///
/// A newer version of the library sealed one whose form is unknown here and authentic, unlike
/// that of a damaged row: whatever a form seals, it begins so, with a commitment to the form's number.
pub(super) fn open(
    rows: &PlacedKey,
    key: &RecordKey,
    version: &Version,
    row: &mut Vec<u8>,
) -> Result<Record, Unopened> {
    let (head, behind) = row.split_first_chunk_mut::<HEAD>().ok_or(Unopened::Damaged)?;
    let [a, b, c, d] = *head;
    let (form, tail) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
    let sealed = behind.len().checked_sub(tail).and_then(|end| behind.get_mut(..end)).ok_or(Unopened::Damaged)?;
    let place = &place(head, key, version);
    if form > FORM {
        // What it says is not for this build: only whether it is authentic.
        let mut copy = SecretBytes::new(sealed.to_vec());
        rows.open(place, &mut copy)?;
        return Err(Unopened::Newer(form));
    }
    rows.open(place, sealed)?;
    Ok(Record::in_room(SecretBytes::new(core::mem::take(row)), tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;

    const PLACE: (RecordKey, Version) = (RecordKey::from_bytes([17; 33]), Version::from_bytes([5; 16]));

    fn rows() -> PlacedKey {
        PlacedKey::new(&Secret::new([1; 32]))
    }

    fn opened(row: &[u8]) -> Result<Vec<u8>, Unopened> {
        let mut taken = row.to_vec();
        let opened = open(&rows(), &PLACE.0, &PLACE.1, &mut taken);
        if opened.is_err() {
            assert_eq!(taken, row, "left as it was");
        }
        opened.map(|record| record.to_vec())
    }

    /// The tail is bound by what the record holds; here only where it begins.
    #[test]
    fn a_tail_stands_behind_and_is_told_by_its_length() {
        let room = [&[0; ROOM_IN_FRONT][..], b"record", &[0; ROOM_BEHIND], b"a tail"].concat();
        let row = seal(&rows(), &PLACE.0, &PLACE.1, Record::in_room(SecretBytes::new(room), 6));
        assert_eq!((&row[..4], row.len()), (&[0, 1, 0, 6][..], 4 + PlacedKey::FRONT + 6 + PlacedKey::BACK + 6));
        let record = open(&rows(), &PLACE.0, &PLACE.1, &mut row.clone()).unwrap();
        assert_eq!((&*record, record.tail()), (&b"record"[..], &b"a tail"[..]));
        for (at, bit) in (0..row.len() - 6).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut altered = row.clone();
            altered[at] ^= 1 << bit;
            assert!(opened(&altered).is_err(), "bit {bit} of byte {at}");
        }
        for len in 0..row.len() {
            assert!(opened(&row[..len]).is_err(), "cut to {len}");
        }
        assert!(opened(&[&row[..], &[0]].concat()).is_err());
    }

    fn record(bytes: &[u8]) -> Record {
        SecretBytes::new(bytes.to_vec()).into()
    }

    /// A newer version's rows are told from damaged ones: there the host says "update", here "restore".
    #[test]
    fn a_newer_form_is_told_apart() {
        let row = seal_as(7, &rows(), &PLACE.0, &PLACE.1, record(b"?"));
        assert_eq!(opened(&row), Err(Unopened::Newer(7)));
        for form in [0u16, 1, 2, 8] {
            let claimed = [&form.to_be_bytes()[..], &row[2..]].concat();
            assert!(matches!(opened(&claimed), Err(Unopened::Foreign | Unopened::Damaged)), "sealed with it: {form}");
        }
    }

    #[test]
    fn a_row_opens_as_its_form_only() {
        let row = seal(&rows(), &PLACE.0, &PLACE.1, record(b"record"));
        assert_eq!((&row[..4], opened(&row).unwrap()), (&[0, 1, 0, 0][..], b"record".to_vec()));
        for form in [0, 2] {
            let other = [&[0, form], &row[2..]].concat();
            assert!(opened(&other).is_err(), "{form}");
        }
    }
}
