//! Skipped message keys, as rows: of each session a list of pages, and the pages. A message reads and writes a
//! few of them, whatever is kept.

use alloc::vec::Vec;

use super::archive::Archive;
use super::peer::Peer;
use crate::ident::Address;
use crate::persist::RecordKey;
use crate::ratchet::{PageName, PageRecord, SkippedRecords, Touched, skipped_pages};
use crate::rows::Core;
use crate::session::{Name, Session};
use crate::staging::{Stop, StoredError, Workspace, stored, unless_damaged};
use crate::suite::v1::encode_address;
use crate::wire::RecordKind;

type Halt = Stop<StoredError>;

impl Core {
    fn skipped_key(&self, address: &Address, name: Name) -> RecordKey {
        self.session_key(RecordKind::SkippedKeys, address, name)
    }

    fn skipped_page_key(&self, address: &Address, name: Name, page: PageName) -> RecordKey {
        self.keys.record_key(RecordKind::SkippedPage, &[&encode_address(address), &name, &page])
    }

    /// The rows of the pages that a session's list names, if that is there.
    pub(crate) fn skipped_page_keys(
        &self,
        work: &mut Workspace<'_>,
        address: &Address,
        name: Name,
    ) -> Result<Vec<RecordKey>, Halt> {
        let list = work.read(&self.keys, RecordKind::SkippedKeys, self.skipped_key(address, name))?;
        let pages = list.map_or(Ok(Vec::new()), |list| skipped_pages(list)).map_err(stored(RecordKind::SkippedKeys))?;
        Ok(pages.into_iter().map(|page| self.skipped_page_key(address, name, page)).collect())
    }
}

impl Peer {
    /// Brings what is touched of the keys that sessions keep for late messages: the lists in one round, then the pages in
    /// another.
    pub(crate) fn bring_skipped(
        &mut self,
        core: &Core,
        work: &mut Workspace<'_>,
        names: &[Name],
        touched: impl Fn(&Session, Name) -> Touched,
    ) -> Result<(), Halt> {
        self.session.bring_chains().map_err(stored(RecordKind::Peer))?;
        let away: Vec<Name> = names.iter().filter(|name| self.session.skipped_is_away(**name)).copied().collect();
        work.announce(away.iter().map(|name| core.skipped_key(&self.address, *name)));
        for name in away {
            self.bring_list(core, work, name)?;
        }
        let mut opened = Vec::new();
        for name in names {
            let touched = touched(&self.session, *name);
            work.announce(touched.gone.iter().map(|page| core.skipped_page_key(&self.address, *name, *page)));
            let place = |page: PageName| (*name, page, core.skipped_page_key(&self.address, *name, page));
            opened.extend(touched.opened.into_iter().map(place));
        }
        work.announce(opened.iter().map(|(.., key)| *key));
        for (name, page, key) in opened {
            let record = work.read(&core.keys, RecordKind::SkippedPage, key)?;
            // Deleted because it was damaged: the late messages of this page are lost, and nothing else.
            let record = record.map(|record| &**record);
            self.session.attach_page(name, page, record).map_err(stored(RecordKind::SkippedPage))?;
        }
        Ok(())
    }

    /// Asks for archived sessions of suite `Signal` and their lists, and for what changes if a message is of one of them,
    /// together with the list of the current one: a message that wants it may be of any, and would take rounds more.
    pub(crate) fn announce_unnamed(&self, core: &Core, work: &mut Workspace<'_>) -> Result<(), Halt> {
        if self.has_archived() {
            work.announce(core.wish_keys(&self.address));
            self.announce_places(core, work, self.session.current_name());
            let archive = unless_damaged(Archive::peek(core, work, &self.address))?;
            for name in archive.unwrap_or_default().unnamed() {
                work.announce([core.session_key(RecordKind::Archived, &self.address, name)]);
                work.announce([core.skipped_key(&self.address, name)]);
            }
        }
        Ok(())
    }

    fn bring_list(&mut self, core: &Core, work: &mut Workspace<'_>, name: Name) -> Result<(), Halt> {
        let Some(record) = work.read(&core.keys, RecordKind::SkippedKeys, core.skipped_key(&self.address, name))?
        else {
            // Deleted because it was damaged: late messages are lost, and nothing else.
            self.session.lose_skipped(name);
            return Ok(());
        };
        self.session.attach_skipped(name, record).map_err(stored(RecordKind::SkippedKeys))?;
        self.skipped.insert(name, record.clone());
        Ok(())
    }

    /// Asks for what saving will ask for: the list of a session's keys, and the pages of it that have gone, which it
    /// gives.
    pub(crate) fn announce_skipped(
        &self,
        core: &Core,
        work: &mut Workspace<'_>,
        name: Name,
    ) -> Result<Vec<RecordKey>, Halt> {
        if self.session.has_skipped(name) {
            work.announce([core.skipped_key(&self.address, name)]);
        }
        let gone = self.gone_pages(name)?.into_iter().map(|page| core.skipped_page_key(&self.address, name, page));
        let gone: Vec<_> = gone.collect();
        work.announce(gone.iter().copied());
        Ok(gone)
    }

    /// Pages that a list named when it was brought, and names no more.
    fn gone_pages(&self, name: Name) -> Result<Vec<PageName>, Halt> {
        let before = self.skipped.get(&name).map_or(Ok(Vec::new()), |list| skipped_pages(list));
        let (mut gone, mut now) = (before.map_err(stored(RecordKind::SkippedKeys))?, self.session.skipped_pages(name));
        // None comes before it is stored.
        if gone.len() > now.len() {
            now.sort_unstable();
        } else {
            gone.clear();
        }
        gone.retain(|page| now.binary_search(page).is_err());
        Ok(gone)
    }

    /// Writes the keys that a session keeps for late messages, if their list is here and has changed, and deletes the
    /// pages that have gone.
    pub(crate) fn save_skipped(
        &mut self,
        core: &Core,
        work: &mut Workspace<'_>,
        name: Name,
        gone: Vec<RecordKey>,
    ) -> Result<(), Halt> {
        let before = self.skipped.contains_key(&name);
        if self.session.skipped_is_away(name) || (!before && !self.session.has_skipped(name)) {
            return Ok(());
        }
        let place = core.skipped_key(&self.address, name);
        work.row(place)?;
        for page in gone {
            work.remove(page)?;
        }
        let Some(SkippedRecords { list, pages }) = self.session.skipped_records(name, &mut work.public) else {
            return Ok(());
        };
        for PageRecord { name: page, is_new, bytes } in pages {
            let key = core.skipped_page_key(&self.address, name, page);
            if is_new { work.put_new(&core.keys, key, bytes) } else { work.put(&core.keys, key, bytes) }
        }
        match (self.skipped.get(&name), list) {
            (Some(before), Some(list)) if **before == *list => {}
            (_, Some(list)) => work.put(&core.keys, place, list),
            (_, None) => work.delete(place),
        }
        Ok(())
    }
}

/// Deletes the keys that sessions keep for late messages.
pub(crate) fn erase_skipped(
    core: &Core,
    work: &mut Workspace<'_>,
    address: &Address,
    names: &[Name],
) -> Result<(), Halt> {
    let lists: Vec<_> = names.iter().map(|name| core.skipped_key(address, *name)).collect();
    work.announce(lists.iter().copied());
    let mut pages = Vec::new();
    for name in names {
        pages.extend(core.skipped_page_keys(work, address, *name)?);
    }
    work.announce(pages.iter().copied());
    for page in pages {
        work.remove(page)?;
    }
    for list in lists {
        if work.read(&core.keys, RecordKind::SkippedKeys, list)?.is_some() {
            work.delete(list);
        }
    }
    Ok(())
}
