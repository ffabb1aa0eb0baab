//! What sessions that stay in memory cost there. Measured by an allocator that counts, in a program of its own.

#![cfg(feature = "std")]
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
use side::{Side, address, stage};
use subrosa::ident::MessageId;
use subrosa::suite::Suite;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// The most that a session may take, on average.
const MAX: usize = 6 << 10;

/// The same where each side says 70 things before the other answers: every receiving chain then remembers as much as it can,
/// and the log of what was sent is full.
const MAX_IN_BURSTS: usize = 11 << 10;

/// Less, and sessions are missing.
const MIN: usize = 2 << 10;

/// So many that there is room for all that are used.
const DEVICES: usize = 16;

#[test]
fn a_session_in_memory_is_small() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, bob) = Side::talking(suite, 1);
        let mut peers = vec![("bob".to_owned(), bob)];
        for number in 1..12 {
            let name = format!("peer {number}");
            let mut peer = Side::new(&name, suite, 10 + u64::try_from(number).unwrap());
            let bundle = peer.bundle();
            alice.run(alice.client.add_session(&bundle)).unwrap();
            peers.push((name, peer));
        }
        // Through all that the exchange of a post-quantum key goes through, in both roles, then in bursts.
        for round in 0..110 {
            let (said, most) = if round < 100 { (1, MAX) } else { (70, MAX_IN_BURSTS) };
            for (name, peer) in &mut peers {
                for _ in 0..said {
                    let envelope = alice.send(name, b"there");
                    peer.read(&envelope);
                }
                for _ in 0..said {
                    let envelope = peer.send("alice", b"back");
                    alice.read(&envelope);
                }
            }
            if round % 3 > 0 {
                continue;
            }
            let client = alice.client.with_session_cache(DEVICES);
            let before = PEAK.current_usage();
            for (name, _) in &peers {
                // Dropped: its rows are not stored, and what they would hold is in memory.
                let sending = client.send(MessageId::new([0xff; 16]), &address(name), b"text");
                drop(stage(sending, &alice.rows, alice.now, &mut alice.rng).unwrap());
            }
            let used = PEAK.current_usage().saturating_sub(before);
            println!("{suite:?}, round {round}: {} bytes a session", used / peers.len());
            assert!((peers.len() * MIN..=peers.len() * most).contains(&used), "{used}");
        }
    }
}
