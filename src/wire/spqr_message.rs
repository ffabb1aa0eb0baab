use alloc::vec::Vec;

/// Length of a chunk's data.
pub const CHUNK_LEN: usize = 32;

/// The version byte that leads every message of the post-quantum ratchet.
const VERSION: u8 = 1;

/// A piece of a longer message, as the braid sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Which piece: 0, 1, 2, … the first are the message itself, later ones are parity.
    pub index: u16,
    /// 32 bytes.
    pub data: [u8; CHUNK_LEN],
}

/// What a message of the post-quantum ratchet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpqrPayload {
    /// Nothing.
    None,
    /// Of the encapsulation key's header and its MAC.
    Hdr(Chunk),
    /// Of the encapsulation key's vector.
    Ek(Chunk),
    /// Of the vector, and: all of ct1 has arrived.
    EkCt1Ack(Chunk),
    /// All of ct1 has arrived.
    Ct1Ack,
    /// Of the ciphertext's first part.
    Ct1(Chunk),
    /// Of the ciphertext's second part and its MAC.
    Ct2(Chunk),
}

/// A message of the sparse post-quantum ratchet: `u8 version ‖ varint epoch ‖ varint key index ‖ u8 kind [‖ varint
/// chunk index ‖ 32 bytes]`. It travels inside every message of a session.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{SpqrMessage, SpqrPayload};
/// let message = SpqrMessage { epoch: 1, index: 1, payload: SpqrPayload::None };
/// assert_eq!(message.to_bytes(), [1, 1, 1, 0]);
/// assert_eq!(SpqrMessage::parse(&[1, 1, 1, 0]), Ok(message));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpqrMessage {
    /// The sender's epoch, from 1. The message key is one of the chain epoch before.
    pub epoch: u64,
    /// Number of the message key in its chain, from 1.
    pub index: u32,
    /// What it carries.
    pub payload: SpqrPayload,
}

/// The bytes are not a message of the post-quantum ratchet: unknown version or kind, epoch or key index 0, a chunk
/// index above 65,535, or truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed post-quantum ratchet message")]
pub struct MalformedSpqr;

impl SpqrMessage {
    /// Reads a message. Bytes after its end are ignored, as Signal's readers do; the MAC around it covers them.
    ///
    /// # Errors
    ///
    /// [`MalformedSpqr`].
    ///
    /// # Security
    ///
    /// Key index 0 stood for "no post-quantum key mixed in" in messages of older clients. It is refused: whoever
    /// holds the classical keys could otherwise go around the post-quantum ratchet.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedSpqr> {
        let mut rest = bytes;
        if byte(&mut rest)? != VERSION {
            return Err(MalformedSpqr);
        }
        let epoch = varint(&mut rest)?;
        let index = u32::try_from(varint(&mut rest)?).map_err(|_| MalformedSpqr)?;
        if epoch == 0 || index == 0 {
            return Err(MalformedSpqr);
        }
        let payload = match byte(&mut rest)? {
            0 => SpqrPayload::None,
            1 => SpqrPayload::Hdr(chunk(&mut rest)?),
            2 => SpqrPayload::Ek(chunk(&mut rest)?),
            3 => SpqrPayload::EkCt1Ack(chunk(&mut rest)?),
            4 => SpqrPayload::Ct1Ack,
            5 => SpqrPayload::Ct1(chunk(&mut rest)?),
            6 => SpqrPayload::Ct2(chunk(&mut rest)?),
            _ => return Err(MalformedSpqr),
        };
        Ok(Self { epoch, index, payload })
    }

    /// Writes the message: 4 to 52 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_into(&mut out);
        out
    }

    /// Writes the message behind what is there.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        let (kind, chunk) = self.payload.parts();
        out.push(VERSION);
        put_varint(out, self.epoch);
        put_varint(out, self.index.into());
        out.push(kind);
        if let Some(chunk) = chunk {
            put_varint(out, chunk.index.into());
            out.extend_from_slice(&chunk.data);
        }
    }

    /// How many bytes [`Self::to_bytes`] gives. Of all encodings that [`Self::parse`] reads as this message, none other
    /// is as short.
    pub(crate) fn encoded_len(&self) -> usize {
        let chunk = self.payload.parts().1.map_or(0, |chunk| varint_len(chunk.index.into()) + CHUNK_LEN);
        2 + varint_len(self.epoch) + varint_len(self.index.into()) + chunk
    }
}

impl SpqrPayload {
    /// The byte that stands for the kind, and the chunk.
    const fn parts(&self) -> (u8, Option<&Chunk>) {
        match self {
            Self::None => (0, None),
            Self::Hdr(chunk) => (1, Some(chunk)),
            Self::Ek(chunk) => (2, Some(chunk)),
            Self::EkCt1Ack(chunk) => (3, Some(chunk)),
            Self::Ct1Ack => (4, None),
            Self::Ct1(chunk) => (5, Some(chunk)),
            Self::Ct2(chunk) => (6, Some(chunk)),
        }
    }
}

fn byte(rest: &mut &[u8]) -> Result<u8, MalformedSpqr> {
    let (first, tail) = rest.split_first().ok_or(MalformedSpqr)?;
    *rest = tail;
    Ok(*first)
}

fn varint(rest: &mut &[u8]) -> Result<u64, MalformedSpqr> {
    prost::encoding::decode_varint(rest).map_err(|_| MalformedSpqr)
}

fn put_varint(out: &mut Vec<u8>, value: u64) {
    prost::encoding::encode_varint(value, out);
}

const fn varint_len(value: u64) -> usize {
    prost::encoding::encoded_len_varint(value)
}

fn chunk(rest: &mut &[u8]) -> Result<Chunk, MalformedSpqr> {
    let index = u16::try_from(varint(rest)?).map_err(|_| MalformedSpqr)?;
    let (data, tail) = rest.split_first_chunk().ok_or(MalformedSpqr)?;
    *rest = tail;
    Ok(Chunk { index, data: *data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn any_message() -> impl Strategy<Value = SpqrMessage> {
        (1..=u64::MAX, 1..=u32::MAX, 0..7u8, any::<u16>(), any::<[u8; CHUNK_LEN]>()).prop_map(
            |(epoch, index, kind, chunk_index, data)| {
                let chunk = Chunk { index: chunk_index, data };
                let payload = match kind {
                    0 => SpqrPayload::None,
                    1 => SpqrPayload::Hdr(chunk),
                    2 => SpqrPayload::Ek(chunk),
                    3 => SpqrPayload::EkCt1Ack(chunk),
                    4 => SpqrPayload::Ct1Ack,
                    5 => SpqrPayload::Ct1(chunk),
                    _ => SpqrPayload::Ct2(chunk),
                };
                SpqrMessage { epoch, index, payload }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message in any_message(), tail in any::<[u8; 3]>()) {
            let mut bytes = message.to_bytes();
            prop_assert!(bytes.len() <= 52);
            prop_assert_eq!(bytes.len(), message.encoded_len());
            prop_assert_eq!(SpqrMessage::parse(&bytes), Ok(message));
            for cut in 0..bytes.len() {
                prop_assert_eq!(SpqrMessage::parse(&bytes[..cut]), Err(MalformedSpqr));
            }
            bytes.extend(tail);
            prop_assert_eq!(SpqrMessage::parse(&bytes), Ok(message));
        }
    }

    #[test]
    fn refused_by_name() {
        for (what, bytes) in [
            ("empty", vec![]),
            ("version 0", vec![0, 1, 1, 0]),
            ("version 2", vec![2, 1, 1, 0]),
            ("version 255", vec![255, 1, 1, 0]),
            ("epoch 0", vec![1, 0, 1, 0]),
            ("key index 0, the legacy message without a post-quantum key", vec![1, 1, 0, 0]),
            ("key index above 32 bits", vec![1, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 0]),
            ("kind 7", vec![1, 1, 1, 7]),
            ("epoch above 64 bits", [&[1][..], &[0xff; 10], &[1, 0]].concat()),
            ("chunk index 65,536", [&[1, 1, 1, 5, 0x80, 0x80, 0x04][..], &[0; 32]].concat()),
            ("chunk index 70,000", [&[1, 1, 1, 5, 0xf0, 0xa2, 0x04][..], &[0; 32]].concat()),
            ("short chunk", [&[1, 1, 1, 5, 0][..], &[0; 31]].concat()),
        ] {
            assert_eq!(SpqrMessage::parse(&bytes), Err(MalformedSpqr), "{what}");
        }
    }
}
