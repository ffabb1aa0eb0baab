//! Client: devices with a database in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use rand_chacha::ChaCha20Rng;
use subrosa::client::{Client, Operation, PrekeyCounts, PrekeyUpload, Received, RollbackCounter};
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::persist::{RecordKey, StorageKey};
use subrosa::staging::{Batch, Row, Step, Store};
use subrosa::suite::Suites;
use subrosa::wire::Envelope;

use super::pair::{NOW, PLAINTEXT, rng};

#[derive(Clone, Default)]
pub(crate) struct Memory(RefCell<BTreeMap<RecordKey, Row>>);

impl Store for Memory {
    type Error = Infallible;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> {
        let rows = self.0.borrow();
        Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
    }
}

impl Memory {
    fn write(&self, batch: &Batch) {
        batch.apply_to(&mut self.0.borrow_mut()).unwrap();
    }

    /// The lengths of all rows of a kind.
    pub(crate) fn lengths(&self, kind: u8) -> Vec<usize> {
        let rows = self.0.borrow();
        rows.iter().filter(|(key, _)| key.as_bytes()[0] == kind).map(|(_, row)| row.bytes.len()).collect()
    }
}

/// Number of the record that changes with every message of a peer device.
pub(crate) const PEER: u8 = 17;
/// Numbers of the list of its keys for late messages, and of a page of them.
pub(crate) const SKIPPED_KEYS: u8 = 18;
pub(crate) const SKIPPED_PAGE: u8 = 27;
/// Number of a record of the sent log.
pub(crate) const SENT: u8 = 22;

/// One device of a client.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) client: Client,
    pub(crate) db: Memory,
    rng: ChaCha20Rng,
    sent: u64,
    pruned: u64,
}

impl Party {
    pub(crate) fn new(name: &str, suites: Suites, seed: u64) -> Self {
        let (db, mut rng) = (Memory::default(), rng(seed));
        let address = Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
        let created = Client::create(&StorageKey::new([7; 32]), &address, suites).stage(&db, NOW, &mut rng).unwrap();
        db.write(created.batch());
        Self { client: created.committed().client, db, rng, sent: 0, pruned: 0 }
    }

    pub(crate) fn address(&self) -> Address {
        self.client.address().clone()
    }

    fn run<T, E: std::fmt::Debug>(&mut self, operation: Operation<T, E>, now: Timestamp) -> T {
        let staged = operation.stage(&self.db, now, &mut self.rng).unwrap();
        self.db.write(staged.batch());
        staged.committed()
    }

    pub(crate) fn publish(&mut self) -> PrekeyUpload {
        self.run(self.client.publish_prekeys(PrekeyCounts::default()), NOW).remove(0)
    }

    pub(crate) fn add(&mut self, upload: &PrekeyUpload) {
        let bundle = upload.bundle(None, None).verify().unwrap();
        self.run(self.client.add_session(&bundle), NOW);
    }

    pub(crate) fn send(&mut self, to: &Address) -> Envelope {
        self.send_text(to, &PLAINTEXT)
    }

    pub(crate) fn send_text(&mut self, to: &Address, text: &[u8]) -> Envelope {
        let id = self.next_id();
        let sent = self.run(self.client.send(id, to, text), self.now());
        sent.outgoing().first().unwrap().envelope().clone()
    }

    fn next_id(&mut self) -> MessageId {
        self.sent += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.sent.to_be_bytes());
        MessageId::new(id)
    }

    /// The same, with whatever the library does inside of `within`, and what the store does outside.
    pub(crate) fn send_within(&mut self, to: &Address, within: &mut dyn FnMut(&mut dyn FnMut())) -> Envelope {
        let (id, mut operation) = (self.next_id(), None);
        within(&mut || operation = Some(self.client.send(id, to, &PLAINTEXT)));
        let sent = self.run_within(operation.unwrap(), self.now(), within);
        sent.outgoing().first().unwrap().envelope().clone()
    }

    pub(crate) fn receive_within(&mut self, envelope: &Envelope, within: &mut dyn FnMut(&mut dyn FnMut())) -> Received {
        let mut operation = None;
        within(&mut || operation = Some(self.client.receive(envelope)));
        self.run_within(operation.unwrap(), NOW, within)
    }

    fn run_within<T, E: std::fmt::Debug>(
        &mut self,
        mut operation: Operation<T, E>,
        now: Timestamp,
        within: &mut dyn FnMut(&mut dyn FnMut()),
    ) -> T {
        loop {
            let mut step = None;
            within(&mut || step = Some(operation.step(now, &mut self.rng).unwrap()));
            match step.unwrap() {
                Step::Need(keys) => {
                    let mut rows = Some(self.db.load(&keys).unwrap());
                    within(&mut || operation.supply(rows.take().unwrap()));
                }
                Step::Ready(staged) => {
                    self.db.write(staged.batch());
                    return staged.committed();
                }
            }
        }
    }

    /// A busy day: a message every 100 seconds.
    fn now(&self) -> Timestamp {
        Timestamp::new(NOW.get() + self.sent * 100_000)
    }

    /// What a host does once a day, of messages that it has sent.
    pub(crate) fn prune(&mut self) {
        if self.sent >= self.pruned + 864 {
            for page in 0..=255 {
                let mut pruned = self.run(self.client.prune(page), self.now());
                while let Some(next) = pruned.next {
                    pruned = self.run(self.client.prune_on(next), self.now());
                }
            }
            self.pruned = self.sent;
        }
    }

    /// Receives all of these in one transaction.
    pub(crate) fn receive_many(&mut self, envelopes: &[Envelope]) -> usize {
        let outcomes = self.run(self.client.receive_many(envelopes), NOW);
        assert!(outcomes.iter().all(Result::is_ok));
        outcomes.len()
    }

    /// Opens the account again, as an app does when it starts.
    pub(crate) fn open(&mut self) -> Client {
        self.run(Client::open(&StorageKey::new([7; 32]), RollbackCounter::new(1)), NOW).client
    }

    /// What is to be done, where nothing is.
    pub(crate) fn todo(&mut self) -> usize {
        self.run(self.client.todo(), NOW).len()
    }

    /// Prunes one of the 256 pages of peer devices.
    pub(crate) fn prune_page(&mut self, page: u8) {
        self.run(self.client.prune(page), NOW);
    }

    pub(crate) fn receive(&mut self, envelope: &Envelope) -> Received {
        self.run(self.client.receive(envelope), NOW)
    }
}

/// What there is besides a session of two.
#[derive(Clone, Copy)]
pub(crate) struct Stored {
    /// Of Alice's, Bob included.
    pub(crate) peers: u32,
    /// Messages that both have sent: each send writes a record of the sent log, with what is in it of the last 24 hours.
    pub(crate) sent: usize,
    /// How many of them, the last ones, were lost but for one after them: keys for late messages, at both ends.
    pub(crate) kept: usize,
    /// Archived sessions at both ends.
    pub(crate) archived: usize,
    /// Whether both keep sessions in memory.
    pub(crate) cached: bool,
}

impl Stored {
    pub(crate) const NOTHING: Self = Self { peers: 1, sent: 0, kept: 0, archived: 0, cached: false };
}

/// Alice and Bob, who have talked.
pub(crate) fn talking(suites: Suites, stored: Stored) -> (Party, Party) {
    let Stored { peers, sent, kept, archived, cached } = stored;
    let (mut alice, mut bob) = (Party::new("alice", suites, 1), Party::new("bob", suites, 2));
    let upload = bob.publish();
    let (a, b) = (alice.address(), bob.address());
    for other in 1..peers {
        let mut upload = upload.clone();
        // The same keys under another name: what matters is that there are so many records.
        upload.address = Address::new(UserId::new(format!("peer {other}")).unwrap(), DeviceId::new(1));
        alice.add(&upload);
    }
    for round in 0..=archived {
        if round > 0 {
            alice.run(alice.client.reset(&b), NOW);
        }
        alice.add(&upload);
        for _ in 0..10 {
            let envelope = alice.send(&b);
            bob.receive(&envelope);
            let envelope = bob.send(&a);
            alice.receive(&envelope);
        }
    }
    // One way, then the other, and never lost at first: then the braid waits at both ends for what the other side will
    // say, in the same state whatever is lost later.
    deliver(&mut alice, &mut bob, (sent, kept));
    deliver(&mut bob, &mut alice, (sent, kept));
    // What Alice says next turns no ratchet.
    deliver(&mut alice, &mut bob, (0, 0));
    #[cfg(feature = "std")]
    for party in [&mut alice, &mut bob].into_iter().filter(|_| cached) {
        party.client = party.client.with_session_cache(8);
    }
    assert!(!cached || cfg!(feature = "std"), "a cache needs the standard library");
    (alice, bob)
}

/// Enough for every chunk that the braid can want.
const SETTLED: usize = 50;

fn deliver(from: &mut Party, to: &mut Party, (sent, kept): (usize, usize)) {
    let (address, last) = (to.address(), SETTLED + sent);
    for number in 0..=last {
        let envelope = from.send(&address);
        from.prune();
        if number + kept < last || number == last {
            to.receive(&envelope);
        }
    }
}
