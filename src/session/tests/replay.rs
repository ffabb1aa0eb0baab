//! Recorded conversations of Signal's own library, replayed as either party: the same bytes out, the same plaintexts
//! in, the same refusals, the same state at every checkpoint.
//!
//! Every transcript in the vectors' folder is replayed, so more of them can be dropped in (`SUBROSA_VECTORS`).

#![allow(clippy::disallowed_methods, reason = "tests read files")]

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, println};

use serde_json::Value;

use super::state::{Ends, Pending, State};
use super::*;
use crate::crypto::braid_kem::recorded;
use crate::crypto::{KemCiphertext, KemKeyPair, KemPublicKey, KemSecretKey, KeyPair, PublicKey, kyber_message_door};
use crate::ident::{Address, DeviceId, PrekeyId, RegistrationId, Timestamp, UserId};
use crate::prekey::{
    Bundle, Device, KemPrekey, OneTimePrekey, PrekeySecrets, PublishedPrekey, SeenBaseKeys, SignedPrekey,
    UnverifiedBundle,
};
use crate::ratchet::TripleRatchet;
use crate::ratchet::spqr::checkpoint::assert_matches;
use crate::suite::{Suite, Suites};
use crate::vectors::{Script, array, bytes, folder, load, number, secret};

const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

fn address(party: &Value) -> Address {
    Address::new(UserId::new(party["name"].as_str().unwrap()).unwrap(), DeviceId::new(number(&party["device"])))
}

fn public_key(value: &Value) -> PublicKey {
    PublicKey::parse(&bytes(value)).unwrap()
}

fn device(party: &Value) -> Device {
    let identity = KeyPair::new(secret(&party["identityPrivate"]));
    assert_eq!(identity.public().to_bytes(), array::<33>(&party["identityPublic"]));
    Device::new(address(party), identity, RegistrationId::new(number(&party["registrationId"])))
        .with_suites(Suites::SIGNAL)
}

fn bundle(value: &Value) -> Bundle {
    let one_time =
        value["preKeyId"].as_u64().map(|_| (PrekeyId::new(number(&value["preKeyId"])), public_key(&value["preKey"])));
    UnverifiedBundle {
        suite: Suite::Signal,
        address: address(value),
        registration_id: RegistrationId::new(number(&value["registrationId"])),
        identity_key: public_key(&value["identityKey"]),
        signed_prekey: PublishedPrekey {
            id: PrekeyId::new(number(&value["signedPreKeyId"])),
            created: NOW,
            suites: Suites::SIGNAL,
            key: public_key(&value["signedPreKey"]),
            signature: array(&value["signedPreKeySignature"]),
        },
        kem_prekey: PublishedPrekey {
            id: PrekeyId::new(number(&value["kyberPreKeyId"])),
            created: NOW,
            suites: Suites::SIGNAL,
            key: KemPublicKey::parse(&bytes(&value["kyberPreKey"])).unwrap(),
            signature: array(&value["kyberPreKeySignature"]),
        },
        kem_is_last_resort: false,
        one_time_prekey: one_time,
    }
    .verify()
    .unwrap()
}

/// The private halves of a recorded bundle.
struct Prekeys {
    signed: SignedPrekey,
    kem: KemPrekey,
    one_time: Option<OneTimePrekey>,
    seen: SeenBaseKeys,
}

impl Prekeys {
    fn new(device: &Device, secrets: &Value, bundle: &Value) -> Self {
        let mut rng = Script::default();
        let id = |name: &str| PrekeyId::new(number(&bundle[name]));
        let signed = KeyPair::new(secret(&secrets["signedPreKeyPrivate"]));
        assert_eq!(signed.public().to_bytes(), array::<33>(&bundle["signedPreKey"]));
        let kem = KemKeyPair::from_secret(KemSecretKey::parse(&bytes(&secrets["kyberPreKeySecret"])).unwrap()).unwrap();
        assert_eq!(kem.public().to_bytes(), bytes(&bundle["kyberPreKey"]));
        let one_time = secrets["preKeyPrivate"].is_string().then(|| {
            OneTimePrekey::from_parts(Suite::Signal, id("preKeyId"), KeyPair::new(secret(&secrets["preKeyPrivate"])))
        });
        let signed_id = id("signedPreKeyId");
        Self {
            signed: SignedPrekey::from_parts(device, Suite::Signal, signed_id, NOW, signed, &mut rng),
            kem: KemPrekey::from_parts(device, Suite::Signal, id("kyberPreKeyId"), NOW, true, kem, &mut rng),
            one_time,
            seen: SeenBaseKeys::default(),
        }
    }

    fn secrets(&mut self) -> PrekeySecrets<'_> {
        PrekeySecrets { signed: &self.signed, kem: &self.kem, one_time: self.one_time.as_ref(), seen: &mut self.seen }
    }
}

struct Party {
    device: Device,
    peer: Address,
    session: Option<Session>,
    prekeys: Option<Prekeys>,
}

impl Party {
    fn bytes(&self) -> Option<Vec<u8>> {
        self.session.as_ref().map(|session| session.to_bytes().to_vec())
    }

    /// The state just after an initiator's first root step, which is where a recording of one starts.
    fn start(&mut self, start: &Value, bundle: &Bundle) {
        let parts = bundle.parts();
        let ratchet = KeyPair::new(secret(&start["ratchetPrivate"]));
        let keys = (secret(&start["pqxdhChainKey"]), &secret(&start["pqxdhSpqrKey"]));
        let state = State {
            ratchet: TripleRatchet::recorded_initiator(
                Suite::Signal,
                secret(&start["rootKeyAfterFirstStep"]),
                secret(&start["sendChainKey"]),
                keys,
                ratchet,
                &parts.signed_prekey.key,
            ),
            base_key: public_key(&start["baseKeyPublic"]),
            name: State::name_of(&public_key(&start["baseKeyPublic"]), None),
            local_registration_id: self.device.registration_id(),
            remote_registration_id: parts.registration_id,
            created: NOW,
            pending: Some(Pending {
                signed_prekey: parts.signed_prekey.id,
                one_time_prekey: parts.one_time_prekey.map(|(id, _)| id),
                kem_prekey: parts.kem_prekey.id,
                kem_ciphertext: KemCiphertext::parse(&bytes(&start["kyberCiphertext"])).unwrap(),
            }),
            initiation: None,
            transcript: None,
            retired: false,
            rank: 0,
            passed_over: 0,
        };
        match &mut self.session {
            Some(session) => session.install(state),
            None => {
                let ends = Ends {
                    local: self.device.address().clone(),
                    remote: self.peer.clone(),
                    local_identity: *self.device.identity_key(),
                    remote_identity: *bundle.identity_key(),
                };
                self.session =
                    Some(Session { ends, current: Some(state), archived: [].into(), seen_v1: false, ranks: 0 });
            }
        }
    }

    fn receive(&mut self, kind: u64, body: &[u8], rng: &mut Script) -> Result<Vec<u8>, String> {
        if kind == 2 {
            let message = SessionMessage::parse(body).map_err(|error| error.to_string())?;
            let session = self.session.as_mut().ok_or("no session")?;
            return session.decrypt(&message, NOW, rng).map_err(|error| format!("{error:?}"));
        }
        let first = FirstMessage::parse(body).map_err(|error| error.to_string())?;
        let mut prekeys = self.prekeys.as_mut().map(Prekeys::secrets);
        match &mut self.session {
            Some(session) => {
                session.accept_next(&self.device, &first, prekeys.as_mut(), NOW, rng).map(|accepted| accepted.plaintext)
            }
            None => Session::accept(&self.device, &self.peer, &first, &mut prekeys.unwrap(), NOW, rng).map(
                |(session, accepted)| {
                    self.session = Some(session);
                    accepted.plaintext
                },
            ),
        }
        .map_err(|error| format!("{error:?}"))
    }
}

/// A bundle of this identity key, anywhere in the value.
fn find_bundle<'a>(value: &'a Value, identity_key: &Value) -> Option<&'a Value> {
    if value["kyberPreKey"].is_string() && value["identityKey"] == *identity_key {
        return Some(value);
    }
    match value {
        Value::Object(fields) => fields.values().find_map(|value| find_bundle(value, identity_key)),
        Value::Array(items) => items.iter().find_map(|value| find_bundle(value, identity_key)),
        _ => None,
    }
}

/// Replays a transcript as the parties whose secrets it gives. Returns (sent, received, refused).
fn replay(name: &str, transcript: &Value) -> (u32, u32, u32) {
    let sides = [("A", "alice", "bob"), ("B", "bob", "alice")];
    // Wherever a transcript keeps it, a bundle is known by the identity key in it.
    let bundle_of = |party: &str| -> Option<&Value> { find_bundle(transcript, &transcript[party]["identityPublic"]) };
    let mut parties: BTreeMap<&str, Party> = BTreeMap::new();
    for (side, party, peer) in sides {
        let record = &transcript[party];
        let device = device(record);
        let secrets = |bundle| record["signedPreKeyPrivate"].is_string().then(|| Prekeys::new(&device, record, bundle));
        let prekeys = bundle_of(party).and_then(secrets);
        parties.insert(side, Party { prekeys, device, peer: address(&transcript[peer]), session: None });
    }
    // A recording that says what its initiator drew can be replayed as the initiator too.
    let steps = transcript["steps"].as_array().unwrap();
    let lossy = steps.iter().any(|step| step["lossy"] == true);
    if transcript["aliceInit"].is_object() && !lossy {
        parties.get_mut("A").unwrap().start(&transcript["aliceInit"], &bundle(bundle_of("bob").unwrap()));
    }

    let mut rng = Script::default();
    let mut sent = BTreeMap::new();
    let (mut sends, mut receives, mut refusals) = (0, 0, 0);
    for (at, step) in steps.iter().enumerate() {
        let at = format!("{name}, step {at}");
        let side = step["by"].as_str().unwrap();
        let other = if side == "A" { "bob" } else { "alice" };
        let party = parties.get_mut(side).unwrap();
        let random = &step["random"];
        for (field, is_key) in
            [("ratchetPrivate", false), ("mlkemEncapsRandomness", false), ("mlkemDecapsulationKey", true)]
        {
            match &random[field] {
                Value::String(_) if is_key => recorded::push(&bytes(&random[field])),
                Value::String(_) if step["op"] != "start" => rng.push(bytes(&random[field])),
                _ => {}
            }
        }
        match step["op"].as_str().unwrap() {
            "start" => party.start(step, &bundle(bundle_of(other).unwrap())),
            "send" => {
                sent.insert(step["n"].as_u64().unwrap(), step);
                if party.session.is_none() || lossy {
                    // Only the receiver's side was recorded whole.
                    while !recorded::is_empty() {
                        drop(crate::crypto::braid_kem::DecapsulationKey::generate(&mut rng));
                    }
                    rng.reset();
                    continue;
                }
                let session = party.session.as_mut().unwrap();
                let ciphertext = session.encrypt(&bytes(&step["plaintext"]), NOW, &mut rng).unwrap();
                assert_eq!(hex::encode(ciphertext.bytes()), step["ciphertext"].as_str().unwrap(), "{at}");
                assert_eq!(if ciphertext.is_first() { 3 } else { 2 }, step["type"].as_u64().unwrap(), "{at}");
                assert!(recorded::is_empty(), "{at}");
                rng.assert_drawn(&at);
                sends += 1;
            }
            "recv" => {
                let message = sent[&step["n"].as_u64().unwrap()];
                let before = party.bytes();
                let body = bytes(&message["ciphertext"]);
                let result = party.receive(message["type"].as_u64().unwrap(), &body, &mut rng);
                if step["expect"].is_string() {
                    let error = result.expect_err(&at);
                    if step["expect"] == "DuplicatedMessage" {
                        assert!(error.contains("Duplicate") || error.contains("TooOld"), "{at}: {error}");
                    }
                    assert_eq!(party.bytes(), before, "{at}");
                    rng.reset();
                    refusals += 1;
                } else {
                    assert_eq!(hex::encode(result.expect(&at)), message["plaintext"].as_str().unwrap(), "{at}");
                    rng.assert_drawn(&at);
                    receives += 1;
                }
            }
            other => panic!("unknown step {other}"),
        }
        let Some(session) = &mut party.session else { continue };
        if step["after"].is_object() {
            assert_matches(&session.current.as_ref().unwrap().ratchet.checkpoint(), &step["after"], &at);
        }
        // Stored and loaded between any two messages, it goes on the same.
        *session = Session::from_bytes(&session.to_bytes()).unwrap();
    }
    (sends, receives, refusals)
}

#[test]
fn every_recorded_transcript_is_reproduced() {
    let mut replayed = 0;
    for file in std::fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".json") {
            continue;
        }
        let transcript = load(&name);
        if transcript["steps"].is_array() && transcript["bob"]["identityPrivate"].is_string() {
            let (sends, receives, refusals) = replay(&name, &transcript);
            println!("{name}: {sends} sent, {receives} received, {refusals} refused, all as recorded");
            assert!(receives > 0);
            replayed += 1;
        }
    }
    assert!(replayed >= 3);
}

/// The initiator with all its randomness given, against Signal's library as responder: the handshake included.
#[test]
fn recorded_initiator_is_reproduced_from_its_own_keys() {
    let transcript = load("initiator.json");
    let alice = device(&transcript["alice"]);
    let bundle = bundle(&transcript["bundle"]);
    let mut rng = Script::default();
    for field in ["baseKeyPrivate", "kyberMessage", "ratchetPrivate"] {
        rng.push(bytes(&transcript["alice"][field]));
    }
    let mut session = kyber_message_door::open(|| Session::initiate(&alice, &bundle, NOW, &mut rng)).unwrap();
    rng.assert_drawn("the handshake");
    let pending = session.current.as_ref().unwrap().pending.as_ref().unwrap();
    assert_eq!(pending.kem_ciphertext.to_bytes(), bytes(&transcript["expected"]["kyberCiphertext"]));

    let mut counts = (0, 0);
    for (at, step) in transcript["steps"].as_array().unwrap().iter().enumerate() {
        let at = format!("step {at}");
        let random = &step["random"];
        // The seed of the key pair is given as well, so the generation itself is replayed.
        for field in ["ratchetPrivate", "mlkemEncapsRandomness", "mlkemKeySeed"] {
            if random[field].is_string() {
                rng.push(bytes(&random[field]));
            }
        }
        if step["op"] == "send" {
            let ciphertext = session.encrypt(&bytes(&step["plaintext"]), NOW, &mut rng).unwrap();
            assert_eq!(hex::encode(ciphertext.bytes()), step["ciphertext"].as_str().unwrap(), "{at}");
            counts.0 += 1;
        } else {
            let message = SessionMessage::parse(&bytes(&step["ciphertext"])).unwrap();
            let plaintext = session.decrypt(&message, NOW, &mut rng).unwrap();
            assert_eq!(hex::encode(plaintext), step["plaintext"].as_str().unwrap(), "{at}");
            counts.1 += 1;
        }
        rng.assert_drawn(&at);
        session = Session::from_bytes(&session.to_bytes()).unwrap();
    }
    println!("initiator.json: {} sent, {} received, as recorded", counts.0, counts.1);
    assert!(session.pq_epochs() >= 1);
}

#[test]
fn recorded_bundles_verify_and_belong_to_their_secrets() {
    let vectors = load("bundles.json");
    for case in vectors["bundles"].as_array().unwrap() {
        let verified = bundle(&case["bundle"]);
        let identity = KeyPair::new(secret(&case["secrets"]["identityPrivate"]));
        assert_eq!(verified.identity_key(), identity.public());
        let owner = Device::new(address(&case["bundle"]), identity, RegistrationId::new(1));
        Prekeys::new(&owner, &case["secrets"], &case["bundle"]);
        // Through our own encoding and back.
        let bytes = verified.parts().to_bytes();
        assert_eq!(UnverifiedBundle::parse(&bytes).unwrap().verify().unwrap(), verified);
    }
}
