//! A program without the standard library uses the library: both ends of a session, on default features.
//!
//! Checking it is the test. The panic handler is what makes it one: if any dependency linked `std`, there would be
//! two of them, which is an error. `.ci/run` also looks for dependencies with the feature `std`.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;

use rand_core::CryptoRng;
use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, PrekeySecrets, SeenBaseKeys, SignedPrekey, UnverifiedBundle};
use subrosa::session::{FirstMessage, Session, SessionMessage};
use subrosa::suite::Suite;

#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Bob publishes, Alice writes, Bob answers; gives what Alice reads.
pub fn converse(now: Timestamp, rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
    let id = PrekeyId::new(1);
    let bob = Device::generate(Address::new(UserId::new("bob").ok()?, DeviceId::new(1)), rng);
    let signed = SignedPrekey::generate(&bob, Suite::V1, id, now, rng);
    let one_time = OneTimePrekey::generate(Suite::V1, id, rng);
    let kem = KemPrekey::last_resort(&bob, Suite::V1, id, now, rng);
    let published = bob.bundle(&signed, &kem, Some(&one_time)).to_bytes();

    let alice = Device::generate(Address::new(UserId::new("alice").ok()?, DeviceId::new(1)), rng);
    let bundle = UnverifiedBundle::parse(&published).ok()?.verify().ok()?;
    let mut to_bob = Session::initiate(&alice, &bundle, now, rng).ok()?;
    let ciphertext = to_bob.encrypt(b"Hello, Bob", now, rng).ok()?;

    let first = FirstMessage::parse(ciphertext.bytes()).ok()?;
    let mut seen = SeenBaseKeys::default();
    let mut prekeys = PrekeySecrets { signed: &signed, kem: &kem, one_time: Some(&one_time), seen: &mut seen };
    let (mut to_alice, _) = Session::accept(&bob, alice.address(), &first, &mut prekeys, now, rng).ok()?;
    let answer = to_alice.encrypt(b"Hello, Alice", now, rng).ok()?;

    let mut to_bob = Session::from_bytes(&to_bob.to_bytes()).ok()?;
    to_bob.decrypt(&SessionMessage::parse(answer.bytes()).ok()?, now, rng).ok()
}
