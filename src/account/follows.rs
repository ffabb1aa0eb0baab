use alloc::vec::Vec;

use super::device::RosterDevice;
use super::roster::{Recovery, Roster};
use crate::ident::DeviceId;
use crate::suite::Suite;

/// Most versions from a roster to one that follows it.
const MAX_VERSIONS: u64 = 1 << 20;
/// Most device ids that are given away with a version.
const IDS_PER_VERSION: u64 = 32;

/// Why a roster does not follow another. Keep the one held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FollowsError {
    /// It is the very one that is held: no news.
    #[error("roster is the one held")]
    Same,
    /// It is older than the one held: late, or brought back by somebody.
    #[error("roster is older than the one held")]
    Older,
    /// The same version with another body: two rosters that no honest primary signs. Keep both as a
    /// [`RosterFork`](super::RosterFork).
    #[error("roster forks the one held")]
    Fork,
    /// It is another user's.
    #[error("roster is another user's")]
    OtherUser,
    /// Another account key signed it. Only a succession leads there, or a decision of people.
    #[error("roster is of another account key")]
    OtherAccount,
    /// Its version is more than 2^20 above: a signer that wants no one to follow.
    #[error("version jumps")]
    VersionJump,
    /// It says to be signed before the one held.
    #[error("roster was issued before the one held")]
    IssuedBack,
    /// A recovery key of the one held is missing, or stands elsewhere.
    #[error("recovery keys were changed")]
    RecoveryChanged,
    /// A recovery key was named at no time between the two.
    #[error("a recovery key was named at another time")]
    RecoveryNamed,
    /// It forgets ids that were given away.
    #[error("last device goes back")]
    LastDevice,
    /// It gives away more than 32 ids a version: so they would soon run out.
    #[error("last device jumps")]
    LastDeviceJump,
    /// An id that was given away before is a new device's.
    #[error("the id of device {} was given away before", .0.get())]
    OldDevice(DeviceId),
    /// A device has another identity key under its old id.
    #[error("device {} has another identity key", .0.get())]
    DeviceKey(DeviceId),
    /// A device that spoke suite V1 does not any more.
    #[error("suite V1 was taken from device {}", .0.get())]
    Downgrade(DeviceId),
}

/// What a newer roster says that the one held did not: for an event that people see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterChanges {
    /// Devices that the newer one alone lists.
    pub added: Vec<DeviceId>,
    /// Devices that it does not list any more.
    pub removed: Vec<DeviceId>,
    /// No device is left that was listed, or the primary is a new one: show it as a change of the person's key.
    pub all_replaced: bool,
}

impl Roster {
    /// Whether this roster may take the place of another one of the same account key.
    ///
    /// Transitive, where the versions are at most 2^20 apart: whoever slept over rosters in between comes to the same verdict
    /// as who saw them. That is why nothing is asked of the primary here; a new one shows in [`Self::changes_since`].
    ///
    /// # Errors
    ///
    /// [`FollowsError`]: each variant says what is wrong.
    pub fn follows(&self, old: &Self) -> Result<(), FollowsError> {
        if self.user != old.user {
            return Err(FollowsError::OtherUser);
        }
        if self.account != old.account {
            return Err(FollowsError::OtherAccount);
        }
        if self.version == old.version {
            return Err(if self.hash() == old.hash() { FollowsError::Same } else { FollowsError::Fork });
        }
        let versions = self.version.checked_sub(old.version).ok_or(FollowsError::Older)?;
        if versions > MAX_VERSIONS {
            return Err(FollowsError::VersionJump);
        }
        if self.issued < old.issued {
            return Err(FollowsError::IssuedBack);
        }
        let appended = self.recoveries.strip_prefix(&*old.recoveries).ok_or(FollowsError::RecoveryChanged)?;
        let between =
            |recovery: &Recovery| recovery.named.get() > 0 && (old.issued..=self.issued).contains(&recovery.named);
        if !appended.iter().all(between) {
            return Err(FollowsError::RecoveryNamed);
        }
        let ids = self.last_device.get().checked_sub(old.last_device.get()).ok_or(FollowsError::LastDevice)?;
        if u64::from(ids) > IDS_PER_VERSION * versions {
            return Err(FollowsError::LastDeviceJump);
        }
        self.devices.iter().try_for_each(|device| match old.device(device.id()) {
            Some(before) => device.is_still(before),
            None if device.id() > old.last_device => Ok(()),
            None => Err(FollowsError::OldDevice(device.id())),
        })
    }

    /// Whether this roster may take the place of one of the account key before. No old id comes back under a new key; nothing
    /// else of [`Self::follows`] is asked.
    pub(super) fn takes_over(&self, old: &Self) -> Result<(), FollowsError> {
        if self.version <= old.version {
            return Err(FollowsError::Older);
        }
        if self.last_device < old.last_device {
            return Err(FollowsError::LastDevice);
        }
        let returning = self.devices.iter().find(|device| device.id() <= old.last_device);
        returning.map_or(Ok(()), |device| Err(FollowsError::OldDevice(device.id())))
    }

    /// What this roster says that an older one did not.
    #[must_use]
    pub fn changes_since(&self, old: &Self) -> RosterChanges {
        let only = |of: &Self, other: &Self| -> Vec<DeviceId> {
            let devices = of.devices.iter().filter(|device| !other.lists(device.id(), device.identity_key()));
            devices.map(RosterDevice::id).collect()
        };
        let (added, removed) = (only(self, old), only(old, self));
        let all_replaced = removed.len() == old.devices.len() || added.contains(&self.primary);
        RosterChanges { added, removed, all_replaced }
    }
}

impl RosterDevice {
    fn is_still(&self, before: &Self) -> Result<(), FollowsError> {
        if self.identity_key() != before.identity_key() {
            return Err(FollowsError::DeviceKey(self.id()));
        }
        if before.suites().contains(Suite::V1) && !self.suites().contains(Suite::V1) {
            return Err(FollowsError::Downgrade(self.id()));
        }
        Ok(())
    }
}
