//! One's own rosters: made with the account, published by the host, told by the server.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::account::{
    AccountKeyPair, CarriedRoster, FollowsError, NextRoster, Roster, RosterChanges, RosterDevice, RosterFork, Step,
    TakeError, Taken,
};
use crate::account::{HeldRoster, NextRosterError};
use crate::client::Client;
use crate::ident::Timestamp;
use crate::prekey::Device;
use crate::rows::{Core, OwnAccount, Standing};
use crate::staging::{Operation, Stop, StoredError, Workspace};
use crate::suite::Suite;

/// How long a device that was linked waits for the roster that lists it, in milliseconds: a day.
const LINK_MS: u64 = 24 * 3_600_000;

/// How this device stands in its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceStanding {
    /// It has no account: it is known by its identity key alone.
    NoAccount,
    /// No roster of the account was published yet: publish it ([`Task::PublishRoster`](crate::client::Task::PublishRoster)).
    Unpublished,
    /// The newest roster lists it.
    Listed,
    /// It was linked, and no roster lists it yet: it receives and does not send.
    NotListedYet,
    /// It was removed from the account, or the directory did not list it a day after it was linked: [wipe](Client::wipe) it.
    Removed,
}

impl DeviceStanding {
    pub(in crate::client) const fn of(standing: Standing) -> Self {
        match standing {
            Standing::Unpublished => Self::Unpublished,
            Standing::Listed => Self::Listed,
            // Only where the directory was asked since: who had no network for a day may be listed long ago.
            Standing::Awaited { linked, checked: Some(checked) } if checked.since(linked) > LINK_MS => Self::Removed,
            Standing::Awaited { .. } => Self::NotListedYet,
            Standing::Removed => Self::Removed,
        }
    }
}

/// One's own account, as this device knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnRoster {
    /// The newest roster that is published.
    pub published: Option<Roster>,
    /// The roster that is to be published: on the primary, after a change.
    pub pending: Option<Roster>,
    /// Whether this device signs rosters.
    pub is_primary: bool,
    /// How this device stands.
    pub standing: DeviceStanding,
    steps: Vec<Step>,
}

impl OwnRoster {
    /// What is brought to the directory: a [`CarriedRoster`]'s bytes, the same until the directory has answered. None if there
    /// is nothing to be published.
    #[must_use]
    pub fn upload(&self) -> Option<Vec<u8>> {
        self.pending.as_ref().map(|roster| CarriedRoster::new(roster, self.steps.clone()).to_bytes())
    }
}

/// What came of a roster of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnRosterUpdate {
    /// What it changes. Tell the user of every device that is new.
    pub changes: RosterChanges,
    /// Whether this device is not listed any more: [wipe](Client::wipe) it.
    pub is_removed: bool,
    /// Whether there is a roster to be published now.
    pub is_pending: bool,
    /// Where the account key has signed two rosters of one version: an older copy of the primary has gone on, or somebody else
    /// has the account's key. Tell the user.
    pub fork: Option<Box<RosterFork>>,
}

/// Why nothing became of one's own account. Nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnRosterError {
    /// The device has no account, or it was wiped.
    #[error("there is no account")]
    NoAccount,
    /// Only the primary signs rosters. Do it there.
    #[error("this device is not the primary")]
    NotPrimary,
    /// A roster waits to be published. Publish it first ([`Task::PublishRoster`](crate::client::Task::PublishRoster)).
    #[error("a roster is not published yet")]
    Pending,
    /// No roster of this version is to be published. Look again at [`Client::own_roster`].
    #[error("no roster of this version is to be published")]
    OtherVersion,
    /// The account has no such device.
    #[error("the account has no such device")]
    UnknownDevice,
    /// The primary is not removed: hand over first ([`Client::hand_over`]), or delete the account.
    #[error("the primary is not removed")]
    IsPrimary,
    /// The roster does not come next.
    #[error(transparent)]
    Next(#[from] NextRosterError),
    /// The roster is not one that goes on from one's own.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

type Halt = Stop<OwnRosterError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(OwnRosterError::from)
}

impl Client {
    /// What this device knows of its own account, and what is to be published.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Examples
    ///
    /// See [`Self::roster_published`].
    pub fn own_roster(&self) -> Operation<OwnRoster, StoredError> {
        let core = self.core.clone();
        Operation::new("own_roster", move |work| {
            work.announce([core.account_key(), core.account_secret_key()]);
            let standing = core.standing(work)?;
            let is_primary = work.row::<StoredError>(core.account_secret_key())?.is_some();
            let account = core.load_account(work)?;
            let pending = account.as_ref().and_then(|account| account.pending.clone());
            let published = account.as_ref().and_then(|account| account.roster().cloned());
            let steps = account.map(|account| account.steps().to_vec()).unwrap_or_default();
            Ok(OwnRoster { published, pending, is_primary, standing, steps })
        })
    }

    /// The directory has taken the roster of this version: from now on it is one's own, and goes with first messages and to
    /// everybody who has an older one.
    ///
    /// # Errors
    ///
    /// [`OwnRosterError`], when it is staged. A version that was published before is none: it may be said twice.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// let own = alice.own_roster().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// if let (Some(upload), Some(pending)) = (own.upload(), &own.pending) {
    ///     // … the directory takes `upload` if its own roster is older: compare and swap by the version …
    ///     alice.roster_published(pending.version()).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// }
    /// let own = alice.own_roster().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert_eq!((own.upload(), own.standing), (None, DeviceStanding::Listed));
    /// # Ok(())
    /// # }
    /// ```
    pub fn roster_published(&self, version: u64) -> Operation<(), OwnRosterError> {
        let core = self.core.clone();
        Operation::new("roster_published", move |work| {
            work.announce([core.account_key()]);
            let mut account = core.own_account(work)?;
            if account.roster().is_some_and(|roster| roster.version() >= version) {
                return Ok(());
            }
            let pending = account.pending.take().filter(|pending| pending.version() == version);
            let pending = pending.ok_or(OwnRosterError::OtherVersion)?;
            let newer = match &account.published {
                Some(published) => published.update(pending, work.now).map_err(OwnRosterError::from)?,
                None => HeldRoster::first_sight(pending, work.now).map_err(OwnRosterError::from)?,
            };
            account.publish(&core, newer);
            account.checked = Some(work.now);
            core.save_account(work, &account);
            Ok(())
        })
    }

    /// Takes what the directory says of one's own account: what another device has published, or what the primary itself
    /// published before its database went back in time.
    ///
    /// On the primary a change that waits to be published is made anew upon it. Where the directory has an older roster than
    /// was published, or another one of the same version, the primary signs one above both.
    ///
    /// # Errors
    ///
    /// [`OwnRosterError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # use subrosa::account::CarriedRoster;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// # let own = alice.own_roster().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// # let answer = own.upload().unwrap();
    /// // The directory has it already: the answer to the upload was lost.
    /// let head = CarriedRoster::parse(&answer)?;
    /// let update = alice.update_own_roster(&head).run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(!update.is_pending && !update.is_removed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_own_roster(&self, head: &CarriedRoster) -> Operation<OwnRosterUpdate, OwnRosterError> {
        let (core, head) = (self.core.clone(), head.clone());
        Operation::new("update_own_roster", move |work| {
            work.announce([core.account_key(), core.account_secret_key()]);
            let account = core.own_account(work)?;
            let secret = core.load_account_secret(work).map_err(from_stored)?;
            core.take_own(work, account, secret.as_ref(), &head)
        })
    }
}

impl Core {
    /// The first roster of an account that is made just now.
    pub(in crate::client) fn make_account(&self, work: &mut Workspace<'_>, device: &Device) {
        if !device.suites().contains(Suite::V1) {
            return;
        }
        let pair = AccountKeyPair::generate(&mut work.rng);
        let (user, id, suites) = (self.address.user(), self.address.device(), device.suites());
        let entry = RosterDevice::consent(user, id, suites, pair.public(), device.identity(), &mut work.rng);
        // A device of number 0 can stand in no roster.
        if let Ok(roster) = Roster::first(user, entry, None, work.now).sign(&pair) {
            self.put_new_account(work, &OwnAccount::new(roster, *device.identity_key()), Some(&pair));
        }
    }

    /// How this device stands in its account.
    pub(in crate::client) fn standing(&self, work: &mut Workspace<'_>) -> Result<DeviceStanding, Stop<StoredError>> {
        let account = self.load_account(work)?;
        Ok(account.map_or(DeviceStanding::NoAccount, |account| DeviceStanding::of(account.standing(self))))
    }

    pub(in crate::client) fn own_account(&self, work: &mut Workspace<'_>) -> Result<OwnAccount, Halt> {
        Ok(self.load_account(work).map_err(from_stored)?.ok_or(OwnRosterError::NoAccount)?)
    }

    /// Takes a roster of one's own that comes from elsewhere: of the directory, or of another device.
    pub(in crate::client) fn take_own(
        &self,
        work: &mut Workspace<'_>,
        mut account: OwnAccount,
        secret: Option<&AccountKeyPair>,
        head: &CarriedRoster,
    ) -> Result<OwnRosterUpdate, Halt> {
        let before = account.clone();
        let mut fork = None;
        let newer = match &account.published {
            Some(published) => published.take(head, work.now),
            None => self.first_own(&account, head, work.now).map(Taken::Newer),
        };
        match newer {
            Ok(Taken::Newer(newer) | Taken::Renewed(newer)) => {
                let pending = account.pending.take();
                account.publish(self, newer);
                // The primary signs, and who is about to be it. Who is not any more makes no change, and keeps no key.
                let is_primary = |roster: &Roster| roster.primary() == self.address.device();
                let signs = account.roster().into_iter().chain(&pending).any(is_primary);
                match (pending, secret) {
                    (Some(pending), Some(secret)) if signs => {
                        account.pending = rebase(&account, before.roster(), &pending, secret, work.now);
                    }
                    (_, Some(_)) if !signs => self.let_go(work).map_err(from_stored)?,
                    _ => {}
                }
            }
            Err(TakeError::Follows(FollowsError::Same)) => {}
            // The directory went back: what was published is published once more, above.
            Err(TakeError::Follows(FollowsError::Older)) => sign_above(&mut account, head, secret, work.now)?,
            Err(TakeError::Fork(found)) => {
                sign_above(&mut account, head, secret, work.now)?;
                fork = Some(found);
            }
            Err(error) => return Err(OwnRosterError::from(error).into()),
        }
        let changes = match (before.roster(), account.roster()) {
            (Some(old), Some(new)) => new.changes_since(old),
            _ => RosterChanges { added: Vec::new(), removed: Vec::new(), all_replaced: false },
        };
        if account != before {
            self.save_account(work, &account);
        }
        let is_removed = account.standing(self) == Standing::Removed;
        Ok(OwnRosterUpdate { changes, is_removed, is_pending: account.pending.is_some(), fork })
    }

    /// The first roster that is published: the one that is pending, or one that goes on from it.
    fn first_own(&self, account: &OwnAccount, head: &CarriedRoster, now: Timestamp) -> Result<HeldRoster, TakeError> {
        let roster = head.roster().clone().verify(self.address.user())?;
        let Some(pending) = &account.pending else { return HeldRoster::first_sight(roster, now) };
        let pending = HeldRoster::first_sight(pending.clone(), now)?;
        match pending.update(roster, now) {
            Err(TakeError::Follows(FollowsError::Same)) => Ok(pending),
            newer => newer,
        }
    }
}

/// The change that waits to be published, made anew upon a newer roster. None if nothing of it is left to be done.
fn rebase(
    account: &OwnAccount,
    before: Option<&Roster>,
    pending: &Roster,
    secret: &AccountKeyPair,
    now: Timestamp,
) -> Option<Roster> {
    let (head, changes) = (account.roster()?, pending.changes_since(before?));
    let mut next = head.next(now);
    let mut is_other = false;
    for id in changes.removed {
        is_other |= head.device(id).is_some();
        next = next.remove(id);
    }
    for id in changes.added {
        // An id that was given away meanwhile is another device's; this one links again.
        let device = pending.device(id).filter(|_| id > head.last_device());
        is_other |= device.is_some();
        next = device.into_iter().fold(next, |next, device| next.link(device.clone()));
    }
    if head.primary() != pending.primary() && before?.primary() != pending.primary() {
        is_other = true;
        next = next.hand_over(pending.primary());
    }
    if is_other { next.sign(secret).ok() } else { None }
}

/// The primary goes on above whatever the directory has.
fn sign_above(
    account: &mut OwnAccount,
    head: &CarriedRoster,
    secret: Option<&AccountKeyPair>,
    now: Timestamp,
) -> Result<(), Halt> {
    let Some(secret) = secret else { return Ok(()) };
    let newest = account.newest().ok_or(OwnRosterError::NoAccount)?;
    let next: NextRoster = newest.next(now);
    let next = match head.roster().clone().verify(newest.user()) {
        Ok(head) if head.account_key() == newest.account_key() => next.also_after(&head),
        _ => next,
    };
    account.pending = Some(next.sign(secret).map_err(OwnRosterError::from)?);
    Ok(())
}
