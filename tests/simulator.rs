//! Many runs of the simulator: `SUBROSA_SEEDS=10000 cargo test --release --features testing --test simulator`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop where something is wrong")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads the environment and the clock")]
#![allow(clippy::print_stdout, reason = "a test tells what it has done")]

use std::collections::BTreeMap;
use std::time::Instant;

use subrosa::testing::simulator::{Failure, Mutation, Report, run};

/// How many seeds: `SUBROSA_SEEDS`, from `SUBROSA_SEED`.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let first = number("SUBROSA_SEED").unwrap_or(0);
    first..first + number("SUBROSA_SEEDS").unwrap_or(100)
}

#[test]
fn what_is_promised_is_kept() {
    let mut sum = Report::default();
    let mut failures: BTreeMap<String, (Vec<u64>, Failure)> = BTreeMap::new();
    let (began, seeds) = (Instant::now(), seeds());
    for seed in seeds.clone() {
        match run(seed, None) {
            Ok(report) => sum.add(report),
            Err(failure) => {
                let kind = format!("{:?}", failure.broken);
                failures.entry(kind).or_insert_with(|| (Vec::new(), failure)).0.push(seed);
            }
        }
    }
    let (took, count) = (began.elapsed(), seeds.end - seeds.start);
    println!("{sum:#?}\n{count} seeds in {took:?}, {:.1} ms each", took.as_secs_f64() * 1e3 / count as f64);
    for (kind, (seeds, failure)) in &failures {
        println!("{kind} in {seeds:?}, for instance:\n{failure}");
    }
    assert!(failures.is_empty(), "{:?}", failures.keys());
}

/// Whether every fault has happened that a promise is made about.
#[test]
fn the_runs_are_eventful() {
    let mut sum = Report::default();
    for seed in 0..100 {
        sum.add(run(seed, None).unwrap());
    }
    assert!(sum.written > 2_000 && sum.read > sum.written / 2, "{sum:?}");
    assert!(sum.crashes > 100 && sum.conflicts > 100 && sum.restores > 10 && sum.accounts > 3, "{sum:?}");
    assert!(sum.garbled > 50 && sum.clocks > 50, "{sum:?}");
    assert!(sum.excused.len() >= 4, "{sum:?}");
}

#[test]
fn planted_defects_are_found() {
    for mutation in [Mutation::SendBeforeCommit, Mutation::ReuseAfterRestore, Mutation::SkippedCheck] {
        let caught: Vec<_> = (0..100).filter_map(|seed| run(seed, Some(mutation)).err()).collect();
        let first = caught.first().map(|failure| (failure.seed, &failure.broken));
        println!("{mutation:?}: {} of 100 seeds, first {first:?}", caught.len());
        assert!(!caught.is_empty(), "{mutation:?}");
    }
}

/// The same number, the same run.
#[test]
fn a_seed_is_a_run() {
    for seed in 0..5 {
        assert_eq!(run(seed, None), run(seed, None));
    }
    let failure = (0..100).find_map(|seed| run(seed, Some(Mutation::SkippedCheck)).err()).unwrap();
    assert_eq!(run(failure.seed, Some(Mutation::SkippedCheck)), Err(failure));
}
