use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{Debug, Display};

use crate::client::{Batch, Change, Staged};

/// What was measured of a host's operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    rounds: usize,
    deepest: &'static str,
    largest: BTreeMap<u8, usize>,
    staged: u64,
    leaks: Vec<String>,
    secrets: Vec<String>,
}

impl Audit {
    /// The most rounds of loading that an operation has needed.
    #[must_use]
    pub const fn rounds(&self) -> usize {
        self.rounds
    }

    /// What that operation gave, as a type.
    #[must_use]
    pub const fn deepest(&self) -> &'static str {
        self.deepest
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

    /// What was printed and shows a secret: must be empty.
    #[must_use]
    pub fn leaks(&self) -> &[String] {
        &self.leaks
    }

    /// Looks for these bytes in everything that is printed from now on: as text, as hexadecimal digits, as a list of
    /// numbers.
    pub(in crate::testing) fn look_for(&mut self, secret: &[u8]) {
        let hex = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let list: Vec<String> = secret.iter().map(|byte| format!("{byte}")).collect();
        let text = String::from_utf8_lossy(secret).into_owned();
        self.secrets.extend([hex, list.join(", "), text.to_lowercase()]);
    }

    pub(super) fn staged<T>(&mut self, rounds: usize, batch: &Batch, staged: &Staged<T>) {
        self.staged += 1;
        if rounds > self.rounds {
            (self.rounds, self.deepest) = (rounds, core::any::type_name::<T>());
        }
        for change in batch.changes() {
            if let Change::Put { key, bytes, .. } = change {
                let [kind, ..] = *key.as_bytes();
                let largest = self.largest.entry(kind).or_default();
                *largest = bytes.len().max(*largest);
            }
        }
        self.printed(staged);
    }

    pub(super) fn refused(&mut self, rounds: usize, error: &(impl Debug + Display)) {
        if rounds > self.rounds {
            (self.rounds, self.deepest) = (rounds, core::any::type_name_of_val(error));
        }
        self.printed(error);
        self.shown(&format!("{error}"));
    }

    /// Looks at what an app might log.
    pub(super) fn printed(&mut self, what: &impl Debug) {
        self.shown(&format!("{what:?}"));
    }

    fn shown(&mut self, printed: &str) {
        let printed = printed.to_lowercase();
        if self.secrets.iter().any(|secret| printed.contains(secret.as_str())) {
            self.leaks.push(printed);
        }
    }
}
