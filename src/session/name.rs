/// Names one session among those with a peer device.
pub(crate) type Name = [u8; 8];

/// What a ratchet key begins with: enough to find the session that it is of among 40, whose chains are at most 200.
pub(crate) type KeyPrefix = [u8; 4];
