use alloc::collections::VecDeque;
use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::state::{Ends, State, Transcript};
use super::{AcceptError, DecryptError, FirstMessage, PrekeyKind, Session};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::handshake::{self, Initiation};
use crate::ident::{Address, PrekeyId, Timestamp};
use crate::prekey::{Device, PrekeySecrets};
use crate::ratchet::TripleRatchet;
use crate::suite::Suite;

/// An accepted first message.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// What the sender encrypted.
    pub plaintext: Vec<u8>,
    /// Which prekeys are used up.
    pub consumed: ConsumedPrekeys,
}

impl core::fmt::Debug for Accepted {
    // What people write does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { plaintext: _, consumed } = self;
        f.debug_struct("Accepted").field("consumed", consumed).finish_non_exhaustive()
    }
}

/// Prekeys that an accepted first message has used up: delete their private halves **in the same transaction** that
/// stores the session. Until they are gone, whoever seizes the device can decrypt the first messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumedPrekeys {
    /// The one-time X25519 prekey.
    pub one_time: Option<PrekeyId>,
    /// The one-time KEM prekey; a last-resort one stays.
    pub kem: Option<PrekeyId>,
}

impl Session {
    /// Accepts a first message from a device with which there is no session yet (PQXDH as responder).
    ///
    /// The identity key in the message becomes the session's: compare it with what is known of the sender.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; nothing was changed, nor any prekey used up.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, ..), (bob, signed, kem, now, mut rng)) = (setup("alice"), setup("bob"));
    /// let bundle = bob.bundle(&signed, &kem, None).verify()?;
    /// let mut to_bob = Session::initiate(&alice, &bundle, now, &mut rng)?;
    /// let first = FirstMessage::parse(to_bob.encrypt(b"Hello", now, &mut rng)?.bytes())?;
    /// let mut seen = SeenBaseKeys::default();
    /// let mut prekeys = PrekeySecrets { signed: &signed, kem: &kem, one_time: None, seen: &mut seen };
    /// let (to_alice, accepted) = Session::accept(&bob, alice.address(), &first, &mut prekeys, now, &mut rng)?;
    /// assert_eq!(accepted.plaintext, b"Hello");
    /// assert_eq!(to_alice.remote_identity(), alice.identity_key());
    /// # Ok(())
    /// # }
    /// ```
    pub fn accept(
        device: &Device,
        from: &Address,
        first: &FirstMessage,
        prekeys: &mut PrekeySecrets<'_>,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Accepted), AcceptError> {
        let ends = Ends {
            local: device.address().clone(),
            remote: from.clone(),
            local_identity: *device.identity_key(),
            remote_identity: *first.identity_key(),
        };
        let (state, accepted) = accept(device, &ends, first, prekeys, now, rng)?;
        let seen_v1 = first.suite() == Suite::V1;
        Ok((Self { ends, current: Some(state), archived: VecDeque::new(), seen_v1, ranks: 0 }, accepted))
    }

    /// Whether a first message belongs to a session that is here already: then it is accepted without prekeys.
    #[must_use]
    pub fn recognizes(&self, first: &FirstMessage) -> bool {
        self.position_of(first.base_key()).is_some()
    }

    /// Accepts a first message from this device: one that repeats the start of a session that is here, or one that
    /// starts another session, which becomes the current one (both sides may have started at the same time).
    ///
    /// `prekeys` may be `None` where the session [recognizes](Self::recognizes) the message.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; nothing was changed, nor any prekey used up.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, ..), (bob, signed, kem, now, mut rng)) = (setup("alice"), setup("bob"));
    /// let bundle = bob.bundle(&signed, &kem, None).verify()?;
    /// let mut to_bob = Session::initiate(&alice, &bundle, now, &mut rng)?;
    /// let mut seen = SeenBaseKeys::default();
    /// let mut prekeys = PrekeySecrets { signed: &signed, kem: &kem, one_time: None, seen: &mut seen };
    /// let first = FirstMessage::parse(to_bob.encrypt(b"one", now, &mut rng)?.bytes())?;
    /// let (mut to_alice, _) = Session::accept(&bob, alice.address(), &first, &mut prekeys, now, &mut rng)?;
    /// // Alice has had no answer yet, so her next message repeats the start.
    /// let second = FirstMessage::parse(to_bob.encrypt(b"two", now, &mut rng)?.bytes())?;
    /// assert!(to_alice.recognizes(&second));
    /// assert_eq!(to_alice.accept_next(&bob, &second, None, now, &mut rng)?.plaintext, b"two");
    /// # Ok(())
    /// # }
    /// ```
    pub fn accept_next(
        &mut self,
        device: &Device,
        first: &FirstMessage,
        prekeys: Option<&mut PrekeySecrets<'_>>,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Accepted, AcceptError> {
        if *first.identity_key() != self.ends.remote_identity || *device.identity_key() != self.ends.local_identity {
            return Err(AcceptError::IdentityChanged);
        }
        if let Some(at) = self.position_of(first.base_key()) {
            let state = self.state_at(at).ok_or(DecryptError::NoSession)?;
            // Neither one's own first message sent back, nor one with another handshake before the same message.
            if state.initiation != Some(first.initiation_hash()) {
                return Err(AcceptError::Message(DecryptError::Undecryptable));
            }
            // Whoever has an answer sends no first message any more: all of them are of the first chain.
            if !state.ratchet.knows(first.inner().ratchet_key()) {
                #[cfg(test)]
                if planted::is(Defect::PastIsPresent) {
                    return Err(AcceptError::Replayed);
                }
                return Err(AcceptError::LongPast);
            }
            let mut plaintext = Vec::new();
            let step = state.open(&self.ends, first.inner(), first.external_ad(), &mut plaintext)?;
            self.apply(at, step, now, rng)?;
            return Ok(Accepted { plaintext, consumed: ConsumedPrekeys::default() });
        }
        if self.seen_v1 && first.suite() == Suite::Signal {
            return Err(AcceptError::SuiteDowngrade);
        }
        let prekeys = prekeys.ok_or(AcceptError::NeedsPrekeys)?;
        let (state, accepted) = accept(device, &self.ends, first, prekeys, now, rng)?;
        self.install_theirs(state);
        self.seen_v1 |= first.suite() == Suite::V1;
        Ok(accepted)
    }
}

fn accept(
    device: &Device,
    ends: &Ends,
    first: &FirstMessage,
    prekeys: &mut PrekeySecrets<'_>,
    now: Timestamp,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(State, Accepted), AcceptError> {
    let needs = first.needs();
    if prekeys.seen.contains(first.base_key()) {
        return Err(AcceptError::Replayed);
    }
    if prekeys.seen.is_full() {
        return Err(AcceptError::PrekeyWornOut);
    }
    let suite = needs.suite;
    if !device.suites().contains(suite) {
        return Err(AcceptError::SuiteNotEnabled);
    }
    if prekeys.signed.id() != needs.signed || prekeys.signed.suite() != suite {
        return Err(AcceptError::UnknownPrekey(PrekeyKind::Signed, needs.signed));
    }
    if prekeys.kem.id() != needs.kem || prekeys.kem.suite() != suite {
        return Err(AcceptError::UnknownPrekey(PrekeyKind::Kem, needs.kem));
    }
    let one_time = match (needs.one_time, prekeys.one_time) {
        (None, _) => None,
        (Some(id), Some(prekey)) if prekey.id() == id && prekey.suite() == suite => Some(prekey),
        (Some(id), _) => return Err(AcceptError::UnknownPrekey(PrekeyKind::OneTime, id)),
    };
    let initiation = Initiation {
        identity_key: first.identity_key(),
        base_key: first.base_key(),
        kem_ciphertext: first.kem_ciphertext(),
    };
    let accepted = handshake::accept(device, &ends.remote, prekeys, one_time, initiation);
    let (keys, transcript_hash) = accepted.map_err(|_| AcceptError::BadKey)?;
    let transcript = transcript_hash.map(Transcript::new);
    let mut state = State {
        name: State::name_of(first.base_key(), transcript.as_ref()),
        ratchet: TripleRatchet::responder(suite, keys, prekeys.signed.pair().clone()),
        base_key: *first.base_key(),
        local_registration_id: device.registration_id(),
        remote_registration_id: first.registration_id(),
        created: now,
        pending: None,
        initiation: Some(first.initiation_hash()),
        transcript,
        retired: false,
        rank: 0,
        passed_over: 0,
    };
    let mut plaintext = Vec::new();
    let step = state.open(ends, first.inner(), first.external_ad(), &mut plaintext)?;
    state.apply(step, now, rng)?;
    prekeys.seen.insert(first.base_key());
    let consumed = ConsumedPrekeys {
        one_time: one_time.map(|prekey| prekey.id()),
        kem: (!prekeys.kem.is_last_resort()).then_some(needs.kem),
    };
    Ok((state, Accepted { plaintext, consumed }))
}
