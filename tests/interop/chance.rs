//! Everything random here comes from one printed seed.

use std::convert::Infallible;
use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};
use subrosa::ident::{Address, DeviceId, UserId};

use crate::peer::say;

/// A seeded source of keys, losses and alterations.
#[derive(Debug, Clone)]
pub(crate) struct Chance(ChaCha20Rng);

impl Chance {
    /// The stream of this name: tests do not depend on the order they run in.
    pub(crate) fn new(name: &str) -> Self {
        static SEED: OnceLock<u64> = OnceLock::new();
        let seed = *SEED.get_or_init(|| {
            let seed = match std::env::var("SUBROSA_SEED") {
                Ok(seed) => seed.parse().unwrap(),
                Err(_) => getrandom::u64().unwrap(),
            };
            say(&format!("seed: SUBROSA_SEED={seed}"));
            seed
        });
        let mut stream = [0; 32];
        stream[..8].copy_from_slice(&seed.to_le_bytes());
        for (at, byte) in name.bytes().enumerate() {
            stream[8 + at % 24] = stream[8 + at % 24].wrapping_mul(31).wrapping_add(byte);
        }
        Self(ChaCha20Rng::from_seed(stream))
    }

    /// Another stream, drawn from this one.
    pub(crate) fn split(&mut self) -> Self {
        Self(ChaCha20Rng::from_rng(&mut self.0))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }

    /// A UUID in its 36-character form.
    pub(crate) fn uuid(&mut self) -> String {
        let digits = hex::encode(self.bytes(16));
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
    }

    /// A device of a new user, as Signal's services would name it.
    pub(crate) fn address(&mut self) -> Address {
        let device = 1 + u32::try_from(self.below(127)).unwrap();
        Address::new(UserId::new(self.uuid()).unwrap(), DeviceId::new(device))
    }
}

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Chance {}
