//! Prekeys over months, through a prekey store: devices that sleep, uploads that are lost, servers that count wrong, wrong
//! clocks.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::allow_attributes_without_reason, reason = "what the examples of the documentation share is short")]

include!("support/clientdoc.rs");

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use subrosa::platform::PrekeyStore;
use subrosa::prekey::rotation::MAX_PREKEY_AGE_MS;
use subrosa::suite::Suite;

const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;

fn day(days: u64) -> Timestamp {
    Timestamp::new(NOW.get() + days * DAY)
}

fn run<T, E: std::fmt::Debug>(operation: Operation<T, E>, db: &Memory, now: Timestamp) -> T {
    attempt(operation, db, now).map_err(|error| format!("{error:?}")).unwrap()
}

fn attempt<T, E: std::fmt::Debug>(operation: Operation<T, E>, db: &Memory, now: Timestamp) -> Result<T, E> {
    match operation.stage(db, now, &mut rng()) {
        Ok(staged) => Ok(staged.commit(|batch, _| db.write(batch)).unwrap()),
        Err(StageError::Operation(error)) => Err(error),
        Err(error) => panic!("{error:?}"),
    }
}

fn rows_of_kind(db: &Memory, kind: u8) -> usize {
    db.0.borrow().keys().filter(|key| key.as_bytes()[0] == kind).count()
}

/// A device, and its prekey store at the server.
struct Device {
    client: Client,
    db: Memory,
    prekey_store: PrekeyStore,
}

impl Device {
    fn new(name: &str) -> Self {
        let (client, db) = account(name);
        let prekey_store = PrekeyStore::new(client.address().clone(), Suite::V1);
        Self { client, db, prekey_store }
    }

    /// Publishes what is due. The upload may be lost, or the answer to it.
    fn publish(&mut self, counts: PrekeyCounts, arrives: bool, heard: bool, now: Timestamp) {
        for upload in run(self.client.publish_prekeys(counts), &self.db, now) {
            if arrives {
                let upload = PrekeyUpload::parse(&upload.to_bytes()).unwrap();
                self.prekey_store.apply(&upload).unwrap();
                self.prekey_store = PrekeyStore::from_bytes(&self.prekey_store.to_bytes()).unwrap();
                if heard {
                    assert_eq!(run(self.client.published(upload.id), &self.db, now), Publication::Confirmed);
                }
            }
        }
    }

    /// All that an app does when it starts.
    fn attend(&mut self, now: Timestamp) {
        if run(self.client.maintain(), &self.db, now).prekeys_due || self.prekey_store.counts().one_time < 25 {
            self.publish(self.prekey_store.counts(), true, true, now);
        }
        for page in 0..=255 {
            run(self.client.prune(page), &self.db, now);
        }
    }

    /// Somebody who has never written before does; `None` where the bundle is refused for its age.
    fn hear_from_a_stranger(&mut self, number: usize, now: Timestamp) -> Option<Envelope> {
        let (client, db) = account(&format!("stranger{number}"));
        let bundle = self.prekey_store.claim()?;
        let created = bundle.signed_prekey.created;
        match attempt(client.add_session(&bundle.verify().unwrap()), &db, now) {
            Ok(_) => {
                let sent = run(client.send(MessageId::new([7; 16]), self.client.address(), b"hello"), &db, now);
                Some(sent.outgoing().first()?.envelope().clone())
            }
            Err(error) => {
                let age = now.since(created).max(created.since(now));
                assert!(age > MAX_PREKEY_AGE_MS, "{error:?} of a prekey of {} days", age / DAY);
                None
            }
        }
    }

    /// Whether it is read as a message of its own.
    fn reads(&self, envelope: &Envelope, now: Timestamp) -> bool {
        let received = attempt(self.client.receive(envelope), &self.db, now);
        matches!(received, Ok(Received::Message(message)) if message.plaintext() == Some(b"hello"))
    }
}

/// 400 days: sleeps of up to ten weeks, uploads that are lost one way or the other, mail that is read before or after what is
/// due, left lying once, delivered twice, hours of a wrong clock. Nothing is lost but what was refused where it was written.
#[test]
fn four_hundred_days() {
    for seed in 0..3 {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let mut below = |bound: u64| chance.next_u64() % bound;
        let mut bob = Device::new("bob");
        bob.attend(NOW);
        let (mut mail, mut asleep_until, mut strangers, mut read) = (Vec::new(), 0, 0, 0);
        for today in 1..400 {
            let now = Timestamp::new(day(today).get() + below(20) * HOUR);
            if below(2) == 0 {
                strangers += 1;
                mail.extend(bob.hear_from_a_stranger(strangers, now).map(|envelope| (envelope, false)));
            }
            if today < asleep_until {
                continue;
            }
            if below(12) == 0 {
                let wrong = [
                    Timestamp::new(1_000),
                    day(today + 730),
                    day(today + 2),
                    Timestamp::new(day(today).get() - 365 * DAY),
                ];
                let wrong = wrong[usize::try_from(below(4)).unwrap()];
                bob.attend(wrong);
                bob.attend(Timestamp::new(wrong.get() + HOUR / 2));
            }
            let upkeep_first = below(2) == 0;
            let upkeep = |bob: &mut Device, arrives: bool, heard: bool| {
                run(bob.client.maintain(), &bob.db, now);
                bob.publish(bob.prekey_store.counts(), arrives, heard, now);
            };
            let (arrives, heard) = (below(3) > 0, below(3) > 0);
            if upkeep_first {
                upkeep(&mut bob, arrives, heard);
            }
            let mut left = Vec::new();
            while !mail.is_empty() {
                let (envelope, was_left) = mail.swap_remove(usize::try_from(below(mail.len() as u64)).unwrap());
                if !was_left && below(4) == 0 {
                    left.push((envelope, true));
                    continue;
                }
                assert!(bob.reads(&envelope, now), "seed {seed}, day {today}: a first message is lost");
                assert!(!bob.reads(&envelope, now), "seed {seed}, day {today}: it is read twice");
                read += 1;
            }
            mail = left;
            if !upkeep_first {
                upkeep(&mut bob, arrives, heard);
            }
            if below(10) == 0 {
                bob.attend(now);
                asleep_until = today + 1 + below(70);
            }
        }
        assert!(read > 100, "seed {seed}: {read} messages of {strangers} strangers");
        let rows = [2, 3, 4].map(|kind| rows_of_kind(&bob.db, kind));
        assert!(rows[0] <= 40 && rows[1] <= 1_300 && rows[2] <= 1_340, "seed {seed}: {rows:?}");
    }
}

/// Whoever slept 60 days reads what was written in the first 45, whatever is done first and however often.
#[test]
fn a_long_sleep() {
    for attends in 0..4 {
        let mut bob = Device::new("bob");
        bob.attend(NOW);
        let written: Vec<_> = (0..60).step_by(3).map(|at| bob.hear_from_a_stranger(at, day(at as u64))).collect();
        assert_eq!(written.iter().filter(|envelope| envelope.is_some()).count(), 16, "up to day 45");
        for at in 0..attends {
            bob.attend(day(60 + at));
        }
        for envelope in written.into_iter().flatten() {
            assert!(bob.reads(&envelope, day(60 + attends)), "upkeep {attends} times before the mail");
        }
    }
}

/// For 60 days no upload arrives. What the server has is read as long as anybody takes it; then one arrives, and all is as
/// before.
#[test]
fn uploads_that_fail_for_weeks() {
    let mut bob = Device::new("bob");
    bob.attend(NOW);
    let rows = bob.db.0.borrow().len();
    let (mut read, mut number) = (0, 0);
    for today in 1..=60 {
        run(bob.client.maintain(), &bob.db, day(today));
        bob.publish(PrekeyCounts::default(), false, false, day(today));
        number += 1;
        if let Some(envelope) = bob.hear_from_a_stranger(number, day(today)) {
            assert!(bob.reads(&envelope, day(today)), "day {today}");
            read += 1;
        }
    }
    assert_eq!(read, 45);
    let kinds = [2, 3, 4].map(|kind| rows_of_kind(&bob.db, kind));
    assert!(kinds[0] <= 2 && kinds[1] <= 200 && kinds[2] <= 204, "{kinds:?}, of {rows} rows before");
    bob.attend(day(61));
    let envelope = bob.hear_from_a_stranger(100, day(61)).unwrap();
    assert!(bob.reads(&envelope, day(61)));
}

/// For an hour the clock is wrong, and the device does everything. What strangers wrote before and after is read.
#[test]
fn an_hour_of_a_wrong_clock() {
    for wrong in [day(730), day(32), Timestamp::new(0), Timestamp::new(NOW.get() - 365 * DAY), Timestamp::new(u64::MAX)]
    {
        let mut bob = Device::new("bob");
        for today in [0, 1, 7, 8, 9] {
            bob.attend(day(today));
        }
        let before = bob.hear_from_a_stranger(1, day(9)).unwrap();
        let rows = rows_of_kind(&bob.db, 2);
        for minutes in [0, 20, 40] {
            bob.attend(Timestamp::new(wrong.get().saturating_add(minutes * 60_000)));
        }
        assert!(rows_of_kind(&bob.db, 2) >= rows, "{wrong:?}");
        for today in 10..37 {
            bob.attend(day(today));
        }
        assert!(bob.reads(&before, day(37)), "{wrong:?}");
        let after = bob.hear_from_a_stranger(2, day(37)).unwrap();
        assert!(bob.reads(&after, day(37)), "{wrong:?}");
        // And what was replaced goes.
        for today in 38..80 {
            bob.attend(day(today));
        }
        assert!(rows_of_kind(&bob.db, 2) <= 7, "{wrong:?}");
    }
}

/// An older list of prekeys, put back alone: others are made under other ids, and strangers get through.
#[test]
fn a_list_that_is_put_back_does_not_stop_uploads() {
    for taken in [0, 30, 100] {
        let mut bob = Device::new("bob");
        let list = |bob: &Device| {
            bob.db.0.borrow().iter().find(|(key, _)| key.as_bytes()[0] == 24).map(|(key, row)| (*key, row.clone()))
        };
        bob.attend(NOW);
        let old = list(&bob).unwrap();
        for number in 0..taken {
            if bob.prekey_store.counts().one_time < 25 {
                bob.attend(day(1));
            }
            let envelope = bob.hear_from_a_stranger(number, day(1)).unwrap();
            assert!(bob.reads(&envelope, day(1)));
        }
        bob.attend(day(8));
        bob.db.0.borrow_mut().insert(old.0, old.1);
        bob.attend(day(16));
        let envelope = bob.hear_from_a_stranger(1_000, day(16)).unwrap();
        assert!(bob.reads(&envelope, day(16)), "{taken} taken");
    }
}
