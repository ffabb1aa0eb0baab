//! Skipped message keys that lie together: in memory, or away in a record of their own.

use alloc::collections::VecDeque;

use crate::crypto::Secret;

/// Most keys of one page.
pub(super) const PAGE_LEN: usize = 64;

/// Names a page's record among those of its session: 8 random bytes.
pub(crate) type PageName = [u8; 8];

/// What is known of a page's keys without having them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u32,
    pub(super) last: u32,
    /// At least one.
    pub(super) count: usize,
}

/// Some keys, ascending; never none.
#[derive(Clone)]
pub(super) struct Page {
    /// Of its record, once it has one.
    name: Option<PageName>,
    keys: Keys,
    /// Whether its record holds other keys than these, or is still to be written.
    changed: bool,
}

#[derive(Clone)]
enum Keys {
    Here(VecDeque<(u32, Secret<32>)>),
    Away(Span),
}

impl Page {
    /// A page that has no record.
    pub(super) fn new(keys: impl IntoIterator<Item = (u32, Secret<32>)>) -> Self {
        // All the room that it will ever take: a buffer that grows leaves keys behind.
        let mut room = VecDeque::with_capacity(PAGE_LEN);
        room.extend(keys);
        Self { name: None, keys: Keys::Here(room), changed: true }
    }

    /// A page that is in the record of this name.
    pub(super) const fn from_away(name: PageName, span: Span) -> Self {
        Self { name: Some(name), keys: Keys::Away(span), changed: false }
    }

    /// Takes the keys that were away. `None` if they are not those that went.
    pub(super) fn bring(&mut self, keys: impl IntoIterator<Item = (u32, Secret<32>)>) -> Option<()> {
        let here = Self::new(keys);
        if here.span() != self.span() {
            return None;
        }
        self.keys = here.keys;
        Some(())
    }

    pub(super) fn span(&self) -> Span {
        match &self.keys {
            Keys::Away(span) => *span,
            Keys::Here(keys) => {
                let [first, last] = [keys.front(), keys.back()].map(|key| key.map_or(0, |(index, _)| *index));
                Span { first, last, count: keys.len() }
            }
        }
    }

    pub(super) const fn is_away(&self) -> bool {
        matches!(self.keys, Keys::Away(_))
    }

    pub(super) const fn name(&self) -> Option<PageName> {
        self.name
    }

    /// The keys that are here.
    pub(super) fn keys(&self) -> impl Iterator<Item = &(u32, Secret<32>)> {
        match &self.keys {
            Keys::Here(keys) => Some(keys.iter()),
            Keys::Away(_) => None,
        }
        .into_iter()
        .flatten()
    }

    pub(super) fn get(&self, index: u32) -> Option<&Secret<32>> {
        debug_assert!(!self.is_away(), "a key is asked for while its page is away");
        let Keys::Here(keys) = &self.keys else { return None };
        let at = keys.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        keys.get(at).map(|(_, key)| key)
    }

    /// Removes a key. Whether any is left.
    pub(super) fn remove(&mut self, index: u32) -> bool {
        debug_assert!(!self.is_away(), "a key is removed while its page is away");
        let Keys::Here(keys) = &mut self.keys else { return true };
        if let Ok(at) = keys.binary_search_by_key(&index, |(index, _)| *index) {
            // To the end, and dropped where it lies: taken out of the middle it would leave a copy behind.
            keys.make_contiguous().get_mut(at..).unwrap_or_default().rotate_left(1);
            keys.truncate(keys.len() - 1);
            self.changed = true;
        }
        !keys.is_empty()
    }

    /// Removes so many of the first keys, but not all. The last of them.
    pub(super) fn drop_first(&mut self, count: usize) -> Option<u32> {
        let Keys::Here(keys) = &mut self.keys else { return None };
        let (last, _) = keys.get(count.checked_sub(1)?)?;
        let last = *last;
        drop(keys.drain(..count));
        self.changed = true;
        Some(last)
    }

    /// How many keys have an index below `bound`; 0 if the keys are away.
    pub(super) fn count_below(&self, bound: u32) -> usize {
        match &self.keys {
            Keys::Here(keys) => keys.partition_point(|(index, _)| *index < bound),
            Keys::Away(_) => 0,
        }
    }

    /// Whether there is room for so many more.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.span().count + more <= PAGE_LEN
    }

    /// Adds keys behind those that are here.
    pub(super) fn append<'a>(&mut self, more: impl Iterator<Item = &'a (u32, Secret<32>)>) {
        let Keys::Here(keys) = &mut self.keys else { return };
        if keys.capacity() < PAGE_LEN {
            // A copy of a page has no room to grow in.
            let mut room = VecDeque::with_capacity(PAGE_LEN);
            room.extend(keys.iter().cloned());
            *keys = room;
        }
        keys.extend(more.cloned());
        self.changed = true;
    }

    /// Whether its record is to be written.
    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    /// Its record is written, under this name.
    pub(super) const fn stored(&mut self, name: PageName) {
        (self.name, self.changed) = (Some(name), false);
    }
}
