//! Skipped message keys of one chain: in pages, so that a store that holds them apart from the state that
//! changes with every message reads and writes a bounded number of them, whatever is kept.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::page::{PAGE_LEN, Page, PageName};
use crate::crypto::Secret;

/// Two pages next to each other that hold no more together become one, so that there are never many.
const SPARSE: usize = PAGE_LEN / 2;

/// Keys by index, in pages. They are added in ascending order, and removed anywhere.
///
/// A store may hold the list of the pages in a record apart; then it is *away*, and nothing that touches a key may happen
/// before [`SkippedKeys::bring`]. Each page may be away besides: [`Touched`] says which have to be here.
#[derive(Clone, Default)]
pub(super) struct SkippedKeys {
    /// Ascending, none overlaps another.
    pages: Vec<Page>,
    away: Option<Away>,
}

/// What is known of keys whose list is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away {
    /// How many.
    pub(super) count: NonZeroU32,
    /// The smallest index.
    pub(super) first: u32,
}

/// Pages with a record that something touches.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Those whose keys have to be here before.
    pub(crate) opened: Vec<PageName>,
    /// Those that go, whatever is in them.
    pub(crate) gone: Vec<PageName>,
}

impl Touched {
    fn open<'a>(&mut self, pages: impl IntoIterator<Item = &'a Page>) {
        self.opened.extend(pages.into_iter().filter(|page| page.is_away()).filter_map(Page::name));
    }
}

impl SkippedKeys {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), away: None }
    }

    pub(super) const fn from_pages(pages: Vec<Page>) -> Self {
        Self { pages, away: None }
    }

    /// `count` keys whose list a record apart holds.
    pub(super) fn from_away(count: u32, first: u32) -> Self {
        Self { away: NonZeroU32::new(count).map(|count| Away { count, first }), ..Self::new() }
    }

    pub(super) const fn away(&self) -> Option<Away> {
        self.away
    }

    /// Takes the list that was away. `None` if it is not the one that went.
    pub(super) fn bring(&mut self, pages: Vec<Page>) -> Option<()> {
        let here = Self::from_pages(pages);
        if here.summary() != self.away {
            return None;
        }
        *self = here;
        Some(())
    }

    /// Gives up keys whose list is away.
    pub(super) const fn lose(&mut self) {
        self.away = None;
    }

    /// Gives up the keys of a page.
    pub(super) fn lose_page(&mut self, name: PageName) {
        self.pages.retain(|page| page.name() != Some(name));
    }

    /// What to remember of the keys when their list goes away, or is away.
    pub(super) fn summary(&self) -> Option<Away> {
        let here = || {
            let count = u32::try_from(self.len()).ok().and_then(NonZeroU32::new)?;
            Some(Away { count, first: self.pages.first()?.span().first })
        };
        self.away.or_else(here)
    }

    pub(super) fn pages(&self) -> &[Page] {
        &self.pages
    }

    pub(super) fn pages_mut(&mut self) -> &mut [Page] {
        &mut self.pages
    }

    /// The smallest index.
    pub(super) fn first(&self) -> Option<u32> {
        self.summary().map(|summary| summary.first)
    }

    /// The largest index, where the list is here.
    pub(super) fn last(&self) -> Option<u32> {
        self.pages.last().map(|page| page.span().last)
    }

    /// How many keys there are, where the list is here.
    pub(super) fn len(&self) -> usize {
        self.pages.iter().map(|page| page.span().count).sum()
    }

    pub(super) fn get(&self, index: u32) -> Option<&Secret<32>> {
        debug_assert!(self.away.is_none(), "keys are asked for while they are away");
        self.pages.get(self.page_of(index)?)?.get(index)
    }

    pub(super) fn remove(&mut self, index: u32) {
        let Some(at) = self.page_of(index) else { return };
        if self.pages.get_mut(at).is_some_and(|page| !page.remove(index)) {
            self.pages.remove(at);
            return;
        }
        let joined =
            self.joining(at, 0).filter(|left| self.pages.iter().skip(*left).take(2).all(|page| !page.is_away()));
        if let Some(left) = joined {
            let right = self.pages.remove(left + 1);
            if let Some(page) = self.pages.get_mut(left) {
                page.append(right.keys());
            }
        }
    }

    /// Adds keys, all behind those that are there.
    pub(super) fn extend(&mut self, passed: &[(u32, Secret<32>)]) {
        if passed.is_empty() {
            return;
        }
        debug_assert!(self.away.is_none(), "keys are added while others are away");
        debug_assert!(self.last().zip(passed.first()).is_none_or(|(last, (first, _))| last < *first));
        match self.pages.last_mut().filter(|page| page.has_room(passed.len()) && !page.is_away()) {
            Some(page) => page.append(passed.iter()),
            None => self.pages.extend(passed.chunks(PAGE_LEN).map(|keys| Page::new(keys.iter().cloned()))),
        }
    }

    /// Removes the first keys, so that `most` are left. The last one that went.
    ///
    /// Where some keys go of a page that is away, all do: it was to stay as it is, and is touched because another was lost.
    pub(super) fn trim(&mut self, most: usize) -> Option<u32> {
        let (whole, some) = self.beyond(most);
        let one_more = some > 0 && self.pages.get(whole).is_some_and(Page::is_away);
        self.drop_front(whole + usize::from(one_more), |_| if one_more { 0 } else { some })
    }

    /// Removes keys with an index below `bound`; of a page that is away either all or none. The last one that went.
    pub(super) fn drop_below(&mut self, bound: u32) -> Option<u32> {
        self.drop_front(self.whole_below(bound), |page| page.count_below(bound))
    }

    /// Removes whole pages, and some keys of the next one. The last key that went.
    fn drop_front(&mut self, whole: usize, some: impl FnOnce(&Page) -> usize) -> Option<u32> {
        let last = self.pages.drain(..whole).next_back().map(|page| page.span().last);
        let rest = self.pages.first_mut().and_then(|page| {
            let count = some(page);
            page.drop_first(count)
        });
        rest.or(last)
    }

    /// How many pages hold nothing but keys that are too many, and how many keys of the next one are.
    fn beyond(&self, most: usize) -> (usize, usize) {
        let mut over = self.len().saturating_sub(most);
        let whole = self.pages.iter().take_while(|page| {
            let left = over.checked_sub(page.span().count);
            over = left.unwrap_or(over);
            left.is_some()
        });
        (whole.count(), over)
    }

    /// How many pages hold nothing but keys below `bound`.
    fn whole_below(&self, bound: u32) -> usize {
        self.pages.partition_point(|page| page.span().last < bound)
    }

    /// The page that holds a key of this index, if there is one.
    fn page_of(&self, index: u32) -> Option<usize> {
        let at = self.whole_below(index);
        self.pages.get(at).filter(|page| page.span().first <= index).map(|_| at)
    }

    /// The first of two pages that become one once this has so many keys fewer, of which this is either.
    fn joining(&self, at: usize, fewer: usize) -> Option<usize> {
        [Some(at), at.checked_sub(1)].into_iter().flatten().find(|left| {
            let mut pair = self.pages.iter().skip(*left).map(|page| page.span().count);
            pair.next().zip(pair.next()).is_some_and(|(left, right)| left + right <= SPARSE + fewer)
        })
    }
}

/// What an operation touches of pages that are away.
impl SkippedKeys {
    /// Taking a key and removing it.
    pub(super) fn touch_taking(&self, index: u32, touched: &mut Touched) {
        let Some((at, page)) = self.page_of(index).and_then(|at| Some((at, self.pages.get(at)?))) else { return };
        touched.open([page]);
        if let Some(left) = self.joining(at, 1).filter(|_| page.span().count > 1) {
            touched.open(self.pages.iter().skip(left).take(2).filter(|other| other.name() != page.name()));
        }
    }

    /// [Adding](Self::extend) so many keys.
    pub(super) fn touch_adding(&self, count: usize, touched: &mut Touched) {
        touched.open(self.pages.last().filter(|page| count > 0 && page.has_room(count)));
    }

    /// [`Self::trim`].
    pub(super) fn touch_trimming(&self, most: usize, touched: &mut Touched) {
        let (whole, some) = self.beyond(most);
        self.touch_front(whole, some > 0, touched);
    }

    /// [`Self::drop_below`], to the last key.
    pub(super) fn touch_dropping(&self, bound: u32, touched: &mut Touched) {
        let whole = self.whole_below(bound);
        self.touch_front(whole, self.pages.get(whole).is_some_and(|page| page.span().first < bound), touched);
    }

    /// Dropping all.
    pub(super) fn touch_all(&self, touched: &mut Touched) {
        self.touch_front(self.pages.len(), false, touched);
    }

    fn touch_front(&self, whole: usize, some: bool, touched: &mut Touched) {
        touched.gone.extend(self.pages.iter().take(whole).filter_map(Page::name));
        touched.open(self.pages.get(whole).filter(|_| some));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn skipped(ranges: &[(u32, u32)]) -> SkippedKeys {
        let mut skipped = SkippedKeys::new();
        for (start, end) in ranges {
            let keys: Vec<_> = (*start..*end).map(|index| (index, Secret::new([7; 32]))).collect();
            skipped.extend(&keys);
        }
        skipped
    }

    fn spans(skipped: &SkippedKeys) -> Vec<(u32, u32, usize)> {
        skipped.pages().iter().map(Page::span).map(|span| (span.first, span.last, span.count)).collect()
    }

    #[test]
    fn a_page_fills_and_the_next_begins() {
        assert_eq!(spans(&skipped(&[(0, 64)])), [(0, 63, 64)]);
        assert_eq!(spans(&skipped(&[(0, 65)])), [(0, 63, 64), (64, 64, 1)]);
        assert_eq!(spans(&skipped(&[(0, 60), (70, 74)])), [(0, 73, 64)]);
        assert_eq!(spans(&skipped(&[(0, 60), (70, 75)])), [(0, 59, 60), (70, 74, 5)]);
    }

    #[test]
    fn an_emptied_page_goes() {
        let mut skipped = skipped(&[(0, 130)]);
        (64..128).for_each(|index| skipped.remove(index));
        assert_eq!(spans(&skipped), [(0, 63, 64), (128, 129, 2)]);
        assert!(skipped.get(63).is_some() && skipped.get(64).is_none() && skipped.get(129).is_some());
        (64..128).for_each(|index| skipped.remove(index));
        assert_eq!(skipped.len(), 66);
    }

    #[test]
    fn sparse_pages_are_joined() {
        let mut skipped = skipped(&[(0, 192)]);
        (0..48).for_each(|index| skipped.remove(index));
        (64..111).for_each(|index| skipped.remove(index));
        assert_eq!(spans(&skipped), [(48, 63, 16), (111, 127, 17), (128, 191, 64)]);
        skipped.remove(120);
        assert_eq!(spans(&skipped), [(48, 127, 32), (128, 191, 64)]);
        assert!((48..64).chain(111..120).chain(121..192).all(|index| skipped.get(index).is_some()));
    }

    #[test]
    fn the_first_keys_are_dropped_to_the_number_and_to_the_index() {
        let whole = skipped(&[(0, 100), (200, 300)]);
        for (most, last) in
            [(200, None), (199, Some(0)), (137, Some(62)), (136, Some(63)), (100, Some(99)), (0, Some(299))]
        {
            let mut skipped = whole.clone();
            assert_eq!((skipped.trim(most), skipped.len()), (last, most));
        }
        for (bound, last, left) in
            [(0, None, 200), (1, Some(0), 199), (64, Some(63), 136), (150, Some(99), 100), (900, Some(299), 0)]
        {
            let mut skipped = whole.clone();
            assert_eq!((skipped.drop_below(bound), skipped.len()), (last, left));
        }
    }

    /// All pages in records, named by their number.
    fn away(mut skipped: SkippedKeys) -> SkippedKeys {
        for (page, name) in skipped.pages_mut().iter_mut().zip(1..) {
            *page = Page::from_away([name; 8], page.span());
        }
        skipped
    }

    /// The page to be cut was opened, and its record was lost: then it is not the one to be cut any more.
    #[test]
    fn what_is_too_much_goes_even_if_the_page_to_be_cut_is_lost() {
        let mut skipped = away(skipped(&[(0, 2_000)]));
        let mut touched = Touched::default();
        skipped.touch_trimming(1_900, &mut touched);
        assert_eq!((touched.gone, touched.opened), (vec![[1; 8]], vec![[2; 8]]));
        skipped.lose_page([2; 8]);
        assert_eq!(skipped.trim(1_900), Some(63));
        assert_eq!(skipped.len(), 2_000 - 128);
    }

    #[test]
    fn a_page_that_is_away_goes_whole_or_stays() {
        let mut skipped = away(skipped(&[(0, 128)]));
        let mut touched = Touched::default();
        skipped.touch_dropping(100, &mut touched);
        assert_eq!((touched.gone, touched.opened), (vec![[1; 8]], vec![[2; 8]]));
        assert_eq!(skipped.drop_below(100), Some(63));
        assert_eq!(spans(&skipped), [(64, 127, 64)]);
        skipped.lose_page([2; 8]);
        assert!(skipped.summary().is_none());
    }
}
