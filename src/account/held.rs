use alloc::boxed::Box;
use alloc::vec::Vec;

use super::follows::FollowsError;
use super::fork::RosterFork;
use super::keys::{AccountKey, RecoveryKey};
use super::roster::{Roster, RosterError};
use super::succession::{CarriedRoster, Step, SuccessionError};
use crate::ident::Timestamp;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind};

const DAY: u64 = 24 * 3_600_000;
/// For how long a recovery key has to be named, and held, before it counts.
const RECOVERY_DELAY: u64 = 30 * DAY;
/// A succession that is issued further ahead is refused.
const MAX_AHEAD: u64 = DAY;

/// The newest roster that one holds of a user, and since when its recovery keys: what the next one is measured by.
///
/// # Examples
///
/// ```
/// use subrosa::account::{AccountKeyPair, CarriedRoster, HeldRoster, Roster, RosterDevice, Taken};
/// use subrosa::{crypto::KeyPair, ident::{DeviceId, Timestamp, UserId}, suite::Suites};
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (account, phone) = (AccountKeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
/// let (alice, now) = (UserId::new("alice")?, Timestamp::new(1_800_000_000_000));
/// let phone = RosterDevice::consent(&alice, DeviceId::new(1), Suites::V1, account.public(), &phone, &mut rng);
/// let roster = Roster::first(&alice, phone, None, now).sign(&account)?;
/// // Bob sees her first roster, and pins its account key; then the next one comes.
/// let held = HeldRoster::first_sight(roster.clone(), now)?;
/// let next = CarriedRoster::parse(&CarriedRoster::new(&roster.next(now).sign(&account)?, vec![]).to_bytes())?;
/// let Taken::Newer(held) = held.take(&next, now)? else { panic!("the account key is the same") };
/// assert_eq!(held.roster().version(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRoster {
    roster: Roster,
    /// Of each recovery key: when it came, or `None` if it stood in the first roster that was held of this account key.
    since: Vec<Option<Timestamp>>,
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// A newer roster of the same account key.
    Newer(HeldRoster),
    /// A roster of another account key, by a succession. Show it; what was verified is to be confirmed.
    Renewed(HeldRoster),
}

/// Why a roster is not taken. What is held stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// It does not verify.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// It says to be signed more than a day from now: its signer's clock is wrong, or ours.
    #[error("roster is from the future")]
    FromFuture,
    /// It does not follow the one held. [`Same`](FollowsError::Same) and [`Older`](FollowsError::Older) are no attack.
    #[error(transparent)]
    Follows(FollowsError),
    /// It forks the one held. Keep the evidence, serve the devices that both list.
    #[error("roster forks the one held")]
    Fork(Box<RosterFork>),
    /// It verifies under another account key, and nothing leads there: people decide.
    #[error("account key has changed")]
    Changed(Box<Roster>),
    /// Something leads to another account key, and it is not right.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
}

impl HeldRoster {
    /// Takes the first roster that one sees of an account key.
    ///
    /// # Errors
    ///
    /// [`TakeError::FromFuture`].
    ///
    /// # Security
    ///
    /// Who decides that the account key is the user's is the caller.
    pub fn first_sight(roster: Roster, now: Timestamp) -> Result<Self, TakeError> {
        if roster.is_from_future(now) {
            return Err(TakeError::FromFuture);
        }
        Ok(Self::first(roster))
    }

    /// The same of a roster whose date was looked at.
    pub(crate) fn first(roster: Roster) -> Self {
        let since = roster.recoveries().iter().map(|_| None).collect();
        Self { roster, since }
    }

    /// The roster.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    pub(crate) fn into_roster(self) -> Roster {
        self.roster
    }

    /// Of each recovery key of the roster: when it came here, or `None` if it stood in the first roster that was held of this
    /// account key. At most 4.
    #[must_use]
    pub fn recoveries_since(&self) -> &[Option<Timestamp>] {
        &self.since
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = FieldWriter::record(RecordKind::HeldRoster, self.roster.as_bytes().len() + 50);
        out.joined(1, |out| {
            for since in &self.since {
                out.put(&since.map_or(0, Timestamp::get).to_be_bytes());
            }
        });
        out.some_bytes(2, self.roster.as_bytes());
        out.into_public()
    }

    /// Takes the stored form. Signatures are not verified once more: they were when it was taken.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    ///
    /// # Security
    ///
    /// For one's own storage, sealed against others. What comes over a network is a [`CarriedRoster`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::HeldRoster, bytes)?;
        let (since, rest) = fields.bytes(1)?.as_chunks();
        let roster = Roster::stored(fields.some_bytes(2)?).map_err(|_| RecordError::Corrupt)?;
        fields.end()?;
        let moment = |bytes: &[u8; 8]| Some(u64::from_be_bytes(*bytes)).filter(|since| *since > 0).map(Timestamp::new);
        let since: Vec<_> = since.iter().map(moment).collect();
        let fits = rest.is_empty() && since.len() == roster.recoveries().len();
        if fits { Ok(Self { roster, since }) } else { Err(RecordError::Corrupt) }
    }

    /// The recovery key that counts: named in the first roster of its account, or 30 days ago, and held for 30 days where it
    /// came later. So a thief of the account key cannot set one of his own without the user's having 30 days to answer.
    #[must_use]
    pub fn recovery_in_force(&self, now: Timestamp) -> Option<&RecoveryKey> {
        let is_old = |moment: Timestamp| now.since(moment) >= RECOVERY_DELAY;
        let keys = self.roster.recoveries().iter().zip(&self.since);
        let in_force = keys.filter(|(recovery, since)| {
            recovery.named.get() == 0 || (is_old(recovery.named) && since.is_none_or(is_old))
        });
        // Of equal ones the last.
        in_force.max_by_key(|(recovery, _)| recovery.named).map(|(recovery, _)| &recovery.key)
    }

    /// Takes a newer roster of the same account key.
    ///
    /// # Errors
    ///
    /// [`TakeError`].
    pub fn update(&self, roster: Roster, now: Timestamp) -> Result<Self, TakeError> {
        if roster.is_from_future(now) {
            return Err(TakeError::FromFuture);
        }
        match roster.follows(&self.roster) {
            Ok(()) => {}
            Err(FollowsError::Fork) => {
                let fork = RosterFork::between(&self.roster, &roster).map(Box::new);
                return Err(fork.map_or(TakeError::Follows(FollowsError::Fork), TakeError::Fork));
            }
            Err(error) => return Err(TakeError::Follows(error)),
        }
        let appended = roster.recoveries().len().saturating_sub(self.since.len());
        let since = self.since.iter().copied().chain(core::iter::repeat_n(Some(now), appended)).collect();
        Ok(Self { roster, since })
    }

    /// Takes a roster that came, over a succession where it is of another account key.
    ///
    /// At most 8 steps and 9 rosters are looked at.
    ///
    /// # Errors
    ///
    /// [`TakeError`].
    pub fn take(&self, carried: &CarriedRoster, now: Timestamp) -> Result<Taken, TakeError> {
        let (user, pinned) = (self.roster.user(), self.roster.account_key());
        if carried.roster().account_key() == pinned {
            return self.update(carried.roster().clone().verify(user)?, now).map(Taken::Newer);
        }
        // Those before are of keys that are not held any more.
        let first = carried.steps().iter().position(|step| step.succession.old() == pinned);
        let steps = first.and_then(|first| carried.steps().get(first..)).unwrap_or_default();
        if steps.is_empty() {
            return Err(TakeError::Changed(Box::new(carried.roster().clone().verify(user)?)));
        }
        let (mut held, mut keys) = (self.clone(), Vec::from([*pinned]));
        for step in steps {
            if keys.last() != Some(step.succession.old()) {
                return Err(SuccessionError::NotTheNext.into());
            }
            if keys.contains(step.succession.new_key()) {
                return Err(SuccessionError::SameKey.into());
            }
            held = held.before(step, keys.len() == 1, now)?;
            held.moves(step, now)?;
            keys.push(*step.succession.new_key());
        }
        if keys.last() != Some(carried.roster().account_key()) {
            return Err(SuccessionError::OtherRoster.into());
        }
        let roster = carried.roster().clone().verify(user)?;
        roster.takes_over(&held.roster).map_err(SuccessionError::TakesOver)?;
        Self::first_sight(roster, now).map(Taken::Renewed)
    }

    /// What counts as held before a step: what is held, or what the step carries.
    fn before(&self, step: &Step, is_first: bool, now: Timestamp) -> Result<Self, TakeError> {
        let Some(before) = &step.before else {
            return if is_first { Ok(self.clone()) } else { Err(SuccessionError::NoRosterBefore.into()) };
        };
        let before = before.clone().verify(self.roster.user()).map_err(SuccessionError::Before)?;
        if before.account_key() != step.succession.old() {
            return Err(SuccessionError::OtherAccount.into());
        }
        if is_first {
            // One that is older than what is held, or forks it, says nothing.
            return Ok(self.update(before, now).unwrap_or_else(|_| self.clone()));
        }
        before.takes_over(&self.roster).map_err(SuccessionError::TakesOver)?;
        Self::first_sight(before, now)
    }

    /// Whether a step leads away from what is held.
    fn moves(&self, step: &Step, now: Timestamp) -> Result<(), SuccessionError> {
        if step.succession.user() != self.roster.user() {
            return Err(SuccessionError::OtherUser);
        }
        if step.succession.issued().since(now) > MAX_AHEAD {
            return Err(SuccessionError::FromFuture);
        }
        let recovery = self.recovery_in_force(now).ok_or(SuccessionError::NoRecoveryKey)?;
        step.succession.verify(self.roster.user(), recovery)
    }

    /// The account key that the user is known by here.
    #[must_use]
    pub const fn account_key(&self) -> &AccountKey {
        self.roster.account_key()
    }
}
