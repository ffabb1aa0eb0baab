//! One body per decoder: any bytes may come, none may panic, and what was accepted survives being written and read.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::LazyLock;

use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, SeenBaseKeys, SignedPrekey, UnverifiedBundle};
use subrosa::session::{Ciphertext, FirstMessage, Message, Session};
use subrosa::suite::Suite;
use subrosa::wire::{PreKeySignalMessage, SignalMessage, SpqrMessage};

use super::party::{NOW, Party, pair, stages};

/// A bundle as it came from a server.
pub fn bundle(data: &[u8]) -> bool {
    let Ok(parsed) = UnverifiedBundle::parse(data) else { return false };
    assert_eq!(UnverifiedBundle::parse(&parsed.to_bytes()).as_ref(), Ok(&parsed));
    let (identity, one_time) = (parsed.identity_key, parsed.one_time_prekey);
    if let Ok(bundle) = parsed.verify() {
        assert_eq!(*bundle.identity_key(), identity);
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let started = Session::initiate(&fixture().party.device, &bundle, NOW, &mut rng);
        if let Ok(mut session) = started {
            let ciphertext = session.encrypt(b"hello", NOW, &mut rng).unwrap();
            let first = FirstMessage::parse(ciphertext.bytes()).unwrap();
            assert_eq!(first.needs().one_time, one_time.map(|(id, _)| id));
        }
    }
    true
}

/// A message that starts a session.
pub fn first_message(data: &[u8]) -> bool {
    let Ok(first) = FirstMessage::parse(data) else {
        assert!(PreKeySignalMessage::parse(data).is_err());
        return false;
    };
    let wire = PreKeySignalMessage::parse(data).unwrap();
    assert_eq!(first.needs().one_time, wire.one_time_prekey);
    assert_eq!(*first.identity_key(), wire.identity_key);
    assert_eq!(first.registration_id(), wire.registration_id);
    // Whether it is taken is the receiver's matter; that nothing changes where it is not, is checked there.
    let mut party = fixture().party.clone();
    let from = pair()[1].device.address().clone();
    let _ = party.receive(&from, data, true, NOW, &mut ChaCha20Rng::seed_from_u64(3));
    true
}

/// A message of a session.
pub fn message(data: &[u8]) -> bool {
    let Ok(wire) = SignalMessage::parse(data) else {
        assert!(Message::parse(data).is_err());
        return false;
    };
    assert!(Message::parse(data).is_ok());
    assert_eq!([wire.authenticated(), wire.mac()].concat(), data);
    let (mut party, from) = (fixture().party.clone(), pair()[1].device.address().clone());
    let _ = party.receive(&from, data, false, NOW, &mut ChaCha20Rng::seed_from_u64(4));
    true
}

/// A message of the post-quantum ratchet.
pub fn spqr_message(data: &[u8]) -> bool {
    let Ok(parsed) = SpqrMessage::parse(data) else { return false };
    let bytes = parsed.to_bytes();
    assert!(bytes.len() <= 54);
    assert_eq!(SpqrMessage::parse(&bytes), Ok(parsed));
    true
}

/// A stored session; whatever is accepted can be used and stored again.
///
/// After a first byte of 255, which leads no record, come edits of a real one: which one, then the offset in two bytes
/// and what to add. Blind changes break the lengths that protobuf is made of; few would get past the decoder.
pub fn session_bytes(data: &[u8]) -> bool {
    let mut edited = Vec::new();
    let data = if let [255, stage, edits @ ..] = data {
        let stored = &fixture().stored;
        edited.clone_from(&stored[usize::from(*stage) % stored.len()]);
        for edit in edits.as_chunks::<3>().0 {
            let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % edited.len();
            edited[at] = edited[at].wrapping_add(edit[2]);
        }
        &edited
    } else {
        data
    };
    let Ok(mut session) = Session::from_bytes(data) else { return false };
    assert_stored(&session);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let device = &fixture().party.device;
    if let Ok(own) = session.encrypt(b"hello", NOW, &mut rng) {
        assert_stored(&session);
        receive(&mut session, device, &own, &mut rng);
    }
    for message in &fixture().under_way {
        receive(&mut session, device, message, &mut rng);
    }
    let _ = session.encrypt(b"hello", NOW, &mut rng);
    session.archive();
    assert_stored(&session);
    true
}

fn receive(session: &mut Session, device: &Device, message: &Ciphertext, rng: &mut ChaCha20Rng) {
    let before = session.to_bytes();
    let failed = match message {
        Ciphertext::First(bytes) => {
            let first = FirstMessage::parse(bytes).unwrap();
            session.accept_next(device, &first, None, NOW, rng).is_err()
        }
        Ciphertext::Message(bytes) => session.decrypt(&Message::parse(bytes).unwrap(), NOW, rng).is_err(),
    };
    if failed {
        assert_eq!(*session.to_bytes(), *before, "a failed call changed something");
    }
    assert_stored(session);
}

fn assert_stored(session: &Session) {
    let bytes = session.to_bytes();
    assert_eq!(*Session::from_bytes(&bytes).unwrap().to_bytes(), *bytes);
}

/// A stored device, prekey or memory of base keys.
pub fn prekey_bytes(data: &[u8]) -> bool {
    let party = &fixture().party;
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let mut accepted = false;
    if let Ok(device) = Device::from_bytes(data) {
        assert_eq!(Device::from_bytes(&device.to_bytes()).as_ref(), Ok(&device));
        let signed = SignedPrekey::generate(&device, Suite::Signal, party.signed.id(), NOW, &mut rng);
        let _ = device.bundle(&signed, &party.kem, None).verify();
        accepted = true;
    }
    if let Ok(signed) = SignedPrekey::from_bytes(data) {
        assert_eq!(SignedPrekey::from_bytes(&signed.to_bytes()).as_ref(), Ok(&signed));
        let _ = party.device.bundle(&signed, &party.kem, None).verify();
        accepted = true;
    }
    if let Ok(one_time) = OneTimePrekey::from_bytes(data) {
        assert_eq!(OneTimePrekey::from_bytes(&one_time.to_bytes()).as_ref(), Ok(&one_time));
        assert!(party.device.bundle(&party.signed, &party.kem, Some(&one_time)).verify().is_ok());
        accepted = true;
    }
    if let Ok(kem) = KemPrekey::from_bytes(data) {
        assert_eq!(*KemPrekey::from_bytes(&kem.to_bytes()).unwrap().to_bytes(), *kem.to_bytes());
        let _ = party.device.bundle(&party.signed, &kem, None).verify();
        accepted = true;
    }
    if let Ok(seen) = SeenBaseKeys::from_bytes(data) {
        assert_eq!(SeenBaseKeys::from_bytes(&seen.to_bytes()).as_ref(), Ok(&seen));
        assert!(seen.len() <= SeenBaseKeys::MAX);
        accepted = true;
    }
    accepted
}

/// A party in the middle of a conversation, how its session was stored on the way, and messages under way to it.
struct Fixture {
    party: Party,
    stored: Vec<Vec<u8>>,
    under_way: Vec<Ciphertext>,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
        let (stored, under_way) = stages();
        let [mut party, _] = pair();
        party.session = stored.last().map(|bytes| Session::from_bytes(bytes).unwrap());
        Fixture { party, stored, under_way }
    });
    &FIXTURE
}
