//! Time: days that pass, devices that sleep, clocks that are wrong, upkeep that is due.

use alloc::format;

use super::{Broken, DAY_MS, Step, World};
use crate::client::Publication;

/// The longest sleep: 90 days.
const LONGEST: usize = 90;

const HOUR_MS: u64 = 60 * 60 * 1000;

impl World {
    /// Days pass, mostly few.
    pub(super) fn elapse(&mut self) -> Step {
        for user in 0..self.parties.len() {
            if self.is_awake(user) {
                self.post(user, 0)?;
            }
        }
        let days = if self.rng.happens(85) { 1 + self.rng.below(6) } else { 7 + self.rng.below(30) };
        self.passes(u64::try_from(days).unwrap_or(0) * DAY_MS);
        self.note(format!("{days} days pass"));
        for envelope in self.server.expire() {
            let which = self.ledger.named(&envelope.id);
            self.note(format!("{which} is too old, and dropped"));
            self.ledger.expired(&envelope.id);
        }
        if self.rng.happens(20) {
            let user = self.rng.below(self.parties.len());
            let hours = i64::try_from(self.rng.below(61)).unwrap_or(0) - 30;
            self.report.clocks += 1;
            self.parties[user].clock = hours * 60 * 60 * 1000;
            self.note(format!("the clock of {user} is {hours} hours wrong"));
        }
        for user in 0..self.parties.len() {
            // Of very many most have nothing to do.
            let due = if self.parties.len() > 30 && user > 0 { 2 } else { 80 };
            if self.is_awake(user) && self.rng.happens(due) {
                self.attend(user)?;
                self.prune(user)?;
            }
        }
        Ok(())
    }

    /// A device is switched off.
    pub(super) fn sleep(&mut self, user: usize) -> Step {
        let days = if self.rng.happens(50) { 1 + self.rng.below(14) } else { 15 + self.rng.below(LONGEST - 14) };
        self.parties[user].wakes = self.now + u64::try_from(days).unwrap_or(0) * DAY_MS;
        self.report.sleeps += 1;
        self.note(format!("{user} sleeps for {days} days"));
        Ok(())
    }

    /// For an hour a device's clock is a year off, and it does what it does.
    pub(super) fn wrong_clock(&mut self, user: usize) -> Step {
        let year = i64::try_from(365 * DAY_MS).unwrap_or(i64::MAX);
        let (right, wrong) = (self.parties[user].clock, if self.rng.happens(50) { year } else { -year });
        self.note(format!("the clock of {user} is a year off: {}", wrong > 0));
        self.report.clocks += 1;
        self.parties[user].clock = wrong;
        if self.rng.happens(50) {
            self.deliver(user)?;
        }
        if self.rng.happens(70) {
            self.attend(user)?;
            self.prune(user)?;
        }
        if self.rng.happens(50) {
            self.write(user)?;
        }
        if self.rng.happens(50) {
            self.deliver(user)?;
        }
        self.passes(HOUR_MS);
        self.parties[user].clock = right;
        self.note(format!("the clock of {user} is right again"));
        // Twice wrong in the same way, a day apart, with nothing right in between, is not wrong for an hour.
        self.attend(user)
    }

    /// For weeks the server takes no prekeys of a device; or says that none are left.
    pub(super) fn uploads_fail(&mut self, user: usize) -> Step {
        let address = self.parties[user].address.clone();
        if self.rng.happens(30) {
            self.note(format!("the server counts no prekeys of {user}"));
            self.server.counts_nothing.insert(address);
        } else {
            let days = 7 + self.rng.below(50);
            self.note(format!("uploads of {user} fail for {days} days"));
            self.server.failing.insert(address, self.now + u64::try_from(days).unwrap_or(0) * DAY_MS);
        }
        Ok(())
    }

    pub(super) fn attend(&mut self, user: usize) -> Step {
        let now = self.time(user);
        // Another process has uploaded, some time ago, and hears only now that it arrived.
        if self.rng.happens(30)
            && let Some(upload) = self.server.late_news(&self.parties[user].address)
        {
            let is_last = self.server.stored_prekeys.told(&self.parties[user].address, upload);
            let told = self.parties[user].host.run(now, |client| client.published(upload), |_, _| {});
            if told == Ok(Ok(Publication::Confirmed)) && !is_last && self.ledger.is_unspoilt(user) {
                return Err(Broken::Prekeys);
            }
            self.note(format!("{user} hears of an upload: {told:?}"));
            self.opened(user, told.map(|_| ()))?;
        }
        let done = self.parties[user].host.attend(&mut self.server, now);
        self.note(format!("{user} attends"));
        self.look(user);
        self.opened(user, done)?;
        self.post(user, 5)
    }

    /// The pages that others are on: the rest are empty.
    pub(super) fn prune(&mut self, user: usize) -> Step {
        let now = self.time(user);
        let others = self.parties.iter().map(|party| &party.address);
        let pages: alloc::collections::BTreeSet<_> =
            others.filter_map(|address| self.parties[user].pages.get(address)).copied().collect();
        for page in pages {
            let done = self.parties[user].host.prune(page, now).map(|_| ());
            self.opened(user, done)?;
        }
        Ok(())
    }
}
