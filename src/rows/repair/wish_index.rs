//! Which devices something waits with: an index in pages, so that nobody's wish pushes out another's, and one row that says
//! which pages there are and counts strangers.

use alloc::vec::Vec;

use super::limits::{DAY_MS, elapsed};
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::{Address, DeviceId, Timestamp, UserId};
use crate::persist::RecordKey;
use crate::rows::Core;
use crate::staging::{Stop, StoredError, Workspace, stored};
use crate::wire::{RecordError, RecordKind, address_from_record, address_to_record, decode_record, encode_row, record};

/// Most strangers of a day whose unreadable messages are remembered.
const MAX_STRANGERS_A_DAY: u32 = 20;

/// Most strangers whose unreadable messages are remembered.
const MAX_STRANGERS: u32 = 200;

type Halt = Stop<StoredError>;

/// What waits with one device.
pub(crate) struct Wish {
    pub(crate) address: Address,
    /// From when on its bundle is of use, and when that was said.
    due: Option<(Timestamp, Timestamp)>,
    /// Whether it has asked for messages.
    pub(crate) resend: bool,
    /// Whether nothing is known of it.
    stranger: bool,
}

impl Wish {
    /// The user whose roster it is that is wanted, if it is not a device's bundle.
    pub(crate) fn user(&self) -> Option<&UserId> {
        (self.address.device() == DeviceId::new(0)).then(|| self.address.user())
    }

    /// Whether its bundle is of use now. What was said under a clock that was ahead holds nothing up.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|(due, noted)| due <= now || elapsed(now, noted) == u64::MAX)
    }
}

/// Which pages there are, and how many strangers.
struct WishIndex {
    pages: [u8; 32],
    strangers: u32,
    since: Timestamp,
    came: u32,
}

impl Core {
    pub(crate) fn wish_index_key(&self) -> RecordKey {
        self.keys.record_key(RecordKind::WishIndex, &[])
    }

    pub(crate) fn wish_page_key(&self, page: u8) -> RecordKey {
        self.keys.record_key(RecordKind::WishPage, &[&[page]])
    }

    /// All that a wish of a device is entered in.
    pub(crate) fn wish_keys(&self, address: &Address) -> [RecordKey; 3] {
        let row = self.peer_key(RecordKind::Wishes, address);
        [row, self.wish_page_key(self.page_of(address)), self.wish_index_key()]
    }

    /// Whether the unreadable messages of one more stranger may be remembered.
    pub(crate) fn takes_stranger(&self, work: &mut Workspace<'_>) -> Result<bool, Halt> {
        #[cfg(test)]
        if planted::is(Defect::NoStrangers) {
            return Ok(false);
        }
        let index = WishIndex::load(self, work)?;
        let today = elapsed(work.now, index.since) < DAY_MS && index.came >= MAX_STRANGERS_A_DAY;
        Ok(!today && index.strangers < MAX_STRANGERS)
    }

    /// Notes what waits with a device, or that nothing does. A stranger is counted when it is entered first, and no more
    /// when it is none, or when nothing waits any more.
    pub(crate) fn enter_wish(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
        due: Option<Timestamp>,
        resend: bool,
        stranger: bool,
    ) -> Result<(), Halt> {
        let page = self.page_of(address);
        let mut wishes = self.load_wishes(work, page)?;
        let place = wishes.binary_search_by(|wish| wish.address.cmp(address));
        let mut index = WishIndex::load(self, work)?;
        let before = index.to_record();
        let was_stranger = match place {
            Ok(at) => wishes.remove(at).stranger,
            Err(_) if due.is_none() && !resend => return Ok(()),
            Err(_) => false,
        };
        if due.is_some() || resend {
            let at = place.unwrap_or_else(|at| at);
            let (address, due) = (address.clone(), due.map(|due| (due, work.now)));
            wishes.insert(at, Wish { address, due, resend, stranger });
        }
        let is_stranger = stranger && (due.is_some() || resend);
        index.count_strangers(was_stranger, is_stranger, work.now);
        index.set(page, !wishes.is_empty());
        self.save_wishes(work, page, &wishes)?;
        if index.to_record() != before {
            index.save(self, work)?;
        }
        Ok(())
    }

    /// The pages that something is entered in.
    pub(crate) fn wish_pages(&self, work: &mut Workspace<'_>) -> Result<Vec<u8>, Halt> {
        let index = WishIndex::load(self, work)?;
        Ok((0..=255).filter(|page| index.has(*page)).collect())
    }

    /// What waits with the devices of one page. A damaged page counts as empty: it is filled as messages come.
    pub(crate) fn load_wishes(&self, work: &mut Workspace<'_>, page: u8) -> Result<Vec<Wish>, Halt> {
        let kind = RecordKind::WishPage;
        let read = match work.read(&self.keys, kind, self.wish_page_key(page)) {
            Ok(Some(bytes)) => wishes_from(bytes),
            Ok(None) => return Ok(Vec::new()),
            Err(Stop::Fail(StoredError { error, .. })) => Err(error),
            Err(Stop::Need) => return Err(Stop::Need),
        };
        match read {
            Err(RecordError::Corrupt) => Ok(Vec::new()),
            read => Ok(read.map_err(stored(kind))?),
        }
    }

    fn save_wishes(&self, work: &mut Workspace<'_>, page: u8, wishes: &[Wish]) -> Result<(), Halt> {
        let key = self.wish_page_key(page);
        if wishes.is_empty() {
            return work.remove(key);
        }
        work.row::<StoredError>(key)?;
        let entry = |wish: &Wish| record::WishEntry {
            address: Some(address_to_record(&wish.address)),
            due: wish.due.map(|(due, _)| due.get()),
            noted: wish.due.map_or(0, |(_, noted)| noted.get()),
            resend: wish.resend,
            stranger: wish.stranger,
        };
        let count = u32::try_from(wishes.len()).unwrap_or(u32::MAX);
        let page = record::WishPage { entries: wishes.iter().map(entry).collect(), count };
        work.put(&self.keys, key, encode_row(RecordKind::WishPage, &page));
        Ok(())
    }
}

fn wishes_from(bytes: &[u8]) -> Result<Vec<Wish>, RecordError> {
    let stored: record::WishPage = decode_record(RecordKind::WishPage, bytes)?;
    let wish = |entry: &record::WishEntry| {
        let address = address_from_record(entry.address.as_ref())?;
        let due = entry.due.map(|due| (Timestamp::new(due), Timestamp::new(entry.noted)));
        Ok(Wish { address, due, resend: entry.resend, stranger: entry.stranger })
    };
    let wishes: Vec<Wish> = stored.entries.iter().map(wish).collect::<Result<_, RecordError>>()?;
    let whole = u32::try_from(wishes.len()) == Ok(stored.count);
    if whole && wishes.is_sorted_by(|a, b| a.address < b.address) { Ok(wishes) } else { Err(RecordError::Corrupt) }
}

impl WishIndex {
    /// A damaged one counts as one that has all pages.
    fn load(core: &Core, work: &mut Workspace<'_>) -> Result<Self, Halt> {
        let kind = RecordKind::WishIndex;
        let read = match work.read(&core.keys, kind, core.wish_index_key()) {
            Ok(Some(bytes)) => Self::from_bytes(bytes),
            Ok(None) => return Ok(Self { pages: [0; 32], strangers: 0, since: Timestamp::new(0), came: 0 }),
            Err(Stop::Fail(StoredError { error, .. })) => Err(error),
            Err(Stop::Need) => return Err(Stop::Need),
        };
        match read {
            Err(RecordError::Corrupt) => Ok(Self { pages: [0xff; 32], strangers: 0, since: work.now, came: 0 }),
            read => Ok(read.map_err(stored(kind))?),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let stored: record::WishIndex = decode_record(RecordKind::WishIndex, bytes)?;
        let pages = stored.pages.as_slice().try_into().map_err(|_| RecordError::Corrupt)?;
        let came = stored.came.ok_or(RecordError::Corrupt)?;
        Ok(Self { pages, strangers: stored.strangers, since: Timestamp::new(stored.since), came })
    }

    fn to_record(&self) -> record::WishIndex {
        let Self { pages, strangers, since, came } = self;
        record::WishIndex { pages: pages.to_vec(), strangers: *strangers, since: since.get(), came: Some(*came) }
    }

    fn save(&self, core: &Core, work: &mut Workspace<'_>) -> Result<(), Halt> {
        let key = core.wish_index_key();
        work.row::<StoredError>(key)?;
        work.put(&core.keys, key, encode_row(RecordKind::WishIndex, &self.to_record()));
        Ok(())
    }

    fn has(&self, page: u8) -> bool {
        self.pages.get(usize::from(page / 8)).is_some_and(|byte| byte & (1 << (page % 8)) != 0)
    }

    fn set(&mut self, page: u8, present: bool) {
        if let Some(byte) = self.pages.get_mut(usize::from(page / 8)) {
            let bit = 1 << (page % 8);
            if present { *byte |= bit } else { *byte &= !bit }
        }
    }

    fn count_strangers(&mut self, was: bool, is: bool, now: Timestamp) {
        match (was, is) {
            (true, false) => self.strangers = self.strangers.saturating_sub(1),
            (false, true) => {
                if elapsed(now, self.since) >= DAY_MS {
                    (self.since, self.came) = (now, 0);
                }
                self.came = self.came.saturating_add(1);
                self.strangers = self.strangers.saturating_add(1);
            }
            _ => {}
        }
    }
}
