//! Whatever happens to people in any order, from seeds: at the end, with an honest server, everything that was written between
//! them has come to every device that is listed, once, and nobody else has read it.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::rand_core::Rng;
use subrosa::client::Client;
use subrosa::ident::{Address, MessageId, UserId};
use subrosa::persist::StorageKey;

use crate::world::{Rows, World, user};

/// What was written, and which devices were listed when it was.
struct Written {
    id: MessageId,
    text: String,
    from: usize,
    to: &'static str,
    listed: BTreeSet<Address>,
}

struct Soak {
    world: World,
    /// Devices of each user, the primary first.
    people: BTreeMap<&'static str, Vec<usize>>,
    /// Those that were removed: whoever has them goes on with them.
    gone: Vec<usize>,
    written: Vec<Written>,
    /// Databases as they were, and whose were put back.
    backups: Vec<(usize, Rows)>,
    restored: BTreeSet<usize>,
    /// The highest version of each roster that was ever published.
    newest: BTreeMap<UserId, u64>,
    steps: Vec<String>,
}

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

impl Soak {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let people = NAMES.map(|name| (name, vec![world.person(name)])).into();
        let (backups, restored, newest) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
        Self { world, people, gone: Vec::new(), written: Vec::new(), backups, restored, newest, steps: Vec::new() }
    }

    fn draw(&mut self, below: usize) -> usize {
        usize::try_from(self.world.rng.next_u32()).unwrap() % below
    }

    fn somebody(&mut self) -> &'static str {
        NAMES[self.draw(NAMES.len())]
    }

    fn device_of(&mut self, name: &str) -> usize {
        let mut devices = self.people[name].clone();
        devices.retain(|at| !self.world.devices[*at].wiped);
        devices[self.draw(devices.len())]
    }

    /// The roster that the server has, whatever it says.
    fn listed(&self, name: &str) -> BTreeSet<Address> {
        let devices = self.people[name].iter();
        devices.map(|at| self.world.address(*at)).collect()
    }

    fn write(&mut self) {
        let (from, to) = (self.somebody(), self.somebody());
        if from == to {
            return;
        }
        let at = self.device_of(from);
        let text = format!("{} to {to}", self.written.len());
        self.steps.push(format!("{at} writes {text}"));
        let id = self.world.write(at, &user(to), text.as_bytes());
        let listed = self.listed(to);
        self.written.push(Written { id, text, from: at, to, listed });
    }

    fn link(&mut self) {
        let name = self.somebody();
        let primary = self.people[name][0];
        if self.people[name].len() < 4 && self.is_ready(name) {
            let linked = self.world.link(primary);
            self.steps.push(format!("{name} links {linked}"));
            self.people.get_mut(name).unwrap().push(linked);
        }
    }

    fn remove(&mut self) {
        let name = self.somebody();
        let devices = &self.people[name];
        if devices.len() < 2 || !self.is_ready(name) {
            return;
        }
        let place = 1 + self.draw(self.people[name].len() - 1);
        let gone = self.people.get_mut(name).unwrap().remove(place);
        self.steps.push(format!("{name} removes {gone}"));
        self.world.remove(self.people[name][0], gone);
        self.gone.push(gone);
    }

    /// Whether a primary waits for nothing, and knows what the directory has: one that was put back asks first.
    fn is_ready(&self, name: &str) -> bool {
        let (primary, mut rng) = (&self.world.devices[self.people[name][0]], self.world.rng.clone());
        let own = crate::world::run(primary.client.own_roster(), &mut primary.rows.clone(), self.world.now, &mut rng);
        let own = own.0.unwrap();
        own.pending.is_none() && own.published.unwrap().version() == self.newest[&user(name)]
    }

    /// Whether the directory gives what it has, and that is what was published last.
    fn is_honest(&self) -> bool {
        let mut rosters = self.world.server.rosters.iter();
        !self.world.server.withholds && rosters.all(|(name, (held, _))| held.roster().version() == self.newest[name])
    }

    /// The directory goes back, says nothing, or speaks again.
    fn directory(&mut self, history: &[BTreeMap<UserId, (subrosa::account::HeldRoster, Vec<u8>)>]) {
        match self.draw(3) {
            0 => self.world.server.withholds = true,
            1 => self.world.server.withholds = false,
            _ => {
                let name = user(self.somebody());
                let before = self.draw(history.len());
                if let Some(old) = history[before].get(&name) {
                    self.steps.push(format!("the directory gives an old roster of {name:?}"));
                    self.world.server.rosters.insert(name, old.clone());
                }
            }
        }
    }

    fn back_up(&mut self) {
        let name = self.somebody();
        let at = self.device_of(name);
        self.backups.push((at, self.world.devices[at].rows.clone()));
    }

    /// A device's database is put back to what it was. The host notices, by its counter.
    fn restore(&mut self) {
        // Where both are lost, the phone's roster and the directory's, nobody knows what was.
        if self.backups.is_empty() || !self.is_honest() {
            return;
        }
        let place = self.draw(self.backups.len());
        let (at, rows) = self.backups[place].clone();
        if self.is_gone(at) {
            return;
        }
        let maintained = self.world.run(at, self.world.devices[at].client.maintain()).unwrap();
        let is_primary = self.people.values().any(|devices| devices[0] == at);
        let key = StorageKey::new([if is_primary { 7 } else { 8 }; 32]);
        self.world.devices[at].rows = rows;
        let opened = self.world.run(at, Client::open(&key, maintained.rollback_counter.unwrap())).unwrap();
        assert!(opened.rolled_back);
        self.world.devices[at].client = opened.client;
        self.steps.push(format!("{at} is restored"));
        self.restored.insert(at);
        self.world.fetch(at, self.world.devices[at].client.address().clone().user());
        self.world.attend(at);
    }

    /// Whoever has a removed device writes with it.
    fn thief(&mut self) {
        if self.gone.is_empty() {
            return;
        }
        let place = self.draw(self.gone.len());
        let at = self.gone[place];
        if self.world.devices[at].wiped {
            return;
        }
        let to = user(self.somebody());
        let text = format!("thief with {at}");
        if let Ok(sent) = self.world.try_send(at, &to, text.as_bytes()) {
            self.world.post(sent.outgoing().iter());
        }
    }

    fn some_receive(&mut self) {
        for _ in 0..3 {
            let name = self.somebody();
            let at = self.device_of(name);
            self.world.receive(at);
            self.world.attend(at);
        }
    }

    /// The server is honest: everybody asks it, and does what is to be done.
    fn end(&mut self) {
        self.world.server.withholds = false;
        for _ in 0..4 {
            self.world.later(1);
            for name in NAMES {
                for at in self.people[name].clone() {
                    if self.is_gone(at) {
                        continue;
                    }
                    self.world.run(at, self.world.devices[at].client.maintain()).unwrap();
                    self.world.attend(at);
                    for of in NAMES {
                        self.world.fetch(at, &user(of));
                    }
                }
            }
            self.world.settle();
        }
        // Whoever is not sure whether a message went to all says it again.
        for at in 0..self.written.len() {
            let Written { id, text, from, to, .. } = &self.written[at];
            let (id, from, text, to) = (*id, *from, text.clone(), *to);
            if self.is_gone(from) {
                continue;
            }
            for last in [false, false, true] {
                let sent = self.world.run(from, self.world.devices[from].client.send(id, &user(to), text.as_bytes()));
                let sent = sent.unwrap_or_else(|error| panic!("{text}: {error:?}, {:#?}", self.steps));
                self.world.post(sent.outgoing().iter());
                assert!(!last || sent.missing.is_empty(), "{text}: {:?}, {:#?}", sent.missing, self.steps);
                self.world.attend(from);
            }
        }
        self.world.settle();
    }

    /// Everybody knows everything: what a removed device says reaches nobody, and nothing goes to it.
    fn last_words(&mut self) {
        let gone: Vec<usize> = self.gone.clone().into_iter().filter(|at| !self.world.devices[*at].wiped).collect();
        for (at, name) in gone.iter().flat_map(|at| NAMES.map(|name| (*at, name))) {
            if let Ok(sent) = self.world.try_send(at, &user(name), b"too late") {
                self.world.post(sent.outgoing().iter());
            }
        }
        for (from, to) in NAMES.into_iter().flat_map(|from| NAMES.map(|to| (self.people[from][0], to))) {
            self.world.write(from, &user(to), format!("last words to {to}").as_bytes());
        }
        // Who was put back to an older state asks for what it could not read, and not all at once.
        for _ in 0..3 {
            self.world.settle();
            self.world.later(1);
        }
        for at in &self.gone {
            assert!(!self.world.texts(*at).iter().any(|text| text.starts_with("last words")), "{:#?}", self.steps);
        }
        for at in self.people.values().flatten().filter(|at| !self.is_gone(**at)) {
            let texts = self.world.texts(*at);
            assert!(!texts.contains(&"too late".to_owned()), "{at}: {:#?}", self.steps);
            let heard = texts.iter().filter(|text| text.starts_with("last words")).count();
            let is_primary = self.people.values().any(|devices| devices[0] == *at);
            assert_eq!(heard, if is_primary { 2 } else { 3 }, "{at}: {texts:?}, {:#?}", self.steps);
        }
    }

    /// Removed, or never heard that it is listed for a day.
    fn is_gone(&self, at: usize) -> bool {
        self.gone.contains(&at) || self.world.devices[at].wiped
    }

    fn check(&self) {
        for Written { text, from, to, listed, .. } in &self.written {
            for at in &self.people[to] {
                let address = self.world.address(*at);
                let times = self.world.texts(*at).iter().filter(|heard| *heard == text).count();
                let is_due = listed.contains(&address) && !self.is_gone(*from) && !self.is_gone(*at);
                // An older copy does not know what it has sent: the host's table does, by the message's id.
                let may_repeat = self.restored.contains(from) || self.restored.contains(at);
                assert!(times <= 1 || may_repeat, "{text} came {times} times to {address:?}: {:#?}", self.steps);
                assert!(!is_due || times > 0, "{text} did not come to {address:?}: {:#?}", self.steps);
            }
        }
        for (at, device) in self.world.devices.iter().enumerate() {
            let name = device.client.address().user().as_str();
            for shown in &device.shown {
                let text = String::from_utf8(shown.text.clone()).unwrap();
                assert!(text.ends_with(name) || text.starts_with("thief"), "{at} has read {text}");
                assert_ne!(shown.from.user(), device.client.address().user());
            }
        }
    }
}

#[test]
fn whatever_happens_to_people_in_any_order() {
    for seed in 0..30 {
        let mut soak = Soak::new(7_000 + seed);
        let mut history = Vec::from([soak.world.server.rosters.clone()]);
        for _ in 0..40 {
            for (name, (held, _)) in &soak.world.server.rosters {
                let newest = soak.newest.entry(name.clone()).or_default();
                *newest = held.roster().version().max(*newest);
            }
            match soak.draw(14) {
                0..=4 => soak.write(),
                5 => soak.link(),
                6 => soak.remove(),
                7 => soak.directory(&history),
                8 => soak.thief(),
                9 => soak.world.now = subrosa::ident::Timestamp::new(soak.world.now.get() + 6 * 3_600_000),
                10 => soak.restore(),
                11 => soak.back_up(),
                _ => soak.some_receive(),
            }
            history.push(soak.world.server.rosters.clone());
        }
        soak.end();
        soak.check();
        soak.last_words();
    }
}
