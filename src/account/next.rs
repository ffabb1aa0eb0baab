use alloc::vec::Vec;

use super::device::RosterDevice;
use super::follows::FollowsError;
use super::keys::{AccountKeyPair, RecoveryKey};
use super::roster::{Recovery, Roster, RosterError, UnverifiedRoster};
use crate::ident::{DeviceId, Timestamp, UserId};
use crate::wire::RosterBody;

/// A roster that is being made, on the primary. [`Self::sign`] gives none that others would refuse.
///
/// # Examples
///
/// ```
/// use subrosa::account::{AccountKeyPair, Roster, RosterDevice};
/// use subrosa::{crypto::KeyPair, ident::{DeviceId, Timestamp, UserId}, suite::Suites};
/// let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let (alice, now) = (UserId::new("alice")?, Timestamp::new(1_800_000_000_000));
/// let account = AccountKeyPair::generate(&mut rng);
/// let mut device = |id| {
///     let identity = KeyPair::generate(&mut rng);
///     RosterDevice::consent(&alice, DeviceId::new(id), Suites::V1, account.public(), &identity, &mut rng)
/// };
/// let (phone, laptop) = (device(1), device(2));
/// let first = Roster::first(&alice, phone, None, now).sign(&account)?;
/// let second = first.next(now).link(laptop).sign(&account)?;
/// assert!(second.follows(&first).is_ok());
/// // An id is given away once.
/// let third = second.next(now).remove(DeviceId::new(2)).sign(&account)?;
/// assert_eq!(third.next_device(), Some(DeviceId::new(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a roster is made by signing it"]
pub struct NextRoster {
    /// What it takes the place of.
    old: Option<Roster>,
    user: UserId,
    version: u64,
    issued: Timestamp,
    last_device: DeviceId,
    primary: DeviceId,
    recoveries: Vec<Recovery>,
    deleted: bool,
    devices: Vec<RosterDevice>,
}

/// Why no roster was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NextRosterError {
    /// It would be no roster: among others for want of the primary, or for more than 32 devices or 4 recovery keys, which is
    /// [`TooLong`](crate::wire::WireError::TooLong).
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// Nobody would take it in the place of the one before: among others for a device under an id that was given away.
    #[error(transparent)]
    Follows(#[from] FollowsError),
}

impl Roster {
    /// The id of the first device under another account key, this being the newest roster known under the old one: above all
    /// that whoever holds the old key can give away in one step. None if all were given away.
    #[must_use]
    pub fn device_under_new_key(&self) -> Option<DeviceId> {
        let last = self.last_device.get().checked_add(IDS_LEFT)?;
        last.checked_add(1).map(DeviceId::new)
    }

    /// The first roster of an account: one device, the primary, and the recovery key, if there is one.
    pub fn first(user: &UserId, device: RosterDevice, recovery: Option<RecoveryKey>, now: Timestamp) -> NextRoster {
        NextRoster::of_one(None, user, 1, device, recovery, now)
    }

    /// The roster after this one, as it is: only signed anew.
    ///
    /// Where the clock is behind this roster it is dated as this one, since dates do not go back.
    pub fn next(&self, now: Timestamp) -> NextRoster {
        NextRoster {
            old: Some(self.clone()),
            user: self.user.clone(),
            version: self.version.saturating_add(1),
            issued: now.max(self.issued),
            last_device: self.last_device,
            primary: self.primary,
            recoveries: self.recoveries.clone(),
            deleted: self.deleted,
            devices: self.devices.clone(),
        }
    }

    /// The first roster under another account key, this being the newest known under the old one: what a
    /// [`Succession`](super::Succession) leads to. The device has an id of [`Self::device_under_new_key`].
    ///
    /// Its version is 2^48 above: whoever holds the old key may have shown some people rosters that its owner never saw.
    pub fn under_new_key(&self, device: RosterDevice, recovery: Option<RecoveryKey>, now: Timestamp) -> NextRoster {
        let version = self.version.saturating_add(VERSIONS_LEFT);
        NextRoster::of_one(Some(self.clone()), &self.user, version, device, recovery, now)
    }

    /// The id of the next device that is linked; none if all were given away.
    #[must_use]
    pub const fn next_device(&self) -> Option<DeviceId> {
        match self.last_device.get().checked_add(1) {
            Some(id) => Some(DeviceId::new(id)),
            None => None,
        }
    }
}

/// Versions that are left between the rosters of two account keys.
const VERSIONS_LEFT: u64 = 1 << 48;
/// Device ids that are left between them: what one roster that follows another can give away.
const IDS_LEFT: u32 = 1 << 25;

impl NextRoster {
    fn of_one(
        old: Option<Roster>,
        user: &UserId,
        version: u64,
        device: RosterDevice,
        recovery: Option<RecoveryKey>,
        now: Timestamp,
    ) -> Self {
        Self {
            old,
            user: user.clone(),
            version,
            issued: now,
            last_device: device.id(),
            primary: device.id(),
            recoveries: recovery.map(|key| Recovery { key, named: Timestamp::new(0) }).into_iter().collect(),
            deleted: false,
            devices: Vec::from([device]),
        }
    }

    /// With a device more, which has consented.
    pub fn link(mut self, device: RosterDevice) -> Self {
        self.last_device = self.last_device.max(device.id());
        let at = self.devices.partition_point(|before| before.id() < device.id());
        self.devices.insert(at, device);
        self
    }

    /// Without a device, if it is there.
    pub fn remove(mut self, id: DeviceId) -> Self {
        self.devices.retain(|device| device.id() != id);
        self
    }

    /// With another recovery key. It counts after 30 days; until then the one before does.
    pub fn name_recovery(mut self, key: RecoveryKey) -> Self {
        self.recoveries.push(Recovery { key, named: self.issued });
        self
    }

    /// With another primary.
    pub const fn hand_over(mut self, primary: DeviceId) -> Self {
        self.primary = primary;
        self
    }

    /// With the word that the account is deleted.
    pub const fn delete(mut self) -> Self {
        self.deleted = true;
        self
    }

    /// With that word taken back.
    pub const fn take_back(mut self) -> Self {
        self.deleted = false;
        self
    }

    /// With a version above another that was seen, say at the server.
    pub fn above(mut self, version: u64) -> Self {
        self.version = self.version.max(version.saturating_add(1));
        self
    }

    /// After another roster of the account as well, which somebody else may hold: what an older copy of the primary has signed, or the
    /// server keeps. Devices that it has dropped are dropped, but for the primary, and ids that it has given away are not given
    /// away again.
    pub fn also_after(mut self, other: &Roster) -> Self {
        let primary = self.primary;
        let is_new = |id: DeviceId| id > other.last_device;
        self.devices.retain(|device| {
            device.id() == primary || is_new(device.id()) || other.lists(device.id(), device.identity_key())
        });
        self.last_device = self.last_device.max(other.last_device);
        self.issued = self.issued.max(other.issued);
        self.above(other.version)
    }

    /// Signs it.
    ///
    /// # Errors
    ///
    /// [`NextRosterError`]; nothing is signed that was not judged as others will judge it.
    pub fn sign(self, account: &AccountKeyPair) -> Result<Roster, NextRosterError> {
        // A clock that is behind holds up nobody: the roster is dated like the one before.
        let of_key = self.old.as_ref().filter(|old| old.account == *account.public());
        let earliest = of_key.map_or(0, |old| old.issued.get());
        let recoveries = self.recoveries.iter().map(|recovery| (recovery.key.to_bytes(), recovery.named.get()));
        let body = RosterBody {
            user: self.user.as_str(),
            account_key: account.public().to_bytes(),
            version: self.version,
            issued_ms: self.issued.get().max(earliest),
            last_device: self.last_device.get(),
            primary: self.primary.get(),
            recoveries: recoveries.collect(),
            deleted: self.deleted,
            devices: self.devices.iter().map(RosterDevice::entry).collect(),
        };
        let signed = UnverifiedRoster::parse(&Roster::sign(&body, account)).map_err(RosterError::from)?;
        let roster = signed.verify(&self.user)?;
        match &self.old {
            Some(old) if old.account == roster.account => roster.follows(old)?,
            Some(old) => roster.takes_over(old)?,
            None => {}
        }
        Ok(roster)
    }
}
