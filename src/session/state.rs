use alloc::vec::Vec;

use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::message::Wire;
use super::{DecryptError, EncryptError, MAX_UNANSWERED_MS, Name};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::crypto::{KemCiphertext, PublicKey};
use crate::ident::{Address, PrekeyId, RegistrationId, Timestamp};
use crate::ratchet::{Exhausted, Header, MAX_JUMP, MAX_JUMP_SELF, Outgoing, Refused, Step, TripleRatchet};
use crate::suite::signal::{self, Identities};
use crate::suite::v1::{self, Bound, Text, Unsalted};
use crate::suite::{Suite, Undecryptable};
use crate::wire::{
    PreKeySignalMessage, PrekeyHeader, SignalMessage, SignalMessageHeader, SpqrMessage, V1FirstMessage, V1Message,
};

/// The two devices of a session, as both ends see them: it goes into what authenticates every message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) local: Address,
    pub(super) remote: Address,
    pub(super) local_identity: PublicKey,
    pub(super) remote_identity: PublicKey,
}

impl Ends {
    /// Between devices of one user who share an identity key, as Signal's do, chains of suite `Signal` may jump further.
    /// Whoever may write any name can claim to be such a device, and chains are stepped before anything authenticates: in
    /// suite V1, where no peer needs it, nobody may.
    fn max_jump(&self, suite: Suite) -> u32 {
        let same = self.local_identity == self.remote_identity && self.local.user() == self.remote.user();
        #[cfg(test)]
        if planted::is(Defect::FarJumps) {
            return 8 * MAX_JUMP;
        }
        if same && suite == Suite::Signal { MAX_JUMP_SELF } else { MAX_JUMP }
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
    /// The initiator's base key.
    pub(super) base_key: PublicKey,
    /// What a store knows it by: see [`Self::name_of`].
    pub(super) name: Name,
    pub(super) local_registration_id: RegistrationId,
    pub(super) remote_registration_id: RegistrationId,
    pub(super) created: Timestamp,
    pub(super) pending: Option<Pending>,
    /// At the responder: hash of what the first message fixed, which its repetitions repeat.
    pub(super) initiation: Option<[u8; 32]>,
    /// In suite V1: the handshake's transcript, to which every message is bound.
    pub(super) transcript: Option<Transcript>,
    /// Whether it was in use before its store went back in time: it reads where it is, and never sends again.
    pub(super) retired: bool,
    /// Where it stands among the sessions with the device: see the module `preference`.
    pub(super) rank: u32,
    /// How many of its newest messages were read since it was archived, without its becoming the current one.
    pub(super) passed_over: u8,
}

/// What is kept of the transcript of a handshake.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transcript {
    pub(super) hash: [u8; 32],
    /// What names the session in every message; it follows from the hash.
    pub(super) tag: [u8; 8],
}

impl Transcript {
    pub(super) fn new(hash: [u8; 32]) -> Self {
        Self { hash, tag: v1::session_tag(&hash) }
    }
}

impl State {
    /// The tag that names this session in every message of suite V1.
    pub(super) fn tag(&self) -> Option<[u8; 8]> {
        self.transcript.as_ref().map(|transcript| transcript.tag)
    }

    /// Whether a message of suite `Signal` is of a chain of this session.
    pub(super) fn knows(&self, message: &SignalMessage) -> bool {
        self.transcript.is_none() && self.ratchet.knows(&message.ratchet_key)
    }

    /// Started here, never answered, and too old to go on with.
    pub(super) fn is_unanswered_for_long(&self, now: Timestamp) -> bool {
        self.pending.is_some() && now.since(self.created) > MAX_UNANSWERED_MS
    }

    pub(super) fn encrypt(
        &mut self,
        ends: &Ends,
        text: Text<'_>,
        external_ad: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut Vec<u8>,
    ) -> Result<(), EncryptError> {
        if text.len() > self.ratchet.suite().max_plaintext_len() {
            return Err(EncryptError::TooLong);
        }
        if self.transcript.is_none() && !external_ad.is_empty() {
            return Err(EncryptError::NoExternalAd);
        }
        let outgoing = self.ratchet.send(rng).map_err(|Exhausted| EncryptError::Exhausted)?;
        self.seal(ends, outgoing, text, external_ad, rng, out);
        Ok(())
    }

    /// Seals a message with the secret that the ratchets gave for it, and appends it.
    pub(super) fn seal(
        &self,
        ends: &Ends,
        outgoing: Outgoing,
        text: Text<'_>,
        external_ad: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut Vec<u8>,
    ) {
        let Some(pending) = &self.pending else {
            return self.seal_message(ends, outgoing, text, external_ad, rng, out);
        };
        let mut message = Vec::new();
        self.seal_message(ends, outgoing, text, external_ad, rng, &mut message);
        let header = PrekeyHeader {
            registration_id: self.local_registration_id,
            one_time_prekey: pending.one_time_prekey,
            signed_prekey: pending.signed_prekey,
            kem_prekey: pending.kem_prekey,
            kem_ciphertext: &pending.kem_ciphertext,
            base_key: &self.base_key,
            identity_key: &ends.local_identity,
        };
        out.extend_from_slice(&match self.ratchet.suite() {
            Suite::Signal => PreKeySignalMessage::encode(&header, message),
            Suite::V1 => V1FirstMessage::encode(&header, &message),
        });
    }

    fn seal_message(
        &self,
        ends: &Ends,
        outgoing: Outgoing,
        text: Text<'_>,
        external_ad: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut Vec<u8>,
    ) {
        match &self.transcript {
            None => {
                let header = SignalMessageHeader {
                    ratchet_key: outgoing.ratchet,
                    counter: outgoing.counter,
                    previous_counter: outgoing.previous_counter,
                    pq_ratchet: outgoing.pq.to_bytes(),
                    addresses: self.pending.as_ref().and_then(|_| signal::addresses(&ends.local, &ends.remote)),
                };
                let identities = Identities { sender: &ends.local_identity, receiver: &ends.remote_identity };
                signal::seal(&outgoing.secret, identities, header, text.bytes, out);
            }
            Some(Transcript { hash, tag }) => {
                let header = Unsalted {
                    session: *tag,
                    ratchet_key: outgoing.ratchet,
                    counter: outgoing.counter,
                    pq: outgoing.pq.to_bytes(),
                };
                let from_initiator = self.ratchet.is_initiator();
                let bound = Bound { transcript_hash: hash, from_initiator, external_ad };
                v1::seal(&outgoing.secret, bound, header, text, rng, out);
            }
        }
    }

    /// Seals a message of a test's making.
    #[cfg(test)]
    pub(super) fn forge(
        &self,
        ends: &Ends,
        outgoing: Outgoing,
        plaintext: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> super::Ciphertext {
        let mut out = Vec::new();
        self.seal(ends, outgoing, plaintext.into(), &[], rng, &mut out);
        if self.pending.is_some() { super::Ciphertext::First(out) } else { super::Ciphertext::Message(out) }
    }

    /// Opens a message of this session and appends its plaintext; gives what it would change. After an error `out` holds
    /// what it held before.
    pub(super) fn open(
        &self,
        ends: &Ends,
        message: Wire<'_>,
        external_ad: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Step, DecryptError> {
        match (message, &self.transcript) {
            (Wire::Signal(message), None) if external_ad.is_empty() => self.open_signal(ends, message, out),
            (Wire::V1(message), Some(Transcript { hash, tag: _ })) => {
                let from_initiator = !self.ratchet.is_initiator();
                let bound = Bound { transcript_hash: hash, from_initiator, external_ad };
                self.open_v1(ends, message, bound, out)
            }
            // A message of one suite never opens in a session of the other.
            _ => Err(DecryptError::Undecryptable),
        }
    }

    fn open_signal(&self, ends: &Ends, message: &SignalMessage, out: &mut Vec<u8>) -> Result<Step, DecryptError> {
        // Present addresses must be ours; else somebody redirects the message to another device or user.
        if message.addresses.is_some() && message.addresses != signal::addresses(&ends.remote, &ends.local) {
            return Err(DecryptError::Undecryptable);
        }
        let pq = SpqrMessage::parse(&message.pq_ratchet).map_err(|_| DecryptError::Undecryptable)?;
        let header = Header { ratchet: &message.ratchet_key, counter: message.counter, pq: &pq, salt: None };
        let (secret, step) = self.ratchet.receive(&header, ends.max_jump(self.ratchet.suite()))?;
        let identities = Identities { sender: &ends.remote_identity, receiver: &ends.local_identity };
        let start = out.len();
        signal::open(&secret, identities, message, out).map_err(|Undecryptable| DecryptError::Undecryptable)?;
        self.check_len(out, start)?;
        Ok(step)
    }

    fn open_v1(
        &self,
        ends: &Ends,
        message: &V1Message,
        bound: Bound<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Step, DecryptError> {
        if self.tag() != Some(message.session) {
            return Err(DecryptError::Undecryptable);
        }
        let header = Header {
            ratchet: &message.ratchet_key,
            counter: message.counter,
            pq: &message.pq,
            salt: Some(&message.salt),
        };
        let (secret, step) = self.ratchet.receive(&header, ends.max_jump(self.ratchet.suite()))?;
        let start = out.len();
        v1::open(&secret, bound, message, out).map_err(|Undecryptable| DecryptError::Undecryptable)?;
        self.check_len(out, start)?;
        Ok(step)
    }

    /// What no honest device sends is not accepted: hosts may count on the limit.
    fn check_len(&self, out: &mut Vec<u8>, start: usize) -> Result<(), DecryptError> {
        if out.len() - start <= self.ratchet.suite().max_plaintext_len() {
            return Ok(());
        }
        out.get_mut(start..).unwrap_or_default().zeroize();
        out.truncate(start);
        Err(DecryptError::Undecryptable)
    }

    /// Makes the change of a message that [`Self::open`] opened.
    pub(super) fn apply(
        &mut self,
        step: Step,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), DecryptError> {
        self.ratchet.apply(step, now, rng).map_err(|_| DecryptError::Undecryptable)?;
        self.pending = None;
        Ok(())
    }
}

impl From<Refused> for DecryptError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Duplicate => Self::Duplicate,
            Refused::Rewound => Self::Rewound,
            Refused::ReadBefore => Self::ReadBefore,
            Refused::TooOld => Self::TooOld,
            Refused::TooFarAhead => Self::TooFarAhead,
            Refused::Undecryptable => Self::Undecryptable,
        }
    }
}
