//! Records of every schema that was ever written stay readable, and what they hold still works.
//!
//! The golden files hold a session's record and the messages that came after it. They are written once for a schema
//! (`SUBROSA_REGENERATE=1`) and never changed after its release.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests stop where something is wrong")]
#![allow(clippy::disallowed_methods, reason = "a test reads files and its environment")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, SeenBaseKeys, SignedPrekey, UnverifiedBundle};
use subrosa::session::{Session, SessionMessage};
use subrosa::suite::Suite;
use support::{NOW, Party, address, in_both_suites, round_trip, talking_in};

in_both_suites! {
    golden_records_load_and_go_on,
    every_state_survives_storage,
}

fn golden(schema: u16, suite: Suite) -> PathBuf {
    let name = format!("tests/vectors/records/schema-{schema}-{}.json", format!("{suite:?}").to_lowercase());
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// A session in the middle of everything: skipped message keys, an archived session, a post-quantum exchange under way.
fn write(suite: Suite) -> Value {
    let (mut alice, mut bob) = talking_in(suite, 2026);
    for _ in 0..55 {
        round_trip(&mut alice, &mut bob);
    }
    alice.initiate(&bob.bundle(true));
    let first = alice.send(b"again");
    bob.receive(&address("alice"), &first).unwrap();
    round_trip(&mut bob, &mut alice);
    for _ in 0..20 {
        round_trip(&mut alice, &mut bob);
    }
    let late: Vec<_> = (0..3).map(|_| alice.send(b"late")).collect();
    let next = alice.send(b"next");
    bob.receive(&address("alice"), &next).unwrap();
    let session = bob.session().to_bytes();
    let after: Vec<_> = (0..3).map(|_| alice.send(b"after")).collect();
    let one_time = OneTimePrekey::generate(suite, bob.ids.take().unwrap(), &mut bob.rng);
    let hexed = |bytes: &[u8]| hex::encode(bytes);
    json!({
        "session": hexed(&session),
        "late": late.iter().map(|message| hexed(message.bytes())).collect::<Vec<_>>(),
        "after": after.iter().map(|message| hexed(message.bytes())).collect::<Vec<_>>(),
        "device": hexed(&bob.device.to_bytes()),
        "signedPrekey": hexed(&bob.signed.to_bytes()),
        "oneTimePrekey": hexed(&one_time.to_bytes()),
        "kemPrekey": hexed(&bob.kem.to_bytes()),
        "seenBaseKeys": hexed(&bob.seen.to_bytes()),
        "bundle": hexed(&bob.device.bundle(&bob.signed, &bob.kem, Some(&one_time)).to_bytes()),
    })
}

fn golden_records_load_and_go_on(suite: Suite) {
    let path = golden(1, suite);
    if std::env::var_os("SUBROSA_REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, serde_json::to_string_pretty(&write(suite)).unwrap() + "\n").unwrap();
    }
    goes_on(&path);
}

fn goes_on(path: &Path) {
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();

    let stored = bytes(&golden["session"]);
    let mut session = Session::from_bytes(&stored).unwrap();
    assert_eq!(*session.to_bytes(), stored, "this build writes the same bytes");
    assert_eq!(session.archived(), 1);
    let mut rng = support::rng(1);
    for (field, plaintext) in [("after", b"after".as_slice()), ("late", b"late")] {
        for message in golden[field].as_array().unwrap() {
            let message = SessionMessage::parse(&bytes(message)).unwrap();
            assert_eq!(session.decrypt(&message, NOW, &mut rng).unwrap(), plaintext);
        }
    }
    assert!(session.encrypt(b"and on", NOW, &mut rng).is_ok());

    // Every other record: read, and written as it was.
    let device = Device::from_bytes(&bytes(&golden["device"])).unwrap();
    assert_eq!(*device.to_bytes(), bytes(&golden["device"]));
    let signed = SignedPrekey::from_bytes(&bytes(&golden["signedPrekey"])).unwrap();
    assert_eq!(*signed.to_bytes(), bytes(&golden["signedPrekey"]));
    let one_time = OneTimePrekey::from_bytes(&bytes(&golden["oneTimePrekey"])).unwrap();
    assert_eq!(*one_time.to_bytes(), bytes(&golden["oneTimePrekey"]));
    let kem = KemPrekey::from_bytes(&bytes(&golden["kemPrekey"])).unwrap();
    assert_eq!(*kem.to_bytes(), bytes(&golden["kemPrekey"]));
    let seen = SeenBaseKeys::from_bytes(&bytes(&golden["seenBaseKeys"])).unwrap();
    assert_eq!(seen.to_bytes(), bytes(&golden["seenBaseKeys"]));
    let bundle = UnverifiedBundle::parse(&bytes(&golden["bundle"])).unwrap();
    assert_eq!(bundle.to_bytes(), bytes(&golden["bundle"]));
    assert_eq!(bundle.verify().unwrap().identity_key(), device.identity_key());
}

/// The state machine of the post-quantum ratchet has eleven states: each is stored, loaded, and goes on the same.
fn every_state_survives_storage(suite: Suite) {
    let (mut alice, mut bob) = talking_in(suite, 31);
    let mut states = std::collections::BTreeSet::new();
    let state_of = |party: &Party| {
        let debug = format!("{:?}", party.session());
        let start = debug.find("state: \"").unwrap() + 8;
        debug[start..].split('"').next().unwrap().to_owned()
    };
    for step in 0..600 {
        let (sender, receiver) = if step % 5 < 3 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
        let message = sender.send(b"x");
        states.insert(state_of(sender));
        sender.reload();
        if step % 7 != 0 {
            receiver.receive(&sender.device.address().clone(), &message).unwrap();
        }
        states.insert(state_of(receiver));
        let before = receiver.session().to_bytes();
        receiver.reload();
        assert_eq!(*receiver.session().to_bytes(), *before);
    }
    assert_eq!(states.len(), 11, "{states:?}");
}
