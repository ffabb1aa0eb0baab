//! The world of one run, and what can happen in it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::accounts::{LIVES, SENTINEL, START, USERS, account, address, prepare, storage_key};
use super::ledger::{Ledger, Moment};
use super::server::{Malice, Server};
use super::{Broken, Mutation, Report};
use crate::ident::{Address, Timestamp};
use crate::testing::{Crash, Crashed, Host, SeededRng, Snapshot, Tables};

mod clocks;
mod devices;
mod finish;
mod framing;
mod mail;
mod scenes;
mod wrapping;

pub(super) use wrapping::{name_of, tag_of};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Devices with which a device that does so keeps sessions in memory.
const CACHED: usize = 2;

type Step = Result<(), Broken>;

struct Backup {
    at: Moment,
    life: usize,
    rows: (Snapshot, Tables),
}

/// A user's device.
struct Party {
    host: Host,
    address: Address,
    /// How many accounts it had before.
    life: usize,
    /// How often its storage key was changed.
    key: usize,
    /// By how much its clock is wrong, in milliseconds.
    clock: i64,
    /// When it is switched on again.
    wakes: u64,
    cached: bool,
    backup: Option<Backup>,
    /// Rows of before, one of which may be put back.
    old: Option<Snapshot>,
    /// Where it has others in its index.
    pages: BTreeMap<Address, u8>,
}

/// What a run is like.
#[derive(Debug, Clone, Copy, Default)]
struct Nature {
    signal: bool,
    /// Whether users make new accounts, and restore backups, and have a place for the rollback counter.
    moves: bool,
    restores: bool,
    counted: bool,
    /// Whether single rows are put back, and commits are lost.
    rows: bool,
    losses: bool,
    /// Whether clocks are a year off for an hour.
    clocks: bool,
    /// Whether all that users write is framed.
    framed: bool,
    /// How often the server changes, withholds and replays envelopes, in a hundred.
    garbled: usize,
    withheld: usize,
    replayed: usize,
}

pub(super) struct World {
    nature: Nature,
    small: bool,
    /// The server is honest, from now on.
    good: bool,
    mutation: Option<Mutation>,
    rng: SeededRng,
    now: u64,
    step: u64,
    steps: u64,
    parties: Vec<Party>,
    server: Server,
    pub(super) ledger: Ledger,
    /// What went out in suite `Signal`, under which message key.
    signal_keys: BTreeMap<(usize, Vec<u8>, u32), Vec<u8>>,
    /// In which session of suite V1 each last sent to each.
    tags: BTreeMap<(usize, usize), [u8; 8]>,
    report: Report,
    trace: Vec<String>,
}

impl World {
    /// `cached`: whether devices keep sessions in memory, by turns. `small`: two or three devices.
    pub(super) fn new(seed: u64, mutation: Option<Mutation>, cached: [bool; 2], small: bool) -> Self {
        let mut rng = SeededRng::new(seed);
        let mut nature = Nature::draw(&mut rng, mutation, small);
        // Not drawn, so that other runs are what they were.
        if (seed / 4) % 8 == 5 && mutation.is_none() && !nature.signal {
            nature.is_framed();
        }
        let signal = nature.signal;
        let users = if signal { 2 } else { how_many(&mut rng, small) };
        let malice = if rng.happens(50) { malice(&mut rng) } else { Malice::default() };
        // All that this run may need are made before it is watched what is sealed.
        prepare(users, signal);
        let mut server = Server::new(seed, START.get(), malice);
        let mut ledger = Ledger::default();
        let mut parties = Vec::new();
        for user in 0..users {
            ledger.is_at(user, address(user));
            let made = account(user, 0, signal);
            server.registers(&address(user), &made.prekey_stores);
            let mut host = made.host(seed ^ (u64::try_from(user).unwrap_or_default() << 48));
            host.blind = mutation == Some(Mutation::SkippedCheck);
            let cached = cached[user % 2];
            host.keep_sessions(if cached { CACHED } else { 0 });
            host.frame(nature.framed);
            if !nature.counted {
                host.lose_keychain();
            }
            parties.push(Party {
                host,
                address: address(user),
                life: 0,
                key: 0,
                clock: 0,
                wakes: 0,
                cached,
                backup: None,
                old: None,
                pages: made.pages.clone(),
            });
        }
        let steps = if small { 30 + rng.below(40) } else { 50 + rng.below(50) + 2 * users.min(60) };
        let mut world = Self {
            nature,
            small,
            good: false,
            mutation,
            rng,
            now: START.get(),
            step: 0,
            steps: u64::try_from(steps).unwrap_or_default(),
            parties,
            server,
            ledger,
            signal_keys: BTreeMap::new(),
            tags: BTreeMap::new(),
            report: Report::default(),
            trace: Vec::new(),
        };
        world.note(format!("{users} devices, {nature:?}, {malice:?}"));
        world
    }

    pub(super) fn into_trace(self) -> Vec<String> {
        self.trace
    }

    /// All that the library has written.
    #[cfg(test)]
    pub(super) fn rows(&self) -> Vec<Snapshot> {
        self.parties.iter().map(|party| party.host.store().snapshot()).collect()
    }

    fn note(&mut self, what: String) {
        self.trace.push(format!("{:3} day {}: {what}", self.step, self.day()));
    }

    const fn day(&self) -> u64 {
        (self.now - START.get()) / DAY_MS
    }

    /// What a device's clock shows.
    fn time(&self, user: usize) -> Timestamp {
        Timestamp::new(self.now.saturating_add_signed(self.parties[user].clock))
    }

    fn is_awake(&self, user: usize) -> bool {
        self.parties[user].wakes <= self.now
    }

    /// The one with whom everybody talks, in a world of many; any other in a small one.
    fn peer_of(&mut self, user: usize) -> usize {
        let users = self.parties.len();
        if user >= USERS {
            return 0;
        }
        let other = self.rng.below(users - 1);
        if other >= user { other + 1 } else { other }
    }

    pub(super) fn run(&mut self) -> Result<Report, Broken> {
        self.bad_times()?;
        self.good_times()?;
        self.finish()
    }

    /// Everything that can happen, happens.
    fn bad_times(&mut self) -> Step {
        while self.step < self.steps {
            self.step += 1;
            let pause = u64::try_from(self.rng.below(60_000)).unwrap_or(0);
            self.passes(1 + pause);
            let mut user = self.rng.below(self.parties.len());
            // In a world of many the one whom all write to has the most to do.
            if self.parties.len() > USERS && self.rng.happens(50) {
                user = 0;
            }
            if !self.is_awake(user) {
                self.elapse()?;
                continue;
            }
            self.anything(user)?;
            self.look(user);
        }
        Ok(())
    }

    fn passes(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.server.now = self.now;
        self.ledger.time = Timestamp::new(self.now);
    }

    /// One thing that can happen to a device.
    fn anything(&mut self, user: usize) -> Step {
        if self.rng.happens(6) {
            let crash = [Crash::Before, Crash::After, Crash::Unknown][self.rng.below(3)];
            self.note(format!("{user} will crash: {crash:?}"));
            self.report.crashes += 1;
            self.parties[user].host.crash_next(Some(crash));
        }
        if self.nature.rows && self.rng.happens(10) {
            self.parties[user].old = Some(self.parties[user].host.store().snapshot());
        }
        let Nature { moves, restores, rows, losses, clocks, replayed, .. } = self.nature;
        match self.rng.below(200) {
            0..54 => self.write(user),
            54..120 => self.deliver(user),
            120..132 => self.deliver_many(user),
            132..140 => self.race(user),
            140..150 => self.elapse(),
            150..154 => self.attend(user),
            154..157 => self.reset(user),
            157..164 => self.back_up(user),
            164..168 if restores => self.restore(user),
            168..170 if moves => self.new_account(user),
            170..172 => self.change_key(user),
            172..175 => self.sleep(user),
            175..180 if rows => self.put_row_back(user),
            180..183 if losses => self.lose_write(user),
            183..186 if clocks => self.wrong_clock(user),
            186..188 => self.uploads_fail(user),
            188..191 => self.burst(user),
            191..196 if replayed > 0 => self.replay(user),
            _ => {
                let willing = self.rng.happens(70);
                self.decide(user, willing)
            }
        }
    }

    /// Whoever has crashed is opened again, perhaps after having crashed once more.
    fn opened(&mut self, user: usize, done: Result<(), Crashed>) -> Step {
        if done == Err(Crashed) {
            if let Some(stuck) = self.parties[user].host.audit().stuck() {
                return Err(Broken::Stuck(stuck.into()));
            }
            self.note(format!("{user} has crashed"));
            self.open(user, false)?;
        }
        Ok(())
    }

    fn open(&mut self, user: usize, restored: bool) -> Step {
        let now = self.time(user);
        let rolled_back = loop {
            if let Ok(rolled_back) = self.parties[user].host.open(now) {
                break rolled_back;
            }
        };
        match (rolled_back, restored) {
            (false, true) if self.nature.counted && self.mutation != Some(Mutation::ReuseAfterRestore) => {
                Err(Broken::RollbackMissed)
            }
            // A vault that was put back is an older database as far as anybody can tell.
            (true, false) if !self.nature.rows && !self.nature.losses => Err(Broken::RollbackInvented),
            _ => Ok(()),
        }
    }

    fn look(&mut self, user: usize) {
        let time = Timestamp::new(self.now);
        let clock = self.parties[user].clock;
        let told = self.ledger.look_at(user, &self.parties[user].host, self.step, (time, clock));
        told.into_iter().for_each(|what| self.note(what));
    }
}

impl Nature {
    /// All that is written is framed. Of two rows that are put back as they were at one time nothing shows, nor of a
    /// database that goes back where no rollback counter tells: then a device tells two stories, and nothing can be held
    /// against who says so.
    const fn is_framed(&mut self) {
        self.framed = true;
        self.losses = false;
        self.restores &= self.counted;
    }

    fn draw(rng: &mut SeededRng, mutation: Option<Mutation>, small: bool) -> Self {
        let signal = !small && rng.happens(20);
        // That defect shows only where a backup is restored.
        let restores = rng.happens(35) || mutation == Some(Mutation::ReuseAfterRestore);
        // Without a place for the rollback counter, suite `Signal` may repeat keys, and says so.
        let counted = signal || rng.happens(85);
        Self {
            signal,
            moves: rng.happens(20),
            restores,
            counted,
            rows: !signal && rng.happens(20),
            losses: !signal && rng.happens(25),
            clocks: rng.happens(25),
            framed: false,
            garbled: if rng.happens(50) { 4 } else { 0 },
            withheld: if rng.happens(40) { 4 } else { 0 },
            replayed: if rng.happens(50) { 5 } else { 0 },
        }
    }
}

/// How many devices there are: mostly few.
fn how_many(rng: &mut SeededRng, small: bool) -> usize {
    match rng.below(1000) {
        0..650 => 2,
        650..900 => 3,
        _ if small => 3,
        900..980 => 4 + rng.below(USERS - 3),
        980..997 => USERS + rng.below(20),
        _ => 300,
    }
}

fn malice(rng: &mut SeededRng) -> Malice {
    let mut often = |percent| if rng.happens(50) { percent } else { 0 };
    Malice { twice: often(30), old: often(30), garbled: often(15), bare: often(50), uploads: often(40) }
}
