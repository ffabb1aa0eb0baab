//! How protobuf spells numbers: seven bits a byte, the lowest first. Every number has one spelling here, the shortest.

/// The key of a field.
pub(super) fn key(field: u32, wire_type: u64) -> u64 {
    (u64::from(field) << 3) | wire_type
}

/// A number that is spelled in one byte.
pub(super) fn digit(value: u64) -> Option<u8> {
    u8::try_from(value).ok().filter(|digit| *digit < 0x80)
}

/// How many bytes the one spelling of a number takes: at most ten.
pub(super) fn digits(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()).max(1);
    usize::try_from(bits.div_ceil(7)).unwrap_or_default()
}

/// Spells a number, in as many bytes as it takes.
pub(super) fn spell(mut value: u64, place: &mut [u8]) {
    if let Some((last, others)) = place.split_last_mut() {
        for digit in others {
            let [low, ..] = value.to_le_bytes();
            *digit = low | 0x80;
            value >>= 7;
        }
        let [low, ..] = value.to_le_bytes();
        *last = low;
    }
}
