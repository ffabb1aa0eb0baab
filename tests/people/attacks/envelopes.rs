//! What is written on envelopes and in payloads by whoever likes to.

use subrosa::client::*;
use subrosa::ident::{Address, DeviceId};
use subrosa::wire::{ContactState, Content, Payload, RosterView};

use super::{Hostile, deliver, goes_on, goes_to, keys, known, text};
use crate::world::{World, user};

/// The server writes another sender on what Bob's phone has sent.
#[test]
fn envelope_names_another_sender_another_device_and_own_user() {
    let (mut world, [alice, bob, laptop]) = World::talking(301);
    let carol = world.person("carol");
    world.write(carol, &user("alice"), b"Hello, Alice");
    world.settle();
    let laptops = world.devices[laptop].keys.clone().unwrap();
    let fresh = Hostile::new(&mut world, &laptops, alice).envelope(&mut world, &text("1"));
    let next = world.try_send(bob, &user("alice"), b"2").unwrap().outgoing()[0].envelope().clone();
    let own = |device| Address::new(user("alice"), DeviceId::new(device));
    let nobody = Address::new(user("bob"), DeviceId::new(7));
    let others = [world.address(carol), nobody, own(1), own(2), own(0)];
    for (envelope, other) in
        [&fresh, &next].into_iter().flat_map(|envelope| others.iter().map(move |to| (envelope, to)))
    {
        let mut forged = envelope.clone();
        forged.from = Some(other.clone());
        let said = deliver(&mut world, alice, forged);
        let is_taken = said.as_ref().is_ok_and(|said| said.user().is_some());
        assert!(!is_taken, "as {other:?}: {said:?}");
    }
    let before = world.texts(alice).len();
    for envelope in [fresh.clone(), next.clone()] {
        let said = deliver(&mut world, alice, envelope).unwrap();
        assert_eq!(said.user().unwrap().account, AccountStatus::Known);
    }
    assert_eq!(world.texts(alice).len(), before + 2);
    // For another device of another user it is not opened at all, and twice not, either.
    for mut envelope in [fresh, next] {
        assert_eq!(deliver(&mut world, alice, envelope.clone()), Err(ReceiveError::Duplicate));
        envelope.to = world.address(carol);
        assert_eq!(deliver(&mut world, alice, envelope), Err(ReceiveError::NotForUs));
    }
    goes_on(&mut world, alice, bob);
    goes_on(&mut world, carol, alice);
}

/// How often a day a device asks the directory about a user, if it goes on like this for three days.
fn asked(world: &mut World, at: usize, about: &str, mut each: impl FnMut(&mut World)) -> [usize; 3] {
    let ask = Task::FetchRoster(user(about));
    [0; 3].map(|_| {
        world.later(1);
        let mut asked = 0;
        for _ in 0..8 {
            each(world);
            let todo = world.run(at, world.devices[at].client.todo()).unwrap();
            asked += usize::from(todo.contains(&ask));
            world.attend(at);
        }
        asked
    })
}

#[test]
fn views_of_0_and_of_the_greatest_number() {
    let (mut world, [alice, bob, laptop]) = World::talking(302);
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &stolen, alice);
    let held = known(&mut world, alice, "bob").roster.unwrap();
    let far = held.version() + (1 << 20) + 1;
    for number in [0, 1, far, u64::MAX] {
        let view = Some(RosterView { version: number, hash: [3; 16] });
        for (about, most) in [("bob", 0), ("alice", 1)] {
            let asked = asked(&mut world, alice, about, |world| {
                let payload = Payload { own: view, peer: view, sent: Some(world.now), ..text("view") };
                hostile.say(world, &payload).unwrap();
            });
            // About her own account she asks once a day, whatever is said.
            assert_eq!(asked, [most; 3], "{number} about {about}");
        }
    }
    assert_eq!(known(&mut world, alice, "bob").roster.unwrap().as_bytes(), held.as_bytes());
    goes_on(&mut world, alice, bob);
}

/// Bob says for ever that there is a newer roster, and the directory that there is none.
#[test]
fn want_that_no_answer_clears() {
    let (mut world, [alice, bob, laptop]) = World::talking(303);
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &stolen, alice);
    let view = Some(RosterView { version: 900, hash: [3; 16] });
    for about in ["bob", "alice"] {
        let asked = asked(&mut world, alice, about, |world| {
            let said = hostile.say(world, &Payload { own: view, peer: view, ..text("newer") }).unwrap();
            assert_eq!(said.user().unwrap().account, AccountStatus::Known);
        });
        assert_eq!(asked, [1; 3], "once a day");
    }
    // The same with a directory that says nothing: one task, which stands, and not one a message.
    world.server.withholds = true;
    world.later(2);
    for _ in 0..20 {
        hostile.say(&mut world, &Payload { own: view, peer: view, ..text("newer") }).unwrap();
    }
    let todo = world.run(alice, world.devices[alice].client.todo()).unwrap();
    assert_eq!(todo.iter().filter(|task| **task == Task::FetchRoster(user("bob"))).count(), 1, "{todo:?}");
    world.server.withholds = false;
    goes_on(&mut world, alice, bob);
}

/// What only one's own devices say, from somebody else.
#[test]
fn own_contents_from_somebody_else() {
    let (mut world, [alice, bob, _]) = World::talking(304);
    let stolen = world.devices[bob].keys.clone().unwrap();
    let ghost = keys(&mut world, "alice", 2);
    for content in [Content::Sync(vec![1; 9]), Content::Transcript(vec![1; 9]), Content::Provisioning(vec![1; 40])] {
        let payload = Payload::new(content);
        let said = Hostile::new(&mut world, &stolen, alice).say(&mut world, &payload);
        assert_eq!(said, Err(ReceiveError::NotAuthentic));
        // And from a device that the server makes up under her own name.
        let said = Hostile::new(&mut world, &ghost, alice).say(&mut world, &payload);
        assert!(matches!(said, Ok(Received::NotListed(_)) | Err(ReceiveError::NotListed)), "{said:?}");
    }
    let said = Hostile::new(&mut world, &ghost, alice).say(&mut world, &text("a note to yourself"));
    assert!(!matches!(said, Ok(Received::Message(_))), "{said:?}");
    goes_on(&mut world, alice, bob);
}

/// Blocked is blocked: whatever comes, from whichever of the user's devices, under whichever of his keys.
#[test]
fn blocked_user() {
    let (mut world, [alice, bob, laptop]) = World::talking(305);
    world.run(alice, world.devices[alice].client.block(&user("bob"))).unwrap();
    let before = world.texts(alice);
    let stolen = world.devices[laptop].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &stolen, alice);
    let contents = [
        Content::App(b"please".to_vec()),
        Content::Receipt([&[1][..], &[7; 16]].concat()),
        Content::Typing(vec![1]),
        Content::AccessRequest(vec![1]),
        Content::Call(vec![1]),
        Content::CallKey(vec![1]),
        Content::Verify(vec![1]),
        Content::History(vec![1]),
    ];
    for content in contents {
        let said = hostile.say(&mut world, &Payload::new(content)).unwrap();
        assert!(matches!(said, Received::Blocked(_)), "{said:?}");
    }
    // A question is no message; it gets no answer, and is no reason to fail.
    let question = Payload::new(Content::RepairRequest([7; 48].to_vec()));
    let said = hostile.say(&mut world, &question).unwrap();
    assert!(matches!(&said, Received::RepairRequest(asked) if asked.reply.is_none()), "{said:?}");
    // He links a new device, and renews all that he has: it lifts nothing.
    let tablet = world.link(bob);
    for at in [laptop, tablet] {
        world.write(at, &user("alice"), b"it is me, on another device");
        world.settle();
        assert!(matches!(world.devices[alice].outcomes.last(), Some(Ok(Received::Blocked(_)))));
    }
    assert_eq!(world.texts(alice), before);
    assert_eq!(world.try_send(alice, &user("bob"), b"no"), Err(SendError::Blocked));
    let to_device = world.try_send(alice, &world.address(bob), b"no");
    assert_eq!(to_device, Err(SendError::Blocked));
    // Nothing was posted to him in the meantime, no answer and no question.
    for at in [bob, laptop, tablet] {
        assert!(world.mail(at).is_empty());
    }
    world.run(alice, world.devices[alice].client.unblock(&user("bob"))).unwrap();
    assert_eq!(known(&mut world, alice, "bob").status.contact, ContactState::None);
    goes_on(&mut world, alice, bob);
    goes_on(&mut world, tablet, alice);
}

/// Of whom nothing is known, library contents are no request; and an account key that waits lifts no block.
#[test]
fn blocked_user_under_another_account_key() {
    let (mut world, [alice, ..]) = World::talking(306);
    world.run(alice, world.devices[alice].client.block(&user("bob"))).unwrap();
    let anew = super::Account::new(&mut world, "bob");
    let ghost = keys(&mut world, "bob", 1);
    let mut hostile = Hostile::new(&mut world, &ghost, alice);
    assert!(!matches!(hostile.say(&mut world, &text("me")), Ok(Received::Message(_))));
    anew.publish(&mut world);
    world.fetch(alice, &user("bob"));
    let waits = known(&mut world, alice, "bob");
    assert_eq!(waits.status.account, AccountStatus::Changed(*anew.pair.public()));
    assert_eq!(waits.status.contact, ContactState::Blocked);
    world.run(alice, world.devices[alice].client.accept_account_key(&user("bob"), anew.pair.public())).unwrap();
    assert_eq!(known(&mut world, alice, "bob").status.contact, ContactState::Blocked);
    let mut hostile = Hostile::new(&mut world, &anew.keys.clone(), alice);
    let said = hostile.say(&mut world, &text("under another key")).unwrap();
    assert!(matches!(said, Received::Blocked(_)), "{said:?}");
}

/// A stranger's message waits for the user; what the library sends by itself makes nobody a contact.
#[test]
fn pending_user() {
    let (mut world, [alice, bob, _]) = World::talking(307);
    let carol = world.person("carol");
    let carols = world.server.rosters[&user("carol")].1.clone();
    let stolen = world.devices[carol].keys.clone().unwrap();
    let mut hostile = Hostile::new(&mut world, &stolen, alice);
    for content in [Content::Typing(vec![1]), Content::Receipt([&[1][..], &[7; 16]].concat()), Content::Call(vec![1])] {
        let payload = Payload { roster: Some(carols.clone()), ..Payload::new(content) };
        let said = hostile.say(&mut world, &payload).unwrap();
        assert_eq!(said.user().unwrap().contact, ContactState::None);
    }
    for _ in 0..5 {
        let said = hostile.say(&mut world, &text("may I?")).unwrap();
        assert_eq!(said.user().unwrap().contact, ContactState::Pending);
    }
    // However much it says, it stays a request, and nothing goes back to it by itself.
    world.attend(alice);
    assert!(world.mail(carol).is_empty());
    assert_eq!(known(&mut world, alice, "carol").status.contact, ContactState::Pending);
    goes_on(&mut world, alice, bob);
    assert_eq!(goes_to(&mut world, alice, "carol"), [1]);
    assert_eq!(known(&mut world, alice, "carol").status.contact, ContactState::Accepted);
}
