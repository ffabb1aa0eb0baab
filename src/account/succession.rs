use alloc::vec::Vec;
use core::fmt;

use super::follows::FollowsError;
use super::keys::{AccountKey, AccountKeyPair, RecoveryKey, RecoveryKeyPair};
use super::roster::{Roster, RosterError, UnverifiedRoster};
use crate::crypto::Signature;
use crate::ident::{Timestamp, UserId};
use crate::wire::{CarriedParts, StepParts, SuccessionBody, WireError};

const LABEL: &[u8] = b"\x14subrosa/1/succession";

/// The move of a user from one account key to the next: what a user does whose primary was stolen.
///
/// # Examples
///
/// ```
/// use subrosa::account::{AccountKeyPair, RecoveryKeyPair, Succession};
/// use subrosa::ident::{Timestamp, UserId};
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (stolen, new) = (AccountKeyPair::generate(&mut rng), AccountKeyPair::generate(&mut rng));
/// let (alice, words) = (UserId::new("alice")?, RecoveryKeyPair::from_entropy(&[7; 16]));
/// let succession = Succession::sign(&alice, stolen.public(), &new, &words, Timestamp::new(1_800_000_000_000));
/// assert!(succession.verify(&alice, words.public()).is_ok());
/// # Ok::<(), subrosa::ident::InvalidUserId>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Succession {
    user: UserId,
    old: AccountKey,
    new: AccountKey,
    issued: Timestamp,
    recovery_signature: Signature,
    new_signature: Signature,
}

/// Why a succession moves nobody. What it would lead to is a changed key, which people decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionError {
    /// It is another user's.
    #[error("succession is another user's")]
    OtherUser,
    /// It leads to a key that it comes from.
    #[error("succession leads back")]
    SameKey,
    /// A step does not begin where the one before ends.
    #[error("steps are not a way")]
    NotTheNext,
    /// It says to be signed more than a day from now.
    #[error("succession is from the future")]
    FromFuture,
    /// A later step has no roster that names the recovery key.
    #[error("a step lacks the roster before it")]
    NoRosterBefore,
    /// The roster of a step does not verify.
    #[error("roster before a step does not verify")]
    Before(#[source] RosterError),
    /// The roster of a step is of another account key than it leads from.
    #[error("roster before a step is of another account key")]
    OtherAccount,
    /// A roster, of a step or of the last key, does not take the place of the one before.
    #[error("a roster under a new key does not go on from the old one")]
    TakesOver(#[source] FollowsError),
    /// There is no recovery key, or none that counts yet.
    #[error("no recovery key is in force")]
    NoRecoveryKey,
    /// The recovery key that counts has not signed it.
    #[error("recovery key in force has not signed the succession")]
    RecoveryKey,
    /// The new account key has not signed it.
    #[error("new account key has not signed the succession")]
    NewKey,
    /// The roster is of none of the keys that the steps lead to.
    #[error("steps lead to another account key than the roster's")]
    OtherRoster,
}

impl Succession {
    /// Signs it, with the recovery key and the new account key.
    #[must_use]
    pub fn sign(
        user: &UserId,
        old: &AccountKey,
        new: &AccountKeyPair,
        recovery: &RecoveryKeyPair,
        now: Timestamp,
    ) -> Self {
        let message = signed(user, old, new.public(), now);
        Self {
            user: user.clone(),
            old: *old,
            new: *new.public(),
            issued: now,
            recovery_signature: recovery.sign(&message),
            new_signature: new.sign(&message),
        }
    }

    /// Whose it says to be.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// The account key that it leads from.
    #[must_use]
    pub const fn old(&self) -> &AccountKey {
        &self.old
    }

    /// The account key that it leads to.
    #[must_use]
    pub const fn new_key(&self) -> &AccountKey {
        &self.new
    }

    /// When it was signed, as it says.
    #[must_use]
    pub const fn issued(&self) -> Timestamp {
        self.issued
    }

    /// Whether a recovery key and the new account key have signed it for this user.
    ///
    /// # Errors
    ///
    /// [`SuccessionError`].
    ///
    /// # Security
    ///
    /// Which recovery key counts is the question: [`HeldRoster`](super::HeldRoster) answers it.
    pub fn verify(&self, user: &UserId, recovery: &RecoveryKey) -> Result<(), SuccessionError> {
        if self.user != *user {
            return Err(SuccessionError::OtherUser);
        }
        if self.old == self.new {
            return Err(SuccessionError::SameKey);
        }
        let message = signed(user, &self.old, &self.new, self.issued);
        recovery.verify(&message, &self.recovery_signature).map_err(|_| SuccessionError::RecoveryKey)?;
        self.new.verify(&message, &self.new_signature).map_err(|_| SuccessionError::NewKey)
    }

    fn of_body(body: &SuccessionBody<'_>) -> Result<Self, WireError> {
        Ok(Self {
            user: UserId::new(body.user).map_err(|_| WireError::Field)?,
            old: AccountKey::parse(&body.old)?,
            new: AccountKey::parse(&body.new)?,
            issued: Timestamp::new(body.issued_ms),
            recovery_signature: body.recovery_signature,
            new_signature: body.new_signature,
        })
    }

    fn body(&self) -> SuccessionBody<'_> {
        SuccessionBody {
            user: self.user.as_str(),
            old: self.old.to_bytes(),
            new: self.new.to_bytes(),
            issued_ms: self.issued.get(),
            recovery_signature: self.recovery_signature,
            new_signature: self.new_signature,
        }
    }
}

/// What both signatures are over.
fn signed(user: &UserId, old: &AccountKey, new: &AccountKey, issued: Timestamp) -> Vec<u8> {
    let part = SuccessionBody::signed_part(user.as_str(), &old.to_bytes(), &new.to_bytes(), issued.get());
    [LABEL, &part].concat()
}

/// A succession on the way to a roster's account key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The succession.
    pub succession: Succession,
    /// A roster of its old key that names the recovery key: for who does not hold one. A step that is not the first needs it.
    pub before: Option<UnverifiedRoster>,
}

impl Step {
    fn parts(&self) -> StepParts<'_> {
        StepParts { succession: self.succession.body(), before: self.before.as_ref().map(UnverifiedRoster::as_bytes) }
    }
}

/// A roster as it travels, in a payload, as a content, from a directory: with the steps that lead to its account key, where the
/// recipient may hold one of an older key.
///
/// # Examples
///
/// ```
/// use subrosa::account::CarriedRoster;
/// assert!(CarriedRoster::parse(b"no roster").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedRoster {
    steps: Vec<Step>,
    roster: UnverifiedRoster,
}

impl CarriedRoster {
    /// Most steps: who holds a roster of an older key has to decide by hand.
    pub const MAX_STEPS: usize = 8;

    /// A roster, and the newest [`Self::MAX_STEPS`] of the steps that lead to it, oldest first.
    #[must_use]
    pub fn new(roster: &Roster, mut steps: Vec<Step>) -> Self {
        steps.drain(..steps.len().saturating_sub(Self::MAX_STEPS));
        let roster = UnverifiedRoster::of(roster);
        Self { steps, roster }
    }

    /// Reads one, at most 48 KiB.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let parts = CarriedParts::parse(bytes)?;
        let step = |step: &StepParts<'_>| {
            let before = step.before.map(UnverifiedRoster::parse).transpose()?;
            Ok(Step { succession: Succession::of_body(&step.succession)?, before })
        };
        let steps = parts.steps.iter().map(step).collect::<Result<_, WireError>>()?;
        Ok(Self { steps, roster: UnverifiedRoster::parse(parts.roster)? })
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let steps = self.steps.iter().map(Step::parts).collect();
        CarriedParts { steps, roster: self.roster.as_bytes() }.to_bytes()
    }

    /// The steps, oldest first.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The roster.
    #[must_use]
    pub const fn roster(&self) -> &UnverifiedRoster {
        &self.roster
    }
}

impl fmt::Debug for Succession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { old, new, issued, .. } = self;
        f.debug_struct("Succession").field("old", old).field("new", new).field("issued", issued).finish_non_exhaustive()
    }
}
