//! Devices that come and go, and what people see of it.

use subrosa::client::*;
use subrosa::staging::Change;
use subrosa::wire::{ContactState, Content, Receipt, ReceiptKind, Typing};

use crate::world::{World, user};

#[test]
fn a_message_goes_to_every_device_once() {
    let (mut world, [alice, bob, laptop]) = World::talking(1);
    let id = world.write(alice, &user("bob"), b"to both");
    world.settle();
    for at in [bob, laptop] {
        assert_eq!(world.texts(at).last().unwrap(), "to both");
        let shown = world.devices[at].shown.last().unwrap();
        assert_eq!(shown.id, Some(id), "the same id on every device");
        assert_eq!((&shown.user.account, shown.user.contact), (&AccountStatus::Known, ContactState::Accepted));
    }
    // Whoever does not know whether it was committed sends again, and nothing goes out.
    let again = world.run(alice, world.devices[alice].client.send(id, &user("bob"), b"to both")).unwrap();
    assert!(again.repeated && again.outgoing().is_empty() && again.missing.is_empty());
    let other = world.run(alice, world.devices[alice].client.send(id, &user("bob"), b"another"));
    assert_eq!(other, Err(SendError::IdReused));
}

#[test]
fn what_is_missing_follows_and_no_more() {
    let mut world = World::new(2);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let id = world.write(alice, &user("bob"), b"first");
    let laptop = world.link(bob);
    world.later(2);
    // Alice learns of the laptop, and sends the same message again: it goes to the laptop alone.
    world.fetch(alice, &user("bob"));
    let send = || world.devices[alice].client.send(id, &user("bob"), b"first");
    let first = send();
    let sent = world.run(alice, first).unwrap();
    assert_eq!((sent.outgoing().len(), &sent.missing[..]), (0, &[world.address(laptop)][..]));
    assert!(!sent.repeated, "not before all have it");
    world.attend(alice);
    let again = world.devices[alice].client.send(id, &user("bob"), b"first");
    let sent = world.run(alice, again).unwrap();
    assert_eq!(sent.outgoing().iter().map(Outgoing::to).collect::<Vec<_>>(), [&world.address(laptop)]);
}

#[test]
fn the_roster_comes_in_band_and_with_it_who_is_new_and_who_is_gone() {
    let (mut world, [alice, bob, laptop]) = World::talking(3);
    // Bob's phone removes the laptop; the server tells nobody of it.
    let laptop_id = world.address(laptop).device();
    let remove = world.devices[bob].client.remove_device(laptop_id);
    world.run(bob, remove).unwrap();
    world.attend(bob);
    world.server.withholds = true;
    world.write(bob, &user("alice"), b"the laptop is gone");
    world.settle();
    let shown = world.devices[alice].shown.last().unwrap();
    assert_eq!(shown.user.changes.as_ref().unwrap().removed, [laptop_id]);
    // Nothing goes to it any more, and what is on its way is named.
    let sent = world.try_send(alice, &user("bob"), b"for the phone").unwrap();
    assert_eq!(sent.outgoing().iter().map(Outgoing::to).collect::<Vec<_>>(), [&world.address(bob)]);
    assert_eq!(sent.outdated, [world.address(laptop)]);
    assert_eq!(world.try_send(alice, &world.address(laptop), b"for the laptop"), Err(SendError::NotListed));
}

#[test]
fn a_device_that_is_linked_sends_once_it_is_listed() {
    let mut world = World::new(4);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let laptop = world.begin_link(bob);
    assert_eq!(world.try_send(laptop, &user("alice"), b"early"), Err(SendError::NotListedYet));
    world.attend(bob);
    world.attend(laptop);
    world.write(laptop, &user("alice"), b"from the laptop");
    world.settle();
    assert_eq!(world.texts(alice), ["from the laptop"]);
    let own = world.run(laptop, world.devices[laptop].client.own_roster()).unwrap();
    assert_eq!((own.standing, own.is_primary), (DeviceStanding::Listed, false));
}

#[test]
fn a_device_that_asks_before_it_is_listed_asks_again() {
    let mut world = World::new(4);
    let bob = world.person("bob");
    let laptop = world.begin_link(bob);
    // The directory answers with the roster of before.
    world.attend(laptop);
    world.attend(bob);
    world.attend(laptop);
    let own = world.run(laptop, world.devices[laptop].client.own_roster()).unwrap();
    assert_eq!(own.standing, DeviceStanding::Listed);
    world.later(2);
    world.attend(laptop);
    assert!(!world.devices[laptop].wiped);
}

#[test]
fn a_device_that_is_never_listed_is_wiped_after_a_day() {
    let mut world = World::new(5);
    let bob = world.person("bob");
    let laptop = world.begin_link(bob);
    world.later(2);
    world.attend(laptop);
    assert!(world.devices[laptop].wiped);
}

#[test]
fn a_device_that_was_removed_finds_out_and_is_wiped() {
    let (mut world, [_, bob, laptop]) = World::talking(6);
    let remove = world.devices[bob].client.remove_device(world.address(laptop).device());
    world.run(bob, remove).unwrap();
    world.attend(bob);
    world.later(1);
    world.attend(laptop);
    assert!(world.devices[laptop].wiped);
}

#[test]
fn a_note_to_oneself_goes_to_ones_other_devices() {
    let (mut world, [_, bob, laptop]) = World::talking(7);
    world.write(bob, &user("bob"), b"milk");
    world.settle();
    assert_eq!(world.texts(laptop).last().unwrap(), "milk");
    assert_eq!(world.devices[laptop].shown.last().unwrap().user.contact, ContactState::Accepted);
}

#[test]
fn requests_blocks_and_deleted_contacts() {
    let mut world = World::new(8);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.write(alice, &user("bob"), b"may I?");
    world.settle();
    assert_eq!(world.devices[bob].shown[0].user.contact, ContactState::Pending);
    let block = world.devices[bob].client.block(&user("alice"));
    world.run(bob, block).unwrap();
    world.write(alice, &user("bob"), b"hello?");
    world.settle();
    assert_eq!(world.texts(bob), ["may I?"]);
    assert!(matches!(world.devices[bob].outcomes.last().unwrap(), Ok(Received::Blocked(_))));
    assert_eq!(world.try_send(bob, &user("alice"), b"no"), Err(SendError::Blocked));
    // Accepting does not lift it.
    let accept = world.devices[bob].client.accept(&user("alice"));
    world.run(bob, accept).unwrap();
    let known = world.run(bob, world.devices[bob].client.user(&user("alice"))).unwrap().unwrap();
    assert_eq!(known.status.contact, ContactState::Blocked);
    let unblock = world.devices[bob].client.unblock(&user("alice"));
    world.run(bob, unblock).unwrap();
    world.write(alice, &user("bob"), b"again");
    world.settle();
    assert_eq!(world.texts(bob), ["may I?", "again"]);
    assert_eq!(world.devices[bob].shown[1].user.contact, ContactState::Pending);
    world.write(bob, &user("alice"), b"yes");
    let known = world.run(bob, world.devices[bob].client.user(&user("alice"))).unwrap().unwrap();
    assert_eq!(known.status.contact, ContactState::Accepted, "who writes accepts");
}

#[test]
fn thirty_two_devices_a_side() {
    let mut world = World::new(9);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut devices = [vec![alice], vec![bob]];
    for _ in 1..32 {
        for side in &mut devices {
            let linked = world.link(side[0]);
            side.push(linked);
        }
    }
    world.devices.iter_mut().for_each(|device| device.rounds = 0);
    world.write(alice, &user("bob"), b"to all");
    let id = world.id();
    let send = world.devices[alice].client.send(id, &user("bob"), b"and once more");
    let sent = world.run(alice, send).unwrap();
    assert_eq!(sent.outgoing().len(), 32);
    world.post(sent.outgoing().iter());
    for at in devices[1].clone() {
        world.receive(at);
        assert_eq!(world.texts(at), ["to all", "and once more"], "{at}");
    }
    let last = devices[1][31];
    world.write(last, &user("alice"), b"back");
    for at in devices[0].clone() {
        world.receive(at);
        assert_eq!(world.texts(at).last().unwrap(), "back");
    }
    let most = world.devices.iter().map(|device| device.rounds).max();
    assert!(most <= Some(5), "{most:?} rounds");
}

#[test]
fn the_account_is_handed_over() {
    let (mut world, [alice, phone, laptop]) = World::talking(10);
    world.write(phone, &user("bob"), b"soon you sign");
    world.settle();
    let hand = world.devices[phone].client.hand_over(world.address(laptop).device());
    let outgoing = world.run(phone, hand).unwrap();
    world.post([&outgoing].into_iter());
    world.settle();
    assert!(matches!(world.devices[laptop].outcomes.last().unwrap(), Ok(Received::HandedOver(_))));
    world.later(1);
    world.settle();
    let [old, new] = [phone, laptop].map(|at| world.run(at, world.devices[at].client.own_roster()).unwrap());
    assert!(new.is_primary && !old.is_primary, "the old one has deleted its copy");
    assert_eq!(new.published.unwrap().primary(), world.address(laptop).device());
    let remove = world.devices[phone].client.remove_device(world.address(laptop).device());
    assert_eq!(world.run(phone, remove), Err(OwnRosterError::NotPrimary));
    // The new one removes the old one, and people hear of it.
    let remove = world.devices[laptop].client.remove_device(world.address(phone).device());
    world.run(laptop, remove).unwrap();
    world.attend(laptop);
    world.write(laptop, &user("alice"), b"from here on");
    world.settle();
    assert_eq!(world.texts(alice).last().unwrap(), "from here on");
    world.later(1);
    world.settle();
    assert!(world.devices[phone].wiped);
    // Nobody else hands anything over.
    let hand = world.devices[alice].client.hand_over(world.address(phone).device());
    assert_eq!(world.run(alice, hand), Err(HandOverError::OwnDevice));
}

#[test]
fn what_a_phone_sends_the_laptop_shows() {
    let (mut world, [alice, phone, laptop]) = World::talking(11);
    let carol = world.person("carol");
    let id = world.write(phone, &user("carol"), b"dear Carol");
    for copies in [0, 1, 0] {
        let copy = world.devices[phone].client.copy(id, &user("carol"), b"dear Carol", world.now);
        let copied = world.run(phone, copy).unwrap();
        // At first there is no session between the two.
        world.attend(phone);
        world.post(copied.outgoing().iter());
        assert_eq!(copied.outgoing().len(), copies, "once, when there is a session");
    }
    world.settle();
    let Some(Ok(Received::Message(message))) = world.devices[laptop].outcomes.last() else { panic!() };
    assert_eq!((message.sent_to(), message.plaintext()), (Some(&user("carol")), Some(&b"dear Carol"[..])));
    assert_eq!((message.message_id(), message.sent()), (Some(id), Some(world.now)));
    let known = world.run(laptop, world.devices[laptop].client.user(&user("carol"))).unwrap().unwrap();
    assert_eq!(known.status.contact, ContactState::Accepted, "who writes accepts, on every device");
    // Receipts go to who is accepted, and to nobody else.
    let told = world.devices[carol].client.send_receipt(&user("bob"), ReceiptKind::Delivered, &[id]);
    assert_eq!(world.run(carol, told).unwrap(), [], "a request is not answered");
    let accept = world.devices[carol].client.accept(&user("bob"));
    world.run(carol, accept).unwrap();
    let told = world.devices[carol].client.send_receipt(&user("bob"), ReceiptKind::Delivered, &[id]);
    let told = world.run(carol, told).unwrap();
    world.post(told.iter());
    world.settle();
    let Some(Ok(Received::Message(message))) = world.devices[phone].outcomes.last() else { panic!() };
    let Content::Receipt(receipt) = message.content() else { panic!("{message:?}") };
    assert_eq!(Receipt::parse(receipt).unwrap().items(), [*id.as_bytes()]);
    let typing = world.devices[alice].client.send_typing(&user("bob"), Typing::Begins);
    assert_eq!(world.run(alice, typing).unwrap().len(), 2, "to both devices");
}

/// A directory that has lost everything gets it back.
#[test]
fn a_directory_that_has_lost_a_roster_is_given_it_again() {
    let (mut world, [alice, bob, laptop]) = World::talking(12);
    world.server.rosters.clear();
    world.later(1);
    world.settle();
    assert!(world.server.head(&user("bob")).is_some());
    world.write(laptop, &user("alice"), b"still here");
    world.write(alice, &user("bob"), b"so am I");
    world.settle();
    assert_eq!(world.texts(alice).last().unwrap(), "still here");
    assert_eq!(world.texts(bob).last().unwrap(), "so am I");
}

/// What is wished of a device that is then removed is wished no more.
#[test]
fn nothing_is_wished_of_a_removed_device_for_ever() {
    let (mut world, [alice, bob, _]) = World::talking(13);
    let tablet = world.link(bob);
    world.fetch(alice, &user("bob"));
    let address = world.address(tablet);
    world.server.prekeys.remove(&address);
    world.write(alice, &user("bob"), b"to three devices");
    let todo = |world: &mut World| world.run(alice, world.devices[alice].client.todo()).unwrap();
    assert!(todo(&mut world).contains(&Task::FetchBundle(address.clone())));
    let remove = world.devices[bob].client.remove_device(address.device());
    world.run(bob, remove).unwrap();
    world.attend(bob);
    world.fetch(alice, &user("bob"));
    for page in 0..=255 {
        world.run(alice, world.devices[alice].client.prune(page)).unwrap();
    }
    assert!(!todo(&mut world).contains(&Task::FetchBundle(address)));
}

/// What a message to somebody with two devices touches: of each device its own row is written, and the rows that all share are
/// compared.
#[test]
fn a_steady_message_to_two_devices_writes_their_rows_alone() {
    let (mut world, [alice, bob, laptop]) = World::talking(14);
    // Everybody has heard that everybody has the newest rosters.
    for _ in 0..2 {
        for (from, to) in [(alice, "bob"), (bob, "alice"), (laptop, "alice")] {
            world.write(from, &user(to), b"settling");
            world.settle();
        }
    }
    let id = world.id();
    let send = world.devices[alice].client.send(id, &user("bob"), b"steady");
    let staged = world.stage(alice, send).unwrap();
    let touched = |staged: &[Change]| -> Vec<(bool, u8)> {
        let mut touched: Vec<_> =
            staged.iter().map(|change| (change.row().is_some(), change.key().as_bytes()[0])).collect();
        touched.sort_unstable();
        touched
    };
    let [peer, account, user_row] = [17, 33, 35];
    let shared = [(false, account), (false, user_row)];
    assert_eq!(touched(staged.batch().changes()), [&shared[..], &[(true, peer); 2]].concat());
    let envelope = staged.output().outgoing()[0].envelope().clone();
    let to = if envelope.to == world.address(bob) { bob } else { laptop };
    let receive = world.devices[to].client.receive(&envelope);
    let staged = world.stage(to, receive).unwrap();
    assert_eq!(touched(staged.batch().changes()), [&shared[..], &[(true, peer)]].concat());
}
