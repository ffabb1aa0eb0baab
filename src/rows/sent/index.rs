//! What is known of the segments of a sent log: which there are, how old they are, and what may be in them. It changes with
//! every eighth message.

use super::entry::{Entry, mark};

/// Messages of a segment, and most of those in the device's own row.
pub(crate) const SEGMENT: usize = 8;

/// Numbers of segments: they begin anew where the segments of before are long gone.
pub(super) const NUMBERS: u8 = 64;

/// What is known of one segment.
pub(super) type Head = [u8; HEAD_LEN];

/// Number; when the newest message was sent, u32 seconds since 1970; two bytes for each id, zeros where there are fewer.
pub(super) const HEAD_LEN: usize = 1 + 4 + 2 * SEGMENT;

pub(super) fn head(number: u8, entries: &[Entry]) -> Head {
    let newest = entries.iter().map(Entry::at).max().unwrap_or_default();
    let marks = entries.iter().flat_map(|entry| mark(entry.id()));
    let bytes = core::iter::once(number).chain(newest.to_be_bytes()).chain(marks);
    let mut head = [0; HEAD_LEN];
    head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    head
}

pub(super) const fn number_of(head: &Head) -> u8 {
    let [number, ..] = *head;
    number
}

/// When the newest message of a segment was sent.
pub(super) const fn at(head: &Head) -> u32 {
    let [_, a, b, c, d, ..] = *head;
    u32::from_be_bytes([a, b, c, d])
}

/// Whether a message may be in a segment.
pub(super) fn may_hold(head: &Head, mark: [u8; 2]) -> bool {
    let [_, _, _, _, _, marks @ ..] = head;
    marks.as_chunks().0.contains(&mark)
}

/// How many segments ago one was made, where `next` is the next one.
pub(super) const fn age(head: &Head, next: u8) -> u8 {
    next.wrapping_sub(number_of(head)) % NUMBERS
}

/// Three bits for each id that is in a segment (a Bloom filter): of others one in twelve passes, and the rest is looked for
/// nowhere.
pub(super) type Filter = [u8; FILTER_LEN];

const FILTER_LEN: usize = 256;

/// The three places of an id: byte and bit.
fn places(mark: [u8; 2]) -> [(usize, u8); 3] {
    let mark = u16::from_be_bytes(mark);
    [1, 0x9e37, 0x85eb].map(|factor: u16| {
        let bit = mark.wrapping_mul(factor) >> 5;
        (usize::from(bit / 8), 1 << (bit % 8))
    })
}

pub(super) fn passes(filter: &Filter, mark: [u8; 2]) -> bool {
    places(mark).iter().all(|(byte, bit)| filter.get(*byte).is_some_and(|byte| byte & bit != 0))
}

pub(super) fn filter(heads: &[Head]) -> Filter {
    let mut filter = [0; FILTER_LEN];
    let marks = heads.iter().flat_map(|[_, _, _, _, _, marks @ ..]| marks.as_chunks().0);
    for (byte, bit) in marks.flat_map(|mark| places(*mark)) {
        if let Some(byte) = filter.get_mut(byte) {
            *byte |= bit;
        }
    }
    filter
}
