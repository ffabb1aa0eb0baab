//! Signal's library as one party of a conversation.

use serde_json::{Value, json};
use subrosa::crypto::{KemPublicKey, PublicKey};
use subrosa::ident::{Address, DeviceId, PrekeyId, RegistrationId, Timestamp, UserId};
use subrosa::prekey::{PublishedPrekey, UnverifiedBundle};
use subrosa::session::Ciphertext;
use subrosa::suite::{Suite, Suites};

use crate::network::{Party, Refused};
use crate::peer::{Peer, Refusal};

/// A party in the node process, talking with one remote device.
#[derive(Debug)]
pub(crate) struct Theirs<'p> {
    peer: &'p mut Peer,
    /// What the party is called in the process.
    name: String,
    remote: Value,
}

impl<'p> Theirs<'p> {
    /// Sets a device up, with which `remote` is to talk.
    pub(crate) fn new(peer: &'p mut Peer, local: &Address, remote: &Address) -> Self {
        let mut create = address(local);
        create["as"] = format!("{}.{}", local.user().as_str(), local.device().get()).into();
        create["registrationId"] = 77.into();
        peer.ask("create", create).unwrap();
        Self::again(peer, local, remote)
    }

    /// A device that was set up before.
    pub(crate) fn again(peer: &'p mut Peer, local: &Address, remote: &Address) -> Self {
        let name = format!("{}.{}", local.user().as_str(), local.device().get());
        Self { peer, name, remote: address(remote) }
    }

    /// Goes on as the same device, with another remote one or another name for it.
    pub(crate) fn towards(&mut self, remote: &Address) -> Theirs<'_> {
        Theirs { peer: self.peer, name: self.name.clone(), remote: address(remote) }
    }

    pub(crate) fn ask(&mut self, command: &str, mut arguments: Value) -> Result<Value, Refusal> {
        arguments["as"] = self.name.clone().into();
        arguments["remote"] = self.remote.clone();
        self.peer.ask(command, arguments)
    }

    /// Makes prekeys. The reply has a `bundle` and its `secrets`.
    pub(crate) fn publish(&mut self, one_time: bool) -> Value {
        self.ask("bundle", json!({ "oneTime": one_time })).unwrap()
    }

    /// Starts a session.
    pub(crate) fn initiate(&mut self, bundle: &UnverifiedBundle) -> Result<(), Refusal> {
        self.initiate_from(&bundle_to_json(bundle))
    }

    pub(crate) fn initiate_from(&mut self, bundle: &Value) -> Result<(), Refusal> {
        self.ask("processBundle", json!({ "bundle": bundle })).map(drop)
    }

    /// The stored session, opaque; null if there is none.
    pub(crate) fn record(&mut self) -> Value {
        self.ask("getSession", json!({})).unwrap()["record"].take()
    }

    /// The next identity key of the remote device is taken as it comes.
    pub(crate) fn forget_identity(&mut self) {
        self.ask("forgetIdentity", json!({})).unwrap();
    }

    pub(crate) fn set_record(&mut self, record: &Value) {
        self.ask("setSession", json!({ "record": record })).unwrap();
    }

    pub(crate) fn remote_registration_id(&mut self) -> Option<u64> {
        self.ask("sessionInfo", json!({})).unwrap()["remoteRegistrationId"].as_u64()
    }
}

impl Party for Theirs<'_> {
    fn ready(&mut self) -> bool {
        self.ask("sessionInfo", json!({})).unwrap()["hasCurrentState"] == true
    }

    fn encrypt(&mut self, plaintext: &[u8]) -> Ciphertext {
        let reply = self.ask("encrypt", json!({ "plaintext": hex::encode(plaintext) })).unwrap();
        let body = hex::decode(reply["body"].as_str().unwrap()).unwrap();
        if reply["type"] == 3 { Ciphertext::First(body) } else { Ciphertext::Message(body) }
    }

    fn decrypt(&mut self, message: &Ciphertext) -> Result<Vec<u8>, Refused> {
        let kind = if message.is_first() { 3 } else { 2 };
        let reply = self.ask("decrypt", json!({ "type": kind, "body": hex::encode(message.bytes()) }));
        match reply {
            Ok(reply) => Ok(hex::decode(reply["plaintext"].as_str().unwrap()).unwrap()),
            Err(refusal) if refusal.code == "DuplicatedMessage" => Err(Refused::Duplicate),
            Err(refusal) => Err(Refused::Other(format!("{}: {}", refusal.code, refusal.error))),
        }
    }
}

fn address(address: &Address) -> Value {
    json!({ "name": address.user().as_str(), "device": address.device().get() })
}

/// A bundle of ours in their words.
pub(crate) fn bundle_to_json(bundle: &UnverifiedBundle) -> Value {
    let UnverifiedBundle { suite: _, address: whose, registration_id, .. } = bundle;
    let mut out = address(whose);
    out["registrationId"] = registration_id.get().into();
    out["identityKey"] = hex::encode(bundle.identity_key.to_bytes()).into();
    let PublishedPrekey { id, key, signature, .. } = &bundle.signed_prekey;
    out["signedPreKeyId"] = id.get().into();
    out["signedPreKey"] = hex::encode(key.to_bytes()).into();
    out["signedPreKeySignature"] = hex::encode(signature).into();
    let PublishedPrekey { id, key, signature, .. } = &bundle.kem_prekey;
    out["kyberPreKeyId"] = id.get().into();
    out["kyberPreKey"] = hex::encode(key.to_bytes()).into();
    out["kyberPreKeySignature"] = hex::encode(signature).into();
    if let Some((id, key)) = &bundle.one_time_prekey {
        out["preKeyId"] = id.get().into();
        out["preKey"] = hex::encode(key.to_bytes()).into();
    }
    out
}

/// A bundle of theirs in our words; an error if a key in it is malformed.
pub(crate) fn bundle_from_json(bundle: &Value) -> Result<UnverifiedBundle, String> {
    let number = |field: &str| u32::try_from(bundle[field].as_u64().unwrap()).unwrap();
    let bytes = |field: &str| hex::decode(bundle[field].as_str().unwrap()).unwrap();
    let key = |field: &str| PublicKey::parse(&bytes(field)).map_err(|error| error.to_string());
    let kem = KemPublicKey::parse(&bytes("kyberPreKey")).map_err(|error| error.to_string())?;
    let one_time_prekey = match &bundle["preKey"] {
        Value::Null => None,
        _ => Some((PrekeyId::new(number("preKeyId")), key("preKey")?)),
    };
    let user = UserId::new(bundle["name"].as_str().unwrap()).unwrap();
    Ok(UnverifiedBundle {
        suite: Suite::Signal,
        address: Address::new(user, DeviceId::new(number("device"))),
        registration_id: RegistrationId::new(number("registrationId")),
        identity_key: key("identityKey")?,
        signed_prekey: PublishedPrekey {
            id: PrekeyId::new(number("signedPreKeyId")),
            created: Timestamp::new(0),
            suites: Suites::SIGNAL,
            key: key("signedPreKey")?,
            signature: bytes("signedPreKeySignature").try_into().unwrap(),
        },
        kem_prekey: PublishedPrekey {
            id: PrekeyId::new(number("kyberPreKeyId")),
            created: Timestamp::new(0),
            suites: Suites::SIGNAL,
            key: kem,
            signature: bytes("kyberPreKeySignature").try_into().unwrap(),
        },
        kem_is_last_resort: false,
        one_time_prekey,
    })
}
