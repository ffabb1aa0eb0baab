//! What an operation works on: the rows it was given, and the changes it makes of them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::batch::{Batch, Change};
use super::held::{Held, Rows};
use super::row::Row;
use super::row_cache::RowCache;
use super::stored::StoredError;
use crate::crypto::Expander;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::Timestamp;
use crate::persist::{Keys, RecordKey, StorageKey, Version, seal_vault};
use crate::wire::{Record, RecordKind};

/// Why an operation stops.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    /// It needs rows; it begins anew with them.
    Need,
    /// It failed.
    Fail(E),
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Fail(error)
    }
}

impl<E> Stop<E> {
    /// The same with another operation's error.
    pub(crate) fn map<F>(self, map: impl FnOnce(E) -> F) -> Stop<F> {
        match self {
            Self::Need => Stop::Need,
            Self::Fail(error) => Stop::Fail(map(error)),
        }
    }
}

/// Puts what a row holds into a cache, once it is sealed.
type Keep = Box<dyn FnOnce(RecordKey, Version, &[u8])>;

enum Write {
    /// To be sealed at the end, once, however often it was written.
    Record(Arc<Keys>, Record),
    /// The same, where there is surely no row: it was not read.
    New(Arc<Keys>, Record),
    /// Sealed otherwise.
    Sealed(Row),
    Deleted,
}

/// One pass of an operation.
pub(crate) struct Workspace<'a> {
    rows: &'a mut Rows,
    relied_on: BTreeSet<RecordKey>,
    /// Whether what was read and not written is checked.
    checks: bool,
    /// Whether it is where nothing is written, too.
    insists: bool,
    /// In any order, some perhaps twice.
    needed: Vec<RecordKey>,
    writes: BTreeMap<RecordKey, Write>,
    /// What goes into a cache with the rows that are written.
    cached: BTreeMap<RecordKey, Keep>,
    /// What was written over in the attempt that is going on.
    undo: Option<Vec<(RecordKey, Option<Write>)>>,
    pub(crate) now: Timestamp,
    /// For what is secret.
    pub(crate) rng: Expander,
    /// For what is not, and stands in the clear before a server or a thief of the database: versions of rows, ids and salts
    /// that travel. Nothing secret is ever drawn from it.
    pub(crate) public: Expander,
}

impl<'a> Workspace<'a> {
    pub(crate) fn new(rows: &'a mut Rows, now: Timestamp, [rng, public]: [Expander; 2]) -> Self {
        Self {
            rows,
            relied_on: BTreeSet::new(),
            checks: true,
            insists: false,
            needed: Vec::new(),
            writes: BTreeMap::new(),
            cached: BTreeMap::new(),
            undo: None,
            now,
            rng,
            public,
        }
    }

    /// Says which rows will be asked for, so that they come in one round.
    pub(crate) fn announce(&mut self, keys: impl IntoIterator<Item = RecordKey>) {
        let keys = keys.into_iter().filter(|key| !self.rows.contains_key(key) && !self.writes.contains_key(key));
        self.needed.extend(keys);
    }

    /// A row, if it is there.
    pub(crate) fn row<E>(&mut self, key: RecordKey) -> Result<Option<&Held>, Stop<E>> {
        let row = held(self.rows, &mut self.needed, key)?;
        self.relied_on.insert(key);
        Ok(row.map(|row| &*row))
    }

    /// A record, opened; as this operation has written it, if it has.
    pub(crate) fn read(
        &mut self,
        keys: &Keys,
        kind: RecordKind,
        key: RecordKey,
    ) -> Result<Option<&Record>, Stop<StoredError>> {
        if self.writes.contains_key(&key) {
            return self.peek(keys, kind, key);
        }
        // Where it is asked for, the pass is over: what it relied on does not count.
        let Some(row) = held(self.rows, &mut self.needed, key)? else {
            self.relied_on.insert(key);
            return Ok(None);
        };
        self.relied_on.insert(key);
        Ok(Some(row.open(keys, &key).map_err(|error| StoredError { kind, error })?))
    }

    /// The same, for a hint: whatever the record says, what follows is right, so that it is not checked.
    pub(crate) fn peek(
        &mut self,
        keys: &Keys,
        kind: RecordKind,
        key: RecordKey,
    ) -> Result<Option<&Record>, Stop<StoredError>> {
        match self.writes.get(&key) {
            Some(Write::Record(_, record) | Write::New(_, record)) => return Ok(Some(record)),
            Some(Write::Deleted) => return Ok(None),
            Some(Write::Sealed(..)) | None => {}
        }
        let Some(row) = held(self.rows, &mut self.needed, key)? else { return Ok(None) };
        let record = row.open(keys, &key).map_err(|error| StoredError { kind, error })?;
        Ok(Some(record))
    }

    /// What a row holds, if a cache has it and it was not written to.
    pub(crate) fn cached<T>(&mut self, cache: &RowCache<T>, key: RecordKey) -> Option<Box<T>> {
        if self.writes.contains_key(&key) {
            return None;
        }
        let Some(row) = self.rows.get(&key)? else {
            cache.forget(&key);
            return None;
        };
        let held = cache.take(&key, &row.version, row.sealed())?;
        self.relied_on.insert(key);
        Some(held)
    }

    /// Puts what a record that was just written holds into a cache, once it is sealed.
    pub(crate) fn keep<T: 'static>(&mut self, cache: &Arc<RowCache<T>>, key: RecordKey, held: Box<T>) {
        let cache = cache.clone();
        self.cached.insert(key, Box::new(move |key, version, sealed| cache.keep(key, version, sealed, held)));
    }

    /// Writes a record. Its row was read, so that it is known what is replaced.
    pub(crate) fn put(&mut self, keys: &Arc<Keys>, key: RecordKey, record: impl Into<Record>) {
        self.write(key, Write::Record(keys.clone(), record.into()));
    }

    /// Writes a record under a key that nobody can have derived before.
    pub(crate) fn put_new(&mut self, keys: &Arc<Keys>, key: RecordKey, record: impl Into<Record>) {
        self.write(key, Write::New(keys.clone(), record.into()));
    }

    /// Deletes a record that was read.
    pub(crate) fn delete(&mut self, key: RecordKey) {
        self.write(key, Write::Deleted);
    }

    /// Deletes a record that is there, whether it opens or not.
    pub(crate) fn remove<E>(&mut self, key: RecordKey) -> Result<(), Stop<E>> {
        if !matches!(self.writes.get(&key), Some(Write::New(..))) {
            self.row(key)?;
        }
        self.delete(key);
        Ok(())
    }

    /// Writes the vault.
    pub(crate) fn put_vault(&mut self, storage_key: &StorageKey, record: &[u8]) {
        let version = Version::random(&mut self.public);
        let sealed = seal_vault(storage_key, &version, record, &mut self.public);
        self.write(RecordKey::VAULT, Write::Sealed(Row { version, bytes: sealed }));
    }

    fn write(&mut self, key: RecordKey, write: Write) {
        self.cached.remove(&key);
        let write = match (self.writes.get(&key), write) {
            // There is no row still, whatever becomes of what was to be one.
            (Some(Write::New(..)), Write::Record(keys, record)) => Some(Write::New(keys, record)),
            (Some(Write::New(..)), Write::Deleted) => None,
            (_, write) => Some(write),
        };
        let before = match write {
            Some(write) => self.writes.insert(key, write),
            None => self.writes.remove(&key),
        };
        if let Some(undo) = &mut self.undo {
            undo.push((key, before));
        }
    }

    /// Does something that leaves no writes where it fails; one such thing may stand in another.
    pub(crate) fn attempt<T, E>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let outer = self.undo.replace(Vec::new());
        let outcome = act(self);
        let undo = core::mem::replace(&mut self.undo, outer).unwrap_or_default();
        if outcome.is_err() {
            for (key, before) in undo.into_iter().rev() {
                self.cached.remove(&key);
                match before {
                    Some(write) => self.writes.insert(key, write),
                    None => self.writes.remove(&key),
                };
            }
        } else if let Some(outer) = &mut self.undo {
            outer.extend(undo);
        }
        outcome
    }

    /// For an operation whose changes are each right whatever else has changed.
    pub(crate) const fn rely_on_nothing(&mut self) {
        self.checks = false;
    }

    /// For an operation whose outcome is acted upon even where it changes nothing: what it has read is checked all the same,
    /// so that a stale or failing read is a conflict, and no mail that is acknowledged and lost.
    pub(crate) fn insist(&mut self) {
        self.insists = true;
        #[cfg(test)]
        {
            self.insists = !planted::is(Defect::NoChecks);
        }
    }

    /// Stops if rows were asked for that are not there.
    pub(crate) fn ready<E>(&self) -> Result<(), Stop<E>> {
        if self.needed.is_empty() { Ok(()) } else { Err(Stop::Need) }
    }

    /// Whether this is not the first pass.
    pub(crate) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// How many rows were read.
    pub(crate) fn reads(&self) -> usize {
        self.relied_on.len()
    }

    pub(crate) fn into_needed(self) -> Vec<RecordKey> {
        let mut needed = self.needed;
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    /// Seals what was written. An operation that writes nothing changes nothing, so it checks nothing unless it
    /// [insists](Self::insist).
    pub(crate) fn into_batch(mut self) -> Batch {
        let writes = core::mem::take(&mut self.writes);
        if writes.is_empty() && !self.insists {
            return Batch::default();
        }
        let expected = |key: &RecordKey| self.rows.get(key).and_then(Option::as_ref).map(|row| row.version);
        let mut changes = Vec::with_capacity(self.relied_on.len() + writes.len());
        for key in self.relied_on.iter().copied().filter(|key| self.checks && !writes.contains_key(key)) {
            changes.push(Change::keep(key, expected(&key)));
        }
        for (key, write) in writes {
            let known = self.rows.contains_key(&key) || matches!(write, Write::New(..));
            debug_assert!(known, "a row is written that was not read");
            changes.push(match (write, expected(&key)) {
                (Write::Sealed(row), expected) => Change::put(key, expected, row),
                (Write::Record(keys, record) | Write::New(keys, record), expected) => {
                    let version = Version::random(&mut self.public);
                    let bytes = keys.seal(&key, &version, record);
                    if let Some(keep) = self.cached.remove(&key) {
                        keep(key, version, &bytes);
                    }
                    Change::put(key, expected, Row { version, bytes })
                }
                (Write::Deleted, Some(expected)) => Change::delete(key, expected),
                (Write::Deleted, None) => Change::keep(key, None),
            });
        }
        changes.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        Batch::new(changes)
    }
}

/// A row that was given, if there is one; what was not given is asked for.
fn held<'a, E>(
    rows: &'a mut Rows,
    needed: &mut Vec<RecordKey>,
    key: RecordKey,
) -> Result<Option<&'a mut Held>, Stop<E>> {
    match rows.get_mut(&key) {
        Some(row) => Ok(row.as_mut()),
        None => {
            needed.push(key);
            Err(Stop::Need)
        }
    }
}

/// What was read, where it opens: for whoever goes on without it.
pub(crate) fn unless_damaged<T, E>(read: Result<T, Stop<E>>) -> Result<Option<T>, Stop<E>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Stop::Fail(_)) => Ok(None),
        Err(Stop::Need) => Err(Stop::Need),
    }
}
