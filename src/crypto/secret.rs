use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// `N` secret bytes: wiped on drop, compared in constant time, never printed.
///
/// # Security
///
/// Moving a value may leave a copy of it on the stack, as with every inline array in Rust; wiping is best
/// effort, as SECURITY.md says.
///
/// # Examples
///
/// ```
/// use subrosa::crypto::Secret;
/// let key = Secret::new([7u8; 32]);
/// assert_eq!(format!("{key:?}"), "Secret<32>(..)");
/// assert!(key == Secret::new([7u8; 32]));
/// ```
#[derive(Clone)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Zeroize for Secret<N> {
    fn zeroize(&mut self) {
        // As a slice: an array is wiped byte by byte.
        self.0.as_mut_slice().zeroize();
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> Secret<N> {
    /// Takes `N` bytes as a secret.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Draws `N` bytes.
    #[must_use]
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; N];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Copies `N` bytes out of a slice; `None` if the length is another.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Shows the bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Shows the bytes for writing: how a derivation fills a secret without a second copy.
    #[must_use]
    pub const fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl Secret<64> {
    /// Cuts a derivation's output in two keys.
    #[must_use]
    pub fn split2(&self) -> [Secret<32>; 2] {
        self.split()
    }
}

impl Secret<96> {
    /// Cuts a derivation's output in three keys.
    #[must_use]
    pub fn split3(&self) -> [Secret<32>; 3] {
        self.split()
    }
}

impl<const N: usize> Secret<N> {
    /// Cuts `K` bytes out of a derivation's output.
    #[must_use]
    pub(crate) fn part<const START: usize, const K: usize>(&self) -> Secret<K> {
        const { assert!(START + K <= N, "the part must lie within the whole") };
        let mut part = Secret([0; K]);
        for (to, from) in part.0.iter_mut().zip(self.0.iter().skip(START)) {
            *to = *from;
        }
        part
    }

    fn split<const K: usize>(&self) -> [Secret<32>; K] {
        const { assert!(K * 32 == N, "the parts must make up the whole") };
        let mut parts = self.0.chunks_exact(32);
        core::array::from_fn(|_| {
            let mut part = Secret([0; 32]);
            if let Some(bytes) = parts.next() {
                part.0.copy_from_slice(bytes);
            }
            part
        })
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(..)")
    }
}

/// Secret bytes of any number: all that was ever in the buffer is wiped on drop.
///
/// As `Zeroizing<Vec<u8>>`, which wipes byte by byte: slower by far for records of kilobytes, of which every message makes
/// some.
#[derive(Clone, Default)]
pub(crate) struct SecretBytes(Vec<u8>);

impl SecretBytes {
    #[must_use]
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Takes the bytes out: whoever has them wipes them, where they are a secret.
    #[must_use]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.0)
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for SecretBytes {}

impl From<Zeroizing<Vec<u8>>> for SecretBytes {
    fn from(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(core::mem::take(&mut *bytes))
    }
}

impl From<SecretBytes> for Zeroizing<Vec<u8>> {
    fn from(mut bytes: SecretBytes) -> Self {
        Self::new(bytes.take())
    }
}

impl core::ops::Deref for SecretBytes {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl core::ops::DerefMut for SecretBytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.spare_capacity_mut().zeroize();
    }
}

impl ZeroizeOnDrop for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

/// Compares two byte strings without telling by time where they differ. Lengths are not secret.
#[must_use]
pub(crate) fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// A block as numbers.
fn words(block: &[u8; BLOCK]) -> [u64; BLOCK / 8] {
    let mut words = [0; BLOCK / 8];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// Where the last byte that is not zero stands, if it is `marker`. Looks at every byte alike, wherever that is.
pub(crate) fn last_nonzero_if(bytes: &[u8], marker: u8) -> Option<usize> {
    // A block, then a word, then a byte: each constant-time operation is a barrier to the compiler. What is left of a block
    // stands in front.
    let (front, blocks) = bytes.as_rchunks::<BLOCK>();
    let mut first = [0; BLOCK];
    first.get_mut(..front.len())?.copy_from_slice(front);
    let (mut block, mut start, mut found) = (words(&first), 0u64, Choice::from(0));
    let mut at = u64::try_from(bytes.len()).ok()?;
    for candidate in blocks.iter().rev() {
        at -= 64;
        let candidate = words(candidate);
        let here = !candidate.iter().fold(0, |any, word| any | word).ct_eq(&0) & !found;
        for (word, candidate) in block.iter_mut().zip(&candidate) {
            word.conditional_assign(candidate, here);
        }
        start.conditional_assign(&at, here);
        found |= here;
    }
    let (mut word, mut found, first) = (0u64, Choice::from(0), start);
    for (candidate, index) in block.iter().zip(0..8u32).rev() {
        let here = !candidate.ct_eq(&0) & !found;
        word.conditional_assign(candidate, here);
        start.conditional_assign(&(first + 8 * u64::from(index)), here);
        found |= here;
    }
    let (mut last, mut found, mut good) = (start, Choice::from(0), Choice::from(0));
    for (byte, at) in word.to_be_bytes().iter().zip((0..8).rev()) {
        let here = !byte.ct_eq(&0) & !found;
        last.conditional_assign(&(start + at), here);
        good |= here & byte.ct_eq(&marker);
        found |= here;
    }
    if bool::from(good) { usize::try_from(last).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole_in_order() {
        let mut whole = [0u8; 96];
        for (i, byte) in whole.iter_mut().enumerate() {
            *byte = u8::try_from(i).unwrap();
        }
        let [a, b, c] = Secret::new(whole).split3();
        assert_eq!([a.0, b.0, c.0].concat(), whole);
    }

    #[test]
    fn the_marker_is_found_wherever_it_stands() {
        for len in (0..=70).chain(120..=136) {
            assert_eq!(last_nonzero_if(&[0; 136][..len], 0x80), None);
            for at in 0..len {
                for fill in [0, 1, 0x80, 0xff] {
                    let mut bytes = [0; 136];
                    bytes[..at].fill(fill);
                    bytes[at] = 0x80;
                    assert_eq!(last_nonzero_if(&bytes[..len], 0x80), Some(at));
                    bytes[at] = 0x81;
                    assert_eq!(last_nonzero_if(&bytes[..len], 0x80), None);
                }
            }
        }
    }

    #[test]
    fn a_slice_of_another_length_is_no_secret() {
        assert!(Secret::<32>::from_slice(&[0; 31]).is_none());
        assert!(Secret::<32>::from_slice(&[0; 33]).is_none());
        assert!(Secret::<32>::from_slice(&[0; 32]).is_some());
    }
}
