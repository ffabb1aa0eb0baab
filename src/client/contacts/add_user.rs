use alloc::vec::Vec;

use super::add_session::{AddError, Added};
use super::user_status::{AccountStatus, UserStatus};
use crate::account::{CarriedRoster, HeldRoster, RosterError, TakeError};
use crate::client::Client;
use crate::client::account::OwnRosterError;
use crate::ident::{Address, DeviceId, UserId};
use crate::prekey::Bundle;
use crate::rows::{Core, User};
use crate::staging::{Operation, Stop, StoredError, Workspace};

/// What came of what the directory says of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddedUser {
    /// What is to be thought of the user now.
    pub status: UserStatus,
    /// The devices that the newest roster lists, but for this very one, and what came of their bundles: none was given, or see
    /// [`Client::add_session`].
    pub devices: Vec<(DeviceId, Option<Result<Added, AddError>>)>,
}

/// Why nothing of what the directory says was taken. Nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddUserError {
    /// One's own roster is not published. Publish it first ([`Task::PublishRoster`](crate::client::Task::PublishRoster)):
    /// until then devices know each other, and no people.
    #[error("one's own roster is not published")]
    RosterUnpublished,
    /// The roster is not one of this user. The directory is wrong, or lies: ask again later.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The roster, or what leads to it, is not taken. What is known stays.
    #[error(transparent)]
    Take(TakeError),
    /// It is one's own, and does not go on from what is known.
    #[error(transparent)]
    Own(#[from] OwnRosterError),
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

type Halt = Stop<AddUserError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(AddUserError::from)
}

impl Client {
    /// Takes what the directory says of a user: the roster, and bundles of devices. What was wanted of it is settled.
    ///
    /// `None` says that the directory has no roster of the user, and never had: then messages of devices are taken that are
    /// known by their identity key alone. Of who has a roster here it says nothing.
    ///
    /// Bundles of devices that the roster does not list start no session, and sessions that there are stay. For one's own user
    /// it is what other own devices have published, and the bundles of those.
    ///
    /// # Errors
    ///
    /// [`AddUserError`], when it is staged.
    ///
    /// # Security
    ///
    /// The first account key is taken as it comes: users who compare [safety numbers](crate::account::SafetyNumber) find out
    /// whether it was the right one. Another one later is [shown and not taken](AccountStatus::Changed).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::account::CarriedRoster;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (now, mut rng) = (NOW, rng());
    /// # let ((alice, alice_db), (bob, bob_db)) = (person("alice"), person("bob"));
    /// # let (bundle, head) = (published(&bob, &bob_db), directory(&bob, &bob_db));
    /// let bob_user = bob.address().user();
    /// let id = MessageId::new([1; 16]);
    /// let sent = alice.send(id, bob_user, b"Hello, Bob").run(&alice_db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(sent.roster_wanted);
    /// // … the directory is asked …
    /// let (head, bundles) = (CarriedRoster::parse(&head)?, [bundle.verify()?]);
    /// let added = alice.add_user(bob_user, Some(&head), &bundles).run(&alice_db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!(added.status.account, AccountStatus::First);
    /// let sent = alice.send(id, bob_user, b"Hello, Bob").run(&alice_db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!(sent.outgoing().len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_user(
        &self,
        user: &UserId,
        roster: Option<&CarriedRoster>,
        bundles: &[Bundle],
    ) -> Operation<AddedUser, AddUserError> {
        let (core, user, roster, bundles) = (self.core.clone(), user.clone(), roster.cloned(), bundles.to_vec());
        Operation::new("add_user", move |work| core.add_user(work, &user, roster.as_ref(), &bundles))
    }
}

impl Core {
    fn add_user(
        &self,
        work: &mut Workspace<'_>,
        user: &UserId,
        roster: Option<&CarriedRoster>,
        bundles: &[Bundle],
    ) -> Result<AddedUser, Halt> {
        self.announce_people(work, user);
        work.announce(self.user_wish_keys(user));
        let account = self.load_account(work).map_err(from_stored)?.ok_or(AddUserError::RosterUnpublished)?;
        let (status, listed) = if user == self.address.user() {
            let secret = self.load_account_secret(work).map_err(from_stored)?;
            let (mut changes, mut fork) = (None, None);
            if let Some(head) = roster {
                let update = self.take_own(work, account, secret.as_ref(), head);
                let update = update.map_err(|stop| stop.map(AddUserError::from))?;
                let is_news = !update.changes.added.is_empty() || !update.changes.removed.is_empty();
                (changes, fork) = (is_news.then_some(update.changes), update.fork);
            }
            let mut account = self.load_account(work).map_err(from_stored)?.ok_or(AddUserError::RosterUnpublished)?;
            account.checked = Some(work.now);
            // The directory has lost what was published: the primary brings it once more.
            if let (None, Some(secret), None, Some(lost)) = (roster, &secret, &account.pending, account.roster()) {
                account.pending = lost.next(work.now).sign(secret).ok();
            }
            let own = self.address.device();
            let devices = account.roster().into_iter().flat_map(crate::account::Roster::devices);
            let devices: Vec<DeviceId> =
                devices.map(crate::account::RosterDevice::id).filter(|id| *id != own).collect();
            self.save_account(work, &account);
            (UserStatus::own(changes, fork), devices)
        } else {
            if account.roster().is_none() {
                return Err(AddUserError::RosterUnpublished.into());
            }
            let mut known = self.load_user(work, user).map_err(from_stored)?.unwrap_or_default();
            let status = self.hear_directory(work, &account, user, &mut known, roster)?;
            let devices = known.roster().into_iter().flat_map(crate::account::Roster::devices);
            let devices = devices.map(crate::account::RosterDevice::id).collect();
            self.save_user(work, user, &known).map_err(from_stored)?;
            (status, devices)
        };
        work.ready()?;
        let mut devices = Vec::with_capacity(listed.len());
        for id in listed {
            let address = Address::new(user.clone(), id);
            let bundle = bundles.iter().find(|bundle| *bundle.address() == address);
            let added = match bundle.map(|bundle| work.attempt(|work| self.add_session(work, bundle))) {
                None => None,
                Some(Ok(added)) => Some(Ok(added)),
                Some(Err(Stop::Fail(error))) => Some(Err(error)),
                // What others need is asked for in the same round.
                Some(Err(Stop::Need)) => continue,
            };
            devices.push((id, added));
        }
        work.ready()?;
        Ok(AddedUser { status, devices })
    }

    /// Takes what the directory says of somebody else's roster.
    fn hear_directory(
        &self,
        work: &mut Workspace<'_>,
        account: &crate::rows::OwnAccount,
        name: &UserId,
        user: &mut User,
        roster: Option<&CarriedRoster>,
    ) -> Result<UserStatus, Halt> {
        user.settle(work.now);
        let Some(carried) = roster else { return Ok(UserStatus::of(user, user.account(), work.now)) };
        let verified = carried.roster().clone().verify(name).map_err(AddUserError::from)?;
        if verified.is_from_future(work.now) {
            return Err(AddUserError::Take(TakeError::FromFuture).into());
        }
        let news = if user.held.is_some() {
            user.hear(carried, work.now)
        } else if account.met_devices && !self.covers_known_devices(work, name, &verified).map_err(from_stored)? {
            user.park(verified.clone())
        } else {
            let held = HeldRoster::first_sight(verified.clone(), work.now).map_err(AddUserError::Take)?;
            user.held = Some(held);
            crate::client::messages::News::of(AccountStatus::First)
        };
        // The directory gave what is held, or what follows it.
        user.confirmed |= user.roster().is_some_and(|held| held.as_bytes() == verified.as_bytes());
        let status = UserStatus::of(user, news.account.unwrap_or_else(|| user.account()), work.now);
        Ok(UserStatus { changes: news.changes, fork: news.fork, is_contradicted: news.is_contradicted, ..status })
    }
}

impl User {
    /// How the user stands, whichever device one thinks of.
    pub(in crate::client) fn account(&self) -> AccountStatus {
        match (&self.changed, &self.held) {
            (Some(roster), _) => AccountStatus::Changed(*roster.account_key()),
            (None, Some(_)) => AccountStatus::Known,
            (None, None) => AccountStatus::DeviceOnly,
        }
    }
}
