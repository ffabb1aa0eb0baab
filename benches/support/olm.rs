//! The peer that is measured beside this crate: Olm sessions of vodozemac.
//!
//! What differs, whatever the figures say: Olm has nothing post-quantum, neither in the handshake nor in the ratchet;
//! its one-time keys are signed, but vodozemac leaves checking that to its caller; messages are AES-256-CBC with an
//! HMAC cut to 8 bytes; it keeps 40 keys for late messages in each chain; randomness comes from the operating system.

use vodozemac::Curve25519PublicKey;
use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

use super::pair::PLAINTEXT;

/// A message as it travels: its type and its bytes.
pub(crate) type Wire = (usize, Vec<u8>);

/// Alice, and Bob with a one-time key.
pub(crate) struct Olm {
    alice: Account,
    bob: Account,
    one_time: Curve25519PublicKey,
}

impl Olm {
    pub(crate) fn new() -> Self {
        let (alice, mut bob) = (Account::new(), Account::new());
        bob.generate_one_time_keys(1);
        let one_time = bob.one_time_keys().into_values().next().unwrap();
        bob.mark_keys_as_published();
        Self { alice, bob, one_time }
    }

    pub(crate) fn initiate(&self) -> Session {
        let (config, identity) = (SessionConfig::version_1(), self.bob.curve25519_key());
        self.alice.create_outbound_session(config, identity, self.one_time).unwrap()
    }

    /// Bob's account, which accepting a session changes.
    pub(crate) fn bob(&self) -> Account {
        Account::from_pickle(self.bob.pickle())
    }

    /// Bob reads a first message, and decrypts what is in it.
    pub(crate) fn accept(&self, bob: &mut Account, first: &Wire) -> Session {
        let OlmMessage::PreKey(first) = OlmMessage::from_parts(first.0, &first.1).unwrap() else {
            panic!("the first message of a session is a pre-key message")
        };
        let (config, identity) = (SessionConfig::version_1(), self.alice.curve25519_key());
        bob.create_inbound_session(config, identity, &first).unwrap().session
    }

    /// A session after so many messages each way.
    pub(crate) fn converse(&self, turns: usize) -> (Session, Session) {
        let mut alice = self.initiate();
        let first = encrypt(&mut alice);
        let mut bob = self.accept(&mut self.bob(), &first);
        for _ in 0..turns {
            pass(&mut bob, &mut alice);
            pass(&mut alice, &mut bob);
        }
        (alice, bob)
    }
}

pub(crate) fn copy(session: &Session) -> Session {
    Session::from_pickle(session.pickle())
}

pub(crate) fn encrypt(from: &mut Session) -> Wire {
    from.encrypt(PLAINTEXT).unwrap().to_parts()
}

pub(crate) fn decrypt(to: &mut Session, message: &Wire) -> Vec<u8> {
    to.decrypt(&OlmMessage::from_parts(message.0, &message.1).unwrap()).unwrap()
}

pub(crate) fn pass(from: &mut Session, to: &mut Session) {
    let message = encrypt(from);
    decrypt(to, &message);
}
