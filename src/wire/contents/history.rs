use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::ident::Timestamp;
use crate::wire::WireError;
use crate::wire::fields::{FieldReader, FieldWriter};

/// Longest reference.
const MAX_REFERENCE_LEN: usize = 2_048;

/// Content 31: where the history for a new device is.
///
/// # Security
///
/// The reference holds the key of the file.
///
/// # Examples
///
/// ```
/// use subrosa::{ident::Timestamp, wire::History};
/// let history = History {
///     reference: vec![1; 120].into(),
///     from: Timestamp::new(1),
///     to: Timestamp::new(2),
///     count: 3,
/// };
/// assert_eq!(History::parse(&history.to_bytes())?, history);
/// # Ok::<(), subrosa::wire::WireError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct History {
    /// The reference of the file: 1 to 2,048 bytes.
    pub reference: Zeroizing<Vec<u8>>,
    /// When the first message in it was sent.
    pub from: Timestamp,
    /// When the last one was; not before `from`.
    pub to: Timestamp,
    /// How many messages it has.
    pub count: u32,
}

impl History {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(bytes);
        let reference = fields.some_bytes(1)?;
        let (from, to) = (Timestamp::new(fields.some_number(2)?), Timestamp::new(fields.some_number(3)?));
        let count = fields.some_number(4)?;
        fields.end()?;
        if reference.is_empty() || reference.len() > MAX_REFERENCE_LEN || to < from {
            return Err(WireError::Field);
        }
        Ok(Self { reference: reference.to_vec().into(), from, to, count })
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = FieldWriter::with_capacity(40 + self.reference.len());
        out.some_bytes(1, &self.reference);
        out.optional(2, Some(self.from.get()));
        out.optional(3, Some(self.to.get()));
        out.optional(4, Some(self.count));
        out.finish().into()
    }
}

impl core::fmt::Debug for History {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { reference: _, from, to, count } = self;
        f.debug_struct("History").field("from", from).field("to", to).field("count", count).finish_non_exhaustive()
    }
}
