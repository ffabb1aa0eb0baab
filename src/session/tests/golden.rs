//! Golden vectors of suite V1, for us and for a second implementation: `tests/vectors/suite-v1/`, described in the
//! README beside them.
//!
//! They are append-only. The test makes them anew from their seed and compares; with `SUBROSA_REGENERATE` set it writes
//! what is missing, and still fails if anything that is there would change.

#![allow(clippy::disallowed_methods, reason = "a test reads files and its environment")]

use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use super::message::Wire;
use super::*;
use crate::crypto::{KeyPair, Secret, hkdf, hmac, sha256};
use crate::ident::{Address, DeviceId, PrekeyId, Timestamp, UserId};
use crate::prekey::{Device, KemPrekey, OneTimePrekey, PrekeySecrets, SeenBaseKeys, SignedPrekey};
use crate::suite::{Suite, v1};
use crate::vectors::{Recorder, Script, bytes};

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
const MESSAGES: usize = 300;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/suite-v1")
}

fn hexed(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(hex::encode(bytes))
}

/// Both parties as they are before the first message, with everything that goes into the handshake.
struct Start {
    alice: Device,
    bob: Device,
    signed: SignedPrekey,
    kem: KemPrekey,
    one_time: OneTimePrekey,
}

impl Start {
    fn new(rng: &mut Recorder) -> Self {
        let device = |name: &str, number, rng: &mut Recorder| {
            let address = Address::new(UserId::new(name).unwrap(), DeviceId::new(number));
            Device::generate(address, rng)
        };
        let (alice, bob) = (device("alice", 1, rng), device("bob", 2, rng));
        let signed = SignedPrekey::generate(&bob, Suite::V1, PrekeyId::new(11), NOW, rng);
        let kem = KemPrekey::one_time(&bob, Suite::V1, PrekeyId::new(22), NOW, rng);
        let one_time = OneTimePrekey::generate(Suite::V1, PrekeyId::new(33), rng);
        Self { alice, bob, signed, kem, one_time }
    }

    fn bundle(&self) -> crate::prekey::Bundle {
        self.bob.bundle(&self.signed, &self.kem, Some(&self.one_time)).verify().unwrap()
    }

    fn accept(&self, first: &FirstMessage, rng: &mut (impl rand_core::CryptoRng + ?Sized)) -> (Session, Accepted) {
        let mut seen = SeenBaseKeys::default();
        let one_time = Some(&self.one_time);
        let mut prekeys = PrekeySecrets { signed: &self.signed, kem: &self.kem, one_time, seen: &mut seen };
        Session::accept(&self.bob, self.alice.address(), first, &mut prekeys, NOW, rng).unwrap()
    }

    fn to_json(&self) -> Value {
        let device = |device: &Device| {
            json!({
                "user": device.address().user().as_str(),
                "device": device.address().device().get(),
                "registrationId": device.registration_id().get(),
                "identityPrivate": hexed(device.identity().private().expose()),
                "identityPublic": hexed(device.identity_key().to_bytes()),
                "record": hexed(&*device.to_bytes()),
            })
        };
        let pair = |pair: &KeyPair| json!({ "private": hexed(pair.private().expose()), "public": hexed(pair.public().to_bytes()) });
        json!({
            "now": NOW.get(),
            "alice": device(&self.alice),
            "bob": device(&self.bob),
            "signedPrekey": { "id": 11, "createdMs": NOW.get(), "pair": pair(self.signed.pair()), "signature": hexed(self.signed.signature()), "record": hexed(&*self.signed.to_bytes()) },
            "kemPrekey": { "id": 22, "createdMs": NOW.get(), "lastResort": false, "secret": hexed(&*self.kem.pair().secret().to_bytes()), "public": hexed(self.kem.public_key().to_bytes()), "signature": hexed(self.kem.signature()), "record": hexed(&*self.kem.to_bytes()) },
            "oneTimePrekey": { "id": 33, "pair": pair(self.one_time.pair()), "record": hexed(&*self.one_time.to_bytes()) },
            "bundle": hexed(self.bundle().parts().to_bytes()),
        })
    }
}

/// What the handshake comes to, from a session's start.
fn handshake(start: &Start, session: &Session, drawn: &Value) -> Value {
    let state = session.current.as_ref().unwrap();
    let draws = bytes(drawn);
    let base = KeyPair::new(Secret::from_slice(&draws[..32]).unwrap());
    assert_eq!(*base.public(), state.base_key);
    let shared = |a: &KeyPair, b: &KeyPair| hexed(a.agree(b.public()).unwrap().expose());
    let ciphertext = &state.pending.as_ref().unwrap().kem_ciphertext;
    let transcript_hash = state.transcript.unwrap().hash;
    // Written out from the specification, not from the code under test.
    let lp = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let address = |address: &Address| {
        lp(&[lp(address.user().as_str().as_bytes()), address.device().get().to_be_bytes().to_vec()].concat())
    };
    let transcript = [
        b"\x14subrosa/1/transcript".to_vec(),
        address(start.alice.address()),
        address(start.bob.address()),
        start.alice.identity_key().to_bytes().to_vec(),
        start.bob.identity_key().to_bytes().to_vec(),
        base.public().to_bytes().to_vec(),
        11u32.to_be_bytes().to_vec(),
        start.signed.public_key().to_bytes().to_vec(),
        vec![1],
        33u32.to_be_bytes().to_vec(),
        start.one_time.public_key().to_bytes().to_vec(),
        22u32.to_be_bytes().to_vec(),
        sha256(&[&start.kem.public_key().to_bytes()]).to_vec(),
        sha256(&[&ciphertext.to_bytes()]).to_vec(),
    ]
    .concat();
    assert_eq!(sha256(&[&transcript]), transcript_hash);
    let agree = |a: &KeyPair, b: &KeyPair| a.agree(b.public()).unwrap().expose().to_vec();
    let ikm = [
        vec![0xff; 32],
        agree(start.alice.identity(), start.signed.pair()),
        agree(&base, start.bob.identity()),
        agree(&base, start.signed.pair()),
        agree(&base, start.one_time.pair()),
        start.kem.pair().secret().decapsulate(ciphertext).unwrap().expose().to_vec(),
    ]
    .concat();
    let keys = hkdf::<96>(&transcript_hash, &ikm, &[b"\x0fsubrosa/1/pqxdh"]);
    json!({
        "transcript": hexed(transcript),
        "rootKey": hexed(&keys.expose()[..32]),
        "chainKey": hexed(&keys.expose()[32..64]),
        "pqKey": hexed(&keys.expose()[64..]),
        "drawn": drawn,
        "basePrivate": hexed(base.private().expose()),
        "dh1": shared(start.alice.identity(), start.signed.pair()),
        "dh2": shared(&base, start.bob.identity()),
        "dh3": shared(&base, start.signed.pair()),
        "dh4": shared(&base, start.one_time.pair()),
        "kemShared": hexed(start.kem.pair().secret().decapsulate(ciphertext).unwrap().expose()),
        "kemCiphertext": hexed(ciphertext.to_bytes()),
        "transcriptHash": hexed(transcript_hash),
        "sessionTag": hexed(v1::session_tag(&transcript_hash)),
        "afterFirstRootStep": state.ratchet.checkpoint(),
    })
}

/// Every derivation of one message, from the secret that the ratchets gave for it.
fn derivation(sender: &Session, plaintext: &[u8], ad: &[u8], rng: &mut Recorder) -> (Ciphertext, Value) {
    let state = sender.current.as_ref().unwrap();
    let mut sender = sender.clone();
    let secret = {
        let mut copy = rng.copy();
        state.ratchet.clone().send(&mut copy).unwrap().secret
    };
    let sent = sender.encrypt_bound(plaintext, ad, NOW, rng).unwrap();
    let drawn = rng.take();
    let parsed = if sent.is_first() { None } else { Some(SessionMessage::parse(sent.bytes()).unwrap()) };
    let first = if sent.is_first() { Some(FirstMessage::parse(sent.bytes()).unwrap()) } else { None };
    let Some(Wire::V1(message)) =
        parsed.as_ref().map(SessionMessage::inner).or_else(|| first.as_ref().map(FirstMessage::inner))
    else {
        panic!("suite V1")
    };
    let key_and_nonce = v1::key_and_nonce(&secret, &message.salt, ad);
    let fresh = bytes(&drawn)[bytes(&drawn).len() - 32..].to_vec();
    let salt = hmac(secret.seed.expose(), &[&fresh, &sha256(&[plaintext]), &message.pq.to_bytes()]);
    assert_eq!(salt.expose()[..16], message.salt);
    let value = json!({
        "plaintext": hexed(plaintext),
        "externalAd": hexed(ad),
        "drawn": drawn,
        "seed": hexed(secret.seed.expose()),
        "pqKey": hexed(secret.pq.expose()),
        "fresh": hexed(fresh),
        "salt": hexed(message.salt),
        "header": hexed(message.header()),
        "key": hexed(&key_and_nonce[..32]),
        "nonce": hexed(&key_and_nonce[32..]),
        "aad": hexed(v1::associated_data_of(&state.transcript.unwrap().hash, state.ratchet.is_initiator(), message.header(), ad)),
        "ciphertext": hexed(&message.ciphertext),
        "bytes": hexed(sent.bytes()),
    });
    (sent, value)
}

/// The conversation: bursts, losses, late and doubled messages; then the refusals.
fn conversation(start: &Start, rng: &mut Recorder) -> Map<String, Value> {
    let mut alice = Session::initiate(&start.alice, &start.bundle(), NOW, rng).unwrap();
    let drawn = rng.take();
    let mut out = Map::new();
    out.insert("handshake".into(), handshake(start, &alice, &drawn));

    let mut derivations = vec![];
    for (plaintext, ad) in
        [(b"".as_slice(), b"".as_slice()), (b"Hello, Bob", b""), (b"bound", b"external"), (&[7; 200], b"")]
    {
        derivations.push(derivation(&alice, plaintext, ad, rng).1);
    }
    out.insert("derivations".into(), Value::Array(derivations));

    let mut schedule = ChaCha20Rng::seed_from_u64(0x5ced);
    let mut bob: Option<Session> = None;
    let mut steps: Vec<Value> = vec![];
    let mut network: Vec<(bool, usize, Ciphertext, Vec<u8>)> = vec![];
    let (mut count, mut by_alice) = (0, true);
    while count < MESSAGES {
        let burst = if count == 0 { 3 } else { 1 + schedule.next_u32() % 6 };
        for _ in 0..burst {
            let session = if by_alice { &mut alice } else { bob.as_mut().unwrap() };
            let mut plaintext = format!("message {count}").into_bytes();
            plaintext.resize(plaintext.len() + usize::try_from(schedule.next_u32() % 400).unwrap(), b'.');
            let ciphertext = session.encrypt(&plaintext, NOW, rng).unwrap();
            let mut step = json!({
                "op": "send", "by": if by_alice { "alice" } else { "bob" }, "n": count, "first": ciphertext.is_first(),
                "plaintext": hexed(&plaintext), "bytes": hexed(ciphertext.bytes()), "drawn": rng.take(),
            });
            if count % 20 == 0 {
                step["after"] = session.current.as_ref().unwrap().ratchet.checkpoint();
            }
            steps.push(step);
            // The first message arrives; of the others one in ten is lost.
            if count == 0 || schedule.next_u32() % 10 != 0 {
                network.push((!by_alice, count, ciphertext, plaintext));
            }
            count += 1;
        }
        // All but a few arrive, in some order.
        let keep = if count == 3 { 0 } else { usize::try_from(schedule.next_u32() % 3).unwrap() };
        while network.len() > keep {
            let at = usize::try_from(schedule.next_u32()).unwrap() % network.len();
            let (to_alice, n, ciphertext, plaintext) = network.swap_remove(at);
            let session = if to_alice { Some(&mut alice) } else { bob.as_mut() };
            let read = match (session, &ciphertext) {
                (None, Ciphertext::First(bytes)) => {
                    let (session, accepted) = start.accept(&FirstMessage::parse(bytes).unwrap(), rng);
                    bob = Some(session);
                    accepted.plaintext
                }
                (Some(session), Ciphertext::First(bytes)) => {
                    let first = FirstMessage::parse(bytes).unwrap();
                    session.accept_next(&start.bob, &first, None, NOW, rng).unwrap().plaintext
                }
                (Some(session), Ciphertext::Message(bytes)) => {
                    session.decrypt(&SessionMessage::parse(bytes).unwrap(), NOW, rng).unwrap()
                }
                (None, Ciphertext::Message(_)) => panic!("Bob is written to first"),
            };
            assert_eq!(read, plaintext);
            let by = if to_alice { "alice" } else { "bob" };
            let mut step = json!({ "op": "receive", "by": by, "n": n, "drawn": rng.take() });
            if n % 20 == 0 {
                let session = if to_alice { &alice } else { bob.as_ref().unwrap() };
                step["after"] = session.current.as_ref().unwrap().ratchet.checkpoint();
            }
            steps.push(step);
        }
        by_alice = !by_alice;
    }
    let bob = bob.unwrap();
    assert!(alice.pq_epochs() >= 2 && bob.pq_epochs() >= 2);
    out.insert("steps".into(), Value::Array(steps));
    out.insert("refusals".into(), refusals(start, alice, bob, rng, out.get("steps").unwrap()));
    out
}

/// Messages that Bob refuses when the conversation is over, and the name of the reason.
fn refusals(start: &Start, mut alice: Session, mut bob: Session, rng: &mut Recorder, steps: &Value) -> Value {
    let backup = alice.clone();
    let genuine = alice.encrypt(b"genuine", NOW, rng).unwrap().into_bytes();
    let read = alice.encrypt(b"read", NOW, rng).unwrap().into_bytes();
    let bound = alice.encrypt_bound(b"bound", b"external", NOW, rng).unwrap().into_bytes();
    bob.decrypt(&SessionMessage::parse(&read).unwrap(), NOW, rng).unwrap();
    let mut rewound = backup;
    rewound.encrypt(b"skipped", NOW, rng).unwrap();
    let rewound = rewound.encrypt(b"read, but another", NOW, rng).unwrap().into_bytes();
    let reflected = bob.clone().encrypt(b"from Bob himself", NOW, rng).unwrap().into_bytes();
    let first = bytes(&steps[0]["bytes"]);

    let flipped = |at: usize| {
        let mut bytes = genuine.clone();
        bytes[at] ^= 1;
        bytes
    };
    let find = |needle: &[u8]| genuine.windows(needle.len()).position(|window| window == needle).unwrap();
    let message = SessionMessage::parse(&genuine).unwrap();
    let Wire::V1(parsed) = message.inner() else { panic!("suite V1") };
    let behind = |bytes: &[u8], tail: &[u8]| [bytes, tail].concat();
    let list: Vec<(&str, bool, Vec<u8>)> = vec![
        ("a duplicate", false, read),
        ("another message at the place of one that was read", false, rewound),
        ("one's own message sent back", false, reflected),
        ("without the external associated data that it is bound to", false, bound),
        ("another session's tag", false, flipped(find(&parsed.session))),
        ("another ratchet key", false, flipped(find(&parsed.ratchet_key.to_bytes()) + 5)),
        ("another salt", false, flipped(find(&parsed.salt))),
        ("another post-quantum key index", false, flipped(find(&parsed.pq.to_bytes()) + 2)),
        ("another byte in the text", false, flipped(find(&parsed.ciphertext))),
        ("another byte in the tag", false, flipped(genuine.len() - 1)),
        ("truncated", false, genuine[..genuine.len() - 1].to_vec()),
        ("a byte more", false, behind(&genuine, &[0])),
        ("an unknown field", false, behind(&genuine, &[0x1a, 0])),
        ("a field twice", false, behind(&genuine, &[0x12, 0])),
        ("the kind of a group message", false, [&[0xa3][..], &genuine[1..]].concat()),
        ("suite Signal's version byte", false, [&[0x44][..], &genuine[1..]].concat()),
        ("a first message passed as a plain one", false, first.clone()),
        ("a plain message passed as a first one", true, genuine.clone()),
        ("a first message read again, its session here", true, first.clone()),
        ("a first message with another registration id", true, {
            let parsed = FirstMessage::parse(&first).unwrap();
            let id = parsed.registration_id().get();
            let mut field = vec![0x38];
            prost::encoding::encode_varint(id.into(), &mut field);
            let at = first.windows(field.len()).rposition(|window| window == field).unwrap();
            let mut bytes = first;
            bytes[at + 1] ^= 1;
            bytes
        }),
        ("empty", false, vec![]),
    ];
    let state = hexed(&*bob.to_bytes());
    let refusals = list.into_iter().map(|(name, first, bytes)| {
        let error = refuse(&mut bob, start, first, &bytes);
        json!({ "name": name, "first": first, "bytes": hexed(bytes), "error": error })
    });
    let refusals: Vec<Value> = refusals.collect();
    json!({ "bob": state, "list": refusals })
}

/// The error of a message that must be refused and leave no trace.
fn refuse(bob: &mut Session, start: &Start, first: bool, bytes: &[u8]) -> String {
    let before = bob.to_bytes();
    let mut rng = Script::default();
    let error = if first {
        match FirstMessage::parse(bytes) {
            Err(error) => format!("{error:?}"),
            Ok(first) => format!("{:?}", bob.accept_next(&start.bob, &first, None, NOW, &mut rng).unwrap_err()),
        }
    } else {
        match SessionMessage::parse(bytes) {
            Err(error) => format!("{error:?}"),
            Ok(message) => format!("{:?}", bob.decrypt(&message, NOW, &mut rng).unwrap_err()),
        }
    };
    assert_eq!(*bob.to_bytes(), *before);
    error
}

fn generate() -> Value {
    let mut rng = Recorder::new(0x5b05);
    let start = Start::new(&mut rng);
    let drawn = rng.take();
    let mut out = Map::new();
    out.insert("suite".into(), "V1".into());
    out.insert("version".into(), 1.into());
    out.insert("drawnForKeys".into(), drawn);
    out.insert("start".into(), start.to_json());
    out.extend(conversation(&start, &mut rng));
    Value::Object(out)
}

/// Everything in `old` must be in `new` unchanged; objects and arrays may have grown at their end.
fn assert_kept(old: &Value, new: &Value, at: &str) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.iter().for_each(|(name, value)| assert_kept(value, new.get(name).expect(at), &format!("{at}.{name}")));
        }
        (Value::Array(old), Value::Array(new)) => {
            assert!(new.len() >= old.len(), "{at}: entries are gone");
            old.iter()
                .zip(new)
                .enumerate()
                .for_each(|(index, (old, new))| assert_kept(old, new, &format!("{at}[{index}]")));
        }
        _ => assert_eq!(old, new, "{at} has changed"),
    }
}

#[test]
fn golden_vectors_are_reproduced_and_append_only() {
    let path = folder().join("vectors.json");
    let generated = generate();
    let stored = std::fs::read(&path).ok().map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
    if let Some(stored) = &stored {
        assert_kept(stored, &generated, "vectors");
    }
    if std::env::var_os("SUBROSA_REGENERATE").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, serde_json::to_string_pretty(&generated).unwrap() + "\n").unwrap();
    } else {
        assert_eq!(stored.as_ref(), Some(&generated), "new entries are not written yet");
    }
}

/// As a second implementation would: nothing but the file.
#[test]
fn golden_vectors_replay_from_the_file_alone() {
    let vectors: Value = serde_json::from_slice(&std::fs::read(folder().join("vectors.json")).unwrap()).unwrap();
    let start = &vectors["start"];
    let record = |name: &str| bytes(&start[name]["record"]);
    let start = Start {
        alice: Device::from_bytes(&record("alice")).unwrap(),
        bob: Device::from_bytes(&record("bob")).unwrap(),
        signed: SignedPrekey::from_bytes(&record("signedPrekey")).unwrap(),
        kem: KemPrekey::from_bytes(&record("kemPrekey")).unwrap(),
        one_time: OneTimePrekey::from_bytes(&record("oneTimePrekey")).unwrap(),
    };
    assert_eq!(start.to_json(), vectors["start"]);
    let mut script = Script::default();
    script.push(bytes(&vectors["handshake"]["drawn"]));
    let mut alice = Session::initiate(&start.alice, &start.bundle(), NOW, &mut script).unwrap();
    script.assert_drawn("handshake");
    let mut bob: Option<Session> = None;
    let mut sent = std::collections::BTreeMap::new();
    for step in vectors["steps"].as_array().unwrap() {
        let at = format!("{} {} {}", step["by"], step["op"], step["n"]);
        script.push(bytes(&step["drawn"]));
        let is_alice = step["by"] == "alice";
        let session = if is_alice { Some(&mut alice) } else { bob.as_mut() };
        if step["op"] == "send" {
            let session = session.unwrap();
            let ciphertext = session.encrypt(&bytes(&step["plaintext"]), NOW, &mut script).unwrap();
            assert_eq!(hexed(ciphertext.bytes()), step["bytes"], "{at}");
            sent.insert(step["n"].as_u64().unwrap(), step);
        } else {
            let message = sent[&step["n"].as_u64().unwrap()];
            let body = bytes(&message["bytes"]);
            let read = match (session, message["first"] == true) {
                (None, _) => {
                    let (session, accepted) = start.accept(&FirstMessage::parse(&body).unwrap(), &mut script);
                    bob = Some(session);
                    accepted.plaintext
                }
                (Some(session), true) => {
                    let first = FirstMessage::parse(&body).unwrap();
                    session.accept_next(&start.bob, &first, None, NOW, &mut script).unwrap().plaintext
                }
                (Some(session), false) => {
                    session.decrypt(&SessionMessage::parse(&body).unwrap(), NOW, &mut script).unwrap()
                }
            };
            assert_eq!(hexed(read), message["plaintext"], "{at}");
        }
        script.assert_drawn(&at);
        if step["after"].is_object() {
            let session = if is_alice { &alice } else { bob.as_ref().unwrap() };
            assert_eq!(session.current.as_ref().unwrap().ratchet.checkpoint(), step["after"], "{at}");
        }
    }
    let mut bob = Session::from_bytes(&bytes(&vectors["refusals"]["bob"])).unwrap();
    for refusal in vectors["refusals"]["list"].as_array().unwrap() {
        let error = refuse(&mut bob, &start, refusal["first"] == true, &bytes(&refusal["bytes"]));
        assert_eq!(error, refusal["error"].as_str().unwrap(), "{}", refusal["name"]);
    }
}
