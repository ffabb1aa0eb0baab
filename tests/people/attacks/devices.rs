//! Devices that were removed, that are somebody else's, or that come to be too many.

use subrosa::account::RosterDevice;
use subrosa::client::*;
use subrosa::ident::{Address, DeviceId};
use subrosa::suite::Suites;
use subrosa::wire::{Payload, RosterView};

use super::{Account, Hostile, believed, goes_on, goes_to, known, publish, text, with_roster};
use crate::world::{World, user};

#[test]
fn removed_device_speaks() {
    let (mut world, [alice, bob, laptop]) = World::talking(201);
    world.remove(bob, laptop);
    world.fetch(alice, &user("bob"));
    let before = world.texts(alice);
    // It goes on in its session, and begins new ones.
    let sent = world.try_send(laptop, &user("alice"), b"still here").unwrap();
    world.post(sent.outgoing().iter());
    world.receive(alice);
    assert_eq!(world.devices[alice].outcomes.last(), Some(&Err(ReceiveError::NotListed)));
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let rows = world.devices[alice].rows.clone();
    for _ in 0..3 {
        let said = Hostile::new(&mut world, &stolen, alice).say(&mut world, &text("and here"));
        assert_eq!(said, Err(ReceiveError::NotListed));
    }
    assert_eq!(world.devices[alice].rows, rows, "nothing of it is kept, and no prekey is used up");
    assert_eq!(world.texts(alice), before);
    // Nor does anything go to it, if the server says that it is to.
    let bundle = world.server.bundle(&world.address(laptop)).unwrap();
    let added = world.run(alice, world.devices[alice].client.add_session(&bundle));
    assert_eq!(added, Err(AddError::NotListed));
    goes_on(&mut world, alice, bob);
}

/// It says that there is a newer roster, which lists it: it is believed until the directory was asked, and no longer.
#[test]
fn removed_device_speaks_of_a_newer_roster() {
    let (mut world, [alice, bob, laptop]) = World::talking(202);
    world.remove(bob, laptop);
    world.fetch(alice, &user("bob"));
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let newer = Some(RosterView { version: 500, hash: [7; 16] });
    let mut hostile = Hostile::new(&mut world, &stolen, alice);
    let dated = Payload { own: newer, sent: Some(world.now), ..text("listed again") };
    let undated = Payload { own: newer, ..text("whenever that was") };
    let said = hostile.say(&mut world, &dated);
    assert!(matches!(said, Ok(Received::NotListed(_))), "{said:?}");
    assert_eq!(hostile.say(&mut world, &undated), Err(ReceiveError::NotListed));
    // The directory answers, day after day, and does not list it. At last the message is gone.
    for _ in 0..8 {
        world.later(1);
        world.attend(alice);
        world.receive(alice);
    }
    assert!(world.mail(alice).is_empty(), "{:?}", world.devices[alice].outcomes);
    assert!(!world.texts(alice).contains(&"listed again".to_owned()));
    goes_on(&mut world, bob, alice);
}

/// The same of one's own device, when the directory says nothing: it ends after a week all the same.
#[test]
fn removed_device_speaks_to_its_own_account() {
    let (mut world, [alice, bob, laptop]) = World::talking(203);
    world.write(bob, &user("bob"), b"a note");
    world.settle();
    world.remove(bob, laptop);
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &stolen, bob);
    assert_eq!(hostile.say(&mut world, &text("a note of mine")), Err(ReceiveError::NotListed));
    let newer = Some(RosterView { version: 500, hash: [7; 16] });
    for day in 0..10 {
        if day == 0 {
            let payload = Payload { own: newer, sent: Some(world.now), ..text("listed again") };
            let said = hostile.say(&mut world, &payload);
            assert!(matches!(said, Ok(Received::NotListed(_))), "{said:?}");
        }
        world.later(1);
        // However often it comes, the directory is asked once a day.
        let mut asked = 0;
        for _ in 0..5 {
            world.receive(bob);
            let todo = world.run(bob, world.devices[bob].client.todo()).unwrap();
            asked += usize::from(todo.contains(&Task::FetchRoster(user("bob"))));
            world.attend(bob);
        }
        assert!(asked <= 1, "{asked} on day {day}");
    }
    assert!(world.mail(bob).is_empty());
    assert_eq!(believed(&world, bob).iter().filter(|text| text.contains("again")).count(), 0);
    goes_on(&mut world, alice, bob);
}

/// Whoever was removed offers itself once more, with its old key.
#[test]
fn removed_device_comes_back_under_a_new_id_with_its_old_key() {
    let (mut world, [alice, bob, laptop]) = World::talking(204);
    world.remove(bob, laptop);
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let mut qr = subrosa::account::LinkOffer::new(world.now, &mut world.rng).qr().to_vec();
    let label = qr.len() - 33 - 33 - 32;
    qr[label..label + 33].copy_from_slice(&stolen.identity_key().to_bytes());
    let answered = world.run(bob, world.devices[bob].client.answer_link(&qr));
    assert_eq!(answered, Err(LinkDeviceError::WasRemoved));
    // Nothing stands in the way of another one, which gets a number that nobody had.
    let tablet = world.link(bob);
    assert_eq!(world.address(tablet).device(), DeviceId::new(3));
    goes_on(&mut world, tablet, alice);
}

/// Mallory's account lists Bob's laptop, to be taken for its owner.
#[test]
fn device_claimed_by_another_account() {
    let (mut world, [alice, bob, laptop]) = World::talking(205);
    let mut mallory = Account::new(&mut world, "mallory");
    let bobs = known(&mut world, alice, "bob").roster.unwrap().device(DeviceId::new(2)).cloned().unwrap();
    // With Bob's consent it does not come into any roster: that was for his account.
    assert!(mallory.roster.next(world.now).link(bobs).sign(&mallory.pair).is_err());
    // With a key of Mallory's in its place it does, and then the laptop's messages are not Mallory's.
    let (_, entry) = mallory.entry(&mut world, 2);
    mallory.roster = mallory.roster.next(world.now).link(entry).sign(&mallory.pair).unwrap();
    mallory.publish(&mut world);
    world.fetch(alice, &user("mallory"));
    let mut sent = world.try_send(laptop, &user("alice"), b"from Bob").unwrap().outgoing()[0].envelope().clone();
    let genuine = sent.clone();
    sent.from = Some(Address::new(user("mallory"), DeviceId::new(2)));
    let said = super::deliver(&mut world, alice, sent);
    assert!(!matches!(said, Ok(Received::Message(_))), "{said:?}");
    let said = super::deliver(&mut world, alice, genuine).unwrap();
    assert_eq!(said.sender(), &world.address(laptop));
    goes_on(&mut world, bob, alice);
}

/// A user gives all numbers away at once: nothing of his is taken any more, and nobody else is harmed.
#[test]
fn last_device_exhausted() {
    let (mut world, [alice, bob, _]) = World::talking(206);
    let mut mallory = Account::new(&mut world, "mallory");
    mallory.publish(&mut world);
    let mut hostile = Hostile::new(&mut world, &mallory.keys.clone(), alice);
    hostile.say(&mut world, &with_roster("hi", mallory.carried())).unwrap();
    let one = mallory.roster.devices()[0].clone();
    let (_, last) = mallory.entry(&mut world, u32::MAX);
    let first = subrosa::account::Roster::first(mallory.roster.user(), one, None, world.now);
    mallory.roster = first.link(last).above(1).sign(&mallory.pair).unwrap();
    let said = hostile.say(&mut world, &with_roster("that was all", mallory.carried())).unwrap();
    let held = known(&mut world, alice, "mallory");
    assert_eq!((said.user().unwrap().changes.as_ref(), held.roster.unwrap().version()), (None, 1));
    mallory.publish(&mut world);
    world.fetch(alice, &user("mallory"));
    assert_eq!(known(&mut world, alice, "mallory").roster.unwrap().last_device(), DeviceId::new(1));
    assert_eq!(goes_to(&mut world, alice, "mallory"), [1]);
    goes_on(&mut world, alice, bob);
}

/// Whoever has the account key makes a device of his own the primary, and then removes all others. It is the user's key, so
/// it is taken, and told.
#[test]
fn primary_changed_to_an_unknown_device_and_all_devices_replaced() {
    let (mut world, [alice, bob, _]) = World::talking(207);
    let mut carol = Account::new(&mut world, "carol");
    carol.publish(&mut world);
    let mut first = Hostile::new(&mut world, &carol.keys.clone(), alice);
    first.say(&mut world, &with_roster("hi", carol.carried())).unwrap();
    let verify = world.devices[alice].client.mark_verified(&user("carol"), carol.pair.public());
    assert!(world.run(alice, verify).unwrap());

    let (thiefs, entry) = carol.entry(&mut world, 2);
    let next = carol.roster.next(world.now).link(entry).hand_over(DeviceId::new(2));
    carol.roster = next.sign(&carol.pair).unwrap();
    let mut thief = Hostile::new(&mut world, &thiefs, alice);
    let said = thief.say(&mut world, &with_roster("from my new phone", carol.carried())).unwrap();
    let status = said.user().unwrap();
    assert!(status.changes.as_ref().unwrap().all_replaced);
    assert_eq!((&status.account, status.verified), (&AccountStatus::Known, Verified::ToBeConfirmed));

    carol.roster = carol.roster.next(world.now).remove(DeviceId::new(1)).sign(&carol.pair).unwrap();
    publish(&mut world, &carol.roster);
    world.fetch(alice, &user("carol"));
    assert_eq!(known(&mut world, alice, "carol").status.verified, Verified::ToBeConfirmed, "it does not come back");
    assert_eq!(first.say(&mut world, &text("help")), Err(ReceiveError::NotListed));
    assert_eq!(goes_to(&mut world, alice, "carol"), [2], "it blocks nothing");
    goes_on(&mut world, alice, bob);
}

/// The server takes suite V1 from a device in the roster that it shows.
#[test]
fn suites_stripped() {
    let (mut world, [alice, bob, _]) = World::talking(208);
    let mut carol = Account::new(&mut world, "carol");
    carol.publish(&mut world);
    let mut hostile = Hostile::new(&mut world, &carol.keys.clone(), alice);
    hostile.say(&mut world, &with_roster("hi", carol.carried())).unwrap();
    // Even with the account's key, and a consent: what was seen with V1 stays.
    let identity = subrosa::crypto::KeyPair::generate(&mut world.rng);
    let (name, id) = (user("carol"), DeviceId::new(1));
    let weaker = RosterDevice::consent(&name, id, Suites::SIGNAL, carol.pair.public(), &identity, &mut world.rng);
    let first = subrosa::account::Roster::first(&name, weaker, None, world.now);
    carol.roster = first.above(1).sign(&carol.pair).unwrap();
    let said = hostile.say(&mut world, &with_roster("weaker", carol.carried())).unwrap();
    assert_eq!(said.user().unwrap().changes, None);
    assert_eq!(known(&mut world, alice, "carol").roster.unwrap().version(), 1);
    goes_on(&mut world, alice, bob);
}

/// The server gives the laptop's bundle as the phone's, Mallory's as Bob's, and one that fits none.
#[test]
fn bundles_swapped() {
    let mut world = World::new(209);
    let (alice, bob, mallory) = (world.person("alice"), world.person("bob"), world.person("mallory"));
    let laptop = world.link(bob);
    let (phones, laptops) = (world.address(bob), world.address(laptop));
    world.fetch(alice, &user("bob"));
    let head = world.server.head(&user("bob")).unwrap();
    for (of, given_as) in [(laptop, &phones), (bob, &laptops), (mallory, &phones), (mallory, &laptops)] {
        let (upload, _) = &world.server.prekeys[&world.address(of)];
        let mut bundle = upload.bundle(None, None);
        let honest = bundle.clone().verify().unwrap();
        assert!(bundle.clone().verify_for(given_as).is_err());
        bundle.address = given_as.clone();
        let bundle = bundle.verify().unwrap();
        let added = world.run(alice, world.devices[alice].client.add_session(&bundle));
        assert_eq!(added, Err(AddError::NotListed));
        let added = world.run(alice, world.devices[alice].client.add_user(&user("bob"), Some(&head), &[bundle]));
        let of_device = added.unwrap().devices.into_iter().find(|(id, _)| *id == given_as.device());
        assert_eq!(of_device.unwrap().1, Some(Err(AddError::NotListed)));
        // Under its own name it is not passed over for another device of the user.
        let added = world.run(alice, world.devices[alice].client.add_user(&user("bob"), Some(&head), &[honest]));
        let started = added.unwrap().devices;
        assert!(
            started.iter().all(|(id, added)| added.is_none() || world.address(of) == Address::new(user("bob"), *id))
        );
    }
    goes_on(&mut world, alice, bob);
    goes_on(&mut world, alice, laptop);
}

/// Somebody reads the identity key of Bob's phone once, and begins a session with Alice. Bob's own phone is not kept out for
/// ever: what Alice writes then comes to it, too.
#[test]
fn stolen_identity_key_keeps_nobody_out_for_ever() {
    let (mut world, [alice, bob, _]) = World::talking(210);
    let stolen = world.devices[bob].keys.clone().unwrap();
    Hostile::new(&mut world, &stolen, alice).say(&mut world, &text("it is me")).unwrap();
    for day in 0..5 {
        world.write(alice, &user("bob"), format!("day {day}").as_bytes());
        world.write(bob, &user("alice"), format!("day {day}, too").as_bytes());
        world.settle();
        world.later(1);
    }
    assert_eq!(world.texts(bob).last().unwrap(), "day 4");
    goes_on(&mut world, alice, bob);
}

/// A device is wanted that has no session here, and is removed before its bundle comes: the host is told so, takes the wish
/// back, and nothing is left.
#[test]
fn removed_device_that_was_missing() {
    let (mut world, [alice, bob, _]) = World::talking(211);
    let tablet = world.link(bob);
    world.fetch(alice, &user("bob"));
    let sent = world.try_send(alice, &user("bob"), b"to three").unwrap();
    world.post(sent.outgoing().iter());
    let gone = world.address(tablet);
    assert_eq!(sent.missing, std::slice::from_ref(&gone));
    world.remove(bob, tablet);
    world.fetch(alice, &user("bob"));
    // The server gives its bundle all the same.
    world.attend(alice);
    assert!(world.mail(tablet).is_empty());
    assert_eq!(goes_to(&mut world, alice, "bob"), [1, 2]);
    let todo = world.run(alice, world.devices[alice].client.todo()).unwrap();
    assert!(!todo.contains(&Task::FetchBundle(gone)), "{todo:?}");
    goes_on(&mut world, alice, bob);
}
