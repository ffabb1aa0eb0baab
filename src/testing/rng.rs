use core::convert::Infallible;
use core::fmt;

use rand_core::{Rng, TryCryptoRng, TryRng};

use crate::crypto::{Expander, Secret, sha256};

/// **For tests only.** A generator whose every byte follows from a number that anybody can try: the same seed gives the
/// same keys, the same envelopes, the same versions, so a test that failed fails again.
///
/// # Security
///
/// An account that was made with it has no secrets. An app takes randomness from its operating system.
///
/// # Examples
///
/// ```
/// use rand_core::Rng;
/// use subrosa::testing::SeededRng;
/// assert_eq!(SeededRng::new(7).next_u64(), SeededRng::new(7).next_u64());
/// assert_ne!(SeededRng::new(7).next_u64(), SeededRng::new(8).next_u64());
/// ```
pub struct SeededRng(Expander);

impl fmt::Debug for SeededRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededRng(..)")
    }
}

impl SeededRng {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Expander::new(b"\x06expand", Secret::new(sha256(&[b"\x0dtests-only/rng", &seed.to_be_bytes()]))))
    }

    /// A number below `bound`; 0 if there is none.
    #[must_use]
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next_u64() % bound).unwrap_or(0)
    }

    /// Whether something happens that happens `percent` times in a hundred.
    #[must_use]
    pub fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

impl TryRng for SeededRng {
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

impl TryCryptoRng for SeededRng {}
