//! Which names go into the addresses field, on both sides, and what happens under another name.

use serde_json::Value;
use subrosa::ident::{Address, DeviceId, UserId};
use subrosa::session::Ciphertext;
use subrosa::wire::{PreKeySignalMessage, SignalMessage};

use crate::chance::Chance;
use crate::network::{Party, pass, talk};
use crate::ours::Ours;
use crate::peer::Peer;
use crate::theirs::{Theirs, bundle_to_json};

fn device(name: &str, device: u32) -> Address {
    Address::new(UserId::new(name).unwrap(), DeviceId::new(device))
}

/// A name of some kind, and whether it is a service id.
type Kind = fn(&mut Chance) -> (String, bool);

fn has_addresses(message: &Ciphertext) -> bool {
    match message {
        Ciphertext::First(bytes) => PreKeySignalMessage::parse(bytes).unwrap().message.addresses.is_some(),
        Ciphertext::Message(bytes) => SignalMessage::parse(bytes).unwrap().addresses.is_some(),
    }
}

#[test]
fn service_ids_are_bound_and_other_names_are_not() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("names");
    let (mut conversations, mut refused) = (0, 0);
    let kinds: [Kind; 7] = [
        |chance| (chance.uuid(), true),
        |chance| (format!("PNI:{}", chance.uuid()), true),
        |chance| (chance.uuid().to_uppercase(), true),
        |chance| (format!("alice {}", chance.uuid()), false),
        |chance| (chance.uuid().replace('-', ""), false),
        |chance| (format!("ACI:{}", chance.uuid()), false),
        |chance| (format!("pni:{}", chance.uuid()), false),
    ];
    for our_kind in kinds {
        for their_kind in kinds {
            for we_start in [true, false] {
                let ((ours, ours_is_id), (theirs, theirs_is_id)) = (our_kind(&mut chance), their_kind(&mut chance));
                let bound = ours_is_id && theirs_is_id;
                let (ours, theirs) = (device(&ours, 127), device(&theirs, 1));
                let mut us = Ours::new(&ours, &theirs, chance.split());
                let mut them = Theirs::new(&mut peer, &theirs, &ours);
                let other = device(&chance.uuid(), 1);
                let sibling = Address::new(ours.user().clone(), DeviceId::new(2));
                if we_start {
                    us.initiate(&them.publish(true)["bundle"]).unwrap();
                    let first = us.encrypt(b"first");
                    assert_eq!(has_addresses(&first), bound, "{ours:?} {theirs:?}");
                    if bound {
                        // Arrives under another name than ours, or as if from another device of ours.
                        assert!(them.towards(&other).decrypt(&first).is_err());
                        assert!(them.towards(&sibling).decrypt(&first).is_err());
                        refused += 2;
                    }
                    assert_eq!(them.decrypt(&first).as_deref(), Ok(&b"first"[..]));
                    assert!(!has_addresses(&pass(&mut them, &mut us, b"answer")));
                    assert!(!has_addresses(&pass(&mut us, &mut them, b"and on")));
                } else {
                    them.initiate(&us.publish(true)).unwrap();
                    let first = them.encrypt(b"first");
                    assert_eq!(has_addresses(&first), bound, "{} {}", ours.user().as_str(), theirs.user().as_str());
                    if bound {
                        for other in [other, Address::new(theirs.user().clone(), DeviceId::new(2))] {
                            us.remote = other;
                            assert!(us.decrypt(&first).is_err());
                            refused += 1;
                        }
                        us.remote = theirs.clone();
                    }
                    assert_eq!(us.decrypt(&first).as_deref(), Ok(&b"first"[..]));
                    assert!(!has_addresses(&pass(&mut us, &mut them, b"answer")));
                    assert!(!has_addresses(&pass(&mut them, &mut us, b"and on")));
                }
                talk([&mut us, &mut them], 6, &mut chance);
                conversations += 1;
            }
        }
    }
    peer.summary(&format!(
        "{conversations} conversations of ACI, PNI and plain names; {refused} redirected starts refused"
    ));
}

#[test]
fn no_addresses_are_accepted_and_foreign_ones_refused() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("foreign addresses");
    let (ours, theirs) = (chance.address(), chance.address());
    let renamed = |mut bundle: Value, address: &Address| {
        bundle["name"] = address.user().as_str().into();
        bundle["device"] = address.device().get().into();
        bundle
    };
    // We call ourselves by a plain name; they know us by a service id.
    let alice = device("alice", 1);
    let mut us = Ours::new(&alice, &theirs, chance.split());
    let mut them = Theirs::new(&mut peer, &theirs, &ours);
    us.initiate(&them.publish(true)["bundle"]).unwrap();
    assert!(!has_addresses(&pass(&mut us, &mut them, b"no addresses")));
    talk([&mut us, &mut them], 20, &mut chance);
    them.initiate_from(&renamed(bundle_to_json(&us.publish(true)), &ours)).unwrap();
    let first = them.encrypt(b"addresses that are not alice's");
    assert!(has_addresses(&first));
    assert!(us.decrypt(&first).is_err());
    // The other way round.
    let bob = device("bob", 1);
    let mut us = Ours::new(&ours, &theirs, chance.split());
    let mut them = Theirs::new(&mut peer, &bob, &ours);
    them.initiate(&us.publish(true)).unwrap();
    assert!(!has_addresses(&pass(&mut them, &mut us, b"no addresses")));
    talk([&mut them, &mut us], 20, &mut chance);
    us.initiate(&renamed(them.publish(true)["bundle"].take(), &theirs)).unwrap();
    let first = us.encrypt(b"addresses that are not bob's");
    assert!(has_addresses(&first));
    assert!(them.decrypt(&first).is_err());
    peer.summary("a conversation without addresses each way, a start with foreign ones refused each way");
}
