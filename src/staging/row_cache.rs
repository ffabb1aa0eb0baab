//! Sessions that stay in memory between operations, for hosts that ask for it.

#[cfg(not(any(test, feature = "std")))]
use alloc::boxed::Box;
use core::fmt;

#[cfg(any(test, feature = "std"))]
pub(crate) use locked::RowCache;

use crate::persist::{RecordKey, Version};

/// Without the standard library there is no lock, and no cache.
#[cfg(not(any(test, feature = "std")))]
pub(crate) struct RowCache<T>(core::convert::Infallible, core::marker::PhantomData<T>);

#[cfg(not(any(test, feature = "std")))]
impl<T> RowCache<T> {
    pub(crate) fn take(&self, _key: &RecordKey, _version: &Version, _sealed: &[u8]) -> Option<Box<T>> {
        match self.0 {}
    }

    pub(crate) fn forget(&self, _key: &RecordKey) {
        match self.0 {}
    }

    #[expect(clippy::boxed_local, reason = "as the one that there is with the standard library")]
    pub(crate) fn keep(&self, _key: RecordKey, _version: Version, _sealed: &[u8], _held: Box<T>) {
        match self.0 {}
    }

    pub(crate) fn close(&self) {
        match self.0 {}
    }
}

#[cfg(any(test, feature = "std"))]
mod locked {
    use alloc::boxed::Box;
    use alloc::vec::Vec;
    use core::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::{RecordKey, Version};

    /// Entries that one lock guards.
    const WAYS: usize = 8;

    /// Locks that there are at most: whoever asks for as much as there is gets a quarter of a million devices.
    const MAX_BUCKETS: usize = 1 << 16;

    /// What the rows of peer devices hold.
    ///
    /// Nothing depends on it: an entry is for a row with its version and its tag, so that it is what opening that row would
    /// give. One of a batch that comes to nothing is never asked for. An entry is taken out to be used: what the operation
    /// makes of it is the content of another row.
    pub(crate) struct RowCache<T> {
        buckets: Vec<Mutex<Vec<Entry<T>>>>,
        closed: AtomicBool,
        /// How many rows were found.
        #[cfg(test)]
        hits: core::sync::atomic::AtomicUsize,
    }

    struct Entry<T> {
        key: RecordKey,
        version: Version,
        tag: Tag,
        /// Where it stays: entries that move up leave no keys in the places that they had.
        held: Box<T>,
    }

    /// What a sealed row ends with.
    type Tag = [u8; 16];

    impl<T> RowCache<T> {
        /// For so many devices; none if there is nothing to keep.
        pub(crate) fn new(devices: usize) -> Option<Self> {
            // Places for twice as many: where keys fall unevenly, entries would be pushed out with places left elsewhere.
            let buckets = devices.div_ceil(WAYS / 2).min(MAX_BUCKETS);
            let buckets: Vec<_> = core::iter::repeat_with(Mutex::default).take(buckets).collect();
            (!buckets.is_empty()).then(|| Self {
                buckets,
                closed: AtomicBool::new(false),
                #[cfg(test)]
                hits: Default::default(),
            })
        }

        /// The entries among which this row's is. Whoever has them does no more than move a few, and drops none: wiping is
        /// done without the lock. So it is worth waiting for, and an entry that has to go does go.
        fn bucket(&self, key: &RecordKey) -> Option<MutexGuard<'_, Vec<Entry<T>>>> {
            // Keys are pseudorandom behind their first byte.
            let [_, a, b, c, d, ..] = *key.as_bytes();
            let bucket = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?.checked_rem(self.buckets.len())?;
            // Entries are whole before and after everything that can be done with them.
            Some(self.buckets.get(bucket)?.lock().unwrap_or_else(PoisonError::into_inner))
        }

        /// Takes out what a row holds. What another version of it held is dropped.
        pub(crate) fn take(&self, key: &RecordKey, version: &Version, sealed: &[u8]) -> Option<Box<T>> {
            let entry = self.remove(key);
            // A generator that repeats itself gives two rows one version, and still not one tag.
            let is_of_row = |entry: &Entry<T>| entry.version == *version && sealed.last_chunk() == Some(&entry.tag);
            let found = entry.filter(is_of_row).map(|entry| entry.held);
            #[cfg(test)]
            self.hits.fetch_add(found.iter().len(), Ordering::Relaxed);
            found
        }

        /// Drops what a row held that is not there any more.
        pub(crate) fn forget(&self, key: &RecordKey) {
            drop(self.remove(key));
        }

        fn remove(&self, key: &RecordKey) -> Option<Entry<T>> {
            let mut entries = self.bucket(key)?;
            let at = entries.iter().position(|entry| entry.key == *key)?;
            Some(entries.remove(at))
        }

        /// Puts in what a row holds that is sealed now. The entry that was not used for longest goes.
        pub(crate) fn keep(&self, key: RecordKey, version: Version, sealed: &[u8], held: Box<T>) {
            let Some(tag) = sealed.last_chunk().copied() else { return };
            let pushed_out = self.bucket(&key).and_then(|mut entries| {
                // Asked under the lock, which closing takes after it has said so.
                if self.closed.load(Ordering::SeqCst) {
                    return None;
                }
                let same = entries.iter().position(|entry| entry.key == key);
                let goes = same.or_else(|| (entries.len() == WAYS).then_some(0));
                let gone = goes.map(|at| entries.remove(at));
                entries.push(Entry { key, version, tag, held });
                gone
            });
            drop(pushed_out);
        }

        /// Drops everything, and keeps nothing from now on.
        pub(crate) fn close(&self) {
            self.closed.store(true, Ordering::SeqCst);
            for bucket in &self.buckets {
                let entries = core::mem::take(&mut *bucket.lock().unwrap_or_else(PoisonError::into_inner));
                drop(entries);
            }
        }
    }

    #[cfg(test)]
    impl<T> RowCache<T> {
        /// How many rows were found so far.
        pub(crate) fn hits(&self) -> usize {
            self.hits.load(Ordering::Relaxed)
        }

        /// How many entries there are.
        pub(crate) fn len(&self) -> usize {
            self.buckets.iter().map(|bucket| bucket.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
        }

        /// Does something while every lock is held.
        pub(crate) fn while_held<U>(&self, act: impl FnOnce() -> U) -> U {
            let held: Vec<_> = self.buckets.iter().map(|bucket| bucket.lock().unwrap()).collect();
            let done = act();
            drop(held);
            done
        }
    }
}

impl<T> fmt::Debug for RowCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowCache(..)")
    }
}
