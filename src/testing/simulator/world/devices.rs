//! What becomes of a device: backups that are restored, new accounts, other keys.

use alloc::format;

use super::{ACCOUNTS, Backup, CACHED, Mutation, Step, World, account, address, storage_key};

impl World {
    pub(super) fn back_up(&mut self, side: usize) -> Step {
        self.note(format!("{side} makes a backup"));
        let (step, account, rows) = (self.step, self.accounts[side], self.host(side).back_up());
        self.backups[side] = Some(Backup { step, account, rows });
        Ok(())
    }

    pub(super) fn restore(&mut self, side: usize) -> Step {
        if self.backups[side].as_ref().is_none_or(|backup| backup.account != self.accounts[side]) {
            return Ok(());
        }
        // What was copied after the anchor grew last is not found: so it grows.
        self.attend(side)?;
        let (now, step) = (self.time(side), self.step);
        let Some(backup) = self.backups[side].take() else { return Ok(()) };
        self.note(format!("{side} restores the backup of step {}", backup.step));
        self.report.restores += 1;
        self.host(side).crash_next(None);
        self.host(side).restore(&backup.rows);
        if self.mutation == Some(Mutation::ReuseAfterRestore) {
            self.host(side).lose_keychain();
        }
        self.ledger.restored(side, backup.step, step, &backup.rows.1, self.signal);
        self.reasons = [true; 2];
        if !self.anchored {
            self.ledger.unnoticed();
        }
        // The key that opens it is the one of then.
        self.open(side, true)?;
        self.attend(side)?;
        self.tidy(side)?;
        let done = {
            let [alice, bob] = &mut self.hosts;
            let host = if side == 0 { alice } else { bob };
            host.bring(&mut self.relay, now)
        };
        self.opened(side, done)?;
        // In suite `Signal` nothing but a message tells the peer.
        if self.signal || self.rng.happens(50) { self.write(side) } else { self.post(side, 5) }
    }

    pub(super) fn new_account(&mut self, side: usize) -> Step {
        let number = self.accounts[side] + 1;
        if number >= ACCOUNTS {
            return Ok(());
        }
        self.note(format!("{side} makes a new account"));
        self.report.accounts += 1;
        let seed = rand_core::Rng::next_u64(&mut self.rng);
        let (mut host, shelves, page) = account(side, self.signal, number, seed);
        self.relay.stock(host.address(), shelves);
        host.blind = self.mutation == Some(Mutation::SkippedCheck);
        host.keep_sessions(if self.cached[side] { CACHED } else { 0 });
        if !self.anchored {
            host.lose_keychain();
        }
        self.ledger.new_account(side, self.step, self.hosts[1 - side].tables());
        *self.host(side) = host;
        self.accounts[side] = number;
        self.keys[side] = 0;
        self.pages[side] = page;
        self.reasons = [true; 2];
        self.open(side, false)?;
        self.write(side)
    }

    pub(super) fn change_key(&mut self, side: usize) -> Step {
        // A backup opens with the key of then, which this host does not keep.
        if self.backups[side].is_some() {
            return Ok(());
        }
        self.keys[side] += 1;
        let (now, key) = (self.time(side), storage_key(self.keys[side]));
        self.note(format!("{side} changes its storage key"));
        let done = self.host(side).change_storage_key(key, now);
        self.opened(side, done)
    }

    /// The user looks at the other's new identity key, which is accepted if it is the other's, and the user is willing.
    pub(super) fn decide(&mut self, side: usize, willing: bool) -> Step {
        let (peer, now, step) = (address(1 - side), self.time(side), self.step);
        let Some((_, key)) = self.hosts[side].tables().changed().next() else { return Ok(()) };
        let right = self.relay.identity(&peer) == Some(*key);
        let accept = right && willing;
        let done = self.host(side).decide(&peer, accept, now);
        self.note(format!("{side} decides on the new identity: {accept}, {done:?}"));
        // Also where it was done and is not known.
        if self.hosts[side].tables().changed().next().is_none() && right && !accept {
            let tables = self.hosts[side].tables().clone();
            self.ledger.refused(side, step, &tables);
        }
        self.opened(side, done.map(|_| ()))
    }
}
