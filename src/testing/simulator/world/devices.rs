//! What becomes of a device: backups that are restored, new accounts, other keys, rows and commits that are lost.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::{Backup, Broken, CACHED, LIVES, Mutation, Step, USERS, World, account, storage_key};
use crate::wire::RecordKind;

impl World {
    pub(super) fn back_up(&mut self, user: usize) -> Step {
        self.note(format!("{user} makes a backup"));
        let at = self.ledger.tick();
        let party = &mut self.parties[user];
        party.backup = Some(Backup { at, life: party.life, rows: party.host.back_up() });
        Ok(())
    }

    pub(super) fn restore(&mut self, user: usize) -> Step {
        if self.parties[user].backup.as_ref().is_none_or(|backup| backup.life != self.parties[user].life) {
            return Ok(());
        }
        // What was copied after the rollback counter grew last is not found: so it grows.
        self.attend(user)?;
        let Some(backup) = self.parties[user].backup.take() else { return Ok(()) };
        self.note(format!("{user} restores its backup of moment {}", backup.at));
        self.report.restores += 1;
        let host = &mut self.parties[user].host;
        host.crash_next(None);
        host.restore(&backup.rows);
        if self.mutation == Some(Mutation::ReuseAfterRestore) {
            host.lose_keychain();
        }
        self.ledger.goes_back(user, backup.at);
        // The key that opens it is the one of then.
        self.open(user, true)?;
        self.attend(user)?;
        self.prune(user)?;
        self.bring(user)?;
        // In suite `Signal` nothing but a message tells the peer.
        if self.nature.signal || self.rng.happens(50) { self.write(user) } else { self.post(user, 5) }
    }

    /// A user installs the app anew and, mostly, writes to nobody.
    pub(super) fn new_account(&mut self, user: usize) -> Step {
        let life = self.parties[user].life + 1;
        if life >= LIVES || user >= USERS {
            return Ok(());
        }
        self.note(format!("{user} makes a new account"));
        self.report.accounts += 1;
        let seed = rand_core::Rng::next_u64(&mut self.rng);
        let made = account(user, life, self.nature.signal);
        self.server.registers(&self.parties[user].address, &made.prekey_stores);
        let party = &mut self.parties[user];
        party.host = made.host(seed);
        party.host.blind = self.mutation == Some(Mutation::SkippedCheck);
        party.host.keep_sessions(if party.cached { CACHED } else { 0 });
        party.host.frame(self.nature.framed);
        if !self.nature.counted {
            party.host.lose_keychain();
        }
        (party.life, party.key, party.pages) = (life, 0, made.pages.clone());
        party.old = None;
        self.ledger.goes_back(user, 0);
        self.open(user, false)?;
        if self.rng.happens(30) { self.write(user) } else { Ok(()) }
    }

    pub(super) fn change_key(&mut self, user: usize) -> Step {
        // A backup opens with the key of then, which this host does not keep.
        if self.parties[user].backup.is_some() {
            return Ok(());
        }
        self.parties[user].key += 1;
        let (now, key) = (self.time(user), storage_key(self.parties[user].key));
        self.note(format!("{user} changes its storage key"));
        // A vault of before would not open.
        self.parties[user].old = None;
        let done = self.parties[user].host.change_storage_key(key, now);
        self.opened(user, done)
    }

    /// The user looks at others' new identity keys, which are accepted if they are the others', and the user is willing.
    pub(super) fn decide(&mut self, user: usize, willing: bool) -> Step {
        let changed: Vec<_> =
            self.parties[user].host.tables().changed().map(|(peer, key)| (peer.clone(), *key)).collect();
        for (peer, key) in changed {
            let accept = self.server.identity(&peer) == Some(key) && willing;
            let now = self.time(user);
            self.ledger.starts.forget(user);
            let done = self.parties[user].host.decide(&peer, accept, now);
            self.note(format!("{user} decides on a new identity: {accept}, {done:?}"));
            self.opened(user, done.map(|_| ()))?;
        }
        Ok(())
    }

    pub(super) fn reset(&mut self, user: usize) -> Step {
        let to = self.peer_of(user);
        self.reset_with(user, to)
    }

    pub(super) fn reset_with(&mut self, user: usize, to: usize) -> Step {
        let now = self.time(user);
        let peer = self.parties[to].address.clone();
        self.ledger.monitor.mishap();
        self.ledger.starts.forget(user);
        let done = self.parties[user].host.reset(&peer, now).map(|_| ());
        self.note(format!("{user} resets its session with {to}"));
        self.opened(user, done)
    }

    /// Somebody who can write the database puts one row back as it was, whether it is there now or not.
    pub(super) fn put_row_back(&mut self, user: usize) -> Step {
        self.put_back(user, &[])
    }

    /// One of these kinds, or of all.
    pub(super) fn put_back(&mut self, user: usize, kinds: &[u8]) -> Step {
        // That of the vault is found as a database that went back; the device's stays the same.
        const NOT_THESE: [u8; 2] = [RecordKind::Vault.number(), RecordKind::Device.number()];
        // Two of one time are not found.
        if self.nature.framed && !self.ledger.is_unspoilt(user) {
            return Ok(());
        }
        let party = &mut self.parties[user];
        let Some(old) = party.old.as_ref() else { return Ok(()) };
        let now = party.host.store().snapshot();
        let mut changed = BTreeMap::<u8, Vec<_>>::new();
        for (key, row) in old.rows() {
            let [kind, ..] = *key.as_bytes();
            if !NOT_THESE.contains(&kind) && now.row(key).is_none_or(|now| now.version != row.version) {
                changed.entry(kind).or_default().push((*key, row.clone()));
            }
        }
        changed.retain(|kind, _| kinds.is_empty() || kinds.contains(kind));
        let which = if kinds.is_empty() { self.rng.below(8) } else { 0 };
        let Some((kind, rows)) = changed.into_iter().nth(which) else { return Ok(()) };
        let Some((key, row)) = rows.get(self.rng.below(rows.len())) else { return Ok(()) };
        party.host.store().tamper(*key, Some(row.clone()));
        self.report.rows_back += 1;
        self.ledger.row_put_back(user);
        self.note(format!("{user}: a row of kind {kind} is put back"));
        Ok(())
    }

    /// Rows of another device do not fit each other: what docs/storage.md says is done.
    pub(super) fn mend(&mut self, user: usize) -> Step {
        let damaged = core::mem::take(&mut self.parties[user].host.damaged);
        for (peer, error) in damaged {
            self.note(format!("{user} mends: {error}"));
            if self.report.rows_back == 0 {
                return Err(Broken::Refused(format!("{error}")));
            }
            let now = self.time(user);
            let done = self.parties[user].host.run(now, |client| client.forget_device(&peer), |_, ()| {});
            self.ledger.forgets(user, &peer);
            self.opened(user, done.map(|_| ()))?;
        }
        Ok(())
    }

    /// The power goes: what was last committed, and perhaps posted, is not on the disk.
    pub(super) fn lose_write(&mut self, user: usize) -> Step {
        self.loses(user, |world| {
            match world.rng.below(3) {
                0 => world.write(user)?,
                1 => world.deliver(user)?,
                _ => world.bring(user)?,
            }
            world.post(user, 5)
        })
    }

    /// A device does something, and its database is as before.
    pub(super) fn loses(&mut self, user: usize, what: impl FnOnce(&mut Self) -> Step) -> Step {
        self.parties[user].host.crash_next(None);
        let (before, at) = (self.parties[user].host.back_up(), self.ledger.tick());
        what(self)?;
        self.note(format!("{user} loses what it did last"));
        self.report.losses += 1;
        self.parties[user].host.restore(&before);
        self.ledger.goes_back(user, at);
        self.open(user, false)
    }
}
