//! What Signal's library accepts and refuses, altered in one respect and with the right MAC; and the exact list of what
//! it accepts and we refuse. The list may not grow unnoticed.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::crypto::Secret;
use crate::ratchet::Outgoing;
use crate::suite::signal::{self, Identities};
use crate::support::{Party, Refusal};

const ALICE: &str = "9d0652a3-dcc3-4d11-975f-74d61598733f";
const BOB: &str = "796abedb-ca4e-4f18-8803-1fde5b921f9f";

/// A message under construction, field by field.
struct Draft {
    // inside
    version: u8,
    ratchet: Vec<u8>,
    counter: u32,
    previous_counter: Option<u32>,
    plaintext: Vec<u8>,
    pq: Option<Vec<u8>>,
    addresses: Option<Vec<u8>>,
    unknown: Vec<u8>,
    outgoing: Outgoing,
    // around it
    outer_version: u8,
    base_key: Vec<u8>,
    identity_key: Vec<u8>,
    registration_id: Option<u32>,
    kem_ciphertext: Option<Vec<u8>>,
    outer_unknown: Vec<u8>,
}

fn varint(out: &mut Vec<u8>, number: u32, value: u32) {
    prost::encoding::encode_varint(u64::from(number) << 3, out);
    prost::encoding::encode_varint(value.into(), out);
}

fn field(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    prost::encoding::encode_varint(u64::from(number) << 3 | 2, out);
    prost::encoding::encode_varint(bytes.len().try_into().unwrap(), out);
    out.extend(bytes);
}

impl Draft {
    fn new(alice: &mut Party) -> Self {
        let session = alice.session.as_mut().unwrap();
        let state = session.current.as_mut().unwrap();
        let outgoing = state.ratchet.send(&mut alice.rng).unwrap();
        Self {
            version: 0x44,
            ratchet: outgoing.ratchet.to_bytes().to_vec(),
            counter: outgoing.counter,
            previous_counter: Some(outgoing.previous_counter),
            plaintext: b"altered".to_vec(),
            pq: Some(outgoing.pq.to_bytes()),
            addresses: signal::addresses(&session.ends.local, &session.ends.remote).map(Vec::from),
            unknown: vec![],
            outgoing,
            outer_version: 0x44,
            base_key: state.base_key.to_bytes().to_vec(),
            identity_key: session.ends.local_identity.to_bytes().to_vec(),
            registration_id: Some(state.local_registration_id.get()),
            kem_ciphertext: state.pending.as_ref().map(|pending| pending.kem_ciphertext.to_bytes()),
            outer_unknown: vec![],
        }
    }

    fn message(&self, alice: &Party) -> Vec<u8> {
        let mut out = vec![self.version];
        field(&mut out, 1, &self.ratchet);
        varint(&mut out, 2, self.counter);
        self.previous_counter.iter().for_each(|counter| varint(&mut out, 3, *counter));
        field(&mut out, 4, &signal::encrypt_body(&self.outgoing.secret, &self.plaintext));
        self.pq.iter().for_each(|pq| field(&mut out, 5, pq));
        self.addresses.iter().for_each(|addresses| field(&mut out, 6, addresses));
        out.extend(&self.unknown);
        let ends = &alice.session().ends;
        let identities = Identities { sender: &ends.local_identity, receiver: &ends.remote_identity };
        signal::authenticate(&self.outgoing.secret, identities, &out)
    }

    fn first_message(&self, alice: &Party) -> Vec<u8> {
        let pending = alice.session().current.as_ref().unwrap().pending.as_ref().unwrap();
        let mut out = vec![self.outer_version];
        pending.one_time_prekey.iter().for_each(|id| varint(&mut out, 1, id.get()));
        field(&mut out, 2, &self.base_key);
        field(&mut out, 3, &self.identity_key);
        field(&mut out, 4, &self.message(alice));
        self.registration_id.iter().for_each(|id| varint(&mut out, 5, *id));
        varint(&mut out, 6, pending.signed_prekey.get());
        varint(&mut out, 7, pending.kem_prekey.get());
        self.kem_ciphertext.iter().for_each(|ciphertext| field(&mut out, 8, ciphertext));
        out.extend(&self.outer_unknown);
        out
    }
}

type Alteration = fn(&mut Draft);

/// (what, whether Signal's library accepts it, the alteration).
fn alterations() -> Vec<(&'static str, bool, Alteration)> {
    fn pq(draft: &mut Draft, at: usize, byte: u8) {
        draft.pq.as_mut().unwrap()[at] = byte;
    }
    vec![
        ("nothing", true, |_| {}),
        ("no addresses field", true, |draft| draft.addresses = None),
        ("addresses naming another device", false, |draft| draft.addresses.as_mut().unwrap()[35] = 2),
        ("addresses naming another user", false, |draft| draft.addresses.as_mut().unwrap()[3] ^= 1),
        ("no post-quantum field", false, |draft| draft.pq = None),
        ("an empty post-quantum field", false, |draft| draft.pq = Some(vec![])),
        ("post-quantum version 0", false, |draft| pq(draft, 0, 0)),
        ("post-quantum version 2", false, |draft| pq(draft, 0, 2)),
        ("post-quantum version 127", false, |draft| pq(draft, 0, 127)),
        ("post-quantum version 128", false, |draft| pq(draft, 0, 128)),
        ("post-quantum version 255", false, |draft| pq(draft, 0, 255)),
        ("key index 0 with keys that have no salt", true, |draft| {
            pq(draft, 2, 0);
            draft.outgoing.secret.pq = Secret::new([0; 32]);
        }),
        ("epoch 0", false, |draft| pq(draft, 1, 0)),
        ("epoch 2, too early", false, |draft| pq(draft, 1, 2)),
        ("kind 7", false, |draft| pq(draft, 3, 7)),
        ("chunk index 70,000", false, |draft| {
            draft.pq.as_mut().unwrap().splice(4..5, [0xf0, 0xa2, 0x04]);
        }),
        ("bytes behind the post-quantum message", true, |draft| draft.pq.as_mut().unwrap().extend([1, 2, 3])),
        ("an unexpected kind", true, |draft| pq(draft, 3, 5)),
        ("an unknown field inside", true, |draft| field(&mut draft.unknown, 99, b"later")),
        ("an unknown field outside", true, |draft| field(&mut draft.outer_unknown, 99, b"later")),
        ("no previous counter", true, |draft| draft.previous_counter = None),
        ("no registration id", true, |draft| draft.registration_id = None),
        ("version byte 0x43 inside", true, |draft| draft.version = 0x43),
        ("version byte 0x40 inside", true, |draft| draft.version = 0x40),
        ("version byte 0x34 inside", false, |draft| draft.version = 0x34),
        ("version byte 0x34 outside", false, |draft| draft.outer_version = 0x34),
        ("version byte 0x54 outside", false, |draft| draft.outer_version = 0x54),
        ("KEM ciphertext of type 0x0A", false, |draft| draft.kem_ciphertext.as_mut().unwrap()[0] = 0x0a),
        ("KEM ciphertext a byte short", false, |draft| draft.kem_ciphertext.as_mut().unwrap().truncate(1568)),
        ("no KEM ciphertext", false, |draft| draft.kem_ciphertext = None),
        ("base key with its top bit set", false, |draft| draft.base_key[32] |= 0x80),
        ("base key all zero", false, |draft| draft.base_key[1..].fill(0)),
        ("base key of type 4", false, |draft| draft.base_key[0] = 4),
        ("base key with a trailing byte", true, |draft| draft.base_key.push(0)),
        ("identity key with a trailing byte", true, |draft| draft.identity_key.push(0)),
        ("ratchet key all zero", false, |draft| draft.ratchet[1..].fill(0)),
        ("an empty plaintext", true, |draft| draft.plaintext.clear()),
    ]
}

#[test]
fn the_list_of_what_is_refused_beyond_signals_library_is_exact() {
    let mut stricter = Vec::new();
    for (what, accepted_by_signal, alter) in alterations() {
        let (mut alice, mut bob) = (Party::new(ALICE, 1), Party::new(BOB, 2));
        alice.initiate(&bob.bundle(true));
        let mut draft = Draft::new(&mut alice);
        alter(&mut draft);
        let first = Ciphertext::First(draft.first_message(&alice));
        let before = bob.snapshot();
        let result = bob.receive(alice.device.address(), &first);
        match (accepted_by_signal, &result) {
            (true, Ok(plaintext)) => assert_eq!(*plaintext, draft.plaintext, "{what}"),
            (true, Err(_)) => stricter.push(what),
            (false, Ok(_)) => panic!("{what}: accepted, though Signal's library refuses it"),
            (false, Err(_)) => {}
        }
        if result.is_err() {
            assert!(bob.snapshot() == before, "{what}: left a trace");
        }
    }
    assert_eq!(
        stricter,
        [
            // It goes around the post-quantum ratchet for whoever holds the classical keys.
            "key index 0 with keys that have no salt",
            // A second spelling of a key.
            "base key with a trailing byte",
            "identity key with a trailing byte",
        ]
    );
}

/// Plain messages carry no addresses, but may; then they must be the right ones.
#[test]
fn addresses_in_a_plain_message_are_checked() {
    let (mut alice, mut bob) = (Party::new(ALICE, 3), Party::new(BOB, 4));
    alice.initiate(&bob.bundle(true));
    let first = alice.send(b"first");
    bob.receive(&alice.device.address().clone(), &first).unwrap();
    let answer = bob.send(b"answer");
    alice.receive(&bob.device.address().clone(), &answer).unwrap();
    for (wrong, expected) in
        [(false, Ok(b"altered".to_vec())), (true, Err(Refusal::Decrypt(DecryptError::Undecryptable)))]
    {
        let mut draft = Draft::new(&mut alice);
        if wrong {
            draft.addresses.as_mut().unwrap().reverse();
        }
        let message = Ciphertext::Message(draft.message(&alice));
        assert_eq!(bob.receive(&alice.device.address().clone(), &message), expected, "wrong: {wrong}");
    }
}

/// A first message that comes after the session was answered is read, once.
#[test]
fn a_late_first_message_is_read_once() {
    let (mut alice, mut bob) = (Party::new(ALICE, 5), Party::new(BOB, 6));
    alice.initiate(&bob.bundle(true));
    let (first, late) = (alice.send(b"first"), alice.send(b"late"));
    let from = alice.device.address().clone();
    bob.receive(&from, &first).unwrap();
    let answer = bob.send(b"answer");
    alice.receive(&bob.device.address().clone(), &answer).unwrap();
    let next = alice.send(b"next");
    bob.receive(&from, &next).unwrap();
    assert_eq!(bob.receive(&from, &late).unwrap(), b"late");
    assert_eq!(bob.receive(&from, &late), Err(Refusal::Accept(AcceptError::Message(DecryptError::Duplicate))));
}
