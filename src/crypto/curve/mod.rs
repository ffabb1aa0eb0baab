//! Curve25519: keys, their agreement (X25519), signatures with the same keys (XEdDSA), and with keys of their own (Ed25519).

mod dh;
mod ed25519;
mod public_key;
mod sign;
mod x25519;

#[cfg(test)]
pub(crate) use dh::count;
pub use dh::{KeyPair, NotContributory, PrivateKey};
pub(crate) use ed25519::{EdKeyPair, EdPublicKey};
pub use public_key::{PUBLIC_KEY_LEN, PublicKey, PublicKeyError};
#[cfg(test)]
pub(crate) use sign::xeddsa_verify;
pub use sign::{BadSignature, SIGNATURE_LEN, Signature};
pub(crate) use sign::{Verifier, xeddsa_sign};
pub(crate) use x25519::PeerKey;
