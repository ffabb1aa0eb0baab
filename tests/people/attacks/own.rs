//! One's own account: who signs, what a crash or an old copy does to it, and what many devices cost.

use std::collections::BTreeSet;

use subrosa::account::LinkOffer;
use subrosa::client::*;
use subrosa::ident::DeviceId;
use subrosa::persist::{RecordKey, StorageKey};
use subrosa::staging::ApplyError;
use subrosa::suite::Suites;

use super::{Hostile, deliver, goes_on, goes_to, known, text};
use crate::world::{World, user};

#[test]
fn a_linked_device_signs_a_roster() {
    let (mut world, [alice, bob, laptop]) = World::talking(601);
    let client = world.devices[laptop].client.clone();
    let words = subrosa::account::RecoveryKeyPair::from_entropy(&[1; 16]);
    let before = world.devices[laptop].rows.clone();
    let phone = world.address(bob).device();
    for change in [
        client.remove_device(phone),
        client.remove_device(world.address(laptop).device()),
        client.name_recovery(words.public()),
        client.delete_account(),
        client.restore_account(),
    ] {
        assert_eq!(world.run(laptop, change), Err(OwnRosterError::NotPrimary));
    }
    let offer = LinkOffer::new(world.now, &mut world.rng);
    let not_primary = Err(LinkDeviceError::Own(OwnRosterError::NotPrimary));
    assert_eq!(world.run(laptop, client.answer_link(&offer.qr())), not_primary);
    assert_eq!(
        world.run(laptop, client.complete_link(&[2; 90], "123456")),
        Err(LinkDeviceError::Own(OwnRosterError::NotPrimary))
    );
    assert_eq!(world.devices[laptop].rows, before);
    // Not with age, either.
    world.later(40);
    world.run(laptop, client.maintain()).unwrap();
    assert!(world.run(laptop, client.own_roster()).unwrap().upload().is_none());
    goes_on(&mut world, alice, bob);
    goes_on(&mut world, laptop, alice);
}

/// The phone dies between signing and publishing, and again before it has the answer.
#[test]
fn crash_between_signing_and_publishing() {
    let (mut world, [alice, bob, laptop]) = World::talking(602);
    world.run(bob, world.devices[bob].client.remove_device(world.address(laptop).device())).unwrap();
    let upload = world.run(bob, world.devices[bob].client.own_roster()).unwrap().upload();
    let version = |world: &World| world.server.rosters[&user("bob")].0.roster().version();
    let before = version(&world);
    for _ in 0..2 {
        let opened = Client::open(&StorageKey::new([7; 32]), RollbackCounter::UNAVAILABLE);
        world.devices[bob].client = world.run(bob, opened).unwrap().client;
        assert_eq!(world.run(bob, world.devices[bob].client.own_roster()).unwrap().upload(), upload, "the same bytes");
        // Nothing else is signed before it is answered, and until then it is nobody's business.
        assert_eq!(world.run(bob, world.devices[bob].client.delete_account()), Err(OwnRosterError::Pending));
        let sent = world.try_send(bob, &user("alice"), b"meanwhile").unwrap();
        world.post(sent.outgoing().iter());
        world.receive(alice);
        assert_eq!(goes_to(&mut world, alice, "bob"), [1, 2], "a roster goes in band once it is published");
        world.later(15);
        world.run(bob, world.devices[bob].client.maintain()).unwrap();
    }
    // It came to the server, and the answer was lost.
    assert!(world.server.publish(&user("bob"), &upload.unwrap(), world.now));
    world.attend(bob);
    assert_eq!(version(&world), before + 1, "it is the one, and no other is signed");
    assert!(world.run(bob, world.devices[bob].client.own_roster()).unwrap().pending.is_none());
    goes_on(&mut world, bob, alice);
    assert_eq!(goes_to(&mut world, alice, "bob"), [1]);
}

/// The directory has another head than the phone believes: what was to be changed is changed above it.
#[test]
fn crash_and_another_head_at_the_server() {
    let (mut world, [alice, bob, laptop]) = World::talking(603);
    let before = world.copy(bob);
    let tablet = world.link(bob);
    // An older copy goes on: it removes the laptop, in a roster of the version that the server has.
    world.run(before, world.devices[before].client.remove_device(world.address(laptop).device())).unwrap();
    world.attend(before);
    let head = world.server.rosters[&user("bob")].0.roster().clone();
    let devices: Vec<u32> = head.devices().iter().map(|device| device.id().get()).collect();
    assert_eq!(devices, [1, 3], "the laptop is gone, and the tablet is not");
    world.later(1);
    world.attend(bob);
    goes_on(&mut world, alice, bob);
    goes_on(&mut world, tablet, alice);
    assert_eq!(goes_to(&mut world, alice, "bob"), [1, 3]);
}

/// Bob's phone is put back to the day before from a backup, and signs on.
#[test]
fn restored_backup_of_the_primary_that_signs_on() {
    let (mut world, [alice, bob, laptop]) = World::talking(604);
    let backup = world.devices[bob].rows.clone();
    let tablet = world.link(bob);
    world.remove(bob, laptop);
    goes_on(&mut world, tablet, alice);
    let newest = world.server.rosters[&user("bob")].0.roster().clone();
    let counter = world.run(bob, world.devices[bob].client.maintain()).unwrap().rollback_counter.unwrap();

    world.devices[bob].rows = backup;
    let opened = world.run(bob, Client::open(&StorageKey::new([7; 32]), counter)).unwrap();
    assert!(opened.rolled_back);
    world.devices[bob].client = opened.client;
    // It believes in the laptop, and links another device before it has asked anybody.
    let watch = world.begin_link(bob);
    let pending = world.run(bob, world.devices[bob].client.own_roster()).unwrap().pending.unwrap();
    assert!(pending.version() <= newest.version());
    world.attend(bob);
    world.later(1);
    world.attend(bob);
    let head = world.server.rosters[&user("bob")].0.roster().clone();
    assert!(head.follows(&newest).is_ok() || head.as_bytes() == newest.as_bytes());
    assert!(head.lists(DeviceId::new(3), world.devices[tablet].keys.as_ref().unwrap().identity_key()));
    assert!(head.device(DeviceId::new(2)).is_none(), "the laptop does not come back");
    // The number that the watch was promised is the tablet's: it finds out that it is not listed.
    world.later(2);
    world.attend(watch);
    assert!(world.devices[watch].wiped);
    goes_on(&mut world, tablet, alice);
    goes_on(&mut world, bob, alice);
}

/// A message is staged for all devices; before it is committed, one of them is removed.
#[test]
fn fan_out_while_a_device_is_removed() {
    let (mut world, [alice, bob, laptop]) = World::talking(605);
    world.remove(bob, laptop);
    let id = world.id();
    let send = world.devices[alice].client.send(id, &user("bob"), b"for whom?");
    let staged = world.stage(alice, send).unwrap();
    assert_eq!(staged.output().outgoing().len(), 2);
    world.fetch(alice, &user("bob"));
    let committed = staged.batch().apply_to(&mut world.devices[alice].rows);
    assert_eq!(committed, Err(ApplyError::Conflict));
    let sent = world.run(alice, world.devices[alice].client.send(id, &user("bob"), b"for whom?")).unwrap();
    assert_eq!(sent.outgoing().iter().map(|out| out.to().device().get()).collect::<Vec<_>>(), [1]);
    assert_eq!(sent.outdated, [world.address(laptop)]);
    // The same when one's own account changes: this very device was removed.
    let tablet = world.link(alice);
    let id = world.id();
    let staged = world.stage(tablet, world.devices[tablet].client.send(id, &user("bob"), b"from whom?"));
    let staged = staged.unwrap();
    world.remove(alice, tablet);
    let head = world.server.head(&user("alice")).unwrap();
    world.run(tablet, world.devices[tablet].client.update_own_roster(&head)).unwrap();
    assert_eq!(staged.batch().apply_to(&mut world.devices[tablet].rows), Err(ApplyError::Conflict));
    assert_eq!(world.try_send(tablet, &user("bob"), b"from whom?"), Err(SendError::Removed));
    goes_on(&mut world, alice, bob);
}

/// And when the user is blocked, or shows another account key, in between.
#[test]
fn fan_out_while_the_user_is_blocked_or_changes() {
    let (mut world, [alice, bob, _]) = World::talking(606);
    for is_blocked in [true, false] {
        let id = world.id();
        let staged = world.stage(alice, world.devices[alice].client.send(id, &user("bob"), b"hi")).unwrap();
        let genuine = world.server.rosters[&user("bob")].clone();
        if is_blocked {
            world.run(alice, world.devices[alice].client.block(&user("bob"))).unwrap();
        } else {
            super::Account::new(&mut world, "bob").publish(&mut world);
            world.fetch(alice, &user("bob"));
        }
        assert_eq!(staged.batch().apply_to(&mut world.devices[alice].rows), Err(ApplyError::Conflict));
        if is_blocked {
            world.run(alice, world.devices[alice].client.unblock(&user("bob"))).unwrap();
        } else {
            world.run(alice, world.devices[alice].client.refuse_account_key(&user("bob"))).unwrap();
        }
        world.server.rosters.insert(user("bob"), genuine);
    }
    goes_on(&mut world, alice, bob);
}

#[test]
fn a_thirty_third_device() {
    let mut world = World::new(607);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let mut last = bob;
    for _ in 1..32 {
        last = world.link(bob);
    }
    let client = world.devices[bob].client.clone();
    let mut offer = LinkOffer::new(world.now, &mut world.rng);
    let answered = world.run(bob, client.answer_link(&offer.qr())).unwrap();
    let provisioned = offer.open(&answered.message, world.now).unwrap();
    let (_, consent) = provisioned.consent(Suites::V1, &mut world.rng);
    let refused = world.run(bob, client.complete_link(&consent, provisioned.digits().as_str()));
    assert!(matches!(refused, Err(LinkDeviceError::Own(OwnRosterError::Next(_)))), "{refused:?}");
    world.write(last, &user("alice"), b"from the 32nd");
    world.settle();
    assert_eq!(world.texts(alice), ["from the 32nd"]);
    // Where one goes, another may come.
    world.remove(bob, last);
    world.now = subrosa::ident::Timestamp::new(world.now.get() + 11 * 60_000);
    let another = world.link(bob);
    assert_eq!(world.address(another).device(), DeviceId::new(33));
}

/// A device begins forty sessions, with fifty gaps in each, and is then removed.
#[test]
fn a_removed_device_with_many_sessions_and_gaps() {
    let (mut world, [alice, bob, laptop]) = World::talking(608);
    let before: BTreeSet<RecordKey> = world.devices[alice].rows.keys().copied().collect();
    let stolen = world.devices[laptop].keys.clone().unwrap();
    for session in 0..40 {
        let mut hostile = Hostile::new(&mut world, &stolen, alice);
        let first = hostile.envelope(&mut world, &text("first"));
        deliver(&mut world, alice, first).unwrap();
        let gaps: Vec<_> = (0..51).map(|_| hostile.envelope(&mut world, &text("gap"))).collect();
        let last = gaps.last().cloned().unwrap();
        deliver(&mut world, alice, last).unwrap_or_else(|error| panic!("{session}: {error:?}"));
    }
    let made: Vec<RecordKey> = world.devices[alice].rows.keys().filter(|key| !before.contains(key)).copied().collect();
    assert!(made.len() > 80, "{} rows", made.len());
    let held = world.devices[alice].rows.clone();
    // First messages are remembered for as long as their prekey is; all else goes.
    world.remove(bob, laptop);
    world.fetch(alice, &user("bob"));
    let (mut batches, mut most) = (0, 0);
    for page in 0..=255 {
        let mut pruned = world.stage(alice, world.devices[alice].client.prune(page)).unwrap();
        loop {
            most = most.max(pruned.batch().changes().len());
            batches += usize::from(!pruned.batch().is_empty());
            pruned.batch().apply_to(&mut world.devices[alice].rows).unwrap();
            let Some(next) = pruned.output().next else { break };
            pruned = world.stage(alice, world.devices[alice].client.prune_on(next)).unwrap();
        }
    }
    assert!(most <= 256, "{most} changes in one of {batches} batches");
    let gone = world.address(laptop);
    assert_eq!(world.run(alice, world.devices[alice].client.peer(&gone)).unwrap(), None);
    let devices = world.run(alice, world.devices[alice].client.devices_of(&user("bob"))).unwrap();
    assert_eq!(devices, [world.address(bob)]);
    let left: Vec<_> = made.iter().filter(|key| world.devices[alice].rows.contains_key(key)).collect();
    assert!(left.len() <= 40, "{} of {} rows are left", left.len(), made.len());
    let unchanged = left.iter().filter(|key| world.devices[alice].rows.get(key) == held.get(key)).count();
    assert_eq!(unchanged, left.len());
    assert!(known(&mut world, alice, "bob").roster.unwrap().device(gone.device()).is_none());
    goes_on(&mut world, alice, bob);
}
