use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::state::{Ends, Pending, State};
use super::{MAX_ARCHIVED, Session};
use crate::crypto::{KemCiphertext, PublicKey};
use crate::ident::{PrekeyId, RegistrationId, Timestamp};
use crate::ratchet::{Form, TripleRatchet};
use crate::suite::Suite;
use crate::wire::{
    RecordError, RecordKind, address_from_record, address_to_record, decode_record, encode_record, record,
};

const CORRUPT: RecordError = RecordError::Corrupt;

impl Session {
    /// The stored form, unsealed: `u8 kind ‖ u16 schema version ‖ body`. The same state gives the same bytes.
    ///
    /// # Security
    ///
    /// It holds every key of the session: seal it before it is stored.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (to_bob, _, now, mut rng) = talking();
    /// let stored = to_bob.to_bytes();
    /// let mut to_bob = Session::from_bytes(&stored)?;
    /// let sent = to_bob.encrypt(b"after a restart", now, &mut rng)?;
    /// assert!(sent.is_first(), "Bob has not answered yet");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { ends, current, archived, seen_v1 } = self;
        encode_record(
            RecordKind::Session,
            &record::Session {
                local: Some(address_to_record(&ends.local)),
                remote: Some(address_to_record(&ends.remote)),
                local_identity: ends.local_identity.to_bytes().to_vec(),
                remote_identity: ends.remote_identity.to_bytes().to_vec(),
                has_current: current.is_some(),
                states: current.iter().chain(archived).map(|state| state.to_record(Form::Whole)).collect(),
                seen_v1: *seen_v1,
            },
        )
    }

    /// Takes the stored form, checked.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let stored: record::Session = decode_record(RecordKind::Session, bytes)?;
        let states = stored.states.iter().map(|state| State::from_record(Form::Whole, state));
        let mut states = states.collect::<Result<alloc::collections::VecDeque<_>, _>>()?;
        let current = if stored.has_current { Some(states.pop_front().ok_or(CORRUPT)?) } else { None };
        if states.len() > MAX_ARCHIVED {
            return Err(CORRUPT);
        }
        Ok(Self {
            ends: Ends {
                local: address_from_record(stored.local.as_ref())?,
                remote: address_from_record(stored.remote.as_ref())?,
                local_identity: public_key(&stored.local_identity)?,
                remote_identity: public_key(&stored.remote_identity)?,
            },
            current,
            archived: states,
            seen_v1: stored.seen_v1,
        })
    }
}

fn public_key(bytes: &[u8]) -> Result<PublicKey, RecordError> {
    PublicKey::parse(bytes).map_err(|_| CORRUPT)
}

impl State {
    pub(super) fn to_record(&self, form: Form) -> record::SessionState {
        let Self {
            ratchet,
            base_key,
            local_registration_id,
            remote_registration_id,
            created,
            pending,
            initiation,
            transcript_hash,
            retired: _,
        } = self;
        let (double, spqr) = ratchet.to_record(form);
        record::SessionState {
            suite: ratchet.suite().number(),
            base_key: base_key.to_bytes().to_vec(),
            local_registration_id: local_registration_id.get(),
            remote_registration_id: remote_registration_id.get(),
            created: created.get(),
            pending: pending.as_ref().map(|pending| record::Pending {
                signed_prekey_id: pending.signed_prekey.get(),
                one_time_prekey_id: pending.one_time_prekey.map(PrekeyId::get),
                kem_prekey_id: pending.kem_prekey.get(),
                kem_ciphertext: pending.kem_ciphertext.to_bytes(),
            }),
            double: Some(double),
            spqr: Some(spqr),
            initiation: initiation.map(Vec::from).unwrap_or_default(),
            transcript_hash: transcript_hash.map(Vec::from).unwrap_or_default(),
        }
    }

    pub(super) fn from_record(form: Form, stored: &record::SessionState) -> Result<Self, RecordError> {
        let suite = Suite::from_number(stored.suite).ok_or(CORRUPT)?;
        let pending = match &stored.pending {
            None => None,
            Some(pending) => Some(Pending {
                signed_prekey: PrekeyId::new(pending.signed_prekey_id),
                one_time_prekey: pending.one_time_prekey_id.map(PrekeyId::new),
                kem_prekey: PrekeyId::new(pending.kem_prekey_id),
                kem_ciphertext: KemCiphertext::parse(&pending.kem_ciphertext).map_err(|_| CORRUPT)?,
            }),
        };
        let hash = |bytes: &[u8]| match bytes {
            [] => Ok(None),
            hash => hash.try_into().map(Some).map_err(|_| CORRUPT),
        };
        let transcript_hash = hash(&stored.transcript_hash)?;
        if transcript_hash.is_some() != (suite == Suite::V1) {
            return Err(CORRUPT);
        }
        Ok(Self {
            initiation: hash(&stored.initiation)?,
            transcript_hash,
            ratchet: TripleRatchet::from_record(form, suite, stored.double.as_ref(), stored.spqr.as_ref())?,
            base_key: public_key(&stored.base_key)?,
            local_registration_id: RegistrationId::new(stored.local_registration_id),
            remote_registration_id: RegistrationId::new(stored.remote_registration_id),
            created: Timestamp::new(stored.created),
            pending,
            retired: false,
        })
    }
}
