//! Which keys were sealed with: for tests and simulations that look for a repetition. Keeps hashes, for one thread, and
//! only while one is asked for.

use alloc::collections::BTreeMap;
use core::cell::RefCell;

use super::sha256;

type Hash = [u8; 32];

/// What was sealed under each key and nonce.
#[derive(Default)]
struct Seals {
    sealed: BTreeMap<Hash, Hash>,
    repeated: u64,
}

std::thread_local! {
    static SEALS: RefCell<Option<Seals>> = const { RefCell::new(None) };
}

/// Notes a seal.
pub(super) fn note(key: &[u8; 32], nonce: &[u8], ad: &[u8], plaintext: &[u8]) {
    SEALS.with_borrow_mut(|seals| {
        let Some(seals) = seals else { return };
        // The same text with the same data is the same ciphertext: an operation that began anew for want of a row.
        let what = sha256(&[&sha256(&[ad]), plaintext]);
        let before = seals.sealed.insert(sha256(&[key, nonce]), what);
        seals.repeated += u64::from(before.is_some_and(|before| before != what));
    });
}

/// Begins to look, from nothing.
pub(crate) fn watch() {
    SEALS.set(Some(Seals::default()));
}

/// Ends, and gives how many texts were sealed, and how often a key and nonce came again with another text.
pub(crate) fn seen() -> (usize, u64) {
    SEALS.take().map_or((0, 0), |seals| (seals.sealed.len(), seals.repeated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::gcm_seal;

    #[test]
    fn a_repetition_is_seen() {
        watch();
        for text in [b"one", b"one", b"two"] {
            let _ = gcm_seal(&[1; 32], &[2; 12], b"", text);
        }
        let _ = gcm_seal(&[1; 32], &[3; 12], b"", b"three");
        assert_eq!(seen(), (2, 1));
        let _ = gcm_seal(&[1; 32], &[3; 12], b"", b"four");
        assert_eq!(seen(), (0, 0), "nobody looks");
    }
}
