use alloc::vec::Vec;
use core::fmt;

use super::device::RosterDevice;
use super::keys::{AccountKey, AccountKeyPair, RecoveryKey};
use crate::crypto::{PublicKey, PublicKeyError, Signature, sha256};
use crate::ident::{DeviceId, Timestamp, UserId};
use crate::wire::{RosterBody, RosterView, WireError, join_signed, split_signed};

const LABEL: &[u8] = b"\x10subrosa/1/roster";
const LABEL_HASH: &[u8] = b"\x15subrosa/1/roster-hash";

const DAY: u64 = 24 * 3_600_000;
/// An older roster is stale.
const MAX_AGE: u64 = 45 * DAY;
/// A roster that is issued further ahead is refused.
const MAX_AHEAD: u64 = DAY;
/// When the primary signs anew.
const LEASE: u64 = 14 * DAY;

/// A roster as it came: its form is right, and nothing else was looked at.
///
/// # Examples
///
/// ```
/// use subrosa::account::UnverifiedRoster;
/// assert!(UnverifiedRoster::parse(b"no roster").is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UnverifiedRoster {
    bytes: Vec<u8>,
    /// Checked to be one when it was read.
    account: AccountKey,
}

/// A roster that verified: the devices of a user, as the account key signed them.
///
/// It says nothing of whether the account key is that of the right person, nor whether there is a newer roster.
///
/// # Examples
///
/// ```
/// use subrosa::account::{AccountKeyPair, Roster, RosterDevice, UnverifiedRoster};
/// use subrosa::{crypto::KeyPair, ident::{DeviceId, Timestamp, UserId}, suite::Suites};
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (account, phone) = (AccountKeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
/// let (alice, now) = (UserId::new("alice")?, Timestamp::new(1_800_000_000_000));
/// let phone = RosterDevice::consent(&alice, DeviceId::new(1), Suites::V1, account.public(), &phone, &mut rng);
/// let roster = Roster::first(&alice, phone, None, now).sign(&account)?;
/// // Elsewhere:
/// let read = UnverifiedRoster::parse(roster.as_bytes())?.verify(&alice)?;
/// assert_eq!((read.version(), read.devices().len()), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Roster {
    /// Signed.
    bytes: Vec<u8>,
    hash: [u8; 32],
    pub(super) user: UserId,
    pub(super) account: AccountKey,
    pub(super) version: u64,
    pub(super) issued: Timestamp,
    pub(super) last_device: DeviceId,
    pub(super) primary: DeviceId,
    pub(super) recoveries: Vec<Recovery>,
    pub(super) deleted: bool,
    pub(super) devices: Vec<RosterDevice>,
}

/// A recovery key of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// The key.
    pub key: RecoveryKey,
    /// When the account named it, as it says; 0 in its first roster.
    pub named: Timestamp,
}

/// Why a roster does not verify. Refuse it, whatever it is: nobody honest made it for this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RosterError {
    /// The bytes are no roster, or not its one encoding.
    #[error("roster is malformed")]
    Malformed(#[from] WireError),
    /// The name in it is empty or longer than 255 bytes.
    #[error("roster names no user")]
    NoUser,
    /// It is another user's.
    #[error("roster is another user's")]
    OtherUser,
    /// Versions begin with 1.
    #[error("roster has version 0")]
    Version,
    /// There is no device, or they do not ascend from 1.
    #[error("devices of the roster do not ascend from 1")]
    Devices,
    /// A device has a higher id than the last that was given away.
    #[error("a device has an id that was not given away")]
    LastDevice,
    /// The primary is no device of it.
    #[error("primary is no device of the roster")]
    Primary,
    /// Two devices have one identity key.
    #[error("two devices have one identity key")]
    SharedIdentity,
    /// A recovery key stands there twice.
    #[error("a recovery key stands in the roster twice")]
    SharedRecovery,
    /// A device speaks no suite, or one that does not exist.
    #[error("suites of device {} are no suites", .0.get())]
    Suites(DeviceId),
    /// A device has not consented to be this device of this account: it is another account's, or nobody's.
    #[error("device {} has not consented", .0.get())]
    Consent(DeviceId),
    /// The account key has not signed it.
    #[error("account key has not signed the roster")]
    Signature,
}

impl UnverifiedRoster {
    /// Reads a signed roster.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let (body, _) = split_signed(bytes)?;
        let account = AccountKey::parse(&RosterBody::parse(body)?.account_key)?;
        Ok(Self { bytes: bytes.to_vec(), account })
    }

    /// What is sent of a roster that one holds.
    #[must_use]
    pub fn of(roster: &Roster) -> Self {
        Self { bytes: roster.bytes.clone(), account: roster.account }
    }

    /// The account key that it says to be signed by.
    #[must_use]
    pub const fn account_key(&self) -> &AccountKey {
        &self.account
    }

    /// As it came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes it as a roster of a user: at most 33 signatures are verified.
    ///
    /// # Errors
    ///
    /// [`RosterError`]: each variant says what is wrong.
    ///
    /// # Security
    ///
    /// Whether the account key is the user's, whether this roster follows the one held, and its date are asked elsewhere:
    /// [`HeldRoster`](super::HeldRoster) asks for all of it.
    pub fn verify(self, user: &UserId) -> Result<Roster, RosterError> {
        let (body, signature) = split_signed(&self.bytes)?;
        let message = [LABEL, body].concat();
        let judged = self.judge(user)?;
        for device in &judged.devices {
            device.verify(user, &self.account).map_err(|_| RosterError::Consent(device.id()))?;
        }
        self.account.verify(&message, signature).map_err(|_| RosterError::Signature)?;
        Ok(judged)
    }

    fn judge(&self, user: &UserId) -> Result<Roster, RosterError> {
        let (body, _) = split_signed(&self.bytes)?;
        let roster = judge(self.account, RosterBody::parse(body)?, user.clone(), |key| RecoveryKey::parse(key))?;
        Ok(Roster { hash: sha256(&[LABEL_HASH, body]), bytes: self.bytes.clone(), ..roster })
    }
}

/// All that is asked of any roster but its signatures.
fn judge(
    account: AccountKey,
    body: RosterBody<'_>,
    user: UserId,
    recovery_key: fn(&[u8; 33]) -> Result<RecoveryKey, PublicKeyError>,
) -> Result<Roster, RosterError> {
    let RosterBody {
        user: name,
        account_key: _,
        version,
        issued_ms,
        last_device,
        primary,
        recoveries,
        deleted,
        devices,
    } = body;
    if name != user.as_str() {
        return Err(if UserId::new(name).is_ok() { RosterError::OtherUser } else { RosterError::NoUser });
    }
    if version == 0 {
        return Err(RosterError::Version);
    }
    if devices.first().is_none_or(|first| first.device == 0)
        || !devices.is_sorted_by(|before, after| before.device < after.device)
    {
        return Err(RosterError::Devices);
    }
    if devices.last().is_some_and(|last| last.device > last_device) {
        return Err(RosterError::LastDevice);
    }
    if !devices.iter().any(|device| device.device == primary) {
        return Err(RosterError::Primary);
    }
    let of_entry =
        |entry| RosterDevice::of_entry(entry).ok_or_else(|| RosterError::Suites(DeviceId::new(entry.device)));
    let devices = devices.iter().map(of_entry).collect::<Result<Vec<_>, _>>()?;
    if is_repeated(devices.iter().map(RosterDevice::identity_key)) {
        return Err(RosterError::SharedIdentity);
    }
    let recovery = |(key, named): &([u8; 33], u64)| {
        let key = recovery_key(key).map_err(WireError::from)?;
        Ok(Recovery { key, named: Timestamp::new(*named) })
    };
    let recoveries = recoveries.iter().map(recovery).collect::<Result<Vec<_>, RosterError>>()?;
    if is_repeated(recoveries.iter().map(|recovery| recovery.key)) {
        return Err(RosterError::SharedRecovery);
    }
    Ok(Roster {
        bytes: Vec::new(),
        hash: [0; 32],
        user,
        account,
        version,
        issued: Timestamp::new(issued_ms),
        last_device: DeviceId::new(last_device),
        primary: DeviceId::new(primary),
        recoveries,
        deleted,
        devices,
    })
}

fn is_repeated<T: Ord>(keys: impl Iterator<Item = T>) -> bool {
    let mut keys: Vec<T> = keys.collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}

impl Roster {
    /// Takes a roster out of one's own storage, which verified when it was put there.
    pub(crate) fn stored(bytes: &[u8]) -> Result<Self, RosterError> {
        let (signed, _) = split_signed(bytes)?;
        let body = RosterBody::parse(signed)?;
        let user = UserId::new(body.user).map_err(|_| RosterError::NoUser)?;
        let account = AccountKey::stored(&body.account_key).map_err(WireError::from)?;
        let roster = judge(account, body, user, RecoveryKey::stored)?;
        Ok(Self { hash: sha256(&[LABEL_HASH, signed]), bytes: bytes.to_vec(), ..roster })
    }

    /// Whose devices these are.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// The account key that signed it.
    #[must_use]
    pub const fn account_key(&self) -> &AccountKey {
        &self.account
    }

    /// Its version: from 1.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// When it was signed, as its signer says.
    #[must_use]
    pub const fn issued(&self) -> Timestamp {
        self.issued
    }

    /// The highest id that a device of the account ever had: the next one has the next.
    #[must_use]
    pub const fn last_device(&self) -> DeviceId {
        self.last_device
    }

    /// The device that signs rosters.
    #[must_use]
    pub const fn primary(&self) -> DeviceId {
        self.primary
    }

    /// The recovery keys, in the order in which they were named. Which of them counts, a [`HeldRoster`](super::HeldRoster)
    /// says.
    #[must_use]
    pub fn recoveries(&self) -> &[Recovery] {
        &self.recoveries
    }

    /// Whether the account says that it is deleted. It keeps its devices, so that it can take that back.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// The devices, ascending: 1 to 32.
    #[must_use]
    pub fn devices(&self) -> &[RosterDevice] {
        &self.devices
    }

    /// The device of this id.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&RosterDevice> {
        let at = self.devices.binary_search_by_key(&id, RosterDevice::id).ok()?;
        self.devices.get(at)
    }

    /// Whether a device of this id has this identity key.
    #[must_use]
    pub fn lists(&self, id: DeviceId, identity_key: &PublicKey) -> bool {
        self.device(id).is_some_and(|device| device.identity_key() == identity_key)
    }

    /// The signed bytes: what is stored, and what [`UnverifiedRoster::parse`] reads.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The hash of its body.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// What a message names it by.
    #[must_use]
    pub fn view(&self) -> RosterView {
        let hash = self.hash.first_chunk().copied().unwrap_or_default();
        RosterView { version: self.version, hash }
    }

    /// Whether it is older than 45 days. Use it, tell, and ask for a newer one: whoever stole a device that was then removed
    /// introduces itself with an old roster.
    #[must_use]
    pub const fn is_stale(&self, now: Timestamp) -> bool {
        now.since(self.issued) > MAX_AGE
    }

    /// Whether it says to be signed more than a day from now. Refuse it.
    #[must_use]
    pub const fn is_from_future(&self, now: Timestamp) -> bool {
        self.issued.since(now) > MAX_AHEAD
    }

    /// Whether the primary is to sign it anew, at 14 days.
    #[must_use]
    pub const fn is_due(&self, now: Timestamp) -> bool {
        now.since(self.issued) >= LEASE
    }

    /// Signs a body. Whether what came of it is a roster, [`UnverifiedRoster::verify`] says.
    pub(super) fn sign(body: &RosterBody<'_>, account: &AccountKeyPair) -> Vec<u8> {
        let body = body.to_bytes();
        let signature: Signature = account.sign(&[LABEL, &body].concat());
        join_signed(&body, &signature)
    }
}

impl fmt::Debug for UnverifiedRoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedRoster").field("account", &self.account).finish_non_exhaustive()
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster")
            .field("account", &self.account)
            .field("version", &self.version)
            .field("devices", &self.devices.len())
            .finish_non_exhaustive()
    }
}
