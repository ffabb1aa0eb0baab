use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{Arguments, Debug, Display};

use super::search::Search;
use crate::persist::RecordKey;
use crate::staging::{Batch, Staged, Store as _};
use crate::testing::MemoryStore;

/// What was measured of a host's operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    rounds: usize,
    rounds_of_bulk: usize,
    deepest: String,
    largest: BTreeMap<u8, usize>,
    staged: u64,
    conflict: String,
    stuck: Option<String>,
    leaks: Vec<String>,
    search: Search,
}

impl Audit {
    /// The most rounds of loading that an operation has needed.
    #[must_use]
    pub const fn rounds(&self) -> usize {
        self.rounds
    }

    /// The same for operations on many envelopes: one of them may need what another one has changed.
    #[must_use]
    pub const fn rounds_of_bulk(&self) -> usize {
        self.rounds_of_bulk
    }

    /// What the operation gave that has needed most, as a type, and the kinds of records that it asked for, round by round.
    #[must_use]
    pub fn deepest(&self) -> &str {
        &self.deepest
    }

    /// The longest row that was staged, of each kind of record.
    #[must_use]
    pub const fn largest(&self) -> &BTreeMap<u8, usize> {
        &self.largest
    }

    /// How many operations were staged.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.staged
    }

    /// An operation whose batch was refused however often it was staged: what it gave, as a type, and of what kinds the
    /// rows were that were not as it expected. Must be none.
    #[must_use]
    pub fn stuck(&self) -> Option<&str> {
        self.stuck.as_deref()
    }

    /// What was printed and shows a secret: must be empty.
    #[must_use]
    pub fn leaks(&self) -> &[String] {
        &self.leaks
    }

    /// Looks for these bytes in everything that is printed from now on: as text, as hexadecimal digits, as a list of
    /// numbers.
    pub(in crate::testing) fn look_for(&mut self, secret: &[u8]) {
        self.search.add(secret);
    }

    pub(super) fn staged<T>(&mut self, rounds: &[Vec<RecordKey>], batch: &Batch, staged: &Staged<T>) {
        self.staged += 1;
        self.needed(rounds, core::any::type_name::<T>());
        for change in batch.changes() {
            if let Some(row) = change.row() {
                let [kind, ..] = *change.key().as_bytes();
                let largest = self.largest.entry(kind).or_default();
                *largest = row.bytes.len().max(*largest);
            }
        }
        self.printed(staged);
    }

    pub(super) fn refused(&mut self, rounds: &[Vec<RecordKey>], error: &(impl Debug + Display)) {
        self.needed(rounds, core::any::type_name_of_val(error));
        self.printed(error);
        self.shown(format_args!("{error}"));
    }

    pub(super) fn conflicted(&mut self, batch: &Batch, store: &MemoryStore) {
        let wrong = batch.changes().iter().filter_map(|change| {
            let Ok(rows) = store.load(&[*change.key()]);
            let version = rows.into_iter().next().flatten().map(|row| row.version);
            let expected = change.expected();
            let [kind, ..] = *change.key().as_bytes();
            (version != expected).then(|| format!("{kind}: expects {expected:?}, is {version:?}; "))
        });
        self.conflict = wrong.collect();
    }

    pub(super) fn gave_up(&mut self, gave: &str) {
        self.stuck = Some(format!("{gave}: {}", self.conflict));
    }

    fn needed(&mut self, rounds: &[Vec<RecordKey>], gave: &str) {
        if rounds.len() > self.rounds.max(self.rounds_of_bulk) {
            let kinds = |keys: &Vec<RecordKey>| keys.iter().map(|key| key.as_bytes()[0]).collect::<Vec<_>>();
            self.deepest = format!("{gave} {:?}", rounds.iter().map(kinds).collect::<Vec<_>>());
        }
        let bulk = gave.starts_with("alloc::vec::Vec<core::result::Result<");
        let most = if bulk { &mut self.rounds_of_bulk } else { &mut self.rounds };
        *most = rounds.len().max(*most);
    }

    /// Looks at what an app might log.
    pub(super) fn printed(&mut self, what: &impl Debug) {
        self.shown(format_args!("{what:?}"));
    }

    fn shown(&mut self, what: Arguments<'_>) {
        self.leaks.extend(self.search.shows(what).map(Into::into));
    }
}
