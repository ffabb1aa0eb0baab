//! A first message and the prekeys that it uses up.

use alloc::vec::Vec;

use super::refusal::Refusal;
use crate::crypto::{PublicKey, SecretBytes, sha256};
use crate::ident::Address;
use crate::prekey::{KemPrekey, OneTimePrekey, PrekeySecrets, SeenBaseKeys, SignedPrekey};
use crate::rows::{Core, SEEN_SHARDS};
use crate::session::{AcceptError, Accepted, FirstMessage, PrekeyKind};
use crate::staging::Workspace;
use crate::wire::RecordKind;

/// So many in one of the records: about [`SeenBaseKeys::WORN`] in all.
const WORN: usize = SeenBaseKeys::WORN / 64;

impl Core {
    /// Everything that a first message most likely needs, in one round.
    pub(in crate::client) fn announce_first(&self, work: &mut Workspace<'_>, from: &Address, first: &FirstMessage) {
        let needs = first.needs();
        let one_time = needs.one_time.map(|id| self.prekey_key(RecordKind::OneTimePrekey, needs.suite, id));
        work.announce(one_time);
        work.announce([
            self.device_key(),
            self.prekey_key(RecordKind::SignedPrekey, needs.suite, needs.signed),
            self.prekey_key(RecordKind::KemPrekey, needs.suite, needs.kem),
            self.seen_key(needs.suite, needs.signed, shard_of(first.base_key())),
            self.peer_key(RecordKind::Archive, from),
            self.peer_key(RecordKind::Pin, from),
            self.page_key(self.page_of(from)),
        ]);
        work.announce(self.wish_keys(from));
    }

    /// Reads the prekeys that a first message needs, has it accepted, and writes what that uses up.
    pub(in crate::client) fn adopt<S>(
        &self,
        work: &mut Workspace<'_>,
        first: &FirstMessage,
        accept: impl FnOnce(&mut Workspace<'_>, &mut PrekeySecrets<'_>) -> Result<(S, Accepted), AcceptError>,
    ) -> Result<(S, Vec<u8>), Refusal> {
        let needs = first.needs();
        let (suite, unknown) = (needs.suite, AcceptError::UnknownPrekey);
        let signed_key = self.prekey_key(RecordKind::SignedPrekey, suite, needs.signed);
        let signed = self.read(work, RecordKind::SignedPrekey, signed_key, SignedPrekey::from_bytes)?;
        let signed = signed.ok_or_else(|| unknown(PrekeyKind::Signed, needs.signed))?;
        let kem_key = self.prekey_key(RecordKind::KemPrekey, suite, needs.kem);
        let kem = self.read(work, RecordKind::KemPrekey, kem_key, KemPrekey::from_bytes)?;
        let kem = kem.ok_or_else(|| unknown(PrekeyKind::Kem, needs.kem))?;
        let one_time_key = needs.one_time.map(|id| self.prekey_key(RecordKind::OneTimePrekey, suite, id));
        let one_time = match one_time_key {
            Some(key) => self.read(work, RecordKind::OneTimePrekey, key, OneTimePrekey::from_bytes)?,
            None => None,
        };
        let seen_key = self.seen_key(suite, needs.signed, shard_of(first.base_key()));
        let seen = self.read(work, RecordKind::SeenBaseKeys, seen_key, SeenBaseKeys::from_bytes)?;
        let mut seen = seen.unwrap_or_default();
        let mut prekeys = PrekeySecrets { signed: &signed, kem: &kem, one_time: one_time.as_ref(), seen: &mut seen };
        let (session, Accepted { plaintext, consumed }) = accept(work, &mut prekeys)?;
        if seen.len() == WORN {
            self.mark_worn(work, suite, needs.signed)?;
        }
        work.put(&self.keys, seen_key, SecretBytes::new(seen.to_bytes()));
        if let (Some(key), Some(_)) = (one_time_key, consumed.one_time) {
            work.delete(key);
        }
        if consumed.kem.is_some() {
            work.delete(kem_key);
        }
        Ok((session, plaintext))
    }
}

/// Which of the records remembers a first message.
fn shard_of(base_key: &PublicKey) -> u8 {
    let [first, ..] = sha256(&[&base_key.to_bytes()]);
    first % SEEN_SHARDS
}
