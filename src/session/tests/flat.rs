//! A message for an archived session costs what one for the current session costs: no agreement, no trial.

use super::MAX_ARCHIVED;
use crate::crypto::count;
use crate::suite::Suite;
use crate::support::{address, round_trip, talking_in};

#[test]
fn a_message_for_the_oldest_archived_session_costs_no_agreement() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = talking_in(suite, 77);
        round_trip(&mut alice, &mut bob);
        // The first message of a direction turns the ratchet, wherever it is read.
        let turns = alice.send(b"turns");
        bob.receive(&address("alice"), &turns).unwrap();
        let late = alice.send(b"late");
        for _ in 0..MAX_ARCHIVED {
            alice.initiate(&bob.bundle(true));
            let first = alice.send(b"again");
            bob.receive(&address("alice"), &first).unwrap();
        }
        assert_eq!(bob.session().archived(), MAX_ARCHIVED);
        let before = count::agreements();
        assert_eq!(bob.receive(&address("alice"), &late).unwrap(), b"late");
        assert_eq!(count::agreements(), before, "{suite:?}");
    }
}
