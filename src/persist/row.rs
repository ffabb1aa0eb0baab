//! How a record is sealed as a row: `u16 form ‖ sealed record`, under a key derived for the row's place and version.

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

/// Bytes of a form's number.
const HEAD: usize = 2;

/// Records are written with room for what their rows are longer.
const _: () = assert!(HEAD + PlacedKey::FRONT == ROOM_IN_FRONT && PlacedKey::BACK == ROOM_BEHIND);

/// Seals a record.
pub(super) fn seal(rows: &PlacedKey, key: &RecordKey, version: &Version, record: Record) -> Vec<u8> {
    seal_as(FORM, rows, key, version, record)
}

fn seal_as(form: u16, rows: &PlacedKey, key: &RecordKey, version: &Version, record: Record) -> Vec<u8> {
    let form = form.to_be_bytes();
    let mut row = record.into_row();
    if let Some(head) = row.first_chunk_mut() {
        *head = form;
    }
    // What a row is bound to: it opens nowhere else, and as nothing older or newer than it is. All lengths are fixed.
    rows.seal_tail(&[&form, key.as_bytes(), version.as_bytes()], &mut row, HEAD);
    row
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
    let (form, sealed) = row.split_first_chunk_mut::<HEAD>().ok_or(Unopened::Damaged)?;
    let number = u16::from_be_bytes(*form);
    if number > FORM {
        // What it says is not for this build: only whether it is authentic.
        let mut copy = SecretBytes::new(sealed.to_vec());
        rows.open(&[form, key.as_bytes(), version.as_bytes()], &mut copy)?;
        return Err(Unopened::Newer(number));
    }
    rows.open(&[form, key.as_bytes(), version.as_bytes()], sealed)?;
    let mut buffer = SecretBytes::new(core::mem::take(row));
    let end = buffer.len().saturating_sub(PlacedKey::BACK);
    buffer.truncate(end);
    Ok(Record::behind_room(buffer))
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
        assert_eq!((&row[..2], opened(&row).unwrap()), (&[0, 1][..], b"record".to_vec()));
        for form in [0, 2] {
            let other = [&[0, form], &row[2..]].concat();
            assert!(opened(&other).is_err(), "{form}");
        }
    }
}
