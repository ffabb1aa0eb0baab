//! The end of a run: faults stop, both sides come to rest, and the promises are looked at.

use alloc::format;

use super::{Broken, Crash, Crashed, DAY_MS, Report, SENTINEL, Step, World, address};
use crate::testing::Host;

/// Rounds in which both sides do all they can, before they are said not to come to rest.
const ROUNDS: usize = 40;

/// Most rounds of loading of an operation: four; where others write meanwhile, and no batch checks what came of it, all
/// rows once more, and what these lead to.
const MAX_ROUNDS: usize = 8;

/// The same on many envelopes.
const MAX_ROUNDS_OF_BULK: usize = 6;

/// The longest row of each kind of record: kind, bytes. Sealing adds 50 bytes, and to the vault 98.
const BOUNDS: [(u8, usize); 18] = [
    (1, 1 << 10),
    (2, 1 << 10),
    (3, 1 << 9),
    (4, 6 << 10),
    (7, 641_000),
    (16, 1 << 10),
    (17, 12 << 10),
    (18, 20 << 10),
    (19, 12 << 10),
    (20, 2 << 10),
    (21, 1_300_000),
    (22, 768),
    (23, 4 << 10),
    (24, 8 << 10),
    (25, 70 << 10),
    (27, 2_560),
    (30, 256 << 10),
    (31, 256),
];

impl World {
    /// Faults end: both sides come to rest.
    pub(super) fn end_faults(&mut self) -> Step {
        self.note("faults end".into());
        for side in [0, 1] {
            self.host(side).crash_next(None::<Crash>);
            self.tidy(side)?;
        }
        self.drain()
    }

    /// Both sides do what they can until nothing is left to do.
    fn drain(&mut self) -> Step {
        for round in 0..ROUNDS {
            self.step += 1;
            self.now += DAY_MS / 24;
            let mut quiet = true;
            for side in [0, 1] {
                self.decide(side, true)?;
                let now = self.time(side);
                let [alice, bob] = &mut self.hosts;
                let host = if side == 0 { alice } else { bob };
                // What is due is due once in a day.
                let attended =
                    if round == 0 { host.attend(&mut self.relay, now) } else { host.bring(&mut self.relay, now) };
                let done = attended.and_then(|()| host.send_drafts(&mut self.relay, now));
                self.look();
                self.opened(side, done)?;
                quiet &= self.host(side).outbox().is_empty();
                self.post(side, 0)?;
            }
            for side in [0, 1] {
                while let Some(envelope) = self.take(side, 0) {
                    quiet = false;
                    let now = self.time(side);
                    let answer = self.host(side).receive(&envelope, now);
                    self.look_whether_read(side, &envelope);
                    let Ok(answer) = answer else {
                        self.opened(side, Err(Crashed))?;
                        return Err(Broken::Restless);
                    };
                    self.answered(side, &envelope, answer)?;
                }
            }
            quiet &= self
                .hosts
                .iter()
                .all(|host| host.tables().drafts().is_empty() && host.tables().changed().next().is_none());
            if quiet {
                return Ok(());
            }
        }
        Err(Broken::Restless)
    }

    /// One message each way, and the promises.
    pub(super) fn finish(&mut self) -> Result<Report, Broken> {
        // The first time it may be that one learns of the other's misfortune.
        for round in 0..2 {
            for side in [0, 1] {
                let to = address(1 - side);
                let text = format!("{SENTINEL}: the end, {round}");
                let id = self.host(side).write_draft(&to, text.as_bytes());
                self.note(format!("{side} writes {text}"));
                self.drain()?;
                if round == 1 && !self.hosts[1 - side].tables().inbox.contains_key(&id) {
                    return Err(Broken::Silent);
                }
            }
        }
        let (missing, excused) = self.ledger.settle([self.hosts[0].tables(), self.hosts[1].tables()]);
        if !missing.is_empty() {
            let numbers = self.ledger.numbers(&missing);
            self.note(format!("missing: {numbers:?}"));
            return Err(Broken::Lost(missing.len()));
        }
        let mut report = core::mem::take(&mut self.report);
        report.written = self.ledger.written();
        report.read = report.written - excused.values().sum::<usize>();
        report.excused = excused;
        for host in &self.hosts {
            Self::look_into(host, &mut report)?;
        }
        let came_again: u64 = self.hosts.iter().map(|host| host.tables().came_again()).sum();
        if came_again > 0 && !self.reasons.iter().any(|reason| *reason) {
            return Err(Broken::CameTwice);
        }
        Ok(report)
    }

    fn look_into(host: &Host, report: &mut Report) -> Result<(), Broken> {
        let audit = host.audit();
        report.operations += audit.operations();
        report.conflicts += host.store().counters().conflicts;
        report.rounds = report.rounds.max(audit.rounds());
        report.rounds_of_bulk = report.rounds_of_bulk.max(audit.rounds_of_bulk());
        if host.tables().opened_twice() > 0 {
            return Err(Broken::OpenedTwice);
        }
        if let Some(leak) = audit.leaks().first() {
            return Err(Broken::Leak(leak.clone()));
        }
        if audit.rounds() > MAX_ROUNDS || audit.rounds_of_bulk() > MAX_ROUNDS_OF_BULK {
            return Err(Broken::Rounds(audit.rounds(), audit.deepest().into()));
        }
        for (kind, len) in audit.largest() {
            let largest = report.largest.entry(*kind).or_default();
            *largest = (*largest).max(*len);
            if !BOUNDS.iter().any(|(bounded, bound)| bounded == kind && len <= bound) {
                return Err(Broken::TooLong(*kind, *len));
            }
        }
        Ok(())
    }
}
