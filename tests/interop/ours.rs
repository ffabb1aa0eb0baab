//! This library as one party of a conversation: a host with its stores in memory.

use std::collections::BTreeMap;

use serde_json::Value;
use subrosa::crypto::{KemKeyPair, KemSecretKey, KeyPair, Secret};
use subrosa::ident::{Address, PrekeyId, Timestamp};
use subrosa::prekey::{
    Device, KemPrekey, OneTimePrekey, PrekeyIds, PrekeySecrets, SeenBaseKeys, SignedPrekey, UnverifiedBundle,
};
use subrosa::session::{
    AcceptError, Ciphertext, DecryptError, FirstMessage, InitiateError, PrekeyKind, Session, SessionMessage,
};
use subrosa::suite::{Suite, Suites};

use crate::chance::Chance;
use crate::network::{Party, Refused};
use crate::theirs::bundle_from_json;

/// What the clock says, always.
const NOW: Timestamp = Timestamp::new(1_800_000_000_000);

/// A device and all that it stores, talking with one remote device.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    pub(crate) device: Device,
    pub(crate) remote: Address,
    pub(crate) session: Option<Session>,
    signed: BTreeMap<PrekeyId, (SignedPrekey, SeenBaseKeys)>,
    kem: BTreeMap<PrekeyId, KemPrekey>,
    one_time: BTreeMap<PrekeyId, OneTimePrekey>,
    ids: PrekeyIds,
    chance: Chance,
    bursts: usize,
    /// How many times the session went through its stored form between bursts.
    pub(crate) reloads: usize,
}

impl Ours {
    /// Sets a device up.
    pub(crate) fn new(local: &Address, remote: &Address, mut chance: Chance) -> Self {
        let device = Device::generate(local.clone(), &mut chance).with_suites(Suites::SIGNAL);
        Self::with_device(device, remote, chance)
    }

    fn with_device(device: Device, remote: &Address, mut chance: Chance) -> Self {
        Self {
            device,
            remote: remote.clone(),
            session: None,
            signed: BTreeMap::new(),
            kem: BTreeMap::new(),
            one_time: BTreeMap::new(),
            ids: PrekeyIds::random(&mut chance),
            chance,
            bursts: 0,
            reloads: 0,
        }
    }

    /// The same device as one of theirs, with the same prekeys (no one-time one), so that both can be given the same
    /// messages.
    pub(crate) fn twin(published: &Value, remote: &Address, mut chance: Chance) -> Self {
        let bundle = bundle_from_json(&published["bundle"]).unwrap();
        let secret = |field: &str| hex::decode(published["secrets"][field].as_str().unwrap()).unwrap();
        let pair = |field: &str| KeyPair::new(Secret::from_slice(&secret(field)).unwrap());
        let device =
            Device::new(bundle.address, pair("identityPrivate"), bundle.registration_id).with_suites(Suites::SIGNAL);
        assert_eq!(*device.identity_key(), bundle.identity_key);

        let pair = pair("signedPreKeyPrivate");
        let id = bundle.signed_prekey.id;
        let signed = SignedPrekey::from_parts(&device, Suite::Signal, id, NOW, pair, &mut chance);
        let pair = KemKeyPair::from_secret(KemSecretKey::parse(&secret("kyberPreKeySecret")).unwrap()).unwrap();
        let id = bundle.kem_prekey.id;
        let kem = KemPrekey::from_parts(&device, Suite::Signal, id, NOW, true, pair, &mut chance);
        assert_eq!((signed.public_key(), kem.public_key()), (&bundle.signed_prekey.key, &bundle.kem_prekey.key));

        let mut twin = Self::with_device(device, remote, chance);
        twin.signed.insert(signed.id(), (signed, SeenBaseKeys::default()));
        twin.kem.insert(kem.id(), kem);
        twin
    }

    /// Makes prekeys.
    pub(crate) fn publish(&mut self, one_time: bool) -> UnverifiedBundle {
        let Self { device, chance, ids, .. } = self;
        let signed = SignedPrekey::generate(device, Suite::Signal, ids.take().unwrap(), NOW, chance);
        let id = ids.take().unwrap();
        // With a one-time prekey of either kind, or with none.
        let kem = if one_time {
            KemPrekey::one_time(device, Suite::Signal, id, NOW, chance)
        } else {
            KemPrekey::last_resort(device, Suite::Signal, id, NOW, chance)
        };
        let one_time = one_time.then(|| OneTimePrekey::generate(Suite::Signal, ids.take().unwrap(), chance));
        let bundle = device.bundle(&signed, &kem, one_time.as_ref());
        self.signed.insert(signed.id(), (signed, SeenBaseKeys::default()));
        self.kem.insert(kem.id(), kem);
        self.one_time.extend(one_time.map(|prekey| (prekey.id(), prekey)));
        bundle
    }

    /// Starts a session, or another one.
    pub(crate) fn initiate(&mut self, bundle: &Value) -> Result<(), InitiateError> {
        let bundle = bundle_from_json(bundle).unwrap().verify().unwrap();
        assert_eq!(*bundle.address(), self.remote);
        match &mut self.session {
            Some(session) => session.restart(&self.device, &bundle, NOW, &mut self.chance),
            None => {
                self.session = Some(Session::initiate(&self.device, &bundle, NOW, &mut self.chance)?);
                Ok(())
            }
        }
    }

    /// The session, which must exist.
    pub(crate) fn session(&self) -> &Session {
        self.session.as_ref().unwrap()
    }

    /// Stores the session and loads it again.
    pub(crate) fn reload(&mut self) {
        let stored = self.session().to_bytes();
        let loaded = Session::from_bytes(&stored).unwrap();
        assert_eq!(*loaded.to_bytes(), *stored);
        self.session = Some(loaded);
        self.reloads += 1;
    }

    /// How many one-time prekeys are left, of both kinds.
    pub(crate) fn one_time_left(&self) -> usize {
        self.one_time.len() + self.kem.values().filter(|prekey| !prekey.is_last_resort()).count()
    }

    fn accept(&mut self, first: &FirstMessage) -> Result<Vec<u8>, AcceptError> {
        let needs = first.needs();
        let Self { device, remote, chance, .. } = self;
        if let Some(session) = self.session.as_mut().filter(|session| session.recognizes(first)) {
            return session.accept_next(device, first, None, NOW, chance).map(|accepted| accepted.plaintext);
        }
        let (signed, seen) =
            self.signed.get_mut(&needs.signed).ok_or(AcceptError::UnknownPrekey(PrekeyKind::Signed, needs.signed))?;
        let kem = self.kem.get(&needs.kem).ok_or(AcceptError::UnknownPrekey(PrekeyKind::Kem, needs.kem))?;
        let one_time = needs.one_time.and_then(|id| self.one_time.get(&id));
        let mut prekeys = PrekeySecrets { signed, kem, one_time, seen };
        let accepted = match &mut self.session {
            Some(session) => session.accept_next(device, first, Some(&mut prekeys), NOW, chance)?,
            None => {
                let (session, accepted) = Session::accept(device, remote, first, &mut prekeys, NOW, chance)?;
                self.session = Some(session);
                accepted
            }
        };
        assert_eq!(accepted.consumed.one_time, needs.one_time);
        self.one_time.retain(|id, _| Some(*id) != accepted.consumed.one_time);
        self.kem.retain(|id, _| Some(*id) != accepted.consumed.kem);
        Ok(accepted.plaintext)
    }

    fn try_decrypt(&mut self, message: &Ciphertext) -> Result<Vec<u8>, Refused> {
        if message.is_first() {
            let first = FirstMessage::parse(message.bytes()).map_err(other)?;
            return self.accept(&first).map_err(|error| match error {
                AcceptError::Message(DecryptError::Duplicate) => Refused::Duplicate,
                error => other(error),
            });
        }
        let message = SessionMessage::parse(message.bytes()).map_err(other)?;
        let session = self.session.as_mut().ok_or(DecryptError::NoSession).map_err(other)?;
        session.decrypt(&message, NOW, &mut self.chance).map_err(|error| match error {
            DecryptError::Duplicate => Refused::Duplicate,
            error => other(error),
        })
    }
}

impl Party for Ours {
    fn ready(&mut self) -> bool {
        self.session.as_ref().is_some_and(Session::has_current)
    }

    fn encrypt(&mut self, plaintext: &[u8]) -> Ciphertext {
        self.session.as_mut().unwrap().encrypt(plaintext, NOW, &mut self.chance).unwrap()
    }

    fn decrypt(&mut self, message: &Ciphertext) -> Result<Vec<u8>, Refused> {
        let before = self.session.as_ref().map(Session::to_bytes);
        let opened = self.try_decrypt(message);
        if opened.is_err() {
            assert!(self.session.as_ref().map(Session::to_bytes) == before, "a refused message changes nothing");
        }
        opened
    }

    fn pause(&mut self) {
        self.bursts += 1;
        if self.session.is_some() && self.bursts.is_multiple_of(20) {
            self.reload();
        }
    }
}

fn other(error: impl core::fmt::Debug) -> Refused {
    Refused::Other(format!("{error:?}"))
}
