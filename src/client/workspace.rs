//! What an operation works on: the rows it was given, and the changes it makes of them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::held::{Held, Rows};
use super::peer::Peer;
use super::session_cache::SessionCache;
use super::{Batch, Change, StoredError};
use crate::crypto::Expander;
#[cfg(test)]
use crate::crypto::planted::{self, Defect};
use crate::ident::Timestamp;
use crate::persist::{Keys, RecordKey, StorageKey, Version, seal_vault};
use crate::wire::{Record, RecordError, RecordKind};

/// Why an operation stops.
#[derive(Debug)]
pub(super) enum Stop<E> {
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
    pub(super) fn map<F>(self, map: impl FnOnce(E) -> F) -> Stop<F> {
        match self {
            Self::Need => Stop::Need,
            Self::Fail(error) => Stop::Fail(map(error)),
        }
    }
}

enum Write {
    /// To be sealed at the end, once, however often it was written.
    Record(Arc<Keys>, Record),
    /// The same, where there is surely no row: it was not read.
    New(Arc<Keys>, Record),
    /// Sealed otherwise.
    Sealed(Version, Vec<u8>),
    Deleted,
}

/// One pass of an operation.
pub(super) struct Workspace<'a> {
    rows: &'a mut Rows,
    relied_on: BTreeSet<RecordKey>,
    /// Whether what was read and not written is checked.
    checks: bool,
    /// Whether it is where nothing is written, too.
    insists: bool,
    needed: BTreeSet<RecordKey>,
    writes: BTreeMap<RecordKey, Write>,
    /// What goes into a cache with the rows that are written.
    cached: BTreeMap<RecordKey, (Arc<SessionCache>, Box<Peer>)>,
    /// What was written over in the attempt that is going on.
    undo: Option<Vec<(RecordKey, Option<Write>)>>,
    pub(super) now: Timestamp,
    /// For what is secret.
    pub(super) rng: Expander,
    /// For what is not, and stands in the clear before a server or a thief of the database: versions of rows, ids and salts
    /// that travel. Nothing secret is ever drawn from it.
    pub(super) public: Expander,
}

impl<'a> Workspace<'a> {
    pub(super) fn new(rows: &'a mut Rows, now: Timestamp, [rng, public]: [Expander; 2]) -> Self {
        Self {
            rows,
            relied_on: BTreeSet::new(),
            checks: true,
            insists: false,
            needed: BTreeSet::new(),
            writes: BTreeMap::new(),
            cached: BTreeMap::new(),
            undo: None,
            now,
            rng,
            public,
        }
    }

    /// Says which rows will be asked for, so that they come in one round.
    pub(super) fn announce(&mut self, keys: impl IntoIterator<Item = RecordKey>) {
        let keys = keys.into_iter().filter(|key| !self.rows.contains_key(key) && !self.writes.contains_key(key));
        self.needed.extend(keys);
    }

    /// A row, if it is there.
    pub(super) fn row<E>(&mut self, key: RecordKey) -> Result<Option<&Held>, Stop<E>> {
        self.relied_on.insert(key);
        held(self.rows, &mut self.needed, key).map(|row| row.map(|row| &*row))
    }

    /// A record, opened; as this operation has written it, if it has.
    pub(super) fn read(
        &mut self,
        keys: &Keys,
        kind: RecordKind,
        key: RecordKey,
    ) -> Result<Option<&Record>, Stop<StoredError>> {
        if !self.writes.contains_key(&key) {
            self.relied_on.insert(key);
        }
        self.peek(keys, kind, key)
    }

    /// The same, for a hint: whatever the record says, what follows is right, so that it is not checked.
    pub(super) fn peek(
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
    pub(super) fn cached(&mut self, cache: &SessionCache, key: RecordKey) -> Option<Box<Peer>> {
        if self.writes.contains_key(&key) {
            return None;
        }
        let Some(row) = self.rows.get(&key)? else {
            cache.forget(&key);
            return None;
        };
        let peer = cache.take(&key, &row.version, row.sealed())?;
        self.relied_on.insert(key);
        Some(peer)
    }

    /// Puts what a record that was just written holds into a cache, once it is sealed.
    pub(super) fn keep(&mut self, cache: &Arc<SessionCache>, key: RecordKey, peer: Box<Peer>) {
        self.cached.insert(key, (cache.clone(), peer));
    }

    /// Writes a record. Its row was read, so that it is known what is replaced.
    pub(super) fn put(&mut self, keys: &Arc<Keys>, key: RecordKey, record: impl Into<Record>) {
        self.write(key, Write::Record(keys.clone(), record.into()));
    }

    /// Writes a record under a key that nobody can have derived before.
    pub(super) fn put_new(&mut self, keys: &Arc<Keys>, key: RecordKey, record: impl Into<Record>) {
        self.write(key, Write::New(keys.clone(), record.into()));
    }

    /// Deletes a record that was read.
    pub(super) fn delete(&mut self, key: RecordKey) {
        self.write(key, Write::Deleted);
    }

    /// Deletes a record that is there, whether it opens or not.
    pub(super) fn remove<E>(&mut self, key: RecordKey) -> Result<(), Stop<E>> {
        if !matches!(self.writes.get(&key), Some(Write::New(..))) {
            self.row(key)?;
        }
        self.delete(key);
        Ok(())
    }

    /// Writes the vault.
    pub(super) fn put_vault(&mut self, storage_key: &StorageKey, record: &[u8]) {
        let version = Version::random(&mut self.public);
        let sealed = seal_vault(storage_key, &version, record, &mut self.public);
        self.write(RecordKey::VAULT, Write::Sealed(version, sealed));
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

    /// Does something that leaves no writes where it fails.
    pub(super) fn attempt<T, E>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Stop<E>>) -> Result<T, Stop<E>> {
        self.undo = Some(Vec::new());
        let outcome = act(self);
        let undo = self.undo.take().unwrap_or_default();
        if outcome.is_err() {
            for (key, before) in undo.into_iter().rev() {
                self.cached.remove(&key);
                match before {
                    Some(write) => self.writes.insert(key, write),
                    None => self.writes.remove(&key),
                };
            }
        }
        outcome
    }

    /// For an operation whose changes are each right whatever else has changed.
    pub(super) const fn rely_on_nothing(&mut self) {
        self.checks = false;
    }

    /// For an operation whose outcome is acted upon even where it changes nothing: what it has read is checked all the same,
    /// so that a stale or failing read is a conflict, and no mail that is acknowledged and lost.
    pub(super) fn insist(&mut self) {
        self.insists = true;
        #[cfg(test)]
        {
            self.insists = !planted::is(Defect::NoChecks);
        }
    }

    /// Stops if rows were asked for that are not there.
    pub(super) fn ready<E>(&self) -> Result<(), Stop<E>> {
        if self.needed.is_empty() { Ok(()) } else { Err(Stop::Need) }
    }

    /// Whether this is not the first pass.
    pub(super) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// How many rows were read.
    pub(super) fn reads(&self) -> usize {
        self.relied_on.len()
    }

    pub(super) fn into_needed(self) -> Vec<RecordKey> {
        self.needed.into_iter().collect()
    }

    /// Seals what was written. An operation that writes nothing changes nothing, so it checks nothing unless it
    /// [insists](Self::insist).
    pub(super) fn into_batch(mut self) -> Batch {
        let writes = core::mem::take(&mut self.writes);
        if writes.is_empty() && !self.insists {
            return Batch::default();
        }
        let expect = |key: &RecordKey| self.rows.get(key).and_then(Option::as_ref).map(|row| row.version);
        let mut changes = Vec::with_capacity(self.relied_on.len() + writes.len());
        for key in self.relied_on.iter().copied().filter(|key| self.checks && !writes.contains_key(key)) {
            changes.push(Change::Check { key, expect: expect(&key) });
        }
        for (key, write) in writes {
            let known = self.rows.contains_key(&key) || matches!(write, Write::New(..));
            debug_assert!(known, "a row is written that was not read");
            changes.push(match (write, expect(&key)) {
                (Write::Sealed(version, bytes), expect) => Change::Put { key, bytes, expect, version },
                (Write::Record(keys, record) | Write::New(keys, record), expect) => {
                    let version = Version::random(&mut self.public);
                    let bytes = keys.seal(&key, &version, record);
                    if let Some((cache, peer)) = self.cached.remove(&key) {
                        cache.keep(key, version, &bytes, peer);
                    }
                    Change::Put { key, bytes, expect, version }
                }
                (Write::Deleted, Some(expect)) => Change::Delete { key, expect },
                (Write::Deleted, None) => Change::Check { key, expect: None },
            });
        }
        changes.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        Batch::new(changes)
    }
}

/// A row that was given, if there is one; what was not given is asked for.
fn held<'a, E>(
    rows: &'a mut Rows,
    needed: &mut BTreeSet<RecordKey>,
    key: RecordKey,
) -> Result<Option<&'a mut Held>, Stop<E>> {
    match rows.get_mut(&key) {
        Some(row) => Ok(row.as_mut()),
        None => {
            needed.insert(key);
            Err(Stop::Need)
        }
    }
}

/// What was read, where it opens: for whoever goes on without it.
pub(super) fn unless_damaged<T, E>(read: Result<T, Stop<E>>) -> Result<Option<T>, Stop<E>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Stop::Fail(_)) => Ok(None),
        Err(Stop::Need) => Err(Stop::Need),
    }
}

/// A record is damaged or newer than this build: which kind, and which of the two.
pub(super) fn stored(kind: RecordKind) -> impl Fn(RecordError) -> StoredError {
    move |error| StoredError { kind, error }
}
