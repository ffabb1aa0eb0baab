//! Google's Wycheproof vectors, run through this crate's own wrappers: a wrapper can be wrong (an argument swapped, a
//! check left out) where the crate behind it is right.
//!
//! Every test states exactly how many vectors it ran, so that none can run nothing in silence, and lists exactly where
//! the wrapper is stricter than the vectors ask.

mod curve;
mod kem;
mod symmetric;

use core::fmt::Debug;
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

/// Counts what happened to vectors, by a name for it.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn add(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    /// Asserts that exactly this happened, each so many times.
    fn assert_is(&self, expected: &[(&str, usize)]) {
        let counted: Vec<_> = self.0.iter().map(|(what, count)| (what.as_str(), *count)).collect();
        assert_eq!(counted, expected);
    }
}

/// The flags of a vector in one order: the files list them in several.
fn flags(flags: &[impl Debug]) -> String {
    let mut names: Vec<_> = flags.iter().map(|flag| std::format!("{flag:?}")).collect();
    names.sort();
    names.join(" ")
}
