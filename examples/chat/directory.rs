//! The relay's directory: which devices a user has, as the user's own signed list says, and mail of links under way.
//!
//! It believes nothing and decides nothing: it keeps the newest roster that follows the one before, and hands it out as it came.
//! Clients check all of it themselves.

use std::collections::BTreeMap;

use subrosa::account::{CarriedRoster, FollowsError, HeldRoster, TakeError};
use subrosa::ident::{Address, Timestamp, UserId};
use subrosa::platform::{RosterRefusal, check_roster, check_succession};

use crate::Failure;
use crate::wire::Frame;

/// So long the mail of a link waits: ten minutes, in milliseconds.
const LINK_MS: u64 = 600_000;
/// Longest mail of a link.
const MAX_LINK_LEN: usize = 8 << 10;
/// So many links may be under way.
const MAX_LINKS: usize = 1000;

#[derive(Default)]
pub(crate) struct Directory {
    /// What was checked, and the bytes that are handed out.
    rosters: BTreeMap<UserId, (HeldRoster, Vec<u8>)>,
    links: BTreeMap<String, (Timestamp, Vec<u8>)>,
}

impl Directory {
    /// Takes a roster that follows the one that is there: compare and swap, by its version. Says which version there is then;
    /// none if there is a newer one, or another of that version: the answer is that one.
    pub(crate) fn publish(&mut self, user: &UserId, upload: &[u8], now: Timestamp) -> Result<Option<u64>, Failure> {
        let new = CarriedRoster::parse(upload)?;
        let stored = self.rosters.get(user).map(|(held, _)| held);
        let taken = match stored {
            // With the recovery key the user has moved to another account key. Without it, whoever it is begins anew: peers ask
            // their users what to think of it, and a real server first asks for proof that it is the same user.
            Some(old) if old.account_key() != new.roster().account_key() => check_succession(old, upload, user, now)
                .or_else(|_| check_roster(None, new.roster().as_bytes(), user, now)),
            old => check_roster(old, new.roster().as_bytes(), user, now),
        };
        match (taken, stored) {
            (Ok(held), _) => {
                let version = held.roster().version();
                self.rosters.insert(user.clone(), (held, upload.to_vec()));
                Ok(Some(version))
            }
            // It comes again: the first answer was lost.
            (Err(RosterRefusal::Take(TakeError::Follows(FollowsError::Same))), Some(old)) => {
                Ok(Some(old.roster().version()))
            }
            (Err(_), Some(_)) => Ok(None),
            (Err(refusal), None) => Err(refusal.into()),
        }
    }

    /// What is handed out of a user.
    pub(crate) fn roster(&self, user: &str) -> Frame {
        let bytes = UserId::new(user).ok().and_then(|user| Some(self.rosters.get(&user)?.1.clone()));
        Frame::Roster { found: bytes.is_some(), name: user.to_owned(), roster: bytes.unwrap_or_default() }
    }

    /// Whether a device is not one of its user's. Of who has no roster nothing is known.
    pub(crate) fn is_outdated(&self, device: &Address) -> bool {
        self.rosters.get(device.user()).is_some_and(|(held, _)| held.roster().device(device.device()).is_none())
    }

    /// Whether its number was given away. Who is being linked has one that no roster has seen.
    pub(crate) fn was_listed(&self, device: &Address) -> bool {
        self.rosters.get(device.user()).is_some_and(|(held, _)| held.roster().last_device() >= device.device())
    }

    /// Keeps a message of a link. One waits at a mailbox, and nobody replaces it.
    pub(crate) fn put_link(&mut self, mailbox: String, bytes: Vec<u8>, now: Timestamp) -> Result<(), Failure> {
        self.links.retain(|_, (put, _)| now.since(*put) < LINK_MS);
        let is_taken = self.links.contains_key(&mailbox) || self.links.len() >= MAX_LINKS;
        if is_taken || mailbox.len() != 32 || bytes.len() > MAX_LINK_LEN {
            return Err("no room for the mail of a link".into());
        }
        self.links.insert(mailbox, (now, bytes));
        Ok(())
    }

    /// Hands it out, once.
    pub(crate) fn take_link(&mut self, mailbox: &str, now: Timestamp) -> Option<Vec<u8>> {
        self.links.remove(mailbox).filter(|(put, _)| now.since(*put) < LINK_MS).map(|(_, bytes)| bytes)
    }
}
