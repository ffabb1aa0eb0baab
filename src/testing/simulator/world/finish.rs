//! The end of a run: the server is honest, clocks are right, all devices run. What is in the world is read, and whoever
//! cannot be served is told.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::{Broken, Report, USERS, World};
use crate::testing::simulator::ends::{End, Loss};
use crate::testing::{Crash, Host};

/// Rounds in which all do all they can and nothing gets better, before they are said not to come to rest. In each, what was
/// written in the one before is delivered; between them an hour passes and some minutes. So it is longer than a day, which
/// the limits of repair are for: where hundreds of messages are missing, it takes several.
const ROUNDS: usize = 30;

/// From a bad state of few devices it takes no more rounds, and no more envelopes that nobody asked for.
const FEW_ROUNDS: usize = 12;
const FEW_ENVELOPES: usize = 40;

/// Bundles of one device that each other one fetches in a day, at most: for sixteen questions, for a session an hour where more
/// is asked for than may be answered, and some for what its user does.
const MOST_CLAIMED: u64 = 50;

/// Messages each way until two devices send in one session: one that waits for the other gives way after 64.
const TURNS: usize = 150;

const ROUND_MS: u64 = 61 * 60 * 1000;

/// Most rounds of loading of an operation: four; where others write meanwhile, and no batch checks what came of it, all
/// rows once more, and what these lead to.
const MAX_ROUNDS: usize = 8;

/// The same on many envelopes.
const MAX_ROUNDS_OF_BULK: usize = 8;

/// The longest row of each kind of record: kind, bytes. Sealing adds 50 bytes, and to the vault 98.
const BOUNDS: [(u8, usize); 25] = [
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
    (26, 40 << 10),
    (27, 2_560),
    (28, 512),
    (29, 256),
    (30, 256 << 10),
    (31, 256),
    (32, 1_200),
    (33, 16 << 10),
    (34, 128),
    (35, 12 << 10),
];

/// How a world came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recovery {
    pub(super) rounds: usize,
    pub(super) envelopes: usize,
}

impl World {
    /// From a bad state to one in which all is well, in few rounds and with few envelopes.
    pub(in crate::testing::simulator) fn recover(&mut self) -> Result<Report, Broken> {
        self.bad_times()?;
        let recovery = self.good_times()?;
        if recovery.rounds > FEW_ROUNDS || recovery.envelopes > FEW_ENVELOPES {
            return Err(Broken::Slow(recovery.rounds, recovery.envelopes));
        }
        self.finish()
    }

    /// All that was wrong is right, from now on.
    pub(super) fn good_times(&mut self) -> Result<Recovery, Broken> {
        self.note("good times begin".into());
        self.server.mend();
        self.good = true;
        for user in 0..self.parties.len() {
            self.parties[user].host.crash_next(None::<Crash>);
            (self.parties[user].clock, self.parties[user].wakes) = (0, 0);
        }
        for envelope in self.server.expire() {
            self.ledger.expired(&envelope.id);
        }
        let before = self.ledger.monitor.questions();
        let rounds = self.come_to_rest()?;
        let recovery = Recovery { rounds, envelopes: self.ledger.monitor.questions() - before };
        self.report.rounds_to_rest = recovery.rounds;
        self.report.envelopes_to_rest = recovery.envelopes;
        Ok(recovery)
    }

    /// All do what they can until nothing is left to do. How many rounds it took until all was where it belongs.
    fn come_to_rest(&mut self) -> Result<usize, Broken> {
        let (mut lost, mut fewest, mut since) = (BTreeMap::new(), usize::MAX, 0);
        for round in 0.. {
            self.step += 1;
            self.passes(ROUND_MS);
            let quiet = self.round(round)?;
            lost = self.losses();
            if quiet && lost.is_empty() {
                return Ok(round);
            }
            let count = lost.values().map(Vec::len).sum();
            if count < fewest {
                (fewest, since) = (count, round);
                if count > 0 {
                    self.note(format!("missing: {lost:?}"));
                }
            }
            if round - since >= ROUNDS {
                break;
            }
        }
        self.note(format!("missing: {lost:?}"));
        for user in 0..self.parties.len() {
            let tables = self.parties[user].host.tables();
            let (told, changed) = (tables.told.clone(), tables.changed().count());
            self.note(format!("{user} waits, has drafts: {:?}, keys to decide upon: {changed}", told.values()));
        }
        if lost.is_empty() {
            return Err(Broken::Restless);
        }
        Err(Broken::Lost(lost.into_iter().map(|(loss, numbers)| (loss, numbers.len())).collect()))
    }

    fn losses(&self) -> BTreeMap<Loss, Vec<usize>> {
        self.settled().1
    }

    fn settled(&self) -> (BTreeMap<End, usize>, BTreeMap<Loss, Vec<usize>>) {
        let hosts: Vec<_> = self.parties.iter().map(|party| &party.host).collect();
        let identities: Vec<_> = self.parties.iter().map(|party| self.server.identity(&party.address)).collect();
        self.ledger.settle(&hosts, &identities, self.nature.signal)
    }

    /// Everybody does what is to be done, and reads what has come. Whether nothing had come, and nothing was sent.
    fn round(&mut self, round: usize) -> Result<bool, Broken> {
        let mut quiet = true;
        for user in 0..self.parties.len() {
            self.decide(user, true)?;
            let now = self.time(user);
            let host = &mut self.parties[user].host;
            // What is due is due once in a day.
            let daily = round.is_multiple_of(24);
            let done = if daily { host.attend(&mut self.server, now) } else { host.bring(&mut self.server, now) };
            let done = done.and_then(|()| host.send_drafts(&mut self.server, now));
            self.look(user);
            self.opened(user, done)?;
            self.mend(user)?;
            if daily {
                self.prune(user)?;
            }
            quiet &= self.parties[user].host.outbox().is_empty();
            self.post(user, 0)?;
        }
        for user in 0..self.parties.len() {
            let mail: Vec<_> = core::iter::from_fn(|| self.take(user, 0)).collect();
            quiet &= mail.is_empty();
            if mail.len() > 1 && self.rng.happens(50) {
                self.receive_all(user, mail)?;
            } else {
                mail.iter().try_for_each(|envelope| self.deliver_as_it_is(user, envelope))?;
            }
        }
        let waits = |host: &Host| !host.tables().drafts().is_empty() || host.tables().changed().next().is_some();
        Ok(quiet && !self.parties.iter().any(|party| waits(&party.host)))
    }

    /// A message each way between those who talk, and the sum.
    pub(super) fn finish(&mut self) -> Result<Report, Broken> {
        let users = self.parties.len().min(USERS);
        let pairs: Vec<_> = (0..users).map(|user| (user, (user + 1) % users)).collect();
        // It may be by the first that one learns of the other's misfortune.
        for last in [false, true] {
            for (user, to) in pairs.iter().flat_map(|(user, to)| [(*user, *to), (*to, *user)]) {
                let id = self.write_to(user, to);
                self.come_to_rest()?;
                // Nobody asks there: users see that nothing comes, and begin anew.
                if self.nature.signal && !last {
                    self.reset_with(user, to)?;
                }
                if last && !self.parties[to].host.tables().inbox.contains_key(&id) {
                    return Err(Broken::Silent);
                }
            }
        }
        for (user, to) in pairs {
            self.come_together(user, to)?;
        }
        self.come_to_rest()?;
        self.sum()
    }

    /// Two devices that write to each other come to send in one session, sooner or later.
    pub(super) fn come_together(&mut self, user: usize, to: usize) -> Result<(), Broken> {
        for _ in 0..TURNS {
            if self.tags.get(&(user, to)) == self.tags.get(&(to, user)) {
                return Ok(());
            }
            for (user, to) in [(user, to), (to, user)] {
                self.write_to(user, to);
                // There, whoever writes at the same time may never stop.
                if self.nature.signal {
                    self.step += 1;
                    self.passes(ROUND_MS);
                    self.round(1)?;
                }
            }
            self.round(1)?;
        }
        Err(Broken::Apart)
    }

    fn sum(&mut self) -> Result<Report, Broken> {
        let (ends, losses) = self.settled();
        if !losses.is_empty() {
            return Err(Broken::Lost(losses.into_iter().map(|(loss, numbers)| (loss, numbers.len())).collect()));
        }
        if self.ledger.monitor.is_too_much() {
            return Err(Broken::Chatty(self.ledger.monitor.most_in_a_day(), self.ledger.monitor.unasked()));
        }
        if let Some((by, to)) = self.ledger.starts.needless() {
            return Err(Broken::Needless(by, to));
        }
        if self
            .server
            .stored_prekeys
            .hasty()
            .any(|by| self.ledger.user(by).is_some_and(|user| self.ledger.is_unspoilt(user)))
        {
            return Err(Broken::Prekeys);
        }
        if self.ledger.went_to_another_key() {
            return Err(Broken::OtherKey);
        }
        if let Some(number) = self.ledger.answered_too_often() {
            self.note(format!("message {number} was sent again too often"));
            return Err(Broken::AnsweredTwice);
        }
        let mut report = core::mem::take(&mut self.report);
        report.written = self.ledger.written();
        report.ends = ends;
        report.unasked = self.ledger.monitor.unasked();
        report.unasked_in_a_day = self.ledger.monitor.most_in_a_day();
        report.claimed_in_a_day = self.server.claimed.values().copied().max().unwrap_or_default();
        if report.claimed_in_a_day > MOST_CLAIMED * u64::try_from(self.parties.len()).unwrap_or_default() {
            return Err(Broken::Claimed(report.claimed_in_a_day));
        }
        report.days = self.day();
        report.devices = self.parties.len();
        let again = self.parties.iter().flat_map(|party| &party.host.tables().came_again);
        let again: Vec<_> = again.filter(|id| !self.ledger.may_come_again(id)).copied().collect();
        if let Some(id) = again.first() {
            let which = self.ledger.number(id);
            self.note(format!("message {which:?} has come twice"));
            return Err(Broken::CameTwice);
        }
        for (user, party) in self.parties.iter().enumerate() {
            Self::look_into(&party.host, &mut report)?;
            let tables = party.host.tables();
            // Who puts a session's row back has its messages opened again; the host's table still knows them.
            if tables.opened_twice() > 0 && report.rows_back == 0 {
                return Err(Broken::OpenedTwice);
            }
            if let Some(what) = self.ledger.misplaced(user, tables) {
                self.note(what);
                return Err(Broken::Misplaced);
            }
            if !tables.blamed.is_empty() {
                return Err(Broken::Blamed);
            }
            if tables.mistaken > 0 {
                return Err(Broken::Mistaken);
            }
            if tables.old_rows > 0 && report.rows_back == 0 {
                return Err(Broken::RollbackInvented);
            }
            if self.nature.framed {
                self.reports_hold(&party.host)?;
            }
            if self.ledger.is_misnamed(tables) {
                return Err(Broken::Misnamed);
            }
            if tables.idle_wants > 0 && self.ledger.starts.is_at_rest(user) {
                return Err(Broken::Idle);
            }
            // Rows that are put back say what they like.
            if report.rows_back == 0 && tables.untrue > 0 {
                return Err(Broken::Untrue);
            }
            if report.rows_back == 0 && tables.asked_undecided > 0 {
                return Err(Broken::AskedUndecided);
            }
        }
        Ok(report)
    }

    /// What was read can be proven, and whoever wrote it honestly is blamed for nothing.
    fn reports_hold(&self, host: &Host) -> Result<(), Broken> {
        for party in &self.parties {
            let Some(verdict) = host.report(&party.address, &self.server.stamps.keys) else { continue };
            let verdict = verdict.map_err(|error| Broken::Report(format!("{error}")))?;
            if let Some((_, why)) = verdict.rejected.first() {
                return Err(Broken::Report(format!("{why}")));
            }
            if verdict.findings.iter().any(|finding| finding.blames().is_some()) {
                return Err(Broken::Blamed);
            }
        }
        Ok(())
    }

    fn look_into(host: &Host, report: &mut Report) -> Result<(), Broken> {
        let audit = host.audit();
        report.operations += audit.operations();
        report.conflicts += host.store().counters().conflicts;
        report.rounds = report.rounds.max(audit.rounds());
        report.rounds_of_bulk = report.rounds_of_bulk.max(audit.rounds_of_bulk());
        if let Some(leak) = audit.leaks().first() {
            return Err(Broken::Leak(leak.clone()));
        }
        if audit.rounds() > MAX_ROUNDS || audit.rounds_of_bulk() > MAX_ROUNDS_OF_BULK {
            return Err(Broken::Rounds(audit.rounds().max(audit.rounds_of_bulk()), audit.deepest().into()));
        }
        for (kind, len) in audit.largest() {
            let largest = report.largest.entry(*kind).or_default();
            *largest = (*largest).max(*len);
            if !BOUNDS.iter().any(|(bounded, bound)| bounded == kind && len <= bound) {
                return Err(Broken::TooLong(*kind, *len));
            }
        }
        // Of one's own prekeys and the account nothing grows with peers.
        let rows = host.store().snapshot();
        let of_peers = rows.rows().filter(|(key, _)| matches!(key.as_bytes().first(), Some(17..=23 | 25..)));
        let bytes: usize = of_peers.map(|(_, row)| row.bytes.len()).sum();
        report.bytes_of_peers = report.bytes_of_peers.max(bytes);
        Ok(())
    }
}
