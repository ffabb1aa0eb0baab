use alloc::vec::Vec;

use crate::wire::WireError;

/// What a receipt says of its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ReceiptKind {
    /// The messages of these ids came.
    Delivered = 1,
    /// They were read.
    Read = 2,
    /// What may be seen once was seen.
    Viewed = 3,
    /// The messages whose names begin so cannot be sent again.
    Gone = 4,
    /// The recipient is no member of the groups whose ids begin so.
    NotAMember = 5,
}

/// Content 23: what became of messages. 1 to 256 items of 16 bytes.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{Receipt, ReceiptKind};
/// let read = Receipt::new(ReceiptKind::Read, vec![[7; 16]]).unwrap();
/// assert_eq!(Receipt::parse(&read.to_bytes())?, read);
/// # Ok::<(), subrosa::wire::WireError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    kind: ReceiptKind,
    items: Vec<[u8; 16]>,
}

impl Receipt {
    /// Most items of one receipt.
    pub const MAX_ITEMS: usize = 256;

    /// Puts it together; `None` unless there are 1 to [`Self::MAX_ITEMS`] items.
    #[must_use]
    pub fn new(kind: ReceiptKind, items: Vec<[u8; 16]>) -> Option<Self> {
        (1..=Self::MAX_ITEMS).contains(&items.len()).then_some(Self { kind, items })
    }

    /// What it says of them.
    #[must_use]
    pub const fn kind(&self) -> ReceiptKind {
        self.kind
    }

    /// Of what: message ids for kinds 1 to 3, else the first 16 bytes of names or ids.
    #[must_use]
    pub fn items(&self) -> &[[u8; 16]] {
        &self.items
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`WireError::UnknownKind`]; [`WireError::Field`] if there are no items, a part of one, or too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let (kind, items) = bytes.split_first().ok_or(WireError::Field)?;
        let kind = match kind {
            1 => ReceiptKind::Delivered,
            2 => ReceiptKind::Read,
            3 => ReceiptKind::Viewed,
            4 => ReceiptKind::Gone,
            5 => ReceiptKind::NotAMember,
            other => return Err(WireError::UnknownKind(*other)),
        };
        match items.as_chunks() {
            (items @ [_, ..], []) if items.len() <= Self::MAX_ITEMS => Ok(Self { kind, items: items.to_vec() }),
            _ => Err(WireError::Field),
        }
    }

    /// Writes it.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the discriminant of a repr(u8) enum")]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + 16 * self.items.len());
        out.push(self.kind as u8);
        out.extend_from_slice(self.items.as_flattened());
        out
    }
}
