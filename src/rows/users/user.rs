//! What is known of a user: the account key that he is pinned by, his newest roster, how one stands to him.

use alloc::vec::Vec;

use super::own::roster_from_row;
use crate::account::{AccountKey, HeldRoster, Roster, RosterChanges};
use crate::crypto::PublicKey;
use crate::ident::{Address, DeviceId, Timestamp, UserId};
use crate::persist::RecordKey;
use crate::rows::Core;
use crate::staging::{Stop, StoredError, Workspace};
use crate::wire::{ContactState, FieldReader, FieldWriter, Record, RecordError, RecordKind};

type Halt = Stop<StoredError>;

/// Most devices that are remembered as dropped.
const MAX_DROPPED: usize = 64;

/// Most account keys that are remembered as left.
const MAX_FORMER: usize = 8;

const DAY: u64 = 24 * 3_600_000;

/// Whether people have compared their account keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verified {
    /// They have not.
    #[default]
    No,
    /// They have, and it is the same key and person since.
    Yes,
    /// They had, and the user has moved to another account key with a recovery key, or has none of the devices any more: compare
    /// again.
    ToBeConfirmed,
}

impl Verified {
    const fn number(self) -> u8 {
        match self {
            Self::No => 0,
            Self::Yes => 1,
            Self::ToBeConfirmed => 2,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::No,
            1 => Self::Yes,
            2 => Self::ToBeConfirmed,
            _ => return None,
        })
    }
}

/// What is known of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) held: Option<HeldRoster>,
    /// Whether the directory gave this roster, or a later one.
    pub(crate) confirmed: bool,
    pub(crate) contact: ContactState,
    pub(crate) verified: Verified,
    /// The newest roster under another account key, until the host decides.
    pub(crate) changed: Option<Roster>,
    /// Since when a newer roster is wanted than is held.
    pub(crate) wanted: Option<Timestamp>,
    /// When the directory answered last.
    pub(crate) answered: Option<Timestamp>,
    /// Devices that rosters have dropped, the newest last: what is on its way to them is not posted.
    pub(crate) dropped: Vec<DeviceId>,
    /// Account keys from which the user has moved on, the newest last: whoever signs with one of them is not the user.
    former: Vec<AccountKey>,
}

impl Default for User {
    fn default() -> Self {
        Self {
            held: None,
            confirmed: false,
            contact: ContactState::None,
            verified: Verified::No,
            changed: None,
            wanted: None,
            answered: None,
            dropped: Vec::new(),
            former: Vec::new(),
        }
    }
}

impl User {
    pub(crate) fn roster(&self) -> Option<&Roster> {
        self.held.as_ref().map(HeldRoster::roster)
    }

    /// Whether the newest roster lists the device with this key.
    pub(crate) fn lists(&self, device: DeviceId, identity: &PublicKey) -> bool {
        self.roster().is_some_and(|roster| roster.lists(device, identity))
    }

    /// When the directory is to be asked: at once, but once a day.
    fn due(&self) -> Option<Timestamp> {
        let wanted = self.wanted?;
        let again = self.answered.map_or(0, |answered| answered.get().saturating_add(DAY));
        Some(Timestamp::new(wanted.get().max(again)))
    }

    /// Notes that a newer roster is wanted.
    pub(crate) fn want(&mut self, now: Timestamp) {
        self.wanted.get_or_insert(now);
    }

    /// The directory has answered: nothing is wanted of it any more.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        (self.wanted, self.answered) = (None, Some(now));
    }

    /// Remembers devices that are not the user's any more.
    pub(crate) fn forget_devices(&mut self, devices: impl IntoIterator<Item = DeviceId>) {
        self.dropped.extend(devices);
        self.dropped.drain(..self.dropped.len().saturating_sub(MAX_DROPPED));
    }

    /// Whether the user has moved on from this account key.
    pub(crate) fn has_left(&self, key: &AccountKey) -> bool {
        self.former.contains(key)
    }

    /// Puts a newer roster in the place of the one that is held. What it drops is remembered, and where nothing is left that was
    /// known, what people have compared is to be compared again.
    pub(crate) fn replace(&mut self, newer: HeldRoster, is_renewed: bool) -> RosterChanges {
        let none = RosterChanges { added: Vec::new(), removed: Vec::new(), all_replaced: false };
        let changes = self.roster().map_or(none, |old| newer.roster().changes_since(old));
        self.forget_devices(changes.removed.iter().copied());
        if self.verified == Verified::Yes && (is_renewed || changes.all_replaced) {
            self.verified = Verified::ToBeConfirmed;
        }
        // What was parked beside another key says nothing of this one.
        if is_renewed {
            self.changed = None;
            self.former.extend(self.held.as_ref().map(|held| *held.account_key()));
            self.former.drain(..self.former.len().saturating_sub(MAX_FORMER));
        }
        self.held = Some(newer);
        changes
    }

    fn to_record(&self) -> Record {
        let Self { held, confirmed, contact, verified, changed, wanted, answered, dropped, former } = self;
        let mut out = FieldWriter::row(RecordKind::User, 1024);
        let held = held.as_ref().map(HeldRoster::to_bytes);
        out.maybe_bytes(1, held.as_deref());
        out.number(2, *confirmed);
        out.number(3, contact.number());
        out.number(4, verified.number());
        out.maybe_bytes(5, changed.as_ref().map(Roster::as_bytes));
        out.optional(6, wanted.map(Timestamp::get));
        out.optional(7, answered.map(Timestamp::get));
        out.joined(8, |out| dropped.iter().for_each(|device| out.put(&device.get().to_be_bytes())));
        out.joined(9, |out| former.iter().for_each(|key| out.put(&key.to_bytes())));
        out.into_record()
    }

    fn from_bytes(bytes: &[u8], user: &UserId) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::User, bytes)?;
        let held = fields.optional_bytes(1)?.map(HeldRoster::from_bytes).transpose()?;
        let confirmed = fields.flag(2)?;
        let contact = ContactState::of(&[fields.small(3)?]).ok_or(RecordError::Corrupt)?;
        let verified = Verified::of(fields.small(4)?).ok_or(RecordError::Corrupt)?;
        let changed = fields.optional_bytes(5)?.map(roster_from_row).transpose()?;
        let (wanted, answered) = (fields.optional(6)?.map(Timestamp::new), fields.optional(7)?.map(Timestamp::new));
        let (dropped, rest) = fields.bytes(8)?.as_chunks();
        let dropped: Vec<_> = dropped.iter().map(|device| DeviceId::new(u32::from_be_bytes(*device))).collect();
        let (former, more) = fields.bytes(9)?.as_chunks::<33>();
        let former = former.iter().map(|key| AccountKey::stored(key).map_err(|_| RecordError::Corrupt));
        let former: Vec<_> = former.collect::<Result<_, _>>()?;
        fields.end()?;
        if !rest.is_empty() || !more.is_empty() || dropped.len() > MAX_DROPPED || former.len() > MAX_FORMER {
            return Err(RecordError::Corrupt);
        }
        let names = held.iter().map(HeldRoster::roster).chain(&changed).map(Roster::user);
        if names.into_iter().any(|name| name != user) {
            return Err(RecordError::Corrupt);
        }
        Ok(Self { held, confirmed, contact, verified, changed, wanted, answered, dropped, former })
    }
}

/// Where in the index of what waits a user stands: before his devices, which are numbered from 1.
fn place(user: &UserId) -> Address {
    Address::new(user.clone(), DeviceId::new(0))
}

impl Core {
    pub(crate) fn user_key(&self, user: &UserId) -> RecordKey {
        self.keys.record_key(RecordKind::User, &[user.as_str().as_bytes()])
    }

    /// The rows that a want of a user's roster touches.
    pub(crate) fn user_wish_keys(&self, user: &UserId) -> [RecordKey; 3] {
        [self.user_key(user), self.wish_page_key(self.page_of(&place(user))), self.wish_index_key()]
    }

    /// What is known of a user; nothing, if nothing is.
    pub(crate) fn load_user(&self, work: &mut Workspace<'_>, user: &UserId) -> Result<Option<User>, Halt> {
        self.read(work, RecordKind::User, self.user_key(user), |bytes| User::from_bytes(bytes, user))
    }

    /// Writes what is known of a user, and enters or removes the want of a roster.
    pub(crate) fn save_user(&self, work: &mut Workspace<'_>, name: &UserId, user: &User) -> Result<(), Halt> {
        let key = self.user_key(name);
        work.row::<StoredError>(key)?;
        work.put(&self.keys, key, user.to_record());
        self.enter_wish(work, &place(name), user.due(), false, user.held.is_none())
    }
}
