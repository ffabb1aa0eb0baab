//! Messages altered on the way: what one library refuses, the other refuses too.

use subrosa::session::Ciphertext;

use crate::chance::Chance;
use crate::network::{Party, Refused, pass, talk};
use crate::ours::Ours;
use crate::peer::Peer;
use crate::protobuf::{Field, Fields};
use crate::theirs::Theirs;

fn like(message: &Ciphertext, bytes: Vec<u8>) -> Ciphertext {
    if message.is_first() { Ciphertext::First(bytes) } else { Ciphertext::Message(bytes) }
}

fn flipped(message: &Ciphertext, bit: usize) -> Ciphertext {
    let mut bytes = message.bytes().to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    like(message, bytes)
}

fn truncated(message: &Ciphertext, len: usize) -> Ciphertext {
    like(message, message.bytes()[..len].to_vec())
}

#[test]
fn an_altered_message_is_refused_on_both_sides() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("altered messages");
    let (ours, theirs) = (chance.address(), chance.address());
    let (mut us, mut them) = (Ours::new(&ours, &theirs, chance.split()), Theirs::new(&mut peer, &theirs, &ours));
    us.initiate(&them.publish(true)["bundle"]).unwrap();
    // Far enough that messages carry all there is; then with a new ratchet key, and on a known chain.
    talk([&mut us, &mut them], 50, &mut chance);
    pass(&mut us, &mut them, b"our ratchet turns");
    pass(&mut them, &mut us, b"and theirs");
    let mut tried = 0;
    for round in 0..2 {
        tried += alter(&mut us, &mut them, round);
        tried += alter(&mut them, &mut us, round);
    }
    peer.summary(&format!("{tried} altered messages: every bit, every length, a byte more"));
}

/// Everything that can happen to a message but its arrival; then it arrives, and arrives again.
fn alter(from: &mut dyn Party, to: &mut dyn Party, round: u8) -> usize {
    let plaintext = [round; 5];
    let message = from.encrypt(&plaintext);
    assert!(!message.is_first());
    let (len, mut tried) = (message.bytes().len(), 0);
    let longer = [message.bytes(), &[0]].concat();
    let altered = (0..8 * len)
        .map(|bit| flipped(&message, bit))
        .chain((0..len).map(|len| truncated(&message, len)))
        .chain([like(&message, longer), Ciphertext::First(message.bytes().to_vec())]);
    for (at, altered) in altered.enumerate() {
        assert!(to.decrypt(&altered).is_err(), "alteration {at} of {}", hex::encode(message.bytes()));
        tried += 1;
    }
    assert_eq!(to.decrypt(&message).as_deref(), Ok(&plaintext[..]));
    assert_eq!(to.decrypt(&message), Err(Refused::Duplicate));
    tried
}

/// One device in both libraries: the same first message is shown to both, which have not seen it before.
struct Twins<'p> {
    ours: Ours,
    theirs: Theirs<'p>,
}

impl Twins<'_> {
    /// (we accept, they accept), and nothing has happened.
    fn show(&mut self, message: &Ciphertext, plaintext: &[u8]) -> (bool, bool) {
        let record = self.theirs.record();
        if record.is_null() {
            self.theirs.forget_identity();
        }
        let verdicts = [self.ours.clone().decrypt(message), self.theirs.decrypt(message)];
        self.theirs.set_record(&record);
        let [we, they] = verdicts.map(|opened| match opened {
            Ok(opened) => {
                assert_eq!(opened, plaintext, "what is accepted is what was sent");
                true
            }
            Err(_) => false,
        });
        (we, they)
    }

    fn arrives(&mut self, message: &Ciphertext, plaintext: &[u8]) {
        assert_eq!(self.ours.decrypt(message).as_deref(), Ok(plaintext));
        assert_eq!(self.theirs.decrypt(message).as_deref(), Ok(plaintext));
    }

    fn repeated(&mut self, message: &Ciphertext) {
        assert_eq!(self.ours.decrypt(message), Err(Refused::Duplicate));
        assert_eq!(self.theirs.decrypt(message), Err(Refused::Duplicate));
    }
}

#[test]
fn both_libraries_refuse_the_same_first_messages_of_ours() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("twins, our messages");
    let (alice, bob) = (chance.address(), chance.address());
    let mut theirs = Theirs::new(&mut peer, &bob, &alice);
    let published = theirs.publish(false);
    let mut twins = Twins { ours: Ours::twin(&published, &alice, chance.split()), theirs };
    let mut initiator = Ours::new(&alice, &bob, chance.split());
    initiator.initiate(&published["bundle"]).unwrap();
    let [first, second, late] = [&b"first"[..], b"", b"late"].map(|plaintext| initiator.encrypt(plaintext));

    let line = verdicts(&mut twins, &first, &second, &mut chance);
    // Answered, and still a first message arrives.
    pass(&mut twins.theirs, &mut initiator, b"answer");
    pass(&mut initiator, &mut twins.theirs, b"and on");
    twins.arrives(&late, b"late");
    twins.repeated(&late);
    peer.summary(&line);
}

#[test]
fn both_libraries_refuse_the_same_first_messages_of_theirs() {
    let Some(mut peer) = Peer::start() else { return };
    let mut chance = Chance::new("twins, their messages");
    let (alice, bob) = (chance.address(), chance.address());
    let published = Theirs::new(&mut peer, &bob, &alice).publish(false);
    let mut initiator = Theirs::new(&mut peer, &alice, &bob);
    initiator.initiate_from(&published["bundle"]).unwrap();
    let [first, second, late] = [&b"first"[..], b"", b"late"].map(|plaintext| initiator.encrypt(plaintext));

    let ours = Ours::twin(&published, &alice, chance.split());
    let mut twins = Twins { ours, theirs: Theirs::again(&mut peer, &bob, &alice) };
    let line = verdicts(&mut twins, &first, &second, &mut chance);
    let Twins { mut ours, .. } = twins;
    let mut initiator = Theirs::again(&mut peer, &alice, &bob);
    pass(&mut ours, &mut initiator, b"answer");
    pass(&mut initiator, &mut ours, b"and on");
    assert_eq!(ours.decrypt(&late).as_deref(), Ok(&b"late"[..]));
    assert_eq!(ours.decrypt(&late), Err(Refused::Duplicate));
    peer.summary(&line);
}

/// `first`, altered in every way, is judged alike; then it arrives, and `second`, which is empty, after it.
fn verdicts(twins: &mut Twins<'_>, first: &Ciphertext, second: &Ciphertext, chance: &mut Chance) -> String {
    assert!(first.is_first() && second.is_first());
    let (bits, lengths) = sweep(twins, first, chance);
    let rows = table(first);
    for (name, altered, we, they) in &rows {
        let verdict = twins.show(&Ciphertext::First(altered.clone()), b"first");
        assert_eq!(verdict, (*we, *they), "{name}: (we, they)");
    }
    registration_id(twins, first);

    twins.arrives(first, b"first");
    twins.repeated(first);
    let inside = Ciphertext::Message(Fields::parse(second.bytes()).bytes(4).clone());
    assert_eq!(twins.show(&inside, b""), (true, true), "addresses in a plain message");
    twins.arrives(second, b"");
    twins.repeated(second);
    twins.repeated(&inside);
    let (rows, stricter) = (rows.len(), rows.iter().filter(|(_, _, we, they)| we != they).count());
    format!(
        "{bits} flipped bits, {lengths} lengths, {rows} other alterations: one verdict but for {stricter}, where we are stricter"
    )
}

/// Bits flipped: of the KEM ciphertext a sample, of everything else each. Then the lengths.
fn sweep(twins: &mut Twins<'_>, first: &Ciphertext, chance: &mut Chance) -> (usize, usize) {
    let len = first.bytes().len();
    let kem = Fields::parse(first.bytes()).bytes(8).clone();
    let kem_at = first.bytes().windows(kem.len()).position(|window| window == kem).unwrap();
    let kem_bits = 8 * kem_at..8 * (kem_at + kem.len());
    let sample: Vec<_> = (0..200).map(|_| kem_bits.start + chance.below(kem_bits.len())).collect();
    let bits: Vec<_> = (0..8 * len).filter(|bit| !kem_bits.contains(bit)).chain(sample).collect();
    let mut accepted = Vec::new();
    for &bit in &bits {
        let (we, they) = twins.show(&flipped(first, bit), b"first");
        assert_eq!(we, they, "bit {bit} of {}: (we, they)", hex::encode(first.bytes()));
        if we {
            accepted.push(bit);
        }
    }
    // The outer version's low nibble and the registration id mean nothing to the session and are not authenticated.
    assert!(accepted.starts_with(&[0, 1, 2, 3]) && accepted.len() < 4 + 8 * 4, "{accepted:?}");

    let mut lengths = 0;
    for len in (0..len).filter(|at| at % 13 == 0 || at + 20 > len || *at < 20) {
        assert_eq!(twins.show(&truncated(first, len), b"first"), (false, false), "length {len}");
        lengths += 1;
    }
    (bits.len(), lengths)
}

/// What else can be done to a first message without its keys: name, bytes, whether we accept, whether they do.
fn table(first: &Ciphertext) -> Vec<(&'static str, Vec<u8>, bool, bool)> {
    let original = Fields::parse(first.bytes());
    assert_eq!(original.encode(), first.bytes());
    let with = |alter: &dyn Fn(&mut Fields)| {
        let mut fields = original.clone();
        alter(&mut fields);
        fields.encode()
    };
    let bytes = |number: u64, alter: &dyn Fn(&mut Vec<u8>)| with(&|fields| alter(fields.bytes(number)));
    let (base, identity, inside, registration, signed, kem, kem_ciphertext) = (2, 3, 4, 5, 6, 7, 8);
    // A point of order eight.
    let low_order = hex::decode("05e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800").unwrap();
    let mut rows = vec![
        ("as it was", with(&|_| ()), true, true),
        ("version byte 0x34", with(&|fields| fields.version = 0x34), false, false),
        ("version byte 0x54", with(&|fields| fields.version = 0x54), false, false),
        ("version byte 0x40", with(&|fields| fields.version = 0x40), true, true),
        ("version byte 0x43", with(&|fields| fields.version = 0x43), true, true),
        ("inner version byte 0x34", bytes(inside, &|inside| inside[0] = 0x34), false, false),
        ("no registration id", with(&|fields| fields.remove(registration)), true, true),
        ("unknown field", with(&|fields| fields.set(99, 7)), true, true),
        ("unknown bytes", with(&|fields| fields.fields.insert(0, (1000, Field::Bytes(vec![1; 50])))), true, true),
        ("fields backwards", with(&|fields| fields.fields.reverse()), true, true),
        ("every field twice", with(&|fields| fields.fields.extend(fields.fields.clone())), true, true),
        ("signed prekey unknown", with(&|fields| fields.set(signed, 4711)), false, false),
        ("KEM prekey unknown", with(&|fields| fields.set(kem, 4711)), false, false),
        ("one-time prekey named", with(&|fields| fields.set(1, 4711)), false, false),
        ("KEM ciphertext of ML-KEM", bytes(kem_ciphertext, &|bytes| bytes[0] = 0x0a), false, false),
        ("KEM ciphertext of Kyber768", bytes(kem_ciphertext, &|bytes| bytes[0] = 0x07), false, false),
        ("KEM ciphertext a byte short", bytes(kem_ciphertext, &|bytes| bytes.truncate(1568)), false, false),
        ("KEM ciphertext a byte long", bytes(kem_ciphertext, &|bytes| bytes.push(0)), false, false),
        ("KEM ciphertext empty", bytes(kem_ciphertext, &Vec::clear), false, false),
        ("base key with top bit", bytes(base, &|key| key[32] |= 0x80), false, false),
        ("base key all zero", bytes(base, &|key| key[1..].fill(0)), false, false),
        ("base key of low order", bytes(base, &|key| key.clone_from(&low_order)), false, false),
        ("base key of type 4", bytes(base, &|key| key[0] = 4), false, false),
        ("base key a byte short", bytes(base, &|key| key.truncate(32)), false, false),
        ("identity key all zero", bytes(identity, &|key| key[1..].fill(0)), false, false),
        ("identity key of low order", bytes(identity, &|key| key.clone_from(&low_order)), false, false),
        ("identity key with top bit", bytes(identity, &|key| key[32] |= 0x80), false, false),
        // Ours knows one spelling of a key.
        ("base key a byte long", bytes(base, &|key| key.push(0)), false, true),
        ("identity key a byte long", bytes(identity, &|key| key.push(0)), false, true),
        ("inside a byte long", bytes(inside, &|inside| inside.push(0)), false, false),
        ("inside empty", bytes(inside, &Vec::clear), false, false),
    ];
    for field in [base, identity, inside, signed, kem, kem_ciphertext] {
        rows.push(("a required field is missing", with(&|fields| fields.remove(field)), false, false));
    }
    let neither = with(&|fields| {
        fields.remove(kem);
        fields.remove(kem_ciphertext);
    });
    rows.push(("no KEM part", neither, false, false));
    rows
}

/// The registration id is what the message says, on both sides; nothing authenticates it.
fn registration_id(twins: &mut Twins<'_>, first: &Ciphertext) {
    let mut fields = Fields::parse(first.bytes());
    fields.set(5, 4_711);
    let altered = Ciphertext::First(fields.encode());
    let mut ours = twins.ours.clone();
    assert!(ours.decrypt(&altered).is_ok());
    assert_eq!(ours.session().remote_registration_id().map(|id| id.get()), Some(4_711));
    assert!(twins.theirs.decrypt(&altered).is_ok());
    assert_eq!(twins.theirs.remote_registration_id(), Some(4_711));
    twins.theirs.set_record(&serde_json::Value::Null);
}
