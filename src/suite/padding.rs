//! Padding of plaintexts, so that a ciphertext's length tells little of theirs.

use alloc::vec::Vec;

use crate::crypto::last_nonzero_if;

/// The shortest padded text.
const MIN: usize = 160;

/// The padding is not what [`pad`] writes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadPadding;

/// Padmé: rounds a length up so that its lowest bits are zero, at most 12 % more; all lengths between two powers of
/// two share a few values (Nikitin et al., "Reducing metadata leakage from encrypted files", PETS 2019).
///
/// A length that would be rounded beyond 64 bits stays as it is; callers' limits are far below.
pub(crate) const fn padme(len: u64) -> u64 {
    if len < 2 {
        return len;
    }
    let exponent = len.ilog2();
    let significant = exponent.ilog2() + 1;
    let mask = (1 << (exponent - significant)) - 1;
    match len.checked_add(mask) {
        Some(sum) => sum & !mask,
        None => len,
    }
}

/// The same of a length in memory.
fn padme_in_memory(len: usize) -> usize {
    u64::try_from(len).ok().and_then(|len| usize::try_from(padme(len)).ok()).unwrap_or(len)
}

/// How long a plaintext of this length is with its padding: Padmé's length or 160 bytes.
pub(crate) fn padded_len(len: usize) -> usize {
    padme_in_memory(len + 1).max(MIN)
}

/// Appends `plaintext ‖ 0x80 ‖ 0*`, of a plaintext in two pieces.
pub(crate) fn pad_to(out: &mut Vec<u8>, [head, rest]: [&[u8]; 2]) {
    let end = out.len() + padded_len(head.len() + rest.len());
    out.extend_from_slice(head);
    out.extend_from_slice(rest);
    out.push(0x80);
    out.resize(end, 0);
}

/// Takes the padding off a text that begins at `start`. Looks at every byte alike, wherever the text ends.
pub(crate) fn unpad_from(buffer: &mut Vec<u8>, start: usize) -> Result<(), BadPadding> {
    let end = last_nonzero_if(buffer.get(start..).unwrap_or_default(), 0x80).ok_or(BadPadding)?;
    buffer.truncate(start + end);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;
    use std::vec;

    fn pad(plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let (head, rest) = plaintext.split_at(plaintext.len() / 3);
        pad_to(&mut out, [head, rest]);
        out
    }

    fn unpad(mut padded: Vec<u8>) -> Result<Vec<u8>, BadPadding> {
        padded.insert(0, 0x80);
        unpad_from(&mut padded, 1)?;
        Ok(padded.split_off(1))
    }

    #[test]
    fn lengths_are_padmes() {
        for (len, padded) in
            [(0, 160), (159, 160), (160, 176), (1_000, 1_024), (1_023, 1_024), (10_000, 10_240), (65_536, 67_584)]
        {
            assert_eq!(pad(&vec![1; len]).len(), padded, "{len}");
        }
    }

    #[test]
    fn wrong_padding_is_refused() {
        for bad in [vec![], vec![0; 160], vec![1; 160], [vec![0x80], vec![1]].concat(), vec![0x81, 0]] {
            assert_eq!(unpad(bad), Err(BadPadding));
        }
    }

    proptest! {
        #[test]
        fn what_is_padded_is_unpadded(text in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let padded = pad(&text);
            prop_assert!(padded.len() <= (text.len() + 1) * 112 / 100 + 160);
            prop_assert_eq!(unpad(padded).unwrap(), text);
        }
    }
}
