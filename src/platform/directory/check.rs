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
mod tests {
    use super::*;
    use crate::account::{AccountKeyPair, FollowsError, RecoveryKeyPair, Roster, RosterDevice, Step, Succession};
    use crate::account::{SuccessionError, UnverifiedRoster};
    use crate::crypto::{KeyPair, Secret};
    use crate::ident::DeviceId;
    use crate::suite::Suites;
    use std::vec;

    const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
    const DAY: u64 = 24 * 3_600_000;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn account(seed: u8) -> AccountKeyPair {
        AccountKeyPair::new(Secret::new([seed; 32]))
    }

    fn device(account: &AccountKeyPair, id: u8) -> RosterDevice {
        let identity = KeyPair::new(Secret::new([id; 32]));
        let mut rng = crate::support::rng(1);
        RosterDevice::consent(
            &user("alice"),
            DeviceId::new(id.into()),
            Suites::V1,
            account.public(),
            &identity,
            &mut rng,
        )
    }

    fn first() -> Roster {
        let words = RecoveryKeyPair::from_entropy(&[7; 16]);
        let next = Roster::first(&user("alice"), device(&account(1), 1), Some(*words.public()), NOW);
        next.sign(&account(1)).unwrap()
    }

    #[test]
    fn rosters_are_stored_in_order() {
        let (alice, one) = (user("alice"), first());
        let later = |days| Timestamp::new(NOW.get() + days * DAY);
        let two = one.next(NOW).sign(&account(1)).unwrap();
        let fork = one.next(NOW).add(device(&account(1), 2)).sign(&account(1)).unwrap();
        let stored = check_roster(None, two.as_bytes(), &alice, NOW).unwrap();
        let check = |bytes: &[u8], now| check_roster(Some(&stored), bytes, &alice, now);
        let refused = |error: FollowsError| Err(RosterRefusal::Take(TakeError::Follows(error)));
        assert_eq!(check(two.as_bytes(), NOW), refused(FollowsError::Same));
        assert_eq!(check(one.as_bytes(), NOW), refused(FollowsError::Older));
        assert!(matches!(check(fork.as_bytes(), NOW), Err(RosterRefusal::Take(TakeError::Fork(_)))));
        let other = Roster::first(&alice, device(&account(2), 1), None, NOW).above(8).sign(&account(2)).unwrap();
        assert_eq!(check(other.as_bytes(), NOW), refused(FollowsError::OtherAccount));
        let three = two.next(later(10)).sign(&account(1)).unwrap();
        assert_eq!(check(three.as_bytes(), later(8)), Err(TakeError::FromFuture.into()));
        assert_eq!(check(three.as_bytes(), later(56)), Err(RosterRefusal::Stale));
        assert!(check(three.as_bytes(), later(55)).is_ok());
        assert!(matches!(check(b"no roster", NOW), Err(RosterRefusal::Malformed(_))));
        let of_bob = check_roster(None, one.as_bytes(), &user("bob"), NOW);
        assert_eq!(of_bob, Err(TakeError::Roster(RosterError::OtherUser).into()));
        let mut altered = three.as_bytes().to_vec();
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(check(&altered, later(10)), Err(TakeError::Roster(RosterError::Signature).into()));
    }

    #[test]
    fn a_succession_is_stored_once() {
        let (alice, one, new) = (user("alice"), first(), account(2));
        let stored = check_roster(None, one.as_bytes(), &alice, NOW).unwrap();
        let roster = one.under_new_key(device(&new, 2), None, NOW).sign(&new).unwrap();
        let carried = |words: u8| {
            let words = RecoveryKeyPair::from_entropy(&[words; 16]);
            let succession = Succession::sign(&alice, one.account_key(), &new, &words, NOW);
            CarriedRoster::new(&roster, vec![Step { succession, before: Some(UnverifiedRoster::of(&one)) }]).to_bytes()
        };
        let check = |stored: &HeldRoster, bytes: &[u8]| check_succession(stored, bytes, &alice, NOW);
        let refused = Err(TakeError::Succession(SuccessionError::RecoveryKey).into());
        assert_eq!(check(&stored, &carried(8)), refused);
        assert_eq!(
            check_succession(&stored, &carried(7), &user("bob"), NOW),
            Err(TakeError::Roster(RosterError::OtherUser).into())
        );
        let renewed = check(&stored, &carried(7)).unwrap();
        assert_eq!(renewed.roster(), &roster);
        assert_eq!(check(&renewed, &carried(7)), Err(TakeError::Follows(FollowsError::Same).into()));
        let plain = CarriedRoster::new(&one.next(NOW).sign(&account(1)).unwrap(), vec![]).to_bytes();
        assert_eq!(check(&stored, &plain), Err(RosterRefusal::SameKey));
        let late = Timestamp::new(NOW.get() + 46 * DAY);
        assert_eq!(check_succession(&stored, &carried(7), &alice, late), Err(RosterRefusal::Stale));
    }
}
