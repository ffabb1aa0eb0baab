//! One device with a database in memory: every operation stepped by hand, its rounds counted, its changes kept.

use std::collections::BTreeMap;
use std::convert::Infallible;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use subrosa::client::{Client, Operation, PrekeyCounts, ReceiveError, Received};
use subrosa::ident::{Address, DeviceId, MessageId, Timestamp, UserId};
use subrosa::persist::{RecordKey, StorageKey};
use subrosa::prekey::Bundle;
use subrosa::staging::{Batch, Change, Row, Staged, Step, Store, Write};
use subrosa::suite::{Suite, Suites};
use subrosa::wire::Envelope;

pub(crate) const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
pub(crate) const DAY: u64 = 24 * 60 * 60 * 1000;

pub(crate) type Rows = BTreeMap<RecordKey, Row>;

pub(crate) struct Rowed<'a>(pub(crate) &'a Rows);

impl Store for Rowed<'_> {
    type Error = Infallible;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> {
        Ok(keys.iter().map(|key| self.0.get(key).cloned()).collect())
    }
}

/// Applies a batch that nobody can have come before.
pub(crate) fn apply(rows: &mut Rows, batch: &Batch) {
    batch.apply_to(rows).expect("nobody else writes");
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn address(name: &str) -> Address {
    Address::new(UserId::new(name).unwrap(), DeviceId::new(1))
}

pub(crate) fn kind(key: &RecordKey) -> u8 {
    key.as_bytes()[0]
}

#[derive(Clone)]
pub(crate) struct Side {
    pub(crate) client: Client,
    pub(crate) rows: Rows,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now: Timestamp,
    /// The changes of the last operation.
    pub(crate) changes: Vec<Change>,
    handed: usize,
}

pub(crate) const KEY: [u8; 32] = [7; 32];

/// Steps an operation to its end; no operation on one message needs more than four rounds, and one more where no batch
/// checks what came of them.
pub(crate) fn stage<T, E>(
    mut operation: Operation<T, E>,
    rows: &Rows,
    now: Timestamp,
    rng: &mut ChaCha20Rng,
) -> Result<Staged<T>, E> {
    for rounds in 0..=5 {
        match operation.step(now, rng)? {
            Step::Need(keys) => operation.supply(Rowed(rows).load(&keys).unwrap()),
            Step::Ready(staged) => {
                assert!(rounds <= 4 || staged.batch().is_empty(), "more than four rounds");
                return Ok(staged);
            }
        }
    }
    panic!("more than five rounds");
}

impl Side {
    pub(crate) fn new(name: &str, suite: Suite, seed: u64) -> Self {
        let (mut rows, mut rng) = (Rows::new(), rng(seed));
        let suites = if suite == Suite::V1 { Suites::V1 } else { Suites::SIGNAL };
        let staged =
            stage(Client::create(&StorageKey::new(KEY), &address(name), suites), &rows, NOW, &mut rng).unwrap();
        apply(&mut rows, staged.batch());
        let client = staged.committed().client;
        Self { client, rows, rng, now: NOW, changes: Vec::new(), handed: 0 }
    }

    /// Two that have talked.
    pub(crate) fn talking(suite: Suite, seed: u64) -> (Self, Self) {
        let (mut alice, mut bob) = (Self::new("alice", suite, seed), Self::new("bob", suite, seed + 1));
        let bundle = bob.bundle();
        alice.run(alice.client.add_session(&bundle)).unwrap();
        for _ in 0..2 {
            let envelope = alice.send("bob", b"warm");
            bob.read(&envelope);
            let envelope = bob.send("alice", b"up");
            alice.read(&envelope);
        }
        (alice, bob)
    }

    pub(crate) fn run<T, E>(&mut self, operation: Operation<T, E>) -> Result<T, E> {
        let staged = stage(operation, &self.rows, self.now, &mut self.rng)?;
        self.changes = staged.batch().changes().to_vec();
        apply(&mut self.rows, staged.batch());
        Ok(staged.committed())
    }

    /// A day passes, so that the time of now is what deletions go by.
    pub(crate) fn settle_time(&mut self) {
        self.run(self.client.maintain()).unwrap();
        self.now = Timestamp::new(self.now.get() + DAY);
        self.run(self.client.maintain()).unwrap();
    }

    /// Hands out a bundle with one-time prekeys, other ones every time.
    pub(crate) fn bundle(&mut self) -> Bundle {
        self.bundle_with(true)
    }

    /// The same, with the last-resort KEM prekey, or with one-time ones only.
    pub(crate) fn bundle_with(&mut self, one_time_kem: bool) -> Bundle {
        let upload = self.run(self.client.publish_prekeys(PrekeyCounts::default())).unwrap().remove(0);
        self.handed += 1;
        let kem = upload.one_time_kem.get(self.handed).filter(|_| one_time_kem);
        upload.bundle(upload.one_time.get(self.handed), kem).verify().unwrap()
    }

    /// A bundle of what is left when all one-time prekeys are given out.
    pub(crate) fn last_bundle(&mut self) -> Bundle {
        let upload = self.run(self.client.publish_prekeys(PrekeyCounts::default())).unwrap().remove(0);
        upload.bundle(None, None).verify().unwrap()
    }

    pub(crate) fn message_id(&mut self) -> MessageId {
        let mut id = [0; 16];
        rand_core::Rng::fill_bytes(&mut self.rng, &mut id);
        MessageId::new(id)
    }

    pub(crate) fn send(&mut self, to: &str, text: &[u8]) -> Envelope {
        let id = self.message_id();
        let sent = self.run(self.client.send(id, &address(to), text)).unwrap();
        Envelope::parse(&sent.outgoing().first().unwrap().bytes()).unwrap()
    }

    pub(crate) fn receive(&mut self, envelope: &Envelope) -> Result<Received, ReceiveError> {
        self.run(self.client.receive(envelope))
    }

    /// What a message says.
    #[track_caller]
    pub(crate) fn read(&mut self, envelope: &Envelope) -> Vec<u8> {
        match self.receive(envelope) {
            Ok(Received::Message(message)) => message.plaintext().unwrap().to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// The length of the one row of a kind.
    pub(crate) fn len_of(&self, number: u8) -> usize {
        let mut rows = self.rows.iter().filter(|(key, _)| kind(key) == number);
        let len = rows.next().map_or(0, |(_, row)| row.bytes.len());
        assert!(rows.next().is_none(), "more than one row of kind {number}");
        len
    }

    /// How many rows of a kind there are, and their bytes.
    pub(crate) fn rows_of(&self, number: u8) -> (usize, usize) {
        let rows = self.rows.iter().filter(|(key, _)| kind(key) == number);
        rows.fold((0, 0), |(count, bytes), (_, row)| (count + 1, bytes + row.bytes.len()))
    }

    /// What the last operation did: a letter and the kind of each row, in order.
    pub(crate) fn done(&self) -> Vec<(char, u8)> {
        let letter = |change: &Change| match change.write() {
            Write::Put(_) => 'p',
            Write::Delete => 'd',
            Write::Keep => 'c',
        };
        self.changes.iter().map(|change| (letter(change), kind(change.key()))).collect()
    }
}
