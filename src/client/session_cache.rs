//! Sessions that stay in memory between operations, for hosts that ask for it.

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
    pub(super) fn take(&self, _key: &RecordKey, _version: &Version, _sealed: &[u8]) -> Option<Peer> {
        match *self {}
    }

    pub(super) fn keep(&self, _key: RecordKey, _version: Version, _sealed: &[u8], _peer: Peer) {
        match *self {}
    }

    pub(super) fn clear(&self) {
        match *self {}
    }
}

#[cfg(any(test, feature = "std"))]
mod locked {
    use alloc::vec::Vec;
    use std::sync::{Mutex, PoisonError, TryLockError};

    use super::{Peer, RecordKey, Version};

    /// Entries that one lock guards.
    const WAYS: usize = 8;

    /// What the rows of peer devices hold.
    ///
    /// Nothing depends on it: an entry is for a row with its version and its tag, so that it is what opening that row would
    /// give. One that was never committed is never asked for. An entry is taken out to be used: what the operation makes of it
    /// is the content of another row.
    pub(in crate::client) struct SessionCache(Vec<Mutex<Vec<Entry>>>);

    struct Entry {
        key: RecordKey,
        version: Version,
        tag: Tag,
        peer: Peer,
    }

    /// What a sealed row ends with.
    type Tag = [u8; 16];

    impl SessionCache {
        /// For so many devices, in eights; none if there is nothing to keep.
        pub(in crate::client) fn new(devices: usize) -> Option<Self> {
            let buckets = devices.div_ceil(WAYS);
            (buckets > 0).then(|| Self(core::iter::repeat_with(Mutex::default).take(buckets).collect()))
        }

        /// Does something with the entries among which this row's is. Nobody waits for another thread: then it is as if there
        /// were none.
        fn with<T>(&self, key: &RecordKey, act: impl FnOnce(&mut Vec<Entry>) -> T) -> Option<T> {
            // Keys are pseudorandom behind their first byte.
            let [_, a, b, c, d, ..] = *key.as_bytes();
            let bucket = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?.checked_rem(self.0.len())?;
            match self.0.get(bucket)?.try_lock() {
                Ok(mut entries) => Some(act(&mut entries)),
                // Entries are whole before and after everything that can be done with them.
                Err(TryLockError::Poisoned(entries)) => Some(act(&mut entries.into_inner())),
                Err(TryLockError::WouldBlock) => None,
            }
        }

        /// Takes out what a row holds. What another version of it held is dropped.
        pub(in crate::client) fn take(&self, key: &RecordKey, version: &Version, sealed: &[u8]) -> Option<Peer> {
            let entry = self.with(key, |entries| {
                let at = entries.iter().position(|entry| entry.key == *key)?;
                Some(entries.remove(at))
            });
            // A generator that repeats itself gives two rows one version, and still not one tag.
            let is_of_row = |entry: &Entry| entry.version == *version && sealed.last_chunk() == Some(&entry.tag);
            entry.flatten().filter(is_of_row).map(|entry| entry.peer)
        }

        /// Puts in what a row holds, once it is committed. The entry that was not used for longest goes.
        pub(in crate::client) fn keep(&self, key: RecordKey, version: Version, sealed: &[u8], peer: Peer) {
            let Some(tag) = sealed.last_chunk().copied() else { return };
            self.with(&key, |entries| {
                entries.retain(|entry| entry.key != key);
                if entries.len() == WAYS {
                    entries.remove(0);
                }
                entries.push(Entry { key, version, tag, peer });
            });
        }

        /// Drops everything, waiting for other threads.
        pub(in crate::client) fn clear(&self) {
            for bucket in &self.0 {
                bucket.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
        }
    }
}

impl fmt::Debug for SessionCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionCache(..)")
    }
}
