use zeroize::Zeroizing;

use crate::crypto::Secret;
use crate::wire::WireError;
use crate::wire::fields::{FieldReader, FieldWriter};

/// Content 22: what makes a device the primary. Between a user's own devices, and never sent a second time.
///
/// # Security
///
/// The account itself. Whoever holds it signs rosters.
///
/// # Examples
///
/// ```
/// use subrosa::{crypto::Secret, wire::Provisioning};
/// let handed = Provisioning { seed: Secret::new([1; 32]), wrap: None };
/// assert_eq!(Provisioning::parse(&handed.to_bytes())?, handed);
/// # Ok::<(), subrosa::wire::WireError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioning {
    /// What the account key is made of.
    pub seed: Secret<32>,
    /// What opens it in archives; none if there are none.
    pub wrap: Option<Secret<32>>,
}

impl Provisioning {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(bytes);
        let seed = Secret::new(*fields.some_array(1)?);
        let wrap = fields.optional_array(2)?.copied().map(Secret::new);
        fields.end()?;
        Ok(Self { seed, wrap })
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<alloc::vec::Vec<u8>> {
        let mut out = FieldWriter::with_capacity(68);
        out.some_bytes(1, self.seed.expose());
        out.maybe_bytes(2, self.wrap.as_ref().map(Secret::expose));
        out.finish().into()
    }
}
