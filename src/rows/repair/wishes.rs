//! What waits between one peer device and here, in a row of its own: what of it could not be read, and what it asks for.
//! Nobody's wish pushes out another's.

use alloc::vec::Vec;

use super::limits::{DAY_MS, HOUR_MS, MAX_ASKED, MAX_QUESTIONS, MAX_STARTS, QUESTION, elapsed};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, MessageId, MessageName, Timestamp};
use crate::persist::RecordKey;
use crate::rows::Core;
use crate::session::Name;
use crate::staging::{Stop, StoredError, Workspace, stored};
use crate::wire::{RecordError, RecordKind, address_from_record, address_to_record, decode_record, encode_row, record};

/// Most messages of one device that are remembered as unread; the oldest goes, and is counted.
pub(crate) const MAX_UNREAD: usize = 512;

/// Most messages that a device has asked for and that are not sent again yet.
const MAX_RESEND: usize = 512;

/// Most answers to one device in an hour.
pub(crate) const MAX_ANSWERS: u32 = 64;

/// How long a message that was asked for is waited for from the host: as long as the device waits for it. What receives mail
/// in the background may be days ahead of the app that does what is wanted.
pub(crate) const RESEND_MS: u64 = UNREAD_MS;

/// So long an unread message is remembered after it came, or was last asked for: 30 days.
pub(crate) const UNREAD_MS: u64 = 30 * DAY_MS;

/// A message that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnreadMessage {
    pub(crate) name: MessageName,
    /// The envelope that it came in: leads its sender to the record. Nothing authenticates it.
    pub(crate) envelope: [u8; 16],
    pub(crate) at: Timestamp,
    pub(crate) asked: u8,
    pub(crate) last_asked: Timestamp,
    pub(crate) asked_in: Name,
}

/// A bit beside the count of questions: all had been put, and the device was heard.
const ONCE_MORE: u8 = 0x80;

const UNREAD_LEN: usize = 32 + 16 + 8 + 1 + 8 + 8;

impl UnreadMessage {
    fn may_be_asked_for(&self) -> bool {
        #[cfg(test)]
        if planted::is(Defect::EndlessQuestions) {
            return true;
        }
        self.asked & !ONCE_MORE < MAX_ASKED
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&self.envelope);
        out.extend_from_slice(&self.at.get().to_be_bytes());
        out.push(self.asked);
        out.extend_from_slice(&self.last_asked.get().to_be_bytes());
        out.extend_from_slice(&self.asked_in);
    }

    fn read(bytes: &[u8; UNREAD_LEN]) -> Option<Self> {
        let (name, rest) = bytes.split_first_chunk()?;
        let (envelope, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (asked, rest) = rest.split_first()?;
        let (last_asked, rest) = rest.split_first_chunk()?;
        let asked_in = rest.try_into().ok()?;
        Some(Self {
            name: MessageName::new(*name),
            envelope: *envelope,
            at: Timestamp::new(u64::from_be_bytes(*at)),
            asked: *asked,
            last_asked: Timestamp::new(u64::from_be_bytes(*last_asked)),
            asked_in,
        })
    }
}

/// A message that the device asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    id: MessageId,
    /// What the device knows it by.
    pub(crate) name: MessageName,
    pub(crate) at: Timestamp,
}

const ASKED_LEN: usize = 16 + 32 + 8;

impl Asked {
    fn read(bytes: &[u8; ASKED_LEN]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (name, at) = rest.split_first_chunk()?;
        let at = u64::from_be_bytes(at.try_into().ok()?);
        Some(Self { id: MessageId::new(*id), name: MessageName::new(*name), at: Timestamp::new(at) })
    }
}

/// What waits between one peer device and here.
pub(crate) struct Wishes {
    pub(crate) address: Address,
    unread: Vec<UnreadMessage>,
    /// How many unread messages were given up for want of room.
    pub(crate) dropped: u64,
    started: Vec<Timestamp>,
    questions: Vec<Timestamp>,
    resend: Vec<Asked>,
    answered: (Timestamp, u32),
    /// Whether a bundle is wanted whether or not anything is unread.
    pub(crate) bundle: bool,
    /// What the device has asked for last, under an identity key that is not accepted.
    unheard: Vec<MessageName>,
}

impl Wishes {
    pub(crate) fn key(core: &Core, address: &Address) -> RecordKey {
        core.peer_key(RecordKind::Wishes, address)
    }

    fn none(address: &Address) -> Self {
        Self {
            address: address.clone(),
            unread: Vec::new(),
            dropped: 0,
            started: Vec::new(),
            questions: Vec::new(),
            resend: Vec::new(),
            answered: (Timestamp::new(0), 0),
            bundle: false,
            unheard: Vec::new(),
        }
    }

    /// What waits with a device. A damaged record counts as none: it is written over, and the messages that it named can be
    /// asked for by the host.
    pub(crate) fn load(core: &Core, work: &mut Workspace<'_>, address: &Address) -> Result<Self, Stop<StoredError>> {
        let read = match work.read(&core.keys, RecordKind::Wishes, Self::key(core, address)) {
            Ok(Some(bytes)) => Self::from_bytes(bytes, address),
            Ok(None) => return Ok(Self::none(address)),
            Err(Stop::Fail(StoredError { error, .. })) => Err(error),
            Err(Stop::Need) => return Err(Stop::Need),
        };
        match read {
            Err(RecordError::Corrupt) => Ok(Self::none(address)),
            read => Ok(read.map_err(stored(RecordKind::Wishes))?),
        }
    }

    fn from_bytes(bytes: &[u8], address: &Address) -> Result<Self, RecordError> {
        let stored: record::Wishes = decode_record(RecordKind::Wishes, bytes)?;
        if address_from_record(stored.address.as_ref())? != *address {
            return Err(RecordError::Corrupt);
        }
        let (unread, rest) = stored.unread.as_chunks::<UNREAD_LEN>();
        let unread: Option<Vec<_>> = unread.iter().map(UnreadMessage::read).collect();
        let unread = unread.filter(|_| rest.is_empty()).ok_or(RecordError::Corrupt)?;
        let (resend, rest) = stored.resend.as_chunks::<ASKED_LEN>();
        let resend: Vec<_> = resend.iter().filter_map(Asked::read).collect();
        let whole = rest.is_empty() && u32::try_from(unread.len()).ok() == stored.count;
        let (unheard, rest) = stored.unheard.as_chunks();
        let whole = whole && rest.is_empty() && unheard.len() <= QUESTION;
        if !whole || unread.len() > MAX_UNREAD || resend.len() > MAX_RESEND {
            return Err(RecordError::Corrupt);
        }
        Ok(Self {
            address: address.clone(),
            unread,
            dropped: stored.dropped,
            started: times(&stored.started, MAX_STARTS)?,
            questions: times(&stored.questions, MAX_QUESTIONS)?,
            resend,
            answered: match stored.answered.split_first_chunk() {
                None if stored.answered.is_empty() => (Timestamp::new(0), 0),
                Some((since, count)) => {
                    let count = u32::from_be_bytes(count.try_into().map_err(|_| RecordError::Corrupt)?);
                    (Timestamp::new(u64::from_be_bytes(*since)), count)
                }
                None => return Err(RecordError::Corrupt),
            },
            bundle: stored.bundle,
            unheard: unheard.iter().copied().map(MessageName::new).collect(),
        })
    }

    fn to_record(&self) -> record::Wishes {
        let mut unread = Vec::with_capacity(self.unread.len() * UNREAD_LEN);
        self.unread.iter().for_each(|message| message.write(&mut unread));
        let joined = |times: &[Timestamp]| times.iter().flat_map(|at| at.get().to_be_bytes()).collect();
        let resend = self.resend.iter().flat_map(|Asked { id, name, at }| {
            id.as_bytes().iter().chain(name.as_bytes()).copied().chain(at.get().to_be_bytes())
        });
        let answered = match self.answered {
            (_, 0) => Vec::new(),
            (since, count) => [&since.get().to_be_bytes()[..], &count.to_be_bytes()].concat(),
        };
        record::Wishes {
            address: Some(address_to_record(&self.address)),
            unread,
            dropped: self.dropped,
            started: joined(&self.started),
            questions: joined(&self.questions),
            resend: resend.collect(),
            answered,
            bundle: self.bundle,
            unheard: self.unheard.iter().flat_map(|name| *name.as_bytes()).collect(),
            count: u32::try_from(self.unread.len()).ok(),
        }
    }

    fn is_empty(&self) -> bool {
        let Self { address: _, unread, dropped, started, questions, resend, answered, bundle, unheard } = self;
        let lists = unread.is_empty() && started.is_empty() && questions.is_empty() && resend.is_empty();
        lists && unheard.is_empty() && *dropped == 0 && answered.1 == 0 && !bundle
    }

    /// Writes the row, which was read, and what the index says of the device: from when on its bundle is of use, and whether it
    /// is a stranger.
    pub(crate) fn write(
        &self,
        core: &Core,
        work: &mut Workspace<'_>,
        due: Option<Timestamp>,
        stranger: bool,
    ) -> Result<(), Stop<StoredError>> {
        let key = Self::key(core, &self.address);
        if self.is_empty() {
            work.remove(key)?;
        } else {
            work.row(key)?;
            work.put(&core.keys, key, encode_row(RecordKind::Wishes, &self.to_record()));
        }
        core.enter_wish(work, &self.address, due, !self.resend.is_empty(), stranger)
    }

    /// Sessions that were started for repair in the last day, oldest first.
    pub(crate) fn started(&self) -> &[Timestamp] {
        &self.started
    }

    /// Envelopes with questions of the last day, oldest first.
    pub(crate) fn questions(&self) -> &[Timestamp] {
        &self.questions
    }

    /// What may still be asked for.
    pub(crate) fn askable(&self) -> impl Iterator<Item = &UnreadMessage> {
        self.unread.iter().filter(|message| message.may_be_asked_for())
    }

    /// Whether there is anything to be asked for, or to be counted.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Nothing of it is asked for any more: there is no way to, or the host does not want it.
    pub(crate) fn give_up(&mut self) {
        self.unread.clear();
    }

    /// Remembers a message that could not be read. Whether that is new.
    pub(crate) fn note_unread(&mut self, name: MessageName, envelope: [u8; 16], now: Timestamp) -> bool {
        if self.unread.iter().any(|message| message.name == name) {
            return false;
        }
        let never = (0, Timestamp::new(0), Name::default());
        let (asked, last_asked, asked_in) = never;
        self.unread.push(UnreadMessage { name, envelope, at: now, asked, last_asked, asked_in });
        #[cfg(test)]
        if planted::is(Defect::FewWishes) && self.unread.len() > 16 {
            self.unread.remove(0);
        }
        if self.unread.len() > MAX_UNREAD {
            self.unread.remove(0);
            self.dropped = self.dropped.saturating_add(1);
        }
        true
    }

    /// The host has these asked for once more, however often they were.
    pub(crate) fn ask_anew(&mut self, name: MessageName, now: Timestamp) {
        self.unread.retain(|message| message.name != name);
        self.note_unread(name, [0; 16], now);
    }

    /// What is to be asked for now in a session, at most so many, unless it was asked for there: those asked for least first,
    /// of them the oldest.
    pub(crate) fn ask(&mut self, session: Option<Name>, now: Timestamp, most: usize) -> Vec<(MessageName, [u8; 16])> {
        let is_due = |message: &&mut UnreadMessage| {
            message.may_be_asked_for() && (message.asked == 0 || Some(message.asked_in) != session)
        };
        let mut due: Vec<&mut UnreadMessage> = self.unread.iter_mut().filter(is_due).collect();
        due.sort_by_key(|message| message.asked);
        let due = due.into_iter().take(most);
        due.map(|message| {
            message.asked += 1;
            message.last_asked = now;
            message.asked_in = session.unwrap_or_default();
            (message.name, message.envelope)
        })
        .collect()
    }

    /// Counts what was done when a bundle came: whether a session was started for repair, and envelopes with questions.
    pub(crate) fn spend(&mut self, started: bool, questions: usize, now: Timestamp) {
        if started {
            self.started.push(now);
            self.started.drain(..self.started.len().saturating_sub(MAX_STARTS));
        }
        self.questions.extend(core::iter::repeat_n(now, questions));
        self.questions.drain(..self.questions.len().saturating_sub(MAX_QUESTIONS));
    }

    /// The device was heard: sessions may be started again, and what was asked for in vain may be
    /// asked for once more, and no more than that, since the device was perhaps not there to be asked, or had not accepted who
    /// asked. Whether that changes anything.
    pub(crate) fn heard(&mut self) -> bool {
        let mut counted = !self.started.is_empty();
        self.started.clear();
        #[cfg(test)]
        if planted::is(Defect::DeafToReturns) {
            return counted;
        }
        for message in self.unread.iter_mut().filter(|message| message.asked == MAX_ASKED) {
            message.asked = ONCE_MORE | (MAX_ASKED - 1);
            counted = true;
        }
        counted
    }

    /// A message came that answers to this one, or its sender has it no more. Whether it was waited for.
    pub(crate) fn settle(&mut self, is_it: impl Fn(&MessageName) -> bool) -> Option<MessageName> {
        let at = self.unread.iter().position(|message| is_it(&message.name))?;
        Some(self.unread.remove(at).name)
    }

    /// The device asks for a message. `false` if there is no room.
    pub(crate) fn note_asked(&mut self, id: MessageId, name: MessageName, now: Timestamp) -> bool {
        self.resend.retain(|asked| asked.id != id);
        let fits = self.resend.len() < MAX_RESEND;
        if fits {
            self.resend.push(Asked { id, name, at: now });
        }
        fits
    }

    /// A message that the device has asked for and that was not sent since.
    pub(crate) fn asked_for(&self, id: MessageId) -> Option<Asked> {
        self.resend.iter().find(|asked| asked.id == id).copied()
    }

    pub(crate) fn resent(&mut self, id: MessageId) {
        self.resend.retain(|asked| asked.id != id);
    }

    /// The messages that the host is to send again now.
    pub(crate) fn to_resend(&self, now: Timestamp) -> impl Iterator<Item = MessageId> {
        let left = usize::try_from(self.answers_left(now)).unwrap_or(usize::MAX);
        let fresh = move |asked: &&Asked| now.since(asked.at) <= RESEND_MS;
        self.resend.iter().filter(fresh).map(|asked| asked.id).take(left)
    }

    pub(crate) fn answers_left(&self, now: Timestamp) -> u32 {
        match self.answered {
            (since, count) if elapsed(now, since) < HOUR_MS => MAX_ANSWERS.saturating_sub(count),
            _ => MAX_ANSWERS,
        }
    }

    /// Counts answers.
    pub(crate) fn answer(&mut self, count: u32, now: Timestamp) {
        if elapsed(now, self.answered.0) >= HOUR_MS {
            self.answered = (now, 0);
        }
        self.answered.1 = self.answered.1.saturating_add(count);
    }

    /// The host begins anew: sessions may be started again, and everything may be asked for as if it never had been.
    pub(crate) fn begin_again(&mut self) {
        self.started.clear();
        for message in &mut self.unread {
            message.asked = 0;
        }
    }

    /// The device has another identity key, accepted: whatever was asked under the former one was not heard.
    pub(crate) fn begin_anew(&mut self) {
        self.begin_again();
        self.resend.clear();
        // What it has asked under this one is answered now: perhaps it has given up asking.
        self.bundle |= !self.unheard.is_empty();
    }

    /// The device asks under an identity key that is not accepted.
    pub(crate) fn overhear(&mut self, names: impl Iterator<Item = MessageName>) {
        self.unheard = names.take(QUESTION).collect();
    }

    /// What it has asked for so.
    pub(crate) fn take_unheard(&mut self) -> Vec<MessageName> {
        core::mem::take(&mut self.unheard)
    }

    /// Drops what is over, by a clock that is surely not ahead. Whether there was anything.
    pub(crate) fn expire(&mut self, now: Timestamp) -> bool {
        let before = (self.unread.len(), self.resend.len(), self.started.len(), self.questions.len(), self.answered.1);
        let age = |message: &UnreadMessage| now.since(message.at.max(message.last_asked));
        let mut changed = false;
        // What looks as if it should have been dropped a month ago came under a clock that was behind, or nobody has pruned.
        for message in self.unread.iter_mut().filter(|message| age(message) > 2 * UNREAD_MS) {
            (message.at, changed) = (now, true);
        }
        self.unread.retain(|message| age(message) <= UNREAD_MS);
        self.resend.retain(|asked| now.since(asked.at) <= RESEND_MS);
        for list in [&mut self.started, &mut self.questions] {
            list.retain(|at| now.since(*at) < DAY_MS);
        }
        if now.since(self.answered.0) >= HOUR_MS {
            self.answered = (Timestamp::new(0), 0);
        }
        let after = (self.unread.len(), self.resend.len(), self.started.len(), self.questions.len(), self.answered.1);
        changed || before != after
    }
}

fn times(bytes: &[u8], most: usize) -> Result<Vec<Timestamp>, RecordError> {
    let (times, rest) = bytes.as_chunks::<8>();
    let whole = rest.is_empty() && times.len() <= most;
    if whole {
        Ok(times.iter().map(|at| Timestamp::new(u64::from_be_bytes(*at))).collect())
    } else {
        Err(RecordError::Corrupt)
    }
}
