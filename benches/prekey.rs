//! What prekeys cost: drawing, signing, and checking what another device has signed.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::time::Duration;

use criterion::{BatchSize, Criterion};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::crypto::{KemAlgorithm, KemKeyPair, KeyPair};
use subrosa::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, SignedPrekey, UnverifiedBundle};
use subrosa::suite::Suite;

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
const ID: PrekeyId = PrekeyId::new(1);

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200))
        .configure_from_args();
    let rng = &mut ChaCha20Rng::seed_from_u64(0);
    let bob = Device::generate(Address::new(UserId::new("bob").unwrap(), DeviceId::new(1)), rng);

    criterion.bench_function("draw a one-time prekey", |b| {
        b.iter(|| OneTimePrekey::generate(Suite::V1, ID, rng));
    });
    criterion.bench_function("draw a KEM key pair", |b| {
        b.iter(|| KemKeyPair::generate(KemAlgorithm::MlKem1024, rng));
    });
    criterion.bench_function("sign a prekey", |b| {
        let pair = KeyPair::generate(rng);
        b.iter_batched(
            || pair.clone(),
            |pair| SignedPrekey::from_parts(&bob, Suite::V1, ID, NOW, pair, rng),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("sign a KEM prekey", |b| {
        let pair = KemKeyPair::generate(KemAlgorithm::MlKem1024, rng);
        b.iter_batched(
            || pair.clone(),
            |pair| KemPrekey::from_parts(&bob, Suite::V1, ID, NOW, true, pair, rng),
            BatchSize::SmallInput,
        );
    });

    let signed = SignedPrekey::generate(&bob, Suite::V1, ID, NOW, rng);
    let kem = KemPrekey::last_resort(&bob, Suite::V1, ID, NOW, rng);
    let bytes = bob.bundle(&signed, &kem, None).to_bytes();
    criterion.bench_function("read a bundle", |b| b.iter(|| UnverifiedBundle::parse(&bytes).unwrap()));
    criterion.bench_function("verify a bundle: two signatures", |b| {
        let bundle = UnverifiedBundle::parse(&bytes).unwrap();
        b.iter_batched(|| bundle.clone(), |bundle| bundle.verify().unwrap(), BatchSize::SmallInput);
    });
    criterion.final_summary();
}
