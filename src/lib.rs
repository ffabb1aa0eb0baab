//! Door.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate self as subrosa;
#[cfg(test)]
extern crate std;

pub mod crypto;
mod handshake;
pub mod ident;
pub mod prekey;
mod ratchet;
pub mod session;
pub mod suite;
pub mod wire;

#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
#[cfg(test)]
mod vectors;
