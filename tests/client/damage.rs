//! Rows that are damaged, swapped, or of another time: told apart, never believed.

use std::collections::BTreeSet;

use subrosa::client::{
    AddError, Client, IdentityError, MaintainError, OpenError, PrekeyCounts, PublishError, ReceiveError, Received,
    ResetError, RollbackCounter, SendError, StoredError,
};
use subrosa::ident::MessageId;
use subrosa::persist::{RecordKey, StorageKey, Version};
use subrosa::prekey::Bundle;
use subrosa::session::AcceptError;
use subrosa::staging::Row;
use subrosa::suite::Suite;
use subrosa::wire::{Envelope, RecordError, RecordKind};

use super::side::{KEY, Side, address, kind};

/// A device with rows of every kind, and what makes it read them.
struct Rich {
    alice: Side,
    bundle: Bundle,
    carols: Bundle,
    /// In the session, late in it, in an archived one late and in order, a new first message, one of a changed identity.
    envelopes: Vec<Envelope>,
    /// A first message that was accepted, with prekeys that are there still.
    replayed: Envelope,
    sent: MessageId,
}

fn rich() -> Rich {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 31);
    // Keys kept in a session that is then archived, by a first message of Bob's.
    let late: Vec<_> = (0..4).map(|_| bob.send("alice", b"late")).collect();
    alice.read(&late[3]);
    let (to_alice, bundle) = (alice.bundle(), bob.bundle());
    bob.run(bob.client.reset(&address("alice"))).unwrap();
    bob.run(bob.client.add_session(&to_alice)).unwrap();
    let first = bob.send("alice", b"a new session");
    alice.read(&first);
    let skipped: Vec<_> = (0..3).map(|_| bob.send("alice", b"skipped")).collect();
    alice.read(&skipped[2]);
    // An untrusted one.
    let mut other = Side::new("dave", Suite::V1, 36);
    let daves = alice.last_bundle();
    other.run(other.client.add_session(&daves)).unwrap();
    let hello = other.send("alice", b"hello");
    alice.read(&hello);
    let mut new = Side::new("dave", Suite::V1, 37);
    new.run(new.client.add_session(&alice.bundle())).unwrap();
    let changed = new.send("alice", b"changed");
    assert!(matches!(alice.receive(&changed), Ok(Received::Message(_))));
    let (again, next) = (new.send("alice", b"again"), bob.send("alice", b"next"));
    let mut carol = Side::new("carol", Suite::V1, 38);
    carol.run(carol.client.add_session(&alice.bundle())).unwrap();
    let from_carol = carol.send("alice", b"from Carol");
    let sent = alice.message_id();
    alice.run(alice.client.send(sent, &address("bob"), b"sent")).unwrap();
    // It is in a segment of the log, and another one is there.
    (0..16).for_each(|_| drop(alice.send("bob", b"sent since")));
    // A wish: for a message that nobody can read.
    let mut unreadable = bob.send("alice", b"damaged");
    *unreadable.body.last_mut().unwrap() ^= 1;
    assert!(matches!(alice.receive(&unreadable), Ok(Received::Unreadable(_))));
    let envelopes = vec![next, skipped[0].clone(), late[0].clone(), again, from_carol];
    Rich { alice, bundle, carols: carol.bundle(), envelopes, replayed: hello, sent }
}

impl Rich {
    /// Everything that a host can do; the damage that is found: of which kind, and whether it is corruption.
    fn everything(&self) -> BTreeSet<(u8, bool)> {
        let mut found = BTreeSet::new();
        let mut damage = |error: Option<StoredError>| {
            found.extend(error.map(|StoredError { kind, error, .. }| (kind.number(), error == RecordError::Corrupt)));
        };
        let mut side = self.alice.clone();
        match side.run(Client::open(&StorageKey::new(KEY), RollbackCounter::UNAVAILABLE)) {
            Ok(opened) => side.client = opened.client,
            Err(OpenError::Stored(error)) => damage(Some(error)),
            Err(error) => panic!("{error}"),
        }
        let client = side.client.clone();
        // Each on the rows as they are.
        for envelope in &self.envelopes {
            match side.clone().run(client.receive(envelope)) {
                Ok(_) => {}
                Err(ReceiveError::Stored(error)) => damage(Some(error)),
                Err(error) => panic!("{error}"),
            }
        }
        let mut forgetful = side.clone();
        forgetful.rows.retain(|key, _| kind(key) != 17);
        match forgetful.run(client.receive(&self.replayed)) {
            Ok(Received::Unreadable(unreadable)) => assert_eq!(unreadable.reason, AcceptError::Replayed),
            Err(ReceiveError::Stored(error)) => damage(Some(error)),
            other => panic!("{other:?}"),
        }
        for bundle in [&self.bundle, &self.carols] {
            match side.clone().run(client.add_session(bundle)) {
                Ok(_) | Err(AddError::NoAccount) => {}
                Err(AddError::Stored(error)) => damage(Some(error)),
                Err(error) => panic!("{error}"),
            }
        }
        for id in [self.sent, MessageId::new([5; 16])] {
            match side.clone().run(client.send(id, &address("bob"), b"sent")) {
                Ok(_) => {}
                Err(SendError::Stored(error)) => damage(Some(error)),
                Err(error) => panic!("{error}"),
            }
        }
        damage(match side.clone().run(client.maintain()) {
            Err(MaintainError::Stored(error)) => Some(error),
            _ => None,
        });
        damage(match side.clone().run(client.publish_prekeys(PrekeyCounts::default())) {
            Err(PublishError::Stored(error)) => Some(error),
            _ => None,
        });
        damage(match side.clone().run(client.reset(&address("bob"))) {
            Err(ResetError::Stored(error)) => Some(error),
            _ => None,
        });
        for accept in [true, false] {
            let dave = address("dave");
            let operation = if accept {
                client.accept_identity(&dave, self.bundle.identity_key())
            } else {
                client.refuse_identity(&dave)
            };
            damage(match side.clone().run(operation) {
                Err(IdentityError::Stored(error)) => Some(error),
                _ => None,
            });
        }
        damage(side.clone().run(client.todo()).err());
        let mut pruned = side.clone();
        pruned.now = subrosa::ident::Timestamp::new(pruned.now.get() + 40 * super::side::DAY);
        for page in 0..=255 {
            damage(pruned.run(client.prune(page)).err());
        }
        found
    }
}

/// Every kind of record that the client writes.
const KINDS: [u8; 16] = [1, 2, 3, 4, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 27, 32];

/// Kinds whose damage is no error: what is said to be wanted.
const WAITING: [u8; 3] = [25, 30, 31];

#[test]
fn a_whole_database_shows_no_damage() {
    let rich = rich();
    let kinds: BTreeSet<u8> = rich.alice.rows.keys().map(kind).collect();
    assert!(KINDS.iter().chain(&WAITING).all(|kind| kinds.contains(kind)), "{kinds:?}");
    assert_eq!(rich.everything(), BTreeSet::new());
}

/// In the schema number, the salt, the commitment, the text and the tag.
#[test]
fn a_flipped_bit_is_corruption_of_that_kind() {
    let mut rich = rich();
    let whole = rich.alice.rows.clone();
    for number in KINDS.into_iter().chain(WAITING) {
        for at in [0, 1, 20, 50, 90, usize::MAX] {
            rich.alice.rows = whole.clone();
            for (key, row) in rich.alice.rows.iter_mut().filter(|(key, _)| kind(key) == number) {
                // The vault has a check of the storage key before all else.
                let head = if kind(key) == 16 { 16 } else { 0 };
                let at = at.saturating_add(head).min(row.bytes.len() - tail_len(key, row) - 1);
                row.bytes[at] ^= 1 << (at % 8);
            }
            let found = rich.everything();
            // What only says what waits is as good as empty.
            assert_eq!(found.contains(&(number, true)), !WAITING.contains(&number), "kind {number} at {at}: {found:?}");
            assert!(found.iter().all(|(kind, _)| *kind == number), "kind {number} at {at}: {found:?}");
        }
    }
}

/// What lies behind the record of a row: it is sealed under keys that are in the record.
fn tail_len(key: &RecordKey, row: &Row) -> usize {
    if kind(key) == 16 { 0 } else { u16::from_be_bytes([row.bytes[2], row.bytes[3]]).into() }
}

/// It is opened when it is wanted, and found to be damaged then: before that messages go on.
#[test]
fn a_damaged_tail_is_found_when_it_is_wanted() {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 44);
    for number in 0..30 {
        let sent = alice.send("bob", b"there");
        bob.read(&sent);
        if number % 4 == 0 {
            let sent = bob.send("alice", b"back");
            alice.read(&sent);
        }
    }
    let peer = *alice.rows.keys().find(|key| kind(key) == 17).unwrap();
    let tail = tail_len(&peer, &alice.rows[&peer]);
    assert!(tail > 100, "{tail}");
    let row = alice.rows.get_mut(&peer).unwrap();
    let at = row.bytes.len() - tail / 2;
    row.bytes[at] ^= 1;
    let mut outcome = Ok(());
    for _ in 0..9 {
        let (before, id) = (alice.rows.clone(), alice.message_id());
        outcome = alice.run(alice.client.send(id, &address("bob"), b"x")).map(drop);
        if outcome.is_err() {
            assert!(alice.rows == before, "nothing has changed");
            break;
        }
    }
    let error = outcome.expect_err("it was wanted");
    let SendError::Stored(StoredError { kind, error, .. }) = error else { panic!("{error:?}") };
    assert_eq!((kind, error), (RecordKind::Peer, RecordError::Corrupt));
    // What a host does then: without the row, a new session.
    alice.rows.remove(&peer);
    let bundle = bob.bundle();
    alice.run(alice.client.add_session(&bundle)).unwrap();
    let sent = alice.send("bob", b"anew");
    assert_eq!(bob.read(&sent), b"anew");
}

/// Two rows of one kind that have changed places, with their versions.
#[test]
fn swapped_rows_are_corruption() {
    let mut rich = rich();
    let whole = rich.alice.rows.clone();
    let mut swapped = 0;
    for number in KINDS {
        let keys: Vec<RecordKey> = whole.keys().filter(|key| kind(key) == number).copied().collect();
        if keys.len() < 2 {
            continue;
        }
        rich.alice.rows = whole.clone();
        for (at, key) in keys.iter().enumerate() {
            rich.alice.rows.insert(*key, whole[&keys[(at + 1) % keys.len()]].clone());
        }
        let found = rich.everything();
        assert!(found.contains(&(number, true)), "kind {number}: {found:?}");
        swapped += 1;
    }
    assert!(swapped >= 6, "{swapped}");
}

/// An older row under the version of the newer one is corrupt. With its own version it opens: that is what the rollback
/// counter is for, and it is found when the host writes on what it has read before.
#[test]
fn an_older_row_has_an_older_version() {
    let (mut alice, _) = Side::talking(Suite::V1, 41);
    let older = alice.rows.clone();
    alice.send("bob", b"newer");
    let peer = *alice.rows.keys().find(|key| kind(key) == 17).unwrap();
    let (old, new): (Row, Version) = (older[&peer].clone(), alice.rows[&peer].version);
    assert_ne!(old.version, new);
    alice.rows.insert(peer, Row { version: new, ..old.clone() });
    let id = alice.message_id();
    let refused = alice.run(alice.client.send(id, &address("bob"), b"x")).unwrap_err();
    assert!(matches!(refused, SendError::Stored(StoredError { error: RecordError::Corrupt, .. })));
    alice.rows.insert(peer, old);
    assert!(alice.run(alice.client.send(id, &address("bob"), b"x")).is_ok());
}

#[test]
fn another_storage_key_is_no_damage() {
    let (mut alice, _) = Side::talking(Suite::V1, 43);
    let open = Client::open(&StorageKey::new([9; 32]), RollbackCounter::new(1));
    assert_eq!(alice.run(open).unwrap_err(), OpenError::WrongStorageKey);
    let vault = *alice.rows.keys().find(|key| kind(key) == 16).unwrap();
    for len in [0, 1, 15, 16, 17, 40] {
        alice.rows.get_mut(&vault).unwrap().bytes.truncate(len);
        let opened = alice.run(Client::open(&StorageKey::new(KEY), RollbackCounter::new(1)));
        assert!(matches!(opened, Err(OpenError::Stored(_))), "cut to {len}: {opened:?}");
        alice.rows.get_mut(&vault).unwrap().bytes.resize(200, 0);
    }
}
