//! Long conversations over a bad network, started by either side, with a one-time prekey and without.

use crate::chance::Chance;
use crate::network::talk;
use crate::ours::Ours;
use crate::peer::Peer;
use crate::theirs::Theirs;

/// Messages each way without a one-time prekey: what differs is over after the first.
const SHORT: usize = 400;

#[test]
fn we_start_with_a_one_time_prekey() {
    we_start("we start, one-time", true, long());
}

#[test]
fn they_start_with_a_one_time_prekey() {
    they_start("they start, one-time", true, long());
}

#[test]
fn we_start_without_one_time_prekey() {
    we_start("we start", false, long().min(SHORT));
}

#[test]
fn they_start_without_one_time_prekey() {
    they_start("they start", false, long().min(SHORT));
}

fn long() -> usize {
    std::env::var("SUBROSA_INTEROP_MESSAGES").map_or(2_000, |messages| messages.parse().unwrap())
}

fn we_start(name: &str, one_time: bool, each: usize) {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new(name);
    let (ours, theirs) = (chance.address(), chance.address());
    let (mut us, mut them) = (Ours::new(&ours, &theirs, chance.split()), Theirs::new(&mut peer, &theirs, &ours));
    us.initiate(&them.publish(one_time)["bundle"]).unwrap();
    assert!(us.session().is_unanswered());
    let tally = talk([&mut us, &mut them], each, &mut chance);
    assert_eq!(them.remote_registration_id(), Some(us.device.registration_id().get().into()));
    finish(&peer, &us, each, &tally.to_string());
}

fn they_start(name: &str, one_time: bool, each: usize) {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new(name);
    let (ours, theirs) = (chance.address(), chance.address());
    let (mut us, mut them) = (Ours::new(&ours, &theirs, chance.split()), Theirs::new(&mut peer, &theirs, &ours));
    them.initiate(&us.publish(one_time)).unwrap();
    let tally = talk([&mut them, &mut us], each, &mut chance);
    assert_eq!(us.one_time_left(), 0, "used up and deleted");
    assert_eq!(us.session().remote_registration_id().map(|id| id.get()), Some(77));
    finish(&peer, &us, each, &tally.to_string());
}

/// In turns of a few messages, with loss, an epoch takes about 70 messages each way.
fn finish(peer: &Peer, us: &Ours, each: usize, tally: &str) {
    let (session, reloads) = (us.session(), us.reloads);
    let epochs = session.pq_epochs();
    assert!(!session.is_unanswered() && session.archived() == 0, "one session all the time");
    assert!(epochs >= u64::try_from(each / 200).unwrap(), "{epochs} post-quantum epochs");
    assert!(reloads >= each / 200, "{reloads} reloads");
    peer.summary(&format!("{tally}; {epochs} post-quantum epochs, {reloads} reloads"));
}
