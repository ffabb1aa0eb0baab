use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::wire::WireError;
use crate::wire::fields::{FieldReader, FieldWriter};

/// Highest generation of a key of a call; after it a device joins anew.
const MAX_GENERATION: u16 = 4_095;
/// Last step of a generation.
const MAX_STEP: u8 = 15;

/// What a message of a call says. The host's bytes carry what the media need, say a fingerprint.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallStep {
    /// 1: somebody calls.
    Offer(Vec<u8>),
    /// 2: it is answered.
    Answer(Vec<u8>),
    /// 3: a device takes part, with the key of this random name.
    Join([u8; 8]),
    /// 4: it leaves.
    Leave([u8; 8]),
    /// 5: a key is missing.
    KeyWanted,
    /// 6: the host's bytes alone.
    Host(Vec<u8>),
}

/// Content 28: what sets a call up.
///
/// # Examples
///
/// ```
/// use subrosa::wire::{Call, CallStep};
/// let offer = Call { call: [1; 16], step: CallStep::Offer(b"sdp".to_vec()) };
/// assert_eq!(Call::parse(&offer.to_bytes())?, offer);
/// # Ok::<(), subrosa::wire::WireError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The call.
    pub call: [u8; 16],
    /// What it says.
    pub step: CallStep,
}

impl Call {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(bytes);
        let call = *fields.some_array(1)?;
        let kind = fields.some_number::<u32>(2)?;
        let (join, host) = (fields.optional_array(3)?.copied(), fields.optional_bytes(4)?.map(<[u8]>::to_vec));
        fields.end()?;
        let step = match (kind, join, host) {
            (1, None, Some(host)) => CallStep::Offer(host),
            (2, None, Some(host)) => CallStep::Answer(host),
            (3, Some(join), None) => CallStep::Join(join),
            (4, Some(join), None) => CallStep::Leave(join),
            (5, None, None) => CallStep::KeyWanted,
            (6, None, Some(host)) => CallStep::Host(host),
            (1..=6, ..) => return Err(WireError::Field),
            _ => return Err(WireError::UnknownKind(u8::try_from(kind).unwrap_or(u8::MAX))),
        };
        Ok(Self { call, step })
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, join, host) = match &self.step {
            CallStep::Offer(host) => (1u32, None, Some(host)),
            CallStep::Answer(host) => (2, None, Some(host)),
            CallStep::Join(join) => (3, Some(join), None),
            CallStep::Leave(join) => (4, Some(join), None),
            CallStep::KeyWanted => (5, None, None),
            CallStep::Host(host) => (6, None, Some(host)),
        };
        let mut out = FieldWriter::with_capacity(40 + host.map_or(0, Vec::len));
        out.some_bytes(1, &self.call);
        out.optional(2, Some(kind));
        out.maybe_bytes(3, join);
        out.maybe_bytes(4, host);
        out.into_public()
    }
}

impl core::fmt::Debug for CallStep {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Offer(_) => "Offer(..)",
            Self::Answer(_) => "Answer(..)",
            Self::Join(_) => "Join(..)",
            Self::Leave(_) => "Leave(..)",
            Self::KeyWanted => "KeyWanted",
            Self::Host(_) => "Host(..)",
        })
    }
}

/// Content 29: a key that a device's media are encrypted with.
///
/// # Examples
///
/// ```
/// use subrosa::wire::CallKey;
/// let key = CallKey::new([1; 16], [2; 8], 0, 0, vec![3; 32].into()).unwrap();
/// assert_eq!(CallKey::parse(&key.to_bytes())?, key);
/// assert!(CallKey::new([1; 16], [2; 8], 0, 0, vec![3; 64].into()).is_none());
/// # Ok::<(), subrosa::wire::WireError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CallKey {
    call: [u8; 16],
    join: [u8; 8],
    generation: u16,
    step: u8,
    key: Zeroizing<Vec<u8>>,
}

impl CallKey {
    /// Puts it together; `None` unless the generation is at most 4,095, the step at most 15, and the key has 32 bytes, or 64
    /// behind step 0.
    #[must_use]
    pub fn new(call: [u8; 16], join: [u8; 8], generation: u16, step: u8, key: Zeroizing<Vec<u8>>) -> Option<Self> {
        let fits = key.len() == 32 || (step > 0 && key.len() == 64);
        (fits && generation <= MAX_GENERATION && step <= MAX_STEP).then_some(Self { call, join, generation, step, key })
    }

    /// The call.
    #[must_use]
    pub const fn call(&self) -> &[u8; 16] {
        &self.call
    }

    /// Which of the device's keys: drawn when it joined.
    #[must_use]
    pub const fn join(&self) -> &[u8; 8] {
        &self.join
    }

    /// Its generation: 0 to 4,095.
    #[must_use]
    pub const fn generation(&self) -> u16 {
        self.generation
    }

    /// How often it was stepped in its generation: 0 to 15.
    #[must_use]
    pub const fn step(&self) -> u8 {
        self.step
    }

    /// The key: 32 bytes, or 64 behind step 0.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(bytes);
        let (call, join) = (*fields.some_array(1)?, *fields.some_array(2)?);
        let (generation, step) = (fields.some_number(3)?, fields.some_number(4)?);
        let key = fields.some_bytes(5)?;
        fields.end()?;
        if key.len() > 64 {
            return Err(WireError::Field);
        }
        Self::new(call, join, generation, step, key.to_vec().into()).ok_or(WireError::Field)
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = FieldWriter::with_capacity(110);
        out.some_bytes(1, &self.call);
        out.some_bytes(2, &self.join);
        out.optional(3, Some(self.generation));
        out.optional(4, Some(self.step));
        out.some_bytes(5, &self.key);
        out.finish().into()
    }
}

impl core::fmt::Debug for CallKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "CallKey({}, {}, ..)", self.generation, self.step)
    }
}
