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
