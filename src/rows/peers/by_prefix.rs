//! Which archived session a message of suite `Signal` is of, which names none: the list of the archived sessions has
//! prefixes of the ratchet keys that each of them knows.
//!
//! Prefixes are a hint. The session that has one is brought, and only if it knows the whole ratchet key the message is
//! decrypted with it, as with a session held in memory. If none does, nothing was lost: the message goes the way of those
//! with a ratchet key that no session knows, for which the current session is tried, then all others. So neither another
//! process, nor a list without prefixes, nor one that is damaged changes what becomes of a message, only what it costs.
//!
//! They are true nevertheless: whatever changes the chains of an archived session writes its record and the list in one
//! batch, and the list was read in the same operation, which checks its version.

use super::archive::Archive;
use super::peer::Peer;
use crate::rows::Core;
use crate::session::SessionMessage;
use crate::staging::{Stop, StoredError, Workspace, unless_damaged};
use crate::wire::RecordKind;

impl Peer {
    /// Brings the archived sessions that have the prefix of this message, if it is not of a session that is here.
    pub(crate) fn bring_by_prefix(
        &mut self,
        core: &Core,
        work: &mut Workspace<'_>,
        message: &SessionMessage,
    ) -> Result<(), Stop<StoredError>> {
        let Some(prefix) = message.prefix() else { return Ok(()) };
        if !self.has_archived() || self.session.sender_of(message).is_some() {
            return Ok(());
        }
        // Damage is found where there is no other way to go on.
        let names = unless_damaged(Archive::peek(core, work, &self.address))?.unwrap_or_default().with_prefix(prefix);
        if names.is_empty() {
            return Ok(());
        }
        // One that opens the message takes the current one's place.
        if !self.session.has_seen_v1() {
            self.announce_places(core, work, self.session.current_name());
        }
        work.announce(names.iter().map(|name| core.session_key(RecordKind::Archived, &self.address, *name)));
        for name in names {
            unless_damaged(self.bring(core, work, name))?;
        }
        Ok(())
    }
}
