//! Whoever only sends leaves receiving chains unread.

use super::Session;
use crate::crypto::SecretBytes;
use crate::ident::Timestamp;
use crate::suite::Suite;
use crate::support::{NOW, address, in_both_suites, rng, round_trip, talking_in};
use crate::wire::{FieldReader, FieldWriter};

in_both_suites! {
    what_is_sent_and_stored_is_the_same,
}

fn hot(session: &mut Session) -> (SecretBytes, std::vec::Vec<u8>) {
    session.lay_apart();
    let mut out = FieldWriter::with_capacity(0);
    session.write_hot(&mut out);
    (out.finish(), session.tail().flatten().copied().collect())
}

/// Several chains, one of them with salts; read in both ways, a message sent, and stored again: the same bytes. Then the
/// chains are read, and receive.
fn what_is_sent_and_stored_is_the_same(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 71);
    (0..7).for_each(|_| round_trip(&mut alice, &mut bob));
    for text in [b"one", b"two"] {
        let sent = bob.send(text);
        alice.receive(&address("bob"), &sent).unwrap();
    }
    let (stored, tail) = hot(alice.session.as_mut().unwrap());
    let read = |only_sends| Session::read_hot(FieldReader::new(&stored), &tail, only_sends).unwrap();
    let (mut whole, mut unread) = (read(false), read(true));
    let now = Timestamp::new(NOW.get() + 1);
    let sent = [&mut whole, &mut unread].map(|session| {
        session.prepare().unwrap();
        session.encrypt(b"text", now, &mut rng(5)).unwrap()
    });
    assert_eq!(sent[0], sent[1]);
    let after = hot(&mut whole);
    assert!(hot(&mut unread) == after, "stored while they are unread");
    for _ in 0..2 {
        unread.bring_chains().unwrap();
        assert!(hot(&mut unread) == after, "stored once they are read");
    }
    let answer = bob.send(b"more");
    alice.session = Some(unread);
    assert_eq!(alice.receive(&address("bob"), &answer).unwrap(), b"more");
}
