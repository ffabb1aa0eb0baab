//! Rules that do not hold, each planted in turn: a run finds it, and finds nothing where it is taken out again.

use std::println;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::crypto::planted::{self, Defect};

/// So many seeds are looked at.
const SEEDS: u64 = 200;

/// Which kind of run finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Run,
    Recover,
    Directed,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Directed, Self::Recover, Self::Run];

    fn run(self, seed: u64) -> Option<Broken> {
        let outcome = match self {
            Self::Run => run(seed, None),
            Self::Recover => recover(seed),
            Self::Directed => directed(seed),
        };
        outcome.err().map(|failure| failure.broken)
    }

    /// What a run says of a defect, if it says nothing without.
    fn finds(self, defect: Defect, seed: u64) -> Option<Broken> {
        planted::plant(Some(defect));
        let broken = self.run(seed);
        planted::plant(None);
        broken.filter(|_| self.run(seed).is_none())
    }
}

/// What was broken, without the numbers.
fn rule(broken: &Broken) -> String {
    let printed = std::format!("{broken:?}");
    printed.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().into()
}

/// Each defect, a run that finds it, and the rule that it breaks. It is looked for in the other runs if that one does not find it any
/// more.
const FOUND: [(Defect, Kind, u64, &str); 0] = [];

/// Accounts are made by rules that hold.
fn prepare() {
    for signal in [false, true] {
        accounts::prepare(accounts::USERS, signal);
    }
}

#[test]
fn rules_that_do_not_hold_are_found() {
    prepare();
    let mut missed = Vec::new();
    for (defect, kind, seed, expected) in FOUND {
        let mut seeds = core::iter::once(seed).chain(0..SEEDS);
        let is_it = |broken: &Broken| rule(broken) == expected;
        match seeds.find(|seed| kind.finds(defect, *seed).as_ref().is_some_and(is_it)) {
            Some(found) if found != seed => println!("{defect:?} is found by {kind:?} {found}"),
            Some(_) => {}
            None => missed.push(defect),
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}

/// Looks for the first few runs that find a defect, of the first kind that does: `SUBROSA_DEFECT`, or all.
#[test]
#[ignore = "takes minutes, and says which runs find what"]
#[allow(clippy::disallowed_methods, reason = "a test reads the environment")]
fn where_rules_that_do_not_hold_are_found() {
    prepare();
    let only = std::env::var("SUBROSA_DEFECT").ok();
    for defect in Defect::ALL {
        let name = std::format!("{defect:?}");
        if only.as_ref().is_some_and(|only| !only.split(',').any(|only| only == name)) {
            continue;
        }
        for kind in Kind::ALL {
            let found = (0..SEEDS).filter_map(|seed| Some((seed, kind.finds(defect, seed)?)));
            let found: Vec<_> = found.take(4).map(|(seed, broken)| (seed, rule(&broken))).collect();
            println!("{name} {kind:?}: {found:?}");
            if !found.is_empty() {
                break;
            }
        }
    }
}
