use super::outgoing::Way;
use crate::ident::{Address, MessageId};
use crate::persist::RecordKey;
use crate::rows::Core;
use crate::wire::RecordKind;

/// A message to a peer device: what of it is computed once for an operation, however often it is stepped.
pub(in crate::client) struct Place {
    pub(in crate::client) to: Address,
    pub(in crate::client) id: MessageId,
    pub(in crate::client) peer: RecordKey,
    pub(in crate::client) way: Way,
}

impl Place {
    pub(in crate::client) fn new(core: &Core, id: MessageId, to: &Address) -> Self {
        Self { to: to.clone(), id, peer: core.peer_key(RecordKind::Peer, to), way: Way::to(core, to) }
    }
}
