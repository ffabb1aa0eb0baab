//! The sessions that a client keeps in memory.

use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::vec::Vec;

use rand_core::Rng;

use crate::client::{Client, Operation, PrekeyCounts, ReceiveError, Received, SendError, Sent, StoredError};
use crate::ident::{MessageId, Timestamp};
use crate::persist::{RecordKey, StorageKey, Version};
use crate::prekey::{Bundle, Device};
use crate::rows::Peer;
use crate::session::Session;
use crate::staging::{RowCache, Stop, Workspace};
use crate::staging::{StageError, Store as _};
use crate::suite::Suites;
use crate::support::address;
use crate::testing::{MemoryStore, SeededRng};
use crate::wire::{Envelope, RecordError, RecordKind};

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

struct Side {
    client: Client,
    store: MemoryStore,
    rng: SeededRng,
    sent: u8,
}

impl Side {
    fn new(name: &str, suites: Suites, seed: u64) -> Self {
        let (store, mut rng) = (MemoryStore::new(), SeededRng::new(seed));
        let created = Client::create(&StorageKey::new([7; 32]), &address(name), suites).stage(&store, NOW, &mut rng);
        let client = created.unwrap().commit(|batch, _| store.write(batch)).unwrap().client.with_session_cache(2);
        Self { client, store, rng, sent: 0 }
    }

    /// Two that have talked.
    fn talking(suites: Suites) -> (Self, Self) {
        let (mut alice, mut bob) = (Self::new("alice", suites, 1), Self::new("bob", suites, 2));
        let bundle = bob.bundle();
        alice.run(alice.client.add_session(&bundle)).unwrap();
        for _ in 0..2 {
            bob.read(&alice.send("bob"));
            alice.read(&bob.send("alice"));
        }
        (alice, bob)
    }

    fn cache(&self) -> &RowCache<Peer> {
        self.client.core.cache.as_ref().unwrap()
    }

    fn run<T, E>(&mut self, operation: Operation<T, E>) -> Result<T, E> {
        match operation.stage(&self.store, NOW, &mut self.rng) {
            Ok(staged) => Ok(staged.commit(|batch, _| self.store.write(batch)).unwrap()),
            Err(StageError::Operation(error)) => Err(error),
            Err(StageError::Store(_) | StageError::Rows) => panic!("the store loads what it is asked for"),
        }
    }

    fn bundle(&mut self) -> Bundle {
        let upload = self.run(self.client.publish_prekeys(PrekeyCounts::default())).unwrap().remove(0);
        upload.bundle(None, None).verify().unwrap()
    }

    fn sending(&mut self, to: &str) -> Operation<Sent, SendError> {
        self.sent += 1;
        self.client.send(MessageId::new([self.sent; 16]), &address(to), b"text")
    }

    fn send(&mut self, to: &str) -> Envelope {
        let sending = self.sending(to);
        self.run(sending).unwrap().outgoing().first().unwrap().envelope().clone()
    }

    fn receive(&mut self, envelope: &Envelope) -> Result<Received, ReceiveError> {
        self.run(self.client.receive(envelope))
    }

    #[track_caller]
    fn read(&mut self, envelope: &Envelope) {
        assert!(matches!(self.receive(envelope), Ok(Received::Message(_))));
    }
}

fn key(number: u32) -> RecordKey {
    let mut key = [17; 33];
    key[1..5].copy_from_slice(&number.to_be_bytes());
    RecordKey::from_bytes(key)
}

fn version(number: u8) -> Version {
    Version::from_bytes([number; 16])
}

/// A row that ends so.
fn row(middle: u8, tag: u8) -> Vec<u8> {
    [[middle; 20].as_slice(), &[tag; 16]].concat()
}

/// Peer devices, told apart by their names.
struct Peers {
    client: Client,
    device: Device,
}

impl Peers {
    fn new() -> Self {
        let client = Side::new("alice", Suites::V1, 1).client;
        Self { client, device: Device::generate(address("alice"), &mut SeededRng::new(1)) }
    }

    fn named(&self, name: &str) -> Box<Peer> {
        let session = Session::without_state(&self.device, &address(name), self.device.identity_key(), false);
        Peer::new(&self.client.core, session)
    }
}

fn name(peer: Option<Box<Peer>>) -> Option<std::string::String> {
    peer.map(|peer| peer.address.user().as_str().into())
}

/// The middle of a row is not looked at: it was sealed here, and its tag is of all of it.
#[test]
fn an_entry_is_found_under_its_key_version_and_tag() {
    let (cache, peers) = (RowCache::new(2).unwrap(), Peers::new());
    let kept = || cache.keep(key(1), version(1), &row(1, 1), peers.named("bob"));
    kept();
    assert!(cache.take(&key(2), &version(1), &row(1, 1)).is_none());
    assert_eq!(name(cache.take(&key(1), &version(1), &row(9, 1))).as_deref(), Some("bob"));
    assert!(cache.take(&key(1), &version(1), &row(1, 1)).is_none(), "once");
    assert_eq!(cache.hits(), 1);
    for (version, row) in [(version(2), row(1, 1)), (version(1), row(1, 2)), (version(1), Vec::new())] {
        kept();
        assert!(cache.take(&key(1), &version, &row).is_none());
        assert_eq!(cache.len(), 0, "what is of another row goes");
    }
    cache.keep(key(1), version(1), &[1; 15], peers.named("bob"));
    assert_eq!(cache.len(), 0, "no row ends so");
}

#[test]
fn a_row_has_one_entry() {
    let (cache, peers) = (RowCache::new(2).unwrap(), Peers::new());
    cache.keep(key(1), version(1), &row(1, 1), peers.named("bob"));
    cache.keep(key(1), version(2), &row(1, 2), peers.named("carol"));
    assert_eq!(cache.len(), 1);
    assert_eq!(name(cache.take(&key(1), &version(2), &row(1, 2))).as_deref(), Some("carol"));
    cache.keep(key(1), version(1), &row(1, 1), peers.named("bob"));
    cache.forget(&key(2));
    assert_eq!(cache.len(), 1);
    cache.forget(&key(1));
    assert_eq!(cache.len(), 0);
}

#[test]
fn what_was_not_used_for_longest_goes() {
    let (cache, peers) = (RowCache::new(4).unwrap(), Peers::new());
    let keep = |number| cache.keep(key(number), version(1), &row(1, 1), peers.named("bob"));
    let take = |number| cache.take(&key(number), &version(1), &row(1, 1)).is_some();
    (0..8).for_each(keep);
    assert!(take(0));
    keep(0);
    keep(8);
    assert!(!take(1));
    assert!([0, 2, 3, 4, 5, 6, 7, 8].into_iter().all(take));
}

/// A host that asks for memory without bound is not ended for want of it.
#[test]
fn there_are_never_more_than_twice_as_many_in_eights() {
    let peers = Peers::new();
    assert!(RowCache::<Peer>::new(0).is_none());
    for (devices, most) in [(1, 8), (4, 8), (5, 16), (9, 24), (20, 40)] {
        let cache = RowCache::new(devices).unwrap();
        for number in 0..100 {
            cache.keep(key(number), version(1), &row(1, 1), peers.named("bob"));
        }
        assert_eq!(cache.len(), most, "{devices}");
    }
    let cache = RowCache::new(usize::MAX).unwrap();
    cache.keep(key(u32::MAX), version(1), &row(1, 1), peers.named("bob"));
    assert!(cache.take(&key(u32::MAX), &version(1), &row(1, 1)).is_some());
}

/// An entry that stayed for want of a lock would stay for ever, were it of a device that nobody writes to any more.
#[test]
fn what_has_to_go_waits_for_the_lock() {
    let (cache, peers) = (RowCache::new(2).unwrap(), Peers::new());
    cache.keep(key(1), version(1), &row(1, 1), peers.named("bob"));
    let (cache, gone) = (&cache, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let forgetting = cache.while_held(|| {
            let forgetting = scope.spawn(|| {
                cache.forget(&key(1));
                gone.store(true, Ordering::SeqCst);
            });
            (0..1_000).for_each(|_| std::thread::yield_now());
            assert!(!gone.load(Ordering::SeqCst), "it waits");
            forgetting
        });
        forgetting.join().unwrap();
    });
    assert_eq!(cache.len(), 0);
    // A thread that has come to its end with the lock takes nothing with it.
    cache.keep(key(1), version(1), &row(1, 1), peers.named("bob"));
    assert!(catch_unwind(AssertUnwindSafe(|| cache.while_held(|| panic!("on purpose")))).is_err());
    assert!(cache.take(&key(1), &version(1), &row(1, 1)).is_some());
    cache.keep(key(1), version(1), &row(1, 1), peers.named("bob"));
    assert_eq!(cache.len(), 1);
}

/// With as many devices in turn as were asked for, nearly all are found.
#[test]
fn there_is_room_for_those_that_were_asked_for() {
    let (peers, mut rng) = (Peers::new(), SeededRng::new(5));
    for devices in [8, 64, 256] {
        let cache = RowCache::new(devices).unwrap();
        let keys: Vec<_> = (0..devices).map(|_| key(rng.next_u32())).collect();
        for key in &keys {
            cache.keep(*key, version(1), &row(1, 1), peers.named("bob"));
        }
        let found = keys.iter().filter(|key| cache.take(key, &version(1), &row(1, 1)).is_some()).count();
        assert!(found * 10 >= devices * 9, "{found} of {devices}");
    }
}

/// Whoever wipes an account leaves none of its keys in memory, whatever else is going on.
#[test]
fn nothing_is_kept_once_it_is_closed() {
    let (cache, peers) = (RowCache::new(64).unwrap(), Peers::new());
    (0..64).for_each(|number| cache.keep(key(number), version(1), &row(1, 1), peers.named("bob")));
    assert!(cache.len() > 32);
    cache.close();
    assert_eq!(cache.len(), 0);
    cache.keep(key(1), version(1), &row(1, 1), peers.named("bob"));
    assert_eq!(cache.len(), 0);
}

/// Were a session missed where it is in use, memory would be of no use, and nothing else would tell.
#[test]
fn a_conversation_finds_its_session() {
    for suites in [Suites::V1, Suites::SIGNAL] {
        let (mut alice, mut bob) = Side::talking(suites);
        let before = [alice.cache().hits(), bob.cache().hits()];
        for round in 0..20 {
            let inbox: Vec<_> = (0..1 + round % 3).map(|_| alice.send("bob")).collect();
            if round % 2 == 0 {
                inbox.iter().for_each(|envelope| bob.read(envelope));
            } else {
                let received = bob.run(bob.client.receive_many(&inbox)).unwrap();
                assert!(received.iter().all(Result::is_ok));
            }
            alice.read(&bob.send("alice"));
        }
        // Alice: 39 messages and 20 answers. Bob: each message, or all at once, and 20 answers.
        assert_eq!(alice.cache().hits() - before[0], 39 + 20);
        let inboxes = (0..20).map(|round| if round % 2 == 0 { 1 + round % 3 } else { 1 }).sum::<usize>();
        assert_eq!(bob.cache().hits() - before[1], inboxes + 20);
        assert_eq!((alice.cache().len(), bob.cache().len()), (1, 1));
    }
}

/// Workers of one handle who take each other's entries and win and lose races: no message key twice, none left out.
#[test]
fn many_workers_share_one_memory() {
    let (alice, mut bob) = Side::talking(Suites::V1);
    let (client, store, bobs) = (&alice.client, &alice.store, &address("bob"));
    let inbox: Vec<Envelope> = std::thread::scope(|scope| {
        let workers = (0..4_u8).map(|worker| {
            scope.spawn(move || {
                let mut rng = SeededRng::new(100 + u64::from(worker));
                let mut send = |number: u8| {
                    let id = MessageId::new([worker + 1, number, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
                    let sent = client.send(id, bobs, b"text").run(store, NOW, &mut rng, |(), _| Ok(()));
                    sent.unwrap().outgoing().first().unwrap().envelope().clone()
                };
                (0..20).map(&mut send).collect::<Vec<_>>()
            })
        });
        let workers: Vec<_> = workers.collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(inbox.len(), 80);
    inbox.iter().for_each(|envelope| bob.read(envelope));
}

/// What is found is used: of that row nothing but the tag is looked at. Without memory the damage is seen.
#[test]
fn a_row_that_is_known_is_not_opened() {
    let (mut alice, _) = Side::talking(Suites::V1);
    let peer = alice.client.core.peer_key(RecordKind::Peer, &address("bob"));
    let mut row = alice.store.load(&[peer]).unwrap().remove(0).unwrap();
    row.bytes[200] ^= 1;
    alice.store.tamper(peer, Some(row));
    let kept = alice.client.clone();
    alice.client = alice.client.with_session_cache(0);
    let sending = alice.sending("bob");
    assert!(matches!(alice.run(sending), Err(SendError::Stored(_))));
    alice.client = kept;
    alice.send("bob");
}

/// Whose keys are to be gone, those are not in memory either.
#[test]
fn what_is_forgotten_is_not_in_memory() {
    let (mut alice, _) = Side::talking(Suites::V1);
    assert_eq!(alice.cache().len(), 1);
    alice.run(alice.client.forget_device(&address("bob"))).unwrap();
    assert_eq!(alice.cache().len(), 0);

    let (mut alice, _) = Side::talking(Suites::V1);
    alice.run(alice.client.reset(&address("bob"))).unwrap();
    assert_eq!(alice.cache().len(), 0, "archived");

    // A message that was staged beside it goes out, and leaves nothing behind.
    let (mut alice, _) = Side::talking(Suites::V1);
    let wiping = alice.client.wipe().stage(&alice.store, NOW, &mut alice.rng).unwrap();
    alice.send("bob");
    wiping.commit(|batch, ()| alice.store.write(batch)).unwrap();
    assert_eq!(alice.cache().len(), 0);

    // By another process: as soon as this one asks for it.
    let (mut alice, _) = Side::talking(Suites::V1);
    let here = alice.client.clone();
    alice.client = alice.client.with_session_cache(0);
    alice.run(alice.client.forget_device(&address("bob"))).unwrap();
    alice.client = here;
    assert_eq!(alice.cache().len(), 1);
    let sending = alice.sending("bob");
    assert_eq!(alice.run(sending), Err(SendError::NoSession));
    assert_eq!(alice.cache().len(), 0);
}

/// A row that the same operation has deleted unread is not there, though what it held is known.
#[test]
fn what_an_operation_has_written_counts() {
    let (mut alice, _) = Side::talking(Suites::V1);
    let (core, bob) = (alice.client.core.clone(), address("bob"));
    let deleting = Operation::<bool, StoredError>::new("deleting", move |work: &mut Workspace<'_>| {
        work.remove(core.peer_key(RecordKind::Peer, &bob))?;
        assert_eq!(core.cache.as_ref().unwrap().len(), 1);
        Ok(core.load_peer(work, &bob)?.is_some())
    });
    assert_eq!(alice.run(deleting), Ok(false));
}

/// Messages that are taken back with all that they wrote: the row is what it was before them, and what it holds as well.
#[test]
fn what_is_taken_back_is_not_kept() {
    let (mut alice, _) = Side::talking(Suites::V1);
    let (core, bob) = (alice.client.core.clone(), address("bob"));
    let operation = |fails: bool| {
        let (core, bob) = (core.clone(), bob.clone());
        Operation::<(), StoredError>::new("other", move |work: &mut Workspace<'_>| {
            let save = |work: &mut Workspace<'_>, untrusted| {
                let mut peer = core.load_peer(work, &bob)?.unwrap();
                peer.untrusted = untrusted;
                peer.save(&core, work)
            };
            save(work, false)?;
            let taken_back = work.attempt(|work| {
                save(work, true)?;
                if fails { Err(Stop::Fail(corrupt())) } else { Ok(()) }
            });
            assert_eq!(taken_back.is_err(), fails);
            Ok(())
        })
    };
    alice.run(operation(true)).unwrap();
    alice.send("bob");
    alice.run(operation(false)).unwrap();
    assert_eq!(alice.cache().len(), 1);
    let sending = alice.sending("bob");
    assert_eq!(alice.run(sending), Err(SendError::IdentityChanged));
}

fn corrupt() -> StoredError {
    StoredError { kind: RecordKind::Peer, error: RecordError::Corrupt }
}
