use rand_core::CryptoRng;

use crate::wire::RecordKind;

macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident, $len:literal, $(#[$bytes_doc:meta])*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes, as a host's own storage gives them.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            $(#[$bytes_doc])*
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }
    };
}

opaque! {
    /// Names a row: 33 bytes, `u8 kind ‖ 32-byte PRF`. Says what kind of record it is and nothing else, not of which peer.
    RecordKey, 33,
    /// Its bytes: what the host stores the row under.
}

opaque! {
    /// One writing of a row: 16 random bytes, never used again, so that a row that changed and changed back is seen.
    Version, 16,
    /// Its bytes: what the host stores beside the row and compares.
}

impl RecordKey {
    /// The one row whose key depends on no secret.
    pub(super) const fn fixed(kind: RecordKind) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes[0] = kind.number();
        Self(bytes)
    }
}

impl Version {
    pub(crate) fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; Self::LEN];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}
