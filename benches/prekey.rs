//! What prekeys cost: drawing, signing, and checking what another device has signed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a bench reads the clock and its arguments")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod support;

use subrosa::crypto::{KemAlgorithm, KemKeyPair, KeyPair};
use subrosa::ident::{Address, DeviceId, PrekeyId, UserId};
use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, SignedPrekey, UnverifiedBundle};
use subrosa::suite::Suite;
use support::measure::{Case, in_turns};
use support::pair::{NOW, rng};
use support::primitives::{self, KEY_PAIR, VERIFY};
use support::table::{Table, spread, us};

const ID: PrekeyId = PrekeyId::new(1);

const DRAW: &str = "draw a one-time prekey";
const DRAW_KEM: &str = "draw a KEM key pair";
const SIGN: &str = "sign a prekey";
const SIGN_KEM: &str = "sign a KEM prekey";
const READ: &str = "read a bundle";
const CHECK: &str = "verify a bundle: two signatures";

fn main() {
    let mut random = rng(0);
    let bob = Device::generate(Address::new(UserId::new("bob").unwrap(), DeviceId::new(1)), &mut random);
    let bob: &'static Device = Box::leak(Box::new(bob));
    let signed = SignedPrekey::generate(bob, Suite::V1, ID, NOW, &mut random);
    let kem = KemPrekey::last_resort(bob, Suite::V1, ID, NOW, &mut random);
    let bytes = bob.bundle(&signed, &kem, None).to_bytes();
    let bundle = UnverifiedBundle::parse(&bytes).unwrap();
    let pair = KeyPair::generate(&mut random);
    let kem_pair = KemKeyPair::generate(KemAlgorithm::MlKem1024, &mut random);
    let [mut a, mut b, mut c, mut d] = [1, 2, 3, 4].map(rng);
    let mut cases = primitives::cases();
    cases.extend([
        Case::plain(DRAW, move || OneTimePrekey::generate(Suite::V1, ID, &mut a)),
        Case::plain(DRAW_KEM, move || KemKeyPair::generate(KemAlgorithm::MlKem1024, &mut b)),
        Case::plain(SIGN, move || SignedPrekey::from_parts(bob, Suite::V1, ID, NOW, pair.clone(), &mut c)),
        Case::plain(SIGN_KEM, move || KemPrekey::from_parts(bob, Suite::V1, ID, NOW, true, kem_pair.clone(), &mut d)),
        Case::plain(READ, move || UnverifiedBundle::parse(&bytes).unwrap()),
        Case::plain(CHECK, move || bundle.clone().verify().unwrap()),
    ]);
    let results = in_turns(cases);
    let mut table = Table::new("Prekeys, µs", ["", "median", "10 % to 90 %"]);
    for name in [DRAW, DRAW_KEM, SIGN, SIGN_KEM, READ, CHECK, KEY_PAIR, VERIFY] {
        table.row([name, &us(results.of(name)), &spread(results.taken(name))]);
    }
    table.print();
}
