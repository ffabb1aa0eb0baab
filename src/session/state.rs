use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::{Ciphertext, DecryptError, EncryptError};
use crate::crypto::{KemCiphertext, PublicKey};
use crate::ident::{Address, PrekeyId, RegistrationId, Timestamp};
use crate::ratchet::{Exhausted, MAX_JUMP, MAX_JUMP_SELF, Refused, Step, TripleRatchet};
use crate::suite::signal::{self, Identities, Undecryptable};
use crate::wire::{PreKeySignalMessage, PrekeyHeader, SignalMessage, SignalMessageHeader, SpqrMessage};

/// The two devices of a session, as both ends see them: it goes into what authenticates every message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) local: Address,
    pub(super) remote: Address,
    pub(super) local_identity: PublicKey,
    pub(super) remote_identity: PublicKey,
}

impl Ends {
    /// Between devices of one user who share an identity key, chains may jump further.
    fn max_jump(&self) -> u32 {
        let same = self.local_identity == self.remote_identity && self.local.user() == self.remote.user();
        if same { MAX_JUMP_SELF } else { MAX_JUMP }
    }
}

/// What the initiator repeats in front of every message until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) signed_prekey: PrekeyId,
    pub(super) one_time_prekey: Option<PrekeyId>,
    pub(super) kem_prekey: PrekeyId,
    pub(super) kem_ciphertext: KemCiphertext,
}

/// One session: the outcome of one handshake.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) ratchet: TripleRatchet,
    /// The initiator's base key: the session's name.
    pub(super) base_key: PublicKey,
    pub(super) local_registration_id: RegistrationId,
    pub(super) remote_registration_id: RegistrationId,
    pub(super) created: Timestamp,
    pub(super) pending: Option<Pending>,
    /// At the responder: hash of what the first message fixed, which its repetitions repeat.
    pub(super) initiation: Option<[u8; 32]>,
}

/// A message that has authenticated: its plaintext, and what it changes.
pub(super) struct Opened {
    pub(super) plaintext: Vec<u8>,
    step: Step,
}

impl State {
    pub(super) fn encrypt(
        &mut self,
        ends: &Ends,
        plaintext: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Ciphertext, EncryptError> {
        let outgoing = self.ratchet.send(rng).map_err(|Exhausted| EncryptError::Exhausted)?;
        let header = SignalMessageHeader {
            ratchet_key: outgoing.ratchet,
            counter: outgoing.counter,
            previous_counter: outgoing.previous_counter,
            pq_ratchet: outgoing.pq.to_bytes(),
            addresses: self.pending.as_ref().and_then(|_| signal::addresses(&ends.local, &ends.remote)),
        };
        let identities = Identities { sender: &ends.local_identity, receiver: &ends.remote_identity };
        let message = signal::seal(&outgoing.secret, identities, header, plaintext);
        Ok(match &self.pending {
            None => Ciphertext::Message(message),
            Some(pending) => {
                let header = PrekeyHeader {
                    registration_id: self.local_registration_id,
                    one_time_prekey: pending.one_time_prekey,
                    signed_prekey: pending.signed_prekey,
                    kem_prekey: pending.kem_prekey,
                    kem_ciphertext: &pending.kem_ciphertext,
                    base_key: &self.base_key,
                    identity_key: &ends.local_identity,
                };
                Ciphertext::First(PreKeySignalMessage::encode(&header, message))
            }
        })
    }

    /// Opens a message of this session. Changes nothing.
    pub(super) fn open(&self, ends: &Ends, message: &SignalMessage, now: Timestamp) -> Result<Opened, DecryptError> {
        // Present addresses must be ours; else somebody redirects the message to another device or user.
        if message.addresses.is_some() && message.addresses != signal::addresses(&ends.remote, &ends.local) {
            return Err(DecryptError::Undecryptable);
        }
        let pq = SpqrMessage::parse(&message.pq_ratchet).map_err(|_| DecryptError::Undecryptable)?;
        let (secret, step) = self.ratchet.receive(&message.ratchet_key, message.counter, &pq, ends.max_jump(), now)?;
        let identities = Identities { sender: &ends.remote_identity, receiver: &ends.local_identity };
        let plaintext =
            signal::open(&secret, identities, message).map_err(|Undecryptable| DecryptError::Undecryptable)?;
        Ok(Opened { plaintext, step })
    }

    /// Makes the change of a message that [`Self::open`] opened, and gives its plaintext.
    pub(super) fn apply(
        &mut self,
        opened: Opened,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, DecryptError> {
        self.ratchet.apply(opened.step, now, rng).map_err(|_| DecryptError::Undecryptable)?;
        self.pending = None;
        Ok(opened.plaintext)
    }
}

impl From<Refused> for DecryptError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Duplicate => Self::Duplicate,
            Refused::TooOld => Self::TooOld,
            Refused::TooFarAhead => Self::TooFarAhead,
            Refused::Undecryptable => Self::Undecryptable,
        }
    }
}
