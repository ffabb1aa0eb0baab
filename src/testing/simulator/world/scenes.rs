//! Directed runs: what is rare where everything can happen, again and again.

use alloc::format;
use alloc::vec::Vec;

use super::wrapping::{liar, rewrapped};
use super::{Broken, DAY_MS, Nature, Report, Step, World};
use crate::testing::simulator::server::Malice;
use crate::wire::{Envelope, EnvelopeKind};

const MINUTE_MS: u64 = 60 * 1000;

/// What may happen in a directed run; which it is, hangs on the seed.
const SCENES: [fn(&mut World) -> Step; 15] = [
    World::prekeys_turn,
    World::much_is_unread,
    World::unread_mail_trickles,
    World::nobody_can_be_asked,
    World::starts_are_wrapped_anew,
    World::starts_are_replayed,
    World::starts_cross,
    World::writes_are_lost,
    World::workers_race,
    World::a_key_is_undecided,
    World::counters_lie,
    World::frames_and_rows_go_back,
    World::frames_and_devices_go_back,
    World::frames_are_left_out,
    World::a_damaged_device_is_forgotten,
];

impl World {
    /// One thing happens again and again; then the server is honest, and all is to be well.
    pub(in crate::testing::simulator) fn directed(&mut self, seed: u64) -> Result<Report, Broken> {
        self.nature = Nature { counted: self.nature.counted, ..Nature::default() };
        self.server.malice = Malice::default();
        self.parties.iter_mut().for_each(|party| party.host.frame(false));
        let at = usize::try_from(seed).unwrap_or_default() % SCENES.len();
        if let Some(scene) = SCENES.get(at) {
            scene(self)?;
        }
        self.good_times()?;
        self.finish()
    }

    /// Everything that has come is read, and nothing else done.
    pub(super) fn read_all(&mut self, user: usize) -> Step {
        let mail = self.mail(user);
        self.receive_all(user, mail)
    }

    fn mail(&mut self, user: usize) -> Vec<Envelope> {
        core::iter::from_fn(|| self.take(user, 0)).collect()
    }

    /// A user writes so much, and it is posted.
    pub(super) fn says(&mut self, user: usize, to: usize, many: usize) -> Step {
        for _ in 0..many {
            self.write_to(user, to);
        }
        self.send(user)
    }

    /// Both say something and read it, so often.
    pub(super) fn talk(&mut self, user: usize, to: usize, turns: usize) -> Step {
        for _ in 0..turns {
            for (user, to) in [(user, to), (to, user)] {
                self.says(user, to, 1)?;
                self.passes(MINUTE_MS);
                self.read_all(to)?;
            }
        }
        Ok(())
    }

    /// A device that talks with another one goes back to before it did, and then is written to.
    pub(super) fn goes_back_behind(&mut self, user: usize, from: usize, many: usize) -> Step {
        self.back_up(user)?;
        let turns = 1 + self.rng.below(3);
        self.talk(user, from, turns)?;
        self.says(from, user, many)?;
        self.restore(user)
    }

    /// Weeks pass. Prekeys turn, uploads fail or arrive unheard; sessions are started, and what starts them is read late.
    fn prekeys_turn(&mut self) -> Step {
        self.server.malice.uploads = 10 * self.rng.below(8);
        for _ in 0..4 + self.rng.below(8) {
            if self.rng.happens(50) {
                self.reset_with(1, 0)?;
                self.says(1, 0, 1)?;
            }
            if self.rng.happens(20) {
                self.uploads_fail(0)?;
            }
            let days = 2 + self.rng.below(8);
            self.passes(u64::try_from(days).unwrap_or_default() * DAY_MS);
            self.note(format!("{days} days pass"));
            if self.rng.happens(80) {
                self.attend(0)?;
                self.prune(0)?;
            }
            if self.rng.happens(30) {
                self.read_all(0)?;
            }
        }
        self.read_all(0)
    }

    /// Of one device more is unread than of most in a life.
    fn much_is_unread(&mut self) -> Step {
        let many = if self.rng.happens(90) { 17 + self.rng.below(60) } else { 150 + self.rng.below(200) };
        self.goes_back_behind(1, 0, many)?;
        self.read_all(1)?;
        self.bring(1)
    }

    /// Mail that cannot be read comes slowly. Whoever could be asked is there, or is not.
    fn unread_mail_trickles(&mut self) -> Step {
        let many = 30 + self.rng.below(20);
        self.goes_back_behind(1, 0, many)?;
        let (late, is_there) = (self.mail(1), self.rng.happens(50));
        // Then one bundle is like another.
        if self.rng.happens(50) {
            let address = self.parties[0].address.clone();
            self.server.sells_out(&address);
        }
        let minutes = 5 + self.rng.below(60);
        for envelope in late {
            self.receive_all(1, [envelope].into())?;
            self.bring(1)?;
            if is_there {
                self.read_all(0)?;
                self.bring(0)?;
                self.says(0, 1, 1)?;
                self.read_all(1)?;
            }
            self.passes(u64::try_from(minutes).unwrap_or_default() * MINUTE_MS);
        }
        Ok(())
    }

    /// Something cannot be read, and who could be asked is not there, or is not reached; clocks are wrong meanwhile.
    fn nobody_can_be_asked(&mut self) -> Step {
        let many = 1 + self.rng.below(3);
        self.goes_back_behind(1, 0, many)?;
        if self.rng.happens(50) {
            let address = self.parties[0].address.clone();
            self.server.sells_out(&address);
        }
        self.read_all(1)?;
        if self.rng.happens(40) {
            self.wrong_clock(1)?;
        }
        self.bring(1)?;
        match self.rng.below(3) {
            0 => {
                for _ in 0..30 {
                    self.passes(DAY_MS / 2);
                    self.bring(1)?;
                }
            }
            1 => self.loses_mail(0),
            _ => {
                for _ in 0..4 {
                    self.loses_mail(0);
                    self.passes(61 * MINUTE_MS);
                    self.bring(1)?;
                }
                self.loses_mail(0);
                self.passes(DAY_MS);
                self.reset_with(0, 1)?;
                self.says(0, 1, 1)?;
                self.read_all(1)?;
            }
        }
        Ok(())
    }

    /// The server drops all that waits for a device.
    fn loses_mail(&mut self, user: usize) {
        for envelope in self.mail(user) {
            self.ledger.dropped(&envelope.id);
        }
    }

    /// Messages that start sessions cannot be read, since their prekey was given out twice; and come in other wrappings.
    fn starts_are_wrapped_anew(&mut self) -> Step {
        let other = self.parties.len() - 1;
        self.says(other, 0, 1)?;
        self.read_all(0)?;
        self.server.malice.twice = 100;
        let user = if other == 2 { 1 } else { other };
        if user == other {
            self.reset_with(user, 0)?;
        }
        let many = 1 + self.rng.below(4);
        self.says(user, 0, many)?;
        self.server.malice.twice = 0;
        for envelope in self.mail(0) {
            for _ in 0..self.rng.below(3) {
                if let Some(wrapped) = rewrapped(&envelope, None, &mut self.rng) {
                    self.receive_all(0, [wrapped].into())?;
                }
            }
            self.receive_all(0, [envelope].into())?;
        }
        self.bring(0)
    }

    /// What has started a session long ago comes again, where nobody knows any more what was read.
    fn starts_are_replayed(&mut self) -> Step {
        let many = 1 + self.rng.below(3);
        self.says(0, 1, many)?;
        let starts = self.mail(1);
        self.receive_all(1, starts.clone())?;
        let turns = 4 + self.rng.below(6);
        self.talk(1, 0, turns)?;
        self.parties[1].host.lose_names();
        for start in &starts {
            let wrapped = rewrapped(start, None, &mut self.rng).filter(|wrapped| wrapped.kind == EnvelopeKind::First);
            for envelope in [wrapped, Some(start.clone())].into_iter().flatten() {
                self.receive_all(1, [envelope].into())?;
                self.bring(1)?;
            }
        }
        Ok(())
    }

    /// Both start sessions at a time, again and again.
    fn starts_cross(&mut self) -> Step {
        for _ in 0..1 + self.rng.below(4) {
            for (user, to) in [(0, 1), (1, 0)] {
                if self.rng.happens(80) {
                    self.reset_with(user, to)?;
                }
                let many = 1 + self.rng.below(3);
                self.says(user, to, many)?;
            }
            for user in [0, 1] {
                if self.rng.happens(70) {
                    self.read_all(user)?;
                }
            }
        }
        self.come_together(0, 1)
    }

    /// Commits that were answered are lost. What is said a while later is read at once.
    fn writes_are_lost(&mut self) -> Step {
        self.nature.losses = true;
        let turns = 1 + self.rng.below(12);
        self.talk(0, 1, turns)?;
        for _ in 0..6 {
            let user = self.rng.below(2);
            // Not a turn of the ratchet as well: what the other one answers to that is read in a new session alone.
            let (mut many, mut sends) = (1 + self.rng.below(6), self.rng.happens(50));
            // Where an exchange of keys begins it is most easily broken.
            if self.rng.happens(50) {
                self.reset_with(user, 1 - user)?;
                self.bring(user)?;
                (many, sends) = (1 + self.rng.below(2), true);
            }
            self.loses(user, |world| {
                if sends {
                    return world.says(user, 1 - user, many);
                }
                world.says(1 - user, user, many)?;
                world.read_all(user)
            })?;
            // What stands at places that were used before is lost.
            self.talk(0, 1, 8)?;
            let unread = |world: &Self| [0, 1].map(|user| world.parties[user].host.tables().unreadable.len());
            let before = unread(self);
            self.talk(0, 1, 4)?;
            if unread(self) != before {
                return Err(Broken::Unhealed);
            }
        }
        Ok(())
    }

    /// What was found unreadable comes again, and another worker reads meanwhile what its sender begins anew with.
    fn workers_race(&mut self) -> Step {
        let many = 1 + self.rng.below(4);
        self.goes_back_behind(1, 0, many)?;
        let unread = self.mail(1);
        self.receive_all(1, unread.clone())?;
        self.reset_with(0, 1)?;
        self.says(0, 1, 1)?;
        let mut starts = self.mail(1);
        for (one, other) in unread.iter().zip(&starts) {
            let now = self.time(1);
            let amid = self.rng.happens(30);
            let answers = self.parties[1].host.race_of_receivers(one, other, amid, now);
            self.look(1);
            match answers {
                Ok(answers) => {
                    for (envelope, answer) in [one, other].into_iter().zip(&answers) {
                        self.ledger.look_for(&envelope.id, self.parties[1].host.tables());
                        self.answered(1, envelope, answer)?;
                    }
                }
                crashed => self.opened(1, crashed.map(|_| ()))?,
            }
        }
        let rest = starts.split_off(unread.len().min(starts.len()));
        self.receive_all(1, rest)
    }

    /// A device is installed anew while something of its former account is unread, and the server gives out bundles of then.
    fn a_key_is_undecided(&mut self) -> Step {
        self.talk(0, 1, 2)?;
        // The bundle of now is known to the server.
        self.reset_with(1, 0)?;
        self.talk(1, 0, 1)?;
        self.says(0, 1, 2)?;
        for mut envelope in self.mail(1) {
            let whole = envelope.clone();
            if let Some(last) = envelope.body.last_mut() {
                *last ^= 1;
            }
            self.deliver_changed(1, &whole, &envelope)?;
            self.ledger.dropped(&whole.id);
        }
        self.new_account(0)?;
        self.says(0, 1, 1)?;
        self.read_all(1)?;
        self.server.malice.old = 100;
        for _ in 0..3 {
            self.bring(1)?;
            self.passes(61 * MINUTE_MS);
        }
        Ok(())
    }

    /// Somebody between changes what stands at the head of messages.
    fn counters_lie(&mut self) -> Step {
        let turns = 1 + self.rng.below(3);
        self.talk(0, 1, turns)?;
        for _ in 0..3 {
            self.says(0, 1, 1)?;
            for envelope in self.mail(1) {
                for _ in 0..6 {
                    let changed = liar(&envelope, &mut self.rng);
                    self.deliver_changed(1, &envelope, &changed)?;
                }
                self.receive_all(1, [envelope].into())?;
            }
        }
        Ok(())
    }
}
