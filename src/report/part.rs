use alloc::vec::Vec;
use core::fmt;

use super::Commitment;
use crate::attachment::AttachmentRef;
use crate::wire::MAX_PARTS;

/// Most bytes in all parts of one message: 1 MiB. The message's cipher suite may allow less.
pub const MAX_PARTS_LEN: usize = 1 << 20;

/// What a part is: a number. 1 to 9 are given meanings here, 0x8000 and above are the application's, the rest is for
/// later versions and is handed over as it came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartKind(u16);

impl PartKind {
    /// UTF-8 text.
    pub const TEXT: Self = Self(1);
    /// An [`AttachmentRef`], in its one encoding.
    pub const ATTACHMENT: Self = Self(2);
    /// A preview or thumbnail, so that it can be reported alone: bytes of the host's.
    pub const PREVIEW: Self = Self(3);
    /// The commitment of the message that is answered.
    pub const QUOTE: Self = Self(4);
    /// The commitment of the message that the other parts replace.
    pub const EDIT_OF: Self = Self(5);
    /// The commitment of the message that is to go.
    pub const DELETE_OF: Self = Self(6);
    /// The commitment of the message reacted to, then up to 64 bytes of UTF-8; none takes the reaction back.
    pub const REACTION: Self = Self(7);
    /// A [`MessagePolicy`].
    pub const POLICY: Self = Self(8);
    /// A group's new title or photo, see [`GroupMeta`].
    pub const GROUP_META: Self = Self(9);

    /// The kind with a number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether the application gives it its meaning.
    #[must_use]
    pub const fn is_app(self) -> bool {
        self.0 >= 0x8000
    }
}

impl fmt::Debug for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartKind({})", self.0)
    }
}

/// One part of a framed message: its kind and its exact bytes. Each can be reported alone.
///
/// # Examples
///
/// ```
/// use subrosa::report::{Part, PartKind, PartView};
/// let part = Part::text("hello");
/// assert_eq!(part.kind(), PartKind::TEXT);
/// assert_eq!(part.view(), Ok(PartView::Text("hello")));
/// assert!(!format!("{part:?}").contains("hello"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    kind: PartKind,
    body: Vec<u8>,
}

impl fmt::Debug for Part {
    // What people write does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({}, ..)", self.kind.0)
    }
}

/// The body of a part is not what its kind asks for. Refuse the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part is malformed")]
pub struct MalformedPart;

/// How long a message lives, and what its host calls it: the body of a part of kind [`PartKind::POLICY`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessagePolicy {
    /// Whether it is shown once.
    pub view_once: bool,
    /// Seconds until it goes, from when it was read; 0 for never.
    pub expire_s: u32,
    /// The host's own number for the kind of content.
    pub content: u16,
}

/// A group's new title or photo.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupMeta<'a> {
    /// The title, UTF-8.
    Title(&'a str),
    /// The photo: the host's bytes, or an attachment's reference.
    Photo(&'a [u8]),
}

impl fmt::Debug for GroupMeta<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Title(_) => "Title(..)",
            Self::Photo(_) => "Photo(..)",
        })
    }
}

/// A part, read.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartView<'a> {
    /// Text.
    Text(&'a str),
    /// A file: its key, and what commits to every byte of it.
    Attachment(AttachmentRef),
    /// A preview.
    Preview(&'a [u8]),
    /// An answer to this message. Render it from the copy that is found by this commitment.
    Quote(Commitment),
    /// Replaces this message.
    EditOf(Commitment),
    /// Takes this message back.
    DeleteOf(Commitment),
    /// A reaction to this message; empty takes it back.
    Reaction(Commitment, &'a str),
    /// How long it lives.
    Policy(MessagePolicy),
    /// A group's title or photo.
    GroupMeta(GroupMeta<'a>),
    /// The application's own.
    App(PartKind, &'a [u8]),
    /// Of a later version: say that something cannot be shown.
    Unknown(PartKind, &'a [u8]),
}

impl fmt::Debug for PartView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::Attachment(_) => f.write_str("Attachment(..)"),
            Self::Preview(_) => f.write_str("Preview(..)"),
            Self::Quote(target) => write!(f, "Quote({target:?})"),
            Self::EditOf(target) => write!(f, "EditOf({target:?})"),
            Self::DeleteOf(target) => write!(f, "DeleteOf({target:?})"),
            Self::Reaction(target, _) => write!(f, "Reaction({target:?}, ..)"),
            Self::Policy(policy) => write!(f, "Policy({policy:?})"),
            Self::GroupMeta(meta) => write!(f, "GroupMeta({meta:?})"),
            Self::App(kind, _) => write!(f, "App({}, ..)", kind.0),
            Self::Unknown(kind, _) => write!(f, "Unknown({}, ..)", kind.0),
        }
    }
}

/// Longest symbol of a reaction, in bytes.
const MAX_SYMBOL_LEN: usize = 64;

impl Part {
    /// Any part.
    #[must_use]
    pub const fn new(kind: PartKind, body: Vec<u8>) -> Self {
        Self { kind, body }
    }

    /// Text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(PartKind::TEXT, text.as_bytes().to_vec())
    }

    /// A file, by its reference.
    ///
    /// # Security
    ///
    /// The reference holds the file's key: the part is as secret as the file.
    ///
    /// # Examples
    ///
    /// ```
    /// use subrosa::{attachment, report::{Part, PartKind}};
    /// # let mut rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
    /// let (object, reference) = attachment::encrypt(b"a picture", "image/png", "cat.png", &mut rng)?;
    /// let part = Part::attachment(&reference);
    /// assert_eq!(part.attachment_ref().as_ref(), Some(&reference));
    /// assert!(Part::new(PartKind::ATTACHMENT, b"something else".to_vec()).view().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn attachment(reference: &AttachmentRef) -> Self {
        Self::new(PartKind::ATTACHMENT, reference.to_bytes().to_vec())
    }

    /// What answers a message.
    #[must_use]
    pub fn quote(target: &Commitment) -> Self {
        Self::new(PartKind::QUOTE, target.as_bytes().to_vec())
    }

    /// What makes a message the replacement of another.
    #[must_use]
    pub fn edit_of(target: &Commitment) -> Self {
        Self::new(PartKind::EDIT_OF, target.as_bytes().to_vec())
    }

    /// What takes a message back.
    #[must_use]
    pub fn delete_of(target: &Commitment) -> Self {
        Self::new(PartKind::DELETE_OF, target.as_bytes().to_vec())
    }

    /// A reaction, of at most 64 bytes; an empty one takes it back.
    #[must_use]
    pub fn reaction(target: &Commitment, symbol: &str) -> Self {
        Self::new(PartKind::REACTION, [target.as_bytes(), symbol.as_bytes()].concat())
    }

    /// How long the message lives.
    #[must_use]
    pub fn policy(policy: &MessagePolicy) -> Self {
        let MessagePolicy { view_once, expire_s, content } = policy;
        let mut body = Vec::with_capacity(8);
        body.extend_from_slice(&[1, u8::from(*view_once)]);
        body.extend_from_slice(&expire_s.to_be_bytes());
        body.extend_from_slice(&content.to_be_bytes());
        Self::new(PartKind::POLICY, body)
    }

    /// A group's title or photo.
    #[must_use]
    pub fn group_meta(meta: GroupMeta<'_>) -> Self {
        let (which, bytes) = match meta {
            GroupMeta::Title(title) => (1, title.as_bytes()),
            GroupMeta::Photo(photo) => (2, photo),
        };
        Self::new(PartKind::GROUP_META, [&[which], bytes].concat())
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> PartKind {
        self.kind
    }

    /// Its exact bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The reference, if it is a file's. In what was accepted or verified, that is every part of kind
    /// [`PartKind::ATTACHMENT`].
    #[must_use]
    pub fn attachment_ref(&self) -> Option<AttachmentRef> {
        match self.view() {
            Ok(PartView::Attachment(reference)) => Some(reference),
            _ => None,
        }
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`MalformedPart`] if the body is not what the kind asks for.
    pub fn view(&self) -> Result<PartView<'_>, MalformedPart> {
        let body = self.body.as_slice();
        let target = || body.try_into().map(Commitment::new).map_err(|_| MalformedPart);
        let text = |bytes| core::str::from_utf8(bytes).map_err(|_| MalformedPart);
        Ok(match self.kind {
            PartKind::TEXT => PartView::Text(text(body)?),
            PartKind::ATTACHMENT => PartView::Attachment(AttachmentRef::parse(body).map_err(|_| MalformedPart)?),
            PartKind::PREVIEW => PartView::Preview(body),
            PartKind::QUOTE => PartView::Quote(target()?),
            PartKind::EDIT_OF => PartView::EditOf(target()?),
            PartKind::DELETE_OF => PartView::DeleteOf(target()?),
            PartKind::REACTION => {
                let (target, symbol) = body.split_first_chunk().ok_or(MalformedPart)?;
                if symbol.len() > MAX_SYMBOL_LEN {
                    return Err(MalformedPart);
                }
                PartView::Reaction(Commitment::new(*target), text(symbol)?)
            }
            PartKind::POLICY => match body {
                [1, flags @ (0 | 1), a, b, c, d, e, f] => PartView::Policy(MessagePolicy {
                    view_once: *flags == 1,
                    expire_s: u32::from_be_bytes([*a, *b, *c, *d]),
                    content: u16::from_be_bytes([*e, *f]),
                }),
                _ => return Err(MalformedPart),
            },
            PartKind::GROUP_META => match body {
                [1, title @ ..] => PartView::GroupMeta(GroupMeta::Title(text(title)?)),
                [2, photo @ ..] => PartView::GroupMeta(GroupMeta::Photo(photo)),
                _ => return Err(MalformedPart),
            },
            kind if kind.is_app() => PartView::App(kind, body),
            kind => PartView::Unknown(kind, body),
        })
    }
}

/// Why parts make no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// None, or more than 64. Send more messages.
    #[error("a message has 1 to 64 parts")]
    Count,
    /// More than [`MAX_PARTS_LEN`] bytes in all. Send an attachment.
    #[error("parts are too long")]
    TooLong,
    /// A body is not what its kind asks for, see [`Part::view`]. Refuse the message, or correct it.
    #[error(transparent)]
    Malformed(#[from] MalformedPart),
    /// Parts that do not go together: two that say what the message does (edit, delete, react), two policies or
    /// quotes, a deletion or reaction with content, an edit or quote without. Refuse the message, or correct it.
    #[error("parts do not go together")]
    Combination,
}

/// Whether parts make a message. The same check before sending and after receiving: what one's own application takes,
/// every other one takes.
///
/// # Errors
///
/// [`PartsError`].
pub(super) fn check(parts: &[Part]) -> Result<(), PartsError> {
    if !(1..=MAX_PARTS).contains(&parts.len()) {
        return Err(PartsError::Count);
    }
    let mut len = 0usize;
    let (mut quotes, mut edits, mut removals, mut policies, mut content) = (0, 0, 0, 0, 0);
    for part in parts {
        len = len.saturating_add(part.body.len());
        match part.view()? {
            PartView::Quote(_) => quotes += 1,
            PartView::EditOf(_) => edits += 1,
            PartView::DeleteOf(_) | PartView::Reaction(..) => removals += 1,
            PartView::Policy(_) => policies += 1,
            _ => content += 1,
        }
    }
    if len > MAX_PARTS_LEN {
        return Err(PartsError::TooLong);
    }
    let fits = match (edits, removals) {
        // A policy alone sets the conversation's timer.
        (0, 0) => (content > 0 || (policies == 1 && quotes == 0)) && quotes <= 1 && policies <= 1,
        // An edit inherits how long its message lives.
        (1, 0) => content > 0 && quotes <= 1 && policies == 0,
        (0, 1) => parts.len() == 1,
        _ => false,
    };
    if fits { Ok(()) } else { Err(PartsError::Combination) }
}
