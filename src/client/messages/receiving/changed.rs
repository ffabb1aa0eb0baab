//! Messages under an identity key that is not accepted: their session is untrusted, until the host decides.

use alloc::boxed::Box;

use super::receive::{Opened, Saving};
use super::refusal::Refusal;
use crate::client::contacts::IdentityStatus;
use crate::rows::{Core, Peer};
use crate::session::{self, AcceptError, DecryptError, FirstMessage, Session};
use crate::staging::Workspace;
use crate::suite::Suite;

impl Core {
    /// A message in the session under an identity key that is not accepted.
    pub(in crate::client) fn receive_untrusted(
        &self,
        work: &mut Workspace<'_>,
        peer: Box<Peer>,
        message: &session::SessionMessage,
    ) -> Result<(Saving, Opened), Refusal> {
        let mut untrusted = self.load_untrusted(work, &peer.address)?.ok_or(DecryptError::NoSession)?;
        let plaintext = untrusted.decrypt(message, work.now, &mut work.rng)?;
        let identity = IdentityStatus::Changed(*untrusted.remote_identity());
        Ok((Saving { peer, untrusted: Some(untrusted), look: false }, Opened { plaintext, identity }))
    }

    /// A first message under another identity key: its session is untrusted beside the known one, until the host decides.
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
        let untrusted = self.load_untrusted(work, &peer.address)?;
        let same = untrusted.filter(|untrusted| untrusted.remote_identity() == first.identity_key());
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
        let look = !core::mem::replace(&mut peer.untrusted, true);
        let identity = IdentityStatus::Changed(*session.remote_identity());
        Ok((Saving { peer, untrusted: Some(session), look }, Opened { plaintext, identity }))
    }
}
