//! A client that keeps sessions in memory beside one that does not, on one store: the same loads, batches, outcomes and
//! errors, whatever happens between two operations.

use core::cell::RefCell;
use core::fmt::Debug;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::*;
use crate::ident::{MessageId, Timestamp};
use crate::persist::{RecordKey, StorageKey};
use crate::platform::{StampKeys, stamp};
use crate::prekey::Bundle;
use crate::report::{AccountTag, Commitment, Destination, FramingPolicy, Part, StampContext};
use crate::staging::{Row, StageError, Staged, Store};
use crate::suite::Suites;
use crate::support::address;
use crate::testing::{MemoryStore, SeededRng, Snapshot};
use crate::wire::Envelope;

const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 24 * 60 * 60 * 1000;
const NAMES: [&str; 2] = ["alice", "bob"];

fn storage_key() -> StorageKey {
    StorageKey::new([7; 32])
}

/// A store that takes down what it is asked for.
struct Asked<'a, S>(&'a S, RefCell<Vec<Vec<RecordKey>>>);

impl<S: Store> Store for Asked<'_, S> {
    type Error = S::Error;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, S::Error> {
        self.1.borrow_mut().push(keys.to_vec());
        self.0.load(keys)
    }
}

/// Two handles of one device.
#[derive(Clone)]
struct Twins {
    plain: Client,
    cached: Client,
}

impl Twins {
    fn new(plain: Client) -> Self {
        Self { cached: plain.with_session_cache(2), plain }
    }

    fn hits(&self) -> usize {
        self.cached.core.cache.as_ref().unwrap().hits()
    }

    /// Stages an operation of both, from the same random bytes.
    fn stage<T: Debug + PartialEq, E: Debug + PartialEq>(
        &self,
        store: &impl Store<Error: Debug>,
        (now, seed): (Timestamp, u64),
        make: impl Fn(&Client) -> Operation<T, E>,
    ) -> Result<Staged<T>, E> {
        let [(plain, plain_asked), (cached, cached_asked)] = [&self.plain, &self.cached].map(|client| {
            let asked = Asked(store, RefCell::default());
            let staged = make(client).stage(&asked, now, &mut SeededRng::new(seed));
            (staged, asked.1.into_inner())
        });
        assert_eq!(plain_asked, cached_asked);
        match (plain, cached) {
            (Ok(plain), Ok(cached)) => {
                assert_eq!(plain.batch(), cached.batch());
                assert_eq!(plain.output(), cached.output());
                Ok(cached)
            }
            (Err(StageError::Operation(plain)), Err(StageError::Operation(cached))) => {
                assert_eq!(plain, cached);
                Err(cached)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// One device and its database.
struct Side {
    twins: Twins,
    store: MemoryStore,
    rollback_counter: RollbackCounter,
    now: Timestamp,
    /// Of the next operation.
    seed: u64,
    upload: PrekeyUpload,
    handed: usize,
    backup: Option<Snapshot>,
    hits: usize,
    operations: usize,
}

impl Side {
    fn new(name: &str, suites: Suites, seed: u64, now: Timestamp) -> Self {
        let (store, mut rng) = (MemoryStore::new(), SeededRng::new(seed));
        let created = Client::create(&storage_key(), &address(name), suites).stage(&store, now, &mut rng);
        let Opened { client, rollback_counter, .. } = created.unwrap().commit(|batch, _| store.write(batch)).unwrap();
        let uploads = client.publish_prekeys(PrekeyCounts::default()).stage(&store, now, &mut rng).unwrap();
        let upload = uploads.commit(|batch, _| store.write(batch)).unwrap().remove(0);
        let (twins, seed) = (Twins::new(client), seed << 32);
        Self { twins, store, rollback_counter, now, seed, upload, handed: 0, backup: None, hits: 0, operations: 0 }
    }

    fn bundle(&mut self) -> Bundle {
        self.handed += 1;
        let (one_time, kem) = (self.upload.one_time.get(self.handed), self.upload.one_time_kem.get(self.handed));
        self.upload.bundle(one_time, kem).verify().unwrap()
    }

    fn message_id(&self) -> MessageId {
        MessageId::new(u128::from(self.seed).to_be_bytes())
    }

    fn stage<T: Debug + PartialEq, E: Debug + PartialEq>(
        &mut self,
        make: impl Fn(&Client) -> Operation<T, E>,
    ) -> Result<Staged<T>, E> {
        self.seed += 1;
        let before = self.twins.hits();
        let staged = self.twins.stage(&self.store, (self.now, self.seed), make);
        self.hits += self.twins.hits() - before;
        self.operations += 1;
        staged
    }

    fn run<T: Debug + PartialEq, E: Debug + PartialEq>(
        &mut self,
        make: impl Fn(&Client) -> Operation<T, E>,
    ) -> Result<T, E> {
        Ok(self.stage(make)?.commit(|batch, _| self.store.write(batch)).unwrap())
    }

    /// Opens the client anew.
    fn open(&mut self) {
        self.seed += 1;
        let opened = Client::open(&storage_key(), self.rollback_counter);
        let opened = opened.stage(&self.store, self.now, &mut SeededRng::new(self.seed)).unwrap();
        let opened = opened.commit(|batch, _| self.store.write(batch)).unwrap();
        (self.twins, self.rollback_counter) = (Twins::new(opened.client), opened.rollback_counter);
        if opened.rolled_back {
            self.upload = self.run(|client| client.publish_prekeys(PrekeyCounts::default())).unwrap().remove(0);
            self.handed = 0;
        }
    }
}

struct World {
    suites: Suites,
    sides: [Side; 2],
    network: Vec<(usize, Envelope)>,
    rng: SeededRng,
    platform: StampKeys,
    /// How often something happened.
    happened: BTreeMap<&'static str, usize>,
}

impl World {
    fn new(suites: Suites, seed: u64) -> Self {
        let (mut rng, mut platform) = (SeededRng::new(seed), StampKeys::default());
        platform.generate(1, &mut rng).unwrap();
        let sides = [0, 1]
            .map(|side| Side::new(NAMES[side], suites, seed * 16 + u64::try_from(side).unwrap(), Timestamp::new(NOW)));
        Self { suites, sides, network: Vec::new(), rng, platform, happened: BTreeMap::new() }
    }

    fn note(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    fn sent(&mut self, by: usize, sent: Option<&Sent>) {
        let Some(sent) = sent else { return };
        match sent.outgoing() {
            [outgoing] => {
                self.network.push((1 - by, outgoing.envelope().clone()));
                self.note("sent");
            }
            _ => self.note("repeated"),
        }
    }

    fn send(&mut self, by: usize) {
        let (to, id) = (address(NAMES[1 - by]), self.sides[by].message_id());
        let sent = self.sides[by].run(|client| client.send(id, &to, b"text"));
        self.sent(by, sent.as_ref().ok());
    }

    fn send_framed(&mut self, by: usize) {
        let (to, id) = (address(NAMES[1 - by]), self.sides[by].message_id());
        let framed = self.sides[by].run(|client| client.send_framed(id, &to, &[Part::text("text")]));
        let Ok(framed) = framed else { return };
        let mut envelope = framed.sent.outgoing().first().unwrap().envelope().clone();
        let commitment = Commitment::new(envelope.commitment.unwrap());
        let [sender, dest] = [by, 1 - by].map(|side| AccountTag::of(address(NAMES[side]).user()));
        let context = StampContext { sender, dest: Destination::Direct(dest), time: self.sides[by].now, conv_seq: 0 };
        envelope.stamp = Some(stamp(&self.platform, 1, &commitment, &context).unwrap().to_bytes().to_vec());
        self.network.push((1 - by, envelope));
        self.note("framed");
    }

    /// A new session, whether or not there is one.
    fn start(&mut self, by: usize, reset: bool) {
        let (bundle, peer) = (self.sides[1 - by].bundle(), address(NAMES[1 - by]));
        if reset {
            let _unknown = self.sides[by].run(|client| client.reset(&peer));
        }
        let added = self.sides[by].run(|client| client.add_session(&bundle));
        for question in added.ok().map(|added| added.repair).unwrap_or_default() {
            self.network.push((1 - by, question.envelope().clone()));
            self.note("repair");
        }
    }

    /// Some envelope that is under way: mostly the next one, or any, late; it may come again.
    fn take(&mut self, to: usize) -> Option<Envelope> {
        let waiting: Vec<_> = (0..self.network.len()).filter(|at| self.network[*at].0 == to).collect();
        let late = self.rng.happens(15);
        let at = *waiting.get(if late { self.rng.below(waiting.len()) } else { 0 })?;
        if self.rng.happens(10) {
            return Some(self.network[at].1.clone());
        }
        Some(self.network.remove(at).1)
    }

    fn received(&mut self, received: &Result<Received, ReceiveError>) {
        let identity = match received {
            Ok(Received::Message(message)) => &message.identity,
            Ok(Received::Framed(framed)) => &framed.identity,
            Ok(Received::Unreadable(_)) => return self.note("unreadable"),
            Ok(_) => return self.note("other"),
            Err(ReceiveError::Duplicate) => return self.note("duplicate"),
            Err(_) => return self.note("refused"),
        };
        self.note(if matches!(identity, IdentityStatus::Changed(_)) { "changed identity" } else { "read" });
    }

    fn receive(&mut self, by: usize) {
        let Some(envelope) = self.take(by) else { return };
        let framed = envelope.commitment.is_some();
        let received = self.sides[by].run(|client| match framed {
            true => client.with_framing(FramingPolicy::default()).receive(&envelope),
            false => client.receive(&envelope),
        });
        self.received(&received);
    }

    fn receive_many(&mut self, by: usize) {
        let envelopes: Vec<_> = (0..6).map_while(|_| self.take(by)).collect();
        let Ok(received) = self.sides[by].run(|client| client.receive_many(&envelopes));
        received.iter().for_each(|received| self.received(received));
        self.note("many");
    }

    /// Stages, does something else, and commits what was staged before.
    fn overtaken(&mut self, by: usize) {
        let (to, id) = (address(NAMES[1 - by]), MessageId::new([0xff; 16]));
        let staged = self.sides[by].stage(|client| client.send(id, &to, b"overtaken"));
        self.one_thing(by);
        let Ok(staged) = staged else { return };
        match self.sides[by].store.write(staged.batch()) {
            Ok(()) => self.sent(by, Some(&staged.committed())),
            Err(_) => self.note("conflict"),
        }
    }

    /// From the same random bytes another row of the same version is made, and never stored.
    fn repeated_bytes(&mut self, by: usize) {
        let (to, id) = (address(NAMES[1 - by]), self.sides[by].message_id());
        let staged = self.sides[by].stage(|client| client.send(id, &to, b"one"));
        self.sides[by].seed -= 1;
        let other = MessageId::new(id.as_bytes().map(|byte| !byte));
        drop(self.sides[by].stage(|client| client.send(other, &to, b"other")));
        let Ok(staged) = staged else { return };
        self.sides[by].store.write(staged.batch()).unwrap();
        self.sent(by, Some(&staged.committed()));
        self.note("repeated bytes");
    }

    /// Two operations in one transaction, of which both may be given up.
    fn two_in_one(&mut self, by: usize) {
        let (to, first) = (address(NAMES[1 - by]), self.sides[by].message_id());
        let commits = self.rng.happens(70);
        let side = &mut self.sides[by];
        let Ok(one) = side.stage(|client| client.send(first, &to, b"first")) else { return };
        let (second, at) = (side.message_id(), (side.now, side.seed + (1 << 31)));
        let two = side.twins.stage(&one.over(&side.store), at, |client| client.send(second, &to, b"second"));
        let both = one.and(two.unwrap()).unwrap();
        if commits {
            side.store.write(both.batch()).unwrap();
            let (one, two) = both.committed();
            self.sent(by, Some(&one));
            self.sent(by, Some(&two));
            self.note("two in one");
        }
    }

    /// Another process goes on with the conversation.
    fn elsewhere(&mut self, by: usize) {
        let envelope = self.take(by);
        let (to, id) = (address(NAMES[1 - by]), self.sides[by].message_id());
        let side = &mut self.sides[by];
        let (client, mut rng) = (side.twins.plain.clone(), SeededRng::new(side.seed + (1 << 30)));
        if let Some(envelope) = envelope
            && let Ok(staged) = client.receive(&envelope).stage(&side.store, side.now, &mut rng)
        {
            side.store.write(staged.batch()).unwrap();
        }
        let sent = client.send(id, &to, b"elsewhere").stage(&side.store, side.now, &mut rng);
        let sent = sent.ok().map(|sent| sent.commit(|batch, _| side.store.write(batch)).unwrap());
        self.sent(by, sent.as_ref());
    }

    fn restore(&mut self, by: usize) {
        let opens = self.rng.happens(60);
        let side = &mut self.sides[by];
        let Some(backup) = &side.backup else { return };
        side.store.restore(backup);
        if opens {
            side.open();
        }
        self.note(if opens { "restored" } else { "restored and not opened" });
    }

    fn new_account(&mut self, by: usize) {
        let Side { seed, now, hits, operations, .. } = self.sides[by];
        let new = Side::new(NAMES[by], self.suites, (seed >> 32) + 2, now);
        self.sides[by] = Side { hits, operations, ..new };
        self.note("new account");
    }

    fn decide(&mut self, by: usize) {
        let (peer, key) = (address(NAMES[1 - by]), *self.sides[1 - by].bundle().identity_key());
        let accepts = self.rng.happens(70);
        let decided = self.sides[by].run(|client| match accepts {
            true => client.accept_identity(&peer, &key),
            false => client.refuse_identity(&peer),
        });
        if decided.is_ok() {
            self.note(if accepts { "accepted" } else { "refused identity" });
        }
    }

    fn upkeep(&mut self, by: usize) {
        let page = self.sides[by].twins.plain.core.page_of(&address(NAMES[1 - by]));
        let pruned = self.sides[by].run(|client| client.prune(page)).unwrap();
        assert!(pruned.damaged.is_empty() && pruned.next.is_none());
        if let Some(rollback_counter) = self.sides[by].run(Client::maintain).unwrap().rollback_counter {
            self.sides[by].rollback_counter = rollback_counter;
        }
    }

    fn one_thing(&mut self, by: usize) {
        let peer = address(NAMES[1 - by]);
        match self.rng.below(200) {
            0..66 => self.send(by),
            66..72 => self.send_framed(by),
            72..136 => self.receive(by),
            136..146 => self.receive_many(by),
            146..152 => drop(self.take(by)),
            152..154 => self.start(by, true),
            154..156 => self.start(by, false),
            156..162 => self.overtaken(by),
            162..168 => self.repeated_bytes(by),
            168..174 => self.two_in_one(by),
            174..178 => self.elsewhere(by),
            178..182 => self.upkeep(by),
            182..184 => self.sides[by].backup = Some(self.sides[by].store.snapshot()),
            184..186 => self.restore(by),
            186 if self.rng.happens(50) => self.new_account(by),
            187..190 => self.decide(by),
            190..192 => {
                let id = self.sides[by].message_id();
                self.sides[by].run(|client| client.forget_message(id, &peer)).unwrap();
            }
            192 => self.sides[by].run(|client| client.forget_device(&peer)).unwrap(),
            193..196 => self.sides[by].open(),
            _ => {
                let days = u64::try_from(self.rng.below(12)).unwrap() * DAY;
                self.sides.iter_mut().for_each(|side| side.now = Timestamp::new(side.now.get() + days));
            }
        }
    }
}

fn schedules(suites: Suites, seeds: core::ops::Range<u64>) {
    let (mut happened, mut hits, mut operations) = (BTreeMap::<_, usize>::new(), 0, 0);
    for seed in seeds {
        let mut world = World::new(suites, seed);
        world.start(0, false);
        for _ in 0..250 {
            let by = world.rng.below(2);
            world.one_thing(by);
        }
        for side in &world.sides {
            (hits, operations) = (hits + side.hits, operations + side.operations);
        }
        for (what, count) in world.happened {
            *happened.entry(what).or_default() += count;
        }
    }
    assert!(hits * 5 > operations * 2, "{hits} of {operations}");
    let often = ["sent", "read", "many", "duplicate", "unreadable", "conflict", "repeated bytes", "two in one"];
    let seldom = ["changed identity", "accepted", "refused identity", "restored", "restored and not opened"];
    for (what, least) in often.map(|what| (what, 20)).into_iter().chain(seldom.map(|what| (what, 2))) {
        assert!(happened.get(what).is_some_and(|count| *count >= least), "{what}: {happened:?}");
    }
    if suites == Suites::V1 {
        assert!(happened["framed"] > 20 && happened["repair"] > 5, "{happened:?}");
    }
}

#[test]
fn memory_changes_nothing_in_suite_v1() {
    schedules(Suites::V1, 0..16);
}

#[test]
fn memory_changes_nothing_in_suite_signal() {
    schedules(Suites::SIGNAL, 100..112);
}
