//! Directed runs of framed conversations, and of rows that are damaged or put back.

use super::{Step, World};
use crate::wire::RecordKind;

impl World {
    /// All that is written is framed from now on.
    fn frames(&mut self) {
        self.nature.is_framed();
        self.parties.iter_mut().for_each(|party| party.host.frame(true));
    }

    /// Of what is written with every framed message, one row is put back.
    pub(super) fn frames_and_rows_go_back(&mut self) -> Step {
        self.frames();
        let turns = 1 + self.rng.below(4);
        self.talk(0, 1, turns)?;
        let user = self.rng.below(2);
        self.parties[user].old = Some(self.parties[user].host.store().snapshot());
        let turns = self.rng.below(4);
        self.talk(0, 1, turns)?;
        if self.rng.happens(80) {
            self.says(user, 1 - user, 1)?;
        }
        self.read_all(1 - user)?;
        let kind = if self.rng.happens(60) { RecordKind::Framing } else { RecordKind::Peer };
        self.put_back(user, &[kind.number()])?;
        let turns = 1 + self.rng.below(4);
        self.talk(user, 1 - user, turns)
    }

    /// A whole database goes back, and its rollback counter tells.
    pub(super) fn frames_and_devices_go_back(&mut self) -> Step {
        self.frames();
        if !self.nature.counted {
            return self.talk(0, 1, 3);
        }
        let turns = 1 + self.rng.below(3);
        self.talk(0, 1, turns)?;
        let many = 1 + self.rng.below(20);
        self.goes_back_behind(1, 0, many)?;
        self.read_all(1)?;
        let turns = 1 + self.rng.below(3);
        self.talk(1, 0, turns)
    }

    /// Somebody writes without a frame where all is framed: it waits until the other user lets it in.
    pub(super) fn frames_are_left_out(&mut self) -> Step {
        self.frames();
        let turns = 1 + self.rng.below(3);
        self.talk(0, 1, turns)?;
        self.parties[0].host.frame(false);
        let many = 1 + self.rng.below(4);
        self.says(0, 1, many)?;
        self.parties[0].host.frame(true);
        let many = self.rng.below(3);
        self.says(0, 1, many)?;
        self.read_all(1)
    }

    /// What is kept of a device does not open, and is deleted; the device is another one when it writes next.
    pub(super) fn a_damaged_device_is_forgotten(&mut self) -> Step {
        let turns = 1 + self.rng.below(3);
        self.talk(0, 1, turns)?;
        let rows = self.parties[0].host.store().rows();
        for (key, mut row) in
            rows.into_iter().filter(|(key, _)| key.as_bytes().first() == Some(&RecordKind::Peer.number()))
        {
            row.bytes.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
            self.parties[0].host.store().tamper(key, Some(row));
        }
        self.note("what 0 keeps of 1 is damaged".into());
        self.report.rows_back += 1;
        self.ledger.row_put_back(0);
        self.says(0, 1, 1)?;
        if self.rng.happens(50) {
            self.new_account(1)?;
        }
        self.says(1, 0, 1)?;
        self.read_all(0)
    }
}
