//! Sessions that stay in memory between operations, for hosts that ask for it.

#[cfg(not(any(test, feature = "std")))]
use alloc::boxed::Box;
use core::fmt;

#[cfg(any(test, feature = "std"))]
pub(super) use locked::SessionCache;

use super::peer::Peer;
use crate::persist::{RecordKey, Version};

/// Without the standard library there is no lock, and no cache.
#[cfg(not(any(test, feature = "std")))]
pub(super) enum SessionCache {}

#[cfg(not(any(test, feature = "std")))]
impl SessionCache {
    pub(super) fn take(&self, _key: &RecordKey, _version: &Version, _sealed: &[u8]) -> Option<Box<Peer>> {
        match *self {}
    }

    pub(super) fn forget(&self, _key: &RecordKey) {
        match *self {}
    }

    pub(super) fn keep(&self, _key: RecordKey, _version: Version, _sealed: &[u8], _peer: Box<Peer>) {
        match *self {}
    }

    pub(super) fn close(&self) {
        match *self {}
    }
}

#[cfg(any(test, feature = "std"))]
mod locked {
    use alloc::boxed::Box;
    use alloc::vec::Vec;
    use core::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::{Peer, RecordKey, Version};

    /// Entries that one lock guards.
    const WAYS: usize = 8;

    /// Locks that there are at most: whoever asks for as much as there is gets a quarter of a million devices.
    const MAX_BUCKETS: usize = 1 << 16;

    /// What the rows of peer devices hold.
    ///
    /// Nothing depends on it: an entry is for a row with its version and its tag, so that it is what opening that row would
    /// give. One of a batch that comes to nothing is never asked for. An entry is taken out to be used: what the operation
    /// makes of it is the content of another row.
    pub(in crate::client) struct SessionCache {
        buckets: Vec<Mutex<Vec<Entry>>>,
        closed: AtomicBool,
        /// How many rows were found.
        #[cfg(test)]
        hits: core::sync::atomic::AtomicUsize,
    }

    struct Entry {
        key: RecordKey,
        version: Version,
        tag: Tag,
        /// Where it stays: entries that move up leave no keys in the places that they had.
        peer: Box<Peer>,
    }

    /// What a sealed row ends with.
    type Tag = [u8; 16];

    impl SessionCache {
        /// For so many devices; none if there is nothing to keep.
        pub(in crate::client) fn new(devices: usize) -> Option<Self> {
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
        fn bucket(&self, key: &RecordKey) -> Option<MutexGuard<'_, Vec<Entry>>> {
            // Keys are pseudorandom behind their first byte.
            let [_, a, b, c, d, ..] = *key.as_bytes();
            let bucket = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?.checked_rem(self.buckets.len())?;
            // Entries are whole before and after everything that can be done with them.
            Some(self.buckets.get(bucket)?.lock().unwrap_or_else(PoisonError::into_inner))
        }

        /// Takes out what a row holds. What another version of it held is dropped.
        pub(in crate::client) fn take(&self, key: &RecordKey, version: &Version, sealed: &[u8]) -> Option<Box<Peer>> {
            let entry = self.remove(key);
            // A generator that repeats itself gives two rows one version, and still not one tag.
            let is_of_row = |entry: &Entry| entry.version == *version && sealed.last_chunk() == Some(&entry.tag);
            let found = entry.filter(is_of_row).map(|entry| entry.peer);
            #[cfg(test)]
            self.hits.fetch_add(found.iter().len(), Ordering::Relaxed);
            found
        }

        /// Drops what a row held that is not there any more.
        pub(in crate::client) fn forget(&self, key: &RecordKey) {
            drop(self.remove(key));
        }

        fn remove(&self, key: &RecordKey) -> Option<Entry> {
            let mut entries = self.bucket(key)?;
            let at = entries.iter().position(|entry| entry.key == *key)?;
            Some(entries.remove(at))
        }

        /// Puts in what a row holds that is sealed now. The entry that was not used for longest goes.
        pub(in crate::client) fn keep(&self, key: RecordKey, version: Version, sealed: &[u8], peer: Box<Peer>) {
            let Some(tag) = sealed.last_chunk().copied() else { return };
            let pushed_out = self.bucket(&key).and_then(|mut entries| {
                // Asked under the lock, which closing takes after it has said so.
                if self.closed.load(Ordering::SeqCst) {
                    return None;
                }
                let same = entries.iter().position(|entry| entry.key == key);
                let goes = same.or_else(|| (entries.len() == WAYS).then_some(0));
                let gone = goes.map(|at| entries.remove(at));
                entries.push(Entry { key, version, tag, peer });
                gone
            });
            drop(pushed_out);
        }

        /// Drops everything, and keeps nothing from now on.
        pub(in crate::client) fn close(&self) {
            self.closed.store(true, Ordering::SeqCst);
            for bucket in &self.buckets {
                let entries = core::mem::take(&mut *bucket.lock().unwrap_or_else(PoisonError::into_inner));
                drop(entries);
            }
        }
    }

    #[cfg(test)]
    impl SessionCache {
        /// How many rows were found so far.
        pub(in crate::client) fn hits(&self) -> usize {
            self.hits.load(Ordering::Relaxed)
        }

        /// How many entries there are.
        pub(in crate::client) fn len(&self) -> usize {
            self.buckets.iter().map(|bucket| bucket.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
        }

        /// Does something while every lock is held.
        pub(in crate::client) fn while_held<T>(&self, act: impl FnOnce() -> T) -> T {
            let held: Vec<_> = self.buckets.iter().map(|bucket| bucket.lock().unwrap()).collect();
            let done = act();
            drop(held);
            done
        }
    }
}

impl fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionCache(..)")
    }
}

#[cfg(test)]
mod tests;
