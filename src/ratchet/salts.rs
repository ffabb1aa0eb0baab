//! The newest salts of a receiving chain, by which a repeated message is told from another one in its place.

use alloc::vec::Vec;

use super::MAX_SALTS;

/// The first bytes of a message's salt.
pub(super) type SaltPrefix = [u8; 4];

/// Length of a salt's beginning with its counter.
const ENTRY_LEN: usize = 8;

/// So many bytes take no allocation: most chains have no more messages.
const NEAR_LEN: usize = 5 * ENTRY_LEN;

/// What they take beyond a vector.
const REST: usize = NEAR_LEN + size_of::<usize>() - size_of::<Vec<u8>>();

/// Of the newest accepted messages, in order of acceptance. As it is stored, `(big-endian u32 counter ‖ first four bytes of
/// the salt)*`: every message loads and stores all of them, and looks at few.
#[derive(Clone)]
pub(super) enum Salts {
    Few {
        bytes: [u8; NEAR_LEN],
        len: usize,
    },
    /// As large as the other one: what a variant leaves unused is whatever lay on the stack, keys too, and goes wherever the
    /// value is moved.
    Many {
        bytes: Vec<u8>,
        #[expect(dead_code, reason = "it is there to be filled")]
        filled: [u8; REST],
    },
}

impl Salts {
    pub(super) const fn new() -> Self {
        Self::Few { bytes: [0; NEAR_LEN], len: 0 }
    }

    const fn many(bytes: Vec<u8>) -> Self {
        Self::Many { bytes, filled: [0; REST] }
    }

    /// Takes stored bytes; `None` if they are none, or too many.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let whole = bytes.len().is_multiple_of(ENTRY_LEN) && bytes.len() <= MAX_SALTS * ENTRY_LEN;
        whole.then(|| {
            let mut few = [0; NEAR_LEN];
            match few.get_mut(..bytes.len()) {
                Some(place) => {
                    place.copy_from_slice(bytes);
                    Self::Few { bytes: few, len: bytes.len() }
                }
                None => {
                    // With room for one more, which is entered before the oldest goes.
                    let mut held = Vec::with_capacity(bytes.len() + ENTRY_LEN);
                    held.extend_from_slice(bytes);
                    Self::many(held)
                }
            }
        })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Few { bytes, len } => bytes.get(..*len).unwrap_or_default(),
            Self::Many { bytes, .. } => bytes,
        }
    }

    /// The salt of the message that was accepted with this counter, if it is remembered.
    pub(super) fn find(&self, counter: u32) -> Option<SaltPrefix> {
        let [a, b, c, d] = counter.to_be_bytes();
        let (entries, _) = self.as_bytes().as_chunks::<ENTRY_LEN>();
        entries.iter().find_map(|[e, f, g, h, salt @ ..]| ([a, b, c, d] == [*e, *f, *g, *h]).then_some(*salt))
    }

    pub(super) fn remember(&mut self, counter: u32, salt: SaltPrefix) {
        let ([a, b, c, d], [e, f, g, h]) = (counter.to_be_bytes(), salt);
        let entry = [a, b, c, d, e, f, g, h];
        match self {
            Self::Few { bytes, len } => match bytes.get_mut(*len..*len + ENTRY_LEN) {
                Some(place) => {
                    place.copy_from_slice(&entry);
                    *len += ENTRY_LEN;
                }
                None => *self = Self::many([&bytes[..], &entry].concat()),
            },
            Self::Many { bytes, .. } => {
                bytes.extend_from_slice(&entry);
                if bytes.len() > MAX_SALTS * ENTRY_LEN {
                    bytes.drain(..ENTRY_LEN);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let mut salts = Salts::new();
        for counter in 0..100u32 {
            salts.remember(counter, counter.wrapping_mul(7).to_be_bytes());
            salts = Salts::read(salts.as_bytes()).unwrap();
            for held in 0..=counter {
                let expected = (counter - held < 64).then(|| held.wrapping_mul(7).to_be_bytes());
                assert_eq!(salts.find(held), expected, "{held} of {counter}");
            }
        }
        assert!(Salts::read(&[0; 7]).is_none() && Salts::read(&[0; 65 * 8]).is_none());
    }
}
