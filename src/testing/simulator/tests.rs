use std::collections::BTreeMap;
use std::println;

use super::*;

/// How many seeds: `SUBROSA_SEEDS`.
#[allow(clippy::disallowed_methods, reason = "a test reads the environment")]
fn seeds() -> u64 {
    std::env::var("SUBROSA_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100)
}

#[test]
fn what_is_promised_is_kept() {
    let mut sum = Report::default();
    let mut failures: BTreeMap<String, (usize, Failure)> = BTreeMap::new();
    for seed in 0..seeds() {
        match run(seed, None) {
            Ok(report) => sum.add(report),
            Err(failure) => {
                let kind = std::format!("{:?}", failure.broken);
                failures.entry(kind).or_insert((0, failure)).0 += 1;
            }
        }
    }
    println!("{sum:#?}");
    for (kind, (count, failure)) in &failures {
        println!("{count} times {kind}, for instance:\n{failure}");
    }
    assert!(failures.is_empty());
}

#[test]
fn planted_defects_are_found() {
    for mutation in [Mutation::SendBeforeCommit, Mutation::ReuseAfterRestore, Mutation::SkippedCheck] {
        let caught: Vec<_> =
            (0..100).filter_map(|seed| run(seed, Some(mutation)).err().map(|failure| (seed, failure.broken))).collect();
        println!("{mutation:?}: {} of 100, {:?}", caught.len(), caught.first());
        assert!(!caught.is_empty(), "{mutation:?}");
    }
}

/// The same number, the same run.
#[test]
fn a_seed_is_a_run() {
    assert_eq!(run(3, None), run(3, None));
}
