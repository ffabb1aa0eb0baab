//! What an inbox of five hundred costs in memory: a notification extension has 24 MB. Measured by an allocator that keeps
//! the peak, in a program of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "a measurement reports")]

#[path = "client/side.rs"]
#[allow(dead_code, reason = "of what it shares this needs some")]
mod side;

use peak_alloc::PeakAlloc;
use side::Side;
use subrosa::client::{MAX_BULK, Received};
use subrosa::suite::Suite;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// The most that staging may hold at one time, beside the database and the envelopes themselves.
const MAX: usize = 12 << 20;

#[test]
fn an_inbox_of_five_hundred_fits() {
    for (suite, len, expected) in [(Suite::V1, 100, MAX_BULK), (Suite::Signal, 100, MAX_BULK), (Suite::V1, 60_000, 60)]
    {
        let (mut alice, mut bob) = Side::talking(suite, 1);
        // A thousand are lost before, so that keys are kept.
        for _ in 0..1_000 {
            alice.send("bob", b"lost");
        }
        let text = vec![7; len];
        let inbox: Vec<_> = (0..MAX_BULK).map(|_| alice.send("bob", &text)).collect();
        drop(alice);
        let bytes: usize = inbox.iter().map(|envelope| envelope.body.len()).sum();
        PEAK.reset_peak_usage();
        let before = PEAK.current_usage();
        let outcomes = bob.run(bob.client.receive_many(&inbox)).unwrap();
        let used = PEAK.peak_usage() - before;
        assert!(outcomes.len() >= expected, "{}", outcomes.len());
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Received::Message(_)))));
        println!("{suite:?}, {} of {bytes} bytes in all: {used} bytes", outcomes.len());
        assert!(used < MAX, "{used}");
    }
}
