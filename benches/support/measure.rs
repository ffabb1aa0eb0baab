//! Measuring side by side: short batches of every case in turns, so that a slow moment of the machine falls on all of
//! them alike; medians and spread afterwards. That is how the tables are made.
//!
//! With a filter or another argument of criterion's (`cargo bench --bench session -- decrypt`, `-- --save-baseline mine`)
//! criterion measures the same cases, one after the other: for comparing two versions of one operation.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;

/// A batch of one case is to take about so long.
const BATCH: Duration = Duration::from_micros(400);

/// At most so many operations at a time: what they need is made beforehand, and has to stay in the cache.
const MOST: u32 = 256;

/// Something to measure: does it so many times, and says how long that took without its preparation.
pub(crate) struct Case<'a> {
    name: String,
    most: u32,
    batch: Box<dyn FnMut(u32) -> Duration + 'a>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(name: impl Into<String>, batch: impl FnMut(u32) -> Duration + 'a) -> Self {
        Self { name: name.into(), most: MOST, batch: Box::new(batch) }
    }

    /// Something that needs no preparation.
    pub(crate) fn plain<T>(name: impl Into<String>, mut work: impl FnMut() -> T + 'a) -> Self {
        Self::new(name, move |count| time((0..count).map(|_| ()), |()| work()))
    }

    /// Something that uses up what it works on: a value is made for each time, and dropped, outside of the clock.
    pub(crate) fn each<I, T>(
        name: impl Into<String>,
        mut make: impl FnMut() -> I + 'a,
        mut work: impl FnMut(&mut I) -> T + 'a,
    ) -> Self {
        // Few at a time: what lies ready must not push out of the cache what is worked with.
        Self::new(name, move |count| {
            let mut made: Vec<I> = (0..count).map(|_| make()).collect();
            time(made.iter_mut(), &mut work)
        })
        .at_most(16)
    }

    /// No more than so many operations in a batch.
    pub(crate) fn at_most(self, most: u32) -> Self {
        Self { most, ..self }
    }
}

/// How long the work on all of these takes, with the dropping of what it gives.
pub(crate) fn time<I, T>(items: impl IntoIterator<Item = I>, mut work: impl FnMut(I) -> T) -> Duration {
    let began = Instant::now();
    for item in items {
        black_box(work(black_box(item)));
    }
    began.elapsed()
}

/// What one operation took, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) median: f64,
    /// A tenth of the batches were below, a tenth above.
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// What was measured, by name.
pub(crate) struct Results(BTreeMap<String, Taken>);

impl Results {
    /// The median of a case, in nanoseconds.
    pub(crate) fn of(&self, name: &str) -> f64 {
        self.taken(name).median
    }

    pub(crate) fn taken(&self, name: &str) -> Taken {
        // Criterion has measured what was asked for, and says so itself: there is no table.
        let none = Taken { median: f64::NAN, low: f64::NAN, high: f64::NAN };
        if by_criterion() { none } else { self.0[name] }
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// Whether there are arguments for criterion.
pub(crate) fn by_criterion() -> bool {
    std::env::args().skip(1).any(|argument| !matches!(argument.as_str(), "--bench" | "--quick"))
}

/// Gives the cases to criterion.
fn with_criterion(cases: Vec<Case<'_>>) {
    let mut criterion =
        Criterion::default().sample_size(30).measurement_time(Duration::from_secs(2)).configure_from_args();
    for mut case in cases {
        criterion.bench_function(&case.name, |bencher| {
            bencher.iter_custom(|mut count| {
                let mut spent = Duration::ZERO;
                while count > 0 {
                    let batch = u32::try_from(count).unwrap_or(u32::MAX).min(case.most);
                    spent += (case.batch)(batch);
                    count -= u64::from(batch);
                }
                spent
            });
        });
    }
    criterion.final_summary();
}

/// How many batches of each case: many when `cargo bench` runs it, few when it is only tried.
fn rounds() -> u32 {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--bench") && !has("--quick") { 201 } else { 15 }
}

/// Measures all cases in turns.
pub(crate) fn in_turns(cases: Vec<Case<'_>>) -> Results {
    in_rounds(cases, rounds())
}

/// Where there are hundreds of cases.
pub(crate) fn in_few_turns(cases: Vec<Case<'_>>) -> Results {
    in_rounds(cases, rounds().min(41))
}

fn in_rounds(mut cases: Vec<Case<'_>>, rounds: u32) -> Results {
    if by_criterion() {
        with_criterion(cases);
        return Results(BTreeMap::new());
    }
    let counts: Vec<u32> = cases.iter_mut().map(calibrate).collect();
    let mut times: Vec<Vec<f64>> = cases.iter().map(|_| Vec::new()).collect();
    let len = cases.len();
    for round in 0..rounds {
        // Each round starts with another case, so that none always follows the same one.
        let start = usize::try_from(round).unwrap() * 7 % len;
        for at in (start..len).chain(0..start) {
            // One for the caches, which the other cases have filled with theirs.
            (cases[at].batch)(1);
            let spent = (cases[at].batch)(counts[at]);
            times[at].push(spent.as_secs_f64() * 1e9 / f64::from(counts[at]));
        }
    }
    let taken = cases.into_iter().zip(times).map(|(case, times)| (case.name, summed_up(times)));
    Results(taken.collect())
}

fn calibrate(case: &mut Case<'_>) -> u32 {
    (case.batch)(1);
    let once = (case.batch)(2).min((case.batch)(2)) / 2;
    let fits = BATCH.as_nanos() / once.as_nanos().max(1);
    u32::try_from(fits).unwrap_or(u32::MAX).clamp(1, case.most)
}

fn summed_up(mut times: Vec<f64>) -> Taken {
    times.sort_by(f64::total_cmp);
    let tenth = times.len() / 10;
    Taken { median: times[times.len() / 2], low: times[tenth], high: times[times.len() - 1 - tenth] }
}
