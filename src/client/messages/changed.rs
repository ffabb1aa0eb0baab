//! Messages under an identity key that is not accepted: their session is parked, until the host decides.

use alloc::boxed::Box;

use super::receive::{Opened, Refusal, Saving};
use crate::client::contacts::IdentityStatus;
use crate::rows::{Core, Peer};
use crate::session::{self, AcceptError, DecryptError, FirstMessage, Session};
use crate::staging::Workspace;
use crate::suite::Suite;

impl Core {
    /// A message in the session under an identity key that is not accepted.
    pub(in crate::client) fn receive_parked(
        &self,
        work: &mut Workspace<'_>,
        peer: Box<Peer>,
        message: &session::SessionMessage,
    ) -> Result<(Saving, Opened), Refusal> {
        let mut parked = self.load_parked(work, &peer.address)?.ok_or(DecryptError::NoSession)?;
        let plaintext = parked.decrypt(message, work.now, &mut work.rng)?;
        let identity = IdentityStatus::Changed(*parked.remote_identity());
        Ok((Saving { peer, parked: Some(parked), look: false }, Opened { plaintext, identity }))
    }

    /// A first message under another identity key: its session is parked beside the known one, until the host decides.
    pub(in crate::client) fn receive_first_changed(
        &self,
        work: &mut Workspace<'_>,
        mut peer: Box<Peer>,
        first: &FirstMessage,
    ) -> Result<(Saving, Opened), Refusal> {
        let device = self.device(work)?;
        // What was seen with the better suite is not believed with the weaker one, under whichever key.
        if peer.session.has_seen_v1() && first.suite() == Suite::Signal {
            return Err(AcceptError::SuiteDowngrade.into());
        }
        let parked = self.load_parked(work, &peer.address)?;
        let same = parked.filter(|parked| parked.remote_identity() == first.identity_key());
        let (mut session, plaintext) = match same {
            Some(mut session) if session.recognizes(first) => {
                let plaintext = session.accept_next(&device, first, None, work.now, &mut work.rng)?.plaintext;
                (session, plaintext)
            }
            same => self.adopt(work, first, |work, prekeys| match same.clone() {
                Some(mut session) => {
                    let accepted = session.accept_next(&device, first, Some(prekeys), work.now, &mut work.rng)?;
                    Ok((session, accepted))
                }
                None => Session::accept(&device, &peer.address, first, prekeys, work.now, &mut work.rng),
            })?,
        };
        // Whoever makes sessions under a key that nobody accepted gets one, not forty.
        session.keep_archived(1);
        // What waits is not asked for before the user has decided.
        let look = !core::mem::replace(&mut peer.parked, true);
        let identity = IdentityStatus::Changed(*session.remote_identity());
        Ok((Saving { peer, parked: Some(session), look }, Opened { plaintext, identity }))
    }
}
