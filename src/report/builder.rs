use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::commit::part_digest;
use super::evidence::Opening;
use super::{AccountTag, Commitment, Destination, Evidence, Part, Stamp};
use crate::wire::{ReportItem, ReportMessage, ReportPart};

/// Most messages of one report.
pub const MAX_ITEMS: usize = 1000;

/// Longest report: 16 MiB.
pub const MAX_REPORT_LEN: usize = 16 << 20;

/// Longest note, in bytes.
pub const MAX_NOTE_LEN: usize = 4096;

/// What of a message is shown to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reveal<'a> {
    /// All parts.
    All,
    /// Parts of these numbers, from 0. The others stay hidden, and cannot be guessed at.
    Parts(&'a [u16]),
    /// No part: who wrote at this place, and when.
    HeaderOnly,
}

/// On which side of the reported window a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowSide {
    /// It is a chain's last one before the window.
    Before,
    /// It is a chain's first one after the window.
    After,
}

/// Why a message was not added to a report. The report is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportBuildError {
    /// The evidence has no stamp. The platform would not believe it: leave it out.
    #[error("message has no stamp")]
    NotStamped,
    /// The parts are not those that the evidence is of. Look up the right ones.
    #[error("parts are of another message")]
    OtherParts,
    /// The content was deleted: show the header only.
    #[error("content can no longer be opened")]
    Reduced,
    /// There is no part of such a number.
    #[error("no such part")]
    NoSuchPart,
    /// Of another conversation. Make another report.
    #[error("message is of another conversation")]
    OtherConversation,
    /// The reporter neither wrote nor received it. Leave it out.
    #[error("reporter is not a party")]
    NotAParty,
    /// It is in the report already.
    #[error("message is in the report already")]
    AlreadyThere,
    /// The report has as many messages, or bytes, or words of the reporter's, as it may. Send it, and make another.
    #[error("report is full")]
    Full,
}

/// Puts a report together, of what its reporter chooses from one conversation.
///
/// Add what is reported, and one's own messages of the same time: a report without them has gaps that the verdict
/// names. For every chain in the window, or named by a message in it, add its last message before the window and its
/// first one after it with [`Self::boundary`]: they prove that nothing was cut off at either end.
///
/// # Security
///
/// A report shows the chosen parts, and of every message in it who wrote it when, to whoever opens the report. It
/// shows nothing that opens other parts or other messages. Seal it to the platform's moderation key with
/// [`seal_report`](super::seal_report).
pub struct ReportBuilder {
    reporter: AccountTag,
    items: Vec<ReportItem>,
    added: Vec<(Commitment, Destination, AccountTag)>,
    boundary: u8,
    note: String,
    len: usize,
}

impl ReportBuilder {
    /// Starts a report.
    #[must_use]
    pub const fn new(reporter: AccountTag) -> Self {
        Self { reporter, items: Vec::new(), added: Vec::new(), boundary: 0, note: String::new(), len: 0 }
    }

    /// Adds the reporter's own words, which prove nothing: at most 4 KiB.
    ///
    /// # Errors
    ///
    /// [`ReportBuildError::Full`] if they are longer.
    pub fn note(&mut self, note: &str) -> Result<&mut Self, ReportBuildError> {
        if note.len() > MAX_NOTE_LEN {
            return Err(ReportBuildError::Full);
        }
        self.note = note.into();
        Ok(self)
    }

    /// Adds a message.
    ///
    /// `parts` are the message's own, all of them; for a header alone they may be left away.
    ///
    /// # Errors
    ///
    /// [`ReportBuildError`].
    pub fn add(
        &mut self,
        evidence: &Evidence,
        parts: &[Part],
        reveal: Reveal<'_>,
    ) -> Result<&mut Self, ReportBuildError> {
        if evidence.stamps().is_empty() {
            return Err(ReportBuildError::NotStamped);
        }
        let header = evidence.header();
        self.belongs(evidence)?;
        let count = header.parts();
        let shown: Vec<u16> = match reveal {
            Reveal::All => (0..count).collect(),
            Reveal::Parts(chosen) if chosen.iter().any(|at| *at >= count) => return Err(ReportBuildError::NoSuchPart),
            Reveal::Parts(chosen) => (0..count).filter(|at| chosen.contains(at)).collect(),
            Reveal::HeaderOnly => Vec::new(),
        };
        let key = match evidence.opening() {
            _ if shown.is_empty() => None,
            Opening::Reduced(_) => return Err(ReportBuildError::Reduced),
            Opening::Full(_) if parts.len() != usize::from(count) => return Err(ReportBuildError::OtherParts),
            Opening::Full(key) => Some(key),
        };
        let (mut items, mut len) = (Vec::with_capacity(usize::from(count)), 0);
        let mut bodies = parts.iter();
        for (at, digest) in (0..count).zip(evidence.digests()) {
            let part = bodies.next();
            items.push(match (key, part) {
                (Some(key), Some(part)) if shown.contains(&at) => {
                    let key = key.part_key(at);
                    if part_digest(&key, at, part.kind().get(), part.body()) != *digest {
                        return Err(ReportBuildError::OtherParts);
                    }
                    len += part.body().len();
                    ReportPart::Open { kind: part.kind().get(), body: part.body().to_vec(), key }
                }
                _ => ReportPart::Redacted(*digest),
            });
        }
        // Keys, lengths and tags around each part; header, its key and the stamps around all.
        len += 64 * items.len() + 56 * header.seen().len() + 281 + 119 * evidence.stamps().len();
        if self.items.len() >= MAX_ITEMS || self.len + len > MAX_REPORT_LEN - 2 * MAX_NOTE_LEN {
            return Err(ReportBuildError::Full);
        }
        self.len += len;
        self.added.push((*evidence.commitment(), *header.dest(), *header.sender()));
        self.items.push(ReportItem {
            header: header.to_bytes(),
            header_key: evidence.header_key(),
            stamp: evidence.stamps().iter().flat_map(Stamp::to_bytes).collect(),
            parts: items,
            sealed: false,
        });
        Ok(self)
    }

    /// Adds a message that shows where the window ends; of it, the header alone. One that is in the report already
    /// serves as it is.
    ///
    /// # Errors
    ///
    /// [`ReportBuildError`].
    pub fn boundary(&mut self, evidence: &Evidence, side: WindowSide) -> Result<&mut Self, ReportBuildError> {
        match self.add(evidence, &[], Reveal::HeaderOnly) {
            Ok(_) | Err(ReportBuildError::AlreadyThere) => {}
            Err(error) => return Err(error),
        }
        self.boundary |= match side {
            WindowSide::Before => 1,
            WindowSide::After => 2,
        };
        Ok(self)
    }

    /// How many messages it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Writes the report.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        ReportMessage::to_bytes(self.items, self.boundary, &self.note)
    }

    fn belongs(&self, evidence: &Evidence) -> Result<(), ReportBuildError> {
        let (sender, dest) = (evidence.header().sender(), evidence.header().dest());
        if self.added.iter().any(|(commitment, ..)| commitment == evidence.commitment()) {
            return Err(ReportBuildError::AlreadyThere);
        }
        let first = self.added.first();
        if first.is_some_and(|(_, other, by)| other.conversation(by) != dest.conversation(sender)) {
            return Err(ReportBuildError::OtherConversation);
        }
        match dest {
            Destination::Direct(recipient) if *sender != self.reporter && *recipient != self.reporter => {
                Err(ReportBuildError::NotAParty)
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for ReportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReportBuilder({} messages, ..)", self.items.len())
    }
}
