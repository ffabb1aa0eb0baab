//! Recorded vectors for the tests inside the crate.

#![allow(clippy::disallowed_methods, reason = "tests read files and their environment")]

use std::path::PathBuf;
use std::vec::Vec;

use serde_json::Value;

/// Where the vectors are; `SUBROSA_VECTORS` names another folder of the same kind.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("SUBROSA_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/libsignal-0.103.0"),
        PathBuf::from,
    )
}

pub(crate) fn load(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

pub(crate) fn secret<const N: usize>(value: &Value) -> crate::crypto::Secret<N> {
    crate::crypto::Secret::new(array(value))
}

pub(crate) fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

/// A generator that gives recorded bytes. When they run out it gives filler, and tells.
#[derive(Default)]
pub(crate) struct Script {
    bytes: std::collections::VecDeque<u8>,
    overdrawn: bool,
}

impl Script {
    pub(crate) fn push(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.bytes.extend(bytes);
    }

    /// Asserts that exactly the recorded bytes were drawn.
    pub(crate) fn assert_drawn(&mut self, at: &str) {
        assert!(self.bytes.is_empty(), "recorded randomness left over at {at}");
        assert!(!self.overdrawn, "more randomness drawn than recorded at {at}");
    }

    /// Forgets what is left: a step that is refused may ask for randomness and throw it away.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

impl rand_core::TryRng for Script {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        for byte in dst {
            *byte = self.bytes.pop_front().unwrap_or_else(|| {
                self.overdrawn = true;
                0x5a
            });
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Script {}

/// A seeded generator that notes what it gave.
pub(crate) struct Recorder {
    rng: rand_chacha::ChaCha20Rng,
    drawn: Vec<u8>,
}

impl Recorder {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(seed), drawn: Vec::new() }
    }

    /// Another that gives the same from here on.
    pub(crate) fn copy(&self) -> Self {
        Self { rng: self.rng.clone(), drawn: Vec::new() }
    }

    /// What was drawn since the last call.
    pub(crate) fn take(&mut self) -> Value {
        Value::String(hex::encode(core::mem::take(&mut self.drawn)))
    }
}

impl rand_core::TryRng for Recorder {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        rand_core::Rng::fill_bytes(&mut self.rng, bytes);
        self.drawn.extend_from_slice(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Recorder {}
