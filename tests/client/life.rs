//! Identities that change, sessions that are reset, accounts that are wiped, keys that are changed, databases that go back.

use subrosa::client::{
    AddError, Client, CreateError, IdentityStatus, MaintainError, OpenError, PeerDevice, PublishError, Received,
    RollbackCounter, SendError, Task,
};
use subrosa::persist::{RecordKey, StorageKey};
use subrosa::suite::{Suite, Suites};

use super::side::{DAY, KEY, Side, address, kind};

const UNTRUSTED: u8 = 21;

/// Bob makes a new account and writes to Alice: what she sees first.
fn changed(seed: u64) -> (Side, Side, Side) {
    let (mut alice, bob) = Side::talking(Suite::V1, seed);
    let mut new = Side::new("bob", Suite::V1, seed + 50);
    let bundle = alice.bundle();
    new.run(new.client.add_session(&bundle)).unwrap();
    for text in [b"it's me".as_slice(), b"really"] {
        let envelope = new.send("alice", text);
        let Ok(Received::Message(message)) = alice.receive(&envelope) else { panic!() };
        assert_eq!(message.plaintext(), Some(text));
        assert!(matches!(message.identity(), IdentityStatus::Changed(_)));
    }
    let id = alice.message_id();
    let refused = alice.run(alice.client.send(id, &address("bob"), b"secret"));
    assert_eq!(refused.unwrap_err(), SendError::IdentityChanged);
    (alice, bob, new)
}

/// The key of the new account.
fn key_of(new: &mut Side) -> subrosa::crypto::PublicKey {
    *new.bundle().identity_key()
}

/// Who asks before its key was accepted is answered when it is, though it asks no more; and never if it is refused.
#[test]
fn a_question_of_before_the_key_was_accepted_is_answered() {
    for accepts in [true, false] {
        let (mut alice, _) = Side::talking(Suite::V1, 25);
        let mut new = Side::new("bob", Suite::V1, 75);
        let id = alice.message_id();
        let sent = alice.run(alice.client.send(id, &address("bob"), b"to the old one")).unwrap();
        let Ok(Received::Unreadable(unread)) = new.receive(sent.outgoing().first().unwrap().envelope()) else {
            panic!()
        };
        let (bundle, key) = (alice.bundle(), key_of(&mut new));
        let [question] = &new.run(new.client.add_session(&bundle)).unwrap().repair[..] else { panic!() };
        let Ok(Received::RepairRequest(request)) = alice.receive(question.envelope()) else { panic!() };
        assert!(request.messages.is_empty() && request.reply.is_none());
        let wanted =
            |side: &mut Side| side.run(side.client.todo()).unwrap().contains(&Task::FetchBundle(address("bob")));
        assert!(!wanted(&mut alice), "nothing is said before");
        if !accepts {
            alice.run(alice.client.refuse_identity(&address("bob"))).unwrap();
            assert!(!wanted(&mut alice));
            assert!(!alice.rows.keys().any(|key| kind(key) == 25), "nothing waits");
            continue;
        }
        alice.run(alice.client.accept_identity(&address("bob"), &key)).unwrap();
        assert!(wanted(&mut alice));
        let bundle = new.bundle();
        let added = alice.run(alice.client.add_session(&bundle)).unwrap();
        let [word] = &added.repair[..] else { panic!("{added:?}") };
        assert!(!added.started && !wanted(&mut alice));
        let Ok(Received::ResendDeclined(gone)) = new.receive(word.envelope()) else { panic!() };
        assert_eq!(gone.names, [unread.name]);
        assert!(alice.run(alice.client.add_session(&bundle)).unwrap().repair.is_empty(), "said once");
    }
}

/// What is known of Bob's device; nothing is changed by asking.
fn ask(alice: &mut Side) -> Option<PeerDevice> {
    let known = alice.run(alice.client.peer(&address("bob"))).unwrap();
    assert!(alice.changes.is_empty());
    known
}

#[test]
fn which_key_waits_is_known_whatever_the_host_has_lost() {
    let (mut alice, old, mut new) = changed(21);
    let (known, key) = (ask(&mut alice).unwrap(), key_of(&mut new));
    assert!(known.awaits_decision && known.changed_key == Some(key) && known.identity_key != key);
    let own = |side: &Side| side.clone().run(side.client.identity_key()).unwrap();
    assert_eq!((Some(known.identity_key), Some(key)), (own(&old), own(&new)));
    // Also if the whole database goes back in time.
    let (mut back, key_of_rows) = (alice.clone(), StorageKey::new(KEY));
    let backup = back.rows.clone();
    let mut counter = RollbackCounter::new(1);
    for _ in 0..2 {
        counter = back.run(Client::open(&key_of_rows, counter)).unwrap().rollback_counter;
    }
    back.rows = backup;
    let opened = back.run(Client::open(&key_of_rows, counter)).unwrap();
    assert!(opened.rolled_back);
    back.client = opened.client;
    let after = ask(&mut back).unwrap();
    assert_eq!((after.changed_key, after.sends_since, after.awaits_decision), (Some(key), None, true));
    back.run(back.client.accept_identity(&address("bob"), &key)).unwrap();
    assert_eq!(ask(&mut back).map(|known| (known.identity_key, known.awaits_decision)), Some((key, false)));
    // Of a device's row that is put back after the decision, the key that was decided for.
    let before = alice.rows.clone();
    alice.run(alice.client.accept_identity(&address("bob"), &key)).unwrap();
    assert_eq!(ask(&mut alice).unwrap().changed_key, None);
    let put_back = before.iter().find(|(key, _)| kind(key) == 17).map(|(key, row)| (*key, row.clone())).unwrap();
    alice.rows.insert(put_back.0, put_back.1);
    assert_eq!(ask(&mut alice).unwrap().changed_key, Some(key));
    // And nothing, where the decision was for the known one.
    let mut refusing = alice.clone();
    refusing.rows = before.clone();
    refusing.run(refusing.client.refuse_identity(&address("bob"))).unwrap();
    assert!(!ask(&mut refusing).unwrap().awaits_decision);
    refusing.rows.extend(before.into_iter().filter(|(key, _)| kind(key) == 17));
    let lost = ask(&mut refusing).unwrap();
    assert!(lost.awaits_decision && lost.changed_key.is_none());
}

#[test]
fn what_is_known_of_devices_is_said() {
    let (mut alice, _) = Side::talking(Suite::V1, 23);
    let bob = address("bob");
    let known = ask(&mut alice).unwrap();
    assert!(!known.awaits_decision && known.sends_since.is_some() && known.address == bob);
    let all =
        |alice: &mut Side| (0..=255).flat_map(|page| alice.run(alice.client.peers(page)).unwrap()).collect::<Vec<_>>();
    assert_eq!(
        (all(&mut alice), alice.run(alice.client.devices_of(bob.user())).unwrap()),
        (vec![bob.clone()], vec![bob.clone()])
    );
    assert!(alice.run(alice.client.devices_of(address("carol").user())).unwrap().is_empty());
    assert_eq!(alice.run(alice.client.peer(&address("carol"))).unwrap(), None);
    for framed in [true, false] {
        alice.run(alice.client.set_framing(bob.user(), framed)).unwrap();
        assert_eq!(alice.run(alice.client.framing(bob.user())).unwrap(), Some(framed));
    }
    assert_eq!(alice.run(alice.client.framing(address("carol").user())).unwrap(), None);
    alice.run(alice.client.reset(&bob)).unwrap();
    assert_eq!(ask(&mut alice).unwrap().sends_since, None);
    // Of a forgotten device the key is known, until that is forgotten, too.
    alice.run(alice.client.forget_device(&bob)).unwrap();
    let pinned = ask(&mut alice).unwrap();
    assert_eq!((pinned.identity_key, pinned.sends_since), (known.identity_key, None));
    assert!(all(&mut alice).is_empty());
    alice.run(alice.client.forget_identity(&bob)).unwrap();
    assert_eq!(ask(&mut alice), None);
}

#[test]
fn an_accepted_identity_goes_on_with_what_it_has_said() {
    let (mut alice, mut old, mut new) = changed(1);
    let key = key_of(&mut new);
    alice.run(alice.client.accept_identity(&address("bob"), &key)).unwrap();
    let envelope = alice.send("bob", b"welcome back");
    assert_eq!(new.read(&envelope), b"welcome back");
    let envelope = new.send("alice", b"thanks");
    assert_eq!(alice.read(&envelope), b"thanks");
    assert!(!alice.rows.keys().any(|key| kind(key) == UNTRUSTED));
    // The former key is the changed one now.
    let envelope = old.send("alice", b"from the old phone");
    assert!(matches!(alice.receive(&envelope), Ok(Received::Unreadable(_))));
}

#[test]
fn a_refused_identity_leaves_the_known_session() {
    let (mut alice, mut old, _) = changed(3);
    alice.run(alice.client.refuse_identity(&address("bob"))).unwrap();
    assert!(!alice.rows.keys().any(|key| kind(key) == UNTRUSTED));
    let envelope = alice.send("bob", b"still you");
    assert_eq!(old.read(&envelope), b"still you");
    let envelope = old.send("alice", b"still me");
    assert_eq!(alice.read(&envelope), b"still me");
}

/// Another key than the one that was seen: nothing of what was untrusted is taken over.
#[test]
fn accepting_a_third_key_keeps_nothing() {
    let (mut alice, _, _) = changed(5);
    let third = key_of(&mut Side::new("bob", Suite::V1, 99));
    alice.run(alice.client.accept_identity(&address("bob"), &third)).unwrap();
    assert!(!alice.rows.keys().any(|key| kind(key) == UNTRUSTED || kind(key) == 19 || kind(key) == 18));
    let id = alice.message_id();
    let refused = alice.run(alice.client.send(id, &address("bob"), b"secret"));
    assert_eq!(refused.unwrap_err(), SendError::NoSession);
}

#[test]
fn a_bundle_of_another_identity_starts_nothing() {
    let (mut alice, _, mut new) = changed(7);
    let bundle = new.bundle();
    assert_eq!(alice.run(alice.client.add_session(&bundle)).unwrap_err(), AddError::IdentityChanged);
}

#[test]
fn after_a_reset_a_new_session_starts_and_late_messages_are_read() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = Side::talking(suite, 11);
        let late = bob.send("alice", b"late");
        alice.run(alice.client.reset(&address("bob"))).unwrap();
        let id = alice.message_id();
        assert_eq!(alice.run(alice.client.send(id, &address("bob"), b"x")).unwrap_err(), SendError::NoSession);
        assert!(alice.run(alice.client.todo()).unwrap().contains(&Task::FetchBundle(address("bob"))));
        let bundle = bob.bundle();
        let added = alice.run(alice.client.add_session(&bundle)).unwrap();
        assert!(added.started && added.repair.is_empty());
        assert!(!alice.run(alice.client.todo()).unwrap().contains(&Task::FetchBundle(address("bob"))));
        assert_eq!(alice.read(&late), b"late");
        let envelope = alice.send("bob", b"new");
        assert_eq!(bob.read(&envelope), b"new");
        let unknown = alice.run(alice.client.reset(&address("carol")));
        assert!(unknown.is_err());
    }
}

#[test]
fn a_wiped_account_is_gone() {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 13);
    let bundle = bob.bundle();
    let client = alice.client.clone();
    alice.run(client.wipe()).unwrap();
    assert!(!alice.rows.keys().any(|key| kind(key) == 16 || kind(key) == 1));
    let key = StorageKey::new(KEY);
    assert_eq!(alice.run(Client::open(&key, RollbackCounter::UNAVAILABLE)).unwrap_err(), OpenError::NoAccount);
    // A process that has it open still.
    assert_eq!(alice.run(client.add_session(&bundle)).unwrap_err(), AddError::NoAccount);
    assert_eq!(alice.run(client.publish_prekeys(Default::default())).unwrap_err(), PublishError::NoAccount);
    assert_eq!(alice.run(client.maintain()).unwrap_err(), MaintainError::NoAccount);
    assert!(alice.run(client.wipe()).is_ok(), "twice is the same");
    assert!(alice.changes.is_empty());
    // The rest opens with nothing any more.
    let created = alice.run(Client::create(&key, &address("alice"), Suites::V1)).unwrap().client;
    let id = alice.message_id();
    assert_eq!(alice.run(created.send(id, &address("bob"), b"x")).unwrap_err(), SendError::NoSession);
    let exists = alice.run(Client::create(&key, &address("alice"), Suites::V1));
    assert_eq!(exists.unwrap_err(), CreateError::Exists);
}

#[test]
fn another_storage_key_costs_one_row() {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 15);
    let (old, new) = (StorageKey::new(KEY), StorageKey::new([8; 32]));
    alice.run(Client::change_storage_key(&old, &new)).unwrap();
    assert_eq!(alice.done(), [('p', 16)]);
    assert_eq!(alice.run(Client::open(&old, RollbackCounter::UNAVAILABLE)).unwrap_err(), OpenError::WrongStorageKey);
    assert_eq!(
        alice.run(Client::change_storage_key(&old, &new)).unwrap_err(),
        OpenError::WrongStorageKey,
        "twice is refused"
    );
    alice.client = alice.run(Client::open(&new, RollbackCounter::UNAVAILABLE)).unwrap().client;
    let envelope = alice.send("bob", b"as before");
    assert_eq!(bob.read(&envelope), b"as before");
}

/// By the rollback counter that lies elsewhere.
#[test]
fn a_database_that_went_back_is_found_and_heals() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = Side::talking(suite, 17);
        let key = StorageKey::new(KEY);
        let opened = alice.run(Client::open(&key, RollbackCounter::new(1))).unwrap();
        assert!(!opened.rolled_back);
        let backup = alice.rows.clone();
        let opened = alice.run(Client::open(&key, opened.rollback_counter)).unwrap();
        assert!(!opened.rolled_back);
        let gone = alice.send("bob", b"after the backup");
        bob.read(&gone);
        alice.rows = backup;
        let opened = alice.run(Client::open(&key, opened.rollback_counter)).unwrap();
        assert!(opened.rolled_back);
        alice.client = opened.client;
        // Once more it is not found again.
        assert!(!alice.run(Client::open(&key, opened.rollback_counter)).unwrap().rolled_back);
        let id = alice.message_id();
        assert_eq!(alice.run(alice.client.send(id, &address("bob"), b"x")).unwrap_err(), SendError::NoSession);
        for page in 0..=255 {
            alice.run(alice.client.prune(page)).unwrap();
        }
        let tasks = alice.run(alice.client.todo()).unwrap();
        let roster = (suite == Suite::V1).then_some(Task::PublishRoster);
        let expected: Vec<_> = [Task::PublishPrekeys].into_iter().chain(roster).chain([Task::Maintain]).collect();
        assert_eq!(tasks, expected, "nothing waits yet");
        let envelope = bob.send("alice", b"are you there?");
        let received = alice.receive(&envelope).unwrap();
        assert_eq!(matches!(received, Received::Message(_)), suite == Suite::V1, "it can still be read");
        assert!(alice.run(alice.client.todo()).unwrap().contains(&Task::FetchBundle(address("bob"))));
        let bundle = bob.bundle();
        assert!(alice.run(alice.client.add_session(&bundle)).unwrap().started);
        let envelope = alice.send("bob", b"here again");
        assert_eq!(bob.read(&envelope), b"here again");
        let envelope = bob.send("alice", b"good");
        assert_eq!(alice.read(&envelope), b"good");
    }
}

/// A host that ends twice between the commit and its key store: nothing went back.
#[test]
fn a_rollback_counter_that_was_not_stored_is_no_rollback() {
    let (mut alice, _) = Side::talking(Suite::V1, 19);
    let key = StorageKey::new(KEY);
    let stored = alice.run(Client::open(&key, RollbackCounter::new(1))).unwrap().rollback_counter;
    let lost = alice.run(Client::open(&key, stored)).unwrap();
    assert!(!lost.rolled_back);
    let opened = alice.run(Client::open(&key, stored)).unwrap();
    assert!(!opened.rolled_back, "one is forgiven");
}

#[test]
fn what_is_old_is_pruned() {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 21);
    let kept: Vec<_> = (0..3).map(|_| alice.send("bob", b"late")).collect();
    let next = alice.send("bob", b"next");
    bob.read(&next);
    // What was sent stands in the device's own row, and in segments of eight.
    (0..8).for_each(|_| drop(bob.send("alice", b"text")));
    bob.run(bob.client.reset(&address("alice"))).unwrap();
    let kinds = |side: &Side| [18, 19, 20, 22].map(|number| side.rows.keys().filter(|key| kind(key) == number).count());
    assert_eq!(kinds(&bob), [1, 1, 1, 1]);
    let logged = bob.len_of(17);
    bob.now = subrosa::ident::Timestamp::new(bob.now.get() + 31 * DAY);
    for page in 0..=255 {
        bob.run(bob.client.prune(page)).unwrap();
    }
    assert_eq!(kinds(&bob), [1, 1, 1, 1], "a clock may be wrong");
    assert_eq!(bob.len_of(17), logged);
    bob.settle_time();
    for page in 0..=255 {
        bob.run(bob.client.prune(page)).unwrap();
    }
    assert_eq!(kinds(&bob), [0, 0, 0, 0]);
    assert!(bob.len_of(17) + 2 * 54 <= logged, "{logged} → {}", bob.len_of(17));
    assert!(matches!(bob.receive(&kept[0]), Ok(Received::Unreadable(_))));
}

fn prune(side: &mut Side) {
    for page in 0..=255 {
        let mut next = side.run(side.client.prune(page)).unwrap().next;
        while let Some(from) = next {
            next = side.run(side.client.prune_on(from)).unwrap().next;
        }
    }
}

/// A peer that goes on in a session that is archived here is read for as long as it does, and 30 days more.
#[test]
fn an_archived_session_that_is_read_in_stays() {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 24);
    // Sent before she has begun anew, and slow.
    let slow: Vec<_> = (0..9).map(|_| alice.send("bob", b"slow")).collect();
    let bundle = bob.bundle();
    alice.run(alice.client.reset(&address("bob"))).unwrap();
    alice.run(alice.client.add_session(&bundle)).unwrap();
    let first = alice.send("bob", b"another session");
    bob.read(&first);
    for envelope in &slow[..8] {
        bob.now = subrosa::ident::Timestamp::new(bob.now.get() + 9 * DAY);
        bob.settle_time();
        prune(&mut bob);
        assert_eq!(bob.read(envelope), b"slow");
    }
    bob.now = subrosa::ident::Timestamp::new(bob.now.get() + 31 * DAY);
    bob.settle_time();
    prune(&mut bob);
    assert!(matches!(bob.receive(&slow[8]), Ok(Received::Unreadable(_))));
}

/// For an hour the clocks are a year behind: one writes, and the other one cannot read it.
#[test]
fn what_a_clock_that_is_behind_has_dated_is_asked_for_and_answered() {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 26);
    let right = alice.now;
    for side in [&mut alice, &mut bob] {
        side.settle_time();
        side.now = subrosa::ident::Timestamp::new(right.get() - 365 * DAY);
    }
    let (id, text) = (alice.message_id(), b"not long ago");
    let sent = alice.run(alice.client.send(id, &address("bob"), text)).unwrap();
    let mut envelope = sent.outgoing().first().unwrap().envelope().clone();
    *envelope.body.last_mut().unwrap() ^= 1;
    assert!(matches!(bob.receive(&envelope), Ok(Received::Unreadable(_))));
    for side in [&mut alice, &mut bob] {
        side.run(side.client.maintain()).unwrap();
        side.now = subrosa::ident::Timestamp::new(right.get() + 2 * DAY);
        for _ in 0..10 {
            side.settle_time();
            prune(side);
        }
    }
    let bundle = alice.bundle();
    let added = bob.run(bob.client.add_session(&bundle)).unwrap();
    let [question] = &added.repair[..] else { panic!("{added:?}") };
    alice.receive(question.envelope()).unwrap();
    // Her app was not opened for weeks.
    alice.now = subrosa::ident::Timestamp::new(alice.now.get() + 29 * DAY);
    let tasks = alice.run(alice.client.todo()).unwrap();
    assert!(tasks.contains(&Task::Resend { address: address("bob"), message_id: id }), "{tasks:?}");
    let again = alice.run(alice.client.resend(id, &address("bob"), text)).unwrap();
    assert_eq!(bob.read(again.outgoing().first().unwrap().envelope()), text);
}

/// Of a long sent log all is gone that is old, in stagings of bounded size.
#[test]
fn a_long_log_is_pruned() {
    let (mut alice, _) = Side::talking(Suite::V1, 22);
    let logged = |side: &Side| side.rows.keys().filter(|key| kind(key) == 22).count();
    let start = alice.now;
    (0..440).for_each(|_| drop(alice.send("bob", b"text")));
    assert_eq!(logged(&alice), 48);
    // 442 were sent: the last two are in no segment yet.
    for (days, segments) in [(2, 48), (31, 1)] {
        alice.now = subrosa::ident::Timestamp::new(start.get() + days * DAY);
        (0..5).for_each(|_| drop(alice.send("bob", b"young")));
        alice.settle_time();
        prune(&mut alice);
        assert_eq!(logged(&alice), segments, "after {days} days");
    }
}

/// One row whose key depends on nothing; all others under keys that say nothing.
#[test]
fn no_two_accounts_share_a_key() {
    let (alice, bob) = Side::talking(Suite::V1, 23);
    let shared: Vec<&RecordKey> = alice.rows.keys().filter(|key| bob.rows.contains_key(*key)).collect();
    assert_eq!(shared.len(), 1);
    assert_eq!(kind(shared[0]), 16);
}
