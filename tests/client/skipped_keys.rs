//! Rows of skipped message keys: none is left behind, and one that is lost or put back takes nothing with it.

use std::collections::BTreeMap;

use subrosa::client::{ReceiveError, Received, StoredError};
use subrosa::persist::RecordKey;
use subrosa::staging::{Step, Store as _};
use subrosa::suite::Suite;
use subrosa::wire::{Envelope, RecordError, RecordKind};

use super::side::{DAY, Rowed, Side, address, apply, kind};

const SKIPPED_KEYS: u8 = 18;
const ARCHIVED: u8 = 19;
const SKIPPED_PAGE: u8 = 27;

/// Rows of one peer device.
const OF_A_PEER: [u8; 8] = [17, SKIPPED_KEYS, ARCHIVED, 20, 21, 22, 23, SKIPPED_PAGE];

fn count(side: &Side, number: u8) -> usize {
    side.rows_of(number).0
}

fn keys(side: &Side, number: u8) -> Vec<RecordKey> {
    side.rows.keys().filter(|key| kind(key) == number).copied().collect()
}

/// So many messages that are lost, and one that is read.
fn skip(from: &mut Side, to: &mut Side, name: &str, count: usize) -> Vec<Envelope> {
    let lost = (0..count).map(|_| from.send(name, b"late")).collect();
    let next = from.send(name, b"next");
    to.read(&next);
    lost
}

/// A new session, with what Alice asks for again in it.
fn begin_again(alice: &mut Side, bob: &mut Side) {
    let bundle = bob.last_bundle();
    alice.run(alice.client.reset(&address("bob"))).unwrap();
    let added = alice.run(alice.client.add_session(&bundle)).unwrap();
    let request = added.repair.first().map(|request| request.envelope().clone());
    let first = request.unwrap_or_else(|| alice.send("bob", b"again"));
    bob.receive(&first).unwrap();
}

/// Bob, who keeps keys of Alice's in an archived session, in the current one, and of two of its receiving chains.
fn keeping(suite: Suite, seed: u64) -> (Side, Side, [Vec<Envelope>; 3]) {
    let (mut alice, mut bob) = Side::talking(suite, seed);
    let archived = skip(&mut alice, &mut bob, "bob", 100);
    begin_again(&mut alice, &mut bob);
    let older = skip(&mut alice, &mut bob, "bob", 70);
    for _ in 0..2 {
        let answer = bob.send("alice", b"answer");
        alice.read(&answer);
        let turn = alice.send("bob", b"turn");
        bob.read(&turn);
    }
    let newer = skip(&mut alice, &mut bob, "bob", 130);
    assert_eq!((count(&bob, SKIPPED_KEYS), count(&bob, ARCHIVED)), (2, 1));
    // Of the post-quantum ratchet both chains' keys may be of one epoch.
    assert!((2 * 2 + 2 * (2 + 3) - 1..=2 * 2 + 2 * (2 + 3)).contains(&count(&bob, SKIPPED_PAGE)), "{suite:?}");
    (alice, bob, [archived, older, newer])
}

#[test]
fn of_a_forgotten_device_no_row_is_left() {
    for suite in [Suite::V1, Suite::Signal] {
        let (_, mut bob, _) = keeping(suite, 51);
        bob.run(bob.client.forget_device(&address("alice"))).unwrap();
        // The page of the index is left, and empty.
        let left: Vec<u8> = bob.rows.keys().map(kind).filter(|kind| OF_A_PEER.contains(kind)).collect();
        assert_eq!(left, [23]);
    }
}

#[test]
fn of_a_forgotten_device_whose_list_is_damaged_the_rest_is_gone() {
    let (_, mut bob, _) = keeping(Suite::V1, 53);
    for key in keys(&bob, SKIPPED_KEYS) {
        bob.rows.get_mut(&key).unwrap().bytes[60] ^= 1;
    }
    bob.run(bob.client.forget_device(&address("alice"))).unwrap();
    assert_eq!((count(&bob, 17), count(&bob, SKIPPED_KEYS), count(&bob, ARCHIVED)), (0, 0, 0));
    assert!(count(&bob, SKIPPED_PAGE) > 0, "which they were the list alone has said");
}

#[test]
fn late_messages_are_read_in_any_order_until_no_row_is_left() {
    for suite in [Suite::V1, Suite::Signal] {
        let (_, mut bob, late) = keeping(suite, 55);
        let mut late: Vec<_> = late.concat();
        for step in [7, 3, 1] {
            let mut at = 0;
            late.retain(|envelope| {
                at += 1;
                if at % step == 0 {
                    assert_eq!(bob.read(envelope), b"late");
                    assert!(matches!(bob.receive(envelope), Err(ReceiveError::Duplicate)));
                }
                at % step != 0
            });
        }
        assert_eq!((late.len(), count(&bob, SKIPPED_KEYS), count(&bob, SKIPPED_PAGE)), (0, 0, 0));
    }
}

/// In one staging, where pages come, are read again, and go.
#[test]
fn many_at_once_leave_what_one_by_one_leaves() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob, [archived, older, newer]) = keeping(suite, 57);
        let more: Vec<_> = (0..120).map(|_| alice.send("bob", b"late")).collect();
        let mut inbox =
            vec![more[70].clone(), more[119].clone(), more[0].clone(), newer[0].clone(), archived[99].clone()];
        inbox.extend(more[71..90].iter().chain(&older[..3]).chain([&more[1], &more[1]]).cloned());
        let mut alone = bob.clone();
        let mut outcomes = Vec::new();
        while outcomes.len() < inbox.len() {
            outcomes.extend(bob.run(bob.client.receive_many(&inbox[outcomes.len()..])).unwrap());
        }
        for (envelope, outcome) in inbox.iter().zip(&outcomes) {
            assert_eq!(&alone.receive(envelope), outcome);
        }
        assert!(matches!(outcomes.last(), Some(Err(ReceiveError::Duplicate))));
        for number in [17, SKIPPED_KEYS, ARCHIVED, SKIPPED_PAGE] {
            assert_eq!(bob.rows_of(number), alone.rows_of(number));
        }
        for envelope in
            more[2..70].iter().chain(&more[90..119]).chain(&older[3..]).chain(&newer[1..]).chain(&archived[..99])
        {
            bob.read(envelope);
        }
        assert_eq!((count(&bob, SKIPPED_KEYS), count(&bob, SKIPPED_PAGE)), (0, 0));
    }
}

/// Each jump of an inbox begins where the one before has ended, which is not known before that is read; late ones empty
/// the pages that others are joined with. Still the rows come in few rounds.
#[test]
fn an_inbox_of_jumps_takes_few_rounds() {
    for suite in [Suite::V1, Suite::Signal] {
        for (before, over) in [(0, 1), (0, 40), (1_990, 1), (2_000, 40), (2_000, 70)] {
            let (mut alice, mut bob) = Side::talking(suite, 69);
            let old = skip(&mut alice, &mut bob, "bob", before);
            let mut inbox = Vec::new();
            for at in 0..31 {
                let gap: Vec<_> = (0..over).map(|_| alice.send("bob", b"late")).collect();
                inbox.push(alice.send("bob", b"next"));
                inbox.extend(gap.into_iter().take(at % 2));
                inbox.extend(old.get(before.saturating_sub(40 * at + 1)).cloned());
            }
            let (mut most, mut read) = (0, 0);
            while read < inbox.len() {
                let (mut operation, mut rounds) = (bob.client.receive_many(&inbox[read..]), 0);
                let staged = loop {
                    match operation.step(bob.now, &mut bob.rng).unwrap() {
                        Step::Need(keys) => operation.supply(Rowed(&bob.rows).load(&keys).unwrap()),
                        Step::Ready(staged) => break staged,
                    }
                    rounds += 1;
                };
                most = most.max(rounds);
                apply(&mut bob.rows, staged.batch());
                for outcome in staged.committed() {
                    assert!(matches!(outcome, Ok(Received::Message(_) | Received::Unreadable(_))), "{outcome:?}");
                    read += 1;
                }
            }
            assert!(most <= 4, "{suite:?}, {before} kept, {over} skipped: {most} rounds");
        }
    }
}

#[test]
fn sessions_that_go_take_their_keys_along() {
    let (mut alice, mut bob) = Side::talking(Suite::V1, 59);
    skip(&mut alice, &mut bob, "bob", 100);
    for round in 0..=40 {
        assert_eq!(count(&bob, SKIPPED_PAGE), 4, "{round} archived");
        begin_again(&mut alice, &mut bob);
    }
    // Forty are archived, and the one that had skipped message keys is gone.
    assert_eq!((count(&bob, ARCHIVED), count(&bob, SKIPPED_KEYS), count(&bob, SKIPPED_PAGE)), (40, 0, 0));
}

#[test]
fn an_accepted_identity_brings_its_keys_and_takes_those_of_the_former() {
    let (_, mut bob, _) = keeping(Suite::V1, 61);
    let mut new = Side::new("alice", Suite::V1, 62);
    new.run(new.client.add_session(&bob.last_bundle())).unwrap();
    let first = new.send("bob", b"it's me");
    assert!(matches!(bob.receive(&first), Ok(Received::Message(_))));
    let late = skip(&mut new, &mut bob, "bob", 70);
    let before: Vec<_> = keys(&bob, SKIPPED_PAGE);
    let key = *new.last_bundle().identity_key();
    bob.run(bob.client.accept_identity(&address("alice"), &key)).unwrap();
    let after = keys(&bob, SKIPPED_PAGE);
    assert!((count(&bob, SKIPPED_KEYS), after.len()) == (1, 4) && after.iter().all(|key| !before.contains(key)));
    late.iter().for_each(|envelope| drop(bob.read(envelope)));
    assert_eq!((count(&bob, SKIPPED_KEYS), count(&bob, SKIPPED_PAGE)), (0, 0));
}

/// Keys of 30 days ago go when their page of the index is pruned; none that is younger, and none when a message comes.
#[test]
fn what_expires_goes_and_what_is_younger_stays() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = Side::talking(suite, 63);
        let later = |side: &mut Side, days| side.now = subrosa::ident::Timestamp::new(side.now.get() + days * DAY);
        let old = skip(&mut alice, &mut bob, "bob", 100);
        later(&mut bob, 20);
        // In the page that the old ones have begun, and in one more.
        let young = [skip(&mut alice, &mut bob, "bob", 20), skip(&mut alice, &mut bob, "bob", 30)].concat();
        assert_eq!(count(&bob, SKIPPED_PAGE), 2 * 3);
        later(&mut bob, 11);
        let mut pruned = bob.clone();
        pruned.settle_time();
        for page in 0..=255 {
            pruned.run(pruned.client.prune(page)).unwrap();
        }
        let next = alice.send("bob", b"next");
        bob.read(&next);
        pruned.read(&next);
        // The seeds of one page; their post-quantum keys open nothing, and go when they are far behind.
        assert_eq!(count(&pruned, SKIPPED_PAGE), 2 + 3, "{suite:?}");
        for envelope in old.iter().step_by(9) {
            assert!(!matches!(pruned.receive(envelope), Ok(Received::Message(_))));
            assert_eq!(bob.read(envelope), b"late");
        }
        for bob in [&mut bob, &mut pruned] {
            young.iter().for_each(|envelope| drop(bob.read(envelope)));
        }
    }
}

/// Whichever it is, with as many keys as may be kept: what is too much goes, and the device's records open.
#[test]
fn a_page_that_is_lost_where_keys_are_too_many_is_no_more_than_lost() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = Side::talking(suite, 71);
        skip(&mut alice, &mut bob, "bob", 2_000);
        (0..100).for_each(|_| drop(alice.send("bob", b"late")));
        let [jump, next] = [(), ()].map(|()| alice.send("bob", b"next"));
        for page in keys(&bob, SKIPPED_PAGE) {
            let mut bob = bob.clone();
            bob.rows.remove(&page);
            assert_eq!(bob.read(&jump), b"next");
            assert_eq!(bob.read(&next), b"next");
        }
    }
}

#[test]
fn a_page_that_is_lost_takes_its_own_keys_along() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = Side::talking(suite, 65);
        let late = skip(&mut alice, &mut bob, "bob", 200);
        let pages = keys(&bob, SKIPPED_PAGE);
        let mut lost = 0;
        for page in &pages {
            let mut bob = bob.clone();
            bob.rows.remove(page);
            let read = late.iter().filter(|envelope| matches!(bob.receive(envelope), Ok(Received::Message(_)))).count();
            assert!((200 - 64..200).contains(&read), "{read}");
            lost += 200 - read;
            let next = alice.clone().send("bob", b"next");
            assert_eq!(bob.read(&next), b"next");
        }
        assert_eq!(lost, 2 * 200, "every key is in one page");
        for key in keys(&bob, SKIPPED_KEYS) {
            bob.rows.remove(&key);
        }
        assert!(late.iter().all(|envelope| !matches!(bob.receive(envelope), Ok(Received::Message(_)))));
        let again = skip(&mut alice, &mut bob, "bob", 2);
        again.iter().for_each(|envelope| drop(bob.read(envelope)));
    }
}

/// A key that was used is not brought back with the page that held it.
#[test]
fn a_page_that_is_put_back_is_corrupt() {
    for suite in [Suite::V1, Suite::Signal] {
        let (mut alice, mut bob) = Side::talking(suite, 67);
        let late = skip(&mut alice, &mut bob, "bob", 60);
        let before: BTreeMap<_, _> = bob.rows.iter().filter(|(key, _)| kind(key) == SKIPPED_PAGE).collect();
        let before: Vec<_> = before.into_iter().map(|(key, row)| (*key, row.clone())).collect();
        bob.read(&late[20]);
        bob.rows.extend(before);
        for envelope in [&late[20], &late[21]] {
            let refused = bob.receive(envelope);
            let corrupt =
                |error: &StoredError| (error.kind, error.error) == (RecordKind::SkippedPage, RecordError::Corrupt);
            assert!(matches!(&refused, Err(ReceiveError::Stored(error)) if corrupt(error)), "{refused:?}");
        }
    }
}
