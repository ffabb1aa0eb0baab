//! Keys kept for late messages: in memory, or away in a record of their own.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::crypto::Secret;

/// Keys by index. A store may hold them in a record apart from the state that changes with every message; then they
/// are *away*, and nothing that touches them may happen before [`Kept::bring`].
#[derive(Clone, Default)]
pub(super) struct Kept {
    keys: BTreeMap<u32, Secret<32>>,
    away: Option<Away>,
}

/// What is known of keys that are away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away {
    /// How many: at least one.
    pub(super) count: u32,
    /// The smallest index.
    pub(super) first: u32,
}

impl Kept {
    pub(super) const fn new() -> Self {
        Self { keys: BTreeMap::new(), away: None }
    }

    pub(super) fn from_keys(keys: Vec<(u32, Secret<32>)>) -> Self {
        Self { keys: keys.into_iter().collect(), away: None }
    }

    /// `count` keys that a record apart holds.
    pub(super) fn from_away(count: u32, first: u32) -> Self {
        Self { away: (count > 0).then_some(Away { count, first }), ..Self::new() }
    }

    pub(super) const fn away(&self) -> Option<Away> {
        self.away
    }

    /// Takes the keys that were away. `None` if they are not those that went.
    pub(super) fn bring(&mut self, keys: Vec<(u32, Secret<32>)>) -> Option<()> {
        let here = Self::from_keys(keys);
        if here.summary() != self.away {
            return None;
        }
        *self = here;
        Some(())
    }

    /// Gives up keys that are away.
    pub(super) const fn lose(&mut self) {
        self.away = None;
    }

    /// What to remember of the keys when they go away, or are away.
    pub(super) fn summary(&self) -> Option<Away> {
        let first = self.keys.first_key_value().map(|(first, _)| *first);
        let here = first.and_then(|first| Some(Away { count: u32::try_from(self.keys.len()).ok()?, first }));
        self.away.or(here)
    }

    pub(super) const fn keys(&self) -> &BTreeMap<u32, Secret<32>> {
        &self.keys
    }

    pub(super) fn get(&self, index: u32) -> Option<&Secret<32>> {
        debug_assert!(self.away.is_none(), "keys are asked for while they are away");
        self.keys.get(&index)
    }

    pub(super) fn remove(&mut self, index: u32) {
        self.keys.remove(&index);
    }

    pub(super) fn extend(&mut self, passed: Vec<(u32, Secret<32>)>) {
        debug_assert!(self.away.is_none() || passed.is_empty(), "keys are added while others are away");
        if self.keys.is_empty() {
            // Built at once of what is sorted, which is quicker than entering one by one.
            self.keys = passed.into_iter().collect();
        } else {
            self.keys.extend(passed);
        }
    }

    pub(super) fn pop_first(&mut self) -> Option<u32> {
        self.keys.pop_first().map(|(index, _)| index)
    }

    pub(super) fn first(&self) -> Option<u32> {
        self.summary().map(|summary| summary.first)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}
