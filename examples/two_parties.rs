//! Alice writes to Bob, who was asleep; Bob answers. Everything in memory.

#![allow(clippy::print_stdout, reason = "an example talks")]

use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, PrekeySecrets, SeenBaseKeys, SignedPrekey, UnverifiedBundle};
use subrosa::session::{FirstMessage, Session, SessionMessage};
use subrosa::suite::Suite;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Randomness and time are the host's to give.
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let (now, id) = (Timestamp::new(1_800_000_000_000), PrekeyId::new(1));

    // Bob sets up his phone and publishes a bundle of prekeys.
    let bob = Device::generate(Address::new(UserId::new("bob")?, DeviceId::new(1)), &mut rng);
    let signed = SignedPrekey::generate(&bob, Suite::V1, id, now, &mut rng);
    let one_time = OneTimePrekey::generate(Suite::V1, id, &mut rng);
    let kem = KemPrekey::last_resort(&bob, Suite::V1, id, now, &mut rng);
    let published = bob.bundle(&signed, &kem, Some(&one_time)).to_bytes();

    // Alice fetches it, checks its signatures, and writes.
    let alice = Device::generate(Address::new(UserId::new("alice")?, DeviceId::new(1)), &mut rng);
    let bundle = UnverifiedBundle::parse(&published)?.verify()?;
    let mut to_bob = Session::initiate(&alice, &bundle, now, &mut rng)?;
    let ciphertext = to_bob.encrypt(b"Hello, Bob", now, &mut rng)?;

    // Bob wakes up. The message names the prekeys that it was made with; the one-time key is used up.
    let first = FirstMessage::parse(ciphertext.bytes())?;
    assert_eq!(first.needs().one_time, Some(one_time.id()));
    let mut seen = SeenBaseKeys::default();
    let mut prekeys = PrekeySecrets { signed: &signed, kem: &kem, one_time: Some(&one_time), seen: &mut seen };
    let (mut to_alice, accepted) = Session::accept(&bob, alice.address(), &first, &mut prekeys, now, &mut rng)?;
    assert_eq!(accepted.plaintext, b"Hello, Bob");
    assert_eq!(accepted.consumed.one_time, Some(one_time.id()));

    // Bob answers; from here on every message has a key of its own, and the ratchets turn.
    let answer = to_alice.encrypt(b"Hello, Alice", now, &mut rng)?;
    assert_eq!(to_bob.decrypt(&SessionMessage::parse(answer.bytes())?, now, &mut rng)?, b"Hello, Alice");

    // The state is bytes; store them sealed.
    let stored = to_bob.to_bytes();
    assert_eq!(*Session::from_bytes(&stored)?.to_bytes(), *stored);
    println!("A session is {} bytes; Alice and Bob are talking.", stored.len());
    Ok(())
}
