//! Linking a device, while somebody looks on, or is first.

use subrosa::account::{LinkError, LinkOffer, ScannedOffer};
use subrosa::client::*;
use subrosa::ident::Timestamp;
use subrosa::suite::Suites;

use super::{Account, goes_on};
use crate::world::{World, user};

const MINUTE: u64 = 60_000;

fn pass(world: &mut World, minutes: u64) {
    world.now = Timestamp::new(world.now.get() + minutes * MINUTE);
}

/// What the account lists and is to list.
fn listed(world: &mut World, at: usize) -> (usize, bool) {
    let own = world.run(at, world.devices[at].client.own_roster()).unwrap();
    (own.published.unwrap().devices().len(), own.pending.is_some())
}

#[test]
fn link_offer_replayed_and_answered_twice() {
    let (mut world, [alice, bob, _]) = World::talking(501);
    let mut offer = LinkOffer::new(world.now, &mut world.rng);
    let client = world.devices[bob].client.clone();
    let answered = world.run(bob, client.answer_link(&offer.qr())).unwrap();
    let provisioned = offer.open(&answered.message, world.now).unwrap();
    assert_eq!(offer.open(&answered.message, world.now).err(), Some(LinkError::Answered));
    let (_, consent) = provisioned.consent(Suites::V1, &mut world.rng);
    let digits = provisioned.digits().as_str().to_owned();
    world.run(bob, client.complete_link(&consent, &digits)).unwrap().unwrap();
    // The consent again; then the offer again, before and after it is published.
    assert_eq!(world.run(bob, client.complete_link(&consent, &digits)), Err(LinkDeviceError::NoLink));
    world.attend(bob);
    let again = world.run(bob, client.answer_link(&offer.qr()));
    assert_eq!(again, Err(LinkDeviceError::Link(LinkError::Listed)));
    // The consent for another device's link.
    let other = LinkOffer::new(world.now, &mut world.rng);
    let mut opened = other;
    let answered = world.run(bob, client.answer_link(&opened.qr())).unwrap();
    let digits = opened.open(&answered.message, world.now).unwrap().digits().as_str().to_owned();
    let replayed = world.run(bob, client.complete_link(&consent, &digits)).unwrap();
    assert_eq!(replayed, Err(LinkError::NotAuthentic));
    assert_eq!(listed(&mut world, bob), (3, false));
    goes_on(&mut world, alice, bob);
}

/// Somebody photographs the code that Bob's new device shows, and answers first, with an account of his own: the device would
/// be his. Bob sees another name, and types in digits that his own phone does not know.
#[test]
fn link_offer_photographed() {
    let (mut world, [alice, bob, _]) = World::talking(502);
    let thief = Account::new(&mut world, "mallory");
    let mut offer = LinkOffer::new(world.now, &mut world.rng);
    let client = world.devices[bob].client.clone();
    let scanned = ScannedOffer::parse(&offer.qr()).unwrap();
    let (thiefs, first) = scanned.answer(&thief.roster, world.now, &mut world.rng).unwrap();
    let answered = world.run(bob, client.answer_link(&offer.qr())).unwrap();

    let provisioned = offer.open(&first, world.now).unwrap();
    assert_eq!(provisioned.user(), &user("mallory"), "it shows whose account it is");
    assert_eq!(offer.open(&answered.message, world.now).err(), Some(LinkError::Answered));
    let digits = provisioned.digits().as_str().to_owned();
    let (_, consent) = provisioned.consent(Suites::V1, &mut world.rng);
    let refused = world.run(bob, client.complete_link(&consent, &digits)).unwrap();
    assert_eq!(refused, Err(LinkError::WrongDigits));
    drop(thiefs);

    // The thief pretends to be the new device: he has the code, and not what it stands for.
    let mut offer = LinkOffer::new(world.now, &mut world.rng);
    let answered = world.run(bob, client.answer_link(&offer.qr())).unwrap();
    let mut own = LinkOffer::new(world.now, &mut world.rng);
    assert_eq!(own.open(&answered.message, world.now).err(), Some(LinkError::NotAuthentic));
    let (_, forged) = provisioned.consent(Suites::V1, &mut world.rng);
    let digits = offer.open(&answered.message, world.now).unwrap().digits().as_str().to_owned();
    let refused = world.run(bob, client.complete_link(&forged, &digits)).unwrap();
    assert_eq!(refused, Err(LinkError::NotAuthentic));
    assert_eq!(listed(&mut world, bob), (2, false));
    let tablet = world.link(bob);
    goes_on(&mut world, tablet, alice);
}

#[test]
fn link_offer_expired() {
    let (mut world, [alice, bob, _]) = World::talking(503);
    let client = world.devices[bob].client.clone();
    let mut offer = LinkOffer::new(world.now, &mut world.rng);
    pass(&mut world, 9);
    let answered = world.run(bob, client.answer_link(&offer.qr())).unwrap();
    pass(&mut world, 2);
    assert_eq!(offer.open(&answered.message, world.now).err(), Some(LinkError::Expired));
    // The other side of it: the device was in time, and the primary was not.
    pass(&mut world, 20);
    let mut offer = LinkOffer::new(world.now, &mut world.rng);
    let answered = world.run(bob, client.answer_link(&offer.qr())).unwrap();
    let provisioned = offer.open(&answered.message, world.now).unwrap();
    let (_, consent) = provisioned.consent(Suites::V1, &mut world.rng);
    pass(&mut world, 11);
    let late = world.run(bob, client.complete_link(&consent, provisioned.digits().as_str())).unwrap();
    assert_eq!(late, Err(LinkError::Expired));
    assert_eq!(listed(&mut world, bob), (2, false));
    goes_on(&mut world, alice, bob);
}

/// While one device is being linked another one is offered, and cannot slip in.
#[test]
fn second_offer_meanwhile() {
    let (mut world, [alice, bob, _]) = World::talking(504);
    let client = world.devices[bob].client.clone();
    let mut offers = [0; 2].map(|_| LinkOffer::new(world.now, &mut world.rng));
    let answered = world.run(bob, client.answer_link(&offers[0].qr())).unwrap();
    for offer in &offers {
        assert_eq!(world.run(bob, client.answer_link(&offer.qr())), Err(LinkDeviceError::Busy));
    }
    let provisioned = offers[0].open(&answered.message, world.now).unwrap();
    let (_, consent) = provisioned.consent(Suites::V1, &mut world.rng);
    world.run(bob, client.complete_link(&consent, provisioned.digits().as_str())).unwrap().unwrap();
    world.attend(bob);
    assert_eq!(listed(&mut world, bob), (3, false));
    // One that nobody completes is in the way for ten minutes.
    world.run(bob, client.answer_link(&offers[1].qr())).unwrap();
    let mut third = LinkOffer::new(world.now, &mut world.rng);
    assert_eq!(world.run(bob, client.answer_link(&third.qr())), Err(LinkDeviceError::Busy));
    pass(&mut world, 11);
    third = LinkOffer::new(world.now, &mut world.rng);
    assert!(world.run(bob, client.answer_link(&third.qr())).is_ok());
    goes_on(&mut world, alice, bob);
}

/// Digits may be tried once.
#[test]
fn wrong_digits() {
    let (mut world, [alice, bob, _]) = World::talking(505);
    let client = world.devices[bob].client.clone();
    let mut offer = LinkOffer::new(world.now, &mut world.rng);
    let answered = world.run(bob, client.answer_link(&offer.qr())).unwrap();
    let provisioned = offer.open(&answered.message, world.now).unwrap();
    let (_, consent) = provisioned.consent(Suites::V1, &mut world.rng);
    let right = provisioned.digits().as_str();
    let wrong: String = right.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect();
    let first = world.run(bob, client.complete_link(&consent, &wrong)).unwrap();
    assert_eq!(first, Err(LinkError::WrongDigits));
    assert_eq!(world.run(bob, client.complete_link(&consent, right)), Err(LinkDeviceError::NoLink));
    assert_eq!(listed(&mut world, bob), (2, false));
    // Whatever is not six digits is no better.
    for typed in ["", "12345", "1234567", "12 345", "１２３４５６"] {
        let offer = LinkOffer::new(world.now, &mut world.rng);
        world.run(bob, client.answer_link(&offer.qr())).unwrap();
        let refused = world.run(bob, client.complete_link(&consent, typed)).unwrap();
        assert_eq!(refused, Err(LinkError::WrongDigits), "{typed}");
    }
    goes_on(&mut world, alice, bob);
}

/// A device that Alice is about to link says so to Bob's phone.
#[test]
fn consent_for_another_account() {
    let (mut world, [alice, bob, _]) = World::talking(506);
    let mut consents = Vec::new();
    for at in [alice, bob] {
        let mut offer = LinkOffer::new(world.now, &mut world.rng);
        let answered = world.run(at, world.devices[at].client.answer_link(&offer.qr())).unwrap();
        let provisioned = offer.open(&answered.message, world.now).unwrap();
        let (_, consent) = provisioned.consent(Suites::V1, &mut world.rng);
        consents.push((consent, provisioned.digits().as_str().to_owned()));
    }
    let alices = consents[0].0.clone();
    let refused = world.run(bob, world.devices[bob].client.complete_link(&alices, &consents[1].1)).unwrap();
    assert_eq!(refused, Err(LinkError::NotAuthentic));
    assert_eq!(listed(&mut world, bob), (2, false));
    let taken = world.run(alice, world.devices[alice].client.complete_link(&alices, &consents[0].1)).unwrap();
    assert!(taken.is_ok());
    world.attend(alice);
    goes_on(&mut world, alice, bob);
}

/// The primary's database is read, while a device is being linked: with what lies there nobody else comes in.
#[test]
fn link_under_way_on_a_copy() {
    let (mut world, [alice, bob, _]) = World::talking(507);
    let mut offer = LinkOffer::new(world.now, &mut world.rng);
    let answered = world.run(bob, world.devices[bob].client.answer_link(&offer.qr())).unwrap();
    let thief = world.copy(bob);
    let provisioned = offer.open(&answered.message, world.now).unwrap();
    let (_, consent) = provisioned.consent(Suites::V1, &mut world.rng);
    let digits = provisioned.digits().as_str().to_owned();
    // Both complete it: the very same device, and the directory takes one of the two.
    for at in [bob, thief] {
        world.run(at, world.devices[at].client.complete_link(&consent, &digits)).unwrap().unwrap();
        world.attend(at);
    }
    let head = world.server.rosters[&user("bob")].0.roster().clone();
    assert!(head.lists(answered.device, provisioned.identity().public()) && head.devices().len() == 3);
    goes_on(&mut world, alice, bob);
}

/// A device is linked and listed, and has no network for two days: by its own clock it was listed too late. It asks before it
/// wipes what is in order.
#[test]
fn a_linked_device_that_could_not_ask_for_a_day() {
    let (mut world, [alice, bob, _]) = World::talking(508);
    let tablet = world.begin_link(bob);
    world.attend(bob);
    world.later(2);
    world.attend(tablet);
    assert!(!world.devices[tablet].wiped, "the directory lists it");
    goes_on(&mut world, tablet, alice);
}
