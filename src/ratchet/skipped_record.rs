//! Stored form of skipped message keys: whole in the state of their session, or apart from it in two steps, a list of pages
//! and the pages.

use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::TripleRatchet;
use super::page::{PAGE_LEN, Page, PageName, Span};
use super::record::Form;
use super::skipped_keys::{Away, SkippedKeys};
use super::skipped_seeds::max_skipped;
use crate::crypto::Secret;
use crate::wire::{FieldReader, FieldWriter, Record, RecordError, RecordKind};

const CORRUPT: RecordError = RecordError::Corrupt;

/// Length of a skipped message key with its index.
const KEY_LEN: usize = 4 + 32;

/// Length of what the list says of a page: name, first index, last index, count.
const ENTRY_LEN: usize = 8 + 4 + 4 + 1;

/// What is to be written of the keys that a session keeps.
pub(crate) struct SkippedRecords {
    /// The list of the pages; none if there are none.
    pub(crate) list: Option<Record>,
    /// The pages that have changed.
    pub(crate) pages: Vec<PageRecord>,
}

/// A page that is to be written.
pub(crate) struct PageRecord {
    pub(crate) name: PageName,
    /// Whether it has just been named.
    pub(crate) is_new: bool,
    pub(crate) bytes: Record,
}

impl Page {
    /// (big-endian index ‖ 32-byte key)*, ascending.
    fn write(&self, out: &mut FieldWriter) {
        for (index, key) in self.keys() {
            out.put(&index.to_be_bytes());
            out.put(key.expose());
        }
    }

    /// A record of its own.
    fn to_record(&self) -> Record {
        let mut out = FieldWriter::row(RecordKind::SkippedPage, PAGE_LEN * KEY_LEN + 4);
        out.joined(1, |out| self.write(out));
        out.into_record()
    }

    /// Takes the keys that were away.
    fn attach(&mut self, record: &[u8]) -> Result<(), RecordError> {
        let mut fields = FieldReader::record(RecordKind::SkippedPage, record)?;
        let keys = split_keys(fields.bytes(1)?, PAGE_LEN)?;
        fields.end()?;
        self.bring(keys.iter().map(key_of)).ok_or(CORRUPT)
    }

    fn entry(&self) -> [u8; ENTRY_LEN] {
        let Span { first, last, count } = self.span();
        let ([a, b, c, d], [e, f, g, h]) = (first.to_be_bytes(), last.to_be_bytes());
        let [i, j, k, l, m, n, o, p] = self.name().unwrap_or_default();
        [i, j, k, l, m, n, o, p, a, b, c, d, e, f, g, h, u8::try_from(count).unwrap_or(u8::MAX)]
    }

    fn from_entry(entry: &[u8; ENTRY_LEN]) -> Option<Self> {
        let [i, j, k, l, m, n, o, p, a, b, c, d, e, f, g, h, count] = *entry;
        let (first, last) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let count = usize::from(count);
        // So many indices lie between the two; and one key is both.
        let most = usize::try_from(last.checked_sub(first)?).unwrap_or(usize::MAX).saturating_add(1);
        let fits = (1..=PAGE_LEN).contains(&count) && count <= most && (count > 1 || most == 1);
        fits.then(|| Self::from_away([i, j, k, l, m, n, o, p], Span { first, last, count }))
    }
}

impl SkippedKeys {
    /// What of the keys is elsewhere, in a record of this form.
    pub(super) fn elsewhere(&self, form: Form) -> Option<Away> {
        self.summary().filter(|_| form != Form::Whole)
    }

    /// (big-endian index ‖ 32-byte key)*, ascending; nothing if they are elsewhere.
    pub(super) fn write(&self, form: Form, out: &mut FieldWriter, field: u32) {
        if form == Form::Whole {
            debug_assert!(self.pages().iter().all(|page| !page.is_away()), "keys are written while they are away");
            out.joined(field, |out| self.pages().iter().for_each(|page| page.write(out)));
        }
    }

    pub(super) fn read(form: Form, keys: &[u8], count: u32, first: u32) -> Result<Self, RecordError> {
        let in_bounds = usize::try_from(count).is_ok_and(|count| count <= max_skipped());
        match form {
            Form::Whole if count == 0 && first == 0 => Ok(Self::from_pages(split_pages(keys)?)),
            Form::Hot | Form::Sending if keys.is_empty() && in_bounds && (count > 0 || first == 0) => {
                Ok(Self::from_away(count, first))
            }
            _ => Err(CORRUPT),
        }
    }

    /// Whether all are below `next` and none is below `floor`.
    pub(super) fn within(&self, floor: u32, next: u32) -> bool {
        self.first().is_none_or(|first| (floor..next).contains(&first)) && self.last().is_none_or(|last| last < next)
    }

    /// The pages that have changed. Those that have no name get one.
    pub(super) fn page_records(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<PageRecord> {
        let changed = self.pages_mut().iter_mut().filter(|page| page.is_changed());
        let stored = changed.map(|page| {
            let (bytes, is_new) = (page.to_record(), page.name().is_none());
            let name = page.name().unwrap_or_else(|| {
                let mut name = PageName::default();
                rng.fill_bytes(&mut name);
                name
            });
            page.stored(name);
            PageRecord { name, is_new, bytes }
        });
        stored.collect()
    }

    /// (name ‖ big-endian first index ‖ big-endian last index ‖ u8 count)* of the pages, ascending.
    pub(super) fn write_list(&self, out: &mut FieldWriter, field: u32) {
        out.joined(field, |out| self.pages().iter().for_each(|page| out.put(&page.entry())));
    }

    /// Takes the keys of a page that was away, if it is of these; without its record they are lost.
    pub(super) fn attach_page(&mut self, name: PageName, record: Option<&[u8]>) -> Result<(), RecordError> {
        let Some(record) = record else {
            self.lose_page(name);
            return Ok(());
        };
        let mut pages = self.pages_mut().iter_mut();
        let page = pages.find(|page| page.is_away() && page.name() == Some(name));
        page.map_or(Ok(()), |page| page.attach(record))
    }

    /// Takes the list that was away, of keys that are all below `next`.
    pub(super) fn attach(&mut self, pages: Vec<Page>, next: u32) -> Result<(), RecordError> {
        self.bring(pages).filter(|()| self.within(0, next)).ok_or(CORRUPT)
    }
}

fn key_of([a, b, c, d, key @ ..]: &[u8; KEY_LEN]) -> (u32, Secret<32>) {
    (u32::from_be_bytes([*a, *b, *c, *d]), Secret::new(*key))
}

fn split_keys(bytes: &[u8], most: usize) -> Result<&[[u8; KEY_LEN]], RecordError> {
    let (keys, rest) = bytes.as_chunks::<KEY_LEN>();
    let index = |[a, b, c, d, ..]: &[u8; KEY_LEN]| u32::from_be_bytes([*a, *b, *c, *d]);
    let ascending = keys.is_sorted_by(|a, b| index(a) < index(b));
    if rest.is_empty() && keys.len() <= most && ascending { Ok(keys) } else { Err(CORRUPT) }
}

/// Keys that are here, in pages that have no record.
fn split_pages(bytes: &[u8]) -> Result<Vec<Page>, RecordError> {
    let keys = split_keys(bytes, max_skipped())?;
    Ok(keys.chunks(PAGE_LEN).map(|keys| Page::new(keys.iter().map(key_of))).collect())
}

pub(super) fn split_entries(bytes: &[u8]) -> Result<Vec<Page>, RecordError> {
    let (entries, rest) = bytes.as_chunks::<ENTRY_LEN>();
    let pages = entries.iter().map(Page::from_entry).collect::<Option<Vec<_>>>().ok_or(CORRUPT)?;
    let ascending = pages.is_sorted_by(|a, b| a.span().last < b.span().first);
    if rest.is_empty() && ascending { Ok(pages) } else { Err(CORRUPT) }
}

/// Pages of a chain or of an epoch: at least one.
fn read_pages(fields: &mut FieldReader<'_>) -> Result<Vec<Page>, RecordError> {
    match fields.bytes(2)? {
        [] => Err(CORRUPT),
        entries => split_entries(entries),
    }
}

/// Whose keys the list of a session says something of.
enum Owner<'a> {
    Chain(&'a [u8]),
    Epoch(u64),
}

/// The list of the keys that a session keeps.
fn read_list<'a>(
    record: &'a [u8],
    mut each: impl FnMut(Owner<'a>, Vec<Page>) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let mut fields = FieldReader::record(RecordKind::SkippedKeys, record)?;
    let mut count = 0u64;
    while let Some(mut chain) = fields.message(1)? {
        let (ratchet, pages) = (chain.bytes(1)?, read_pages(&mut chain)?);
        chain.end()?;
        each(Owner::Chain(ratchet), pages)?;
        count += 1;
    }
    while let Some(mut skipped) = fields.message(2)? {
        let (epoch, pages) = (skipped.number(1)?, read_pages(&mut skipped)?);
        skipped.end()?;
        each(Owner::Epoch(epoch), pages)?;
        count += 1;
    }
    let whole = fields.number(3)? == count;
    fields.end()?;
    if whole { Ok(()) } else { Err(CORRUPT) }
}

/// The pages with a record that such a list names.
pub(crate) fn skipped_pages(list: &[u8]) -> Result<Vec<PageName>, RecordError> {
    let mut names = Vec::new();
    read_list(list, |_, pages| {
        names.extend(pages.iter().filter_map(Page::name));
        Ok(())
    })?;
    Ok(names)
}

impl TripleRatchet {
    /// What is to be written of the skipped message keys, apart from [`Form::Hot`]. Pages that have no name get one.
    pub(crate) fn skipped_records(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> SkippedRecords {
        let mut pages = Vec::new();
        self.skipped_mut().for_each(|skipped| pages.extend(skipped.page_records(rng)));
        SkippedRecords { list: self.list(), pages }
    }

    fn list(&self) -> Option<Record> {
        let chains = || self.double.receiving.iter().filter(|held| !held.skipped.seeds.pages().is_empty());
        let epochs = || self.spqr.skipped().filter(|(_, skipped)| !skipped.pages().is_empty());
        let count = chains().count() + epochs().count();
        if count == 0 {
            return None;
        }
        let pages: usize = self.skipped().map(|skipped| skipped.pages().len()).sum();
        let mut out = FieldWriter::row(RecordKind::SkippedKeys, pages * ENTRY_LEN + count * 48 + 8);
        for held in chains() {
            out.message(1, |out| {
                out.bytes(1, &held.ratchet.to_bytes());
                held.skipped.seeds.write_list(out, 2);
            });
        }
        for (epoch, skipped) in epochs() {
            out.message(2, |out| {
                out.number(1, epoch);
                skipped.write_list(out, 2);
            });
        }
        out.number(3, u64::try_from(count).unwrap_or(u64::MAX));
        Some(out.into_record())
    }

    /// The pages with a record that are listed now.
    pub(crate) fn skipped_pages(&self) -> Vec<PageName> {
        self.skipped().flat_map(|skipped| skipped.pages()).filter_map(Page::name).collect()
    }

    /// Gives up the keys whose list was away.
    pub(crate) fn lose_skipped(&mut self) {
        self.skipped_mut().for_each(SkippedKeys::lose);
    }

    /// Takes the list that was away. What it says of a chain or an epoch that is here no more is let go.
    pub(crate) fn attach_skipped(&mut self, list: &[u8]) -> Result<(), RecordError> {
        read_list(list, |owner, pages| {
            let held = match owner {
                Owner::Chain(ratchet) => {
                    let held = self.double.receiving.iter_mut().find(|held| ratchet == held.ratchet.to_bytes());
                    held.map(|held| (&mut held.skipped.seeds, held.chain.index))
                }
                Owner::Epoch(epoch) => {
                    self.spqr.skipped_mut().find(|(held, ..)| *held == epoch).map(|(_, skipped, next)| (skipped, next))
                }
            };
            held.map_or(Ok(()), |(skipped, next)| skipped.attach(pages, next))
        })?;
        if self.skipped_is_away() { Err(CORRUPT) } else { Ok(()) }
    }

    /// Takes the keys of a page that was away; without its record they are lost.
    pub(crate) fn attach_page(&mut self, name: PageName, record: Option<&[u8]>) -> Result<(), RecordError> {
        self.skipped_mut().try_for_each(|skipped| skipped.attach_page(name, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    /// (name, first, last, count)*.
    fn entries(pages: &[(u8, u32, u32, u8)]) -> Vec<u8> {
        let entry = |(name, first, last, count): &(u8, u32, u32, u8)| {
            [&[*name; 8][..], &first.to_be_bytes(), &last.to_be_bytes(), &[*count]].concat()
        };
        pages.iter().flat_map(entry).collect()
    }

    fn keys(indices: &[u32]) -> Vec<u8> {
        indices.iter().flat_map(|index| [&index.to_be_bytes()[..], &[7; 32]].concat()).collect()
    }

    fn list(chains: &[(u32, Vec<u8>)], count: u64) -> Vec<u8> {
        let mut out = FieldWriter::record(RecordKind::SkippedKeys, 0);
        for (field, pages) in chains {
            out.message(*field, |out| {
                if *field == 1 {
                    out.bytes(1, &[5; 33])
                } else {
                    out.number(1, 3u64)
                }
                out.bytes(2, pages);
            });
        }
        out.number(3, count);
        out.into_public()
    }

    #[test]
    fn a_list_is_read_by_its_rules() {
        let whole = entries(&[(1, 3, 66, 64), (2, 70, 70, 1), (3, 80, 300, 2)]);
        assert_eq!(split_entries(&whole).unwrap().len(), 3);
        for (what, bad) in [
            ("a byte too many", [&whole[..], &[0]].concat()),
            ("no key", entries(&[(1, 3, 3, 0)])),
            ("more keys than a page has", entries(&[(1, 3, 300, 65)])),
            ("more keys than indices", entries(&[(1, 3, 5, 4)])),
            ("one key that is two", entries(&[(1, 3, 4, 1)])),
            ("two keys that are one", entries(&[(1, 3, 3, 2)])),
            ("the last before the first", entries(&[(1, 4, 3, 2)])),
            ("pages in another order", entries(&[(2, 70, 70, 1), (1, 3, 66, 64)])),
            ("a page over another", entries(&[(1, 3, 66, 40), (2, 66, 80, 2)])),
            ("a page in another", entries(&[(1, 3, 66, 40), (2, 10, 20, 2)])),
        ] {
            assert!(split_entries(&bad).is_err(), "{what}");
        }
        let pages = || vec![(1, whole.clone()), (2, entries(&[(4, 1, 1, 1)]))];
        assert_eq!(skipped_pages(&list(&pages(), 2)).unwrap(), [[1; 8], [2; 8], [3; 8], [4; 8]]);
        for (what, bad) in [
            ("keys in place of pages", list(&[(1, keys(&[1]))], 1)),
            ("no pages", list(&[(1, vec![])], 1)),
            ("another number of chains", list(&pages(), 3)),
            ("cut short", list(&pages(), 0)),
            ("epochs before chains", list(&[pages().remove(1), pages().remove(0)], 2)),
        ] {
            assert_eq!(skipped_pages(&bad), Err(CORRUPT), "{what}");
        }
    }

    #[test]
    fn a_list_is_of_the_keys_that_went() {
        let attach = |count, first, next| {
            let pages = split_entries(&entries(&[(1, 3, 66, 64), (2, 70, 70, 1)])).unwrap();
            SkippedKeys::from_away(count, first).attach(pages, next)
        };
        assert!(attach(65, 3, 71).is_ok());
        assert_eq!(attach(64, 3, 71), Err(CORRUPT), "another number");
        assert_eq!(attach(65, 2, 71), Err(CORRUPT), "another first one");
        assert_eq!(attach(65, 3, 70), Err(CORRUPT), "beyond where the chain is");
        assert_eq!(attach(0, 0, 71), Err(CORRUPT), "none went");
    }

    #[test]
    fn a_page_is_what_the_list_says() {
        let page = |keys: &[u8]| {
            let mut out = FieldWriter::record(RecordKind::SkippedPage, 0);
            out.bytes(1, keys);
            out.into_public()
        };
        let attach = |record: &[u8]| {
            let mut skipped = SkippedKeys::from_pages(split_entries(&entries(&[(1, 3, 9, 3)])).unwrap());
            skipped.attach_page([1; 8], Some(record)).map(|()| skipped.get(5).is_some())
        };
        assert_eq!(attach(&page(&keys(&[3, 5, 9]))), Ok(true));
        let many: Vec<u32> = (3..68).collect();
        for (what, bad) in [
            ("none", page(&[])),
            ("a byte too many", page(&[&keys(&[3, 5, 9])[..], &[0]].concat())),
            ("in another order", page(&keys(&[5, 3, 9]))),
            ("one twice", page(&keys(&[3, 3, 9]))),
            ("more than a page has", page(&keys(&many))),
            ("one fewer", page(&keys(&[3, 9]))),
            ("one more, as it was before", page(&keys(&[3, 5, 6, 9]))),
            ("one before the page", page(&keys(&[2, 5, 9]))),
            ("one behind the page", page(&keys(&[3, 5, 10]))),
            ("another page", page(&keys(&[13, 15, 19]))),
            ("another record", list(&[(1, keys(&[3, 5, 9]))], 1)),
            ("a field that nobody knows", [&page(&keys(&[3, 5, 9]))[..], &[0x10, 1]].concat()),
        ] {
            assert_eq!(attach(&bad), Err(CORRUPT), "{what}");
        }
    }
}
