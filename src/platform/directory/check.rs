use crate::account::{CarriedRoster, HeldRoster, RosterError, TakeError, Taken, UnverifiedRoster};
use crate::ident::{Timestamp, UserId};
use crate::wire::WireError;

/// Why a server does not store a roster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RosterRefusal {
    /// The bytes are no roster. Refuse the request.
    #[error("roster is malformed")]
    Malformed(#[from] WireError),
    /// Peers would not take it in the place of the one that is stored. Where it is
    /// [the same](crate::account::FollowsError::Same), answer that it is stored; where it is
    /// [older](crate::account::FollowsError::Older) or forks the stored one, answer with that.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// It is older than 45 days: peers would call it stale. Its primary signs anew.
    #[error("roster is stale")]
    Stale,
    /// No succession leads to another account key.
    #[error("roster is of the account key that is stored")]
    SameKey,
}

/// Checks a signed roster that a user publishes: what the server stores in the place of what it has, by compare and swap on the
/// version. `stored` is none if the user has no roster.
///
/// # Errors
///
/// [`RosterRefusal`]; what is stored stays.
///
/// # Security
///
/// This keeps a server that is honest in order, and its users' mistakes out. Peers believe nothing of it: they check themselves.
/// Who may publish the *first* roster of a user is the server's to know.
///
/// # Examples
///
/// ```
/// use subrosa::account::{AccountKeyPair, Roster, RosterDevice};
/// use subrosa::{crypto::KeyPair, ident::{DeviceId, Timestamp, UserId}, platform::check_roster, suite::Suites};
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (account, phone) = (AccountKeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
/// let (alice, now) = (UserId::new("alice")?, Timestamp::new(1_800_000_000_000));
/// let phone = RosterDevice::consent(&alice, DeviceId::new(1), Suites::V1, account.public(), &phone, &mut rng);
/// let one = Roster::first(&alice, phone, None, now).sign(&account)?;
/// let two = one.next(now).sign(&account)?;
/// let stored = check_roster(None, one.as_bytes(), &alice, now)?;
/// let stored = check_roster(Some(&stored), two.as_bytes(), &alice, now)?;
/// assert!(check_roster(Some(&stored), one.as_bytes(), &alice, now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_roster(
    stored: Option<&HeldRoster>,
    new: &[u8],
    user: &UserId,
    now: Timestamp,
) -> Result<HeldRoster, RosterRefusal> {
    let roster = UnverifiedRoster::parse(new)?.verify(user).map_err(TakeError::from)?;
    let is_stale = roster.is_stale(now);
    let held = match stored {
        // Under another key it would only be refused by peers; `check_succession` is the way there.
        Some(stored) => stored.update(roster, now)?,
        None => HeldRoster::first_sight(roster, now)?,
    };
    if is_stale { Err(RosterRefusal::Stale) } else { Ok(held) }
}

/// Checks the first roster of another account key, with the succession that leads there: a [`CarriedRoster`], which is what the
/// directory hands out from then on.
///
/// # Errors
///
/// [`RosterRefusal`]; what is stored stays.
pub fn check_succession(
    stored: &HeldRoster,
    new: &[u8],
    user: &UserId,
    now: Timestamp,
) -> Result<HeldRoster, RosterRefusal> {
    if stored.roster().user() != user {
        return Err(TakeError::from(RosterError::OtherUser).into());
    }
    match stored.take(&CarriedRoster::parse(new)?, now)? {
        Taken::Renewed(held) if held.roster().is_stale(now) => Err(RosterRefusal::Stale),
        Taken::Renewed(held) => Ok(held),
        _ => Err(RosterRefusal::SameKey),
    }
}

#[cfg(test)]
mod tests;
