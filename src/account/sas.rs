use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use rand_core::CryptoRng;

use super::emoji::{SasEmoji, emoji};
use super::keys::AccountKey;
use crate::crypto::{Secret, constant_time_eq, hkdf, sha256};
use crate::ident::{DeviceId, Timestamp, UserId};
use crate::wire::{Verify, VerifyStep};

const LABEL: &[u8] = b"\x04sas1";
const LABEL_COMMIT: &[u8] = b"\x0bsas1/commit";
const LABEL_CODE: &[u8] = b"\x09sas1/code";

/// How long an attempt lives.
const LIFE: u64 = 10 * 60_000;

/// One of the two devices, as the one that computes believes it to be.
#[derive(Debug, Clone, Copy)]
pub struct SasParty<'a> {
    /// Whose device.
    pub user: &'a UserId,
    /// Which.
    pub device: DeviceId,
    /// The user's account key.
    pub account: &'a AccountKey,
}

/// Why an attempt is over. Begin anew, three times an hour and peer at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SasError {
    /// The message is of another attempt.
    #[error("message is of another attempt")]
    OtherAttempt,
    /// It is not the step that was due.
    #[error("message is another step than was due")]
    OutOfTurn,
    /// More than ten minutes have passed.
    #[error("attempt is older than ten minutes")]
    Expired,
    /// The number is not the one that was committed to: somebody tries to choose the emoji.
    #[error("number is not the one that was committed to")]
    Commitment,
    /// The other side ended it.
    #[error("the other side ended it")]
    Ended,
}

/// The device that begins.
///
/// # Examples
///
/// ```
/// use subrosa::account::{AccountKeyPair, SasInitiator, SasParty, SasResponder};
/// use subrosa::ident::{DeviceId, Timestamp, UserId};
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let now = Timestamp::new(1_800_000_000_000);
/// let (alice, bob) = (UserId::new("alice")?, UserId::new("bob")?);
/// let (hers, his) = (AccountKeyPair::generate(&mut rng), AccountKeyPair::generate(&mut rng));
/// let a = SasParty { user: &alice, device: DeviceId::new(1), account: hers.public() };
/// let b = SasParty { user: &bob, device: DeviceId::new(1), account: his.public() };
/// // Each message is a content of their session.
/// let (initiator, commit) = SasInitiator::new(a, b, now, &mut rng);
/// let (responder, respond) = SasResponder::new(b, a, &commit, now, &mut rng)?;
/// let (at_hers, reveal) = initiator.reveal(&respond, now)?;
/// let at_his = responder.check(&reveal, now)?;
/// // They read the seven emoji to each other.
/// assert_eq!(at_hers.emoji(), at_his.emoji());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an attempt goes on with the other side's answer"]
pub struct SasInitiator {
    txid: [u8; 16],
    transcript: Vec<u8>,
    number: Secret<32>,
    begun: Timestamp,
}

/// The device that answers.
#[must_use = "an attempt goes on with the other side's number"]
pub struct SasResponder {
    txid: [u8; 16],
    transcript: Vec<u8>,
    commitment: [u8; 32],
    number: Secret<32>,
    begun: Timestamp,
}

impl SasInitiator {
    /// Begins: draws 16 bytes for the attempt's name, 32 for the number. The message is step 1.
    pub fn new(
        own: SasParty<'_>,
        other: SasParty<'_>,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> (Self, Verify) {
        let mut txid = [0; 16];
        rng.fill_bytes(&mut txid);
        let (transcript, number) = (transcript(&txid, own, other), Secret::random(rng));
        let step = VerifyStep::Commit(commitment(&number, &transcript));
        (Self { txid, transcript, number, begun: now }, Verify { txid, step })
    }

    /// Takes step 2, and gives the code and step 3. Show the code when step 3 is sent.
    ///
    /// # Errors
    ///
    /// [`SasError`]; the attempt is over.
    pub fn reveal(self, answer: &Verify, now: Timestamp) -> Result<(SasCode, Verify), SasError> {
        due(&self.txid, self.begun, answer, now)?;
        let VerifyStep::Respond(theirs) = answer.step else { return Err(SasError::OutOfTurn) };
        let code = SasCode::derive(self.number.expose(), &theirs, &self.transcript);
        Ok((code, Verify { txid: self.txid, step: VerifyStep::Reveal(*self.number.expose()) }))
    }
}

impl SasResponder {
    /// Answers step 1: draws 32 bytes. The message is step 2.
    ///
    /// # Errors
    ///
    /// [`SasError::OutOfTurn`], [`SasError::Ended`].
    ///
    /// # Security
    ///
    /// One attempt a `txid`: who answers the same one again gives the other side another guess.
    pub fn new(
        own: SasParty<'_>,
        other: SasParty<'_>,
        first: &Verify,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Verify), SasError> {
        due(&first.txid, now, first, now)?;
        let VerifyStep::Commit(commitment) = first.step else { return Err(SasError::OutOfTurn) };
        let (txid, number) = (first.txid, Secret::random(rng));
        let step = VerifyStep::Respond(*number.expose());
        let transcript = transcript(&txid, other, own);
        Ok((Self { txid, transcript, commitment, number, begun: now }, Verify { txid, step }))
    }

    /// Takes step 3, and gives the code.
    ///
    /// # Errors
    ///
    /// [`SasError`]; the attempt is over.
    pub fn check(self, reveal: &Verify, now: Timestamp) -> Result<SasCode, SasError> {
        due(&self.txid, self.begun, reveal, now)?;
        let VerifyStep::Reveal(theirs) = reveal.step else { return Err(SasError::OutOfTurn) };
        let theirs = Secret::new(theirs);
        if !constant_time_eq(&commitment(&theirs, &self.transcript), &self.commitment) {
            return Err(SasError::Commitment);
        }
        Ok(SasCode::derive(theirs.expose(), self.number.expose(), &self.transcript))
    }
}

/// What two people compare: seven emoji, or three numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct SasCode(Secret<11>);

impl SasCode {
    fn derive(initiator: &[u8; 32], responder: &[u8; 32], transcript: &[u8]) -> Self {
        let salt = [&initiator[..], responder].concat();
        Self(hkdf(&salt, &sha256(&[transcript]), &[LABEL_CODE]))
    }

    /// Seven emoji.
    #[must_use]
    pub fn emoji(&self) -> [SasEmoji; 7] {
        // The top 42 of 48 bits.
        let [a, b, c, d, e, f, ..] = *self.0.expose();
        let bits = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        [42, 36, 30, 24, 18, 12, 6].map(|shift| {
            let [low, ..] = (bits >> shift).to_le_bytes();
            emoji(low & 63)
        })
    }

    /// Three numbers, 1,000 to 9,191.
    #[must_use]
    pub fn numbers(&self) -> [u16; 3] {
        // The top 39 of 40 bits.
        let [.., g, h, i, j, k] = *self.0.expose();
        let bits = u64::from_be_bytes([0, 0, 0, g, h, i, j, k]);
        [27, 14, 1].map(|shift| {
            let [low, high, ..] = (bits >> shift).to_le_bytes();
            (u16::from_le_bytes([low, high]) & 0x1fff) + 1_000
        })
    }
}

/// Whether a message is one of this attempt, in time.
fn due(txid: &[u8; 16], begun: Timestamp, message: &Verify, now: Timestamp) -> Result<(), SasError> {
    if message.txid != *txid {
        return Err(SasError::OtherAttempt);
    }
    if message.step == VerifyStep::End {
        return Err(SasError::Ended);
    }
    if now.since(begun) > LIFE { Err(SasError::Expired) } else { Ok(()) }
}

fn transcript(txid: &[u8], initiator: SasParty<'_>, responder: SasParty<'_>) -> Vec<u8> {
    let mut out = Vec::from(LABEL);
    put(&mut out, txid);
    for SasParty { user, device, account } in [initiator, responder] {
        put(&mut out, user.as_str().as_bytes());
        put(&mut out, format!("{}", device.get()).as_bytes());
        out.extend_from_slice(&sha256(&[&account.to_bytes()]));
    }
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn commitment(number: &Secret<32>, transcript: &[u8]) -> [u8; 32] {
    sha256(&[LABEL_COMMIT, number.expose(), transcript])
}

impl fmt::Debug for SasInitiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SasInitiator(..)")
    }
}

impl fmt::Debug for SasResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SasResponder(..)")
    }
}

impl fmt::Debug for SasCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SasCode(..)")
    }
}

#[cfg(test)]
mod tests;
