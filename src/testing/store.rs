use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::Database;
use crate::persist::RecordKey;
use crate::staging::{ApplyError, Batch, Change, Row, Store, Write};

/// A database in memory, for tests and for hosts that keep nothing: compare-and-swap, all of a batch or nothing.
///
/// Used from as many threads as one likes, like a database that many workers share.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use subrosa::{client::Client, ident::*, persist::StorageKey, suite::Suites};
/// use subrosa::testing::{MemoryStore, SeededRng};
/// let (store, now, mut rng) = (MemoryStore::new(), Timestamp::new(1_800_000_000_000), SeededRng::new(1));
/// let alice = Address::new(UserId::new("alice")?, DeviceId::new(1));
/// Client::create(&StorageKey::new([7; 32]), &alice, Suites::V1).run(&store, now, &mut rng, |_, _| Ok(()))?;
/// assert_eq!((store.len(), store.counters().puts), (2, 2));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<RecordKey, Arc<Row>>,
    counters: Counters,
}

/// What a [`MemoryStore`] has done since it was made or [reset](MemoryStore::reset_counters).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Calls of [`Store::load`].
    pub loads: u64,
    /// Rows that were asked for in them.
    pub rows_asked: u64,
    /// Bytes of the rows that were given.
    pub bytes_loaded: u64,
    /// Batches that were applied.
    pub batches: u64,
    /// Batches that were refused: [`ApplyError::Conflict`].
    pub conflicts: u64,
    /// Rows that were written.
    pub puts: u64,
    /// Rows that were deleted.
    pub deletes: u64,
    /// Rows that were only compared.
    pub checks: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// The longest row that was written.
    pub largest_row: usize,
}

/// A copy of all rows, as a backup is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<RecordKey, Arc<Row>>);

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies a batch: all of it, or nothing.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Conflict`] if a row has not the version that a change expects.
    pub fn write(&self, batch: &Batch) -> Result<(), ApplyError<Infallible>> {
        let inner = &mut *self.inner();
        let as_expected = |change: &Change| inner.rows.get(change.key()).map(|row| row.version) == change.expected();
        let applied = batch.apply(|change| Ok::<_, Infallible>(as_expected(change)));
        if applied.is_err() {
            inner.counters.conflicts += 1;
        } else {
            inner.put(batch);
        }
        applied
    }

    /// Writes what a batch says and compares nothing: the defect that the simulator has to find.
    pub(super) fn write_blindly(&self, batch: &Batch) {
        self.inner().put(batch);
    }

    /// A copy of all rows.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.inner().rows.clone())
    }

    /// Goes back to a copy, as when somebody restores a backup.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.inner().rows = snapshot.0.clone();
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.inner().counters
    }

    /// Counts from the beginning.
    pub fn reset_counters(&self) {
        self.inner().counters = Counters::default();
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner().rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner().rows.is_empty()
    }

    /// All rows, ascending by key: for tests that damage some.
    #[must_use]
    pub fn rows(&self) -> Vec<(RecordKey, Row)> {
        self.inner().rows.iter().map(|(key, row)| (*key, Row::clone(row))).collect()
    }

    /// Puts a row, or deletes it, whatever is there: for tests that damage some.
    pub fn tamper(&self, key: RecordKey, row: Option<Row>) {
        let rows = &mut self.inner().rows;
        match row {
            Some(row) => rows.insert(key, Arc::new(row)),
            None => rows.remove(&key),
        };
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A thread that panicked while it held the lock has written all of a batch or nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// Its rows, ascending by key.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&RecordKey, &Row)> {
        self.0.iter().map(|(key, row)| (key, row.as_ref()))
    }

    pub(super) fn row(&self, key: &RecordKey) -> Option<&Row> {
        self.0.get(key).map(AsRef::as_ref)
    }
}

impl From<Snapshot> for MemoryStore {
    fn from(snapshot: Snapshot) -> Self {
        Self(Mutex::new(Inner { rows: snapshot.0, counters: Counters::default() }))
    }
}

impl Inner {
    fn put(&mut self, batch: &Batch) {
        let Self { rows, counters } = self;
        counters.batches += 1;
        for change in batch.changes() {
            match change.write() {
                Write::Put(row) => {
                    counters.puts += 1;
                    counters.bytes_written += u64::try_from(row.bytes.len()).unwrap_or(u64::MAX);
                    counters.largest_row = counters.largest_row.max(row.bytes.len());
                    rows.insert(*change.key(), Arc::new(row.clone()));
                }
                Write::Delete => {
                    counters.deletes += 1;
                    rows.remove(change.key());
                }
                Write::Keep => counters.checks += 1,
            }
        }
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn load(&self, keys: &[RecordKey]) -> Result<Vec<Option<Row>>, Infallible> {
        let inner = &mut *self.inner();
        let rows: Vec<_> = keys.iter().map(|key| inner.rows.get(key).map(|row| Row::clone(row))).collect();
        let bytes: usize = rows.iter().flatten().map(|row| row.bytes.len()).sum();
        inner.counters.loads += 1;
        inner.counters.rows_asked += u64::try_from(keys.len()).unwrap_or(u64::MAX);
        inner.counters.bytes_loaded += u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(rows)
    }
}

/// The host's own rows are its own matter: of a transaction it is given nothing.
impl Database for MemoryStore {
    type Transaction<'a> = ();

    fn transact(
        &self,
        batch: &Batch,
        own: impl FnOnce(&mut ()) -> Result<(), Infallible>,
    ) -> Result<(), ApplyError<Infallible>> {
        self.write(batch)?;
        own(&mut ())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::Version;
    use std::vec;

    fn row(number: u8) -> Row {
        Row { version: Version::from_bytes([number; 16]), bytes: vec![number; usize::from(number)] }
    }

    #[test]
    fn what_is_restored_is_what_was_copied() {
        let (store, key) = (MemoryStore::new(), RecordKey::from_bytes([1; 33]));
        store.tamper(key, Some(row(1)));
        let copy = store.snapshot();
        store.tamper(key, Some(row(2)));
        store.tamper(RecordKey::from_bytes([2; 33]), Some(row(3)));
        store.restore(&copy);
        assert_eq!(store.rows(), [(key, row(1))]);
        assert_eq!(store.snapshot(), copy);
    }

    /// Of many threads that want to replace the same version one does.
    #[test]
    fn one_of_many_threads_wins() {
        let (store, key) = (MemoryStore::new(), RecordKey::from_bytes([1; 33]));
        store.tamper(key, Some(row(1)));
        let store = &store;
        let won = std::thread::scope(|scope| {
            let threads: Vec<_> = (2..10)
                .map(|number| {
                    scope.spawn(move || {
                        let change = Change::put(key, Some(row(1).version), row(number));
                        store.write(&Batch::new(vec![change])).is_ok()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!((won, store.counters().conflicts, store.counters().puts), (1, 7, 1));
    }
}
