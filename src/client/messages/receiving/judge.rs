//! Whether a message is from a device of the user whom it says to be from: what rosters say, and those that it brings.

use alloc::boxed::Box;

use super::received::ReceiveError;
use crate::account::{
    AccountKey, CarriedRoster, FollowsError, HeldRoster, Roster, RosterChanges, RosterFork, TakeError, Taken,
};
use crate::client::contacts::{AccountStatus, UserStatus};
use crate::crypto::PublicKey;
use crate::ident::{Address, Timestamp, UserId};
use crate::rows::{Core, Published, User};
use crate::staging::{Stop, StoredError, Workspace};
use crate::wire::{ContactState, RosterView};

type Halt = Stop<ReceiveError>;

fn from_stored(stop: Stop<StoredError>) -> Halt {
    stop.map(ReceiveError::from)
}

/// Most versions that a view may be above what is held: what says more is no honest device's.
const MAX_AHEAD: u64 = 1 << 20;

const DAY: u64 = 24 * 3_600_000;

/// So long a message of a device that no roster lists is kept by the transport: 7 days.
const UNLISTED: u64 = 7 * DAY;

/// What a message says of rosters.
#[derive(Debug, Clone, Default)]
pub(in crate::client) struct Claims {
    /// Its sender's own.
    pub(in crate::client) own: Option<RosterView>,
    /// The recipient's, as the sender holds it.
    pub(in crate::client) peer: Option<RosterView>,
    /// Its sender's, whole.
    pub(in crate::client) roster: Option<CarriedRoster>,
    /// When it was sent.
    pub(in crate::client) sent: Option<Timestamp>,
}

/// A device that has sent something.
#[derive(Debug, Clone, Copy)]
pub(in crate::client) struct Sender<'a> {
    pub(in crate::client) address: &'a Address,
    pub(in crate::client) identity: &'a PublicKey,
    /// Whether it was known before by this very key.
    pub(in crate::client) is_known: bool,
    /// Whether it may be known without a roster: suite `Signal` has none.
    pub(in crate::client) needs_roster: bool,
}

/// Why a message is not taken.
pub(in crate::client) enum Refused {
    Stop(Halt),
    /// No roster lists its sender. Whether it is to come again: a roster is wanted.
    NotListed {
        again: bool,
    },
}

impl From<Halt> for Refused {
    fn from(stop: Halt) -> Self {
        Self::Stop(stop)
    }
}

impl From<Stop<StoredError>> for Refused {
    fn from(stop: Stop<StoredError>) -> Self {
        Self::Stop(from_stored(stop))
    }
}

impl Claims {
    /// Whether a message of a device that is not listed may still turn out to be one of a device that is: a newer roster than
    /// is held may list it.
    fn may_be_listed(&self, held: Option<&Roster>, was_asked: bool, now: Timestamp) -> bool {
        let is_old = self.sent.is_some_and(|sent| now.since(sent) > UNLISTED || sent.since(now) > DAY);
        let is_newer = match (self.own, held) {
            // One that is not dated would be kept for ever: whoever was removed may write any number. Honest devices date
            // whatever they send first.
            (Some(_), Some(held)) => Self::tells_of_newer(self.own, held) && self.sent.is_some(),
            (None, Some(_)) => !was_asked,
            (_, None) => true,
        };
        is_newer && !is_old
    }

    /// Whether it says that there is a newer roster than this.
    fn tells_of_newer(view: Option<RosterView>, held: &Roster) -> bool {
        view.is_some_and(|view| view.version > held.version() && view.version - held.version() <= MAX_AHEAD)
    }
}

impl Core {
    /// Judges the sender of a message by rosters, and takes the one that it brings.
    pub(in crate::client) fn judge(
        &self,
        work: &mut Workspace<'_>,
        sender: Sender<'_>,
        claims: &Claims,
        is_shown: bool,
    ) -> Result<UserStatus, Refused> {
        let Some(account) = self.load_published(work)? else { return Ok(UserStatus::device_only()) };
        if sender.address.user() == self.address.user() {
            return self.judge_own(work, sender, claims);
        }
        self.note_own_view(work, &account.roster, account.checked, claims.peer)?;
        let name = sender.address.user();
        let known = self.load_user(work, name)?;
        let mut is_changed = known.is_none();
        let mut user = known.unwrap_or_default();
        let mut news = News::default();
        if let Some(carried) = &claims.roster {
            news = match &user.held {
                Some(_) => user.hear(carried, work.now),
                None => self.first_sight(work, &account, name, &mut user, carried)?,
            };
            is_changed |= news.is_written;
        }
        let Some(status) = user.stands(sender, news.account.take()) else {
            let was_asked = user.answered.is_some_and(|answered| work.now.since(answered) < DAY);
            return Err(Refused::NotListed { again: claims.may_be_listed(user.roster(), was_asked, work.now) });
        };
        if is_shown && user.contact == ContactState::None {
            (user.contact, is_changed) = (ContactState::Pending, true);
        }
        is_changed |= user.wants_newer(claims.own, work.now);
        // A device that is known by its identity key alone, as before, needs no row.
        let is_changed = is_changed && (status != AccountStatus::DeviceOnly || user.held.is_some());
        if is_changed {
            work.announce(self.user_wish_keys(name));
            self.save_user(work, name, &user)?;
        }
        let status = UserStatus::of(&user, status, work.now);
        Ok(UserStatus { changes: news.changes, fork: news.fork, is_contradicted: news.is_contradicted, ..status })
    }

    /// The same of one's own other device.
    fn judge_own(&self, work: &mut Workspace<'_>, sender: Sender<'_>, claims: &Claims) -> Result<UserStatus, Refused> {
        let (mut changes, mut fork) = (None, None);
        let Some(mut account) = self.load_account(work)? else { return Ok(UserStatus::device_only()) };
        if let Some(carried) = &claims.roster {
            let is_held = account.roster().is_some_and(|held| held.as_bytes() == carried.roster().as_bytes());
            let secret = if is_held { None } else { self.load_account_secret(work)? };
            // What is not taken says nothing; the directory is asked once a day.
            match work.attempt(|work| self.take_own(work, account.clone(), secret.as_ref(), carried)) {
                Ok(update) => {
                    let news = &update.changes;
                    changes = (!news.added.is_empty() || !news.removed.is_empty()).then(|| news.clone());
                    fork = update.fork;
                    account = self.load_account(work)?.unwrap_or(account);
                }
                Err(Stop::Need) => return Err(Refused::Stop(Stop::Need)),
                Err(Stop::Fail(_)) => {}
            }
        }
        let Some(roster) = account.roster() else { return Ok(UserStatus::device_only()) };
        if !roster.lists(sender.address.device(), sender.identity) {
            let was_asked = account.checked.is_some_and(|checked| work.now.since(checked) < DAY);
            return Err(Refused::NotListed { again: claims.may_be_listed(Some(roster), was_asked, work.now) });
        }
        self.note_own_view(work, roster, account.checked, claims.own)?;
        Ok(UserStatus::own(changes, fork))
    }

    /// Somebody speaks of a newer roster of one's own: the directory is asked, once a day.
    fn note_own_view(
        &self,
        work: &mut Workspace<'_>,
        roster: &Roster,
        checked: Option<Timestamp>,
        view: Option<RosterView>,
    ) -> Result<(), Stop<StoredError>> {
        let is_due = checked.is_some_and(|checked| work.now.since(checked) >= DAY);
        if Claims::tells_of_newer(view, roster) && is_due { self.ask_for_own(work) } else { Ok(()) }
    }

    /// The directory is asked for one's own roster now.
    fn ask_for_own(&self, work: &mut Workspace<'_>) -> Result<(), Stop<StoredError>> {
        // Once a day: what a removed device says comes again and again.
        let now = work.now;
        let is_due = |checked: Timestamp| now.since(checked) >= DAY;
        let account = self.load_account(work)?;
        if let Some(mut account) = account.filter(|account| account.checked.is_some_and(is_due)) {
            account.checked = None;
            self.save_account(work, &account);
        }
        Ok(())
    }

    /// The first roster that is seen of a user.
    fn first_sight(
        &self,
        work: &mut Workspace<'_>,
        account: &Published,
        name: &UserId,
        user: &mut User,
        carried: &CarriedRoster,
    ) -> Result<News, Stop<StoredError>> {
        let Ok(roster) = carried.roster().clone().verify(name) else { return Ok(News::default()) };
        // Whoever stole a device that was then removed introduces itself with an old roster.
        if roster.is_stale(work.now) {
            return Ok(News::default());
        }
        if account.met_devices && !self.covers_known_devices(work, name, &roster)? {
            return Ok(user.park(roster));
        }
        let Ok(held) = HeldRoster::first_sight(roster, work.now) else { return Ok(News::default()) };
        user.held = Some(held);
        user.want(work.now);
        Ok(News::of(AccountStatus::First))
    }

    /// Whether a roster lists each device of the user that is known, with the identity key that it is known by.
    pub(in crate::client) fn covers_known_devices(
        &self,
        work: &mut Workspace<'_>,
        name: &UserId,
        roster: &Roster,
    ) -> Result<bool, Stop<StoredError>> {
        let known = self.known_devices(work, name)?;
        work.announce(known.iter().map(|address| self.peer_key(crate::wire::RecordKind::Pin, address)));
        work.ready()?;
        for address in known {
            let pin = self.load_pin(work, &address)?;
            if pin.is_some_and(|pin| !roster.lists(address.device(), &pin)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Notes that a roster is wanted that lists a device: all that is left of its message.
    pub(in crate::client) fn want_roster(&self, work: &mut Workspace<'_>, name: &UserId) -> Result<(), Halt> {
        if name == self.address.user() {
            return self.ask_for_own(work).map_err(from_stored);
        }
        work.announce(self.user_wish_keys(name));
        let known = self.load_user(work, name).map_err(from_stored)?;
        let lets_in = known.is_some() || self.takes_stranger(work).map_err(from_stored)?;
        let mut user = known.unwrap_or_default();
        if lets_in && user.wanted.is_none() {
            user.want(work.now);
            self.save_user(work, name, &user).map_err(from_stored)?;
        }
        Ok(())
    }
}

/// What a roster that came has brought.
#[derive(Debug, Default)]
pub(in crate::client) struct News {
    pub(in crate::client) account: Option<AccountStatus>,
    pub(in crate::client) changes: Option<RosterChanges>,
    pub(in crate::client) fork: Option<Box<RosterFork>>,
    /// Whether it is signed, and does not go on from what is held.
    pub(in crate::client) is_contradicted: bool,
    /// Whether anything is to be written.
    pub(in crate::client) is_written: bool,
}

impl News {
    pub(in crate::client) fn of(account: AccountStatus) -> Self {
        Self { account: Some(account), is_written: true, ..Self::default() }
    }
}

impl User {
    /// Takes a roster of a user of whom one is held.
    pub(in crate::client) fn hear(&mut self, carried: &CarriedRoster, now: Timestamp) -> News {
        let Some(held) = &self.held else { return News::default() };
        // The most frequent case, without looking at a signature. And what a thief of a former account key signs is nobody's.
        let is_held = carried.roster().as_bytes() == held.roster().as_bytes();
        if is_held || self.has_left(carried.roster().account_key()) {
            return News::default();
        }
        let (newer, account) = match held.take(carried, now) {
            Ok(Taken::Newer(newer)) => (newer, None),
            Ok(Taken::Renewed(newer)) => (newer, Some(AccountStatus::Renewed)),
            Err(TakeError::Changed(roster)) => return self.park(*roster),
            Err(TakeError::Fork(fork)) => return News { fork: Some(fork), ..News::default() },
            // Late ones are no news.
            Err(TakeError::Follows(FollowsError::Same | FollowsError::Older)) => return News::default(),
            // Others no one honest has signed, or who is honest cannot know what is held: what is held stays.
            Err(TakeError::Follows(_)) => return News { is_contradicted: true, ..News::default() },
            Err(_) => return News::default(),
        };
        let changes = self.replace(newer, account.is_some());
        let is_news = !changes.added.is_empty() || !changes.removed.is_empty();
        News { account, changes: is_news.then_some(changes), is_written: true, ..News::default() }
    }

    /// Keeps the roster of another account key until the host decides.
    pub(in crate::client) fn park(&mut self, roster: Roster) -> News {
        let key = *roster.account_key();
        let is_newer = match &self.changed {
            Some(parked) if parked.account_key() == roster.account_key() => roster.follows(parked).is_ok(),
            _ => true,
        };
        if is_newer {
            self.changed = Some(roster);
        }
        News { account: Some(AccountStatus::Changed(key)), is_written: is_newer, ..News::default() }
    }

    /// How the user of a device stands; `None` if no roster lists it.
    fn stands(&self, sender: Sender<'_>, news: Option<AccountStatus>) -> Option<AccountStatus> {
        let device = sender.address.device();
        if self.lists(device, sender.identity) {
            return Some(
                news.filter(|news| !matches!(news, AccountStatus::Changed(_))).unwrap_or(AccountStatus::Known),
            );
        }
        let changed = self.changed.as_ref().filter(|roster| roster.lists(device, sender.identity));
        if let Some(roster) = changed {
            let key: AccountKey = *roster.account_key();
            return Some(AccountStatus::Changed(key));
        }
        let is_free = self.held.is_none() && self.changed.is_none();
        let may_be_alone = !sender.needs_roster || sender.is_known || self.answered.is_some();
        (is_free && may_be_alone).then_some(AccountStatus::DeviceOnly)
    }

    /// Notes that a newer roster is wanted than is held. Whether that is new.
    fn wants_newer(&mut self, view: Option<RosterView>, now: Timestamp) -> bool {
        let Some(roster) = self.roster() else { return false };
        let is_wanted = Claims::tells_of_newer(view, roster) || roster.is_stale(now);
        let is_new = is_wanted && self.wanted.is_none();
        if is_new {
            self.want(now);
        }
        is_new
    }
}
