//! One side's session is rolled back, archived or lost, and a fresh bundle mends it.

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::network::{Party, pass, talk};
use crate::ours::Ours;
use crate::peer::Peer;
use crate::theirs::Theirs;

/// Two devices that have been talking for a while.
fn acquainted<'p>(peer: &'p mut Peer, chance: &mut Chance) -> (Ours, Theirs<'p>) {
    let (ours, theirs) = (chance.address(), chance.address());
    let (mut us, mut them) = (Ours::new(&ours, &theirs, chance.split()), Theirs::new(peer, &theirs, &ours));
    us.initiate(&them.publish(true)["bundle"]).unwrap();
    talk([&mut us, &mut them], 40, chance);
    (us, them)
}

/// Starts again from a fresh bundle, one way or the other.
fn start_again(us: &mut Ours, them: &mut Theirs<'_>, we: bool, one_time: bool, chance: &mut Chance) {
    // The first message arrives: until then the other side would go on with the session that broke.
    if we {
        us.initiate(&them.publish(one_time)["bundle"]).unwrap();
        assert!(us.session().is_unanswered());
        pass(us, them, b"again");
        talk([us, them], 100, chance);
    } else {
        them.initiate(&us.publish(one_time)).unwrap();
        pass(them, us, b"again");
        talk([them, us], 100, chance);
    }
}

#[test]
fn a_rolled_back_session_is_started_again() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("rolled back");
    for (we, one_time) in [(false, true), (false, false), (true, true), (true, false)] {
        let (mut us, mut them) = acquainted(&mut peer, &mut chance);
        let old = them.record();
        talk([&mut us, &mut them], 60, &mut chance);
        pass(&mut us, &mut them, b"our ratchet turns");
        pass(&mut them, &mut us, b"and theirs");
        them.set_record(&old);
        // What either says now the other cannot read.
        let (from_us, from_them) = (us.encrypt(b"lost"), them.encrypt(b"lost"));
        assert!(them.decrypt(&from_us).is_err());
        assert!(us.decrypt(&from_them).is_err());
        let archived = us.session().archived();
        start_again(&mut us, &mut them, we, one_time, &mut chance);
        assert_eq!(us.session().archived(), archived + 1);
    }
    peer.summary("four rolled-back sessions, 100 messages each way after each");
}

#[test]
fn an_archived_session_is_started_again() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("archived");
    for (we, one_time) in [(false, true), (false, false), (true, true), (true, false)] {
        let (mut us, mut them) = acquainted(&mut peer, &mut chance);
        let late = them.encrypt(b"under way when they archived");
        them.ask("archiveSession", json!({})).unwrap();
        assert!(!them.ready());
        assert!(them.ask("encrypt", json!({ "plaintext": "00" })).is_err());
        start_again(&mut us, &mut them, we, one_time, &mut chance);
        assert_eq!(us.session().archived(), 1);
        assert_eq!(us.decrypt(&late).as_deref(), Ok(&b"under way when they archived"[..]));
        talk([&mut us, &mut them], 20, &mut chance);
    }
    // Without a bundle: a message in the archived session brings it back.
    let (mut us, mut them) = acquainted(&mut peer, &mut chance);
    them.ask("archiveSession", json!({})).unwrap();
    pass(&mut us, &mut them, b"still there?");
    pass(&mut them, &mut us, b"yes");
    us.session.as_mut().unwrap().archive();
    assert!(!us.ready());
    us.reload();
    pass(&mut them, &mut us, b"and you?");
    pass(&mut us, &mut them, b"yes");
    talk([&mut us, &mut them], 40, &mut chance);
    peer.summary(
        "four archived sessions started again, 100 messages each way after each; one brought back on each side",
    );
}

#[test]
fn a_lost_session_is_started_again() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("lost");
    for we in [false, true] {
        let (mut us, mut them) = acquainted(&mut peer, &mut chance);
        let late = us.encrypt(b"too late");
        them.set_record(&Value::Null);
        assert!(them.decrypt(&late).is_err());
        start_again(&mut us, &mut them, we, true, &mut chance);
        assert!(them.decrypt(&late).is_err());
        // Ours is lost: nothing is left but the device and its prekeys.
        let late = them.encrypt(b"too late");
        us.session = None;
        assert!(us.decrypt(&late).is_err());
        start_again(&mut us, &mut them, we, false, &mut chance);
        assert_eq!(us.session().archived(), 0);
    }
    peer.summary("two sessions lost on each side, 100 messages each way after each");
}

#[test]
fn archives_have_a_bound_and_every_session_in_it_works() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("many");
    let (mut us, mut them) = acquainted(&mut peer, &mut chance);
    // They never answer; each start of ours goes into the archives, here at once and there with its first message.
    let mut held = Vec::new();
    for number in 0..45u8 {
        us.initiate(&them.publish(number % 2 == 0)["bundle"]).unwrap();
        let text = vec![number; 20];
        pass(&mut us, &mut them, &text);
        held.push((text.clone(), them.encrypt(&text)));
    }
    assert_eq!(us.session().archived(), subrosa::session::MAX_ARCHIVED);
    us.reload();
    // The current session and 40 archived ones still open their late answers; each becomes the current one.
    let (dropped, kept) = held.split_at(held.len() - 1 - subrosa::session::MAX_ARCHIVED);
    assert!(dropped.iter().all(|(_, message)| us.decrypt(message).is_err()));
    for (text, message) in kept {
        assert_eq!(us.decrypt(message).as_ref(), Ok(text));
        pass(&mut us, &mut them, b"got it");
    }
    talk([&mut us, &mut them], 40, &mut chance);
    peer.summary("45 sessions: 41 open late messages, and the conversation goes on");
}
