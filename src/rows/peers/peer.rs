//! A peer device, and the record that changes with every message.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ident::Address;
use crate::persist::RecordKey;
use crate::rows::{Mark, SentLog, Views};
use crate::session::{Name, RECORD_CAPACITY, Session};
use crate::wire::{FieldReader, FieldWriter, Record, RecordError, RecordKind};

/// What a message makes the record longer, most of the time: one more message in the log, and chunks that are made ahead.
const ROOM_TO_GROW: usize = 400;

/// One peer device, and what of its parts was brought from the store. Boxed, as it is large and full of keys, of which every
/// move would leave a copy.
pub(crate) struct Peer {
    pub(crate) address: Address,
    pub(super) key: RecordKey,
    pub(crate) session: Session,
    pub(crate) untrusted: bool,
    /// What the Framing row that was written with the record has for this device.
    pub(crate) framing: Option<Mark>,
    /// What the device has seen of one's own rosters, where there are any.
    pub(crate) views: Option<Views>,
    /// What was sent to it, under the identity key that it has now.
    pub(crate) sent: SentLog,
    pub(super) archived: u32,
    /// What the record takes, most likely.
    room: usize,
    /// Whether the record is there.
    pub(super) is_new: bool,
    /// The current session when the record was read.
    pub(super) current: Option<Name>,
    /// The archived sessions that were brought, as they were.
    pub(super) brought: BTreeMap<Name, Record>,
    /// Lists of skipped message keys that were brought, as they were.
    pub(crate) skipped: BTreeMap<Name, Record>,
}

impl Peer {
    /// A peer device that was unknown.
    pub(super) fn unknown(key: RecordKey, session: Session) -> Box<Self> {
        Box::new(Self {
            key,
            address: session.remote_address().clone(),
            session,
            untrusted: false,
            framing: None,
            views: None,
            sent: SentLog::default(),
            archived: 0,
            room: RECORD_CAPACITY,
            is_new: true,
            current: None,
            brought: BTreeMap::new(),
            skipped: BTreeMap::new(),
        })
    }

    /// With `only_sends` as [`Session::read_hot`] says.
    pub(super) fn from_bytes(
        record: &Record,
        key: RecordKey,
        generation: u64,
        only_sends: bool,
    ) -> Result<Box<Self>, RecordError> {
        let mut fields = FieldReader::record(RecordKind::Peer, record)?;
        let stored_generation = fields.number(1)?;
        let (archived, untrusted) = (fields.small(2)?, fields.flag(3)?);
        let sent = SentLog::read(fields.message(4)?)?;
        // After a rollback the session is archived, which wants it whole.
        let only_sends = only_sends && stored_generation == generation;
        let session = Session::read_hot(fields.some_message(5)?, record.tail(), only_sends)?;
        let framing = fields.optional_bytes(6)?.map(Mark::from_bytes).transpose()?;
        let views = fields.optional_bytes(7)?.map(Views::from_bytes).transpose()?;
        fields.end()?;
        if stored_generation > generation {
            return Err(RecordError::OtherGeneration);
        }
        let mut peer = Box::new(Self {
            key,
            address: session.remote_address().clone(),
            current: session.current_name(),
            session,
            untrusted,
            framing,
            views,
            sent,
            archived,
            room: record.len() + record.tail().len() + ROOM_TO_GROW,
            is_new: false,
            brought: BTreeMap::new(),
            skipped: BTreeMap::new(),
        });
        if stored_generation != generation {
            // The store went back in time: what this session has sent since then is not known.
            peer.session.rolled_back();
        }
        Ok(peer)
    }

    /// Its own record, for which what is long was laid apart.
    pub(super) fn to_record(&self, generation: u64) -> Record {
        let mut record = FieldWriter::row(RecordKind::Peer, self.room);
        record.number(1, generation);
        record.number(2, self.archived);
        record.number(3, self.untrusted);
        record.joined(4, |out| self.sent.write(out));
        record.message(5, |out| self.session.write_hot(out));
        if let Some(mark) = self.framing {
            record.bytes(6, &mark.to_bytes());
        }
        if let Some(views) = self.views {
            record.some_bytes(7, &views.to_bytes());
        }
        record.with_tail(self.session.tail())
    }

    /// Whether nothing is stored of the device yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.is_new
    }

    pub(crate) const fn has_archived(&self) -> bool {
        self.archived > 0
    }

    pub(crate) const fn set_archived(&mut self, count: u32) {
        self.archived = count;
    }

    /// All sessions of the record, with one that a rollback has taken out of use.
    pub(crate) fn names(&self) -> Vec<Name> {
        self.current.into_iter().chain(self.session.names()).collect()
    }

    /// Whether nothing is here but what its own record holds.
    pub(super) fn is_alone(&self) -> bool {
        let skipped = self.session.current_name().is_some_and(|name| self.session.has_skipped(name));
        self.session.archived_parts().is_empty() && !skipped && self.brought.is_empty() && self.skipped.is_empty()
    }
}
