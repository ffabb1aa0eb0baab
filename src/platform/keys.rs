use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::crypto::{Secret, hmac};
use crate::report::{Commitment, StampContext, mac};
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind};

/// The platform's stamp keys, by their numbers. Rotate by the week; destroy what is older than reports may be.
///
/// # Security
///
/// Whoever holds a key can make a verifying report of a conversation that never happened. That is what makes reports
/// deniable to everyone else, and what makes the key worth guarding. Each comes from randomness of its own: nothing
/// brings a destroyed one back, and then not even the platform can verify what it stamped.
///
/// # Examples
///
/// ```
/// use subrosa::platform::StampKeys;
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let mut keys = StampKeys::default();
/// keys.generate(2026_23, &mut rng)?;
/// assert!(keys.generate(2026_23, &mut rng).is_err());
/// assert!(keys.destroy(2026_23) && !keys.destroy(2026_23));
/// # Ok::<(), subrosa::platform::KeyExists>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StampKeys(
    /// Boxed: a map that moves its entries leaves them behind.
    BTreeMap<u32, Box<Masters>>,
);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Masters {
    master: Secret<32>,
    /// Derived once: a stamp is one MAC.
    key: Secret<32>,
}

/// There is a key of this number, and stamps made with it. Take another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is a stamp key of this number")]
pub struct KeyExists;

impl StampKeys {
    /// Draws a key: 32 bytes.
    ///
    /// # Errors
    ///
    /// [`KeyExists`]; nothing was changed. A number is not used again either when its key was destroyed: keep count.
    pub fn generate(&mut self, kid: u32, rng: &mut (impl CryptoRng + ?Sized)) -> Result<(), KeyExists> {
        self.insert(kid, Secret::random(rng))
    }

    /// Takes a key's 32 random bytes, from wherever such bytes are kept.
    ///
    /// # Errors
    ///
    /// [`KeyExists`]; nothing was changed.
    ///
    /// # Security
    ///
    /// Fresh bytes for each key. Bytes that are derived from something that lives longer cannot be destroyed.
    pub fn insert(&mut self, kid: u32, master: Secret<32>) -> Result<(), KeyExists> {
        if self.0.contains_key(&kid) {
            return Err(KeyExists);
        }
        // HKDF-Expand for 32 bytes is one HMAC of the info and a counter of 1.
        let key = hmac(master.expose(), &[b"\x10frank1/stamp-key", &kid.to_be_bytes(), &[1]]);
        self.0.insert(kid, Box::new(Masters { master, key }));
        Ok(())
    }

    /// Destroys a key; whether there was one.
    pub fn destroy(&mut self, kid: u32) -> bool {
        self.0.remove(&kid).is_some()
    }

    /// The numbers of the keys, ascending.
    pub fn kids(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.keys().copied()
    }

    /// The tag over a context and a commitment; `None` if there is no such key.
    pub(super) fn tag(&self, kid: u32, commitment: &Commitment, context: &StampContext) -> Option<Secret<32>> {
        let key = &self.0.get(&kid)?.key;
        Some(Secret::new(mac(key, &[&context.stamped(kid, commitment)])))
    }

    /// The stored form, unsealed.
    ///
    /// # Security
    ///
    /// Every key in clear: it belongs into what the platform keeps its best secrets in.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = FieldWriter::record(RecordKind::StampKeys, 36 * self.0.len() + 8);
        out.joined(1, |out| {
            for (kid, masters) in &self.0 {
                out.put(&kid.to_be_bytes());
                out.put(masters.master.expose());
            }
        });
        out.finish().into()
    }

    /// Takes the stored form, checked.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::StampKeys, bytes)?;
        let (entries, rest) = fields.bytes(1)?.as_chunks::<36>();
        fields.end()?;
        let (mut keys, mut last) = (Self::default(), None);
        for [a, b, c, d, master @ ..] in entries {
            let kid = u32::from_be_bytes([*a, *b, *c, *d]);
            if last >= Some(kid) {
                return Err(RecordError::Corrupt);
            }
            last = Some(kid);
            keys.insert(kid, Secret::new(*master)).map_err(|KeyExists| RecordError::Corrupt)?;
        }
        if rest.is_empty() { Ok(keys) } else { Err(RecordError::Corrupt) }
    }
}
