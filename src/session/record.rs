use alloc::collections::VecDeque;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::state::{Ends, Pending, State, Transcript};
use super::{MAX_ARCHIVED, Session};
use crate::crypto::KemCiphertext;
use crate::ident::{PrekeyId, RegistrationId, Timestamp};
use crate::ratchet::{Form, TripleRatchet};
use crate::suite::Suite;
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind, read_address, read_public_key, write_address};

const CORRUPT: RecordError = RecordError::Corrupt;

/// What a session without archived ones and skipped message keys takes, mostly.
pub(crate) const RECORD_CAPACITY: usize = 6 * 1024;

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
        let mut out = FieldWriter::record(RecordKind::Session, RECORD_CAPACITY);
        self.write(Form::Whole, &mut out);
        out.finish().into()
    }

    /// Takes the stored form, checked.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are damaged, of another kind, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        Self::read(Form::Whole, FieldReader::record(RecordKind::Session, bytes)?, &[])
    }

    /// Writes the session; in the hot form without its archived ones, which have records of their own.
    pub(super) fn write(&self, form: Form, out: &mut FieldWriter) {
        let Self { ends, current, archived, seen_v1, ranks } = self;
        write_address(out, 1, &ends.local);
        write_address(out, 2, &ends.remote);
        out.number(3, current.is_some());
        for state in current.iter().chain(archived.iter().filter(|_| form == Form::Whole)) {
            out.message(4, |out| state.write(form, out));
        }
        out.number(5, (u64::from(*ranks) << 1) | u64::from(*seen_v1));
        out.bytes(6, &ends.local_identity.to_bytes());
        out.bytes(7, &ends.remote_identity.to_bytes());
    }

    pub(super) fn read(form: Form, mut fields: FieldReader<'_>, tail: &[u8]) -> Result<Self, RecordError> {
        let (local, remote) = (read_address(&mut fields, 1)?, read_address(&mut fields, 2)?);
        let current = match fields.flag(3)? {
            true => Some(State::read(form, fields.some_message(4)?, tail)?),
            false if tail.is_empty() => None,
            false => return Err(CORRUPT),
        };
        let mut archived = VecDeque::new();
        while let Some(state) = fields.message(4)? {
            if form != Form::Whole || archived.len() == MAX_ARCHIVED {
                return Err(CORRUPT);
            }
            archived.push_back(State::read(form, state, &[])?);
        }
        let bits = fields.number(5)?;
        let (seen_v1, ranks) = (bits & 1 == 1, u32::try_from(bits >> 1).map_err(|_| CORRUPT)?);
        let local_identity = read_public_key(&mut fields, 6)?;
        let remote_identity = read_public_key(&mut fields, 7)?;
        fields.end()?;
        Ok(Self { ends: Ends { local, remote, local_identity, remote_identity }, current, archived, seen_v1, ranks })
    }
}

impl Pending {
    fn write(&self, out: &mut FieldWriter) {
        let Self { signed_prekey, one_time_prekey, kem_prekey, kem_ciphertext } = self;
        out.number(1, signed_prekey.get());
        out.optional(2, one_time_prekey.map(PrekeyId::get));
        out.number(3, kem_prekey.get());
        out.bytes(4, &kem_ciphertext.to_bytes());
    }

    fn read(mut fields: FieldReader<'_>) -> Result<Self, RecordError> {
        let signed_prekey = PrekeyId::new(fields.small(1)?);
        let one_time_prekey = fields.optional(2)?.map(u32::try_from).transpose().map_err(|_| CORRUPT)?;
        let kem_prekey = PrekeyId::new(fields.small(3)?);
        let kem_ciphertext = KemCiphertext::parse(fields.bytes(4)?).map_err(|_| CORRUPT)?;
        fields.end()?;
        Ok(Self { signed_prekey, one_time_prekey: one_time_prekey.map(PrekeyId::new), kem_prekey, kem_ciphertext })
    }
}

impl State {
    pub(super) fn write(&self, form: Form, out: &mut FieldWriter) {
        let Self {
            ratchet,
            base_key,
            name: _,
            local_registration_id,
            remote_registration_id,
            created,
            pending,
            initiation,
            transcript,
            retired: _,
            rank,
            passed_over,
        } = self;
        out.number(1, ratchet.suite().number());
        out.bytes(2, &base_key.to_bytes());
        out.number(3, local_registration_id.get());
        out.number(4, remote_registration_id.get());
        out.number(5, created.get());
        if let Some(pending) = pending {
            out.message(6, |out| pending.write(out));
        }
        ratchet.write(form, out, 7, 8);
        out.bytes(9, initiation.as_ref().map_or(&[], |hash| &hash[..]));
        out.bytes(10, transcript.as_ref().map_or(&[], |transcript| &transcript.hash[..]));
        out.number(11, *rank);
        out.number(12, *passed_over);
    }

    pub(super) fn read(form: Form, mut fields: FieldReader<'_>, tail: &[u8]) -> Result<Self, RecordError> {
        let suite = Suite::from_number(fields.small(1)?).ok_or(CORRUPT)?;
        let base_key = read_public_key(&mut fields, 2)?;
        let local_registration_id = RegistrationId::new(fields.small(3)?);
        let remote_registration_id = RegistrationId::new(fields.small(4)?);
        let created = Timestamp::new(fields.number(5)?);
        let pending = fields.message(6)?.map(Pending::read).transpose()?;
        let ratchet = TripleRatchet::read(form, suite, &mut fields, 7, 8, tail)?;
        let (initiation, transcript_hash) = (read_hash(&mut fields, 9)?, read_hash(&mut fields, 10)?);
        let (rank, passed_over) = (fields.small(11)?, fields.small(12)?);
        fields.end()?;
        if transcript_hash.is_some() != (suite == Suite::V1) {
            return Err(CORRUPT);
        }
        let transcript = transcript_hash.map(Transcript::new);
        Ok(Self {
            ratchet,
            name: Self::name_of(&base_key, transcript.as_ref()),
            base_key,
            local_registration_id,
            remote_registration_id,
            created,
            pending,
            initiation,
            transcript,
            retired: false,
            rank,
            passed_over,
        })
    }
}

fn read_hash(fields: &mut FieldReader<'_>, field: u32) -> Result<Option<[u8; 32]>, RecordError> {
    match fields.bytes(field)? {
        [] => Ok(None),
        hash => hash.try_into().map(Some).map_err(|_| CORRUPT),
    }
}
