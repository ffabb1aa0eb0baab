use alloc::collections::BTreeMap;

use super::audit::Audit;
use super::{Crashed, Directory, Host, MemoryStore, SeededRng, Snapshot, Tables};
use crate::client::{Client, IdentityError, Opened, RollbackCounter};
use crate::ident::{Address, Timestamp};
use crate::persist::StorageKey;
use crate::staging::Store as _;
use crate::suite::Suites;

impl Host {
    /// Makes an account, its randomness from a seed.
    #[must_use]
    pub fn create(address: &Address, suites: Suites, storage_key: StorageKey, seed: u64, now: Timestamp) -> Self {
        let (store, mut rng) = (MemoryStore::new(), SeededRng::new(seed));
        let mut operation = Client::create(&storage_key, address, suites);
        let client = loop {
            match operation.step(now, &mut rng) {
                Ok(crate::staging::Step::Need(keys)) => {
                    let Ok(rows) = store.load(&keys);
                    operation.supply(rows);
                }
                Ok(crate::staging::Step::Ready(staged)) => {
                    store.write_blindly(staged.batch());
                    break staged.committed().client;
                }
                // There is no account in an empty store.
                Err(crate::client::CreateError::Exists) => store.restore(&Snapshot::default()),
            }
        };
        let (tables, audit, address, damaged) = (Tables::default(), Audit::default(), address.clone(), BTreeMap::new());
        let (keychain, cached, crash, blind) = (Some(1), 0, None, false);
        let (framing, frames) = (false, false);
        Self {
            address,
            storage_key,
            keychain,
            client,
            cached,
            framing,
            frames,
            store,
            tables,
            rng,
            crash,
            audit,
            damaged,
            blind,
        }
    }

    /// The same device with another generator.
    pub(in crate::testing) fn replica(&self, seed: u64) -> Self {
        Self {
            address: self.address.clone(),
            storage_key: self.storage_key.clone(),
            keychain: self.keychain,
            client: self.dressed(&self.client),
            cached: self.cached,
            framing: self.framing,
            frames: self.frames,
            store: self.store.snapshot().into(),
            tables: self.tables.clone(),
            rng: SeededRng::new(seed),
            crash: None,
            audit: Audit::default(),
            damaged: BTreeMap::new(),
            blind: false,
        }
    }

    /// Looks for these bytes in everything that is printed.
    pub(in crate::testing) fn look_for(&mut self, secret: &[u8]) {
        self.audit.look_for(secret);
    }

    /// Forgets the rollback counter, as a host does that has no place for it.
    pub(in crate::testing) const fn lose_keychain(&mut self) {
        self.keychain = None;
    }

    /// Keeps sessions with so many devices in memory from now on, see [`Client::with_session_cache`].
    pub(in crate::testing) fn keep_sessions(&mut self, devices: usize) {
        self.cached = devices;
        self.client = self.dressed(&self.client);
    }

    /// Opens the client anew, as after a crash. Whether the database was found to be an older copy.
    ///
    /// # Errors
    ///
    /// [`Crashed`]: open it again.
    ///
    /// # Panics
    ///
    /// If the database does not open: then the test has failed.
    pub fn open(&mut self, now: Timestamp) -> Result<bool, Crashed> {
        let (key, rollback_counter) =
            (self.storage_key.clone(), self.keychain.map_or(RollbackCounter::UNAVAILABLE, RollbackCounter::new));
        let opened = self.run(now, |_| Client::open(&key, rollback_counter), |_, _| {})?;
        #[expect(clippy::expect_used, reason = "a tool of tests stops where something is wrong")]
        let Opened { client, rollback_counter, rolled_back, .. } = opened.expect("the database does not open");
        self.client = self.dressed(&client);
        if self.keychain.is_some() {
            self.keychain = rollback_counter.get();
        }
        Ok(rolled_back)
    }

    /// Seals the vault with another storage key.
    ///
    /// # Errors
    ///
    /// [`Crashed`]: of the two keys one opens it.
    pub fn change_storage_key(&mut self, new: StorageKey, now: Timestamp) -> Result<(), Crashed> {
        let old = self.storage_key.clone();
        // The host stores both until it knows; this one is told by the store.
        let changed = self.run(now, |_| Client::change_storage_key(&old, &new), |_, ()| {});
        let opens = self.stage(Client::open(&new, RollbackCounter::UNAVAILABLE), now).is_ok();
        if opens {
            self.storage_key = new;
        }
        let changed = changed?;
        debug_assert!(changed.is_ok() || opens, "the storage key is another one");
        self.open(now).map(|_| ())
    }

    /// Does what is due: advances the rollback counter, uploads prekeys, brings the bundles that are wanted.
    ///
    /// # Errors
    ///
    /// [`Crashed`].
    pub fn attend(&mut self, relay: &mut impl Directory, now: Timestamp) -> Result<(), Crashed> {
        let maintained = self.run(now, Client::maintain, |_, _| {})?;
        let Ok(maintained) = maintained else {
            // Another process has changed the storage key.
            self.open(now)?;
            return Ok(());
        };
        match (maintained.rollback_counter, self.keychain) {
            (Some(rollback_counter), Some(counter)) => {
                self.keychain = rollback_counter.get().map(|new| new.max(counter))
            }
            (None, _) => {
                self.open(now)?;
            }
            (Some(_), None) => {}
        }
        if maintained.prekeys_due {
            self.upload(relay, now)?;
        }
        self.bring(relay, now)
    }

    /// Makes prekeys that are due, and uploads them.
    pub(in crate::testing) fn upload(&mut self, relay: &mut impl Directory, now: Timestamp) -> Result<(), Crashed> {
        let counts = relay.counts(&self.address);
        let uploads = self.run(now, |client| client.publish_prekeys(counts), |_, _| {})?;
        for upload in uploads.unwrap_or_default() {
            let id = upload.id;
            if relay.upload(upload) {
                self.run(now, |client| client.published(id), |_, _| {})?.ok();
            }
        }
        Ok(())
    }

    /// Does what is due for one part of the peer devices. Whether there are any.
    ///
    /// # Errors
    ///
    /// [`Crashed`].
    pub fn prune(&mut self, page: u8, now: Timestamp) -> Result<bool, Crashed> {
        let mut pruned = self.run(now, |client| client.prune(page), |_, _| {})?;
        while let Some(next) = pruned.as_ref().ok().and_then(|pruned| pruned.next) {
            pruned = self.run(now, |client| client.prune_on(next), |_, _| {})?;
        }
        Ok(pruned.is_ok_and(|pruned| !pruned.peers.is_empty()))
    }

    /// Accepts a peer's other identity key, or refuses it: what the user says.
    ///
    /// # Errors
    ///
    /// [`Crashed`]; inside, the library's own.
    pub fn decide(
        &mut self,
        peer: &Address,
        accept: bool,
        now: Timestamp,
    ) -> Result<Result<(), IdentityError>, Crashed> {
        let Some(key) = self.tables.changed.get(peer).copied() else { return Ok(Ok(())) };
        let decide = |client: &Client| {
            if accept { client.accept_identity(peer, &key) } else { client.refuse_identity(peer) }
        };
        self.run(now, decide, |tables, ()| {
            tables.changed.remove(peer);
            tables.undecided.remove(peer);
            if accept {
                tables.known.insert(peer.clone(), key);
            }
        })
    }
}
