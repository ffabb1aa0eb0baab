use super::received::{ForkedMessage, FramedMessage, ReceiveError, Received, ReceivedMessage};
use crate::report::{self, Commitment, FramingPolicy};
use crate::rows::{Core, Peer};
use crate::staging::{Stop, Workspace};

/// What stands around framed content.
pub(in crate::client) struct Framed<'a> {
    pub(in crate::client) commitment: &'a Commitment,
    pub(in crate::client) stamp: Option<&'a [u8]>,
    pub(in crate::client) policy: &'a FramingPolicy,
}

impl Core {
    /// Accepts framed content that a session has opened.
    pub(in crate::client) fn accept_framed(
        &self,
        work: &mut Workspace<'_>,
        peer: &mut Peer,
        framed: &Framed<'_>,
        inner: &[u8],
        message: &ReceivedMessage,
    ) -> Result<Received, Stop<ReceiveError>> {
        let Framed { commitment, stamp, policy } = *framed;
        let (identity, name, answers) = (message.identity().clone(), message.name(), message.answers());
        let user = message.user().clone();
        let is_changed = message.is_changed();
        let mut chains = self.load_chains(work, peer).map_err(|stop| stop.map(ReceiveError::from))?;
        let from = peer.address.clone();
        let old_row = chains.old;
        match chains.state.accept(&report::AccountDevice::of(&from), inner, commitment, stamp, work.now, policy) {
            Ok(accepted) => {
                // Whoever is not accepted does not get at the chains of whom is known.
                if !is_changed {
                    chains.received();
                    self.save_chains(work, peer, chains);
                }
                Ok(Received::Framed(FramedMessage { from, identity, user, accepted, old_row, name, answers }))
            }
            Err(report::FrameError::Fork(forked)) => {
                Ok(Received::Forked(ForkedMessage { from, identity, user, forked: *forked, name, old_row }))
            }
            Err(error) => Err(ReceiveError::Frame(error).into()),
        }
    }
}
