use alloc::vec::Vec;

use crate::ident::{MessageId, Timestamp, UserId};
use crate::wire::WireError;
use crate::wire::fields::{FieldReader, FieldWriter};

/// Longest stamp, as around a message.
const MAX_STAMP_LEN: usize = 1_024;

/// Whom a message was sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TranscriptTo {
    /// A user.
    User(UserId),
    /// A group, by its id.
    Group([u8; 32]),
}

/// What was sent.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TranscriptContent {
    /// The application's own bytes.
    App(Vec<u8>),
    /// Framed content.
    Framed {
        /// What was framed.
        inner: Vec<u8>,
        /// What commits to it.
        commitment: [u8; 32],
        /// The platform's stamp, if there was one by then: 1 to 1,024 bytes.
        stamp: Option<Vec<u8>>,
    },
}

/// Content 26: what another of one's own devices sent.
///
/// # Examples
///
/// ```
/// use subrosa::ident::{MessageId, Timestamp, UserId};
/// use subrosa::wire::{Transcript, TranscriptContent, TranscriptTo};
/// let sent = Transcript {
///     to: TranscriptTo::User(UserId::new("bob")?),
///     message_id: MessageId::new([1; 16]),
///     sent: Timestamp::new(7),
///     content: TranscriptContent::App(b"hi".to_vec()),
/// };
/// assert_eq!(Transcript::parse(&sent.to_bytes())?, sent);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// Whom it was sent to.
    pub to: TranscriptTo,
    /// The host's name of the message.
    pub message_id: MessageId,
    /// When.
    pub sent: Timestamp,
    /// What.
    pub content: TranscriptContent,
}

impl Transcript {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`WireError`]: each variant says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = FieldReader::new(bytes);
        let to = match (fields.optional_bytes(1)?, fields.optional_array(2)?) {
            (Some(user), None) => {
                let user = core::str::from_utf8(user).map_err(|_| WireError::Protobuf)?;
                TranscriptTo::User(UserId::new(user).map_err(|_| WireError::Field)?)
            }
            (None, Some(group)) => TranscriptTo::Group(*group),
            _ => return Err(WireError::Field),
        };
        let message_id = MessageId::new(*fields.some_array(3)?);
        let sent = Timestamp::new(fields.some_number(4)?);
        let (number, inner) = (fields.some_number::<u32>(5)?, fields.some_bytes(6)?);
        let (commitment, stamp) = (fields.optional_array(7)?.copied(), fields.optional_bytes(8)?);
        fields.end()?;
        if stamp.is_some_and(|stamp| stamp.is_empty() || stamp.len() > MAX_STAMP_LEN) {
            return Err(WireError::Field);
        }
        let (inner, stamp) = (inner.to_vec(), stamp.map(<[u8]>::to_vec));
        let content = match (number, commitment, stamp) {
            (16, None, None) => TranscriptContent::App(inner),
            (17, Some(commitment), stamp) => TranscriptContent::Framed { inner, commitment, stamp },
            _ => return Err(WireError::Field),
        };
        Ok(Self { to, message_id, sent, content })
    }

    /// Writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (number, inner, commitment, stamp) = match &self.content {
            TranscriptContent::App(inner) => (16u32, inner, None, None),
            TranscriptContent::Framed { inner, commitment, stamp } => (17, inner, Some(commitment), stamp.as_ref()),
        };
        let mut out = FieldWriter::with_capacity(360 + inner.len() + stamp.map_or(0, Vec::len));
        match &self.to {
            TranscriptTo::User(user) => out.some_bytes(1, user.as_str().as_bytes()),
            TranscriptTo::Group(group) => out.some_bytes(2, group),
        }
        out.some_bytes(3, self.message_id.as_bytes());
        out.optional(4, Some(self.sent.get()));
        out.optional(5, Some(number));
        out.some_bytes(6, inner);
        out.maybe_bytes(7, commitment);
        out.maybe_bytes(8, stamp);
        out.into_public()
    }
}

impl core::fmt::Debug for TranscriptContent {
    // What people write does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::App(_) => "App(..)",
            Self::Framed { .. } => "Framed(..)",
        })
    }
}
