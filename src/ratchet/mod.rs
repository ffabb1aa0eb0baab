//! The triple ratchet: every message gets a key of its own, from the Double Ratchet and the sparse post-quantum
//! ratchet together.
//!
//! Owns: the Double Ratchet ([`double`]) with its chains and skipped keys, the post-quantum ratchet ([`spqr`]), their
//! combination ([`TripleRatchet`]), and their limits.
//!
//! **Not its concern:** how a message is sealed, what stands around it, which of several sessions it belongs to, how
//! the first keys were agreed. Receiving is in two halves: [`TripleRatchet::receive`] gives the message's secret and
//! changes nothing; [`TripleRatchet::apply`] makes the change once the message has authenticated. So a forged message
//! leaves no trace.
//!
//! Sources: The Double Ratchet Algorithm (revision 3); The ML-KEM Braid Protocol.

mod chain;
mod double;
mod page;
mod record;
mod salts;
mod skipped_keys;
mod skipped_record;
mod skipped_seeds;
pub(crate) mod spqr;
mod triple;

#[cfg(test)]
mod apart;

pub(crate) use page::PageName;
pub(crate) use record::Form;
pub(crate) use skipped_keys::Touched;
pub(crate) use skipped_record::{PageRecord, SkippedRecords, skipped_pages};
pub(crate) use triple::{Header, Outgoing, Step, TripleRatchet};

/// How far ahead of the newest message of its chain a message may be.
pub(crate) const MAX_JUMP: u32 = 25_000;

/// The same for a session of suite `Signal` with one's own other device, which may sleep for long.
pub(crate) const MAX_JUMP_SELF: u32 = 1 << 16;

/// Skipped message keys, in each receiving chain.
pub(crate) const MAX_SKIPPED: u32 = 2_000;

/// Receiving chains kept.
pub(crate) const MAX_RECEIVING_CHAINS: usize = 5;

/// Accepted messages of which a receiving chain remembers the salt.
pub(crate) const MAX_SALTS: usize = 64;

/// A skipped message key is deleted after 30 days.
pub(crate) const MAX_SKIPPED_AGE_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Why a message gets no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its key was used before.
    Duplicate,
    /// Its place in the chain was used before, by another message: its sender's state was rewound.
    Rewound,
    /// A message at its place was read, so long ago that it is not known whether it was this one.
    ReadBefore,
    /// Its key may have been kept once and is gone: too many messages or too much time came after it.
    TooOld,
    /// Further ahead than a chain may jump.
    TooFarAhead,
    /// Anything else: to its sender, the same as a wrong MAC.
    Undecryptable,
}

/// A chain has given all of its 2^32 − 1 keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;
