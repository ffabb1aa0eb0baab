//! Sentinels planted in every secret: nothing that a public type prints, no error and no panic shows a byte of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop where something is wrong")]

mod support;

mod client {
    use super::SENTINEL;
    use subrosa::report::{Part, PartKind};

    include!("support/clientdoc.rs");

    /// Ciphertexts are printed, and they hold two sentinels in a row now and then: here four are looked for.
    #[track_caller]
    fn quiet(what: &impl std::fmt::Debug) {
        for (printed, leak) in [(format!("{what:?}"), "197, 197, 197, 197"), (format!("{what:x?}"), "c5, c5, c5, c5")] {
            assert!(!printed.contains(leak), "{printed}");
        }
    }

    /// What a client gives out is what people write, and what goes out of it is sealed.
    #[test]
    fn what_a_client_gives_prints_nothing() {
        let Talking { alice, alice_db, bob, bob_db, now, mut rng, .. } = talking();
        let (id, other) = (MessageId::new([1; 16]), MessageId::new([2; 16]));
        let text = vec![SENTINEL; 60];
        let sending = alice.send(id, bob.address(), &text);
        quiet(&sending);
        let sent = sending.stage(&alice_db, now, &mut rng).unwrap();
        quiet(&sent);
        let sent = sent.commit(|batch, _| alice_db.write(batch)).unwrap();
        quiet(&sent);
        let parts = [Part::new(PartKind::new(4_000), text.clone())];
        let framed = alice.send_framed(other, bob.address(), &parts).stage(&alice_db, now, &mut rng).unwrap();
        let framed = framed.commit(|batch, _| alice_db.write(batch)).unwrap();
        assert!(framed.inner.windows(60).any(|window| window == text), "it is in there");
        quiet(&framed);
        let received = bob.receive(sent.outgoing().first().unwrap().envelope()).stage(&bob_db, now, &mut rng).unwrap();
        quiet(&received);
        let received = received.commit(|batch, _| bob_db.write(batch)).unwrap();
        assert!(matches!(&received, Received::Message(message) if message.plaintext() == Some(&text[..])));
        quiet(&received);
    }
}

use std::fmt::{Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use subrosa::account::{
    AccountKeyPair, CarriedRoster, LinkOffer, RecoveryKeyPair, Roster, RosterDevice, SafetyNumber, SasInitiator,
    SasParty, SasResponder, ScannedOffer, UnverifiedRoster,
};
use subrosa::client::{AskError, ResendError};
use subrosa::crypto::{KemAlgorithm, KemKeyPair, KeyPair, PrivateKey, Secret};
use subrosa::ident::{DeviceId, MessageId, PrekeyId, RegistrationId, UserId};
use subrosa::prekey::{
    Device, KemPrekey, OneTimePrekey, PrekeyIds, PrekeySecrets, SeenBaseKeys, SignedPrekey, UnverifiedBundle,
};
use subrosa::session::{AcceptError, DecryptError, EncryptError, FirstMessage, PrekeyKind, Session, SessionMessage};
use subrosa::suite::{Suite, Suites};
use subrosa::wire::{
    Call, CallKey, CallStep, ContactState, Content, History, Payload, Provisioning, RecordError, SyncEntry, SyncPage,
    SyncState, Transcript, TranscriptContent, TranscriptTo, WireError,
};
use support::{NOW, Party, address};

/// The byte that every planted secret is made of. Clamping changes the ends of a key, never its middle.
const SENTINEL: u8 = 0xc5;

/// A generator that gives nothing but sentinels.
struct Planted;

impl rand_core::TryRng for Planted {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_ne_bytes([SENTINEL; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_ne_bytes([SENTINEL; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(SENTINEL);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Planted {}

/// Whether a text shows two sentinels in a row, as hexadecimal digits, as numbers, as escapes or as text.
fn shows(text: &str) -> bool {
    let text = text.to_lowercase();
    ["c5c5", "c5, c5", "c5,c5", "c5 c5", "0xc5, 0xc5", "197, 197", "197,197", "197\n", "\\xc5", "ÅÅ", "xcxc"]
        .iter()
        .any(|form| text.contains(&form.to_lowercase()))
        || text.replace([' ', '\n', ','], "").contains("197197")
}

#[track_caller]
fn silent(what: &impl Debug) {
    for printed in [format!("{what:?}"), format!("{what:#?}"), format!("{what:x?}"), format!("{what:#X?}")] {
        assert!(!shows(&printed), "{printed}");
    }
}

#[track_caller]
fn silent_error(error: &(impl Debug + Display)) {
    silent(error);
    assert!(!shows(&error.to_string()), "{error}");
}

#[test]
fn the_detector_detects() {
    for leak in [
        format!("{:?}", [SENTINEL; 3]),
        format!("{:#?}", [SENTINEL; 3]),
        format!("{:x?}", [SENTINEL; 3]),
        hex::encode([SENTINEL; 2]),
    ] {
        assert!(shows(&leak), "{leak}");
    }
}

#[test]
fn keys_print_nothing() {
    let secret = Secret::new([SENTINEL; 32]);
    silent(&secret);
    silent(&PrivateKey::new(secret.clone()));
    silent(&KeyPair::new(secret));
    for algorithm in [KemAlgorithm::Kyber1024, KemAlgorithm::MlKem1024] {
        let pair = KemKeyPair::generate(algorithm, &mut Planted);
        silent(&pair);
        silent(pair.secret());
    }
}

#[test]
fn prekeys_and_devices_print_nothing() {
    let pair = || KeyPair::new(Secret::new([SENTINEL; 32]));
    let id = PrekeyId::new(1);
    for suite in [Suite::Signal, Suite::V1] {
        let device = Device::new(address("bob"), pair(), RegistrationId::new(1));
        let signed = SignedPrekey::from_parts(&device, suite, id, NOW, pair(), &mut Planted);
        let one_time = OneTimePrekey::from_parts(suite, id, pair());
        let kem = KemPrekey::last_resort(&device, suite, id, NOW, &mut Planted);
        let mut seen = SeenBaseKeys::default();
        silent(&PrekeySecrets { signed: &signed, kem: &kem, one_time: Some(&one_time), seen: &mut seen });
        silent(&(device, signed, one_time, kem));
    }
    silent(&PrekeyIds::resume(PrekeyId::new(7)));
}

/// A session whose every drawn secret is made of sentinels: base key, ratchet keys, ML-KEM keys.
#[test]
fn sessions_print_nothing() {
    for suite in [Suite::Signal, Suite::V1] {
        let mut bob = Party::of_suite(suite, "bob", 1);
        let alice = Party::of_suite(suite, "alice", 2);
        let bundle = bob.bundle(true);
        let mut to_bob = Session::initiate(&alice.device, &bundle, NOW, &mut Planted).unwrap();
        let text = [SENTINEL; 40];
        for _ in 0..3 {
            let sent = to_bob.encrypt(&text, NOW, &mut Planted).unwrap();
            silent(&to_bob);
            silent(&FirstMessage::parse(sent.bytes()).unwrap().needs());
        }
        let first = to_bob.encrypt(&text, NOW, &mut Planted).unwrap();
        let first = FirstMessage::parse(first.bytes()).unwrap();
        let one_time = first.needs().one_time.map(|id| bob.one_time.remove(&id).unwrap());
        let mut seen = SeenBaseKeys::default();
        let mut prekeys =
            PrekeySecrets { signed: &bob.signed, kem: &bob.kem, one_time: one_time.as_ref(), seen: &mut seen };
        let accepted = Session::accept(&bob.device, alice.device.address(), &first, &mut prekeys, NOW, &mut Planted);
        silent(&accepted);
        let (mut to_alice, accepted) = accepted.unwrap();
        assert_eq!(accepted.plaintext, text);
        let answer = to_alice.encrypt(&text, NOW, &mut Planted).unwrap();
        let message = SessionMessage::parse(answer.bytes()).unwrap();
        silent(&to_bob.decrypt(&message, NOW, &mut Planted).map(|_| ()));
        silent(&(&to_bob, &to_alice));
    }
    let content = Content::App(vec![SENTINEL; 9]);
    let (access, roster) = (Some(Secret::new([SENTINEL; 32])), Some(vec![SENTINEL; 40]));
    silent(&Payload { access, roster, holds: Some([SENTINEL; 8]), ..Payload::new(content) });
}

/// Accounts: pairs, offers, what is under way in a link, codes.
#[test]
fn accounts_print_nothing() {
    let seed = || Secret::new([SENTINEL; 32]);
    let (account, words) = (AccountKeyPair::new(seed()), RecoveryKeyPair::new(seed()));
    silent(&(&account, &words));
    let (alice, one) = (UserId::new("alice").unwrap(), DeviceId::new(1));
    let phone = RosterDevice::consent(&alice, one, Suites::V1, account.public(), &KeyPair::new(seed()), &mut Planted);
    silent(&phone);
    let next = Roster::first(&alice, phone, Some(*words.public()), NOW);
    silent(&next);
    let roster = next.sign(&account).unwrap();
    silent(&roster);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    for planted in [true, false] {
        let mut offer = if planted { LinkOffer::new(NOW, &mut Planted) } else { LinkOffer::new(NOW, &mut rng) };
        let scanned = ScannedOffer::parse(&offer.qr()).unwrap();
        silent(&(&offer, &scanned));
        let answered = scanned.answer(&roster, NOW, &mut Planted);
        // A device that has the phone's very key is in the account already.
        assert_eq!(answered.is_err(), planted);
        let Ok((pending, answer)) = answered else { continue };
        let linked = offer.open(&answer, NOW).unwrap();
        silent(&(&pending, &linked, linked.digits()));
        assert!(!format!("{linked:?} {:?} {pending:?}", linked.digits()).contains(linked.digits().as_str()));
    }
    let own = SasParty { user: &alice, device: one, account: account.public() };
    let (initiator, commit) = SasInitiator::new(own, own, NOW, &mut Planted);
    let (responder, respond) = SasResponder::new(own, own, &commit, NOW, &mut Planted).unwrap();
    silent(&(&initiator, &responder));
    silent(&initiator.reveal(&respond, NOW).unwrap().0);
    silent(&SafetyNumber::new((&alice, account.public()), (&alice, account.public())));
}

/// What one's own devices tell each other, and what a call is encrypted with.
#[test]
fn contents_print_nothing() {
    let (key, bytes) = (|| Secret::new([SENTINEL; 32]), || vec![SENTINEL; 40]);
    silent(&Provisioning { seed: key(), wrap: Some(key()) });
    let user = UserId::new(String::from_utf8(vec![b'a'; 9]).unwrap()).unwrap();
    let states = [
        SyncState::Group([SENTINEL; 32], bytes().into()),
        SyncState::AccessKey([SENTINEL; 8], key()),
        SyncState::Backup { id: [SENTINEL; 16], key: key(), sealed_seed: bytes() },
        SyncState::Later { kind: 9, subject: bytes(), value: bytes().into() },
        SyncState::Contact(user.clone(), ContactState::Blocked),
    ];
    let entry = |state| SyncEntry { state, counter: 1, device: DeviceId::new(1) };
    let sync = SyncPage::new(states.map(entry).to_vec()).unwrap();
    silent(&sync);
    assert!(!format!("{sync:?}").contains(user.as_str()));
    let content = TranscriptContent::App(bytes());
    silent(&Transcript { to: TranscriptTo::User(user), message_id: MessageId::new([1; 16]), sent: NOW, content });
    silent(&Call { call: [1; 16], step: CallStep::Offer(bytes()) });
    silent(&CallKey::new([1; 16], [2; 8], 0, 0, vec![SENTINEL; 32].into()));
    silent(&History { reference: bytes().into(), from: NOW, to: NOW, count: 1 });
}

#[test]
fn errors_print_nothing() {
    let planted = vec![SENTINEL; 4_000];
    silent_error(&Session::from_bytes(&planted).unwrap_err());
    silent_error(&Device::from_bytes(&planted).unwrap_err());
    silent_error(&KemPrekey::from_bytes(&planted).unwrap_err());
    silent_error(&UnverifiedBundle::parse(&planted).unwrap_err());
    silent_error(&FirstMessage::parse(&planted).unwrap_err());
    silent_error(&SessionMessage::parse(&planted).unwrap_err());
    silent_error(&Payload::parse(&planted).unwrap_err());
    silent_error(&UnverifiedRoster::parse(&planted).unwrap_err());
    silent_error(&CarriedRoster::parse(&planted).unwrap_err());
    silent_error(&ScannedOffer::parse(&planted).unwrap_err());
    silent_error(&SyncPage::parse(&planted).unwrap_err());
    // The fields that errors do carry: ids and versions, which are no secrets.
    for error in [DecryptError::Duplicate, DecryptError::Rewound, DecryptError::Undecryptable] {
        silent_error(&error);
        silent_error(&AcceptError::Message(error));
    }
    silent_error(&AcceptError::UnknownPrekey(PrekeyKind::Kem, PrekeyId::new(3)));
    silent_error(&EncryptError::Exhausted);
    silent_error(&ResendError::OtherContent);
    silent_error(&AskError::TooMany);
    silent_error(&RecordError::Newer(9));
    silent_error(&WireError::UnsupportedVersion(5));
    silent(&DeviceId::new(1));
}

/// Nothing here panics; should a host's own code panic while it holds a session, its message shows nothing.
#[test]
fn a_panic_of_the_host_shows_nothing() {
    let mut bob = Party::of_suite(Suite::V1, "bob", 3);
    let alice = Party::of_suite(Suite::V1, "alice", 4);
    let session = Session::initiate(&alice.device, &bob.bundle(true), NOW, &mut Planted);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        assert!(session.is_err(), "the host's own mistake: {session:?}");
    }));
    let message = panic.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("Session") && !shows(&message), "{message}");
}
