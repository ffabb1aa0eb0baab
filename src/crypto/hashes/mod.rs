//! SHA-2, and what is made of it: HMAC and HKDF.

mod compression;
mod kdf;

pub(super) use compression::{Hasher, Midstate};
pub(crate) use kdf::{MacKey, hkdf, hmac, sha256, sha512};
