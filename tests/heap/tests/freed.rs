//! No secret is left in a heap block that is freed: whoever gets such a block next, or a dump of memory, finds none.

use std::collections::{BTreeMap, BTreeSet};

use heap::{Spy, freed};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use subrosa::attachment::{AttachmentKey, AttachmentUpload, ChunkSize};
use subrosa::client::Client;
use subrosa::client::RollbackCounter;
use subrosa::crypto::Secret;
use subrosa::ident::*;
use subrosa::persist::StorageKey;
use subrosa::platform::{ModerationKey, StampKeys};
use subrosa::prekey::*;
use subrosa::session::*;
use subrosa::suite::*;
use subrosa::testing::MemoryStore;

#[global_allocator]
static SPY: Spy = Spy;

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

/// Secrets that are looked for, with their names, and where each kind was found how often.
#[derive(Default)]
struct Search {
    secrets: BTreeMap<[u8; 32], &'static str>,
    found: BTreeMap<(String, &'static str), usize>,
}

impl Search {
    fn know(&mut self, bytes: &[u8], name: &'static str) {
        self.secrets.insert(bytes.try_into().unwrap(), name);
    }

    /// Runs something, and looks for what is known before it and for what `secrets` says of its outcome.
    fn watch<T>(&mut self, what: &str, run: impl FnOnce() -> T, secrets: impl FnOnce(&mut Self, &T)) -> T {
        let (outcome, blocks) = freed(run);
        secrets(self, &outcome);
        let firsts: BTreeSet<[u8; 4]> = self.secrets.keys().map(|key| *key.first_chunk().unwrap()).collect();
        for window in blocks.iter().flat_map(|block| block.windows(32)) {
            if firsts.contains(window.first_chunk::<4>().unwrap())
                && let Some(name) = self.secrets.get(window)
            {
                *self.found.entry((what.into(), name)).or_default() += 1;
            }
        }
        outcome
    }

    fn assert_none(&self, at_least: usize) {
        assert!(self.secrets.len() >= at_least, "{} secrets known", self.secrets.len());
        assert!(self.found.is_empty(), "{:#?}", self.found);
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if *byte < 0x80 {
            return value;
        }
    }
}

/// The fields of a record that are bytes, by their path; `messages` are those with fields within.
fn fields(mut record: &[u8], path: &str, messages: &[&str], out: &mut BTreeMap<String, Vec<Vec<u8>>>) {
    while !record.is_empty() {
        let key = varint(&mut record);
        let number = varint(&mut record);
        if key & 7 == 0 {
            continue;
        }
        let (field, rest) = record.split_at(usize::try_from(number).unwrap());
        record = rest;
        let path = format!("{path}.{}", key >> 3);
        if messages.contains(&path.as_str()) {
            fields(field, &path, messages, out);
        } else {
            out.entry(path).or_default().push(field.to_vec());
        }
    }
}

fn fields_of(record: &[u8], messages: &[&str]) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut out = BTreeMap::new();
    fields(&record[3..], "", messages, &mut out);
    out
}

/// Every secret of a session, as src/wire/state.proto lays it out.
fn know_session(search: &mut Search, session: &Session) {
    let messages = [
        ".4",
        ".4.7",
        ".4.7.2",
        ".4.7.2.1",
        ".4.7.4",
        ".4.8",
        ".4.8.2",
        ".4.8.3",
        ".4.8.3.3",
        ".4.8.3.3.2",
        ".4.8.3.3.3",
        ".4.8.4",
    ];
    let fields = fields_of(&session.to_bytes(), &messages);
    for (path, name) in [
        (".4.7.1", "root key"),
        (".4.7.2.1.1", "ratchet private"),
        (".4.7.2.2", "sending chain"),
        (".4.7.4.2", "receiving chain"),
        (".4.8.2.3", "authenticator root"),
        (".4.8.2.4", "authenticator mac key"),
        (".4.8.2.13", "encapsulation m"),
        (".4.8.3.1", "pq next root"),
        (".4.8.3.3.2.1", "pq sending chain"),
        (".4.8.3.3.3.1", "pq receiving chain"),
        (".4.8.4.1", "authenticator root before"),
        (".4.8.4.2", "authenticator mac key before"),
        (".4.8.4.3", "pq next root before"),
    ] {
        fields.get(path).into_iter().flatten().for_each(|key| search.know(key, name));
    }
    for key in fields.get(".4.8.2.7").into_iter().flatten() {
        search.know(&key[..32], "ml-kem seed d");
        search.know(&key[32..64], "ml-kem seed z");
    }
    for (path, name) in [(".4.7.4.5", "kept seed"), (".4.8.3.3.4", "kept pq key")] {
        for keys in fields.get(path).into_iter().flatten() {
            keys.chunks(36).for_each(|entry| search.know(&entry[4..], name));
        }
    }
}

fn device(name: &str, suite: Suite, rng: &mut ChaCha20Rng) -> Device {
    let suites = if suite == Suite::V1 { Suites::V1 } else { Suites::SIGNAL };
    Device::generate(Address::new(UserId::new(name).unwrap(), DeviceId::new(1)), rng).with_suites(suites)
}

/// ŝ in part, and z, of ML-KEM-1024's layout behind a type byte.
fn know_kem(search: &mut Search, secret: &[u8]) {
    search.know(&secret[1..33], "kem s");
    search.know(&secret[1 + 3136..], "kem z");
}

#[test]
fn records_with_secrets() {
    let (rng, search) = (&mut ChaCha20Rng::seed_from_u64(9), &mut Search::default());
    for suite in [Suite::V1, Suite::Signal] {
        let owner = search.watch(
            "device drawn",
            || device("alice", suite, rng),
            |search, device| search.know(&fields_of(&device.to_bytes(), &[".4"])[".4.1"][0], "identity private"),
        );
        let signed = search.watch(
            "signed prekey drawn",
            || SignedPrekey::generate(&owner, suite, PrekeyId::new(1), NOW, rng),
            |search, signed| search.know(&fields_of(&signed.to_bytes(), &[".4"])[".4.1"][0], "signed private"),
        );
        let one_time = search.watch(
            "one-time prekey drawn",
            || OneTimePrekey::generate(suite, PrekeyId::new(1), rng),
            |search, prekey| search.know(&fields_of(&prekey.to_bytes(), &[".3"])[".3.1"][0], "one-time private"),
        );
        let kem = search.watch(
            "kem prekey drawn",
            || KemPrekey::last_resort(&owner, suite, PrekeyId::new(1), NOW, rng),
            |search, kem| know_kem(search, &fields_of(&kem.to_bytes(), &[])[".5"][0]),
        );
        search.watch("device record", || drop(Device::from_bytes(&owner.to_bytes()).unwrap()), |_, ()| {});
        search.watch("signed record", || drop(SignedPrekey::from_bytes(&signed.to_bytes()).unwrap()), |_, ()| {});
        search.watch("one-time record", || drop(OneTimePrekey::from_bytes(&one_time.to_bytes()).unwrap()), |_, ()| {});
        search.watch("kem record", || drop(KemPrekey::from_bytes(&kem.to_bytes()).unwrap()), |_, ()| {});
        let mut cut = kem.to_bytes().to_vec();
        cut.truncate(3_000);
        search.watch("kem record, cut", || assert!(KemPrekey::from_bytes(&cut).is_err()), |_, ()| {});
        search.watch("all dropped", || drop((owner, signed, one_time, kem)), |_, ()| {});
    }
    let moderation = search.watch(
        "moderation key drawn",
        || ModerationKey::generate(rng),
        |search, key| {
            let fields = fields_of(&key.to_bytes(), &[".1"]);
            search.know(&fields[".1.1"][0], "moderation private");
            know_kem(search, &fields[".2"][0]);
        },
    );
    search.watch("moderation record", || drop(ModerationKey::from_bytes(&moderation.to_bytes()).unwrap()), |_, ()| {});
    let mut stamps = StampKeys::default();
    search.watch("stamp keys drawn", || (1..20).for_each(|kid| stamps.generate(kid, rng).unwrap()), |_, ()| {});
    fields_of(&stamps.to_bytes(), &[])[".1"][0].chunks(36).for_each(|entry| search.know(&entry[4..], "stamp master"));
    search.watch("stamp record", || drop(StampKeys::from_bytes(&stamps.to_bytes()).unwrap()), |_, ()| {});
    search.know(&[0x5a; 32], "attachment key");
    let key = || AttachmentKey::new(Secret::new([0x5a; 32]));
    let upload =
        search.watch("upload made", || AttachmentUpload::new(key(), 10_000, ChunkSize::MIN, rng).unwrap(), |_, _| {});
    search.watch("upload record", || drop(AttachmentUpload::from_bytes(&upload.to_bytes()).unwrap()), |_, ()| {});
    search.assert_none(20);
}

#[test]
fn accounts() {
    let (rng, store) = (&mut ChaCha20Rng::seed_from_u64(1), MemoryStore::new());
    let (key, me) = (StorageKey::new([7; 32]), Address::new(UserId::new("alice").unwrap(), DeviceId::new(1)));
    let created = Client::create(&key, &me, Suites::V1).stage(&store, NOW, rng).unwrap();
    drop(created.commit(|batch, _| store.write(batch)).unwrap());
    let open =
        || Client::open(&key, RollbackCounter::new(1)).stage(&store, NOW, rng).map(|staged| drop(staged.committed()));
    let (opened, blocks) = freed(open);
    assert!(opened.is_ok());
    // What the account's rows are sealed with is not known here: no block of its size has anything in it.
    let full = |block: &&Vec<u8>| block.len() == 32 && block.iter().filter(|byte| **byte != 0).count() > 24;
    assert_eq!(blocks.iter().filter(full).count(), 0);
}

fn conversation(suite: Suite) {
    let (rng, search) = (&mut ChaCha20Rng::seed_from_u64(1), &mut Search::default());
    let (alice, bob) = (device("alice", suite, rng), device("bob", suite, rng));
    let signed = SignedPrekey::generate(&bob, suite, PrekeyId::new(1), NOW, rng);
    let kem = KemPrekey::last_resort(&bob, suite, PrekeyId::new(2), NOW, rng);
    let bundle = bob.bundle(&signed, &kem, None).verify().unwrap();
    let mut hers = search.watch(
        "initiate",
        || Session::initiate(&alice, &bundle, NOW, rng).unwrap(),
        |search, session| {
            know_session(search, session);
        },
    );
    let first = hers.encrypt(b"x", NOW, rng).unwrap();
    let (mut seen, first) = (SeenBaseKeys::default(), FirstMessage::parse(first.bytes()).unwrap());
    let mut prekeys = PrekeySecrets { signed: &signed, kem: &kem, one_time: None, seen: &mut seen };
    let accept = || Session::accept(&bob, alice.address(), &first, &mut prekeys, NOW, rng).unwrap().0;
    let mut his = search.watch("accept", accept, know_session);
    for round in 0..60 {
        for turn in [false, true] {
            let (sender, receiver) = if turn { (&mut his, &mut hers) } else { (&mut hers, &mut his) };
            know_session(search, sender);
            know_session(search, receiver);
            let skipped = if round % 7 == 3 { 150 } else { 0 };
            let mut sent = Vec::new();
            for _ in 0..=skipped {
                sent.push(search.watch("encrypt", || sender.encrypt(b"hello", NOW, rng).unwrap(), |_, _| {}));
                know_session(search, sender);
            }
            let last = sent.pop().unwrap();
            let what = if skipped > 0 { "decrypt, 150 skipped" } else { "decrypt in order" };
            for (what, message) in
                core::iter::once((what, &last)).chain(sent.iter().step_by(3).map(|sent| ("decrypt late", sent)))
            {
                let read = search.watch(
                    what,
                    || match message {
                        Ciphertext::Message(bytes) => {
                            receiver.decrypt(&SessionMessage::parse(bytes).unwrap(), NOW, rng).is_ok()
                        }
                        Ciphertext::First(bytes) => {
                            let first = FirstMessage::parse(bytes).unwrap();
                            receiver.accept_next(&bob, &first, None, NOW, rng).is_ok()
                        }
                    },
                    |_, _| {},
                );
                assert!(read);
                know_session(search, receiver);
            }
            let store = || Session::from_bytes(&sender.to_bytes()).unwrap();
            let stored = search.watch("stored and loaded", store, |_, _| {});
            search.watch("session dropped", || drop(stored), |_, ()| {});
            let copy = sender.clone();
            search.watch("copy dropped", || drop(copy), |_, ()| {});
        }
    }
    search.assert_none(1_000);
}

#[test]
fn sessions_of_v1() {
    conversation(Suite::V1);
}

#[test]
fn sessions_of_suite_signal() {
    conversation(Suite::Signal);
}
