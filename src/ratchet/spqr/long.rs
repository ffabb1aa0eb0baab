//! The long parts of the exchange, which stay the same for dozens of messages: 1,152 bytes of an encapsulation key, 960 of
//! a ciphertext.
//!
//! In a session that is stored they lie apart: sealed once, beside the record that every message opens, writes and seals.
//! Whoever lays a session's parts apart brings them back before they are touched: [`Outgoing::prepare`] before a chunk is
//! sent, [`Long::bring`] before the whole is used.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::chunk::{encode, encode_some};
use super::sums::Data;
use crate::crypto::{Apart, Secret, sha256};
use crate::wire::{Chunk, RecordError};

const LABEL_APART: &[u8] = b"\x0fsubrosa/1/apart";

/// Chunks that are made at once: so often what lies apart is opened for sending.
pub(super) const AHEAD: usize = 8;

/// `N` bytes of the exchange. They travel in the clear; at rest they are sealed, since they tell which messages are of this
/// session.
#[derive(Clone)]
pub(super) enum Long<const N: usize> {
    Here(Box<[u8; N]>),
    Apart(Apart),
}

impl<const N: usize> Long<N> {
    /// Length of what lies apart.
    pub(super) const SEALED_LEN: usize = N + Apart::BACK;

    /// The bytes; zeros while they lie apart.
    pub(super) fn get(&self) -> &[u8; N] {
        match self {
            Self::Here(bytes) => bytes,
            Self::Apart(_) => const { &[0; N] },
        }
    }

    /// Seals them, under `SHA-256(label ‖ secret ‖ bytes)`: a key of this text alone, that nobody has who has the text.
    pub(super) fn lay_apart(&mut self, secret: &[u8]) {
        if let Self::Here(bytes) = self {
            let key = Secret::new(sha256(&[LABEL_APART, secret, &bytes[..]]));
            *self = Self::Apart(Apart::seal(key, &bytes[..]));
        }
    }

    fn opened(&self) -> Result<Option<Box<[u8; N]>>, RecordError> {
        let Self::Apart(apart) = self else { return Ok(None) };
        let bytes = apart.open().map_err(|_| RecordError::Corrupt)?;
        bytes.into_boxed_slice().try_into().map(Some).map_err(|_| RecordError::Corrupt)
    }

    /// Brings them back.
    pub(super) fn bring(&mut self) -> Result<(), RecordError> {
        if let Some(bytes) = self.opened()? {
            *self = Self::Here(bytes);
        }
        Ok(())
    }

    pub(super) const fn apart(&self) -> Option<&Apart> {
        match self {
            Self::Here(_) => None,
            Self::Apart(apart) => Some(apart),
        }
    }
}

impl<const N: usize> From<Box<[u8; N]>> for Long<N> {
    fn from(bytes: Box<[u8; N]>) -> Self {
        Self::Here(bytes)
    }
}

/// What is sent in chunks, and which of them is the next.
#[derive(Clone)]
pub(super) struct Outgoing<const N: usize> {
    pub(super) bytes: Long<N>,
    /// The next chunk's index. It wraps after 65,536.
    pub(super) next: u16,
    /// The next chunks, where the bytes lie apart.
    pub(super) ahead: VecDeque<Data>,
}

impl<const N: usize> Outgoing<N> {
    pub(super) const fn new(bytes: Long<N>) -> Self {
        Self { bytes, next: 0, ahead: VecDeque::new() }
    }

    /// Makes the next chunks, of bytes that lie apart.
    pub(super) fn prepare(&mut self) -> Result<(), RecordError> {
        if self.ahead.is_empty()
            && let Some(bytes) = self.bytes.opened()?
        {
            self.ahead = encode_some(&bytes, self.next, AHEAD);
        }
        Ok(())
    }

    /// Lays the bytes apart.
    pub(super) fn lay_apart(&mut self, secret: &[u8]) {
        if let Long::Here(bytes) = &self.bytes {
            if self.ahead.is_empty() {
                self.ahead = encode_some(bytes, self.next, AHEAD);
            }
            self.bytes.lay_apart(secret);
        }
    }

    /// The next chunk.
    pub(super) fn take(&mut self) -> Chunk {
        let index = self.next;
        let data = match self.ahead.pop_front() {
            Some(data) => data,
            None => encode::<N>(&[self.bytes.get()], index).data,
        };
        self.next = index.wrapping_add(1);
        Chunk { index, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn long() -> Long<1152> {
        Long::from(Box::new(core::array::from_fn(|at| u8::try_from(at % 251).unwrap())))
    }

    #[test]
    fn what_lies_apart_comes_back() {
        let (here, mut apart) = (long(), long());
        apart.lay_apart(b"secret");
        assert_eq!(apart.apart().unwrap().sealed().len(), Long::<1152>::SEALED_LEN);
        assert_eq!(apart.get(), &[0; 1152], "it is not here");
        apart.bring().unwrap();
        assert_eq!(apart.get(), here.get());
        apart.bring().unwrap();
        assert!(apart.apart().is_none());
    }

    /// Another text, or another secret, is sealed under another key.
    #[test]
    fn a_key_seals_one_text() {
        let key = |long: &mut Long<1152>, secret: &[u8]| {
            long.lay_apart(secret);
            *long.apart().unwrap().key().expose()
        };
        let mut other = long();
        if let Long::Here(bytes) = &mut other {
            bytes[7] ^= 1;
        }
        assert_eq!(key(&mut long(), b"secret"), key(&mut long(), b"secret"));
        assert_ne!(key(&mut long(), b"secret"), key(&mut long(), b"Secret"));
        assert_ne!(key(&mut long(), b"secret"), key(&mut other, b"secret"));
    }

    #[test]
    fn damage_is_found_when_it_is_wanted() {
        let mut outgoing = Outgoing::new(long());
        outgoing.lay_apart(b"secret");
        let apart = outgoing.bytes.apart().unwrap();
        let mut sealed = apart.sealed().to_vec();
        sealed[99] ^= 1;
        outgoing.bytes = Long::Apart(Apart::new(apart.key().expose(), &sealed));
        // There are chunks that were made before.
        for _ in 0..AHEAD {
            outgoing.prepare().unwrap();
            outgoing.take();
        }
        assert_eq!(outgoing.prepare(), Err(RecordError::Corrupt));
        assert_eq!(outgoing.bytes.bring(), Err(RecordError::Corrupt));
    }

    /// Laid apart at any moment, brought back or not: the chunks are the same.
    #[test]
    fn the_chunks_are_those_of_bytes_that_are_here() {
        for every in 1..20_u16 {
            let (mut here, mut apart) = (Outgoing::new(long()), Outgoing::new(long()));
            (here.next, apart.next) = (65_500, 65_500);
            let chunks: Vec<_> = (0..100_u16)
                .map(|at| {
                    if at % every == 0 {
                        apart.lay_apart(b"secret");
                    }
                    if at % 17 == 9 {
                        apart.bytes.bring().unwrap();
                    }
                    apart.prepare().unwrap();
                    assert!(apart.ahead.len() <= AHEAD);
                    apart.take()
                })
                .collect();
            assert_eq!(chunks, (0..100).map(|_| here.take()).collect::<Vec<_>>(), "every {every}");
        }
    }
}
