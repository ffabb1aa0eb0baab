use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

use super::{Secret, sha256};

/// Many random bytes from 32 of the host's: the same seed gives the same bytes, however often an operation that waits
/// for its records begins anew.
///
/// `SHA-256(label ‖ seed ‖ u64 counter)`, one block after the other.
pub(crate) struct Expander {
    /// `L(s)`: no label is the beginning of another.
    label: &'static [u8],
    seed: Secret<32>,
    counter: u64,
    block: Secret<32>,
    used: usize,
}

impl Expander {
    pub(crate) const fn new(label: &'static [u8], seed: Secret<32>) -> Self {
        Self { label, seed, counter: 0, block: Secret::new([0; 32]), used: 32 }
    }

    fn refill(&mut self) {
        *self.block.expose_mut() = sha256(&[self.label, self.seed.expose(), &self.counter.to_be_bytes()]);
        self.counter += 1;
        self.used = 0;
    }
}

impl TryRng for Expander {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        let mut left = dst;
        while !left.is_empty() {
            if self.used == self.block.expose().len() {
                self.refill();
            }
            let ready = self.block.expose().get(self.used..).unwrap_or_default();
            let count = ready.len().min(left.len());
            let (now, later) = left.split_at_mut(count);
            for (to, from) in now.iter_mut().zip(ready) {
                *to = *from;
            }
            self.used += count;
            left = later;
        }
        Ok(())
    }
}

impl TryCryptoRng for Expander {}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_gives_one_stream_without_repetitions() {
        let mut a = Expander::new(b"\x06expand", Secret::new([1; 32]));
        let mut whole = [0; 100];
        a.fill_bytes(&mut whole);
        let mut b = Expander::new(b"\x06expand", Secret::new([1; 32]));
        let mut parts = [0; 100];
        for part in parts.chunks_mut(7) {
            b.fill_bytes(part);
        }
        assert_eq!(whole, parts, "the same however it is cut");
        assert_eq!(whole[..32], sha256(&[b"\x06expand", &[1; 32], &[0; 8]]));
        let blocks: BTreeSet<[u8; 32]> = (0..1_000)
            .map(|_| {
                let mut block = [0; 32];
                b.fill_bytes(&mut block);
                block
            })
            .collect();
        assert_eq!(blocks.len(), 1_000);
    }
}
