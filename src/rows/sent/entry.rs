//! What the sent log knows of one message: which it was, and as what it went, so that none is sent twice and the device can
//! ask for one that it could not read. Neither text nor envelope is in it: these are the host's.

use alloc::vec::Vec;

use crate::ident::{MessageId, MessageName, Timestamp};
use crate::wire::FRAMED;

/// How long a message can be asked for, in seconds: 30 days.
pub(crate) const SENT_LOG: u32 = 30 * 24 * 60 * 60;

/// What a message says, as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    /// First 16 bytes of the digest of its content.
    pub(crate) content: [u8; 16],
    /// The same of the parts of a framed message, whose content is another one each time that it is framed; zeros of others.
    pub(crate) parts: [u8; 16],
    /// The content's number.
    pub(crate) number: u8,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    id: MessageId,
    /// First 16 bytes of its name.
    name: [u8; 16],
    pub(crate) digest: Digest,
    /// Seconds since 1970.
    at: u32,
    /// Whether it was asked for and sent again, as a message of another name.
    pub(crate) answered: bool,
}

/// Longest entry: that of a framed message.
pub(crate) const ENTRY_LEN: usize = 1 + 1 + 16 + 8 + 8 + 16 + 4 + 16;

impl Entry {
    pub(crate) fn new(id: MessageId, name: &MessageName, digest: Digest, at: Timestamp) -> Self {
        Self { id, name: first(name.as_bytes()), digest, at: seconds(at), answered: false }
    }

    pub(crate) const fn id(&self) -> MessageId {
        self.id
    }

    /// When it was sent, in seconds since 1970.
    pub(crate) const fn at(&self) -> u32 {
        self.at
    }

    pub(crate) const fn set_at(&mut self, at: u32) {
        self.at = at;
    }

    pub(crate) fn is_named(&self, name: &MessageName) -> bool {
        self.name == first(name.as_bytes())
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { id, name, digest: Digest { content, parts, number }, at, answered } = self;
        out.extend_from_slice(&[u8::from(*answered), *number]);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(content);
        out.extend_from_slice(&at.to_be_bytes());
        if *number == FRAMED {
            out.extend_from_slice(parts);
        }
    }

    /// Those of the bytes, as far as these are entries.
    pub(crate) fn each(mut bytes: &[u8]) -> impl Iterator<Item = Self> {
        core::iter::from_fn(move || {
            let (entry, rest) = Self::read(bytes)?;
            bytes = rest;
            Some(entry)
        })
    }

    /// How many entries these bytes are, without reading them; `None` if they are anything else.
    pub(crate) fn count(mut bytes: &[u8]) -> Option<usize> {
        let mut count = 0;
        while !bytes.is_empty() {
            let [0 | 1, number, ..] = *bytes else { return None };
            bytes = bytes.get(if number == FRAMED { ENTRY_LEN } else { ENTRY_LEN - 16 }..)?;
            count += 1;
        }
        Some(count)
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&[answered @ (0 | 1), number], rest) = bytes.split_first_chunk()? else { return None };
        let (id, rest) = rest.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk()?;
        let (content, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (parts, rest) = if number == FRAMED { rest.split_first_chunk()? } else { (&[0; 16], rest) };
        let digest = Digest { content: *content, parts: *parts, number };
        let (id, at) = (MessageId::new(*id), u32::from_be_bytes(*at));
        Some((Self { id, name: *name, digest, at, answered: answered == 1 }, rest))
    }
}

/// Seconds since 1970.
pub(crate) fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.get() / 1000).unwrap_or(u32::MAX)
}

/// The first of 32 bytes.
pub(crate) fn first<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    core::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())
}

/// What stands for a message's id where there is room for two bytes. Ids are the host's own, so that a hash of nothing but
/// speed will do: it keeps apart what is drawn, and what is counted.
pub(crate) fn id_hash(id: MessageId) -> [u8; 2] {
    let pairs = id.as_bytes().as_chunks().0.iter();
    pairs.fold(0_u16, |id_hash, pair| (id_hash ^ u16::from_be_bytes(*pair)).wrapping_mul(0x9e37)).to_be_bytes()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::vec;

    pub(in super::super) fn entry(number: u8, at: u32) -> Entry {
        let digest = Digest { content: [number; 16], parts: [0; 16], number: 16 };
        let (id, name) = (MessageId::new([number; 16]), MessageName::new([number; 32]));
        Entry::new(id, &name, digest, Timestamp::new(u64::from(at) * 1000))
    }

    fn written(entries: &[Entry]) -> Vec<u8> {
        let mut out = Vec::new();
        entries.iter().for_each(|entry| entry.write(&mut out));
        out
    }

    #[test]
    fn entries_come_back() {
        let framed = Digest { content: [7; 16], parts: [8; 16], number: FRAMED };
        let entries = vec![entry(1, 5), Entry { digest: framed, answered: true, ..entry(2, 6) }, entry(3, u32::MAX)];
        let bytes = written(&entries);
        assert_eq!(bytes.len(), 3 * ENTRY_LEN - 2 * 16);
        assert_eq!(Entry::count(&bytes), Some(3));
        assert_eq!(Entry::each(&bytes).collect::<Vec<_>>(), entries);
        assert_eq!(Entry::count(&[]), Some(0));
    }

    #[test]
    fn what_is_no_list_of_entries() {
        let bytes = written(&[entry(1, 5), entry(2, 6)]);
        for len in (1..bytes.len()).filter(|len| len * 2 != bytes.len()) {
            assert_eq!(Entry::count(&bytes[..len]), None, "cut at {len}");
        }
        for at in [0, bytes.len() / 2] {
            let mut flag = bytes.clone();
            flag[at] = 2;
            assert_eq!(Entry::count(&flag), None, "an unknown flag");
        }
    }

    #[test]
    fn ids_have_different_hashes() {
        let hashes = |ids: &mut dyn Iterator<Item = [u8; 16]>| {
            ids.map(|id| id_hash(MessageId::new(id))).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(hashes(&mut (0..60_000_u128).map(u128::to_be_bytes)), 60_000);
        assert_eq!(hashes(&mut (0..60_000_u128).map(u128::to_le_bytes)), 60_000);
    }

    #[test]
    fn a_message_is_known_by_its_name() {
        let digest = entry(1, 0).digest;
        let entry = Entry::new(MessageId::new([1; 16]), &MessageName::new([2; 32]), digest, Timestamp::new(1_999));
        assert!(entry.is_named(&MessageName::new([2; 32])) && !entry.is_named(&MessageName::new([3; 32])));
        assert_eq!(entry.at(), 1);
    }
}
