//! What happens to people.

use subrosa::account::RecoveryKeyPair;
use subrosa::client::*;
use subrosa::persist::StorageKey;
use subrosa::suite::Suites;

use crate::world::{World, user};

/// Bob drops his phone into a lake. He has his recovery words, and no other device.
#[test]
fn lost_primary() {
    let mut world = World::new(21);
    let alice = world.person("alice");
    let words = RecoveryKeyPair::from_entropy(&[7; 16]);
    let bob = world.newcomer("bob");
    let name = world.devices[bob].client.name_recovery(words.public());
    world.run(bob, name).unwrap();
    world.attend(bob);
    world.write(alice, &user("bob"), b"Hello, Bob");
    world.settle();
    world.write(bob, &user("alice"), b"Hello, Alice");
    world.settle();
    let key = world.run(alice, world.devices[alice].client.user(&user("bob"))).unwrap().unwrap();
    let verify = world.devices[alice].client.mark_verified(&user("bob"), key.account_key().unwrap());
    assert!(world.run(alice, verify).unwrap());

    // A new phone, the words, and what the directory has.
    let head = world.server.head(&user("bob")).unwrap();
    let renew = Client::create_renewed(&StorageKey::new([9; 32]), &user("bob"), &head, &words, Suites::V1);
    let phone = world.renewed(renew);
    world.attend(phone);
    world.write(phone, &user("alice"), b"I have a new phone");
    world.settle();

    // Alice follows him, sees it, and is asked to compare again.
    let shown = world.devices[alice].shown.last().unwrap().clone();
    assert_eq!((shown.text, shown.from), (b"I have a new phone".to_vec(), world.address(phone)));
    assert_eq!(shown.user.account, AccountStatus::Renewed);
    assert_eq!(shown.user.verified, Verified::ToBeConfirmed);
    world.write(alice, &user("bob"), b"welcome back");
    world.settle();
    assert_eq!(world.texts(phone), ["welcome back"]);
}

/// Somebody takes Bob's phone out of his hand, unlocked, and writes to Alice with it. Bob goes to a friend, and renews his
/// account.
#[test]
fn stolen_primary() {
    let mut world = World::new(22);
    let alice = world.person("alice");
    let words = RecoveryKeyPair::from_entropy(&[8; 16]);
    let thief = world.newcomer("bob");
    let name = world.devices[thief].client.name_recovery(words.public());
    world.run(thief, name).unwrap();
    world.attend(thief);
    world.write(thief, &user("alice"), b"Hello, Alice");
    world.settle();
    world.write(alice, &user("bob"), b"Hello, Bob");
    world.settle();

    // The thief names a recovery key of his own. It does not count for 30 days.
    let own_words = RecoveryKeyPair::from_entropy(&[66; 16]);
    let name = world.devices[thief].client.name_recovery(own_words.public());
    world.run(thief, name).unwrap();
    world.attend(thief);
    world.write(thief, &user("alice"), b"send me money");
    world.settle();

    let head = world.server.head(&user("bob")).unwrap();
    let renew = Client::create_renewed(&StorageKey::new([9; 32]), &user("bob"), &head, &words, Suites::V1);
    let phone = world.renewed(renew);
    world.attend(phone);
    world.write(phone, &user("alice"), b"that was not me");
    world.settle();
    assert_eq!(world.devices[alice].shown.last().unwrap().user.account, AccountStatus::Renewed);

    // From now on nothing of the thief's is taken, not by anybody who has followed.
    let before = world.texts(alice);
    if let Ok(sent) = world.try_send(thief, &user("alice"), b"it was me") {
        world.post(sent.outgoing().iter());
    }
    world.receive(alice);
    assert_eq!(world.texts(alice), before);
    // The phone itself finds out when it asks the directory.
    world.later(2);
    world.attend(thief);
    assert!(world.devices[thief].wiped);
    // Nor can the thief renew with words of his own, for those who have followed.
    let renew = Client::create_renewed(&StorageKey::new([6; 32]), &user("bob"), &head, &own_words, Suites::V1);
    let false_phone = world.renewed(renew);
    world.attend(false_phone);
    let held = world.run(alice, world.devices[alice].client.user(&user("bob"))).unwrap().unwrap();
    assert!(held.roster.unwrap().device(world.address(phone).device()).is_some());
}

/// Bob goes on holiday for seven weeks, without his phone. When he is back, everybody talks on.
#[test]
fn a_holiday() {
    let (mut world, [alice, bob, laptop]) = World::talking(23);
    for _ in 0..7 {
        world.later(7);
        let maintain = world.devices[alice].client.maintain();
        world.run(alice, maintain).unwrap();
        world.attend(alice);
    }
    world.write(alice, &user("bob"), b"are you back?");
    let known = world.run(alice, world.devices[alice].client.user(&user("bob"))).unwrap().unwrap();
    assert!(known.status.is_stale, "it is told, and sent all the same");
    world.settle();
    assert_eq!(world.texts(bob).last().unwrap(), "are you back?");
    assert_eq!(world.texts(laptop).last().unwrap(), "are you back?");
    world.write(bob, &user("alice"), b"since today");
    world.settle();
    assert_eq!(world.texts(alice).last().unwrap(), "since today");
    assert!(!world.devices[alice].shown.last().unwrap().user.is_stale, "the lease was renewed");
}

/// Bob installs the app anew and has nothing of before: another account key, and the user is asked.
#[test]
fn a_phone_that_was_installed_anew() {
    let (mut world, [alice, bob, laptop]) = World::talking(24);
    for gone in [bob, laptop] {
        world.devices[gone].wiped = true;
    }
    let anew = world.newcomer("bob");
    // The server takes what whoever logs in as Bob brings it.
    world.server.rosters.remove(&user("bob"));
    world.attend(anew);
    world.write(anew, &user("alice"), b"it is me");
    world.settle();
    let shown = world.devices[alice].shown.last().unwrap().clone();
    assert_eq!(shown.text, b"it is me", "shown, as what it is");
    let AccountStatus::Changed(key) = shown.user.account else { panic!("{:?}", shown.user) };
    assert_eq!(world.try_send(alice, &user("bob"), b"is it?"), Err(SendError::IdentityChanged));
    let accept = world.devices[alice].client.accept_account_key(&user("bob"), &key);
    world.run(alice, accept).unwrap();
    world.write(alice, &user("bob"), b"welcome");
    world.settle();
    assert_eq!(world.texts(anew), ["welcome"]);
    // Later the new account links a device, under a number that the former one had given away.
    let laptop = world.link(anew);
    world.write(laptop, &user("alice"), b"from the new laptop");
    world.settle();
    assert_eq!(world.texts(alice).last().unwrap(), "from the new laptop");
    world.write(alice, &user("bob"), b"to both");
    world.settle();
    assert_eq!(world.texts(laptop).last().unwrap(), "to both");
}

/// The same, and Alice says no.
#[test]
fn an_account_key_that_is_refused() {
    let (mut world, [alice, bob, _]) = World::talking(25);
    let anew = world.newcomer("bob");
    world.server.rosters.remove(&user("bob"));
    world.attend(anew);
    world.write(anew, &user("alice"), b"it is me");
    world.settle();
    let refuse = world.devices[alice].client.refuse_account_key(&user("bob"));
    world.run(alice, refuse).unwrap();
    let sent = world.try_send(alice, &user("bob"), b"to the one I know").unwrap();
    world.post(sent.outgoing().iter());
    world.receive(bob);
    assert_eq!(world.texts(bob).last().unwrap(), "to the one I know");
}

/// Two apps talked device to device, before there was a directory; then both get one.
#[test]
fn a_directory_comes_later() {
    let mut world = World::new(26);
    let (alice, bob) = (world.newcomer("alice"), world.newcomer("bob"));
    for at in [alice, bob] {
        for task in world.run(at, world.devices[at].client.todo()).unwrap() {
            if task == Task::PublishPrekeys {
                world.publish_prekeys(at);
            }
        }
    }
    let bundle = world.server.bundle(&world.address(bob)).unwrap();
    world.run(alice, world.devices[alice].client.add_session(&bundle)).unwrap();
    let to_bob = world.address(bob);
    let sent = world.try_send(alice, &to_bob, b"before").unwrap();
    world.post(sent.outgoing().iter());
    world.receive(bob);
    assert_eq!(world.texts(bob), ["before"]);
    assert_eq!(world.devices[bob].shown[0].user.account, AccountStatus::DeviceOnly);

    world.attend(alice);
    let sent = world.try_send(alice, &to_bob, b"one has a roster").unwrap();
    world.post(sent.outgoing().iter());
    world.receive(bob);
    world.attend(bob);
    let to_alice = world.address(alice);
    let sent = world.try_send(bob, &to_alice, b"now both").unwrap();
    world.post(sent.outgoing().iter());
    world.receive(alice);
    assert_eq!(world.devices[alice].shown[0].user.account, AccountStatus::First);
    world.write(alice, &user("bob"), b"to a person");
    world.write(bob, &user("alice"), b"to another");
    world.settle();
    assert_eq!(world.texts(bob), ["before", "one has a roster", "to a person"]);
    assert_eq!(world.texts(alice), ["now both", "to another"]);
}
