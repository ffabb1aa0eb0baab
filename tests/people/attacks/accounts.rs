//! Account keys that are swapped, and successions that nobody was entitled to sign.

use subrosa::account::{RecoveryKeyPair, Roster, Step, Succession};
use subrosa::client::*;
use subrosa::persist::StorageKey;
use subrosa::suite::Suites;
use subrosa::wire::Payload;

use super::{Account, Hostile, believed, carried, goes_on, goes_to, known, text, with_roster};
use crate::world::{World, user};

/// Alice and Bob, who has recovery words.
fn with_words(seed: u64) -> (World, [usize; 2], RecoveryKeyPair) {
    let mut world = World::new(seed);
    let words = RecoveryKeyPair::from_entropy(&[7; 16]);
    let (alice, bob) = (world.person("alice"), world.newcomer("bob"));
    world.run(bob, world.devices[bob].client.name_recovery(words.public())).unwrap();
    world.attend(bob);
    goes_on(&mut world, alice, bob);
    goes_on(&mut world, bob, alice);
    (world, [alice, bob], words)
}

/// Somebody's own account in the place of another one, with a step that leads to it.
fn taken_over(world: &mut World, of: &Roster, thief: &Account, words: &RecoveryKeyPair) -> (Roster, Vec<Step>) {
    let id = of.device_under_new_key().unwrap();
    let (_, entry) = thief.entry(world, id.get());
    let roster = of.under_new_key(entry, None, world.now).sign(&thief.pair).unwrap();
    let succession = Succession::sign(of.user(), of.account_key(), &thief.pair, words, world.now);
    (roster, vec![Step { succession, before: None }])
}

/// The server, and whoever is at Bob's phone, have no recovery key.
#[test]
fn succession_without_the_recovery_key() {
    let (mut world, [alice, bob], _) = with_words(401);
    let laptop = world.link(bob);
    world.fetch(alice, &user("bob"));
    let genuine = world.server.rosters[&user("bob")].clone();
    let thief = Account::new(&mut world, "bob");
    let own_words = RecoveryKeyPair::from_entropy(&[66; 16]);
    let (roster, steps) = taken_over(&mut world, genuine.0.roster(), &thief, &own_words);
    let held = known(&mut world, alice, "bob").roster.unwrap();

    let bytes = carried(&roster, steps);
    let head = subrosa::account::CarriedRoster::parse(&bytes).unwrap();
    let added = world.run(alice, world.devices[alice].client.add_user(&user("bob"), Some(&head), &[])).unwrap();
    assert_eq!(added.status.account, AccountStatus::Known);
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let said = Hostile::new(&mut world, &stolen, alice).say(&mut world, &with_roster("new phone", bytes)).unwrap();
    assert_eq!(said.user().unwrap().account, AccountStatus::Known, "the laptop itself is Bob's");
    assert_eq!(known(&mut world, alice, "bob").roster.unwrap(), held);

    // Without steps it is another key, and Alice is asked.
    let head = subrosa::account::CarriedRoster::new(&roster, vec![]);
    let added = world.run(alice, world.devices[alice].client.add_user(&user("bob"), Some(&head), &[])).unwrap();
    assert_eq!(added.status.account, AccountStatus::Changed(*thief.pair.public()));
    world.run(alice, world.devices[alice].client.refuse_account_key(&user("bob"))).unwrap();
    goes_on(&mut world, alice, bob);
}

/// Bob has renewed his account: what was signed before, and what the thief of the former key signs now, is nobody's.
#[test]
fn succession_replayed_and_the_thief_of_the_account_key_signs_after_it() {
    let (mut world, [alice, thief], words) = with_words(402);
    let head = world.server.head(&user("bob")).unwrap();
    let before = world.server.rosters[&user("bob")].1.clone();
    let renew = Client::create_renewed(&StorageKey::new([9; 32]), &user("bob"), &head, &words, Suites::V1);
    let phone = world.renewed(renew);
    world.attend(phone);
    let carol = world.person("carol");
    let renewed = world.server.rosters[&user("bob")].1.clone();
    world.write(phone, &user("alice"), b"I have a new phone");
    world.settle();
    assert_eq!(world.devices[alice].shown.last().unwrap().user.account, AccountStatus::Renewed);

    // The thief's phone signs on, far above.
    let own_words = RecoveryKeyPair::from_entropy(&[66; 16]);
    world.run(thief, world.devices[thief].client.name_recovery(own_words.public())).unwrap();
    let thiefs = world.run(thief, world.devices[thief].client.own_roster()).unwrap().upload().unwrap();
    let held = known(&mut world, alice, "bob").roster;
    for bytes in [&before, &thiefs, &renewed] {
        let head = subrosa::account::CarriedRoster::parse(bytes).unwrap();
        let added = world.run(alice, world.devices[alice].client.add_user(&user("bob"), Some(&head), &[])).unwrap();
        assert_eq!((added.status.account, added.status.changes), (AccountStatus::Known, None));
    }
    let stolen = world.devices[thief].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &stolen, alice);
    for bytes in [before, thiefs] {
        assert_eq!(hostile.say(&mut world, &with_roster("it was me", bytes)), Err(ReceiveError::NotListed));
    }
    assert_eq!(known(&mut world, alice, "bob").roster, held);

    // The succession for another user, and shown again to who never knew the former key: it is not that one's.
    let head = subrosa::account::CarriedRoster::parse(&renewed).unwrap();
    let added = world.run(alice, world.devices[alice].client.add_user(&user("carol"), Some(&head), &[]));
    assert!(matches!(added, Err(AddUserError::Roster(_))), "{added:?}");
    goes_on(&mut world, alice, phone);
    goes_on(&mut world, carol, phone);
    goes_on(&mut world, carol, alice);
}

/// Bob's phone is in the hands of a thief, who names words of his own: for 30 days they count for nobody.
#[test]
fn succession_with_a_recovery_key_that_a_thief_has_named() {
    let (mut world, [alice, bob], words) = with_words(403);
    let own_words = RecoveryKeyPair::from_entropy(&[66; 16]);
    world.run(bob, world.devices[bob].client.name_recovery(own_words.public())).unwrap();
    world.attend(bob);
    world.later(29);
    let head = world.server.head(&user("bob")).unwrap();
    let renew = Client::create_renewed(&StorageKey::new([6; 32]), &user("bob"), &head, &own_words, Suites::V1);
    let false_phone = world.renewed(renew);
    let upload = world.run(false_phone, world.devices[false_phone].client.own_roster()).unwrap().upload().unwrap();
    let false_head = subrosa::account::CarriedRoster::parse(&upload).unwrap();
    let added = world.run(alice, world.devices[alice].client.add_user(&user("bob"), Some(&false_head), &[])).unwrap();
    assert_eq!(added.status.account, AccountStatus::Known);
    world.devices[false_phone].wiped = true;
    assert!(!world.server.publish(&user("bob"), &upload, world.now), "nor does an honest server take it");
    // The owner has the first words, and they are in force.
    let renew = Client::create_renewed(&StorageKey::new([9; 32]), &user("bob"), &head, &words, Suites::V1);
    let phone = world.renewed(renew);
    world.attend(phone);
    world.write(phone, &user("alice"), b"I was in time");
    world.settle();
    assert_eq!(world.devices[alice].shown.last().unwrap().user.account, AccountStatus::Renewed);
    goes_on(&mut world, alice, phone);
}

/// The server stands between the two from the beginning. They compare, and find out.
#[test]
fn account_key_swapped_at_first_contact() {
    let mut world = World::new(404);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let genuine = world.server.rosters[&user("bob")].clone();
    let server = Account::new(&mut world, "bob");
    server.publish(&mut world);
    world.fetch(alice, &user("bob"));
    let swapped = known(&mut world, alice, "bob");
    assert_eq!(swapped.account_key(), Some(server.pair.public()));
    // Bob's own bundle is not a bundle of the device that the server lists.
    let bundle = world.server.bundle(&world.address(bob)).unwrap();
    let added = world.run(alice, world.devices[alice].client.add_session(&bundle));
    assert_eq!(added, Err(AddError::NotListed));

    // Bob writes, through a server that lets it through: shown as under another key.
    world.server.rosters.insert(user("bob"), genuine.clone());
    world.write(bob, &user("alice"), b"it is the real me");
    world.settle();
    let shown = world.devices[alice].shown.last().unwrap();
    assert_eq!(shown.user.account, AccountStatus::Changed(*genuine.0.account_key()));
    assert!(believed(&world, alice).is_empty());
    let verify = world.devices[alice].client.mark_verified(&user("bob"), genuine.0.account_key());
    assert!(!world.run(alice, verify).unwrap(), "it is not the key that is held");
    // They compare; she accepts what he has, and no other.
    let other = world.devices[alice].client.accept_account_key(&user("bob"), server.pair.public());
    assert_eq!(world.run(alice, other), Err(AccountKeyError::OtherKey));
    world.run(alice, world.devices[alice].client.accept_account_key(&user("bob"), genuine.0.account_key())).unwrap();
    goes_on(&mut world, alice, bob);
    // What the server's device says now is of another key again.
    let mut ghost = Hostile::new(&mut world, &server.keys.clone(), alice);
    let said = ghost.say(&mut world, &with_roster("it is me", server.carried()));
    assert!(!said.as_ref().is_ok_and(|said| said.user().is_some_and(|user| user.account == AccountStatus::Known)));
}

#[test]
fn account_key_swapped_after_first_contact() {
    let (mut world, [alice, bob, laptop]) = World::talking(405);
    let key = *known(&mut world, alice, "bob").account_key().unwrap();
    assert!(world.run(alice, world.devices[alice].client.mark_verified(&user("bob"), &key)).unwrap());
    let genuine = world.server.rosters[&user("bob")].clone();
    let (server, another) = (Account::new(&mut world, "bob"), Account::new(&mut world, "bob"));
    server.publish(&mut world);
    world.fetch(alice, &user("bob"));
    // Nothing goes to anybody, and nobody can hurry her: not by another key, not by a message of either.
    assert_eq!(world.try_send(alice, &user("bob"), b"hi"), Err(SendError::IdentityChanged));
    another.publish(&mut world);
    world.fetch(alice, &user("bob"));
    let accept = world.devices[alice].client.accept_account_key(&user("bob"), server.pair.public());
    assert_eq!(world.run(alice, accept), Err(AccountKeyError::OtherKey), "not whichever is newest");
    world.server.rosters.insert(user("bob"), genuine);
    world.write(bob, &user("alice"), b"I have no new phone");
    world.settle();
    assert_eq!(believed(&world, alice).last().unwrap(), "I have no new phone", "the pinned key goes on");
    world.run(alice, world.devices[alice].client.refuse_account_key(&user("bob"))).unwrap();
    assert_eq!(known(&mut world, alice, "bob").status.verified, Verified::Yes);
    assert_eq!(goes_to(&mut world, alice, "bob"), [1, 2]);
    goes_on(&mut world, laptop, alice);
}

/// Whoever was refused, or waits, gets no answer to anything, and no question.
#[test]
fn account_key_that_waits_gets_nothing() {
    let (mut world, [alice, bob, _]) = World::talking(406);
    let server = Account::new(&mut world, "bob");
    let (ghosts, entry) = server.entry(&mut world, 5);
    let roster = server.roster.next(world.now).link(entry).sign(&server.pair).unwrap();
    let mut ghost = Hostile::new(&mut world, &ghosts, alice);
    ghost.say(&mut world, &with_roster("it is me", carried(&roster, vec![]))).unwrap();
    let question = Payload::new(subrosa::wire::Content::RepairRequest(vec![7; 48]));
    let said = ghost.say(&mut world, &question).unwrap();
    let Received::RepairRequest(request) = said else { panic!("{said:?}") };
    assert!(request.reply.is_none() && request.messages.is_empty());
    world.attend(alice);
    let ghost_mail =
        world.server.mail.get(&subrosa::ident::Address::new(user("bob"), subrosa::ident::DeviceId::new(5)));
    assert!(ghost_mail.is_none_or(Vec::is_empty));
    world.run(alice, world.devices[alice].client.refuse_account_key(&user("bob"))).unwrap();
    assert!(!matches!(ghost.say(&mut world, &text("again")), Ok(Received::Message(_))));
    goes_on(&mut world, alice, bob);
}
