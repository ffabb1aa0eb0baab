//! Accounts as this crate makes them: recorded once, and made again to the byte. `SUBROSA_REGENERATE=1 cargo test --test account`
//! writes the file anew, before a release only.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test reads files and its environment")]

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use subrosa::account::{
    AccountKeyPair, CarriedRoster, HeldRoster, LinkOffer, RecoveryKeyPair, Roster, RosterDevice, RosterFork,
    SafetyNumber, SasInitiator, SasParty, SasResponder, ScannedOffer, Step, Succession, Taken, UnverifiedRoster,
};
use subrosa::crypto::{KeyPair, Secret};
use subrosa::ident::{DeviceId, MessageId, MessageName, Timestamp, UserId};
use subrosa::suite::Suites;
use subrosa::wire::{Content, GroupView, Payload};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/accounts/account.json");
const NOW: Timestamp = Timestamp::new(1_800_000_000_000);
const DAY: u64 = 24 * 3_600_000;

fn alice() -> UserId {
    UserId::new("alice").unwrap()
}

fn later(days: u64) -> Timestamp {
    Timestamp::new(NOW.get() + days * DAY)
}

fn device(account: &AccountKeyPair, id: u8, rng: &mut ChaCha20Rng) -> RosterDevice {
    let identity = KeyPair::new(Secret::new([100 + id; 32]));
    RosterDevice::consent(&alice(), DeviceId::new(id.into()), Suites::V1, account.public(), &identity, rng)
}

/// Everything, from one seed.
fn made() -> Value {
    let mut rng = ChaCha20Rng::seed_from_u64(2026);
    let [old, new, other] = [1, 2, 3].map(|seed| AccountKeyPair::new(Secret::new([seed; 32])));
    let words = [7, 8].map(|seed| RecoveryKeyPair::from_entropy(&[seed; 16]));
    let one = Roster::first(&alice(), device(&old, 1, &mut rng), Some(*words[0].public()), NOW).sign(&old).unwrap();

    let mut offer = LinkOffer::new(NOW, &mut rng);
    let qr = offer.qr().to_vec();
    let (pending, answer) = ScannedOffer::parse(&qr).unwrap().answer(&one, NOW, &mut rng).unwrap();
    let linked = offer.open(&answer, NOW).unwrap();
    let (_, consent) = linked.consent(Suites::BOTH, &mut rng);
    let digits = linked.digits().as_str().to_owned();
    let laptop = pending.complete(&consent, &digits, NOW).unwrap();

    let two = one.next(later(1)).link(laptop).name_recovery(*words[1].public()).sign(&old).unwrap();
    let fork = one.next(later(1)).delete().sign(&old).unwrap();
    let three = two.next(later(2)).remove(DeviceId::new(2)).above(40).sign(&old).unwrap();
    let four = three.under_new_key(device(&new, 3, &mut rng), None, later(40)).sign(&new).unwrap();
    let succession = Succession::sign(&alice(), old.public(), &new, &words[1], later(40));
    let before = Some(UnverifiedRoster::of(&three));
    let carried = CarriedRoster::new(&four, vec![Step { succession, before }]);

    let bob = UserId::new("bob").unwrap();
    let number = SafetyNumber::new((&alice(), new.public()), (&bob, other.public()));
    let user = alice();
    let hers = SasParty { user: &user, device: DeviceId::new(3), account: new.public() };
    let his = SasParty { user: &bob, device: DeviceId::new(12), account: other.public() };
    let (initiator, commit) = SasInitiator::new(hers, his, NOW, &mut rng);
    let (responder, respond) = SasResponder::new(his, hers, &commit, NOW, &mut rng).unwrap();
    let (code, reveal) = initiator.reveal(&respond, NOW).unwrap();
    assert!(code == responder.check(&reveal, NOW).unwrap());

    let payload = Payload {
        own: Some(four.view()),
        peer: Some(one.view()),
        roster: Some(carried.to_bytes()),
        message_id: Some(MessageId::new([4; 16])),
        sent: Some(NOW),
        access: Some(Secret::new([6; 32])),
        holds: Some([7; 8]),
        group: Some(GroupView { group: Some([8; 32]), epoch: 3, head: [9; 32] }),
        answers: Some(MessageName::new([10; 32])),
        content: Content::App(b"hello".to_vec()),
    };
    let fork = RosterFork::between(&two, &fork).unwrap();
    let rosters = [&one, &two, &three, &four].map(|roster| hex::encode(roster.as_bytes()));
    let messages = [commit, respond, reveal].map(|step| hex::encode(step.to_bytes()));
    let emoji = code.emoji().map(|emoji| emoji.name);
    json!({
        "user": "alice",
        "rosters": rosters,
        "hash": hex::encode(two.hash()),
        "fork": hex::encode(fork.to_bytes()),
        "carried": hex::encode(carried.to_bytes()),
        "link": {
            "qr": hex::encode(&qr),
            "mailbox": hex::encode(offer.mailbox()),
            "answer": hex::encode(&answer),
            "consent": hex::encode(&consent),
            "digits": digits,
        },
        "safety_number": { "digits": number.digits(), "qr": hex::encode(number.qr()) },
        "sas": {
            "messages": messages,
            "emoji": emoji,
            "numbers": code.numbers(),
        },
        "payload": hex::encode(payload.to_bytes()),
    })
}

#[test]
fn what_was_recorded_is_made_again_and_read() {
    let made = made();
    if std::env::var_os("SUBROSA_REGENERATE").is_some() {
        std::fs::create_dir_all(std::path::Path::new(FILE).parent().unwrap()).unwrap();
        std::fs::write(FILE, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let recorded: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    assert_eq!(made, recorded);

    let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
    let read = |value: &Value| UnverifiedRoster::parse(&bytes(value)).unwrap().verify(&alice()).unwrap();
    let rosters = recorded["rosters"].as_array().unwrap();
    let mut held = HeldRoster::first_sight(read(&rosters[0]), NOW).unwrap();
    for next in &rosters[1..3] {
        held = held.update(read(next), later(2)).unwrap();
    }
    let carried = CarriedRoster::parse(&bytes(&recorded["carried"])).unwrap();
    assert!(held.take(&carried, later(40)).is_ok_and(|taken| matches!(taken, Taken::Renewed(_))));
    assert!(RosterFork::parse(&bytes(&recorded["fork"]), &alice()).is_ok());
    let payload = Payload::parse(&bytes(&recorded["payload"])).unwrap();
    assert_eq!(payload.roster, Some(carried.to_bytes()));
}
