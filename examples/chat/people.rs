//! What a client knows of people: rosters of their devices, its own and the peer's, and what the user decides.

use subrosa::account::{CarriedRoster, SafetyNumber};
use subrosa::client::{AccountStatus, AddUserError, OwnRosterError, PrekeyCounts, RunError, UserStatus};
use subrosa::ident::{DeviceId, UserId};
use subrosa::wire::ContactState;

use crate::Failure;
use crate::client::{Chat, hex, plain};
use crate::wire::Frame;

impl Chat {
    /// Does what the user has typed behind a slash.
    pub(crate) fn command(&mut self, line: &str) -> Result<(), Failure> {
        match *line.split(' ').collect::<Vec<_>>() {
            ["/accept"] => self.accept(),
            ["/block"] => Ok(self.store.run(self.client.block(&self.peer), |_, ()| Ok(()))?),
            ["/unblock"] => Ok(self.store.run(self.client.unblock(&self.peer), |_, ()| Ok(()))?),
            ["/link", code] => self.answer_link(code),
            ["/digits", digits] => {
                self.link.1 = digits.to_owned();
                self.tell(&Frame::TakeLink { mailbox: self.link.0.clone() })
            }
            ["/remove", number] => {
                let device = DeviceId::new(number.parse()?);
                self.store.run(self.client.remove_device(device), |_, ()| Ok(()))?;
                self.attend(PrekeyCounts::FULL)
            }
            _ => Err("there is /accept, /block, /unblock, /link CODE, /digits DIGITS, /remove NUMBER".into()),
        }
    }

    /// Brings one's own roster to the directory: the same bytes until it has them.
    pub(crate) fn publish_roster(&mut self) -> Result<(), Failure> {
        let own = self.store.run(self.client.own_roster(), |_, _| Ok(()))?;
        own.upload().map_or(Ok(()), |upload| self.tell(&Frame::PublishRoster { upload }))
    }

    /// The directory has it.
    pub(crate) fn roster_stored(&mut self, version: u64) -> Result<(), Failure> {
        match self.store.run(self.client.roster_published(version), |_, ()| Ok(())) {
            // It was published twice, and made anew in between: that one is published next.
            Ok(()) | Err(RunError::Operation(OwnRosterError::OtherVersion)) => {}
            Err(error) => return Err(error.into()),
        }
        let own = self.store.run(self.client.own_roster(), |_, _| Ok(()))?;
        if let Some(roster) = own.published.filter(|roster| roster.version() > 1) {
            let devices: Vec<_> = roster.devices().iter().map(|device| device.id().get().to_string()).collect();
            self.notice(&format!("my devices are {} now", devices.join(" and ")));
        }
        self.tried = None;
        self.attend(PrekeyCounts::FULL)
    }

    /// The directory says which devices somebody has: the library judges.
    pub(crate) fn hear(&mut self, user: &UserId, roster: &[u8]) -> Result<(), Failure> {
        let head = CarriedRoster::parse(roster)?;
        match self.store.run(self.client.add_user(user, Some(&head), &[]), |_, _| Ok(())) {
            Ok(added) => self.show_status(user, &added.status),
            // It is asked for again, when one's own is published.
            Err(RunError::Operation(AddUserError::RosterUnpublished)) => {}
            Err(RunError::Operation(
                error @ (AddUserError::Roster(_) | AddUserError::Take(_) | AddUserError::Own(_)),
            )) => {
                self.notice(&format!("what the relay says of {} is not believed: {error}", plain(user.as_str())));
            }
            Err(error) => return Err(error.into()),
        }
        self.tried = None;
        if std::mem::take(&mut self.left) {
            self.tell(&Frame::Listen)?;
        }
        self.attend(PrekeyCounts::FULL)
    }

    /// The account has removed this device. The key to all rows goes first; then the files ([`crate::store::erase`]).
    pub(crate) fn wipe(&mut self) -> Result<(), Failure> {
        self.store.run(self.client.wipe(), |_, ()| Ok(()))?;
        self.notice("this device was removed from the account: all that it had is deleted");
        self.wiped = true;
        Ok(())
    }

    /// Tells what is new of somebody's devices.
    pub(crate) fn show_status(&self, user: &UserId, status: &UserStatus) {
        let name = plain(user.as_str());
        if let Some(changes) = &status.changes {
            changes.added.iter().for_each(|id| self.notice(&format!("{name} has a new device, number {}", id.get())));
            changes.removed.iter().for_each(|id| self.notice(&format!("{name} has removed device {}", id.get())));
        }
        if status.account == AccountStatus::Renewed {
            self.notice(&format!("{name} has moved to a new account key: compare safety numbers again"));
        }
        if status.fork.is_some() {
            self.notice(&format!("{name} shows different people different devices, or somebody else has {name}'s key"));
        }
    }

    /// Says by what the peer is known, and what the user is to decide: once.
    pub(crate) fn show_keys(&mut self) -> Result<(), Failure> {
        if !self.is_watched() || self.wiped {
            return Ok(());
        }
        let name = plain(self.peer.as_str());
        let own = self.store.run(self.client.own_roster(), |_, _| Ok(()))?.published;
        let device = self.store.run(self.client.peer(&self.only_device()), |_, _| Ok(()))?;
        let text = match self.store.run(self.client.user(&self.peer), |_, _| Ok(()))? {
            Some(user) if user.changed.is_some() => format!(
                "{name} comes with another account key: a new beginning, or somebody else. Nothing is sent until you type /accept."
            ),
            Some(user) if user.status.contact == ContactState::Pending => {
                format!("{name} wants to write to you: /accept or /block. To answer is to accept.")
            }
            Some(user) => match (&own, user.account_key()) {
                (Some(own), Some(theirs)) => {
                    let number = SafetyNumber::new((own.user(), own.account_key()), (&self.peer, theirs));
                    format!("Compare with {name}: {}", number.digits())
                }
                _ => return Ok(()),
            },
            // Without rosters there are devices, and their keys.
            None => match (self.changed.or(device.as_ref().and_then(|device| device.changed_key)), device) {
                (Some(key), _) => format!(
                    "{name} has another key now: {}. Nothing is sent until you have compared it and type /accept.",
                    hex(&key.to_bytes())
                ),
                (None, Some(device)) if device.sends_since.is_some() => {
                    format!("{name}'s key: {} (compare it)", hex(&device.identity_key.to_bytes()))
                }
                _ => return Ok(()),
            },
        };
        if self.shown != text {
            self.notice(&text);
            self.shown = text;
        }
        Ok(())
    }

    /// The user wants to hear of the peer, or has compared another key.
    fn accept(&mut self) -> Result<(), Failure> {
        let device = self.only_device();
        let known = self.store.run(self.client.user(&self.peer), |_, _| Ok(()))?;
        let changed = self.store.run(self.client.peer(&device), |_, _| Ok(()))?.and_then(|peer| peer.changed_key);
        if let Some(roster) = known.as_ref().and_then(|known| known.changed.as_ref()) {
            self.store.run(self.client.accept_account_key(&self.peer, roster.account_key()), |_, ()| Ok(()))?;
        } else if let Some(key) = self.changed.take().or(changed) {
            self.store.run(self.client.accept_identity(&device, &key), |_, ()| Ok(()))?;
        }
        self.store.run(self.client.accept(&self.peer), |_, ()| Ok(()))?;
        (self.stopped, self.tried) = (false, None);
        self.attend(PrekeyCounts::FULL)
    }
}
