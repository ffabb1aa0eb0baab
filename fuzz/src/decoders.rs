//! One body per decoder: any bytes may come, none may panic, and what was accepted survives being written and read.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::LazyLock;

use subrosa::ident::Address;
use subrosa::platform::PrekeyStore;
use subrosa::prekey::{Device, KemPrekey, OneTimePrekey, PrekeyUpload, SeenBaseKeys, SignedPrekey, UnverifiedBundle};
use subrosa::session::{Ciphertext, FirstMessage, Session, SessionMessage};
use subrosa::suite::Suite;
use subrosa::wire::{Envelope, Payload, PreKeySignalMessage, SignalMessage, SpqrMessage, V1FirstMessage, V1Message};

use super::party::{NOW, Party, pair, stages};

/// A bundle as it came from a server.
pub fn bundle(data: &[u8]) -> bool {
    let Ok(parsed) = UnverifiedBundle::parse(data) else { return false };
    assert_eq!(UnverifiedBundle::parse(&parsed.to_bytes()).as_ref(), Ok(&parsed));
    let (identity, one_time) = (parsed.identity_key, parsed.one_time_prekey);
    if let Ok(bundle) = parsed.verify() {
        assert_eq!(*bundle.identity_key(), identity);
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let started = Session::initiate(&fixture(bundle.suite()).party.device, &bundle, NOW, &mut rng);
        if let Ok(mut session) = started {
            let ciphertext = session.encrypt(b"hello", NOW, &mut rng).unwrap();
            let first = FirstMessage::parse(ciphertext.bytes()).unwrap();
            assert_eq!(first.needs().one_time, one_time.map(|(id, _)| id));
        }
    }
    true
}

/// What a device brings to its server of prekeys. What a prekey store takes of it is handed out once, and comes back from
/// storage.
pub fn prekey_upload(data: &[u8]) -> bool {
    let Ok(upload) = PrekeyUpload::parse(data) else { return false };
    assert_eq!(upload.to_bytes(), data, "one encoding");
    let mut prekey_store = PrekeyStore::new(upload.address.clone(), upload.suite);
    let empty = prekey_store.clone();
    if prekey_store.apply(&upload).is_err() {
        assert_eq!(prekey_store, empty);
        return true;
    }
    assert!(upload.verify().is_ok());
    let before = prekey_store.clone();
    assert_eq!(prekey_store.apply(&upload).map(|applied| applied.one_time + applied.one_time_kem), Ok(0));
    assert_eq!(prekey_store, before);
    assert!(self::prekey_store(&prekey_store.to_bytes()));
    true
}

/// A server's stored prekey store: it hands out each one-time prekey once, and goes on being one.
pub fn prekey_store(data: &[u8]) -> bool {
    let Ok(mut prekey_store) = PrekeyStore::from_bytes(data) else { return false };
    assert_eq!(prekey_store.to_bytes(), data, "one encoding");
    let counts = prekey_store.counts();
    let (mut one_time, mut kem) = (0, 0);
    while let Some(bundle) = prekey_store.claim() {
        one_time += u32::from(bundle.one_time_prekey.is_some());
        kem += u32::from(!bundle.kem_is_last_resort);
        if bundle.one_time_prekey.is_none() && bundle.kem_is_last_resort {
            break;
        }
    }
    assert_eq!((one_time, kem), (counts.one_time, counts.one_time_kem));
    assert_eq!(PrekeyStore::from_bytes(&prekey_store.to_bytes()).as_ref(), Ok(&prekey_store));
    true
}

/// A message that starts a session, of either suite.
pub fn first_message(data: &[u8]) -> bool {
    let Ok(first) = FirstMessage::parse(data) else {
        assert!(PreKeySignalMessage::parse(data).is_err() && V1FirstMessage::parse(data).is_err());
        return false;
    };
    let (one_time, identity_key, registration_id) = match first.suite() {
        Suite::V1 => {
            let wire = V1FirstMessage::parse(data).unwrap();
            (wire.one_time_prekey, wire.identity_key, wire.registration_id)
        }
        _ => {
            let wire = PreKeySignalMessage::parse(data).unwrap();
            (wire.one_time_prekey, wire.identity_key, wire.registration_id)
        }
    };
    assert_eq!(first.needs().one_time, one_time);
    assert_eq!((first.identity_key(), first.registration_id()), (&identity_key, registration_id));
    // Whether it is taken is the receiver's matter; that nothing changes where it is not, is checked there.
    let Fixture { party, from, .. } = fixture(first.suite());
    let _ = party.clone().receive(from, data, true, NOW, &mut ChaCha20Rng::seed_from_u64(3));
    true
}

/// A message of a session, of either suite.
pub fn message(data: &[u8]) -> bool {
    let Ok(message) = SessionMessage::parse(data) else {
        assert!(SignalMessage::parse(data).is_err() && V1Message::parse(data).is_err());
        return false;
    };
    if message.suite() == Suite::V1 {
        assert!(V1Message::parse(data).unwrap().header().len() < data.len());
    } else {
        let wire = SignalMessage::parse(data).unwrap();
        assert_eq!([wire.authenticated(), wire.mac()].concat(), data);
    }
    let Fixture { party, from, .. } = fixture(message.suite());
    let _ = party.clone().receive(from, data, false, NOW, &mut ChaCha20Rng::seed_from_u64(4));
    true
}

/// What the host's transport carries.
pub fn envelope(data: &[u8]) -> bool {
    let Ok(envelope) = Envelope::parse(data) else { return false };
    assert_eq!(envelope.to_bytes(), data, "one encoding");
    true
}

/// What stands inside a ciphertext of suite V1.
pub fn payload(data: &[u8]) -> bool {
    let Ok(payload) = Payload::parse(data) else { return false };
    let bytes = payload.to_bytes();
    // What is passed over (views that say nothing, fields of a later version) is not written; all else in one encoding.
    assert!(bytes.len() < data.len() || bytes == data, "one encoding");
    assert_eq!(Payload::parse(&bytes), Ok(payload));
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
/// After a first byte of 255, which leads no record, come edits of a real one: which one, the upper bit for its suite, then
/// the offset in two bytes and what to add. Blind changes break the lengths that protobuf is made of; few would get past the
/// decoder.
pub fn session_bytes(data: &[u8]) -> bool {
    let mut edited = Vec::new();
    let data = if let [255, stage, edits @ ..] = data {
        let stored = &fixture(if stage & 128 == 0 { Suite::Signal } else { Suite::V1 }).stored;
        edited.clone_from(&stored[usize::from(stage & 127) % stored.len()]);
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
    let suite = session.suite().unwrap_or(Suite::V1);
    let Fixture { party: Party { device, .. }, under_way, .. } = fixture(suite);
    if let Ok(own) = session.encrypt(b"hello", NOW, &mut rng) {
        assert_stored(&session);
        receive(&mut session, device, &own, &mut rng);
    }
    for message in under_way {
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
        Ciphertext::Message(bytes) => session.decrypt(&SessionMessage::parse(bytes).unwrap(), NOW, rng).is_err(),
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
    let party = &fixture(Suite::V1).party;
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let mut accepted = false;
    if let Ok(device) = Device::from_bytes(data) {
        assert_eq!(Device::from_bytes(&device.to_bytes()).as_ref(), Ok(&device));
        let signed = SignedPrekey::generate(&device, Suite::V1, party.signed.id(), NOW, &mut rng);
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

/// A party in the middle of a conversation, with whom, how its session was stored on the way, and messages under way
/// to it.
struct Fixture {
    party: Party,
    from: Address,
    stored: Vec<Vec<u8>>,
    under_way: Vec<Ciphertext>,
}

fn fixture(suite: Suite) -> &'static Fixture {
    static FIXTURES: LazyLock<[Fixture; 2]> = LazyLock::new(|| {
        [Suite::Signal, Suite::V1].map(|suite| {
            let (stored, under_way) = stages(suite);
            let [mut party, other] = pair(suite);
            party.session = stored.last().map(|bytes| Session::from_bytes(bytes).unwrap());
            Fixture { party, from: other.device.address().clone(), stored, under_way }
        })
    });
    &FIXTURES[usize::from(suite == Suite::V1)]
}
