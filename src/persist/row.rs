//! How a record is sealed as a row: `u16 form ‖ sealed record`.
//!
//! Form 1 is `cgcm1`, with the place as associated data; the vault is of this form. Form 2 derives a key for the place, in
//! a third of the time; all other rows are written so.

use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::{RecordKey, Version};
use crate::crypto::{CommittingError, PlacedKey, Secret, SecretBytes, committing_open, committing_seal};
use crate::wire::{ROOM_BEHIND, ROOM_IN_FRONT, Record};

const LABEL_RECORD: &[u8] = b"\x10subrosa/1/record";

const FORM_1: u16 = 1;

/// The newest form that this build writes and reads.
const FORM_2: u16 = 2;

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

/// Seals a record in form 2.
pub(super) fn seal(rows: &PlacedKey, key: &RecordKey, version: &Version, record: Record) -> Vec<u8> {
    seal_as(FORM_2, rows, key, version, record)
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

/// Opens a row of any form, in its own buffer: that is taken, unless there is an error.
///
/// A newer version of the library sealed one whose form is unknown here and authentic, unlike
/// that of a damaged row: whatever a form seals, it begins so, with a commitment to the form's number.
pub(super) fn open(
    rows: &PlacedKey,
    form_1: (&Secret<32>, &[u8; 16]),
    key: &RecordKey,
    version: &Version,
    row: &mut Vec<u8>,
) -> Result<Record, Unopened> {
    let (form, sealed) = row.split_first_chunk_mut::<HEAD>().ok_or(Unopened::Damaged)?;
    let number = u16::from_be_bytes(*form);
    if number == FORM_1 {
        return open_form_1(form_1, key, version, row).map(Record::from);
    }
    if number > FORM_2 {
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

/// Seals a record in form 1.
pub(super) fn seal_form_1(
    (seal, instance): (&Secret<32>, &[u8; 16]),
    key: &RecordKey,
    version: &Version,
    record: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Vec<u8> {
    let mut row = Vec::with_capacity(2 + 80 + record.len());
    row.extend_from_slice(&FORM_1.to_be_bytes());
    committing_seal(&mut row, seal, &place(instance, FORM_1, key, version), record, rng);
    row
}

/// Opens a row of form 1.
pub(super) fn open_form_1(
    (seal, instance): (&Secret<32>, &[u8; 16]),
    key: &RecordKey,
    version: &Version,
    row: &[u8],
) -> Result<SecretBytes, Unopened> {
    let (form, sealed) = row.split_first_chunk::<2>().ok_or(Unopened::Damaged)?;
    let form = u16::from_be_bytes(*form);
    let opened = committing_open(seal, &place(instance, form, key, version), sealed)?;
    // Of the vault: other rows come here as form 1 only.
    if form > FORM_1 { Err(Unopened::Newer(form)) } else { Ok(opened) }
}

fn place(instance: &[u8; 16], form: u16, key: &RecordKey, version: &Version) -> Vec<u8> {
    let [kind, ..] = *key.as_bytes();
    let mut ad = Vec::with_capacity(LABEL_RECORD.len() + 16 + 4 + 4 + RecordKey::LEN + Version::LEN);
    ad.extend_from_slice(LABEL_RECORD);
    ad.extend_from_slice(instance);
    ad.extend_from_slice(&u16::from(kind).to_be_bytes());
    ad.extend_from_slice(&form.to_be_bytes());
    ad.extend_from_slice(&[0, 0, 0, 33]);
    ad.extend_from_slice(key.as_bytes());
    ad.extend_from_slice(version.as_bytes());
    ad
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::rng;

    const PLACE: (RecordKey, Version) = (RecordKey::from_bytes([17; 33]), Version::from_bytes([5; 16]));

    fn rows() -> PlacedKey {
        PlacedKey::new(&Secret::new([1; 32]))
    }

    fn opened(row: &[u8]) -> Result<Vec<u8>, Unopened> {
        let mut taken = row.to_vec();
        let opened = open(&rows(), (&Secret::new([2; 32]), &[3; 16]), &PLACE.0, &PLACE.1, &mut taken);
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
        for form in [0u16, 1, 2, 3, 8] {
            let claimed = [&form.to_be_bytes()[..], &row[2..]].concat();
            assert!(matches!(opened(&claimed), Err(Unopened::Foreign | Unopened::Damaged)), "sealed with it: {form}");
        }
    }

    #[test]
    fn both_forms_open() {
        let form_1 = seal_form_1((&Secret::new([2; 32]), &[3; 16]), &PLACE.0, &PLACE.1, b"record", &mut rng(1));
        let form_2 = seal(&rows(), &PLACE.0, &PLACE.1, record(b"record"));
        for (row, form) in [(&form_1, 1), (&form_2, 2)] {
            assert_eq!(row[..2], [0, form]);
            assert_eq!(opened(row).unwrap(), b"record");
            let mut other = row.clone();
            other[1] = 3 - form;
            assert!(opened(&other).is_err(), "not as the other form");
        }
        let instance = seal_form_1((&Secret::new([2; 32]), &[4; 16]), &PLACE.0, &PLACE.1, b"record", &mut rng(1));
        assert_eq!(opened(&instance), Err(Unopened::Foreign), "another account");
    }
}
