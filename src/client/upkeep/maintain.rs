use crate::client::Client;
use crate::client::account::{OpenError, RollbackCounter};
use crate::ident::Timestamp;
use crate::staging::{Operation, Stop, StoredError};

/// What maintaining the account gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintained {
    /// What the host stores after the commit, see [`RollbackCounter`]; `None` if the store has gone back in time since this
    /// client was opened: open it again.
    pub rollback_counter: Option<RollbackCounter>,
    /// Whether prekeys are due: [`Client::publish_prekeys`].
    pub prekeys_due: bool,
    /// When to maintain again, at the latest.
    pub next_due: Timestamp,
}

/// Why the account was not maintained. Nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaintainError {
    /// The account was wiped, or the storage key was changed: open it again.
    #[error("the account is not there any more")]
    NoAccount,
    /// A record does not open.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// At least so often, so that a restored database is found: daily.
const EVERY_MS: u64 = 24 * 60 * 60 * 1000;

impl Client {
    /// Does what is due for the account as a whole: advances the rollback counter, signs the roster anew on the primary when
    /// it is 14 days old, deletes private prekeys that were replaced on the server 30 days ago, says whether others are to
    /// be uploaded. It is also what looks at the clock for all deletions by age: they go by a time that the clock has said a
    /// day or longer before. [`Client::todo`] says when it is due, once a day; then [`Client::prune`] does what is due for
    /// peer devices.
    ///
    /// # Errors
    ///
    /// [`MaintainError`], when it is staged.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clientdoc.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Talking { alice, alice_db: db, now, mut rng, .. } = talking();
    /// let done = alice.maintain().run(&db, now, &mut rng, |_, _| Ok(()))?;
    /// assert!(done.next_due > now);
    /// # Ok(())
    /// # }
    /// ```
    pub fn maintain(&self) -> Operation<Maintained, MaintainError> {
        let core = self.core.clone();
        Operation::new("maintain", move |work| {
            work.announce([core.prekeys_key(), core.clock_key(), core.account_key(), core.account_secret_key()]);
            let rollback_counter = core.advance_rollback_counter(work).map_err(|stop| {
                stop.map(|error| match error {
                    OpenError::NoAccount | OpenError::WrongStorageKey | OpenError::OtherDevice => {
                        MaintainError::NoAccount
                    }
                    OpenError::Stored(error) => MaintainError::Stored(error),
                })
            })?;
            let stored = |stop: Stop<StoredError>| stop.map(MaintainError::from);
            let mut prekeys = core.load_prekeys(work).map_err(stored)?;
            // A handle of before the store went back deletes nothing.
            if rollback_counter.is_some() && core.delete_expired(work, &mut prekeys).map_err(stored)? {
                core.save_prekeys(work, &prekeys);
            }
            if rollback_counter.is_some() {
                core.renew_lease(work).map_err(stored)?;
                core.note_maintained(work).map_err(stored)?;
            }
            let prekeys_due = prekeys.is_pending(&core, work.now);
            let daily = work.now.get().saturating_add(EVERY_MS);
            let next_due = Timestamp::new(prekeys.next_due().get().min(daily));
            Ok(Maintained { rollback_counter, prekeys_due, next_due })
        })
    }
}
