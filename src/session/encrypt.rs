use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::{Ciphertext, CiphertextKind, EncryptError, Session};
use crate::ident::Timestamp;
use crate::suite::v1::Text;

impl Session {
    /// Encrypts a message with the current session.
    ///
    /// # Errors
    ///
    /// [`EncryptError`]; nothing was changed.
    ///
    /// # Security
    ///
    /// Suite [`Signal`](crate::suite::Suite::Signal) does not hide the plaintext's length beyond a block of 16 bytes: pad before.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (mut to_bob, mut to_alice, now, mut rng) = talking();
    /// let sent = to_alice.encrypt(b"Hello, Alice", now, &mut rng)?;
    /// assert_eq!(to_bob.decrypt(&SessionMessage::parse(sent.bytes())?, now, &mut rng)?, b"Hello, Alice");
    /// # Ok(())
    /// # }
    /// ```
    pub fn encrypt(
        &mut self,
        plaintext: &[u8],
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Ciphertext, EncryptError> {
        self.encrypt_bound(plaintext, &[], now, rng)
    }

    /// Encrypts a message that opens only together with `external_ad`: what the layer above binds to it, for instance
    /// a commitment that travels beside it. Suite V1 only.
    ///
    /// # Errors
    ///
    /// [`EncryptError`]; nothing was changed.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (mut to_bob, mut to_alice, now, mut rng) = talking();
    /// let sent = to_alice.encrypt_bound(b"Hello", b"beside it", now, &mut rng)?;
    /// let message = SessionMessage::parse(sent.bytes())?;
    /// assert_eq!(to_bob.decrypt(&message, now, &mut rng), Err(DecryptError::Undecryptable));
    /// assert_eq!(to_bob.decrypt(&message.bound_to(b"beside it"), now, &mut rng)?, b"Hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn encrypt_bound(
        &mut self,
        plaintext: &[u8],
        external_ad: &[u8],
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Ciphertext, EncryptError> {
        self.encrypt_text(plaintext.into(), external_ad, now, rng)
    }

    /// The same of a plaintext whose hash is known.
    pub(crate) fn encrypt_text(
        &mut self,
        text: Text<'_>,
        external_ad: &[u8],
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Ciphertext, EncryptError> {
        let mut out = Vec::new();
        Ok(match self.append(text, external_ad, now, rng, &mut out)? {
            CiphertextKind::First => Ciphertext::First(out),
            CiphertextKind::Message => Ciphertext::Message(out),
        })
    }

    /// As [`Self::encrypt_bound`], appended to a buffer of the caller's: for hosts that count allocations.
    ///
    /// # Errors
    ///
    /// [`EncryptError`]; nothing was changed, in `out` neither.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (mut to_bob, mut to_alice, now, mut rng) = talking();
    /// let (mut sent, mut read) = (Vec::new(), Vec::new());
    /// for text in [b"one", b"two"] {
    ///     sent.clear();
    ///     let kind = to_alice.encrypt_into(text, &[], now, &mut rng, &mut sent)?;
    ///     assert_eq!(kind, CiphertextKind::Message);
    ///     let message = SessionMessage::parse(&sent)?;
    ///     read.reserve(message.max_plaintext_len());
    ///     to_bob.decrypt_into(&message, now, &mut rng, &mut read)?;
    /// }
    /// assert_eq!(read, b"onetwo");
    /// # Ok(())
    /// # }
    /// ```
    pub fn encrypt_into(
        &mut self,
        plaintext: &[u8],
        external_ad: &[u8],
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut Vec<u8>,
    ) -> Result<CiphertextKind, EncryptError> {
        self.append(plaintext.into(), external_ad, now, rng, out)
    }

    fn append(
        &mut self,
        text: Text<'_>,
        external_ad: &[u8],
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut Vec<u8>,
    ) -> Result<CiphertextKind, EncryptError> {
        let current = self.current.as_mut().ok_or(EncryptError::NoSession)?;
        if current.is_unanswered_for_long(now) {
            return Err(EncryptError::Unanswered);
        }
        current.encrypt(&self.ends, text, external_ad, rng, out)?;
        Ok(if current.pending.is_some() { CiphertextKind::First } else { CiphertextKind::Message })
    }
}
