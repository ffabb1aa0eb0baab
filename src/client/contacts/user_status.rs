use alloc::boxed::Box;

use crate::account::{AccountKey, RosterChanges, RosterFork};
use crate::ident::Timestamp;
use crate::rows::{User, Verified};
use crate::wire::ContactState;

/// What is to be thought of a user's account key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountStatus {
    /// There is no roster of the user, or none of one's own: the device is known by its identity key alone.
    DeviceOnly,
    /// It was seen for the first time, and the user is known by it from now on.
    First,
    /// It is the one that the user is known by.
    Known,
    /// The user has moved to another one, with the recovery key. Show it: what people had compared is to be compared again.
    Renewed,
    /// It is not the one that the user is known by: this one is. Show what comes under it as such. Ask the user, then
    /// [`Client::accept_account_key`](crate::client::Client::accept_account_key) or
    /// [`Client::refuse_account_key`](crate::client::Client::refuse_account_key). Until then nothing is sent to any device of
    /// the other user's.
    Changed(AccountKey),
}

/// What is to be thought of a user: with everything that comes from one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserStatus {
    /// The account key.
    pub account: AccountStatus,
    /// How one stands to the user. What comes of somebody [pending](ContactState::Pending) is a request: the people decide,
    /// by [`Client::accept`](crate::client::Client::accept) or [`Client::block`](crate::client::Client::block).
    pub contact: ContactState,
    /// Whether people have compared their account keys.
    pub verified: Verified,
    /// Whether the directory has confirmed the roster once.
    pub is_confirmed: bool,
    /// Whether the newest roster that is known is older than 45 days: perhaps somebody keeps newer ones away, and a device
    /// that was removed speaks. Tell it; a newer one is [wanted](crate::client::Task::FetchRoster).
    pub is_stale: bool,
    /// What a roster that came with this changes: devices that are new, or gone. Where
    /// [all are replaced](RosterChanges::all_replaced) show it as a change of the key.
    pub changes: Option<RosterChanges>,
    /// Two rosters of one version, both signed: the user shows different people different devices, or somebody else has the
    /// account's key. Tell the user; [`RosterFork::to_bytes`] is the evidence.
    pub fork: Option<Box<RosterFork>>,
    /// Whether a roster came with this that the account key has signed and that does not go on from the one that is held: somebody else has
    /// the key, or had it. Tell the user: people compare, and renew the account where the key was stolen.
    pub is_contradicted: bool,
}

impl UserStatus {
    /// Of a device that is known by its identity key alone.
    pub(in crate::client) const fn device_only() -> Self {
        Self {
            account: AccountStatus::DeviceOnly,
            contact: ContactState::None,
            verified: Verified::No,
            is_confirmed: false,
            is_stale: false,
            changes: None,
            fork: None,
            is_contradicted: false,
        }
    }

    /// Of one's own other device.
    pub(in crate::client) fn own(changes: Option<RosterChanges>, fork: Option<Box<RosterFork>>) -> Self {
        Self {
            account: AccountStatus::Known,
            contact: ContactState::Accepted,
            is_confirmed: true,
            changes,
            fork,
            ..Self::device_only()
        }
    }

    pub(in crate::client) fn of(user: &User, account: AccountStatus, now: Timestamp) -> Self {
        Self {
            account,
            contact: user.contact,
            verified: user.verified,
            is_confirmed: user.confirmed,
            is_stale: user.roster().is_some_and(|roster| roster.is_stale(now)),
            changes: None,
            fork: None,
            is_contradicted: false,
        }
    }
}
