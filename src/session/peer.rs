use alloc::collections::VecDeque;

use rand_core::CryptoRng;

use super::state::{Ends, Pending, State, Transcript};
use super::{InitiateError, MAX_ARCHIVED};
use crate::crypto::{KeyPair, PublicKey};
use crate::handshake::{self, Initiated};
use crate::ident::{Address, RegistrationId, Timestamp};
use crate::prekey::rotation::MAX_PREKEY_AGE_MS;
use crate::prekey::{Bundle, Device};
use crate::ratchet::TripleRatchet;
use crate::suite::Suite;

/// Everything shared with one device of a peer.
///
/// It holds a current session, with which it encrypts, and up to 40 archived ones, with which late messages are
/// still decrypted. Both addresses and both identity keys are fixed when it is made.
///
/// # Security
///
/// Store [`Session::to_bytes`] sealed, before anything that [`Session::encrypt`] gave is sent and before anything
/// that a decryption gave is acknowledged. **Never go on with an older copy**: in suite
/// [`Signal`](Suite::Signal) it would encrypt two messages with one key.
///
/// # Examples
///
/// See the [module](crate::session).
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) ends: Ends,
    pub(super) current: Option<State>,
    /// Newest first.
    pub(super) archived: VecDeque<State>,
    /// Whether the peer device was ever seen with suite V1: from then on it is given nothing weaker.
    pub(super) seen_v1: bool,
    /// The highest rank that a session was given: see the module `preference`.
    pub(super) ranks: u32,
}

impl Session {
    /// Starts a session from a peer's bundle (PQXDH as initiator). The first message can be encrypted at once.
    ///
    /// # Errors
    ///
    /// [`InitiateError::BadKey`], [`InitiateError::StalePrekey`], [`InitiateError::SuiteNotEnabled`] or
    /// [`InitiateError::SuiteDowngrade`].
    ///
    /// # Security
    ///
    /// The bundle says whose it is: compare [`Bundle::address`] with the device that was asked for, and
    /// [`Bundle::identity_key`] with what is known of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, ..), (bob, signed, kem, now, mut rng)) = (setup("alice"), setup("bob"));
    /// let bundle = bob.bundle(&signed, &kem, None).verify()?;
    /// let mut to_bob = Session::initiate(&alice, &bundle, now, &mut rng)?;
    /// assert!(to_bob.encrypt(b"Hello", now, &mut rng)?.is_first());
    /// # Ok(())
    /// # }
    /// ```
    pub fn initiate(
        device: &Device,
        bundle: &Bundle,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, InitiateError> {
        let ends = Ends {
            local: device.address().clone(),
            remote: bundle.address().clone(),
            local_identity: *device.identity_key(),
            remote_identity: *bundle.identity_key(),
        };
        let current = Some(initiate(device, bundle, now, rng)?);
        Ok(Self { ends, current, archived: VecDeque::new(), seen_v1: bundle.suite() == Suite::V1, ranks: 0 })
    }

    /// Starts another session with the same device and archives the current one: when that was never answered, or
    /// its messages cannot be decrypted any more.
    ///
    /// # Errors
    ///
    /// [`InitiateError`]; nothing was changed.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ((alice, ..), (bob, signed, kem, now, mut rng)) = (setup("alice"), setup("bob"));
    /// let bundle = bob.bundle(&signed, &kem, None).verify()?;
    /// let mut to_bob = Session::initiate(&alice, &bundle, now, &mut rng)?;
    /// to_bob.restart(&alice, &bundle, now, &mut rng)?;
    /// assert_eq!(to_bob.archived(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn restart(
        &mut self,
        device: &Device,
        bundle: &Bundle,
        now: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), InitiateError> {
        if *bundle.address() != self.ends.remote || *device.address() != self.ends.local {
            return Err(InitiateError::WrongDevice);
        }
        if *bundle.identity_key() != self.ends.remote_identity || *device.identity_key() != self.ends.local_identity {
            return Err(InitiateError::IdentityChanged);
        }
        if self.seen_v1 && bundle.suite() == Suite::Signal {
            return Err(InitiateError::SuiteDowngrade);
        }
        let state = initiate(device, bundle, now, rng)?;
        self.install_own(state);
        self.seen_v1 |= bundle.suite() == Suite::V1;
        Ok(())
    }

    /// Archives the current session: nothing more is sent with it, late messages of it are still decrypted.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (mut to_bob, mut to_alice, now, mut rng) = talking();
    /// to_bob.archive();
    /// assert_eq!(to_bob.encrypt(b"x", now, &mut rng), Err(EncryptError::NoSession));
    /// let late = to_alice.encrypt(b"late", now, &mut rng)?;
    /// assert_eq!(to_bob.decrypt(&SessionMessage::parse(late.bytes())?, now, &mut rng)?, b"late");
    /// # Ok(())
    /// # }
    /// ```
    pub fn archive(&mut self) {
        if let Some(mut state) = self.current.take() {
            // Whoever sends in it again starts with what it has learned, not with the handshake.
            state.pending = None;
            state.passed_over = 0;
            self.archived.push_front(state);
            self.archived.truncate(MAX_ARCHIVED);
        }
    }

    /// Deletes the keys of late messages that are older than 30 days, in all sessions. Nothing else deletes keys for their
    /// age, whatever the time that is given with messages: a host calls this daily, with a clock that it trusts.
    pub fn expire(&mut self, now: Timestamp) {
        for state in self.current.iter_mut().chain(&mut self.archived) {
            state.ratchet.expire(now);
        }
    }

    /// One's own address.
    #[must_use]
    pub const fn local_address(&self) -> &Address {
        &self.ends.local
    }

    /// The peer device's address.
    #[must_use]
    pub const fn remote_address(&self) -> &Address {
        &self.ends.remote
    }

    /// The peer device's identity key.
    #[must_use]
    pub const fn remote_identity(&self) -> &PublicKey {
        &self.ends.remote_identity
    }

    /// The peer's registration id, as the bundle or the first message gave it. Nothing
    /// authenticates it: it tells a server of a re-installation, and nobody of anything else.
    #[must_use]
    pub fn remote_registration_id(&self) -> Option<RegistrationId> {
        self.current.as_ref().map(|state| state.remote_registration_id)
    }

    /// Whether there is a current session to encrypt with.
    #[must_use]
    pub const fn has_current(&self) -> bool {
        self.current.is_some()
    }

    /// How many sessions are archived: at most [`MAX_ARCHIVED`].
    #[must_use]
    pub fn archived(&self) -> usize {
        self.archived.len()
    }

    /// Whether [`Self::encrypt`] has a session to encrypt with now.
    #[must_use]
    pub fn can_send(&self, now: Timestamp) -> bool {
        self.current.as_ref().is_some_and(|current| !current.is_unanswered_for_long(now))
    }

    /// Whether the current session was started here and the peer has not answered: every message is a
    /// [`Ciphertext::First`](super::Ciphertext::First).
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.current.as_ref().is_some_and(|state| state.pending.is_some())
    }

    /// When the session was made that is sent with, if there is one that [can be](Self::can_send).
    pub(crate) fn sends_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.current.as_ref().filter(|current| !current.is_unanswered_for_long(now)).map(|current| current.created)
    }

    /// When the current session was started here, if the peer has not answered it.
    pub(crate) fn unanswered_since(&self) -> Option<Timestamp> {
        self.current.as_ref().filter(|state| state.pending.is_some()).map(|state| state.created)
    }

    /// Whether the current session was started here with the prekeys of this bundle, and was not answered.
    pub(crate) fn is_pending_of(&self, bundle: &Bundle) -> bool {
        let pending = self.current.as_ref().and_then(|state| state.pending.as_ref());
        let parts = bundle.parts();
        let same = |pending: &Pending| {
            pending.signed_prekey == parts.signed_prekey.id && pending.kem_prekey == parts.kem_prekey.id
        };
        self.suite() == Some(bundle.suite()) && pending.is_some_and(same)
    }

    /// Whether the peer device was ever seen with suite V1.
    pub(crate) const fn has_seen_v1(&self) -> bool {
        self.seen_v1
    }

    /// The current session's suite.
    #[must_use]
    pub fn suite(&self) -> Option<Suite> {
        self.current.as_ref().map(|state| state.ratchet.suite())
    }

    /// Completed epochs of the post-quantum ratchet in the current session: each is a fresh ML-KEM-768 secret mixed
    /// into every later key.
    #[must_use]
    pub fn pq_epochs(&self) -> u64 {
        self.current.as_ref().map_or(0, |state| state.ratchet.pq_epochs())
    }

    /// All sessions: the current one, if there is one, then the archived ones, newest first.
    pub(super) fn states(&self) -> impl Iterator<Item = &State> {
        self.current.iter().chain(&self.archived)
    }

    /// Makes `state` the current session; the former one goes to the head of the archive.
    pub(super) fn install(&mut self, state: State) {
        self.archive();
        self.current = Some(state);
    }

    /// Where the session of this base key is among [`Self::states`].
    pub(super) fn position_of(&self, base_key: &PublicKey) -> Option<usize> {
        self.states().position(|state| state.base_key == *base_key)
    }

    /// The session at this position of [`Self::states`].
    pub(super) fn state_at(&self, at: usize) -> Option<&State> {
        match (&self.current, at) {
            (Some(current), 0) => Some(current),
            (Some(_), at) => self.archived.get(at - 1),
            (None, at) => self.archived.get(at),
        }
    }
}

fn initiate(
    device: &Device,
    bundle: &Bundle,
    now: Timestamp,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<State, InitiateError> {
    let parts = bundle.parts();
    if !device.suites().contains(parts.suite) {
        return Err(InitiateError::SuiteNotEnabled);
    }
    // In suite `Signal` nothing vouches for the offer; where a server does not hide it, it is heeded.
    if parts.suite == Suite::Signal && device.suites().contains(Suite::V1) && bundle.suites().contains(Suite::V1) {
        return Err(InitiateError::SuiteDowngrade);
    }
    if parts.suite == Suite::V1 {
        // In either direction: what claims to come from the far future was made under a wrong clock.
        let far = |created: Timestamp| now.since(created).max(created.since(now)) > MAX_PREKEY_AGE_MS;
        if far(parts.signed_prekey.created) || (parts.kem_is_last_resort && far(parts.kem_prekey.created)) {
            return Err(InitiateError::StalePrekey);
        }
    }
    let Initiated { keys, base_key, signed_prekey, kem_ciphertext, transcript_hash } =
        handshake::initiate(device, bundle, rng).map_err(|_| InitiateError::BadKey)?;
    // The base key is used in the handshake only; the ratchet starts with a key of its own.
    let ratchet = KeyPair::generate(rng);
    let ratchet =
        TripleRatchet::initiator(parts.suite, keys, ratchet, &signed_prekey).map_err(|_| InitiateError::BadKey)?;
    let transcript = transcript_hash.map(Transcript::new);
    Ok(State {
        ratchet,
        name: State::name_of(&base_key, transcript.as_ref()),
        base_key,
        local_registration_id: device.registration_id(),
        remote_registration_id: parts.registration_id,
        created: now,
        pending: Some(Pending {
            signed_prekey: parts.signed_prekey.id,
            one_time_prekey: parts.one_time_prekey.map(|(id, _)| id),
            kem_prekey: parts.kem_prekey.id,
            kem_ciphertext,
        }),
        initiation: None,
        transcript,
        retired: false,
        rank: 0,
        passed_over: 0,
    })
}
