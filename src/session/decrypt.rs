use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::message::Wire;
use super::{DecryptError, Session, SessionMessage};
use crate::ident::Timestamp;
use crate::ratchet::Step;

impl Session {
    /// Decrypts a message: with the session that its ratchet key belongs to, else with any that takes it as a new
    /// one, the current first, then the archived ones, newest first. An archived session that succeeds becomes the
    /// current one; in suite V1 only if it goes before that by an order that both devices share, so that both come to send
    /// in the same session.
    ///
    /// # Errors
    ///
    /// [`DecryptError`]; nothing was changed.
    ///
    /// # Security
    ///
    /// A message with an unknown ratchet key costs one agreement for each session held, at most 41.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (mut to_bob, mut to_alice, now, mut rng) = talking();
    /// let sent = to_alice.encrypt(b"Hello, Alice", now, &mut rng)?;
    /// let message = SessionMessage::parse(sent.bytes())?;
    /// assert_eq!(to_bob.decrypt(&message, now, &mut rng)?, b"Hello, Alice");
    /// assert_eq!(to_bob.decrypt(&message, now, &mut rng), Err(DecryptError::Duplicate));
    /// # Ok(())
    /// # }
    /// ```
    pub fn decrypt(
        &mut self,
        message: &SessionMessage,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, DecryptError> {
        let mut out = Vec::new();
        self.decrypt_into(message, now, rng, &mut out)?;
        Ok(out)
    }

    /// As [`Self::decrypt`], appended to a buffer of the caller's: for hosts that count allocations.
    ///
    /// # Errors
    ///
    /// [`DecryptError`]; nothing was changed, in `out` neither.
    ///
    /// # Security
    ///
    /// A buffer that grows leaves what it held where it was: reserve [`SessionMessage::max_plaintext_len`] before, and wipe it.
    ///
    /// # Examples
    ///
    /// See [`Self::encrypt_into`].
    pub fn decrypt_into(
        &mut self,
        message: &SessionMessage,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut Vec<u8>,
    ) -> Result<(), DecryptError> {
        let start = out.len();
        let opened = self.open(message, out);
        let applied = opened.and_then(|(at, step)| self.apply(at, step, now, rng));
        if applied.is_err() {
            out.get_mut(start..).unwrap_or_default().zeroize();
            out.truncate(start);
        }
        applied
    }

    /// Appends the message's plaintext; gives which of [`Self::states`] it is of, and what it would change there.
    fn open(&self, message: &SessionMessage, out: &mut Vec<u8>) -> Result<(usize, Step), DecryptError> {
        let (wire, external_ad) = (message.inner(), message.external_ad());
        // One session alone can have sent it: the one that it names, or the one that holds a chain of its ratchet
        // key. No trials.
        let known = match wire {
            Wire::V1(message) => Some(
                self.states().position(|state| state.tag() == Some(message.session)).ok_or(DecryptError::NoSession)?,
            ),
            Wire::Signal(message) => self.states().position(|state| state.knows(message)),
        };
        if let Some(at) = known {
            let state = self.state_at(at).ok_or(DecryptError::NoSession)?;
            return Ok((at, state.open(&self.ends, wire, external_ad, out)?));
        }
        let mut failure = None;
        for (at, state) in self.states().enumerate().filter(|(_, state)| state.transcript.is_none()) {
            match state.open(&self.ends, wire, external_ad, out) {
                Ok(step) => return Ok((at, step)),
                // Sessions that fail differently tell nothing in particular.
                Err(error) if failure.is_none_or(|failure| failure == error) => failure = Some(error),
                Err(_) => failure = Some(DecryptError::Undecryptable),
            }
        }
        Err(failure.unwrap_or(DecryptError::NoSession))
    }

    /// Makes the change that a message brought to the session at `at` of [`Self::states`], and has it sent with if it is to
    /// be: see [`Self::follow`].
    pub(super) fn apply(
        &mut self,
        at: usize,
        step: Step,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), DecryptError> {
        let archived_at = if self.current.is_some() { at.checked_sub(1) } else { Some(at) };
        let state = match archived_at {
            None => self.current.as_mut(),
            Some(at) => self.archived.get_mut(at),
        };
        let is_newest = step.is_newest();
        state.ok_or(DecryptError::NoSession)?.apply(step, now, rng)?;
        if let Some(at) = archived_at {
            self.follow(at, is_newest);
        }
        Ok(())
    }
}
