use super::world::World;
use super::{Broken, Failure, Mutation, Report};

/// Runs one seed, perhaps with a defect.
///
/// # Errors
///
/// [`Failure`] with the seed and every step.
///
/// # Examples
///
/// ```
/// use subrosa::testing::simulator::{Mutation, run};
/// let report = run(1, None).unwrap();
/// assert!(report.written > 0);
/// let caught = (0..100).find(|seed| run(*seed, Some(Mutation::SkippedCheck)).is_err());
/// assert!(caught.is_some());
/// ```
pub fn run(seed: u64, mutation: Option<Mutation>) -> Result<Report, Failure> {
    watched(seed, mutation, false, World::run)
}

/// Runs one seed of two or three devices to a bad state, and looks how long it takes until all is well.
///
/// # Errors
///
/// [`Failure`] with the seed and every step.
///
/// # Examples
///
/// ```
/// use subrosa::testing::simulator::recover;
/// assert!(recover(1).unwrap().rounds_to_rest <= 12);
/// ```
pub fn recover(seed: u64) -> Result<Report, Failure> {
    watched(seed, None, true, World::recover)
}

/// Runs one seed of two or three devices to which one thing happens that is rare in the others, again and again: which one
/// hangs on the seed.
///
/// # Errors
///
/// [`Failure`] with the seed and every step.
///
/// # Examples
///
/// ```
/// use subrosa::testing::simulator::directed;
/// assert!(directed(1).unwrap().written > 0);
/// ```
pub fn directed(seed: u64) -> Result<Report, Failure> {
    watched(seed, None, true, |world| world.directed(seed))
}

fn watched(
    seed: u64,
    mutation: Option<Mutation>,
    small: bool,
    run: impl FnOnce(&mut World) -> Result<Report, Broken>,
) -> Result<Report, Failure> {
    // Changes nothing that happens.
    let cached = [seed & 1 == 1, seed & 2 == 2];
    let mut world = World::new(seed, mutation, cached, small);
    crate::crypto::seals::watch();
    let outcome = run(&mut world);
    let (seals, repeated) = crate::crypto::seals::seen();
    let outcome = outcome.and_then(|mut report| {
        report.seals = seals;
        if repeated == 0 { Ok(report) } else { Err(Broken::KeyRepeated) }
    });
    outcome.map_err(|broken| Failure { seed, broken, trace: world.into_trace() })
}
