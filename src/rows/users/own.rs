//! One's own account: rosters in one row, which messages read, and the private key in another, which they do not.

use alloc::vec::Vec;

use crate::account::{AccountKeyPair, CarriedRoster, HeldRoster, Roster, Step};
use crate::crypto::{PublicKey, Secret, sha256};
use crate::ident::{Address, Timestamp};
use crate::persist::RecordKey;
use crate::rows::{Core, first};
use crate::staging::{Stop, StoredError, Workspace, stored};
use crate::wire::{FieldReader, FieldWriter, Record, RecordError, RecordKind, read_public_key};

type Halt = Stop<StoredError>;

/// Most identity keys of removed devices that are remembered: the newest.
const MAX_REMOVED: usize = 256;

const LABEL_REMOVED: &[u8] = b"\x11subrosa/1/removed";

/// How this device stands in its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No roster of the account was ever published: the device is known by its identity key alone.
    Unpublished,
    /// The newest published roster lists it.
    Listed,
    /// It was linked, and no roster lists it yet.
    Awaited {
        /// When.
        linked: Timestamp,
        /// When the directory said last what it has.
        checked: Option<Timestamp>,
    },
    /// A roster listed it, and the newest does not.
    Removed,
}

/// One's own rosters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnAccount {
    /// The newest one that is published.
    pub(crate) published: Option<HeldRoster>,
    /// The one that is to be published next, signed here.
    pub(crate) pending: Option<Roster>,
    /// When this device was linked; none if it made the account, or was listed since.
    pub(crate) linked: Option<Timestamp>,
    /// Whether devices of suite V1 became known without a roster, before there was a directory.
    pub(crate) met_devices: bool,
    /// When the directory said last what it has; none where it is to be asked now.
    pub(crate) checked: Option<Timestamp>,
    /// The identity key of this device: others may have been linked under its number.
    identity: PublicKey,
    removed: Vec<[u8; 16]>,
    /// What leads to this account key from the ones before.
    steps: Vec<Step>,
}

impl OwnAccount {
    pub(crate) const fn new(pending: Roster, identity: PublicKey) -> Self {
        Self {
            published: None,
            pending: Some(pending),
            linked: None,
            met_devices: false,
            checked: None,
            identity,
            removed: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Of a device that is being linked: what the primary told it.
    pub(crate) const fn linked(roster: HeldRoster, identity: PublicKey, now: Timestamp) -> Self {
        Self {
            published: Some(roster),
            pending: None,
            linked: Some(now),
            met_devices: false,
            checked: None,
            identity,
            removed: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// The same, under a new account key, to which these lead.
    pub(crate) fn with_steps(self, steps: Vec<Step>) -> Self {
        Self { steps, ..self }
    }

    /// What leads to this account key from the ones before.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The published roster.
    pub(crate) fn roster(&self) -> Option<&Roster> {
        self.published.as_ref().map(HeldRoster::roster)
    }

    /// The newest roster that was signed, published or not.
    pub(crate) fn newest(&self) -> Option<&Roster> {
        self.pending.as_ref().or_else(|| self.roster())
    }

    pub(crate) fn standing(&self, core: &Core) -> Standing {
        self.roster()
            .map_or(Standing::Unpublished, |roster| standing(core, roster, &self.identity, (self.linked, self.checked)))
    }

    /// Takes a newer roster as the published one. Identity keys that it drops are remembered.
    pub(crate) fn publish(&mut self, core: &Core, newer: HeldRoster) {
        if let Some(old) = self.roster() {
            let gone = old.devices().iter().filter(|device| !newer.roster().lists(device.id(), device.identity_key()));
            let gone: Vec<_> = gone.map(|device| removed_hash(device.identity_key())).collect();
            self.removed.extend(gone);
            let most = self.removed.len().saturating_sub(MAX_REMOVED);
            self.removed.drain(..most);
        }
        if newer.roster().lists(core.address.device(), &self.identity) {
            self.linked = None;
        }
        if self.pending.as_ref().is_some_and(|pending| pending.version() <= newer.roster().version()) {
            self.pending = None;
        }
        self.published = Some(newer);
    }

    /// Whether a device with this key was removed from the account.
    pub(crate) fn was_removed(&self, identity: &PublicKey) -> bool {
        self.removed.contains(&removed_hash(identity))
    }

    fn to_record(&self) -> Record {
        let Self { published, pending, linked, met_devices, checked, identity, removed, steps } = self;
        let mut out = FieldWriter::row(RecordKind::Account, 1024);
        let published = published.as_ref().map(HeldRoster::to_bytes);
        out.maybe_bytes(1, published.as_deref());
        out.maybe_bytes(2, pending.as_ref().map(Roster::as_bytes));
        out.optional(3, linked.map(Timestamp::get));
        out.number(4, *met_devices);
        out.optional(6, checked.map(Timestamp::get));
        out.bytes(7, &identity.to_bytes());
        out.joined(8, |out| removed.iter().for_each(|hash| out.put(hash)));
        if let Some(roster) = self.newest().filter(|_| !steps.is_empty()) {
            out.some_bytes(9, &CarriedRoster::new(roster, steps.clone()).to_bytes());
        }
        out.into_record()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = FieldReader::record(RecordKind::Account, bytes)?;
        let published = fields.optional_bytes(1)?.map(HeldRoster::from_bytes).transpose()?;
        let pending = fields.optional_bytes(2)?.map(roster_from_row).transpose()?;
        let linked = fields.optional(3)?.map(Timestamp::new);
        let met_devices = fields.flag(4)?;
        let checked = fields.optional(6)?.map(Timestamp::new);
        let identity = read_public_key(&mut fields, 7)?;
        let (removed, rest) = fields.bytes(8)?.as_chunks();
        let removed = removed.to_vec();
        let carried =
            fields.optional_bytes(9)?.map(CarriedRoster::parse).transpose().map_err(|_| RecordError::Corrupt)?;
        let steps = carried.map(|carried| carried.steps().to_vec()).unwrap_or_default();
        fields.end()?;
        let is_whole = rest.is_empty() && removed.len() <= MAX_REMOVED && (published.is_some() || pending.is_some());
        if is_whole {
            Ok(Self { published, pending, linked, met_devices, checked, identity, removed, steps })
        } else {
            Err(RecordError::Corrupt)
        }
    }
}

/// How a device with this key stands by a published roster.
fn standing(
    core: &Core,
    roster: &Roster,
    identity: &PublicKey,
    (linked, checked): (Option<Timestamp>, Option<Timestamp>),
) -> Standing {
    match linked {
        _ if roster.lists(core.address.device(), identity) => Standing::Listed,
        Some(linked) => Standing::Awaited { linked, checked },
        None => Standing::Removed,
    }
}

/// What a message needs of the account: of its row no more is read, since every message reads it.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// The newest roster that is published.
    pub(crate) roster: Roster,
    pub(crate) standing: Standing,
    pub(crate) met_devices: bool,
    pub(crate) checked: Option<Timestamp>,
    /// With what leads to it, where anything does.
    carried: Option<Vec<u8>>,
}

impl Published {
    /// `None` where no roster was published.
    fn from_bytes(bytes: &[u8], core: &Core) -> Result<Option<Self>, RecordError> {
        let mut fields = FieldReader::record(RecordKind::Account, bytes)?;
        let Some(held) = fields.optional_bytes(1)? else { return Ok(None) };
        let roster = HeldRoster::from_bytes(held)?.into_roster();
        fields.optional_bytes(2)?;
        let linked = fields.optional(3)?.map(Timestamp::new);
        let met_devices = fields.flag(4)?;
        let checked = fields.optional(6)?.map(Timestamp::new);
        let identity = read_public_key(&mut fields, 7)?;
        fields.bytes(8)?;
        let carried = fields.optional_bytes(9)?.map(<[u8]>::to_vec);
        fields.end()?;
        let standing = standing(core, &roster, &identity, (linked, checked));
        Ok(Some(Self { roster, standing, met_devices, checked, carried }))
    }

    /// The roster as it is sent.
    pub(crate) fn to_carried(&self) -> CarriedRoster {
        let carried = self.carried.as_ref().and_then(|carried| CarriedRoster::parse(carried).ok());
        CarriedRoster::new(&self.roster, carried.map(|carried| carried.steps().to_vec()).unwrap_or_default())
    }
}

/// A roster that was verified before it was written.
pub(super) fn roster_from_row(bytes: &[u8]) -> Result<Roster, RecordError> {
    Roster::stored(bytes).map_err(|_| RecordError::Corrupt)
}

fn removed_hash(identity: &PublicKey) -> [u8; 16] {
    first(&sha256(&[LABEL_REMOVED, &identity.to_bytes()]))
}

fn secret_record(pair: &AccountKeyPair) -> Record {
    let mut out = FieldWriter::row(RecordKind::AccountSecret, 48);
    out.some_bytes(1, pair.seed().expose());
    out.into_record()
}

impl Core {
    pub(crate) const fn account_key(&self) -> RecordKey {
        self.account
    }

    pub(crate) fn account_secret_key(&self) -> RecordKey {
        self.keys.record_key(RecordKind::AccountSecret, &[])
    }

    /// One's own account; none where the device has only its identity key.
    pub(crate) fn load_account(&self, work: &mut Workspace<'_>) -> Result<Option<OwnAccount>, Halt> {
        self.read(work, RecordKind::Account, self.account_key(), OwnAccount::from_bytes)
    }

    /// What a message needs of it; none where no roster was published: then devices know each other.
    pub(crate) fn load_published(&self, work: &mut Workspace<'_>) -> Result<Option<Published>, Halt> {
        let read =
            self.read(work, RecordKind::Account, self.account_key(), |bytes| Published::from_bytes(bytes, self))?;
        Ok(read.flatten())
    }

    pub(crate) fn save_account(&self, work: &mut Workspace<'_>, account: &OwnAccount) {
        work.put(&self.keys, self.account_key(), account.to_record());
    }

    /// A device of suite V1 became known without a roster.
    pub(crate) fn note_met(&self, work: &mut Workspace<'_>) -> Result<(), Halt> {
        if let Some(mut account) = self.load_account(work)?.filter(|account| !account.met_devices) {
            account.met_devices = true;
            self.save_account(work, &account);
        }
        Ok(())
    }

    /// The same, unless there is a roster of its user.
    pub(crate) fn note_met_alone(&self, work: &mut Workspace<'_>, address: &Address) -> Result<(), Halt> {
        let user = self.load_user(work, address.user())?;
        let is_alone = address.user() != self.address.user() && user.is_none_or(|user| user.held.is_none());
        if is_alone { self.note_met(work) } else { Ok(()) }
    }

    /// The account's private key; none on a device that is not the primary.
    pub(crate) fn load_account_secret(&self, work: &mut Workspace<'_>) -> Result<Option<AccountKeyPair>, Halt> {
        let kind = RecordKind::AccountSecret;
        let Some(bytes) = work.read(&self.keys, kind, self.account_secret_key())? else { return Ok(None) };
        let read = || -> Result<AccountKeyPair, RecordError> {
            let mut fields = FieldReader::record(kind, bytes)?;
            let seed = Secret::new(*fields.some_array(1)?);
            fields.end()?;
            Ok(AccountKeyPair::new(seed))
        };
        Ok(Some(read().map_err(stored(kind))?))
    }

    /// Writes the account's private key on a device that has become the primary.
    pub(crate) fn save_account_secret(&self, work: &mut Workspace<'_>, pair: &AccountKeyPair) -> Result<(), Halt> {
        let key = self.account_secret_key();
        work.row::<StoredError>(key)?;
        work.put(&self.keys, key, secret_record(pair));
        Ok(())
    }

    /// Writes both rows of an account that is made just now, under keys that nobody has ever derived.
    pub(crate) fn put_new_account(
        &self,
        work: &mut Workspace<'_>,
        account: &OwnAccount,
        pair: Option<&AccountKeyPair>,
    ) {
        work.put_new(&self.keys, self.account_key(), account.to_record());
        if let Some(pair) = pair {
            work.put_new(&self.keys, self.account_secret_key(), secret_record(pair));
        }
    }
}
