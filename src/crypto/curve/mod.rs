//! Curve25519: keys, their agreement (X25519), and signatures with the same keys (XEdDSA).

mod dh;
mod public_key;
mod sign;
mod x25519;

#[cfg(test)]
pub(crate) use dh::count;
pub use dh::{KeyPair, NotContributory, PrivateKey};
pub use public_key::{PUBLIC_KEY_LEN, PublicKey, PublicKeyError};
#[cfg(test)]
pub(crate) use sign::xeddsa_verify;
pub use sign::{BadSignature, SIGNATURE_LEN, Signature};
pub(crate) use sign::{Verifier, xeddsa_sign};
pub(crate) use x25519::PeerKey;
