//! Both libraries agree on which bundles are signed well.

use serde_json::{Value, json};
use subrosa::crypto::{KemAlgorithm, KemKeyPair, KeyPair};

use crate::chance::Chance;
use crate::ours::Ours;
use crate::peer::Peer;
use crate::theirs::{Theirs, bundle_from_json, bundle_to_json};

fn we_take(bundle: &Value) -> bool {
    bundle_from_json(bundle).is_ok_and(|bundle| bundle.verify().is_ok())
}

/// The bundle with one bit of one field flipped.
fn flipped(bundle: &Value, field: &str, bit: usize) -> Value {
    let mut bytes = hex::decode(bundle[field].as_str().unwrap()).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    let mut bundle = bundle.clone();
    bundle[field] = hex::encode(bytes).into();
    bundle
}

#[test]
fn good_signatures_verify_on_both_sides() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("signatures");
    let rounds = 60;
    for _ in 0..rounds {
        // Fresh identity keys each time: the Edwards form of half of them has the sign bit.
        let (ours, theirs) = (chance.address(), chance.address());
        let mut us = Ours::new(&ours, &theirs, chance.split());
        let mut them = Theirs::new(&mut peer, &theirs, &ours);
        let bundle = bundle_to_json(&us.publish(true));
        for (key, signature) in [("signedPreKey", "signedPreKeySignature"), ("kyberPreKey", "kyberPreKeySignature")] {
            let ask =
                json!({ "publicKey": bundle["identityKey"], "message": bundle[key], "signature": bundle[signature] });
            assert_eq!(them.ask("verify", ask).unwrap()["valid"], true);
        }
        them.initiate_from(&bundle).unwrap();
        // Their signatures, over their keys and over ours.
        let mut bundle = them.publish(true)["bundle"].take();
        assert!(we_take(&bundle));
        let keys = (KeyPair::generate(&mut chance), KemKeyPair::generate(KemAlgorithm::Kyber1024, &mut chance));
        bundle["signedPreKey"] = hex::encode(keys.0.public().to_bytes()).into();
        bundle["kyberPreKey"] = hex::encode(keys.1.public().to_bytes()).into();
        assert!(!we_take(&bundle));
        for (key, signature) in [("signedPreKey", "signedPreKeySignature"), ("kyberPreKey", "kyberPreKeySignature")] {
            let signed = them.ask("sign", json!({ "message": bundle[key] })).unwrap();
            bundle[signature] = signed["signature"].clone();
        }
        assert!(we_take(&bundle));
    }
    peer.summary(&format!("{rounds} identities on each side"));
}

#[test]
fn one_flipped_bit_is_refused_on_both_sides() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("flipped bundles");
    let (ours, theirs) = (chance.address(), chance.address());
    let mut us = Ours::new(&ours, &theirs, chance.split());
    let mut publisher = Theirs::new(&mut peer, &theirs, &ours);
    let bundles = [bundle_to_json(&us.publish(true)), publisher.publish(true)["bundle"].take()];
    let reader = chance.address();
    Theirs::new(&mut peer, &reader, &theirs);
    let mut tried = 0;
    for (bundle, whose) in bundles.iter().zip([&ours, &theirs]) {
        for field in ["signedPreKeySignature", "kyberPreKeySignature", "signedPreKey", "identityKey", "kyberPreKey"] {
            let bits = bundle[field].as_str().unwrap().len() * 4;
            let bits: Vec<_> =
                if bits > 1_000 { (0..300).map(|_| chance.below(bits)).collect() } else { (0..bits).collect() };
            for bit in bits {
                let altered = flipped(bundle, field, bit);
                assert!(!we_take(&altered), "we take bit {bit} of {field}");
                // No reader remembers an identity key that a flipped bit made.
                let mut reader = Theirs::again(&mut peer, &reader, whose);
                reader.forget_identity();
                let refused = reader.initiate_from(&altered).is_err();
                // u has 255 bits: theirs reads past the last one, as X25519 does; ours knows one spelling of a key.
                assert_eq!(refused, (field, bit) != ("identityKey", 263), "they: bit {bit} of {field}");
                tried += 1;
            }
        }
        assert!(we_take(bundle));
        let mut reader = Theirs::again(&mut peer, &reader, whose);
        reader.forget_identity();
        reader.initiate_from(bundle).unwrap();
    }
    peer.summary(&format!("{tried} bundles with one flipped bit"));
}
