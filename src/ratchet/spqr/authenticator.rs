use crate::crypto::{Secret, constant_time_eq, hkdf, hmac};

/// Length of the MACs that the braid sends.
pub(super) const MAC_LEN: usize = 32;

/// Authenticates the braid's exchanges with what both parties share: whoever forges a key exchange would have to
/// know every epoch's key so far.
#[derive(Clone)]
pub(super) struct Authenticator {
    root: Secret<32>,
    mac_key: Secret<32>,
}

/// The secret that a completed exchange gave, and the epoch it opens.
#[derive(Clone)]
pub(super) struct EpochKey {
    pub(super) epoch: u64,
    pub(super) key: Secret<32>,
}

/// The key of an epoch, from the shared secret of its exchange.
pub(super) fn epoch_key(epoch: u64, shared: &Secret<32>) -> Secret<32> {
    hkdf(&[], shared.expose(), &[b"Signal_PQCKA_V1_MLKEM768:SCKA Key", &epoch.to_be_bytes()])
}

impl Authenticator {
    /// Starts from the key that the handshake gave.
    pub(super) fn new(initial: &Secret<32>) -> Self {
        Self { root: Secret::new([0; 32]), mac_key: Secret::new([0; 32]) }.updated(1, initial)
    }

    /// What it becomes when an epoch's key is known.
    pub(super) fn updated(&self, epoch: u64, key: &Secret<32>) -> Self {
        let mut ikm = Secret::new([0; 64]);
        for (to, from) in ikm.expose_mut().iter_mut().zip(self.root.expose().iter().chain(key.expose())) {
            *to = *from;
        }
        let label = b"Signal_PQCKA_V1_MLKEM768:Authenticator Update";
        let [root, mac_key] = hkdf::<64>(&[], ikm.expose(), &[label, &epoch.to_be_bytes()]).split2();
        Self { root, mac_key }
    }

    /// MAC of an encapsulation key's header, before the epoch's key is known.
    pub(super) fn header_mac(&self, epoch: u64, header: &[u8]) -> [u8; MAC_LEN] {
        let label = b"Signal_PQCKA_V1_MLKEM768:ekheader";
        *hmac(self.mac_key.expose(), &[label, &epoch.to_be_bytes(), header]).expose()
    }

    /// MAC of a ciphertext, after the update with the epoch's key.
    pub(super) fn ciphertext_mac(&self, epoch: u64, ct1: &[u8], ct2: &[u8]) -> [u8; MAC_LEN] {
        let label = b"Signal_PQCKA_V1_MLKEM768:ciphertext";
        *hmac(self.mac_key.expose(), &[label, &epoch.to_be_bytes(), ct1, ct2]).expose()
    }

    pub(super) fn keys(&self) -> (&Secret<32>, &Secret<32>) {
        (&self.root, &self.mac_key)
    }

    pub(super) const fn from_keys(root: Secret<32>, mac_key: Secret<32>) -> Self {
        Self { root, mac_key }
    }
}

/// Whether a received MAC is the expected one, in constant time.
pub(super) fn macs_equal(expected: &[u8; MAC_LEN], received: &[u8]) -> bool {
    constant_time_eq(expected, received)
}
