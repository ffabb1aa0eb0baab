use crate::client::Client;
use crate::persist::RecordKey;
use crate::staging::{Operation, StoredError};

impl Client {
    /// Deletes the account: the vault, which holds the key that all other rows are sealed with, the identity key, and the
    /// account's keys.
    /// The host then deletes all other rows of its table, which nothing opens any more.
    ///
    /// # Errors
    ///
    /// [`StoredError`], when it is staged.
    ///
    /// # Security
    ///
    /// The vault must be gone from the disk and from every backup: see docs/storage.md on secure deletion. Other processes
    /// that have the client open keep the key in memory. Staging it empties this handle's session cache for good, and that
    /// of the handles that share it; drop others.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, alice_key, now, mut rng, .. } = talking();
    /// alice.wipe().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// let opened = Client::open(&alice_key, RollbackCounter::UNAVAILABLE).stage(&db, now, &mut rng);
    /// assert!(matches!(opened, Err(StageError::Operation(OpenError::NoAccount))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wipe(&self) -> Operation<(), StoredError> {
        let core = self.core.clone();
        Operation::new("wipe", move |work| {
            core.cache.iter().for_each(|cache| cache.close());
            let keys = [RecordKey::VAULT, core.device_key(), core.account_key(), core.account_secret_key()];
            work.announce(keys);
            for key in keys {
                if work.row::<StoredError>(key)?.is_some() {
                    work.delete(key);
                }
            }
            Ok(())
        })
    }
}
