//! What a peer with valid keys may not make of them: plaintexts without a bound, and chains that are stepped without one.

use std::vec;

use super::*;
use crate::ident::{Address, DeviceId, UserId};
use crate::prekey::Device;
use crate::suite::Suite;
use crate::support::{Party, Refusal, address, in_both_suites, talking_in};

in_both_suites! {
    a_plaintext_that_is_too_long_is_refused_and_changes_nothing,
    between_ones_own_devices_chains_jump_by_the_suites_rule,
}

fn a_plaintext_that_is_too_long_is_refused_and_changes_nothing(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 61);
    for (len, fits) in [(1 << 16, true), ((1 << 16) + 1, false), (1 << 17, false)] {
        // As a sender would that does not look.
        let session = alice.session.as_mut().unwrap();
        let state = session.current.as_mut().unwrap();
        let outgoing = state.ratchet.send(&mut alice.rng).unwrap();
        let message = state.forge(&session.ends, outgoing, &vec![7; len], &mut alice.rng);
        let before = bob.snapshot();
        let received = bob.receive(&address("alice"), &message);
        assert_eq!(received.is_ok(), fits, "{len}");
        assert_eq!(bob.snapshot() == before, !fits, "{len}");
        let kept = alice.snapshot();
        let longer = alice.session.as_mut().unwrap().encrypt(&vec![7; len], crate::support::NOW, &mut alice.rng);
        assert_eq!(longer.err(), (!fits).then_some(EncryptError::TooLong), "{len}");
        assert_eq!(alice.snapshot() == kept, !fits, "{len}");
    }
}

/// Whoever may write any name can be "another device of the user": chains are stepped before anything is authentic.
fn between_ones_own_devices_chains_jump_by_the_suites_rule(suite: Suite) {
    let own = |device| Address::new(UserId::new("alice").unwrap(), DeviceId::new(device));
    let mut phone = Party::of_suite(suite, "alice", 62);
    let mut laptop = phone.clone();
    laptop.device = Device::new(own(2), laptop.device.identity().clone(), laptop.device.registration_id())
        .with_suites(phone.device.suites());
    phone.initiate(&laptop.bundle(false));
    let first = phone.send(b"first");
    laptop.receive(&own(1), &first).unwrap();
    let most: u32 = match suite {
        Suite::Signal => 1 << 16,
        Suite::V1 => 25_000,
    };
    // The next counter is 1; the post-quantum index counts the message itself.
    for (jump, expected) in
        [(most, Err(Refusal::Accept(AcceptError::Message(DecryptError::TooFarAhead)))), (most - 1, Ok(vec![7]))]
    {
        let mut liar = phone.clone();
        let session = liar.session.as_mut().unwrap();
        let state = session.current.as_mut().unwrap();
        for _ in 0..jump {
            state.ratchet.send(&mut liar.rng).unwrap();
        }
        let far = liar.send(&[7]);
        assert_eq!(laptop.clone().receive(&own(1), &far), expected, "{jump}");
    }
}
