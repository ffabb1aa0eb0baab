//! Rosters that a server or a thief makes up, changes, holds back or shows again.

use subrosa::account::{CarriedRoster, Roster, RosterError, RosterFork, TakeError};
use subrosa::client::*;
use subrosa::ident::{DeviceId, Timestamp};
use subrosa::wire::RosterView;

use super::{Account, Hostile, believed, carried, deliver, goes_on, goes_to, keys, known, publish, text, with_roster};
use crate::world::{DAY, World, user};

/// The server signs a roster with a key of its own, and lists a device of its own in it.
#[test]
fn ghost_device_in_a_forged_roster() {
    let (mut world, [alice, bob, _]) = World::talking(101);
    let genuine = world.server.rosters[&user("bob")].clone();
    let mut forged = Account::new(&mut world, "bob");
    let (ghost, entry) = forged.entry(&mut world, 3);
    forged.roster = forged.roster.next(world.now).link(entry).sign(&forged.pair).unwrap();

    // Out of the directory: it is shown as what it is, and nothing goes to anybody until Alice has decided.
    forged.publish(&mut world);
    world.fetch(alice, &user("bob"));
    let changed = AccountStatus::Changed(*forged.pair.public());
    assert_eq!(world.devices[alice].told.last().unwrap().1.account, changed);
    assert_eq!(world.try_send(alice, &user("bob"), b"hello?"), Err(SendError::IdentityChanged));
    world.run(alice, world.devices[alice].client.refuse_account_key(&user("bob"))).unwrap();
    assert_eq!(goes_to(&mut world, alice, "bob"), [1, 2]);

    // In band: the ghost introduces itself with it.
    let mut ghost = Hostile::new(&mut world, &ghost, alice);
    let said = ghost.say(&mut world, &with_roster("it is me", forged.carried())).unwrap();
    assert_eq!(said.user().unwrap().account, changed);
    assert!(!believed(&world, alice).contains(&"it is me".to_owned()));
    world.run(alice, world.devices[alice].client.refuse_account_key(&user("bob"))).unwrap();

    world.server.rosters.insert(user("bob"), genuine);
    goes_on(&mut world, alice, bob);
    assert_eq!(goes_to(&mut world, alice, "bob"), [1, 2]);
}

/// The server writes the ghost's key into Bob's own roster; then the ghost comes without any.
#[test]
fn ghost_device_in_a_roster_that_was_changed() {
    let (mut world, [alice, bob, laptop]) = World::talking(102);
    let ghost = keys(&mut world, "bob", 2);
    let genuine = world.server.rosters[&user("bob")].clone();
    let laptops = world.devices[laptop].keys.as_ref().unwrap().identity_key().to_bytes();
    let mut bytes = genuine.1;
    let place = bytes.windows(33).position(|key| key == laptops).unwrap();
    bytes[place..place + 33].copy_from_slice(&ghost.identity_key().to_bytes());
    let forged = CarriedRoster::parse(&bytes).unwrap();
    let added = world.run(alice, world.devices[alice].client.add_user(&user("bob"), Some(&forged), &[]));
    assert!(matches!(added, Err(AddUserError::Roster(_))), "{added:?}");

    for at in [2, 3] {
        let ghost = keys(&mut world, "bob", at);
        let mut ghost = Hostile::new(&mut world, &ghost, alice);
        let said = ghost.say(&mut world, &with_roster("it is me", bytes.clone()));
        // Under a number that Alice knows, another key is a change of it; what no roster lists is not taken at all.
        assert!(matches!(said, Ok(Received::NotListed(_)) | Err(ReceiveError::NotListed)), "{said:?}");
        world.attend(alice);
        world.receive(alice);
    }
    assert_eq!(world.devices[alice].outcomes.last(), Some(&Err(ReceiveError::NotListed)), "it is not kept for ever");
    goes_on(&mut world, alice, bob);
    goes_on(&mut world, laptop, alice);
}

#[test]
fn roster_rolled_back() {
    let (mut world, [alice, bob, laptop]) = World::talking(103);
    let old = world.server.rosters[&user("bob")].clone();
    world.remove(bob, laptop);
    world.fetch(alice, &user("bob"));
    assert_eq!(world.devices[alice].told.last().unwrap().1.changes.as_ref().unwrap().removed, [DeviceId::new(2)]);
    let held = known(&mut world, alice, "bob").roster;

    // The directory shows the one of before, and so does the laptop.
    world.server.rosters.insert(user("bob"), old.clone());
    world.fetch(alice, &user("bob"));
    let thief = world.devices[laptop].keys.clone().unwrap();
    let said = Hostile::new(&mut world, &thief, alice).say(&mut world, &with_roster("still here", old.1));
    assert_eq!(said, Err(ReceiveError::NotListed));
    assert_eq!(known(&mut world, alice, "bob").roster, held);
    assert_eq!(goes_to(&mut world, alice, "bob"), [1]);

    // Bob's phone finds out, and publishes one above.
    world.later(1);
    world.attend(bob);
    let head = world.server.rosters[&user("bob")].0.roster().clone();
    assert!(head.version() > held.unwrap().version() && head.device(DeviceId::new(2)).is_none());
    goes_on(&mut world, alice, bob);
}

#[test]
fn roster_withheld() {
    let (mut world, [alice, bob, laptop]) = World::talking(104);
    let tablet = world.link(bob);
    world.remove(bob, laptop);
    // It says nothing; then it says that there is none, and never was.
    world.server.withholds = true;
    for _ in 0..3 {
        let none = world.run(alice, world.devices[alice].client.add_user(&user("bob"), None, &[])).unwrap();
        assert_eq!(none.status.account, AccountStatus::Known);
    }
    world.write(bob, &user("alice"), b"all the same");
    world.settle();
    let changes = world.devices[alice].shown.last().unwrap().user.changes.clone().unwrap();
    assert_eq!((changes.added, changes.removed), (vec![DeviceId::new(3)], vec![DeviceId::new(2)]));
    assert_eq!(goes_to(&mut world, alice, "bob"), [1, 3]);
    goes_on(&mut world, alice, bob);
    world.server.withholds = false;
    goes_on(&mut world, tablet, alice);
}

/// A thief copies Bob's phone, and signs another roster of the same version with it.
#[test]
fn roster_forked() {
    let (mut world, [alice, bob, laptop]) = World::talking(105);
    let thief = world.copy(bob);
    let tablet = world.link(bob);
    world.run(thief, world.devices[thief].client.remove_device(DeviceId::new(2))).unwrap();
    let own = world.run(thief, world.devices[thief].client.own_roster()).unwrap();
    world.devices[thief].wiped = true;
    world.fetch(alice, &user("bob"));

    let stolen = world.devices[laptop].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &stolen, alice);
    let said = hostile.say(&mut world, &with_roster("I have no laptop", own.upload().unwrap())).unwrap();
    let fork = said.user().unwrap().fork.clone().expect("it is told");
    let shown = RosterFork::parse(&fork.to_bytes(), &user("bob")).unwrap();
    assert_eq!((shown.held().devices().len(), shown.other().devices().len()), (3, 1));
    // What is held stays: whoever came first is served.
    assert_eq!(goes_to(&mut world, alice, "bob"), [1, 2, 3]);
    // The directory shows the other one, to Bob's phone as well; then it takes one above, and all is well.
    let genuine = world.server.rosters[&user("bob")].clone();
    publish(&mut world, &own.pending.unwrap());
    world.fetch(alice, &user("bob"));
    assert!(world.devices[alice].told.last().unwrap().1.fork.is_some());
    let head = world.server.head(&user("bob")).unwrap();
    let update = world.run(bob, world.devices[bob].client.update_own_roster(&head)).unwrap();
    assert!(update.fork.is_some() && update.is_pending, "the owner is told, too");
    world.server.rosters.insert(user("bob"), genuine);
    world.attend(bob);
    goes_on(&mut world, bob, alice);
    goes_on(&mut world, tablet, alice);
}

/// The same, and the server keeps the thief's: it was the first that came there. The phone goes on above both.
#[test]
fn roster_forked_where_the_server_keeps_the_other_one() {
    let (mut world, [alice, bob, laptop]) = World::talking(113);
    let thief = world.copy(bob);
    world.link(bob);
    world.run(thief, world.devices[thief].client.remove_device(world.address(laptop).device())).unwrap();
    let own = world.run(thief, world.devices[thief].client.own_roster()).unwrap();
    publish(&mut world, &own.pending.unwrap());
    world.later(1);
    world.attend(bob);
    let own = world.run(bob, world.devices[bob].client.own_roster()).unwrap();
    assert!(own.pending.is_none(), "nothing can be changed while a roster waits");
    goes_on(&mut world, bob, alice);
}

/// Carol has never heard of Bob. His laptop was stolen and removed; the thief shows her the roster that lists it.
#[test]
fn removed_device_introduces_itself_to_a_stranger_with_an_old_roster() {
    let (mut world, [_, bob, laptop]) = World::talking(106);
    let carol = world.person("carol");
    let old = world.server.rosters[&user("bob")].1.clone();
    world.remove(bob, laptop);
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let mut thief = Hostile::new(&mut world, &stolen, carol);
    let said = thief.say(&mut world, &with_roster("Hello, Carol", old)).unwrap();
    let status = said.user().unwrap();
    assert_eq!((&status.account, status.is_confirmed), (&AccountStatus::First, false), "nobody has confirmed it");
    // The directory is asked at once, and that was it.
    world.attend(carol);
    let told = &world.devices[carol].told.last().unwrap().1;
    assert_eq!(told.changes.as_ref().unwrap().removed, [DeviceId::new(2)]);
    assert_eq!(thief.say(&mut world, &text("are you there?")), Err(ReceiveError::NotListed));
    assert_eq!(goes_to(&mut world, carol, "bob"), [1]);
    goes_on(&mut world, bob, carol);
}

/// The same, when the lease of that roster is over.
#[test]
fn roster_stale() {
    let (mut world, [alice, bob, laptop]) = World::talking(107);
    let carol = world.person("carol");
    let old = world.server.rosters[&user("bob")].1.clone();
    world.remove(bob, laptop);
    world.later(46);
    world.attend(carol);
    let stolen = world.devices[laptop].keys.clone().unwrap();
    world.server.withholds = true;
    // A server that is on the thief's side says nothing. Carol takes nothing, however often it comes.
    let mut thief = Hostile::new(&mut world, &stolen, carol);
    for _ in 0..3 {
        let said = thief.say(&mut world, &with_roster("Hello, Carol", old.clone()));
        assert!(matches!(said, Ok(Received::NotListed(_))), "{said:?}");
        world.attend(carol);
    }
    assert!(world.texts(carol).is_empty());
    assert!(known(&mut world, carol, "bob").roster.is_none());
    // Alice knows Bob, and is told that it is long ago that he was heard of.
    assert!(known(&mut world, alice, "bob").status.is_stale);
    world.server.withholds = false;
    world.attend(bob);
    world.attend(carol);
    world.receive(carol);
    assert!(world.devices[carol].outcomes.ends_with(&[Err(ReceiveError::NotListed)]));
    goes_on(&mut world, bob, carol);
    goes_on(&mut world, alice, bob);
    assert!(!known(&mut world, alice, "bob").status.is_stale);
}

/// Bob's clock is three days ahead when he removes his laptop.
#[test]
fn roster_from_the_future() {
    let (mut world, [alice, bob, laptop]) = World::talking(108);
    let today = world.now;
    world.later(3);
    world.remove(bob, laptop);
    world.now = today;
    let head = world.server.head(&user("bob")).unwrap();
    let added = world.run(alice, world.devices[alice].client.add_user(&user("bob"), Some(&head), &[]));
    assert_eq!(added, Err(AddUserError::Take(TakeError::FromFuture)));
    // In band it is passed over, and the message is taken.
    goes_on(&mut world, bob, alice);
    assert_eq!(goes_to(&mut world, alice, "bob"), [1, 2]);
    world.now = Timestamp::new(today.get() + 2 * DAY);
    world.fetch(alice, &user("bob"));
    assert_eq!(goes_to(&mut world, alice, "bob"), [1]);
    goes_on(&mut world, alice, bob);
}

#[test]
fn roster_replayed_for_another_user() {
    let (mut world, [alice, bob, _]) = World::talking(109);
    let carol = world.person("carol");
    let carols = world.server.head(&user("carol")).unwrap();
    // The directory answers with another user's.
    for name in ["bob", "dave"] {
        let added = world.run(alice, world.devices[alice].client.add_user(&user(name), Some(&carols), &[]));
        assert_eq!(added, Err(AddUserError::Roster(RosterError::OtherUser)));
    }
    // Carol shows Bob's as her own: as a stranger she is nobody, and later it changes nothing.
    let bobs = world.server.rosters[&user("bob")].1.clone();
    let tablet = world.link(carol);
    let carols = world.devices[tablet].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &carols, alice);
    let said = hostile.say(&mut world, &with_roster("who am I?", bobs.clone()));
    assert!(matches!(said, Ok(Received::NotListed(_))));
    goes_on(&mut world, carol, alice);
    let held = known(&mut world, alice, "carol").roster;
    let said = hostile.say(&mut world, &with_roster("and now?", bobs)).unwrap();
    assert_eq!(said.user().unwrap().account, AccountStatus::Known);
    assert_eq!(known(&mut world, alice, "carol").roster, held);
    goes_on(&mut world, bob, alice);
}

/// Bytes that are no roster take nothing from what stands beside them.
#[test]
fn roster_that_is_none() {
    let (mut world, [alice, bob, laptop]) = World::talking(110);
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &stolen, alice);
    for bytes in [vec![0], vec![0; 40], vec![0xff; 40_000]] {
        let said = hostile.say(&mut world, &with_roster("hi", bytes)).unwrap();
        assert_eq!(said.user().unwrap().account, AccountStatus::Known);
    }
    goes_on(&mut world, alice, bob);
}

/// A roster by itself, from a device that nobody lists, and one of somebody's choosing from one that is listed.
#[test]
fn roster_by_itself() {
    let (mut world, [alice, bob, laptop]) = World::talking(111);
    let ghost = keys(&mut world, "bob", 9);
    let forged = Account::new(&mut world, "bob");
    let alone = |bytes| subrosa::wire::Payload::new(subrosa::wire::Content::Roster(bytes));
    let said = Hostile::new(&mut world, &ghost, alice).say(&mut world, &alone(forged.carried()));
    assert!(!matches!(said, Ok(Received::Roster(_))), "{said:?}");
    assert_eq!(goes_to(&mut world, bob, "alice"), [1]);
    let next: Roster = forged.roster.next(world.now).above(77).sign(&forged.pair).unwrap();
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let said = Hostile::new(&mut world, &stolen, alice).say(&mut world, &alone(carried(&next, vec![]))).unwrap();
    let Received::Roster(said) = said else { panic!("{said:?}") };
    // Bob's own laptop speaks, and it is known; but somebody says that Bob has another key.
    assert_eq!(said.user.account, AccountStatus::Known);
    assert_eq!(known(&mut world, alice, "bob").status.account, AccountStatus::Changed(*forged.pair.public()));
    world.run(alice, world.devices[alice].client.refuse_account_key(&user("bob"))).unwrap();
    goes_on(&mut world, alice, bob);
}

/// The view of a roster that nobody has, in a message that says nothing else.
#[test]
fn view_of_a_roster_that_nobody_has() {
    let (mut world, [alice, bob, laptop]) = World::talking(112);
    let genuine = known(&mut world, alice, "bob").roster.unwrap().view();
    let forged = RosterView { hash: [9; 16], ..genuine };
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &stolen, alice);
    let payload = subrosa::wire::Payload { own: Some(forged), ..text("of the same version") };
    let envelope = hostile.envelope(&mut world, &payload);
    let said = deliver(&mut world, alice, envelope).unwrap();
    // A view is a hint: findings rest on what is signed.
    assert!(said.user().unwrap().fork.is_none());
    goes_on(&mut world, bob, alice);
}
