//! What stands around a first message and is not authenticated.

use super::Ciphertext;
use crate::ident::RegistrationId;
use crate::suite::Suite;
use crate::support::{Party, address, round_trip};
use crate::wire::{PrekeyHeader, V1FirstMessage, V1Message};

/// Nothing authenticates the registration id: whoever alters it on the way gains the right to be believed about it,
/// and nothing else. The sender's repetitions of the start are still read.
#[test]
fn an_altered_registration_id_does_not_silence_its_sender() {
    let (mut alice, mut bob) = (Party::of_suite(Suite::V1, "alice", 90), Party::of_suite(Suite::V1, "bob", 91));
    alice.initiate(&bob.bundle(true));
    let first = V1FirstMessage::parse(alice.send(b"one").bytes()).unwrap();
    let header = PrekeyHeader {
        registration_id: RegistrationId::new(first.registration_id.get() ^ 1),
        one_time_prekey: first.one_time_prekey,
        signed_prekey: first.signed_prekey,
        kem_prekey: first.kem_prekey,
        kem_ciphertext: &first.kem_ciphertext,
        base_key: &first.base_key,
        identity_key: &first.identity_key,
    };
    let mut message = std::vec::Vec::new();
    V1Message::begin(&mut message, first.message.header(), first.message.ciphertext.len());
    message.extend_from_slice(&first.message.ciphertext);
    let altered = Ciphertext::First(V1FirstMessage::encode(&header, &message));
    assert_eq!(bob.receive(&address("alice"), &altered).unwrap(), b"one");
    for text in [b"two", b"six"] {
        let repetition = alice.send(text);
        assert!(repetition.is_first());
        assert_eq!(bob.receive(&address("alice"), &repetition).unwrap(), text);
    }
    round_trip(&mut bob, &mut alice);
}
