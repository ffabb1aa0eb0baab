use crate::crypto::Secret;

/// The message does not authenticate, or what authenticates does not decrypt: one answer for both, since telling
/// them apart would decrypt messages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Undecryptable;

/// What both ratchets give for one message: the suite derives its message keys from it.
pub(crate) struct MessageSecret {
    /// From the Double Ratchet's chain.
    pub(crate) seed: Secret<32>,
    /// From the post-quantum ratchet's chain.
    pub(crate) pq: Secret<32>,
}

/// What a handshake agrees on, and a triple ratchet starts from.
pub(crate) struct InitialKeys {
    /// Root key of the Double Ratchet.
    pub(crate) root: Secret<32>,
    /// Key of its first chain.
    pub(crate) chain: Secret<32>,
    /// Key of the post-quantum ratchet.
    pub(crate) pq: Secret<32>,
}
