//! Which records of the sent log with one peer device there may be: what is to be tidied, or deleted with the device.

use alloc::vec::Vec;

use crate::wire::{FieldWriter, RecordError};

/// Groups of records; a bit of the index stands for one.
const GROUPS: u16 = 1024;

/// Records of one group.
const IN_GROUP: u16 = 4;

/// A record of the log for every this many messages, in the long run.
const SLOTS: u16 = GROUPS * IN_GROUP;

/// Records of the log, by number: from 1,024 on, by the hash of the message id; a group are those that differ by multiples
/// of 1,024. Below 1,024 are those of an earlier layout, each with the messages of a whole group; they are read for the
/// sake of messages that were sent before an update, and not written to.
#[derive(Default)]
pub(super) struct SentIndex {
    early: Bits,
    groups: Bits,
}

/// First byte of what is stored. What an earlier layout stored is shorter than what begins with it.
const LAYOUT: u8 = 2;

/// A bit for each group, or nothing.
#[derive(Default)]
struct Bits(Vec<u8>);

/// What one bit stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Group {
    Early(u16),
    Of(u16),
}

impl Group {
    /// Its records.
    pub(super) fn numbers(self) -> impl Iterator<Item = u16> {
        let (first, count) = match self {
            Self::Early(group) => (group, 1),
            Self::Of(group) => (GROUPS + group, IN_GROUP),
        };
        (0..count).map(move |row| first + row * GROUPS)
    }
}

/// The number of the record that a message with this hash of its id belongs in.
pub(super) const fn number_of(hash: u16) -> u16 {
    GROUPS + hash % SLOTS
}

/// Every record that there can be.
pub(super) fn all_numbers() -> impl Iterator<Item = u16> {
    0..GROUPS + SLOTS
}

impl SentIndex {
    /// Takes what [`Self::write`] gave, or 128 bytes that an earlier layout gave.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        let (groups, early) = match bytes {
            [] => (bytes, bytes),
            [LAYOUT, bits @ ..] if bits.len() >= Bits::LEN => bits.split_at(Bits::LEN),
            early => (&[][..], early),
        };
        Ok(Self { early: Bits::read(early)?, groups: Bits::read(groups)? })
    }

    /// `u8 2 ‖ a bit for each group`, and a bit for each record of the earlier layout if there are any; or nothing.
    pub(super) fn write(&self, out: &mut FieldWriter) {
        if self.early.0.is_empty() && self.groups.0.is_empty() {
            return;
        }
        out.put(&[LAYOUT]);
        out.put(if self.groups.0.is_empty() { &[0; Bits::LEN] } else { &self.groups.0 });
        out.put(&self.early.0);
    }

    /// Notes that a record is there.
    pub(super) fn enter(&mut self, number: u16) {
        if number >= GROUPS {
            self.groups.set(number % GROUPS, true);
        }
    }

    /// The record of the earlier layout that may hold what belongs in this one.
    pub(super) fn early(&self, number: u16) -> Option<u16> {
        let early = number % GROUPS;
        self.early.get(early).then_some(early)
    }

    /// What there is.
    pub(super) fn present(&self) -> Vec<Group> {
        let early = (0..GROUPS).filter(|group| self.early.get(*group)).map(Group::Early);
        early.chain((0..GROUPS).filter(|group| self.groups.get(*group)).map(Group::Of)).collect()
    }

    /// Notes that all records of a group are gone.
    pub(super) fn clear(&mut self, group: Group) {
        match group {
            Group::Early(group) => self.early.set(group, false),
            Group::Of(group) => self.groups.set(group, false),
        }
    }
}

impl Bits {
    const LEN: usize = 128;

    fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        const { assert!(Self::LEN * 8 == 1024, "a bit for each group") };
        match bytes.len() {
            // The earlier layout was stored even where nothing was left of it.
            0 | Self::LEN if bytes.iter().all(|byte| *byte == 0) => Ok(Self::default()),
            Self::LEN => Ok(Self(bytes.to_vec())),
            _ => Err(RecordError::Corrupt),
        }
    }

    fn get(&self, group: u16) -> bool {
        self.0.get(usize::from(group / 8)).is_some_and(|byte| byte & (1 << (group % 8)) != 0)
    }

    fn set(&mut self, group: u16, present: bool) {
        self.0.resize(Self::LEN, 0);
        if let Some(byte) = self.0.get_mut(usize::from(group / 8)) {
            let bit = 1 << (group % 8);
            if present { *byte |= bit } else { *byte &= !bit }
        }
        if !present && self.0.iter().all(|byte| *byte == 0) {
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FieldReader, RecordKind};
    use std::collections::BTreeSet;
    use std::vec;

    #[test]
    fn a_group_is_what_its_bit_says() {
        let mut all = BTreeSet::new();
        for hash in 0..=u16::MAX {
            let number = number_of(hash);
            let mut index = SentIndex::default();
            index.enter(number);
            let [group] = *index.present() else { panic!("one bit") };
            assert!(group.numbers().any(|held| held == number));
            assert_eq!(group, Group::Of(number % 1024));
            all.extend(group.numbers());
        }
        all.extend((0..1024).flat_map(|early| Group::Early(early).numbers()));
        assert_eq!(all, all_numbers().collect());
    }

    fn written(index: &SentIndex) -> Vec<u8> {
        let mut out = FieldWriter::record(RecordKind::Peer, 300);
        out.joined(1, |out| index.write(out));
        let record = out.finish();
        let mut fields = FieldReader::record(RecordKind::Peer, &record).unwrap();
        fields.bytes(1).unwrap().to_vec()
    }

    #[test]
    fn bits_come_and_go() {
        let mut index = SentIndex::read(&[]).unwrap();
        assert!(written(&index).is_empty());
        index.enter(1024 + 9);
        index.enter(1024 + 1024 + 9);
        let bytes = written(&index);
        assert_eq!((bytes.len(), bytes[0], bytes[2]), (129, 2, 2));
        assert_eq!(written(&SentIndex::read(&bytes).unwrap()), bytes);
        index.clear(Group::Of(9));
        assert!(written(&index).is_empty(), "as if nothing had been there");
        assert!(written(&SentIndex::read(&[0; 128]).unwrap()).is_empty());
        for len in [1, 127, 130, 256, 258] {
            assert!(SentIndex::read(&vec![2; len]).is_err(), "{len}");
        }
    }

    #[test]
    fn an_earlier_layout_is_found() {
        let mut early = [0; 128];
        (early[0], early[2]) = (2, 1);
        let mut index = SentIndex::read(&early).unwrap();
        assert_eq!(index.early(number_of(16)), Some(16));
        assert_eq!(index.early(number_of(16 + 3 * 1024)), Some(16));
        assert_eq!(index.early(number_of(17)), None);
        index.enter(16);
        assert_eq!(index.present(), [Group::Early(1), Group::Early(16)], "not written to");
        index.enter(1024 + 16);
        let both = written(&index);
        assert_eq!(both.len(), 257);
        let mut index = SentIndex::read(&both).unwrap();
        assert_eq!(index.present(), [Group::Early(1), Group::Early(16), Group::Of(16)]);
        for group in [1, 16] {
            index.clear(Group::Early(group));
        }
        assert_eq!(written(&index).len(), 129);
    }
}
