//! Sessions under an identity key that is not accepted: untrusted beside the known one, until the host decides.

use crate::crypto::PublicKey;
use crate::ident::Address;
use crate::rows::Core;
use crate::session::Session;
use crate::staging::{Stop, StoredError, Workspace, stored};
use crate::wire::{FieldReader, FieldWriter, RecordError, RecordKind};

impl Core {
    pub(crate) fn load_untrusted(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
    ) -> Result<Option<Session>, Stop<StoredError>> {
        let kind = RecordKind::UntrustedSession;
        let key = self.peer_key(kind, address);
        let Some(bytes) = work.read(&self.keys, kind, key)? else { return Ok(None) };
        let (generation, session) = read(bytes).map_err(stored(kind))?;
        if generation != self.generation {
            // What was sent in it before the store went back in time is not known. Nobody relies on it yet: it is gone.
            return Ok(None);
        }
        Ok(Some(Session::from_bytes(session).map_err(stored(kind))?))
    }

    /// The key that the user is to decide upon, also where the session under it is of before the store went back in time.
    pub(crate) fn untrusted_identity(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
    ) -> Result<Option<PublicKey>, Stop<StoredError>> {
        let kind = RecordKind::UntrustedSession;
        let Some(bytes) = work.read(&self.keys, kind, self.peer_key(kind, address))? else { return Ok(None) };
        let session = read(bytes).and_then(|(_, session)| Session::from_bytes(session)).map_err(stored(kind))?;
        Ok(Some(*session.remote_identity()))
    }

    pub(crate) fn save_untrusted(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
        untrusted: &Session,
    ) -> Result<(), Stop<StoredError>> {
        let key = self.peer_key(RecordKind::UntrustedSession, address);
        work.row(key)?;
        let session = untrusted.to_bytes();
        let mut out = FieldWriter::row(RecordKind::UntrustedSession, session.len() + 20);
        out.number(1, self.generation);
        out.bytes(2, &session);
        work.put(&self.keys, key, out.into_record());
        Ok(())
    }
}

/// The store's generation, and a record of kind Session.
fn read(bytes: &[u8]) -> Result<(u64, &[u8]), RecordError> {
    let mut fields = FieldReader::record(RecordKind::UntrustedSession, bytes)?;
    let untrusted = (fields.number(1)?, fields.bytes(2)?);
    fields.end()?;
    Ok(untrusted)
}
