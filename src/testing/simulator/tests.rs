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
    let mut failures: BTreeMap<String, (Vec<u64>, Failure)> = BTreeMap::new();
    for seed in 0..seeds() {
        match run(seed, None) {
            Ok(report) => sum.add(report),
            Err(failure) => {
                let kind = std::format!("{:?}", failure.broken);
                failures.entry(kind).or_insert_with(|| (Vec::new(), failure)).0.push(seed);
            }
        }
    }
    println!("{sum:#?}");
    for (kind, (seeds, failure)) in &failures {
        println!("{kind} in {seeds:?}, for instance:\n{failure}");
    }
    assert!(failures.is_empty());
}

#[test]
fn what_is_rare_does_no_harm() {
    let failures: Vec<_> = (0..seeds()).filter_map(|seed| directed(seed).err()).collect();
    for failure in &failures {
        println!("{failure}");
    }
    assert!(
        failures.is_empty(),
        "{:?}",
        failures.iter().map(|failure| (failure.seed, &failure.broken)).collect::<Vec<_>>()
    );
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
    // The first run of a thread makes what later ones share.
    let _ = run(3, None);
    assert_eq!(run(3, None), run(3, None));
}

/// A cache that gave anything but what the row holds would give other rows in the end.
#[test]
fn a_run_is_the_same_with_sessions_in_memory() {
    for seed in 0..seeds().min(100) {
        let end = |cached| {
            let mut world = world::World::new(seed, None, cached, false);
            (world.run(), world.rows(), world.into_trace())
        };
        let plain = end([false; 2]);
        for cached in [[true, false], [false, true], [true, true]] {
            assert!(plain == end(cached), "seed {seed}, {cached:?}");
        }
    }
}
