//! Two clients that start sessions with each other at the same time come to send in one, at every latency.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::allow_attributes_without_reason, reason = "what the examples of the documentation share is short")]

include!("support/clientdoc.rs");

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const NAMES: [&str; 2] = ["alice", "bob"];

struct Side {
    client: Client,
    db: Memory,
    rng: ChaCha20Rng,
    sent: u16,
    /// The session that was last sent with.
    tag: Vec<u8>,
    flips: usize,
}

impl Side {
    fn new(name: &str, seed: u64) -> Self {
        let (db, mut rng) = (Memory::default(), ChaCha20Rng::seed_from_u64(seed));
        let address = Address::new(UserId::new(name).unwrap(), DeviceId::new(1));
        let created =
            Client::create(&StorageKey::new([7; 32]), &address, Suites::V1).stage(&db, NOW, &mut rng).unwrap();
        let client = created.commit(|batch, _| db.write(batch)).unwrap().client;
        Self { client, db, rng, sent: 0, tag: Vec::new(), flips: 0 }
    }

    fn run<T, E: std::fmt::Debug>(&mut self, operation: Operation<T, E>) -> Result<T, E> {
        match operation.stage(&self.db, NOW, &mut self.rng) {
            Ok(staged) => Ok(staged.commit(|batch, _| self.db.write(batch)).unwrap()),
            Err(StageError::Operation(error)) => Err(error),
            Err(_) => panic!("the store is in memory"),
        }
    }

    fn send(&mut self, to: &str) -> Envelope {
        self.sent += 1;
        let mut id = [0; 16];
        id[..2].copy_from_slice(&self.sent.to_be_bytes());
        let to = Address::new(UserId::new(to).unwrap(), DeviceId::new(1));
        let sent = self.run(self.client.send(MessageId::new(id), &to, b"text")).unwrap();
        let envelope = sent.outgoing().first().unwrap().envelope().clone();
        let body = &envelope.body;
        let at = body.windows(4).position(|four| four[0] == 0x0a && four[2] == 0x0a && four[3] == 8).unwrap();
        let tag = body[at + 4..at + 12].to_vec();
        self.flips += usize::from(tag != self.tag);
        self.tag = tag;
        envelope
    }
}

fn add(from: &mut Side, to: &mut Side) {
    let uploads = to.run(to.client.publish_prekeys(PrekeyCounts::default())).unwrap();
    let bundle = uploads[0].bundle(uploads[0].one_time.first(), uploads[0].one_time_kem.first()).verify().unwrap();
    from.run(from.client.add_session(&bundle)).unwrap();
}

#[test]
fn clients_that_start_at_the_same_time_settle() {
    for seed in 0..3 {
        for latency in 0..6 {
            let (mut alice, mut bob) = (Side::new("alice", seed), Side::new("bob", seed + 100));
            add(&mut alice, &mut bob);
            add(&mut bob, &mut alice);
            let mut sides = [alice, bob];
            let mut under_way = [VecDeque::new(), VecDeque::new()];
            for step in 0..160 {
                for at in 0..2 {
                    under_way[at].push_back(sides[at].send(NAMES[1 - at]));
                }
                for at in 0..2 {
                    while under_way[1 - at].len() > latency {
                        let envelope = under_way[1 - at].pop_front().unwrap();
                        let operation = sides[at].client.receive(&envelope);
                        let received = sides[at].run(operation).unwrap();
                        assert!(
                            matches!(received, Received::Message(_)),
                            "seed {seed}, latency {latency}: {received:?}"
                        );
                    }
                }
                if step == 60 {
                    sides.iter_mut().for_each(|side| side.flips = 0);
                }
                assert!(step < 60 || sides[0].tag == sides[1].tag, "seed {seed}, latency {latency}, step {step}");
            }
            assert_eq!(sides[0].flips + sides[1].flips, 0, "seed {seed}, latency {latency}");
        }
    }
}
