//! Many runs of the simulator: `SUBROSA_SEEDS=10000 cargo test --release --features testing --test simulator`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop where something is wrong")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads the environment and the clock")]
#![allow(clippy::print_stdout, reason = "a test tells what it has done")]

use std::collections::BTreeMap;
use std::time::Instant;

use subrosa::testing::simulator::{Broken, Failure, Mutation, Report, directed, recover, run};

/// How many seeds: `SUBROSA_SEEDS`, from `SUBROSA_SEED`.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let first = number("SUBROSA_SEED").unwrap_or(0);
    first..first + number("SUBROSA_SEEDS").unwrap_or(default)
}

/// What is wrong, without the numbers.
fn kind(broken: &Broken) -> String {
    match broken {
        Broken::Lost(losses) => format!("Lost {:?}", losses.keys().collect::<Vec<_>>()),
        Broken::Slow(..) => "Slow".into(),
        Broken::Chatty(..) => "Chatty".into(),
        Broken::Needless(..) => "Needless".into(),
        Broken::Claimed(_) => "Claimed".into(),
        Broken::Overworked(_) => "Overworked".into(),
        Broken::Stuck(_) => "Stuck".into(),
        Broken::TooLong(kind, _) => format!("TooLong({kind})"),
        other => format!("{other:?}"),
    }
}

fn all(seeds: std::ops::Range<u64>, run: impl Fn(u64) -> Result<Report, Failure>) {
    let mut sum = Report::default();
    let mut failures: BTreeMap<String, (Vec<u64>, Failure)> = BTreeMap::new();
    let (began, mut slowest) = (Instant::now(), (0, 0));
    for seed in seeds.clone() {
        let start = Instant::now();
        match run(seed) {
            Ok(report) => sum.add(report),
            Err(failure) => {
                let shorter = |held: &Failure| failure.trace.len() < held.trace.len();
                let entry = failures.entry(kind(&failure.broken)).or_insert_with(|| (Vec::new(), failure.clone()));
                entry.0.push(seed);
                if shorter(&entry.1) {
                    entry.1 = failure;
                }
            }
        }
        slowest = slowest.max((start.elapsed().as_millis(), seed));
    }
    let (took, count) = (began.elapsed(), seeds.end - seeds.start);
    println!("{sum:#?}\n{count} seeds in {took:?}, {:.1} ms each", took.as_secs_f64() * 1e3 / count as f64);
    println!("the slowest took {} ms: {}", slowest.0, slowest.1);
    for (kind, (seeds, failure)) in &failures {
        println!("{kind} in {} seeds: {seeds:?}, for instance:\n{failure}", seeds.len());
    }
    assert!(failures.is_empty(), "{:?}", failures.keys());
}

#[test]
fn what_is_promised_is_kept() {
    all(seeds(100), |seed| run(seed, None));
}

/// From a bad state of two or three devices, with an honest server from then on: twelve rounds, forty envelopes.
#[test]
fn whatever_happened_all_is_well_soon() {
    all(seeds(1000), recover);
}

/// One thing again and again, that is rare in other runs.
#[test]
fn what_is_rare_does_no_harm() {
    all(seeds(140), directed);
}

/// Whether every fault has happened that a promise is made about.
#[test]
fn the_runs_are_eventful() {
    let mut sum = Report::default();
    for seed in 0..100 {
        sum.add(run(seed, None).unwrap());
    }
    assert!(sum.written > 2_000, "{sum:?}");
    assert!(sum.crashes > 100 && sum.conflicts > 100 && sum.restores > 10 && sum.accounts > 3, "{sum:?}");
    assert!(sum.garbled > 20 && sum.clocks > 50 && sum.sleeps > 50, "{sum:?}");
    assert!(sum.rows_back > 2 && sum.losses > 5, "{sum:?}");
    assert!(sum.ends.len() >= 6, "{sum:?}");
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
